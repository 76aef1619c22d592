// SPDX-License-Identifier: GPL-2.0-only
//! For property tests: looks of any kind, and damage to what was written of them.

use super::Sample;
use crate::agents::{Phase, Span};
use crate::calls::Call;
use crate::qos::Qos;
use crate::stats::Metrics;
use crate::usage::{Host, Usage};
use crate::view::{Agent, AgentCall, Budget, Totals, View};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;

/// Cgroups of the agents: few, so that looks have some in common.
const CGROUPS: std::ops::Range<u64> = 0..4;

/// A number, small or of any size.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..100u64, any::<u64>(), Just(u64::MAX)]
}

/// In thousandths: of more digits JSON may give back the number beside it.
fn decimal() -> impl Strategy<Value = f64> {
    any::<u32>().prop_map(|n| f64::from(n) / 1e3)
}

fn text() -> impl Strategy<Value = String> {
    "(?s).{0,20}"
}

fn phase() -> impl Strategy<Value = Phase> {
    prop_oneof![Just(Phase::LlmWait), Just(Phase::Framework), Just(Phase::Tool)]
}

/// A tool call.
pub fn call() -> impl Strategy<Value = Call> {
    let retry = option::of((number(), any::<u32>()));
    (vec(number(), 5), text(), text(), retry, option::of(any::<u32>())).prop_map(
        |(n, agent, command, retry, exited)| {
            let json = serde_json::json!({
                "agent": agent, "call": n[0], "pid": 1, "comm": "sh", "command": command, "category": "test",
                "program": "x", "rule": "shell under the framework", "begun_ns": n[1], "wall_ns": n[2],
                "cpu_ns": n[3], "wait_ns": n[4], "processes": 1, "peak_width": 1,
                "retry": retry.map(|(first, nth)| serde_json::json!({"first": first, "nth": nth})),
                "status": exited.map(|n| serde_json::json!({"exited": n})), "tag": null, "hint": null,
                "evidence": {"at_ns":0,"cgroup_id":0,"parent":0,"parent_comm":"","session":0,"comm":""}
            });
            serde_json::from_value(json).expect("a call")
        },
    )
}

fn agent() -> impl Strategy<Value = Agent> {
    let span = (phase(), number(), number());
    let span = span.prop_map(|(phase, ended_ns, lasted_ns)| Span { phase, ended_ns, lasted_ns });
    let budget = (vec(number(), 3), any::<bool>());
    let budget = budget.prop_map(|(n, over)| Budget { allowed_us: n[0], from_us: n[1], ends_ns: n[2], over });
    let qos = prop_oneof![Just(Qos::Interactive), Just(Qos::Standard), Just(Qos::Background)];
    (text(), CGROUPS, phase(), vec(number(), 8), vec(span, 0..4), option::of(budget), qos, any::<bool>())
        .prop_map(|(name, cgroup_id, phase, n, history, budget, qos, opaque)| Agent {
            name,
            cgroup_id,
            phase,
            since_ns: n[0],
            history,
            totals: Totals {
                calls: n[1],
                failed: n[2],
                cpu_ns: n[3],
                wait_ns: n[4],
                phase_ns: [n[5], n[6], n[7]],
            },
            labelled: !opaque,
            opaque,
            qos,
            weight: n[1] as u32,
            budget,
        })
}

fn calls() -> impl Strategy<Value = Vec<AgentCall>> {
    vec((CGROUPS, call()).prop_map(|(cgroup_id, call)| AgentCall { cgroup_id, call }), 0..3)
}

/// A look.
pub fn look() -> impl Strategy<Value = Sample> {
    let usage = (number(), option::of(number())).prop_map(|(cpu_us, memory)| Usage { cpu_us, memory });
    let usage = btree_map(CGROUPS, usage, 0..4);
    (vec(agent(), 0..4), calls(), calls(), usage, vec(number(), 8), option::of(decimal())).prop_map(
        |(agents, calls, ended, usage, n, share)| Sample {
            view: View {
                now_ns: n[0],
                agents,
                calls,
                ended,
                ended_total: n[1],
                others: Totals::default(),
                metrics: Metrics { agents: n[2], memory_reclaimed_mb: n[3], ..Metrics::default() },
            },
            usage,
            host: Host {
                cpu: share,
                memory: share,
                io: None,
                available: n[4],
                total: n[5],
                cpus: n[6] as usize,
                cpu_us: n[7],
            },
        },
    )
}

/// Damage to bytes: some are others, and what is behind a point may be missing.
pub type Damage = (Vec<(Index, u8)>, Option<Index>);

/// Little damage: most of what it is done to is still read.
pub fn damage() -> impl Strategy<Value = Damage> {
    (vec((any::<Index>(), any::<u8>()), 0..4), option::of(any::<Index>()))
}

/// What `damage` leaves of `bytes`.
pub fn damaged(mut bytes: Vec<u8>, (others, end): &Damage) -> Vec<u8> {
    if bytes.is_empty() {
        return bytes;
    }
    for (at, other) in others {
        let at = at.index(bytes.len());
        bytes[at] = *other;
    }
    if let Some(end) = end {
        bytes.truncate(end.index(bytes.len()));
    }
    bytes
}
