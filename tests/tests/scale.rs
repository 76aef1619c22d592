// SPDX-License-Identifier: GPL-2.0-only
//! Many agents with many tasks that exec all the time lose no role, and what there is no room for is
//! said. How fast depends on the machine, so the rate that was reached is printed.
//!
//! `SCX_AGENT_SCALE=AGENTS:TASKS:SECONDS` asks for more: 1000:20:60 takes 6 GB of memory and, on two
//! emulating cores, five minutes, for some hundred of its 25,000 execs a second.

use scx_agent_tests::events::Event;
use scx_agent_tests::vm::Boot;
use std::path::Path;

#[test]
#[ignore = "takes minutes and up to 6 GB"]
fn many_agents() {
    let size = std::env::var("SCX_AGENT_SCALE").unwrap_or("60:20:10".into());
    let numbers: Vec<u32> = size.split(':').filter_map(|n| n.parse().ok()).collect();
    let [agents, tasks, seconds] = numbers[..] else {
        panic!("SCX_AGENT_SCALE={size}: expected AGENTS:TASKS:SECONDS")
    };
    let left = Boot::script("scale")
        .program(Path::new(env!("CARGO_BIN_EXE_crowd")))
        .env("AGENTS", &agents.to_string())
        .env("TASKS", &tasks.to_string())
        .env("RUN_S", &seconds.to_string())
        .mem(if agents > 200 { "6G" } else { "2G" })
        .timeout_s(3600)
        .run();
    left.assert_kernel_well();
    let facts = left.facts();
    let said = left.text("crowd");
    println!("{said}\n{}\n{}", left.text("status0"), left.text("status1"));
    let number = |name: &str| -> f64 {
        let line = said.lines().find_map(|l| l.strip_prefix(&format!("{name}=")));
        line.and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("no {name}: {said}"))
    };
    assert_eq!(facts.get("crowd_status"), "0", "{}", left.text("crowd.err"));
    assert_eq!(number("failed"), 0.0, "{}", left.text("crowd.err"));
    assert_eq!(number("tasks"), f64::from(agents * (tasks + 1)));
    println!("{:.0} execs a second", number("execs") / f64::from(seconds));

    let log = left.events("scale.jsonl");
    assert_eq!(log.agents().len() as u32, agents, "each is found once");
    let count = |what: fn(&Event) -> bool| log.0.iter().filter(|e| what(e)).count() as u32;
    let helpers: Vec<_> = log.0.iter().filter(|e| matches!(e, Event::Helper { .. })).collect();
    for agent in log.agents() {
        let (begins, ends) = (log.begins(agent), log.ends(agent));
        let one = begins.len() == 1 && ends.len() == 1;
        assert!(one, "{agent}: one call each: {begins:?} {ends:?} {helpers:?}\n{}", left.text("scale.err"));
    }
    assert_eq!(count(|e| matches!(e, Event::Helper { .. })), 0, "{helpers:?}");
    let counted = left.text("scale.err");
    let line = counted.lines().find(|l| l.contains("roles: ")).expect("it says what it counted");
    let numbers: Vec<f64> = line.split(' ').filter_map(|w| w.parse().ok()).collect();
    let [late, inside, astray] = numbers[..] else { panic!("three numbers: {line}") };
    println!("{late} told late, {:.3} % of {:.1} s astray", 100.0 * astray / (inside + astray), inside / 1e9);
    assert_eq!(late, 0.0, "tasks ran before their role was told");
    assert!(astray <= 0.01 * (inside + astray), "{astray} ns of calls were charged elsewhere");
    assert!(!counted.contains("lost"), "{counted}");

    // More cgroups than slots: said in the log and in the status, and over when they are gone.
    assert_eq!(facts.get("full_status"), "1", "{}", left.text("status2"));
    for text in [left.text("status2"), left.text("full.err")] {
        assert!(text.contains("cgroups have no slot of their own"), "{text}");
    }
    assert_eq!(facts.get("state"), "enabled");
    assert!(left.text("full.err").contains("agent \"later\": call"), "{}", left.text("full.err"));
}
