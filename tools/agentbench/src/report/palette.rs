// SPDX-License-Identifier: GPL-2.0-only
//! Which scheduler is drawn how.

use crate::results::{BASELINE, OURS};
use agentplots::Style;

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
        OURS => Style::FIRST,
        BASELINE => Style::SECOND,
        _ => {
            others += 1;
            Style::other(others - 1)
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
