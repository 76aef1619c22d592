// SPDX-License-Identifier: GPL-2.0-only
//! What a matrix of runs leaves behind: `results.json`, from which the report is drawn.
//!
//! It holds neither dates nor paths, so that runs of the same seed in lock-step mode give the
//! same bytes.

use crate::metrics::{Alone, Metrics};
use agentload::record::Record;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Name of the scheduler that all ratios are against.
pub const BASELINE: &str = "eevdf";
/// Name of the project's scheduler.
pub const OURS: &str = "scx_agent";

/// Results of before there was a choice are of machines with one cache.
fn one() -> u32 {
    1
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// `lockstep` or `functional`.
    pub mode: String,
    pub cpus: u32,
    /// Last-level caches, each of which as many of them share.
    #[serde(default = "one")]
    pub llcs: u32,
    /// Kernel release of the guest.
    pub kernel: String,
    /// Of the plans; figures are over all of them.
    pub seeds: Vec<u64>,
    pub scenarios: Vec<ScenarioResult>,
    #[serde(default)]
    pub reactions: Vec<Reaction>,
}

/// A scenario under every scheduler and every ideal policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScenarioResult {
    pub name: String,
    /// One sentence about it.
    pub doc: String,
    /// Names in the order of the plan.
    pub agents: Vec<String>,
    pub calls: u32,
    /// Median over the calls of the time alone that is not the plan's own work, in ms: fork,
    /// exec, exit. The ideal policies are given the same.
    pub overhead_ms: f64,
    pub alone: Vec<AloneCall>,
    /// Time alone on the ideal machine.
    pub ideal_alone: Vec<AloneCall>,
    pub runs: Vec<RunResult>,
    /// Simulated without overhead but `overhead_ms` per call.
    pub ideal: Vec<RunResult>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AloneCall {
    pub agent: String,
    pub call: u32,
    pub response_ms: f64,
}

/// A scenario under one scheduler.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    pub scheduler: String,
    /// Its command line without directories; empty for the kernel's own.
    #[serde(default)]
    pub command: String,
    pub metrics: Metrics,
    pub records: Vec<Record>,
}

/// Reaction test under one scheduler: time until all processes of a call of `width` run on a
/// saturated machine, in ms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reaction {
    pub scheduler: String,
    pub width: u32,
    pub samples: u32,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub max_ms: f64,
}

impl AloneCall {
    /// `alone` as a list.
    pub fn list(alone: &Alone) -> Vec<AloneCall> {
        let one = |((agent, call), ms): (&(String, u32), &f64)| AloneCall {
            agent: agent.clone(),
            call: *call,
            response_ms: *ms,
        };
        alone.iter().map(one).collect()
    }
}

impl ScenarioResult {
    /// Time alone of every call, measured or on the ideal machine.
    pub fn alone(&self, ideal: bool) -> Alone {
        let calls = if ideal { &self.ideal_alone } else { &self.alone };
        calls.iter().map(|a| ((a.agent.clone(), a.call), a.response_ms)).collect()
    }

    /// The run under the scheduler named `scheduler`.
    pub fn run(&self, scheduler: &str) -> Option<&RunResult> {
        self.runs.iter().find(|r| r.scheduler == scheduler)
    }
}

impl RunResult {
    /// Whether it was recorded what each CPU ran.
    pub fn traced(&self) -> bool {
        self.records.iter().any(|r| matches!(r, Record::Timeline(_)))
    }
}

impl Results {
    /// The machine, in words.
    pub fn machine(&self) -> String {
        match self.llcs {
            1 => format!("{} CPUs", self.cpus),
            n => format!("{} CPUs with {n} last-level caches", self.cpus),
        }
    }

    /// Whether any run was traced.
    pub fn traced(&self) -> bool {
        self.scenarios.iter().flat_map(|s| &s.runs).any(RunResult::traced)
    }

    /// Reads `dir/results.json`.
    pub fn load(dir: &Path) -> Result<Results> {
        let path = dir.join("results.json");
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!("reading {}: name a folder that `agentbench run --out` wrote", path.display())
        })?;
        serde_json::from_str(&text)
            .with_context(|| format!("{}: not a results file of this version", path.display()))
    }

    /// Writes `dir/results.json`.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let path = dir.join("results.json");
        let mut text = serde_json::to_string(self)?;
        text.push('\n');
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    }

    /// The result in one sentence, from the scenario with the highest load under the baseline.
    pub fn sentence(&self) -> String {
        let both = |s: &&ScenarioResult| s.run(OURS).is_some() && s.run(BASELINE).is_some();
        let load = |s: &ScenarioResult| s.run(BASELINE).map_or(0.0, |r| r.metrics.steady_load);
        let busiest = self.scenarios.iter().filter(both);
        let Some(s) = busiest.max_by(|a, b| load(a).total_cmp(&load(b))) else {
            let names: Vec<&str> = self.scenarios.iter().map(|s| s.name.as_str()).collect();
            return format!(
                "{}: no comparison, as {OURS} and {BASELINE} did not both run.",
                names.join(", ")
            );
        };
        let (Some(ours), Some(base)) = (s.run(OURS), s.run(BASELINE)) else { unreachable!() };
        let part = |key: &str, text: &str, better: &str, worse: &str| {
            let (figure, _) = crate::figures::find(key)?;
            let ratio = figure.ratio(&base.metrics, &ours.metrics)?;
            Some(match ratio {
                r if r >= 1.05 => format!("{text} {r:.1}x {better}"),
                r if r <= 0.95 => format!("{text} {:.1}x {worse}", 1.0 / r),
                _ => format!("{text} as good"),
            })
        };
        let parts: Vec<String> = [
            part("small_p95_ms", "small calls' P95 response", "shorter", "longer"),
            part("slowdown_mean", "mean slowdown", "lower", "higher"),
            part("framework_p95_ms", "framework P95 latency", "shorter", "longer"),
        ]
        .into_iter()
        .flatten()
        .collect();
        format!(
            "{OURS} against EEVDF: {}, with {} agents on {} at {:.0} % load ({}).",
            parts.join(", "),
            s.agents.len(),
            self.machine(),
            load(s) * 100.0,
            s.name
        )
    }
}
