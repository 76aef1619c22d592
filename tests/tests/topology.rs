// SPDX-License-Identifier: GPL-2.0-only
//! Hardware threads: work shares a core only while no core is idle.

use scx_agent_tests::vm::Boot;

#[test]
fn work_moves_to_idle_cores() {
    let left = Boot::script("topology").smp("8,sockets=1,cores=4,threads=2").lockstep().run();
    left.assert_kernel_well();
    let facts = left.facts();
    assert_eq!((facts.get("state"), facts.get("status")), ("enabled", "0"), "{}", left.diagnosis());
    assert_eq!(facts.get("threads"), "0-1", "the machine has threads");
    assert_eq!(facts.get("held"), "3", "two of four were held on one core");
    println!("{} of 20 looks found four hogs on four cores", facts.get("apart"));
    assert!(facts.number("apart") >= 18.0, "{facts:?}");
}
