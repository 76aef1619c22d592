// SPDX-License-Identifier: GPL-2.0-only
//! Reading a plan and checking that it can be run.

use crate::jsonl;
use crate::plan::Agent;
use anyhow::{bail, Result};
use std::collections::HashSet;
use std::path::Path;

/// Widest stage that can be run, in processes.
pub const MAX_WIDTH: u32 = 64;

/// Stages in one call: they travel on one command line.
pub const MAX_STAGES: usize = 2500;

/// Reads a plan (JSON lines; `-` is standard input) and checks it with [`check`].
pub fn read(path: &Path) -> Result<Vec<Agent>> {
    let plan: Vec<(usize, Agent)> = jsonl::read_numbered(path)?;
    let name = path.display().to_string();
    if plan.is_empty() {
        bail!("{name}: the plan is empty; expected one agent per line");
    }
    let mut names = HashSet::new();
    for (line, agent) in &plan {
        if let Err(message) = check(agent) {
            return Err(jsonl::at(&name, *line, message));
        }
        if !names.insert(&agent.agent) {
            return Err(jsonl::at(
                &name,
                *line,
                format!("field \"agent\": {:?} is there twice", agent.agent),
            ));
        }
    }
    Ok(plan.into_iter().map(|(_, agent)| agent).collect())
}

/// What is wrong with an agent, as `field "x": expected ...`.
pub fn check(a: &Agent) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if a.agent.is_empty() || !a.agent.chars().all(plain) || a.agent.starts_with('.') || a.agent.contains("..")
    {
        return Err(format!(
            "field \"agent\": expected a name of letters, digits, `.`, `_`, `-`, found {:?}",
            a.agent
        ));
    }
    if a.comm.is_empty() || a.comm.len() > 15 || a.comm.contains('\0') {
        return Err(format!("field \"comm\": expected 1 to 15 bytes, found {:?}", a.comm));
    }
    not_negative("base_mb", a.base_mb)?;
    for t in &a.turns {
        not_negative("think_ms", t.think_ms)?;
        not_negative("framework_ms", t.framework_ms)?;
        not_negative("wait_cpu_pct", t.wait_cpu_pct)?;
        for c in &t.calls {
            not_negative("offset_ms", c.offset_ms)?;
            if c.stages.len() > MAX_STAGES {
                return Err(format!(
                    "call {}: {} stages, at most {MAX_STAGES} can be run",
                    c.call,
                    c.stages.len()
                ));
            }
            for s in &c.stages {
                not_negative("wait_ms", s.wait_ms)?;
                not_negative("cpu_ms", s.cpu_ms)?;
                not_negative("mem_mb", s.mem_mb)?;
                if !(1..=MAX_WIDTH).contains(&s.width) {
                    return Err(format!(
                        "call {}, field \"width\": expected 1..={MAX_WIDTH}, found {}",
                        c.call, s.width
                    ));
                }
            }
        }
    }
    Ok(())
}

fn not_negative(field: &str, v: f64) -> Result<(), String> {
    if v.is_finite() && v >= 0.0 {
        return Ok(());
    }
    Err(format!("field {field:?}: expected a number of at least 0, found {v}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate;

    fn one() -> Agent {
        generate::generate(&generate::Params::default()).remove(0)
    }

    #[test]
    fn generated_agents_are_fine() {
        assert_eq!(check(&one()), Ok(()));
    }

    #[test]
    fn broken_agents_are_named() {
        let mut a = one();
        a.agent = "../x".into();
        assert!(check(&a).unwrap_err().contains("\"agent\""));
        let mut a = one();
        a.comm = "a-name-of-sixteen".into();
        assert!(check(&a).unwrap_err().contains("\"comm\""));
        let mut a = one();
        a.turns[0].calls[0].stages[0].width = 65;
        assert!(check(&a).unwrap_err().contains("\"width\""));
        let mut a = one();
        a.turns[0].think_ms = -1.0;
        assert!(check(&a).unwrap_err().contains("\"think_ms\""));
    }

    #[test]
    fn files_are_read_with_the_line_at_fault() {
        let dir = std::env::temp_dir().join(format!("agentload-plan-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let p = dir.join("p.jsonl");
        let good = serde_json::to_string(&one()).unwrap();
        std::fs::write(&p, format!("{good}\n{good}\n")).unwrap();
        assert!(read(&p).unwrap_err().to_string().contains("p.jsonl:2: field \"agent\""));
        std::fs::write(&p, format!("{good}\n\n{{\"agent\":3}}\n")).unwrap();
        assert!(read(&p).unwrap_err().to_string().contains("p.jsonl:3: column"), "{}", read(&p).unwrap_err());
        std::fs::write(&p, "").unwrap();
        assert!(read(&p).unwrap_err().to_string().contains("empty"));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
