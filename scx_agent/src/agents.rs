// SPDX-License-Identifier: GPL-2.0-only
//! What the kernel half reports: agents, their phases, their tool calls.

use crate::bpf_intf;
use crate::calls::category;
use crate::calls::command;
use crate::calls::{Call, Calls, Hint, Status};
use crate::kernel::Kernel;
use crate::lines::Lines;
use crate::memory;
use crate::metrics::Observed;
use crate::qos::Qos;
use crate::records::{CallRecord, Raw};
use crate::tags::OpenTags;
use crate::untold::Untold;
use crate::view::{self, Totals};
use crossbeam::channel::Sender;
use log::{debug, info, warn};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

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

/// CLOCK_MONOTONIC, in ns.
pub fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

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

/// Phases of an agent that are remembered.
const HISTORY: usize = 32;

/// A phase that an agent was in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub phase: Phase,
    /// When it ended, CLOCK_MONOTONIC, and how long it had lasted, in ns.
    pub ended_ns: u64,
    pub lasted_ns: u64,
}

/// One agent.
pub struct Agent {
    pub name: String,
    pub cgroup_id: u64,
    pub phase: Phase,
    /// When the phase began; CLOCK_MONOTONIC ns.
    pub since_ns: u64,
    /// Its last phases, the oldest first.
    pub history: VecDeque<Span>,
    /// What its hooks have announced.
    pub tags: OpenTags,
    /// What its finished calls and phases come to.
    pub totals: Totals,
    /// One of those whose metrics are told apart.
    pub labelled: bool,
    /// In a sandbox that shows nothing of what runs in it.
    pub opaque: bool,
    pub qos: Qos,
    /// As in cpu.weight; 0: that of its cgroup.
    pub weight: u32,
    untold: Untold,
}

impl Agent {
    fn view(&self, since_ns: u64) -> view::Agent {
        view::Agent {
            name: self.name.clone(),
            cgroup_id: self.cgroup_id,
            phase: self.phase,
            since_ns: self.since_ns,
            history: self.history.iter().filter(|s| s.ended_ns > since_ns).copied().collect(),
            totals: self.totals,
            labelled: self.labelled,
            opaque: self.opaque,
            qos: self.qos,
            weight: self.weight,
        }
    }
}

/// An agent that came or went, by its cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Found(u64),
    Gone(u64),
}

/// Every agent there is, kept up to date by [`Agents::handle`].
pub struct Agents {
    by_slot: BTreeMap<u32, Agent>,
    cgroup_root: PathBuf,
    logs: Logs,
    /// Their tool calls.
    pub calls: Calls,
    /// The memory controller, if there is one.
    memory: Option<Sender<memory::Message>>,
    /// Every call that has ended.
    pub observed: Observed,
    /// How many agents may be labelled, and how many are.
    labels: (u64, u64),
    /// Of agents that are not labelled, also of those that are gone.
    others: Totals,
    /// Since they were last taken note of by [`Agents::changes`].
    changes: Vec<Change>,
    /// Records that could not be understood.
    pub malformed: u64,
    /// CPU time of finished calls, in ns.
    pub calls_cpu_ns: u64,
    /// Time that tasks of finished calls waited for a CPU, in ns.
    pub calls_wait_ns: u64,
}

/// What is written down of agents, if anything.
#[derive(Debug, Default)]
pub struct Logs {
    /// Every [`Event`].
    pub events: Option<Lines>,
    /// Every finished call.
    pub calls: Option<Lines>,
}

impl Logs {
    fn flush(&mut self) {
        for log in [&mut self.events, &mut self.calls].into_iter().flatten() {
            log.flush();
        }
    }
}

