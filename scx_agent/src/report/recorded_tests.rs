// SPDX-License-Identifier: GPL-2.0-only

use super::*;
use crate::agents::Phase;
use crate::qos::Qos;
use crate::top::{arbitrary, Recorder, Sample as Look};
use crate::usage::Usage;
use crate::view::{Agent, AgentCall, Totals, View};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use std::io::Write;

const S: u64 = 1_000_000_000;

/// Call number `n` of agent `a`, at `begun` s for `wall` s, as it is when it has ended.
fn call(n: u64, begun: f64, wall: f64, retry: Option<(u64, u32)>) -> calls::Call {
    let ns = |s: f64| (s * 1e9) as u64;
    let json = serde_json::json!({
        "agent": "a", "call": n, "pid": 1, "comm": "sh", "command": "pytest", "category": "test",
        "program": "pytest", "rule": "shell under the framework", "begun_ns": ns(begun), "wall_ns": ns(wall),
        "cpu_ns": ns(wall) / 2, "wait_ns": 0, "processes": 1, "peak_width": 1,
        "retry": retry.map(|r| serde_json::json!({"first": r.0, "nth": r.1})),
        "status": {"exited": n % 2}, "tag": null, "hint": null,
        "evidence": {"at_ns":0,"cgroup_id":0,"parent":0,"parent_comm":"","session":0,"comm":""}
    });
    serde_json::from_value(json).unwrap()
}

fn running(mut c: calls::Call, now: u64) -> calls::Call {
    (c.status, c.wall_ns) = (None, now * S - c.begun_ns);
    c
}

/// A look at `now` s: 100 MB, and half a CPU in use.
fn look(now: u64, running: Vec<calls::Call>, ended: Vec<calls::Call>, counted: u64) -> Look {
    let agent = Agent {
        name: "a".into(),
        cgroup_id: 7,
        phase: Phase::LlmWait,
        since_ns: 0,
        history: Vec::new(),
        totals: Totals { calls: counted, ..Totals::default() },
        labelled: true,
        opaque: false,
        qos: Qos::default(),
        weight: 0,
        budget: None,
    };
    let of =
        |calls: Vec<calls::Call>| calls.into_iter().map(|call| AgentCall { cgroup_id: 7, call }).collect();
    let view = View {
        now_ns: now * S,
        agents: vec![agent],
        calls: of(running),
        ended: of(ended),
        ..View::default()
    };
    let usage = Usage { cpu_us: now * 500_000, memory: Some(100_000_000) };
    Look { view, usage: [(7, usage)].into(), ..Look::default() }
}

#[test]
fn a_recording_becomes_tracks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rec");
    let mut recorder = Recorder::open(&path, 1).unwrap();
    let mut write = |unix: f64, look: Look| recorder.write(1e9 + unix, &look).unwrap();
    // One began before, one is too short to be seen while it runs, one goes on at the end.
    let (long, short, third) =
        (call(4, 90.0, 12.0, None), call(5, 103.2, 0.3, None), call(6, 104.5, 1.0, Some((4, 3))));
    write(0.0, look(100, vec![running(long.clone(), 100)], vec![call(3, 80.0, 1.0, None)], 10));
    write(1.0, look(101, vec![running(long.clone(), 101)], vec![], 10));
    write(3.0, look(103, vec![], vec![long], 11));
    write(5.0, look(105, vec![running(third.clone(), 105)], vec![short], 12));
    write(6.0, look(106, vec![running(call(7, 105.5, 9.0, None), 106)], vec![third], 13));
    // After a boot, with a daemon that counts calls that it cannot tell of.
    write(1000.0, look(50, vec![], vec![], 0));
    write(1001.0, look(51, vec![], vec![], 2));
    std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"unix_s\":").unwrap();

    let mut notes = Vec::new();
    let tracks = recording(&path, &mut notes).unwrap();
    assert_eq!(tracks.iter().map(|t| t.length_s).collect::<Vec<_>>(), [6.0, 1.0]);
    let t = &tracks[0];
    assert_eq!((t.name.as_str(), t.set.as_str()), ("a", path.to_str().unwrap()));
    let told: Vec<_> = t.calls.iter().map(|c| (c.start_s, c.end_s, c.lasted_s, c.failed)).collect();
    let near = |a: f64| (a * 1e6).round() / 1e6;
    let told: Vec<_> = told.iter().map(|c| (near(c.0), near(c.1), c.2.map(near), c.3)).collect();
    assert_eq!(
        told,
        [
            (0.0, 0.0, Some(1.0), Some(true)),
            (0.0, 2.0, Some(12.0), Some(false)),
            (3.2, 3.5, Some(0.3), Some(true)),
            (4.5, 5.5, Some(1.0), Some(false)),
            (5.5, 6.0, None, None)
        ]
    );
    assert_eq!((t.calls[1].cpu_s, t.calls[4].cpu_s), (Some(6.0), None));
    assert_eq!(t.samples.len(), 5);
    assert_eq!(t.samples[0], Sample { t_s: 0.0, cpu_pct: None, mem_mb: Some(100.0) });
    assert_eq!(t.samples[2], Sample { t_s: 3.0, cpu_pct: Some(50.0), mem_mb: Some(100.0) });
    let group = t.groups[0];
    assert_eq!((t.groups.len(), group.calls, group.start_s, near(group.end_s)), (1, 3, 0.0, 5.5));
    assert!(notes.len() == 2 && notes[0].contains("rec:8: column "), "{notes:?}");
    assert!(notes[1].contains("2 tool calls are missing"), "{notes:?}");
}

