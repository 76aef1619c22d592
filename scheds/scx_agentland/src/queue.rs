// SPDX-License-Identifier: GPL-2.0-only
//! Who runs next, of those that wait: as the two queues of the kernel half, but for one bound.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};

/// Where a task ranks. Keys and places are times in ns; the lowest runs first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// By its key, before all that is long.
    Key(u64),
    /// A long call's, by its place among those.
    Long(u64),
}

/// A key; wraps around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key(u64);

impl Ord for Key {
    fn cmp(&self, other: &Key) -> Ordering {
        match (self == other, agentpolicy::before(self.0, other.0)) {
            (true, _) => Ordering::Equal,
            (_, true) => Ordering::Less,
            _ => Ordering::Greater,
        }
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Key) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Rank, and among equals the number of the arrival.
type Slot = (Key, u64);

/// Tasks that wait for a CPU.
pub struct Queue<T> {
    short: BTreeMap<Slot, T>,
    long: BTreeMap<Slot, T>,
    /// All arrivals, oldest first: when, in which queue, and where. Some have been served since.
    arrivals: VecDeque<(u64, bool, Slot)>,
    next: u64,
    max_wait_ns: u64,
    /// Tasks that ran because they had waited for the longest time allowed.
    pub nr_overdue: u64,
}

impl<T> Queue<T> {
    /// Nothing waits much longer than `max_wait_ns` while the queue is served.
    pub fn new(max_wait_ns: u64) -> Queue<T> {
        let (short, long) = (BTreeMap::new(), BTreeMap::new());
        Queue { short, long, arrivals: VecDeque::new(), next: 0, max_wait_ns, nr_overdue: 0 }
    }

    /// Tasks that wait.
    pub fn len(&self) -> usize {
        self.short.len() + self.long.len()
    }

    /// Adds a task at `now_ns`, which does not go back.
    pub fn push(&mut self, rank: Rank, task: T, now_ns: u64) {
        let (key, long) = match rank {
            Rank::Key(key) => (key, false),
            Rank::Long(place) => (place, true),
        };
        let slot = (Key(key), self.next);
        self.next += 1;
        if long { &mut self.long } else { &mut self.short }.insert(slot, task);
        self.arrivals.push_back((now_ns, long, slot));
    }

    /// The task to run next, and its rank: whoever has waited for too long, as if it were a new call,
    /// else by rank, long ones last.
    pub fn pop(&mut self, now_ns: u64) -> Option<(Rank, T)> {
        while let Some(&(since_ns, long, slot)) = self.arrivals.front() {
            let queue = if long { &mut self.long } else { &mut self.short };
            let overdue = now_ns.saturating_sub(since_ns) >= self.max_wait_ns;
            if queue.contains_key(&slot) && !overdue {
                break;
            }
            self.arrivals.pop_front();
            if let Some(task) = queue.remove(&slot) {
                self.nr_overdue += 1;
                return Some((Rank::Key(now_ns), task));
            }
        }
        match self.short.pop_first() {
            Some(((key, _), task)) => Some((Rank::Key(key.0), task)),
            None => self.long.pop_first().map(|((place, _), task)| (Rank::Long(place.0), task)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(q: &mut Queue<&'static str>, now_ns: u64) -> Vec<&'static str> {
        std::iter::from_fn(|| q.pop(now_ns)).map(|(_, task)| task).collect()
    }

    #[test]
    fn lowest_key_first_then_long_by_place() {
        let mut q = Queue::new(1000);
        q.push(Rank::Long(5), "long 5", 0);
        q.push(Rank::Key(200), "200", 0);
        q.push(Rank::Long(3), "long 3", 0);
        q.push(Rank::Key(100), "100", 0);
        q.push(Rank::Key(200), "200, later", 0);
        assert_eq!(q.len(), 5);
        assert_eq!(drain(&mut q, 999), ["100", "200", "200, later", "long 3", "long 5"]);
        assert_eq!((q.len(), q.pop(2000)), (0, None));
    }

    #[test]
    fn keys_wrap_around() {
        let mut q = Queue::new(u64::MAX);
        q.push(Rank::Key(5), "after", 0);
        q.push(Rank::Key(u64::MAX - 5), "before", 0);
        assert_eq!(drain(&mut q, 0), ["before", "after"]);
    }

    #[test]
    fn nothing_waits_for_too_long() {
        let mut q = Queue::new(1000);
        q.push(Rank::Long(1 << 40), "long", 100);
        q.push(Rank::Key(1 << 40), "low", 200);
        q.push(Rank::Key(1), "first", 900);
        assert_eq!(q.pop(1099), Some((Rank::Key(1), "first")));
        for now_ns in [1100, 1101] {
            q.push(Rank::Key(0), "new", now_ns);
        }
        assert_eq!(q.pop(1199), Some((Rank::Key(1199), "long")));
        assert_eq!(drain(&mut q, 1199), ["new", "new", "low"]);
        assert_eq!(q.nr_overdue, 1);
        assert!(q.arrivals.len() <= 3, "the served are forgotten in time");
        q.push(Rank::Key(0), "last", 5000);
        assert_eq!(drain(&mut q, 5000), ["last"]);
        assert_eq!(q.pop(5001), None);
        assert!(q.arrivals.is_empty());
    }
}
