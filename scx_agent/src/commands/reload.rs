// SPDX-License-Identifier: GPL-2.0-only
//! `scx_agent reload`.

use super::ask;
use crate::questions;
use crate::status::Status;
use anyhow::{bail, Context, Result};
use rustix::process::{kill_process, Pid, Signal};
use std::time::{Duration, Instant};

/// How long the daemon may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Make the running scheduler read its configuration files again.
///
/// It goes on scheduling, and says what it has applied and what needs a restart. If a file is wrong,
/// the settings of before stay in force; exit status 1.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// # Errors
/// No daemon answers, or it refuses the files.
pub fn run(_args: &Args) -> Result<()> {
    let status = || ask::ask::<Status>(questions::STATUS, &[]);
    let before = status()?;
    let pid =
        i32::try_from(before.pid).ok().and_then(Pid::from_raw).context("the daemon says no process id")?;
    kill_process(pid, Signal::HUP).with_context(|| format!("cannot signal process {}", before.pid))?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = status()?;
        if now.pid == before.pid && now.reloads.count > before.reloads.count {
            if now.reloads.refused {
                bail!("the reload was refused:\n{}", now.reloads.message);
            }
            return ask::print(&(now.reloads.message + "\n"));
        }
        if Instant::now() >= deadline {
            bail!("process {} does not say that it has reloaded", before.pid);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
