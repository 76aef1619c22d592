// SPDX-License-Identifier: GPL-2.0-only
//! `agentbench memory`.

use super::priority;
use super::rounds::{Control, Machine, Round};
use super::table::Table;
use agentload::traces::{self, Task};
use agentvm::{KernelChoice, Mode};
use anyhow::{bail, ensure, Context, Result};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Subcommand)]
pub enum Experiment {
    /// One important and two other agents, in less memory than they want together.
    ///
    /// Who survives, and how long does the important one wait for its memory?
    Priority(PriorityArgs),
}

#[derive(Args)]
struct Common {
    /// Who controls memory, comma-separated: none, scx_agent, memory (scx_agent --no-sched), sched
    /// (scx_agent --no-memory), or NAME=OPTIONS of scx_agent.
    #[arg(long, value_delimiter = ',', default_value = "none,memory,scx_agent")]
    controls: Vec<String>,
    /// The first seed, and how many.
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// In real time instead of a simulated machine: quicker, not repeatable, and whatever else runs here
    /// shows in the times.
    #[arg(long)]
    functional: bool,
    /// CPUs of the VM.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=255))]
    cpus: u32,
    /// A Debian suite, a release or a package, as `agentvm` takes it.
    #[arg(long, default_value_t)]
    kernel: KernelChoice,
    /// Folder for plans, records, the daemon's decisions and memory.json.
    #[arg(long, default_value = "agentbench-memory")]
    out: PathBuf,
    /// Folder of scx_agent and agentload (default: that of this program).
    #[arg(long)]
    bin_dir: Option<PathBuf>,
    /// Print the table as markdown.
    #[arg(long)]
    markdown: bool,
}

#[derive(Args)]
pub struct PriorityArgs {
    /// Memory for the three agents, in MB, comma-separated.
    #[arg(long, value_delimiter = ',', default_value = "1100,1300")]
    limits: Vec<u64>,
    /// Swap on zram, in MB; 0 for none.
    #[arg(long, default_value_t = 1000)]
    swap: u64,
    /// How much faster than recorded. The paper's 50 is for real machines: an emulated one takes longer
    /// for the memory alone.
    #[arg(long, default_value_t = 15.0)]
    speed: f64,
    /// All memory, and the daemon's options for it, is this part of what it would be: an emulated machine
    /// takes long for much.
    #[arg(long, default_value_t = 0.25)]
    scale: f64,
    /// Recorded tasks; without them the agents are generated.
    #[arg(long, requires = "tasks")]
    traces: Option<PathBuf>,
    /// Which of them: the ids of the important agent's and of the two others', comma-separated.
    #[arg(long, value_delimiter = ',', requires = "traces")]
    tasks: Vec<String>,
    #[command(flatten)]
    common: Common,
}

/// Runs an experiment: a table on standard output, everything else in the folder for results.
///
/// # Errors
/// Something is missing, or a boot failed; what was measured before is kept.
pub fn execute(experiment: &Experiment) -> Result<()> {
    match experiment {
        Experiment::Priority(args) => run_priority(args),
    }
}

impl Common {
    fn seeds(&self) -> std::ops::Range<u64> {
        self.first_seed..self.first_seed + self.seeds
    }

    fn machine(&self, mem: &str) -> Result<Machine> {
        let bin_dir = match &self.bin_dir {
            Some(dir) => dir.clone(),
            None => {
                let own = std::env::current_exe().context("finding this program's own folder")?;
                own.parent().context("this program is in no folder")?.to_path_buf()
            }
        };
        for program in ["agentload", "scx_agent"] {
            ensure!(
                bin_dir.join(program).is_file(),
                "no {program} in {}: build it (cargo build --release) or use --bin-dir",
                bin_dir.display()
            );
        }
        let prepared = agentvm::prepare(&self.kernel, |step| eprintln!("agentbench: {step}"))?;
        let mode = if self.functional { Mode::Functional } else { Mode::Lockstep };
        Ok(Machine { prepared, mode, cpus: self.cpus, mem: mem.into(), bin_dir, timeout_s: 3600 })
    }

