// SPDX-License-Identifier: GPL-2.0-only
//! A container that plays every trick has its share and no more, and nobody else is slower for it
//! than for one that wants as much without tricks.

use agentload::jsonl;
use agentload::plan::{Agent, Call, Stage, Turn};
use agentload::record::Record;
use agentload::summary::percentile;
use scx_agent_tests::vm::{Boot, Left};
use std::path::Path;

/// Agents with short calls.
const AGENTS: u32 = 6;
const TURNS: u32 = 40;

/// Turns of an agent that thinks for 80 to 240 ms and makes one call of 10 to 30 ms of CPU.
fn agent(n: u32) -> Agent {
    let turn = |t: u32| {
        let dice = f64::from((t * 7 + n * 13) % 17) / 16.0;
        let stage = Stage { wait_ms: 0.0, cpu_ms: 10.0 + 20.0 * dice, width: 1, mem_mb: 0.0 };
        Turn {
            think_ms: 80.0 + 160.0 * (1.0 - dice),
            framework_ms: 5.0,
            wait_cpu_pct: 0.0,
            calls: vec![Call { call: t, cat: "other".into(), offset_ms: 0.0, stages: vec![stage] }],
        }
    };
    Agent {
        agent: format!("a{n}"),
        comm: "claude".into(),
        start_ms: u64::from(n) * 37,
        base_mb: 0.0,
        turns: (0..TURNS).map(turn).collect(),
    }
}

/// What one run comes to.
struct Run {
    left: Left,
    calls_p95_ms: f64,
    framework_p95_ms: f64,
    /// Share of the machine, 0 to 1.
    evil: f64,
    long: f64,
}

fn run(plan: &Path, hostile: &str) -> Run {
    let left = Boot::script("hostile")
        .program(Path::new(env!("CARGO_BIN_EXE_hostile")))
        .file(plan, "/plan.jsonl")
        .env("HOSTILE", hostile)
        .env("WORK_PER_MS", "40000")
        .lockstep()
        .run();
    left.assert_kernel_well();
    let facts = left.facts();
    for fact in ["load_status", "scheduler_status"] {
        assert_eq!(facts.get(fact), "0", "{fact}: {}", left.diagnosis());
    }
    assert_eq!(facts.get("state"), "enabled", "{}", left.diagnosis());
    let records: Vec<Record> = jsonl::read(&left.path("records.jsonl")).unwrap();
    let (mut calls, mut turns) = (Vec::new(), Vec::new());
    for r in &records {
        match r {
            Record::Call(c) => calls.push((c.end_ns - c.start_ns) as f64 / 1e6),
            Record::Turn(t) => turns.push((t.done_ns - t.due_ns) as f64 / 1e6),
            _ => (),
        }
    }
    assert_eq!(calls.len() as u32, AGENTS * TURNS);
    let machine = (facts.number("to_s") - facts.number("from_s")) * 4e6;
    let p = |v: &[f64], p| percentile(v, p).expect("there are some");
    let (evil, long) = (facts.number("evil_us") / machine, facts.number("long_us") / machine);
    println!(
        "{hostile}: calls p50 {:.1} p95 {:.1} max {:.1} ms, framework p50 {:.1} p95 {:.1} max {:.1} ms; it has {:.1} % \
         of the machine, the long calls {:.1} %",
        p(&calls, 50.0),
        p(&calls, 95.0),
        p(&calls, 100.0),
        p(&turns, 50.0),
        p(&turns, 95.0),
        p(&turns, 100.0),
        evil * 100.0,
        long * 100.0
    );
    println!("{hostile} says {:?}", left.text("evil"));
    println!("{}\n{}", left.text("status"), left.text("hostile.err"));
    Run { calls_p95_ms: p(&calls, 95.0), framework_p95_ms: p(&turns, 95.0), evil, long, left }
}

#[test]
fn tricks_buy_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("plan.jsonl");
    jsonl::write_file(&file, &(0..AGENTS).map(agent).collect::<Vec<_>>()).unwrap();
    let storm = run(&file, "storm");
    let plain = run(&file, "plain");
    let slower = |a: f64, b: f64| 100.0 * (b / a - 1.0);
    println!(
        "storm against plain work: calls {:+.1} %, framework {:+.1} %",
        slower(plain.calls_p95_ms, storm.calls_p95_ms),
        slower(plain.framework_p95_ms, storm.framework_p95_ms)
    );
    println!("{} {} {}", storm.evil, storm.long, storm.left.outcome.guest_s);
}
