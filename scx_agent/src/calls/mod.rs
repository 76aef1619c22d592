// SPDX-License-Identifier: GPL-2.0-only
//! The tool calls of all agents: those that run, and the last that have finished.

mod record;

pub use record::{Call, Status};

use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};

/// Finished calls that are remembered, of all agents together.
const FINISHED: usize = 4096;

/// The calls, kept up to date from the kernel half's records.
#[derive(Debug, Default)]
pub struct Calls {
    /// By the slot that the kernel half keeps them in: one whose end was lost makes way for the
    /// next in its slot.
    running: BTreeMap<u32, Call>,
    finished: VecDeque<Call>,
}

impl Calls {
    /// A call has begun in `slot` of the kernel half.
    pub fn begin(&mut self, slot: u32, call: Call) {
        self.running.insert(slot, call);
    }

    /// The call with number `id` in `slot` has ended; `end` notes how.
    pub fn end(&mut self, slot: u32, id: u64, end: impl FnOnce(&mut Call)) {
        if self.running.get(&slot).is_none_or(|c| c.call != id) {
            return;
        }
        let Some(mut call) = self.running.remove(&slot) else { return };
        end(&mut call);
        if self.finished.len() == FINISHED {
            self.finished.pop_front();
        }
        self.finished.push_back(call);
    }

    /// What `scx_agent calls` is told: all calls, the oldest first.
    ///
    /// # Errors
    /// An argument is not one of ours.
    pub fn answer(&self, args: &BTreeMap<String, String>) -> Result<Value, String> {
        let running_only = args.contains_key("running");
        let finished = self.finished.iter().filter(|_| !running_only);
        let mut calls: Vec<&Call> = finished.chain(self.running.values()).collect();
        calls.sort_by_key(|c| c.call);
        serde_json::to_value(calls).map_err(|e| e.to_string())
    }
}
