// SPDX-License-Identifier: GPL-2.0-only
//! Statistics, served over the scx_stats socket.

use anyhow::Result;
use scx_stats_derive::{stat_doc, Stats};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Duration;

#[stat_doc]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Stats)]
#[stat(top)]
// Of an older daemon, or in its recordings, some may be missing.
#[serde(default)]
pub struct Metrics {
    #[stat(desc = "Agents now")]
    pub agents: u64,
    #[stat(desc = "Agents that wait for their model now")]
    pub agents_llm_wait: u64,
    #[stat(desc = "Agents whose framework works now")]
    pub agents_framework: u64,
    #[stat(desc = "Agents with a tool call now")]
    pub agents_tool: u64,
    #[stat(desc = "Agents that have used up their budget of CPU time, now")]
    pub agents_over_budget: u64,
    #[stat(desc = "Tool calls running now")]
    pub calls_running: u64,
    #[stat(desc = "Tool calls begun")]
    pub calls: u64,
    #[stat(desc = "Tool calls finished")]
    pub calls_ended: u64,
    #[stat(desc = "CPU time of finished tool calls, in seconds")]
    pub calls_cpu_s: f64,
    #[stat(desc = "Time that tasks of finished tool calls waited for a CPU, in seconds")]
    pub calls_wait_s: f64,
    #[stat(desc = "Wake-ups put on an idle CPU at once")]
    pub direct: u64,
    #[stat(desc = "Tasks put on a queue")]
    pub queued: u64,
    #[stat(desc = "CPUs taken from lower-ranked work")]
    pub preempt: u64,
    #[stat(desc = "Slices renewed because nothing queued ranked higher")]
    pub kept: u64,
    #[stat(desc = "Looks at the queue at which a long call had waited for as long as any may")]
    pub aged: u64,
    #[stat(desc = "Long calls put in front because none may wait for longer")]
    pub overdue: u64,
    #[stat(desc = "Tasks put in front as they waited in the middle of a system call")]
    pub in_kernel: u64,
    #[stat(desc = "Tasks run by CPUs with another last-level cache than those that they waited for")]
    pub elsewhere: u64,
    #[stat(desc = "Agents and other cgroups that wanted CPU time in the last tick")]
    pub groups_active: u64,
    #[stat(desc = "Longest quantum of a long call now, in ms")]
    pub quantum_ms: u64,
    #[stat(desc = "Tasks held back because their agent took too much memory while the host ran short")]
    #[serde(default)]
    pub braked: u64,
    #[stat(desc = "Tasks held back because their cgroup had used up its cpu.max")]
    pub throttled: u64,
    #[stat(desc = "Phase transitions")]
    pub phases: u64,
    #[stat(desc = "Tool calls without a slot of their own, ranked task by task")]
    pub no_call_slot: u64,
    #[stat(desc = "Cgroups without a slot of their own, sharing one")]
    pub no_group_slot: u64,
    #[stat(desc = "Cgroups whose cpu.max is not applied, for want of a slot")]
    pub no_limit_slot: u64,
    #[stat(desc = "Times that a task ran before its role was told; only counted with --check-roles")]
    pub role_late: u64,
    #[stat(
        desc = "Tool calls and helpers that were only counted, of agents that begin too many to be told of each"
    )]
    pub untold: u64,
    #[stat(desc = "Events lost because the ring buffer was full")]
    pub lost_events: u64,
    #[stat(desc = "Agents held to a memory limit now")]
    pub memory_limited: u64,
    #[stat(desc = "Agents whose tool calls are dispatched less, as they take too much memory")]
    #[serde(default)]
    pub memory_braked: u64,
    #[stat(desc = "Writes of memory.high")]
    pub memory_writes: u64,
    #[stat(desc = "Times that the kernel half saw an agent run into memory.high, one in 10 ms at most")]
    pub memory_over_high: u64,
    #[stat(desc = "Memory reclaimed from agents that wait for their model, in MB")]
    pub memory_reclaimed_mb: u64,
    #[stat(desc = "Processes of agents that the kernel killed for want of memory")]
    pub memory_oom_kills: u64,
    #[stat(desc = "Agents that an operator has paused")]
    pub memory_paused: u64,
    #[stat(desc = "1 if the memory controller has failed")]
    pub memory_failed: u64,
    #[stat(desc = "Agents whose memory.high somebody else sets, left alone")]
    pub memory_foreign: u64,
}

impl Metrics {
    /// Counters since `old`; gauges as they are.
    pub fn delta(&self, old: &Self) -> Self {
        Metrics {
            calls: self.calls - old.calls,
            calls_ended: self.calls_ended - old.calls_ended,
            calls_cpu_s: self.calls_cpu_s - old.calls_cpu_s,
            calls_wait_s: self.calls_wait_s - old.calls_wait_s,
            direct: self.direct - old.direct,
            queued: self.queued - old.queued,
            preempt: self.preempt - old.preempt,
            kept: self.kept - old.kept,
            aged: self.aged - old.aged,
            overdue: self.overdue - old.overdue,
            in_kernel: self.in_kernel - old.in_kernel,
            elsewhere: self.elsewhere - old.elsewhere,
            braked: self.braked - old.braked,
            throttled: self.throttled - old.throttled,
            phases: self.phases - old.phases,
            no_call_slot: self.no_call_slot - old.no_call_slot,
            no_group_slot: self.no_group_slot - old.no_group_slot,
            no_limit_slot: self.no_limit_slot - old.no_limit_slot,
            role_late: self.role_late - old.role_late,
            untold: self.untold - old.untold,
            lost_events: self.lost_events - old.lost_events,
            memory_writes: self.memory_writes - old.memory_writes,
            memory_over_high: self.memory_over_high - old.memory_over_high,
            memory_reclaimed_mb: self.memory_reclaimed_mb - old.memory_reclaimed_mb,
            memory_oom_kills: self.memory_oom_kills - old.memory_oom_kills,
            ..self.clone()
        }
    }

    fn format<W: Write>(&self, w: &mut W) -> Result<()> {
        writeln!(
            w,
            "agents {} (wait {} framework {} tool {} over budget {}) | calls running {} begun {} ended {} cpu {:.2}s wait {:.2}s | \
             direct {} queued {} preempt {} kept {} aged {} overdue {} in-kernel {} elsewhere {} braked {} throttled {} | \
             active {} quantum {} ms | untold {} lost {} no-slot {}/{}/{} | \
             memory limited {} braked {} writes {} reclaimed {} MB killed {} foreign {}",
            self.agents, self.agents_llm_wait, self.agents_framework, self.agents_tool, self.agents_over_budget,
            self.calls_running, self.calls, self.calls_ended, self.calls_cpu_s, self.calls_wait_s,
            self.direct, self.queued, self.preempt, self.kept, self.aged, self.overdue,
            self.in_kernel, self.elsewhere, self.braked, self.throttled,
            self.groups_active, self.quantum_ms,
            self.untold, self.lost_events, self.no_call_slot, self.no_group_slot, self.no_limit_slot,
            self.memory_limited, self.memory_braked, self.memory_writes, self.memory_reclaimed_mb, self.memory_oom_kills,
            self.memory_foreign,
        )?;
        Ok(())
    }
}

/// Print the statistics of a running scheduler every `interval` until `stop`.
pub fn monitor(interval: Duration, stop: Arc<AtomicBool>) -> Result<()> {
    scx_utils::monitor_stats::<Metrics>(
        &[],
        interval,
        || stop.load(Ordering::Relaxed),
        |m| m.format(&mut std::io::stdout()),
    )
}
