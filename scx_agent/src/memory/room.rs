// SPDX-License-Identifier: GPL-2.0-only
//! What the kernel's programs are told of each agent, where they can control memory: how much of what it has
//! is kept from reclaim, and from where on its tool calls are delayed instead of being held by memory.high.

use super::agent::Agent;
use super::controller::Controller;
use super::limit::{mb, Limit, MB};
use super::policy::{self, Tunables};
use super::struct_ops::Programs;
use crate::agents::Phase;
use crate::bpf_intf::{
    agent_protection_PROTECT_LOW, agent_protection_PROTECT_MIN, agent_protection_PROTECT_NONE, agent_room,
};
use crate::kernel::Kernel;
use log::{debug, info, warn};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

/// The programs, and the agents that they are attached to.
#[derive(Debug)]
pub struct Rooms {
    programs: Programs,
    attached: BTreeMap<u64, Attached>,
    /// That somebody else's are attached somewhere has been said.
    busy_said: bool,
}

/// An agent that the programs are attached to.
#[derive(Debug)]
struct Attached {
    /// Closed, it is not any more.
    _link: OwnedFd,
    /// What its burst may use without delay.
    budget: Limit,
    told: agent_room,
}

/// The most that is kept for an agent, in bytes: known frameworks have a third of that, and none may take the
/// host's memory for good by never making a tool call.
const KEPT_MAX: u64 = 1024 * MB;

/// Nothing is protected, and nothing delayed: as it is without an entry.
const NOTHING: agent_room = agent_room {
    kept_pages: 0,
    budget_pages: u64::MAX,
    protection: agent_protection_PROTECT_NONE,
    unused: 0,
};

/// What is told of an agent that may use `budget`. `taken`: what it has is being reclaimed, all of it.
fn room(a: &Agent, tunables: &Tunables, budget: Limit, taken: bool) -> agent_room {
    let page = rustix::param::page_size() as u64;
    let protection = match a.phase {
        _ if taken => agent_protection_PROTECT_NONE,
        Phase::LlmWait => agent_protection_PROTECT_LOW,
        Phase::Framework => agent_protection_PROTECT_MIN,
        Phase::Tool => agent_protection_PROTECT_NONE,
    };
    let kept_pages = match a.baseline {
        // Before its first tool call all there is is the framework's.
        None if !a.had_tool => KEPT_MAX,
        baseline => tunables.floor(baseline.unwrap_or(a.at_entry)).min(KEPT_MAX),
    } / page;
    let budget_pages = match budget {
        // Whoever sets its memory.high says what it may use.
        Limit::Bytes(bytes) if !a.knob.foreign => bytes / page,
        _ => u64::MAX,
    };
    agent_room { kept_pages, budget_pages, protection, unused: 0 }
}

fn same(a: &agent_room, b: &agent_room) -> bool {
    (a.kept_pages, a.budget_pages, a.protection) == (b.kept_pages, b.budget_pages, b.protection)
}

impl Controller {
    /// Loads the programs, where the kernel has the interface, and attaches them to all agents; anew when
    /// the scheduler was.
    pub(super) fn load_rooms(&mut self, kernel: &Kernel) {
        let Some(variant) = self.variant else { return };
        self.rooms = None;
        match Programs::load(variant, kernel.tasks()) {
            Ok(programs) => {
                info!("memory: this kernel has {}: agents are protected and delayed by it", variant.name());
                self.rooms = Some(Rooms { programs, attached: BTreeMap::new(), busy_said: false });
                let ids: Vec<u64> = self.agents.keys().copied().collect();
                for id in ids {
                    self.attach_room(id);
                }
            }
            Err(e) => warn!("memory: {} cannot be used: {e:#}; memory.high does the work", variant.name()),
        }
    }

    /// Attaches the programs to an agent.
    pub(super) fn attach_room(&mut self, id: u64) {
        let (Some(rooms), Some(a)) = (&mut self.rooms, self.agents.get(&id)) else { return };
        match rooms.programs.attach(a.cgroup.dir()) {
            Ok(link) => {
                debug!("memory: agent {:?}: memcg_bpf_ops attached", a.name);
                let attached = Attached { _link: link, budget: Limit::Max, told: NOTHING };
                rooms.attached.insert(id, attached);
                self.tell_room(id);
            }
            Err(e) if e.raw_os_error() == Some(libc::EBUSY) => {
                if !std::mem::replace(&mut rooms.busy_said, true) {
                    info!(
                        "memory: agent {:?}: memcg_bpf_ops of somebody else are attached to its cgroup or above: \
                         they are left alone, and memory.high does the work, of all such agents",
                        a.name
                    );
                }
            }
            Err(e) => {
                warn!(
                    "memory: agent {:?}: memcg_bpf_ops cannot be attached: {e}; memory.high does the work",
                    a.name
                )
            }
        }
    }

    /// The agent is gone.
    pub(super) fn detach_room(&mut self, id: u64) {
        let Some(rooms) = &mut self.rooms else { return };
        if rooms.attached.remove(&id).is_some() {
            rooms.programs.forget(id);
        }
    }

