// SPDX-License-Identifier: GPL-2.0-only
//! Recorded tasks as [`Track`]s.

use super::track::{Call, Group, Sample, Track};
use agenttraces::traces::{Task, TraceCall};

/// From how many shell calls in a row on, with no other tool between them, they are a retry group.
const GROUP_FROM: usize = 3;

/// One track for each task.
pub fn tracks(tasks: &[Task]) -> Vec<Track> {
    tasks.iter().map(track).collect()
}

fn track(task: &Task) -> Track {
    let mut calls: Vec<&TraceCall> = task.calls.iter().collect();
    calls.sort_by(|a, b| a.start.total_cmp(&b.start));
    Track {
        name: task.id.clone(),
        set: task.set.clone(),
        length_s: task.dur_s,
        starts: true,
        groups: groups(&calls),
        calls: calls.into_iter().map(call).collect(),
        samples: task
            .samples
            .iter()
            .map(|s| Sample { t_s: s.t_s, cpu_pct: s.cpu_pct, mem_mb: Some(s.mem_mb) })
            .collect(),
        base_mb: Some(task.base_mb),
        peak_mb: Some(task.peak_mb),
    }
}

fn end_s(c: &TraceCall) -> f64 {
    c.end.unwrap_or(c.start)
}

fn call(c: &TraceCall) -> Call {
    let process = c.is_process();
    let category = if process { c.cat.as_deref().unwrap_or("other") } else { &c.tool };
    Call {
        start_s: c.start,
        end_s: end_s(c),
        lasted_s: c.end.map(|end| end - c.start),
        category: category.into(),
        process,
        cpu_s: None,
        failed: None,
    }
}

fn groups(calls: &[&TraceCall]) -> Vec<Group> {
    let rows = calls.chunk_by(|a, b| a.is_process() == b.is_process());
    let group = |row: &[&TraceCall]| Group {
        start_s: row[0].start,
        end_s: row.iter().map(|c| end_s(c)).fold(row[0].start, f64::max),
        calls: row.len() as u32,
        busy_s: row.iter().map(|c| end_s(c) - c.start).sum(),
    };
    rows.filter(|r| r.len() >= GROUP_FROM && r[0].is_process()).map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use agenttraces::traces::parse_task;

    #[test]
    fn shell_calls_in_a_row_are_a_group() {
        let call = |start: f64, tool: &str| {
            format!(r#"{{"start":{start},"end":{},"tool":"{tool}","cat":"test","cmd":""}}"#, start + 1.0)
        };
        let tools = ["Bash", "Bash", "Read", "Bash", "Bash", "Bash", "Bash", "Edit", "Edit", "Edit"];
        let calls: Vec<String> =
            tools.iter().enumerate().map(|(i, tool)| call(i as f64 * 10.0, tool)).collect();
        let line = format!(
            r#"{{"id":"x","set":"s","attempt":"1","dur_s":99,"base_mb":180,"peak_mb":200,"cpu_total_s":3,
            "calls":[{}],"samples":[]}}"#,
            calls.join(",")
        );
        let track = track(&parse_task(&line).unwrap());
        assert_eq!(track.groups, [Group { start_s: 30.0, end_s: 61.0, calls: 4, busy_s: 4.0 }]);
        assert_eq!((track.calls[0].category.as_str(), track.calls[2].category.as_str()), ("test", "Read"));
    }
}
