// SPDX-License-Identifier: GPL-2.0-only
//! Budgets of CPU time: what each agent has used of its own in a window, by what the kernel accounts for its
//! cgroup. It is looked at as rarely as lets nobody be over for long: not before all CPUs together could have
//! used up the rest.

use crate::view;
use std::collections::BTreeMap;

/// Least time between two looks at one agent, in ns: how late it is noticed that it is over.
const LOOK_MIN_NS: u64 = 1_000_000_000;
/// Most time, so that what is shown is not old.
const LOOK_MAX_NS: u64 = 60_000_000_000;

/// What has come of a look at an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It has used up its budget.
    Over { used_us: u64 },
    /// It has one again: the next window has begun, or the budget is larger now.
    Again,
}

/// One agent's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    allowed_us: u64,
    /// What the cgroup had used when the window began.
    from_us: u64,
    /// When it began; CLOCK_MONOTONIC.
    began_ns: u64,
    over: bool,
    look_ns: u64,
}

impl Account {
    /// A first window begins, for an agent that has used `cpu_us` before.
    fn open(allowed_us: u64, cpu_us: u64, now_ns: u64) -> Account {
        Account { allowed_us, from_us: cpu_us, began_ns: now_ns, over: false, look_ns: now_ns }
    }

    /// The agent has used `cpu_us` by now in all.
    fn look(&mut self, cpu_us: u64, now_ns: u64, window_ns: u64, cpus: u64) -> Option<Turn> {
        let was_over = self.over;
        let passed = now_ns.saturating_sub(self.began_ns) / window_ns;
        if passed > 0 {
            self.began_ns += passed * window_ns;
            self.from_us = cpu_us;
        }
        let used_us = cpu_us.saturating_sub(self.from_us);
        self.over = used_us >= self.allowed_us;
        let ends_ns = self.began_ns + window_ns;
        let left_us = self.allowed_us.saturating_sub(used_us);
        let next_ns = match self.over {
            true => ends_ns,
            false => now_ns + (left_us.saturating_mul(1000) / cpus.max(1)).clamp(LOOK_MIN_NS, LOOK_MAX_NS),
        };
        self.look_ns = next_ns.min(ends_ns);
        match (was_over, self.over) {
            (false, true) => Some(Turn::Over { used_us }),
            (true, false) => Some(Turn::Again),
            _ => None,
        }
    }
}

/// The agents that have a budget, by cgroup.
#[derive(Debug)]
pub struct Budgets {
    accounts: BTreeMap<u64, Account>,
    window_ns: u64,
    /// Of the machine.
    cpus: u64,
}

impl Budgets {
    /// With windows of `window_ns` on a machine with `cpus`.
    pub fn new(window_ns: u64, cpus: u64) -> Budgets {
        Budgets { accounts: BTreeMap::new(), window_ns: window_ns.max(1), cpus }
    }

    /// Windows are as long as this from now on; those that run have begun when they have.
    pub fn window(&mut self, window_ns: u64, now_ns: u64) {
        self.window_ns = window_ns.max(1);
        self.accounts.values_mut().for_each(|a| a.look_ns = now_ns);
    }

    /// The agent with cgroup `id`, which has used `cpu_us` so far, may use `allowed_s` of CPU time in a window,
    /// 0 for as much as it wants. What it has used in this window stays used.
    pub fn set(&mut self, id: u64, allowed_s: u64, now_ns: u64, cpu_us: impl FnOnce() -> Option<u64>) {
        let allowed_us = allowed_s * 1_000_000;
        if allowed_us == 0 {
            self.accounts.remove(&id);
        } else if let Some(account) = self.accounts.get_mut(&id) {
            if account.allowed_us != allowed_us {
                (account.allowed_us, account.look_ns) = (allowed_us, now_ns);
            }
        } else if let Some(cpu_us) = cpu_us() {
            self.accounts.insert(id, Account::open(allowed_us, cpu_us, now_ns));
        }
    }

    /// The agent is gone.
    pub fn gone(&mut self, id: u64) {
        self.accounts.remove(&id);
    }

    /// Looks at those that are due, at what each has used by `cpu_us`, and forgets those that have nothing there.
    pub fn look(&mut self, now_ns: u64, cpu_us: impl Fn(u64) -> Option<u64>) -> Vec<(u64, Turn)> {
        let (window_ns, cpus) = (self.window_ns, self.cpus);
        let mut turns = Vec::new();
        self.accounts.retain(|id, account| {
            if now_ns < account.look_ns {
                return true;
            }
            let Some(cpu_us) = cpu_us(*id) else { return false };
            turns.extend(account.look(cpu_us, now_ns, window_ns, cpus).map(|turn| (*id, turn)));
            true
        });
        turns
    }

