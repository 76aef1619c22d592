// SPDX-License-Identifier: GPL-2.0-only
//! Real agent CLIs under the scheduler, asked for scripted tool calls by a stand-in for their model:
//! every call is found, nothing else is taken for one, and CPU time goes where it belongs.
//!
//! Installs the CLIs from the npm registry, so they are run by `scripts/test --cli`.

use scx_agent_tests::clis::{Cli, CLAUDE, CODEX, GEMINI, OPENCODE};
use scx_agent_tests::events::Event;
use scx_agent_tests::vm::Left;
use std::collections::BTreeMap;

const MS: f64 = 1e6;
const CALLS: usize = 6;

/// What the shell of a call said of it.
struct Truth {
    name: String,
    pid: u32,
    /// CPU time before it moved to a cgroup of its own, and what the kernel billed that for.
    cpu_ns: f64,
}

fn truths(left: &Left) -> Vec<Truth> {
    let facts = left.facts();
    let text = left.text("calls");
    text.lines()
        .map(|line| {
            let (name, rest) = line.split_once('=').expect("NAME=PID NS");
            let (pid, used_ns) = rest.split_once(' ').expect("NAME=PID NS");
            let before: f64 = used_ns.parse().expect("a number");
            let billed_ns = facts.number(&format!("used_{name}")) * 1000.0;
            Truth { name: name.into(), pid: pid.parse().expect("a pid"), cpu_ns: before + billed_ns }
        })
        .collect()
}

/// What scx_agent counted below the agent's cgroup: told late, ns in calls, ns elsewhere.
fn counted(log: &str) -> [f64; 3] {
    let line = log.lines().find(|l| l.contains("roles: ")).expect("it says what it counted");
    let numbers = line.split("roles: ").nth(1).unwrap_or_default().split(' ');
    let numbers: Vec<f64> = numbers.filter_map(|w| w.parse().ok()).collect();
    numbers.try_into().unwrap_or_else(|n| panic!("three numbers, not {n:?}: {line}"))
}

fn check(cli: &Cli) {
    let left = cli.boot().run();
    left.assert_kernel_well();
    let facts = left.facts();
    let said = format!("{}\n{}", left.text("cli.out"), left.text("cli.err"));
    assert_eq!(facts.get("cli_status"), "0", "{said}");
    let truths = truths(&left);
    let names: Vec<&str> = truths.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["call0", "call1", "call2", "call3", "call4", "call5"], "{said}");

    let log = left.events("events.jsonl");
    let (begins, ends) = (log.begins(cli.name), log.ends(cli.name));
    let mut helpers: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for event in &log.0 {
        if let Event::Helper { comm, rule, .. } = event {
            *helpers.entry((comm, rule)).or_default() += 1;
        }
    }
    let [late, inside, astray] = counted(&left.text(&format!("{}.err", cli.name)));
    let astray_pct = 100.0 * astray / (inside + astray);
    println!(
        "{}: {CALLS} calls, {astray_pct:.2} % of {:.1} s astray, {late} told late",
        cli.name,
        (inside + astray) / 1e9
    );
    for ((comm, rule), times) in &helpers {
        println!("{}: helper {comm}, {rule}: {times} times", cli.name);
    }
    let mut called: Vec<u32> = begins.iter().map(|b| b.0).collect();
    let mut true_pids: Vec<u32> = truths.iter().map(|t| t.pid).collect();
    called.sort();
    true_pids.sort();
    assert_eq!(called, true_pids, "exactly the scripted calls began: {begins:?}\nhelpers: {helpers:?}");
    for t in &truths {
        let end = ends.iter().find(|e| e.pid == t.pid).unwrap_or_else(|| panic!("{} did not end", t.name));
        println!(
            "{}: {}: CPU {:.0} ms, seen {:.0} ms",
            cli.name,
            t.name,
            t.cpu_ns / MS,
            end.cpu_ns as f64 / MS
        );
        // Two clocks, of which one leaves out what interrupts take, on a host that may be busy.
        assert!(
            (end.cpu_ns as f64 - t.cpu_ns).abs() <= 0.1 * t.cpu_ns + 300.0 * MS,
            "{}: {end:?}, the kernel says {:.0} ns",
            t.name,
            t.cpu_ns
        );
    }
    assert!(astray_pct <= 1.0, "{astray_pct} % of the CPU time of tool calls was charged elsewhere");
    assert_eq!(late, 0.0, "tasks ran before their role was told");
}

#[test]
#[ignore = "installs the CLI from the npm registry: scripts/test --cli"]
fn codex() {
    check(&CODEX);
}

#[test]
#[ignore = "installs the CLI from the npm registry: scripts/test --cli"]
fn gemini_cli() {
    check(&GEMINI);
}

#[test]
#[ignore = "installs the CLI from the npm registry: scripts/test --cli"]
fn opencode() {
    check(&OPENCODE);
}

#[test]
#[ignore = "installs the CLI from the npm registry: scripts/test --cli"]
fn claude_code() {
    check(&CLAUDE);
}
