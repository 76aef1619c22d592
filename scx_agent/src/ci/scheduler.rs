// SPDX-License-Identifier: GPL-2.0-only
//! The scx_agent that schedules the command: the one that runs, or one for as long as it takes.

use crate::commands::ask;
use crate::questions;
use crate::status::Status;
use anyhow::{bail, Context, Result};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long its end may take, before it is killed: then its guard puts everything back.
const END: Duration = Duration::from_secs(20);
/// What is kept of what it says, in bytes.
const SAID_MAX: usize = 8192;

/// One that schedules; dropping one of our own ends it.
#[derive(Debug)]
pub struct Scheduler {
    own: Option<Child>,
    said: Option<JoinHandle<String>>,
    /// Why it schedules nothing.
    idle: Option<String>,
}

fn idle(status: &Status) -> Option<String> {
    if status.schedules && status.state == "enabled" {
        return None;
    }
    let told = || "the scx_agent that runs schedules nothing (--no-sched)".into();
    Some(status.unscheduled.clone().unwrap_or_else(told))
}

impl Scheduler {
    /// Finds the one that runs, or starts one with the settings of `config`, if any.
    ///
    /// # Errors
    /// Why none can be started, in its own words.
    pub fn find(config: Option<&Path>) -> Result<Scheduler> {
        if let Ok(status) = ask::ask::<Status>(questions::STATUS, &[]) {
            return Ok(Scheduler { own: None, said: None, idle: idle(&status) });
        }
        let mut command = Command::new("/proc/self/exe");
        command.arg0("scx_agent").arg("--metrics=off");
        if let Some(config) = config {
            command.arg("--config").arg(config);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        // SAFETY: only system calls, which are async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                // The terminal's Ctrl-C is for the command.
                libc::setsid();
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
                Ok(())
            });
        }
        let mut child = command.spawn().context("cannot start scx_agent")?;
        let said = child.stderr.take().map(|from| std::thread::spawn(move || drain(from)));
        let mut this = Scheduler { own: Some(child), said, idle: None };
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(status) = ask::ask::<Status>(questions::STATUS, &[]) {
                this.idle = idle(&status);
                return Ok(this);
            }
            let ended = this.own.as_mut().is_none_or(|c| !matches!(c.try_wait(), Ok(None)));
            if ended || Instant::now() > deadline {
                let said = this.end();
                let last = said.trim().lines().last().unwrap_or("it does not say why").to_string();
                bail!("{}", last.trim_start_matches("scx_agent: "));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Why it schedules nothing, if that is so: calls are known, and the host's scheduler has them.
    pub fn idle(&self) -> Option<&str> {
        self.idle.as_deref()
    }

    /// True if it ends with us.
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// Ends one of our own; what it has said.
    fn end(&mut self) -> String {
        if let Some(mut child) = self.own.take() {
            // SAFETY: a child that nobody has waited for, or that has been and is no process then.
            if matches!(child.try_wait(), Ok(None)) {
                unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGTERM) };
            }
            let deadline = Instant::now() + END;
            while matches!(child.try_wait(), Ok(None)) {
                if Instant::now() > deadline {
                    eprintln!("scx_agent ci: the scheduler does not end: killed");
                    let _ = child.kill();
                    let _ = child.wait();
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        self.said.take().and_then(|t| t.join().ok()).unwrap_or_default()
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        let said = self.end();
        // What it says when it ends as it should.
        let worth = |l: &&str| !l.starts_with("EXIT: unregistered");
        for line in said.lines().filter(worth) {
            eprintln!("scx_agent ci: the scheduler said: {line}");
        }
    }
}

/// Reads to the end; the last of it.
fn drain(mut from: impl Read) -> String {
    let (mut said, mut buf) = (Vec::new(), [0u8; 4096]);
    while let Ok(n @ 1..) = from.read(&mut buf) {
        said.extend_from_slice(&buf[..n]);
        if said.len() > 2 * SAID_MAX {
            said.drain(..said.len() - SAID_MAX);
        }
    }
    String::from_utf8_lossy(&said).into_owned()
}
