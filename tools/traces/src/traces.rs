// SPDX-License-Identifier: GPL-2.0-only
//! The recorded format: one agent task a line, with its tool calls and one sample of CPU and
//! memory about every second.

use crate::jsonl::{self, kind};
use crate::spans::{meets, union, Span};
use anyhow::{bail, Result};
use serde::Serialize;
use serde_json::{Map, Value};
use std::path::Path;

/// One recorded task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Task {
    pub id: String,
    pub set: String,
    pub attempt: String,
    /// From the first to the last record, in s.
    pub dur_s: f64,
    /// Idle median and maximum of the container's memory, in MB (10^6 bytes).
    pub base_mb: f64,
    pub peak_mb: f64,
    /// CPU of the whole container, in s.
    pub cpu_total_s: f64,
    pub calls: Vec<TraceCall>,
    pub samples: Vec<Sample>,
}

/// One tool call; times in s since the task's start.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TraceCall {
    pub start: f64,
    /// None where the end was not recorded.
    pub end: Option<f64>,
    /// `Bash`, `Read`, `Task` ...
    pub tool: String,
    /// Category of a shell command.
    pub cat: Option<String>,
    /// The command's first 200 characters.
    pub cmd: String,
    /// 1: made by a sub-agent.
    pub sidechain: u8,
}

/// `[t_s, cpu_pct, mem_mb]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(into = "(f64, Option<f64>, f64)")]
pub struct Sample {
    /// s since the task's start.
    pub t_s: f64,
    /// CPU since the previous sample in percent of one core; None where it cannot be told.
    pub cpu_pct: Option<f64>,
    /// Memory of the container in MB.
    pub mem_mb: f64,
}

impl From<Sample> for (f64, Option<f64>, f64) {
    fn from(s: Sample) -> Self {
        (s.t_s, s.cpu_pct, s.mem_mb)
    }
}

impl TraceCall {
    /// Whether the call runs processes of its own. The other tools work inside the framework;
    /// a sub-agent's (`Task`) own calls are recorded themselves.
    pub fn is_process(&self) -> bool {
        self.tool == "Bash"
    }
}

/// How long a framework takes to start, in s: its memory and CPU then are not those of one that
/// waits.
pub const START_S: f64 = 5.0;

/// Memory of a framework alone: the median of `memory` (time in s, MB) outside the calls `busy`
/// (from, to), each with a second for its memory to go, and after [`START_S`]; of all of it if
/// nothing is left. None of nothing.
pub fn idle_median(
    memory: impl Iterator<Item = (f64, f64)> + Clone,
    busy: impl IntoIterator<Item = Span>,
) -> Option<f64> {
    let busy = union(busy.into_iter().map(|(from, to)| (from, to + 1.0)));
    let idle = |t: f64| t >= START_S && !meets(&busy, (t, t));
    let mut mb: Vec<f64> = memory.clone().filter(|m| idle(m.0)).map(|m| m.1).collect();
    if mb.is_empty() {
        mb = memory.map(|m| m.1).collect();
    }
    mb.sort_by(f64::total_cmp);
    mb.get(mb.len() / 2).copied()
}

/// No time, memory or CPU is more, so that sums and squares of them are numbers, too.
const NUMBER_MAX: f64 = 1e15;

fn is_sound(n: f64) -> bool {
    (0.0..=NUMBER_MAX).contains(&n)
}

/// Reads recorded tasks (`-` is standard input). An error names file, line, field and what was
/// expected there.
pub fn read(path: &Path) -> Result<Vec<Task>> {
    let (name, text) = jsonl::read_text(path)?;
    let mut tasks = Vec::new();
    for (i, line) in text.lines().enumerate() {
        if !line.trim().is_empty() {
            tasks.push(parse_task(line).map_err(|e| jsonl::at(&name, i + 1, e))?);
        }
    }
    if tasks.is_empty() {
        bail!("{name}: no tasks; expected one JSON object a line");
    }
    Ok(tasks)
}

