// SPDX-License-Identifier: GPL-2.0-only
//! What the classification adds to a fork, exec and exit, in instructions.

use scx_agent_tests::vm::Boot;

#[test]
fn telling_roles_adds_few_instructions() {
    let left = Boot::script("cost").lockstep().run();
    left.assert_kernel_well();
    let facts = left.facts();
    assert_eq!(facts.get("scheduler_status"), "0", "{}", left.diagnosis());
    let mut wrong = Vec::new();
    for shape in ["helpers", "in_call", "calls"] {
        // The first round brings the programs into the caches.
        let [plain, agent] = ["plain", "agents"].map(|p| facts.number(&format!("{p}_{shape}2")));
        let more_pct = 100.0 * (agent / plain - 1.0);
        println!("{shape}: {plain:.0} us outside agents, {agent:.0} us in one: {more_pct:+.2} %");
        if more_pct > 3.0 {
            wrong.push(format!("{shape}: {more_pct:.2} %"));
        }
    }
    assert!(wrong.is_empty(), "roles may cost 3 %: {wrong:?}");
}
