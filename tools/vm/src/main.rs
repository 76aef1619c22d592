// SPDX-License-Identifier: GPL-2.0-only
//! The command line of agentvm.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use agentvm::{Guest, KernelChoice, Mode, Outcome, RunError};
use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Boots a stock sched_ext kernel under QEMU's software emulation (no KVM, no sched_ext on the host
/// needed), runs a scheduler and a workload in it, and gets files and exit statuses out
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Cmd,
}

#[derive(Subcommand)]
enum Cmd {
    /// Download Debian packages from this machine's mirror and unpack them, installing nothing
    Unpack(UnpackArgs),
    /// Bring a kernel, QEMU and busybox into the cache; done once, and quick when they are there
    Prepare(PrepareArgs),
    /// Boot, run a scheduler and a command, hand out the files of the guest's /out
    #[command(after_help = "The exit status is the command's. Beyond that: 3 the scheduler was not \
        enabled, 124 --timeout passed, 125 the guest did not get to the command's end, 130 interrupted.")]
    Run(Box<RunArgs>),
}

#[derive(Args)]
struct PrepareArgs {
    /// A suite (sid, trixie-backports), a release (6.18, 7.2.13+deb14), a package name, or the path of a
    /// folder with vmlinuz, config and release
    #[arg(long, default_value = "sid")]
    kernel: KernelChoice,
    /// Ask the mirror for a newer kernel even if one is there
    #[arg(long)]
    update: bool,
}

