// SPDX-License-Identifier: GPL-2.0-only
//! What a run amounts to: pure functions from records to figures.
//!
//! Percentiles are nearest-rank: the p-th percentile of n sorted values is the value at position
//! ceil(p / 100 x n), counted from 1. It is always a value that was measured.
//!
//! Slowdown of a call = its response time / the response time of that same call alone on the
//! same machine. A framework's latency runs from when the model's answer was due to when the
//! framework's own work of the turn was done.

use agentload::plan::Size;
use agentload::record::{CallRecord, Record, TurnRecord};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Response time alone of each call, in ms, by agent and number of the call.
pub type Alone = BTreeMap<(String, u32), f64>;

/// Nearest-rank percentile `p` (0..=100) of `sorted`; `None` if it is empty.
pub fn percentile(sorted: &[f64], p: f64) -> Option<f64> {
    let rank = (p / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied()
}

/// A distribution in figures, all in the unit of the values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub count: u32,
    pub mean: f64,
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
    pub max: f64,
}

impl Summary {
    /// Of values in any order; `None` if there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Summary> {
        let mut v: Vec<f64> = values.into_iter().collect();
        v.sort_by(f64::total_cmp);
        Some(Summary {
            count: v.len() as u32,
            mean: v.iter().sum::<f64>() / v.len() as f64,
            p50: percentile(&v, 50.0)?,
            p95: percentile(&v, 95.0)?,
            p99: percentile(&v, 99.0)?,
            max: *v.last()?,
        })
    }
}

/// Jain's fairness index, (sum x)^2 / (n sum x^2): 1 if all are equal, 1/n if one has all.
pub fn jain(values: &[f64]) -> Option<f64> {
    let sum: f64 = values.iter().sum();
    let squares: f64 = values.iter().map(|v| v * v).sum();
    (squares > 0.0).then(|| sum * sum / (values.len() as f64 * squares))
}

/// Figures of the calls of one size class, or of all.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallFigures {
    pub response_ms: Summary,
    /// `None` where no call has an alone time.
    pub slowdown: Option<Summary>,
}

/// Figures of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    pub all: Option<CallFigures>,
    /// Under 100 ms of CPU.
    pub small: Option<CallFigures>,
    /// 100 ms to under 2 s of CPU.
    pub medium: Option<CallFigures>,
    /// 2 s of CPU and more.
    pub large: Option<CallFigures>,
    /// Model's answer due until the framework's work is done, in ms.
    pub framework_ms: Option<Summary>,
    /// Model's answer due until the framework first runs, in ms.
    pub wakeup_ms: Option<Summary>,
    /// Jain index of the agents' mean slowdowns.
    pub jain: Option<f64>,
    /// Mean slowdown of the agent that fares worst.
    pub worst_agent: Option<f64>,
    /// From the start of the run to the end of the last call, in ms.
    pub makespan_ms: f64,
    /// CPU demand of all calls and framework work over makespan x CPUs.
    pub load: f64,
    /// The same over the middle half of the run, with the demand of each piece of work spread
    /// evenly over its time; at most 1.
    pub steady_load: f64,
    pub failed_calls: u32,
}

/// The calls among `records`, in order.
pub fn calls(records: &[Record]) -> impl Iterator<Item = &CallRecord> {
    records.iter().filter_map(|r| match r {
        Record::Call(c) => Some(c),
        _ => None,
    })
}

/// The framework turns among `records`, in order.
pub fn turns(records: &[Record]) -> impl Iterator<Item = &TurnRecord> {
    records.iter().filter_map(|r| match r {
        Record::Turn(t) => Some(t),
        _ => None,
    })
}

/// Response time of a call, in ms.
pub fn response_ms(c: &CallRecord) -> f64 {
    c.end_ns.saturating_sub(c.start_ns) as f64 / 1e6
}

/// Slowdown of a call that did not fail, if its time alone is known.
pub fn slowdown(c: &CallRecord, alone: &Alone) -> Option<f64> {
    let alone_ms = *alone.get(&(c.agent.clone(), c.call))?;
    (c.ok && alone_ms > 0.0).then(|| response_ms(c) / alone_ms)
}

/// Time alone of each call of a serial run.
pub fn alone_of(records: &[Record]) -> Alone {
    calls(records).filter(|c| c.ok).map(|c| ((c.agent.clone(), c.call), response_ms(c))).collect()
}

/// Mean slowdown of each agent, by name.
pub fn by_agent(records: &[Record], alone: &Alone) -> BTreeMap<String, f64> {
    let mut sums: BTreeMap<String, (f64, u32)> = BTreeMap::new();
    for c in calls(records) {
        if let Some(s) = slowdown(c, alone) {
            let sum = sums.entry(c.agent.clone()).or_default();
            *sum = (sum.0 + s, sum.1 + 1);
        }
    }
    sums.into_iter().map(|(agent, (sum, n))| (agent, sum / n as f64)).collect()
}

/// CPU demand in ms that falls between `from` and `to` (ns), if each piece of work is spread
/// evenly over its time.
fn demand_between(records: &[Record], from: u64, to: u64) -> f64 {
    let part = |start: u64, end: u64, cpu_ms: f64| {
        let shared = end.min(to).saturating_sub(start.max(from)) as f64;
        cpu_ms * (shared / end.saturating_sub(start).max(1) as f64)
    };
    calls(records).map(|c| part(c.start_ns, c.end_ns, c.cpu_ms)).sum::<f64>()
        + turns(records).map(|t| part(t.due_ns, t.done_ns, t.cpu_ms)).sum::<f64>()
}

