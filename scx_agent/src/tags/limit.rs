// SPDX-License-Identifier: GPL-2.0-only
//! How much each agent may say: a token bucket each, so that one that floods the socket loses its
//! own tags only.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Tags that an agent may send at once, and for ever a second.
const BURST: f64 = 100.0;
const PER_S: f64 = 50.0;
/// Agents that are remembered beyond those in debt.
const REMEMBERED: usize = 1024;
/// Time between two log lines on one agent.
const TELL: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
    refused: u64,
    told: Option<Instant>,
}

/// The buckets, by the agent's cgroup; 0 for callers outside agents, all together.
#[derive(Debug, Default)]
pub struct Limits(HashMap<u64, Bucket>);

/// What becomes of a tag.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Taken,
    Refused,
    /// Refused, and so many since it was last said: now is a time to say it.
    Tell(u64),
}

impl Limits {
    /// One more tag of agent `id`.
    pub fn take(&mut self, id: u64, now: Instant) -> Verdict {
        if self.0.len() > REMEMBERED {
            // Full again by now: as good as new.
            self.0.retain(|_, b| now.duration_since(b.at).as_secs_f64() * PER_S + b.tokens < BURST);
        }
        let b = self.0.entry(id).or_insert(Bucket { tokens: BURST, at: now, refused: 0, told: None });
        b.tokens = (b.tokens + now.duration_since(b.at).as_secs_f64() * PER_S).min(BURST);
        b.at = now;
        if b.tokens >= 1.0 {
            b.tokens -= 1.0;
            return Verdict::Taken;
        }
        b.refused += 1;
        match b.told {
            Some(told) if now.duration_since(told) < TELL => Verdict::Refused,
            _ => {
                b.told = Some(now);
                Verdict::Tell(std::mem::take(&mut b.refused))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_costs_the_flooder_only() {
        let (mut limits, now) = (Limits::default(), Instant::now());
        let taken = (0..1000).filter(|_| limits.take(1, now) == Verdict::Taken).count();
        assert_eq!(taken, BURST as usize);
        assert_eq!(limits.take(2, now), Verdict::Taken);
        assert_eq!(limits.take(1, now), Verdict::Refused, "said once");
        let later = now + Duration::from_secs(1);
        let taken = (0..1000).filter(|_| limits.take(1, later) == Verdict::Taken).count();
        assert_eq!(taken, PER_S as usize);
        // 899 + 1 before, 950 since.
        let much_later = later + TELL;
        (0..100).for_each(|_| assert_eq!(limits.take(1, much_later), Verdict::Taken));
        assert_eq!(limits.take(1, much_later), Verdict::Tell(899 + 1 + 950 + 1));
    }

    #[test]
    fn many_agents_are_forgotten_again() {
        let (mut limits, now) = (Limits::default(), Instant::now());
        for id in 0..10_000 {
            limits.take(id, now + Duration::from_millis(id));
        }
        assert!(limits.0.len() <= REMEMBERED + 1, "{}", limits.0.len());
    }
}
