// SPDX-License-Identifier: GPL-2.0-only
//! The phases of an agent over the last minute.

use crate::agents::{Phase, Span};
use std::collections::VecDeque;

/// What a strip shows, in ns.
pub const STRIP_NS: u64 = 60_000_000_000;
/// Its cells, of 4 s each.
pub const CELLS: usize = 15;
const CELL_NS: u64 = STRIP_NS / CELLS as u64;

/// Phases that are over, the oldest first.
#[derive(Clone, Debug, Default)]
pub struct Strip(VecDeque<Span>);

impl Strip {
    /// Adds what is new of `history`, and forgets what is too old at `now_ns`.
    pub fn add(&mut self, history: &[Span], now_ns: u64) {
        let known = self.0.back().map_or(0, |s| s.ended_ns);
        self.0.extend(history.iter().filter(|s| s.ended_ns > known));
        while self.0.front().is_some_and(|s| s.ended_ns.saturating_add(STRIP_NS + CELL_NS) < now_ns) {
            self.0.pop_front();
        }
    }

    /// The phases that are over, the oldest first.
    pub fn phases(&self) -> Vec<Span> {
        self.0.iter().copied().collect()
    }

    /// When the newest phase that is over ended; 0 if there is none.
    pub fn known_ns(&self) -> u64 {
        self.0.back().map_or(0, |s| s.ended_ns)
    }

    /// The phase that each cell was mostly in, the oldest first, None where that is not known. Cells
    /// begin at fixed times, so that they do not flicker; the last one is not over yet.
    pub fn cells(&self, phase: Phase, since_ns: u64, now_ns: u64) -> [Option<Phase>; CELLS] {
        let end = now_ns.div_ceil(CELL_NS).saturating_mul(CELL_NS);
        let current = Span { phase, ended_ns: now_ns, lasted_ns: now_ns.saturating_sub(since_ns) };
        std::array::from_fn(|i| {
            let to = end.saturating_sub((CELLS - 1 - i) as u64 * CELL_NS);
            let from = to.saturating_sub(CELL_NS);
            let mut in_phase = [0u64; 3];
            for s in self.0.iter().chain([&current]) {
                let (began, ended) = (s.ended_ns.saturating_sub(s.lasted_ns).max(from), s.ended_ns.min(to));
                in_phase[s.phase as usize] += ended.saturating_sub(began);
            }
            [Phase::Tool, Phase::Framework, Phase::LlmWait]
                .into_iter()
                .filter(|p| in_phase[*p as usize] > 0)
                .max_by_key(|p| in_phase[*p as usize])
        })
    }
}

/// A phase as one character, told apart without colours.
pub fn mark(phase: Option<Phase>) -> char {
    match phase {
        None => ' ',
        Some(Phase::LlmWait) => '.',
        Some(Phase::Framework) => '+',
        Some(Phase::Tool) => '#',
    }
}
