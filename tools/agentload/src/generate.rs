// SPDX-License-Identifier: GPL-2.0-only
//! Generated plans: the same parameters give the same bytes.
//!
//! `mix` is the standard load of this project's measurements: small, medium and large calls
//! whose sizes span three orders of magnitude. `published` follows the distributions measured
//! on recorded agents: mostly waiting calls, a heavy tail of CPU, memory bursts, retry groups.

use crate::plan::{Agent, Call, Stage, Turn};
use crate::rng::{at_quantile, round3, Rng};
use clap::ValueEnum;

/// Which distributions to draw from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// CPU-bound calls: 60 % 5-50 ms, 30 % 0.2-1 s, 10 % 2-8 s over up to 6 processes.
    Mix,
    /// Wall times, CPU use, memory and retries as measured on recorded agents.
    Published,
}

/// What to generate.
#[derive(Clone, Copy, Debug)]
pub struct Params {
    pub profile: Profile,
    pub agents: u32,
    /// Turns of each agent.
    pub turns: u32,
    pub seed: u64,
    /// Turns with two overlapping calls, in percent.
    pub overlap_pct: f64,
}

impl Default for Params {
    fn default() -> Params {
        Params { profile: Profile::Mix, agents: 40, turns: 3, seed: 1, overlap_pct: 0.0 }
    }
}

/// Mean think time of `mix`, in ms.
const MIX_THINK_MS: f64 = 2000.0;

/// Comms of frameworks, by how often they are drawn.
const COMMS: [(&str, u32); 5] =
    [("claude", 50), ("codex", 20), ("node", 10), ("MainThread", 10), ("opencode", 10)];

/// Generates a plan.
pub fn generate(p: &Params) -> Vec<Agent> {
    (0..p.agents)
        .map(|i| {
            let mut rng = Rng::new(p.seed, i as u64 + 1);
            let name = format!("a{i:03}");
            match p.profile {
                Profile::Mix => mix(&mut rng, name, p),
                Profile::Published => published(&mut rng, name, p),
            }
        })
        .collect()
}

fn mix(rng: &mut Rng, agent: String, p: &Params) -> Agent {
    let comm = rng.weighted(&COMMS).to_string();
    let start_ms = rng.uniform(0.0, MIX_THINK_MS) as u64;
    let mut next = 0;
    let turns = (0..p.turns)
        .map(|_| {
            let think_ms = round3(rng.exponential(MIX_THINK_MS));
            let framework_ms = round3(rng.uniform(2.0, 20.0));
            let mut calls = vec![mix_call(rng, &mut next, 0.0)];
            if rng.unit() * 100.0 < p.overlap_pct {
                let offset = round3(rng.uniform(0.0, 50.0));
                calls.push(mix_call(rng, &mut next, offset));
            }
            Turn { think_ms, framework_ms, wait_cpu_pct: 0.0, calls }
        })
        .collect();
    Agent { agent, comm, start_ms, base_mb: 0.0, turns }
}

fn mix_call(rng: &mut Rng, next: &mut u32, offset_ms: f64) -> Call {
    let class = rng.unit();
    let (total_ms, width, cats) = if class < 0.6 {
        (rng.uniform(5.0, 50.0), 1, &["files", "text", "git", "pysnip"][..])
    } else if class < 0.9 {
        (rng.uniform(200.0, 1000.0), 1, &["pyrun", "pysnip", "git", "pkg"][..])
    } else {
        (rng.uniform(2000.0, 8000.0), 1 + rng.below(6) as u32, &["test", "build", "pkg"][..])
    };
    let cat = cats[rng.below(cats.len() as u64) as usize].to_string();
    let call = *next;
    *next += 1;
    let stage = Stage { wait_ms: 0.0, cpu_ms: round3(total_ms / width as f64), width, mem_mb: 0.0 };
    Call { call, cat, offset_ms, stages: vec![stage] }
}

/// Wall time of a shell call in ms: p50 5.2 s, p99 29 s.
const WALL_MS: [(f64, f64); 9] = [
    (0.0, 15.0),
    (0.08, 120.0),
    (0.25, 2200.0),
    (0.5, 5200.0),
    (0.75, 8600.0),
    (0.9, 14000.0),
    (0.99, 29000.0),
    (0.999, 60000.0),
    (1.0, 90000.0),
];

