// SPDX-License-Identifier: GPL-2.0-only
//! Rounds of a load in a guest, each under some control of memory.

use agentload::jsonl;
use agentload::plan::Agent;
use agentload::record::Record;
use agentvm::{Guest, Mode, Prepared};
use anyhow::{bail, ensure, Context, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Who controls memory, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    pub name: String,
    /// What runs beside the agents, if anything.
    pub daemon: Option<String>,
}

impl Control {
    /// The kernel alone.
    pub fn none() -> Control {
        Control { name: "none".into(), daemon: None }
    }

    /// `scx_agent` with these options besides those that name the agents.
    pub fn daemon(name: &str, options: &str) -> Control {
        let command = format!("scx_agent -v --agent-cgroup 'agents/*' {options}").trim_end().to_string();
        Control { name: name.into(), daemon: Some(command) }
    }
}

/// One load under one control.
#[derive(Clone, Debug)]
pub struct Round {
    /// Also of files: no slashes.
    pub name: String,
    pub plan: Vec<Agent>,
    /// Memory for all agents together, in MB (10^6 bytes).
    pub available_mb: u64,
    /// Of swap on zram, in MB; 0 for none.
    pub swap_mb: u64,
    pub control: Control,
    /// Of `agentload run --set`.
    pub knobs: Vec<String>,
}

/// What a round left.
pub struct Played {
    pub records: Vec<Record>,
    /// Counters of the guest: `free_kb` before the agents, `pswpout`, `oom_kill`.
    pub facts: BTreeMap<String, f64>,
}

/// The guest in which rounds are played.
pub struct Machine {
    pub prepared: Prepared,
    pub mode: Mode,
    pub cpus: u32,
    /// As QEMU's -m takes it; more than any round has available, by what the kernel needs.
    pub mem: String,
    /// Folder of agentload and scx_agent.
    pub bin_dir: PathBuf,
    pub timeout_s: u64,
}

/// How far what a round has available may be from what was asked for.
const TOLERANCE: f64 = 0.03;

impl Machine {
    /// Plays `rounds` in one boot, in their order. What they leave is in `out`.
    ///
    /// # Errors
    /// The guest, a daemon or the load failed; or there was not as much memory as asked for.
    pub fn play(&self, title: &str, rounds: &[Round], out: &Path) -> Result<Vec<Played>> {
        std::fs::create_dir_all(out).with_context(|| format!("creating {}", out.display()))?;
        let write = |name: &str, text: &str| {
            let file = out.join(name);
            std::fs::write(&file, text).with_context(|| format!("writing {}", file.display())).map(|()| file)
        };
        let script = write("rounds.sh", include_str!("guest.sh"))?;
        let lines: String = rounds.iter().map(line).collect();
        let mut files =
            vec![(script, PathBuf::from("/rounds.sh")), (write("rounds", &lines)?, PathBuf::from("/rounds"))];
        for r in rounds {
            let file = out.join(format!("{}.plan", r.name));
            jsonl::write_file(&file, &r.plan)?;
            files.push((file, format!("/plans/{}", r.name).into()));
        }
        let guest = Guest {
            mode: self.mode,
            cpus: self.cpus,
            mem: self.mem.clone(),
            files,
            programs: ["agentload", "scx_agent"].map(|p| (self.bin_dir.join(p), None)).into(),
            modules: vec!["zram".into()],
            command: "sh /rounds.sh".into(),
            timeout_s: self.timeout_s,
            ..Guest::default()
        };
        let began = Instant::now();
        let outcome = guest.run_prepared(&self.prepared, out, |text| {
            if rounds.iter().any(|r| text.starts_with(&format!("{}: ", r.name))) {
                eprintln!("[{title} {:4.0} s] {text}", began.elapsed().as_secs_f64());
            }
        })?;
        let console = write("console.log", &outcome.console)?;
        if outcome.status != 0 {
            bail!("{title}: the rounds ended with status {}; see {}", outcome.status, console.display());
        }
        rounds.iter().map(|r| read(r, out)).collect()
    }
}

/// A round as the guest's script reads it.
fn line(r: &Round) -> String {
    let knobs = r.knobs.iter().map(|k| format!(" --set {k}"));
    format!(
        "{}|{}|{}|{}|--plan /plans/{}{}\n",
        r.name,
        r.available_mb,
        r.swap_mb,
        r.control.daemon.as_deref().unwrap_or(""),
        r.name,
        knobs.collect::<String>()
    )
}

fn read(r: &Round, out: &Path) -> Result<Played> {
    let records = jsonl::read(&out.join(format!("{}.jsonl", r.name)))?;
    let file = out.join(format!("{}.facts", r.name));
    let text = std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    let facts: BTreeMap<String, f64> = text
        .lines()
        .filter_map(|l| l.split_once('='))
        .filter_map(|(k, v)| Some((k.into(), v.parse().ok()?)))
        .collect();
    let had = facts.get("free_kb").copied().unwrap_or(0.0) * 1024.0 / 1e6;
    let far = (had / r.available_mb as f64 - 1.0).abs();
    ensure!(far <= TOLERANCE, "{}: the agents had {had:.0} MB, not {}", r.name, r.available_mb);
    Ok(Played { records, facts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_lines() {
        let mut r = Round {
            name: "s1-none".into(),
            plan: Vec::new(),
            available_mb: 1100,
            swap_mb: 0,
            control: Control::none(),
            knobs: vec!["high/cpu.weight=400".into()],
        };
        assert_eq!(line(&r), "s1-none|1100|0||--plan /plans/s1-none --set high/cpu.weight=400\n");
        r.control = Control::daemon("memory", "--no-sched");
        assert!(line(&r).contains("|1100|0|scx_agent -v --agent-cgroup 'agents/*' --no-sched|--plan"));
    }
}
