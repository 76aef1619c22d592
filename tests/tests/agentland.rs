// SPDX-License-Identifier: GPL-2.0-only
//! The ranking in user space: loads, runs a load to its end, tells calls apart, and gives the host
//! back. In lock-step mode, because it has but 5 s until the kernel's watchdog ends it: a busy host
//! stops a guest on the host's clock for longer.

use agentload::generate::{generate, Params};
use agentload::jsonl;
use agentload::record::{CallRecord, Record};
use scx_agent_tests::vm::{bin_dir, Boot};
use std::collections::HashSet;

#[test]
fn a_load_under_the_ranking_in_user_space() {
    let program = bin_dir().join("scx_agentland");
    assert!(
        program.is_file(),
        "no scx_agentland beside scx_agent: build it (cargo build --release --workspace)"
    );
    let plan = generate(&Params { agents: 6, turns: 1, seed: 3, overlap_pct: 50.0, ..Params::default() });
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("plan.jsonl");
    jsonl::write_file(&file, &plan).unwrap();
    // Every CPU is busy, so that tasks have to wait: only of those it is told.
    let left = Boot::command(
        "agentland",
        "for i in 1 2 3 4 5 6 7 8; do (while :; do :; done) & done; \
         agentload run --plan /plan.jsonl --mem off --comm-from-plan --out /out/records.jsonl && sleep 1",
    )
    .file(&file, "/plan.jsonl")
    .program(&program)
    .scheduler("scx_agentland --agent-cgroup 'agents/*' -v --stats 0.5")
    .lockstep()
    .run();
    left.assert_scheduled();
    let scheduler = left.outcome.scheduler.as_ref().expect("asked for");
    assert!(scheduler.ops.starts_with("agentland_"), "{}", scheduler.ops);

    let records: Vec<Record> = jsonl::read(&left.path("records.jsonl")).unwrap();
    let calls: Vec<&CallRecord> = records
        .iter()
        .filter_map(|r| match r {
            Record::Call(c) => Some(c),
            _ => None,
        })
        .collect();
    let planned: usize = plan.iter().flat_map(|a| &a.turns).map(|t| t.calls.len()).sum();
    assert_eq!(calls.len(), planned, "every call was made");
    assert!(calls.iter().all(|c| c.ok), "{calls:?}");

    // Calls that it told: those whose tasks had to wait at least once.
    let log = &scheduler.log;
    let told: HashSet<u32> = log
        .lines()
        .filter_map(|l| l.split_once("call ")?.1.split_once("pid ")?.1.split(' ').next()?.parse().ok())
        .collect();
    let found = calls.iter().filter(|c| told.contains(&c.pid)).count();
    println!("{found} of {planned} calls were looked up");
    assert!(found * 2 > planned, "{found} of {planned}:\n{log}");
    let agents = plan.iter().filter(|a| log.contains(&format!("agent \"agents/{}\"", a.agent))).count();
    assert_eq!(agents, plan.len(), "{log}");
    assert!(log.lines().any(|l| l.contains("lookups | overdue")), "no statistics:\n{log}");
}
