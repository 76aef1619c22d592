// SPDX-License-Identifier: GPL-2.0-only
//! The report: one HTML page that needs nothing else and is the same for the same results.

mod palette;
mod timeline;

use crate::metrics::{by_agent, calls, response_ms, slowdown, turns};
use crate::results::{Results, RunResult, ScenarioResult};
use crate::table::{self, Table};
use agentload::plan::Size;
use agentplots::{escape, Labels, Series, Style};
use anyhow::Result;
use std::fmt::Write;

/// The whole page.
pub fn html(results: &Results) -> Result<String> {
    let mut body = String::new();
    let mode = match results.mode.as_str() {
        "lockstep" => {
            "a deterministic lock-step simulation of the machine, in which kernel work \
                       weighs about ten times what it does on hardware"
        }
        _ => "a virtual machine in real time",
    };
    let traced = match results.traced() {
        true => "These runs were traced for the timelines, which costs a little time.",
        false => "",
    };
    let _ = write!(
        body,
        "<h1>Schedulers under AI coding agents</h1>\n<p class=\"result\">{}</p>\n\
         <p>Real processes that behave like coding agents, on {}, Linux {}, {mode}; plans of seed {}. \
         <b>Response</b> is from when the framework forks a tool call until it has reaped it. \
         <b>Slowdown</b> is the response over that of the same call alone on the same machine. \
         <b>Framework</b> latency is from when the model's answer is due until the framework's \
         own work of the turn is done. Small calls need less than 100 ms of CPU, large ones 2 s \
         or more. Percentiles are nearest-rank. In brackets: how many times better than EEVDF; \
         green is better, red is worse. {traced}</p>\n",
        escape(&results.sentence()),
        results.machine(),
        escape(&results.kernel),
        results.seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
    );
    for s in &results.scenarios {
        section(&mut body, s, results.seeds.len() == 1)?;
    }
    if let Some(t) = table::reactions(results) {
        let _ = write!(
            body,
            "<h2>Reaction</h2>\n<p>A call with several processes starts on a machine that other \
             calls saturate: time until all of its processes run.</p>\n{}",
            html_table(&t)
        );
    }
    Ok(agentplots::page("Schedulers under AI coding agents", &body))
}

/// A run to draw: its name on the page and its style.
struct Line<'a> {
    name: String,
    style: Style,
    run: &'a RunResult,
    ideal: bool,
}

/// `timed`: all of it took place at one time, of which there can be a timeline.
fn section(body: &mut String, s: &ScenarioResult, timed: bool) -> Result<()> {
    let runs = s.runs.iter().map(|r| (r, false)).chain(s.ideal.iter().map(|r| (r, true)));
    let names: Vec<(&str, bool)> = runs.clone().map(|(r, i)| (r.scheduler.as_str(), i)).collect();
    let lines: Vec<Line> = runs
        .zip(palette::styles(&names))
        .map(|((run, ideal), style)| Line {
            name: if ideal { format!("ideal: {}", run.scheduler) } else { run.scheduler.clone() },
            style,
            run,
            ideal,
        })
        .collect();
    let _ = write!(
        body,
        "<h2>{}</h2>\n<p>{} {} agents, {} tool calls. The ideal policies are simulated without \
         any overhead but the {:.1} ms that starting and ending a call takes alone.</p>\n{}{}",
        escape(&s.name),
        escape(&s.doc),
        s.agents.len(),
        s.calls,
        s.overhead_ms,
        html_table(&table::scenario(s)),
        legend(&lines)
    );
    body.push_str("<div class=\"plots\">\n");
    distributions(body, s, &lines)?;
    body.push_str("</div>\n");
    if timed {
        timelines(body, s);
    }
    Ok(())
}

/// The same table turned: one figure a row, one scheduler a column.
fn html_table(t: &Table) -> String {
    let mut out = String::from("<div class=\"scroll\"><table>\n<tr><th></th>");
    for row in &t.rows {
        let class = if row.ideal { " class=\"ideal\"" } else { "" };
        let prefix = if row.ideal { "ideal:<br>" } else { "" };
        let _ = write!(out, "<th{class}>{prefix}{}</th>", escape(&row.name));
    }
    out.push_str("</tr>\n");
    for (i, head) in t.head.iter().enumerate() {
        let _ = write!(out, "<tr><th>{}</th>", escape(head));
        for row in &t.rows {
            let cell = &row.cells[i];
            let class = if row.ideal { " class=\"ideal\"" } else { "" };
            let _ = write!(out, "<td{class}>{}", escape(&cell.value));
            if let Some(r) = cell.ratio {
                let class = match r {
                    r if r >= 1.05 => "better",
                    r if r <= 0.95 => "worse",
                    _ => "same",
                };
                let _ = write!(out, " <span class=\"{class}\">({r:.2}x)</span>");
            }
            out.push_str("</td>");
        }
        out.push_str("</tr>\n");
    }
    out + "</table></div>\n"
}

