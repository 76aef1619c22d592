// SPDX-License-Identifier: GPL-2.0-only
//! `scx_agent calls`.

use super::ask;
use crate::calls::command::shown;
use crate::calls::{Call, Status};
use crate::questions;
use anyhow::Result;
use std::fmt::Write;

/// List running and finished tool calls, the oldest first.
///
/// The category is told from the command line, which is the container's to choose; of a line of
/// several commands the one that says most counts. RETRY is N/CALL for the Nth call of the same kind
/// in a row, CALL being the first. STATUS is `limit` for one that ran into the time limit. The last 4096 finished calls are remembered.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only those of agents whose name matches; `*` and `?` stand for characters.
    #[arg(long, value_name = "GLOB")]
    agent: Option<String>,

    /// Only those that run now.
    #[arg(long)]
    running: bool,

    /// As JSON: an array of objects; times in ns.
    #[arg(long)]
    json: bool,
}

/// # Errors
/// No daemon answers.
pub fn run(args: &Args) -> Result<()> {
    let mut wanted = Vec::new();
    if args.running {
        wanted.push(("running", String::new()));
    }
    if let Some(glob) = &args.agent {
        wanted.push(("agent", glob.clone()));
    }
    let calls: Vec<Call> = ask::ask(questions::CALLS, &wanted)?;
    match args.json {
        true => ask::print_json(&calls),
        false => ask::print(&table(&calls)),
    }
}

/// Longest agent's name and command that the table shows, in characters.
const AGENT_WIDTH: usize = 40;
const COMMAND_WIDTH: usize = 100;

fn table(calls: &[Call]) -> String {
    let agent = |c: &Call| shown(&c.agent, AGENT_WIDTH);
    let width = calls.iter().map(|c| agent(c).chars().count()).max().unwrap_or(0).max(5);
    let mut out = format!(
        "{:>8} {:<width$} {:<15} {:<9} {:>9} {:>9} {:>9} {:>5} {:<8} COMMAND\n",
        "CALL", "AGENT", "CATEGORY", "STATUS", "WALL s", "CPU s", "WAIT s", "WIDTH", "RETRY"
    );
    for c in calls {
        let status = match c.status {
            _ if c.ended_by.is_some() => "limit".to_string(),
            None => "running".to_string(),
            Some(Status::Exited(n)) => format!("exit {n}"),
            Some(Status::Killed(n)) => format!("signal {n}"),
        };
        let retry = c.retry.map_or("-".into(), |r| format!("{}/{}", r.nth, r.first));
        let mut command = shown(if c.command.is_empty() { &c.comm } else { &c.command }, COMMAND_WIDTH);
        if let Some(hint) = &c.hint {
            let _ = write!(command, " [{hint}]");
        }
        let s = |ns: u64| ns as f64 / 1e9;
        let _ = writeln!(
            out,
            "{:>8} {:<width$} {:<15} {:<9} {:>9.3} {:>9.3} {:>9.3} {:>5} {:<8} {command}",
            c.call,
            agent(c),
            c.kind.category.name(),
            status,
            s(c.wall_ns),
            s(c.cpu_ns),
            s(c.wait_ns),
            c.peak_width,
            retry
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_commands_stay_on_their_line() {
        let json = serde_json::json!([{
            "agent": "a\x1b[31m\nb", "call": 7, "pid": 1, "comm": "sh", "command": "x\r\n\x1b]0;t\x07 y",
            "category": "test", "program": "pytest", "rule": "new session", "begun_ns": 0, "wall_ns": 1, "cpu_ns": 2,
            "wait_ns": 3, "processes": 1, "peak_width": 1, "retry": {"first": 2, "nth": 4}, "status": {"killed": 9},
            "tag": null, "hint": null,
            "evidence": {"at_ns":0,"cgroup_id":0,"parent":0,"parent_comm":"","session":0,"comm":""}
        }]);
        let table = table(&serde_json::from_value::<Vec<Call>>(json).unwrap());
        assert_eq!(table.lines().count(), 2, "{table}");
        assert!(table.chars().all(|c| c == '\n' || !c.is_control()), "{table:?}");
        assert!(table.contains("4/2") && table.contains("signal 9") && table.contains("test"), "{table}");
    }
}
