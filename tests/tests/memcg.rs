// SPDX-License-Identifier: GPL-2.0-only
//! Control of memory by memcg_bpf_ops, on a kernel that has them. No release does: `scripts/memcg-kernel`
//! makes one, from Debian's source and a patch of our own, and `SCX_AGENT_MEMCG_KERNEL` names the folder
//! that it says.

use scx_agent_tests::vm::{Boot, Facts, Left};
use std::path::{Path, PathBuf};

/// The folder of a kernel.
fn kernel() -> PathBuf {
    std::env::var_os("SCX_AGENT_MEMCG_KERNEL")
        .expect(
            "SCX_AGENT_MEMCG_KERNEL=FOLDER names the kernel; scripts/memcg-kernel makes one and says where",
        )
        .into()
}

fn boot() -> Boot {
    Boot::script("memcg").folder(&kernel()).program(Path::new(env!("CARGO_BIN_EXE_grow")))
}

/// Asserts that who waits and who works have all they had, and that others gave `mb`.
fn assert_passed_by(facts: &Facts, left: &Left, mb: f64) {
    for a in ["a-waits", "a-works"] {
        let (before, after) = (facts.number(&format!("before_{a}")), facts.number(&format!("some_{a}")));
        assert!(before - after <= 3.0, "{a}: {before} MB, then {after} MB: {}", left.diagnosis());
    }
    let (before, after) = (facts.number("before_other"), facts.number("some_other"));
    assert!(before - after >= mb, "other: {before} MB, then {after} MB");
}

#[test]
#[ignore = "needs a kernel of scripts/memcg-kernel; takes three minutes"]
fn programs_protect_delay_and_end_with_the_daemon() {
    let left = boot().run();
    left.assert_kernel_well();
    let facts = left.facts();
    println!("{facts:#?}");
    let is = |name: &str, value: &str| left.expect(&facts, &[(name, value)]);
    let check = left.text("check.out");
    assert!(check.contains("delayed by memcg_bpf_ops"), "{check}");

    // Protection: the first is in a cgroup below the one of its agent.
    assert_passed_by(&facts, &left, 50.0);
    // There is nothing else any more: what waits gives, and a framework that works does not.
    let (works, most) = (facts.number("before_a-works"), facts.number("most_a-works"));
    assert!(works - most <= 3.0, "{works} MB, then {most} MB");
    assert!(facts.number("most_a-waits") < 60.0, "{facts:?}");
    // Two agents, and the scheduler.
    is("links", "3");
    is("status", "0");
    assert!(most - facts.number("ended_a-works") >= 30.0, "not protected any more: {facts:?}");
    assert!(left.text("protect.err").contains("memcg_bpf_ops detached from 2 agents"));
    let (before, kept) = (facts.number("killed_before"), facts.number("killed_kept"));
    assert!(before - kept <= 3.0, "{before} MB, then {kept} MB");
    assert!(kept - facts.number("killed_after") >= 30.0, "not protected any more: {facts:?}");

    // Delay, of what is in a cgroup below the agent's.
    for name in ["budget", "still", "still_then"] {
        is(name, "0");
    }
    let (free, delayed) = (facts.number("free_ms"), facts.number("delayed_ms"));
    assert!(delayed > 5_000.0 && delayed > 4.0 * free, "{free} ms, then {delayed} ms");
    assert!(facts.number("framework_ms") < 3_000.0, "a framework is not delayed: {facts:?}");
    is("new_high", "max");
    is("high_events", "0");
    is("oom_kills", "0");
    assert!(facts.number("ends_ms") < delayed, "{facts:?}");
    let highs = facts.get("left");
    assert!(!highs.is_empty() && highs.split_whitespace().all(|high| high == "max"), "{highs}");
    let log = left.text("delay.err");
    for line in log.lines().filter(|l| l.contains("calls are delayed")).take(8) {
        println!("{line}");
    }
}

#[test]
#[ignore = "needs a kernel of scripts/memcg-kernel; takes two minutes"]
fn programs_attach_in_every_form_where_nobody_has() {
    for form in ["relative", "flag", "plain"] {
        let left = boot().cmdline(&format!("memcg_bpf_attach={form}")).env("PART", "attach").run();
        left.assert_kernel_well();
        let facts = left.facts();
        println!("{form}: {facts:?}");
        assert_eq!((facts.get("links"), facts.get("status")), ("3", "0"), "{}", left.diagnosis());
        assert_passed_by(&facts, &left, 50.0);
        let busy = ["busy", "busy_links", "busy_status"].map(|name| facts.get(name));
        assert_eq!(busy, ["0", "0", "0"], "{}", left.text("busy.err"));
        let log = left.text("busy.err");
        assert_eq!(log.matches("of somebody else are attached").count(), 1, "once for two agents: {log}");
    }
}
