// SPDX-License-Identifier: GPL-2.0-only
//! Asks the running daemon.

use anyhow::{anyhow, bail, Context, Result};
use scx_stats::prelude::*;
use serde::de::DeserializeOwned;
use std::io::ErrorKind;

/// Longest time to wait for the daemon, in ms.
const PATIENCE_MS: u64 = 5_000;

/// The daemon's answer about `target`.
///
/// # Errors
/// No daemon runs, we may not ask it, or it refuses: one sentence each.
pub fn ask<T: DeserializeOwned>(target: &str, args: &[(&str, String)]) -> Result<T> {
    let mut client = StatsClient::new().connect(Some(PATIENCE_MS)).map_err(no_connection)?;
    let mut all = vec![("target".to_string(), target.to_string())];
    all.extend(args.iter().map(|(k, v)| (k.to_string(), v.clone())));
    let answer: Result<T, String> = client.request("stats", all).with_context(|| {
        format!("the scheduler that runs does not answer about {target}; is it this scx_agent?")
    })?;
    answer.map_err(|e| anyhow!(e))
}

fn no_connection(e: anyhow::Error) -> anyhow::Error {
    match e.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
        Some(ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            anyhow!("no scx_agent is running; start it first")
        }
        Some(ErrorKind::PermissionDenied) => anyhow!("asking scx_agent needs root; run it with sudo"),
        _ => e.context("cannot reach scx_agent"),
    }
}

/// Prints an answer as JSON.
///
/// # Errors
/// Standard output is closed.
pub fn print_json(value: &impl serde::Serialize) -> Result<()> {
    print(&(serde_json::to_string_pretty(value)? + "\n"))
}

/// Prints text; that nobody reads to its end is no error.
///
/// # Errors
/// Standard output cannot be written.
pub fn print(text: &str) -> Result<()> {
    use std::io::Write;
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(e) => bail!("cannot write to standard output: {e}"),
        Ok(()) => Ok(()),
    }
}
