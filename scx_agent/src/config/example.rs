// SPDX-License-Identifier: GPL-2.0-only
//! The example that is shipped, and the settings in force in the same form.

use super::keys::{keys, Key, Kind};
use super::{Config, Origin};
use std::fmt::Write;

/// Columns of a comment.
const WIDTH: usize = 98;

const HEAD: &str =
    "# Settings of scx_agent. This file lists every key with its default, commented out; files in
# conf.d beside it, in the order of their names, are read after it, and what is said last holds;
# `false` for a key without a default, which has its description in the place of one here, sets
# back what an earlier file says. Options of the command line are over all of them.
#
# `scx_agent config check` says what is wrong with it, `scx_agent config show` what all of them come
# to and why, and `scx_agent reload` makes a running scheduler read it again. What is marked with (restart)
# is then only named: it holds after `systemctl restart scx_agent`.
";

const AGENTS: &str = "
# --- Agents of your own ---

# A kind of agent: how its framework's processes are called (comm, at most 15 bytes: see
# /proc/PID/comm), for one that runs in node, bun, deno or python a word of its script's path or
# module, and the cgroups that are agents of this kind, if they are not containers. With cgroups
# named, here or above, only those that are named are agents. Containers are agents by name or by
# label as well. All that are named may have a class, a weight and a budget of CPU time: see agent_qos,
# agent_weights and agent_budgets, for which a reload is enough. (restart)
#[agents.example]
#comms = [\"example-agent\"]
#args = [\"example-agent\"]
#cgroups = [\"example.slice/agent-*.scope\"]
#containers = [\"example-*\"]
#labels = [\"com.example.role=agent\"]
#qos = \"background\"
#weight = 50
#cpu_budget_s = 7200
";

/// A file with every key, its description and its default, commented out.
pub fn example() -> String {
    let mut out = String::from(HEAD);
    let mut heading = None;
    for key in keys() {
        if key.heading != heading {
            let _ = writeln!(out, "\n# --- {} ---", key.heading.as_deref().unwrap_or("General"));
            heading = key.heading.clone();
        }
        let restart = if key.live { "" } else { " (restart)" };
        let _ = write!(out, "\n{}", comment(&format!("{}{restart}", key.help)));
        let _ = writeln!(out, "#{} = {}", key.name, default(&key));
    }
    out + AGENTS
}

/// `text` in lines, each a comment.
fn comment(text: &str) -> String {
    let mut out = String::from("#");
    let mut column = 1;
    for word in text.split_whitespace() {
        if column + 1 + word.chars().count() > WIDTH {
            out.push_str("\n#");
            column = 1;
        }
        out.push(' ');
        out.push_str(word);
        column += 1 + word.chars().count();
    }
    out + "\n"
}

fn default(key: &Key) -> String {
    if let Some(value) = &key.default {
        return written(key.kind, std::slice::from_ref(value)).unwrap_or_default();
    }
    match key.kind {
        Kind::Flag => "false".into(),
        Kind::Count => "0".into(),
        Kind::List => "[]".into(),
        Kind::Text => format!("\"{}\"", key.placeholder),
        Kind::Number | Kind::Seconds => key.placeholder.clone(),
    }
}

/// `words` as a file would say it; none if nothing is set.
fn written(kind: Kind, words: &[String]) -> Option<String> {
    let text = |w: &String| toml::Value::String(w.clone()).to_string();
    match kind {
        Kind::Flag => Some((!words.is_empty()).to_string()),
        Kind::Count => Some(words.len().to_string()),
        Kind::List => Some(format!("[{}]", words.iter().map(text).collect::<Vec<_>>().join(", "))),
        Kind::Text => words.first().map(text),
        Kind::Number | Kind::Seconds => words.first().cloned(),
    }
}

/// The settings in force, each with where it comes from.
pub fn shown(config: &Config) -> String {
    let mut out = String::new();
    for (name, value) in &config.values {
        let from = match &value.origin {
            Origin::Default => "default".into(),
            Origin::CommandLine => "command line".into(),
            Origin::Files(places) => places.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        let _ = match written(value.kind, &value.words) {
            Some(text) => writeln!(out, "{name} = {text}  # {from}"),
            None if value.origin == Origin::Default => writeln!(out, "#{name} is not set"),
            None => writeln!(out, "#{name} is not set  # {from}"),
        };
    }
    out
}
