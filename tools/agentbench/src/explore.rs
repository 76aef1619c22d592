// SPDX-License-Identifier: GPL-2.0-only
//! `agentbench ideal`: policies side by side, averaged over plans.

use crate::figures::find;
use crate::ideal::{simulate, Machine};
use crate::metrics::{metrics, Alone};
use crate::policy::Policy;
use agentload::plan::Agent;

const COLUMNS: [&str; 13] = [
    "slowdown_mean",
    "small_slowdown",
    "medium_slowdown",
    "large_slowdown",
    "small_mean_ms",
    "small_p95_ms",
    "medium_p95_ms",
    "large_mean_ms",
    "large_p95_ms",
    "jain",
    "worst_agent",
    "makespan_ms",
    "steady_load",
];

/// A table of `policies`, each figure its mean over `plans`.
pub fn table(plans: &[Vec<Agent>], machine: Machine, policies: &[Policy]) -> String {
    let figures: Vec<_> = COLUMNS.iter().filter_map(|k| find(k)).map(|(f, _)| f).collect();
    let head = figures.iter().map(|f| f.title.to_string());
    let mut lines: Vec<Vec<String>> = vec![[String::new()].into_iter().chain(head).collect()];
    for policy in policies {
        let all: Vec<_> = plans
            .iter()
            .map(|plan| {
                let own = |a: &Agent| a.turns.iter().flat_map(|t| t.calls.clone()).collect::<Vec<_>>();
                let alone: Alone = plan
                    .iter()
                    .flat_map(|a| {
                        own(a).into_iter().map(|c| ((a.agent.clone(), c.call), machine.alone_ms(&c)))
                    })
                    .collect();
                metrics(&simulate(plan, machine, *policy), &alone, machine.cpus)
            })
            .collect();
        let mean = |f: &&crate::figures::Figure| {
            let values: Vec<f64> = all.iter().filter_map(|m| (f.get)(m)).collect();
            match values.is_empty() {
                true => "-".to_string(),
                false => f.unit.show(values.iter().sum::<f64>() / values.len() as f64),
            }
        };
        lines.push([policy.to_string()].into_iter().chain(figures.iter().map(mean)).collect());
    }
    crate::table::align(&lines)
}
