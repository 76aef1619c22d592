// SPDX-License-Identifier: GPL-2.0-only
//! The memory brake: while the host runs short, the scheduler dispatches calls less that take more than their
//! share (`bpf/brake.bpf.h`). It is renewed at each look, and ends by itself if it is not.

use super::controller::Controller;
use super::limit::mb;
use crate::kernel::Kernel;
use log::info;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

/// The agents whose calls are braked, and by what.
#[derive(Debug)]
pub struct Brakes {
    kernel: Kernel,
    on: BTreeSet<u64>,
}

impl Brakes {
    pub fn new(kernel: Kernel) -> Brakes {
        Brakes { kernel, on: BTreeSet::new() }
    }
}

impl Controller {
    /// Has the calls of an agent dispatched less, or as ever.
    pub(super) fn brake(&mut self, id: u64, on: bool, rule: &str) {
        let on = on && !self.tunables.no_brake;
        let Some(brakes) = &mut self.brakes else { return };
        let was = brakes.on.contains(&id);
        if !on && !was {
            return;
        }
        // Of one that is gone there is nothing to end.
        let is = brakes.kernel.brake(id, on) && on;
        match is {
            true => brakes.on.insert(id),
            false => brakes.on.remove(&id),
        };
        self.counters.braked.store(brakes.on.len() as u64, Ordering::Relaxed);
        let Some(a) = self.agents.get(&id).filter(|_| is != was) else { return };
        let said = |on| if on { "on" } else { "off" };
        info!(
            SCX_AGENT_AGENT = a.name.as_str(), SCX_AGENT_PHASE = a.phase.name(), SCX_AGENT_RULE = rule,
            SCX_AGENT_KNOB = "brake", SCX_AGENT_OLD = said(was), SCX_AGENT_NEW = said(is);
            "memory: agent {:?}: {:?}: rule {rule:?}: current {}, host has {}, PSI {:.1} %: brake on its calls {} -> {}",
            a.name,
            a.phase,
            mb(a.current),
            mb(self.host.available),
            self.stalls.others_pct(),
            said(was),
            said(is)
        );
    }
}
