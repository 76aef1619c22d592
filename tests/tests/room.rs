// SPDX-License-Identifier: GPL-2.0-only
//! The arithmetic of memory that the kernel's programs control (`bpf/memory.h`), the very code that runs in
//! the kernel.

use proptest::prelude::*;
use scx_agent_tests::policy::*;

const LOW: u32 = 1;
const MIN: u32 = 2;
/// A charge, and what there may be at most, in pages.
const CHARGE: u64 = 64;
const ALL: u64 = 1 << 52;

fn room(kept_pages: u64, budget_pages: u64, protection: u32) -> Room {
    Room { kept_pages, budget_pages, protection, unused: 0 }
}

/// Pages of every size: mostly what agents have, now and then absurd.
fn pages() -> impl Strategy<Value = u64> {
    prop_oneof![0..1u64 << 20, 0..1u64 << 30, 0..=ALL, Just(0), Just(ALL)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn delays_are_bounded_and_grow_with_what_is_over_the_budget(budget in pages(), a in pages(), b in pages()) {
        let of = |usage| memory_delay_ms(&room(0, budget, 0), usage);
        let (least, most) = memory_delays_ms();
        prop_assert!(of(a.min(b)) <= of(a.max(b)));
        if a <= budget {
            prop_assert_eq!(of(a), 0);
        } else {
            prop_assert!((least..=most).contains(&of(a)));
        }
    }

    #[test]
    fn without_a_budget_nothing_is_delayed(usage in pages(), kept in pages(), protection in 0..=MIN) {
        prop_assert_eq!(memory_delay_ms(&room(kept, u64::MAX, protection), usage), 0);
    }

    #[test]
    fn what_is_protected_from_more_is_from_less(kept in pages(), usage in pages(), protection in 0..=MIN) {
        let r = room(kept, 0, protection);
        let (low, min) = (memory_protects(&r, usage, LOW), memory_protects(&r, usage, MIN));
        prop_assert!(low || !min);
        prop_assert_eq!(low, protection >= LOW && usage <= kept);
        prop_assert_eq!(min, protection == MIN && usage <= kept);
    }
}

/// What the kernel takes for a delay at all, and what it takes at most.
#[test]
fn the_kernel_takes_our_delays_as_they_are() {
    let (least, most) = memory_delays_ms();
    assert!(least > 10 && most <= 1000, "{least} to {most} ms");
}

/// How long 256 MB over a budget of 512 MB take: one can wait for a call, but not for all of it.
#[test]
fn a_burst_over_its_budget_is_slow_and_goes_on() {
    let (mb, budget) = (256, 512 * 256);
    let r = room(0, budget, 0);
    let took_ms = |over: u64| -> u64 {
        (budget + CHARGE..=budget + over)
            .step_by(CHARGE as usize)
            .map(|u| u64::from(memory_delay_ms(&r, u)))
            .sum()
    };
    // 4 MB over are 16 charges of little more than the least delay.
    assert!((300..=1_000).contains(&took_ms(4 * mb)), "{} ms", took_ms(4 * mb));
    let rate = 64.0 / ((took_ms(128 * mb) - took_ms(64 * mb)) as f64 / 1e3);
    assert!((0.3..1.0).contains(&rate), "{rate} MB a second");
}
