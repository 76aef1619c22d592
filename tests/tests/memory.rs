// SPDX-License-Identifier: GPL-2.0-only
//! memory.high follows the phases, the newest tool calls give way on a host that runs short, and
//! every original value comes back whatever ends the daemon.

use scx_agent_tests::vm::Boot;
use std::path::Path;

const MB: f64 = 1048576.0;

/// `memory:` lines of a log that have all of `words`.
fn lines<'a>(log: &'a str, words: &[&str]) -> Vec<&'a str> {
    log.lines().filter(|l| l.contains("memory: ") && words.iter().all(|w| l.contains(w))).collect()
}

#[test]
fn limits_follow_phases_and_come_back() {
    let left = Boot::script("memory").module("zram").run();
    left.assert_kernel_well();
    let facts = left.facts();
    let log = left.text("phases.err");

    // No released kernel lets programs control memory, which is said once.
    assert_eq!(lines(&log, &["no memcg_bpf_ops", "memory.high does the work"]).len(), 1, "{log}");

    // In LLM wait: what the framework has, 100 MB, and the least slack, 64 MB.
    left.expect(&facts, &[("wait_limited", "0"), ("call_high", "max"), ("reclaimed", "0")]);
    let high = facts.number("wait_high") / MB;
    assert!((155.0..200.0).contains(&high), "{high} MB");
    // A tool call: opened before it needs it.
    assert!(facts.number("call_peak") > 390.0 * MB);
    assert_eq!(facts.get("call_high_events"), "0", "the burst never ran into its limit");
    let opened = lines(&log, &["agent \"a\"", "Tool", "a burst opens", "-> max"]);
    println!("opened: {opened:?}");
    assert_eq!(opened.len(), 1);
    // Then what it left in tmpfs is swapped out, and the limit settles again, without throttling.
    let (current, high) = (facts.number("after_current") / MB, facts.number("after_high") / MB);
    println!("after: {current} MB, limit {high} MB, swapped out {} MB", facts.number("after_swap") / MB);
    assert!(current < 260.0 && high < 290.0 && high > current, "{current} MB, limit {high} MB\n{log}");
    assert_eq!(facts.get("after_high_events"), "0", "reclaim is proactive, nobody is throttled");
    assert!(!lines(&log, &["reclaim leftovers", "memory.reclaim"]).is_empty());

    // Growth in LLM wait.
    assert_eq!(facts.get("grown"), "0", "{log}");
    for line in lines(&log, &["agent \"grows\"", "ran into its limit"]) {
        println!("{line}");
    }
    assert!(!lines(&log, &["agent \"grows\"", "LlmWait", "ran into its limit"]).is_empty(), "{log}");

    // Values of others, and cgroups that go away.
    assert_eq!(facts.get("removed_limited"), "0");
    let warnings = log.lines().filter(|l| l.contains("WARN")).collect::<Vec<_>>();
    assert_eq!(warnings.len(), 1, "only the foreign value: {warnings:?}");
    assert!(warnings[0].contains("somebody else sets it"), "{warnings:?}");
    left.expect(&facts, &[("foreign_said", "0"), ("foreign_high", "734003200")]);
    assert!(facts.number("limited_high") < 200.0 * MB);

    // SIGTERM.
    let back = [("term_status", "0"), ("term_a", "max"), ("term_limited", "1073741824")];
    left.expect(&facts, &back);
    left.expect(&facts, &[("term_foreign", "734003200"), ("term_left", "lock tags ")]);
    // kill -9, of the daemon and then of its guard as well.
    let killed = [("killed_back", "0"), ("killed_guard_gone", "0"), ("killed_left", "lock tags ")];
    left.expect(&facts, &killed);
    assert!(left.text("killed.err").contains("ended without a word"), "{}", left.text("killed.err"));
    for name in ["killed_limited", "nobody_limited"] {
        assert!(!facts.get(name).contains("max") && !facts.get(name).contains("1073741824"));
    }
    assert!(left.text("next.err").contains("did not end well; put memory.high of"));
    left.expect(&facts, &[("restore_status", "0"), ("restore_back", "max 1073741824")]);
    // A second one does not touch what the first has.
    assert_ne!(facts.get("second_status"), "0");
    assert!(left.text("second.err").contains("another scx_agent is running"));
    assert_ne!(facts.get("second_high"), "max");
    // Ejection.
    left.expect(&facts, &[("sysrq_back", "0"), ("sysrq_left", "lock tags ")]);
    left.expect(&facts, &[("without_high", "max"), ("guards_left", "")]);
}