impl Agents {
    /// At most `labels` agents have metrics of their own at a time.
    pub fn new(cgroup_root: &Path, logs: Logs, memory: Option<Sender<memory::Message>>, labels: u64) -> Self {
        Agents {
            by_slot: BTreeMap::new(),
            cgroup_root: cgroup_root.into(),
            logs,
            calls: Calls::default(),
            memory,
            observed: Observed::default(),
            labels: (labels, 0),
            others: Totals::default(),
            changes: Vec::new(),
            malformed: 0,
            calls_cpu_ns: 0,
            calls_wait_ns: 0,
        }
    }

    /// All agents now, with their running calls as they are, and phases that ended after `since_ns`, and, if `known`
    /// says how many are known, calls that ended after those; without the statistics.
    pub fn view(&mut self, kernel: &Kernel, since_ns: u64, known: Option<u64>) -> view::View {
        let calls = self.calls.running_now(kernel);
        let mut running = BTreeMap::<u64, (u64, u64)>::new();
        for r in &calls {
            let (cpu_ns, wait_ns) = running.entry(r.cgroup_id).or_default();
            *cpu_ns += r.call.cpu_ns;
            *wait_ns += r.call.wait_ns;
        }
        let mut agents: Vec<view::Agent> = self.by_slot.values().map(|a| a.view(since_ns)).collect();
        for a in &mut agents {
            let (cpu_ns, wait_ns) = running.get(&a.cgroup_id).copied().unwrap_or_default();
            a.totals.cpu_ns += cpu_ns;
            a.totals.wait_ns += wait_ns;
        }
        view::View {
            now_ns: monotonic_ns(),
            agents,
            calls,
            ended: known.map_or_else(Vec::new, |known| self.calls.ended_after(known)),
            ended_total: self.calls.ended_total,
            others: self.others,
            ..view::View::default()
        }
    }

    /// Number of agents, in all and by phase (LLM wait, framework, tool).
    pub fn counts(&self) -> (u64, [u64; 3]) {
        let mut phases = [0; 3];
        for a in self.by_slot.values() {
            phases[a.phase as usize] += 1;
        }
        (self.by_slot.len() as u64, phases)
    }

    /// Take one ring buffer record.
    pub fn handle(&mut self, record: &[u8]) {
        let event = match self.decode(record) {
            Some(Decoded::Event(event)) => event,
            Some(Decoded::Silent) => return,
            None => {
                self.malformed += 1;
                return;
            }
        };
        match &event {
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
            Event::CallEnd { agent, call, comm, cpu_ns, wall_ns, wait_ns, processes, peak_width, .. } => {
                self.calls_cpu_ns = self.calls_cpu_ns.saturating_add(*cpu_ns);
                self.calls_wait_ns = self.calls_wait_ns.saturating_add(*wait_ns);
                info!(
                    "agent {agent:?}: call {call} ({comm:?}) took {:.3} s, CPU {:.3} s, waited {:.3} s, {processes} processes, \
                     up to {peak_width} at once",
                    *wall_ns as f64 / 1e9,
                    *cpu_ns as f64 / 1e9,
                    *wait_ns as f64 / 1e9
                )
            }
        }
        if let Some(log) = &mut self.logs.events {
            log.write(&event);
        }
    }

    /// The agents that came and went since this was last asked.
    pub fn changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Write out what the logs have buffered.
    pub fn flush(&mut self) {
        self.logs.flush();
    }

    /// Tell the memory controller, before anything else is done with an event.
    fn tell(&self, message: memory::Message) {
        if let Some(memory) = &self.memory {
            // One that has ended has put its knobs back.
            let _ = memory.send(message);
        }
    }

    fn name(&self, slot: u32) -> String {
        self.by_slot.get(&slot).map_or_else(|| format!("slot {slot}"), |a| a.name.clone())
    }

