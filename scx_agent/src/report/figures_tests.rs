// SPDX-License-Identifier: GPL-2.0-only

use super::*;
use crate::report::track::{Group, Sample};

const BOUNDS: Bounds = Bounds { burst_mb: 300.0, burst_cpu_pct: 50.0, change_mb_per_s: 50.0 };

fn call(category: &str, start_s: f64, end_s: f64) -> Call {
    let lasted_s = Some(end_s - start_s);
    Call { start_s, end_s, lasted_s, category: category.into(), process: true, ..Call::default() }
}

/// 100 s of an agent: it starts for 5 s, tests from 9.5 to 29.5 with git in between, builds from 49.5 to 54.5,
/// and once uses much memory by itself.
fn agent() -> Track {
    let sample = |t: u32| Sample {
        t_s: f64::from(t),
        cpu_pct: Some(match t {
            0..5 => 80.0,
            10..30 | 50..55 => 100.0,
            _ => 2.0,
        }),
        mem_mb: Some(match t {
            10..30 => 400.0,
            60 => 600.0,
            55.. => 210.0,
            _ => 200.0,
        }),
    };
    Track {
        name: "a".into(),
        set: "s".into(),
        length_s: 100.0,
        starts: true,
        calls: vec![call("test", 9.5, 29.5), call("git", 20.0, 25.0), call("build", 49.5, 54.5)],
        groups: vec![Group { start_s: 9.5, end_s: 54.5, calls: 3, busy_s: 30.0 }],
        samples: (0..=100).map(sample).collect(),
        ..Track::default()
    }
}

fn close(got: impl Into<Option<f64>>, want: f64) {
    let got = got.into().expect("a value");
    assert!((got - want).abs() < 1e-9 * want.abs().max(1.0), "{got} and not {want}");
}

#[test]
fn known_answers() {
    let (agent, idle) = (agent(), Track { length_s: 50.0, ..Track::default() });
    let f = figures("s", &[&agent, &idle], BOUNDS);
    assert_eq!((f.agents, f.length_s.unwrap().max), (2, 100.0));
    let share = f.in_calls_pct.unwrap();
    assert_eq!((share.n, share.min, share.max), (2, 0.0, 25.0), "time that two calls share counts once");

    // Memory: the median of 5-9, 31-49 and 56-100 s, when the framework is alone.
    assert_eq!((f.base_mb.unwrap().p50, f.peak_mb.unwrap().max), (210.0, 600.0));
    let mean = (200.0 * (10 + 25) as f64 + 400.0 * 20.0 + 210.0 * 45.0 + 600.0) / 101.0;
    close(f.peak_to_mean.map(|d| d.p50), 600.0 / mean);
    assert_eq!(f.memory_bursts.samples, 21);
    close(f.memory_bursts.in_calls_pct, 100.0 * 20.0 / 21.0);

    // CPU: at its start it is neither in a call nor does it wait.
    assert_eq!(f.cpu_bursts.samples, 5 + 25);
    close(f.cpu_bursts.in_calls_pct, 100.0 * 25.0 / 30.0);
    close(f.samples_in_calls_pct, 100.0 * 25.0 / 101.0);
    let watched = figures("s", &[&Track { starts: false, ..agent.clone() }], BOUNDS);
    assert_eq!(
        watched.cpu_outside_pct.map(|d| (d.n, d.max)),
        Some((101 - 27, 80.0)),
        "one that was there before"
    );
    let (outside, inside) = (f.cpu_outside_pct.unwrap(), f.cpu_inside_pct.unwrap());
    assert_eq!((outside.n, outside.min, outside.max), (101 - 5 - 27, 2.0, 2.0));
    assert_eq!((inside.n, inside.p50, inside.min), (27, 100.0, 2.0));
    assert_eq!((f.agents_over_150_pct, f.agents_over_400_pct, f.cpu_peak_pct.unwrap().max), (0, 0, 100.0));

    // Calls: in the 5 s that two share each has half of the CPU.
    let names: Vec<&str> = f.categories.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names.first(), Some(&"test"), "{names:?}");
    let of = |name: &str| f.categories.iter().find(|c| c.name == name).unwrap();
    close(of("test").cpu_s.map(|d| d.max), 11.0 + 2.5 + 4.0 + 0.02);
    close(of("git").cpu_s.map(|d| d.max), 2.5);
    close(of("build").cpu_s.map(|d| d.max), 5.0 + 0.02);
    close(of("test").rise_mb.map(|d| d.max), 200.0);
    close(of("git").rise_mb.map(|d| d.max), 0.0);
    close(of("test").time_pct, 100.0 * 20.0 / 30.0);
    assert_eq!((of("test").calls, of("test").failed), (1, None));
    close(f.overlapping_pct, 100.0 * 2.0 / 3.0);

    // Retries.
    assert_eq!((f.retries.agents_pct, f.retries.groups, f.retries.longest), (Some(50.0), 1, 3));
    assert_eq!((f.retries.time_pct, f.retries.kept_mb.unwrap().max), (Some(15.0), 10.0));

    // Changes: up and down of the tests, and of 60 s.
    let c = f.changes.unwrap();
    assert_eq!((c.rise_mb_per_s, c.fall_mb_per_s, c.cpu_pct_per_s), (390.0, -390.0, Some(98.0)));
    close(c.over_bound_pct, 4.0);
}

#[test]
fn what_is_not_known_is_not_told() {
    let f = figures("none", &[], BOUNDS);
    assert_eq!(f, Figures { set: "none".into(), ..Figures::default() });
    // Calls alone, one of which still runs.
    let running =
        Call { start_s: 3.0, end_s: 9.0, process: true, category: "test".into(), ..Call::default() };
    let done = Call { cpu_s: Some(4.0), failed: Some(true), ..call("test", 0.0, 2.0) };
    let track = Track { length_s: 10.0, calls: vec![done, running], ..Track::default() };
    let f = figures("calls", &[&track], BOUNDS);
    assert_eq!((f.base_mb, f.changes, f.cpu_inside_pct, f.samples_in_calls_pct), (None, None, None, None));
    assert_eq!(f.in_calls_pct.unwrap().p50, 80.0);
    let test = &f.categories[0];
    assert_eq!((test.calls, test.failed, test.lasted_s.unwrap().n), (2, Some(1), 1));
    assert_eq!((test.cpu_s.unwrap().max, test.rise_mb), (4.0, None));
    assert_eq!((f.overlapping_pct, f.retries.kept_mb), (Some(0.0), None));
}
