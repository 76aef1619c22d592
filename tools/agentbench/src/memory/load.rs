// SPDX-License-Identifier: GPL-2.0-only
//! Plans at another speed and size, and what their runs came to.

use agentload::plan::{Agent, Call};
use agentload::record::{AgentRecord, Record};

/// Divides all times of `plan` by `speed`.
pub fn faster(plan: &mut [Agent], speed: f64) {
    for a in plan {
        a.start_ms = (a.start_ms as f64 / speed) as u64;
        for t in &mut a.turns {
            t.think_ms /= speed;
            t.framework_ms /= speed;
            for c in &mut t.calls {
                c.offset_ms /= speed;
                for s in &mut c.stages {
                    s.wait_ms /= speed;
                    s.cpu_ms /= speed;
                }
            }
        }
    }
}

/// Multiplies what an agent's calls hold by `factor`, and what its framework does by `base`.
pub fn larger(agent: &mut Agent, factor: f64, base: f64) {
    agent.base_mb *= base;
    for s in agent.turns.iter_mut().flat_map(|t| &mut t.calls).flat_map(|c| &mut c.stages) {
        s.mem_mb *= factor;
    }
}

/// When the agent comes to hold the most, in ms after its start, if nothing delays it.
pub fn peak_ms(agent: &Agent) -> f64 {
    let most = burst_mb(agent);
    let mut at = 0.0;
    for t in &agent.turns {
        at += t.think_ms + t.framework_ms;
        let mut end = at;
        for c in &t.calls {
            let mut stage = at + c.offset_ms;
            for s in &c.stages {
                if s.mem_mb >= most {
                    return stage;
                }
                stage += s.wait_ms + s.cpu_ms;
            }
            end = f64::max(end, stage);
        }
        at = end;
    }
    at
}

/// The most that a call of the agent holds, in MB.
pub fn burst_mb(agent: &Agent) -> f64 {
    let most = |c: &Call| c.stages.iter().map(|s| s.mem_mb).fold(0.0, f64::max);
    agent.turns.iter().flat_map(|t| &t.calls).map(most).fold(0.0, f64::max)
}

/// The agents of a run.
pub fn agents(records: &[Record]) -> impl Iterator<Item = &AgentRecord> {
    records.iter().filter_map(|r| match r {
        Record::Agent(a) => Some(a),
        _ => None,
    })
}

/// How long frameworks took with each of the model's answers from when it was due, in ms.
pub fn framework_ms(records: &[Record]) -> Vec<f64> {
    let turn = |r: &Record| match r {
        Record::Turn(t) => Some(t.done_ns.saturating_sub(t.due_ns) as f64 / 1e6),
        _ => None,
    };
    records.iter().filter_map(turn).collect()
}

/// How many frameworks a run has lost.
pub fn lost(records: &[Record]) -> usize {
    agents(records).filter(|a| a.end_ns == 0).count()
}

/// How many calls failed whose framework lived on: those that were killed.
pub fn killed_calls(records: &[Record]) -> u32 {
    agents(records).filter(|a| a.end_ns != 0).map(|a| a.failed_calls).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use agentload::generate::{generate, Params, Profile};

    #[test]
    fn plans_are_scaled() {
        let p = Params { profile: Profile::Published, agents: 3, turns: 40, ..Params::default() };
        let mut plan = generate(&p);
        let (before, burst) = (plan.clone(), burst_mb(&plan[0]));
        faster(&mut plan, 50.0);
        larger(&mut plan[0], 2.0, 0.5);
        assert!((plan[0].turns[3].think_ms - before[0].turns[3].think_ms / 50.0).abs() < 1e-9);
        let span = |a: &Agent| a.turns[5].calls[0].span_ms();
        assert!((span(&plan[1]) - span(&before[1]) / 50.0).abs() < 1e-6);
        assert!(burst > 0.0 && (burst_mb(&plan[0]) - 2.0 * burst).abs() < 1e-6);
        assert!((plan[0].base_mb - before[0].base_mb / 2.0).abs() < 1e-9);
        let total: f64 = plan[1].turns.iter().map(|t| t.think_ms).sum();
        assert!(peak_ms(&plan[1]) > 0.0 && peak_ms(&plan[1]) < 2.0 * total);
    }
}
