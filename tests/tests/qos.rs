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
    for what in all.iter().chain(&["interactive_desk", "weighed_web", "weighed_late"]) {
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
    let (web, late) = (cpus("weighed_web"), cpus("weighed_late"));
    // Weights of agents lean: see README.
    assert!((1.5..6.0).contains(&(late / web)), "{late} and {web} CPUs for weights of 400 and 100");

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
