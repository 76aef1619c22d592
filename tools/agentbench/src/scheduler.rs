// SPDX-License-Identifier: GPL-2.0-only
//! Schedulers as the user names them.

use crate::results::{BASELINE, OURS};
use anyhow::{bail, Context, Result};
use std::path::{Path, PathBuf};

/// The project's other scheduler, with the same ranking in user space.
const IN_USER_SPACE: &str = "scx_agentland";

/// Options that the project's schedulers are measured with.
const OUR_OPTIONS: &str = "--agent-cgroup 'agents/*'";

/// A scheduler to measure.
#[derive(Clone, Debug, PartialEq)]
pub struct Scheduler {
    pub name: String,
    /// The kernel's own has none.
    pub program: Option<Program>,
}

/// A scheduler's program and options.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// Where it is on this machine.
    pub path: PathBuf,
    /// Name in the guest's /bin and everything after it.
    pub command: String,
}

impl Scheduler {
    /// Reads `eevdf`, `scx_agent`, `scx_agentland`, `NAME` or `NAME=COMMAND LINE`; programs are looked for in
    /// `bin_dir`, then in the folders of `path` (as $PATH).
    pub fn parse(text: &str, bin_dir: &Path, path: &str) -> Result<Scheduler> {
        let (name, line) = match text.split_once('=') {
            Some((name, line)) => (name.trim(), line.trim().to_string()),
            None if [OURS, IN_USER_SPACE].contains(&text) => (text, format!("{text} {OUR_OPTIONS}")),
            None => (text.trim(), text.trim().to_string()),
        };
        let usable = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(usable) {
            bail!("scheduler {text:?}: a name has letters, digits, `_`, `-` and `.` (NAME or NAME=COMMAND LINE)");
        }
        if name == BASELINE {
            return Ok(Scheduler { name: name.into(), program: None });
        }
        let (program, options) = line.split_once(char::is_whitespace).unwrap_or((&line, ""));
        if program.is_empty() {
            bail!("scheduler {text:?}: no command after `=`");
        }
        let found = look_up(program, bin_dir, path).with_context(|| {
            format!(
                "scheduler {name}: no program {program:?} in {} or on PATH: build or install it, \
                 or name its folder with --bin-dir",
                bin_dir.display()
            )
        })?;
        let file = found.file_name().and_then(|f| f.to_str()).context("program name is not UTF-8")?;
        let command = format!("{file} {}", options.trim()).trim_end().to_string();
        Ok(Scheduler { name: name.into(), program: Some(Program { path: found, command }) })
    }

    /// Command line in the guest; empty for the kernel's own scheduler.
    pub fn command(&self) -> &str {
        self.program.as_ref().map_or("", |p| &p.command)
    }
}

/// Where `program` is: as given if it has a slash, else in `bin_dir`, else in `path`.
pub fn look_up(program: &str, bin_dir: &Path, path: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|p| p.is_file());
    }
    let folders = std::iter::once(bin_dir.to_path_buf()).chain(std::env::split_paths(path));
    folders.map(|f| f.join(program)).find(|p| p.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_command_lines() {
        let none = Path::new("/nonexistent");
        let parse = |text: &str| Scheduler::parse(text, Path::new("/bin"), "");
        assert_eq!(parse("eevdf").unwrap().program, None);
        let sh = parse("mine=sh -c 'x y'").unwrap();
        assert_eq!((sh.name.as_str(), sh.command()), ("mine", "sh -c 'x y'"));
        assert_eq!(parse("sh").unwrap().command(), "sh");
        assert_eq!(parse("x=/bin/sh -e").unwrap().command(), "sh -e");
        let dir = std::env::temp_dir().join(format!("agentbench-schedulers-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        for ours in ["scx_agent", "scx_agentland"] {
            std::fs::write(dir.join(ours), "").unwrap();
            let found = Scheduler::parse(ours, &dir, "").unwrap();
            assert_eq!((found.name.as_str(), found.command()), (ours, &*format!("{ours} {OUR_OPTIONS}")));
        }
        std::fs::remove_dir_all(&dir).unwrap();
        let missing = Scheduler::parse("scx_agent", none, "").unwrap_err().to_string();
        assert!(missing.contains("--bin-dir"), "{missing}");
        for bad in ["", "a b", "x=", "../x=sh"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
