// SPDX-License-Identifier: GPL-2.0-only
//! What a run reports: JSON lines, one [`Record`] a line.

use crate::plan::Size;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Record {
    Run(RunRecord),
    Call(CallRecord),
    Turn(TurnRecord),
    Step(StepRecord),
    Agent(AgentRecord),
    Timeline(TimelineRecord),
}

/// First line of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    pub agents: u32,
    pub calls: u32,
    /// Online CPUs of the machine.
    pub cpus: u32,
    /// Iterations of the work loop per ms of CPU, as calibrated at the start.
    pub work_per_ms: f64,
    /// True for a run of the same calls uncontended on an idle machine (the "alone" times).
    pub serial: bool,
}

/// A finished tool call. Times are ns since the start of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallRecord {
    pub agent: String,
    pub call: u32,
    pub cat: String,
    pub size: Size,
    /// CPU demand in ms (of the plan, over all processes).
    pub cpu_ms: f64,
    pub width: u32,
    /// When the framework was about to fork the call.
    pub start_ns: u64,
    /// When the framework had reaped it.
    pub end_ns: u64,
    /// Wait status is 0.
    pub ok: bool,
    /// Pid of the call's session leader.
    pub pid: u32,
}

/// One framework turn: from the model's answer (a timer) to the end of the framework's own work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TurnRecord {
    pub agent: String,
    pub turn: u32,
    /// When the model's answer was due, ns since the start of the run.
    pub due_ns: u64,
    /// When the framework first ran after that.
    pub woken_ns: u64,
    /// When the framework's own work of this turn was done.
    pub done_ns: u64,
    /// CPU demand of that work, in ms.
    pub cpu_ms: f64,
}

/// A stage of a call that needed more memory than the one before it, and got it. Times are ns since the
/// start of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    pub agent: String,
    pub call: u32,
    pub stage: u32,
    /// How much more, in MB (10^6 bytes).
    pub mb: f64,
    /// Before the first page was touched.
    pub start_ns: u64,
    /// After the last.
    pub end_ns: u64,
}

/// What an agent's cgroup says of its memory when the agent has ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MemoryRecord {
    /// memory.peak, in MB (10^6 bytes).
    pub peak_mb: f64,
    /// Processes killed for want of memory, whoever ran out of it.
    pub oom_kills: u64,
    /// How often it was throttled at memory.high.
    pub throttled: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentRecord {
    pub agent: String,
    pub comm: String,
    pub turns: u32,
    pub calls: u32,
    pub failed_calls: u32,
    /// When the agent's last turn ended, ns since the start of the run; 0 if its framework died before.
    pub end_ns: u64,
    /// Only of a run that holds memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryRecord>,
}

/// What one CPU ran, as runs of equal bins: for the timeline of the report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimelineRecord {
    pub cpu: u32,
    /// Width of a bin in ns.
    pub bin_ns: u64,
    /// `[first_bin, bins, agent index in the plan or -1, phase]`, phase 0 idle, 1 framework,
    /// 2 tool call, 3 anything else; what took most of the bin.
    pub runs: Vec<[i64; 4]>,
}
