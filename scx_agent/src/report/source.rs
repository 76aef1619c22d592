// SPDX-License-Identifier: GPL-2.0-only
//! What a report is made of: recordings, logs of tool calls, recorded tasks, and raw measurements. Which of
//! them a file is, its first line says.

use super::track::Track;
use super::{recorded, tasks};
use agenttraces::jsonl;
use anyhow::{bail, Context, Result};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Longest first line that is looked at, in bytes.
const LINE_MAX: u64 = 64 << 20;

/// All agents of `path`; what could not be used of it is added to `notes`.
///
/// # Errors
/// With file, line and what was expected there.
pub fn read(path: &Path, notes: &mut Vec<String>) -> Result<Vec<Track>> {
    if path.is_dir() {
        let (all, skipped) = agenttraces::import::import(&[path.into()])?;
        notes.extend(skipped);
        return Ok(tasks::tracks(&all));
    }
    match kind(path)? {
        Kind::Recording => recorded::recording(path, notes),
        Kind::CallLog => recorded::call_log(path),
        Kind::Tasks => Ok(tasks::tracks(&agenttraces::traces::read(path)?)),
    }
}

enum Kind {
    Recording,
    CallLog,
    Tasks,
}

fn kind(path: &Path) -> Result<Kind> {
    let name = path.display().to_string();
    let file = File::open(path).with_context(|| format!("cannot read {name}"))?;
    let mut lines = BufReader::new(file.take(LINE_MAX)).lines();
    let found = lines.by_ref().enumerate().find(|(_, l)| !l.as_ref().is_ok_and(|l| l.trim().is_empty()));
    let Some((number, line)) = found else { bail!("{name}: nothing in it; {EXPECTED}") };
    let line = line.map_err(|e| jsonl::at(&name, number + 1, e))?;
    let value: Value = serde_json::from_str(&line)
        .map_err(|e| jsonl::at(&name, number + 1, format!("not JSON: {e}; {EXPECTED}")))?;
    let has = |key: &str| value.get(key).is_some();
    match () {
        () if has("unix_s") => Ok(Kind::Recording),
        () if has("begun_ns") => Ok(Kind::CallLog),
        () if has("samples") || has("calls") || has("id") => Ok(Kind::Tasks),
        () => Err(jsonl::at(&name, number + 1, EXPECTED)),
    }
}

const EXPECTED: &str = "expected a recording (scx_agent record), a log of tool calls (call_log in the \
                        settings), or recorded tasks, each with one JSON object a line";
