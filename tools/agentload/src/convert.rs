// SPDX-License-Identifier: GPL-2.0-only
//! From recorded tasks to a plan.
//!
//! Shell calls become calls; overlapping ones share a turn, at their offsets. A sample's CPU is
//! spread evenly over the time since the sample before it. Inside calls it becomes stages (split
//! evenly among calls that overlap), more than one core becomes width. Between calls it becomes
//! the CPU of the LLM wait (its median level) and framework work (what is above that).

use crate::plan::{Agent, Call, Stage, Turn};
use crate::plan_file::{MAX_STAGES, MAX_WIDTH};
use crate::rng::{round3, Rng};
use crate::traces::{Task, TraceCall};

/// What to make of the tasks.
#[derive(Clone, Debug)]
pub struct Params {
    /// Number of agents; None: one per task.
    pub agents: Option<u32>,
    /// Length of the window cut from each task, in s of the recording; None: to its end.
    pub window_s: Option<f64>,
    /// Start of the window in s; None: 0 without a window, else a random phase per agent.
    pub from_s: Option<f64>,
    /// Divides LLM waits. More than 0, as the two below.
    pub speedup: f64,
    /// Divides waits inside calls, and offsets between overlapping calls.
    pub call_speedup: f64,
    /// Multiplies CPU demands.
    pub cpu_scale: f64,
    pub seed: u64,
    /// Keep memory.
    pub mem: bool,
}

impl Params {
    /// All of each task once, at the speed of the recording.
    pub fn as_recorded() -> Params {
        Params {
            agents: None,
            window_s: None,
            from_s: None,
            speedup: 1.0,
            call_speedup: 1.0,
            cpu_scale: 1.0,
            seed: 1,
            mem: true,
        }
    }
}

/// Framework work of a turn for the framework itself and for each tool it does itself, in ms;
/// CPU beyond that is taken as CPU of the wait.
const TURN_WORK_MS: f64 = 200.0;
const TOOL_WORK_MS: f64 = 50.0;
/// Memory differences below this are noise, in MB.
const MEM_NOISE_MB: f64 = 5.0;
/// Up to this many percent of a core a stage is one process: sampling jitter, not width.
const ONE_CORE_PCT: f64 = 108.0;

/// Makes a plan from recorded tasks: `agents` of them in seeded order, again from the first
/// (at another phase) when there are more agents than tasks.
pub fn convert(tasks: &[Task], p: &Params) -> Vec<Agent> {
    let wanted = p.agents.map_or(tasks.len(), |n| n as usize);
    let order = Rng::new(p.seed, 0).choose(tasks.len(), tasks.len());
    (0..wanted)
        .map(|i| {
            let task = &tasks[order[i % tasks.len()]];
            let mut rng = Rng::new(p.seed, i as u64 + 1);
            let window = p.window_s.unwrap_or(task.dur_s).min(task.dur_s);
            let slack = (task.dur_s - window).max(0.0);
            let round = (i / tasks.len()) as f64;
            let from = match (p.from_s, p.window_s) {
                (None, Some(_)) => rng.uniform(0.0, slack),
                (from, _) => {
                    let from = from.unwrap_or(0.0) + round * window;
                    if from < task.dur_s {
                        from
                    } else {
                        from % task.dur_s.max(1.0)
                    }
                }
            };
            let to = (from + window).min(task.dur_s);
            let start_ms = rng.uniform(0.0, 2000.0_f64.min(window * 100.0)) as u64;
            Agent { agent: format!("t{i:03}"), start_ms, ..convert_task(task, from, to, p) }
        })
        .collect()
}

/// One task's window `from..to` (s) as an agent.
fn convert_task(task: &Task, from: f64, to: f64, p: &Params) -> Agent {
    let calls = windows(task, from, to);
    let mut turns = Vec::new();
    let mut at = from;
    let mut next = 0;
    let mut i = 0;
    while i < calls.len() {
        // A turn: calls that overlap in a chain.
        let start = calls[i].0;
        let mut end = calls[i].1;
        let mut j = i + 1;
        while j < calls.len() && calls[j].0 < end {
            end = f64::max(end, calls[j].1);
            j += 1;
        }
        let mut turn = gap(task, at, start, p);
        for (s, e, c) in &calls[i..j] {
            turn.calls.push(Call {
                call: next,
                cat: c.cat.clone().unwrap_or_else(|| "other".into()),
                offset_ms: round3((s - start) * 1000.0 / p.call_speedup),
                stages: stages(task, *s, *e, &calls[i..j], p),
            });
            next += 1;
        }
        turns.push(turn);
        at = end;
        i = j;
    }
    if to - at > 0.05 {
        turns.push(gap(task, at, to, p));
    }
    let base_mb = if p.mem { round3(task.base_mb) } else { 0.0 };
    Agent { agent: String::new(), comm: "claude".into(), start_ms: 0, base_mb, turns }
}

/// The shell calls inside the window, clipped to it, by start; an end that was not recorded is
/// the next call of the same chain, or the end of the task.
fn windows(task: &Task, from: f64, to: f64) -> Vec<(f64, f64, &TraceCall)> {
    let mut all: Vec<(f64, f64, &TraceCall)> = task
        .calls
        .iter()
        .filter(|c| c.is_process())
        .map(|c| {
            let next = task
                .calls
                .iter()
                .filter(|o| o.start > c.start && o.sidechain == c.sidechain)
                .map(|o| o.start)
                .fold(task.dur_s, f64::min);
            (c.start.max(from), c.end.unwrap_or(next.max(c.start)).min(to), c)
        })
        .filter(|(s, e, _)| e > s)
        .collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all
}

