// SPDX-License-Identifier: GPL-2.0-only
//! Command line of `agentbench`.

use agentbench::boot::Vm;
use agentbench::check::{check, Requirement};
use agentbench::ideal::Machine;
use agentbench::matrix::{self, Matrix};
use agentbench::memory::cli::{self as memory, Experiment};
use agentbench::policy::Policy;
use agentbench::results::Results;
use agentbench::scenarios::{self, Load, SCENARIOS};
use agentbench::scheduler::{look_up, Scheduler};
use agentbench::{explore, report, table};
use agentload::plan::Agent;
use agentvm::{KernelChoice, Mode};
use anyhow::{bail, Context, Result};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitCode};

/// Compares schedulers under the same load of AI coding agents, in a VM.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run scenarios under schedulers; writes results.json and report.html.
    Run(RunArgs),
    /// Draw the report of a results folder again.
    Report {
        dir: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// What ideal policies would reach, simulated without a machine.
    Ideal(IdealArgs),
    /// Verify figures of a results folder; exit status 1 if one is not met.
    Check {
        dir: PathBuf,
        /// SCENARIO[/SCHEDULER]:FIGURE>=VALUE (or <=), e.g. gen70:small_p95_ratio>=2.
        #[arg(long, required = true)]
        require: Vec<Requirement>,
    },
    /// Compare control of memory: the same agents in the same memory.
    #[command(subcommand)]
    Memory(Experiment),
    /// List the scenarios.
    Scenarios,
}

#[derive(Clone, Copy, ValueEnum)]
enum ModeArg {
    /// Deterministic simulation of the machine: the same bytes each time.
    Lockstep,
    /// Real time: quicker, not repeatable.
    Functional,
}

#[derive(Args)]
struct Output {
    /// Print the tables as markdown.
    #[arg(long)]
    markdown: bool,
}

#[derive(Args)]
struct RunArgs {
    #[arg(long, value_enum, default_value = "lockstep")]
    mode: ModeArg,
    /// CPUs of the VM.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=255))]
    cpus: u32,
    /// Last-level caches of the VM, each of which as many of the CPUs share.
    #[arg(long, value_name = "N", default_value_t = 1)]
    llcs: u32,
    /// `eevdf`, `scx_agent`, any NAME on PATH, or NAME=COMMAND LINE; comma-separated.
    #[arg(long, value_delimiter = ',', default_value = "eevdf,scx_agent")]
    schedulers: Vec<String>,
    /// One more, whose command line may have commas; repeat for others.
    #[arg(long)]
    scheduler: Vec<String>,
    /// Names of `agentbench scenarios`, comma-separated.
    #[arg(long, value_delimiter = ',', default_value = "gen70,gen95")]
    scenarios: Vec<String>,
    /// Traces for the scenarios that replay them (default: the sample of agentload).
    #[arg(long)]
    traces: Option<PathBuf>,
    /// Seeds of the plans, comma-separated: each scenario runs with each, and figures are over the
    /// calls of all. Demands are heavy-tailed and draws differ; that of the default is near the
    /// mean in CPU demand.
    #[arg(long, value_delimiter = ',', default_value = "4")]
    seed: Vec<u64>,
    /// Folder for the results.
    #[arg(long, default_value = "agentbench-results")]
    out: PathBuf,
    /// Record what each CPU ran, for the report.
    #[arg(long)]
    timeline: bool,
    /// A Debian suite, a release or a package, as `agentvm` takes it.
    #[arg(long, default_value_t)]
    kernel: KernelChoice,
    /// Folder of scx_agent and agentload (default: that of this program).
    #[arg(long)]
    bin_dir: Option<PathBuf>,
    /// One turn for each agent: to try things out.
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Args)]
struct IdealArgs {
    /// A plan of agentload.
    #[arg(long, required_unless_present = "scenario")]
    plan: Option<PathBuf>,
    /// A generated scenario instead of a plan.
    #[arg(long, conflicts_with = "plan")]
    scenario: Option<String>,
    /// With --scenario: the mean over this many seeds, from 1.
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    cpus: u32,
    /// CPU for starting and ending each call, in ms.
    #[arg(long, default_value_t = 0.0, value_parser = not_negative)]
    overhead: f64,
    /// Ranks are renewed this often, in ms.
    #[arg(long, default_value_t = 1.0, value_parser = above_zero)]
    grain: f64,
    /// Policies, comma-separated: equal, fcfs, las[:CAP_MS], las-fcfs:CAP_MS,
    /// width-las:CAP_MS:BONUS_MS, wide-las,
    /// aged-las:ALPHA, mlf:BASE_MS[:CAP_LEVEL], mlf-share:BASE_MS[:CAP_LEVEL], srpt.
    #[arg(long, value_delimiter = ',')]
    policies: Vec<Policy>,
}

fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(v) if v.is_finite() && v >= 0.0 => Ok(v),
        _ => Err("expected a number of at least 0".into()),
    }
}

fn above_zero(text: &str) -> Result<f64, String> {
    not_negative(text).and_then(|v| if v > 0.0 { Ok(v) } else { Err("expected a number above 0".into()) })
}

