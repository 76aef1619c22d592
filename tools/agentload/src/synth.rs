// SPDX-License-Identifier: GPL-2.0-only
//! From a plan to the recorded format: what a sampler would have seen of these agents if none
//! had ever waited for a CPU.

use crate::plan::{Agent, Turn};
use crate::traces::{Sample, Task, TraceCall};

/// Time between samples, in s.
const SAMPLE_S: f64 = 1.0;
/// Memory of an agent whose plan has none, in MB.
const DEFAULT_BASE_MB: f64 = 185.0;

/// A stretch of time with constant use: from, to (s), percent of a core, MB above the base.
type Segment = (f64, f64, f64, f64);

/// The plan's agents as recorded tasks of the set `generated`.
pub fn to_tasks(plan: &[Agent]) -> Vec<Task> {
    plan.iter().map(to_task).collect()
}

fn to_task(a: &Agent) -> Task {
    let mut segments = Vec::new();
    let mut calls = Vec::new();
    let mut at = a.start_ms as f64 / 1e3;
    for turn in &a.turns {
        at = one_turn(turn, at, &mut segments, &mut calls);
    }
    let base_mb = if a.base_mb > 0.0 { round(a.base_mb, 10.0) } else { DEFAULT_BASE_MB };
    let samples = sample(&segments, at, base_mb);
    Task {
        id: a.agent.clone(),
        set: "generated".into(),
        attempt: "attempt_1".into(),
        dur_s: round(at, 1000.0),
        base_mb,
        peak_mb: samples.iter().map(|s| s.mem_mb).fold(base_mb, f64::max),
        cpu_total_s: round(segments.iter().map(|s| (s.1 - s.0) * s.2 / 100.0).sum(), 100.0),
        calls,
        samples,
    }
}

/// Adds a turn that begins at `at` (s) and returns its end.
fn one_turn(turn: &Turn, at: f64, segments: &mut Vec<Segment>, calls: &mut Vec<TraceCall>) -> f64 {
    let answered = at + turn.think_ms / 1e3;
    segments.push((at, answered, turn.wait_cpu_pct, 0.0));
    let begin = answered + turn.framework_ms / 1e3;
    segments.push((answered, begin, 100.0, 0.0));
    let mut last = begin;
    for call in &turn.calls {
        let start = begin + call.offset_ms / 1e3;
        let mut t = start;
        for s in &call.stages {
            let end = t + (s.wait_ms + s.cpu_ms) / 1e3;
            let pct = if end > t { s.cpu_ms * s.width as f64 / 10.0 / (end - t) } else { 0.0 };
            segments.push((t, end, pct, s.mem_mb));
            t = end;
        }
        calls.push(TraceCall {
            start: round(start, 1000.0),
            end: Some(round(t, 1000.0)),
            tool: "Bash".into(),
            cat: Some(call.cat.clone()),
            cmd: String::new(),
            sidechain: 0,
        });
        last = last.max(t);
    }
    last
}

/// One sample per [`SAMPLE_S`]: mean CPU since the one before, largest memory.
fn sample(segments: &[Segment], dur_s: f64, base_mb: f64) -> Vec<Sample> {
    let n = (dur_s / SAMPLE_S).ceil() as usize + 1;
    let mut cpu_s = vec![0.0; n];
    let mut mem = vec![0.0; n];
    for (from, to, pct, mb) in segments {
        let mut a = *from;
        while a < *to {
            // Sample k covers the time from k - 1 to k.
            let k = (a / SAMPLE_S).floor() as usize + 1;
            let b = to.min(k as f64 * SAMPLE_S);
            if k < n {
                cpu_s[k] += (b - a) * pct / 100.0;
                mem[k] = f64::max(mem[k], *mb);
            }
            a = if b > a { b } else { *to };
        }
    }
    (0..n)
        .map(|k| Sample {
            t_s: k as f64 * SAMPLE_S,
            cpu_pct: (k > 0).then(|| round(100.0 * cpu_s[k] / SAMPLE_S, 10.0)),
            mem_mb: round(base_mb + mem[k], 10.0),
        })
        .collect()
}

fn round(x: f64, steps: f64) -> f64 {
    (x * steps).round() / steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert;
    use crate::generate::{generate, Params, Profile};

    #[test]
    fn a_plan_survives_the_recording() {
        let plan =
            generate(&Params { profile: Profile::Published, agents: 12, turns: 8, ..Params::default() });
        let tasks = to_tasks(&plan);
        let back = convert::convert(&tasks, &convert::Params::as_recorded());
        let calls = |plan: &[Agent]| plan.iter().flat_map(|a| &a.turns).map(|t| t.calls.len()).sum::<usize>();
        assert_eq!(calls(&back), calls(&plan));
        let cpu = |plan: &[Agent]| -> f64 {
            plan.iter()
                .flat_map(|a| &a.turns)
                .map(|t| {
                    t.framework_ms
                        + t.think_ms * t.wait_cpu_pct / 100.0
                        + t.calls.iter().map(|c| c.cpu_ms()).sum::<f64>()
                })
                .sum()
        };
        let ratio = cpu(&back) / cpu(&plan);
        assert!((0.95..1.05).contains(&ratio), "{ratio}");
    }

    #[test]
    fn the_shipped_sample_is_what_generate_makes() {
        let plan =
            generate(&Params { profile: Profile::Published, agents: 12, turns: 12, ..Params::default() });
        let mut text = Vec::new();
        crate::jsonl::write(&mut text, &to_tasks(&plan)).unwrap();
        assert!(text == include_bytes!("../data/sample-traces.jsonl"), "regenerate data/sample-traces.jsonl");
    }
}