fn legend(lines: &[Line]) -> String {
    let mut out = String::from("<p class=\"legend\">");
    for l in lines {
        let _ = writeln!(
            out,
            "<span><svg width=\"34\" height=\"10\"><path d=\"M0 5H34\" stroke=\"{}\" \
             stroke-width=\"{}\" stroke-dasharray=\"{}\"/></svg> {}</span>",
            l.style.hex(),
            l.style.width,
            l.style.dash,
            escape(&l.name)
        );
    }
    out + "</p>\n"
}

fn distributions(body: &mut String, s: &ScenarioResult, lines: &[Line]) -> Result<()> {
    let (measured, ideal) = (s.alone(false), s.alone(true));
    let alone = |l: &Line| if l.ideal { &ideal } else { &measured };
    let draw = |values: &dyn Fn(&Line) -> Vec<f64>| -> Vec<Series> {
        let series = |l: &Line| Series { name: l.name.clone(), style: l.style, values: values(l) };
        // Ours last, on top of the others.
        let mut all: Vec<Series> = lines.iter().map(series).collect();
        all.sort_by_key(|s| s.style.width);
        all.retain(|s| !s.values.is_empty());
        all
    };
    let share = "share of the calls";
    for (size, title) in [
        (Size::Small, "Response of small calls (under 100 ms of CPU)"),
        (Size::Medium, "Response of medium calls (100 ms to 2 s of CPU)"),
        (Size::Large, "Response of large calls (2 s of CPU and more)"),
    ] {
        let of =
            |l: &Line| calls(&l.run.records).filter(|c| c.ok && c.size == size).map(response_ms).collect();
        let series = draw(&of);
        if !series.is_empty() {
            let labels = Labels { title, x: "response time", y: share, show: agentplots::show_ms };
            body.push_str(&agentplots::ecdf(&series, &labels)?);
        }
    }
    let slow = draw(&|l| calls(&l.run.records).filter_map(|c| slowdown(c, alone(l))).collect());
    let labels = Labels {
        title: "Slowdown of all calls",
        x: "response over response alone",
        y: share,
        show: agentplots::show_times,
    };
    body.push_str(&agentplots::ecdf(&slow, &labels)?);
    let framework = draw(&|l| match l.ideal {
        true => Vec::new(),
        false => turns(&l.run.records).map(|t| t.done_ns.saturating_sub(t.due_ns) as f64 / 1e6).collect(),
    });
    let labels = Labels {
        title: "Framework latency (model's answer due until work done)",
        x: "latency",
        y: "share of the turns",
        show: agentplots::show_ms,
    };
    body.push_str(&agentplots::ecdf(&framework, &labels)?);
    let fair = draw(&|l| by_agent(&l.run.records, alone(l)).into_values().collect());
    let labels = Labels {
        title: "Fairness: each agent's mean slowdown",
        x: "agents, from the one that fares best to the one that fares worst",
        y: "mean slowdown",
        show: agentplots::show_times,
    };
    body.push_str(&agentplots::sorted(&fair, &labels)?);
    Ok(())
}

fn timelines(body: &mut String, s: &ScenarioResult) {
    let span = |r: &RunResult| calls(&r.records).map(|c| c.end_ns).max().unwrap_or(0);
    // One time axis for all, so that two schedulers can be compared by eye.
    let longest = s.runs.iter().map(span).max().unwrap_or(0);
    let swatch =
        |colour: &str, text: &str| format!("<span><i style=\"background:{colour}\"></i> {text}</span>\n");
    let _ = write!(
        body,
        "<h3>Timelines</h3>\n<p class=\"legend\">Agents: {}{}{}{}{}</p>\n",
        swatch(timeline::LLM_WAIT, "LLM wait"),
        swatch(timeline::FRAMEWORK, "framework"),
        swatch(timeline::call_colour(Size::Small), "small call"),
        swatch(timeline::call_colour(Size::Medium), "medium call"),
        swatch(timeline::call_colour(Size::Large), "large call")
    );
    if s.runs.iter().any(RunResult::traced) {
        let _ = writeln!(
            body,
            "<p class=\"legend\">CPUs: one hue an agent; {}{}{}{}</p>",
            swatch("hsl(200 60% 62%)", "tool call (light)"),
            swatch("hsl(200 90% 22%)", "framework (dark)"),
            swatch(timeline::OTHER, "not of an agent"),
            swatch("#fff", "idle")
        );
    }
    for (i, run) in s.runs.iter().enumerate() {
        let _ = write!(
            body,
            "<details{}><summary>{}</summary>\n{}{}</details>\n",
            if i < 2 { " open" } else { "" },
            escape(&run.scheduler),
            timeline::cpus(&run.records, &s.agents, longest),
            timeline::agents(&run.records, longest)
        );
    }
}
