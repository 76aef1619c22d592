// SPDX-License-Identifier: GPL-2.0-only
//! The figures in words, for text and page alike.

use super::dist::Dist;
use super::figures::{Category, Figures};
use super::together::{Sum, AGENTS};
use super::{Report, ALL};
use crate::calls::command::shown;
use std::fmt::Write;

/// Sets that have a column; of more there is only that of all.
const SETS_MAX: usize = 6;
/// Categories that are listed, and the longest name of them and of sets, in characters.
const CATEGORIES_MAX: usize = 14;
const NAME_WIDTH: usize = 22;

/// Rows below a head, each beginning with its name.
pub struct Table {
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// A value with so many digits that three count.
fn short(v: f64) -> String {
    match v.abs() {
        a if a >= 99.95 => format!("{v:.0}"),
        a if a >= 9.995 => format!("{v:.1}"),
        a if a >= 0.9995 => format!("{v:.2}"),
        a if a >= 0.0005 => format!("{v:.3}"),
        _ => "0".into(),
    }
}

fn cell(v: Option<f64>, unit: &str) -> String {
    v.map_or_else(|| "-".into(), |v| format!("{}{unit}", short(v)))
}

/// The median, and from the least to the most.
fn range(d: Option<Dist>, unit: &str) -> String {
    d.map_or_else(|| "-".into(), |d| format!("{}{unit} ({}-{})", short(d.p50), short(d.min), short(d.max)))
}

type Row<'a> = (String, Box<dyn Fn(&Figures) -> String + 'a>);

fn row<'a>(name: impl Into<String>, f: impl Fn(&Figures) -> String + 'a) -> Row<'a> {
    (name.into(), Box::new(f))
}

/// The figures, a column for each set.
pub fn figures(report: &Report) -> Table {
    let b = report.bounds;
    let count = |n: usize, of: usize| format!("{n} of {of}");
    let rows = [
        row("agents", |f| f.agents.to_string()),
        row("watched for, median (range)", |f| range(f.length_s, " s")),
        row("time in tool calls, median (range)", |f| range(f.in_calls_pct, " %")),
        row("framework's memory, median (range)", |f| range(f.base_mb, " MB")),
        row("peak memory, median (range)", |f| range(f.peak_mb, " MB")),
        row("peak over mean memory, median (range)", |f| range(f.peak_to_mean, "x")),
        row(format!("samples above {} MB", b.burst_mb), |f| f.memory_bursts.samples.to_string()),
        row("  of them in tool calls", |f| cell(f.memory_bursts.in_calls_pct, " %")),
        row(format!("samples above {} % of a core", b.burst_cpu_pct), |f| f.cpu_bursts.samples.to_string()),
        row("  of them in tool calls", |f| cell(f.cpu_bursts.in_calls_pct, " %")),
        row("  of all samples", |f| cell(f.samples_in_calls_pct, " %")),
        row("CPU outside tool calls, mean / P99", |f| {
            let d = f.cpu_outside_pct;
            format!("{} / {}", cell(d.map(|d| d.mean), ""), cell(d.map(|d| d.p99), " %"))
        }),
        row("CPU in tool calls, P50 / P95 / P99", |f| percentiles(f.cpu_inside_pct, " %")),
        row("agents with a sample above 150 %", |f| count(f.agents_over_150_pct, f.agents)),
        row("agents with a sample above 400 %", |f| count(f.agents_over_400_pct, f.agents)),
        row("most CPU", |f| cell(f.cpu_peak_pct.map(|d| d.max), " %")),
        row("tool calls", |f| f.categories.iter().map(|c| c.calls).sum::<usize>().to_string()),
        row("  with processes, length P50 / P95 / P99", |f| percentiles(f.process_calls_s, " s")),
        row("  of them that overlap another", |f| cell(f.overlapping_pct, " %")),
        row("agents with retry groups", |f| cell(f.retries.agents_pct, " %")),
        row("  retry groups, calls of the longest", |f| {
            format!("{}, {}", f.retries.groups, f.retries.longest)
        }),
        row("  time in their calls, mean", |f| cell(f.retries.time_pct, " %")),
        row("  memory kept, median (range)", |f| range(f.retries.kept_mb, " MB")),
        row("fastest rise of memory", |f| cell(f.changes.map(|c| c.rise_mb_per_s), " MB/s")),
        row("fastest fall of memory", |f| cell(f.changes.map(|c| c.fall_mb_per_s), " MB/s")),
        row(format!("samples that change by {} MB/s", b.change_mb_per_s), |f| {
            cell(f.changes.map(|c| c.over_bound_pct), " %")
        }),
        row("fastest change of CPU", |f| cell(f.changes.and_then(|c| c.cpu_pct_per_s), " %/s")),
    ];
    let together = AGENTS.iter().enumerate().flat_map(|(i, n)| {
        let mean = |s: Option<Sum>, unit: &str| {
            format!("{} / {}", cell(s.map(|s| s.mean), ""), cell(s.map(|s| s.p99), unit))
        };
        let of = move |f: &Figures| f.together.get(i).copied().unwrap_or_default();
        [
            row(format!("{n} at random phases, CPUs, mean / P99"), move |f| mean(of(f).cpus, "")),
            row("  memory, mean / P99", move |f| mean(of(f).memory_gb, " GB")),
        ]
    });
    let few = report.sets.len() <= SETS_MAX;
    let sets: Vec<&Figures> = report.sets.iter().filter(|f| few || f.set == ALL).collect();
    let head = |f: &&Figures| last(&f.set);
    Table {
        head: [String::new()].into_iter().chain(sets.iter().map(head)).collect(),
        rows: rows
            .into_iter()
            .chain(together)
            .map(|(name, of)| [name].into_iter().chain(sets.iter().map(|f| of(f))).collect())
            .collect(),
    }
}

