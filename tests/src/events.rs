// SPDX-License-Identifier: GPL-2.0-only
//! The event log of `scx_agent --events`, as its readers see it.

use serde::Deserialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    LlmWait,
    Framework,
    Tool,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    Agent { at_ns: u64, agent: String, cgroup_id: u64 },
    AgentGone { at_ns: u64, agent: String },
    Opaque { at_ns: u64, agent: String },
    Set { at_ns: u64, agent: String, qos: String, weight: u32 },
    Phase { at_ns: u64, agent: String, from: Phase, to: Phase, lasted_ns: u64 },
    Helper { at_ns: u64, agent: String, pid: u32, comm: String, rule: String },
    CallBegin { at_ns: u64, agent: String, call: u64, pid: u32, rule: String },
    CallHelper { at_ns: u64, agent: String, call: u64 },
    CallEnd(CallEnd),
}

/// A finished tool call.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct CallEnd {
    pub at_ns: u64,
    pub agent: String,
    pub call: u64,
    pub pid: u32,
    pub comm: String,
    pub cpu_ns: u64,
    pub wall_ns: u64,
    pub wait_ns: u64,
    pub processes: u32,
    pub peak_width: u32,
    pub status: u32,
}

/// A whole log.
#[derive(Clone, Debug, Default)]
pub struct Log(pub Vec<Event>);

impl Log {
    /// Reads JSON lines.
    ///
    /// # Panics
    /// With the line at fault.
    pub fn parse(text: &str) -> Log {
        let line = |l: &str| serde_json::from_str(l).unwrap_or_else(|e| panic!("not an event ({e}): {l}"));
        Log(text.lines().map(line).collect())
    }

    /// Names of the agents that were found, in order.
    pub fn agents(&self) -> Vec<&str> {
        let name = |e: &'_ Event| matches!(e, Event::Agent { .. });
        self.0
            .iter()
            .filter(|e| name(e))
            .map(|e| match e {
                Event::Agent { agent, .. } => agent.as_str(),
                _ => unreachable!(),
            })
            .collect()
    }

    /// pid and rule of each call that `agent` began.
    pub fn begins(&self, agent: &str) -> Vec<(u32, &str)> {
        self.0
            .iter()
            .filter_map(|e| match e {
                Event::CallBegin { agent: a, pid, rule, .. } if a == agent => Some((*pid, rule.as_str())),
                _ => None,
            })
            .collect()
    }

    /// The calls that `agent` finished.
    pub fn ends(&self, agent: &str) -> Vec<&CallEnd> {
        self.0
            .iter()
            .filter_map(|e| match e {
                Event::CallEnd(c) if c.agent == agent => Some(c),
                _ => None,
            })
            .collect()
    }

    /// `agent`'s phase transitions: when, from, to, and how long the old phase lasted.
    pub fn phases(&self, agent: &str) -> Vec<(u64, Phase, Phase, u64)> {
        self.0
            .iter()
            .filter_map(|e| match e {
                Event::Phase { at_ns, agent: a, from, to, lasted_ns } if a == agent => {
                    Some((*at_ns, *from, *to, *lasted_ns))
                }
                _ => None,
            })
            .collect()
    }
}
