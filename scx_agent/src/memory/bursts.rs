// SPDX-License-Identifier: GPL-2.0-only
//! Tool calls on a host that runs short.

use super::apart::Apart;
use super::controller::Controller;
use super::limit::{Limit, MB};
use super::policy::{self, Burst};
use super::worker::Why;
use crate::agents::Phase;
use crate::bpf_intf::AGENT_MAX_BRAKES;
use std::cmp::Reverse;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Instant;

/// The most that is taken from a burst before the next look, in bytes.
const TAKEN_MAX: u64 = 256 * MB;

impl Controller {
    /// Shares what the host has left among the bursts: the most important first, of equals the oldest.
    pub(super) fn share(&mut self) {
        self.shared = Instant::now();
        let begun: Vec<(u64, Instant)> = self
            .agents
            .iter()
            .filter(|(_, a)| a.phase == Phase::Tool)
            .map(|(id, a)| (*id, a.since))
            .collect();
        let mut found = Vec::new();
        for (id, since) in begun {
            match self.burst(id) {
                Ok((burst, high)) => found.push((burst, since, (id, high))),
                Err(e) => self.trouble(id, e.into()),
            }
        }
        found.sort_by_key(|(burst, since, _)| (Reverse(burst.weight), *since));
        let (bursts, shared): (Vec<Burst>, Vec<_>) = found.into_iter().map(|(b, _, s)| (b, s)).unzip();
        let headroom = (self.host.available as i64).saturating_sub(self.tunables.reserve as i64);
        let open_from = self.open_from();
        let grants = policy::share(&bursts, headroom, open_from);
        let urgent = policy::urgent(&bursts, open_from);
        let mut over = Vec::new();
        for (((id, found), burst), grant) in shared.into_iter().zip(&bursts).zip(&grants) {
            if policy::worth(found, grant.high) {
                self.hold(id, grant.high, grant.rule);
            }
            self.take_back(id, policy::take_back(burst, grant, urgent));
            match policy::over_share(burst, grant) && self.agents.get(&id).is_some_and(|a| !a.knob.foreign) {
                true => over.push((id, grant.rule)),
                false => self.brake(id, false, grant.rule),
            }
        }
        // There are places for so many: those are taken that are last in line.
        let spared = over.len().saturating_sub(AGENT_MAX_BRAKES as usize);
        for (i, (id, rule)) in over.into_iter().enumerate() {
            self.brake(id, i >= spared, rule);
        }
    }

    /// Takes `bytes` of a burst, a part of them at a time; 0: no more.
    fn take_back(&mut self, id: u64, bytes: u64) {
        let Some(a) = self.agents.get_mut(&id) else { return };
        // Of one whose calls have cgroups of their own the limits of those do.
        if bytes < policy::STEP_MIN || a.knob.foreign || a.apart == Apart::Yes {
            a.wanted.store(false, Ordering::Relaxed);
            return;
        }
        if a.reclaiming || !a.retry.is_due(self.shared) {
            return;
        }
        a.wanted = Arc::new(AtomicBool::new(true));
        let _ = self.jobs.send(a.reclaim(bytes.min(TAKEN_MAX), false, Why::Burst));
    }

    fn burst(&mut self, id: u64) -> io::Result<(Burst, Limit)> {
        let a = self.agents.get_mut(&id).ok_or(io::ErrorKind::NotFound)?;
        let (current, events, found) = (a.cgroup.current()?, a.cgroup.high_events(), a.cgroup.high()?);
        let bounds = a.bounds(&self.tunables, a.original(found))?;
        if a.high_events != Some(events) || current > a.current {
            a.grew = Some(Instant::now());
        }
        let needs = a.grew.is_some_and(|at| at.elapsed() < policy::NEEDS);
        (a.current, a.high_events) = (current, Some(events));
        let found = if a.apart == Apart::Yes { a.calls_high } else { found };
        let burst = Burst { current, needs, weight: a.cgroup.weight()?, bounds };
        Ok((burst, self.budget(id).unwrap_or(found)))
    }
}