/// Figures of a run on `cpus` CPUs. Calls that failed count in `failed_calls` alone.
pub fn metrics(records: &[Record], alone: &Alone, cpus: u32) -> Metrics {
    let figures = |size: Option<Size>| {
        let of = || calls(records).filter(move |c| c.ok && size.is_none_or(|s| s == c.size));
        Some(CallFigures {
            response_ms: Summary::of(of().map(response_ms))?,
            slowdown: Summary::of(of().filter_map(|c| slowdown(c, alone))),
        })
    };
    let agents: Vec<f64> = by_agent(records, alone).into_values().collect();
    let end = calls(records).map(|c| c.end_ns).chain(turns(records).map(|t| t.done_ns)).max();
    let end = end.unwrap_or(0);
    let load = |from: u64, to: u64| match to > from {
        true => demand_between(records, from, to) / ((to - from) as f64 / 1e6 * cpus as f64),
        false => 0.0,
    };
    let since_due = |at: u64, t: &TurnRecord| at.saturating_sub(t.due_ns) as f64 / 1e6;
    Metrics {
        all: figures(None),
        small: figures(Some(Size::Small)),
        medium: figures(Some(Size::Medium)),
        large: figures(Some(Size::Large)),
        framework_ms: Summary::of(turns(records).map(|t| since_due(t.done_ns, t))),
        wakeup_ms: Summary::of(turns(records).map(|t| since_due(t.woken_ns, t))),
        jain: jain(&agents),
        worst_agent: agents.iter().copied().max_by(f64::total_cmp),
        makespan_ms: end as f64 / 1e6,
        load: load(0, end),
        steady_load: load(end / 4, end / 4 * 3).min(1.0),
        failed_calls: calls(records).filter(|c| !c.ok).count() as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(agent: &str, call: u32, start_ms: u64, end_ms: u64, cpu_ms: f64) -> Record {
        Record::Call(CallRecord {
            agent: agent.into(),
            call,
            cat: "test".into(),
            size: Size::of(cpu_ms),
            cpu_ms,
            width: 1,
            start_ns: start_ms * 1_000_000,
            end_ns: end_ms * 1_000_000,
            ok: true,
            pid: 1,
        })
    }

    #[test]
    fn percentiles_are_nearest_rank() {
        let v = [15.0, 20.0, 35.0, 40.0, 50.0];
        assert_eq!(percentile(&v, 5.0), Some(15.0));
        assert_eq!(percentile(&v, 30.0), Some(20.0));
        assert_eq!(percentile(&v, 40.0), Some(20.0));
        assert_eq!(percentile(&v, 50.0), Some(35.0));
        assert_eq!(percentile(&v, 100.0), Some(50.0));
        assert_eq!(percentile(&v, 0.0), Some(15.0));
        assert_eq!(percentile(&[], 50.0), None);
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&hundred, 95.0), Some(95.0));
    }

    #[test]
    fn jain_is_one_for_equals_and_one_nth_for_one() {
        assert_eq!(jain(&[2.0, 2.0, 2.0]), Some(1.0));
        assert_eq!(jain(&[5.0, 0.0, 0.0, 0.0]), Some(0.25));
        assert_eq!(jain(&[]), None);
    }

    #[test]
    fn slowdown_is_against_the_same_call_alone() {
        let alone = alone_of(&[call("a", 0, 0, 10, 10.0), call("b", 0, 10, 110, 100.0)]);
        let run = [call("a", 0, 0, 20, 10.0), call("b", 0, 0, 400, 100.0)];
        let m = metrics(&run, &alone, 1);
        assert_eq!(m.small.unwrap().slowdown.unwrap().mean, 2.0);
        assert_eq!(m.medium.unwrap().slowdown.unwrap().mean, 4.0);
        assert_eq!(m.all.unwrap().slowdown.unwrap().mean, 3.0);
        assert_eq!(m.worst_agent, Some(4.0));
        assert_eq!(m.jain, Some(36.0 / 40.0));
        assert_eq!(m.makespan_ms, 400.0);
        assert_eq!(m.large, None);
    }

    #[test]
    fn load_is_demand_over_time_and_cpus() {
        let run = [call("a", 0, 0, 100, 50.0), call("b", 0, 0, 50, 50.0)];
        let m = metrics(&run, &Alone::new(), 2);
        assert_eq!(m.load, 0.5);
        // 25..75 ms: half of a's 50 ms and half of b's 50 ms over 50 ms x 2.
        assert_eq!(m.steady_load, 0.5);
        assert_eq!(m.all.unwrap().slowdown, None);
    }

    #[test]
    fn failed_calls_are_counted_and_left_out() {
        let mut failed = call("a", 1, 0, 5, 10.0);
        if let Record::Call(c) = &mut failed {
            c.ok = false;
        }
        let m = metrics(&[call("a", 0, 0, 20, 10.0), failed], &Alone::new(), 1);
        assert_eq!(m.failed_calls, 1);
        assert_eq!(m.small.unwrap().response_ms.count, 1);
    }
}
