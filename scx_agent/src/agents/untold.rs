// SPDX-License-Identifier: GPL-2.0-only
//! What agents do too much of to be told of each: how often that is said.

/// Time between two log lines on one agent, in ns.
const TELL_NS: u64 = 10_000_000_000;

/// Calls and helpers of an agent that the kernel half has only counted.
#[derive(Debug, Default)]
pub struct Untold {
    count: u64,
    /// Of those, calls without a slot.
    no_slot: u64,
    /// Since when they are counted; CLOCK_MONOTONIC ns.
    since_ns: Option<u64>,
}

impl Untold {
    /// So many more, at `at_ns`. A sentence, where it is time for one: at the first, and then once in
    /// ten seconds.
    pub fn more(&mut self, at_ns: u64, count: u32, no_slot: u32) -> Option<String> {
        self.count += u64::from(count);
        self.no_slot += u64::from(no_slot);
        let passed_ns = self.since_ns.map(|since| at_ns.saturating_sub(since));
        if passed_ns.is_some_and(|ns| ns < TELL_NS) {
            return None;
        }
        let mut said =
            format!("begins more calls and helpers than are shown: {} were only counted", self.count);
        if let Some(ns) = passed_ns {
            said += &format!(" in {} s", ns / 1_000_000_000);
        }
        if self.no_slot > 0 {
            said += &format!(
                "; {} of its calls rank task by task, as it has too many of which something is left running",
                self.no_slot
            );
        }
        *self = Untold { since_ns: Some(at_ns), ..Untold::default() };
        Some(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_in_ten_seconds() {
        let mut untold = Untold::default();
        let first = untold.more(5, 40, 0).unwrap();
        assert!(first.ends_with(": 40 were only counted"), "{first}");
        assert_eq!(untold.more(TELL_NS, 100, 0), None);
        assert_eq!(untold.more(TELL_NS + 1, 100, 0), None);
        let then = untold.more(2 * TELL_NS, 100, 3).unwrap();
        assert!(
            then.contains(": 300 were only counted in 19 s") && then.contains("; 3 of its calls"),
            "{then}"
        );
        assert_eq!(untold.more(3 * TELL_NS - 1, 1, 0), None);
    }
}
