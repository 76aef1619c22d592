// SPDX-License-Identifier: GPL-2.0-only
//! `scx_agent restore`.

use crate::{memory, sockets};
use anyhow::Result;

/// Put back what an scx_agent that was killed has left changed.
///
/// That is every memory.high and oom_score_adj, agents that are paused, and cgroups of tool calls, as
/// /run/scx_agent/memory.journal has them; what somebody else has written meanwhile is left alone. It is
/// done without being asked by what outlives a killed daemon, by the unit's ExecStopPost and by the next
/// start; exit status 1 if something could not be put back, or if an scx_agent runs.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// # Errors
/// A daemon runs, the journal cannot be understood, or something could not be put back.
pub fn run(_args: &Args) -> Result<()> {
    let restored = memory::restore_left();
    sockets::remove_dead();
    restored
}
