// SPDX-License-Identifier: GPL-2.0-only
//! The arithmetic of cpu.weight and cpu.max (`bpf/share.h`, `bpf/limit.h`), the very code that runs
//! in the kernel.

use agentpolicy::*;
use proptest::prelude::*;

const MS: u64 = 1_000_000;
const S: u64 = 1_000_000_000;

/// Runs the clocks of two groups with rates of 1 and `ratio` parts of a CPU: always the one behind
/// has the CPU for `step` ns. What each has had in the end.
fn race(ratio: u64, step: u64, rounds: u32) -> (u64, u64) {
    let one = cpus_rate(1) / (ratio + 1);
    let (mut had, mut clocks) = ([0, 0], [0, 0]);
    for _ in 0..rounds {
        let next = usize::from(clocks[1] < clocks[0]);
        had[next] += step;
        clocks[next] += clock_ns(step, one * [1, ratio][next]);
    }
    (had[0], had[1])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn shares_add_up_to_what_is_shared(cpus in 1..1024u32, weights in prop::collection::vec(3..100_000u64, 1..200)) {
        let (rate, sum) = (cpus_rate(cpus), weights.iter().sum());
        let all: u64 = weights.iter().map(|&w| share_of(rate, w, sum)).sum();
        prop_assert!(all <= rate && rate - all <= weights.len() as u64);
    }

    #[test]
    fn time_is_the_share_of_the_machine(elapsed in 0..10 * S, cpus in 1..1024u32, groups in 1..8192u64) {
        let all = time_ns(elapsed, share_of(cpus_rate(cpus), 1, groups)) * groups;
        prop_assert!(all <= elapsed * u64::from(cpus));
    }

    #[test]
    fn with_its_share_a_clock_goes_at_the_speed_of_time(cpus in 1..64u32, parts in 1..1000u64, elapsed in MS..S) {
        let rate = share_of(cpus_rate(cpus), 1, parts);
        let clock = clock_ns(time_ns(elapsed, rate), rate);
        prop_assert!(clock.abs_diff(elapsed) <= elapsed / 100 + 1000, "{clock} {elapsed}");
    }

    #[test]
    fn turns_are_bounded(now in 20 * S..1000 * S, clock in any::<u64>(), rate in 0..100u64 << 20,
                         slack in 0..10 * S, longest in 0..15 * S, credit in 0..15 * S) {
        let t = turn(now, clock, rate, slack, longest, credit);
        prop_assert!(t <= now + longest && t >= now - credit);
    }

    #[test]
    fn who_has_had_more_comes_later(now in 20 * S..1000 * S, a in 0..4 * S, b in 0..4 * S, rate in 1..100u64 << 20) {
        let at = |had| turn(now, now - 2 * S + had, rate, 0, 6 * S, 2 * S);
        prop_assert!(at(a.min(b)) <= at(a.max(b)));
    }

    #[test]
    fn the_toll_follows_the_share(nr in 1..1000u32, cpus in 1..64u32) {
        let rate = cpus_rate(cpus) / u64::from(nr);
        prop_assert_eq!(toll_service_ns(S, rate, rate * u64::from(nr), nr), S);
        prop_assert!(toll_service_ns(S, rate / 2, rate * u64::from(nr), nr) > S);
        prop_assert!(toll_service_ns(S, rate * 2, rate * u64::from(nr), nr) < S);
    }

    #[test]
    fn what_is_refilled_fits(budget in -100 * S as i64..10 * S as i64, periods in any::<u64>(), quota in MS..10 * S, burst in 0..10 * S) {
        let r = limit_refill_ns(budget, periods, quota, burst);
        let after = budget as i128 + r as i128;
        prop_assert!(r == 0 || after <= (quota + burst) as i128);
        prop_assert!(r as u128 <= periods as u128 * quota as u128);
        // Enough of them fill it.
        prop_assert!(periods < u64::MAX / 2 || after >= (quota + burst) as i128);
    }

    #[test]
    fn a_cgroup_gets_its_quota(quota_ms in 1..400u64, period_ms in 10..200u64, overrun_ms in 0..20u64) {
        // Whoever has budget runs until it is gone, and a little longer.
        let (quota, period) = (quota_ms * MS, period_ms * MS);
        let (mut budget, mut used, mut next) = (quota as i64, 0, period);
        for tick in 0..4000u64 {
            let now = tick * period / 2;
            let n = limit_periods(now, next, period);
            next += n * period;
            budget += limit_refill_ns(budget, n, quota, 0) as i64;
            if budget > 0 {
                used += budget as u64 + overrun_ms * MS;
                budget = -((overrun_ms * MS) as i64);
            }
        }
        let allowed = 2000 * quota;
        prop_assert!(used.abs_diff(allowed) <= allowed / 100 + quota + overrun_ms * MS, "{used} {allowed}");
    }

    #[test]
    fn slices_end_while_there_is_budget(budget in MS as i64 * 8..10 * S as i64, slice in MS..100 * MS) {
        let s = limit_slice_ns(budget, slice);
        prop_assert!(s <= slice && s <= budget as u64 / 4);
        prop_assert!(limit_released(budget, slice) * s >= budget as u64);
    }
}

