// SPDX-License-Identifier: GPL-2.0-only
//! In lock-step mode the same seed gives the same bytes under scx_agent, and figures are exact.

use agentload::generate::{generate, Params};
use agentload::jsonl;
use agentload::record::Record;
use scx_agent_tests::calls::{check_calls, Clock};
use scx_agent_tests::vm::{Boot, Left};
use std::path::Path;

fn run(plan: &Path, nr: u32) -> Left {
    let left = Boot::command(
        &format!("lockstep {nr}"),
        "agentload run --plan /plan.jsonl --mem off --out /out/records.jsonl && sleep 0.5",
    )
    .file(plan, "/plan.jsonl")
    .scheduler("scx_agent --agent-cgroup 'agents/*' --events /out/events.jsonl")
    .lockstep()
    .run();
    left.assert_scheduled();
    left
}

#[test]
fn same_seed_same_bytes() {
    let plan = generate(&Params { agents: 4, turns: 1, seed: 3, ..Params::default() });
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("plan.jsonl");
    jsonl::write_file(&file, &plan).unwrap();
    let (one, two) = (run(&file, 1), run(&file, 2));
    for name in ["records.jsonl", "events.jsonl"] {
        let (a, b) = (one.bytes(name), two.bytes(name));
        assert!(!a.is_empty(), "{name} is empty");
        assert!(a == b, "{name} differs:\n{}\n{}", one.text(name), two.text(name));
    }
    assert_eq!(one.outcome.console, two.outcome.console);
    assert_eq!(one.outcome.guest_s, two.outcome.guest_s);
    let records: Vec<Record> = jsonl::read(&one.path("records.jsonl")).unwrap();
    check_calls(&plan, &records, &one.events("events.jsonl"), Clock::Guest);
}
