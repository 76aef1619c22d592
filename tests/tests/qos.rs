// SPDX-License-Identifier: GPL-2.0-only
//! Classes and weights of agents, on four CPUs that all want.

use scx_agent_tests::events::Event;
use scx_agent_tests::vm::Boot;

#[test]
fn classes_and_weights_hold() {
    let left = Boot::script("qos").lockstep().run();
    left.assert_kernel_well();
    let facts = left.facts();
    let cpus = |what: &str| facts.number(what) / 1000.0;
    let all =
        ["confined_night", "beside_night", "beside_web", "standard_web", "standard_desk", "interactive_web"];
    for what in all.iter().chain(&["interactive_desk", "weighed_light", "weighed_late"]) {
        println!("{what}: {:.2} CPUs", cpus(what));
    }

    let text = left.text("cpus");
    let ran: Vec<&str> = text.lines().collect();
    assert!(ran.len() >= 5 && ran.iter().all(|c| matches!(*c, "0" | "1")), "{ran:?}");
    assert!((1.9..2.05).contains(&cpus("confined_night")), "it has those two");
    assert!(cpus("confined_bound") > 0.9, "bound to a CPU outside of those");

    assert!(cpus("beside_web") > 3.6, "beside others it has what is left");
    assert!(cpus("beside_night") > 0.01, "and it does not starve");
    let (before, after) = (left.text("before"), left.text("after"));
    let without = before.lines().filter(|l| after.lines().any(|a| a == *l)).count();
    assert_eq!(before.lines().count(), 7, "{before}");
    assert_eq!(without, 1, "all but the framework, which sleeps, had turns:\n{before}\n{after}");
    // Two of one class share; the same two are first and second when one is interactive.
    let (web, desk) = (cpus("standard_web"), cpus("standard_desk"));
    assert!((0.5..2.0).contains(&(web / desk)), "{web} and {desk} CPUs for two of the standard class");
    assert_eq!(facts.get("set"), "0");
    assert_eq!(left.text("set.out").trim(), "agent \"desk\" has qos interactive now");
    assert!(cpus("interactive_desk") > 2.5 && cpus("interactive_desk") > 1.2 * desk);
    assert!(cpus("interactive_web") > 0.05, "what is standard does not starve beside it");
    let (light, late) = (cpus("weighed_light"), cpus("weighed_late"));
    // Over 12 seconds, and by turns of a second.
    assert!((3.0..5.5).contains(&(late / light)), "{late} and {light} CPUs for weights of 400 and 100");

    let log = left.events("qos.jsonl");
    let set = log.0.iter().filter(|e| matches!(e, Event::Set { .. })).count();
    assert_eq!(set, 4, "night and bound by their cgroups, desk and late once each: {log:?}");
    assert_eq!(facts.get("bad"), "2");
    assert!(left.text("bad.err").contains("1 to 10000"), "{}", left.text("bad.err"));
    assert_eq!(facts.get("nobody"), "1");
    assert!(left.text("nobody.err").contains("no agent \"nobody\""), "{}", left.text("nobody.err"));

    assert_eq!(facts.get("state"), "enabled");
    assert_eq!(facts.get("nr_rejected"), "0");
}

#[test]
fn budgets_and_reloads_change_what_agents_have() {
    let left = Boot::script("budgets").run();
    left.assert_kernel_well();
    let facts = left.facts();
    left.expect(
        &facts,
        &[
            ("over", "0"),
            ("again", "0"),
            ("told", "1"),
            ("operator", "0"),
            ("lives", "yes"),
            ("changed", "0"),
            ("wrong", "1"),
            ("nowhere", "1"),
            ("nothing", "0"),
            ("status", "0"),
        ],
    );
    let log = left.text("budgets.err");
    let over = log.lines().find(|l| l.contains("\"metered\" has used")).unwrap();
    println!("{over}");
    let used: f64 = over.split("has used ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    // One CPU in use of four: looked at when all four could have used up the rest, and then each second.
    assert!((2.0..4.0).contains(&used), "{over}");
    assert!(over.contains("its budget is 2 s in 10 s (cpu_budget_s): in the background for"), "{over}");
    let set: Vec<(String, String, u32)> = left
        .events("budgets.jsonl")
        .0
        .into_iter()
        .filter_map(|e| match e {
            Event::Set { agent, qos, weight, .. } => Some((agent, qos, weight)),
            _ => None,
        })
        .collect();
    let of = |agent: &str| -> Vec<(&str, u32)> {
        set.iter().filter(|s| s.0 == agent).map(|s| (s.1.as_str(), s.2)).collect()
    };
    let metered = of("metered");
    assert_eq!(metered[..3], [("background", 0), ("standard", 0), ("interactive", 0)], "{set:?}");
    assert!(metered[3..].iter().all(|s| *s == ("interactive", 0)), "an operator's word is over it: {set:?}");
    assert_eq!(of("night"), [("background", 0), ("interactive", 300), ("standard", 0)], "{set:?}");
    assert_eq!(of("by_hand"), [("interactive", 0)], "an operator's word is over the settings: {set:?}");

    assert!(log.contains("agent \"by_hand\": qos standard -> interactive, set by an operator"), "{log}");

    for (file, has) in [
        ("over.top", "[over] metered"),
        ("over.status", "1 agents have used up their budget of CPU time"),
        ("over.json", "\"agents_over_budget\": 1"),
        ("over.metrics", "scx_agent_agents_over_budget 1.0"),
        ("over.metrics", "scx_agent_agent_cpu_budget_seconds{agent=\"metered\"} 2.0"),
        ("over.metrics", "scx_agent_agent_cpu_budget_used_seconds{agent=\"metered\"} "),
        ("operator.top", "[over] metered"),
        ("changed.out", "applied: agent_budgets, agent_qos, agent_weights, cpu_budget_window\n"),
        ("changed.out", "after a restart only: agent_cgroups, background_cpus"),
        ("changed.top", "[inter] night"),
        ("changed.top", "[inter] by_hand"),
        ("changed.top", "[inter] metered"),
        ("wrong.out", "config.toml:1: agent_qos: \"fast\" is no class"),
        ("wrong.top", "[inter] night"),
        ("nowhere.out", "background_cpus: this machine has none of these CPUs, its own are 0 to "),
        ("nowhere.top", "[inter] night"),
        ("nothing.top", " night"),
        ("nothing.top", "[inter] by_hand"),
    ] {
        assert!(left.text(file).contains(has), "{file} has no {has:?}:\n{}", left.text(file));
    }
    assert!(!left.text("nothing.top").contains("] night"), "{}", left.text("nothing.top"));
}
