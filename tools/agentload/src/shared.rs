// SPDX-License-Identifier: GPL-2.0-only
//! The memory that the frameworks share with the parent: one writer per slot, so that recording
//! a call costs a few stores and no system call.

use crate::plan::Agent;
use crate::sys;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// State of a slot: nothing yet, finished well, or failed.
pub const NONE: u32 = 0;
pub const OK: u32 = 1;
pub const FAILED: u32 = 2;

/// A tool call; times are CLOCK_MONOTONIC ns.
#[repr(C)]
pub struct CallSlot {
    pub start_ns: AtomicU64,
    pub end_ns: AtomicU64,
    pub pid: AtomicU32,
    pub state: AtomicU32,
}

/// A turn; times are CLOCK_MONOTONIC ns.
#[repr(C)]
pub struct TurnSlot {
    pub due_ns: AtomicU64,
    pub woken_ns: AtomicU64,
    pub done_ns: AtomicU64,
    pub state: AtomicU64,
}

/// How a stage of a call got its memory; times are CLOCK_MONOTONIC ns. Written by the burner.
#[repr(C)]
pub struct StepSlot {
    /// When it asked for the first page; 0 if it grew by none.
    pub start_ns: AtomicU64,
    /// When it had the last one; 0 if it never did.
    pub end_ns: AtomicU64,
}

/// An agent.
#[repr(C)]
pub struct AgentSlot {
    /// When it had nothing left to do; 0 while it runs.
    pub end_ns: AtomicU64,
    pub turns: AtomicU32,
    pub calls: AtomicU32,
}

/// Where an agent's slots begin.
#[derive(Clone, Copy, Debug)]
pub struct Base {
    pub agent: usize,
    pub turn: usize,
    pub call: usize,
    pub step: usize,
}

/// The whole area. Copies refer to the same memory, which lives until the process ends.
#[derive(Clone)]
pub struct Shared {
    start_ns: *const AtomicU64,
    agents: *const AgentSlot,
    turns: *const TurnSlot,
    calls: *const CallSlot,
    steps: *const StepSlot,
    bases: Vec<Base>,
    totals: Base,
    /// By which burners find it, if they are to, and where the steps begin in it, in bytes.
    fd: Option<i32>,
    steps_at: usize,
}

impl Shared {
    /// Room for every agent, turn, call and stage of the plan, with `burners` for them to write to as
    /// well. Fails when memory is short.
    pub fn new(plan: &[Agent], burners: bool) -> io::Result<Shared> {
        let mut next = Base { agent: 0, turn: 0, call: 0, step: 0 };
        let mut bases = Vec::with_capacity(plan.len());
        for a in plan {
            bases.push(next);
            next.agent += 1;
            next.turn += a.turns.len();
            next.call += a.turns.iter().map(|t| t.calls.len()).sum::<usize>();
            next.step += a.turns.iter().flat_map(|t| &t.calls).map(|c| c.stages.len()).sum::<usize>();
        }
        let head = 64;
        let agents = head + next.agent * size_of::<AgentSlot>();
        let turns = agents + next.turn * size_of::<TurnSlot>();
        let calls = turns + next.call * size_of::<CallSlot>();
        let bytes = calls + next.step * size_of::<StepSlot>();
        let (p, fd) = match burners {
            true => sys::map_file(bytes).map(|(p, fd)| (p, Some(fd)))?,
            false => (sys::map_anonymous(bytes, true)?, None),
        };
        // SAFETY: offsets are within the mapping and multiples of 8; all-zero bytes are valid.
        unsafe {
            Ok(Shared {
                start_ns: p.cast(),
                agents: p.add(head).cast(),
                turns: p.add(agents).cast(),
                calls: p.add(turns).cast(),
                steps: p.add(calls).cast(),
                bases,
                totals: next,
                fd,
                steps_at: calls,
            })
        }
    }

    /// Where the slots of an agent (its index in the plan) begin.
    pub fn base(&self, agent: usize) -> Base {
        self.bases[agent]
    }

    /// The slot of an agent. Panics when out of range, as the two below.
    pub fn agent(&self, i: usize) -> &AgentSlot {
        assert!(i < self.totals.agent);
        // SAFETY: in bounds; only atomics inside.
        unsafe { &*self.agents.add(i) }
    }