fn percentiles(d: Option<Dist>, unit: &str) -> String {
    d.map_or_else(|| "-".into(), |d| format!("{} / {} / {}{unit}", short(d.p50), short(d.p95), short(d.p99)))
}

/// A set's name; of one that is too long its end, which tells files apart.
fn last(name: &str) -> String {
    let name = shown(name, 4096);
    let skipped = name.chars().count().saturating_sub(NAME_WIDTH);
    match skipped {
        0 => name,
        n => format!("…{}", name.chars().skip(n + 1).collect::<String>()),
    }
}

/// The tool calls of all agents, a row for each category.
pub fn categories(report: &Report) -> Table {
    let head = [
        "tool calls",
        "count",
        "failed",
        "of call time",
        "length P50 / P95 / P99",
        "CPU mean / P95",
        "memory rises by P50 / P95",
    ];
    let of = |c: &Category| {
        let pair = |a: Option<f64>, b: Option<f64>, unit: &str| match (a, b) {
            (Some(a), Some(b)) => format!("{} / {}{unit}", short(a), short(b)),
            _ => "-".into(),
        };
        vec![
            shown(&c.name, NAME_WIDTH),
            c.calls.to_string(),
            c.failed.map_or_else(|| "-".into(), |n| n.to_string()),
            cell(c.time_pct, " %"),
            percentiles(c.lasted_s, " s"),
            pair(c.cpu_s.map(|d| d.mean), c.cpu_s.map(|d| d.p95), " s"),
            pair(c.rise_mb.map(|d| d.p50), c.rise_mb.map(|d| d.p95), " MB"),
        ]
    };
    let all = report.sets.last().map(|f| f.categories.as_slice()).unwrap_or_default();
    Table { head: head.map(String::from).to_vec(), rows: all.iter().take(CATEGORIES_MAX).map(of).collect() }
}

impl Table {
    fn text(&self) -> String {
        let lines = || [&self.head].into_iter().chain(&self.rows);
        let width = |column: usize| lines().map(|l| l[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let mut out = String::new();
        for line in lines() {
            let mut text = format!("{:<1$}", line[0], widths[0]);
            for (cell, width) in line.iter().zip(&widths).skip(1) {
                let _ = write!(text, "  {cell:>width$}");
            }
            out += text.trim_end();
            out.push('\n');
        }
        out
    }
}

/// The whole report as text.
pub fn text(report: &Report) -> String {
    let calls = categories(report);
    let mut out = figures(report).text();
    if !calls.rows.is_empty() {
        let _ = write!(out, "\n{}", calls.text());
    }
    let rest = report.sets.last().map_or(0, |f| f.categories.len()).saturating_sub(calls.rows.len());
    if rest > 0 {
        let _ = writeln!(out, "and {rest} kinds of calls with less time; --json has them");
    }
    if report.sets.len() > SETS_MAX {
        let _ = writeln!(out, "{} sets; --json has each of them", report.sets.len() - 1);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_digits_that_count() {
        for (v, want) in [
            (2398.2, "2398"),
            (99.96, "100"),
            (14.96, "15.0"),
            (9.996, "10.0"),
            (-3.456, "-3.46"),
            (0.05, "0.050"),
            (-0.0, "0"),
            (-0.0001, "0"),
        ] {
            assert_eq!(short(v), want);
        }
        assert_eq!(last("short"), "short");
        let name = last("/var/log/scx_agent/a-day-in-november.jsonl");
        assert_eq!((name.chars().count(), name.ends_with("november.jsonl")), (NAME_WIDTH, true), "{name}");
    }
}
