// SPDX-License-Identifier: GPL-2.0-only
//! Which agents' tool calls have cgroups of their own, and what the thread that sees to that
//! (`call_cgroups`) is told.

use super::call_cgroups::{CallCgroups, Job};
use super::controller::Controller;
use super::journal::{Change, Place};
use super::limit::{mb, Limit};
use super::{policy, subtree};
use crate::globs::Glob;
use crate::kernel::Kernel;
use log::{debug, info, warn};
use std::sync::Arc;

/// Whether an agent's calls have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Apart {
    /// Looked at when it next has a call.
    #[default]
    Unasked,
    No,
    Yes,
}

/// The operator wants it (`tool_cgroups`).
#[derive(Debug)]
pub struct Separation {
    pub thread: CallCgroups,
    /// Cgroups that may be divided beside those that are delegated.
    pub listed: Vec<Glob>,
}

impl Controller {
    fn apart(&self, job: Job) {
        let _ = self.separation.as_ref().map(|s| s.thread.send(job));
    }

    /// Another kernel half has the calls from now on.
    pub(super) fn kernel(&self, kernel: Kernel) {
        self.apart(Job::Kernel(kernel));
    }

    /// A tool call of an agent begins.
    pub(super) fn call_apart(&mut self, id: u64, call: u64, pid: u32) {
        let Some(a) = self.agents.get(&id) else { return };
        if a.apart == Apart::Unasked {
            self.divide(id);
        }
        if self.agents.get(&id).is_some_and(|a| a.apart == Apart::Yes) {
            self.apart(Job::Begin { id, call, pid });
        }
    }

    /// Has an agent's cgroup divided, if that may be.
    fn divide(&mut self, id: u64) {
        let (Some(s), Some(a)) = (&self.separation, self.agents.get_mut(&id)) else { return };
        a.apart = Apart::No;
        let listed = s.listed.iter().any(|g| g.matches(&a.cgroup.path));
        let place = Place { cgroup: a.cgroup.path.clone(), id };
        match subtree::objection(&a.cgroup, listed) {
            Ok(None) => (),
            Ok(Some(why)) => {
                return info!("memory: agent {:?}: its calls get no cgroups of their own: {why}", a.name)
            }
            Err(e) => return debug!("memory: agent {:?}: {e}", a.name),
        }
        if let Err(e) = self.journal.note_place(Change::Divided, place) {
            return warn!("memory: agent {:?}: its calls get no cgroups of their own: {e:#}", a.name);
        }
        a.apart = Apart::Yes;
        s.thread.send(Job::Divide { agent: Arc::clone(&a.cgroup), name: a.name.clone() });
    }

    /// A call of an agent is over, or is none.
    pub(super) fn call_over(&self, id: u64, call: u64) {
        if self.agents.get(&id).is_some_and(|a| a.apart == Apart::Yes) {
            self.apart(Job::End { id, call });
        }
    }

    /// The cgroup of an agent was brought together again, or should have been; `why`, if it could not be
    /// divided.
    pub(super) fn joined(&mut self, id: u64, why: Option<&str>, undone: Result<bool, String>) {
        let Some(a) = self.agents.get_mut(&id) else { return };
        (a.apart, a.calls_high) = (Apart::Unasked, Limit::Max);
        if let Some(why) = why {
            a.apart = Apart::No;
            warn!("memory: agent {:?}: its calls get no cgroups of their own: {why}", a.name);
        }
        match undone {
            Ok(true) => (),
            Ok(false) => warn!("memory: agent {:?}: {}", a.name, subtree::LEFT),
            // It stays in the journal: there is another try at the end.
            Err(e) => {
                a.apart = Apart::No;
                return warn!("memory: agent {:?}: cannot bring its cgroup together: {e}", a.name);
            }
        }
        self.forget_place(Change::Divided, id);
    }

    /// The agent is gone.
    pub(super) fn gone_apart(&mut self, id: u64) {
        self.apart(Job::Gone { id });
        self.forget_place(Change::Divided, id);
    }

    /// Holds a burst to `high`: its calls where they have cgroups of their own, else the agent as a whole, by
    /// the kernel's programs where there are some.
    pub(super) fn hold(&mut self, id: u64, high: Limit, rule: &str) {
        match self.agents.get(&id).map(|a| a.apart) {
            Some(Apart::Yes) => {
                self.set(id, None, "its calls are held, and not it");
                self.hold_calls(id, high, rule);
            }
            _ if self.delays(id) => {
                self.set(id, None, "its charges are delayed instead");
                self.delay_over(id, high, rule);
            }
            _ => self.set(id, Some(high), rule),
        }
    }

    /// Holds the calls of an agent, so that all of it stays within `high`; Max: not at all.
    pub(super) fn hold_calls(&mut self, id: u64, high: Limit, rule: &str) {
        let Some(a) = self.agents.get_mut(&id) else { return };
        if a.apart != Apart::Yes || !policy::worth(a.calls_high, high) {
            return;
        }
        info!(
            SCX_AGENT_AGENT = a.name.as_str(), SCX_AGENT_PHASE = a.phase.name(), SCX_AGENT_RULE = rule,
            SCX_AGENT_KNOB = "memory.high of calls", SCX_AGENT_OLD:% = a.calls_high, SCX_AGENT_NEW:% = high;
            "memory: agent {:?}: {:?}: rule {rule:?}: current {}, host has {}, PSI {:.1} %: memory.high of its calls \
             {} -> {} with the rest of it",
            a.name,
            a.phase,
            mb(a.current),
            mb(self.host.available),
            self.stalls.others_pct(),
            a.calls_high.human(),
            high.human()
        );
        a.calls_high = high;
        self.apart(Job::Hold { id, high });
    }
}
