// SPDX-License-Identifier: GPL-2.0-only
//! The scheduler tells frameworks from tool calls, and counts each call once and as it was.

use agentload::generate::{generate, Params};
use agentload::jsonl;
use agentload::record::Record;
use scx_agent_tests::calls::{check_calls, check_phases, Clock};
use scx_agent_tests::events::{CallEnd, Phase};
use scx_agent_tests::vm::Boot;

const MS: f64 = 1e6;

#[test]
fn every_call_of_a_load_is_counted_once() {
    let plan = generate(&Params { agents: 6, turns: 2, seed: 3, overlap_pct: 50.0, ..Params::default() });
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("plan.jsonl");
    jsonl::write_file(&file, &plan).unwrap();
    let left = Boot::command(
        "load",
        "agentload run --plan /plan.jsonl --mem off --comm-from-plan --out /out/records.jsonl && sleep 0.5",
    )
    .file(&file, "/plan.jsonl")
    .scheduler("scx_agent --agent-cgroup 'agents/*' --events /out/events.jsonl")
    .run();
    left.assert_scheduled();

    let records: Vec<Record> = jsonl::read(&left.path("records.jsonl")).unwrap();
    let log = left.events("events.jsonl");
    check_calls(&plan, &records, &log, Clock::Host);
}

#[test]
fn frameworks_of_every_shape() {
    let left = Boot::script("shapes").run();
    left.assert_kernel_well();
    let facts = left.facts();
    for name in ["shapes_status", "auto_status", "nr_rejected"] {
        assert_eq!(facts.get(name), "0", "{}", left.diagnosis());
    }
    let log = left.events("shapes.jsonl");
    let mut wrong = Vec::new();
    // Agent, the fact with its calls' pids, and the rule that they began by.
    let expected = [
        ("call", "call_pid", "shell under the framework"),
        ("session", "session_pid", "shell in a new session"),
        ("two", "two_pids", "shell under the framework"),
        ("relaunch", "call2_pid", "shell under the framework"),
        ("reexec", "call3_pid", "shell under the framework"),
        ("nested", "nested_pid", "shell under the framework"),
        ("background", "background_pid", "shell under the framework"),
        ("busy", "busy_pid", "shell under the framework"),
        ("outside", "outside_pid", "entered from outside"),
        ("nest", "sub_pid", "entered from outside"),
    ];
    for (agent, pids, rule) in expected {
        let begins = log.begins(agent);
        println!("{agent}: {begins:?}");
        for pid in facts.get(pids).split(' ') {
            let pid: u32 = pid.parse().unwrap();
            let rules: Vec<&str> = begins.iter().filter(|b| b.0 == pid).map(|b| b.1).collect();
            if rules != [rule] {
                wrong
                    .push(format!("{agent}: pid {pid} began by {rules:?}, not once by {rule:?}: {begins:?}"));
            }
            let ends = log.ends(agent).iter().filter(|e| e.pid == pid).count();
            if ends != 1 {
                wrong.push(format!("{agent}: the call of pid {pid} ended {ends} times"));
            }
        }
        check_phases(&log, agent);
    }

    let end = |agent: &str, fact: &str| -> CallEnd {
        let pid = facts.number(fact) as u32;
        let ends = log.ends(agent);
        ends.into_iter().find(|e| e.pid == pid).cloned().unwrap_or_else(|| panic!("{agent}: no call {pid}"))
    };
    let pid = facts.number("relaunch_pid") as u32;
    assert!(log.begins("relaunch").iter().all(|b| b.0 != pid), "a relaunch is no call");
    assert_eq!(end("call", "call_pid").status, 3 << 8);
    assert_eq!(end("call", "call_pid").processes, 3, "sh and two sleeps");
    let nested = end("nested", "nested_pid");
    assert!(nested.processes >= 5, "what it runs is in it: {nested:?}");
    let own = log.begins("nested").len();
    assert!(own <= 2, "no call within the call: {:?}", log.begins("nested"));
    let background = end("background", "background_pid");
    assert!(
        (80.0 * MS..1500.0 * MS).contains(&(background.wall_ns as f64)),
        "ends at the first exit: {background:?}"
    );
    let busy = end("busy", "busy_pid");
    let billed = facts.number("busy_usage_us") * 1000.0;
    println!("busy: CPU seen {:.0} ms, billed {:.0} ms", busy.cpu_ns as f64 / MS, billed / MS);
    assert!(
        (busy.cpu_ns as f64 - billed).abs() < 0.1 * billed + 30.0 * MS,
        "{busy:?}, the kernel says {billed}"
    );
    assert!(busy.peak_width >= 3, "{busy:?}");
    if busy.processes != 5 {
        wrong.push(format!("busy: {} processes, not sh, busy.sh and three: {busy:?}", busy.processes));
    }
    let mut found = log.agents();
    found.sort();
    let mut once = found.clone();
    once.dedup();
    if found != once {
        wrong.push(format!("agents were found more than once: {found:?}"));
    }
    assert!(!log.agents().contains(&"sub"), "{:?}", log.agents());
    assert!(!log.agents().contains(&"tool"), "{:?}", log.agents());
    let worked = log.phases("work").iter().any(|p| p.1 == Phase::Framework && p.2 == Phase::LlmWait);
    assert!(worked, "framework work is seen, and its end: {:?}", log.phases("work"));
    let early: Vec<_> = log.begins("early").iter().map(|b| b.1).collect();
    assert!(early.contains(&"found under the framework"), "calls that ran before the scheduler: {early:?}");

    // A process that moves itself and goes on without sleeping is the hard case.
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    let auto = left.events("auto.jsonl");
    println!("found by themselves: {:?}", auto.agents());
    let mut agents = auto.agents();
    agents.sort();
    let of = |name: &str| format!("system.slice/docker-{name}.scope");
    let with_calls = [facts.get("container").to_string(), of("init"), of("late"), of("script")];
    let without = [of("mine"), of("module")];
    let mut expected: Vec<&str> = with_calls.iter().chain(&without).map(String::as_str).collect();
    expected.sort();
    assert_eq!(agents, expected);
    for agent in &with_calls {
        assert!(!auto.ends(agent).is_empty(), "{agent} has calls: {:?}", auto.0);
    }
    // What begins the framework and looks after it is no call.
    let begins = auto.begins(&of("init")).to_vec();
    assert!(begins.len() == 1 && begins[0].1 == "shell under the framework", "{begins:?}");
}