    /// True while that agent is over its budget.
    pub fn is_over(&self, id: u64) -> bool {
        self.accounts.get(&id).is_some_and(|a| a.over)
    }

    /// How many agents are.
    pub fn over(&self) -> u64 {
        self.accounts.values().filter(|a| a.over).count() as u64
    }

    /// As it is shown.
    pub fn of(&self, id: u64) -> Option<view::Budget> {
        self.accounts.get(&id).map(|a| view::Budget {
            allowed_us: a.allowed_us,
            from_us: a.from_us,
            ends_ns: a.began_ns + self.window_ns,
            over: a.over,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cell::Cell;

    const S: u64 = 1_000_000_000;

    #[test]
    fn an_agent_is_over_until_its_window_ends() {
        let (mut budgets, used_s) = (Budgets::new(100 * S, 4), Cell::new(7));
        let used = |_| Some(used_s.get() * 1_000_000);
        budgets.set(1, 10, 0, || used(1));
        assert_eq!(budgets.look(0, used), []);
        used_s.set(16);
        assert_eq!(budgets.look(3 * S, used), [], "what it used before it was found is not counted");
        used_s.set(18);
        assert_eq!(budgets.look(4 * S, used), [(1, Turn::Over { used_us: 11_000_000 })]);
        assert!(budgets.is_over(1) && budgets.over() == 1);
        used_s.set(400);
        assert_eq!(budgets.look(99 * S, used), [], "told once");
        assert_eq!(budgets.look(100 * S, used), [(1, Turn::Again)]);
        let shown = budgets.of(1).unwrap();
        assert_eq!((shown.from_us, shown.ends_ns, shown.over), (400_000_000, 200 * S, false));
        used_s.set(410);
        assert_eq!(budgets.look(200 * S - 1, used), [(1, Turn::Over { used_us: 10_000_000 })]);
        assert_eq!(budgets.look(555 * S, used), [(1, Turn::Again)], "late, and the windows stay in step");
        assert_eq!(budgets.of(1).unwrap().ends_ns, 600 * S);
        assert_eq!(budgets.look(700 * S, |_| None), []);
        assert!(budgets.of(1).is_none(), "it is gone");
    }

    #[test]
    fn other_settings_hold_at_once() {
        let mut budgets = Budgets::new(100 * S, 1);
        let used = |_| Some(50_000_000);
        budgets.set(1, 100, 0, || Some(0));
        assert_eq!(budgets.look(0, used), []);
        budgets.set(1, 40, S, || None);
        assert_eq!(budgets.look(S, used), [(1, Turn::Over { used_us: 50_000_000 })]);
        budgets.set(1, 60, 2 * S, || None);
        assert_eq!(budgets.look(2 * S, used), [(1, Turn::Again)], "what it used stays used, and is less");
        budgets.set(1, 40, 3 * S, || None);
        assert_eq!(budgets.look(3 * S, used).len(), 1);
        budgets.window(2 * S, 4 * S);
        assert_eq!(budgets.look(4 * S, used), [(1, Turn::Again)], "its window would have ended");
        budgets.set(1, 0, 5 * S, || None);
        assert!(budgets.of(1).is_none() && !budgets.is_over(1));
    }

    proptest! {
        /// However CPUs are used, it is noticed within [`LOOK_MIN_NS`] of being over, from looks that are far apart.
        #[test]
        fn nobody_is_over_unnoticed(steps in prop::collection::vec((1u64..500, 0u64..=4), 1..30), allowed_s in 1u64..20) {
            const TICK_NS: u64 = 10_000_000;
            let allowed_us = allowed_s * 1_000_000;
            let mut a = Account::open(allowed_us, 0, 0);
            let (mut now_ns, mut used_us, mut since) = (0, 0, u64::MAX);
            for cpus in steps.into_iter().flat_map(|(ticks, cpus)| (0..ticks).map(move |_| cpus)) {
                now_ns += TICK_NS;
                used_us += cpus * TICK_NS / 1000;
                if now_ns >= a.look_ns {
                    a.look(used_us, now_ns, 1 << 60, 4);
                }
                let over = used_us >= allowed_us;
                if over {
                    since = since.min(now_ns);
                }
                let late = now_ns.saturating_sub(since) > LOOK_MIN_NS + TICK_NS;
                prop_assert!(a.over || !late, "{a:?} at {now_ns}, over since {since}");
                prop_assert!(over || !a.over);
            }
        }
    }
}
