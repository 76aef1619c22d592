// SPDX-License-Identifier: GPL-2.0-only
//! `scx_agent ci`.

use super::ask;
use crate::calls::{Call, Status};
use crate::ci::{Gate, Place, Report, Scheduled, Scheduler};
use crate::globs::FRAMEWORK_COMMS;
use crate::questions;
use crate::usage::Host;
use crate::view::View;
use anyhow::{bail, Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Exit status where it is ci that fails, as of timeout(1) and docker run.
const OWN_FAILURE: u8 = 125;
/// Exit status of a command that was well, but for a gate.
const GATE: u8 = 1;
/// How long the daemon may take to hear of the last call's end.
const LAST_CALL: Duration = Duration::from_secs(5);

/// Run a command as an agent of its own, and report its calls, contention and memory.
///
/// The command runs in a cgroup of its own, under the scx_agent that is running, or else under one
/// that is started for it and ends with it. The report goes to standard error and, as JSON, to a
/// file. The exit status is the command's (128 + N if signal N ended it); 1 if only a gate fails;
/// 125 if the command could not be run at all. What the command leaves running is ended.
///
/// A known agent framework (claude, codex, ...) is the agent, and its tool calls are told apart. Any
/// other command is one call as a whole, unless --framework says that it runs tools by shells.
#[derive(Debug, clap::Args)]
#[command(after_help = "EXAMPLES:
  scx_agent ci -- make test
  scx_agent ci --json ci.json --fail-if 'oom_kills>0' --fail-if 'wait_pct>50' -- make test
  scx_agent ci --framework -- python3 evaluate.py
  sudo scx_agent ci -- setpriv --reuid=\"$(id -u)\" --regid=\"$(id -g)\" --init-groups make test")]
pub struct Args {
    /// What the agent's name begins with.
    #[arg(long, default_value = "ci", value_parser = parse_name)]
    name: String,

    /// Write the report to FILE as well, as JSON: one object; times in seconds where their names end
    /// in _s, else in ns.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Fail if a figure of the report is above or below a number, as in wall_s>600. Figures: wall_s,
    /// cpu_s, wait_pct, stalled_cpu_s, stalled_memory_s, memory_peak_mb, oom_kills, calls_failed. One
    /// that is not known fails. Repeatable.
    #[arg(long, value_name = "FIGURE>NUMBER")]
    fail_if: Vec<Gate>,

    /// The command is the framework of an agent: shells that it starts are its tool calls.
    #[arg(long)]
    framework: bool,

    /// Fail where scx_agent cannot schedule, instead of running the command under the host's
    /// scheduler.
    #[arg(long)]
    require_scheduler: bool,

    /// The command, and its arguments.
    #[arg(required = true, last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// A name of a cgroup that needs no quoting.
fn parse_name(s: &str) -> std::result::Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    match s.len() {
        1..=64 if s.chars().all(plain) => Ok(s.into()),
        _ => Err("a name has 1 to 64 letters, digits, - and _".into()),
    }
}

/// The exit status to end with.
pub fn run(args: &Args, config: Option<&Path>) -> ExitCode {
    match try_run(args, config) {
        Ok(code) => ExitCode::from(code),
        Err(e) => {
            eprintln!("scx_agent ci: {e:#}");
            ExitCode::from(OWN_FAILURE)
        }
    }
}

