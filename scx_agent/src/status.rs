// SPDX-License-Identifier: GPL-2.0-only
//! How the daemon is, as `scx_agent status` shows it.

use crate::daemon::{Daemon, Reloads};
use crate::memory;
use crate::shortages::{self, Shortages};
use crate::stats::Metrics;
use crate::usage::Own;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// All that one screen shows. Counters are since the scheduler was loaded.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Status {
    /// True if nothing is wrong.
    pub healthy: bool,
    /// What is wrong, a sentence each.
    pub warnings: Vec<String>,
    /// What is worth knowing and not wrong.
    pub notes: Vec<String>,
    pub version: String,
    pub pid: u32,
    /// Seconds since the daemon began.
    pub uptime_s: f64,
    pub kernel: String,
    /// False if it watches only: it was told to, or has to.
    pub schedules: bool,
    /// Why nothing is scheduled although it was to be.
    pub unscheduled: Option<String>,
    /// The kernel's own word: `enabled`, if it schedules.
    pub state: String,
    /// The scheduler's name in the kernel.
    pub ops: String,
    pub metrics: Metrics,
    /// Memory of the kernel half's maps, without what it keeps with each task and cgroup, in bytes.
    pub maps_bytes: u64,
    /// Resident memory of the daemon, in bytes.
    pub daemon_bytes: u64,
    /// None if memory is not controlled.
    pub memory: Option<Memory>,
    /// The configuration files in force, in order.
    pub config_files: Vec<PathBuf>,
    pub reloads: Reloads,
}

/// The host's memory.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Memory {
    /// True while tool calls are throttled for it.
    pub pressed: bool,
    pub available_mb: u64,
    /// PSI, some avg10, in percent.
    pub pressure_pct: f32,
}

impl Status {
    /// How `daemon` is, whose scheduler counts `metrics`.
    pub fn now(daemon: &Daemon, metrics: Metrics, shortages: &Shortages) -> Status {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_string();
        let mut status = Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            uptime_s: daemon.started().elapsed().as_secs_f64(),
            kernel: read("/proc/sys/kernel/osrelease"),
            schedules: daemon.schedules(),
            unscheduled: daemon.unscheduled().map(String::from),
            state: read("/sys/kernel/sched_ext/state"),
            ops: read("/sys/kernel/sched_ext/root/ops"),
            metrics,
            maps_bytes: shortages::maps_bytes(Path::new("/proc/self/fdinfo")),
            daemon_bytes: Own::now().resident,
            memory: daemon.memory().map(memory_now),
            config_files: daemon.files().to_vec(),
            reloads: daemon.reloads().clone(),
            ..Status::default()
        };
        let short = shortages.now(&status.metrics);
        status.judge(short);
        status
    }

    /// Fills in what is wrong, with what it is `short` of.
    fn judge(&mut self, short: Vec<String>) {
        let m = &self.metrics;
        let mut warnings = Vec::new();
        if self.schedules && self.state != "enabled" {
            warnings.push(format!("the kernel does not run the scheduler: its state is {:?}", self.state));
        }
        if let Some(why) = &self.unscheduled {
            warnings.push(format!("nothing is scheduled, and agents' memory is managed alone: {why}"));
        }
        warnings.extend(short);
        if self.reloads.refused {
            let why = self.reloads.message.lines().next().unwrap_or_default();
            warnings.push(format!("the last reload was refused: {why}"));
        }
        if m.memory_failed > 0 {
            warnings.push(
                "the memory controller has failed: it has put limits back, which the log says, and sets none until a \
                 restart"
                    .into(),
            );
        }
        let mut notes = Vec::new();
        if m.memory_foreign > 0 {
            notes.push(format!(
                "{} agents' memory.high is set by somebody else: left alone",
                m.memory_foreign
            ));
        }
        if m.memory_paused > 0 {
            notes.push(format!("{} agents are paused by an operator", m.memory_paused));
        }
        if m.agents_over_budget > 0 {
            notes.push(format!("{} agents have used up their budget of CPU time", m.agents_over_budget));
        }
        if self.memory.as_ref().is_some_and(|m| m.pressed) {
            notes.push("the host is short of memory: the newest tool calls are throttled".into());
        }
        self.healthy = warnings.is_empty();
        (self.warnings, self.notes) = (warnings, notes);
    }

    /// As text, one screen.
    pub fn text(&self) -> String {
        let m = &self.metrics;
        let health = if self.healthy { "healthy" } else { "NOT HEALTHY" };
        let mut out = format!("scx_agent {} is {health}\n", self.version);
        let mut line = |name: &str, text: String| {
            let _ = writeln!(out, "{name:>10}  {text}");
        };
        for w in &self.warnings {
            line("warning", w.clone());
        }
        for n in &self.notes {
            line("note", n.clone());
        }
        let scheduler = match (self.schedules, &self.unscheduled) {
            (true, _) => format!("{} ({:?})", self.state, self.ops),
            (false, None) => "not ours (--no-sched)".into(),
            (false, Some(_)) => "not ours".into(),
        };
        line("scheduler", format!("{scheduler}, kernel {}", self.kernel));
        line("process", format!("{}, for {}", self.pid, lasted(self.uptime_s)));
        line(
            "uses",
            format!(
                "{:.1} MB in the daemon, {:.1} MB in the kernel",
                self.daemon_bytes as f64 / 1e6,
                self.maps_bytes as f64 / 1e6
            ),
        );
        line(
            "agents",
            format!(
                "{}: {} wait for their model, {} in the framework, {} in a tool call",
                m.agents, m.agents_llm_wait, m.agents_framework, m.agents_tool
            ),
        );
        line("calls", format!("{} running, {} finished", m.calls_running, m.calls_ended));
        line(
            "memory",
            match &self.memory {
                None => "not controlled".into(),
                Some(memory) => format!(
                    "{} MB available, pressure {:.1} %; {} agents limited, {} MB reclaimed",
                    memory.available_mb, memory.pressure_pct, m.memory_limited, m.memory_reclaimed_mb
                ),
            },
        );
        let files: Vec<_> = self.config_files.iter().map(|f| f.display().to_string()).collect();
        line("settings", if files.is_empty() { "defaults".into() } else { files.join(", ") });
        out
    }
}

