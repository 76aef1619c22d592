// SPDX-License-Identifier: GPL-2.0-only
//! One agent as the controller knows it, and the one writer of its memory.high.

use super::apart::Apart;
use super::journal::{Entry, Journal};
use super::knobs::Cgroup;
use super::limit::Limit;
use super::policy::{Bounds, Tunables};
use super::retry::Retry;
use super::worker::{Job, Why};
use crate::agents::Phase;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest time between two looks at an agent that waits and does not change: if it runs into its limit
/// meanwhile, it says so.
const PAUSE_MAX: Duration = Duration::from_secs(16);
/// Longest pause after a reclaim that found too little.
const RETRY_MAX: Duration = Duration::from_secs(32);

/// Why memory.high was not set.
#[derive(Debug)]
pub enum Trouble {
    /// Somebody else wrote it: found, instead of the value that we left.
    Foreign { found: Limit, left: Limit },
    /// The original could not be noted: nothing was changed.
    Journal(anyhow::Error),
    /// It could not be read or written.
    Io(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(e: io::Error) -> Self {
        Trouble::Io(e)
    }
}

/// What we know of an agent's memory.high.
#[derive(Debug, Default)]
pub struct Knob {
    /// The value before our first write.
    original: Option<Limit>,
    /// What we last wrote.
    last: Option<Limit>,
    /// Somebody else's from now on.
    pub foreign: bool,
    /// A write failed: nothing is lowered any more.
    pub broken: bool,
}

impl Knob {
    /// True if the value in force is a limit of ours.
    pub fn limited(&self) -> bool {
        !self.foreign && self.last != self.original
    }

    /// What we left in it, or None if we never wrote.
    pub fn last(&self) -> Option<Limit> {
        self.last
    }

    /// Checks that the value is still ours.
    ///
    /// # Errors
    /// It is not, which is remembered; or it cannot be read.
    pub fn check(&mut self, cgroup: &Cgroup, journal: &mut Journal) -> Result<Limit, Trouble> {
        let found = cgroup.high()?;
        match self.last {
            Some(left) if left != found && !self.foreign => {
                self.foreign = true;
                journal.forget(cgroup.id).map_err(Trouble::Journal)?;
                Err(Trouble::Foreign { found, left })
            }
            _ => Ok(found),
        }
    }

    /// Sets memory.high to `new`, None for the original. Returns the value before, or None if
    /// there was nothing to do.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub fn set(
        &mut self,
        cgroup: &Cgroup,
        journal: &mut Journal,
        new: Option<Limit>,
    ) -> Result<Option<Limit>, Trouble> {
        if self.foreign || (new.is_none() && self.last == self.original) {
            return Ok(None);
        }
        let now = self.check(cgroup, journal)?;
        let original = self.original.unwrap_or(now);
        let new = new.unwrap_or(original);
        if now == new {
            return Ok(None);
        }
        if new != original {
            let ours = [now, new].into_iter().filter(|l| *l != original).collect();
            let entry = Entry { cgroup: cgroup.path.clone(), id: cgroup.id, original, ours };
            journal.note(entry).map_err(Trouble::Journal)?;
        }
        cgroup.set_high(new)?;
        self.original = Some(original);
        self.last = Some(new);
        Ok(Some(now))
    }
}

/// One agent whose cgroup has a memory controller.
#[derive(Debug)]
pub struct Agent {
    pub name: String,
    pub cgroup: Arc<Cgroup>,
    pub knob: Knob,
    /// Whether its tool calls have cgroups of their own.
    pub apart: Apart,
    /// What all of it is to stay within by the limits of its calls.
    pub calls_high: Limit,
    /// Somebody tells when its memory.events change.
    pub watched: bool,
    pub phase: Phase,
    /// When the phase began.
    pub since: Instant,
    /// What it uses in LLM wait, in bytes; None before the first look.
    pub baseline: Option<u64>,
    /// It has had a tool call: not all that it holds is the framework's.
    pub had_tool: bool,
    /// memory.current in bytes when it was last looked at.
    pub current: u64,
    /// The same when the burst began, of an agent without a baseline.
    pub at_entry: u64,
    /// memory.events' `high` at the last look in this phase.
    pub high_events: Option<u64>,
    /// Processes killed for want of memory at the last look, and when there was one more.
    pub oom_kills: u64,
    pub oom_at: Option<Instant>,
    /// When the burst last grew or was throttled.
    pub grew: Option<Instant>,
    /// In LLM wait: last look, and how long tasks had stalled then, in us.
    pub looked: Option<(Instant, u64)>,
    pub review_at: Instant,
    pause: Duration,
    /// A reclaim job is under way; cleared by its answer.
    pub reclaiming: bool,
    /// When to reclaim again.
    pub retry: Retry,
    /// Lets a reclaim job go on.
    pub wanted: Arc<AtomicBool>,
}

