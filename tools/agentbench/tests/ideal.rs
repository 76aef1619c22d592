// SPDX-License-Identifier: GPL-2.0-only
//! The simulator against cases that can be worked out by hand.

use agentbench::ideal::{simulate, Machine};
use agentbench::metrics::{calls, turns};
use agentbench::policy::Policy;
use agentload::plan::{Agent, Call, Stage, Turn};

/// One agent with one turn of one call, all of it starting at `start_ms`.
fn agent(name: &str, start_ms: u64, stages: &[(f64, f64, u32)]) -> Agent {
    let stage = |&(wait_ms, cpu_ms, width): &(f64, f64, u32)| Stage { wait_ms, cpu_ms, width, mem_mb: 0.0 };
    let stages = stages.iter().map(stage).collect();
    let call = Call { call: 0, cat: "test".into(), offset_ms: 0.0, stages };
    Agent {
        agent: name.into(),
        comm: "claude".into(),
        start_ms,
        base_mb: 0.0,
        turns: vec![Turn { think_ms: 0.0, framework_ms: 0.0, wait_cpu_pct: 0.0, calls: vec![call] }],
    }
}

fn ends(plan: &[Agent], machine: Machine, policy: &str) -> Vec<(String, f64)> {
    let records = simulate(plan, machine, policy.parse().unwrap());
    let mut ends: Vec<(String, f64)> =
        calls(&records).map(|c| (c.agent.clone(), c.end_ns as f64 / 1e6)).collect();
    ends.sort_by(|a, b| a.0.cmp(&b.0));
    ends
}

fn one_cpu() -> Machine {
    Machine { cpus: 1, ..Machine::default() }
}

#[test]
fn a_call_alone_takes_its_span() {
    let plan = [agent("a", 5, &[(10.0, 20.0, 2), (0.0, 8.0, 4)])];
    let machine = Machine { cpus: 2, overhead_ms: 3.0, grain_ms: 1.0 };
    // 5 start, 3 overhead, 10 wait, 20 on two cores, four of 8 on two cores.
    assert_eq!(ends(&plan, machine, "equal"), [("a".to_string(), 54.0)]);
    assert_eq!(machine.alone_ms(&plan[0].turns[0].calls[0]), 49.0);
}

#[test]
fn equal_sharing_first_come_and_shortest_remaining() {
    let plan = [agent("a", 0, &[(0.0, 100.0, 1)]), agent("b", 0, &[(0.0, 10.0, 1)])];
    let of = |policy| ends(&plan, one_cpu(), policy).into_iter().map(|e| e.1).collect::<Vec<_>>();
    assert_eq!(of("equal"), [110.0, 20.0]);
    assert_eq!(of("fcfs"), [100.0, 110.0]);
    assert_eq!(of("srpt"), [110.0, 10.0]);
}

#[test]
fn least_attained_service_serves_the_newcomer() {
    let plan = [agent("a", 0, &[(0.0, 100.0, 1)]), agent("b", 50, &[(0.0, 10.0, 1)])];
    for policy in ["las", "las-fcfs:1000", "mlf:40", "mlf-share:40", "wide-las"] {
        let ends = ends(&plan, one_cpu(), policy);
        assert_eq!(ends[1].1, 60.0, "{policy}");
        assert_eq!(ends[0].1, 110.0, "{policy}");
    }
    assert_eq!(ends(&plan, one_cpu(), "equal")[1].1, 70.0);
}

#[test]
fn above_the_cap_first_come_first_served() {
    let plan = [agent("a", 0, &[(0.0, 100.0, 1)]), agent("b", 0, &[(0.0, 100.0, 1)])];
    let capped = ends(&plan, one_cpu(), "las-fcfs:20");
    assert!(capped[0].1 < 125.0 && capped[1].1 == 200.0, "{capped:?}");
    assert!(ends(&plan, one_cpu(), "las")[0].1 > 195.0);
}

#[test]
fn a_process_has_one_core_at_most() {
    let plan = [agent("a", 0, &[(0.0, 40.0, 1)]), agent("b", 0, &[(0.0, 40.0, 3)])];
    let ends = ends(&plan, Machine { cpus: 4, ..Machine::default() }, "equal");
    assert_eq!((ends[0].1, ends[1].1), (40.0, 40.0));
}

#[test]
fn framework_comes_first_and_the_loop_is_closed() {
    let mut plan = vec![agent("a", 0, &[(0.0, 50.0, 1)]), agent("b", 20, &[(0.0, 1.0, 1)])];
    plan[1].turns[0].framework_ms = 7.0;
    let second = Turn { think_ms: 30.0, ..plan[1].turns[0].clone() };
    plan[0].turns.push(second);
    let records = simulate(&plan, one_cpu(), Policy::Fcfs);
    let due: Vec<(String, u64, u64)> =
        turns(&records).map(|t| (t.agent.clone(), t.due_ns / 1_000_000, t.done_ns / 1_000_000)).collect();
    // a: 50 ms of call from 0, with b's framework from 20 to 27 in between: ends at 57.
    assert_eq!(due, [("a".into(), 0, 0), ("b".into(), 20, 27), ("a".into(), 87, 94)]);
}
