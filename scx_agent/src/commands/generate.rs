// SPDX-License-Identifier: GPL-2.0-only
//! `scx_agent generate`: what a package ships beside the program, from the program itself.

use crate::cli::Opts;
use crate::config;
use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;
use std::fs;
use std::path::PathBuf;

/// Write manual pages, completions of shells, the example of the settings and their
/// reference into a folder.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder; made if it is not there.
    folder: PathBuf,
}

/// # Errors
/// The folder cannot be written.
pub fn run(args: &Args) -> Result<()> {
    let told = || format!("cannot write in {}", args.folder.display());
    fs::create_dir_all(&args.folder).with_context(told)?;
    // The pages are of the release, not of the build.
    let mut command = Opts::command().version(env!("CARGO_PKG_VERSION"));
    clap_mangen::generate_to(command.clone(), &args.folder).with_context(told)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut command, "scx_agent", &args.folder).with_context(told)?;
    }
    fs::write(args.folder.join("config.toml"), config::example()).with_context(told)?;
    fs::write(args.folder.join("configuration.md"), config::reference()).with_context(told)
}
