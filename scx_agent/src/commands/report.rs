// SPDX-License-Identifier: GPL-2.0-only
//! `scx_agent report`.

use super::ask;
use crate::report::{read, Bounds, Report};
use anyhow::{bail, Context, Result};
use std::path::PathBuf;

/// Say what recorded agents used: time in tool calls, memory of frameworks and peaks, bursts, CPU, kinds of
/// calls, retries.
///
/// A FILE is a recording of `scx_agent record`, the log of tool calls that the setting `call_log` keeps
/// (which knows nothing of memory), or recorded tasks as agentload replays them. Its first line says
/// which. A folder holds raw public measurements of AgentCgroup, SET/TASK/ATTEMPT/resources.json. What was
/// put aside of a file (FILE.1) is read with it. No daemon is asked, and nothing needs root that can read
/// the files.
#[derive(Debug, clap::Args)]
#[command(after_help = "EXAMPLES:
  sudo scx_agent record --for 600 hour.jsonl      write down what agents do, for ten minutes
  sudo scx_agent report hour.jsonl                what that comes to
  sudo scx_agent report --html report.html hour.jsonl
  scx_agent report --json tasks.jsonl             of recorded tasks, for programs")]
pub struct Args {
    /// What to report on; several are told apart.
    #[arg(required = true)]
    files: Vec<PathBuf>,

    /// As JSON.
    #[arg(long)]
    json: bool,

    /// Also write a page with plots to FILE, which needs nothing else.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Memory of an agent above which a sample is a burst, in MB.
    #[arg(long, value_name = "MB", default_value_t = 300.0)]
    burst_mb: f64,

    /// CPU of an agent above which a sample is a burst, in percent of one core.
    #[arg(long, value_name = "PCT", default_value_t = 50.0)]
    burst_cpu_pct: f64,

    /// Change of memory that counts as fast, in MB a second, either way.
    #[arg(long, value_name = "MB", default_value_t = 50.0)]
    change_mb: f64,
}

/// # Errors
/// A file cannot be read or is none of those, or the page cannot be written.
pub fn run(args: &Args) -> Result<()> {
    let options = [
        ("--burst-mb", args.burst_mb),
        ("--burst-cpu-pct", args.burst_cpu_pct),
        ("--change-mb", args.change_mb),
    ];
    for (option, value) in options {
        if !(value.is_finite() && value >= 0.0) {
            bail!("{option} {value}: expected a number of at least 0");
        }
    }
    let (mut tracks, mut notes) = (Vec::new(), Vec::new());
    for file in &args.files {
        tracks.extend(read(file, &mut notes)?);
    }
    for note in &notes {
        eprintln!("scx_agent: left out: {note}");
    }
    let bounds = Bounds {
        burst_mb: args.burst_mb,
        burst_cpu_pct: args.burst_cpu_pct,
        change_mb_per_s: args.change_mb,
    };
    let report = Report::of(&tracks, bounds, notes);
    if let Some(path) = &args.html {
        std::fs::write(path, report.html(&tracks)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    match args.json {
        true => ask::print_json(&report),
        false => ask::print(&report.text()),
    }
}
