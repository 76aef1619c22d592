// SPDX-License-Identifier: GPL-2.0-only
//! scx_agentland: the ranking of scx_agent in user space, on scx_rustland_core. To try a policy, begin
//! with `ranks.rs`; `scheduler.rs` is the loop around it.

#[rustfmt::skip]
#[allow(clippy::all)]
mod bpf;
mod bpf_intf;
#[rustfmt::skip]
mod bpf_skel;
mod cli;
mod facts;
mod globs;
mod lookup;
mod queue;
mod ranks;
mod roles;
mod scheduler;
mod sys;

use anyhow::Result;
use clap::Parser;
use cli::Opts;
use std::mem::MaybeUninit;
use std::process::ExitCode;

fn main() -> ExitCode {
    let opts = Opts::parse();
    let level = match opts.verbose {
        0 => log::LevelFilter::Warn,
        1 => log::LevelFilter::Info,
        _ => log::LevelFilter::Debug,
    };
    env_logger::Builder::new().filter_level(level).parse_default_env().init();
    scx_utils::init_libbpf_logging(None);
    match run(&opts) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("scx_agentland: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(opts: &Opts) -> Result<()> {
    if opts.version {
        println!("scx_agentland {}", scx_utils::build_id::full_version(env!("CARGO_PKG_VERSION")));
        return Ok(());
    }
    anyhow::ensure!(sys::is_root(), "loading a scheduler needs root: run it with sudo");
    let lookup = lookup::Lookup::start(opts.agent_cgroups.clone())?;
    let mut object = MaybeUninit::uninit();
    let exit = scheduler::Scheduler::start(opts, lookup, &mut object)?.run()?;
    // scx_rustland_core has mapping memory forbidden by now, for good.
    anyhow::ensure!(!exit.should_restart(), "the CPUs of this machine changed: start it again");
    Ok(())
}
