// SPDX-License-Identifier: GPL-2.0-only
//! Takes the records of the ring buffer: what each of them changes of the agents and of their calls, and what
//! is told of it.

use super::event::{rule_name, Event};
use super::untold::Untold;
use super::{Agent, Agents, Change, Phase, Span};
use crate::bpf_intf;
use crate::calls::category;
use crate::calls::command;
use crate::calls::{Call, Hint, Status};
use crate::memory;
use crate::qos::Qos;
use crate::records::{CallRecord, Raw};
use crate::tags::OpenTags;
use crate::view::Totals;
use log::warn;
use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

/// Phases of an agent that are remembered.
const HISTORY: usize = 32;

/// What a record comes to.
enum Decoded {
    Event(Event),
    /// Noted, and nothing for the event log.
    Silent,
}

impl Agents {
    /// Take one ring buffer record.
    pub fn handle(&mut self, record: &[u8]) {
        match self.decode(record) {
            Some(Decoded::Event(event)) => {
                event.say();
                if let Some(log) = &mut self.logs.events {
                    log.write(&event);
                }
            }
            Some(Decoded::Silent) => (),
            None => self.malformed += 1,
        }
    }

    /// None if it cannot be understood.
    fn decode(&mut self, record: &[u8]) -> Option<Decoded> {
        let raw = Raw::from_bytes(record)?;
        let event = match raw.type_ {
            bpf_intf::agent_event_type_EVENT_AGENT => self.found(&raw),
            bpf_intf::agent_event_type_EVENT_AGENT_GONE => self.gone(&raw),
            bpf_intf::agent_event_type_EVENT_PHASE => self.phase(&raw)?,
            bpf_intf::agent_event_type_EVENT_OPAQUE => {
                if let Some(a) = self.agent(raw.group, raw.cgroup_id) {
                    a.opaque = true;
                }
                Event::Opaque { at_ns: raw.at_ns, agent: self.name(raw.group) }
            }
            bpf_intf::agent_event_type_EVENT_SET => {
                let (qos, weight) = (Qos::from_raw(raw.qos)?, raw.weight);
                if let Some(a) = self.agent(raw.group, raw.cgroup_id) {
                    (a.qos, a.weight) = (qos, weight);
                }
                Event::Set { at_ns: raw.at_ns, agent: self.name(raw.group), qos, weight }
            }
            bpf_intf::agent_event_type_EVENT_HELPER => Event::Helper {
                at_ns: raw.at_ns,
                agent: self.name(raw.group),
                pid: raw.pid,
                comm: raw.text(),
                rule: rule_name(raw.rule),
            },
            bpf_intf::agent_event_type_EVENT_CALL_BEGIN => self.call_begins(&raw, record)?,
            bpf_intf::agent_event_type_EVENT_CALL_EXEC => {
                let words = CallRecord::from_bytes(record)?.words(raw.pid);
                self.calls.exec(raw.call_slot, raw.call, raw.text(), &words);
                self.claim_tag(&raw, &words);
                return Some(Decoded::Silent);
            }
            bpf_intf::agent_event_type_EVENT_UNTOLD => {
                self.untold(&raw);
                return Some(Decoded::Silent);
            }
            bpf_intf::agent_event_type_EVENT_OVER_HIGH => {
                let over = memory::OverHigh::from(&*raw);
                self.tell(memory::Message::OverHigh { id: raw.cgroup_id, over });
                return Some(Decoded::Silent);
            }
            bpf_intf::agent_event_type_EVENT_CALL_HELPER => {
                self.tell(memory::Message::CallOver { id: raw.cgroup_id, call: raw.call });
                self.calls.forget(raw.call_slot, raw.call);
                Event::CallHelper { at_ns: raw.at_ns, agent: self.name(raw.group), call: raw.call }
            }
            bpf_intf::agent_event_type_EVENT_CALL_END => self.call_ends(&raw),
            _ => return None,
        };
        Some(Decoded::Event(event))
    }

