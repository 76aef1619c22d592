// SPDX-License-Identifier: GPL-2.0-only
//! What `scx_agent COMMAND` does beside scheduling: one file per command.

mod ask;
mod call;
mod calls;
mod check;
mod config;
mod explain;
mod generate;
mod hooks;
mod reload;
mod status;

use anyhow::Result;
use clap::Subcommand;

/// Without a command, scx_agent schedules.
#[derive(Debug, Subcommand)]
pub enum Command {
    Calls(calls::Args),
    Explain(explain::Args),
    Call(call::Args),
    Hooks(hooks::Args),
    Check(check::Args),
    Config(config::Args),
    #[command(hide = true)]
    Generate(generate::Args),
    Reload(reload::Args),
    Status(status::Args),
}

impl Command {
    /// Carries the command out.
    ///
    /// # Errors
    /// One sentence on what is in the way.
    pub fn run(&self) -> Result<()> {
        match self {
            Command::Calls(args) => calls::run(args),
            Command::Explain(args) => explain::run(args),
            Command::Call(args) => call::run(args),
            Command::Hooks(args) => hooks::run(args),
            Command::Check(args) => check::run(args),
            Command::Config(args) => config::run(args),
            Command::Generate(args) => generate::run(args),
            Command::Reload(args) => reload::run(args),
            Command::Status(args) => status::run(args),
        }
    }
}
