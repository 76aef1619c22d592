// SPDX-License-Identifier: GPL-2.0-only
//! What a boot gave: the guest's report, its files, or how it failed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{ensure, Context, Result};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// What a workload that ran to its end left.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The workload's exit status; 128 plus the signal if one ended it.
    pub status: i32,
    /// The scheduler's side, if one was asked for.
    pub scheduler: Option<SchedulerOutcome>,
    /// `/sys/kernel/sched_ext/nr_rejected` after the workload; none if the kernel has no such file.
    pub nr_rejected: Option<u64>,
    /// The guest's uptime when it had handed everything out, in guest seconds.
    pub guest_s: f64,
    /// How long the workload ran, in guest seconds (to 0.01 s).
    pub workload_s: f64,
    /// The kernel's release.
    pub release: String,
    /// `/proc/sys/kernel/tainted` at the end: 512 is a warning, 128 an oops, 64 set by user space.
    pub tainted: u64,
    /// What init could not set up in this kernel (a missing mount or controller), one line each.
    pub warnings: Vec<String>,
    /// The whole console, as it was streamed.
    #[serde(skip)]
    pub console: String,
    /// Where the files of the guest's /out are now.
    pub out: PathBuf,
}

/// How the scheduler did.
#[derive(Debug, Clone, Serialize)]
pub struct SchedulerOutcome {
    /// Its sched_ext_ops name while it was enabled.
    pub ops: String,
    /// Its exit status after SIGTERM; 128 plus the signal if one ended it.
    pub status: i32,
    /// True if it had to be killed because it had not exited 60 guest seconds after SIGTERM.
    pub killed: bool,
    /// From its start to sched_ext being enabled, in guest seconds.
    pub load_s: f64,
    /// True if it was still the kernel's scheduler when the workload ended.
    pub enabled_at_end: bool,
    /// True if sched_ext was disabled again within 10 guest seconds after it exited.
    pub left_disabled: bool,
    /// All it wrote to stdout and stderr.
    pub log: String,
}

/// Why a boot has no [`Outcome`]. What [`Guest::run`](crate::Guest::run) returns can be downcast to it.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The scheduler exited, or sched_ext was not enabled in time; the workload was not started.
    #[error("the scheduler {reason}{}; its log:\n{log}", status.map(|s| format!(" (exit status {s})")).unwrap_or_default())]
    SchedulerNotEnabled {
        /// What happened instead.
        reason: String,
        /// Its exit status, 128 plus the signal if one ended it.
        status: Option<i32>,
        /// All it wrote to stdout and stderr.
        log: String,
    },
    /// The guest's kernel panicked.
    #[error("the guest kernel panicked while {phase}: {lines}")]
    Panic {
        /// What the guest was doing.
        phase: String,
        /// The kernel's line about it, and what it said of the fault before.
        lines: String,
    },
    /// The guest or its emulator ended before the workload's results were handed out.
    #[error("the guest ended early, while {phase} (QEMU: {qemu})")]
    EndedEarly {
        /// What the guest was doing.
        phase: String,
        /// QEMU's exit status and messages.
        qemu: String,
    },
    /// The host's time limit passed.
    #[error("the guest was still {phase} after {after_s} s of host time (--timeout){doing}")]
    Timeout {
        /// What the guest was doing.
        phase: String,
        /// The limit in host seconds.
        after_s: u64,
        /// The guest's own lines about its CPUs, tasks and cgroups shortly before, or nothing.
        doing: String,
    },
    /// [`interrupt`](crate::interrupt) was called.
    #[error("interrupted")]
    Interrupted,
}

/// What `console` has of a panic of the kernel: its line, then those from the fault on that say what and
/// where it was, without registers. [`None`] if there was none.
pub(crate) fn panic_of(console: &str) -> Option<String> {
    const FAULTS: [&str; 6] =
        ["BUG:", "Oops", "general protection", "int3:", "invalid opcode", "stack segment"];
    const REGISTERS: [&str; 14] = [
        "RSP:", "RAX:", "RDX:", "RBP:", "R10:", "R13:", "FS:", "CS:", "CR2:", "DR0:", "DR3:", "PKRU:",
        "Code:", "---[",
    ];
    const LINES: usize = 60;
    // Behind the time.
    let said = |line: &str| line.split_once("] ").map_or(line, |(_, said)| said).trim().to_string();
    let panic = console.lines().position(|l| l.contains("Kernel panic"))?;
    let lines: Vec<&str> = console.lines().take(panic + 1).collect();
    let fault = lines.iter().position(|l| FAULTS.iter().any(|f| l.contains(f))).unwrap_or(panic);
    let what = lines[fault..panic].iter().map(|l| said(l));
    let what = what.filter(|l| !REGISTERS.iter().any(|r| l.starts_with(r))).take(LINES);
    Some([lines[panic].trim().to_string()].into_iter().chain(what).collect::<Vec<_>>().join("\n"))
}