#[test]
fn weights_by_example() {
    assert_eq!(share_weight(100, false), 1000);
    assert_eq!(share_weight(10_000, false), 100_000);
    assert_eq!(share_weight(100, true), 3, "cpu.idle");
    // Quanta of calls: whole for an equal share or more, in proportion for less.
    assert_eq!(call_quantum_ns(4_000, 2, 4, 2), 4_000);
    assert_eq!(call_quantum_ns(4_000, 3, 4, 2), 4_000);
    assert_eq!(call_quantum_ns(4_000, 1, 4, 2), 2_000);
    assert_eq!(share_weight_of(1000, 0), 1000, "no weight of its own");
    assert_eq!(share_weight_of(1000, 50), 500);
    assert_eq!(share_weight_of(3, 200), 2000, "set for an agent whose cgroup is idle");
    assert_eq!(share_of(cpus_rate(7), 2000, 7000), cpus_rate(2));
    assert_eq!(share_of(5, 1, 0), 5, "alone");
    let (one, four) = race(4, 10 * MS, 1000);
    assert!((four as f64 / one as f64 - 4.0).abs() < 0.05, "{one} {four}");
}

#[test]
fn capacity_is_what_was_had_but_half_the_machine_at_least() {
    assert_eq!(capacity(380 * MS, 100 * MS, 4), cpus_rate(1) * 38 / 10);
    assert_eq!(capacity(10 * MS, 100 * MS, 4), cpus_rate(2));
    assert_eq!(capacity(0, 0, 4), 0);
}

#[test]
fn limits_by_example() {
    assert_eq!(limit_ns(100), Some(100_000));
    assert_eq!(limit_ns(u64::MAX), None);
    assert_eq!(limit_ns(u64::MAX / 1000), None);
    assert_eq!(limit_periods(99, 100, 10), 0);
    assert_eq!(limit_periods(100, 100, 10), 1);
    assert_eq!(limit_periods(129, 100, 10), 3);
    assert_eq!(limit_refill_ns(0, 1, 50, 0), 50);
    assert_eq!(limit_refill_ns(40, 1, 50, 0), 10, "no more than a quota without a burst");
    assert_eq!(limit_refill_ns(40, 1, 50, 100), 50, "a burst saves it");
    assert_eq!(limit_refill_ns(-70, 1, 50, 0), 50, "what was used too much is missing");
    assert_eq!(limit_released(0, 10 * MS), 0);
    assert_eq!(limit_released(-5, 10 * MS), 0);
    assert_eq!(limit_released(1, 10 * MS), 1);
}
