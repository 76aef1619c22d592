// SPDX-License-Identifier: GPL-2.0-only
//! What is shown, and what keys do; knows nothing of terminals.

use super::strip::{Strip, CELLS, STRIP_NS};
use crate::agents::{Phase, Span};
use crate::usage::{Host, Usage};
use crate::view::{Agent, AgentCall, View};
use ratatui::crossterm::event::KeyCode;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Longest filter, in characters.
const FILTER_MAX: usize = 40;

/// One look at everything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub view: View,
    /// By cgroup.
    pub usage: BTreeMap<u64, Usage>,
    pub host: Host,
}

/// One agent as a line. Rates are None before the second look.
#[derive(Clone, Debug)]
pub struct Row {
    pub agent: Agent,
    /// CPUs used.
    pub cpu: Option<f64>,
    /// In bytes; None without the memory controller.
    pub memory: Option<u64>,
    /// Tasks of tool calls that are runnable and do not run.
    pub wait: Option<f64>,
    /// Tool calls that run.
    pub running: usize,
    pub strip: [Option<Phase>; CELLS],
}

/// What the lines are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Cpu,
    Memory,
    Wait,
    Name,
}

impl Sort {
    fn next(self) -> Sort {
        match self {
            Sort::Cpu => Sort::Memory,
            Sort::Memory => Sort::Wait,
            Sort::Wait => Sort::Name,
            Sort::Name => Sort::Cpu,
        }
    }
}

/// The state of the screen.
#[derive(Debug)]
pub struct Model {
    pub sample: Sample,
    /// CPUs of the host that are busy.
    pub busy: Option<f64>,
    rows: Vec<Row>,
    strips: BTreeMap<u64, Strip>,
    pub sort: Sort,
    /// Only agents whose name contains this.
    pub filter: String,
    /// Keys go into the filter.
    pub editing: bool,
    /// New looks are not taken in.
    pub paused: bool,
    /// The agent with the cursor, by cgroup.
    pub selected: Option<u64>,
    /// That agent alone is shown.
    pub detail: bool,
    /// Why the last look failed.
    pub trouble: Option<String>,
    /// Where in a recording this is.
    pub replay: Option<String>,
}

impl Default for Model {
    fn default() -> Self {
        Model {
            sample: Sample::default(),
            busy: None,
            rows: Vec::new(),
            strips: BTreeMap::new(),
            sort: Sort::Cpu,
            filter: String::new(),
            editing: false,
            paused: false,
            selected: None,
            detail: false,
            trouble: None,
            replay: None,
        }
    }
}

/// `new - old` of something in `unit`ths of a second, for each second between them.
fn rate(new: u64, old: u64, unit: f64, seconds: f64) -> Option<f64> {
    (seconds > 0.0).then(|| new.saturating_sub(old) as f64 / unit / seconds)
}

impl Model {
    /// From when on phases may not be known yet; for the question to the daemon.
    pub fn known_ns(&self) -> u64 {
        let newest = self.strips.values().map(Strip::known_ns).max().unwrap_or(0);
        // Those of other agents may come a little later.
        newest.saturating_sub(1_000_000_000).max(self.sample.view.now_ns.saturating_sub(STRIP_NS))
    }

    /// Forgets all looks, and keeps what keys have set.
    pub fn forget(&mut self) {
        self.sample = Sample::default();
        self.rows.clear();
        self.strips.clear();
    }

    /// Takes a new look in.
    pub fn take(&mut self, new: Sample) {
        self.trouble = None;
        if self.paused {
            return;
        }
        let old = std::mem::replace(&mut self.sample, new);
        let new = &self.sample;
        let now_ns = new.view.now_ns;
        // A daemon that was restarted counts from the beginning.
        let seconds = match old.view.now_ns {
            0 => 0.0,
            before => now_ns.saturating_sub(before) as f64 / 1e9,
        };
        self.busy = rate(new.host.cpu_us, old.host.cpu_us, 1e6, seconds);
        let before: BTreeMap<u64, &Agent> = old.view.agents.iter().map(|a| (a.cgroup_id, a)).collect();
        let mut running = BTreeMap::<u64, usize>::new();
        for call in &new.view.calls {
            *running.entry(call.cgroup_id).or_default() += 1;
        }
        let mut strips = std::mem::take(&mut self.strips);
        self.rows.clear();
        for agent in &new.view.agents {
            let id = agent.cgroup_id;
            let mut strip = strips.remove(&id).unwrap_or_default();
            strip.add(&agent.history, now_ns);
            let usage = new.usage.get(&id);
            let pair = before.get(&id);
            self.rows.push(Row {
                agent: agent.clone(),
                cpu: usage.zip(old.usage.get(&id)).and_then(|(n, o)| rate(n.cpu_us, o.cpu_us, 1e6, seconds)),
                memory: usage.and_then(|u| u.memory),
                wait: pair.and_then(|o| rate(agent.totals.wait_ns, o.totals.wait_ns, 1e9, seconds)),
                running: running.get(&id).copied().unwrap_or(0),
                strip: strip.cells(agent.phase, agent.since_ns, now_ns),
            });
            self.strips.insert(id, strip);
        }
        if self.selected.is_some_and(|id| !self.strips.contains_key(&id)) {
            (self.selected, self.detail) = (None, false);
        }
    }

