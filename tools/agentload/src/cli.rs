// SPDX-License-Identifier: GPL-2.0-only
//! The subcommands and their options.

use agentload::cgroup::Knob;
use agentload::generate::{self, Profile};
use agentload::record::Record;
use agentload::summary::Summary;
use agentload::{convert, import, jsonl, plan_file, react, run, show, synth, traces};
use anyhow::Result;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Real processes that behave like AI coding agents: for measuring schedulers and memory
/// controllers.
///
/// A plan (JSON lines, one agent a line) says what each agent does: wait for its model, work a
/// little in its framework process, call tools. `generate` and `plan` make plans, `run` lives
/// them with real processes in cgroups of their own and reports every call's response time.
///
///   agentload generate --agents 40 --turns 3 > plan.jsonl
///   agentload run --plan plan.jsonl --work-per-ms 400000 --serial --out alone.jsonl
///   agentload run --plan plan.jsonl --work-per-ms 400000 --alone alone.jsonl
#[derive(Parser)]
#[command(version, verbatim_doc_comment)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Generate a plan; the same options give the same bytes.
    Generate(GenerateArgs),
    /// Turn recorded tasks into a plan.
    ///
    /// Shell calls become calls; the time between them becomes LLM wait, with the CPU that was
    /// sampled there. Other tools (Read, Edit ...) are work of the framework.
    Plan(PlanArgs),
    /// Turn the raw files of the public AgentCgroup measurements into the recorded format.
    ///
    /// Reads <set>/<task>/<attempt>/{resources.json,tool_calls.json,trace.jsonl} below each
    /// directory and writes one task a line.
    Import {
        /// Directories with attempts somewhere below.
        #[arg(required = true)]
        dirs: Vec<PathBuf>,
    },
    /// Summarise a plan: agents, calls per size class, CPU demand, duration, load.
    Show {
        /// The plan; `-` for standard input.
        plan: PathBuf,
        /// CPUs to compare the load with (default: those of this machine).
        #[arg(long)]
        cpus: Option<u32>,
    },
    /// Run a plan with real processes (as root, on a host with cgroup v2).
    Run(RunArgs),
    /// How fast does a new call of some width get its CPUs on a saturated machine?
    React(ReactArgs),
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

#[derive(Args)]
pub struct GenerateArgs {
    /// Which distributions to draw from.
    #[arg(long, value_enum, default_value = "mix")]
    profile: Profile,
    /// Number of agents.
    #[arg(long, default_value_t = 40)]
    agents: u32,
    /// Turns of each agent.
    #[arg(long, default_value_t = 3)]
    turns: u32,
    /// Seed: the same seed gives the same plan on every machine.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Turns with two overlapping calls, in percent (`published` has at least 9).
    #[arg(long, default_value_t = 0.0, value_name = "PCT")]
    overlap: f64,
    /// Write recorded tasks (the input of `plan`) instead of a plan.
    #[arg(long)]
    as_traces: bool,
}

#[derive(Args)]
pub struct PlanArgs {
    /// Recorded tasks, one JSON object a line; `-` for standard input.
    #[arg(long)]
    traces: PathBuf,
    /// Number of agents (default: one per task); tasks are taken again when there are more.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    agents: Option<u32>,
    /// Cut this many seconds out of each task (default: to its end).
    #[arg(long, value_name = "S", value_parser = positive)]
    window: Option<f64>,
    /// Where the window begins, in s (default: at a random phase of each task).
    #[arg(long, value_name = "S")]
    from: Option<f64>,
    /// Divide waits outside calls (LLM waits) by this.
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    speedup: f64,
    /// Divide waits inside calls by this.
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    call_speedup: f64,
    /// Multiply CPU demands by this.
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    cpu_scale: f64,
    /// Seed for the choice of tasks, phases and start times.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keep the recorded memory.
    #[arg(long, value_enum, default_value = "on")]
    mem: Switch,
}

#[derive(Args)]
pub struct RunArgs {
    /// The plan; `-` for standard input.
    #[arg(long)]
    plan: PathBuf,
    /// Parent cgroup to make, below the cgroup v2 root; each agent gets one below it.
    #[arg(long, default_value = "agents")]
    cgroup: String,
    /// Write the records here (JSON lines; `-` for standard output).
    #[arg(long)]
    out: Option<PathBuf>,
    /// Records of a --serial run of the same plan: adds slowdowns to the summary.
    #[arg(long)]
    alone: Option<PathBuf>,
    /// Take no new turns after this many seconds.
    #[arg(long, value_name = "S")]
    window: Option<f64>,
    /// Divide LLM waits and start times by this.
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    speedup: f64,
    /// Run all different calls on the idle machine, half of its CPUs at most: their alone times.
    #[arg(long)]
    serial: bool,
    /// Record which agent ran on which CPU (needs tracefs; costs time, so off by default).
    #[arg(long)]
    timeline: bool,
    /// Hold the memory the plan says.
    #[arg(long, value_enum, default_value = "on")]
    mem: Switch,
    /// Give each framework the comm its plan says; otherwise all are `claude`.
    #[arg(long)]
    comm_from_plan: bool,
    /// Write VALUE to FILE of every agent's cgroup, or that of AGENT; repeatable.
    #[arg(long = "set", value_name = "[AGENT/]FILE=VALUE")]
    knobs: Vec<Knob>,
    /// Iterations of the work loop per ms of CPU; calibrated at the start if not given. Give the
    /// same to all runs that are to be compared.
    #[arg(long, value_parser = positive)]
    work_per_ms: Option<f64>,
}

