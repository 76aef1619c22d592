// SPDX-License-Identifier: GPL-2.0-only
//! Draws the model. What containers choose (names, command lines) is written out where it cannot be shown.

use super::model::{Model, Row, Sort};
use super::strip::{mark, CELLS};
use crate::agents::Phase;
use crate::calls::command::shown;
use crate::qos::Qos;
use crate::status::lasted;
use crate::view::{self, AgentCall};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row as TableRow, Table, TableState};
use ratatui::Frame;

/// Longest name or command that is looked at, in characters: the screen cuts it anyway.
const TEXT_MAX: usize = 300;
const KEYS: &str = "q quit  arrows select  Enter details  s sort  / filter  p pause";

/// Colours, or none.
#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn phase(self, phase: Option<Phase>) -> Style {
        match (self.0, phase) {
            (true, Some(Phase::Tool)) => Style::new().fg(Color::Green),
            (true, Some(Phase::Framework)) => Style::new().fg(Color::Yellow),
            (true, Some(Phase::LlmWait)) => Style::new().fg(Color::DarkGray),
            _ => Style::new(),
        }
    }

    fn warning(self) -> Style {
        if self.0 {
            Style::new().fg(Color::Red).add_modifier(Modifier::BOLD)
        } else {
            Style::new().add_modifier(Modifier::BOLD)
        }
    }
}

/// Draws `model`; returns how many agents fit.
pub fn draw(frame: &mut Frame<'_>, model: &Model, colours: bool) -> usize {
    let paint = Paint(colours);
    let calls = model.calls();
    let area = frame.area();
    // Calls have a third of the screen at most, and no more than there are.
    let lines = u16::try_from(calls.len()).unwrap_or(u16::MAX).saturating_add(2);
    let for_calls = lines.min(area.height / 3).max(3);
    let [head, main, below, foot] = Layout::vertical([
        Constraint::Length(3),
        Constraint::Min(2),
        Constraint::Length(for_calls),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(header(model, paint)), head);
    match model.selected_row().filter(|_| model.detail) {
        Some(row) => frame.render_widget(Paragraph::new(details(model, row, paint)), main),
        None => agents(frame, main, model, paint),
    }
    running(frame, below, &calls);
    frame.render_widget(Paragraph::new(footer(model, paint)), foot);
    usize::from(main.height.saturating_sub(1))
}

fn header(model: &Model, paint: Paint) -> Vec<Line<'static>> {
    let (m, host) = (&model.sample.view.metrics, &model.sample.host);
    let first = format!(
        "scx_agent  {} agents: {} wait for their model, {} in the framework, {} in a call",
        m.agents, m.agents_llm_wait, m.agents_framework, m.agents_tool
    );
    let busy = model.busy.map_or("-".into(), |b| format!("{b:.1}"));
    let share = |s: Option<f64>| s.map_or("-".into(), |s| format!("{:.0}%", s * 100.0));
    let second = format!(
        "CPUs {busy} of {} busy   pressure: CPU {} memory {} I/O {}",
        host.cpus,
        share(host.cpu),
        share(host.memory),
        share(host.io)
    );
    let gb = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let third = format!(
        "memory {:.1} of {:.1} GB available   {} agents limited, {} MB reclaimed, {} killed",
        gb(host.available),
        gb(host.total),
        m.memory_limited,
        m.memory_reclaimed_mb,
        m.memory_oom_kills
    );
    let pressed = host.memory.is_some_and(|s| s > 0.1);
    let style = if pressed { paint.warning() } else { Style::new() };
    vec![Line::from(first), Line::from(second), Line::from(Span::styled(third, style))]
}

/// Before the name of an agent: it is not of the standard class, it is over its budget of CPU time, or nothing but
/// CPU time is seen of it.
fn marks(agent: &view::Agent) -> String {
    let qos = match agent.qos {
        _ if agent.budget.is_some_and(|b| b.over) => "[over] ",
        Qos::Interactive => "[inter] ",
        Qos::Standard => "",
        Qos::Background => "[back] ",
    };
    format!("{qos}{}", if agent.opaque { "[opaque] " } else { "" })
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::LlmWait => "wait",
        Phase::Framework => "frame",
        Phase::Tool => "call",
    }
}

