// SPDX-License-Identifier: GPL-2.0-only
//! `scx_agent calls`.

use super::ask;
use crate::calls::{Call, Status};
use crate::questions;
use anyhow::Result;
use std::fmt::Write;

/// List running and finished tool calls, the oldest first.
#[derive(Debug, clap::Args)]
pub struct Args {
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
    let calls: Vec<Call> = ask::ask(questions::CALLS, &wanted)?;
    match args.json {
        true => ask::print_json(&calls),
        false => ask::print(&table(&calls)),
    }
}

fn table(calls: &[Call]) -> String {
    let mut out = String::new();
    for c in calls {
        let status = match c.status {
            None => "running".to_string(),
            Some(Status::Exited(n)) => format!("exit {n}"),
            Some(Status::Killed(n)) => format!("signal {n}"),
        };
        let _ = writeln!(out, "{:>8} {:<24} {:<10} {:?}", c.call, c.agent, status, c.comm);
    }
    out
}
