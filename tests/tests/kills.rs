// SPDX-License-Identifier: GPL-2.0-only
//! The worst night: whatever ends the daemon, at whatever moment, the host is as it was before it, or the
//! next daemon takes over, and no agent notices.
//!
//! `SCX_AGENT_KILLS=N` ends it N times, and `SCX_AGENT_KILLS_SEED` at the moments of another seed.

use agentload::rng::Rng;
use scx_agent_tests::vm::Boot;
use std::path::Path;

/// How it ends: told to, killed, hung until the service manager's watchdog fires, killed with its guard,
/// ejected by an operator.
const WAYS: [&str; 5] = ["TERM", "KILL", "HANG", "BOTH", "SYSRQ"];
/// One in so many, and one at least, is the kernel's own watchdog, which takes its time.
const STALL_EVERY: usize = 10;
/// The latest moment after a start, and since it schedules, in ms. A start takes 3 to 5 s.
const LATEST_MS: [(&str, u64); 2] = [("start", 10_000), ("enabled", 3_000)];

/// A number of the environment.
fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(n) => n.parse().unwrap_or_else(|_| panic!("{name}={n}: expected a number")),
        Err(_) => default,
    }
}

/// A line for each end: how, when, and whether the host is looked at before the next start.
fn plan(ends: usize, seed: u64) -> String {
    let mut rng = Rng::new(seed, 0);
    let stalls = (ends / STALL_EVERY).max(1).min(ends);
    let mut ways: Vec<&str> = WAYS.into_iter().cycle().take(ends - stalls).collect();
    ways.resize(ends, "STALL");
    // Fisher and Yates.
    (1..ends).rev().for_each(|i| ways.swap(i, rng.below(i as u64 + 1) as usize));
    let line = |(i, way): (usize, &&str)| {
        let next = match rng.below(2) {
            _ if i + 1 == ends => "last",
            0 => "alone",
            _ => "again",
        };
        let since = if *way == "STALL" { 1 } else { rng.below(LATEST_MS.len() as u64) as usize };
        let (since, latest) = LATEST_MS[since];
        format!("{way} {since} {} {next}\n", rng.below(latest))
    };
    ways.iter().enumerate().map(line).collect()
}

#[test]
fn whatever_ends_it_leaves_the_host_as_it_was() {
    let ends = number("SCX_AGENT_KILLS", 6) as usize;
    let seed = number("SCX_AGENT_KILLS_SEED", 1);
    println!("{ends} ends, SCX_AGENT_KILLS_SEED={seed}");
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("plan");
    std::fs::write(&file, plan(ends, seed)).expect("a plan");
    let left = Boot::script("kills")
        .module("zram")
        .program(Path::new(env!("CARGO_BIN_EXE_crowd")))
        // Work of the CPU that a real-time task keeps waits, too: that is the test's doing.
        .cmdline("workqueue.watchdog_thresh=0")
        .file(&file, "/tests.plan")
        .timeout_s(300 + 90 * ends as u64)
        .run();
    left.assert_kernel_well();
    let facts = left.facts();
    println!("{facts:?}");
    assert_eq!(left.text("faults"), "", "{}\n{}", left.text("rounds"), left.text("kills.err"));

    let text = left.text("rounds");
    let rounds: Vec<Vec<&str>> = text.lines().map(|l| l.split(' ').collect()).collect();
    assert_eq!(rounds.len(), ends, "{text}");
    let count = |what: &dyn Fn(&[&str]) -> bool| rounds.iter().filter(|r| what(r)).count();
    // Otherwise there was nothing to put back, and nothing was shown.
    let (enabled, changed) = (count(&|r| r[4] == "enabled"), count(&|r| r[5] == "changed"));
    println!("{text}{enabled} times while it scheduled, {changed} times while knobs were changed");
    for way in WAYS.into_iter().chain(["STALL"]) {
        println!("{way}: {} times", count(&|r| r[0] == way));
    }
    assert!(enabled > ends / 3 && changed > ends / 3, "{text}");
    assert!(facts.number("programs_loaded") > 0.0, "{facts:?}");
    assert_eq!(facts.get("programs_left"), "0", "programs of ours are still in the kernel");
    let calls: Vec<u32> = facts.get("calls").split(' ').filter_map(|n| n.parse().ok()).collect();
    assert!(calls.len() == 3 && calls.iter().all(|n| *n > 0), "agents went on: {calls:?}");
    let log = left.text("kills.err");
    let stalls = count(&|r| r[0] == "STALL" && r[4] == "enabled");
    assert!(stalls > 0, "{text}");
    assert!(log.matches("runnable task stall").count() >= stalls, "{stalls} times the watchdog:\n{log}");
    // Its report has names of tasks, one of which would have cleared the screen.
    assert!(log.contains("\\u{1b}[2J") && !log.contains('\u{1b}'), "{log}");
}