/// CPU inside a call in percent of a core: p50 3, p95 97, p99 203.
const CPU_PCT: [(f64, f64); 9] = [
    (0.0, 0.0),
    (0.25, 0.8),
    (0.5, 3.0),
    (0.75, 17.0),
    (0.9, 66.0),
    (0.95, 97.0),
    (0.99, 203.0),
    (0.999, 800.0),
    (1.0, 2400.0),
];

/// LLM wait in ms: calls take a median of 35 % of the active time.
const THINK_MS: [(f64, f64); 6] =
    [(0.0, 900.0), (0.25, 4000.0), (0.5, 8000.0), (0.9, 22000.0), (0.99, 60000.0), (1.0, 120000.0)];

/// Categories of shell commands, by how often they were seen.
const CATS: [(&str, u32); 8] = [
    ("test", 26),
    ("pysnip", 18),
    ("git", 15),
    ("pyrun", 14),
    ("text", 12),
    ("files", 8),
    ("pkg", 5),
    ("other", 2),
];

/// Longest stretch of a call with the same CPU use, in ms.
const SEGMENT_MS: f64 = 4000.0;

fn published(rng: &mut Rng, agent: String, p: &Params) -> Agent {
    let start_ms = rng.uniform(0.0, 8000.0) as u64;
    let base_mb = round3(rng.uniform(175.0, 195.0));
    let mut next = 0;
    let mut turns = Vec::with_capacity(p.turns as usize);
    // A retry group: the same kind of command again, after a short wait.
    let mut retries = 0;
    let mut wall_ms = 0.0;
    let mut cat = "test";
    while turns.len() < p.turns as usize {
        let retry = retries > 0;
        let mut think_ms = rng.quantile(&THINK_MS);
        if retry {
            retries -= 1;
            think_ms *= 0.4;
            wall_ms *= rng.uniform(0.8, 1.2);
        } else {
            wall_ms = rng.quantile(&WALL_MS);
            cat = rng.weighted(&CATS);
            if rng.unit() < 0.15 {
                retries = 2 + rng.below(4);
            }
        }
        let mut calls = vec![published_call(rng, &mut next, 0.0, wall_ms, cat)];
        if rng.unit() * 100.0 < 9.0_f64.max(p.overlap_pct) {
            let other = rng.quantile(&WALL_MS);
            let offset = round3(rng.uniform(0.0, 0.5 * wall_ms));
            let cat = rng.weighted(&CATS);
            calls.push(published_call(rng, &mut next, offset, other, cat));
        }
        turns.push(Turn {
            think_ms: round3(think_ms),
            framework_ms: round3(rng.uniform(5.0, 60.0)),
            wait_cpu_pct: round3(rng.exponential(1.9).min(20.0)),
            calls,
        });
    }
    Agent { agent, comm: "claude".into(), start_ms, base_mb, turns }
}

fn published_call(rng: &mut Rng, next: &mut u32, offset_ms: f64, wall_ms: f64, cat: &str) -> Call {
    let segments = (wall_ms / SEGMENT_MS).ceil().clamp(1.0, 8.0) as usize;
    let each_ms = wall_ms / segments as f64;
    let rank = rng.unit();
    let burst_mb = match rng.unit() {
        u if u < 0.02 => rng.uniform(500.0, 4000.0),
        u if u < 0.25 => rng.uniform(10.0, 150.0),
        _ => 0.0,
    };
    let mut stages = Vec::with_capacity(segments);
    for k in 0..segments {
        // Mostly the call's own level, sometimes another: each keeps the distribution.
        let u = if rng.unit() < 0.7 { rank } else { rng.unit() };
        let cpu_ms = each_ms * at_quantile(&CPU_PCT, u) / 100.0;
        let width = (cpu_ms / each_ms).ceil().clamp(1.0, 24.0);
        let ramp = ((k + 1) as f64 / segments as f64).min(1.0);
        stages.push(Stage {
            wait_ms: round3((each_ms - cpu_ms / width).max(0.0)),
            cpu_ms: round3(cpu_ms / width),
            width: width as u32,
            mem_mb: (burst_mb * ramp).round(),
        });
    }
    let call = *next;
    *next += 1;
    Call { call, cat: cat.into(), offset_ms, stages }
}

#[cfg(test)]
mod tests;
