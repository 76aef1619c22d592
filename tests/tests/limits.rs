// SPDX-License-Identifier: GPL-2.0-only
//! Replacing the default scheduler drops no container's limits, cpu.max and cpu.weight, and no nice value.

use scx_agent_tests::vm::{Boot, Facts};

/// Asserts that `name` is `expected` CPUs, within one percent.
fn assert_cpus(facts: &Facts, what: &str, cpus: f64, expected: f64) {
    println!("{what}: {cpus:.4} CPUs, limit {expected}");
    assert!(
        (cpus / expected - 1.0).abs() <= 0.01,
        "{what}: {cpus} CPUs, not {expected}: {}",
        facts.get("state")
    );
}

#[test]
fn cpu_max_holds() {
    let left = Boot::script("limits").scheduler("scx_agent --agent-cgroup 'agents/*'").lockstep().run();
    left.assert_scheduled();
    let facts = left.facts();
    let of = |name: &str| facts.number(name);
    let both = |name: &str| of(&format!("{name}_a")) + of(&format!("{name}_b"));
    assert_cpus(&facts, "50 ms in 100 ms", of("half_a"), 0.5);
    assert!(of("half_b") > 3.4, "what is not limited has the rest: {}", of("half_b"));
    assert_cpus(&facts, "30 ms in 100 ms for the cgroup above", both("above"), 0.3);
    assert_cpus(&facts, "10 ms in 10 ms", both("fast"), 1.0);
    assert_cpus(&facts, "200 ms in 100 ms", both("two"), 2.0);
    assert!(both("none") > 3.9, "without a limit the machine is theirs: {}", both("none"));
    assert_eq!(facts.get("gone"), "0");
    assert_eq!(facts.get("state"), "enabled");
}

#[test]
fn throttled_tasks_have_their_turns() {
    let left = Boot::script("crowded").scheduler("scx_agent --agent-cgroup 'agents/*'").run();
    left.assert_scheduled();
    let facts = left.facts();
    assert_eq!(facts.get("state"), "enabled", "the watchdog did not let throttled tasks wait");
    assert_eq!(facts.get("waiting"), "60");
    assert_eq!(facts.get("never_ran"), "0");
    assert_eq!(facts.get("gone"), "0");
    println!("work outside took {} s beside 60 throttled tasks", facts.get("outside_s"));
    assert!(facts.number("outside_s") < 20.0);
}

/// The share that the weights on the path of `leaf` (such as w2/w4/w1) make, of 1:2:4 on each level.
fn share(leaf: &str) -> f64 {
    leaf.split('/').map(|part| part[1..].parse::<f64>().expect("w1, w2 or w4") / 7.0).product()
}

#[test]
fn weights_hold_on_three_levels() {
    // In the first seconds all are new and have their turns at once; the clocks make up for it until
    // some 20 s later, which is no time to measure.
    let left = Boot::script("weights")
        .env("WARM_S", "20")
        .env("RUN_S", "60")
        .scheduler("scx_agent --agent-cgroup 'agents/*'")
        .lockstep()
        .run();
    left.assert_scheduled();
    let facts = left.facts();
    let used: Vec<(String, f64)> = ["w1", "w2", "w4"]
        .iter()
        .flat_map(|a| ["w1", "w2", "w4"].map(|b| format!("{a}/{b}")))
        .flat_map(|ab| match ab.starts_with("w2") {
            true => ["w1", "w2", "w4"].map(|c| format!("{ab}/{c}")).to_vec(),
            false => vec![ab],
        })
        .map(|leaf| (leaf.clone(), facts.number(&leaf)))
        .collect();
    let all: f64 = used.iter().map(|(_, us)| us).sum();
    for (leaf, us) in &used {
        println!("{leaf}: {:.4} of the machine, {:.4} by weight", us / all, share(leaf));
    }
    for level in ["w1", "w2", "w4"] {
        let has: f64 = used.iter().filter(|(leaf, _)| leaf.starts_with(level)).map(|(_, us)| us / all).sum();
        let off = has / share(level) - 1.0;
        println!("{level}: {:+.1} %", off * 100.0);
        assert!(off.abs() <= 0.02, "{level} has {has:.4} of the machine, not {:.4}", share(level));
    }
    // The least of them should have 1.4 s in all, in turns of some 10 to 100 ms for each of two tasks.
    for (leaf, us) in &used {
        let fair = share(leaf) * all;
        assert!((us - fair).abs() <= 0.02 * fair + 300e3, "{leaf} had {us} us, not {fair:.0}");
    }
    assert_eq!(facts.get("state"), "enabled");
}

#[test]
fn nice_values_hold() {
    let left = Boot::script("nice").scheduler("scx_agent --agent-cgroup 'agents/*'").lockstep().run();
    left.assert_scheduled();
    let facts = left.facts();
    assert_eq!(facts.get("state"), "enabled");
    // Weights of the kernel's sched_prio_to_weight: 1024 for nice 0, 335 for 5, 3121 for -5.
    for (more, less, fair) in [("nice_0", "nice_5", 1024.0 / 335.0), ("nice_m5", "equal_0", 3121.0 / 1024.0)]
    {
        let (more_ms, less_ms) = (facts.number(more), facts.number(less));
        let ratio = more_ms / less_ms;
        println!("{more}: {more_ms} ms, {less}: {less_ms} ms, {ratio:.2} times");
        assert!(
            (ratio / fair - 1.0).abs() <= 0.1,
            "{more} has {ratio:.2} times what {less} has, not {fair:.2}"
        );
    }
}
