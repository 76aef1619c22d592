// SPDX-License-Identifier: GPL-2.0-only
//! Timelines as SVG: what each CPU ran, and where each agent was in its turn.

use crate::metrics::{calls, turns};
use agentload::plan::Size;
use agentload::record::{AgentRecord, CallRecord, Record, TimelineRecord};
use agentplots::escape;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Width of the lanes in px, and of the names left of them.
const LANES: f64 = 1040.0;
const NAMES: f64 = 92.0;
/// Space below the lanes for the axis, in px.
const AXIS: f64 = 34.0;

pub const FRAMEWORK: &str = "#D55E00";
pub const LLM_WAIT: &str = "#E9E9E4";
pub const OTHER: &str = "#9A9A9A";

/// Colour of a tool call in the agents' lanes.
pub fn call_colour(size: Size) -> &'static str {
    match size {
        Size::Small => "#111111",
        Size::Medium => "#0072B2",
        Size::Large => "#8CC7EE",
    }
}

/// Colour of an agent's tool calls or framework on a CPU: the hue is the agent's (neighbours in
/// number are far apart), tool calls are light, the framework is dark.
fn cpu_colour(agent: i64, phase: i64) -> String {
    let hue = (agent.max(0) * 137) % 360;
    match phase {
        1 => format!("hsl({hue} 90% 22%)"),
        2 => format!("hsl({hue} 60% 62%)"),
        _ => OTHER.to_string(),
    }
}

fn frame(height: f64, span_ns: u64, title: &str) -> String {
    let (w, h) = (NAMES + LANES + 14.0, height + AXIS);
    let mut svg = format!(
        "<svg role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {w:.0} {h:.0}\" class=\"timeline\">\n",
        escape(title)
    );
    let span_s = span_ns as f64 / 1e9;
    let step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0];
    let step = step.into_iter().find(|s| span_s / s <= 14.0).unwrap_or(1000.0);
    for i in 0..=(span_s / step).floor() as u64 {
        let s = i as f64 * step;
        let x = NAMES + s / span_s.max(1e-9) * LANES;
        let label = (s * 100.0).round() / 100.0;
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} 0V{:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
            height + 4.0,
            height + 16.0,
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">time since the start of the run [s]</text>",
        NAMES + LANES / 2.0,
        height + 30.0
    );
    svg
}

/// What took most of each px column of a CPU's lane, as runs `(first px, px, agent, phase)`.
fn columns(lane: &TimelineRecord, span_ns: u64) -> Vec<(usize, usize, i64, i64)> {
    let px_ns = span_ns as f64 / LANES;
    let mut shares: Vec<BTreeMap<(i64, i64), f64>> = vec![BTreeMap::new(); LANES as usize];
    for [first, bins, agent, phase] in &lane.runs {
        let from = *first as f64 * lane.bin_ns as f64 / px_ns;
        let to = (first + bins) as f64 * lane.bin_ns as f64 / px_ns;
        for px in from as usize..(to.ceil() as usize).min(shares.len()) {
            let shared = to.min(px as f64 + 1.0) - from.max(px as f64);
            *shares[px].entry((*agent, *phase)).or_default() += shared;
        }
    }
    let mut runs: Vec<(usize, usize, i64, i64)> = Vec::new();
    for (px, share) in shares.iter().enumerate() {
        let most = share.iter().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(a.0)));
        let (agent, phase) = most.map_or((-1, 0), |(k, _)| *k);
        match runs.last_mut() {
            Some(last) if (last.2, last.3) == (agent, phase) => last.1 += 1,
            _ => runs.push((px, 1, agent, phase)),
        }
    }
    runs
}

