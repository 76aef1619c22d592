// SPDX-License-Identifier: GPL-2.0-only
//! `agentbench check`: requirements on the figures of a results file.
//!
//! A requirement is `SCENARIO[/SCHEDULER]:FIGURE>=VALUE` or `<=`; the scheduler is scx_agent
//! unless named. Figures are those of [`crate::figures`]; `react` has `p50_ms`, `p95_ms`,
//! `max_ms` and their ratios.

use crate::figures::{find, Figure, FIGURES};
use crate::results::{Reaction, Results, BASELINE, OURS};
use anyhow::{bail, Context, Result};
use std::str::FromStr;

/// One requirement.
#[derive(Clone, Debug, PartialEq)]
pub struct Requirement {
    pub scenario: String,
    pub scheduler: String,
    pub figure: String,
    pub at_least: bool,
    pub value: f64,
}

impl FromStr for Requirement {
    type Err = anyhow::Error;

    fn from_str(s: &str) -> Result<Requirement> {
        let usage = "write SCENARIO[/SCHEDULER]:FIGURE>=VALUE or <=VALUE";
        let (place, rest) = s.split_once(':').with_context(|| format!("{s:?}: {usage}"))?;
        let (scenario, scheduler) = place.split_once('/').unwrap_or((place, OURS));
        let (figure, at_least, value) = match (rest.split_once(">="), rest.split_once("<=")) {
            (Some((f, v)), _) => (f, true, v),
            (_, Some((f, v))) => (f, false, v),
            _ => bail!("{s:?}: {usage}"),
        };
        Ok(Requirement {
            scenario: scenario.trim().into(),
            scheduler: scheduler.trim().into(),
            figure: figure.trim().into(),
            at_least,
            value: value.trim().parse().with_context(|| format!("{s:?}: {value:?} is no number"))?,
        })
    }
}

/// The measured value that `r` is about.
fn measured(results: &Results, r: &Requirement) -> Result<f64> {
    if r.scenario == "react" {
        return reaction(results, r);
    }
    let names = || results.scenarios.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(", ");
    let scenario = results.scenarios.iter().find(|s| s.name == r.scenario);
    let scenario = scenario
        .with_context(|| format!("no scenario {:?} in these results (they have {})", r.scenario, names()))?;
    let run =
        |name: &str| scenario.run(name).with_context(|| format!("{} did not run under {name:?}", r.scenario));
    let (figure, ratio): (&Figure, bool) = find(&r.figure).with_context(|| {
        let keys: Vec<&str> = FIGURES.iter().map(|f| f.key).collect();
        format!("no figure {:?}: use one of {}, or its _ratio", r.figure, keys.join(", "))
    })?;
    let ours = run(&r.scheduler)?;
    let value = match ratio {
        true => figure.ratio(&run(BASELINE)?.metrics, &ours.metrics),
        false => (figure.get)(&ours.metrics),
    };
    value.with_context(|| format!("{} has no {} under {}", r.scenario, r.figure, r.scheduler))
}

fn reaction(results: &Results, r: &Requirement) -> Result<f64> {
    let get: fn(&Reaction) -> f64 = match r.figure.trim_end_matches("_ms").trim_end_matches("_ratio") {
        "p50" => |x| x.p50_ms,
        "p95" => |x| x.p95_ms,
        "max" => |x| x.max_ms,
        _ => bail!("react has no figure {:?}: use p50_ms, p95_ms, max_ms or their _ratio", r.figure),
    };
    let of = |name: &str| {
        let found = results.reactions.iter().find(|x| x.scheduler == name).map(get);
        found.with_context(|| format!("the reaction test did not run under {name:?}"))
    };
    Ok(match r.figure.ends_with("_ratio") {
        true => of(BASELINE)? / of(&r.scheduler)?,
        false => of(&r.scheduler)?,
    })
}

/// Verifies all requirements: one line for each, and an error that names those not met.
pub fn check(results: &Results, requirements: &[Requirement]) -> Result<String> {
    let (mut report, mut missed) = (String::new(), Vec::new());
    for r in requirements {
        let value = measured(results, r)?;
        let sign = if r.at_least { ">=" } else { "<=" };
        let met = if r.at_least { value >= r.value } else { value <= r.value };
        let line = format!(
            "{}: {} under {} is {value:.3}, required {sign} {}",
            r.scenario, r.figure, r.scheduler, r.value
        );
        report += &format!("{} {line}\n", if met { "ok  " } else { "MISS" });
        if !met {
            missed.push(line);
        }
    }
    match missed.is_empty() {
        true => Ok(report),
        false => bail!("{}", missed.join("\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{metrics, Alone};
    use crate::results::{RunResult, ScenarioResult};
    use agentload::{
        plan::Size,
        record::{CallRecord, Record},
    };

    fn run(scheduler: &str, end_ms: u64) -> RunResult {
        let records = vec![Record::Call(CallRecord {
            agent: "a".into(),
            call: 0,
            cat: "git".into(),
            size: Size::Small,
            cpu_ms: 10.0,
            width: 1,
            start_ns: 0,
            end_ns: end_ms * 1_000_000,
            ok: true,
            pid: 1,
        })];
        let alone: Alone = [(("a".to_string(), 0), 10.0)].into();
        let metrics = metrics(&records, &alone, 8);
        RunResult { scheduler: scheduler.into(), command: String::new(), metrics, records }
    }

    fn results() -> Results {
        Results {
            mode: "lockstep".into(),
            cpus: 8,
            llcs: 1,
            kernel: "7.2".into(),
            seeds: vec![1],
            scenarios: vec![ScenarioResult {
                name: "gen70".into(),
                doc: String::new(),
                agents: vec!["a".into()],
                calls: 1,
                overhead_ms: 0.0,
                alone: vec![],
                ideal_alone: vec![],
                runs: vec![run("eevdf", 60), run("scx_agent", 20)],
                ideal: vec![],
            }],
            reactions: vec![],
        }
    }

    fn outcome(requirement: &str) -> Result<String> {
        check(&results(), &[requirement.parse()?])
    }

    #[test]
    fn met_and_missed() {
        assert!(outcome("gen70:small_p95_ratio>=2").is_ok());
        assert!(outcome("gen70:slowdown_mean<=2").is_ok());
        assert!(outcome("gen70/eevdf:small_p95_ms<=60").is_ok());
        let missed = outcome("gen70:small_p95_ratio>=4").unwrap_err().to_string();
        assert_eq!(missed, "gen70: small_p95_ratio under scx_agent is 3.000, required >= 4");
    }

    #[test]
    fn errors_say_what_to_do() {
        for (requirement, part) in [
            ("gen70", "write SCENARIO"),
            ("gen71:small_p95_ms<=2", "they have gen70"),
            ("gen70:small<=2", "use one of"),
            ("gen70/scx_x:small_p95_ms<=2", "did not run"),
            ("gen70:large_p95_ms<=2", "has no large_p95_ms"),
        ] {
            let error = outcome(requirement).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn sentence_of_results() {
        assert_eq!(
            results().sentence(),
            "scx_agent against EEVDF: small calls' P95 response 3.0x shorter, mean slowdown 3.0x \
             lower, with 1 agents on 8 CPUs at 2 % load (gen70)."
        );
    }
}
