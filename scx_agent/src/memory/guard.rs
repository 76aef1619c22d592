// SPDX-License-Identifier: GPL-2.0-only
//! The guard: a small process of the same program that puts the knobs back if the daemon ends
//! without doing so, as after kill -9. It reads a pipe of which only the daemon has the other end,
//! so that it sees the end however it comes about, and never lives longer than its job.

use super::journal::Journal;
use super::restore::restore;
use super::rundir::{self, RunDir};
use crate::sockets;
use anyhow::{Context, Result};
use log::warn;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What the daemon says when it has put everything back itself.
const DONE: &[u8] = b"done";
/// How long the kernel may take to let go of a dead daemon's lock.
const LOCK_MAX: Duration = Duration::from_secs(60);

/// The guard, as the daemon sees it.
#[derive(Debug)]
pub struct Guard {
    child: Child,
    missed: bool,
}

impl Guard {
    /// Starts the guard with the daemon's verbosity `verbose`.
    ///
    /// # Errors
    /// This program cannot be started again.
    pub fn start(verbose: u8) -> Result<Guard> {
        let mut command = Command::new("/proc/self/exe");
        command.arg0("scx_agent").arg(format!("--memory-guard={}", std::process::id()));
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        command.args((0..verbose).map(|_| "-v"));
        // SAFETY: only system calls, which are async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                // Not of the terminal's group, and not ended with it or with the daemon's.
                libc::setsid();
                for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
                    libc::signal(signal, libc::SIG_IGN);
                }
                Ok(())
            });
        }
        let child = command.spawn().context("cannot start the guard of the memory knobs")?;
        Ok(Guard { child, missed: false })
    }

    /// Says once if the guard is not there any more.
    pub fn check(&mut self) {
        if !self.missed && !matches!(self.child.try_wait(), Ok(None)) {
            self.missed = true;
            warn!("memory: the guard was killed: after kill -9, run `scx_agent restore`");
        }
    }

    /// Everything is back: lets the guard go.
    pub fn done(mut self) {
        if let Some(mut pipe) = self.child.stdin.take() {
            let _ = pipe.write_all(DONE);
        }
        let _ = self.child.wait();
    }
}

/// The guard itself: waits for the end of `daemon`, restores if need be.
///
/// # Errors
/// The journal cannot be read.
pub fn main(daemon: u32, run_dir: &Path, cgroup_root: &Path) -> Result<()> {
    let mut said = Vec::new();
    std::io::stdin().read_to_end(&mut said).context("the guard cannot read its pipe")?;
    if said == DONE {
        return Ok(());
    }
    let restored = restore_for(daemon, run_dir, cgroup_root);
    sockets::remove_dead();
    restored
}

/// Puts back what `daemon` has left, unless somebody else has.
fn restore_for(daemon: u32, run_dir: &Path, cgroup_root: &Path) -> Result<()> {
    let deadline = Instant::now() + LOCK_MAX;
    while Instant::now() < deadline {
        // Gone, or of a new daemon that was quicker: everything is back.
        if Journal::load(&rundir::journal(run_dir))?.writer != Some(daemon) {
            return Ok(());
        }
        let Some(run) = RunDir::try_lock(run_dir)? else {
            // The kernel closes a dead process's files one by one, the lock's after the pipe's.
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        let mut journal = Journal::load(&run.journal())?;
        if journal.writer == Some(daemon) {
            let sum = restore(&mut journal, cgroup_root);
            warn!("memory: scx_agent ended without a word; {}", sum.sentence());
        }
        return Ok(());
    }
    warn!("memory: scx_agent ended without a word, but its lock is held: run `scx_agent restore`");
    Ok(())
}
