// SPDX-License-Identifier: GPL-2.0-only
//! The daemon loads, says what it found, serves statistics, and gives the host back.

use scx_agent_tests::events::Event;
use scx_agent_tests::vm::Boot;

#[test]
fn loads_serves_and_ends() {
    let left = Boot::script("scheduler").run();
    let facts = left.facts();
    left.assert_kernel_well();

    assert_eq!(facts.get("version"), "0");
    let version = left.text("version.out");
    assert!(version.starts_with("scx_agent 0.") && version.lines().count() == 1, "{version}");
    assert_eq!(facts.get("help_stats"), "0");
    let help = left.text("help-stats.out");
    for name in ["agents_llm_wait", "calls_running", "lost_events"] {
        assert!(help.contains(name), "{name} is not described:\n{help}");
    }
    assert_eq!(facts.get("state_before"), "disabled", "--version and --help-stats load nothing");

    assert!(facts.get("ops").starts_with("agent"), "{}", facts.get("ops"));
    let out = left.text("first.out");
    let said: Vec<&str> = out.lines().filter(|l| l.contains("is scheduling")).collect();
    let [said] = said[..] else { panic!("not one line on what was found:\n{out}") };
    assert!(said.contains("1 agents") && said.contains("agents/*, nowhere/*.scope"), "{said}");
    let err = left.text("first.err");
    assert!(err.contains("no cgroup matches \"nowhere/*.scope\" yet"), "{err}");
    assert!(!err.contains("no cgroup matches \"agents/*\""), "{err}");
    let stats = out.lines().filter(|l| l.starts_with("agents ")).count();
    assert!(stats >= 3, "{stats} lines of statistics every 0.5 s:\n{out}");
    let monitor = left.text("monitor.out");
    let lines: Vec<_> = monitor.lines().filter(|l| l.starts_with("agents 2 ")).collect();
    assert!(lines.len() >= 2, "--monitor beside it:\n{monitor}\n{}", left.text("monitor.err"));

    // The kernel refuses a program of a million; a change that comes near is to be seen here first.
    let second = format!("{}{}", left.text("second.out"), left.text("second.err"));
    let verified: Vec<(u32, &str)> = second
        .lines()
        .filter_map(|l| l.split_once("verified: ")?.1.split_once(" instructions of "))
        .map(|(n, program)| (n.parse().unwrap(), program))
        .collect();
    println!("verified: {verified:?}");
    assert!(verified.iter().any(|(_, program)| *program == "agent_enqueue"), "{verified:?}");
    for (n, program) in verified {
        assert!((1..60_000).contains(&n), "{program}: {n} instructions to verify");
    }

    let log = left.events("events.jsonl");
    assert_eq!(log.agents(), ["early", "late"]);
    let gone = log.0.iter().any(|e| matches!(e, Event::AgentGone { agent, .. } if agent == "late"));
    assert!(gone, "{log:?}");

    for how in ["term", "int"] {
        assert_eq!(facts.get(&format!("{how}_status")), "0", "{}", left.diagnosis());
        assert_eq!(facts.get(&format!("{how}_state")), "disabled");
    }
    assert_eq!(facts.get("nr_rejected"), "0");
    assert_eq!(facts.get("enable_seq"), "2");
    assert!(left.text("second.out").contains("looking for known agent frameworks in containers"));
}
