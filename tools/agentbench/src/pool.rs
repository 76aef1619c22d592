// SPDX-License-Identifier: GPL-2.0-only
//! One result from the plans of several seeds.

use crate::metrics::{metrics, Alone};
use crate::results::{AloneCall, RunResult, ScenarioResult};
use agentload::record::Record;

/// Name of an agent among those of several seeds.
fn name(seed: u64, agent: &str) -> String {
    format!("{seed}/{agent}")
}

/// `of_seeds`, the same scenario with each seed, as one: distributions are over the calls and turns
/// of all, makespan and loads the means. A scheduler that failed with one seed is left out.
///
/// # Panics
/// If `of_seeds` is empty.
pub fn pool(mut of_seeds: Vec<(u64, ScenarioResult)>, cpus: u32) -> ScenarioResult {
    if of_seeds.len() == 1 {
        return of_seeds.remove(0).1;
    }
    let first = &of_seeds[0].1;
    let count = of_seeds.len() as f64;
    let alone = |of: fn(&ScenarioResult) -> &Vec<AloneCall>| -> Vec<AloneCall> {
        let own = |(seed, s): &(u64, ScenarioResult)| -> Vec<AloneCall> {
            let rename = |a: &AloneCall| AloneCall { agent: name(*seed, &a.agent), ..a.clone() };
            of(s).iter().map(rename).collect()
        };
        of_seeds.iter().flat_map(own).collect()
    };
    let mut pooled = ScenarioResult {
        name: first.name.clone(),
        doc: format!("{} With {count} seeds.", first.doc),
        agents: of_seeds.iter().flat_map(|(seed, s)| s.agents.iter().map(|a| name(*seed, a))).collect(),
        calls: of_seeds.iter().map(|(_, s)| s.calls).sum(),
        overhead_ms: of_seeds.iter().map(|(_, s)| s.overhead_ms).sum::<f64>() / count,
        alone: alone(|s| &s.alone),
        ideal_alone: alone(|s| &s.ideal_alone),
        runs: Vec::new(),
        ideal: Vec::new(),
    };
    let runs = |of: fn(&ScenarioResult) -> &Vec<RunResult>, alone: Alone| -> Vec<RunResult> {
        let with_each = |run: &RunResult| {
            let find = |(seed, s): &(u64, ScenarioResult)| {
                of(s).iter().find(|r| r.scheduler == run.scheduler).map(|r| (*seed, r.clone()))
            };
            of_seeds.iter().map(find).collect::<Option<Vec<_>>>()
        };
        of(first).iter().filter_map(with_each).map(|all| pool_runs(all, &alone, cpus)).collect()
    };
    (pooled.runs, pooled.ideal) =
        (runs(|s| &s.runs, pooled.alone(false)), runs(|s| &s.ideal, pooled.alone(true)));
    pooled
}

/// The runs under one scheduler, one for each seed, as one. Timelines are left out: each has its own
/// time.
fn pool_runs(of_seeds: Vec<(u64, RunResult)>, alone: &Alone, cpus: u32) -> RunResult {
    let all: Vec<_> = of_seeds.iter().map(|(_, r)| r.metrics.clone()).collect();
    let mean = |of: fn(&crate::metrics::Metrics) -> f64| all.iter().map(of).sum::<f64>() / all.len() as f64;
    let RunResult { scheduler, command, .. } = of_seeds[0].1.clone();
    let rename = |(seed, run): (u64, RunResult)| {
        run.records.into_iter().filter_map(move |mut r| {
            match &mut r {
                Record::Call(c) => c.agent = name(seed, &c.agent),
                Record::Turn(t) => t.agent = name(seed, &t.agent),
                Record::Step(s) => s.agent = name(seed, &s.agent),
                Record::Agent(a) => a.agent = name(seed, &a.agent),
                Record::Run(_) | Record::Timeline(_) => return None,
            }
            Some(r)
        })
    };
    let records: Vec<Record> = of_seeds.into_iter().flat_map(rename).collect();
    let mut metrics = metrics(&records, alone, cpus);
    metrics.makespan_ms = mean(|m| m.makespan_ms);
    metrics.load = mean(|m| m.load);
    metrics.steady_load = mean(|m| m.steady_load);
    RunResult { scheduler, command, metrics, records }
}