/// Seconds in at most five characters.
fn short(s: f64) -> String {
    match s {
        s if s < 99.95 => format!("{s:.1}s"),
        s if s < 6000.0 => format!("{:.0}m", s / 60.0),
        s if s < 360_000.0 => format!("{:.0}h", s / 3600.0),
        s => format!("{:.0}d", s / 86_400.0),
    }
}

/// Bytes in at most five characters.
fn size(bytes: u64) -> String {
    let mb = bytes as f64 / f64::from(1 << 20);
    match mb {
        mb if mb < 9999.5 => format!("{mb:.0}M"),
        mb if mb < 1024.0 * 999.5 => format!("{:.0}G", mb / 1024.0),
        mb => format!("{:.1}T", mb / 1024.0 / 1024.0),
    }
}

fn ago(model: &Model, at_ns: u64) -> f64 {
    model.sample.view.now_ns.saturating_sub(at_ns) as f64 / 1e9
}

fn strip_line(row: &Row, paint: Paint) -> Line<'static> {
    let cells = row.strip.iter().map(|p| Span::styled(mark(*p).to_string(), paint.phase(*p)));
    Line::from(cells.collect::<Vec<_>>())
}

fn right(text: String) -> Cell<'static> {
    Cell::from(Line::from(text).right_aligned())
}

fn agents(frame: &mut Frame<'_>, area: Rect, model: &Model, paint: Paint) {
    let rows = model.rows();
    let by = |sort: Sort, name: &str| if model.sort == sort { format!("{name}*") } else { name.to_string() };
    let header = TableRow::new([
        Cell::from(by(Sort::Name, "AGENT")),
        Cell::from("PHASE"),
        right("FOR".into()),
        right(by(Sort::Cpu, "CPU")),
        right(by(Sort::Memory, "MEM")),
        right(by(Sort::Wait, "WAIT")),
        right("CALLS".into()),
        Cell::from("LAST MINUTE"),
    ])
    .style(Style::new().add_modifier(Modifier::BOLD));
    let number = |n: Option<f64>| right(n.map_or("-".into(), |n| format!("{n:.2}")));
    let lines = rows.iter().map(|r| {
        let marker = if Some(r.agent.cgroup_id) == model.selected { ">" } else { " " };
        let phase = Span::styled(phase_name(r.agent.phase), paint.phase(Some(r.agent.phase)));
        TableRow::new([
            Cell::from(format!("{marker}{}{}", marks(&r.agent), shown(&r.agent.name, TEXT_MAX))),
            Cell::from(phase),
            right(short(ago(model, r.agent.since_ns))),
            number(r.cpu),
            right(r.memory.map_or("-".into(), size)),
            number(r.wait),
            right(r.running.to_string()),
            Cell::from(strip_line(r, paint)),
        ])
    });
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(5),
        Constraint::Length(5),
        Constraint::Length(6),
        Constraint::Length(5),
        Constraint::Length(6),
        Constraint::Length(5),
        Constraint::Length(CELLS as u16),
    ];
    let table = Table::new(lines, widths)
        .header(header)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let at = rows.iter().position(|r| Some(r.agent.cgroup_id) == model.selected);
    frame.render_stateful_widget(table, area, &mut TableState::new().with_selected(at));
}

/// An agent's class, weight and budget.
fn class(model: &Model, agent: &view::Agent) -> String {
    let mut text = format!("class   {}", agent.qos);
    if agent.weight > 0 {
        text += &format!(", weight {}", agent.weight);
    }
    if let Some(b) = agent.budget {
        let used = model.sample.usage.get(&agent.cgroup_id).map(|u| u.cpu_us.saturating_sub(b.from_us));
        let s = |us: u64| us as f64 / 1e6;
        let used = used.map_or("-".into(), |us| format!("{:.1}", s(us)));
        let left = lasted(b.ends_ns.saturating_sub(model.sample.view.now_ns) as f64 / 1e9);
        let over = if b.over { "OVER BUDGET, " } else { "" };
        text += &format!("; {over}{used} of {:.0} s of CPU time used, {left} left", s(b.allowed_us));
    }
    text
}

