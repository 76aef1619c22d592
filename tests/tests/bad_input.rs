// SPDX-License-Identifier: GPL-2.0-only
//! Whatever cannot work is refused with one sentence, and nothing is changed.

use scx_agent_tests::vm::{Boot, Left};

/// Asserts that the command named `name` failed and said all of `words`, in at most `lines` lines.
fn refused(left: &Left, name: &str, state: &str, lines: usize, words: &[&str]) {
    let facts = left.facts();
    let said = left.text(&format!("{name}.err"));
    println!("{name}: {}", said.trim());
    let status = facts.number(name);
    assert!(status > 0.0 && status < 124.0, "{name}: status {status}:\n{said}");
    assert_eq!(facts.get(&format!("{name}_state")), state, "{name}");
    for word in words {
        assert!(said.contains(word), "{name} does not say {word:?}:\n{said}");
    }
    let count = said.lines().filter(|l| !l.trim().is_empty()).count();
    assert!(count <= lines, "{name}: {count} lines:\n{said}");
    assert_eq!(left.text(&format!("{name}.out")), "", "{name}: errors belong to stderr");
}

#[test]
fn bad_input_is_refused() {
    let left = Boot::script("bad_input").run();
    let facts = left.facts();
    left.assert_kernel_well();

    let check = |name: &str, lines: usize, words: &[&str]| refused(&left, name, "disabled", lines, words);
    check("not_root", 1, &["needs root", "sudo"]);
    // The command line's own errors have a usage hint below.
    check("bad_glob", 3, &["agents/[ab]", "--agent-cgroup", "only * and ? are special"]);
    check("root_glob", 3, &["--agent-cgroup", "the root cgroup cannot be an agent"]);
    check("bad_stats", 1, &["--stats 0", "at least 0.01"]);
    check("no_number", 3, &["soon", "--stats"]);
    check("long_comm", 3, &["sixteen-bytes-ab", "at most 15 bytes"]);
    check("bad_slice", 3, &["--slice-us", "100..=1000000"]);
    check("bad_log", 1, &["cannot write the event log /nowhere/events.jsonl"]);
    check("many_globs", 1, &["agent_cgroups: there are 25, and at most 24"]);
    check("no_config", 1, &["/boot/config-", "/proc/config.gz", "install"]);
    check("no_scheduler", 1, &["--monitor 0", "at least 0.01"]);
    assert_eq!(facts.get("nr_enabled"), "0", "nothing was loaded on the way");

    refused(
        &left,
        "second",
        "enabled",
        1,
        &["another sched_ext scheduler is loaded", "agent", "stop it first"],
    );
    assert_eq!(facts.get("first_alive"), "yes");
    assert_eq!(facts.get("first_status"), "0");

    check("plan_type", 1, &["/tmp/type.jsonl:2:", "expected a string"]);
    check("plan_name", 1, &["/tmp/name.jsonl:3:", "\"agent\"", "expected a name"]);
    check("plan_missing", 1, &["/tmp/nowhere.jsonl"]);
    check("traces", 1, &["/tmp/traces.jsonl:1:", "expected"]);
    assert_eq!(facts.get("cgroups_left"), "");
}
