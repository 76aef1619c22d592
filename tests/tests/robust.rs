// SPDX-License-Identifier: GPL-2.0-only
//! The scheduler lives through what happens to hosts, and leaves well when it must.

use agentload::generate::{generate, Params};
use agentload::jsonl;
use scx_agent_tests::vm::Boot;
use std::path::PathBuf;

/// Seconds of the soak test: `SCX_AGENT_SOAK_S`, else a minute.
fn soak_s() -> u64 {
    match std::env::var("SCX_AGENT_SOAK_S") {
        Ok(s) => s.parse().unwrap_or_else(|_| panic!("SCX_AGENT_SOAK_S {s:?}: expected a number of seconds")),
        Err(_) => 60,
    }
}

/// A program of this machine.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|d| d.join(name)).find(|p| p.is_file());
    found.unwrap_or_else(|| panic!("no {name} on PATH: install the package {name}"))
}

#[test]
fn every_kind_of_task_at_once() {
    let plan = generate(&Params { agents: 8, turns: 2, seed: 5, overlap_pct: 25.0, ..Params::default() });
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("plan.jsonl");
    jsonl::write_file(&file, &plan).unwrap();
    let left = Boot::script("soak")
        .file(&file, "/plan.jsonl")
        .program(&program("stress-ng"))
        .env("SOAK_S", &soak_s().to_string())
        .scheduler("scx_agent --agent-cgroup 'agents/*' --stats 10")
        .timeout_s(600 + 3 * soak_s())
        .run();
    let facts = left.facts();
    println!("{}", left.text("stress.out"));
    left.assert_scheduled();
    assert_eq!(facts.get("state"), "enabled");
    assert_eq!(facts.get("nr_rejected"), "0");
    assert_eq!(facts.get("stress_status"), "0", "{}", left.text("stress.out"));
    assert!(facts.number("rounds") >= 1.0);
    let log = &left.outcome.scheduler.as_ref().unwrap().log;
    let dmesg = left.text("dmesg");
    for bad in ["stall", "runnable task", "disabled due to"] {
        assert!(!log.contains(bad), "the scheduler said {bad:?}:\n{log}");
    }
    let exits: Vec<_> = log.lines().filter(|l| l.starts_with("EXIT:")).collect();
    assert_eq!(exits, ["EXIT: unregistered from user space"], "{log}");
    for bad in ["disabled (", "hung_task", "blocked for more than", "WARNING:", "BUG:"] {
        assert!(!dmesg.contains(bad), "the kernel said {bad:?}:\n{dmesg}");
    }
}

#[test]
fn what_happens_to_hosts() {
    let left = Boot::script("robust").run();
    let facts = left.facts();
    left.assert_kernel_well();

    // kill -9: the kernel takes over, nobody is lost.
    assert_eq!(facts.get("killed_state"), "disabled");
    assert!(facts.number("killed_hog_ticks") > 20.0);
    assert_eq!(facts.get("killed_survivor_status"), "0");

    // SysRq-S: the reason is said, and the status tells that it was not a normal end.
    assert_eq!(facts.get("sysrq_state"), "0");
    assert_eq!(facts.get("sysrq_gone"), "0", "the daemon ends with its scheduler");
    let said = left.text("sysrq.err") + &left.text("sysrq.out");
    println!("ejected: {said}");
    assert!(said.to_lowercase().contains("sysrq"), "the reason is said: {said:?}");
    let sysrq_status = facts.number("sysrq_status");

    // affinity (nice values: limits.rs)
    assert_eq!(facts.get("strays"), "0", "pinned tasks stay where they are pinned");

    // Starvation. One who computes is behind at most delay_cap (6 s) and one round (8 s); one who
    // mostly sleeps has had no service, and goes before all hogs.
    println!(
        "longest waits with 40 hogs: computing {} ms, sleeping {} ms",
        facts.get("longest_busy_ms"),
        facts.get("longest_sleeper_ms")
    );
    assert_eq!(facts.get("starve_state"), "enabled");
    assert!(facts.number("longest_busy_ms") < 15_000.0);
    assert!(facts.number("longest_sleeper_ms") < 5_000.0);
    assert_eq!(facts.get("starved"), "0", "each of 40 hogs has run");
    assert_eq!(facts.get("nice_status"), "0");
    assert_eq!(facts.get("nr_rejected"), "0");

    assert!(
        sysrq_status > 0.0,
        "an ejected scheduler must not exit with status 0: systemd would call that success"
    );
}
