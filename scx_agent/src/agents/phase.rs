// SPDX-License-Identifier: GPL-2.0-only
//! Phases of an agent.

use crate::bpf_intf;
use serde::{Deserialize, Serialize};

/// What an agent is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Waits for its language model.
    LlmWait,
    /// Its framework works.
    Framework,
    /// Has a tool call.
    Tool,
}

impl Phase {
    pub fn from_raw(raw: u32) -> Option<Phase> {
        match raw {
            bpf_intf::agent_phase_PHASE_LLM_WAIT => Some(Phase::LlmWait),
            bpf_intf::agent_phase_PHASE_FRAMEWORK => Some(Phase::Framework),
            bpf_intf::agent_phase_PHASE_TOOL => Some(Phase::Tool),
            _ => None,
        }
    }

    /// As metrics and the journal have it.
    pub const fn name(self) -> &'static str {
        match self {
            Phase::LlmWait => "llm_wait",
            Phase::Framework => "framework",
            Phase::Tool => "tool",
        }
    }
}

/// A phase that an agent was in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub phase: Phase,
    /// When it ended, CLOCK_MONOTONIC, and how long it had lasted, in ns.
    pub ended_ns: u64,
    pub lasted_ns: u64,
}
