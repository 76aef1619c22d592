// SPDX-License-Identifier: GPL-2.0-only
//! The keys of the configuration file. They are the options of the command line, from which their
//! types, ranges, defaults and descriptions are taken: a new option is a new key.

use crate::cli::{self, Opts};
use clap::builder::ValueParser;
use clap::{Arg, ArgAction, Command, CommandFactory};
use std::any::TypeId;
use std::error::Error;

/// Options that are no settings: what else the program can do than schedule, and where its settings
/// are.
const NOT_KEYS: &[&str] =
    &["config", "help", "help_stats", "memory_guard", "monitor", "restore_memory", "version"];

/// What a running scheduler takes over when it is told to reload, beside what begins with `mem_`: how much it
/// says, the tunables of the memory controller, what agents have, and how long calls may run, each of which is handed
/// over as a whole.
const LIVE: &[&str] = &[
    "verbose",
    "idle_after",
    "agent_qos",
    "agent_weights",
    "agent_budgets",
    "cpu_budget_s",
    "cpu_budget_window",
    "call_limit_s",
    "call_limits",
    "call_grace_s",
];

fn is_live(name: &str) -> bool {
    LIVE.contains(&name) || name.starts_with("mem_")
}

/// What a key's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// How many times an option is given.
    Count,
    /// A whole number, 0 or more.
    Number,
    /// Seconds, with decimals.
    Seconds,
    Text,
    /// Several texts.
    List,
}

/// One key.
#[derive(Clone, Debug)]
pub struct Key {
    pub name: String,
    pub kind: Kind,
    /// True if a reload applies it.
    pub live: bool,
    /// The section of the shipped example.
    pub heading: Option<String>,
    /// The option's description, in one line.
    pub help: String,
    /// What holds where nothing is said; as it is written on the command line.
    pub default: Option<String>,
    /// For tests: not in the documents.
    pub hidden: bool,
    /// What stands for a value in the option's description.
    pub placeholder: String,
    arg: Arg,
}

/// Every key, those of a heading together.
pub fn keys() -> Vec<Key> {
    let command = Opts::command();
    let args = command.get_arguments().filter(|a| !NOT_KEYS.contains(&a.get_id().as_str()));
    let mut keys: Vec<Key> = args.map(key).collect();
    keys.sort_by(|a, b| a.heading.cmp(&b.heading));
    keys
}

fn key(arg: &Arg) -> Key {
    let parsed = arg.get_value_parser().type_id();
    let numbers: ValueParser = clap::value_parser!(u64).into();
    let small: ValueParser = clap::value_parser!(u32).into();
    let kind = match arg.get_action() {
        ArgAction::SetTrue => Kind::Flag,
        ArgAction::Count => Kind::Count,
        ArgAction::Append => Kind::List,
        _ if parsed == numbers.type_id() || parsed == small.type_id() => Kind::Number,
        _ if parsed == TypeId::of::<f64>() => Kind::Seconds,
        _ => Kind::Text,
    };
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let default = arg.get_default_values().first().map(|v| v.to_string_lossy().into_owned());
    let name = arg.get_id().to_string();
    let placeholder = arg.get_value_names().and_then(|n| n.first()).map(ToString::to_string);
    Key {
        kind,
        live: is_live(&name),
        heading: arg.get_help_heading().map(Into::into),
        help: help.split_whitespace().collect::<Vec<_>>().join(" "),
        default: default.filter(|_| !matches!(kind, Kind::Flag | Kind::Count)),
        hidden: arg.is_hide_set(),
        placeholder: placeholder.unwrap_or_default(),
        arg: arg.clone(),
        name,
    }
}

impl Key {
    /// The option, as it is written on the command line.
    pub fn option(&self) -> String {
        format!("--{}", self.arg.get_long().unwrap_or(&self.name))
    }

