// SPDX-License-Identifier: GPL-2.0-only
//! What tool calls and retries ask for: pure functions of [`Track`]s.

use super::dist::{pct, Dist};
use super::figures::{Category, Retries};
use super::track::{Call, Group, Track};
use agenttraces::spans::{overlap_s, Span};
use std::collections::BTreeMap;

/// CPU time of each call. Where only samples know it, the CPU of the time between two of them is shared
/// among the calls in it by their time in it.
pub fn cpu_s(t: &Track) -> Vec<Option<f64>> {
    let mut told: Vec<Option<f64>> = t.calls.iter().map(|c| c.cpu_s).collect();
    let unknown = |c: &Call| c.process && c.cpu_s.is_none() && c.lasted_s.is_some();
    if !t.calls.iter().any(unknown) {
        return told;
    }
    // Calls that may still run: starts are in order, ends are not.
    let (mut next, mut open) = (0, Vec::<usize>::new());
    for (interval, s) in t.intervals() {
        while t.calls.get(next).is_some_and(|c| c.start_s < interval.1) {
            if unknown(&t.calls[next]) {
                open.push(next);
            }
            next += 1;
        }
        open.retain(|i| t.calls[*i].end_s > interval.0);
        let Some(used_s) = s.cpu_pct.map(|p| p / 100.0 * (interval.1 - interval.0)) else { continue };
        let shares: Vec<(usize, f64)> =
            open.iter().map(|i| (*i, overlap_s(span(&t.calls[*i]), interval))).collect();
        let whole: f64 = shares.iter().map(|s| s.1).sum();
        for (i, share) in shares.into_iter().filter(|s| s.1 > 0.0) {
            *told[i].get_or_insert(0.0) += used_s * share / whole;
        }
    }
    told
}

fn span(c: &Call) -> Span {
    (c.start_s, c.end_s)
}

/// Memory at the last sample before a span, the most within it and a second after, and at the first from
/// then on; None where that is not known.
fn around(memory: &[(f64, f64)], span: Span) -> Option<(f64, f64, f64)> {
    let first = memory.partition_point(|m| m.0 <= span.0);
    let after = memory.partition_point(|m| m.0 < span.1 + 1.0);
    let before = memory.get(first.checked_sub(1)?)?.1;
    let within = memory.get(first..=after.min(memory.len() - 1)).unwrap_or_default();
    let most = within.iter().map(|m| m.1).fold(before, f64::max);
    Some((before, most, memory.get(after).or(memory.last())?.1))
}

/// What is known of the calls of a category.
#[derive(Default)]
pub struct Kind {
    calls: usize,
    failed: Option<usize>,
    pub lasted_s: Vec<f64>,
    pub cpu_s: Vec<f64>,
    pub rise_mb: Vec<f64>,
}

/// All calls by what they do.
pub fn kinds(tracks: &[&Track]) -> BTreeMap<String, Kind> {
    let mut kinds = BTreeMap::<String, Kind>::new();
    for t in tracks {
        let memory: Vec<(f64, f64)> = t.memory().collect();
        for (c, cpu_s) in t.calls.iter().zip(cpu_s(t)) {
            let kind = kinds.entry(c.category.clone()).or_default();
            kind.calls += 1;
            if let Some(failed) = c.failed {
                *kind.failed.get_or_insert(0) += usize::from(failed);
            }
            kind.lasted_s.extend(c.lasted_s);
            kind.cpu_s.extend(cpu_s);
            if c.process && c.lasted_s.is_some() {
                kind.rise_mb.extend(around(&memory, span(c)).map(|(before, most, _)| most - before));
            }
        }
    }
    kinds
}

/// By what they do, those with the most time first.
pub fn categories(tracks: &[&Track]) -> Vec<Category> {
    let kinds = kinds(tracks);
    let all_s: f64 = kinds.values().flat_map(|k| &k.lasted_s).sum();
    let mut told: Vec<(f64, Category)> = kinds
        .into_iter()
        .map(|(name, k)| {
            let time_s: f64 = k.lasted_s.iter().sum();
            let category = Category {
                name,
                calls: k.calls,
                failed: k.failed,
                time_pct: pct(time_s, all_s),
                lasted_s: Dist::of(k.lasted_s),
                cpu_s: Dist::of(k.cpu_s),
                rise_mb: Dist::of(k.rise_mb),
            };
            (time_s, category)
        })
        .collect();
    told.sort_by(|a, b| b.0.total_cmp(&a.0));
    told.into_iter().map(|t| t.1).collect()
}

/// Share of the calls with processes that overlap another, in percent. Calls are in the order of their
/// starts: one overlaps an earlier one if the latest end so far is after
/// its start, and a later one if the next begins before its end.
pub fn overlapping_pct(tracks: &[&Track]) -> Option<f64> {
    let (mut all, mut overlapping) = (0, 0);
    for t in tracks {
        let ended: Vec<&Call> = t.calls.iter().filter(|c| c.lasted_s.is_some()).collect();
        let mut latest = f64::NEG_INFINITY;
        for (i, c) in ended.iter().enumerate() {
            let next = ended.get(i + 1).is_some_and(|n| n.start_s < c.end_s);
            all += usize::from(c.process);
            overlapping += usize::from(c.process && (latest > c.start_s || next));
            latest = latest.max(c.end_s);
        }
    }
    pct(overlapping as f64, all as f64)
}

/// Of the retry groups of all agents.
pub fn retries(tracks: &[&Track]) -> Retries {
    let groups = || tracks.iter().flat_map(|t| &t.groups);
    let having = tracks.iter().filter(|t| !t.groups.is_empty()).count();
    let time = |t: &&&Track| pct(t.groups.iter().map(|g| g.busy_s).sum(), t.length_s);
    let kept = |t: &Track| -> Vec<f64> {
        let memory: Vec<(f64, f64)> = t.memory().collect();
        let of = |g: &Group| around(&memory, (g.start_s, g.end_s)).map(|(before, _, after)| after - before);
        t.groups.iter().filter_map(of).collect()
    };
    Retries {
        agents_pct: pct(having as f64, tracks.len() as f64),
        groups: groups().count(),
        longest: groups().map(|g| g.calls).max().unwrap_or(0),
        time_pct: Dist::of(tracks.iter().filter_map(|t| time(&t))).map(|d| d.mean),
        kept_mb: Dist::of(tracks.iter().flat_map(|t| kept(t))),
    }
}
