// SPDX-License-Identifier: GPL-2.0-only
//! Machines with several last-level caches: queues of their own, and yet one machine.

use scx_agent_tests::vm::Boot;

fn ticks(text: &str) -> Vec<f64> {
    text.split_whitespace().map(|n| n.parse().unwrap_or_else(|_| panic!("{n:?} of {text:?}"))).collect()
}

/// What became of twelve hogs that began on the CPUs of one of two caches: the most that one had by the least, and how
/// many tasks ran elsewhere than they waited.
fn spread(options: &str) -> (f64, f64) {
    let left = Boot::script("domains").caches(8, 2).lockstep().env("OPTIONS", options).run();
    left.assert_kernel_well();
    let facts = left.facts();
    assert_eq!((facts.get("state"), facts.get("status")), ("enabled", "0"), "{}", left.diagnosis());
    assert_eq!(facts.get("caches"), "0-3 4-7 ", "{facts:?}");
    let (before, after) = (ticks(facts.get("before")), ticks(facts.get("after")));
    let had: Vec<f64> = before.iter().zip(&after).map(|(b, a)| a - b).collect();
    let most = had.iter().copied().fold(0.0, f64::max);
    let least = had.iter().copied().fold(f64::MAX, f64::min);
    println!("{options:?}: {had:?} ticks, {} elsewhere", facts.get("elsewhere"));
    assert_eq!(had.len(), 12);
    let all: f64 = had.iter().sum();
    assert!(all >= 0.9 * 8.0 * 1200.0, "CPUs were idle: {had:?}");
    (most / least, facts.number("elsewhere"))
}

#[test]
fn what_began_on_one_cache_has_all_of_the_machine() {
    let (ratio, elsewhere) = spread("");
    assert!(ratio <= 1.3, "one had {ratio:.2} times another's");
    assert!(elsewhere >= 8.0, "nothing was moved: {elsewhere}");
    let (ratio, elsewhere) = spread("--queues machine");
    assert!(ratio <= 1.3, "one had {ratio:.2} times another's");
    assert_eq!(elsewhere, 0.0, "there is one queue");
}
