// SPDX-License-Identifier: GPL-2.0-only
//! scx_agent: a sched_ext scheduler for hosts full of AI coding agents. This is the user half: it
//! configures and loads the kernel half (`bpf/agent.bpf.c`), and observes it.

mod agents;
mod bpf_intf;
#[rustfmt::skip]
mod bpf_skel;
mod calls;
mod cli;
mod commands;
mod explain;
mod globs;
mod kernel;
mod memory;
mod preflight;
mod questions;
mod records;
mod scheduler;
mod stats;
mod tags;

use anyhow::{Context, Result};
use clap::Parser;
use cli::Opts;
use std::mem::MaybeUninit;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

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
            eprintln!("scx_agent: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(opts: &Opts) -> Result<()> {
    if opts.version {
        println!("scx_agent {}", scx_utils::build_id::full_version(env!("CARGO_PKG_VERSION")));
        return Ok(());
    }
    if opts.help_stats {
        questions::server_data(&questions::Waker::new()?).describe_meta(&mut std::io::stdout(), None)?;
        return Ok(());
    }
    if let Some(command) = &opts.command {
        return command.run();
    }
    if let Some(daemon) = opts.memory.memory_guard {
        return memory::guard(daemon);
    }
    if opts.memory.restore_memory {
        return memory::restore_and_exit();
    }
    let stop = Arc::new(AtomicBool::new(false));
    let on_signal = stop.clone();
    ctrlc::set_handler(move || on_signal.store(true, Ordering::Relaxed)).context("cannot handle signals")?;
    if let Some(secs) = opts.monitor {
        return stats::monitor(interval(secs, "--monitor")?, stop);
    }
    preflight::Host::this().check()?;
    // Dropped last: knobs are put back whichever way this function ends.
    let memory = memory::Memory::start(&opts.memory, opts.verbose)?;
    if let Some(secs) = opts.stats {
        let (interval, stop) = (interval(secs, "--stats")?, stop.clone());
        std::thread::spawn(move || {
            if let Err(e) = stats::monitor(interval, stop) {
                log::warn!("no more statistics: {e:#}");
            }
        });
    }
    loop {
        let mut object = MaybeUninit::uninit();
        let link = memory.as_ref().map(memory::Memory::link);
        let mut scheduler = scheduler::Scheduler::start(opts, link, &mut object)?;
        let exit = scheduler.run(&stop)?;
        if stop.load(Ordering::Relaxed) || !exit.should_restart() {
            return Ok(());
        }
        log::warn!("the CPUs of this machine changed: restarting");
    }
}

/// `secs` as a time between two prints; `option` is named in the error.
fn interval(secs: f64, option: &str) -> Result<Duration> {
    match Duration::try_from_secs_f64(secs) {
        Ok(d) if d >= Duration::from_millis(10) => Ok(d),
        _ => anyhow::bail!("{option} {secs}: expected a number of seconds, at least 0.01"),
    }
}
