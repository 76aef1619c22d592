// SPDX-License-Identifier: GPL-2.0-only
//! Agents that wait for their model: what they need is learned, what their tools left is reclaimed,
//! and the limit settles above what they use.

use super::agent::Agent;
use super::controller::Controller;
use super::limit::{mb, Limit};
use super::policy::{self, Settled, Trust, Tunables};
use super::worker::{Reclaimed, Why};
use log::info;
use std::io;
use std::sync::atomic::Ordering;
use std::time::Instant;

impl Controller {
    /// Looks at an agent in LLM wait.
    pub(super) fn review(&mut self, id: u64, now: Instant) {
        let (tunables, pressed) = (&self.tunables, self.pressed());
        let Some(a) = self.agents.get_mut(&id) else { return };
        let waited = now.duration_since(a.since);
        if a.knob.foreign || now < a.review_at || (waited < tunables.settle && !pressed) {
            return;
        }
        let (settled, found) = match look(a, tunables, pressed, now) {
            Ok(looked) => looked,
            Err(e) => return self.trouble(id, e.into()),
        };
        a.high_events.get_or_insert_with(|| a.cgroup.high_events());
        let lower = policy::worth(found, settled.high);
        let reclaim = settled.reclaim > 0 && !a.reclaiming && a.retry.is_due(now);
        a.review_later(now, lower || a.reclaiming || reclaim);
        if reclaim {
            let _ = self.jobs.send(a.reclaim(settled.reclaim, settled.cache_only, Why::Leftovers));
        }
        if lower {
            self.set(id, Some(settled.high), settled.rule);
        }
    }

    /// Gives an agent that has run into its limit in LLM wait room to grow: something that a tool
    /// left running needs it, or the framework, and the host has it.
    pub(super) fn relieve(&mut self, id: u64, rule: &str, now: Instant) {
        let Some(a) = self.agents.get_mut(&id) else { return };
        let bounds = || -> io::Result<_> {
            let (current, found) = (a.cgroup.current()?, a.cgroup.high()?);
            Ok((current, a.bounds(&self.tunables, a.original(found))?, found))
        };
        match bounds() {
            Ok((current, bounds, found)) => {
                a.current = current;
                // What it has got is not taken back at once.
                a.retry.later(now);
                a.review_later(now, false);
                let high = policy::relief(current, &bounds);
                // It may be told twice of the same, and have room already.
                if policy::near(current, found) && high > found {
                    self.set(id, Some(high), rule);
                }
            }
            Err(e) => self.trouble(id, e.into()),
        }
    }

    /// Counts what a reclaim job has got.
    pub(super) fn count_reclaimed(&self, answer: &Reclaimed) {
        self.counters.reclaimed.fetch_add(answer.got, Ordering::Relaxed);
    }

    /// Takes the answer to a job for leftovers or of a burst.
    pub(super) fn reclaimed(&mut self, answer: Reclaimed, now: Instant) {
        self.count_reclaimed(&answer);
        let Some(a) = self.agents.get_mut(&answer.id) else { return };
        a.reclaiming = false;
        a.review_at = now;
        let rule = match answer.why {
            Why::Burst => "later burst gives back",
            _ => "reclaim leftovers",
        };
        info!(
            SCX_AGENT_AGENT = a.name.as_str(), SCX_AGENT_PHASE = a.phase.name(), SCX_AGENT_RULE = rule,
            SCX_AGENT_KNOB = "memory.reclaim", SCX_AGENT_ASKED = answer.asked, SCX_AGENT_GOT = answer.got;
            "memory: agent {:?}: {:?}: rule {rule:?}: baseline {}: memory.reclaim {}, got {}",
            a.name,
            a.phase,
            mb(a.baseline.unwrap_or(0)),
            mb(answer.asked),
            mb(answer.got)
        );
        match answer.result {
            Ok(()) => (),
            Err(e) if e.raw_os_error() == Some(libc::EAGAIN) => a.retry.later(now),
            Err(e) => {
                a.retry.later(now);
                self.trouble(answer.id, e.into());
            }
        }
    }
}

/// What an agent uses now, what it needs by that, and what is to be done; and its limit.
fn look(a: &mut Agent, tunables: &Tunables, pressed: bool, now: Instant) -> io::Result<(Settled, Limit)> {
    let usage = a.cgroup.usage()?;
    let stalled_us = a.cgroup.stalled_us();
    let (last, stalled) = match a.looked {
        Some((at, us)) => {
            let part = (stalled_us - us.min(stalled_us)) as f32 / 1e4;
            let s = now.duration_since(at).as_secs_f32().max(1e-3);
            (at, part / s > policy::AGENT_STALLED_PCT)
        }
        None => (a.since, false),
    };
    a.looked = Some((now, stalled_us));
    a.current = usage.current;
    let elapsed = now.duration_since(last);
    let trust = match (a.had_tool, stalled) {
        (false, _) => Trust::OnlyFramework,
        (true, true) => Trust::Stalls,
        (true, false) => Trust::No,
    };
    a.baseline = Some(policy::baseline(a.baseline, &usage, elapsed, trust));
    let found = a.cgroup.high()?;
    let bounds = a.bounds(tunables, a.original(found))?;
    Ok((policy::settle(&usage, &bounds, stalled, pressed), found))
}
