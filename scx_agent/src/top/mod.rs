// SPDX-License-Identifier: GPL-2.0-only
//! The screen of `scx_agent top`: `model` knows what is shown and what keys do, `strip` the last
//! minute's phases, `draw` puts it on a screen of whatever kind, `recording` keeps it for later.

mod draw;
mod model;
mod recording;
mod strip;

pub use draw::draw;
pub use model::{Model, Sample};
pub use recording::{Recorder, Recording};

use ratatui::buffer::Buffer;

/// What is on a screen, as text, without what is blank at the end of lines.
pub fn text(screen: &Buffer) -> String {
    let width = usize::from(screen.area.width).max(1);
    let mut out = String::new();
    for line in screen.content.chunks(width) {
        let text: String = line.iter().map(|cell| cell.symbol()).collect();
        out += text.trim_end();
        out.push('\n');
    }
    out
}

#[cfg(test)]
pub mod arbitrary;
#[cfg(test)]
mod tests;
