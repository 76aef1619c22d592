// SPDX-License-Identifier: GPL-2.0-only
//! Colours and line styles: Okabe and Ito's palette, which colour-blind readers can tell apart.

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Style {
    pub rgb: (u8, u8, u8),
    /// Line width in px.
    pub width: u32,
    /// SVG dash pattern; empty for a solid line.
    pub dash: &'static str,
}

/// The palette without the two colours that [`Style::FIRST`] and [`Style::SECOND`] have.
const OTHERS: [(u8, u8, u8); 5] =
    [(0, 158, 115), (204, 121, 167), (86, 180, 233), (230, 159, 0), (153, 142, 30)];

impl Style {
    /// The line that a plot is about.
    pub const FIRST: Style = Style { rgb: (213, 94, 0), width: 3, dash: "" };
    /// What it is compared with.
    pub const SECOND: Style = Style { rgb: (0, 114, 178), width: 2, dash: "" };

    /// Line number `n` of the others. A sixth and later line repeats the colours, one step darker
    /// each time.
    pub fn other(n: usize) -> Style {
        let (r, g, b) = OTHERS[n % OTHERS.len()];
        let round = n / OTHERS.len();
        let darker = |c: u8| c.saturating_sub((round * 40).min(255) as u8);
        Style { rgb: (darker(r), darker(g), darker(b)), width: 2, dash: "" }
    }

    /// Line number `n` of a plot whose lines are all alike.
    pub fn nth(n: usize) -> Style {
        match n {
            0 => Style { width: 2, ..Style::FIRST },
            1 => Style::SECOND,
            n => Style::other(n - 2),
        }
    }

    /// `#RRGGBB`, as the SVG back end writes it.
    pub fn hex(&self) -> String {
        let (r, g, b) = self.rgb;
        format!("#{r:02X}{g:02X}{b:02X}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_plot_have_colours_of_their_own() {
        let all: std::collections::BTreeSet<_> = (0..12).map(|n| Style::nth(n).hex()).collect();
        assert_eq!(all.len(), 12);
    }
}