/// What a guest that did not come to its end said of itself, for [`RunError::Timeout`].
pub(crate) fn doing(console: &str) -> String {
    console.lines().filter_map(|l| l.strip_prefix("hung: ")).map(|l| format!("\n{l}")).collect()
}

/// True if the guest's kernel died of a breakpoint in code of its own.
///
/// It changes such code while it runs (static branches: loading and unloading any sched_ext scheduler
/// does), by a breakpoint that it takes back before it forgets about it, having made every CPU see that.
/// With one host thread for each CPU, QEMU now and then runs the breakpoint from a block that it translated
/// before: the kernel knows nothing of it, and the code in its message is the new one. Breakpoints
/// elsewhere, as in freed BPF programs, are the guest's own faults.
pub(crate) fn ran_old_code(console: &str) -> bool {
    let mut lines = console.lines().skip_while(|l| !l.contains("Oops: int3:"));
    let place = lines.find_map(|l| l.split_once("RIP: 0010:")).map(|(_, place)| place);
    place.is_some_and(|p| p.contains("+0x") && !p.starts_with("bpf_") && !p.contains('['))
}

/// The guest's report: `key=value` lines; the last of a key holds.
#[derive(Debug, Default)]
pub(crate) struct Report {
    values: BTreeMap<String, String>,
    warnings: Vec<String>,
}

impl Report {
    pub fn parse(text: &str) -> Self {
        let mut report = Self::default();
        for (key, value) in text.lines().filter_map(|l| l.split_once('=')) {
            if key == "warning" {
                report.warnings.push(value.to_owned());
            } else {
                report.values.insert(key.to_owned(), value.to_owned());
            }
        }
        report
    }

    /// What the guest did last.
    pub fn phase(&self) -> &str {
        self.get("phase").unwrap_or("booting")
    }

