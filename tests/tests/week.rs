// SPDX-License-Identifier: GPL-2.0-only
//! A week in miniature: agents that come and go, and their tool calls, leave nothing in the daemon or in
//! the kernel.
//!
//! `SCX_AGENT_WEEK=AGENTS:CALLS` asks for more: 50000:1000000 are 100,000 cgroups, as each agent has one
//! below its own.

use scx_agent_tests::vm::{Boot, Facts};
use std::path::Path;

/// Looks after the first: two for each third of the week.
const PARTS: u64 = 6;
/// Calls that the daemon remembers, and about what one takes, in KB.
const REMEMBERED: u64 = 4096;
const CALL_KB: f64 = 1.0;

/// The most of `what` in the looks `from` to `to`.
fn most(facts: &Facts, what: &str, from: u64, to: u64) -> f64 {
    (from..=to).map(|part| facts.number(&format!("{part}_{what}"))).fold(0.0, f64::max)
}

fn week(agents: u64, calls: u64) {
    // Two CPUs: twice as fast as with four on a host that has two.
    let left = Boot::script("week")
        .smp("2")
        .program(Path::new(env!("CARGO_BIN_EXE_crowd")))
        .env("AGENTS", &agents.to_string())
        .env("CALLS", &calls.to_string())
        .env("PARTS", &PARTS.to_string())
        .timeout_s(600 + calls / 10 + agents / 10)
        .run();
    left.assert_kernel_well();
    let facts = left.facts();
    for what in ["rss_kb", "fds", "threads", "maps", "metrics_lines", "kernel_kb", "dying", "journal"] {
        let all: Vec<String> = (0..=PARTS).map(|p| facts.get(&format!("{p}_{what}")).to_string()).collect();
        println!("{what:>13}: {}", all.join(" "));
    }
    assert_eq!((facts.get("state"), facts.get("status")), ("enabled", "0"), "{}", left.diagnosis());
    assert_eq!(left.text("crowd.err"), "");
    let (made, seen) = (facts.number("made") * PARTS as f64, facts.number("seen"));
    println!(
        "{agents} agents, {} cgroups, {made} calls made, {seen} seen, {} untold, {} events lost, {} s",
        2 * agents,
        facts.get("untold"),
        facts.get("lost"),
        facts.get("uptime")
    );
    assert!(made >= calls as f64 * 0.9 && seen >= made * 0.99, "calls were not seen: {facts:?}");
    assert_eq!(facts.get("lost"), "0", "{facts:?}");

    let growth = |what: &str| most(&facts, what, 5, 6) - most(&facts, what, 3, 4);
    // Until it has seen as many as it remembers, it has more to remember.
    let fills = (REMEMBERED.saturating_sub(calls * 2 / 3)).min(calls / 3) as f64 * CALL_KB;
    assert!(growth("rss_kb") <= 512.0 + fills, "the daemon grows by {} KB", growth("rss_kb"));
    for what in ["fds", "threads", "maps", "metrics_lines"] {
        assert!(growth(what) <= 0.0, "{what} grows by {}: {facts:?}", growth(what));
    }
    assert!(growth("kernel_kb") <= 4096.0, "the kernel grows by {} KB", growth("kernel_kb"));
    assert_eq!(facts.get("6_journal"), "0", "nothing is limited, and yet it is noted");
}

#[test]
fn what_comes_and_goes_leaves_nothing() {
    week(600, 1200);
}

#[test]
#[ignore = "takes minutes to hours"]
fn a_week_in_miniature() {
    let size = std::env::var("SCX_AGENT_WEEK").unwrap_or("5000:20000".into());
    let numbers: Vec<u64> = size.split(':').filter_map(|n| n.parse().ok()).collect();
    let [agents, calls] = numbers[..] else { panic!("SCX_AGENT_WEEK={size}: expected AGENTS:CALLS") };
    week(agents, calls);
}
