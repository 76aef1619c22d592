// SPDX-License-Identifier: GPL-2.0-only
//! `scx_agent hooks install`: the configuration that makes an agent call `scx_agent call`.

use super::ask;
use anyhow::{bail, Context, Result};
use serde_json::{json, Map, Value};
use std::fs;
use std::path::{Path, PathBuf};

/// Set up an agent's hooks, so that it says exactly where its tool calls begin and end.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Print an agent's hook configuration, or write it into the agent's settings.
    ///
    /// In a container, bind-mount the folder of the socket as well, for example with `docker run -v
    /// /run/scx_agent/tags:/run/scx_agent/tags`, and the scx_agent program. Codex runs hooks of this
    /// file once they are enabled (`[features] codex_hooks = true` in its config.toml, in versions that
    /// have the switch) and approved.
    Install(Install),
}

#[derive(Debug, clap::Args)]
struct Install {
    agent: Agent,

    /// Add it to the settings file, of which a backup is kept; without this it is printed.
    #[arg(long)]
    write: bool,

    /// The settings file: by default that of the user who calls this.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,

    /// The program that the hooks call.
    #[arg(long, value_name = "PROGRAM", default_value = "scx_agent")]
    program: String,
}

/// An agent that has hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Agent {
    Claude,
    Codex,
    Gemini,
}

impl Agent {
    /// Events, and the side of a call that each is on.
    fn events(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Agent::Claude | Agent::Codex => &[("PreToolUse", "begin"), ("PostToolUse", "end")],
            Agent::Gemini => &[
                ("BeforeTool", "begin"),
                ("AfterTool", "end"),
                ("BeforeModel", "begin"),
                ("AfterModel", "end"),
            ],
        }
    }

    /// The user's settings, below the home directory.
    fn settings(self) -> &'static str {
        match self {
            Agent::Claude => ".claude/settings.json",
            Agent::Codex => ".codex/hooks.json",
            Agent::Gemini => ".gemini/settings.json",
        }
    }

    /// How long the agent waits for a hook at most, in its own unit: 2 s.
    fn timeout(self) -> u32 {
        match self {
            Agent::Claude | Agent::Codex => 2,
            Agent::Gemini => 2_000,
        }
    }

    /// What is put under `event`.
    fn entry(self, event: &str, side: &str, program: &str) -> Value {
        let hook = json!({"type": "command", "command": command(program, side), "timeout": self.timeout()});
        // For models there is nothing to match.
        match event.ends_with("Model") {
            true => json!({"hooks": [hook]}),
            false => json!({"matcher": if self == Agent::Gemini { ".*" } else { "*" }, "hooks": [hook]}),
        }
    }
}

fn command(program: &str, side: &str) -> String {
    let program = shlex::try_quote(program).map_or_else(|_| program.to_string(), |p| p.into_owned());
    format!("{program} call {side}")
}

/// # Errors
/// The settings file cannot be read, understood or written; it is then as it was.
pub fn run(args: &Args) -> Result<()> {
    let Action::Install(i) = &args.action;
    if !i.write {
        return ask::print_json(&merged(Value::Null, i.agent, &i.program)?.0);
    }
    let path = match &i.settings {
        Some(path) => path.clone(),
        None => {
            let home = std::env::var_os("HOME").context("HOME is not set; name the file with --settings")?;
            Path::new(&home).join(i.agent.settings())
        }
    };
    ask::print(&format!("{}\n", install(&path, i.agent, &i.program)?))
}

/// Merges the hooks into the file at `path`; a sentence on what was done.
fn install(path: &Path, agent: Agent, program: &str) -> Result<String> {
    let shown = path.display();
    let old = match fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => return Err(e).with_context(|| format!("cannot read {shown}")),
    };
    let settings = match old.as_deref().map(str::trim) {
        None | Some("") => Value::Null,
        Some(text) => {
            serde_json::from_str(text).with_context(|| format!("{shown} is not JSON; nothing was changed"))?
        }
    };
    let (new, changed) =
        merged(settings, agent, program).with_context(|| format!("{shown}: nothing was changed"))?;
    if !changed {
        return Ok(format!("{shown} has the hooks already"));
    }
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    let beside = |end: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let backup = beside(".before-scx_agent");
    if old.is_some() {
        fs::copy(path, &backup).with_context(|| format!("cannot keep a backup as {}", backup.display()))?;
    }
    let part = beside(".new");
    fs::write(&part, serde_json::to_string_pretty(&new)? + "\n")
        .and_then(|()| match fs::metadata(path) {
            Ok(meta) => fs::set_permissions(&part, meta.permissions()),
            Err(_) => Ok(()),
        })
        .and_then(|()| fs::rename(&part, path))
        .with_context(|| format!("cannot write {shown}"))?;
    Ok(match old {
        Some(_) => format!("hooks written to {shown}; what it was before is in {}", backup.display()),
        None => format!("hooks written to {shown}"),
    })
}

