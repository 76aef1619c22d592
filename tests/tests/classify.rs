// SPDX-License-Identifier: GPL-2.0-only
//! The decisions of the classification (`bpf/classify.h`), the very code that runs in the kernel.

use scx_agent_tests::policy::*;

const BOTH: [bool; 2] = [false, true];

fn framework(rule: Rule) -> Verdict {
    Verdict { role: Role::Framework, rule, new_call: false }
}

fn new_call(rule: Rule) -> Verdict {
    Verdict { role: Role::Tool, rule, new_call: true }
}

fn in_its_call(rule: Rule) -> Verdict {
    Verdict { role: Role::Tool, rule, new_call: false }
}

/// Calls `f` with every combination of two flags.
fn all2(f: impl Fn(bool, bool)) {
    for a in BOTH {
        for b in BOTH {
            f(a, b);
        }
    }
}

#[test]
fn what_a_tool_call_execs_stays_in_the_call() {
    for forked in BOTH {
        all2(|known, session| {
            assert_eq!(exec(Role::Tool, forked, known, session), in_its_call(Rule::Inherit))
        });
    }
}

#[test]
fn outside_agents_an_exec_changes_nothing() {
    let none = Verdict { role: Role::None, rule: Rule::Inherit, new_call: false };
    for forked in BOTH {
        all2(|known, session| assert_eq!(exec(Role::None, forked, known, session), none));
    }
}

#[test]
fn a_framework_that_execs_itself_again_stays_the_framework() {
    all2(|known, session| assert_eq!(exec(Role::Framework, false, known, session), framework(Rule::Reexec)));
}

#[test]
fn a_child_with_a_frameworks_comm_in_the_same_session_is_a_relaunch() {
    assert_eq!(exec(Role::Framework, true, true, false), framework(Rule::Comm));
}

#[test]
fn a_new_session_under_a_framework_is_a_call_whatever_its_comm() {
    for known in BOTH {
        assert_eq!(exec(Role::Framework, true, known, true), new_call(Rule::Session));
    }
}

#[test]
fn any_other_child_of_a_framework_that_execs_is_a_call() {
    assert_eq!(exec(Role::Framework, true, false, false), new_call(Rule::Exec));
}

#[test]
fn found_below_a_call_is_in_the_call() {
    for frameworks in [0, 1, 5] {
        for like in BOTH {
            all2(|known, session| {
                assert_eq!(found(Role::Tool, known, like, session, frameworks), in_its_call(Rule::Parent));
            });
        }
    }
}

#[test]
fn found_with_a_frameworks_comm_is_a_framework() {
    for frameworks in [0, 1, 5] {
        all2(|like, session| {
            assert_eq!(found(Role::None, true, like, session, frameworks), framework(Rule::Comm));
        });
        for like in BOTH {
            assert_eq!(found(Role::Framework, true, like, false, frameworks), framework(Rule::Comm));
        }
    }
}

#[test]
fn found_under_a_framework_and_like_it_is_its_fork() {
    for frameworks in [0, 1, 5] {
        for session in BOTH {
            assert_eq!(found(Role::Framework, false, true, session, frameworks), framework(Rule::Parent));
        }
    }
}

#[test]
fn found_under_a_framework_and_unlike_it_is_a_call() {
    for frameworks in [0, 1, 5] {
        for session in BOTH {
            assert_eq!(found(Role::Framework, false, false, session, frameworks), new_call(Rule::Parent));
        }
        // A framework's comm in a session of its own: something a call runs.
        assert_eq!(found(Role::Framework, true, false, true, frameworks), new_call(Rule::Parent));
    }
}

#[test]
fn the_first_to_enter_is_the_framework_and_later_ones_are_calls() {
    for like in BOTH {
        for session in BOTH {
            assert_eq!(found(Role::None, false, like, session, 0), framework(Rule::Entry));
            assert_eq!(found(Role::None, false, like, session, 1), new_call(Rule::Outside));
            assert_eq!(found(Role::None, false, like, session, u32::MAX), new_call(Rule::Outside));
        }
    }
}

#[test]
fn comms_are_compared_up_to_their_end() {
    let comm = |text: &str, rest: u8| {
        let mut c = [rest; 16];
        c[..text.len()].copy_from_slice(text.as_bytes());
        if text.len() < 16 {
            c[text.len()] = 0;
        }
        c
    };
    assert!(comm_equal(&comm("claude", 0), &comm("claude", 0)));
    assert!(comm_equal(&comm("claude", 0), &comm("claude", b'x')), "what follows the end does not count");
    assert!(comm_equal(&comm("", 0), &comm("", 1)));
    assert!(comm_equal(&comm("node-MainThread", 0), &comm("node-MainThread", 0)));
    assert!(comm_equal(&[b'a'; 16], &[b'a'; 16]), "without an end at all");
    for other in ["claud", "claudex", "Claude", ""] {
        assert!(!comm_equal(&comm("claude", 0), &comm(other, 0)), "{other}");
    }
}
