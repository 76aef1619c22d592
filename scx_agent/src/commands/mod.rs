// SPDX-License-Identifier: GPL-2.0-only
//! What `scx_agent COMMAND` does beside scheduling: one file per command.

mod ask;
mod calls;

use anyhow::Result;
use clap::Subcommand;

/// Without a command, scx_agent schedules.
#[derive(Debug, Subcommand)]
pub enum Command {
    Calls(calls::Args),
}

impl Command {
    /// Carries the command out.
    ///
    /// # Errors
    /// One sentence on what is in the way.
    pub fn run(&self) -> Result<()> {
        match self {
            Command::Calls(args) => calls::run(args),
        }
    }
}
