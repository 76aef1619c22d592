// SPDX-License-Identifier: GPL-2.0-only
use super::*;
use crate::traces::Sample;

fn call(start: f64, end: Option<f64>, tool: &str) -> TraceCall {
    TraceCall { start, end, tool: tool.into(), cat: Some("test".into()), cmd: String::new(), sidechain: 0 }
}

/// 20 s with a sample every second: `cpu(t)` percent, 180 MB.
fn task(calls: Vec<TraceCall>, cpu: impl Fn(f64) -> f64) -> Task {
    let samples =
        (0..=20).map(|t| Sample { t_s: t as f64, cpu_pct: Some(cpu(t as f64)), mem_mb: 180.0 }).collect();
    Task {
        id: "x".into(),
        set: "s".into(),
        attempt: "1".into(),
        dur_s: 20.0,
        base_mb: 180.0,
        peak_mb: 180.0,
        cpu_total_s: 0.0,
        calls,
        samples,
    }
}

fn one(t: &Task, p: &Params) -> Agent {
    convert(std::slice::from_ref(t), p).remove(0)
}

#[test]
fn a_call_gets_the_cpu_of_its_window() {
    // 50 % of a core from 5 to 9 s.
    let t = task(vec![call(5.0, Some(9.0), "Bash")], |t| if t > 5.0 && t <= 9.0 { 50.0 } else { 0.0 });
    let a = one(&t, &Params::as_recorded());
    assert_eq!(a.turns.len(), 2, "the rest after the call is a turn without calls");
    assert_eq!(a.turns[0].think_ms, 5000.0);
    let c = &a.turns[0].calls[0];
    assert_eq!(c.stages, [Stage { wait_ms: 2000.0, cpu_ms: 2000.0, width: 1, mem_mb: 0.0 }]);
    assert_eq!(a.base_mb, 180.0);
}

#[test]
fn more_than_a_core_is_width() {
    let t = task(vec![call(5.0, Some(6.0), "Bash")], |_| 250.0);
    let c = &one(&t, &Params::as_recorded()).turns[0].calls[0];
    assert_eq!(c.width(), 3);
    assert!((c.cpu_ms() - 2500.0).abs() < 0.01);
}

#[test]
fn scales_apply_to_their_own_part() {
    let t = task(vec![call(5.0, Some(9.0), "Bash")], |t| if t > 5.0 && t <= 9.0 { 50.0 } else { 0.0 });
    let p = Params { speedup: 5.0, call_speedup: 2.0, cpu_scale: 0.5, ..Params::as_recorded() };
    let a = one(&t, &p);
    assert_eq!(a.turns[0].think_ms, 1000.0);
    let s = &a.turns[0].calls[0].stages[0];
    assert_eq!((s.wait_ms, s.cpu_ms), (1000.0, 1000.0));
}

#[test]
fn other_tools_are_framework_work() {
    let t = task(vec![call(3.0, Some(3.1), "Read"), call(4.0, Some(6.0), "Task")], |t| {
        if t == 4.0 {
            20.0
        } else {
            1.0
        }
    });
    let a = one(&t, &Params::as_recorded());
    assert!(a.turns.iter().all(|t| t.calls.is_empty()));
    let t = &a.turns[0];
    assert!((t.framework_ms - 190.0).abs() < 1.0, "{}", t.framework_ms);
    assert!((t.wait_cpu_pct - 1.0).abs() < 0.05, "{}", t.wait_cpu_pct);
}

#[test]
fn overlapping_calls_share_a_turn_and_the_cpu() {
    let t = task(vec![call(5.0, Some(9.0), "Bash"), call(7.0, Some(11.0), "Bash")], |_| 80.0);
    let a = one(&t, &Params::as_recorded());
    let calls = &a.turns[0].calls;
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[1].offset_ms, 2000.0);
    assert_eq!((calls[0].call, calls[1].call), (0, 1));
    // 2 s alone at 80 %, 2 s shared at 40 %.
    assert!((calls[0].cpu_ms() - 2400.0).abs() < 1.0);
    assert!((calls[1].cpu_ms() - 2400.0).abs() < 1.0);
}

#[test]
fn an_end_that_is_not_known_is_the_next_call() {
    let t = task(vec![call(5.0, None, "Bash"), call(8.0, Some(9.0), "Bash")], |_| 0.0);
    let a = one(&t, &Params::as_recorded());
    assert_eq!(a.turns[0].calls[0].span_ms(), 3000.0);
    let t = task(vec![call(5.0, None, "Bash")], |_| 0.0);
    assert_eq!(one(&t, &Params::as_recorded()).turns[0].calls[0].span_ms(), 15000.0);
}

#[test]
fn memory_is_above_the_base_and_can_be_left_out() {
    let mut t = task(vec![call(5.0, Some(7.0), "Bash")], |_| 0.0);
    for s in &mut t.samples {
        if s.t_s > 5.0 && s.t_s <= 7.0 {
            s.mem_mb = 680.0;
        }
    }
    assert_eq!(one(&t, &Params::as_recorded()).turns[0].calls[0].stages[0].mem_mb, 500.0);
    let none = one(&t, &Params { mem: false, ..Params::as_recorded() });
    assert_eq!((none.base_mb, none.turns[0].calls[0].stages[0].mem_mb), (0.0, 0.0));
}

#[test]
fn unknown_cpu_is_skipped() {
    let mut t = task(vec![call(5.0, Some(7.0), "Bash")], |_| 50.0);
    for s in &mut t.samples {
        s.cpu_pct = None;
    }
    let a = one(&t, &Params::as_recorded());
    assert_eq!(a.turns[0].calls[0].cpu_ms(), 0.0);
    assert_eq!(a.turns[0].calls[0].span_ms(), 2000.0);
}

#[test]
fn windows_cut_and_rotate() {
    let t = task(vec![call(5.0, Some(9.0), "Bash"), call(15.0, Some(16.0), "Bash")], |_| 10.0);
    let p = Params { from_s: Some(6.0), window_s: Some(2.0), ..Params::as_recorded() };
    let a = one(&t, &p);
    assert_eq!(a.turns.len(), 1);
    assert!((a.turns[0].calls[0].span_ms() - 2000.0).abs() < 0.01);
    // The second agent of the only task takes the window after it.
    let p = Params { agents: Some(3), from_s: Some(4.0), window_s: Some(6.0), ..Params::as_recorded() };
    let plan = convert(&[t], &p);
    assert_eq!(plan.len(), 3);
    assert_eq!(plan[1].turns[0].calls.len(), 1);
    assert_eq!(plan[1].turns[0].calls[0].span_ms(), 1000.0);
    assert_ne!(plan[0].agent, plan[1].agent);
    assert_eq!(
        plan,
        convert(&[task(vec![call(5.0, Some(9.0), "Bash"), call(15.0, Some(16.0), "Bash")], |_| 10.0)], &p)
    );
}
