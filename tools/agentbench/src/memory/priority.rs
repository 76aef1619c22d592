// SPDX-License-Identifier: GPL-2.0-only
//! One high-priority and two low-priority agents in less memory than they want together: who survives,
//! and how long the important one waits for its memory. The experiment of the AgentCgroup paper.

use super::load::{self, burst_mb};
use super::rounds::{Control, Played, Round};
use super::stats::Mean;
use super::table::Table;
use agentload::convert::{convert, Params};
use agentload::plan::{Agent, Call, Stage, Turn};
use agentload::rng::Rng;
use agentload::summary::{percentile, step_ms};
use agentload::traces::Task;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The agents; the first is the important one.
const NAMES: [&str; 3] = ["high", "low1", "low2"];
/// cpu.weight of the important one; the others have the default, 100.
const WEIGHT: &str = "high/cpu.weight=400";
/// What each uses at most, in MB: the paper's tasks, 1233 MB together.
const PEAK_MB: [f64; 3] = [421.0, 406.0, 406.0];
/// When each recorded one comes to its peak, and each generated one begins, in s of the recording: within
/// so many, the important one last, so that they meet.
const BEGIN_S: [(f64, f64); 3] = [(3.0, 8.0), (0.0, 5.0), (0.0, 5.0)];

/// The three agents of a seed: recorded tasks or, without them, generated ones, at `speed` times their
/// speed, with `scale` times the paper's peaks.
///
/// # Errors
/// There are tasks, but not one for each agent.
pub fn plan(seed: u64, speed: f64, scale: f64, tasks: Option<&[Task]>) -> Result<Vec<Agent>> {
    let mut plan = match tasks {
        None => (0..NAMES.len()).map(|i| generated(i, seed)).collect(),
        Some(tasks) => {
            let mut of_each = Vec::new();
            for i in 0..NAMES.len() {
                let task = tasks.get(i).context("expected a task for each of the three agents")?;
                of_each.extend(convert(std::slice::from_ref(task), &Params::as_recorded()));
            }
            of_each
        }
    };
    let mut rng = Rng::new(seed, 0);
    let latest = plan.iter().map(load::peak_ms).fold(0.0, f64::max);
    for (i, a) in plan.iter_mut().enumerate() {
        a.agent = NAMES[i].into();
        let (from, to) = BEGIN_S[i];
        let peak = if tasks.is_some() { latest - load::peak_ms(a) } else { 0.0 };
        a.start_ms = (peak + 1000.0 * rng.uniform(from, to)) as u64;
        let burst = burst_mb(a);
        if burst > 0.0 {
            load::larger(a, scale * (PEAK_MB[i] - a.base_mb) / burst, scale);
        }
    }
    load::faster(&mut plan, speed);
    Ok(plan)
}

/// An agent like the recorded ones, at their speed. The important one has short calls that grow in steps,
/// the others test suites that hold what they have for half a minute.
fn generated(i: usize, seed: u64) -> Agent {
    let mut rng = Rng::new(seed, i as u64 + 1);
    let important = i == 0;
    let turns = if important { 8 } else { 5 };
    let mut turn = |call| {
        let stage = |ms: f64, mem_mb: f64| Stage { wait_ms: ms, cpu_ms: 20.0, width: 1, mem_mb };
        let (think, stages) = if important {
            let most = rng.uniform(0.9, 1.0);
            (rng.uniform(2.0, 5.0), [0.25, 0.5, 0.75, 1.0].map(|part| stage(1000.0, part * most)).to_vec())
        } else {
            let most = rng.uniform(0.97, 1.0);
            (rng.uniform(2.0, 4.0), vec![stage(500.0, 0.6 * most), stage(25_000.0, most)])
        };
        Turn {
            think_ms: think * 1000.0,
            framework_ms: 20.0,
            wait_cpu_pct: 0.0,
            calls: vec![Call { call, cat: "test".into(), offset_ms: 0.0, stages }],
        }
    };
    let turns = (0..turns).map(&mut turn).collect();
    Agent { agent: String::new(), comm: "claude".into(), start_ms: 0, base_mb: 185.0, turns }
}

/// What there is for the three.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// All memory is this part of what is said.
    pub scale: f64,
    /// Memory, and swap on zram, in MB before they are scaled.
    pub limit_mb: u64,
    pub swap_mb: u64,
}

/// The round of a seed under a control.
pub fn round(seed: u64, plan: &[Agent], size: &Size, control: &Control) -> Round {
    let scaled = |mb: u64| (mb as f64 * size.scale).round() as u64;
    Round {
        name: format!("{}-{}-{seed}-{}", size.limit_mb, size.swap_mb, control.name),
        plan: plan.to_vec(),
        available_mb: scaled(size.limit_mb),
        swap_mb: scaled(size.swap_mb),
        control: control.clone(),
        knobs: vec![WEIGHT.into()],
    }
}

