// SPDX-License-Identifier: GPL-2.0-only
//! What becomes of a tag: noted with its call, and told the kernel half.

use super::message::{Message, What};
use super::server::Request;
use crate::agents::Agents;
use crate::bpf_intf::{
    agent_model_tag_MODEL_ANSWERED, agent_model_tag_MODEL_ASKED, agent_model_tag_MODEL_UNSAID, agent_tag,
};
use crate::kernel::Kernel;
use std::time::Instant;

/// Takes one tag: a sentence for who sent it.
///
/// # Errors
/// It is refused, and nothing has changed.
pub fn apply(agents: &mut Agents, kernel: &Kernel, request: &Request) -> Result<String, String> {
    let m = &request.message;
    let call = m.pid.map(|pid| call_of(kernel, request, pid)).transpose()?;
    if agents.agent(request.group, request.cgroup_id).is_none() {
        return Err("this process's agent is gone".into());
    }
    let said = match m.what {
        What::CallBegin => begin(agents, request, m, call)?,
        What::CallEnd => end(agents, request, m)?,
        What::ModelAsked => "waits for its model".to_string(),
        What::ModelAnswered => "has its model's answer".to_string(),
    };
    let model = match m.what {
        What::ModelAsked => agent_model_tag_MODEL_ASKED,
        What::ModelAnswered => agent_model_tag_MODEL_ANSWERED,
        What::CallBegin | What::CallEnd => agent_model_tag_MODEL_UNSAID,
    };
    let tag = agent_tag {
        pid: request.pid,
        found: 0,
        helper: m.hook.into(),
        model,
        __pad: 0,
        cgroup_id: request.cgroup_id,
    };
    if (m.hook || model != agent_model_tag_MODEL_UNSAID) && !kernel.tag(tag) {
        return Err("this process has left its agent".into());
    }
    Ok(said)
}

/// Slot and number of the call that `pid`, named by the speaker, is in.
fn call_of(kernel: &Kernel, request: &Request, pid: u32) -> Result<(u32, u64), String> {
    // Its numbers are not ours.
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    if namespace("self") != namespace(&request.pid.to_string()) {
        return Err("pids are understood from outside of a pid namespace only; leave the pid out".into());
    }
    match kernel.task(pid) {
        None => Err(format!("there is no process {pid}")),
        Some(s) if s.group != request.group || s.group_cgroup_id != request.cgroup_id => {
            Err(format!("process {pid} is not of the agent that asks"))
        }
        Some(s) if s.call == 0 || s.detached != 0 => Err(format!("process {pid} is in no tool call")),
        Some(s) => Ok((s.call_slot, s.call)),
    }
}

fn begin(
    agents: &mut Agents,
    request: &Request,
    m: &Message,
    call: Option<(u32, u64)>,
) -> Result<String, String> {
    let agent = agents.agent(request.group, request.cgroup_id).ok_or("this process's agent is gone")?;
    let tag = agent.tags.begin(m, call, Instant::now())?;
    if let Some((slot, id)) = call {
        if let Some(call) = agents.calls.running(slot, id) {
            call.tag = Some(tag);
        }
        return Ok(format!("call {id} is tagged"));
    }
    Ok("the next call with this command is tagged".into())
}

fn end(agents: &mut Agents, request: &Request, m: &Message) -> Result<String, String> {
    let agent = agents.agent(request.group, request.cgroup_id).ok_or("this process's agent is gone")?;
    let (tag, call) = agent.tags.end(m, Instant::now())?;
    let Some((slot, id)) = call else { return Ok("the call is over; it had no process".into()) };
    agents.calls.tag_over(slot, id, tag);
    Ok(format!("call {id} is over"))
}