#[test]
fn a_log_of_calls_becomes_tracks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("calls.jsonl");
    let line = |c: calls::Call| serde_json::to_string(&c).unwrap() + "\n";
    // The newest are in the file, and after a boot.
    std::fs::write(dir.path().join("calls.jsonl.2"), line(call(1, 1000.0, 2.0, None))).unwrap();
    std::fs::write(dir.path().join("calls.jsonl.1"), line(call(2, 1004.0, 4.0, None))).unwrap();
    std::fs::write(&path, line(call(1, 20.0, 1.0, None)) + &line(call(2, 25.0, 5.0, None))).unwrap();
    let tracks = call_log(&path).unwrap();
    let told: Vec<_> = tracks.iter().map(|t| (t.length_s, t.calls.len(), t.samples.len())).collect();
    assert_eq!(told, [(8.0, 2, 0), (10.0, 2, 0)]);
    assert_eq!((tracks[0].calls[1].start_s, tracks[0].calls[1].end_s), (4.0, 8.0));

    std::fs::write(&path, line(call(1, 20.0, 1.0, None)) + "{\"agent\": 3}\n").unwrap();
    let e = call_log(&path).unwrap_err().to_string();
    assert!(e.contains("calls.jsonl:2: column ") && e.contains("expected a string"), "{e}");
}

/// A file with `bytes`, and the folder that it is in.
fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    std::fs::write(&path, bytes).unwrap();
    (dir, path)
}

/// What every figure relies on.
fn is_sound(t: &Track) -> bool {
    let within = |s: f64| (0.0..=t.length_s).contains(&s);
    let known = |n: Option<f64>| n.is_none_or(|n| n.is_finite() && n >= 0.0);
    t.length_s.is_finite()
        && t.calls.iter().all(|c| within(c.start_s) && within(c.end_s) && c.start_s <= c.end_s)
        && t.calls.is_sorted_by(|a, b| a.start_s <= b.start_s)
        && t.calls.iter().all(|c| known(c.lasted_s) && known(c.cpu_s))
        && t.groups.iter().all(|g| within(g.start_s) && within(g.end_s) && g.start_s <= g.end_s)
        && t.samples.iter().all(|s| within(s.t_s) && known(s.cpu_pct) && known(s.mem_mb))
        && t.samples.is_sorted_by(|a, b| a.t_s <= b.t_s)
}

proptest! {
    #[test]
    fn any_looks_become_sound_tracks(looks in vec(arbitrary::look(), 1..5), damage in option::of(arbitrary::damage())) {
        let (_dir, path) = file(b"");
        let mut recorder = Recorder::open(&path, 64).unwrap();
        for (i, look) in looks.iter().enumerate() {
            recorder.write(1e9 + i as f64, look).unwrap();
        }
        if let Some(damage) = &damage {
            std::fs::write(&path, arbitrary::damaged(std::fs::read(&path).unwrap(), damage)).unwrap();
        }
        let tracks = recording(&path, &mut Vec::new());
        prop_assert!(tracks.is_ok() || damage.is_some(), "{tracks:?}");
        for t in tracks.iter().flatten() {
            prop_assert!(is_sound(t), "{t:?}");
        }
    }

    #[test]
    fn any_calls_are_logged_and_become_sound_tracks(
        calls in vec(arbitrary::call(), 1..6), damage in option::of(arbitrary::damage())
    ) {
        let (_dir, path) = file(b"");
        jsonl::write_file(&path, &calls).unwrap();
        prop_assert_eq!(&jsonl::read::<calls::Call>(&path).unwrap(), &calls);
        if let Some(damage) = &damage {
            std::fs::write(&path, arbitrary::damaged(std::fs::read(&path).unwrap(), damage)).unwrap();
        }
        let tracks = call_log(&path);
        prop_assert!(tracks.is_ok() || damage.is_some(), "{tracks:?}");
        for t in tracks.iter().flatten() {
            prop_assert!(is_sound(t), "{t:?}");
        }
    }

    #[test]
    fn any_bytes_are_refused(bytes in vec(any::<u8>(), 0..300)) {
        let (_dir, path) = file(&bytes);
        prop_assert!(recording(&path, &mut Vec::new()).is_err());
        // Of white space alone there is nothing to say.
        prop_assert!(call_log(&path).map_or(true, |tracks| tracks.is_empty()));
    }
}
