// SPDX-License-Identifier: GPL-2.0-only
//! Agents by an attribute of their cgroups.

use scx_agent_tests::vm::Boot;
use std::path::Path;

#[test]
fn cgroups_say_that_they_are_agents() {
    let left = Boot::script("naming").program(Path::new(env!("CARGO_BIN_EXE_mark"))).run();
    left.assert_kernel_well();
    let facts = left.facts();
    assert_eq!(facts.get("scheduler_status"), "0", "{}", left.diagnosis());
    assert_eq!(left.events("naming.jsonl").agents(), ["apps/before", "apps/after", "apps/below"]);
    assert_eq!(facts.get("too_early"), "1", "it is looked at with its next process");
    for agent in ["after", "second", "inner"] {
        assert_eq!(facts.get(agent), "0", "{agent}: {}", left.text(&format!("{agent}.out")));
    }
    for of_below in ["second", "inner"] {
        let said = left.text(&format!("{of_below}.out"));
        assert!(said.contains("apps/below"), "{said}");
    }
    let said = left.text("other.err");
    assert!(said.contains("is in no agent"), "{said}");
}
