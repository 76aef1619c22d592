// SPDX-License-Identifier: GPL-2.0-only
//! Retry groups: calls of the same kind, one after the other, by one agent.

use super::category::Kind;
use serde::{Deserialize, Serialize};

/// From which repeat on calls in a row are a retry group.
const GROUP_FROM: u32 = 3;

/// A call's place in a retry group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Number of the first call of the row.
    pub first: u64,
    /// The how-manieth of the row this is, from 3.
    pub nth: u32,
}

/// A row of calls of the same kind that an agent has made last.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    kind: Kind,
    first: u64,
    len: u32,
}

impl Row {
    /// The row that ends with `call`, after `before`.
    pub fn next(before: Option<&Row>, call: u64, kind: &Kind) -> Row {
        match before {
            Some(row) if row.kind == *kind => {
                Row { kind: kind.clone(), first: row.first, len: row.len.saturating_add(1) }
            }
            _ => Row { kind: kind.clone(), first: call, len: 1 },
        }
    }

    /// The place of its last call, if it is long enough to be a retry group.
    pub fn retry(&self) -> Option<Retry> {
        (self.len >= GROUP_FROM).then_some(Retry { first: self.first, nth: self.len })
    }
}

#[cfg(test)]
mod tests {
    use super::super::category::kind;
    use super::*;

    #[test]
    fn the_third_in_a_row_is_a_retry() {
        let (test, git) = (kind(&["pytest"]), kind(&["git", "diff"]));
        let mut row: Option<Row> = None;
        let mut told = Vec::new();
        for (call, kind) in [&test, &test, &test, &test, &git, &test, &test].into_iter().enumerate() {
            let next = Row::next(row.as_ref(), call as u64, kind);
            told.push(next.retry().map(|r| (r.first, r.nth)));
            row = Some(next);
        }
        assert_eq!(told, [None, None, Some((0, 3)), Some((0, 4)), None, None, None]);
    }
}
