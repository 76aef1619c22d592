// SPDX-License-Identifier: GPL-2.0-only
//! The settings as a document: docs/configuration.md.

use super::keys::{keys, Key, Kind};
use std::fmt::Write;

const HEAD: &str = "# Settings

Written by the program from its own options (`scx_agent generate`); do not edit.

`/etc/scx_agent/config.toml` is read first, then `/etc/scx_agent/conf.d/*.toml` in the order of their
names; what is said last holds. Each key is an option of the command line as well, with `-` for `_` and
lists in the singular (`agent_cgroups` is `--agent-cgroup`), and the command line is over the files. Keys
marked *reload* are applied by `scx_agent reload`; the others hold after a restart.

`scx_agent config check` says what is wrong with the files, `scx_agent config show` what they and the command line
come to and which line says so; where a key has no default, `false` sets back what an earlier file says. Kinds of agents of your own are tables `[agents.NAME]` with `comms` (of their
framework) and `cgroups` (globs): see README; with `qos`, `weight` and
`cpu_budget_s` those that it names have them.
";

/// The document.
pub fn reference() -> String {
    let mut out = String::from(HEAD);
    let mut heading = None;
    for key in keys().iter().filter(|k| !k.hidden) {
        if key.heading != heading || heading.is_none() && !out.contains("\n## ") {
            let name = key.heading.as_deref().unwrap_or("General");
            let _ = write!(out, "\n## {name}\n\n| key | default | |\n|---|---|---|\n");
            heading = key.heading.clone();
        }
        let reload = if key.live { " *reload*" } else { "" };
        let help = key.help.replace('|', "\\|").replace('<', "&lt;");
        let _ = writeln!(out, "| `{}`{reload} | {} | {help} |", key.name, default(key));
    }
    out
}

fn default(key: &Key) -> String {
    match (&key.default, key.kind) {
        (Some(value), Kind::Text) => format!("`\"{value}\"`"),
        (Some(value), _) => format!("`{value}`"),
        (None, Kind::Flag) => "`false`".into(),
        (None, Kind::Count) => "`0`".into(),
        (None, Kind::List) => "`[]`".into(),
        (None, _) => "not set".into(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_document_is_current() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, super::reference()).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(text, super::reference(), "{} is old: UPDATE_DOCS=1 writes it", path.display());
    }
}
