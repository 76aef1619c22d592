// SPDX-License-Identifier: GPL-2.0-only
//! Agents that have done nothing for long, on a host that runs short (`idle_after`): what they hold is
//! reclaimed little by little, of the one that has been idle longest first. Nothing is frozen, limited or
//! killed for that, and it ends as soon as the agent does something or the host has memory again.

use super::controller::Controller;
use super::limit::{mb, MB};
use super::retry::Retry;
use super::worker::{Job, Reclaimed, Why};
use crate::agents::Phase;
use log::{log, Level};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Who uses less has nothing worth a step.
const LEAST: u64 = 16 * MB;
/// Time over which an agent's CPU use is looked at before a step.
const LOOK: Duration = Duration::from_secs(2);
/// Share of that time on one CPU from which an agent does something, whatever its phase says.
const BUSY_PCT: u128 = 1;
/// Longest pause after a step that found too little.
const RETRY_MAX: Duration = Duration::from_secs(64);

/// What is known of one agent that waits for long enough.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// When its wait began: another one is another wait.
    since: Instant,
    /// When it was looked at, and its CPU time then, in us.
    at: Instant,
    cpu_us: u64,
    verdict: Verdict,
    /// When the next step may be.
    retry: Retry,
}

/// Whether an agent does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It has not been looked at for long enough since the last step.
    Unknown,
    Busy,
    Idle,
}

impl Look {
    fn new(since: Instant, cpu_us: u64, now: Instant) -> Look {
        let retry = Retry::new(now, RETRY_MAX);
        Look { since, at: now, cpu_us, verdict: Verdict::Unknown, retry }
    }

    /// Whether it is time for another look.
    fn is_due(&self, now: Instant) -> bool {
        now.duration_since(self.at) >= LOOK
    }

    /// The agent has used so much CPU time by now.
    fn at(&mut self, cpu_us: u64, now: Instant) {
        let passed_us = now.duration_since(self.at).as_micros();
        let used_us = u128::from(cpu_us.saturating_sub(self.cpu_us));
        self.verdict = if used_us * 100 < passed_us * BUSY_PCT { Verdict::Idle } else { Verdict::Busy };
        (self.at, self.cpu_us) = (now, cpu_us);
    }

    /// Notes what came of a step: before the next one there is a new look.
    fn stepped(&mut self, found_all: bool, now: Instant) {
        self.verdict = Verdict::Unknown;
        match found_all {
            true => self.retry.anew(now),
            false => self.retry.later(now),
        }
    }
}

/// The agents that are looked at, and the one that is reclaimed from now.
#[derive(Debug, Default)]
pub struct Idle {
    looks: BTreeMap<u64, Look>,
    reclaiming: Option<u64>,
    /// The waits, by when they began, of which it was said that they are reclaimed from.
    told: BTreeMap<u64, Instant>,
}

impl Idle {
    /// True if all that the agent with cgroup `id` has is being reclaimed.
    pub fn takes_from(&self, id: u64) -> bool {
        self.reclaiming == Some(id)
    }

    /// True if nobody is looked at, as there is no pressure or nobody idle.
    #[cfg(test)]
    pub fn is_none(&self) -> bool {
        self.looks.is_empty() && self.reclaiming.is_none()
    }
}

