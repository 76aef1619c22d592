// SPDX-License-Identifier: GPL-2.0-only
//! Recordings and logs of tool calls as [`Track`]s.

use super::track::{Call, Group, Sample, Track};
use crate::calls::{self, Status};
use crate::top::Recording;
use agenttraces::jsonl;
use anyhow::Result;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Time between two looks that makes two recordings of one, in ns.
const GAP_NS: u64 = 300_000_000_000;
/// How far back ends of calls may go in a log before it is that of another boot, in ns.
const BACK_NS: u64 = 60_000_000_000;

/// What is kept of a call.
struct Seen {
    begun_ns: u64,
    wall_ns: u64,
    cpu_ns: u64,
    number: u64,
    category: &'static str,
    status: Option<Status>,
    /// First call of the row, and place in it.
    retry: Option<(u64, u32)>,
}

impl Seen {
    fn of(c: &calls::Call) -> Seen {
        Seen {
            begun_ns: c.begun_ns,
            wall_ns: c.wall_ns,
            cpu_ns: c.cpu_ns,
            number: c.call,
            category: c.kind.category.name(),
            status: c.status,
            retry: c.retry.map(|r| (r.first, r.nth)),
        }
    }

    fn end_ns(&self) -> u64 {
        self.begun_ns.saturating_add(self.wall_ns)
    }

