// SPDX-License-Identifier: GPL-2.0-only
//! Tables of the memory experiments: a line for each control.

use crate::table::align;

/// A head and lines of cells.
pub struct Table {
    lines: Vec<Vec<String>>,
}

impl Table {
    pub fn new(head: &[&str]) -> Table {
        Table { lines: vec![head.iter().map(|h| h.to_string()).collect()] }
    }

    pub fn row(&mut self, cells: &[String]) {
        self.lines.push(cells.to_vec());
    }

    /// For a terminal.
    pub fn text(&self) -> String {
        align(&self.lines)
    }

    /// For a document.
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let (head, rows) = self.lines.split_first().map_or((&[][..], &[][..]), |(h, r)| (h.as_slice(), r));
        let rule = format!("|{}\n", "---|".repeat(head.len()));
        line(head) + &rule + &rows.iter().map(|r| line(r)).collect::<String>()
    }
}
