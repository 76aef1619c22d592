// SPDX-License-Identifier: GPL-2.0-only
//! Splitting work into many short calls buys an agent next to nothing.

use agentload::jsonl;
use agentload::plan::{Agent, Call, Stage, Turn};
use scx_agent_tests::vm::Boot;

fn call(call: u32, cpu_ms: f64, width: u32) -> Call {
    let stage = Stage { wait_ms: 0.0, cpu_ms, width, mem_mb: 0.0 };
    Call { call, cat: "build".into(), offset_ms: 0.0, stages: vec![stage] }
}

/// An agent that makes `turns` turns of `calls` calls at once, without a pause.
fn agent(name: &str, turns: u32, calls: u32, cpu_ms: f64, width: u32) -> Agent {
    let turn = |t: u32| Turn {
        think_ms: 0.0,
        framework_ms: 0.0,
        wait_cpu_pct: 0.0,
        calls: (0..calls).map(|c| call(t * calls + c, cpu_ms, width)).collect(),
    };
    Agent {
        agent: name.into(),
        comm: "claude".into(),
        start_ms: 0,
        base_mb: 0.0,
        turns: (0..turns).map(turn).collect(),
    }
}

#[test]
fn splitting_does_not_pay() {
    // Eight short calls at a time against two endless ones of four processes each.
    let plan = [agent("long", 1, 2, 60_000.0, 4), agent("splitter", 400, 8, 50.0, 1)];
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("plan.jsonl");
    jsonl::write_file(&file, &plan).unwrap();
    let left = Boot::script("fairness")
        .file(&file, "/plan.jsonl")
        .env("WORK_PER_MS", "40000")
        .scheduler("scx_agent --agent-cgroup 'agents/*'")
        .lockstep()
        .run();
    left.assert_scheduled();
    let facts = left.facts();
    let (long, splitter) = (facts.number("long_us"), facts.number("splitter_us"));
    let machine = (facts.number("to_s") - facts.number("from_s")) * 4e6;
    let share = splitter / (long + splitter);
    println!(
        "of {:.1} s of CPU: long calls {:.2} s, short ones {:.2} s ({:.0} %)",
        machine / 1e6,
        long / 1e6,
        splitter / 1e6,
        share * 100.0
    );
    assert!(long + splitter > 0.9 * machine, "the machine was not busy");
    assert!(share <= 0.6, "the splitter has {share:.2} of the machine, its equal share is 0.5");
    // Less than half, for each of its turns waits for the last of its calls; but it has turns.
    assert!(share >= 0.2, "and it does not starve: {share:.2}");
}
