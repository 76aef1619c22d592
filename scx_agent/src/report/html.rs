// SPDX-License-Identifier: GPL-2.0-only
//! The report as one page with plots, which needs nothing else.

use super::demands::{kinds, Kind};
use super::figures::{in_calls_pct, peak_to_mean, Split};
use super::table::{self, Table};
use super::track::Track;
use super::Report;
use agentplots::{escape, Labels, Series, Style};
use anyhow::Result;
use std::fmt::Write;

/// Points of a line at most: more cannot be told apart.
const POINTS_MAX: usize = 600;
/// Lines of a plot at most.
const LINES_MAX: usize = 8;

const TITLE: &str = "What coding agents use";

/// The page; `sets` are the tracks of each set of the report.
pub fn page(report: &Report, sets: &[(String, Vec<&Track>)]) -> Result<String> {
    let mut body = format!(
        "<h1>{TITLE}</h1>\n<p>Percentiles are nearest-rank. Memory is in MB of 10<sup>6</sup> bytes, CPU in percent \
         of one core. A sample's memory is that of its moment, its CPU that of the time since the one before. What \
         each figure is, and how it is found, is in docs/operation.md.</p>\n"
    );
    body += &html(&table::figures(report));
    body += &html(&table::categories(report));
    if !report.notes.is_empty() {
        let _ = writeln!(body, "<h3>Left out</h3>\n<ul>");
        for note in &report.notes {
            let _ = writeln!(body, "<li>{}</li>", escape(note));
        }
        body += "</ul>\n";
    }
    plots(&mut body, report, sets)?;
    Ok(agentplots::page(TITLE, &body))
}

fn html(table: &Table) -> String {
    let mut out = String::from("<div class=\"scroll\"><table>\n");
    let mut line = |tag: &str, cells: &[String]| {
        out += "<tr>";
        for (i, cell) in cells.iter().enumerate() {
            let tag = if i == 0 { "th" } else { tag };
            let _ = write!(out, "<{tag}>{}</{tag}>", escape(cell));
        }
        out += "</tr>\n";
    };
    line("th", &table.head);
    for row in &table.rows {
        line("td", row);
    }
    out + "</table></div>\n"
}

/// At most [`POINTS_MAX`] of `values` that are distributed as they are, with the least and the most.
fn thinned(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    match values.len() {
        n if n <= POINTS_MAX => values,
        _ => (0..POINTS_MAX).map(|i| values[i * last / (POINTS_MAX - 1)]).collect(),
    }
}

/// Lines with a legend, those without values left out.
fn lines<'a>(named: impl Iterator<Item = (&'a str, Vec<f64>)>) -> (Vec<Series>, String) {
    let (mut series, mut legend) = (Vec::new(), String::from("<p class=\"legend\">"));
    for (name, values) in named.filter(|(_, v)| !v.is_empty()).take(LINES_MAX) {
        let style = Style::nth(series.len());
        let _ = write!(
            legend,
            "<span><i style=\"background:{}\"></i> {} ({})</span>",
            style.hex(),
            escape(name),
            values.len()
        );
        series.push(Series { name: name.into(), style, values: thinned(values) });
    }
    (series, legend + "</p>\n")
}

type Draw = fn(&[Series], &Labels) -> Result<String>;

