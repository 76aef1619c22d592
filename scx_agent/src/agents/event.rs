// SPDX-License-Identifier: GPL-2.0-only
//! What the kernel half reports, as the log and the event log have it.

use super::Phase;
use crate::bpf_intf;
use crate::qos::Qos;
use log::{debug, info};
use serde::Serialize;

/// Why a task has its role.
pub fn rule_name(rule: u32) -> &'static str {
    match rule {
        bpf_intf::agent_rule_RULE_INHERIT => "forked with its role",
        bpf_intf::agent_rule_RULE_ENTRY => "first in the agent's cgroup",
        bpf_intf::agent_rule_RULE_COMM => "known framework",
        bpf_intf::agent_rule_RULE_REEXEC => "the framework runs another program",
        bpf_intf::agent_rule_RULE_RELAUNCH => "the framework runs itself again",
        bpf_intf::agent_rule_RULE_SESSION => "shell in a new session",
        bpf_intf::agent_rule_RULE_SHELL => "shell under the framework",
        bpf_intf::agent_rule_RULE_OUTSIDE => "entered from outside",
        bpf_intf::agent_rule_RULE_PARENT => "found under the framework",
        bpf_intf::agent_rule_RULE_MARK => "marked by the framework",
        bpf_intf::agent_rule_RULE_JOB => "job of a shell",
        bpf_intf::agent_rule_RULE_PROGRAM => "program under the framework",
        bpf_intf::agent_rule_RULE_UNMARKED => "not marked as a call",
        bpf_intf::agent_rule_RULE_COMMANDS => "shell that reads commands",
        bpf_intf::agent_rule_RULE_LEFT => "left running by its call",
        bpf_intf::agent_rule_RULE_SANDBOX => "in an opaque sandbox",
        _ => "other",
    }
}

/// One line of the event log. Times are CLOCK_MONOTONIC ns of the kernel half.
#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    Agent {
        at_ns: u64,
        agent: String,
        cgroup_id: u64,
    },
    AgentGone {
        at_ns: u64,
        agent: String,
    },
    Phase {
        at_ns: u64,
        agent: String,
        from: Phase,
        to: Phase,
        lasted_ns: u64,
    },
    /// The agent is in a sandbox that shows nothing of it: its phases are told from its CPU use alone.
    Opaque {
        at_ns: u64,
        agent: String,
    },
    /// A program under the framework that is no tool call.
    Helper {
        at_ns: u64,
        agent: String,
        pid: u32,
        comm: String,
        rule: &'static str,
    },
    CallBegin {
        at_ns: u64,
        agent: String,
        call: u64,
        pid: u32,
        rule: &'static str,
    },
    /// The agent has another class or weight.
    Set {
        at_ns: u64,
        agent: String,
        qos: Qos,
        /// 0: that of its cgroup.
        weight: u32,
    },
    /// What began as a call says that it is a hook.
    CallHelper {
        at_ns: u64,
        agent: String,
        call: u64,
    },
    CallEnd {
        at_ns: u64,
        agent: String,
        call: u64,
        pid: u32,
        comm: String,
        cpu_ns: u64,
        wall_ns: u64,
        wait_ns: u64,
        processes: u32,
        peak_width: u32,
        /// Wait status of the call's first process.
        status: u32,
    },
}

impl Event {
    /// Writes it to the log.
    pub fn say(&self) {
        match self {
            Event::Agent { agent, .. } => info!("agent {agent:?} found"),
            Event::AgentGone { agent, .. } => info!("agent {agent:?} gone"),
            Event::Opaque { agent, .. } => {
                info!("agent {agent:?} is an opaque sandbox: no tool calls are seen, and phases by CPU use alone")
            }
            Event::Phase { agent, from, to, lasted_ns, .. } => {
                debug!("agent {agent:?}: {from:?} -> {to:?} after {:.3} s", *lasted_ns as f64 / 1e9)
            }
            Event::Set { agent, qos, weight: 0, .. } => info!("agent {agent:?} is {qos} now"),
            Event::Set { agent, qos, weight, .. } => {
                info!("agent {agent:?} is {qos} now, with weight {weight}")
            }
            Event::Helper { agent, pid, comm, rule, .. } => {
                debug!("agent {agent:?}: {comm:?}, pid {pid}, is a helper ({rule})")
            }
            Event::CallBegin { agent, call, pid, rule, .. } => {
                debug!("agent {agent:?}: call {call} begins, pid {pid} ({rule})")
            }
            Event::CallHelper { agent, call, .. } => {
                debug!("agent {agent:?}: call {call} is a helper and no call")
            }
            Event::CallEnd { agent, call, comm, cpu_ns, wall_ns, wait_ns, processes, peak_width, .. } => info!(
                "agent {agent:?}: call {call} ({comm:?}) took {:.3} s, CPU {:.3} s, waited {:.3} s, {processes} processes, \
                 up to {peak_width} at once",
                *wall_ns as f64 / 1e9,
                *cpu_ns as f64 / 1e9,
                *wait_ns as f64 / 1e9
            ),
        }
    }
}
