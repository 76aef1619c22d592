// SPDX-License-Identifier: GPL-2.0-only
//! The arithmetic of the ranking (`bpf/rank.h`), the very code that runs in the kernel.

use proptest::prelude::*;
use scx_agent_tests::policy::*;

const MS: u64 = 1_000_000;
const S: u64 = 1_000_000_000;
const K: Knobs = DEFAULT_KNOBS;

/// CPU time of every size: mostly what calls have, now and then absurd.
fn time() -> impl Strategy<Value = u64> {
    prop_oneof![0..S, 0..1000 * S, any::<u64>(), Just(0), Just(u64::MAX)]
}

/// Knobs in the ranges of the command line.
fn knobs() -> impl Strategy<Value = Knobs> {
    (1..=1000u64, 10..=15_000u64, 10..=10_000u64).prop_map(|(slope, cap_ms, quantum_ms)| Knobs {
        delay_slope: slope,
        delay_cap_ns: cap_ms * MS,
        quantum_max_ns: quantum_ms * MS,
        ..K
    })
}

/// What a call is charged that runs for `slices` slices of `slice_ns` from its begin.
fn charged(slices: u64, slice_ns: u64, parallel: u32) -> u64 {
    (0..slices).map(|i| charge_ns(slice_ns, i * slice_ns, parallel, &K)).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn delay_grows_with_service_up_to_its_cap(a in time(), b in time(), k in knobs()) {
        let (less, more) = (a.min(b), a.max(b));
        prop_assert!(delay_ns(less, &k) <= delay_ns(more, &k));
        prop_assert!(delay_ns(more, &k) <= k.delay_cap_ns);
        let exact = (a as u128 * k.delay_slope as u128).min(k.delay_cap_ns as u128) as u64;
        // The cap is reached within one step of the slope.
        prop_assert!(delay_ns(a, &k).abs_diff(exact) < k.delay_slope);
    }

    #[test]
    fn delay_without_slope_is_still_bounded(a in time(), b in time()) {
        let k = Knobs { delay_slope: 0, ..K };
        prop_assert!(delay_ns(a.min(b), &k) <= delay_ns(a.max(b), &k));
        prop_assert!(delay_ns(a, &k) <= k.delay_cap_ns);
    }

    /// The classes, by keys as of one moment: what is interactive takes the CPU of what is standard, and
    /// that of what is in the background, short or long; nobody is ahead for ever.
    #[test]
    fn classes_rank_in_their_order_and_within_bounds(now in 100 * S..1000 * S, service in 0..1000 * S, k in knobs()) {
        const MARGIN: u64 = 200 * MS; // of preemption
        let short = |qos| qos_key(now + delay_ns(service, &k), qos, &k);
        prop_assert!(before(short(Qos::Interactive) + MARGIN, short(Qos::Standard)));
        let long = |qos| long_key(now, qos, &k);
        prop_assert!(before(long(Qos::Interactive) + MARGIN, long(Qos::Standard)));
        prop_assert!(before(long(Qos::Standard) + MARGIN, long(Qos::Background)));
        prop_assert!(before(short(Qos::Standard) + MARGIN, long(Qos::Background)));
        // A call that comes once the lead or the cap is over is behind those that wait since.
        prop_assert!(!before(qos_key(now + k.qos_lead_ns, Qos::Interactive, &k), now));
        prop_assert_eq!(qos_place(now + k.delay_cap_ns, Qos::Interactive, &k), now);
        prop_assert_eq!(qos_place(now, Qos::Standard, &k), now);
        prop_assert_eq!(long_wait_ns(Qos::Background, &k), k.qos_wait_ns);
        prop_assert_eq!(long_wait_ns(Qos::Interactive, &k), k.delay_cap_ns);
        // In front only of what waits for longer than for its turn, and before the kernel's 30 s.
        prop_assert!(wait_bound_ns(&k) > k.delay_cap_ns && wait_bound_ns(&k) <= 20 * S);
    }

    /// Background work that only ever has the turns of what has waited for long: each has one, though none
    /// uses up its quantum.
    #[test]
    fn turns_of_what_has_waited_for_long_go_round(bases in prop::collection::vec(0..100 * S, 2..30)) {
        let mut queue = bases.clone();
        let mut turns = vec![0; queue.len()];
        let mut now = 200 * S;
        for _ in 0..queue.len() * 3 {
            let first = (0..queue.len()).min_by_key(|&i| queue[i]).unwrap();
            turns[first] += 1;
            now += 50 * MS;
            queue[first] = aged_base(queue[first], now, K.qos_wait_ns);
        }
        prop_assert!(turns.iter().all(|&n| n == 3), "{turns:?}");
        // What came later stays behind it.
        prop_assert!(queue.iter().all(|&b| b <= now - K.qos_wait_ns));
        prop_assert_eq!(aged_base(now, now + S, K.qos_wait_ns), now);
    }

    /// Long calls age while shorter ones keep them waiting, not while they wait for each other; in the end all do.
    #[test]
    fn who_waits_for_its_equals_does_not_age(
        now in 100 * S..1000 * S, waited in 0..40 * S, free in 0..40 * S, k in knobs(),
    ) {
        let (queued, free) = (now - waited, now - free);
        for qos in [Qos::Interactive, Qos::Standard, Qos::Background] {
            let aged = has_aged(now, queued, free, qos, &k);
            let for_others = waited.min(now - free);
            prop_assert_eq!(now - waits_since_ns(queued, free), for_others);
            let counts = if qos == Qos::Background { waited } else { for_others };
            prop_assert_eq!(aged, counts >= long_wait_ns(qos, &k) || waited >= wait_bound_ns(&k));
        }
    }

    #[test]
    fn quantum_is_within_its_bounds(cpu in time(), long in any::<bool>(), round in time(), k in knobs()) {
        let q = quantum_ns(cpu, long, round, &k);
        prop_assert!(q >= k.quantum_min_ns);
        prop_assert!(q <= k.quantum_max_ns.max(k.quantum_min_ns));
        prop_assert!(q <= round.max(k.quantum_min_ns));
        prop_assert!(long || q <= cpu.max(k.quantum_min_ns));
    }

    #[test]
    fn quantum_grows_with_service(a in time(), b in time(), round in time()) {
        let (less, more) = (a.min(b), a.max(b));
        prop_assert!(quantum_ns(less, false, round, &K) <= quantum_ns(more, false, round, &K));
        prop_assert!(quantum_ns(more, false, round, &K) <= quantum_ns(less, true, round, &K));
    }

    #[test]
    fn service_counts_times_width(cpu in 0..1000 * S, width in any::<u32>(), more in any::<u32>()) {
        prop_assert_eq!(wide_ns(cpu, width), cpu * width.clamp(1, max_width()) as u64);
        prop_assert!(wide_ns(cpu, width.min(more)) <= wide_ns(cpu, width.max(more)));
    }

    #[test]
    fn wide_ones_are_ahead_of_long_ones_as_old(base in any::<u64>(), a in any::<u32>(), b in any::<u32>()) {
        let (narrow, wide) = (a.min(b), a.max(b));
        let (late, early) = (long_place(base, narrow, &K), long_place(base, wide, &K));
        prop_assert!(!before(late, early));
        prop_assert_eq!(long_place(base, 1, &K), base);
        // The lead is bounded.
        prop_assert!(base.wrapping_sub(early) <= (max_width() as u64 - 1) * K.width_bonus_ns);
    }

    #[test]
    fn once_long_always_long(a in time(), b in time(), k in knobs()) {
        prop_assert!(!is_long(a.min(b), &k) || is_long(a.max(b), &k));
        prop_assert_eq!(is_long(a, &k), a >= k.long_service_ns);
    }

    #[test]
    fn charge_is_at_most_what_was_used(delta in 0..10 * S, service in time(), parallel in any::<u32>()) {
        prop_assert!(charge_ns(delta, service, parallel, &K) <= delta);
    }

    #[test]
    fn charge_falls_with_service(delta in 0..10 * S, a in time(), b in time(), parallel in 0..200u32) {
        let (less, more) = (a.min(b), a.max(b));
        prop_assert!(charge_ns(delta, more, parallel, &K) <= charge_ns(delta, less, parallel, &K));
    }

    #[test]
    fn charge_grows_with_calls_side_by_side(delta in 0..10 * S, service in time(), n in 1..200u32) {
        prop_assert!(charge_ns(delta, service, n, &K) <= charge_ns(delta, service, n + 1, &K));
    }

    #[test]
    fn hundred_calls_side_by_side_are_charged_nearly_all(delta in 1024..10 * S, service in time()) {
        prop_assert!(charge_ns(delta, service, 100, &K) >= delta / 100 * 98);
    }

    #[test]
    fn splitting_never_pays(pieces in 2..50u64, slices in 1..50u64, slice_us in 100..20_000u64, parallel in 1..8u32) {
        let slice = slice_us * 1000;
        let whole = charged(pieces * slices, slice, parallel);
        let split = pieces * charged(slices, slice, parallel);
        prop_assert!(split >= whole);
        if pieces * slices * slice > 20 * MS {
            prop_assert!(split > whole, "{split} {whole}");
        }
    }

    #[test]
    fn debt_only_adds_to_service(service in 0..1000 * S, debt in 0..1000 * S) {
        let s = service_ns(service, debt, &K);
        prop_assert_eq!(s, service + debt.saturating_sub(K.debt_burst_ns));
    }

    #[test]
    fn weight_divides(delta in 0..1000 * S, a in 1..=10_000u32, b in 1..=10_000u32) {
        prop_assert_eq!(weighted_ns(delta, 100), delta);
        prop_assert_eq!(weighted_ns(delta, 200), delta / 2);
        prop_assert!(weighted_ns(delta, a.max(b)) <= weighted_ns(delta, a.min(b)));
    }

    #[test]
    fn order_of_keys_holds_across_the_wrap(key in any::<u64>(), ahead in 1..=i64::MAX as u64) {
        prop_assert!(before(key, key.wrapping_add(ahead)));
        prop_assert!(!before(key.wrapping_add(ahead), key));
        prop_assert!(!before(key, key));
    }
}