#[test]
fn the_newest_call_gives_way() {
    let left = Boot::script("pressure").module("zram").mem("1G").env("WORK", "30000000").run();
    left.assert_kernel_well();
    let facts = left.facts();
    let log = left.text("pressure.err");
    for line in lines(&log, &["pressure:"]) {
        println!("{line}");
    }
    let statuses = [("new_held", "0"), ("old_status", "0"), ("new_status", "0"), ("status", "0")];
    left.expect(&facts, &statuses);
    let (old, new) = (facts.number("old_events"), facts.number("new_events_at_end_of_old"));
    println!("throttled: old {old} times, new {new} times until old ended");
    assert!(new > old, "the newest is throttled first: old {old} times, new {new} times");
    assert!(facts.number("new_at_end_of_old") < 400.0 * MB, "it waited");
    assert_eq!(facts.get("busy_events"), "0", "a framework is never throttled");
    assert_eq!(facts.get("busy_oom"), "0");
    assert!(!lines(&log, &["agent \"busy\"", "Framework"]).is_empty(), "it did work:\n{log}");
    left.expect(&facts, &[("over", "0"), ("left", "max max max ")]);
}

#[test]
fn calls_over_their_share_are_dispatched_less() {
    let left = Boot::script("brake").module("zram").run();
    left.assert_kernel_well();
    let facts = left.facts();
    let log = left.text("braked.err");
    for line in lines(&log, &["brake on its calls"]) {
        println!("{line}");
    }
    left.expect(&facts, &[("braked_held", "0"), ("on", "0"), ("braked_status", "0"), ("old_braked", "0")]);
    left.expect(&facts, &[("unbraked_held", "0"), ("unbraked_on", "0"), ("unbraked_status", "0")]);
    let pct = |name: &str| facts.number(name);
    let [braked, unrenewed, renewed, unbraked] =
        ["braked_pct", "unrenewed_pct", "renewed_pct", "unbraked_pct"].map(pct);
    println!(
        "of a CPU: braked {braked} %, not renewed {unrenewed} %, renewed {renewed} %, without {unbraked} %"
    );
    // A tenth of a CPU is its quota.
    assert!((1.0..40.0).contains(&braked) && (1.0..40.0).contains(&renewed), "{facts:?}\n{log}");
    assert!(unrenewed > 2.0 * braked && unrenewed > 60.0, "it ends by itself: {facts:?}");
    assert!(unbraked > 2.0 * braked && unbraked > 60.0, "{facts:?}");
}

#[test]
fn idle_agents_give_under_pressure_the_longest_idle_first() {
    let left = Boot::script("idle").module("zram").run();
    left.assert_kernel_well();
    let facts = left.facts();
    let log = left.text("idle.err");
    for line in lines(&log, &["idle under pressure"]) {
        println!("{line}");
    }
    left.expect(&facts, &[("quiet_steps", "0"), ("older_gives", "0"), ("younger_gives", "0")]);
    assert!(facts.number("quiet_older") >= 150.0, "the host had memory: {facts:?}");
    assert!(facts.number("younger_meanwhile") >= 130.0, "before its turn: {facts:?}");
    assert!(facts.number("works") >= 150.0, "it works, though its framework waits: {facts:?}");
    // The step that was under way may be said yet, and no other.
    assert!(facts.number("after_steps") <= 1.0, "no pressure any more: {facts:?}\n{log}");
    left.expect(&facts, &[("frozen", "0 0 0 "), ("alive", "3"), ("status", "0"), ("left", "max max max ")]);
    let told = |agent: &str| lines(&log, &[&format!("agent {agent:?}"), "idle under pressure"]).len();
    assert!(told("older") >= 2 && told("younger") >= 1 && told("works") == 0, "a line for each step:\n{log}");
}

#[test]
fn who_runs_into_a_limit_is_seen_by_the_kernel_half() {
    let left = Boot::script("burst").module("zram").mem("3G").run();
    left.assert_kernel_well();
    let facts = left.facts();
    let log = left.text("burst.err");
    let well = [("limited", "0"), ("grown", "0"), ("status", "0"), ("high", "max"), ("files", "lock tags ")];
    left.expect(&facts, &well);
    // No watch is left: said once for the agent, and missed by nobody.
    assert_eq!(lines(&log, &["agent \"grows\"", "memory.events", "max_user_watches"]).len(), 1, "{log}");
    let check = left.text("check.out");
    let probe = check.lines().find(|l| l.contains("memory.high probe")).expect(&check);
    assert!(probe.starts_with("ok"), "{probe}");
    let ago = |line: &str| -> f64 {
        let ms = line.split("ran into its limit ").nth(1).and_then(|l| l.split(" ms ago").next());
        ms.and_then(|ms| ms.parse().ok()).unwrap_or_else(|| panic!("{line:?} says no time"))
    };
    let given = lines(&log, &["agent \"grows\"", "LlmWait", "ran into its limit", "ms ago"]);
    let mut late_ms: Vec<f64> = given.iter().map(|l| ago(l)).collect();
    late_ms.sort_by(f64::total_cmp);
    println!("noticed after, in ms: {late_ms:?}; throttled {} times", facts.get("throttled"));
    assert!(late_ms.len() >= 4, "it grew beyond its limit in each of five stages:\n{log}");
    // The timer comes once in a second, and the host may be busy.
    assert!(late_ms[late_ms.len() / 2] < 100.0, "{late_ms:?}");
    let idle = facts.number("idle_switches");
    println!("{idle} times awake in 10 s with nothing to do");
    assert!(idle <= 15.0, "the controller polls: {idle} times in 10 s");
}