impl Agent {
    pub fn new(name: String, cgroup: Cgroup, now: Instant) -> Agent {
        Agent {
            name,
            oom_kills: cgroup.oom_kills(),
            oom_at: None,
            cgroup: Arc::new(cgroup),
            knob: Knob::default(),
            apart: Apart::default(),
            calls_high: Limit::Max,
            watched: false,
            phase: Phase::LlmWait,
            since: now,
            baseline: None,
            had_tool: false,
            current: 0,
            at_entry: 0,
            high_events: None,
            grew: None,
            looked: None,
            review_at: now,
            pause: Duration::ZERO,
            reclaiming: false,
            retry: Retry::new(now, RETRY_MAX),
            wanted: Arc::new(AtomicBool::new(true)),
        }
    }

    /// The agent is in phase `to` from `now` on: a reclaim job ends, and all that was measured in
    /// the old phase is forgotten but the baseline.
    pub fn enter(&mut self, to: Phase, now: Instant) {
        self.wanted.store(false, Ordering::Relaxed);
        if to == Phase::LlmWait {
            self.wanted = Arc::new(AtomicBool::new(true));
        }
        self.had_tool |= to == Phase::Tool;
        (self.phase, self.since) = (to, now);
        (self.looked, self.high_events, self.grew) = (None, None, None);
        (self.review_at, self.pause) = (now, Duration::ZERO);
        self.retry.anew(now);
    }

    /// A job to reclaim `bytes` of it, which goes on while that is wanted: until its answer there is no other.
    pub fn reclaim(&mut self, bytes: u64, cache_only: bool, why: Why) -> Job {
        self.reclaiming = true;
        Job { cgroup: self.cgroup.clone(), bytes, cache_only, wanted: self.wanted.clone(), why }
    }

    /// Notes what an agent without a baseline has as its burst begins.
    pub fn note_entry(&mut self) {
        if self.baseline.is_none() {
            self.at_entry = self.cgroup.current().unwrap_or(0);
        }
    }

    /// True if it has run into its limit since this was last asked in this phase, or a review began.
    pub fn was_throttled(&mut self) -> bool {
        let events = self.cgroup.high_events();
        self.high_events.replace(events).is_some_and(|old| old != events)
    }

    /// When to look again at an agent that waits: soon if it has just changed.
    pub fn review_later(&mut self, now: Instant, changed: bool) {
        self.pause = match changed {
            true => Duration::from_millis(250),
            false => (self.pause * 2).clamp(Duration::from_secs(1), PAUSE_MAX),
        };
        self.review_at = now + self.pause;
    }

    /// What limits of this agent must respect. Before its first wait, what it had when its burst
    /// began stands for the baseline.
    ///
    /// # Errors
    /// memory.max cannot be read.
    pub fn bounds(&self, tunables: &Tunables, original: Limit) -> io::Result<Bounds> {
        let floor = tunables.floor(self.baseline.unwrap_or(self.at_entry));
        Ok(Bounds { floor, original, max: self.cgroup.max()? })
    }

    /// memory.high without us: `found` if we never wrote.
    pub fn original(&self, found: Limit) -> Limit {
        self.knob.original.unwrap_or(found)
    }
}

#[cfg(test)]
mod tests {
    use super::super::knobs::tests::fake;
    use super::*;
    use std::fs;

    #[test]
    fn originals_come_back_and_others_values_stay() {
        let (root, id) = fake("agent", 0);
        let high = root.join("agents/a/memory.high");
        let value = || fs::read_to_string(&high).unwrap();
        let mut journal = Journal::load(&root.join("memory.journal")).unwrap();
        let cgroup = Cgroup::by_id(&root, id).unwrap();
        let mut knob = Knob::default();
        assert!(knob.set(&cgroup, &mut journal, None).unwrap().is_none(), "nothing to open");
        let set = |knob: &mut Knob, journal: &mut Journal, to| knob.set(&cgroup, journal, to);
        let (a, b) = (Limit::Bytes(1 << 20), Limit::Bytes(2 << 20));
        assert_eq!(set(&mut knob, &mut journal, Some(a)).unwrap(), Some(Limit::Max));
        assert_eq!(set(&mut knob, &mut journal, Some(b)).unwrap(), Some(a));
        assert_eq!(journal.entries().next().unwrap().ours, [a, b]);
        assert!(knob.limited());
        assert_eq!(set(&mut knob, &mut journal, None).unwrap(), Some(b));
        assert_eq!(value(), "max");
        assert!(!knob.limited());

        fs::write(&high, "4096").unwrap();
        let e = set(&mut knob, &mut journal, Some(a)).unwrap_err();
        assert!(matches!(e, Trouble::Foreign { found: Limit::Bytes(4096), left: Limit::Max }), "{e:?}");
        assert!(set(&mut knob, &mut journal, Some(b)).unwrap().is_none());
        assert_eq!(value(), "4096");
        assert_eq!(journal.entries().count(), 0, "theirs is not put back");
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn nothing_is_changed_that_is_not_noted() {
        let (root, id) = fake("unnoted", 0);
        let mut journal = Journal::load(&root.join("none/memory.journal")).unwrap();
        let cgroup = Cgroup::by_id(&root, id).unwrap();
        let e = Knob::default().set(&cgroup, &mut journal, Some(Limit::Bytes(1 << 20))).unwrap_err();
        assert!(matches!(e, Trouble::Journal(_)), "{e:?}");
        assert_eq!(cgroup.high().unwrap(), Limit::Max);
        fs::remove_dir_all(root).unwrap();
    }
}
