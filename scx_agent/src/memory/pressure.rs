// SPDX-License-Identifier: GPL-2.0-only
//! When bursts have to share what a host has that is short of memory.
//!
//! What one is held to it takes from its own pages, which it is about to use. While there is swap for those that
//! nobody uses, the kernel finds better ones, and calls that are all worth the same are left to it. Limits help an
//! agent of more weight, and where memory really ends.

use super::agent::Agent;
use super::controller::{Controller, TICK_IDLE};
use super::limit::mb;
use super::policy::{self, Tunables};
use crate::agents::Phase;
use log::info;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long an agent that waits for its model counts as one that will want memory again.
const RETURNS: Duration = Duration::from_secs(30);
/// PSI full of the host, avg10 in percent, from which it does nothing but move memory in and out.
const THRASHES_PCT: f32 = 50.0;
/// How long that counts; those who are held stall as well, so it is not asked until 10 s (avg10) after it.
const THRASHES: Duration = Duration::from_secs(30);
const THRASHED: Duration = Duration::from_secs(10);

/// Whether bursts share what is left, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pressure {
    #[default]
    None,
    /// For those of the greatest weight, who are open: there is swap.
    Weight,
    /// There is no swap left, or the host does nothing else any more.
    Memory,
}

/// The agents that want memory now, or soon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rivals {
    /// Tool calls, of so many agents.
    pub bursts: usize,
    /// The least and the greatest cpu.weight among them all.
    pub weights: Option<(u64, u64)>,
    /// The most that one of them may still swap out, in bytes, by its memory.swap.max.
    pub swap: u64,
}

/// Of a host that is short of memory.
#[derive(Clone, Copy, Debug)]
pub struct Signs {
    pub rivals: Rivals,
    /// SwapFree and SwapTotal, in bytes.
    pub swap_free: u64,
    pub swap_total: u64,
    /// It does nothing but move memory in and out.
    pub thrashes: bool,
}

impl Rivals {
    /// Those of `agents`; their files are read.
    fn of<'a>(agents: impl Iterator<Item = &'a Agent>, now: Instant) -> Rivals {
        let mut all = Rivals::default();
        for a in agents.filter(|a| a.phase != Phase::LlmWait || now.duration_since(a.since) < RETURNS) {
            let Ok(weight) = a.cgroup.weight() else { continue };
            let (least, most) = all.weights.unwrap_or((weight, weight));
            all.weights = Some((least.min(weight), most.max(weight)));
            all.bursts += usize::from(a.phase == Phase::Tool);
            if all.swap != u64::MAX {
                all.swap = all.swap.max(a.cgroup.swap_left());
            }
        }
        all
    }
}

impl Pressure {
    /// The pressure on a host that is short of memory and keeps `reserve` bytes; `self` is the last answer. Ends
    /// only well below where it begins.
    pub fn next(self, reserve: u64, signs: &Signs) -> Pressure {
        let Some((lightest, heaviest)) = signs.rivals.weights else { return Pressure::None };
        let least = reserve.min(signs.swap_total / 4);
        let least = if self == Pressure::Memory { least.saturating_add(least / 2) } else { least };
        if signs.swap_free.min(signs.rivals.swap) <= least || (signs.thrashes && signs.rivals.bursts > 1) {
            Pressure::Memory
        } else if lightest < heaviest {
            Pressure::Weight
        } else {
            Pressure::None
        }
    }
}

/// Whether the host thrashes, of whose time it stalls for `full_pct`; `since` is when it last began to.
fn thrashes(since: &mut Option<Instant>, full_pct: f32, now: Instant) -> bool {
    let passed = since.map(|at| now.duration_since(at));
    let begins = passed.is_none_or(|t| t >= THRASHES + THRASHED) && full_pct >= THRASHES_PCT;
    if begins {
        *since = Some(now);
    }
    begins || passed.is_some_and(|t| t < THRASHES)
}

impl Controller {
    /// True if bursts share what the host has.
    pub(super) fn pressed(&self) -> bool {
        self.pressure != Pressure::None
    }

    /// From which cpu.weight on bursts are open though others are held; None: that of one alone is, which has more
    /// than all others.
    pub(super) fn open_from(&self) -> Option<u64> {
        let most = self.rivals.weights.map(|(_, most)| most);
        most.filter(|_| self.pressure == Pressure::Weight)
    }

    /// Finds out whether the host is short of memory, and whether bursts have to share it.
    pub(super) fn look_for_pressure(&mut self, now: Instant) {
        let was = (self.short, self.pressure);
        self.short = self.tunables.is_short(self.short, self.host.available, self.stalls.others_pct());
        let thrashes = thrashes(&mut self.thrashed, self.host.full_avg10, now);
        self.pressure = if self.short {
            let bursts = self.agents.values().filter(|a| a.phase == Phase::Tool).count();
            let changed = !was.0 || bursts != self.rivals.bursts;
            if changed || now >= self.checked + TICK_IDLE {
                self.rivals = Rivals::of(self.agents.values(), now);
            }
            let (swap_free, swap_total) = (self.host.swap_free, self.host.swap_total);
            let signs = Signs { rivals: self.rivals, swap_free, swap_total, thrashes };
            self.pressure.next(self.tunables.reserve, &signs)
        } else {
            Pressure::None
        };
        self.counters.pressed.store(self.pressed(), Ordering::Relaxed);
        if was != (self.short, self.pressure) {
            info!(
                "memory: host {}: {} available, reserve {}, {} of swap free, PSI of others {:.1} %, full {:.1} %",
                match (self.pressure, self.short) {
                    (Pressure::Memory, _) => "under pressure",
                    (Pressure::Weight, _) => "under pressure, for those of the greatest weight",
                    (Pressure::None, true) => "short of memory, and has swap: bursts are open",
                    (Pressure::None, false) => "no longer under pressure",
                },
                mb(self.host.available),
                mb(self.tunables.reserve),
                mb(self.host.swap_free),
                self.stalls.others_pct(),
                self.host.full_avg10
            );
        }
    }

