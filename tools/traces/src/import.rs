// SPDX-License-Identifier: GPL-2.0-only
//! Imports the public AgentCgroup measurements: `<set>/<task>/<attempt>/` with
//! `resources.json`, `tool_calls.json` and `trace.jsonl`, into the recorded format.
//!
//! Their CPU column is a lifetime average: the container's CPU time divided by its age. With the
//! age at the first sample known (see [`container_age`]) differences of (percent x age) give the
//! CPU between samples.

use crate::jsonl::{self, kind};
use crate::traces::{idle_median, Sample, Task, TraceCall};
use anyhow::{bail, Context, Result};
use serde_json::Value;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

mod parse;
use parse::{epoch, megabytes, percent, EPOCH_MAX};

/// Imports every attempt below the given directories, sorted by path; also says which attempts
/// could not be used, and why. Fails on a directory that cannot be read or holds no attempts.
pub fn import(dirs: &[PathBuf]) -> Result<(Vec<Task>, Vec<String>)> {
    let mut tasks = Vec::new();
    let mut skipped = Vec::new();
    for dir in dirs {
        let mut found = Vec::new();
        find(dir, &mut found)?;
        if found.is_empty() {
            bail!("{}: no attempt below it; expected <set>/<task>/<attempt>/resources.json", dir.display());
        }
        for attempt in found {
            match import_attempt(&attempt)? {
                Ok(task) => tasks.push(task),
                Err(why) => skipped.push(why),
            }
        }
    }
    Ok((tasks, skipped))
}

fn find(dir: &Path, out: &mut Vec<PathBuf>) -> Result<()> {
    if dir.join("resources.json").is_file() {
        out.push(dir.to_path_buf());
        return Ok(());
    }
    let list = std::fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let mut below: Vec<PathBuf> = list.filter_map(|e| Some(e.ok()?.path())).filter(|p| p.is_dir()).collect();
    below.sort();
    below.iter().try_for_each(|d| find(d, out))
}