    /// True if the guest said everything it had to say.
    pub fn complete(&self) -> bool {
        self.values.contains_key("end")
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    fn number<T: std::str::FromStr>(&self, key: &str) -> Result<T> {
        self.get(key)
            .and_then(|v| v.parse().ok())
            .with_context(|| format!("the guest's report has no valid {key}"))
    }

    /// The seconds between two of the guest's uptimes, which have two decimals.
    fn between(&self, start: &str, end: &str) -> Result<f64> {
        let s = self.number::<f64>(end)? - self.number::<f64>(start)?;
        Ok((s * 100.0).round() / 100.0)
    }

    /// The error, if the scheduler was not enabled.
    pub fn scheduler_failure(&self, log: &str) -> Option<RunError> {
        Some(RunError::SchedulerNotEnabled {
            reason: self.get("scheduler_failed")?.to_owned(),
            status: self.number("scheduler_status").ok(),
            log: log.to_owned(),
        })
    }

    /// The outcome of a complete report.
    pub fn outcome(&self, scheduler: bool, log: String, console: String, out: &Path) -> Result<Outcome> {
        let scheduler = if scheduler { Some(self.scheduler(log)?) } else { None };
        Ok(Outcome {
            status: self.number("workload_status")?,
            scheduler,
            nr_rejected: self.number("nr_rejected").ok(),
            guest_s: self.number("end")?,
            workload_s: self.between("workload_start", "workload_end")?,
            release: self.get("release").unwrap_or_default().to_owned(),
            tainted: self.number("tainted")?,
            warnings: self.warnings.clone(),
            console,
            out: out.to_path_buf(),
        })
    }

    fn scheduler(&self, log: String) -> Result<SchedulerOutcome> {
        let ops = self.get("scheduler_ops").unwrap_or_default().to_owned();
        Ok(SchedulerOutcome {
            enabled_at_end: self.get("state_at_end") == Some("enabled")
                && self.get("ops_at_end") == Some(&ops),
            ops,
            status: self.number("scheduler_status")?,
            killed: self.get("scheduler_killed").is_some(),
            load_s: self.between("scheduler_started_at", "scheduler_enabled_at")?,
            left_disabled: self.get("state_after") == Some("disabled"),
            log,
        })
    }
}

/// Unpacks the guest's tar of /out into `out`, after comparing it with the guest's own SHA-256 of it.
pub(crate) fn unpack(tar: &Path, sha256: &str, out: &Path) -> Result<()> {
    let mut hash = Sha256::new();
    let mut file = File::open(tar).with_context(|| format!("{}", tar.display()))?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        hash.update(&buffer[..n]);
    }
    let got: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    ensure!(got == sha256, "the files of the guest's /out came out damaged (SHA-256 {got}, not {sha256})");
    fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    let mut archive = tar::Archive::new(io::BufReader::new(File::open(tar)?));
    archive.set_preserve_permissions(true);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        if path == Path::new("./") || path == Path::new(".") {
            continue; // the folder itself keeps its owner's mode
        }
        entry.unpack_in(out).with_context(|| format!("cannot write {}", out.join(&path).display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "phase=setting up the guest\nwarning=cannot mount x\nrelease=7.2\n\
        scheduler_started_at=2.00\nscheduler_ops=agent\nscheduler_enabled_at=3.50\nworkload_start=3.51\n\
        workload_end=5.01\nworkload_status=7\nstate_at_end=enabled\nops_at_end=agent\nscheduler_status=0\n\
        state_after=disabled\nnr_rejected=0\ntainted=0\nphase=handing out files\nend=6.00\n";

    #[test]
    fn of_a_panic_what_says_where_it_was() {
        let console = "# begun\n[    2.1] Oops: general protection fault: 0000 [#1] SMP\n\
            [    2.2] RIP: 0010:timer_fn+0x1/0x2\n[    2.3] RAX: 0000000000000001 RBX: 0\n[    2.4] Call Trace:\n\
            [    2.5]  <IRQ>\n[    2.6] Kernel panic - not syncing: Fatal exception in interrupt\n[    2.7] off\n";
        let told = "[    2.6] Kernel panic - not syncing: Fatal exception in interrupt\n\
            Oops: general protection fault: 0000 [#1] SMP\nRIP: 0010:timer_fn+0x1/0x2\nCall Trace:\n<IRQ>";
        assert_eq!(panic_of(console).as_deref(), Some(told));
        assert_eq!(
            panic_of("[ 1.0] Kernel panic - not syncing: x\n").unwrap(),
            "[ 1.0] Kernel panic - not syncing: x"
        );
        assert_eq!(panic_of("[ 1.0] BUG: none\n"), None);
    }

    #[test]
    fn what_a_guest_was_doing_is_told() {
        let console = "x\nhung: load 0.1\n[ 1.0] hung: no\nhung: 1 (sh) D\n";
        let error = |doing| RunError::Timeout { phase: "running".into(), after_s: 9, doing }.to_string();
        let told = "the guest was still running after 9 s of host time (--timeout)";
        assert_eq!(error(doing(console)), format!("{told}\nload 0.1\n1 (sh) D"));
        assert_eq!(error(doing("")), told);
    }

    #[test]
    fn breakpoints_in_code_of_the_kernels_are_the_emulators() {
        let died = |place: &str| {
            ran_old_code(&format!(
                "[ 60.5] Oops: int3: 0000 [#1] SMP NOPTI\n[ 60.6] CPU: 1\n[ 60.7] RIP: 0010:{place}\n"
            ))
        };
        assert!(died("sched_tick+0xd4/0x230"));
        assert!(!died("bpf_prog_6deef7357e7b4530_agent_dispatch+0x1a/0x230"));
        assert!(!died("0xffffffffc0201234") && !died("fn+0x1/0x2 [module]"));
        assert!(!ran_old_code(
            "[ 1.0] Oops: general protection fault\n[ 1.1] RIP: 0010:sched_tick+0xd4/0x230\n"
        ));
    }

    #[test]
    fn a_full_report() {
        let report = Report::parse(REPORT);
        assert!(report.complete());
        let outcome = report.outcome(true, "log".into(), String::new(), Path::new("/o")).unwrap();
        assert_eq!((outcome.status, outcome.nr_rejected, outcome.guest_s), (7, Some(0), 6.0));
        assert!((outcome.workload_s - 1.5).abs() < 1e-9);
        assert_eq!(outcome.warnings, ["cannot mount x"]);
        let scheduler = outcome.scheduler.unwrap();
        assert!(scheduler.enabled_at_end && scheduler.left_disabled && !scheduler.killed);
        assert_eq!((scheduler.ops.as_str(), scheduler.load_s), ("agent", 1.5));
    }

    #[test]
    fn a_broken_report() {
        let report = Report::parse("phase=running the workload\n");
        assert!(!report.complete());
        assert_eq!(report.phase(), "running the workload");
        assert!(report.outcome(false, String::new(), String::new(), Path::new("/o")).is_err());
        assert_eq!(Report::parse("").phase(), "booting");
    }

    #[test]
    fn a_scheduler_that_failed() {
        let report = Report::parse("scheduler_status=1\nscheduler_failed=exited\nend=1\n");
        let error = report.scheduler_failure("boom").unwrap().to_string();
        assert_eq!(error, "the scheduler exited (exit status 1); its log:\nboom");
    }
}