    /// What to put on a command line for this one value.
    pub fn word(&self, value: &str) -> String {
        match self.kind {
            Kind::Flag | Kind::Count => self.option(),
            _ => format!("{}={value}", self.option()),
        }
    }

    /// Tries one value, as the command line would.
    ///
    /// # Errors
    /// What is wrong with it, such as the range that it is outside of.
    pub fn try_value(&self, value: &str) -> Result<(), String> {
        let words = ["scx_agent".to_string(), self.word(value)];
        let tried = Command::new("scx_agent").arg(self.arg.clone()).try_get_matches_from(words);
        let matches = tried.map_err(|e| match e.source() {
            Some(source) => source.to_string(),
            None => e.to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").into(),
        })?;
        if self.kind == Kind::Seconds {
            let secs = matches.get_one::<f64>(&self.name).copied().unwrap_or(f64::NAN);
            cli::interval(secs, &self.name).map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    /// What a value must look like.
    pub fn expected(&self) -> &'static str {
        match self.kind {
            Kind::Flag => "true or false",
            Kind::Count => "a number from 0 to 4",
            Kind::Number => "a whole number, 0 or more",
            Kind::Seconds => "a number of seconds",
            Kind::Text => "a text in quotes",
            Kind::List => "a list of texts: [\"...\", \"...\"]",
        }
    }
}

/// The name among `names` that a misspelt `name` was probably meant to be.
pub fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase().replace('-', "_");
    let distance = |n: &str| strsim::osa_distance(&name, n);
    let best = names.min_by_key(|n| distance(n))?;
    // Half of a short word's letters are another word.
    (distance(best) <= best.len().min(name.len()) / 3 + 1).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_a_key_or_known_not_to_be() {
        let keys = keys();
        let ids: Vec<_> = Opts::command().get_arguments().map(|a| a.get_id().to_string()).collect();
        for name in NOT_KEYS.iter().chain(LIVE).filter(|n| **n != "help") {
            assert!(ids.iter().any(|i| i == name), "{name} is no option");
        }
        for (name, live) in [
            ("mem_slack_pct", true),
            ("mem_reserve_mb", true),
            ("idle_after", true),
            ("verbose", true),
            ("agent_qos", true),
            ("cpu_budget_window", true),
            ("background_cpus", false),
            ("no_memory", false),
            ("slice_us", false),
            ("agent_cgroups", false),
        ] {
            assert_eq!(keys.iter().find(|k| k.name == name).map(|k| k.live), Some(live), "{name}");
        }
        let kind = |name: &str| keys.iter().find(|k| k.name == name).map(|k| k.kind);
        assert_eq!(kind("slice_us"), Some(Kind::Number));
        assert_eq!(kind("exit_dump_len"), Some(Kind::Number));
        assert_eq!(kind("agent_cgroups"), Some(Kind::List));
        assert_eq!(kind("events"), Some(Kind::Text));
        assert_eq!(kind("stats"), Some(Kind::Seconds));
        assert_eq!(kind("no_memory"), Some(Kind::Flag));
        assert_eq!(kind("verbose"), Some(Kind::Count));
        assert_eq!(kind("config"), None);
    }

    #[test]
    fn ranges_are_those_of_the_command_line() {
        let slice = keys().into_iter().find(|k| k.name == "slice_us").unwrap();
        assert!(slice.try_value("100").is_ok());
        assert!(slice.try_value("99").unwrap_err().contains("100..=1000000"));
        assert_eq!(slice.default.as_deref(), Some("10000"));
    }

    #[test]
    fn near_spellings_are_found() {
        let names = ["slice_us", "mem_slack_pct", "no_memory"];
        let near = |n| nearest(n, names.into_iter());
        assert_eq!(near("slice-us"), Some("slice_us"));
        assert_eq!(near("slcie_us"), Some("slice_us"));
        assert_eq!(near("mem_slack_percent"), Some("mem_slack_pct"));
        assert_eq!(near("colour"), None);
        assert_eq!(near(""), None);
    }
}
