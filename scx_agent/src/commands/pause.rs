// SPDX-License-Identifier: GPL-2.0-only
//! `scx_agent pause` and `scx_agent resume`.

use super::ask;
use crate::operate::PAUSE_MAX_S;
use crate::questions;
use anyhow::Result;

/// Pause an agent: freeze all of its processes, and reclaim its memory little by little.
///
/// It goes on after `scx_agent resume`, when its time is over, or when scx_agent ends, however it
/// does. Connections stay open, but who talks to the agent gets no answer meanwhile, its model
/// included.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Its name, as `scx_agent top` shows it.
    agent: String,

    /// The longest that it stays so, in seconds.
    #[arg(long = "for", value_name = "SEC", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=PAUSE_MAX_S))]
    seconds: u64,
}

/// Let a paused agent go on.
#[derive(Debug, clap::Args)]
pub struct ResumeArgs {
    /// Its name, as `scx_agent top` shows it.
    agent: String,
}

/// # Errors
/// No daemon answers, or it refuses.
pub fn run(args: &Args) -> Result<()> {
    tell(questions::PAUSE, &[("agent", args.agent.clone()), ("seconds", args.seconds.to_string())])
}

/// # Errors
/// No daemon answers, or it refuses.
pub fn resume(args: &ResumeArgs) -> Result<()> {
    tell(questions::RESUME, &[("agent", args.agent.clone())])
}

fn tell(target: &str, args: &[(&str, String)]) -> Result<()> {
    let said: String = ask::ask(target, args)?;
    ask::print(&(said + "\n"))
}