/// One attempt; the inner error says why it is of no use (too short, files missing).
fn import_attempt(dir: &Path) -> Result<Result<Task, String>> {
    let raw = samples(&dir.join("resources.json"))?;
    if raw.len() < 2 {
        return Ok(Err(format!("{}: fewer than two samples", dir.display())));
    }
    let tool_calls = dir.join("tool_calls.json");
    if !tool_calls.is_file() {
        return Ok(Err(format!("{}: no tool_calls.json", dir.display())));
    }
    let start = raw[0].epoch;
    let side = sidechains(&dir.join("trace.jsonl"))?;
    let calls = calls(&tool_calls, start, &side)?;
    let samples = reconstruct(&raw);
    let part = |n: usize| -> String {
        let name = dir.ancestors().nth(n).and_then(Path::file_name);
        name.map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let shells = calls.iter().filter(|c| c.is_process());
    let busy = shells.map(|c| (c.start, c.end.unwrap_or(c.start)));
    let idle_mb = idle_median(samples.iter().map(|s| (s.t_s, s.mem_mb)), busy);
    let last_call = calls.iter().filter_map(|c| c.end.or(Some(c.start))).fold(0.0, f64::max);
    let dur_s = samples.last().map_or(0.0, |s| s.t_s).max(last_call);
    let used: f64 =
        samples.windows(2).map(|w| (w[1].t_s - w[0].t_s) * w[1].cpu_pct.unwrap_or(0.0) / 100.0).sum();
    Ok(Ok(Task {
        id: task_name(&part(1)),
        set: part(2),
        attempt: part(0),
        dur_s: round(dur_s, 10.0),
        base_mb: round(idle_mb.unwrap_or(0.0), 10.0),
        peak_mb: samples.iter().map(|s| s.mem_mb).fold(0.0, f64::max),
        cpu_total_s: round(used, 100.0),
        calls,
        samples,
    }))
}

/// `task_12_owner__repo-1` without its running number.
fn task_name(dir: &str) -> String {
    let rest = dir.strip_prefix("task_").unwrap_or(dir);
    match rest.split_once('_') {
        Some((number, name)) if rest.len() < dir.len() && number.parse::<u32>().is_ok() => name.into(),
        _ => dir.into(),
    }
}

/// A raw sample.
#[derive(Clone, Copy, Debug)]
struct Raw {
    epoch: f64,
    /// Lifetime average in percent; None where broken.
    cpu: Option<f64>,
    /// None where broken.
    mem_mb: Option<f64>,
}

fn json(path: &Path) -> Result<Value> {
    let (name, text) = jsonl::read_text(path)?;
    serde_json::from_str(&text).map_err(|e| jsonl::at(&name, e.line(), format!("not JSON: {e}")))
}

fn samples(path: &Path) -> Result<Vec<Raw>> {
    let name = path.display();
    let value = json(path)?;
    let Some(list) = value.get("samples").and_then(Value::as_array) else {
        bail!("{name}: field \"samples\": expected an array of objects");
    };
    let mut all: Vec<Raw> = Vec::with_capacity(list.len());
    for (i, s) in list.iter().enumerate() {
        let Some(epoch) = s.get("epoch").and_then(Value::as_f64) else {
            let found = s.get("epoch").map_or("nothing", kind);
            bail!("{name}: field \"samples[{i}].epoch\": expected a number (s since 1970), found {found}");
        };
        if !(0.0..=EPOCH_MAX).contains(&epoch) {
            bail!("{name}: field \"samples[{i}].epoch\": expected a number (s since 1970), found {epoch}");
        }
        if all.last().is_some_and(|p| p.epoch > epoch) {
            bail!("{name}: field \"samples[{i}].epoch\": expected a time not before the sample before it");
        }
        let text = |field: &str| s.get(field).and_then(Value::as_str);
        let share = text("mem_percent").and_then(percent);
        all.push(Raw {
            epoch,
            cpu: text("cpu_percent").and_then(percent),
            mem_mb: text("mem_usage").and_then(|m| memory(m, share)),
        });
    }
    Ok(all)
}

/// Memory of `used / limit`, unless the percentage beside it (0.01 % steps) contradicts it:
/// some lines have lost digits.
fn memory(usage: &str, share_pct: Option<f64>) -> Option<f64> {
    let (used, limit) = usage.split_once('/')?;
    let (used, limit) = (megabytes(used)?, megabytes(limit)?);
    if let Some(share) = share_pct {
        let expected = limit * share / 100.0;
        let step = limit / 1e4;
        if (used - expected).abs() > step + 0.1 * expected {
            return None;
        }
    }
    Some(used)
}

/// The container's age at the first sample, in s: an idle container's CPU time stands still, so
/// percent x age may never fall. The largest age that keeps it from falling in the first minute
/// is the real one if the agent ever idled; 0 to 2 s, 0.1 s when nothing can be told.
fn container_age(raw: &[Raw]) -> f64 {
    let first = raw[0].epoch;
    let mut ages = Vec::new();
    for pair in raw.windows(2).take_while(|p| p[1].epoch - first < 60.0) {
        if let (Some(p0), Some(p1)) = (pair[0].cpu, pair[1].cpu) {
            // Small steps drown in the rounding of the percentages.
            if p0 - p1 >= 1.0 {
                ages.push((p1 * (pair[1].epoch - first) - p0 * (pair[0].epoch - first)) / (p0 - p1));
            }
        }
    }
    let least = ages.into_iter().fold(f64::INFINITY, f64::min);
    if least.is_finite() {
        least.clamp(0.0, 2.0)
    } else {
        0.1
    }
}

/// The recorded samples: CPU from differences, broken memory replaced by the value before.
fn reconstruct(raw: &[Raw]) -> Vec<Sample> {
    let first = raw[0].epoch;
    let age = container_age(raw);
    let mut before: Option<(f64, f64)> = None;
    let mut mem = raw.iter().find_map(|r| r.mem_mb).unwrap_or(0.0);
    let mut out = Vec::with_capacity(raw.len());
    for (i, r) in raw.iter().enumerate() {
        let t = r.epoch - first;
        let cpu_s = r.cpu.map(|p| p * (t + age) / 100.0);
        let cpu_pct = match (before, cpu_s) {
            _ if i == 0 => r.cpu,
            (Some((t0, c0)), Some(c)) if t > t0 => {
                let pct = 100.0 * (c - c0) / (t - t0);
                // What one step of 0.01 % either way is worth at this age.
                let noise = 0.02 * (t + age) / (t - t0);
                if pct < -noise.max(5.0) {
                    None
                } else {
                    Some(pct.max(0.0))
                }
            }
            _ => None,
        };
        if let Some(c) = cpu_s {
            before = Some((t, c));
        }
        mem = r.mem_mb.unwrap_or(mem);
        out.push(Sample {
            t_s: round(t, 100.0),
            cpu_pct: cpu_pct.map(|p| round(p, 10.0)),
            mem_mb: round(mem, 10.0),
        });
    }
    out
}

fn calls(path: &Path, start: f64, side: &HashSet<String>) -> Result<Vec<TraceCall>> {
    let name = path.display();
    let value = json(path)?;
    let Some(list) = value.as_array() else {
        bail!("{name}: expected an array of calls, found {}", kind(&value));
    };
    let mut all = Vec::with_capacity(list.len());
    for (i, c) in list.iter().enumerate() {
        let time = |field: &str| -> Result<Option<f64>> {
            match c.get(field) {
                None | Some(Value::Null) => Ok(None),
                Some(v) => match v.as_str().and_then(epoch) {
                    Some(t) => Ok(Some(round((t - start).max(0.0), 1000.0))),
                    None => bail!("{name}: field \"[{i}].{field}\": expected a time like 2026-01-31T12:00:00.000Z, found {v}"),
                },
            }
        };
        let Some(begin) = time("timestamp")? else {
            bail!("{name}: field \"[{i}].timestamp\": expected a time, found nothing");
        };
        let Some(tool) = c.get("tool").and_then(Value::as_str) else {
            bail!("{name}: field \"[{i}].tool\": expected a string");
        };
        let cmd: String = command(c).chars().take(200).collect();
        let id = c.get("id").and_then(Value::as_str).unwrap_or("");
        all.push(TraceCall {
            start: begin,
            end: time("end_timestamp")?.map(|e| e.max(begin)),
            tool: tool.into(),
            cat: (tool == "Bash").then(|| parse::category(&cmd).into()),
            cmd,
            sidechain: side.contains(id) as u8,
        });
    }
    all.sort_by(|a, b| a.start.total_cmp(&b.start));
    Ok(all)
}

/// What the call was about: a command, a path or a pattern.
fn command(call: &Value) -> String {
    let input = call.get("input");
    ["command", "file_path", "pattern", "url"]
        .iter()
        .find_map(|f| input?.get(f)?.as_str())
        .unwrap_or("")
        .into()
}

/// Ids of tool calls that sub-agents made, from the session log (if there is one).
fn sidechains(path: &Path) -> Result<HashSet<String>> {
    let mut ids = HashSet::new();
    if !path.is_file() {
        return Ok(ids);
    }
    let (name, text) = jsonl::read_text(path)?;
    for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let v: Value =
            serde_json::from_str(line).map_err(|e| jsonl::at(&name, i + 1, format!("not JSON: {e}")))?;
        let by_sub_agent = v.get("isSidechain").and_then(Value::as_bool) == Some(true)
            || v.get("parent_tool_use_id").is_some_and(|p| p.is_string());
        let content = v.pointer("/message/content").and_then(Value::as_array);
        if let (true, Some(content)) = (by_sub_agent, content) {
            let uses = content.iter().filter(|c| c.get("type").and_then(Value::as_str) == Some("tool_use"));
            ids.extend(uses.filter_map(|u| Some(u.get("id")?.as_str()?.to_string())));
        }
    }
    Ok(ids)
}

fn round(x: f64, steps: f64) -> f64 {
    (x * steps).round() / steps
}

#[cfg(test)]
mod tests;