    fn decode(&mut self, record: &[u8]) -> Option<Decoded> {
        let raw = Raw::from_bytes(record)?;
        let at_ns = raw.at_ns;
        let event: Option<Event> = match raw.type_ {
            bpf_intf::agent_event_type_EVENT_AGENT => {
                let text = raw.text();
                let name = if text.is_empty() { self.path_of(raw.cgroup_id) } else { text };
                let phase = Phase::LlmWait;
                self.tell(memory::Message::Found { id: raw.cgroup_id, name: name.clone() });
                let agent = Agent {
                    name: name.clone(),
                    cgroup_id: raw.cgroup_id,
                    phase,
                    since_ns: at_ns,
                    history: VecDeque::new(),
                    tags: OpenTags::default(),
                    totals: Totals::default(),
                    labelled: self.labels.1 < self.labels.0,
                    opaque: false,
                    qos: Qos::default(),
                    weight: 0,
                    untold: Untold::default(),
                };
                self.labels.1 += u64::from(agent.labelled);
                if let Some(before) = self.by_slot.insert(raw.group, agent) {
                    self.labels.1 -= u64::from(before.labelled);
                    if before.cgroup_id != raw.cgroup_id {
                        // That it is gone was lost on the way.
                        self.tell(memory::Message::Gone { id: before.cgroup_id });
                        self.calls.gone(before.cgroup_id);
                        self.changes.push(Change::Gone(before.cgroup_id));
                    }
                }
                self.changes.push(Change::Found(raw.cgroup_id));
                Some(Event::Agent { at_ns, agent: name, cgroup_id: raw.cgroup_id })
            }
            bpf_intf::agent_event_type_EVENT_AGENT_GONE => {
                self.tell(memory::Message::Gone { id: raw.cgroup_id });
                let agent = self.name(raw.group);
                let gone = self.by_slot.remove(&raw.group);
                self.labels.1 -= u64::from(gone.is_some_and(|a| a.labelled));
                self.calls.gone(raw.cgroup_id);
                self.changes.push(Change::Gone(raw.cgroup_id));
                Some(Event::AgentGone { at_ns, agent })
            }
            bpf_intf::agent_event_type_EVENT_PHASE => {
                let (from, to) = (Phase::from_raw(raw.phase_from)?, Phase::from_raw(raw.phase_to)?);
                self.tell(memory::Message::Phase { id: raw.cgroup_id, to, at: Instant::now() });
                if let Some(a) = self.agent(raw.group, raw.cgroup_id) {
                    if a.history.len() == HISTORY {
                        a.history.pop_front();
                    }
                    a.history.push_back(Span { phase: from, ended_ns: at_ns, lasted_ns: raw.phase_ns });
                    (a.phase, a.since_ns) = (to, at_ns);
                }
                self.add(&raw, |t| t.phase(from, raw.phase_ns));
                Some(Event::Phase { at_ns, agent: self.name(raw.group), from, to, lasted_ns: raw.phase_ns })
            }
            bpf_intf::agent_event_type_EVENT_OPAQUE => {
                if let Some(a) = self.agent(raw.group, raw.cgroup_id) {
                    a.opaque = true;
                }
                Some(Event::Opaque { at_ns, agent: self.name(raw.group) })
            }
            bpf_intf::agent_event_type_EVENT_SET => {
                let (qos, weight) = (Qos::from_raw(raw.qos)?, raw.weight);
                if let Some(a) = self.agent(raw.group, raw.cgroup_id) {
                    (a.qos, a.weight) = (qos, weight);
                }
                Some(Event::Set { at_ns, agent: self.name(raw.group), qos, weight })
            }
            bpf_intf::agent_event_type_EVENT_HELPER => Some(Event::Helper {
                at_ns,
                agent: self.name(raw.group),
                pid: raw.pid,
                comm: raw.text(),
                rule: rule_name(raw.rule),
            }),
            bpf_intf::agent_event_type_EVENT_CALL_BEGIN => {
                self.tell(memory::Message::Call { id: raw.cgroup_id, call: raw.call, pid: raw.pid });
                let begin = CallRecord::from_bytes(record)?;
                let (agent, rule) = (self.name(raw.group), rule_name(raw.rule));
                self.call_begins(&raw, &begin, agent.clone(), rule);
                Some(Event::CallBegin { at_ns, agent, call: raw.call, pid: raw.pid, rule })
            }
            bpf_intf::agent_event_type_EVENT_CALL_EXEC => {
                let exec = CallRecord::from_bytes(record)?;
                let words = exec.words(raw.pid);
                self.calls.exec(raw.call_slot, raw.call, raw.text(), &words);
                self.claim_tag(&raw, &words);
                return Some(Decoded::Silent);
            }
            bpf_intf::agent_event_type_EVENT_UNTOLD => {
                let said = match self.agent(raw.group, raw.cgroup_id) {
                    Some(a) => a.untold.more(at_ns, raw.untold, raw.no_slot),
                    None => None,
                };
                if let Some(said) = said {
                    warn!("agent {:?} {said}", self.name(raw.group));
                }
                return Some(Decoded::Silent);
            }
            bpf_intf::agent_event_type_EVENT_OVER_HIGH => {
                self.tell(memory::Message::OverHigh {
                    id: raw.cgroup_id,
                    over: memory::OverHigh::from(&*raw),
                });
                return Some(Decoded::Silent);
            }
            bpf_intf::agent_event_type_EVENT_CALL_HELPER => {
                self.tell(memory::Message::CallOver { id: raw.cgroup_id, call: raw.call });
                self.calls.forget(raw.call_slot, raw.call);
                Some(Event::CallHelper { at_ns, agent: self.name(raw.group), call: raw.call })
            }
            bpf_intf::agent_event_type_EVENT_CALL_END => {
                let comm = raw.text();
                if memory::was_killed(raw.exit_code) {
                    let (id, pid, lasted) = (raw.cgroup_id, raw.pid, Duration::from_nanos(raw.wall_ns));
                    self.tell(memory::Message::Killed { id, pid, comm: comm.clone(), lasted });
                }
                self.tell(memory::Message::CallOver { id: raw.cgroup_id, call: raw.call });
                let status = Status::from_wait(raw.exit_code);
                self.add(&raw, |t| t.ended(status, raw.cpu_ns, raw.wait_ns));
                let ended = self.calls.end(raw.call_slot, raw.call, |c| {
                    c.wall_ns = raw.wall_ns;
                    c.cpu_ns = raw.cpu_ns;
                    c.wait_ns = raw.wait_ns;
                    c.processes = raw.processes;
                    c.peak_width = raw.peak_width;
                    c.status = Some(status);
                });
                if let Some(call) = ended {
                    self.observed.call(call);
                    if let Some(log) = &mut self.logs.calls {
                        log.write(call);
                    }
                }
                Some(Event::CallEnd {
                    at_ns,
                    agent: self.name(raw.group),
                    call: raw.call,
                    pid: raw.pid,
                    comm,
                    cpu_ns: raw.cpu_ns,
                    wall_ns: raw.wall_ns,
                    wait_ns: raw.wait_ns,
                    processes: raw.processes,
                    peak_width: raw.peak_width,
                    status: raw.exit_code,
                })
            }
            _ => None,
        };
        event.map(Decoded::Event)
    }