/// One line of the recorded format.
pub fn parse_task(line: &str) -> Result<Task, String> {
    let value: Value = serde_json::from_str(line).map_err(|e| format!("not JSON: {e}"))?;
    let Value::Object(o) = value else {
        return Err(format!("expected an object, found {}", kind(&value)));
    };
    let f = Fields { of: &o, at: "" };
    let mut calls = Vec::new();
    for (i, c) in f.array("calls")?.iter().enumerate() {
        let at = format!("calls[{i}]");
        let Value::Object(c) = c else {
            return Err(format!("field {at:?}: expected an object, found {}", kind(c)));
        };
        calls.push(parse_call(&Fields { of: c, at: &format!("{at}.") })?);
    }
    let mut samples: Vec<Sample> = Vec::new();
    for (i, s) in f.array("samples")?.iter().enumerate() {
        let sample = parse_sample(s).map_err(|found| {
            format!("field \"samples[{i}]\": expected [t_s, cpu_pct, mem_mb], found {found}")
        })?;
        if samples.last().is_some_and(|p| p.t_s > sample.t_s) {
            return Err(format!(
                "field \"samples[{i}]\": expected a time not before the sample before it, found {}",
                sample.t_s
            ));
        }
        samples.push(sample);
    }
    Ok(Task {
        id: f.text("id")?,
        set: f.text("set")?,
        attempt: f.text("attempt")?,
        dur_s: f.number("dur_s")?,
        base_mb: f.number("base_mb")?,
        peak_mb: f.number("peak_mb")?,
        cpu_total_s: f.number("cpu_total_s")?,
        calls,
        samples,
    })
}

fn parse_call(f: &Fields) -> Result<TraceCall, String> {
    let start = f.number("start")?;
    let end = match f.of.get("end") {
        Some(Value::Null) => None,
        _ => Some(f.number("end")?),
    };
    if end.is_some_and(|e| e < start) {
        return Err(format!("field \"{}end\": expected null or a time not before the start ({start})", f.at));
    }
    let cat = match f.of.get("cat") {
        None | Some(Value::Null) => None,
        _ => Some(f.text("cat")?),
    };
    let sidechain = match f.of.get("sidechain") {
        None | Some(Value::Null) | Some(Value::Bool(false)) => 0,
        Some(Value::Bool(true)) => 1,
        _ => (f.number("sidechain")? != 0.0) as u8,
    };
    let cmd = match f.of.get("cmd") {
        None | Some(Value::Null) => String::new(),
        _ => f.text("cmd")?,
    };
    Ok(TraceCall { start, end, tool: f.text("tool")?, cat, cmd, sidechain })
}

/// A sample, or what was found instead.
fn parse_sample(v: &Value) -> Result<Sample, String> {
    let Value::Array(a) = v else {
        return Err(kind(v).into());
    };
    let [t, cpu, mem] = a.as_slice() else {
        return Err(format!("an array of {}", a.len()));
    };
    let number = |v: &Value, what: &str| match v.as_f64() {
        Some(n) if is_sound(n) => Ok(n),
        Some(n) => Err(format!("{n} for {what}")),
        None => Err(format!("{} for {what}", kind(v))),
    };
    let cpu_pct = if cpu.is_null() { None } else { Some(number(cpu, "cpu_pct")?) };
    Ok(Sample { t_s: number(t, "t_s")?, cpu_pct, mem_mb: number(mem, "mem_mb")? })
}

/// The fields of an object, with errors that name them.
struct Fields<'a> {
    of: &'a Map<String, Value>,
    at: &'a str,
}

