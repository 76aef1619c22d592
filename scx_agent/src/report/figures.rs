// SPDX-License-Identifier: GPL-2.0-only
//! The figures: pure functions of [`Track`]s.

use super::demands::{categories, overlapping_pct, retries};
use super::dist::{pct, Dist};
use super::together::{together, Together};
use super::track::{Call, Track};
use agenttraces::spans::meets;
use agenttraces::traces::START_S;
use serde::Serialize;

/// From where on a sample counts as a burst.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bounds {
    /// Memory, in MB (10^6 bytes).
    pub burst_mb: f64,
    /// CPU, in percent of one core.
    pub burst_cpu_pct: f64,
    /// Change of memory, in MB/s, either way.
    pub change_mb_per_s: f64,
}

/// What is said of a set of agents. Memory is in MB (10^6 bytes), CPU in percent of one core; None where the
/// source does not say.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    pub set: String,
    pub agents: usize,
    /// How long each was watched, in s.
    pub length_s: Option<Dist>,
    /// Share of that in tool calls, of each agent, in percent.
    pub in_calls_pct: Option<Dist>,
    /// Memory of each framework alone.
    pub base_mb: Option<Dist>,
    /// The most memory of each agent, and how many times its mean that is.
    pub peak_mb: Option<Dist>,
    pub peak_to_mean: Option<Dist>,
    /// Samples above [`Bounds::burst_mb`], and how many of them are in tool calls.
    pub memory_bursts: Bursts,
    /// Samples above [`Bounds::burst_cpu_pct`], likewise.
    pub cpu_bursts: Bursts,
    /// Share of samples in tool calls, in percent: what bursts at random would have.
    pub samples_in_calls_pct: Option<f64>,
    /// CPU while no tool call runs, of one that starts from [`START_S`] on, and while one runs.
    pub cpu_outside_pct: Option<Dist>,
    pub cpu_inside_pct: Option<Dist>,
    /// The most CPU of each agent.
    pub cpu_peak_pct: Option<Dist>,
    /// Agents with a sample above 150 %, and above 400 %.
    pub agents_over_150_pct: usize,
    pub agents_over_400_pct: usize,
    /// Tool calls by what they do, those with the most time first.
    pub categories: Vec<Category>,
    /// How long calls last that run processes of their own.
    pub process_calls_s: Option<Dist>,
    /// Those of them whose time overlaps that of another call of their agent, in percent.
    pub overlapping_pct: Option<f64>,
    pub retries: Retries,
    pub changes: Option<Changes>,
    /// What many of them would use at random phases.
    pub together: Vec<Together>,
}

/// Samples above a bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Bursts {
    pub samples: usize,
    pub in_calls_pct: Option<f64>,
}

/// Tool calls of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Category {
    pub name: String,
    pub calls: usize,
    /// None where that is not known.
    pub failed: Option<usize>,
    /// Share of the time of all calls, in percent.
    pub time_pct: Option<f64>,
    pub lasted_s: Option<Dist>,
    pub cpu_s: Option<Dist>,
    /// Most memory in the call above that before it.
    pub rise_mb: Option<Dist>,
}

/// Retry groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Retries {
    /// Agents that have one, in percent.
    pub agents_pct: Option<f64>,
    pub groups: usize,
    /// Calls of the longest.
    pub longest: u32,
    /// Time of their calls, of each agent's time, in percent; the mean over agents.
    pub time_pct: Option<f64>,
    /// Memory after a group above that before it.
    pub kept_mb: Option<Dist>,
}

/// How fast use changes from one sample to the next.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Changes {
    /// Fastest, in MB/s; a fall is negative.
    pub rise_mb_per_s: f64,
    pub fall_mb_per_s: f64,
    /// Share of samples above [`Bounds::change_mb_per_s`] either way, in percent.
    pub over_bound_pct: f64,
    /// Fastest change of CPU, in percent of one core a second, either way.
    pub cpu_pct_per_s: Option<f64>,
}