    /// Cgroup of the agent that is called `name`.
    ///
    /// # Errors
    /// There is none, or more than one, in a sentence.
    pub fn named(&self, name: &str) -> Result<u64, String> {
        let mut all = self.by_slot.values().filter(|a| a.name == name);
        match (all.next(), all.count()) {
            (None, _) => {
                Err(format!("there is no agent {name:?}; `scx_agent top` shows those that there are"))
            }
            (Some(a), 0) => Ok(a.cgroup_id),
            (_, more) => Err(format!("{} agents are called {name:?}: none is meant", more + 1)),
        }
    }

    /// The agent in `slot`, if it is still the one with this cgroup.
    pub fn agent(&mut self, slot: u32, cgroup_id: u64) -> Option<&mut Agent> {
        self.by_slot.get_mut(&slot).filter(|a| a.cgroup_id == cgroup_id)
    }

    /// Adds to the totals of the agent that the record is of, or of those without a label.
    fn add(&mut self, raw: &Raw, add: impl Fn(&mut Totals)) {
        if let Some(a) = self.agent(raw.group, raw.cgroup_id) {
            add(&mut a.totals);
            if a.labelled {
                return;
            }
        }
        add(&mut self.others);
    }

    fn call_begins(&mut self, raw: &Raw, begin: &CallRecord, agent: String, rule: &str) {
        let words = begin.words(raw.pid);
        let call = Call {
            agent,
            call: raw.call,
            pid: raw.pid,
            comm: raw.text(),
            command: command::joined(&words),
            kind: category::kind(&words),
            rule: rule.into(),
            begun_ns: raw.at_ns,
            wall_ns: 0,
            cpu_ns: 0,
            wait_ns: 0,
            processes: 1,
            peak_width: 0,
            retry: None,
            status: None,
            ended_by: None,
            tag: None,
            hint: Hint::of_process(Path::new("/proc"), raw.pid),
            evidence: begin.evidence(),
        };
        self.calls.begin(raw.call_slot, raw.cgroup_id, call);
        self.claim_tag(raw, &words);
    }

