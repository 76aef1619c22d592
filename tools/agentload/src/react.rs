// SPDX-License-Identifier: GPL-2.0-only
//! The reaction test: on a machine saturated by long tool calls a new call releases `width`
//! blocked processes at once. How long until all of them have run?

use crate::cgroup::{self, Tree};
use crate::framework::Settings;
use crate::plan::{Agent, Call, Stage, Turn};
use crate::run::{own_path, Fleet, SIGNALS};
use crate::shared::Shared;
use crate::summary::percentile;
use crate::{sys, work};
use anyhow::{bail, Context, Result};
use serde::{Deserialize, Serialize};
use std::ffi::CString;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

/// How to test.
#[derive(Clone, Debug)]
pub struct Options {
    /// Processes released together (1..=64).
    pub width: u32,
    /// Agents with an endless call each; None for three per online CPU.
    pub saturate: Option<u32>,
    pub rounds: u32,
    /// Parent cgroup, below the cgroup v2 root.
    pub cgroup: String,
    /// Iterations of the work loop per ms; calibrated when None.
    pub work_per_ms: Option<f64>,
}

/// One round. Times are ns since the release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "react")]
pub struct Round {
    pub round: u32,
    pub width: u32,
    /// When the last of the processes first ran.
    pub all_running_ns: u64,
    /// When each first ran, in the order they were forked.
    pub each_ns: Vec<u64>,
}

/// How long the saturating calls run before the first round, in ns.
const SATURATE_NS: u64 = 3_500_000_000;
/// Pause between rounds, in ns.
const PAUSE_NS: u64 = 200_000_000;
/// CPU work of each released process, in ms.
const SPIN_MS: f64 = 5.0;
/// The descriptor on which the burner reports.
const REPORT_FD: i32 = 3;

/// Runs the test. Fails when cgroups or processes cannot be made, a round fails, or on a signal.
pub fn run(opt: &Options) -> Result<Vec<Round>> {
    sys::mask_signals(&SIGNALS, true);
    let settings = Settings {
        program: own_path()?,
        work_per_ms: opt.work_per_ms.map_or_else(work::calibrate, Ok)?,
        speedup: 1.0,
        window_ns: None,
        mem: false,
        comm: None,
    };
    let plan: Vec<Agent> = (0..opt.saturate.unwrap_or(3 * sys::online_cpus())).map(saturator).collect();
    let mem = Shared::new(&plan, false).context("no memory for the records")?;
    let mut tree = Tree::new(&opt.cgroup)?;
    let dir = tree.add("react")?;
    let fleet = Fleet::start(&plan, &mut tree, &settings, &mem)?;
    fleet.release(&mem);
    eprintln!("{} endless calls run, first round in {} s", plan.len(), SATURATE_NS as f64 / 1e9);
    match sys::wait_signal(&[libc::SIGINT, libc::SIGTERM], SATURATE_NS) {
        Some(s) => bail!("ended by signal {s}"),
        None => rounds(opt, &settings, &dir),
    }
}

/// An agent that makes one call without an end.
fn saturator(i: u32) -> Agent {
    let stage = Stage { wait_ms: 0.0, cpu_ms: 1e18, width: 1, mem_mb: 0.0 };
    let call = Call { call: 0, cat: "build".into(), offset_ms: 0.0, stages: vec![stage] };
    Agent {
        agent: format!("sat{i:03}"),
        comm: "claude".into(),
        start_ms: 0,
        base_mb: 0.0,
        turns: vec![Turn { think_ms: 1.0, framework_ms: 1.0, wait_cpu_pct: 0.0, calls: vec![call] }],
    }
}

/// Forks the reacting agent's framework and reads a line per round from its burners.
fn rounds(opt: &Options, set: &Settings, dir: &Path) -> Result<Vec<Round>> {
    let (from, to) = sys::pipe()?;
    if sys::fork()? == 0 {
        sys::close(from);
        framework(opt, set, dir, to);
    }
    sys::close(to);
    let mut all = Vec::new();
    let mut text = Vec::new();
    let mut buf = [0u8; 4096];
    loop {
        while let Some(end) = text.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line).into_owned();
            all.push(round(all.len() as u32, &line).with_context(|| format!("a burner reported {line:?}"))?);
        }
        let n = sys::read_fd(from, &mut buf);
        if n == 0 {
            break;
        }
        text.extend_from_slice(&buf[..n]);
        if let Some(s) = sys::wait_signal(&[libc::SIGINT, libc::SIGTERM], 0) {
            bail!("ended by signal {s}");
        }
    }
    if all.len() != opt.rounds as usize {
        bail!("{} of {} rounds were reported", all.len(), opt.rounds);
    }
    Ok(all)
}

/// The record of a line `t0 first1 first2 ...`.
fn round(round: u32, line: &str) -> Option<Round> {
    let mut times = line.split_whitespace().map(|w| w.parse::<u64>().ok());
    let t0 = times.next()??;
    let each_ns: Vec<u64> = times.map(|t| Some(t?.saturating_sub(t0))).collect::<Option<_>>()?;
    Some(Round { round, width: each_ns.len() as u32, all_running_ns: *each_ns.iter().max()?, each_ns })
}

