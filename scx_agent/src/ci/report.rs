// SPDX-License-Identifier: GPL-2.0-only
//! What became of a command, for people and for programs.

use crate::calls::command::shown;
use crate::calls::{Call, Status};
use crate::view::Totals;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// How many of the longest calls are listed.
const LONGEST: usize = 5;

/// Which scheduler it ran under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheduled {
    /// scx_agent, which ran already.
    Running,
    /// scx_agent, started for it.
    Own,
    /// The host's own, as scx_agent could not be started.
    #[default]
    Host,
}

/// What the kernel accounts for the cgroup. None where the host's settings leave it out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    pub cpu_s: f64,
    /// Time in which some task waited for a CPU, for memory, for I/O (PSI).
    pub stalled_cpu_s: Option<f64>,
    pub stalled_memory_s: Option<f64>,
    pub stalled_io_s: Option<f64>,
    pub memory_peak_bytes: Option<u64>,
    pub swap_peak_bytes: Option<u64>,
    /// Processes killed for want of memory.
    pub oom_kills: Option<u64>,
    /// Processes that were there after the command's end; they were ended.
    pub left_running: usize,
}

/// Calls of one category.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Kind {
    pub calls: u64,
    pub failed: u64,
    pub wall_s: f64,
    pub cpu_s: f64,
    pub wait_s: f64,
}

/// The tool calls.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Calls {
    pub finished: u64,
    pub failed: u64,
    pub cpu_s: f64,
    /// Time that their tasks were runnable and did not run.
    pub wait_s: f64,
    pub framework_s: f64,
    pub llm_wait_s: f64,
    /// How many of them are known in detail; the rest is the last the daemon remembers.
    pub detailed: usize,
    pub by_category: BTreeMap<&'static str, Kind>,
    /// The longest first.
    pub longest: Vec<Call>,
}

/// All of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    pub command: Vec<String>,
    /// None if it could not be started.
    pub status: Option<Status>,
    pub wall_s: f64,
    pub cpus: usize,
    pub kernel: String,
    pub scheduled: Scheduled,
    /// Why not by scx_agent, or why calls are missing.
    pub note: Option<String>,
    #[serde(flatten)]
    pub figures: Figures,
    /// Of the CPU time that calls wanted, what they waited for, in percent.
    pub wait_pct: Option<f64>,
    /// None without scx_agent.
    pub calls: Option<Calls>,
    /// Gates that failed.
    pub failed_gates: Vec<String>,
}

fn s(ns: u64) -> f64 {
    ns as f64 / 1e9
}

impl Calls {
    /// From an agent's totals, and its finished calls as far as they are remembered.
    pub fn new(totals: &Totals, mut finished: Vec<Call>) -> Calls {
        let mut by_category = BTreeMap::<&str, Kind>::new();
        for c in &finished {
            let kind = by_category.entry(c.kind.category.name()).or_default();
            kind.calls += 1;
            kind.failed += u64::from(c.status != Some(Status::Exited(0)));
            kind.wall_s += s(c.wall_ns);
            kind.cpu_s += s(c.cpu_ns);
            kind.wait_s += s(c.wait_ns);
        }
        let detailed = finished.len();
        finished.sort_by_key(|c| std::cmp::Reverse(c.wall_ns));
        finished.truncate(LONGEST);
        Calls {
            finished: totals.calls,
            failed: totals.failed,
            cpu_s: s(totals.cpu_ns),
            wait_s: s(totals.wait_ns),
            llm_wait_s: s(totals.phase_ns[0]),
            framework_s: s(totals.phase_ns[1]),
            detailed,
            by_category,
            longest: finished,
        }
    }

    /// See [`Report::wait_pct`].
    pub fn wait_pct(&self) -> Option<f64> {
        let wanted = self.wait_s + self.cpu_s;
        (wanted > 0.0).then(|| self.wait_s / wanted * 100.0)
    }
}

impl Report {
    /// For people.
    pub fn text(&self) -> String {
        let f = &self.figures;
        let mut out = format!("scx_agent ci: {}\n", shown(&self.command.join(" "), 200));
        let mut line = |name: &str, text: String| {
            let _ = writeln!(out, "{name:>10}  {text}");
        };
        let status = match self.status {
            None => "not started".into(),
            Some(Status::Exited(n)) => format!("exit status {n}"),
            Some(Status::Killed(n)) => format!("killed by signal {n}"),
        };
        line("ended", format!("{status} after {:.2} s", self.wall_s));
        let by = match self.scheduled {
            Scheduled::Running => "scx_agent, which ran already",
            Scheduled::Own => "scx_agent, started for it",
            Scheduled::Host => "the host's scheduler, not scx_agent",
        };
        line("scheduler", format!("{by}; kernel {}, {} CPUs", self.kernel, self.cpus));
        if let Some(note) = &self.note {
            line("note", shown(note, 400));
        }
        let waited = self
            .wait_pct
            .map_or(String::new(), |pct| format!("; calls waited for {pct:.0} % of what they wanted"));
        line("CPU", format!("{:.2} s{waited}", f.cpu_s));
        let stall = |s: Option<f64>| s.map_or("-".into(), |s| format!("{s:.2} s"));
        line(
            "stalled",
            format!(
                "for a CPU {}, for memory {}, for I/O {}",
                stall(f.stalled_cpu_s),
                stall(f.stalled_memory_s),
                stall(f.stalled_io_s)
            ),
        );
        let mb = |b: Option<u64>| b.map_or("-".into(), |b| format!("{} MB", b >> 20));
        let kills = f.oom_kills.map_or("-".into(), |n| n.to_string());
        let (peak, swap) = (mb(f.memory_peak_bytes), mb(f.swap_peak_bytes));
        line("memory", format!("peak {peak}, of swap {swap}; {kills} processes killed for want of it"));
        if f.left_running > 0 {
            line("left", format!("{} processes, which were ended", f.left_running));
        }
        if let Some(c) = &self.calls {
            line("calls", format!("{} finished, {} of them failed", c.finished, c.failed));
            for (name, k) in &c.by_category {
                let text = format!(
                    "{name:<15} {:>5}, {} failed, {:.2} s, CPU {:.2} s, waited {:.2} s",
                    k.calls, k.failed, k.wall_s, k.cpu_s, k.wait_s
                );
                line("", text);
            }
            for (i, call) in c.longest.iter().enumerate() {
                let name = if i == 0 { "longest" } else { "" };
                let command = if call.command.is_empty() { &call.comm } else { &call.command };
                line(name, format!("{:.2} s  {}", s(call.wall_ns), shown(command, 100)));
            }
        }
        for gate in &self.failed_gates {
            line("FAILED", gate.clone());
        }
        out
    }
}
