// SPDX-License-Identifier: GPL-2.0-only
//! All agents at one moment, for those that show them: `top`, the metrics, `ci`. What the kernel
//! accounts for a cgroup is read by whoever shows it, not by the main loop.

use crate::agents::{Phase, Span};
use crate::calls::{Call, Status};
use crate::qos::Qos;
use crate::stats::Metrics;
use serde::{Deserialize, Serialize};

/// What has come together since the scheduler was loaded. Times in ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Finished tool calls.
    pub calls: u64,
    /// Of them, those that ended with an exit status other than 0 or by a signal.
    pub failed: u64,
    /// CPU time of tool calls; of those that run as well where a [`View`] says so.
    pub cpu_ns: u64,
    /// Time that tasks of tool calls were runnable and did not run, likewise.
    pub wait_ns: u64,
    /// Time in each [`Phase`] that is over.
    pub phase_ns: [u64; 3],
}

impl Totals {
    /// One more call that has ended.
    pub fn ended(&mut self, status: Status, cpu_ns: u64, wait_ns: u64) {
        self.calls += 1;
        self.failed += u64::from(status != Status::Exited(0));
        self.cpu_ns = self.cpu_ns.saturating_add(cpu_ns);
        self.wait_ns = self.wait_ns.saturating_add(wait_ns);
    }

    /// One more phase that is over.
    pub fn phase(&mut self, phase: Phase, lasted_ns: u64) {
        let phase_ns = &mut self.phase_ns[phase as usize];
        *phase_ns = phase_ns.saturating_add(lasted_ns);
    }
}

/// CPU time that an agent may use in a window, see [`Agent::budget`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// In us.
    pub allowed_us: u64,
    /// What its cgroup had used when the window began, in us: what is more now is of this window.
    pub from_us: u64,
    /// When the window ends; CLOCK_MONOTONIC ns.
    pub ends_ns: u64,
    /// It has used it up: it is in the background, unless an operator has set its class.
    pub over: bool,
}

/// One agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    /// Chosen by whoever made its cgroup.
    pub name: String,
    pub cgroup_id: u64,
    pub phase: Phase,
    /// When the phase began; CLOCK_MONOTONIC ns.
    pub since_ns: u64,
    /// Its last phases, the oldest first; as far as they were asked for.
    pub history: Vec<Span>,
    /// Those of running calls included.
    pub totals: Totals,
    /// True if its metrics are told apart from those of others.
    pub labelled: bool,
    /// True if it is in a sandbox that shows nothing of what runs in it.
    #[serde(default)]
    pub opaque: bool,
    /// Its class.
    #[serde(default)]
    pub qos: Qos,
    /// Its weight, as in cpu.weight; 0: that of its cgroup.
    #[serde(default)]
    pub weight: u32,
    /// Its budget of CPU time, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
}

/// A tool call, and whose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentCall {
    /// Its agent's cgroup.
    pub cgroup_id: u64,
    pub call: Call,
}

/// All there is to show.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// CLOCK_MONOTONIC.
    pub now_ns: u64,
    pub agents: Vec<Agent>,
    /// Running tool calls, the oldest first.
    pub calls: Vec<AgentCall>,
    /// Tool calls that have ended, as far as they were asked for, in the order of their ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<AgentCall>,
    /// How many tool calls have ended since the daemon began: what the next question for them is after.
    #[serde(default)]
    pub ended_total: u64,
    /// Of agents that are not [`Agent::labelled`], also of those that are gone; finished calls only.
    pub others: Totals,
    pub metrics: Metrics,
}
