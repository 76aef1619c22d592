// SPDX-License-Identifier: GPL-2.0-only
//! What operators tell the daemon to do to one agent. The memory controller's thread does it and
//! answers: the main loop waits for nobody.

use crate::agents::Agents;
use crate::daemon::Daemon;
use crate::kernel::Kernel;
use crate::memory::Message;
use crate::qos::{Setting, Settings, Weight};
use crate::questions::Answer;
use crossbeam::channel::{bounded, Sender};
use log::warn;
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest pause, in seconds.
pub const PAUSE_MAX_S: u64 = 86_400;

/// `scx_agent set`.
pub fn set(args: &Args, agents: &Agents, settings: &mut Settings, kernel: &Kernel) -> Answer {
    let mut set = || {
        let name = args.get("agent").map(String::as_str).unwrap_or_default();
        let id = agents.named(name)?;
        let setting = Setting {
            qos: args.get("qos").map(|q| q.parse()).transpose()?,
            weight: args.get("weight").map(|w| w.parse()).transpose()?,
            budget: None,
        };
        let before = settings.holds(id);
        settings.operator(id, setting, kernel).map_err(|e| format!("agent {name:?}: {e}"))?;
        let old = |key| match key {
            "qos" => before.qos.unwrap_or_default().to_string(),
            _ => before.weight.unwrap_or(Weight::Cgroup).to_string(),
        };
        let mut said = Vec::new();
        for (key, new) in ["qos", "weight"].iter().filter_map(|key| Some((*key, args.get(*key)?))) {
            warn!(
                SCX_AGENT_AGENT = name, SCX_AGENT_RULE = "set by an operator", SCX_AGENT_KNOB = key,
                SCX_AGENT_OLD = old(key).as_str(), SCX_AGENT_NEW = new.as_str();
                "agent {name:?}: {key} {} -> {new}, set by an operator", old(key)
            );
            said.push(format!("{key} {new}"));
        }
        Ok(format!("agent {name:?} has {} now", said.join(" and ")).into())
    };
    Answer::About(set())
}

type Args = BTreeMap<String, String>;
type Reply = Sender<Result<String, String>>;

/// `scx_agent pause`.
pub fn pause(args: &Args, agents: &Agents, daemon: &Daemon) -> Answer {
    let seconds = args.get("seconds").and_then(|s| s.parse().ok());
    let Some(seconds) = seconds.filter(|s| (1..=PAUSE_MAX_S).contains(s)) else {
        return Answer::About(Err(format!("a pause has 1 to {PAUSE_MAX_S} seconds")));
    };
    let time = Duration::from_secs(seconds);
    order(args, agents, daemon, |id, name, reply| Message::Pause { id, name, time, reply })
}

/// `scx_agent resume`.
pub fn resume(args: &Args, agents: &Agents, daemon: &Daemon) -> Answer {
    order(args, agents, daemon, |id, name, reply| Message::Resume { id, name, reply })
}

fn order(
    args: &Args,
    agents: &Agents,
    daemon: &Daemon,
    message: impl Fn(u64, String, Reply) -> Message,
) -> Answer {
    let name = args.get("agent").map(String::as_str).unwrap_or_default();
    let id = match agents.named(name) {
        Ok(id) => id,
        Err(e) => return Answer::About(Err(e)),
    };
    let Some(memory) = daemon.memory() else {
        return Answer::About(Err(
            "agents are paused by the memory controller, which is off (no_memory)".into()
        ));
    };
    let (reply, answer) = bounded(1);
    // One that has ended does not answer, which is told.
    let _ = memory.messages.send(message(id, name.into(), reply));
    Answer::Later(answer)
}
