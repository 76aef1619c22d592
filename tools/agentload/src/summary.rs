// SPDX-License-Identifier: GPL-2.0-only
//! What a run's records say, in a dozen lines.

use crate::plan::Size;
use crate::record::{CallRecord, Record};
use std::collections::HashMap;
use std::fmt;

/// The smallest value that at least `p` percent of the values do not exceed (nearest rank);
/// None for no values. `values` need not be sorted; `p` is in 0..=100.
pub fn percentile(values: &[f64], p: f64) -> Option<f64> {
    let mut v = values.to_vec();
    v.sort_by(f64::total_cmp);
    let rank = (p / 100.0 * v.len() as f64).ceil().max(1.0) as usize;
    v.get(rank.min(v.len()).checked_sub(1)?).copied()
}

/// Arithmetic mean; None for no values.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The calls of one size class. Times in ms.
#[derive(Clone, Debug, PartialEq)]
pub struct Class {
    /// None: all calls.
    pub size: Option<Size>,
    pub calls: usize,
    pub mean_ms: f64,
    pub p95_ms: f64,
    /// Mean of response / alone response of the same call.
    pub mean_slowdown: Option<f64>,
}

/// A run in figures. Percentiles are nearest-rank.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// All calls, then each size class that has any.
    pub classes: Vec<Class>,
    /// Framework latency (model's answer due to framework work done), in ms.
    pub framework_mean_ms: Option<f64>,
    pub framework_p95_ms: Option<f64>,
    /// From the start of the run to the end of the last call, in s.
    pub makespan_s: f64,
    pub failed: usize,
    /// Agents whose framework did not reach its end.
    pub lost_agents: usize,
    /// Time to get the memory of a stage of a call, in ms.
    pub step_p95_ms: Option<f64>,
    /// Processes killed for want of memory.
    pub oom_kills: u64,
    pub work_per_ms: Option<f64>,
}

impl Summary {
    /// Summarises records; `alone` are those of a serial run of the same plan. Calls that
    /// failed do not count as responses.
    pub fn of(records: &[Record], alone: Option<&[Record]>) -> Summary {
        let calls: Vec<&CallRecord> = records.iter().filter_map(as_call).collect();
        let alone: Option<HashMap<(&str, u32), u64>> = alone.map(|a| {
            a.iter()
                .filter_map(as_call)
                .filter(|c| c.ok)
                .map(|c| ((c.agent.as_str(), c.call), c.end_ns - c.start_ns))
                .collect()
        });
        let class = |size: Option<Size>| {
            let of: Vec<&&CallRecord> =
                calls.iter().filter(|c| c.ok && size.is_none_or(|s| s == c.size)).collect();
            let ms: Vec<f64> = of.iter().map(|c| response_ms(c)).collect();
            let slow: Option<Vec<f64>> = alone.as_ref().map(|alone| {
                of.iter()
                    .filter_map(|c| {
                        Some(response_ms(c) * 1e6 / (*alone.get(&(c.agent.as_str(), c.call))?).max(1) as f64)
                    })
                    .collect()
            });
            Some(Class {
                size,
                calls: of.len(),
                mean_ms: mean(&ms)?,
                p95_ms: percentile(&ms, 95.0)?,
                mean_slowdown: slow.and_then(|s| mean(&s)),
            })
        };
        let latencies: Vec<f64> = records
            .iter()
            .filter_map(|r| match r {
                Record::Turn(t) => Some((t.done_ns - t.due_ns.min(t.done_ns)) as f64 / 1e6),
                _ => None,
            })
            .collect();
        let sizes = [None, Some(Size::Small), Some(Size::Medium), Some(Size::Large)];
        Summary {
            classes: sizes.into_iter().filter_map(class).collect(),
            framework_mean_ms: mean(&latencies),
            framework_p95_ms: percentile(&latencies, 95.0),
            makespan_s: calls.iter().map(|c| c.end_ns).max().unwrap_or(0) as f64 / 1e9,
            failed: calls.iter().filter(|c| !c.ok).count(),
            lost_agents: records.iter().filter(|r| matches!(r, Record::Agent(a) if a.end_ns == 0)).count(),
            step_p95_ms: percentile(&step_ms(records, |_| true), 95.0),
            oom_kills: records
                .iter()
                .map(|r| match r {
                    Record::Agent(a) => a.memory.as_ref().map_or(0, |m| m.oom_kills),
                    _ => 0,
                })
                .sum(),
            work_per_ms: records.iter().find_map(|r| match r {
                Record::Run(r) => Some(r.work_per_ms),
                _ => None,
            }),
        }
    }