impl Controller {
    /// What is done for idle agents on the timer: at most one step at a time.
    pub(super) fn tick_idle(&mut self, now: Instant) {
        let agents = &self.agents;
        self.idle.told.retain(|id, since| agents.get(id).is_some_and(|a| a.since == *since));
        let Some(after) = self.tunables.idle_after.filter(|_| self.short) else {
            return self.idle.looks.clear();
        };
        let mut waiting: Vec<(Instant, u64)> = self
            .agents
            .iter()
            .filter(|(id, a)| a.phase == Phase::LlmWait && !a.knob.foreign && !self.paused.contains_key(id))
            .map(|(id, a)| (a.since, *id))
            .filter(|(since, _)| now.duration_since(*since) >= after)
            .collect();
        waiting.sort_unstable();
        self.idle.looks.retain(|id, look| waiting.contains(&(look.since, *id)));
        if self.idle.reclaiming.is_some() {
            return;
        }
        for (since, id) in waiting {
            let Some(a) = self.agents.get(&id) else { continue };
            let fresh = || Look::new(since, a.cgroup.cpu_us(), now);
            let look = self.idle.looks.entry(id).or_insert_with(fresh);
            if look.is_due(now) {
                look.at(a.cgroup.cpu_us(), now);
            }
            let has_some = || a.cgroup.current().is_ok_and(|current| current >= LEAST);
            if look.verdict == Verdict::Busy || !look.retry.is_due(now) || a.reclaiming || !has_some() {
                continue;
            }
            // Until that is known nobody else has a turn who has waited for less.
            if look.verdict == Verdict::Idle {
                self.idle.reclaiming = Some(id);
                let (cgroup, wanted) = (a.cgroup.clone(), a.wanted.clone());
                let _ = self.jobs.send(Job::step(cgroup, wanted, Why::Idle));
            }
            return;
        }
    }

    /// Takes the answer to a job of [`Controller::tick_idle`].
    pub(super) fn reclaimed_idle(&mut self, answer: &Reclaimed, now: Instant) {
        self.idle.reclaiming = None;
        self.count_reclaimed(answer);
        if let Some(look) = self.idle.looks.get_mut(&answer.id) {
            look.stepped(answer.result.is_ok(), now);
        }
        let Some(a) = self.agents.get_mut(&answer.id) else { return };
        // The first step of each wait is said to everybody.
        let first = self.idle.told.insert(answer.id, a.since) != Some(a.since);
        let level = if first { Level::Warn } else { Level::Info };
        let current = a.cgroup.current().unwrap_or(a.current);
        let idle_s = now.duration_since(a.since).as_secs();
        log!(
            level, SCX_AGENT_AGENT = a.name.as_str(), SCX_AGENT_PHASE = a.phase.name(), SCX_AGENT_RULE = "idle under pressure",
            SCX_AGENT_KNOB = "memory.reclaim", SCX_AGENT_ASKED = answer.asked, SCX_AGENT_GOT = answer.got;
            "memory: agent {:?}: {:?}: rule \"idle under pressure\": idle for {idle_s} s, host has {}, PSI {:.1} %: \
             memory.reclaim {}, got {}, current {}",
            a.name, a.phase, mb(self.host.available), self.stalls.others_pct(), mb(answer.asked), mb(answer.got), mb(current)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_uses_a_cpu_is_not_idle() {
        let now = Instant::now();
        let mut look = Look::new(now, 1_000, now);
        assert!(!look.is_due(now + LOOK / 2) && look.is_due(now + LOOK));
        let mut says = |cpu_us, looks| {
            look.at(cpu_us, now + looks * LOOK);
            look.verdict
        };
        assert_eq!(says(20_000, 1), Verdict::Idle, "0.95 % of 2 s");
        assert_eq!(says(41_000, 2), Verdict::Busy, "1.05 %");
        assert_eq!(says(41_000, 3), Verdict::Idle, "only what it has used since");
    }

    #[test]
    fn before_a_step_there_is_a_new_look_and_what_gives_nothing_waits() {
        let mut now = Instant::now();
        let mut look = Look::new(now, 0, now);
        for s in [1, 2, 4, 8, 16, 32, 64, 64] {
            now += LOOK;
            look.at(0, now);
            assert_eq!(look.verdict, Verdict::Idle);
            look.stepped(false, now);
            let at = now + Duration::from_secs(s);
            assert!(look.retry.is_due(at) && !look.retry.is_due(at - Duration::from_nanos(1)), "{s} s");
            assert_eq!(look.verdict, Verdict::Unknown);
        }
        look.stepped(true, now);
        assert_eq!(look.retry, Retry::new(now, RETRY_MAX));
    }
}