    fn found(&mut self, raw: &Raw) -> Event {
        let text = raw.text();
        let name = if text.is_empty() { self.path_of(raw.cgroup_id) } else { text };
        self.tell(memory::Message::Found { id: raw.cgroup_id, name: name.clone() });
        let agent = Agent {
            name: name.clone(),
            cgroup_id: raw.cgroup_id,
            phase: Phase::LlmWait,
            since_ns: raw.at_ns,
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
                self.is_gone(before.cgroup_id);
            }
        }
        self.changes.push(Change::Found(raw.cgroup_id));
        Event::Agent { at_ns: raw.at_ns, agent: name, cgroup_id: raw.cgroup_id }
    }

    fn gone(&mut self, raw: &Raw) -> Event {
        let agent = self.name(raw.group);
        let gone = self.by_slot.remove(&raw.group);
        self.labels.1 -= u64::from(gone.is_some_and(|a| a.labelled));
        self.is_gone(raw.cgroup_id);
        Event::AgentGone { at_ns: raw.at_ns, agent }
    }

    /// There is no agent with this cgroup any more.
    fn is_gone(&mut self, cgroup_id: u64) {
        self.tell(memory::Message::Gone { id: cgroup_id });
        self.calls.gone(cgroup_id);
        self.changes.push(Change::Gone(cgroup_id));
    }

    fn phase(&mut self, raw: &Raw) -> Option<Event> {
        let (from, to) = (Phase::from_raw(raw.phase_from)?, Phase::from_raw(raw.phase_to)?);
        let (at_ns, lasted_ns) = (raw.at_ns, raw.phase_ns);
        self.tell(memory::Message::Phase { id: raw.cgroup_id, to, at: Instant::now() });
        if let Some(a) = self.agent(raw.group, raw.cgroup_id) {
            if a.history.len() == HISTORY {
                a.history.pop_front();
            }
            a.history.push_back(Span { phase: from, ended_ns: at_ns, lasted_ns });
            (a.phase, a.since_ns) = (to, at_ns);
        }
        self.add(raw, |t| t.phase(from, lasted_ns));
        Some(Event::Phase { at_ns, agent: self.name(raw.group), from, to, lasted_ns })
    }

    fn untold(&mut self, raw: &Raw) {
        let said = match self.agent(raw.group, raw.cgroup_id) {
            Some(a) => a.untold.more(raw.at_ns, raw.untold, raw.no_slot),
            None => None,
        };
        if let Some(said) = said {
            warn!("agent {:?} {said}", self.name(raw.group));
        }
    }

    fn call_begins(&mut self, raw: &Raw, record: &[u8]) -> Option<Event> {
        self.tell(memory::Message::Call { id: raw.cgroup_id, call: raw.call, pid: raw.pid });
        let begin = CallRecord::from_bytes(record)?;
        let words = begin.words(raw.pid);
        let (agent, rule) = (self.name(raw.group), rule_name(raw.rule));
        let call = Call {
            agent: agent.clone(),
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
        Some(Event::CallBegin { at_ns: raw.at_ns, agent, call: raw.call, pid: raw.pid, rule })
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

    fn call_ends(&mut self, raw: &Raw) -> Event {
        let comm = raw.text();
        if memory::was_killed(raw.exit_code) {
            let (id, pid, lasted) = (raw.cgroup_id, raw.pid, Duration::from_nanos(raw.wall_ns));
            self.tell(memory::Message::Killed { id, pid, comm: comm.clone(), lasted });
        }
        self.tell(memory::Message::CallOver { id: raw.cgroup_id, call: raw.call });
        let status = Status::from_wait(raw.exit_code);
        self.add(raw, |t| t.ended(status, raw.cpu_ns, raw.wait_ns));
        self.calls_cpu_ns = self.calls_cpu_ns.saturating_add(raw.cpu_ns);
        self.calls_wait_ns = self.calls_wait_ns.saturating_add(raw.wait_ns);
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
        Event::CallEnd {
            at_ns: raw.at_ns,
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
        }
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
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