fn main() -> ExitCode {
    match execute(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("agentbench: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> Result<()> {
    match command {
        Command::Run(args) => run(&args),
        Command::Report { dir, output } => finish(&dir, &output),
        Command::Ideal(args) => ideal(&args),
        Command::Check { dir, require } => {
            print!("{}", check(&Results::load(&dir)?, &require)?);
            Ok(())
        }
        Command::Memory(experiment) => memory::execute(&experiment),
        Command::Scenarios => {
            for s in SCENARIOS {
                println!("{:<10} {}", s.name, s.doc);
            }
            Ok(())
        }
    }
}

fn run(args: &RunArgs) -> Result<()> {
    let bin_dir = match &args.bin_dir {
        Some(dir) => dir.clone(),
        None => {
            let own = std::env::current_exe().context("finding this program's own folder")?;
            own.parent().context("this program is in no folder")?.to_path_buf()
        }
    };
    let path = std::env::var("PATH").unwrap_or_default();
    let scenarios = args.scenarios.iter().map(|n| scenarios::find(n)).collect::<Result<Vec<_>>>()?;
    let parse = |s: &String| Scheduler::parse(s, &bin_dir, &path);
    let schedulers = args.schedulers.iter().chain(&args.scheduler).map(parse).collect::<Result<Vec<_>>>()?;
    for (i, seed) in args.seed.iter().enumerate() {
        if args.seed[..i].contains(seed) {
            bail!("--seed: {seed} is there twice");
        }
    }
    for (i, s) in schedulers.iter().enumerate() {
        if schedulers[..i].iter().any(|o| o.name == s.name) {
            bail!("scheduler {} is there twice: give one another name (NAME=COMMAND LINE)", s.name);
        }
    }
    let agentload = look_up("agentload", &bin_dir, "").with_context(|| {
        format!("no agentload in {}: build it (cargo build --release) or use --bin-dir", bin_dir.display())
    })?;
    let (mode, name) = match args.mode {
        ModeArg::Lockstep => (Mode::Lockstep, "lockstep"),
        ModeArg::Functional => (Mode::Functional, "functional"),
    };
    std::fs::create_dir_all(&args.out).with_context(|| format!("creating {}", args.out.display()))?;
    let vm = Vm::new(&args.kernel, mode, args.cpus, args.llcs, agentload.clone())?;
    let traces = |load: Load, seed: u64| traces(&agentload, args, load, seed);
    let matrix = Matrix {
        mode: name.into(),
        cpus: args.cpus,
        llcs: args.llcs,
        seeds: args.seed.clone(),
        quick: args.quick,
        timeline: args.timeline,
        scenarios,
        schedulers,
        out: args.out.clone(),
        agentload: agentload.clone(),
        traces: &traces,
    };
    let (results, failures) = matrix::run(&matrix, &vm)?;
    results.save(&args.out)?;
    finish(&args.out, &args.output)?;
    match failures.as_slice() {
        [] => Ok(()),
        some => bail!("{} runs failed and are missing in the report:\n{}", some.len(), some.join("\n")),
    }
}

/// Traces that are used if the user names none.
const SAMPLE_TRACES: &[u8] = include_bytes!("../../agentload/data/sample-traces.jsonl");

/// The plan of a scenario that replays traces, made by `agentload plan`.
fn traces(agentload: &Path, args: &RunArgs, load: Load, seed: u64) -> Result<Vec<Agent>> {
    let Load::Traces { agents, window_s, speedup } = load else {
        bail!("this scenario replays no traces");
    };
    let write = |name: &str, bytes: &[u8]| {
        let file = args.out.join(name);
        std::fs::write(&file, bytes).with_context(|| format!("writing {}", file.display())).map(|()| file)
    };
    let from = match &args.traces {
        Some(file) => file.clone(),
        None => write("sample-traces.jsonl", SAMPLE_TRACES)?,
    };
    let mut command = Process::new(agentload);
    command.arg("plan").arg("--traces").arg(from).args(["--mem", "off"]);
    for (option, value) in [
        ("--agents", agents.to_string()),
        ("--window", window_s.to_string()),
        ("--speedup", speedup.to_string()),
        ("--call-speedup", speedup.to_string()),
        ("--seed", seed.to_string()),
    ] {
        command.arg(option).arg(value);
    }
    let output = command.output().with_context(|| format!("running {}", agentload.display()))?;
    if !output.status.success() {
        bail!("agentload plan: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    agentload::plan_file::read(&write("traces-plan.jsonl", &output.stdout)?)
}

/// Draws the report of `dir` and prints tables, path and result.
fn finish(dir: &Path, output: &Output) -> Result<()> {
    let results = Results::load(dir)?;
    let path = dir.join("report.html");
    std::fs::write(&path, report::html(&results)?).with_context(|| format!("writing {}", path.display()))?;
    for t in table::all(&results) {
        println!("{}", if output.markdown { t.markdown() } else { t.text() });
    }
    println!("Report: {}\n{}", path.display(), results.sentence());
    Ok(())
}

fn ideal(args: &IdealArgs) -> Result<()> {
    let plans = match (&args.plan, &args.scenario) {
        (Some(plan), _) => vec![agentload::plan_file::read(plan)?],
        (None, Some(name)) => {
            let load = scenarios::find(name)?.load;
            (1..=args.seeds.max(1)).map(|s| scenarios::generated(load, s)).collect::<Result<_>>()?
        }
        (None, None) => bail!("name a plan (--plan FILE) or a scenario (--scenario gen70)"),
    };
    let machine = Machine { cpus: args.cpus, overhead_ms: args.overhead, grain_ms: args.grain };
    let policies = match args.policies.as_slice() {
        [] => Policy::defaults(),
        some => some.to_vec(),
    };
    print!("{}", explore::table(&plans, machine, &policies));
    Ok(())
}
