// SPDX-License-Identifier: GPL-2.0-only
//! Results as tables of cells, and those as plain text or markdown.

use crate::figures::{Figure, FIGURES};
use crate::results::{Results, RunResult, ScenarioResult, BASELINE};

/// A table: the first column is text, the others figures.
pub struct Table {
    pub title: String,
    pub head: Vec<String>,
    pub rows: Vec<Row>,
}

pub struct Row {
    pub name: String,
    pub cells: Vec<Cell>,
    /// Simulated, not measured.
    pub ideal: bool,
}

/// A value, and how many times better it is than the baseline's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    pub value: String,
    pub ratio: Option<f64>,
}

impl Cell {
    fn text(&self) -> String {
        match self.ratio {
            Some(r) => format!("{} ({r:.2}x)", self.value),
            None => self.value.clone(),
        }
    }
}

fn row(run: &RunResult, base: Option<&RunResult>, ideal: bool, shown: &[&Figure]) -> Row {
    let base = base.filter(|b| b.scheduler != run.scheduler);
    let cell = |f: &&Figure| Cell {
        value: (f.get)(&run.metrics).map_or("-".into(), |v| f.unit.show(v)),
        ratio: base.and_then(|b| f.ratio(&b.metrics, &run.metrics)),
    };
    Row { name: run.scheduler.clone(), cells: shown.iter().map(cell).collect(), ideal }
}

/// The table of one scenario: schedulers, then ideal policies.
pub fn scenario(s: &ScenarioResult) -> Table {
    let shown: Vec<&Figure> = FIGURES.iter().filter(|f| f.shown).collect();
    let base = s.run(BASELINE);
    let runs = s.runs.iter().map(|r| row(r, base, false, &shown));
    let ideal = s.ideal.iter().map(|r| row(r, base, true, &shown));
    Table {
        title: format!("{} ({} agents, {} calls)", s.name, s.agents.len(), s.calls),
        head: shown.iter().map(|f| f.title.to_string()).collect(),
        rows: runs.chain(ideal).collect(),
    }
}

/// The table of the reaction test, if it ran.
pub fn reactions(results: &Results) -> Option<Table> {
    let base = results.reactions.iter().find(|r| r.scheduler == BASELINE);
    let rows = results.reactions.iter().map(|r| {
        let other = base.filter(|b| b.scheduler != r.scheduler);
        let cell = |ours: f64, theirs: Option<f64>| Cell {
            value: format!("{ours:.1} ms"),
            ratio: theirs.filter(|t| ours > 0.0 && *t > 0.0).map(|t| t / ours),
        };
        Row {
            name: r.scheduler.clone(),
            cells: vec![
                cell(r.p50_ms, other.map(|b| b.p50_ms)),
                cell(r.p95_ms, other.map(|b| b.p95_ms)),
                cell(r.max_ms, other.map(|b| b.max_ms)),
                Cell { value: r.samples.to_string(), ratio: None },
            ],
            ideal: false,
        }
    });
    let first = results.reactions.first()?;
    Some(Table {
        title: format!("react: time until all {} processes of a call run", first.width),
        head: ["p50", "p95", "max", "samples"].map(String::from).to_vec(),
        rows: rows.collect(),
    })
}

/// All tables of `results`.
pub fn all(results: &Results) -> Vec<Table> {
    results.scenarios.iter().map(scenario).chain(reactions(results)).collect()
}

impl Table {
    fn grid(&self) -> Vec<Vec<String>> {
        let name = |r: &Row| match r.ideal {
            true => format!("ideal {}", r.name),
            false => r.name.clone(),
        };
        let line = |r: &Row| [name(r)].into_iter().chain(r.cells.iter().map(Cell::text)).collect();
        self.rows.iter().map(line).collect()
    }

    /// For a terminal: schedulers side by side, one figure a line, which fits where one figure a
    /// column would not.
    pub fn text(&self) -> String {
        let grid = self.grid();
        let mut lines: Vec<Vec<String>> =
            vec![[String::new()].into_iter().chain(grid.iter().map(|r| r[0].clone())).collect()];
        for (i, head) in self.head.iter().enumerate() {
            lines.push([head.clone()].into_iter().chain(grid.iter().map(|r| r[i + 1].clone())).collect());
        }
        format!("{}\n{}", self.title, align(&lines))
    }

    /// For a README.
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let head: Vec<String> = [String::new()].into_iter().chain(self.head.clone()).collect();
        let rule: Vec<String> = (0..head.len()).map(|i| if i == 0 { "---" } else { "---:" }.into()).collect();
        let rows: String = self.grid().iter().map(|r| line(r)).collect();
        format!("**{}**\n\n{}{}{rows}", self.title, line(&head), line(&rule))
    }
}

/// Lines of cells in columns: the first to the left, the others to the right.
pub(crate) fn align(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |c: usize| lines.iter().filter_map(|l| l.get(c)).map(|s| s.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for line in lines {
        let cells = line.iter().zip(&widths).enumerate().map(|(c, (cell, w))| match c {
            0 => format!("{cell:<w$}"),
            _ => format!("{cell:>w$}"),
        });
        let cells: Vec<String> = cells.collect();
        out += &format!("  {}\n", cells.join("  ").trim_end());
    }
    out
}