fn framework(opt: &Options, set: &Settings, dir: &Path, to: i32) -> ! {
    sys::mask_signals(&[libc::SIGINT, libc::SIGTERM], false);
    if cgroup::enter(dir).is_err() {
        sys::exit_now(1);
    }
    sys::set_comm("claude");
    // SAFETY: descriptors of this process; the copy is inherited by the calls.
    unsafe { libc::dup2(to, REPORT_FD) };
    if to == REPORT_FD {
        // SAFETY: as above; dup2 onto itself leaves close-on-exec set.
        unsafe { libc::fcntl(to, libc::F_SETFD, 0) };
    }
    let spin = work::iterations(SPIN_MS, set.work_per_ms);
    let command = set.shell_line(&format!("--react {}:{spin}", opt.width));
    let command = CString::new(command).unwrap_or_default();
    for _ in 0..opt.rounds {
        sys::sleep_for(PAUSE_NS);
        if sys::spawn_shell(&command).is_err() || !sys::reap(true).is_some_and(|(_, s)| sys::status_ok(s)) {
            sys::exit_now(1);
        }
    }
    sys::exit_now(0)
}

/// What the burner shares with its processes.
struct Barrier {
    gate: AtomicU32,
    blocked: AtomicU32,
    started: AtomicU32,
    first_ns: [AtomicU64; crate::plan_file::MAX_WIDTH as usize],
}

/// The reacting call's burner: `width` processes behind one futex, each to spin `iterations`.
pub fn burner(width: u32, iterations: u64) -> i32 {
    let width = width.clamp(1, crate::plan_file::MAX_WIDTH);
    let Ok(p) = sys::map_anonymous(size_of::<Barrier>(), true) else {
        return 1;
    };
    // SAFETY: page-aligned, large enough, and all-zero bytes are a valid Barrier.
    let b: &Barrier = unsafe { &*p.cast() };
    for i in 0..width {
        match sys::fork() {
            Ok(0) => released(b, i, width, iterations),
            Ok(_) => {}
            Err(_) => return 1,
        }
    }
    while b.blocked.load(Acquire) < width {
        sys::sleep_for(1_000_000);
    }
    // All are in (or a few instructions before) their futex wait: let them settle.
    sys::sleep_for(20_000_000);
    let t0 = sys::now_ns();
    b.gate.store(1, Release);
    futex(&b.gate, libc::FUTEX_WAKE, i32::MAX as u32);
    let mut ok = true;
    while let Some((_, status)) = sys::reap(true) {
        ok &= sys::status_ok(status);
    }
    let mut line = t0.to_string();
    for first in &b.first_ns[..width as usize] {
        line += &format!(" {}", first.load(Relaxed));
    }
    line.push('\n');
    (!(ok && sys::write_fd(REPORT_FD, line.as_bytes()))) as i32
}

fn released(b: &Barrier, i: u32, width: u32, iterations: u64) -> ! {
    b.blocked.fetch_add(1, AcqRel);
    while b.gate.load(Acquire) == 0 {
        futex(&b.gate, libc::FUTEX_WAIT, 0);
    }
    b.first_ns[i as usize].store(sys::now_ns(), Relaxed);
    b.started.fetch_add(1, AcqRel);
    // Its share of work, and on until all run at once.
    let piece = (iterations / 50).max(1);
    let mut pieces = 0;
    while pieces < 50 || b.started.load(Acquire) < width {
        work::spin(piece);
        pieces += 1;
    }
    sys::exit_now(0)
}

fn futex(word: &AtomicU32, op: libc::c_int, value: u32) {
    let none = std::ptr::null::<libc::timespec>();
    // SAFETY: word lives in a shared mapping; no timeout. Errors mean "look again".
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), op, value, none) };
}

/// The summary line: p50, p95 and max over all rounds, nearest-rank.
pub fn summary(rounds: &[Round]) -> String {
    let ms: Vec<f64> = rounds.iter().map(|r| r.all_running_ns as f64 / 1e6).collect();
    let p = |p| percentile(&ms, p).unwrap_or(0.0);
    let width = rounds.first().map_or(0, |r| r.width);
    format!(
        "react: width {width}, {} rounds, all running after p50 {:.3} ms, p95 {:.3} ms, max {:.3} ms",
        ms.len(),
        p(50.0),
        p(95.0),
        p(100.0)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_become_rounds() {
        let r = round(4, "1000 1500 3000 1200\n").unwrap();
        assert_eq!(r, Round { round: 4, width: 3, all_running_ns: 2000, each_ns: vec![500, 2000, 200] });
        assert_eq!(round(0, "1000\n"), None);
        assert_eq!(round(0, "x y\n"), None);
        let text = serde_json::to_string(&r).unwrap();
        assert_eq!(
            text,
            r#"{"type":"react","round":4,"width":3,"all_running_ns":2000,"each_ns":[500,2000,200]}"#
        );
        assert!(summary(&[r]).contains("p50 0.002 ms"));
    }
}
