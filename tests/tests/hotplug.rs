// SPDX-License-Identifier: GPL-2.0-only
//! CPUs go and come back under the scheduler, which goes on: no restart, nobody waits for ever, and whatever
//! is bound to a CPU or confined to it runs elsewhere meanwhile.

use scx_agent_tests::vm::Boot;

#[test]
fn cpus_come_and_go() {
    let left = Boot::script("hotplug").run();
    left.assert_kernel_well();
    let facts = left.facts();
    assert_eq!(facts.get("state"), "enabled", "{}", left.diagnosis());
    assert_eq!(facts.get("restarts"), "0", "{}", left.text("hotplug.err"));
    assert_eq!(facts.get("status"), "0", "{}", left.diagnosis());
    for when in ["all", "gone", "back", "again"] {
        assert_eq!(facts.get(&format!("{when}_waiting")), "", "{when}: these had no CPU time");
    }
    assert_eq!(
        (facts.get("gone_failed"), facts.get("back_failed"), facts.get("again_failed")),
        ("0", "0", "0")
    );
    // The kernel waits until nothing is left there, whatever waits in our queues, and for all that it
    // preempted in the middle of something.
    for when in ["gone", "again"] {
        let took = facts.number(&format!("{when}_s"));
        assert!(took <= 5.0, "{when}: the CPU was gone after {took} s");
    }
    assert_eq!(facts.get("gone_strays"), "0", "nothing runs on a CPU that is gone");
    assert_eq!(facts.get("back_home"), "0", "the background is where it was confined to again");
    assert_eq!(facts.get("used"), "0 1 2 3", "CPUs that came back are used");
    let log = left.events("hotplug.jsonl");
    assert!(!log.ends("desk").is_empty(), "calls are told with a CPU less: {log:?}");
}
