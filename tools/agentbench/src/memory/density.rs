// SPDX-License-Identifier: GPL-2.0-only
//! How many agents fit into a machine: with none of their frameworks killed, and their tasks hardly longer than
//! with all the memory that they want.

use super::load::{self, burst_mb};
use super::rounds::{Control, Played, Round};
use super::table::Table;
use agentload::convert::{convert, Params};
use agentload::generate::{generate, Params as Generate, Profile};
use agentload::plan::Agent;
use agentload::summary::percentile;
use agentload::traces::Task;
use serde::{Deserialize, Serialize};

/// How much longer than with unlimited memory the mean task may take.
const LONGEST: f64 = 1.1;
/// Turns of a generated agent: about as long as a window of a recorded one.
const TURNS: u32 = 5;

/// What lives in the machine, and how large that is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// All memory is this part of what is said.
    pub scale: f64,
    /// All times are divided by this.
    pub speed: f64,
    /// CPU demands are multiplied by this.
    pub cpu: f64,
    /// Of each recorded task, in s.
    pub window_s: f64,
    /// Memory for the agents, and swap on zram, in MB before they are scaled.
    pub memory_mb: u64,
    pub swap_mb: u64,
}

/// `agents` agents: windows of recorded tasks or, without them, generated ones.
pub fn plan(agents: u32, seed: u64, size: &Size, tasks: Option<&[Task]>) -> Vec<Agent> {
    let mut plan = match tasks {
        Some(tasks) => {
            let window_s = Some(size.window_s);
            convert(tasks, &Params { agents: Some(agents), window_s, seed, ..Params::as_recorded() })
        }
        None => {
            generate(&Generate { profile: Profile::Published, agents, turns: TURNS, seed, overlap_pct: 0.0 })
        }
    };
    for a in &mut plan {
        load::larger(a, size.scale, size.scale);
        for t in &mut a.turns {
            t.framework_ms *= size.cpu;
            t.wait_cpu_pct *= size.cpu;
            for s in t.calls.iter_mut().flat_map(|c| &mut c.stages) {
                s.cpu_ms *= size.cpu;
            }
        }
    }
    load::faster(&mut plan, size.speed);
    plan
}

/// What limits the agents besides, or instead of, a [`Control`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limits {
    /// Nothing.
    None,
    /// There is as much memory as all of them want at once.
    Unlimited,
    /// memory.max of each is the P95 of what tasks use at most, in MB before it is scaled.
    Static { max_mb: f64 },
    /// memory.high of each is twice its baseline.
    Twice,
}

/// P95 over tasks of the most that each uses, in MB: of recorded ones as recorded, else of `plan`, scaled by `scale`.
pub fn peak_p95_mb(plan: &[Agent], tasks: Option<&[Task]>, scale: f64) -> f64 {
    let peaks: Vec<f64> = match tasks {
        Some(tasks) => tasks.iter().map(|t| t.peak_mb).collect(),
        None => plan.iter().map(|a| (a.base_mb + burst_mb(a)) / scale).collect(),
    };
    percentile(&peaks, 95.0).unwrap_or(0.0)
}

/// What all of `plan` want at once, in MB, and a little room.
pub fn wanted_mb(plan: &[Agent]) -> u64 {
    let all: f64 = plan.iter().map(|a| a.base_mb + most_at_once_mb(a)).sum();
    (all * 1.2) as u64 + 300
}

/// The most that calls of the agent hold that overlap; all of a turn may.
fn most_at_once_mb(agent: &Agent) -> f64 {
    let of_turn = |t: &agentload::plan::Turn| -> f64 {
        t.calls.iter().map(|c| c.stages.iter().map(|s| s.mem_mb).fold(0.0, f64::max)).sum()
    };
    agent.turns.iter().map(of_turn).fold(0.0, f64::max)
}

/// The round of so many agents under a control or limits.
pub fn round(seed: u64, plan: &[Agent], size: &Size, name: &str, control: &Control, limits: Limits) -> Round {
    let scaled = |mb: u64| (mb as f64 * size.scale).round() as u64;
    let bytes = |mb: f64| (mb * 1e6) as u64;
    let knob = |a: &Agent| match limits {
        Limits::None | Limits::Unlimited => None,
        Limits::Static { max_mb } => Some(format!("{}/memory.max={}", a.agent, bytes(max_mb * size.scale))),
        Limits::Twice => Some(format!("{}/memory.high={}", a.agent, bytes(2.0 * a.base_mb))),
    };
    Round {
        name: format!("{}-{seed}-{name}", plan.len()),
        plan: plan.to_vec(),
        available_mb: if limits == Limits::Unlimited { wanted_mb(plan) } else { scaled(size.memory_mb) },
        swap_mb: if limits == Limits::Unlimited { 0 } else { scaled(size.swap_mb) },
        control: control.clone(),
        knobs: plan.iter().filter_map(knob).collect(),
    }
}

/// What one round came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub control: String,
    pub agents: u32,
    pub seed: u64,
    /// Frameworks killed, and calls of those that lived on.
    pub lost: usize,
    pub killed_calls: u32,
    /// How long the task of an agent took, from its start to its end, in s: the mean of those that ended.
    pub task_s: f64,
    /// P95 of the time from when the model's answer is due until the framework has dealt with it, in ms.
    pub framework_p95_ms: Option<f64>,
    /// Pages swapped out.
    pub swapped: f64,
}

