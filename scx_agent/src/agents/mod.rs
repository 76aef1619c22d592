// SPDX-License-Identifier: GPL-2.0-only
//! What the kernel half reports: agents, their phases, their tool calls.

mod decode;
mod event;
mod phase;
mod untold;

pub use event::rule_name;
pub use phase::{Phase, Span};

use crate::calls::Calls;
use crate::kernel::Kernel;
use crate::lines::Lines;
use crate::memory;
use crate::metrics::Observed;
use crate::qos::Qos;
use crate::tags::OpenTags;
use crate::view::{self, Totals};
use crossbeam::channel::Sender;
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use untold::Untold;

/// CLOCK_MONOTONIC, in ns.
pub fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// One agent.
pub struct Agent {
    pub name: String,
    pub cgroup_id: u64,
    pub phase: Phase,
    /// When the phase began; CLOCK_MONOTONIC ns.
    pub since_ns: u64,
    /// Its last phases, the oldest first.
    pub history: VecDeque<Span>,
    /// What its hooks have announced.
    pub tags: OpenTags,
    /// What its finished calls and phases come to.
    pub totals: Totals,
    /// One of those whose metrics are told apart.
    pub labelled: bool,
    /// In a sandbox that shows nothing of what runs in it.
    pub opaque: bool,
    pub qos: Qos,
    /// As in cpu.weight; 0: that of its cgroup.
    pub weight: u32,
    untold: Untold,
}

impl Agent {
    fn view(&self, since_ns: u64) -> view::Agent {
        view::Agent {
            name: self.name.clone(),
            cgroup_id: self.cgroup_id,
            phase: self.phase,
            since_ns: self.since_ns,
            history: self.history.iter().filter(|s| s.ended_ns > since_ns).copied().collect(),
            totals: self.totals,
            labelled: self.labelled,
            opaque: self.opaque,
            qos: self.qos,
            weight: self.weight,
            budget: None,
        }
    }
}

/// An agent that came or went, by its cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Found(u64),
    Gone(u64),
}

/// Every agent there is, kept up to date by [`Agents::handle`].
pub struct Agents {
    by_slot: BTreeMap<u32, Agent>,
    cgroup_root: PathBuf,
    logs: Logs,
    /// Their tool calls.
    pub calls: Calls,
    /// The memory controller, if there is one.
    memory: Option<Sender<memory::Message>>,
    /// Every call that has ended.
    pub observed: Observed,
    /// How many agents may be labelled, and how many are.
    labels: (u64, u64),
    /// Of agents that are not labelled, also of those that are gone.
    others: Totals,
    /// Since they were last taken note of by [`Agents::changes`].
    changes: Vec<Change>,
    /// Records that could not be understood.
    pub malformed: u64,
    /// CPU time of finished calls, in ns.
    pub calls_cpu_ns: u64,
    /// Time that tasks of finished calls waited for a CPU, in ns.
    pub calls_wait_ns: u64,
}

/// What is written down of agents, if anything.
#[derive(Debug, Default)]
pub struct Logs {
    /// Every [`Event`](event::Event).
    pub events: Option<Lines>,
    /// Every finished call.
    pub calls: Option<Lines>,
}

impl Logs {
    fn flush(&mut self) {
        for log in [&mut self.events, &mut self.calls].into_iter().flatten() {
            log.flush();
        }
    }
}

impl Agents {
    /// At most `labels` agents have metrics of their own at a time.
    pub fn new(cgroup_root: &Path, logs: Logs, memory: Option<Sender<memory::Message>>, labels: u64) -> Self {
        Agents {
            by_slot: BTreeMap::new(),
            cgroup_root: cgroup_root.into(),
            logs,
            calls: Calls::default(),
            memory,
            observed: Observed::default(),
            labels: (labels, 0),
            others: Totals::default(),
            changes: Vec::new(),
            malformed: 0,
            calls_cpu_ns: 0,
            calls_wait_ns: 0,
        }
    }

    /// All agents now, with their running calls as they are, and phases that ended after `since_ns`, and, if `known`
    /// says how many are known, calls that ended after those; without the statistics and budgets.
    pub fn view(&mut self, kernel: &Kernel, since_ns: u64, known: Option<u64>) -> view::View {
        let calls = self.calls.running_now(kernel);
        let mut running = BTreeMap::<u64, (u64, u64)>::new();
        for r in &calls {
            let (cpu_ns, wait_ns) = running.entry(r.cgroup_id).or_default();
            *cpu_ns += r.call.cpu_ns;
            *wait_ns += r.call.wait_ns;
        }
        let mut agents: Vec<view::Agent> = self.by_slot.values().map(|a| a.view(since_ns)).collect();
        for a in &mut agents {
            let (cpu_ns, wait_ns) = running.get(&a.cgroup_id).copied().unwrap_or_default();
            a.totals.cpu_ns += cpu_ns;
            a.totals.wait_ns += wait_ns;
        }
        view::View {
            now_ns: monotonic_ns(),
            agents,
            calls,
            ended: known.map_or_else(Vec::new, |known| self.calls.ended_after(known)),
            ended_total: self.calls.ended_total,
            others: self.others,
            ..view::View::default()
        }
    }

    /// Number of agents, in all and by phase (LLM wait, framework, tool).
    pub fn counts(&self) -> (u64, [u64; 3]) {
        let mut phases = [0; 3];
        for a in self.by_slot.values() {
            phases[a.phase as usize] += 1;
        }
        (self.by_slot.len() as u64, phases)
    }

    /// The agents that came and went since this was last asked.
    pub fn changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Write out what the logs have buffered.
    pub fn flush(&mut self) {
        self.logs.flush();
    }

    /// How the agent with this cgroup is called; the cgroup's path if it is none any more.
    pub fn name_of(&self, id: u64) -> String {
        let agent = self.by_slot.values().find(|a| a.cgroup_id == id);
        agent.map_or_else(|| self.path_of(id), |a| a.name.clone())
    }

    /// Cgroup of the agent that is called `name`.
    ///
    /// # Errors
    /// There is none, or more than one, in a sentence.
    pub fn named(&self, name: &str) -> Result<u64, String> {
        let mut all = self.by_slot.values().filter(|a| a.name == name);
        match (all.next(), all.count()) {
            (None, _) => {
                Err(format!("there is no agent {name:?}; `scx_agent top` shows those that there are"))
            }
            (Some(a), 0) => Ok(a.cgroup_id),
            (_, more) => Err(format!("{} agents are called {name:?}: none is meant", more + 1)),
        }
    }

    /// The agent in `slot`, if it is still the one with this cgroup.
    pub fn agent(&mut self, slot: u32, cgroup_id: u64) -> Option<&mut Agent> {
        self.by_slot.get_mut(&slot).filter(|a| a.cgroup_id == cgroup_id)
    }

    /// Path of cgroup `id` below the cgroup root, or its number if it is gone already.
    pub fn path_of(&self, id: u64) -> String {
        memory::Cgroup::by_id(&self.cgroup_root, id).map_or_else(|_| format!("cgroup {id}"), |c| c.path)
    }
}
