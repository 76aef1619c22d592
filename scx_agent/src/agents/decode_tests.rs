// SPDX-License-Identifier: GPL-2.0-only
use super::super::Logs;
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
    assert_eq!(a.by_slot.values().map(|a| a.labelled).collect::<Vec<_>>(), [false, true], "a label is free");
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
