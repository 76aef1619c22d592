// SPDX-License-Identifier: GPL-2.0-only
//! The controller's thread: phases come in as the kernel half reports them, limits go out at once;
//! what has to be watched is looked at on a timer.

use super::agent::{Agent, Trouble};
use super::guard::Guard;
use super::host::Host;
use super::journal::Journal;
use super::knobs::{is_gone, Cgroup};
use super::limit::{mb, Limit};
use super::policy::{self, Burst, Trust, Tunables};
use super::restore::restore;
use super::worker::{Job, Reclaimed};
use super::Counters;
use crate::agents::Phase;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender};
use log::{debug, info, warn};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time between two looks at the host and at bursts.
const TICK_BUSY: Duration = Duration::from_millis(250);
/// The same while nothing but settled waits is there.
const TICK_IDLE: Duration = Duration::from_secs(1);

/// What the controller is told.
#[derive(Debug)]
pub enum Message {
    /// A cgroup is an agent.
    Found { id: u64, name: String },
    /// An agent's cgroup was removed.
    Gone { id: u64 },
    /// An agent goes to another phase; `at` is when the daemon was told.
    Phase { id: u64, to: Phase, at: Instant },
    /// What a reclaim job came to.
    Reclaimed(Reclaimed),
    /// Put everything back and end.
    Stop,
}

/// All that the controller knows. Dropping it puts every knob back, also when it panics.
pub struct Controller {
    pub tunables: Tunables,
    /// The cgroup v2 mount.
    pub root: PathBuf,
    pub journal: Journal,
    pub jobs: Sender<Job>,
    pub counters: Arc<Counters>,
    /// How the host's memory is found out.
    pub look: fn() -> anyhow::Result<Host>,
    pub agents: BTreeMap<u64, Agent>,
    pub host: Host,
    pub pressed: bool,
    /// When the knobs were last checked for values of others.
    pub checked: Instant,
    pub guard: Option<Guard>,
}