    /// A turn's slot.
    pub fn turn(&self, i: usize) -> &TurnSlot {
        assert!(i < self.totals.turn);
        // SAFETY: in bounds; only atomics inside.
        unsafe { &*self.turns.add(i) }
    }

    /// A call's slot.
    pub fn call(&self, i: usize) -> &CallSlot {
        assert!(i < self.totals.call);
        // SAFETY: in bounds; only atomics inside.
        unsafe { &*self.calls.add(i) }
    }

    /// A stage's slot.
    pub fn step(&self, i: usize) -> &StepSlot {
        assert!(i < self.totals.step);
        // SAFETY: in bounds; only atomics inside.
        unsafe { &*self.steps.add(i) }
    }

    /// For [`Steps::find`] in a program started from here: where the slots begin with the `i`-th; None
    /// without burners.
    pub fn steps_from(&self, i: usize) -> Option<String> {
        Some(format!("{}:{}", self.fd?, self.steps_at + i * size_of::<StepSlot>()))
    }

    /// The start of the run, CLOCK_MONOTONIC ns; written before the gate opens.
    pub fn start(&self) -> &AtomicU64 {
        // SAFETY: the head of the mapping.
        unsafe { &*self.start_ns }
    }

    /// `(agents done, calls done)`.
    pub fn progress(&self) -> (u32, u32) {
        (0..self.totals.agent).fold((0, 0), |(a, c), i| {
            let s = self.agent(i);
            (a + (s.end_ns.load(Relaxed) != 0) as u32, c + s.calls.load(Relaxed))
        })
    }

    /// Number of calls in the plan.
    pub fn calls_total(&self) -> usize {
        self.totals.call
    }
}

/// The slots of one call's stages, as its burner has them.
pub struct Steps {
    first: *const StepSlot,
    count: usize,
}

impl Steps {
    /// Maps the slots of `count` stages from what [`Shared::steps_from`] said: `FD:OFFSET`.
    pub fn find(text: &str, count: usize) -> Option<Steps> {
        let (fd, at) = text.split_once(':')?;
        let at: usize = at.parse().ok()?;
        let end = count.checked_mul(size_of::<StepSlot>())?.checked_add(at)?;
        if !at.is_multiple_of(align_of::<StepSlot>()) {
            return None;
        }
        let p = sys::map_fd(fd.parse().ok()?, end).ok()?;
        // SAFETY: `at` is within the mapping.
        Some(Steps { first: unsafe { p.add(at) }.cast(), count })
    }

    /// The slot of the call's `i`-th stage.
    pub fn get(&self, i: usize) -> &StepSlot {
        assert!(i < self.count);
        // SAFETY: in bounds; only atomics inside. Whoever started us keeps the file this long.
        unsafe { &*self.first.add(i) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Call, Stage, Turn};

    #[test]
    fn a_burner_finds_its_slots() {
        let stages = |n| vec![Stage { wait_ms: 0.0, cpu_ms: 0.0, width: 1, mem_mb: 1.0 }; n];
        let call = |call, n| Call { call, cat: "test".into(), offset_ms: 0.0, stages: stages(n) };
        let turn = |calls| Turn { think_ms: 0.0, framework_ms: 0.0, wait_cpu_pct: 0.0, calls };
        let agent = |name: &str, turns| Agent {
            agent: name.into(),
            comm: "node".into(),
            start_ms: 0,
            base_mb: 0.0,
            turns,
        };
        let plan = [agent("a", vec![turn(vec![call(0, 3)])]), agent("b", vec![turn(vec![call(0, 2)])])];
        let mem = Shared::new(&plan, true).unwrap();
        assert_eq!(mem.base(1).step, 3);
        let steps = Steps::find(&mem.steps_from(3).unwrap(), 2).unwrap();
        steps.get(1).end_ns.store(7, Relaxed);
        assert_eq!(mem.step(4).end_ns.load(Relaxed), 7);
        for wrong in ["", "1", "x:0", "3:1", "-1:0"] {
            assert!(Steps::find(wrong, 1).is_none(), "{wrong}");
        }
        assert!(Shared::new(&plan, false).unwrap().steps_from(0).is_none());
    }
}
