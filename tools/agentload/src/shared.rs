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
}

/// The whole area. Copies refer to the same memory, which lives until the process ends.
#[derive(Clone)]
pub struct Shared {
    start_ns: *const AtomicU64,
    agents: *const AgentSlot,
    turns: *const TurnSlot,
    calls: *const CallSlot,
    bases: Vec<Base>,
    totals: Base,
}

impl Shared {
    /// Room for every agent, turn and call of the plan. Fails when memory is short.
    pub fn new(plan: &[Agent]) -> io::Result<Shared> {
        let mut next = Base { agent: 0, turn: 0, call: 0 };
        let mut bases = Vec::with_capacity(plan.len());
        for a in plan {
            bases.push(next);
            next.agent += 1;
            next.turn += a.turns.len();
            next.call += a.turns.iter().map(|t| t.calls.len()).sum::<usize>();
        }
        let head = 64;
        let agents = head + next.agent * size_of::<AgentSlot>();
        let turns = agents + next.turn * size_of::<TurnSlot>();
        let calls = turns + next.call * size_of::<CallSlot>();
        let p = sys::map_anonymous(calls, true)?;
        // SAFETY: offsets are within the mapping and multiples of 8; all-zero bytes are valid.
        unsafe {
            Ok(Shared {
                start_ns: p.cast(),
                agents: p.add(head).cast(),
                turns: p.add(agents).cast(),
                calls: p.add(turns).cast(),
                bases,
                totals: next,
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
