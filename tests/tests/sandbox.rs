// SPDX-License-Identifier: GPL-2.0-only
//! What is told of opaque sandboxes (`bpf/sandbox.h`), by the very code that runs in the kernel.

use proptest::prelude::*;
use scx_agent_tests::policy::{is_sandbox, sandbox_phase, sandbox_quiet_ticks};

const TICK: u64 = 100_000_000;
const LLM_WAIT: u32 = 0;
const TOOL: u32 = 2;

#[test]
fn sandboxes_are_told_by_their_executables() {
    for name in [
        "runsc",
        "firecracker",
        "qemu-system-x86_64",
        "qemu-system-aarch64",
        "qemu-kvm",
        "cloud-hypervisor",
        "containerd-shim-kata-v2",
    ] {
        assert!(is_sandbox(name), "{name}");
    }
    for name in [
        "",
        "runscript",
        "firecracker2",
        "qemu-img",
        "containerd-shim-runc-v2",
        "cloud-hypervisor-x",
        "claude",
    ] {
        assert!(!is_sandbox(name), "{name}");
    }
}

/// Phases over `ticks` of CPU time in percent of a CPU, from a wait on.
fn phases(ticks: &[u64]) -> Vec<u32> {
    let (mut phase, mut quiet) = (LLM_WAIT, 0);
    let mut step = |pct: &u64| {
        phase = sandbox_phase(phase, TICK / 100 * pct, TICK, &mut quiet);
        phase
    };
    ticks.iter().map(&mut step).collect()
}

#[test]
fn work_shows_at_once_and_a_wait_after_some_ticks() {
    assert_eq!(phases(&[0, 2, 5, 0]), [LLM_WAIT; 4], "timers, and a stream of tokens");
    assert_eq!(phases(&[0, 100, 0, 400, 0]), [LLM_WAIT, TOOL, TOOL, TOOL, TOOL], "a call pauses");
    let quiet = sandbox_quiet_ticks() as usize;
    let long = [vec![100], vec![0; quiet + 1], vec![30]].concat();
    let mut expected = vec![TOOL; quiet];
    expected.extend([LLM_WAIT, LLM_WAIT, TOOL]);
    assert_eq!(phases(&long), expected);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_it_does_its_phase_is_one_of_two(ticks in prop::collection::vec(0u64..6400, 0..200)) {
        let quiet = sandbox_quiet_ticks() as usize;
        for (i, phase) in phases(&ticks).into_iter().enumerate() {
            let worked = ticks[..=i].iter().rev().take(quiet).any(|pct| *pct >= 20);
            prop_assert_eq!(phase, if worked { TOOL } else { LLM_WAIT });
        }
    }
}