fn memory_now(link: &memory::Link) -> Memory {
    let host = memory::host_now();
    Memory {
        pressed: link.counts().pressed,
        available_mb: host.map_or(0, |h| h.available / memory::MB),
        pressure_pct: host.map_or(0.0, |h| h.some_avg10),
    }
}

/// Seconds as a person says them.
pub fn lasted(s: f64) -> String {
    let s = s as u64;
    match (s / 86_400, s / 3_600 % 24, s / 60 % 60, s % 60) {
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, m, s) => format!("{m} min {s} s"),
        (0, h, m, _) => format!("{h} h {m} min"),
        (d, h, ..) => format!("{d} d {h} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(change: impl Fn(&mut Status)) -> Status {
        let mut s = Status { schedules: true, state: "enabled".into(), ..Status::default() };
        change(&mut s);
        let short = Shortages::default().now(&s.metrics);
        s.judge(short);
        s
    }

    #[test]
    fn what_is_wrong_is_told() {
        assert!(judged(|_| ()).healthy);
        for (change, word) in [
            ((|s| s.state = "disabled".into()) as fn(&mut Status), "disabled"),
            (|s| (s.schedules, s.unscheduled) = (false, Some("no sched_ext".into())), "alone: no sched_ext"),
            (|s| s.metrics.lost_events = 3, "3 events were lost"),
            (|s| s.metrics.no_call_slot = 1, "tool calls"),
            (|s| s.metrics.memory_failed = 1, "controller has failed"),
            (|s| s.metrics.no_group_slot = 1, "share one"),
            (|s| s.metrics.no_limit_slot = 1, "cpu.max"),
            (|s| (s.reloads.refused, s.reloads.message) = (true, "f:1: x\nmore".into()), "refused: f:1: x"),
        ] {
            let s = judged(change);
            assert!(!s.healthy && s.warnings.len() == 1 && s.warnings[0].contains(word), "{s:?}");
            assert!(s.text().contains("NOT HEALTHY") && s.text().contains(word), "{}", s.text());
        }
        let s = judged(|s| (s.schedules, s.state) = (false, "disabled".into()));
        assert!(s.healthy && s.text().contains("--no-sched"), "{s:?}");
        let s = judged(|s| s.metrics.memory_foreign = 2);
        assert!(s.healthy && s.notes.len() == 1 && s.text().contains("is healthy"), "{s:?}");
    }

    #[test]
    fn it_is_one_screen() {
        let text = judged(|s| s.memory = Some(Memory::default())).text();
        assert!(text.lines().count() <= 24 && text.lines().all(|l| l.len() <= 80), "{text}");
    }

    #[test]
    fn times_are_as_a_person_says_them() {
        assert_eq!(lasted(59.9), "59 s");
        assert_eq!(lasted(3_599.0), "59 min 59 s");
        assert_eq!(lasted(86_399.0), "23 h 59 min");
        assert_eq!(lasted(90_000.0), "1 d 1 h");
    }
}
