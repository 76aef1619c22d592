// SPDX-License-Identifier: GPL-2.0-only
//! When to reclaim again where there was too little to take.

use std::time::{Duration, Instant};

/// First pause, doubled each time.
const FIRST: Duration = Duration::from_secs(1);

/// Pauses that get longer each time too little is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Not before this.
    at: Instant,
    pause: Duration,
    longest: Duration,
}

impl Retry {
    /// At once; then after 1 s, 2 s and so on, and at last every `longest`.
    pub fn new(now: Instant, longest: Duration) -> Retry {
        Retry { at: now, pause: FIRST, longest }
    }

    /// True if it may be tried.
    pub fn is_due(&self, now: Instant) -> bool {
        now >= self.at
    }

    /// Too little was found.
    pub fn later(&mut self, now: Instant) {
        self.at = now + self.pause;
        self.pause = (self.pause * 2).min(self.longest);
    }

    /// All that was asked for was found: at once again.
    pub fn anew(&mut self, now: Instant) {
        *self = Retry::new(now, self.longest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gives_nothing_is_asked_less_and_less() {
        let now = Instant::now();
        let mut retry = Retry::new(now, Duration::from_secs(64));
        assert!(retry.is_due(now));
        for s in [1, 2, 4, 8, 16, 32, 64, 64] {
            retry.later(now);
            let at = now + Duration::from_secs(s);
            assert!(retry.is_due(at) && !retry.is_due(at - Duration::from_nanos(1)), "{s} s");
        }
        retry.anew(now);
        assert_eq!(retry, Retry::new(now, Duration::from_secs(64)));
    }
}