    fn call(&self, from_ns: u64, to_ns: u64) -> Call {
        let at = |ns: u64| seconds(ns.clamp(from_ns, to_ns) - from_ns);
        let ended = self.status.is_some();
        Call {
            start_s: at(self.begun_ns),
            end_s: at(self.end_ns()),
            lasted_s: ended.then(|| seconds(self.wall_ns)),
            category: self.category.into(),
            process: true,
            cpu_s: ended.then(|| seconds(self.cpu_ns)),
            failed: self.status.map(|s| s != Status::Exited(0)),
        }
    }
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// Calls by when they began and their number: a daemon that was started again counts anew.
type Calls = BTreeMap<(u64, u64), Seen>;

/// A track of calls between two times, CLOCK_MONOTONIC.
fn track(set: &str, name: String, calls: &Calls, (from_ns, to_ns): (u64, u64)) -> Track {
    Track {
        name,
        set: set.into(),
        length_s: seconds(to_ns - from_ns),
        groups: groups(calls, from_ns, to_ns),
        calls: calls.values().map(|c| c.call(from_ns, to_ns)).collect(),
        ..Track::default()
    }
}

/// The daemon numbers the calls of a row from the third on; it begins with the call that is named.
fn groups(calls: &Calls, from_ns: u64, to_ns: u64) -> Vec<Group> {
    let mut rows = BTreeMap::<u64, Vec<&Seen>>::new();
    let by_number: BTreeMap<u64, &Seen> = calls.values().map(|c| (c.number, c)).collect();
    for c in calls.values() {
        if let Some((first, _)) = c.retry {
            let row =
                rows.entry(first).or_insert_with(|| by_number.get(&first).copied().into_iter().collect());
            row.push(c);
        }
    }
    let group = |row: Vec<&Seen>| {
        let spans: Vec<Call> = row.iter().map(|c| c.call(from_ns, to_ns)).collect();
        let ends =
            |f: fn(f64, f64) -> f64, of: fn(&Call) -> f64| spans.iter().map(of).reduce(f).unwrap_or(0.0);
        Group {
            start_s: ends(f64::min, |c| c.start_s),
            end_s: ends(f64::max, |c| c.end_s),
            calls: row.iter().filter_map(|c| c.retry).map(|r| r.1).max().unwrap_or(0),
            busy_s: spans.iter().map(|c| c.end_s - c.start_s).sum(),
        }
    };
    rows.into_values().map(group).collect()
}

/// An agent in a recording, as far as that has been read.
struct Open {
    name: String,
    /// It was not there at the first look.
    starts: bool,
    first_ns: u64,
    last_ns: u64,
    /// CPU time at the last look, in us.
    cpu_us: Option<u64>,
    samples: Vec<Sample>,
    calls: Calls,
    /// Calls that the daemon had counted at the first and at the last look.
    counted: (u64, u64),
}

/// The agents of the recording at `path`; lines that are no looks, and calls that are missing, are told in
/// `notes`.
///
/// # Errors
/// It cannot be read, or a look is damaged.
pub fn recording(path: &Path, notes: &mut Vec<String>) -> Result<Vec<Track>> {
    let mut recording = Recording::open(path)?;
    notes.append(&mut recording.skipped);
    let set = path.display().to_string();
    let (mut open, mut done) = (BTreeMap::<u64, Open>::new(), Vec::new());
    let (mut first_ns, mut last_ns, mut missing) = (None, 0, 0u64);
    let mut close = |open: &mut BTreeMap<u64, Open>, done: &mut Vec<Track>| {
        for agent in std::mem::take(open).into_values() {
            let ended = agent.calls.values().filter(|c| c.status.is_some()).count() as u64;
            let counted = agent.counted.1.saturating_sub(agent.counted.0);
            missing = missing.saturating_add(counted.saturating_sub(ended));
            let track = track(&set, agent.name, &agent.calls, (agent.first_ns, agent.last_ns));
            done.push(Track { starts: agent.starts, samples: agent.samples, ..track });
        }
    };
    for n in 0..recording.len() {
        let look = recording.look(n)?;
        let now_ns = look.view.now_ns;
        if now_ns < last_ns || now_ns - last_ns > GAP_NS {
            close(&mut open, &mut done);
            first_ns = None;
        }
        last_ns = now_ns;
        let begun_ns = *first_ns.get_or_insert(now_ns);
        for a in look.view.agents {
            let counted = a.totals.calls;
            let agent = open.entry(a.cgroup_id).or_insert_with(|| Open {
                name: a.name,
                starts: now_ns > begun_ns,
                first_ns: now_ns,
                last_ns: now_ns,
                cpu_us: None,
                samples: Vec::new(),
                calls: Calls::new(),
                counted: (counted, counted),
            });
            agent.counted.1 = agent.counted.1.max(counted);
            let lasted = seconds(now_ns.saturating_sub(agent.last_ns));
            agent.last_ns = now_ns;
            let Some(usage) = look.usage.get(&a.cgroup_id) else { continue };
            let used =
                agent.cpu_us.filter(|_| lasted > 0.0).map(|before| usage.cpu_us.saturating_sub(before));
            agent.cpu_us = Some(usage.cpu_us);
            agent.samples.push(Sample {
                t_s: seconds(now_ns - agent.first_ns),
                cpu_pct: used.map(|us| us as f64 / 1e4 / lasted),
                mem_mb: usage.memory.map(|bytes| bytes as f64 / 1e6),
            });
        }
        for c in look.view.calls.iter().chain(&look.view.ended) {
            if let Some(agent) = open.get_mut(&c.cgroup_id) {
                agent.calls.insert((c.call.begun_ns, c.call.call), Seen::of(&c.call));
            }
        }
    }
    close(&mut open, &mut done);
    if missing > 0 {
        notes.push(format!(
            "{set}: {missing} tool calls are missing: it was made by an older scx_agent, or they ended while it \
             could not be asked"
        ));
    }
    Ok(done)
}

/// The agents of the log of tool calls at `path`, with what was put aside of it as `path.1` and so on. How
/// long an agent was there is not in it: from its first call until the end of its last.
///
/// # Errors
/// It cannot be read, or a line is no tool call.
pub fn call_log(path: &Path) -> Result<Vec<Track>> {
    let aside = |n: u32| PathBuf::from(format!("{}.{n}", path.display()));
    let kept = (1..).take_while(|n| aside(*n).exists()).count() as u32;
    let files = (1..=kept).rev().map(aside).chain([path.to_path_buf()]);
    let set = path.display().to_string();
    let (mut agents, mut done) = (BTreeMap::<String, Calls>::new(), Vec::new());
    let close = |agents: &mut BTreeMap<String, Calls>, done: &mut Vec<Track>| {
        for (name, calls) in std::mem::take(agents) {
            let from_ns = calls.values().map(|c| c.begun_ns).min().unwrap_or(0);
            let to_ns = calls.values().map(Seen::end_ns).max().unwrap_or(0);
            done.push(track(&set, name, &calls, (from_ns, to_ns)));
        }
    };
    let mut last_ns = 0u64;
    for file in files {
        for call in jsonl::read::<calls::Call>(&file)? {
            let seen = Seen::of(&call);
            if seen.end_ns().saturating_add(BACK_NS) < last_ns {
                close(&mut agents, &mut done);
                last_ns = 0;
            }
            last_ns = last_ns.max(seen.end_ns());
            agents.entry(call.agent).or_default().insert((seen.begun_ns, seen.number), seen);
        }
    }
    close(&mut agents, &mut done);
    Ok(done)
}

#[cfg(test)]
#[path = "recorded_tests.rs"]
mod tests;
