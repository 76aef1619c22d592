// SPDX-License-Identifier: GPL-2.0-only
//! What the scheduler has too little room for, and how much it takes itself.

use crate::stats::Metrics;
use log::warn;
use std::path::Path;
use std::time::{Duration, Instant};

/// Time between two looks, and so between two log lines on one shortage.
const LOOK: Duration = Duration::from_secs(10);

/// How long after it was last met a shortage of slots for calls is one: those calls have ended. The others stay.
const RECENT: Duration = Duration::from_secs(600);
/// Which of [`all`] that is.
const CALLS: usize = 1;

/// How often each shortage has been met, and what that means.
fn all(m: &Metrics) -> [(u64, &'static str); 4] {
    [
        (m.lost_events, "events were lost: phases and calls may be shown wrongly until a restart"),
        (m.no_call_slot, "tool calls had no slot of their own: each of their tasks ranks by itself"),
        (m.no_group_slot, "cgroups have no slot of their own: they share one"),
        (m.no_limit_slot, "cgroups have a cpu.max that is not applied, for want of a slot"),
    ]
}

/// What of them has been said.
#[derive(Debug, Default)]
pub struct Shortages {
    looked: Option<Instant>,
    told: [u64; 4],
    /// When it was last seen that slots for calls were short; None: not since the last look.
    calls: Option<Instant>,
}

impl Shortages {
    /// True once in ten seconds: it is time to [`tell`](Self::tell).
    pub fn due(&mut self) -> bool {
        let due = self.looked.is_none_or(|at| at.elapsed() >= LOOK);
        if due {
            self.looked = Some(Instant::now());
        }
        due
    }

    /// A warning for each that has grown.
    pub fn tell(&mut self, m: &Metrics) {
        self.grown(m).iter().for_each(|line| warn!("{line}"));
    }

    fn grown(&mut self, m: &Metrics) -> Vec<String> {
        let now = all(m);
        if now[CALLS].0 > self.told[CALLS] {
            self.calls = Some(Instant::now());
        }
        let grown = now.iter().zip(self.told).filter(|((n, _), told)| n > told);
        let lines = grown.map(|((n, what), told)| format!("{} more {what}", n - told)).collect();
        self.told = now.map(|(n, _)| n);
        lines
    }

    /// Those that are not over: how often each has been met, and what that means.
    pub fn now(&self, m: &Metrics) -> Vec<String> {
        let over = |i: usize| i == CALLS && self.calls.is_some_and(|at| at.elapsed() >= RECENT);
        let met = all(m).into_iter().enumerate().filter(|(i, (n, _))| *n > 0 && !over(*i));
        met.map(|(_, (n, what))| format!("{n} {what}")).collect()
    }
}

/// Memory of the BPF maps among the descriptors of a process, `/proc/PID/fdinfo`, in bytes.
pub fn maps_bytes(fdinfo: &Path) -> u64 {
    let files = std::fs::read_dir(fdinfo).into_iter().flatten().flatten();
    let texts = files.filter_map(|f| std::fs::read_to_string(f.path()).ok());
    // Programs have a memlock, too.
    let field = |text: &str, name: &str| text.lines().find_map(|l| l.strip_prefix(name)?.trim().parse().ok());
    let mut maps: Vec<(u64, u64)> =
        texts.filter_map(|t| Some((field(&t, "map_id:")?, field(&t, "memlock:")?))).collect();
    maps.sort();
    maps.dedup_by_key(|(id, _)| *id);
    maps.into_iter().map(|(_, bytes)| bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_said_when_it_grows() {
        let mut s = Shortages::default();
        let mut m = Metrics::default();
        assert!(s.due() && !s.due());
        assert!(s.grown(&m).is_empty());
        m.no_group_slot = 3;
        assert_eq!(s.grown(&m), ["3 more cgroups have no slot of their own: they share one"]);
        assert!(s.grown(&m).is_empty());
        m.no_group_slot = 5;
        m.lost_events = 1;
        assert_eq!(s.grown(&m).len(), 2);
    }

    #[test]
    fn what_was_met_long_ago_is_over_but_for_what_it_has_left() {
        let mut s = Shortages::default();
        let m = Metrics { no_call_slot: 2, lost_events: 1, no_limit_slot: 1, ..Metrics::default() };
        assert_eq!(s.now(&m).len(), 3, "met since the last look");
        s.grown(&m);
        assert_eq!(s.now(&m).len(), 3);
        let Some(long_ago) = Instant::now().checked_sub(RECENT) else { return };
        s.calls = Some(long_ago);
        let left = s.now(&m);
        assert!(left.len() == 2 && left.iter().all(|l| !l.contains("tool calls")), "{left:?}");
        s.grown(&Metrics { no_call_slot: 3, ..m.clone() });
        assert_eq!(s.now(&m).len(), 3, "again");
    }

    #[test]
    fn memory_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let map = "pos:\t0\nmap_type:\t2\nmemlock:\t4096\nmap_id:\t7\n";
        for (fd, text) in
            [("3", map), ("4", map), ("5", "memlock:\t50\nprog_id:\t3\n"), ("6", "map_id:\t8\nmemlock:\t4\n")]
        {
            std::fs::write(dir.path().join(fd), text).unwrap();
        }
        assert_eq!(maps_bytes(dir.path()), 4100);
    }
}
