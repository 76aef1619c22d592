// SPDX-License-Identifier: GPL-2.0-only
//! `scx_agent status`.

use super::ask;
use crate::questions;
use crate::status::Status;
use anyhow::{bail, Result};

/// Show how the running scheduler is; exit status 1 if it is not healthy, or does not run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// As JSON: one object, with all statistics.
    #[arg(long)]
    json: bool,
}

/// # Errors
/// No daemon answers, or it is not healthy.
pub fn run(args: &Args) -> Result<()> {
    let status: Status = ask::ask(questions::STATUS, &[])?;
    match args.json {
        true => ask::print_json(&status)?,
        false => ask::print(&status.text())?,
    }
    match status.warnings.first() {
        Some(first) => bail!("not healthy: {first}"),
        None => Ok(()),
    }
}
