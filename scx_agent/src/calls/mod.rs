// SPDX-License-Identifier: GPL-2.0-only
//! The tool calls of all agents: those that run, and the last that have finished.

pub mod category;
pub mod command;
mod hint;
pub mod limit;
mod record;
mod repeat;
mod shell;

pub use hint::Hint;
pub use record::{Call, Evidence, Status, Tag};

use crate::kernel::Kernel;
use crate::view::AgentCall;
use agentpolicy::component_matches;
use limit::Overdue;
use repeat::Row;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Finished calls that are remembered, of all agents together.
const FINISHED: usize = 4096;

/// A running call.
#[derive(Debug)]
struct Running {
    /// Its agent's cgroup.
    cgroup_id: u64,
    call: Call,
    /// How long its agent was paused, in ns.
    held_ns: u64,
    /// The row of calls before it.
    before: Option<Row>,
}

/// The calls, kept up to date from the kernel half's records.
#[derive(Debug, Default)]
pub struct Calls {
    /// By the slot that the kernel half keeps them in: one whose end was lost makes way for the
    /// next in its slot.
    running: BTreeMap<u32, Running>,
    /// The oldest first.
    finished: VecDeque<AgentCall>,
    /// How many have finished, those that are not remembered any more included.
    pub ended_total: u64,
    /// Each agent's last row of calls of one kind, and the call that it ends with; by cgroup.
    rows: BTreeMap<u64, (u64, Row)>,
}

impl Calls {
    /// A call of the agent with cgroup `cgroup_id` has begun in `slot` of the kernel half.
    pub fn begin(&mut self, slot: u32, cgroup_id: u64, mut call: Call) {
        let before = self.rows.get(&cgroup_id).map(|(_, row)| row.clone());
        let row = Row::next(before.as_ref(), call.call, &call.kind);
        call.retry = row.retry();
        self.rows.insert(cgroup_id, (call.call, row));
        self.running.insert(slot, Running { cgroup_id, call, held_ns: 0, before });
    }

    /// The running call with number `id` in `slot`.
    pub fn running(&mut self, slot: u32, id: u64) -> Option<&mut Call> {
        self.running.get_mut(&slot).map(|r| &mut r.call).filter(|c| c.call == id)
    }

    /// The agent says that the call with number `id`, running in `slot` or finished, is over.
    pub fn tag_over(&mut self, slot: u32, id: u64, tag: Tag) {
        if let Some(call) = self.running(slot, id) {
            call.tag = Some(tag);
        } else if let Some(call) = self.finished.iter_mut().rev().find(|c| c.call.call == id) {
            call.call.tag = Some(tag);
        }
    }

    /// The call with number `id` in `slot`, of that or an earlier program, runs this one now.
    pub fn exec(&mut self, slot: u32, id: u64, comm: String, words: &[String]) {
        let Some(r) = self.running.get_mut(&slot).filter(|r| r.call.call == id) else { return };
        r.call.comm = comm;
        // A shell that execs the last command of its line says no more than the line did.
        let kind = category::kind(words);
        if !words.is_empty() && more_telling(&r.call.kind, &kind) {
            r.call.command = command::joined(words);
            r.call.kind = kind;
            let row = Row::next(r.before.as_ref(), id, &r.call.kind);
            r.call.retry = row.retry();
            if let Some(last) = self.rows.get_mut(&r.cgroup_id).filter(|(call, _)| *call == id) {
                last.1 = row;
            }
        }
    }

    /// The call with number `id` in `slot` has ended; `end` notes how. It is returned, if it was known.
    pub fn end(&mut self, slot: u32, id: u64, end: impl FnOnce(&mut Call)) -> Option<&Call> {
        let mut r = self.take(slot, id)?;
        end(&mut r.call);
        if self.finished.len() == FINISHED {
            self.finished.pop_front();
        }
        self.finished.push_back(AgentCall { cgroup_id: r.cgroup_id, call: r.call });
        self.ended_total += 1;
        self.finished.back().map(|c| &c.call)
    }

    /// The calls that have finished after the first `known` of them, as far as they are remembered.
    pub fn ended_after(&self, known: u64) -> Vec<AgentCall> {
        // One who knows of more has asked another daemon, and of these calls knows none.
        let new = self.ended_total.checked_sub(known).unwrap_or(self.ended_total);
        let new = usize::try_from(new).unwrap_or(usize::MAX).min(self.finished.len());
        self.finished.range(self.finished.len() - new..).cloned().collect()
    }

    /// The agents with these cgroups were paused for `time`.
    pub fn hold(&mut self, cgroups: &BTreeSet<u64>, time: Duration) {
        for r in self.running.values_mut().filter(|r| cgroups.contains(&r.cgroup_id)) {
            r.held_ns += time.as_nanos() as u64;
        }
    }

