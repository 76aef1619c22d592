// SPDX-License-Identifier: GPL-2.0-only
//! Agents that an operator has paused: frozen, then reclaimed little by little, for a time that ends
//! by itself. What is frozen is in the journal, so that it thaws however the daemon ends.

use super::controller::Controller;
use super::journal::{Change, Place};
use super::knobs::{is_gone, Cgroup};
use super::limit::mb;
use super::retry::Retry;
use super::worker::{Job, Reclaimed, Why};
use log::warn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// Longest pause after a step that found too little.
const RETRY_MAX: Duration = Duration::from_secs(64);

/// One paused agent.
#[derive(Debug)]
pub struct Paused {
    name: String,
    cgroup: Arc<Cgroup>,
    since: Instant,
    until: Instant,
    reclaiming: bool,
    retry: Retry,
    /// In bytes.
    reclaimed: u64,
    /// Lets a reclaim job go on.
    wanted: Arc<AtomicBool>,
}

impl Controller {
    /// Freezes the agent whose cgroup is `id`, for at most `time`; of one that is paused, the time
    /// begins anew. What was done, in a sentence.
    ///
    /// # Errors
    /// It is frozen by somebody else, gone, or cannot be frozen.
    pub(super) fn pause(
        &mut self,
        id: u64,
        name: &str,
        time: Duration,
        now: Instant,
    ) -> Result<String, String> {
        let until = now + time;
        if let Some(p) = self.paused.get_mut(&id) {
            p.until = until;
            return Ok(format!(
                "agent {name:?} was paused already, and is now for {} s more",
                time.as_secs()
            ));
        }
        let told = |e: &dyn std::fmt::Display| format!("agent {name:?} cannot be paused: {e}");
        let cgroup = Cgroup::by_id(&self.root, id).map_err(|e| told(&e))?;
        if cgroup.frozen().map_err(|e| told(&e))? {
            return Err(told(&"somebody else has frozen its cgroup, and it is left to them"));
        }
        let place = Place { cgroup: cgroup.path.clone(), id };
        self.journal.note_place(Change::Frozen, place).map_err(|e| told(&format!("{e:#}")))?;
        if let Err(e) = cgroup.set_frozen(true) {
            self.forget_place(Change::Frozen, id);
            return Err(told(&e));
        }
        warn!(
            SCX_AGENT_AGENT = name, SCX_AGENT_RULE = "paused by an operator", SCX_AGENT_KNOB = "cgroup.freeze",
            SCX_AGENT_OLD = "0", SCX_AGENT_NEW = "1";
            "memory: agent {name:?}: paused for at most {} s", time.as_secs()
        );
        let paused = Paused {
            name: name.into(),
            cgroup: Arc::new(cgroup),
            since: now,
            until,
            reclaiming: false,
            retry: Retry::new(now, RETRY_MAX),
            reclaimed: 0,
            wanted: Arc::new(AtomicBool::new(true)),
        };
        self.paused.insert(id, paused);
        self.count_paused();
        Ok(format!(
            "agent {name:?} is paused; it goes on after `scx_agent resume`, or in {} s",
            time.as_secs()
        ))
    }

    /// Lets a paused agent go on, and says why.
    ///
    /// # Errors
    /// It is not paused, or cannot be let go: then it is tried again.
    pub(super) fn resume(&mut self, id: u64, name: &str, why: &str, now: Instant) -> Result<String, String> {
        let Some(p) = self.paused.get(&id) else { return Err(format!("agent {name:?} is not paused")) };
        p.wanted.store(false, Ordering::Relaxed);
        match p.cgroup.set_frozen(false) {
            Err(e) if !is_gone(&e) => return Err(format!("agent {name:?} cannot be resumed: {e}")),
            _ => (),
        }
        let told = format!(
            "agent {name:?} goes on after {:.1} s ({why}); {} were reclaimed",
            now.duration_since(p.since).as_secs_f64(),
            mb(p.reclaimed)
        );
        warn!(
            SCX_AGENT_AGENT = name, SCX_AGENT_RULE = why, SCX_AGENT_KNOB = "cgroup.freeze", SCX_AGENT_OLD = "1",
            SCX_AGENT_NEW = "0";
            "memory: {told}"
        );
        self.forget_paused(id);
        Ok(told)
    }

    /// What is done for paused agents on the timer.
    pub(super) fn tick_paused(&mut self, now: Instant) {
        for id in self.paused.keys().copied().collect::<Vec<_>>() {
            let Some(p) = self.paused.get_mut(&id) else { continue };
            let name = p.name.clone();
            if now >= p.until {
                if let Err(e) = self.resume(id, &name, "its time is over", now) {
                    warn!("memory: {e}");
                }
                continue;
            }
            match p.cgroup.frozen() {
                Ok(true) => (),
                Ok(false) => {
                    warn!("memory: agent {name:?} was paused, and somebody else lets it go on: so be it");
                    self.forget_paused(id);
                    continue;
                }
                Err(_) => continue, // gone, which is told soon
            }
            if !p.reclaiming && p.retry.is_due(now) && p.cgroup.has_memory() {
                p.reclaiming = true;
                let (cgroup, wanted) = (p.cgroup.clone(), p.wanted.clone());
                let _ = self.jobs.send(Job::step(cgroup, wanted, Why::Paused));
            }
        }
    }

    /// Takes the answer to a job of [`Controller::tick_paused`].
    pub(super) fn reclaimed_paused(&mut self, answer: &Reclaimed, now: Instant) {
        self.count_reclaimed(answer);
        let Some(p) = self.paused.get_mut(&answer.id) else { return };
        p.reclaiming = false;
        p.reclaimed += answer.got;
        match answer.result {
            Ok(()) => p.retry.anew(now),
            Err(_) => p.retry.later(now),
        }
    }

    /// It is not paused any more, or not there.
    pub(super) fn forget_paused(&mut self, id: u64) {
        if let Some(p) = self.paused.remove(&id) {
            p.wanted.store(false, Ordering::Relaxed);
            self.forget_place(Change::Frozen, id);
            self.count_paused();
        }
    }

    fn count_paused(&self) {
        let paused = self.paused.keys().copied().collect();
        *self.counters.paused.lock().unwrap_or_else(PoisonError::into_inner) = paused;
    }
}
