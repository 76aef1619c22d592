// SPDX-License-Identifier: GPL-2.0-only
//! No long call waits for ever, whatever else wants the CPUs.

use agentload::jsonl;
use agentload::plan::{Agent, Call, Stage, Turn};
use scx_agent_tests::vm::Boot;

/// An agent that begins at `start_ms` and makes `turns` calls of `cpu_ms` without a pause.
fn agent(name: String, start_ms: u64, turns: u32, cpu_ms: f64) -> Agent {
    let turn = |call| Turn {
        think_ms: 0.0,
        framework_ms: 0.0,
        wait_cpu_pct: 0.0,
        calls: vec![Call {
            call,
            cat: "build".into(),
            offset_ms: 0.0,
            stages: vec![Stage { wait_ms: 0.0, cpu_ms, width: 1, mem_mb: 0.0 }],
        }],
    };
    Agent {
        agent: name,
        comm: "claude".into(),
        start_ms,
        base_mb: 0.0,
        turns: (0..turns).map(turn).collect(),
    }
}

#[test]
fn long_calls_go_on_under_endless_short_ones() {
    // Four CPUs and three times as many long calls; short ones want all of them, and come from so many
    // agents that none of these is in debt soon.
    let mut plan: Vec<Agent> = (0..12).map(|i| agent(format!("long-{i}"), 0, 1, 600_000.0)).collect();
    plan.extend((0..40).map(|i| agent(format!("short-{i}"), 3_000, 10_000, 60.0)));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("plan.jsonl");
    jsonl::write_file(&file, &plan).unwrap();
    let left = Boot::script("bound").file(&file, "/plan.jsonl").env("WORK_PER_MS", "40000").run();
    left.assert_kernel_well();
    let facts = left.facts();
    println!("CPU time of each, us, before:\n{}and after:\n{}", left.text("before"), left.text("after"));
    assert_eq!(left.text("before").lines().count(), 12);
    assert_eq!(facts.get("all_went_on"), "0", "{}", left.text("bound.out"));
    assert_eq!(facts.get("put_in_front"), "0", "none was ever overdue:\n{}", left.text("bound.out"));
    assert_eq!(facts.get("status"), "0");
    assert_eq!(facts.get("nr_rejected"), "0");
}