    /// If the agent's hooks have announced this call, it has their tag.
    fn claim_tag(&mut self, raw: &Raw, words: &[String]) {
        let (slot, id) = (raw.call_slot, raw.call);
        if self.calls.running(slot, id).is_none_or(|c| c.tag.is_some()) {
            return;
        }
        let Some(agent) = self.agent(raw.group, raw.cgroup_id) else { return };
        let tag = agent.tags.claim(words, slot, id);
        if let Some(call) = self.calls.running(slot, id) {
            call.tag = tag;
        }
    }

    /// Path of cgroup `id` below the cgroup root, or its number if it is gone already.
    pub fn path_of(&self, id: u64) -> String {
        memory::Cgroup::by_id(&self.cgroup_root, id).map_or_else(|_| format!("cgroup {id}"), |c| c.path)
    }
}

/// What a record comes to.
enum Decoded {
    Event(Event),
    /// Noted, and nothing for the event log.
    Silent,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(e: &bpf_intf::agent_event) -> &[u8] {
        // SAFETY: plain integers, initialised as a whole by zeroed().
        unsafe { std::slice::from_raw_parts((e as *const bpf_intf::agent_event).cast(), size_of_val(e)) }
    }

    fn event(type_: u32) -> bpf_intf::agent_event {
        // SAFETY: all-zero integers are valid.
        let mut e: bpf_intf::agent_event = unsafe { std::mem::zeroed() };
        e.type_ = type_;
        e.group = 3;
        e.cgroup_id = 77;
        for (to, from) in e.name.iter_mut().zip(b"agent-1\xff") {
            *to = *from as _;
        }
        e
    }

    #[test]
    fn phases_and_calls_are_counted() {
        let mut a = Agents::new(Path::new("/nonexistent"), Logs::default(), None, 1);
        a.handle(bytes(&event(bpf_intf::agent_event_type_EVENT_AGENT)));
        assert_eq!(a.counts(), (1, [1, 0, 0]));
        let mut p = event(bpf_intf::agent_event_type_EVENT_PHASE);
        p.phase_to = bpf_intf::agent_phase_PHASE_TOOL;
        a.handle(bytes(&p));
        assert_eq!(a.counts(), (1, [0, 0, 1]));
        let mut c = event(bpf_intf::agent_event_type_EVENT_CALL_END);
        c.cpu_ns = 5;
        a.handle(bytes(&c));
        assert_eq!(a.calls_cpu_ns, 5);
        let agent = &a.by_slot[&3];
        assert!(agent.labelled && agent.totals.calls == 1 && agent.totals.failed == 0);
        a.handle(bytes(&event(bpf_intf::agent_event_type_EVENT_AGENT_GONE)));
        assert_eq!(a.counts(), (0, [0, 0, 0]));
        assert_eq!(a.malformed, 0);
    }

