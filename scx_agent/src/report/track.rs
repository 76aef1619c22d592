// SPDX-License-Identifier: GPL-2.0-only
//! One agent over time, wherever that is known from: what all figures are made of. Times are in s
//! since its beginning.

use agenttraces::spans::{union, Span};
use agenttraces::traces::idle_median;

/// One agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Track {
    pub name: String,
    /// What it is told together with: the set of a recorded task, else its file.
    pub set: String,
    pub length_s: f64,
    /// Begins with the start of its framework, which is neither waiting nor a call.
    pub starts: bool,
    /// In the order of their starts.
    pub calls: Vec<Call>,
    pub groups: Vec<Group>,
    /// In the order of time; none if only calls are known.
    pub samples: Vec<Sample>,
    /// Memory of its framework alone and at most, in MB (10^6 bytes), where the source says so; else
    /// the samples do.
    pub base_mb: Option<f64>,
    pub peak_mb: Option<f64>,
}

/// One tool call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Call {
    /// As far as it is within the track; where the end is not known, that is the start.
    pub start_s: f64,
    pub end_s: f64,
    /// All of its time; None if it had not ended.
    pub lasted_s: Option<f64>,
    /// What it does; of a tool without processes of its own, the tool.
    pub category: String,
    /// Runs processes of its own.
    pub process: bool,
    /// CPU time of its processes; None where only samples can tell.
    pub cpu_s: Option<f64>,
    /// None where that is not known.
    pub failed: Option<bool>,
}

/// A retry group: calls in a row, three at least, that try the same again.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Group {
    pub start_s: f64,
    pub end_s: f64,
    pub calls: u32,
    /// Time of its calls.
    pub busy_s: f64,
}

/// What an agent used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    pub t_s: f64,
    /// CPU since the sample before, in percent of one core; None where that is not known.
    pub cpu_pct: Option<f64>,
    /// Memory at that time, in MB (10^6 bytes); None where that is not known.
    pub mem_mb: Option<f64>,
}

/// A sample of the first of a track stands for so much time, in s.
const FIRST_S: f64 = 1.0;

impl Track {
    /// When it had a tool call: spans in order, without overlap.
    pub fn busy(&self) -> Vec<Span> {
        union(self.calls.iter().map(|c| (c.start_s, c.end_s)))
    }

    /// Each sample with the time that its CPU is of.
    pub fn intervals(&self) -> impl Iterator<Item = (Span, &Sample)> {
        let before = self.samples.iter().map(|s| s.t_s);
        let first = self.samples.first().map(|s| s.t_s - FIRST_S);
        first.into_iter().chain(before).zip(&self.samples).map(|(from, s)| ((from, s.t_s), s))
    }

    /// Memory of its framework alone, in MB.
    pub fn baseline_mb(&self) -> Option<f64> {
        self.base_mb.or_else(|| {
            let shells = self.calls.iter().filter(|c| c.process);
            idle_median(self.memory(), shells.map(|c| (c.start_s, c.end_s)))
        })
    }

    /// Its most memory, in MB.
    pub fn most_mb(&self) -> Option<f64> {
        self.peak_mb.or_else(|| self.memory().map(|m| m.1).reduce(f64::max))
    }

    /// The mean of its memory over the samples, in MB.
    pub fn mean_mb(&self) -> Option<f64> {
        let (n, sum) = self.memory().fold((0, 0.0), |(n, sum), m| (n + 1, sum + m.1));
        (n > 0).then(|| sum / f64::from(n))
    }

    /// Time and memory of the samples that know it.
    pub fn memory(&self) -> impl Iterator<Item = (f64, f64)> + Clone + '_ {
        self.samples.iter().filter_map(|s| Some((s.t_s, s.mem_mb?)))
    }
}
