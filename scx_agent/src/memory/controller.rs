// SPDX-License-Identifier: GPL-2.0-only
//! The controller's thread: phases come in as the kernel half reports them, limits go out at once;
//! what has to be watched is looked at on a timer.

use super::agent::Agent;
use super::apart::Separation;
use super::brakes::Brakes;
use super::events::Watcher;
use super::guard::Guard;
use super::host::Host;
use super::idle::Idle;
use super::journal::{Change, Journal};
use super::knobs::{is_gone, Cgroup};
use super::limit::Limit;
use super::message::Message;
use super::pause::Paused;
use super::policy::{self, Tunables};
use super::pressure::{Pressure, Rivals};
use super::restore::restore;
use super::room::Rooms;
use super::stalls::Stalls;
use super::struct_ops::Variant;
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

/// Time between two looks at the host while nothing but settled waits is there.
pub(super) const TICK_IDLE: Duration = Duration::from_secs(1);

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
    /// The interface to let programs control memory that the kernel has.
    pub variant: Option<Variant>,
    /// What those programs are told; None where there are none.
    pub rooms: Option<Rooms>,
    /// What has calls dispatched less; None before there is a kernel half.
    pub brakes: Option<Brakes>,
    pub host: Host,
    /// When that was found out, and how much less was available each second since the time before, in bytes.
    pub host_at: Instant,
    pub lost_per_s: f64,
    /// How long the last look at everything took.
    pub look_took: Duration,
    pub stalls: Stalls,
    /// The host is short of memory.
    pub short: bool,
    /// Who then wants what it has, whether they share it, and when it last did nothing but move memory.
    pub rivals: Rivals,
    pub pressure: Pressure,
    pub thrashed: Option<Instant>,
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
                self.look_took = now.elapsed();
            }
        }
    }

    fn period(&self) -> Duration {
        let settling = |a: &Agent| a.phase == Phase::LlmWait && (a.reclaiming || a.looked.is_none());
        if self.agents.values().any(|a| a.phase == Phase::Tool) {
            self.look_again()
        } else if self.agents.values().any(settling) {
            policy::LOOK_MAX
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
            Message::Kernel(kernel) => {
                self.load_rooms(&kernel);
                self.brakes = Some(Brakes::new(kernel.clone()));
                self.counters.braked.store(0, Ordering::Relaxed);
                self.kernel(kernel);
            }
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
                Why::Leftovers | Why::Burst => self.reclaimed(answer, now),
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
                self.attach_room(id);
            }
            Ok(_) => info!("memory: agent {name:?} has no memory.high: left alone"),
            Err(e) if is_gone(&e) => debug!("memory: agent {name:?} is gone already"),
            Err(e) => warn!("memory: cannot open the cgroup of agent {name:?}: {e}; left alone"),
        }
    }

    pub(super) fn gone(&mut self, id: u64) {
        if let Some(a) = self.agents.remove(&id) {
            a.wanted.store(false, Ordering::Relaxed);
            debug!("memory: agent {:?} is gone", a.name);
        }
        self.detach_room(id);
        self.brake(id, false, "gone");
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
        self.open_room(id);
        match to {
            Phase::LlmWait => (),
            Phase::Framework => self.set(id, None, "the framework is never held"),
            Phase::Tool if self.pressed() && at >= self.shared + Tunables::rest(self.look_took) => {
                self.agents.get_mut(&id).map(Agent::note_entry);
                self.look_at_host(at);
                self.share();
            }
            Phase::Tool => {
                self.set(id, None, "a burst opens");
                self.agents.get_mut(&id).map(Agent::note_entry);
            }
        }
        if to != Phase::Tool {
            self.brake(id, false, "its calls are over");
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
            Phase::LlmWait if a.knob.limited() && !self.pressed() => self.relieve(id, rule, now),
            Phase::Tool if self.pressed() && now >= self.shared + Tunables::rest(self.look_took) => {
                self.look_at_host(now);
                self.share();
            }
            _ => (),
        }
    }

    /// Whose stalls those of the host are.
    fn look_at_stalls(&mut self, now: Instant) {
        let mut stalls = std::mem::take(&mut self.stalls);
        stalls.look(now, self.host.stalled_us, || {
            let held = self.agents.iter().filter(|(id, a)| {
                let delayed = self.budget(**id).is_some_and(|b| b != Limit::Max);
                a.knob.limited() || a.calls_high != Limit::Max || delayed
            });
            held.map(|(id, a)| (*id, a.cgroup.stalled_us())).collect()
        });
        self.stalls = stalls;
    }

    /// What the host has now.
    pub(super) fn look_at_host(&mut self, now: Instant) {
        match (self.look)() {
            Ok(host) => {
                let passed_s = now.saturating_duration_since(self.host_at).as_secs_f64();
                let lost = self.host.available.saturating_sub(host.available) as f64;
                self.lost_per_s = if passed_s > 0.0 { lost / passed_s } else { 0.0 };
                (self.host, self.host_at) = (host, now);
                self.look_at_stalls(now);
            }
            Err(e) => debug!("memory: {e:#}"),
        }
    }

    /// What is done on the timer.
    pub fn tick(&mut self, now: Instant) {
        self.look_at_host(now);
        self.look_for_pressure(now);
        if now >= self.checked + TICK_IDLE {
            self.checked = now;
            if let Some(guard) = &mut self.guard {
                guard.check();
            }
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
            if phase != Some(Phase::Tool) || !self.pressed() {
                self.hold_calls(id, Limit::Max, "no pressure: bursts are open");
                self.delay_over(id, Limit::Max, "no pressure: bursts are open");
                self.brake(id, false, "no pressure: bursts are open");
            }
            match phase {
                Some(Phase::LlmWait) => self.review(id, now),
                // Open already, unless the write failed or pressure has ended.
                Some(Phase::Framework) => self.set(id, None, "the framework is never held"),
                Some(Phase::Tool) if !self.pressed() => {
                    self.set(id, None, "no pressure: bursts are open");
                    if let Some(a) = self.agents.get(&id) {
                        a.wanted.store(false, Ordering::Relaxed);
                    }
                }
                _ => (),
            }
            self.tell_room(id);
        }
        if self.pressed() {
            self.share();
        }
        self.tick_idle(now);
        let limited = self.agents.values().filter(|a| a.knob.limited()).count() as u64;
        self.counters.limited.store(limited, Ordering::Relaxed);
    }

    /// A cgroup is not changed any more, or not there.
    pub(super) fn forget_place(&mut self, change: Change, id: u64) {
        if let Err(e) = self.journal.forget_place(change, id) {
            warn!("memory: {e:#}");
        }
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        for a in self.agents.values() {
            a.wanted.store(false, Ordering::Relaxed);
        }
        // They must not go on beside this.
        self.separation = None;
        self.drop_rooms();
        let sum = restore(&mut self.journal, &self.root);
        match sum.failed {
            0 => info!("memory: {}", sum.sentence()),
            _ => warn!("memory: {}: run `scx_agent restore` once it can be", sum.sentence()),
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