#[derive(Args)]
pub struct ReactArgs {
    /// Processes released at once by the new call.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    width: u32,
    /// Agents with an endless call each (default: three per CPU).
    #[arg(long)]
    saturate: Option<u32>,
    /// Number of new calls.
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// Parent cgroup to make, below the cgroup v2 root.
    #[arg(long, default_value = "agents")]
    cgroup: String,
    /// Write one JSON line per round here (`-` for standard output).
    #[arg(long)]
    out: Option<PathBuf>,
    /// Iterations of the work loop per ms of CPU; calibrated at the start if not given.
    #[arg(long, value_parser = positive)]
    work_per_ms: Option<f64>,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(v) if v.is_finite() && v > 0.0 => Ok(v),
        _ => Err("expected a number above 0".into()),
    }
}

/// Does what the command line says; false when calls failed.
pub fn execute(command: Command) -> Result<bool> {
    match command {
        Command::Generate(a) => generate_plan(&a),
        Command::Plan(a) => plan_from_traces(&a),
        Command::Import { dirs } => {
            let (tasks, skipped) = import::import(&dirs)?;
            for why in &skipped {
                eprintln!("agentload: skipped {why}");
            }
            jsonl::write(std::io::stdout().lock(), &tasks)?;
            Ok(!tasks.is_empty())
        }
        Command::Show { plan, cpus } => {
            print!("{}", show::show(&plan_file::read(&plan)?, cpus));
            Ok(true)
        }
        Command::Run(a) => run_plan(&a),
        Command::React(a) => run_react(&a),
    }
}

fn generate_plan(a: &GenerateArgs) -> Result<bool> {
    let plan = generate::generate(&generate::Params {
        profile: a.profile,
        agents: a.agents,
        turns: a.turns,
        seed: a.seed,
        overlap_pct: a.overlap,
    });
    if a.as_traces {
        jsonl::write(std::io::stdout().lock(), &synth::to_tasks(&plan))?;
    } else {
        jsonl::write(std::io::stdout().lock(), &plan)?;
    }
    Ok(true)
}

fn plan_from_traces(a: &PlanArgs) -> Result<bool> {
    let tasks = traces::read(&a.traces)?;
    let plan = convert::convert(
        &tasks,
        &convert::Params {
            agents: a.agents,
            window_s: a.window,
            from_s: a.from,
            speedup: a.speedup,
            call_speedup: a.call_speedup,
            cpu_scale: a.cpu_scale,
            seed: a.seed,
            mem: a.mem == Switch::On,
        },
    );
    jsonl::write(std::io::stdout().lock(), &plan)?;
    Ok(true)
}

fn run_plan(a: &RunArgs) -> Result<bool> {
    let plan = plan_file::read(&a.plan)?;
    let alone: Option<Vec<Record>> = a.alone.as_deref().map(jsonl::read).transpose()?;
    let records = run::run(
        &plan,
        &run::Options {
            cgroup: a.cgroup.clone(),
            window_s: a.window,
            speedup: a.speedup,
            serial: a.serial,
            timeline: a.timeline,
            mem: a.mem == Switch::On,
            work_per_ms: a.work_per_ms,
            comm: (!a.comm_from_plan).then(|| "claude".into()),
            knobs: a.knobs.clone(),
        },
    )?;
    if let Some(out) = &a.out {
        jsonl::write_file(out, &records)?;
    }
    let summary = Summary::of(&records, alone.as_deref());
    print!("{summary}");
    Ok(summary.all_well())
}

fn run_react(a: &ReactArgs) -> Result<bool> {
    let rounds = react::run(&react::Options {
        width: a.width,
        saturate: a.saturate,
        rounds: a.rounds,
        cgroup: a.cgroup.clone(),
        work_per_ms: a.work_per_ms,
    })?;
    if let Some(out) = &a.out {
        jsonl::write_file(out, &rounds)?;
    }
    println!("{}", react::summary(&rounds));
    Ok(true)
}
