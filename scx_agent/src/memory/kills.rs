// SPDX-License-Identifier: GPL-2.0-only
//! Who dies when memory runs out, and who is told.

use super::agent::Trouble;
use super::controller::Controller;
use super::limit::mb;
use super::oom;
use log::{debug, warn};
use std::sync::atomic::Ordering;
use std::time::Instant;

impl Controller {
    /// A tool call begins with `pid`: it is to die before its framework.
    pub(super) fn call(&mut self, id: u64, pid: u32) {
        let Some(a) = self.agents.get_mut(&id).filter(|_| self.tunables.oom_adj > 0) else { return };
        let raised = match oom::plan(&a.cgroup, pid, self.tunables.oom_adj) {
            Ok(Some(raised)) => raised,
            Ok(None) => return,
            Err(e) => return debug!("memory: agent {:?}: process {pid}: {e}", a.name),
        };
        if let Err(e) = self.journal.note_oom(id, &a.cgroup.path, raised) {
            return self.trouble(id, Trouble::Journal(e));
        }
        if let Err(e) = oom::raise(&a.cgroup, pid, raised) {
            return debug!("memory: agent {:?}: process {pid}: {e}", a.name);
        }
        debug!(
            SCX_AGENT_AGENT = a.name.as_str(), SCX_AGENT_PHASE = a.phase.name(), SCX_AGENT_RULE = "calls die first",
            SCX_AGENT_KNOB = "oom_score_adj", SCX_AGENT_OLD = raised.from, SCX_AGENT_NEW = raised.to;
            "memory: agent {:?}: rule \"calls die first\": process {pid}: oom_score_adj {} -> {}",
            a.name, raised.from, raised.to
        );
    }

    /// Says what the kernel has killed since the last look.
    pub(super) fn count_kills(&mut self, id: u64, now: Instant) {
        let Some(a) = self.agents.get_mut(&id) else { return };
        let kills = a.cgroup.oom_kills();
        let more = kills.saturating_sub(a.oom_kills);
        a.oom_kills = kills;
        if more == 0 {
            return;
        }
        a.oom_at = Some(now);
        self.counters.oom_kills.fetch_add(more, Ordering::Relaxed);
        let limit = a.cgroup.max().map_or_else(|e| e.to_string(), |max| max.to_string());
        warn!(
            SCX_AGENT_AGENT = a.name.as_str(), SCX_AGENT_PHASE = a.phase.name(), SCX_AGENT_RULE = "killed by the kernel",
            SCX_AGENT_PROCESSES = more;
            "memory: agent {:?}: the kernel killed {more} of its processes for want of memory: memory.max {limit}, \
             peak {}, host has {}",
            a.name,
            mb(a.cgroup.peak()),
            mb(self.host.available)
        );
    }

    /// A call that began at `since` has ended with SIGKILL: says so if that was for want of memory.
    pub(super) fn killed(&mut self, id: u64, pid: u32, comm: &str, since: Instant) {
        self.count_kills(id, Instant::now());
        let Some(a) = self.agents.get(&id) else { return };
        if a.oom_at.is_some_and(|at| at >= since) {
            warn!(
                SCX_AGENT_AGENT = a.name.as_str(), SCX_AGENT_RULE = "killed by the kernel", SCX_AGENT_PID = pid;
                "memory: agent {:?}: tool call {comm:?} (pid {pid}) ended by that: give the agent's cgroup more memory \
                 (memory.max), or run less of it at once (fewer jobs, one test file at a time)",
                a.name
            );
        }
    }
}