/// The figures of `tracks`, as `set`.
pub fn figures(set: &str, tracks: &[&Track], bounds: Bounds) -> Figures {
    let each = |f: &dyn Fn(&Track) -> Option<f64>| Dist::of(tracks.iter().filter_map(|t| f(t)));
    let mut out = Figures {
        set: set.into(),
        agents: tracks.len(),
        length_s: each(&|t| (t.length_s > 0.0).then_some(t.length_s)),
        in_calls_pct: each(&in_calls_pct),
        base_mb: each(&Track::baseline_mb),
        peak_mb: each(&Track::most_mb),
        peak_to_mean: each(&peak_to_mean),
        cpu_peak_pct: each(&|t| t.samples.iter().filter_map(|s| s.cpu_pct).reduce(f64::max)),
        agents_over_150_pct: over(tracks, 150.0),
        agents_over_400_pct: over(tracks, 400.0),
        categories: categories(tracks),
        process_calls_s: Dist::of(all_calls(tracks).filter(|c| c.process).filter_map(|c| c.lasted_s)),
        overlapping_pct: overlapping_pct(tracks),
        retries: retries(tracks),
        changes: changes(tracks, bounds),
        together: together(tracks),
        ..Figures::default()
    };
    let split = Split::of(tracks, bounds);
    out.memory_bursts = split.memory;
    out.cpu_bursts = split.cpu;
    out.samples_in_calls_pct = split.in_calls_pct;
    out.cpu_outside_pct = Dist::of(split.outside);
    out.cpu_inside_pct = Dist::of(split.inside);
    out
}

/// Share of its time in tool calls.
pub fn in_calls_pct(t: &Track) -> Option<f64> {
    pct(t.busy().iter().map(|s| s.1 - s.0).sum(), t.length_s)
}

/// The most memory over the mean.
pub fn peak_to_mean(t: &Track) -> Option<f64> {
    t.mean_mb().filter(|m| *m > 0.0).and_then(|mean| Some(t.most_mb()? / mean))
}

fn over(tracks: &[&Track], bound_pct: f64) -> usize {
    let is_over = |t: &&&Track| t.samples.iter().any(|s| s.cpu_pct.is_some_and(|p| p > bound_pct));
    tracks.iter().filter(is_over).count()
}

/// Samples inside and outside tool calls. Memory is that of a moment, CPU that of the time since the sample
/// before: a call that was in that time is what it was used for.
#[derive(Default)]
pub struct Split {
    memory: Bursts,
    cpu: Bursts,
    in_calls_pct: Option<f64>,
    /// CPU in percent of one core.
    pub outside: Vec<f64>,
    pub inside: Vec<f64>,
}

impl Split {
    /// Of all samples.
    pub fn of(tracks: &[&Track], bounds: Bounds) -> Split {
        let mut out = Split::default();
        let (mut all, mut in_calls) = (0usize, 0usize);
        let (mut memory, mut cpu) = ((0, 0), (0, 0));
        for t in tracks {
            let busy = t.busy();
            for (interval, s) in t.intervals() {
                let (now, since) = (meets(&busy, (s.t_s, s.t_s)), meets(&busy, interval));
                all += 1;
                in_calls += usize::from(now);
                if s.mem_mb.is_some_and(|m| m > bounds.burst_mb) {
                    memory = (memory.0 + 1, memory.1 + usize::from(now));
                }
                let Some(used) = s.cpu_pct else { continue };
                if used > bounds.burst_cpu_pct {
                    cpu = (cpu.0 + 1, cpu.1 + usize::from(since));
                }
                match since {
                    true => out.inside.push(used),
                    false if !t.starts || s.t_s >= START_S => out.outside.push(used),
                    false => (),
                }
            }
        }
        let bursts = |(samples, inside): (usize, usize)| Bursts {
            samples,
            in_calls_pct: pct(inside as f64, samples as f64),
        };
        (out.memory, out.cpu) = (bursts(memory), bursts(cpu));
        out.in_calls_pct = pct(in_calls as f64, all as f64);
        out
    }
}

fn all_calls<'a>(tracks: &'a [&Track]) -> impl Iterator<Item = &'a Call> {
    tracks.iter().flat_map(|t| &t.calls)
}

fn changes(tracks: &[&Track], bounds: Bounds) -> Option<Changes> {
    let (mut memory, mut cpu) = (Vec::new(), None::<f64>);
    for pair in tracks.iter().flat_map(|t| t.samples.windows(2)) {
        let seconds = pair[1].t_s - pair[0].t_s;
        if seconds <= 0.0 {
            continue;
        }
        memory.extend(pair[0].mem_mb.zip(pair[1].mem_mb).map(|(a, b)| (b - a) / seconds));
        if let Some((a, b)) = pair[0].cpu_pct.zip(pair[1].cpu_pct) {
            cpu = Some(cpu.unwrap_or(0.0).max((b - a).abs() / seconds));
        }
    }
    let over = memory.iter().filter(|r| r.abs() > bounds.change_mb_per_s).count();
    let all = Dist::of(memory)?;
    Some(Changes {
        rise_mb_per_s: all.max.max(0.0),
        fall_mb_per_s: all.min.min(0.0),
        over_bound_pct: 100.0 * over as f64 / all.n as f64,
        cpu_pct_per_s: cpu,
    })
}

#[cfg(test)]
#[path = "figures_tests.rs"]
mod tests;