    /// The calls that run for more than `limits` let them, at `now_ns` (CLOCK_MONOTONIC), without the time on
    /// hold.
    pub fn overdue(&self, now_ns: u64, limits: &limit::Options) -> Vec<Overdue> {
        let ran_ns = |r: &Running| now_ns.saturating_sub(r.call.begun_ns + r.held_ns);
        let limited = self.running.iter().filter_map(|(slot, r)| Some((slot, r, limits.of(&r.call.kind)?)));
        let late = limited.filter(|(_, r, (limit, _))| u128::from(ran_ns(r)) > limit.as_nanos());
        late.map(|(slot, r, (limit, rule))| Overdue {
            limit,
            rule,
            slot: *slot,
            cgroup_id: r.cgroup_id,
            call: r.call.call,
            agent: r.call.agent.clone(),
            command: r.call.command.clone(),
        })
        .collect()
    }

    /// The call with number `id` in `slot` is told to end, as it runs for longer than `limit`.
    pub fn ended_by_limit(&mut self, slot: u32, id: u64, limit: Duration) {
        if let Some(call) = self.running(slot, id) {
            call.ended_by = Some(format!("time limit of {} s", limit.as_secs()));
        }
    }

    /// The running calls as they are now, the oldest first.
    pub fn running_now(&mut self, kernel: &Kernel) -> Vec<AgentCall> {
        for (slot, r) in &mut self.running {
            refresh(&mut r.call, *slot, kernel);
        }
        let running = |r: &Running| AgentCall { cgroup_id: r.cgroup_id, call: r.call.clone() };
        let mut calls: Vec<_> = self.running.values().map(running).collect();
        calls.sort_by_key(|r| r.call.call);
        calls
    }

    /// The call with number `id` in `slot` is a helper and no call.
    pub fn forget(&mut self, slot: u32, id: u64) {
        let Some(r) = self.take(slot, id) else { return };
        if self.rows.get(&r.cgroup_id).is_some_and(|(call, _)| *call == id) {
            self.rows.remove(&r.cgroup_id);
            if let Some(row) = r.before {
                self.rows.insert(r.cgroup_id, (0, row));
            }
        }
    }

    /// The agent with cgroup `cgroup_id` is gone.
    pub fn gone(&mut self, cgroup_id: u64) {
        self.rows.remove(&cgroup_id);
    }

    fn take(&mut self, slot: u32, id: u64) -> Option<Running> {
        self.running.get(&slot).filter(|r| r.call.call == id)?;
        self.running.remove(&slot)
    }

    /// The call with number `id`, running in `slot` or finished, as it is now; None if it is not
    /// known any more.
    pub fn find(&mut self, slot: u32, id: u64, kernel: &Kernel) -> Option<&Call> {
        if let Some(call) = self.running(slot, id) {
            refresh(call, slot, kernel);
        }
        self.known(id)
    }

    fn known(&self, id: u64) -> Option<&Call> {
        let running = self.running.values().map(|r| &r.call);
        running.chain(self.finished.iter().rev().map(|c| &c.call)).find(|c| c.call == id)
    }

    /// What `scx_agent calls` is told: all calls, the oldest first, of the agents whose name
    /// matches the argument `agent`, and only those that run with the argument `running`.
    ///
    /// # Errors
    /// It cannot be made JSON.
    pub fn answer(&mut self, args: &BTreeMap<String, String>, kernel: &Kernel) -> Result<Value, String> {
        for (slot, r) in &mut self.running {
            refresh(&mut r.call, *slot, kernel);
        }
        let running_only = args.contains_key("running");
        let glob = args.get("agent");
        let finished = self.finished.iter().map(|c| &c.call).filter(|_| !running_only);
        let mut calls: Vec<&Call> = finished
            .chain(self.running.values().map(|r| &r.call))
            .filter(|c| glob.is_none_or(|g| component_matches(g.as_bytes(), c.agent.as_bytes())))
            .collect();
        calls.sort_by_key(|c| c.call);
        serde_json::to_value(calls).map_err(|e| e.to_string())
    }
}

/// Brings a running call up to date. One that is over has its end to come, or that was lost.
fn refresh(c: &mut Call, slot: u32, kernel: &Kernel) {
    let Some(now) = kernel.call(slot, c.call) else { return };
    c.wall_ns = now.now_ns.saturating_sub(c.begun_ns);
    (c.cpu_ns, c.wait_ns) = (now.cpu_ns, now.wait_ns);
    (c.processes, c.peak_width) = (now.processes, now.peak_width);
}

/// True if `new` says more of a call than `old`: what a shell runs in the end, and not what it
/// looked like before.
fn more_telling(old: &category::Kind, new: &category::Kind) -> bool {
    use category::Category::{Interpreter, Other};
    match (old.category, new.category) {
        (Other, Other) => matches!(old.program.as_str(), "" | "runc" | "crun" | "nsenter" | "lxc-attach"),
        (Other, _) => true,
        (Interpreter, new) => !matches!(new, Interpreter | Other),
        _ => false,
    }
}

#[cfg(test)]
#[path = "calls_tests.rs"]
mod tests;