#[derive(Args)]
struct UnpackArgs {
    /// The suite they are from
    #[arg(long, default_value = "sid")]
    suite: String,
    /// The folder to unpack them in
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// With all that they depend on
    #[arg(long)]
    dependencies: bool,
    /// Names of packages
    #[arg(required = true)]
    packages: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum ModeArg {
    /// On the host's clock, CPUs in parallel: quick
    Functional,
    /// A deterministic simulation: two runs give the same bytes
    Lockstep,
}

#[derive(Args)]
struct RunArgs {
    /// How processors are emulated
    #[arg(long, value_enum, default_value = "functional")]
    mode: ModeArg,
    /// Number of CPUs [default: 4, in lock-step mode 8]
    #[arg(long)]
    cpus: Option<u32>,
    /// Last-level caches, each of which as many of the CPUs share
    #[arg(long, value_name = "N", default_value_t = 1)]
    llcs: u32,
    /// Memory, as QEMU's -m takes it
    #[arg(long, default_value = "2G", value_name = "SIZE")]
    mem: String,
    /// Topology, as QEMU's -smp takes it: 16,sockets=2,cores=4,threads=2
    #[arg(long, value_name = "STR", conflicts_with_all = ["cpus", "llcs"])]
    smp_topology: Option<String>,
    /// A suite (sid, trixie-backports), a release (6.18, 7.2.13+deb14), a package name, or the path of a
    /// folder with vmlinuz, config and release
    #[arg(long, default_value = "sid")]
    kernel: KernelChoice,
    /// Boot a small Debian system under systemd instead of busybox alone; made once, in some minutes.
    /// Programs come without libraries
    #[arg(long)]
    systemd: bool,
    /// A file or folder for the guest, at its own path or the one given
    #[arg(long = "file", value_name = "SRC[:GUESTPATH]", value_parser = agentvm::parse_file)]
    files: Vec<(PathBuf, PathBuf)>,
    /// A program for the guest's /bin, with the libraries that ldd names
    #[arg(long = "program", value_name = "PATH[:NAME]", value_parser = agentvm::parse_program)]
    programs: Vec<(PathBuf, Option<String>)>,
    /// Where the files of the guest's /out go [default: nowhere]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The scheduler's command line
    #[arg(long, value_name = "CMD")]
    scheduler: Option<String>,
    /// How long sched_ext may take to be enabled, in guest seconds
    #[arg(long, default_value_t = 240, value_name = "S")]
    scheduler_wait: u32,
    /// Write the outcome (statuses, scheduler, guest seconds) to this file as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// A kernel module to load, with what it depends on (zram)
    #[arg(long = "module", value_name = "NAME")]
    modules: Vec<String>,
    /// More kernel parameters
    #[arg(long, default_value = "", value_name = "EXTRA", allow_hyphen_values = true)]
    cmdline: String,
    /// One more argument for QEMU; repeat for its value
    #[arg(long = "qemu-arg", value_name = "ARG", allow_hyphen_values = true)]
    qemu_args: Vec<String>,
    /// Limit for the whole boot, in host seconds
    #[arg(long, default_value_t = 1800, value_name = "S")]
    timeout: u64,
    /// The command line to run, words joined by spaces, for `sh -c`
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

impl RunArgs {
    fn guest(&self) -> Guest {
        let (mode, cpus) = match self.mode {
            ModeArg::Functional => (Mode::Functional, 4),
            ModeArg::Lockstep => (Mode::Lockstep, 8),
        };
        Guest {
            mode,
            cpus: self.cpus.unwrap_or(cpus),
            llcs: self.llcs,
            mem: self.mem.clone(),
            smp: self.smp_topology.clone(),
            kernel: self.kernel.clone(),
            files: self.files.clone(),
            systemd: self.systemd,
            programs: self.programs.clone(),
            scheduler: self.scheduler.clone(),
            scheduler_wait_s: self.scheduler_wait,
            command: self.command.join(" "),
            modules: self.modules.clone(),
            cmdline: self.cmdline.clone(),
            qemu_args: self.qemu_args.clone(),
            timeout_s: self.timeout,
        }
    }
}

fn prepare(args: &PrepareArgs) -> Result<()> {
    let progress = |step: &str| eprintln!("agentvm: {step}");
    let prepared = if args.update {
        agentvm::update(&args.kernel, progress)?
    } else {
        agentvm::prepare(&args.kernel, progress)?
    };
    eprintln!("agentvm: kernel {} is ready", prepared.release);
    Ok(())
}

fn run(args: &RunArgs) -> Result<Outcome> {
    let temp;
    let out = match &args.out {
        Some(out) => out.as_path(),
        None => {
            temp = tempfile::tempdir().context("cannot create a folder for the guest's files")?;
            temp.path()
        }
    };
    let mut stdout = std::io::stdout();
    let outcome = args.guest().run(out, |line| {
        let _ = writeln!(stdout, "{line}"); // a reader that went away does not end the run
    })?;
    if let Some(path) = &args.report {
        let json = serde_json::to_string_pretty(&outcome)? + "\n";
        std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(outcome)
}

fn summary(outcome: &Outcome) {
    let Outcome { release, status, workload_s, guest_s, .. } = outcome;
    eprintln!("agentvm: {release}: status {status}, {workload_s:.2} s of {guest_s:.2} guest seconds");
    for warning in &outcome.warnings {
        eprintln!("agentvm: warning: {warning}");
    }
    if let Some(s) = &outcome.scheduler {
        let mut notes = vec![format!("exit status {}", s.status)];
        for (note, applies) in [
            ("killed 60 s after SIGTERM", s.killed),
            ("NOT ENABLED ANY MORE when the command ended", !s.enabled_at_end),
            ("sched_ext NOT DISABLED afterwards", !s.left_disabled),
        ] {
            notes.extend(applies.then(|| note.to_owned()));
        }
        notes.extend(outcome.nr_rejected.map(|n| format!("nr_rejected {n}")));
        eprintln!("agentvm: scheduler {} enabled after {:.2} s; {}", s.ops, s.load_s, notes.join(", "));
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = |result: Result<()>| match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("agentvm: {error:#}");
            ExitCode::FAILURE
        }
    };
    let args = match cli.command {
        Cmd::Unpack(args) => {
            return done(agentvm::unpack(&args.suite, &args.packages, args.dependencies, &args.to))
        }
        Cmd::Prepare(args) => return done(prepare(&args)),
        Cmd::Run(args) => args,
    };
    if let Err(error) = ctrlc::set_handler(agentvm::interrupt) {
        eprintln!("agentvm: cannot handle signals: {error}");
    }
    match run(&args) {
        Ok(outcome) => {
            summary(&outcome);
            ExitCode::from(outcome.status as u8)
        }
        Err(error) => {
            eprintln!("agentvm: {error:#}");
            ExitCode::from(match error.downcast_ref() {
                Some(RunError::SchedulerNotEnabled { .. }) => 3,
                Some(RunError::Timeout { .. }) => 124,
                Some(RunError::Interrupted) => 130,
                _ => 125,
            })
        }
    }
}
