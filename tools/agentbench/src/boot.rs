// SPDX-License-Identifier: GPL-2.0-only
//! Boots the VM for the matrix.

use crate::matrix::{Boot, Job};
use agentvm::{Guest, KernelChoice, Mode, Prepared};
use anyhow::{bail, Context, Result};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The VM in which everything runs.
pub struct Vm {
    pub mode: Mode,
    pub cpus: u32,
    /// Last-level caches, each of which as many of them share.
    pub llcs: u32,
    /// Memory of the guest, as QEMU's -m takes it.
    pub mem: String,
    pub agentload: PathBuf,
    /// Limit for one boot, in host seconds.
    pub timeout_s: u64,
    prepared: Prepared,
}

impl Vm {
    /// Brings the kernel into the cache if it is not there.
    pub fn new(kernel: &KernelChoice, mode: Mode, cpus: u32, llcs: u32, agentload: PathBuf) -> Result<Vm> {
        let prepared = agentvm::prepare(kernel, |step| eprintln!("agentbench: {step}"))?;
        Ok(Vm { mode, cpus, llcs, mem: "3G".into(), agentload, timeout_s: 7200, prepared })
    }
}

impl Boot for Vm {
    fn release(&self) -> &str {
        &self.prepared.release
    }

    fn key(&self) -> String {
        format!("{:?} {} {}/{} {}", self.mode, self.prepared.release, self.cpus, self.llcs, self.mem)
    }

    fn boot(&self, job: &Job, out: &Path) -> Result<()> {
        let mut programs = vec![(self.agentload.clone(), Some("agentload".to_string()))];
        programs.extend(job.scheduler.program.iter().map(|p| (p.path.clone(), None)));
        let files = job.files.iter().map(|(from, to)| (from.clone(), PathBuf::from(to))).collect();
        let guest = Guest {
            mode: self.mode,
            cpus: self.cpus,
            llcs: self.llcs,
            mem: self.mem.clone(),
            files,
            programs,
            scheduler: job.scheduler.program.as_ref().map(|p| p.command.clone()),
            command: job.command.clone(),
            timeout_s: self.timeout_s,
            ..Guest::default()
        };
        std::fs::create_dir_all(out).with_context(|| format!("creating {}", out.display()))?;
        let began = Instant::now();
        let outcome = guest.run_prepared(&self.prepared, out, |line| {
            eprintln!("[{} {:4.0} s] {line}", job.title, began.elapsed().as_secs_f64());
        })?;
        let console = out.join("console.log");
        std::fs::write(&console, &outcome.console)
            .with_context(|| format!("writing {}", console.display()))?;
        if let Some(scheduler) = &outcome.scheduler {
            let log = out.join("scheduler.log");
            std::fs::write(&log, &scheduler.log).with_context(|| format!("writing {}", log.display()))?;
            if !scheduler.enabled_at_end {
                bail!("the kernel ended {} before the load did; its log:\n{}", scheduler.ops, scheduler.log);
            }
            if outcome.nr_rejected.is_some_and(|n| n > 0) {
                eprintln!(
                    "[{}] the kernel rejected {} tasks from sched_ext",
                    job.title,
                    outcome.nr_rejected.unwrap_or(0)
                );
            }
        }
        // agentload's status is 1 if calls failed: those are counted in the figures.
        if outcome.status > 1 {
            bail!("the load ended with status {}; see {}", outcome.status, console.display());
        }
        eprintln!(
            "[{}] done: {:.1} s in the guest, {:.0} s here",
            job.title,
            outcome.guest_s,
            began.elapsed().as_secs_f64()
        );
        Ok(())
    }
}