    /// The agents to show, in order.
    pub fn rows(&self) -> Vec<&Row> {
        let mut rows: Vec<&Row> =
            self.rows.iter().filter(|r| r.agent.name.contains(self.filter.as_str())).collect();
        let more = |a: Option<f64>, b: Option<f64>| {
            b.unwrap_or(-1.0).partial_cmp(&a.unwrap_or(-1.0)).unwrap_or(Ordering::Equal)
        };
        rows.sort_by(|a, b| {
            let by = match self.sort {
                Sort::Cpu => more(a.cpu, b.cpu),
                Sort::Memory => b.memory.cmp(&a.memory),
                Sort::Wait => more(a.wait, b.wait),
                Sort::Name => Ordering::Equal,
            };
            by.then_with(|| a.agent.name.cmp(&b.agent.name)).then(a.agent.cgroup_id.cmp(&b.agent.cgroup_id))
        });
        rows
    }

    /// The agent with the cursor.
    pub fn selected_row(&self) -> Option<&Row> {
        self.rows.iter().find(|r| Some(r.agent.cgroup_id) == self.selected)
    }

    /// The last phases of an agent that are over, the oldest first.
    pub fn phases(&self, cgroup_id: u64) -> Vec<Span> {
        self.strips.get(&cgroup_id).map(Strip::phases).unwrap_or_default()
    }

    /// Running calls of what is shown, the oldest first.
    pub fn calls(&self) -> Vec<&AgentCall> {
        let shown = |c: &&AgentCall| match self.detail {
            true => Some(c.cgroup_id) == self.selected,
            false => c.call.agent.contains(self.filter.as_str()),
        };
        self.sample.view.calls.iter().filter(shown).collect()
    }

    /// A key was pressed; `page` lines are on the screen. True if that is the end.
    pub fn key(&mut self, key: KeyCode, page: usize) -> bool {
        if self.editing {
            match key {
                KeyCode::Enter => self.editing = false,
                KeyCode::Esc => (self.editing, self.filter) = (false, String::new()),
                KeyCode::Backspace => drop(self.filter.pop()),
                KeyCode::Char(c) if !c.is_control() && self.filter.chars().count() < FILTER_MAX => {
                    self.filter.push(c)
                }
                _ => (),
            }
            return false;
        }
        let page = page.max(1) as isize;
        match key {
            KeyCode::Char('q') => return true,
            KeyCode::Esc if self.detail => self.detail = false,
            KeyCode::Esc if !self.filter.is_empty() => self.filter.clear(),
            KeyCode::Esc => self.selected = None,
            KeyCode::Char('/') => (self.editing, self.detail) = (true, false),
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Enter => self.detail = !self.detail && self.selected.is_some(),
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::PageUp => self.step(-page),
            KeyCode::PageDown => self.step(page),
            KeyCode::Home => self.step(isize::MIN / 2),
            KeyCode::End => self.step(isize::MAX / 2),
            _ => (),
        }
        false
    }

    /// Moves the cursor by `by` lines; the first step puts it on the first line.
    fn step(&mut self, by: isize) {
        let ids: Vec<u64> = self.rows().iter().map(|r| r.agent.cgroup_id).collect();
        let Some(last) = ids.len().checked_sub(1) else { return };
        let at = self.selected.and_then(|id| ids.iter().position(|i| *i == id));
        let to = at.map_or(0, |at| (at as isize).saturating_add(by).clamp(0, last as isize) as usize);
        self.selected = Some(ids[to]);
    }
}
