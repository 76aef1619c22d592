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
const TURNS: u32 = 30;

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
    calls_ms: Vec<f64>,
    framework_ms: Vec<f64>,
    /// Share of the machine of the container in question, 0 to 1.
    share: f64,
    /// And of the agent with long calls.
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
    Run { left, calls_ms: calls, framework_ms: turns, share: evil, long }
}

#[test]
fn tricks_buy_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("plan.jsonl");
    jsonl::write_file(&file, &(0..AGENTS).map(agent).collect::<Vec<_>>()).unwrap();
    let (plain, storm) = (run(&file, "plain"), run(&file, "storm"));
    println!("the storm: {}", storm.left.text("evil"));
    let slower = |of: fn(&Run) -> &[f64], p: f64| {
        let at = |run| percentile(of(run), p).expect("there are some");
        100.0 * (at(&storm) / at(&plain) - 1.0)
    };
    let calls = |p| slower(|r| &r.calls_ms, p);
    let framework = |p| slower(|r| &r.framework_ms, p);
    println!(
        "storm against plain work: calls p50 {:+.1} % p90 {:+.1} % p95 {:+.1} %, framework p50 {:+.1} % p95 {:+.1} %",
        calls(50.0),
        calls(90.0),
        calls(95.0),
        framework(50.0),
        framework(95.0)
    );
    // About one call in twenty, and so P95 in some builds and not in others, still waits for something that
    // a task of the storm has inside the kernel; for moves and forks alone that was 3 s.
    assert!(framework(95.0) < 5.0 && calls(90.0) < 10.0, "others are slower for tricks");
    let longest = percentile(&storm.calls_ms, 100.0).expect("there are some");
    assert!(longest < 1000.0, "a call of at most 30 ms of CPU took {longest:.0} ms");
    assert!(storm.share <= plain.share + 0.01, "tricks buy CPU time: {} of {}", storm.share, plain.share);
    assert!(storm.long >= plain.long - 0.01, "at the cost of long calls: {} of {}", storm.long, plain.long);
    let log = storm.left.text("hostile.err");
    for said in ["refused: it sends too many", "\"evil\" begins more calls and helpers than are shown"] {
        let lines = log.lines().filter(|l| l.contains(said)).count();
        assert!((1..=4).contains(&lines), "the log says it, and not all the time: {said:?}\n{log}");
    }
    assert!(!log.contains("events were lost"), "{log}");
    let status = storm.left.text("status");
    assert!(status.contains("scx_agent") && status.contains("is healthy"), "{status}");
}