#[test]
fn delay_by_example() {
    assert_eq!(delay_ns(0, &K), 0);
    assert_eq!(delay_ns(50 * MS, &K), 200 * MS);
    assert_eq!(delay_ns(1499 * MS, &K), 5996 * MS);
    assert_eq!(delay_ns(1500 * MS, &K), 6 * S);
    assert_eq!(delay_ns(u64::MAX, &K), 6 * S);
}

#[test]
fn quantum_by_example() {
    let free = u64::MAX;
    assert_eq!(quantum_ns(0, false, free, &K), 20 * MS);
    assert_eq!(quantum_ns(300 * MS, false, free, &K), 300 * MS);
    assert_eq!(quantum_ns(300 * MS, true, free, &K), 8 * S, "a long one has a whole turn");
    assert_eq!(quantum_ns(60 * S, true, 100 * MS, &K), 100 * MS);
    assert_eq!(quantum_ns(60 * S, true, 1, &K), 20 * MS, "many competitors do not cut below the least");
}

#[test]
fn a_new_call_is_charged_and_an_old_one_hardly() {
    assert_eq!(charge_ns(MS, 0, 1, &K), MS);
    let at_knee = charge_ns(MS, K.debt_knee_ns, 1, &K);
    assert_eq!(at_knee, MS / 2);
    assert!(charge_ns(MS, 100 * S, 1, &K) < MS / 500);
    assert_eq!(charge_ns(MS, 0, 0, &K), MS);
    let no_knee = Knobs { debt_knee_ns: 0, ..K };
    assert_eq!(charge_ns(MS, 0, 1, &no_knee), MS);
    assert_eq!(charge_ns(MS, 1, 1, &no_knee), 0);
}

#[test]
fn splitting_costs_by_example() {
    let whole = charged(200, 10 * MS, 1);
    let split = 40 * charged(5, 10 * MS, 1);
    println!("2 s of CPU: charged {} ms as one call, {} ms as 40", whole / MS, split / MS);
    assert!(split > 4 * whole);
}

#[test]
fn zeroes_are_taken_for_one() {
    assert_eq!(weighted_ns(S, 0), 100 * S);
}
