// SPDX-License-Identifier: GPL-2.0-only
//! The controller's thread: phases come in as the kernel half reports them, limits go out at once;
//! what has to be watched is looked at on a timer.

use super::agent::{Agent, Trouble};
use super::apart::Separation;
use super::events::Watcher;
use super::guard::Guard;
use super::host::Host;
use super::idle::Idle;
use super::journal::{Change, Journal};
use super::knobs::{is_gone, Cgroup};
use super::limit::{mb, Limit};
use super::message::Message;
use super::pause::Paused;
use super::policy::Tunables;
use super::restore::restore;
use super::worker::{Job, Why};
use super::Counters;
use crate::agents::Phase;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender};
use log::{debug, info, warn};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time between two looks at the host and at bursts.
const TICK_BUSY: Duration = Duration::from_millis(250);
/// The same while nothing but settled waits is there.
const TICK_IDLE: Duration = Duration::from_secs(1);

/// Knobs that are checked in [`TICK_IDLE`]: where there are more, each has its turn later.
const CHECKED: usize = 128;

/// Least time between two rounds of sharing, however many calls begin.
const SHARE_MIN: Duration = Duration::from_millis(50);

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
    /// Those that an operator has paused, by cgroup.
    pub paused: BTreeMap<u64, Paused>,
    pub idle: Idle,
    pub host: Host,
    pub pressed: bool,
    /// When the knobs were last checked for values of others.
    pub checked: Instant,
    /// The cgroup with which that goes on.
    pub check_from: u64,
    /// When the headroom was last shared among bursts.
    pub shared: Instant,
    pub guard: Option<Guard>,
    /// None where the kernel does not tell of events: then the timer has to do.
    pub watcher: Option<Watcher>,
    /// None unless calls are to have cgroups of their own.
    pub separation: Option<Separation>,
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
            Message::Kernel(kernel) => self.kernel(kernel),
            Message::Call { id, call, pid } => {
                self.call(id, pid);
                self.call_apart(id, call, pid);
            }
            Message::CallOver { id, call } => self.call_over(id, call),
            Message::Joined { id, why, undone } => self.joined(id, why.as_deref(), undone),
            Message::Killed { id, pid, comm, lasted } => {
                self.killed(id, pid, &comm, now.checked_sub(lasted).unwrap_or(now))
            }
            Message::Events { id } => self.events(id, now),
            Message::OverHigh { id, over } => self.over_high(id, &over, now),
            Message::Reclaimed(answer) => match answer.why {
                Why::Leftovers => self.reclaimed(answer, now),
                Why::Paused => self.reclaimed_paused(&answer, now),
                Why::Idle => self.reclaimed_idle(&answer, now),
            },
            // Whoever asked may not wait any more.
            Message::Pause { id, name, time, reply } => _ = reply.send(self.pause(id, &name, time, now)),
            Message::Resume { id, name, reply } => {
                _ = reply.send(self.resume(id, &name, "by an operator", now))
            }
            Message::Tunables(tunables) => self.tunables = tunables,
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
                let watched = self.watcher.as_mut().is_some_and(|w| w.watch(&name, &cgroup));
                let mut agent = Agent::new(name, cgroup, now);
                agent.watched = watched;
                self.agents.insert(id, agent);
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
        self.forget_paused(id);
        self.gone_apart(id);
        for forgotten in [self.journal.forget(id), self.journal.forget_oom(id)] {
            if let Err(e) = forgotten {
                warn!("memory: {e:#}");
            }
        }
    }

    /// A phase change. What needs memory gets it before anything else is done.
    fn phase(&mut self, id: u64, to: Phase, at: Instant) {
        let Some(a) = self.agents.get_mut(&id) else { return };
        a.enter(to, at);
        match to {
            Phase::LlmWait => (),
            Phase::Framework => self.set(id, None, "the framework is never held"),
            Phase::Tool if self.pressed && at >= self.shared + SHARE_MIN => {
                a.note_entry();
                self.share();
            }
            Phase::Tool => {
                self.set(id, None, "a burst opens");
                self.agents.get_mut(&id).map(Agent::note_entry);
            }
        }
    }

    /// memory.events of an agent changed, perhaps because it has run into its limit.
    fn events(&mut self, id: u64, now: Instant) {
        self.count_kills(id, now);
        let Some(a) = self.agents.get_mut(&id) else { return };
        if a.phase != Phase::LlmWait || a.was_throttled() {
            self.throttled(id, "ran into its limit", now);
        }
    }

    /// An agent has run into its limit: it is seen to at once, and not at the next tick.
    pub(super) fn throttled(&mut self, id: u64, rule: &str, now: Instant) {
        let Some(a) = self.agents.get(&id) else { return };
        match a.phase {
            Phase::LlmWait if a.knob.limited() && !self.pressed => self.relieve(id, rule, now),
            Phase::Tool if self.pressed && now >= self.shared + SHARE_MIN => self.share(),
            _ => (),
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
        self.counters.pressed.store(self.pressed, Ordering::Relaxed);
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
            let unwatched = self.agents.iter().filter(|(_, a)| !a.watched).map(|(id, a)| (*id, a.phase));
            for (id, phase) in unwatched.collect::<Vec<_>>() {
                match phase {
                    Phase::LlmWait => self.events(id, now),
                    _ => self.count_kills(id, now), // bursts are looked at below
                }
            }
        }
        self.tick_paused(now);
        let ids: Vec<u64> = self.agents.keys().copied().collect();
        for id in ids {
            let phase = self.agents.get(&id).map(|a| a.phase);
            if phase != Some(Phase::Tool) || !self.pressed {
                self.hold_calls(id, Limit::Max, "no pressure: bursts are open");
            }
            match phase {
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
        self.tick_idle(now);
        let limited = self.agents.values().filter(|a| a.knob.limited()).count() as u64;
        self.counters.limited.store(limited, Ordering::Relaxed);
    }

    /// Notices what others have written, and the end of the guard.
    fn check_knobs(&mut self) {
        if let Some(guard) = &mut self.guard {
            guard.check();
        }
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

    /// A cgroup is not changed any more, or not there.
    pub(super) fn forget_place(&mut self, change: Change, id: u64) {
        if let Err(e) = self.journal.forget_place(change, id) {
            warn!("memory: {e:#}");
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
                    self.host.some_avg10,
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

impl Drop for Controller {
    fn drop(&mut self) {
        for a in self.agents.values() {
            a.wanted.store(false, Ordering::Relaxed);
        }
        // It must not go on beside this.
        self.separation = None;
        let sum = restore(&mut self.journal, &self.root);
        match sum.failed {
            0 => info!("memory: {}", sum.sentence()),
            _ => warn!("memory: {}: run `scx_agent --restore-memory` once it can be", sum.sentence()),
        }
        // Otherwise the guard has another try.
        if let Some(guard) = self.guard.take().filter(|_| sum.failed == 0) {
            guard.done();
        }
    }
}

#[cfg(test)]
#[path = "controller_tests.rs"]
mod tests;
