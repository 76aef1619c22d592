// SPDX-License-Identifier: GPL-2.0-only
//! What `scx_agent COMMAND` does beside scheduling: one file per command.

pub mod ask;
mod call;
mod calls;
mod check;
mod ci;
mod config;
mod explain;
mod generate;
mod hooks;
mod pause;
mod record;
mod reload;
mod report;
pub mod restore;
mod set;
mod status;
mod top;

use anyhow::Result;
use clap::Subcommand;
use std::path::Path;
use std::process::ExitCode;

/// Without a command, scx_agent schedules.
#[derive(Debug, Subcommand)]
pub enum Command {
    Calls(calls::Args),
    Explain(explain::Args),
    Call(call::Args),
    Hooks(hooks::Args),
    Check(check::Args),
    Ci(ci::Args),
    Config(config::Args),
    #[command(hide = true)]
    Generate(generate::Args),
    Pause(pause::Args),
    Reload(reload::Args),
    Record(record::RecordArgs),
    Replay(record::ReplayArgs),
    Report(report::Args),
    Restore(restore::Args),
    Resume(pause::ResumeArgs),
    Set(set::Args),
    Status(status::Args),
    Top(top::Args),
}

impl Command {
    /// Carries the command out; `config` is what `--config` says.
    ///
    /// # Errors
    /// One sentence on what is in the way.
    pub fn run(&self, config: Option<&Path>) -> Result<ExitCode> {
        match self {
            Command::Calls(args) => calls::run(args),
            Command::Explain(args) => explain::run(args),
            Command::Call(args) => call::run(args),
            Command::Hooks(args) => hooks::run(args),
            Command::Check(args) => check::run(args),
            Command::Ci(args) => return Ok(ci::run(args, config)),
            Command::Config(args) => config::run(args),
            Command::Generate(args) => generate::run(args),
            Command::Pause(args) => pause::run(args),
            Command::Reload(args) => reload::run(args),
            Command::Record(args) => record::record(args),
            Command::Replay(args) => record::replay(args),
            Command::Report(args) => report::run(args),
            Command::Restore(args) => restore::run(args),
            Command::Resume(args) => pause::resume(args),
            Command::Set(args) => set::run(args),
            Command::Status(args) => status::run(args),
            Command::Top(args) => top::run(args),
        }
        .map(|()| ExitCode::SUCCESS)
    }
}
