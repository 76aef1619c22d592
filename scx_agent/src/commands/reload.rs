// SPDX-License-Identifier: GPL-2.0-only
//! `scx_agent reload`.

use super::ask;
use crate::questions;
use anyhow::Result;

/// Make the running scheduler read its configuration files again.
///
/// It goes on scheduling, and says what it has applied and what needs a restart. If a file is wrong,
/// the settings of before stay in force; exit status 1.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// # Errors
/// No daemon answers, or it refuses the files.
pub fn run(_args: &Args) -> Result<()> {
    let said: String = ask::ask(questions::RELOAD, &[])?;
    ask::print(&(said + "\n"))
}
