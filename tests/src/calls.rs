// SPDX-License-Identifier: GPL-2.0-only
//! What the scheduler says of a load's calls, against what the load did.

use crate::events::{CallEnd, Log, Phase};
use agentload::plan::Agent;
use agentload::record::{CallRecord, Record};

const MS: f64 = 1e6;

/// How closely the scheduler's figures follow the plan's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Clock {
    /// Emulated CPUs on the host's clock: a ms of work takes what the host leaves.
    Host,
    /// Lock-step: all CPUs are equally fast at all times.
    Guest,
}

/// sh, the burner, and the processes of each stage that is wide.
fn planned_processes(plan: &[Agent], call: &CallRecord) -> u32 {
    let agent = plan.iter().find(|a| a.agent == call.agent).expect("its plan");
    let mut calls = agent.turns.iter().flat_map(|t| &t.calls);
    let planned = calls.find(|c| c.call == call.call).expect("its call");
    let wide = planned.stages.iter().filter(|s| s.width > 1 && s.cpu_ms > 0.0);
    2 + wide.map(|s| s.width).sum::<u32>()
}

/// Asserts that `agent`'s phases follow each other without a gap.
///
/// # Panics
/// With the phases, if they do not.
pub fn check_phases(log: &Log, agent: &str) {
    let phases = log.phases(agent);
    assert!(!phases.is_empty(), "{agent} had no phases");
    assert_eq!(phases[0].1, Phase::LlmWait, "{agent} begins by waiting: {phases:?}");
    for pair in phases.windows(2) {
        let (before, after) = (pair[0], pair[1]);
        assert_eq!(before.2, after.1, "{agent}: a phase is left that was not entered: {phases:?}");
        let lasted = after.0 - before.0;
        assert!(lasted.abs_diff(after.3) < 1_000_000, "{agent}: {lasted} ns, said {}: {phases:?}", after.3);
    }
    for p in &phases {
        assert_ne!(p.1, p.2, "{agent}: {phases:?}");
        // A call ends in the framework, which has its answer.
        assert!(p.1 != Phase::Tool || p.2 == Phase::Framework, "{agent}: {phases:?}");
    }
}

/// Asserts that each agent was found once, and each call of `records` was counted once and as it was.
///
/// # Panics
/// With what differs.
pub fn check_calls(plan: &[Agent], records: &[Record], log: &Log, clock: Clock) {
    let mut names: Vec<_> = plan.iter().map(|a| a.agent.as_str()).collect();
    let mut found = log.agents();
    names.sort();
    found.sort();
    assert_eq!(found, names, "each agent is found once");
    let (mut demand, mut used, mut made, mut wide) = (0.0, 0.0, 0, 0);
    let (mut late, mut over) = (0.0f64, 0.0f64);
    for name in names {
        let calls: Vec<&CallRecord> = records
            .iter()
            .filter_map(|r| match r {
                Record::Call(c) if c.agent == name => Some(c),
                _ => None,
            })
            .collect();
        let (begins, ends) = (log.begins(name), log.ends(name));
        let sorted = |pids: &mut dyn Iterator<Item = u32>| {
            let mut pids: Vec<u32> = pids.collect();
            pids.sort();
            pids
        };
        let own = sorted(&mut calls.iter().map(|c| c.pid));
        assert_eq!(
            sorted(&mut begins.iter().map(|b| b.0)),
            own,
            "{name}: the calls that began are those made"
        );
        assert_eq!(
            sorted(&mut ends.iter().map(|c| c.pid)),
            own,
            "{name}: the calls that ended are those made"
        );
        assert!(begins.iter().all(|b| b.1 == "shell in a new session"), "{name}: {begins:?}");
        for c in calls {
            let end: &CallEnd = ends.iter().find(|e| e.pid == c.pid).expect("compared above");
            assert!(c.ok && end.status == 0 && end.comm == "sh", "{c:?} {end:?}");
            assert_eq!(end.processes, planned_processes(plan, c), "{c:?} {end:?}");
            assert!(c.width == 1 || end.peak_width >= c.width, "{c:?} {end:?}");
            // The framework sees a call from before its exec until after its exit.
            let seen_ns = (c.end_ns - c.start_ns) as f64;
            assert!(end.wall_ns as f64 <= seen_ns + 1.0 * MS, "{c:?} {end:?}");
            late = late.max(seen_ns - end.wall_ns as f64);
            let more = end.cpu_ns as f64 - c.cpu_ms * MS;
            over = over.max(more);
            if clock == Clock::Guest {
                // The work itself, and fork, exec and exit of each process. The work is measured in
                // time on the CPU that calibrated it, and simulated CPUs differ by up to an eighth.
                assert!(more >= -0.15 * c.cpu_ms * MS, "{c:?} {end:?}");
                let start = 40.0 + 10.0 * f64::from(end.processes);
                assert!(more <= (0.15 * c.cpu_ms + start) * MS, "{c:?} {end:?}");
            }
            demand += c.cpu_ms * MS;
            used += end.cpu_ns as f64;
            made += 1;
            wide += u32::from(c.width > 1);
        }
        check_phases(log, name);
    }
    println!(
        "{made} calls, {wide} wide: demand {:.0} ms, CPU seen {:.0} ms (at most {:.0} ms more for one), framework saw \
         calls at most {:.0} ms longer",
        demand / MS,
        used / MS,
        over / MS,
        late / MS
    );
    assert!(wide > 0, "the plan has wide calls");
    assert!(used > 0.8 * demand, "{used} {demand}");
    // On the guest's clock nothing but a few context switches lies between the two.
    assert!(late < if clock == Clock::Guest { 200.0 } else { 3000.0 } * MS, "{late} ns");
}
