// SPDX-License-Identifier: GPL-2.0-only
//! What `scx_agent report` says of recorded agents: `source` reads what there is into
//! [`track::Track`]s, `figures`, `demands` and `together` make figures of them, `table` puts those into words, `html` on a page
//! with plots.

mod demands;
mod dist;
mod figures;
mod html;
mod recorded;
mod source;
mod table;
mod tasks;
mod together;
mod track;

pub use figures::Bounds;
pub use source::read;
pub use track::Track;

use anyhow::Result;
use figures::{figures, Figures};
use serde::Serialize;

/// The set of all agents.
const ALL: &str = "all";

/// All that is said.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What could not be used, and why.
    pub notes: Vec<String>,
    pub bounds: Bounds,
    /// Each set, in the order in which they came, and, of several, all agents as `all` at the end.
    pub sets: Vec<Figures>,
}

impl Report {
    /// Of `tracks`.
    pub fn of(tracks: &[Track], bounds: Bounds, notes: Vec<String>) -> Report {
        let sets = sets(tracks).iter().map(|(name, of)| figures(name, of, bounds)).collect();
        Report { notes, bounds, sets }
    }

    /// As text.
    pub fn text(&self) -> String {
        table::text(self)
    }

    /// As one page with plots of `tracks`, from which it was made.
    ///
    /// # Errors
    /// A plot cannot be drawn.
    pub fn html(&self, tracks: &[Track]) -> Result<String> {
        html::page(self, &sets(tracks))
    }
}

/// Tracks by set.
fn sets(tracks: &[Track]) -> Vec<(String, Vec<&Track>)> {
    let mut sets = Vec::<(String, Vec<&Track>)>::new();
    for t in tracks {
        match sets.iter_mut().find(|(name, _)| *name == t.set) {
            Some((_, of)) => of.push(t),
            None => sets.push((t.set.clone(), vec![t])),
        }
    }
    if sets.len() != 1 {
        sets.push((ALL.into(), tracks.iter().collect()));
    }
    sets
}

#[cfg(test)]
mod tests;
