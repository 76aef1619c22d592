// SPDX-License-Identifier: GPL-2.0-only
//! scx_agent: a sched_ext scheduler for hosts full of AI coding agents. This is the user half: it
//! configures and loads the kernel half (`bpf/agent.bpf.c`), and observes it.

mod agents;
mod bpf_intf;
#[rustfmt::skip]
mod bpf_skel;
mod calls;
mod ci;
mod cli;
mod commands;
mod config;
mod containers;
mod daemon;
mod ended;
mod explain;
mod globs;
mod kernel;
mod lines;
mod logging;
mod memory;
mod memory_skel;
mod metrics;
mod observe;
mod operate;
mod preflight;
mod privileges;
mod qos;
mod questions;
mod records;
mod report;
mod scheduler;
mod shortages;
mod sockets;
mod stats;
mod status;
mod tags;
mod top;
mod topology;
mod usage;
mod verified;
mod view;

use anyhow::Result;
use clap::Parser;
use cli::Opts;
use std::process::ExitCode;

fn main() -> ExitCode {
    let opts = Opts::parse();
    logging::init(opts.verbose, opts.serves());
    scx_utils::init_libbpf_logging(None);
    match run(&opts) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("scx_agent: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(opts: &Opts) -> Result<ExitCode> {
    if opts.version {
        println!("scx_agent {}", scx_utils::build_id::full_version(env!("CARGO_PKG_VERSION")));
        return Ok(ExitCode::SUCCESS);
    }
    if opts.help_stats {
        questions::server_data(&questions::Waker::new()?).describe_meta(&mut std::io::stdout(), None)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(command) = &opts.command {
        return command.run(opts.config.as_deref());
    }
    schedule(opts).map(|()| ExitCode::SUCCESS)
}

fn schedule(opts: &Opts) -> Result<()> {
    if let Some(daemon) = opts.memory.memory_guard {
        return memory::guard(daemon);
    }
    if opts.memory.restore_memory {
        return commands::restore::run(&commands::restore::Args {});
    }
    if let Some(secs) = opts.monitor {
        return stats::monitor(cli::interval(secs, "--monitor")?, daemon::stop_on_signals()?);
    }
    daemon::run(std::env::args_os().collect())
}
