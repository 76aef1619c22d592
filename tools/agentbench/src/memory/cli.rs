// SPDX-License-Identifier: GPL-2.0-only
//! `agentbench memory`.

use super::rounds::{Control, Machine, Round};
use super::table::Table;
use super::{density, priority};
use agentload::traces::{self, Task};
use agentvm::{KernelChoice, Mode};
use anyhow::{bail, ensure, Context, Result};
use clap::{Args, Subcommand};
use serde::de::DeserializeOwned;
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Subcommand)]
pub enum Experiment {
    /// One important and two other agents, in less memory than they want together.
    ///
    /// Who survives, and how long does the important one wait for its memory?
    Priority(PriorityArgs),
    /// How many agents fit into a machine.
    ///
    /// The most of whom no framework is killed, and whose tasks take at most a tenth longer than with all the
    /// memory that they want.
    Density(DensityArgs),
}

#[derive(Args)]
struct Common {
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
    /// Outcomes of earlier runs (their memory.json) for the same table. Repeatable.
    #[arg(long = "with", value_name = "FILE")]
    with: Vec<PathBuf>,
    /// Print the table as markdown.
    #[arg(long)]
    markdown: bool,
}

#[derive(Args)]
pub struct PriorityArgs {
    /// Memory for the three agents, in MB, comma-separated.
    #[arg(long, value_delimiter = ',', default_value = "1100,1300")]
    limits: Vec<u64>,
    /// Who controls memory, comma-separated: none, scx_agent, memory (scx_agent --no-sched), sched
    /// (scx_agent --no-memory), or NAME=OPTIONS of scx_agent.
    #[arg(long, value_delimiter = ',', default_value = "none,memory,scx_agent")]
    controls: Vec<String>,
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

#[derive(Args)]
pub struct DensityArgs {
    /// Numbers of agents, comma-separated.
    #[arg(long, value_delimiter = ',', default_value = "12,16,20,24,28,32,36,40")]
    agents: Vec<u32>,
    /// Who controls memory, comma-separated: as for `priority`, or `unlimited` (nobody, and there is enough for
    /// all, which the others are compared with), `static` (memory.max of each is the P95 of what tasks use at
    /// most), `twice` (memory.high of each is twice its baseline).
    #[arg(long, value_delimiter = ',', default_value = "unlimited,none,static,twice,memory")]
    controls: Vec<String>,
    /// Memory for the agents, in MB.
    #[arg(long, default_value_t = 8000)]
    memory: u64,
    /// Swap on zram, in MB; 0 for none.
    #[arg(long, default_value_t = 8000)]
    swap: u64,
    /// Length of the window cut from each recorded task, in s of the recording.
    #[arg(long, default_value_t = 120.0)]
    window: f64,
    /// How much faster than recorded.
    #[arg(long, default_value_t = 10.0)]
    speed: f64,
    /// All memory, and the daemon's options for it, is this part of what it would be.
    #[arg(long, default_value_t = 0.25)]
    scale: f64,
    /// CPU demands are this part of what they would be, as the machine has few CPUs.
    #[arg(long, default_value_t = 0.25)]
    cpu: f64,
    /// Recorded tasks; without them the agents are generated.
    #[arg(long)]
    traces: Option<PathBuf>,
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
        Experiment::Density(args) => run_density(args),
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

