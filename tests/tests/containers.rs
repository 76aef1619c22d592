// SPDX-License-Identifier: GPL-2.0-only
//! Agents by the names and labels of their containers, with Podman's own API, and one in a sandbox that
//! shows nothing: gVisor's runsc.

use scx_agent_tests::events::{Event, Phase};
use scx_agent_tests::vm::{bin_dir, Boot};

#[test]
fn names_labels_and_a_sandbox() {
    let packages = agentvm::packages(&["podman", "crun", "runsc"], |step| eprintln!("agentvm: {step}"))
        .unwrap_or_else(|e| panic!("no Podman for the guest: {e:#}"));
    let left = Boot::script("containers")
        .systemd()
        .program(&bin_dir().join("scx_agent"))
        .file(&packages, "/")
        .mem("3G")
        .timeout_s(1500)
        .run();
    let facts = left.facts();
    for podman in ["run_early", "run_late-1", "run_labelled", "run_other", "run_gvisor"] {
        assert_eq!(facts.get(podman), "0", "{podman}:\n{}", left.diagnosis());
    }
    for found in [
        "early_waits",
        "early",
        "late_waits",
        "label_waits",
        "gvisor_waits",
        "gvisor",
        "set_by_label",
        "set_no_more",
    ] {
        assert_eq!(facts.get(found), "0", "{found}:\n{}", left.diagnosis());
    }
    assert_eq!(facts.get("scheduler_status"), "0", "{}", left.diagnosis());
    left.assert_kernel_well();
    let log = left.events("containers.jsonl");
    let of = |container: &str| facts.get(&format!("cgroup_{container}")).to_string();
    assert_eq!(
        log.agents(),
        [of("early"), of("late-1"), of("labelled"), of("gvisor")],
        "{}",
        left.diagnosis()
    );
    assert!(of("labelled").starts_with("bots/"), "{}", of("labelled"));
    let said = left.text("early.out");
    assert!(said.contains("first in the agent's cgroup"), "{said}");
    let said = left.text("other.err");
    assert!(said.contains("is in no agent"), "{said}");

    let said = left.text("gvisor.out");
    assert!(said.contains("sandbox that shows nothing of what runs in it"), "{said}");
    let gvisor = of("gvisor");
    let opaque: Vec<&Event> = log.0.iter().filter(|e| matches!(e, Event::Opaque { .. })).collect();
    assert!(matches!(opaque[..], [Event::Opaque { agent, .. }] if *agent == gvisor), "{opaque:?}");
    let calls =
        log.0.iter().filter(|e| matches!(e, Event::CallBegin { agent, .. } if *agent == gvisor)).count();
    assert_eq!(calls, 0, "nobody sees calls in there");
    let phases: Vec<(Phase, Phase)> = log
        .0
        .iter()
        .filter_map(|e| match e {
            Event::Phase { agent, from, to, .. } if *agent == gvisor => Some((*from, *to)),
            _ => None,
        })
        .collect();
    assert!(phases.contains(&(Phase::LlmWait, Phase::Tool)), "its work is seen: {phases:?}");
    assert!(phases.contains(&(Phase::Tool, Phase::LlmWait)), "and its waits: {phases:?}");
    assert!(phases.iter().all(|p| p.0 != Phase::Framework && p.1 != Phase::Framework), "{phases:?}");
}