    /// Detaches the programs from all agents.
    pub(super) fn drop_rooms(&mut self) {
        if let Some(rooms) = self.rooms.take() {
            info!("memory: memcg_bpf_ops detached from {} agents", rooms.attached.len());
        }
    }

    /// True if bursts of the agent are delayed by the programs; not if somebody else steers its memory.
    pub(super) fn delays(&self, id: u64) -> bool {
        self.budget(id).is_some() && self.agents.get(&id).is_some_and(|a| !a.knob.foreign)
    }

    /// What a burst of the agent may use without delay, if the programs are attached.
    pub(super) fn budget(&self, id: u64) -> Option<Limit> {
        self.rooms.as_ref()?.attached.get(&id).map(|at| at.budget)
    }

    /// The agent has gone to another phase: no burst is delayed, until it is said anew.
    pub(super) fn open_room(&mut self, id: u64) {
        if let Some(at) = self.rooms.as_mut().and_then(|r| r.attached.get_mut(&id)) {
            at.budget = Limit::Max;
            self.tell_room(id);
        }
    }

    /// Has the tool calls of an agent delayed while all of it uses more than `budget`; Max: not at all.
    pub(super) fn delay_over(&mut self, id: u64, budget: Limit, rule: &str) {
        let Some(at) = self.rooms.as_mut().and_then(|r| r.attached.get_mut(&id)) else { return };
        if !policy::worth(at.budget, budget) {
            return;
        }
        let old = std::mem::replace(&mut at.budget, budget);
        self.tell_room(id);
        let Some(a) = self.agents.get(&id) else { return };
        info!(
            SCX_AGENT_AGENT = a.name.as_str(), SCX_AGENT_PHASE = a.phase.name(), SCX_AGENT_RULE = rule,
            SCX_AGENT_KNOB = "memcg_bpf_ops", SCX_AGENT_OLD:% = old, SCX_AGENT_NEW:% = budget;
            "memory: agent {:?}: {:?}: rule {rule:?}: current {}, host has {}, PSI {:.1} %: calls are delayed over {} -> \
             {}",
            a.name,
            a.phase,
            mb(a.current),
            mb(self.host.available),
            self.stalls.others_pct(),
            old.human(),
            budget.human()
        );
    }

    /// Tells the programs what has changed of an agent.
    pub(super) fn tell_room(&mut self, id: u64) {
        let taken = self.paused.contains_key(&id) || self.idle.takes_from(id);
        let (Some(rooms), Some(a)) = (&mut self.rooms, self.agents.get(&id)) else { return };
        let Some(at) = rooms.attached.get_mut(&id) else { return };
        let new = room(a, &self.tunables, at.budget, taken);
        if same(&at.told, &new) {
            return;
        }
        match rooms.programs.set(id, &new) {
            Ok(()) => at.told = new,
            // Without an entry nothing is protected or delayed; there is another try at the next tick.
            Err(e) => {
                debug!("memory: agent {:?}: {e:#}", a.name);
                rooms.programs.forget(id);
                at.told = NOTHING;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::knobs::tests::fake;
    use super::super::knobs::Cgroup;
    use super::super::policy::tests::tunables;
    use super::*;
    use std::time::Instant;

    #[test]
    fn frameworks_are_kept_and_bursts_have_budgets() {
        let (root, id) = fake("room", 0);
        let mut a = Agent::new("a".into(), Cgroup::by_id(&root, id).unwrap(), Instant::now());
        let tunables = tunables();
        let page = rustix::param::page_size() as u64;
        let of = |a: &Agent, budget, taken| {
            let r = room(a, &tunables, budget, taken);
            (r.kept_pages, r.budget_pages, r.protection)
        };
        // All it has, before its first tool call, but never more than that.
        let most = KEPT_MAX / page;
        assert_eq!(of(&a, Limit::Max, false), (most, u64::MAX, agent_protection_PROTECT_LOW));
        a.baseline = Some(50 * KEPT_MAX);
        assert_eq!(of(&a, Limit::Max, false).0, most);
        a.baseline = Some(100 * MB);
        let kept = tunables.floor(100 * MB) / page;
        a.enter(Phase::Framework, Instant::now());
        assert_eq!(of(&a, Limit::Max, false), (kept, u64::MAX, agent_protection_PROTECT_MIN));
        assert_eq!(of(&a, Limit::Max, true).2, agent_protection_PROTECT_NONE, "an operator has paused it");
        a.enter(Phase::Tool, Instant::now());
        let budget = Limit::Bytes(300 * MB);
        assert_eq!(of(&a, budget, false), (kept, 300 * MB / page, agent_protection_PROTECT_NONE));
        a.knob.foreign = true;
        assert_eq!(of(&a, budget, false).1, u64::MAX, "what it may use is somebody else's to say");
        a.enter(Phase::LlmWait, Instant::now());
        assert_eq!(of(&a, Limit::Max, false), (kept, u64::MAX, agent_protection_PROTECT_LOW));
        std::fs::remove_dir_all(root).unwrap();
    }
}