fn details(model: &Model, row: &Row, paint: Paint) -> Vec<Line<'static>> {
    let (a, t) = (&row.agent, &row.agent.totals);
    let number = |n: Option<f64>| n.map_or("-".into(), |n| format!("{n:.2}"));
    let mut phase_s = t.phase_ns.map(|ns| ns as f64 / 1e9);
    phase_s[a.phase as usize] += ago(model, a.since_ns);
    let all: f64 = phase_s.iter().sum::<f64>().max(1e-9);
    let share = |p: Phase| format!("{} {:.0}%", phase_name(p), phase_s[p as usize] / all * 100.0);
    let mut lines = vec![
        Line::from(Span::styled(shown(&a.name, TEXT_MAX), Style::new().add_modifier(Modifier::BOLD))),
        Line::from(format!(
            "phase   {} for {}; known for {}: {}, {}, {}",
            phase_name(a.phase),
            short(ago(model, a.since_ns)),
            lasted(all),
            share(Phase::LlmWait),
            share(Phase::Framework),
            share(Phase::Tool)
        )),
        Line::from(class(model, a)),
        Line::from(format!(
            "now     {} CPUs, {} memory, {} tasks wait for a CPU",
            number(row.cpu),
            row.memory.map_or("-".into(), size),
            number(row.wait)
        )),
        Line::from(format!(
            "calls   {} run, {} finished, {} of them failed; CPU {:.1} s, waited {:.1} s",
            row.running,
            t.calls,
            t.failed,
            t.cpu_ns as f64 / 1e9,
            t.wait_ns as f64 / 1e9
        )),
    ];
    let mut minute = vec![Span::raw("minute  ")];
    minute.extend(strip_line(row, paint).spans);
    minute.push(Span::raw("  (# call, + framework, . waits for its model)"));
    lines.push(Line::from(minute));
    for (i, span) in model.phases(a.cgroup_id).iter().rev().enumerate() {
        let name = if i == 0 { "before  " } else { "        " };
        let (lasted, ago) = (span.lasted_ns as f64 / 1e9, ago(model, span.ended_ns));
        let text = format!("{name}{:<5} for {lasted:.3} s, until {ago:.1} s ago", phase_name(span.phase));
        lines.push(Line::from(text));
    }
    lines
}

fn running(frame: &mut Frame<'_>, area: Rect, calls: &[&AgentCall]) {
    let header = TableRow::new([
        Cell::from("RUNNING CALL"),
        Cell::from("CATEGORY"),
        right("FOR".into()),
        right("CPU".into()),
        right("WAIT".into()),
        right("WIDTH".into()),
        Cell::from("COMMAND"),
    ])
    .style(Style::new().add_modifier(Modifier::BOLD));
    let s = |ns: u64| right(short(ns as f64 / 1e9));
    let fit = usize::from(area.height.saturating_sub(2));
    let lines = calls.iter().take(fit).map(|r| {
        let c = &r.call;
        let command = if c.command.is_empty() { &c.comm } else { &c.command };
        TableRow::new([
            Cell::from(format!(" {}", shown(&c.agent, TEXT_MAX))),
            Cell::from(c.kind.category.name()),
            s(c.wall_ns),
            s(c.cpu_ns),
            s(c.wait_ns),
            right(c.peak_width.to_string()),
            Cell::from(shown(command, TEXT_MAX)),
        ])
    });
    let more = (calls.len() > fit).then(|| TableRow::new([format!(" and {} more", calls.len() - fit)]));
    let widths = [
        Constraint::Length(16),
        Constraint::Length(11),
        Constraint::Length(5),
        Constraint::Length(5),
        Constraint::Length(5),
        Constraint::Length(5),
        Constraint::Fill(1),
    ];
    frame.render_widget(Table::new(lines.chain(more), widths).header(header), area);
}

fn footer(model: &Model, paint: Paint) -> Line<'static> {
    if let Some(trouble) = &model.trouble {
        return Line::from(Span::styled(shown(trouble, TEXT_MAX), paint.warning()));
    }
    if model.editing {
        return Line::from(format!("filter by name: {}_   (Enter keeps it, Esc drops it)", model.filter));
    }
    let mut spans = Vec::new();
    if model.paused {
        spans.push(Span::styled("PAUSED  ", paint.warning()));
    }
    if let Some(replay) = &model.replay {
        spans.push(Span::raw(replay.clone()));
    }
    if !model.filter.is_empty() {
        spans.push(Span::raw(format!("filter {:?}  ", model.filter)));
    }
    spans.push(Span::raw(KEYS));
    Line::from(spans)
}