    /// Whether every call and every agent came to its end.
    pub fn all_well(&self) -> bool {
        self.failed == 0 && self.lost_agents == 0
    }
}

/// How long the stages of calls of `which` agents took to get their memory, in ms.
pub fn step_ms(records: &[Record], which: impl Fn(&str) -> bool) -> Vec<f64> {
    records
        .iter()
        .filter_map(|r| match r {
            Record::Step(s) if which(&s.agent) => Some(s.end_ns.saturating_sub(s.start_ns) as f64 / 1e6),
            _ => None,
        })
        .collect()
}

fn as_call(r: &Record) -> Option<&CallRecord> {
    match r {
        Record::Call(c) => Some(c),
        _ => None,
    }
}

fn response_ms(c: &CallRecord) -> f64 {
    (c.end_ns - c.start_ns.min(c.end_ns)) as f64 / 1e6
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<8}{:>7}{:>12}{:>12}{:>10}", "calls", "count", "mean ms", "p95 ms", "slowdown")?;
        for c in &self.classes {
            let name = match c.size {
                None => "all",
                Some(Size::Small) => "small",
                Some(Size::Medium) => "medium",
                Some(Size::Large) => "large",
            };
            let slow = c.mean_slowdown.map_or("-".into(), |s| format!("{s:.2}"));
            writeln!(f, "{name:<8}{:>7}{:>12.1}{:>12.1}{slow:>10}", c.calls, c.mean_ms, c.p95_ms)?;
        }
        if let (Some(m), Some(p)) = (self.framework_mean_ms, self.framework_p95_ms) {
            writeln!(f, "framework latency: mean {m:.1} ms, p95 {p:.1} ms")?;
        }
        if let Some(p) = self.step_p95_ms {
            writeln!(f, "memory of a stage: p95 {p:.1} ms, processes killed {}", self.oom_kills)?;
        }
        write!(f, "makespan {:.2} s, failed calls {}", self.makespan_s, self.failed)?;
        if self.lost_agents > 0 {
            write!(f, ", agents lost {}", self.lost_agents)?;
        }
        if let Some(w) = self.work_per_ms {
            write!(f, ", work_per_ms {w}")?;
        }
        writeln!(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(agent: &str, n: u32, cpu_ms: f64, start: u64, end: u64, ok: bool) -> Record {
        Record::Call(CallRecord {
            agent: agent.into(),
            call: n,
            cat: "test".into(),
            size: Size::of(cpu_ms),
            cpu_ms,
            width: 1,
            start_ns: start,
            end_ns: end,
            ok,
            pid: 1,
        })
    }

    #[test]
    fn percentile_is_nearest_rank() {
        let v: Vec<f64> = (1..=20).map(f64::from).collect();
        assert_eq!(percentile(&v, 95.0), Some(19.0));
        assert_eq!(percentile(&v, 100.0), Some(20.0));
        assert_eq!(percentile(&v, 0.0), Some(1.0));
        assert_eq!(percentile(&[7.0], 50.0), Some(7.0));
        assert_eq!(percentile(&[], 50.0), None);
    }

    #[test]
    fn classes_slowdown_and_failures() {
        let ms = 1_000_000;
        let records = [
            call("a", 0, 10.0, 0, 40 * ms, true),
            call("a", 1, 500.0, 0, 600 * ms, true),
            call("b", 0, 10.0, 0, 20 * ms, true),
            call("b", 1, 10.0, 0, 999 * ms, false),
        ];
        let alone = [
            call("a", 0, 10.0, 0, 20 * ms, true),
            call("a", 1, 500.0, 0, 600 * ms, true),
            call("b", 0, 10.0, 5 * ms, 25 * ms, true),
        ];
        let s = Summary::of(&records, Some(&alone));
        assert_eq!(s.failed, 1);
        assert!(!s.all_well());
        assert_eq!(s.classes.len(), 3);
        assert_eq!(s.classes[0].calls, 3);
        assert_eq!(s.classes[1].mean_ms, 30.0);
        assert_eq!(s.classes[1].mean_slowdown, Some(1.5));
        assert_eq!(s.classes[2].mean_slowdown, Some(1.0));
        assert!((s.classes[0].mean_slowdown.unwrap() - 4.0 / 3.0).abs() < 1e-9);
        assert!((s.makespan_s - 0.999).abs() < 1e-9);
        assert!(s.to_string().contains("failed calls 1"));
    }

    #[test]
    fn nothing_is_no_division_by_zero() {
        let s = Summary::of(&[], None);
        assert!(s.classes.is_empty() && s.all_well());
        assert!(s.to_string().contains("makespan 0.00 s"));
    }
}
