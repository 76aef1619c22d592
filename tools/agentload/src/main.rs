// SPDX-License-Identifier: GPL-2.0-only
//! Command line of `agentload`.

mod cli;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    // The burner starts with every tool call: no parser, no logging for it.
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some("burn") {
        agentload::burn::main(args);
    }
    match cli::execute(cli::Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("agentload: {e:#}");
            ExitCode::from(2)
        }
    }
}