/// `settings` with the agent's hooks, and whether that changed it.
fn merged(settings: Value, agent: Agent, program: &str) -> Result<(Value, bool)> {
    let mut settings = match settings {
        Value::Null => Map::new(),
        Value::Object(o) => o,
        _ => bail!("the settings are not a JSON object"),
    };
    let mut changed = false;
    let hooks = settings.entry("hooks").or_insert_with(|| json!({}));
    let Value::Object(hooks) = hooks else { bail!("\"hooks\" is not a JSON object") };
    for (event, side) in agent.events() {
        let entries = hooks.entry(*event).or_insert_with(|| json!([]));
        let Value::Array(entries) = entries else { bail!("\"hooks\".\"{event}\" is not a JSON array") };
        let wanted = command(program, side);
        let ours = |e: &Value| {
            e["hooks"].as_array().is_some_and(|h| h.iter().any(|h| h["command"].as_str() == Some(&wanted)))
        };
        if !entries.iter().any(ours) {
            entries.push(agent.entry(event, side, program));
            changed = true;
        }
    }
    Ok((Value::Object(settings), changed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_hooks_stay_and_ours_are_added_once() {
        let old =
            json!({"model": "x", "hooks": {"PreToolUse": [{"matcher": "Edit", "hooks": []}], "Stop": []}});
        let (new, changed) = merged(old, Agent::Claude, "scx_agent").unwrap();
        assert!(changed);
        assert_eq!(new["model"], "x");
        assert_eq!(new["hooks"]["PreToolUse"][0]["matcher"], "Edit");
        assert_eq!(new["hooks"]["PreToolUse"][1]["hooks"][0]["command"], "scx_agent call begin");
        assert_eq!(new["hooks"]["PostToolUse"][0]["hooks"][0]["command"], "scx_agent call end");
        let (again, changed) = merged(new.clone(), Agent::Claude, "scx_agent").unwrap();
        assert!(!changed);
        assert_eq!(again, new);
    }

    #[test]
    fn each_agent_has_its_events() {
        for (agent, n) in [(Agent::Claude, 2), (Agent::Codex, 2), (Agent::Gemini, 4)] {
            let (new, _) = merged(Value::Null, agent, "/opt/with space/scx_agent").unwrap();
            let hooks = new["hooks"].as_object().unwrap();
            assert_eq!(hooks.len(), n);
            for entries in hooks.values() {
                let line = entries[0]["hooks"][0]["command"].as_str().unwrap();
                let words = shlex::split(line).unwrap();
                assert_eq!(words[0], "/opt/with space/scx_agent");
                assert!(matches!(words[2].as_str(), "begin" | "end"));
            }
        }
    }

    #[test]
    fn files_are_merged_backed_up_or_left_alone() {
        let dir = std::env::temp_dir().join(format!("scx_agent-hooks-{}", std::process::id()));
        let path = dir.join("deep/settings.json");
        assert!(install(&path, Agent::Gemini, "scx_agent").unwrap().contains("hooks written"));
        assert!(install(&path, Agent::Gemini, "scx_agent").unwrap().contains("already"));
        let before = r#"{"theme":"dark"}"#;
        fs::write(&path, before).unwrap();
        install(&path, Agent::Gemini, "scx_agent").unwrap();
        assert_eq!(fs::read_to_string(dir.join("deep/settings.json.before-scx_agent")).unwrap(), before);
        let new: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(new["theme"], "dark");
        for bad in ["{", "[]", r#"{"hooks":3}"#, r#"{"hooks":{"BeforeTool":{}}}"#] {
            fs::write(&path, bad).unwrap();
            let e = format!("{:#}", install(&path, Agent::Gemini, "scx_agent").unwrap_err());
            assert!(e.contains("nothing was changed") && e.contains("settings.json"), "{e}");
            assert_eq!(fs::read_to_string(&path).unwrap(), bad);
        }
        fs::remove_dir_all(dir).unwrap();
    }
}