/// A turn without its calls: LLM wait and framework work of the time `s..e`.
fn gap(task: &Task, s: f64, e: f64, p: &Params) -> Turn {
    let length = e - s;
    let mut cpu_s = 0.0;
    let mut levels = Vec::new();
    for (a, b, pct, _) in pieces(task, s, e) {
        cpu_s += (b - a) * pct / 100.0;
        levels.push(pct);
    }
    levels.sort_by(f64::total_cmp);
    let level = levels.get(levels.len() / 2).copied().unwrap_or(0.0).min(95.0);
    let tools = task.calls.iter().filter(|c| !c.is_process() && c.start >= s && c.start < e).count();
    let most_ms = TURN_WORK_MS + TOOL_WORK_MS * tools as f64;
    let work_ms = (cpu_s - level / 100.0 * length).max(0.0) * 1000.0;
    let framework_ms = work_ms.min(most_ms).min(length * 1000.0);
    let wait_s = (length - framework_ms / 1000.0).max(0.0);
    let rest_s = (cpu_s - framework_ms / 1000.0).max(0.0);
    let wait_pct = if wait_s > 0.0 { (100.0 * rest_s / wait_s).min(95.0) } else { 0.0 };
    Turn {
        think_ms: round3(wait_s * 1000.0 / p.speedup),
        framework_ms: round3(framework_ms * p.cpu_scale),
        wait_cpu_pct: round3((wait_pct * p.cpu_scale).min(95.0)),
        calls: Vec::new(),
    }
}

/// The parts of `s..e` between samples: `(from, to, cpu_pct, mem_mb above the base)`. CPU that
/// is not known counts as none.
fn pieces(task: &Task, s: f64, e: f64) -> Vec<(f64, f64, f64, f64)> {
    let mut out = Vec::new();
    let mut before = 0.0;
    for sample in &task.samples {
        let (a, b) = (f64::max(before, s), f64::min(sample.t_s, e));
        if b > a {
            let mem = (sample.mem_mb - task.base_mb).max(0.0);
            out.push((a, b, sample.cpu_pct.unwrap_or(0.0), if mem < MEM_NOISE_MB { 0.0 } else { mem }));
        }
        before = sample.t_s;
    }
    // After the last sample nothing is known.
    if e > before.max(s) {
        out.push((before.max(s), e, 0.0, 0.0));
    }
    out
}

/// The stages of a call `s..e` among the calls of its turn.
fn stages(task: &Task, s: f64, e: f64, turn: &[(f64, f64, &TraceCall)], p: &Params) -> Vec<Stage> {
    let mut parts: Vec<Part> = Vec::new();
    for (a, b, pct, mem) in pieces(task, s, e) {
        // Each call active meanwhile has the same share.
        let active: f64 = turn.iter().map(|(x, y, _)| (y.min(b) - x.max(a)).max(0.0)).sum();
        let sharers = (active / (b - a)).max(1.0);
        let part = Part { wall_s: b - a, cpu_s: (b - a) * pct / 100.0 / sharers, mem_mb: mem / sharers };
        match parts.last_mut() {
            Some(last) if last.alike(&part) => last.join(&part),
            _ => parts.push(part),
        }
    }
    while parts.len() > MAX_STAGES {
        parts = parts
            .chunks(2)
            .map(|c| {
                c[1..].iter().fold(c[0].clone(), |mut a, b| {
                    a.join(b);
                    a
                })
            })
            .collect();
    }
    parts.iter().map(|part| part.stage(p)).collect()
}

/// A stretch of a call.
#[derive(Clone, Debug)]
struct Part {
    wall_s: f64,
    cpu_s: f64,
    mem_mb: f64,
}

impl Part {
    fn pct(&self) -> f64 {
        100.0 * self.cpu_s / self.wall_s
    }

    /// Whether the difference does not matter: few stages make short command lines.
    fn alike(&self, o: &Part) -> bool {
        let near = |a: f64, b: f64, floor: f64| (a - b).abs() <= floor.max(0.2 * a.max(b));
        near(self.pct(), o.pct(), 2.0) && near(self.mem_mb, o.mem_mb, 2.0 * MEM_NOISE_MB)
    }

    fn join(&mut self, o: &Part) {
        self.wall_s += o.wall_s;
        self.cpu_s += o.cpu_s;
        self.mem_mb = self.mem_mb.max(o.mem_mb);
    }

    fn stage(&self, p: &Params) -> Stage {
        let pct = self.pct();
        let width = if pct <= ONE_CORE_PCT { 1.0 } else { (pct / 100.0).ceil().min(MAX_WIDTH as f64) };
        let each_ms = self.cpu_s * 1000.0 / width;
        let wait_ms = (self.wall_s * 1000.0 - each_ms).max(0.0);
        Stage {
            wait_ms: round3(wait_ms / p.call_speedup),
            cpu_ms: round3(each_ms * p.cpu_scale),
            width: width as u32,
            mem_mb: if p.mem { round3(self.mem_mb) } else { 0.0 },
        }
    }
}

#[cfg(test)]
mod tests;
