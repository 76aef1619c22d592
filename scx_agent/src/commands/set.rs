// SPDX-License-Identifier: GPL-2.0-only
//! `scx_agent set`.

use super::ask;
use crate::qos::{Qos, Weight};
use crate::questions;
use anyhow::Result;
use std::str::FromStr;

/// Set the class and the weight of an agent.
///
/// They hold until the agent is gone or scx_agent ends; settings that are to stay are --agent-qos and
/// --agent-weight, or keys of the configuration.
#[derive(Debug, clap::Args)]
#[command(after_help = "EXAMPLES:
  scx_agent set web qos=interactive             its tool calls take CPUs from all others
  scx_agent set nightly qos=background weight=20
  scx_agent set nightly weight=cgroup           the cpu.weight of its cgroup again")]
pub struct Args {
    /// Its name, as `scx_agent top` shows it.
    agent: String,

    /// `qos=` interactive, standard or background; `weight=` 1 to 10000, in place of its cgroup's
    /// cpu.weight, or `cgroup`.
    #[arg(required = true, value_name = "KEY=VALUE")]
    what: Vec<Change>,
}

/// One thing to set.
#[derive(Clone, Debug)]
struct Change {
    key: &'static str,
    value: String,
}

impl FromStr for Change {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let (key, value) = s.split_once('=').unwrap_or((s, ""));
        let key = match key {
            "qos" => value.parse::<Qos>().map(|_| "qos"),
            "weight" => value.parse::<Weight>().map(|_| "weight"),
            _ => Err(format!("{key:?} is nothing that an agent has: qos=CLASS or weight=N")),
        }?;
        Ok(Change { key, value: value.into() })
    }
}

/// # Errors
/// No daemon answers, or it refuses.
pub fn run(args: &Args) -> Result<()> {
    let mut all = vec![("agent", args.agent.clone())];
    all.extend(args.what.iter().map(|c| (c.key, c.value.clone())));
    let said: String = ask::ask(questions::SET, &all)?;
    ask::print(&(said + "\n"))
}