    /// The control that `text` names; `options` are for scx_agent in any case.
    fn control(text: &str, options: &str) -> Result<Control> {
        let with = |name: &str, own: &str| Control::daemon(name, format!("{own} {options}").trim());
        Ok(match text.split_once('=') {
            Some((name, own)) if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric()) => {
                with(name, own)
            }
            None if text == "none" => Control::none(),
            None if text == "scx_agent" => with(text, ""),
            None if text == "memory" => with(text, "--no-sched"),
            None if text == "sched" => with(text, "--no-memory"),
            _ => bail!("control {text:?}: use none, scx_agent, memory, sched or NAME=OPTIONS"),
        })
    }

    fn finish(&self, outcomes: &[impl Serialize], table: &Table) -> Result<()> {
        let file = self.out.join("memory.json");
        std::fs::write(&file, serde_json::to_string_pretty(outcomes)? + "\n")
            .with_context(|| format!("writing {}", file.display()))?;
        print!("{}", if self.markdown { table.markdown() } else { table.text() });
        Ok(())
    }
}

/// The tasks with these ids, in their order.
fn tasks(file: &Path, ids: &[String]) -> Result<Vec<Task>> {
    let all = traces::read(file)?;
    let find = |id: &String| {
        all.iter()
            .find(|t| t.id == *id)
            .cloned()
            .with_context(|| format!("{}: no task {id:?}", file.display()))
    };
    ids.iter().map(find).collect()
}

/// scx_agent's default of --mem-reserve-mb on a small machine, and that of --mem-slack-min-mb.
const DEFAULT_RESERVE_MB: u64 = 128;
const DEFAULT_SLACK_MB: u64 = 64;

/// What scx_agent would choose on a machine of the size that this one stands for.
fn scaled_options(scale: f64, reserve_mb: u64) -> String {
    let scaled = |mb: u64| ((mb as f64 * scale).round() as u64).max(16);
    format!("--mem-reserve-mb {} --mem-slack-min-mb {}", scaled(reserve_mb), scaled(DEFAULT_SLACK_MB))
}

fn run_priority(args: &PriorityArgs) -> Result<()> {
    let common = &args.common;
    let tasks = args.traces.as_deref().map(|file| tasks(file, &args.tasks)).transpose()?;
    let options = scaled_options(args.scale, DEFAULT_RESERVE_MB);
    let control = |c: &String| Common::control(c, &options);
    let controls = common.controls.iter().map(control).collect::<Result<Vec<_>>>()?;
    // More than the largest limit, by what the kernel and the daemon need.
    let most = args.limits.iter().max().context("no --limits")?;
    let machine = common.machine(&format!("{}M", (*most as f64 * args.scale) as u64 + 900))?;
    // By control, as a daemon takes longer to start than a round.
    let mut cells = Vec::new();
    for control in &controls {
        for limit_mb in &args.limits {
            for seed in common.seeds() {
                let size = priority::Size { scale: args.scale, limit_mb: *limit_mb, swap_mb: args.swap };
                let plan = priority::plan(seed, args.speed, args.scale, tasks.as_deref())?;
                cells.push((size, seed, priority::round(seed, &plan, &size, control)));
            }
        }
    }
    let rounds: Vec<_> = cells.iter().map(|(_, _, round)| round.clone()).collect();
    let played = machine.play("priority", &rounds, &common.out)?;
    let outcome = |((size, seed, round), played): (&(priority::Size, u64, Round), _)| {
        priority::Outcome::of(&round.control.name, *seed, size, played)
    };
    let outcomes: Vec<_> = cells.iter().zip(&played).map(outcome).collect();
    common.finish(&outcomes, &priority::table(&outcomes, "none"))
}