fn plots(body: &mut String, report: &Report, sets: &[(String, Vec<&Track>)]) -> Result<()> {
    // The last is that of all.
    let Some((_, all)) = sets.last() else { return Ok(()) };
    body.push_str("<div class=\"plots\">\n");
    let mut add = |(series, legend): (Vec<Series>, String), draw: Draw, labels: Labels| -> Result<()> {
        if !series.is_empty() {
            let _ = writeln!(body, "<div>{}{legend}</div>", draw(&series, &labels)?);
        }
        Ok(())
    };
    let of_sets = |f: &dyn Fn(&Track) -> Option<f64>| {
        lines(sets.iter().map(|(name, of)| (name.as_str(), of.iter().filter_map(|t| f(t)).collect())))
    };
    let share = "share of the agents";
    add(
        of_sets(&in_calls_pct),
        |s, l| agentplots::ecdf_linear(s, 100.0, l),
        Labels {
            title: "Time in tool calls",
            x: "of each agent's time",
            y: share,
            show: |v| format!("{v:.0} %"),
        },
    )?;
    let show_mb = |v: f64| format!("{v} MB");
    add(
        lines(
            [
                ("framework alone", all.iter().filter_map(|t| t.baseline_mb()).collect()),
                ("peak", all.iter().filter_map(|t| t.most_mb()).collect()),
            ]
            .into_iter(),
        ),
        agentplots::ecdf,
        Labels { title: "Memory of an agent", x: "memory", y: share, show: show_mb },
    )?;
    add(
        of_sets(&peak_to_mean),
        agentplots::ecdf,
        Labels {
            title: "Peak over mean memory",
            x: "times the mean",
            y: share,
            show: agentplots::show_times,
        },
    )?;
    let split = Split::of(all, report.bounds);
    add(
        lines([("in tool calls", split.inside), ("outside", split.outside)].into_iter()),
        agentplots::ecdf,
        Labels {
            title: "CPU in and outside tool calls",
            x: "percent of one core",
            y: "share of the samples",
            show: |v| format!("{v} %"),
        },
    )?;
    let mut kinds: Vec<(String, Kind)> = kinds(all).into_iter().collect();
    kinds.sort_by(|a, b| b.1.lasted_s.iter().sum::<f64>().total_cmp(&a.1.lasted_s.iter().sum()));
    let of_kinds =
        |f: fn(&Kind) -> &Vec<f64>| lines(kinds.iter().map(|(name, k)| (name.as_str(), f(k).clone())));
    let show_s = |v: f64| agentplots::show_ms((v * 1e6).round() / 1e3);
    for (values, title, x) in [
        (of_kinds(|k| &k.lasted_s), "How long tool calls last", "length"),
        (of_kinds(|k| &k.cpu_s), "CPU time of tool calls", "CPU time"),
    ] {
        add(values, agentplots::ecdf, Labels { title, x, y: "share of the calls", show: show_s })?;
    }
    add(
        of_kinds(|k| &k.rise_mb),
        agentplots::ecdf,
        Labels {
            title: "Memory of tool calls",
            x: "most above that before",
            y: "share of the calls",
            show: show_mb,
        },
    )?;
    largest(body, all)?;
    body.push_str("</div>\n");
    Ok(())
}

/// The agent with the highest peak, over time.
fn largest(body: &mut String, all: &[&Track]) -> Result<()> {
    let with_memory = all.iter().filter(|t| t.memory().next().is_some());
    let Some(t) =
        with_memory.max_by(|a, b| a.most_mb().unwrap_or(0.0).total_cmp(&b.most_mb().unwrap_or(0.0)))
    else {
        return Ok(());
    };
    let cpu = t.samples.iter().filter_map(|s| Some((s.t_s, s.cpu_pct?))).collect();
    for (what, points, show) in [
        ("memory", peaks(t.memory().collect()), (|v| format!("{v:.0} MB")) as agentplots::Show),
        ("CPU", peaks(cpu), |v| format!("{v:.0} %")),
    ] {
        let title = format!("The agent with the highest peak: {what}, tool calls shaded");
        let labels = Labels { title: &title, x: "time", y: what, show };
        let line = agentplots::Track { name: what.into(), style: Style::nth(1), points };
        let plot = agentplots::over_time(vec![line], &t.busy(), &labels)?;
        let _ = writeln!(
            body,
            "<div>{plot}<p class=\"legend\">{} of {}</p></div>",
            escape(&t.name),
            escape(&t.set)
        );
    }
    Ok(())
}

/// At most [`POINTS_MAX`] points: of several the highest.
fn peaks(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let each = points.len().div_ceil(POINTS_MAX).max(1);
    let highest = |of: &[(f64, f64)]| of.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
    points.chunks(each).filter_map(highest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_values_are_thinned_and_keep_their_ends() {
        let few = thinned((0..100_000).rev().map(f64::from).collect());
        assert_eq!((few.len(), few[0], few[POINTS_MAX - 1]), (POINTS_MAX, 0.0, 99_999.0));
        assert!((few[POINTS_MAX / 2] - 50_000.0).abs() < 200.0);
        assert_eq!(thinned(vec![2.0, 1.0]), [1.0, 2.0]);
        let points = peaks((0..3000).map(|i| (f64::from(i), if i == 1234 { 9.0 } else { 1.0 })).collect());
        assert!(points.len() <= POINTS_MAX && points.contains(&(1234.0, 9.0)));
    }
}