/// CPU lanes over `span_ns`; empty if the run has no timeline. `names` are the agents in the
/// order of the plan.
pub fn cpus(records: &[Record], names: &[String], span_ns: u64) -> String {
    const LANE: f64 = 19.0;
    let mut lanes: Vec<&TimelineRecord> = records
        .iter()
        .filter_map(|r| match r {
            Record::Timeline(t) => Some(t),
            _ => None,
        })
        .collect();
    if lanes.is_empty() || span_ns == 0 {
        return String::new();
    }
    lanes.sort_by_key(|l| l.cpu);
    let mut svg = frame(LANE * lanes.len() as f64, span_ns, "what each CPU ran");
    // One path for each agent and phase keeps the file small and gives each a tooltip.
    let mut paths: BTreeMap<(i64, i64), String> = BTreeMap::new();
    for (i, lane) in lanes.iter().enumerate() {
        let y = i as f64 * LANE;
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">CPU {}</text>",
            NAMES - 6.0,
            y + LANE * 0.7,
            lane.cpu
        );
        for (px, n, agent, phase) in columns(lane, span_ns).into_iter().filter(|r| r.3 != 0) {
            let path = paths.entry((agent, phase)).or_default();
            let _ = write!(path, "M{} {y:.0}h{n}v{:.0}h-{n}z", NAMES as usize + px, LANE - 3.0);
        }
    }
    for ((agent, phase), path) in paths {
        let who = names.get(agent.max(0) as usize).filter(|_| agent >= 0);
        let what = match phase {
            1 => "framework",
            2 => "tool call",
            _ => "not of an agent",
        };
        let title = who.map_or(what.to_string(), |w| format!("{}: {what}", escape(w)));
        let colour = cpu_colour(agent, phase);
        let _ = writeln!(svg, "<path fill=\"{colour}\" d=\"{path}\"><title>{title}</title></path>");
    }
    svg + "</svg>\n"
}

/// Agents' lanes over `span_ns`: LLM wait, framework, tool calls.
pub fn agents(records: &[Record], span_ns: u64) -> String {
    let ends: Vec<&AgentRecord> = records
        .iter()
        .filter_map(|r| match r {
            Record::Agent(a) => Some(a),
            _ => None,
        })
        .collect();
    let mut names: Vec<&str> = calls(records).map(|c| c.agent.as_str()).collect();
    names.extend(turns(records).map(|t| t.agent.as_str()));
    names.sort_unstable();
    names.dedup();
    if names.is_empty() || span_ns == 0 {
        return String::new();
    }
    let lane = if names.len() > 24 { 11.0 } else { 16.0 };
    let x = |ns: u64| NAMES + ns as f64 / span_ns as f64 * LANES;
    let mut svg = frame(lane * names.len() as f64, span_ns, "where each agent was in its turn");
    for (i, name) in names.iter().enumerate() {
        let y = i as f64 * lane;
        let own = || calls(records).filter(|c| c.agent == *name);
        let last = own().map(|c| c.end_ns).max().unwrap_or(0);
        let end = ends.iter().find(|a| a.agent == *name).map_or(last, |a| a.end_ns.max(last));
        let mut bar = |from: u64, to: u64, colour: &str, inset: f64, least: f64, title: &str| {
            let width = (x(to) - x(from)).max(least);
            let _ = writeln!(
                svg,
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{colour}\">\
                 <title>{title}</title></rect>",
                x(from),
                y + inset,
                lane - 1.5 - 2.0 * inset
            );
        };
        let who = escape(name);
        bar(0, end, LLM_WAIT, 0.0, 0.0, &format!("{who}: LLM wait"));
        // Long calls first, so that short ones beside them stay visible.
        let mut own: Vec<&CallRecord> = own().collect();
        own.sort_by_key(|c| (std::cmp::Reverse(c.end_ns - c.start_ns), c.call));
        for c in own {
            let title = format!(
                "{who}: call {} ({}), {:.0} ms of CPU over up to {} processes, response {:.0} ms",
                c.call,
                escape(&c.cat),
                c.cpu_ms,
                c.width,
                crate::metrics::response_ms(c)
            );
            bar(c.start_ns, c.end_ns, call_colour(c.size), 0.0, 1.2, &title);
        }
        for t in turns(records).filter(|t| t.agent == *name) {
            let ms = t.done_ns.saturating_sub(t.due_ns) as f64 / 1e6;
            let title = format!("{who}: framework of turn {}, done after {ms:.0} ms", t.turn);
            bar(t.due_ns, t.done_ns, FRAMEWORK, 0.0, 1.5, &title);
        }
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\" font-size=\"{:.0}\">{who}</text>",
            NAMES - 6.0,
            y + lane * 0.78,
            (lane - 1.0).min(11.0)
        );
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_show_what_took_most() {
        // 2080 bins of 1 ns over 1040 px: the first px holds one bin of each of two agents.
        let lane =
            TimelineRecord { cpu: 0, bin_ns: 1, runs: vec![[0, 1, 0, 2], [1, 3, 1, 2], [4, 2076, -1, 0]] };
        let runs = columns(&lane, 2080);
        assert_eq!(runs, [(0, 1, 0, 2), (1, 1, 1, 2), (2, 1038, -1, 0)]);
    }
}