impl Fields<'_> {
    fn get(&self, name: &str, expected: &str) -> Result<&Value, String> {
        self.of
            .get(name)
            .ok_or_else(|| format!("field \"{}{name}\": expected {expected}, found nothing", self.at))
    }

    fn wrong(&self, name: &str, expected: &str, v: &Value) -> String {
        format!("field \"{}{name}\": expected {expected}, found {}", self.at, kind(v))
    }

    fn text(&self, name: &str) -> Result<String, String> {
        let v = self.get(name, "a string")?;
        v.as_str().map(String::from).ok_or_else(|| self.wrong(name, "a string", v))
    }

    fn number(&self, name: &str) -> Result<f64, String> {
        let v = self.get(name, "a number")?;
        match v.as_f64() {
            Some(n) if is_sound(n) => Ok(n),
            Some(n) => Err(format!(
                "field \"{}{name}\": expected a number from 0 to {NUMBER_MAX:e}, found {n}",
                self.at
            )),
            None => Err(self.wrong(name, "a number", v)),
        }
    }

    fn array(&self, name: &str) -> Result<&Vec<Value>, String> {
        let expected = match name {
            "samples" => "an array of [t_s, cpu_pct, mem_mb]",
            _ => "an array",
        };
        let v = self.get(name, expected)?;
        v.as_array().ok_or_else(|| match name {
            "samples" => self.wrong(name, "[t_s, cpu_pct, mem_mb]", v),
            _ => self.wrong(name, expected, v),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;
    use proptest::sample::Index;

    const GOOD: &str = r#"{"id":"x","set":"s","attempt":"1","dur_s":9,"base_mb":180,"peak_mb":200,"cpu_total_s":3,
        "calls":[{"start":1,"end":null,"tool":"Bash","cat":"test","cmd":"t","sidechain":0}],
        "samples":[[0,null,180],[1,50.5,190.5]]}"#;

    #[test]
    fn a_good_line_is_read_and_written_alike() {
        let t = parse_task(GOOD).unwrap();
        assert_eq!(t.calls[0].end, None);
        assert_eq!(t.samples[0].cpu_pct, None);
        let again = parse_task(&serde_json::to_string(&t).unwrap()).unwrap();
        assert_eq!(again, t);
    }

    #[test]
    fn broken_lines_say_where_and_what() {
        let cases = [
            ("[1]", "[1]", "expected an object, found an array"),
            (
                r#""samples":[[0,null,180],[1,50.5,190.5]]"#,
                r#""samples":"x""#,
                "field \"samples\": expected [t_s, cpu_pct, mem_mb], found a string",
            ),
            (
                "[1,50.5,190.5]",
                "[1,50.5]",
                "field \"samples[1]\": expected [t_s, cpu_pct, mem_mb], found an array of 2",
            ),
            ("[1,50.5,190.5]", "[1,\"a\",190.5]", "found a string for cpu_pct"),
            ("[1,50.5,190.5]", "[1,50.5,null]", "found null for mem_mb"),
            ("[0,null,180]", "[5,null,180]", "not before the sample before it"),
            (r#""tool":"Bash""#, r#""tool":7"#, "field \"calls[0].tool\": expected a string, found a number"),
            (r#""end":null"#, r#""end":0.5"#, "field \"calls[0].end\""),
            (r#""start":1,"#, "", "field \"calls[0].start\": expected a number, found nothing"),
            (r#""dur_s":9"#, r#""dur_s":-9"#, "field \"dur_s\": expected a number from 0 to 1e15, found -9"),
            (
                r#""dur_s":9"#,
                r#""dur_s":1e300"#,
                "field \"dur_s\": expected a number from 0 to 1e15, found 1",
            ),
            (r#""id":"x","#, "", "field \"id\""),
        ];
        for (from, to, message) in cases {
            let line = if from == to { to.to_string() } else { GOOD.replace(from, to) };
            let e = parse_task(&line).unwrap_err();
            assert!(e.contains(message), "{e}");
        }
        assert!(parse_task("{").unwrap_err().starts_with("not JSON"));
    }

    #[test]
    fn files_are_read_with_the_line_at_fault() {
        let p = std::env::temp_dir().join(format!("agenttraces-traces-{}.jsonl", std::process::id()));
        let good = GOOD.replace('\n', " ");
        std::fs::write(&p, format!("{good}\n\n{{}}\n")).unwrap();
        let e = read(&p).unwrap_err().to_string();
        assert!(e.contains(".jsonl:3: field \"calls\": expected an array, found nothing"), "{e}");
        std::fs::write(&p, "\n").unwrap();
        assert!(read(&p).unwrap_err().to_string().contains("no tasks"));
        std::fs::remove_file(&p).unwrap();
        assert!(read(&p).unwrap_err().to_string().contains("cannot read"));
    }

    /// In thousandths, as numbers are recorded: of more digits JSON may give back the one beside it.
    fn thousandths(n: u64) -> f64 {
        n as f64 / 1e3
    }

    fn number() -> impl Strategy<Value = f64> {
        any::<u32>().prop_map(|n| thousandths(n.into()))
    }

    fn any_call() -> impl Strategy<Value = TraceCall> {
        let text = || "(?s).{0,20}";
        (any::<u32>(), option::of(any::<u32>()), text(), option::of(text()), text(), 0..2u8).prop_map(
            |(start, lasted, tool, cat, cmd, sidechain)| TraceCall {
                start: thousandths(start.into()),
                end: lasted.map(|l| thousandths(u64::from(start) + u64::from(l))),
                tool,
                cat,
                cmd,
                sidechain,
            },
        )
    }

    fn any_task() -> impl Strategy<Value = Task> {
        let name = || "(?s).{0,20}";
        let samples = vec((any::<u32>(), option::of(number()), number()), 0..6);
        (name(), name(), name(), [number(), number(), number(), number()], vec(any_call(), 0..5), samples)
            .prop_map(|(id, set, attempt, [dur_s, base_mb, peak_mb, cpu_total_s], calls, samples)| {
                let mut ms = 0;
                let sample = |(after, cpu_pct, mem_mb): (u32, _, _)| {
                    ms += u64::from(after);
                    Sample { t_s: thousandths(ms), cpu_pct, mem_mb }
                };
                let samples = samples.into_iter().map(sample).collect();
                Task { id, set, attempt, dur_s, base_mb, peak_mb, cpu_total_s, calls, samples }
            })
    }

    /// What those who are given a task rely on.
    fn is_whole(t: &Task) -> bool {
        [t.dur_s, t.base_mb, t.peak_mb, t.cpu_total_s].into_iter().all(is_sound)
            && t.calls.iter().all(|c| is_sound(c.start) && c.end.is_none_or(|e| is_sound(e) && e >= c.start))
            && t.samples
                .iter()
                .all(|s| is_sound(s.t_s) && s.cpu_pct.is_none_or(is_sound) && is_sound(s.mem_mb))
            && t.samples.is_sorted_by(|a, b| a.t_s <= b.t_s)
    }

    proptest! {
        #[test]
        fn any_tasks_are_read_as_they_were_written(tasks in vec(any_task(), 1..4)) {
            let file = tempfile::NamedTempFile::new().unwrap();
            jsonl::write_file(file.path(), &tasks).unwrap();
            prop_assert_eq!(read(file.path()).unwrap(), tasks);
        }

        #[test]
        fn a_damaged_task_is_whole_or_refused(
            task in any_task(), others in vec((any::<Index>(), any::<u8>()), 0..4), end in option::of(any::<Index>())
        ) {
            let mut bytes = serde_json::to_vec(&task).unwrap();
            for (at, other) in others {
                let at = at.index(bytes.len());
                bytes[at] = other;
            }
            if let Some(end) = end {
                bytes.truncate(end.index(bytes.len()));
            }
            match parse_task(&String::from_utf8_lossy(&bytes)) {
                Ok(task) => prop_assert!(is_whole(&task), "{task:?}"),
                Err(e) => prop_assert!(e.starts_with("not JSON") || e.contains("expected"), "{e}"),
            }
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &bytes).unwrap();
            let _ = read(file.path());
        }

        #[test]
        fn any_numbers_are_sound_or_refused(n in any::<f64>(), at in 0..9usize) {
            let (from, to) = [
                ("dur_s\":9", "dur_s\":N"),
                ("base_mb\":180", "base_mb\":N"),
                ("peak_mb\":200", "peak_mb\":N"),
                ("cpu_total_s\":3", "cpu_total_s\":N"),
                ("start\":1", "start\":N"),
                ("end\":null", "end\":N"),
                ("[1,", "[N,"),
                (",50.5", ",N"),
                (",190.5", ",N"),
            ][at];
            let line = GOOD.replace(from, &to.replace('N', &format!("{n:e}")));
            prop_assert!(line != GOOD);
            if let Ok(task) = parse_task(&line) {
                prop_assert!(is_whole(&task), "{task:?}");
            }
        }
    }
}
