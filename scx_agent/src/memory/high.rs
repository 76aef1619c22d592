// SPDX-License-Identifier: GPL-2.0-only
//! The limits of agents: each is set here, said, and looked after, as others may set it, too.

use super::agent::Trouble;
use super::controller::Controller;
use super::knobs::is_gone;
use super::limit::{mb, Limit};
use log::{debug, info, warn};
use std::sync::atomic::Ordering;

/// Knobs that are checked at a time: where there are more, each has its turn later.
const CHECKED: usize = 128;

impl Controller {
    /// Notices what others have written.
    pub(super) fn check_knobs(&mut self) {
        let written = self.agents.iter().filter(|(_, a)| a.knob.last().is_some() && !a.knob.foreign);
        let mut ids: Vec<u64> = written.map(|(id, _)| *id).collect();
        let begin = ids.partition_point(|id| *id < self.check_from);
        ids.rotate_left(begin);
        self.check_from = ids.get(CHECKED).copied().unwrap_or(0);
        ids.truncate(CHECKED);
        for id in ids {
            let Some(a) = self.agents.get_mut(&id) else { continue };
            if let Err(e) = a.knob.check(&a.cgroup, &mut self.journal) {
                self.trouble(id, e);
            }
        }
    }

    /// Sets an agent's memory.high, None for the original, and says so.
    pub(super) fn set(&mut self, id: u64, to: Option<Limit>, rule: &str) {
        let Some(a) = self.agents.get_mut(&id) else { return };
        if a.knob.broken && to.is_some() {
            return;
        }
        match a.knob.set(&a.cgroup, &mut self.journal, to) {
            Ok(None) => (),
            Ok(Some(old)) => {
                self.counters.high_writes.fetch_add(1, Ordering::Relaxed);
                let new = a.knob.last().unwrap_or(old);
                info!(
                    SCX_AGENT_AGENT = a.name.as_str(), SCX_AGENT_PHASE = a.phase.name(), SCX_AGENT_RULE = rule,
                    SCX_AGENT_KNOB = "memory.high", SCX_AGENT_OLD:% = old, SCX_AGENT_NEW:% = new;
                    "memory: agent {:?}: {:?}: rule {rule:?}: current {}, baseline {}, host has {}, PSI {:.1} %: \
                     memory.high {old} -> {new}, {} ms into the phase",
                    a.name,
                    a.phase,
                    mb(a.current),
                    mb(a.baseline.unwrap_or(0)),
                    mb(self.host.available),
                    self.stalls.others_pct(),
                    a.since.elapsed().as_micros() as f64 / 1e3
                );
            }
            Err(e) => self.trouble(id, e),
        }
    }

    /// Says what went wrong with an agent, once.
    pub(super) fn trouble(&mut self, id: u64, trouble: Trouble) {
        let Some(a) = self.agents.get_mut(&id) else { return };
        match trouble {
            Trouble::Io(e) if is_gone(&e) => self.gone(id),
            Trouble::Foreign { found, left } => {
                self.counters.foreign.fetch_add(1, Ordering::Relaxed);
                a.wanted.store(false, Ordering::Relaxed);
                warn!(
                    SCX_AGENT_AGENT = a.name.as_str(), SCX_AGENT_RULE = "foreign", SCX_AGENT_KNOB = "memory.high",
                    SCX_AGENT_OLD:% = left, SCX_AGENT_NEW:% = found;
                    "memory: agent {:?}: memory.high is {found} and not {left} as we left it: somebody else sets it, \
                     so it is left alone from now on",
                    a.name
                );
            }
            Trouble::Journal(e) if !a.knob.broken => {
                a.knob.broken = true;
                warn!("memory: agent {:?}: {e:#}; its limit is not lowered any more", a.name);
            }
            Trouble::Io(e) if !a.knob.broken => {
                a.knob.broken = true;
                warn!("memory: agent {:?}: {e}; its limit is not lowered any more", a.name);
            }
            Trouble::Journal(e) => debug!("memory: agent {:?}: {e:#}", a.name),
            Trouble::Io(e) => debug!("memory: agent {:?}: {e}", a.name),
        }
    }
}