#[test]
fn a_call_dies_before_its_framework() {
    let left = Boot::script("oom").run();
    let facts = left.facts();
    // Without us the framework goes, being the largest: 137 is SIGKILL.
    left.expect(&facts, &[("without_framework", "137"), ("framework_adj", "0")]);
    left.expect(&facts, &[("framework_alive", "yes"), ("framework_adj_after", "0"), ("said", "0")]);
    assert_ne!(facts.get("call_status"), "0", "{}", left.diagnosis());
    let log = left.text("calls.err");
    let told = lines(&log, &["agent \"a\"", "killed", "memory.max 314572800"]);
    println!("{told:?}");
    assert!(!told.is_empty(), "{log}");
    // Back at the end, whatever it was and however that comes.
    left.expect(&facts, &[("left_adj", "500"), ("term_status", "0"), ("term_adj", "0 0")]);
    left.expect(&facts, &[("term_files", "lock tags "), ("had_adj", "800"), ("killed_adj", "300 0 0")]);
}

#[test]
fn memory_is_managed_without_sched_ext() {
    // Debian 13's own kernel has no sched_ext; that of its backports cannot load a scheduler.
    for suite in ["trixie", "sid"] {
        let left = Boot::script("nosched").suite(suite).run();
        left.assert_kernel_well();
        let facts = left.facts();
        if suite == "trixie" {
            let refused = left.text("refused.err");
            left.expect(&facts, &[("sched_ext", ""), ("refused", "1")]);
            assert!(refused.contains("has no sched_ext") && refused.contains("no_memory"), "{refused}");
            // It goes on without, and says so.
            let log = left.text("watch.err");
            let said = |l: &&str| l.contains("nothing is scheduled") && l.contains("has no sched_ext");
            assert_eq!(log.lines().filter(said).count(), 1, "{log}");
            let status = left.text("status.out");
            assert!(status.contains("NOT HEALTHY") && status.contains("has no sched_ext"), "{status}");
            left.expect(&facts, &[("healthy", "1")]);
        } else {
            left.expect(&facts, &[("sched_ext", "disabled"), ("healthy", "0")]);
        }
        // A framework that was there before, and what it starts while it is watched.
        let all = [
            ("wait_limited", "0"),
            ("call_high", "max"),
            ("settled", "0"),
            ("role", "framework"),
            ("call", "tool"),
            ("helper", "helper"),
            ("term_status", "0"),
            ("term_high", "max"),
            ("limited", "0"),
            ("killed_restored", "0"),
        ];
        left.expect(&facts, &all);
        let high = facts.number("wait_high") / MB;
        assert!((155.0..200.0).contains(&high), "{high} MB");
        let calls = left.text("calls.out");
        println!("{calls}");
        let line = calls.lines().find(|l| l.contains("spin.sh")).expect(&calls);
        let cpu_s: f64 = line.split_whitespace().nth(6).unwrap().parse().expect(line);
        let truth = facts.number("spun_s");
        assert!((cpu_s - truth).abs() <= 0.05 + truth / 10.0, "{cpu_s} s, the kernel says {truth} s");
        let log = left.text("watch.err");
        // 6.12 has no place to see who runs into memory.high.
        let (check, lacks) = (left.text("check.out"), suite == "trixie");
        let probe = check.lines().find(|l| l.contains("memory.high probe")).expect(&check);
        assert_eq!(probe.starts_with("missing"), lacks, "{probe}");
        assert_eq!(lines(&log, &["has no __mem_cgroup_handle_over_high"]).len(), usize::from(lacks), "{log}");
        assert!(!lines(&log, &["agent \"a\"", "memory.high", "-> max"]).is_empty(), "{log}");
    }
}

