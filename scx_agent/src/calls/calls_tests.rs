// SPDX-License-Identifier: GPL-2.0-only

use super::*;

fn call(id: u64, command: &str) -> Call {
    let words: Vec<String> = command.split(' ').map(String::from).collect();
    Call {
        agent: "a".into(),
        call: id,
        pid: 1,
        comm: "sh".into(),
        command: command::joined(&words),
        kind: category::kind(&words),
        rule: "new session".into(),
        begun_ns: 0,
        wall_ns: 0,
        cpu_ns: 0,
        wait_ns: 0,
        processes: 1,
        peak_width: 0,
        retry: None,
        status: None,
        ended_by: None,
        tag: None,
        hint: None,
        evidence: Evidence::default(),
    }
}

fn nth(calls: &Calls, id: u64) -> Option<(u64, u32)> {
    calls.known(id).expect("known").retry.map(|r| (r.first, r.nth))
}

#[test]
fn retries_are_counted_per_agent() {
    let mut calls = Calls::default();
    for id in 1..=6 {
        calls.begin(id as u32, id % 2, call(id, "pytest -x"));
    }
    assert_eq!((nth(&calls, 4), nth(&calls, 5), nth(&calls, 6)), (None, Some((1, 3)), Some((2, 3))));
}

#[test]
fn a_program_told_later_counts() {
    let mut calls = Calls::default();
    for id in 1..=3 {
        calls.begin(id as u32, 1, call(id, "runc init"));
        calls.exec(id as u32, id, "pytest".into(), &["pytest".into()]);
        // What it execs next says no more.
        calls.exec(id as u32, id, "cat".into(), &["cat".into()]);
    }
    assert_eq!(calls.known(3).unwrap().kind.program, "pytest");
    assert_eq!(calls.known(3).unwrap().comm, "cat");
    assert_eq!(nth(&calls, 3), Some((1, 3)));
}

#[test]
fn who_asks_again_is_told_what_is_new() {
    let mut calls = Calls::default();
    let run = |calls: &mut Calls, ids: std::ops::Range<u64>| {
        for id in ids {
            calls.begin(1, 7, call(id, "pytest"));
            calls.end(1, id, |_| ());
        }
    };
    let told = |calls: &Calls, known: u64| {
        calls.ended_after(known).iter().map(|c| (c.cgroup_id, c.call.call)).collect::<Vec<_>>()
    };
    run(&mut calls, 1..4);
    assert_eq!(told(&calls, 0), [(7, 1), (7, 2), (7, 3)]);
    assert_eq!(told(&calls, 2), [(7, 3)]);
    assert_eq!(told(&calls, 3), []);
    assert_eq!(told(&calls, 9).len(), 3, "the daemon was started again meanwhile");
    run(&mut calls, 4..4 + FINISHED as u64);
    assert_eq!((told(&calls, 0).len(), calls.ended_total), (FINISHED, 3 + FINISHED as u64));
}

#[test]
fn hooks_break_no_row() {
    let mut calls = Calls::default();
    for id in 0..3 {
        calls.begin(1, 1, call(id * 2 + 1, "scx_agent call begin"));
        calls.forget(1, id * 2 + 1);
        calls.begin(1, 1, call(id * 2 + 2, "make"));
        calls.end(1, id * 2 + 2, |c| c.status = Some(Status::Exited(0)));
    }
    assert_eq!(nth(&calls, 6), Some((2, 3)));
    assert!(calls.known(1).is_none());
}

#[test]
fn what_is_kept_is_bounded() {
    let mut calls = Calls::default();
    for id in 1..=3 * FINISHED as u64 {
        calls.begin(7, 1, call(id, "x"));
        if id % 2 == 0 {
            calls.end(7, id, |_| ());
        }
        // An end that comes late, of a call whose slot has another by now.
        calls.end(7, id / 2, |_| panic!("not that one"));
    }
    assert_eq!(calls.finished.len(), FINISHED);
    assert!(calls.running.len() <= 1);
    calls.gone(1);
    assert!(calls.rows.is_empty());
}
