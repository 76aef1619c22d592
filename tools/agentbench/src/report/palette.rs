// SPDX-License-Identifier: GPL-2.0-only
//! Colours and line styles: Okabe and Ito's palette, which colour-blind readers can tell apart.

use crate::results::{BASELINE, OURS};

/// How a scheduler is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Style {
    pub rgb: (u8, u8, u8),
    /// Line width in px.
    pub width: u32,
    /// SVG dash pattern; empty for a solid line.
    pub dash: &'static str,
}

impl Style {
    /// `#RRGGBB`, as the SVG back end writes it.
    pub fn hex(&self) -> String {
        let (r, g, b) = self.rgb;
        format!("#{r:02X}{g:02X}{b:02X}")
    }
}

const OTHERS: [(u8, u8, u8); 5] =
    [(0, 158, 115), (204, 121, 167), (86, 180, 233), (230, 159, 0), (153, 142, 30)];
/// Each ideal policy has a grey and a dash pattern of its own.
const IDEAL: [((u8, u8, u8), &str); 4] =
    [((90, 90, 90), "7 4"), ((91, 91, 91), "2 3"), ((92, 92, 92), "9 3 2 3"), ((93, 93, 93), "4 2")];

/// Styles of `schedulers` in order; `(name, is ideal)`.
pub fn styles(schedulers: &[(&str, bool)]) -> Vec<Style> {
    let (mut others, mut ideals) = (0, 0);
    let one = |(name, ideal): &(&str, bool)| match *name {
        _ if *ideal => {
            ideals += 1;
            let (rgb, dash) = IDEAL[(ideals - 1) % IDEAL.len()];
            Style { rgb, width: 1, dash }
        }
        OURS => Style { rgb: (213, 94, 0), width: 3, dash: "" },
        BASELINE => Style { rgb: (0, 114, 178), width: 2, dash: "" },
        _ => {
            // A sixth and later line repeats the colours, one step darker each time.
            let (r, g, b) = OTHERS[others % OTHERS.len()];
            let round = others / OTHERS.len();
            let darker = |c: u8| c.saturating_sub((round * 40) as u8);
            others += 1;
            Style { rgb: (darker(r), darker(g), darker(b)), width: 2, dash: "" }
        }
    };
    schedulers.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_its_own_colour() {
        let names = [("eevdf", false), ("scx_agent", false), ("a", false), ("b", false), ("c", false)];
        let more = [("d", false), ("e", false), ("f", false), ("las", true), ("srpt", true)];
        let all: Vec<String> = styles(&[&names[..], &more[..]].concat()).iter().map(Style::hex).collect();
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