    /// The control that `text` names; `options` are for scx_agent unless the control has its own.
    fn control(text: &str, options: &[(&str, u64)]) -> Result<Control> {
        let with = |name: &str, own: &str| {
            let said = |option: &str| own.split([' ', '=']).any(|word| word == option);
            let rest = options.iter().filter(|(option, _)| !said(option));
            let rest = rest.map(|(option, value)| format!(" {option} {value}"));
            Control::daemon(name, format!("{own}{}", rest.collect::<String>()).trim())
        };
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

    /// What earlier runs came to.
    fn earlier<T: DeserializeOwned>(&self) -> Result<Vec<T>> {
        let mut all = Vec::new();
        for file in &self.with {
            let text =
                std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
            let part: Vec<T> = serde_json::from_str(&text)
                .with_context(|| format!("{}: not outcomes of this experiment", file.display()))?;
            all.extend(part);
        }
        Ok(all)
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
/// scx_agent's default of --mem-settle-ms.
const DEFAULT_SETTLE_MS: f64 = 1000.0;

/// What scx_agent would choose on a machine of the size that this one stands for.
fn scaled_options(scale: f64, reserve_mb: u64) -> [(&'static str, u64); 2] {
    let scaled = |mb: u64| ((mb as f64 * scale).round() as u64).max(16);
    [("--mem-reserve-mb", scaled(reserve_mb)), ("--mem-slack-min-mb", scaled(DEFAULT_SLACK_MB))]
}

fn run_priority(args: &PriorityArgs) -> Result<()> {
    let common = &args.common;
    let tasks = args.traces.as_deref().map(|file| tasks(file, &args.tasks)).transpose()?;
    let options = scaled_options(args.scale, DEFAULT_RESERVE_MB);
    let control = |c: &String| Common::control(c, &options);
    let controls = args.controls.iter().map(control).collect::<Result<Vec<_>>>()?;
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
    let mut outcomes = common.earlier()?;
    outcomes.extend(cells.iter().zip(&played).map(outcome));
    common.finish(&outcomes, &priority::table(&outcomes, "none"))
}

fn run_density(args: &DensityArgs) -> Result<()> {
    let common = &args.common;
    let tasks = args.traces.as_deref().map(traces::read).transpose()?;
    let size = density::Size {
        scale: args.scale,
        speed: args.speed,
        cpu: args.cpu,
        window_s: args.window,
        memory_mb: args.memory,
        swap_mb: args.swap,
    };
    // As scx_agent chooses it: a twentieth of the memory.
    let settle_ms = (DEFAULT_SETTLE_MS / args.speed).max(100.0).round() as u64;
    let [reserve, slack] = scaled_options(args.scale, (args.memory / 20).max(DEFAULT_RESERVE_MB));
    let options = [reserve, slack, ("--mem-settle-ms", settle_ms)];
    let most = *args.agents.iter().max().context("no --agents")?;
    let static_mb = density::peak_p95_mb(
        &density::plan(most.max(100), common.first_seed, &size, None),
        tasks.as_deref(),
        args.scale,
    );
    let mut cells = Vec::new();
    for name in &args.controls {
        let (control, limits) = match name.as_str() {
            density::UNLIMITED => (Control::none(), density::Limits::Unlimited),
            "static" => {
                eprintln!(
                    "agentbench: static limits of {static_mb:.0} MB: {:.0} agents fit by them",
                    (args.memory as f64 / static_mb).floor()
                );
                (Control::none(), density::Limits::Static { max_mb: static_mb })
            }
            "twice" => (Control::none(), density::Limits::Twice),
            other => (Common::control(other, &options)?, density::Limits::None),
        };
        let name = if limits == density::Limits::None { &control.name } else { name };
        for agents in &args.agents {
            for seed in common.seeds() {
                let plan = density::plan(*agents, seed, &size, tasks.as_deref());
                let round = density::round(seed, &plan, &size, name, &control, limits);
                cells.push((name.clone(), seed, round));
            }
        }
    }
    let rounds: Vec<_> = cells.iter().map(|(_, _, round)| round.clone()).collect();
    let available = rounds.iter().map(|r| r.available_mb).max().context("no --controls")?;
    let machine = common.machine(&format!("{}M", available + 900))?;
    let played = machine.play("density", &rounds, &common.out)?;
    let mut outcomes = common.earlier()?;
    let outcome = |((name, seed, round), played): (&(String, u64, Round), _)| {
        density::Outcome::of(name, *seed, &round.plan, played)
    };
    outcomes.extend(cells.iter().zip(&played).map(outcome));
    common.finish(&outcomes, &density::table(&outcomes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_may_have_options_of_their_own() {
        let options = scaled_options(0.25, 400);
        let command = |text| Common::control(text, &options).unwrap().daemon.unwrap();
        assert!(command("memory").ends_with("--no-sched --mem-reserve-mb 100 --mem-slack-min-mb 16"));
        let own = command("less=--mem-reserve-mb 40 --mem-no-brake");
        assert!(own.ends_with("--mem-reserve-mb 40 --mem-no-brake --mem-slack-min-mb 16"), "{own}");
        assert!(command("less=--mem-reserve-mb=40").ends_with("--mem-reserve-mb=40 --mem-slack-min-mb 16"));
        assert_eq!(Common::control("none", &options).unwrap(), Control::none());
        assert!(Common::control("what", &options).is_err());
    }
}