impl Outcome {
    pub fn of(control: &str, seed: u64, plan: &[Agent], played: &Played) -> Outcome {
        let lasted = |a: &agentload::record::AgentRecord| {
            let start_ms = plan.iter().find(|p| p.agent == a.agent)?.start_ms;
            (a.end_ns != 0).then(|| a.end_ns as f64 / 1e9 - start_ms as f64 / 1e3)
        };
        let lasted: Vec<f64> = load::agents(&played.records).filter_map(lasted).collect();
        Outcome {
            control: control.into(),
            agents: plan.len() as u32,
            seed,
            lost: load::lost(&played.records),
            killed_calls: load::killed_calls(&played.records),
            framework_p95_ms: percentile(&load::framework_ms(&played.records), 95.0),
            task_s: lasted.iter().sum::<f64>() / lasted.len().max(1) as f64,
            swapped: played.facts.get("pswpout").copied().unwrap_or(0.0),
        }
    }
}

/// The control with which others are compared.
pub const UNLIMITED: &str = "unlimited";

/// How much longer the mean task of `o` took than with unlimited memory, over seeds; None if that was not run.
fn longer(all: &[Outcome], agents: u32, control: &str) -> Option<f64> {
    let of = |name: &str, seed: u64| {
        all.iter().find(|o| (o.control.as_str(), o.agents, o.seed) == (name, agents, seed))
    };
    let ratios: Vec<f64> = all
        .iter()
        .filter(|o| o.control == control && o.agents == agents)
        .filter_map(|o| Some(o.task_s / of(UNLIMITED, o.seed).filter(|u| u.task_s > 0.0)?.task_s))
        .collect();
    (!ratios.is_empty()).then(|| ratios.iter().sum::<f64>() / ratios.len() as f64)
}

/// Whether so many agents fit: nobody's framework was killed, and tasks took hardly longer.
fn fits(all: &[Outcome], agents: u32, control: &str) -> bool {
    let mut own = all.iter().filter(|o| o.control == control && o.agents == agents);
    own.all(|o| o.lost == 0) && longer(all, agents, control).is_some_and(|l| l <= LONGEST)
}

/// A line for each control and number of agents, in the order in which they come.
pub fn table(all: &[Outcome]) -> Table {
    let mut table = Table::new(&[
        "control",
        "agents",
        "seeds",
        "frameworks killed",
        "calls killed",
        "mean task s",
        "of unlimited",
        "framework P95 ms",
        "pages swapped",
        "fit",
    ]);
    let mut keys: Vec<(&str, u32)> = Vec::new();
    for o in all {
        if !keys.contains(&(o.control.as_str(), o.agents)) {
            keys.push((&o.control, o.agents));
        }
    }
    for (control, agents) in keys {
        let own: Vec<&Outcome> = all.iter().filter(|o| o.control == control && o.agents == agents).collect();
        let mean = |of: fn(&Outcome) -> f64| own.iter().map(|o| of(o)).sum::<f64>() / own.len() as f64;
        table.row(&[
            control.into(),
            agents.to_string(),
            own.len().to_string(),
            own.iter().map(|o| o.lost).sum::<usize>().to_string(),
            own.iter().map(|o| o.killed_calls).sum::<u32>().to_string(),
            format!("{:.2}", mean(|o| o.task_s)),
            longer(all, agents, control).map_or_else(|| "-".into(), |l| format!("{l:.3}x")),
            format!("{:.1}", mean(|o| o.framework_p95_ms.unwrap_or(0.0))),
            format!("{:.0}", mean(|o| o.swapped)),
            if fits(all, agents, control) { "yes" } else { "no" }.into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size =
        Size { scale: 0.25, speed: 10.0, cpu: 0.5, window_s: 120.0, memory_mb: 8000, swap_mb: 8000 };

    #[test]
    fn agents_are_smaller_and_faster() {
        let (all, small) = (plan(12, 1, &Size { scale: 1.0, ..SIZE }, None), plan(12, 1, &SIZE, None));
        assert_eq!(all.len(), 12);
        for (a, b) in all.iter().zip(&small) {
            assert!(
                (a.base_mb / 4.0 - b.base_mb).abs() < 1e-6 && (burst_mb(a) / 4.0 - burst_mb(b)).abs() < 1e-6
            );
        }
        assert_ne!(plan(12, 2, &SIZE, None), small);
        let least: f64 = small.iter().map(|a| a.base_mb).sum();
        assert!(wanted_mb(&small) as f64 > least);
    }

    #[test]
    fn limits_are_knobs_of_each_agent() {
        let plan = plan(3, 1, &SIZE, None);
        let of = |limits| round(1, &plan, &SIZE, "x", &Control::none(), limits);
        let fixed = of(Limits::Static { max_mb: 600.0 });
        assert_eq!(fixed.knobs[2], "a002/memory.max=150000000");
        assert_eq!((fixed.available_mb, fixed.swap_mb), (2000, 2000));
        assert!(of(Limits::Twice).knobs[0].starts_with("a000/memory.high=9"), "two times some 46 MB");
        let unlimited = of(Limits::Unlimited);
        assert!(unlimited.knobs.is_empty() && unlimited.swap_mb == 0);
    }

    #[test]
    fn what_fits_is_compared_with_the_same_agents() {
        let outcome = |control: &str, agents, lost, task_s| Outcome {
            control: control.into(),
            agents,
            seed: 1,
            lost,
            killed_calls: 0,
            task_s,
            framework_p95_ms: None,
            swapped: 0.0,
        };
        let all = [
            outcome(UNLIMITED, 8, 0, 10.0),
            outcome("a", 8, 0, 10.9),
            outcome("b", 8, 1, 10.0),
            outcome("c", 8, 0, 11.2),
            outcome("a", 9, 0, 10.0),
        ];
        assert!(fits(&all, 8, UNLIMITED) && fits(&all, 8, "a"));
        assert!(!fits(&all, 8, "b"), "a framework was killed");
        assert!(!fits(&all, 8, "c"), "slow");
        assert!(!fits(&all, 9, "a"), "compared with nothing");
        assert!(table(&all).text().contains("1.120x"));
    }
}