    /// The longest time until the next look at a host with bursts: one that has swap decides nothing.
    pub(super) fn look_again(&self) -> Duration {
        match self.short && !self.pressed() {
            true => policy::LOOK_MAX.max(Tunables::rest(self.look_took)),
            false => self.tunables.next_look(self.host.available, self.lost_per_s, self.look_took),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::knobs::tests::fake;
    use super::super::knobs::Cgroup;
    use super::super::limit::MB;
    use super::*;

    const RESERVE: u64 = 512 * MB;

    fn equals() -> Signs {
        let rivals = Rivals { bursts: 2, weights: Some((100, 100)), swap: u64::MAX };
        Signs { rivals, swap_free: 4096 * MB, swap_total: 4096 * MB, thrashes: false }
    }

    #[test]
    fn equals_share_when_memory_ends() {
        let next = |was: Pressure, signs: Signs| was.next(RESERVE, &signs);
        assert_eq!(next(Pressure::None, equals()), Pressure::None, "the kernel has what nobody uses");
        assert_eq!(next(Pressure::Memory, equals()), Pressure::None);
        let free = |mb: u64| Signs { swap_free: mb * MB, ..equals() };
        assert_eq!(next(Pressure::None, free(512)), Pressure::Memory);
        assert_eq!(next(Pressure::None, free(513)), Pressure::None);
        assert_eq!(next(Pressure::Memory, free(513)), Pressure::Memory, "ends apart");
        let none = Signs { swap_free: 0, swap_total: 0, ..equals() };
        assert_eq!(next(Pressure::None, none), Pressure::Memory, "no swap at all");
        // A little swap is not none for being less than the reserve.
        assert_eq!(next(Pressure::Memory, Signs { swap_total: 500 * MB, ..free(400) }), Pressure::None);
        assert_eq!(
            next(Pressure::None, Signs { rivals: Rivals::default(), ..none }),
            Pressure::None,
            "by nobody"
        );
        let barred = Rivals { swap: 0, ..equals().rivals };
        assert_eq!(
            next(Pressure::None, Signs { rivals: barred, ..equals() }),
            Pressure::Memory,
            "not for them"
        );
        let thrashes = Signs { thrashes: true, ..equals() };
        assert_eq!(next(Pressure::None, thrashes), Pressure::Memory);
        let alone = Rivals { bursts: 1, ..equals().rivals };
        assert_eq!(next(Pressure::None, Signs { rivals: alone, ..thrashes }), Pressure::None, "for nobody");
    }

    #[test]
    fn who_has_more_weight_has_what_is_left() {
        let rivals = Rivals { weights: Some((50, 100)), ..equals().rivals };
        let signs = Signs { rivals, ..equals() };
        assert_eq!(Pressure::None.next(RESERVE, &signs), Pressure::Weight);
        assert_eq!(Pressure::None.next(RESERVE, &Signs { swap_free: 0, ..signs }), Pressure::Memory);
    }

    #[test]
    fn thrashing_is_asked_about_anew() {
        let (start, mut since) = (Instant::now(), None);
        let mut at = |s: u64, pct: f32| thrashes(&mut since, pct, start + Duration::from_secs(s));
        assert!(!at(0, 49.0) && at(1, 50.0) && at(30, 0.0), "for a while");
        assert!(!at(31, 100.0) && !at(40, 100.0), "this may be those who were held");
        assert!(at(41, 100.0) && at(70, 0.0) && !at(82, 0.0));
    }

    #[test]
    fn who_waits_for_long_is_no_rival() {
        let (root, id) = fake("rivals", 0);
        let now = Instant::now();
        let mut a = Agent::new("a".into(), Cgroup::by_id(&root, id).unwrap(), now);
        let of = |a: &Agent, s: u64| Rivals::of([a].into_iter(), now + Duration::from_secs(s));
        let alone = Rivals { bursts: 0, weights: Some((100, 100)), swap: u64::MAX };
        assert_eq!(of(&a, 29), alone, "without the cpu controller, and without swap");
        assert_eq!(of(&a, 30), Rivals::default());
        a.enter(Phase::Tool, now);
        let file = |name: &str, text: &str| std::fs::write(root.join("agents/a").join(name), text).unwrap();
        file("cpu.weight", "400\n");
        file("memory.swap.max", "8192\n");
        file("memory.swap.current", "4096\n");
        assert_eq!(of(&a, 3600), Rivals { bursts: 1, weights: Some((400, 400)), swap: 4096 });
        std::fs::remove_dir_all(root).unwrap();
        assert_eq!(of(&a, 0), Rivals::default(), "it is gone");
    }
}
