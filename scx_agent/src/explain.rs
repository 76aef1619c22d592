// SPDX-License-Identifier: GPL-2.0-only
//! Why a task is what it is taken for: the kernel half's state of it, and what the daemon remembers
//! of its agent and its call.

use crate::agents::{rule_name, Agents, Phase, Span};
use crate::bpf_intf::{self, agent_task_state};
use crate::calls::{Call, Evidence};
use crate::kernel::Kernel;
use crate::records::evidence;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a task is to its agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The agent itself.
    Framework,
    /// Part of a tool call.
    Tool,
    /// A hook, by its own word.
    Helper,
    /// Left running by a tool call that is over.
    LeftRunning,
    /// Of a sandbox that shows nothing of what runs in it.
    Sandbox,
    /// None yet: it has not run since its cgroup became an agent's.
    Untold,
    /// A role that this version has no name for.
    Other,
}

/// The answer to `scx_agent explain`. Times in ns, CLOCK_MONOTONIC where they are points in time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    pub pid: u32,
    /// Its process, another number for a thread.
    pub process: u32,
    /// Its agent's name.
    pub agent: String,
    pub role: Role,
    /// Why it has this role.
    pub rule: String,
    /// What that was decided from; None if it was inherited at fork.
    pub evidence: Option<Evidence>,
    /// Path of the cgroup that it was in then, below the cgroup root.
    pub cgroup: Option<String>,
    /// Its parent process when its role was told.
    pub parent: u32,
    /// The call that it belongs to.
    pub call: Option<Call>,
    /// How far it ranks behind a new tool call now, negative for before; the lowest runs first.
    pub rank_ns: i64,
    /// It waits with the long calls.
    pub long: bool,
    /// CPU time that decides its rank: of its call as service, or its own outside calls.
    pub service_ns: u64,
    /// What its agent has had beyond its share: of the framework's budget for a framework.
    pub debt_ns: u64,
    pub phase: Phase,
    /// When the phase began.
    pub phase_since_ns: u64,
    /// The phases before, the oldest first.
    pub history: Vec<Span>,
    pub now_ns: u64,
}

/// The answer about the task in the argument `pid`.
///
/// # Errors
/// There is no such task, or it is in no agent, in a sentence.
pub fn answer(
    args: &BTreeMap<String, String>,
    agents: &mut Agents,
    kernel: &Kernel,
) -> Result<Value, String> {
    let pid: u32 = args.get("pid").and_then(|p| p.parse().ok()).ok_or("a pid is wanted")?;
    let Some(s) = kernel.task(pid) else {
        return Err(match std::path::Path::new(&format!("/proc/{pid}")).exists() {
            true => format!("process {pid} is not scheduled by scx_agent: idle, real-time or about to end"),
            false => format!("there is no process {pid}; it may have ended"),
        });
    };
    let told = explain(&s, agents, kernel).ok_or_else(|| not_in_an_agent(pid, &s, agents))?;
    serde_json::to_value(told).map_err(|e| e.to_string())
}

fn not_in_an_agent(pid: u32, s: &agent_task_state, agents: &Agents) -> String {
    let path = agents.path_of(s.group_cgroup_id);
    let why = if s.group_flags & bpf_intf::agent_group_flags_GROUP_CANDIDATE != 0 {
        format!("its container {path} holds no known framework (--framework-comm names others)")
    } else if s.group_cgroup_id == 0 {
        "it is in the root cgroup".to_string()
    } else {
        format!("its cgroup {path} is no agent and no known kind of container (--agent-cgroup names others)")
    };
    format!("process {pid} is in no agent: {why}")
}

/// None if the task is in no agent.
fn explain(s: &agent_task_state, agents: &mut Agents, kernel: &Kernel) -> Option<Explanation> {
    if s.group_flags & bpf_intf::agent_group_flags_GROUP_AGENT == 0 {
        return None;
    }
    let agent = agents.agent(s.group, s.group_cgroup_id)?;
    let (name, since) = (agent.name.clone(), agent.since_ns);
    let history = agent.history.iter().copied().collect();
    let decided = (s.evidence.at_ns != 0).then(|| evidence(&s.evidence));
    let role = match s.role {
        _ if s.group_flags & bpf_intf::agent_group_flags_GROUP_OPAQUE != 0 => Role::Sandbox,
        bpf_intf::agent_role_ROLE_FRAMEWORK => Role::Framework,
        _ if s.call != 0 && s.hook != 0 => Role::Helper,
        _ if s.call != 0 && s.detached != 0 => Role::LeftRunning,
        bpf_intf::agent_role_ROLE_TOOL => Role::Tool,
        bpf_intf::agent_role_ROLE_HELPER => Role::Helper,
        bpf_intf::agent_role_ROLE_NONE => Role::Untold,
        _ => Role::Other,
    };
    let rule = match role {
        Role::Untold => "it has not run since its cgroup became an agent's",
        Role::Sandbox => rule_name(bpf_intf::agent_rule_RULE_SANDBOX),
        _ if s.hook != 0 => "tagged by a hook",
        _ => rule_name(s.rule),
    }
    .to_string();
    Some(Explanation {
        pid: s.pid,
        process: s.tgid,
        agent: name,
        role,
        rule,
        cgroup: decided.as_ref().map(|e| agents.path_of(e.cgroup_id)),
        evidence: decided,
        parent: s.evidence.parent,
        call: (s.call != 0).then(|| agents.calls.find(s.call_slot, s.call, kernel).cloned()).flatten(),
        rank_ns: s.key_ns,
        long: s.is_long != 0,
        service_ns: s.service_ns,
        debt_ns: s.debt_ns,
        phase: Phase::from_raw(s.phase)?,
        phase_since_ns: since,
        history,
        now_ns: s.now_ns,
    })
}