    #[test]
    fn an_agent_whose_end_was_lost_makes_way() {
        let (tell, told) = crossbeam::channel::unbounded();
        let mut a = Agents::new(Path::new("/nonexistent"), Logs::default(), Some(tell), 1);
        let mut found = |cgroup_id| {
            let mut e = event(bpf_intf::agent_event_type_EVENT_AGENT);
            e.cgroup_id = cgroup_id;
            a.handle(bytes(&e));
        };
        [77, 77, 78].into_iter().for_each(&mut found);
        let gone: Vec<u64> = told
            .try_iter()
            .filter_map(|m| match m {
                memory::Message::Gone { id } => Some(id),
                _ => None,
            })
            .collect();
        assert_eq!(gone, [77], "nobody keeps what is gone, and what is told twice is there");
        assert_eq!(a.counts().0, 1);
    }

    #[test]
    fn agents_without_a_label_are_told_together_and_for_ever() {
        let mut a = Agents::new(Path::new("/nonexistent"), Logs::default(), None, 1);
        let of = |type_, group: u32| {
            let mut e = event(type_);
            (e.group, e.cgroup_id, e.cpu_ns, e.exit_code) = (group, group.into(), 7, 1 << 8);
            e
        };
        for group in 1..=3 {
            a.handle(bytes(&of(bpf_intf::agent_event_type_EVENT_AGENT, group)));
            a.handle(bytes(&of(bpf_intf::agent_event_type_EVENT_CALL_END, group)));
        }
        assert_eq!(a.by_slot.values().map(|a| a.labelled).collect::<Vec<_>>(), [true, false, false]);
        for group in 1..=2 {
            a.handle(bytes(&of(bpf_intf::agent_event_type_EVENT_AGENT_GONE, group)));
        }
        assert_eq!((a.others.calls, a.others.failed, a.others.cpu_ns), (2, 2, 14));
        a.handle(bytes(&of(bpf_intf::agent_event_type_EVENT_AGENT, 4)));
        assert_eq!(
            a.by_slot.values().map(|a| a.labelled).collect::<Vec<_>>(),
            [false, true],
            "a label is free"
        );
    }

    proptest! {
        /// The kernel half is trusted, but a version that does not fit must not end the daemon.
        #[test]
        fn any_record_is_taken_or_counted(
            records in prop::collection::vec((0u32..14, prop::collection::vec(any::<u8>(), 0..700)), 1..20),
        ) {
            let mut a = Agents::new(Path::new("/nonexistent"), Logs::default(), None, 1);
            for (type_, bytes) in records {
                let mut record = bytes;
                if let Some(head) = record.get_mut(..4) {
                    head.copy_from_slice(&type_.to_ne_bytes());
                }
                // Few slots, so that records meet.
                if let Some(group) = record.get_mut(4..8) {
                    group.copy_from_slice(&(type_ % 3).to_ne_bytes());
                }
                let short = record.len() < size_of::<bpf_intf::agent_event>();
                let before = a.malformed;
                a.handle(&record);
                prop_assert!(!short || a.malformed == before + 1);
            }
            prop_assert!(a.counts().0 <= 3);
        }
    }

    #[test]
    fn anything_else_is_counted_not_believed() {
        let mut a = Agents::new(Path::new("/nonexistent"), Logs::default(), None, 1);
        a.handle(&[]);
        a.handle(&[0xff; 16]);
        a.handle(bytes(&event(99)));
        let mut p = event(bpf_intf::agent_event_type_EVENT_PHASE);
        p.phase_to = 42;
        a.handle(bytes(&p));
        assert_eq!(a.malformed, 4);
    }
}
