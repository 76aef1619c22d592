// SPDX-License-Identifier: GPL-2.0-only
//! A plan in a few lines for a human.

use crate::plan::{Agent, Call, Size};
use crate::sys;
use std::fmt::Write;

/// Duration of an agent if nothing ever had to wait for a CPU, in ms.
pub fn span_ms(a: &Agent) -> f64 {
    let turn = |t: &crate::plan::Turn| {
        let calls = t.calls.iter().map(|c| c.offset_ms + c.span_ms()).fold(0.0, f64::max);
        t.think_ms + t.framework_ms + calls
    };
    a.start_ms as f64 + a.turns.iter().map(turn).sum::<f64>()
}

/// The summary of a plan: agents, calls per size class, demand, duration, load on `cpus`.
pub fn show(plan: &[Agent], cpus: Option<u32>) -> String {
    let cpus = cpus.unwrap_or_else(sys::online_cpus);
    let calls: Vec<&Call> = plan.iter().flat_map(|a| &a.turns).flat_map(|t| &t.calls).collect();
    let turns: usize = plan.iter().map(|a| a.turns.len()).sum();
    let demand_s = calls.iter().map(|c| c.cpu_ms()).sum::<f64>() / 1e3;
    let framework_s = plan
        .iter()
        .flat_map(|a| &a.turns)
        .map(|t| t.framework_ms + t.think_ms * t.wait_cpu_pct / 100.0)
        .sum::<f64>()
        / 1e3;
    let longest_s = plan.iter().map(span_ms).fold(0.0, f64::max) / 1e3;
    let mut out = String::new();
    let _ = writeln!(out, "{} agents, {turns} turns, {} calls", plan.len(), calls.len());
    let _ = writeln!(
        out,
        "{:<8}{:>7}{:>14}{:>14}{:>12}",
        "calls", "count", "cpu s total", "cpu ms mean", "max width"
    );
    for (name, size) in [("small", Size::Small), ("medium", Size::Medium), ("large", Size::Large)] {
        let of: Vec<&&Call> = calls.iter().filter(|c| c.size() == size).collect();
        let total: f64 = of.iter().map(|c| c.cpu_ms()).sum();
        let width = of.iter().map(|c| c.width()).max().unwrap_or(0);
        let mean = total / of.len().max(1) as f64;
        let _ = writeln!(out, "{name:<8}{:>7}{:>14.2}{mean:>14.1}{width:>12}", of.len(), total / 1e3);
    }
    let _ = writeln!(out, "demand: calls {demand_s:.2} s of CPU, frameworks {framework_s:.2} s");
    let _ = writeln!(out, "shortest duration (never waiting for a CPU): {longest_s:.2} s");
    let load = (demand_s + framework_s) / longest_s.max(1e-9);
    let _ =
        writeln!(out, "load over that time: {load:.2} CPUs, {:.0} % of {cpus}", 100.0 * load / cpus as f64);
    let base: f64 = plan.iter().map(|a| a.base_mb).sum();
    let peak = calls.iter().flat_map(|c| &c.stages).map(|s| s.mem_mb).fold(0.0, f64::max);
    let _ = writeln!(out, "memory: frameworks {base:.0} MB, largest call {peak:.0} MB");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::{generate, Params};

    #[test]
    fn the_figures_add_up() {
        let plan = generate(&Params::default());
        let text = show(&plan, Some(8));
        assert!(text.starts_with("40 agents, 120 turns, 120 calls"), "{text}");
        assert!(text.contains("% of 8"));
        assert!(span_ms(&plan[0]) > plan[0].start_ms as f64);
        assert!(show(&[], Some(8)).contains("0 agents"));
    }
}