fn try_run(args: &Args, config: Option<&Path>) -> Result<u8> {
    // SAFETY: cannot fail and touches no memory.
    if unsafe { libc::geteuid() } != 0 {
        bail!("making a cgroup and scheduling it needs root; run it with sudo");
    }
    // Made before there is anything to undo.
    let json = args
        .json
        .as_deref()
        .map(|path| std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display())));
    let json = json.transpose()?;
    let mut report = Report {
        command: args.command.iter().map(|w| w.to_string_lossy().into_owned()).collect(),
        cpus: Host::now().cpus,
        kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().into(),
        ..Report::default()
    };
    let scheduler = match Scheduler::find(config) {
        Ok(s) => Some(s),
        Err(e) if args.require_scheduler => return Err(e.context("scx_agent cannot schedule")),
        Err(e) => {
            report.note = Some(format!("{e:#}"));
            None
        }
    };
    report.scheduled = match &scheduler {
        None => Scheduled::Host,
        Some(s) => match s.idle() {
            Some(why) => {
                anyhow::ensure!(!args.require_scheduler, "scx_agent cannot schedule: {why}");
                report.note = Some(why.into());
                Scheduled::Host
            }
            None if s.is_own() => Scheduled::Own,
            None => Scheduled::Running,
        },
    };
    let place = Place::make(&args.name, !args.framework && !is_framework(&args.command))?;
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot handle signals")?;
    let began = Instant::now();
    let mut child = place.start(&args.command)?;
    let pid = child.id() as libc::pid_t;
    let handle = signals.handle();
    let forward = std::thread::spawn(move || {
        for signal in signals.forever().filter(|s| *s != SIGINT) {
            // SAFETY: it has not been waited for. Of Ctrl-C the terminal tells it itself.
            unsafe { libc::kill(pid, signal) };
        }
    });
    // Waited for, but not yet reaped: until the forwarding has ended its number is its own.
    wait_for_end(pid);
    report.wall_s = began.elapsed().as_secs_f64();
    handle.close();
    let _ = forward.join();
    let status = child.wait().context("cannot wait for the command")?;
    report.status = Some(Status::from_wait(status.into_raw() as u32));
    report.figures = place.figures();
    if scheduler.is_some() {
        match calls(&place.name) {
            Ok(calls) => {
                report.wait_pct = calls.wait_pct();
                report.calls = Some(calls);
            }
            Err(e) => {
                let before = report.note.take().map(|n| n + "; ").unwrap_or_default();
                report.note = Some(format!("{before}calls are not known: {e:#}"));
            }
        }
    }
    report.failed_gates = args.fail_if.iter().filter_map(|g| g.check(&report)).collect();
    drop(place);
    drop(scheduler);
    eprint!("{}", report.text());
    if let Some(file) = json {
        serde_json::to_writer_pretty(file, &report).context("cannot write the report")?;
    }
    Ok(match report.status {
        Some(Status::Exited(0)) if !report.failed_gates.is_empty() => GATE,
        Some(Status::Exited(n)) => n as u8,
        Some(Status::Killed(n)) => 128 + n as u8,
        None => OWN_FAILURE,
    })
}

/// True if the command is an agent framework by its name.
fn is_framework(command: &[OsString]) -> bool {
    let name = command.first().and_then(|program| Path::new(program).file_name());
    name.and_then(|n| n.to_str()).is_some_and(|n| FRAMEWORK_COMMS.contains(&n))
}

/// Returns once the child `pid` has ended.
fn wait_for_end(pid: libc::pid_t) {
    loop {
        // SAFETY: all-zero is valid, and the kernel fills it in.
        let done = unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            libc::waitid(libc::P_PID, pid as libc::id_t, &raw mut info, libc::WEXITED | libc::WNOWAIT)
        };
        if done == 0 || std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
            return;
        }
    }
}

/// The calls of the agent `name`.
fn calls(name: &str) -> Result<crate::ci::Calls> {
    let deadline = Instant::now() + LAST_CALL;
    let agent = loop {
        let view: View = ask::ask(questions::VIEW, &[("since_ns", u64::MAX.to_string())])?;
        let agent = view.agents.into_iter().find(|a| a.name == name);
        let agent = agent.context("the scheduler does not know the command's cgroup")?;
        let running = view.calls.iter().any(|r| r.cgroup_id == agent.cgroup_id);
        if !running || Instant::now() > deadline {
            break agent;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let mut calls: Vec<Call> = ask::ask(questions::CALLS, &[("agent", name.to_string())])?;
    calls.retain(|c| c.status.is_some());
    Ok(crate::ci::Calls::new(&agent.totals, calls))
}