/// What one round came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub control: String,
    /// Memory for the three, and swap on zram, in MB before they are scaled.
    pub limit_mb: u64,
    pub swap_mb: u64,
    pub seed: u64,
    /// Frameworks killed, and calls of those that lived on.
    pub lost: usize,
    pub killed_calls: u32,
    /// P95 over the stages of the important agent's calls of the time to get their memory, in ms; None
    /// if none got it.
    pub high_p95_ms: Option<f64>,
    pub steps: usize,
    /// When the important agent, and the last, had ended; in s. None if it did not.
    pub high_s: Option<f64>,
    pub all_s: f64,
    /// Pages swapped out.
    pub swapped: f64,
}

impl Outcome {
    pub fn of(control: &str, seed: u64, size: &Size, played: &Played) -> Outcome {
        let steps = step_ms(&played.records, |agent| agent == NAMES[0]);
        let ends = || load::agents(&played.records).map(|a| (a.agent.as_str(), a.end_ns as f64 / 1e9));
        Outcome {
            control: control.into(),
            limit_mb: size.limit_mb,
            swap_mb: size.swap_mb,
            seed,
            lost: load::lost(&played.records),
            killed_calls: load::killed_calls(&played.records),
            high_p95_ms: percentile(&steps, 95.0),
            steps: steps.len(),
            high_s: ends().find(|(name, s)| *name == NAMES[0] && *s > 0.0).map(|(_, s)| s),
            all_s: ends().map(|(_, s)| s).fold(0.0, f64::max),
            swapped: played.facts.get("pswpout").copied().unwrap_or(0.0),
        }
    }
}

/// A line for each limit and control, in the order in which they come.
pub fn table(outcomes: &[Outcome], baseline: &str) -> Table {
    let mut table = Table::new(&[
        "MB + swap, control",
        "seeds",
        "frameworks killed",
        "calls killed",
        "high P95 ms [95 %]",
        "better [95 %]",
        "high ends s",
        "all end s",
    ]);
    let mut keys: Vec<(u64, u64, &str)> = Vec::new();
    for o in outcomes {
        let key = (o.limit_mb, o.swap_mb, o.control.as_str());
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    for (limit, swap, control) in keys {
        let of = |name: &str| -> Vec<&Outcome> {
            outcomes
                .iter()
                .filter(|o| (o.limit_mb, o.swap_mb, o.control.as_str()) == (limit, swap, name))
                .collect()
        };
        let (own, base) = (of(control), of(baseline));
        let p95: Vec<f64> = own.iter().filter_map(|o| o.high_p95_ms).collect();
        // Of the same seed, where both have a figure.
        let ratios: Vec<f64> = own
            .iter()
            .filter_map(|o| Some(base.iter().find(|b| b.seed == o.seed)?.high_p95_ms? / o.high_p95_ms?))
            .collect();
        let mean = |values: Vec<f64>, digits| Mean::of(&values).map(|m| format!("{:.*}", digits, m.mean));
        let dash = || "-".to_string();
        table.row(&[
            format!("{limit} + {swap}, {control}"),
            own.len().to_string(),
            own.iter().map(|o| o.lost).sum::<usize>().to_string(),
            own.iter().map(|o| o.killed_calls).sum::<u32>().to_string(),
            Mean::of(&p95).map_or_else(dash, |m| format!("{:.0} [{:.0}, {:.0}]", m.mean, m.low, m.high)),
            Mean::of_ratios(&ratios)
                .filter(|_| control != baseline)
                .map_or_else(dash, |m| format!("{:.2}x [{:.2}, {:.2}]", m.mean, m.low, m.high)),
            mean(own.iter().filter_map(|o| o.high_s).collect(), 1).unwrap_or_else(dash),
            mean(own.iter().map(|o| o.all_s).collect(), 1).unwrap_or_else(dash),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_want_what_the_papers_did() {
        for seed in 1..20 {
            let plan = plan(seed, 50.0, 0.5, None).unwrap();
            assert_eq!(plan.iter().map(|a| a.agent.as_str()).collect::<Vec<_>>(), NAMES);
            let all: f64 = plan.iter().map(|a| a.base_mb + burst_mb(a)).sum();
            assert!((all - 1233.0 / 2.0).abs() < 1.0, "seed {seed}: {all} MB");
        }
        assert_ne!(plan(1, 50.0, 1.0, None).unwrap(), plan(2, 50.0, 1.0, None).unwrap());
        assert!(plan(1, 50.0, 1.0, Some(&[])).is_err());
    }

    #[test]
    fn ratios_are_of_the_same_seed() {
        let outcome = |control: &str, seed, ms| Outcome {
            control: control.into(),
            limit_mb: 1100,
            swap_mb: 0,
            seed,
            lost: 0,
            killed_calls: 1,
            high_p95_ms: Some(ms),
            steps: 10,
            high_s: Some(1.0),
            all_s: 2.0,
            swapped: 0.0,
        };
        let all = [
            outcome("none", 1, 100.0),
            outcome("none", 2, 200.0),
            outcome("ours", 2, 100.0),
            outcome("ours", 1, 50.0),
        ];
        let text = table(&all, "none").text();
        assert!(text.contains("1100 + 0, ours") && text.contains("2.00x [2.00, 2.00]"), "{text}");
    }
}
