// SPDX-License-Identifier: GPL-2.0-only
//! Whether the host stalls for memory, or only what is held at limits of ours: those stalls are in the
//! kernel's PSI of the whole host as well, and taken for pressure they would keep the limits in force.

use std::collections::BTreeMap;
use std::time::Instant;

/// Over which it is averaged, as the kernel's avg10 is, in s.
const PERIOD_S: f64 = 10.0;
/// Stalls of the host in percent of the time, as of the last interval, below which nobody asks whose they were.
const ASKED_FROM_PCT: f64 = 1.0;

/// The host's stalls but for those at our limits.
#[derive(Debug, Default)]
pub struct Stalls {
    last: Option<Last>,
    avg_pct: f64,
}

#[derive(Debug)]
struct Last {
    at: Instant,
    host_us: u64,
    /// Of what was held by us, by cgroup.
    held: BTreeMap<u64, u64>,
}

impl Stalls {
    /// Of the last ten seconds the percentage in which some task stalled that is not held by us.
    ///
    /// It is the least that it may have been: the host's time less that of all who are held, which may have
    /// stalled at once, or at the same time as others. What is truly short shows in what is available.
    pub fn others_pct(&self) -> f32 {
        self.avg_pct as f32
    }

    /// A look: the host has stalled for `host_us` so far; `held` tells the same of each cgroup that is held.
    pub fn look(&mut self, now: Instant, host_us: u64, held: impl FnOnce() -> BTreeMap<u64, u64>) {
        let Some(last) = &self.last else {
            self.last = Some(Last { at: now, host_us, held: BTreeMap::new() });
            return;
        };
        let passed_s = now.duration_since(last.at).as_secs_f64();
        if passed_s <= 0.0 {
            return;
        }
        let pct = |us: u64| (us as f64 / (passed_s * 1e4)).min(100.0);
        let all_us = host_us.saturating_sub(last.host_us);
        // Where nobody asks, theirs can hardly have changed.
        let asked = (pct(all_us) >= ASKED_FROM_PCT).then(held);
        // Of one that was not asked before it is not known, for this once.
        let since = |(id, us): (&u64, &u64)| Some(us.saturating_sub(*last.held.get(id)?));
        let ours_us: u64 = asked.iter().flatten().filter_map(since).sum();
        let keeps = (-passed_s / PERIOD_S).exp();
        self.avg_pct = self.avg_pct * keeps + pct(all_us.saturating_sub(ours_us)) * (1.0 - keeps);
        let held = asked.unwrap_or_else(|| last.held.clone());
        self.last = Some(Last { at: now, host_us, held });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// After so many looks, 250 ms apart, in which the host stalls for `host_ms` and two that are held for as long
    /// as is said.
    fn after(looks: u64, host_ms: u64, held_ms: [u64; 2]) -> f32 {
        let (start, mut stalls) = (Instant::now(), Stalls::default());
        for n in 0..looks {
            let held = || held_ms.iter().enumerate().map(|(i, ms)| (i as u64, n * ms * 1000)).collect();
            stalls.look(start + Duration::from_millis(250 * n), n * host_ms * 1000, held);
        }
        stalls.others_pct()
    }

    #[test]
    fn stalls_of_others_are_averaged() {
        assert_eq!(after(1, 100, [0, 0]), 0.0);
        let (ten, hundred) = (after(41, 100, [0, 0]), after(401, 100, [0, 0]));
        // 40 %, of which after one period all but 1/e is there.
        assert!((24.0..27.0).contains(&ten), "{ten}");
        assert!((39.9..40.1).contains(&hundred), "{hundred}");
    }

    #[test]
    fn what_we_hold_is_no_pressure() {
        // The first look at them finds no earlier one.
        assert!(after(401, 100, [100, 0]) < 0.5);
        let rest = after(401, 200, [60, 40]);
        assert!((39.5..41.5).contains(&rest), "{rest}");
        assert!(after(401, 100, [250, 250]) < 0.5, "at once: never less than none");
    }

    #[test]
    fn who_stalls_now_and_then_is_known() {
        let (start, mut stalls, mut us) = (Instant::now(), Stalls::default(), 0);
        for n in 0..400 {
            // In every other interval, and all of it is ours.
            us += if n % 2 == 0 { 100_000 } else { 0 };
            stalls.look(start + Duration::from_millis(250 * n), us, || BTreeMap::from([(1, us)]));
        }
        assert!(stalls.others_pct() < 0.5, "{}", stalls.others_pct());
    }

    #[test]
    fn nobody_is_asked_for_nothing() {
        let start = Instant::now();
        let mut stalls = Stalls::default();
        for n in 0..10 {
            stalls.look(start + Duration::from_millis(250 * n), 0, || panic!("asked"));
        }
        assert_eq!(stalls.others_pct(), 0.0);
    }
}
