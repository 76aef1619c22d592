// SPDX-License-Identifier: GPL-2.0-only
//! `scx_agent config`.

use super::ask;
use crate::config;
use anyhow::Result;
use std::ffi::OsString;
use std::fmt::Write;

/// Check the configuration files, show what they come to, print an example.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Say all that is wrong with the files; exit status 1 if there is anything.
    Check,
    /// Print each setting with its value and where that comes from: the files, and the options that
    /// stand before `config` on the command line.
    Show,
    /// Print a file with every key, what it does and its default.
    Default,
}

/// # Errors
/// The files cannot be read, or say something wrong.
pub fn run(args: &Args) -> Result<()> {
    let load = || config::load(&std::env::args_os().collect::<Vec<OsString>>());
    match args.action {
        Action::Default => ask::print(&config::example()),
        Action::Show => ask::print(&config::shown(&load()?)),
        Action::Check => {
            let config = load()?;
            let mut said = String::new();
            for file in &config.files {
                let _ = writeln!(said, "{}: ok", file.display());
            }
            if config.files.is_empty() {
                let _ = writeln!(said, "there is no {}: every setting has its default", config::DEFAULT_PATH);
            }
            ask::print(&said)
        }
    }
}