#[test]
fn calls_have_cgroups_of_their_own() {
    let left = Boot::script("apart").program(Path::new(env!("CARGO_BIN_EXE_crowd"))).run();
    let facts = left.facts();
    let log = left.text("apart.err");
    // Not those of agents that nobody has delegated, or that a container's manager has.
    left.expect(&facts, &[("others", ""), ("delegated", "0")]);
    for (agent, why) in [("b", "not delegated"), ("c", "in a container")] {
        assert_eq!(lines(&log, &[&format!("agent {agent:?}"), why]).len(), 1, "{agent}: {log}");
    }
    let inside = [("begun", "0"), ("in_call", "1"), ("oom_group", "1"), ("status", "0"), ("after_call", "0")];
    left.expect(&facts, &inside);
    let own = "/agents/a/scx_agent.framework";
    left.expect(&facts, &[("framework_cgroup", own), ("left_cgroup", own)]);
    // A move within its agent changes nobody's role.
    let roles = [("role_first", "tool"), ("role_child", "tool"), ("role_framework", "framework")];
    left.expect(&facts, &roles);
    left.expect(&facts, &[("left_role", "left_running")]);
    let used = lines(&log, &["agent \"a\"", "used at most"]);
    let mb = |line: &str| -> f64 {
        line.split("at most ").nth(1).and_then(|l| l.split(" MB").next()?.parse().ok()).expect(line)
    };
    println!("{used:?}");
    assert!(used.iter().any(|l| (150.0..200.0).contains(&mb(l))), "150 MB and what shells need: {used:?}");

    // All of the call that ran out of memory, and nothing but it.
    left.expect(&facts, &[("third_begun", "0"), ("killed_status", "137"), ("killed_with", "")]);
    left.expect(&facts, &[("other_call", "alive"), ("framework", "alive"), ("said", "0")]);
    let killed = lines(&log, &["agent \"a\"", "killed it for want of memory"]);
    println!("{killed:?}");
    assert!(killed.len() == 1 && mb(killed[0]) > 100.0, "{killed:?}");

    // Put back whatever ends the daemon, or the agent.
    let term = [("term_status", "0"), ("term_together", "0"), ("term_cgroup", "/agents/a /agents/a")];
    left.expect(&facts, &term);
    left.expect(&facts, &[("term_files", "lock tags "), ("removed", "0")]);
    left.expect(&facts, &[("restore_status", "0"), ("restore_together", "0")]);
    assert!(facts.get("nobody_left").contains("scx_agent.call-"), "{}", facts.get("nobody_left"));
    assert!(left.text("restore.out").contains("brought the cgroups of 1 agents together"));
    left.expect(&facts, &[("killed_together", "0"), ("killed_cgroup", "/agents/a /agents/a")]);
    left.expect(&facts, &[("killed_files", "lock tags ")]);

    // Under pressure the call is held, and its framework beside it is not.
    let held = [("held", "0"), ("held_agent", "max"), ("held_status", "3"), ("held_others", "alive")];
    left.expect(&facts, &held);
    assert!(!lines(&left.text("pressed.err"), &["agent \"a\"", "memory.high of its calls"]).is_empty());
}

#[test]
fn faults_leave_every_original_in_place() {
    let left = Boot::script("faults").run();
    left.assert_kernel_well();
    let facts = left.facts();
    let originals = "max 1073741824";
    // A cgroup file system that cannot be written, from the beginning and at the end.
    left.expect(&facts, &[("readonly_said", "0"), ("readonly_high", originals), ("readonly_status", "0")]);
    left.expect(&facts, &[("readonly_files", "lock tags "), ("ends_status", "0"), ("ends_high", "limited")]);
    left.expect(&facts, &[("ends_files", "lock memory.journal tags "), ("restore_status", "0")]);
    left.expect(&facts, &[("restore_high", originals)]);
    let ends = left.text("ends.err");
    assert_eq!(lines(&ends, &["cannot put memory.high", "Read-only file system"]).len(), 4, "{ends}");
    assert!(!lines(&ends, &["scx_agent restore"]).is_empty(), "{ends}");
    // No room for the journal.
    left.expect(&facts, &[("full_said", "0"), ("full_high", originals), ("full_status", "0")]);
    let full = left.text("full.err");
    assert!(
        !lines(&full, &["agent \"a\"", "/run/scx_agent/memory.journal", "No space left"]).is_empty(),
        "{full}"
    );
    for how in ["TERM", "KILL"] {
        let told = |name: &str| facts.get(&format!("fills_{name}_{how}")).to_string();
        let all = ["said", "late", "back", "files"].map(told);
        assert_eq!(all, ["0", "max", "0", "lock tags "], "{how}: {}", left.diagnosis());
    }
    // Two at once: the second says so and ends, and the first does not notice.
    left.expect(&facts, &[("second_watch", "1"), ("second_sched", "1"), ("second_high", "kept")]);
    for (log, said) in [("second.err", "another scx_agent is running"), ("third.err", "another sched_ext")] {
        let text = left.text(log);
        assert!(text.contains(said) && text.contains("stop"), "{text}");
    }
    left.expect(&facts, &[("first_status", "0"), ("first_high", originals), ("first_files", "lock tags ")]);
}
