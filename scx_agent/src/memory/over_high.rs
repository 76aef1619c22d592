// SPDX-License-Identifier: GPL-2.0-only
//! Tasks that run into memory.high, as the kernel half sees them (`bpf/burst.bpf.h`): before they are
//! throttled for it, so that a limit of ours that is in the way can be opened in time.

use super::apart::Apart;
use super::controller::Controller;
use super::limit::mb;
use crate::agents::{monotonic_ns, Phase};
use crate::bpf_intf::agent_event;
use log::debug;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// The kernel's function that is looked at. Where it is missing, memory.events has to do.
pub const PROBED: &str = "__mem_cgroup_handle_over_high";

/// One such moment.
#[derive(Clone, Copy, Debug)]
pub struct OverHigh {
    /// Whose limit it is: the agent's cgroup, one in it, or one above it.
    pub cgroup: u64,
    /// The process.
    pub pid: u32,
    /// What that cgroup used, and its memory.high, in bytes.
    pub usage: u64,
    pub high: u64,
    /// When that was, CLOCK_MONOTONIC, in ns.
    pub at_ns: u64,
}

impl From<&agent_event> for OverHigh {
    fn from(raw: &agent_event) -> OverHigh {
        let page = rustix::param::page_size() as u64;
        OverHigh {
            cgroup: raw.over_id,
            pid: raw.pid,
            usage: raw.usage_pages.saturating_mul(page),
            high: raw.high_pages.saturating_mul(page),
            at_ns: raw.at_ns,
        }
    }
}

impl Controller {
    /// A task of the agent with cgroup `id` has run into a limit.
    pub(super) fn over_high(&mut self, id: u64, over: &OverHigh, now: Instant) {
        let Some(a) = self.agents.get(&id) else { return };
        self.counters.over_high.fetch_add(1, Ordering::Relaxed);
        let late_ms = monotonic_ns().saturating_sub(over.at_ns) as f64 / 1e6;
        let whose = if over.cgroup == id { "its" } else { "another cgroup's" };
        debug!(
            "memory: agent {:?}: {:?}: process {} ran into {whose} memory.high {}, with {}, {late_ms:.3} ms ago",
            a.name,
            a.phase,
            over.pid,
            mb(over.high),
            mb(over.usage),
        );
        // A limit that others have set, in the agent or above it, is theirs.
        if over.cgroup == id || (a.apart == Apart::Yes && a.phase == Phase::Tool) {
            self.throttled(id, &format!("ran into its limit {late_ms:.3} ms ago"), now);
        }
    }
}