impl Controller {
    /// Serves until [`Message::Stop`].
    pub fn run(mut self, messages: &Receiver<Message>) {
        let mut ticked = Instant::now();
        loop {
            match messages.recv_deadline(ticked + self.period()) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(message) => self.handle(message, Instant::now()),
                Err(RecvTimeoutError::Timeout) => (),
            }
            let now = Instant::now();
            if now >= ticked + self.period() {
                ticked = now;
                self.tick(now);
            }
        }
    }

    fn period(&self) -> Duration {
        let busy = |a: &Agent| match a.phase {
            Phase::LlmWait => a.reclaiming || a.looked.is_none(),
            Phase::Framework => false,
            Phase::Tool => true,
        };
        if self.agents.values().any(busy) {
            TICK_BUSY
        } else {
            TICK_IDLE
        }
    }

    /// Takes one message.
    pub fn handle(&mut self, message: Message, now: Instant) {
        match message {
            Message::Found { id, name } => self.found(id, name, now),
            Message::Gone { id } => self.gone(id),
            Message::Phase { id, to, at } => self.phase(id, to, at),
            Message::Reclaimed(answer) => self.reclaimed(answer, now),
            Message::Stop => (),
        }
    }

    fn found(&mut self, id: u64, name: String, now: Instant) {
        if let Some(a) = self.agents.get_mut(&id) {
            // Told again by a scheduler that was restarted.
            a.enter(Phase::LlmWait, now);
            return;
        }
        match Cgroup::by_id(&self.root, id) {
            Ok(cgroup) if cgroup.has_memory() => {
                self.agents.insert(id, Agent::new(name, cgroup, now));
            }
            Ok(_) => info!("memory: agent {name:?} has no memory.high: left alone"),
            Err(e) if is_gone(&e) => debug!("memory: agent {name:?} is gone already"),
            Err(e) => warn!("memory: cannot open the cgroup of agent {name:?}: {e}; left alone"),
        }
    }

    fn gone(&mut self, id: u64) {
        if let Some(a) = self.agents.remove(&id) {
            a.wanted.store(false, Ordering::Relaxed);
            debug!("memory: agent {:?} is gone", a.name);
        }
        if let Err(e) = self.journal.forget(id) {
            warn!("memory: {e:#}");
        }
    }

    /// A phase change. What needs memory gets it before anything else is done.
    fn phase(&mut self, id: u64, to: Phase, at: Instant) {
        let Some(a) = self.agents.get_mut(&id) else { return };
        a.enter(to, at);
        match to {
            Phase::LlmWait => (),
            Phase::Tool if self.pressed => {
                a.current = a.cgroup.current().unwrap_or(a.current);
                self.share();
            }
            Phase::Framework => self.set(id, None, "the framework is never held"),
            Phase::Tool => self.set(id, None, "a burst opens"),
        }
    }

    /// What is done on the timer.
    pub fn tick(&mut self, now: Instant) {
        match (self.look)() {
            Ok(host) => self.host = host,
            Err(e) => debug!("memory: {e:#}"),
        }
        let was = self.pressed;
        self.pressed = self.tunables.pressed(was, self.host.available, self.host.some_avg10);
        if was != self.pressed {
            info!(
                "memory: host {} pressure: {} available, reserve {}, PSI some avg10 {:.1} %",
                if self.pressed { "under" } else { "no longer under" },
                mb(self.host.available),
                mb(self.tunables.reserve),
                self.host.some_avg10
            );
        }
        if now >= self.checked + TICK_IDLE {
            self.checked = now;
            self.check_knobs();
        }
        let ids: Vec<u64> = self.agents.keys().copied().collect();
        for id in ids {
            match self.agents.get(&id).map(|a| a.phase) {
                Some(Phase::LlmWait) => self.review(id, now),
                // Open already, unless the write failed or pressure has ended.
                Some(Phase::Framework) => self.set(id, None, "the framework is never held"),
                Some(Phase::Tool) if !self.pressed => self.set(id, None, "no pressure: bursts are open"),
                _ => (),
            }
        }
        if self.pressed {
            self.share();
        }
        let limited = self.agents.values().filter(|a| a.knob.limited()).count() as u64;
        self.counters.limited.store(limited, Ordering::Relaxed);
    }

    /// Notices what others have written, and the end of the guard.
    fn check_knobs(&mut self) {
        if let Some(guard) = &mut self.guard {
            guard.check();
        }
        let written = self.agents.iter().filter(|(_, a)| a.knob.last().is_some() && !a.knob.foreign);
        for id in written.map(|(id, _)| *id).collect::<Vec<_>>() {
            let Some(a) = self.agents.get_mut(&id) else { continue };
            if let Err(e) = a.knob.check(&a.cgroup, &mut self.journal) {
                self.trouble(id, e);
            }
        }
    }

    /// Looks at an agent in LLM wait.
    fn review(&mut self, id: u64, now: Instant) {
        let (tunables, pressed) = (&self.tunables, self.pressed);
        let Some(a) = self.agents.get_mut(&id) else { return };
        let waited = now.duration_since(a.since);
        if a.knob.foreign || now < a.review_at || (waited < tunables.settle && !pressed) {
            return;
        }
        let mut look = || -> io::Result<_> {
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
        };
        let (settled, found) = match look() {
            Ok(looked) => looked,
            Err(e) => return self.trouble(id, e.into()),
        };
        let lower = policy::worth(found, settled.high);
        let reclaim = settled.reclaim > 0 && !a.reclaiming && now >= a.reclaim_at;
        a.review_later(now, lower || a.reclaiming || reclaim);
        if reclaim {
            a.reclaiming = true;
            let (cgroup, wanted) = (a.cgroup.clone(), a.wanted.clone());
            let job = Job { cgroup, bytes: settled.reclaim, cache_only: settled.cache_only, wanted };
            let _ = self.jobs.send(job);
        }
        if lower {
            self.set(id, Some(settled.high), settled.rule);
        }
    }

    /// Shares what the host has left among the bursts, oldest first.
    fn share(&mut self) {
        let mut ids: Vec<u64> =
            self.agents.iter().filter(|(_, a)| a.phase == Phase::Tool).map(|(id, _)| *id).collect();
        ids.sort_by_key(|id| self.agents[id].since);
        let mut bursts = Vec::new();
        let mut shared = Vec::new();
        for id in ids {
            match self.burst(id) {
                Ok((burst, found)) => {
                    bursts.push(burst);
                    shared.push((id, found));
                }
                Err(e) => self.trouble(id, e.into()),
            }
        }
        let headroom = (self.host.available as i64).saturating_sub(self.tunables.reserve as i64);
        for ((id, found), grant) in shared.into_iter().zip(policy::share(&bursts, headroom)) {
            if policy::worth(found, grant.high) {
                self.set(id, Some(grant.high), grant.rule);
            }
        }
    }

    fn burst(&mut self, id: u64) -> io::Result<(Burst, Limit)> {
        let a = self.agents.get_mut(&id).ok_or(io::ErrorKind::NotFound)?;
        let (current, events, found) = (a.cgroup.current()?, a.cgroup.high_events(), a.cgroup.high()?);
        let bounds = a.bounds(&self.tunables, a.original(found))?;
        let needs = a.high_events != Some(events) || current > a.current;
        (a.current, a.high_events) = (current, Some(events));
        Ok((Burst { current, needs, weight: a.cgroup.weight(), bounds }, found))
    }

    fn reclaimed(&mut self, answer: Reclaimed, now: Instant) {
        self.counters.reclaimed.fetch_add(answer.got, Ordering::Relaxed);
        let Some(a) = self.agents.get_mut(&answer.id) else { return };
        a.reclaiming = false;
        a.review_at = now;
        info!(
            "memory: agent {:?}: {:?}: rule \"reclaim leftovers\": baseline {}: memory.reclaim {}, got {}",
            a.name,
            a.phase,
            mb(a.baseline.unwrap_or(0)),
            mb(answer.asked),
            mb(answer.got)
        );
        match answer.result {
            Ok(()) => (),
            Err(e) if e.raw_os_error() == Some(libc::EAGAIN) => a.reclaim_later(now),
            Err(e) => {
                a.reclaim_later(now);
                self.trouble(answer.id, e.into());
            }
        }
    }

    /// Sets an agent's memory.high, None for the original, and says so.
    fn set(&mut self, id: u64, to: Option<Limit>, rule: &str) {
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
                    "memory: agent {:?}: {:?}: rule {rule:?}: current {}, baseline {}, host has {}, PSI {:.1} %: \
                     memory.high {old} -> {new}, {} ms into the phase",
                    a.name,
                    a.phase,
                    mb(a.current),
                    mb(a.baseline.unwrap_or(0)),
                    mb(self.host.available),
                    self.host.some_avg10,
                    a.since.elapsed().as_micros() as f64 / 1e3
                );
            }
            Err(e) => self.trouble(id, e),
        }
    }

    /// Says what went wrong with an agent, once.
    fn trouble(&mut self, id: u64, trouble: Trouble) {
        let Some(a) = self.agents.get_mut(&id) else { return };
        match trouble {
            Trouble::Io(e) if is_gone(&e) => self.gone(id),
            Trouble::Foreign { found, left } => {
                self.counters.foreign.fetch_add(1, Ordering::Relaxed);
                a.wanted.store(false, Ordering::Relaxed);
                warn!(
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

impl Drop for Controller {
    fn drop(&mut self) {
        for a in self.agents.values() {
            a.wanted.store(false, Ordering::Relaxed);
        }
        let sum = restore(&mut self.journal, &self.root);
        info!("memory: {}", sum.sentence());
        // Otherwise the guard has another try.
        if let Some(guard) = self.guard.take().filter(|_| sum.failed == 0) {
            guard.done();
        }
    }
}

#[cfg(test)]
#[path = "controller_tests.rs"]
mod tests;
