// SPDX-License-Identifier: GPL-2.0-only

use super::together::AGENTS;
use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{json, Value};
use std::collections::BTreeMap;
use std::path::Path;

const BOUNDS: Bounds = Bounds { burst_mb: 300.0, burst_cpu_pct: 50.0, change_mb_per_s: 50.0 };

fn task(id: &str, set: &str) -> String {
    format!(
        r#"{{"id":"{id}","set":"{set}","attempt":"1","dur_s":20,"base_mb":180,"peak_mb":400,"cpu_total_s":3,
        "calls":[{{"start":10,"end":15,"tool":"Bash","cat":"test","cmd":"t"}}],
        "samples":[[0,90,180],[8,1,180],[12,99,400],[18,50,200]]}}"#
    )
    .replace('\n', " ")
}

#[test]
fn a_page_and_a_text_of_recorded_tasks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.jsonl");
    std::fs::write(&path, task("a", "one") + "\n" + &task("<b>&", "<two>") + "\n").unwrap();
    let mut notes = Vec::new();
    let tracks = read(&path, &mut notes).unwrap();
    let report = Report::of(&tracks, BOUNDS, vec!["<note>".into()]);
    let sets: Vec<_> = report.sets.iter().map(|f| (f.set.as_str(), f.agents)).collect();
    assert_eq!(sets, [("one", 1), ("<two>", 1), ("all", 2)]);
    let text = report.text();
    for line in [
        "                                             one            <two>",
        "time in tool calls, median (range)        25.0 % (25.0-25.0)  25.0 % (25.0-25.0)  25.0 % (25.0-25.0)",
        "peak memory, median (range)                400 MB (400-400)    400 MB (400-400)    400 MB (400-400)",
        "test             2       -        100 %",
    ] {
        let bare = |s: &str| s.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(bare(&text).contains(&bare(line)), "{line}:\n{text}");
    }
    let page = report.html(&tracks).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.matches("<svg").count() >= 9, "{page}");
    assert!(page.contains("&lt;two&gt;") && page.contains("&lt;note&gt;"));
    for never in ["<two>", "<b>", "<note>", "<link", "<script", " src=", "href="] {
        assert!(!page.contains(never), "{never}: what is data stays data, and the page needs nothing else");
    }
    assert_eq!(page, report.html(&tracks).unwrap(), "the same for the same values");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["sets"][2]["in_calls_pct"]["p50"], 25.0);
    assert_eq!(json["sets"][0]["categories"][0]["name"], "test");
}

#[test]
fn files_are_told_by_their_first_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let refused = |text: &str| {
        std::fs::write(&path, text).unwrap();
        read(&path, &mut Vec::new()).unwrap_err().to_string()
    };
    for (text, want) in [
        ("", "file: nothing in it; expected a recording"),
        ("\n\n", "file: nothing in it"),
        ("\nhello\n", "file:2: not JSON"),
        ("{\"a\":1}\n", "file:1: expected a recording (scx_agent record)"),
        ("{\"id\":\"x\"}\n", "file:1: field \"calls\": expected an array"),
        ("{\"begun_ns\":1}\n", "file:1: column "),
        ("{\"unix_s\":1}\n", "file:1: column "),
    ] {
        let e = refused(text);
        assert!(e.contains(want), "{text:?}: {e}");
    }
    let missing = read(Path::new("/no/such"), &mut Vec::new()).unwrap_err().to_string();
    assert!(missing.contains("cannot read /no/such"), "{missing}");
}

/// Recorded tasks beside the checkout, if they are there: two thirds of those of which the study's figures
/// were recomputed. So some figures are the very same, and others near.
#[test]
fn the_figures_of_recorded_tasks_are_those_that_are_known() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/traces/agent-traces.jsonl");
    let path = std::env::var_os("SCX_AGENT_TRACES").map_or(path, Into::into);
    if !path.exists() {
        eprintln!(
            "skipped: no recorded tasks at {}; SCX_AGENT_TRACES=FILE says where they are",
            path.display()
        );
        return;
    }
    let tracks = read(&path, &mut Vec::new()).unwrap();
    let report = Report::of(&tracks, BOUNDS, Vec::new());
    let of =
        |name: &str| report.sets.iter().find(|f| f.set == name).unwrap_or_else(|| panic!("no set {name}"));
    let (cloud, local, few) = (of("all_images_haiku"), of("all_images_local"), of("batch_swebench_18tasks"));
    // The 144 tasks without the 18.
    let most: Vec<&Track> = tracks.iter().filter(|t| t.set != few.set).collect();
    let most = figures("144", &most, BOUNDS);
    let near = |what: &str, got: Option<f64>, want: f64, by: f64| {
        let got = got.unwrap_or_else(|| panic!("{what}: nothing"));
        assert!((got - want).abs() <= by, "{what}: {got:.2}, known is {want}");
    };
    near("time in calls, cloud", cloud.in_calls_pct.map(|d| d.p50), 34.7, 4.0);
    near("time in calls, local", local.in_calls_pct.map(|d| d.p50), 36.7, 4.0);
    near("most time in calls", most.in_calls_pct.map(|d| d.max), 86.0, 4.0);
    near("least time in calls", most.in_calls_pct.map(|d| d.min), 0.0, 1.0);
    near("framework, cloud", cloud.base_mb.map(|d| d.mean), 185.0, 4.0);
    near("framework, local", local.base_mb.map(|d| d.p50), 195.0, 1.0);
    near("highest peak", most.peak_mb.map(|d| d.max), 2076.0, 0.5);
    near("highest peak of the 18", few.peak_mb.map(|d| d.max), 4060.0, 0.5);
    near("peak over mean of the 18", few.peak_to_mean.map(|d| d.max), 15.4, 0.05);
    near("memory bursts in calls, cloud", cloud.memory_bursts.in_calls_pct, 98.5, 0.1);
    near("high CPU in calls, cloud", cloud.cpu_bursts.in_calls_pct, 90.0, 3.0);
    near("high CPU in calls, local", local.cpu_bursts.in_calls_pct, 89.0, 1.0);
    near("CPU while it waits, mean", most.cpu_outside_pct.map(|d| d.mean), 1.9, 0.1);
    near("CPU while it waits, P99", most.cpu_outside_pct.map(|d| d.p99), 10.0, 0.5);
    near("CPU in calls, P50", most.cpu_inside_pct.map(|d| d.p50), 3.0, 0.5);
    near("CPU in calls, P95", most.cpu_inside_pct.map(|d| d.p95), 97.0, 4.0);
    near("CPU in calls, P99", most.cpu_inside_pct.map(|d| d.p99), 203.0, 15.0);
    near("most CPU", most.cpu_peak_pct.map(|d| d.max), 2398.0, 0.5);
    assert_eq!(most.agents_over_400_pct, 4, "tasks above 400 %");
    near("retry groups, cloud", cloud.retries.agents_pct, 85.0, 2.0);
    near("retry groups, local", local.retries.agents_pct, 97.0, 1.0);
    near("shell calls, P50", most.process_calls_s.map(|d| d.p50), 5.2, 0.2);
    near("shell calls, P99", most.process_calls_s.map(|d| d.p99), 29.0, 1.0);
    for (i, cpus, gb) in [(0, 6.5, 14.0), (1, 26.0, 56.0)] {
        let (of, n) = (most.together[i], AGENTS[i]);
        eprintln!("{of:?}");
        near(&format!("{n} agents, CPUs"), of.cpus.map(|s| s.mean), cpus, 0.06 * cpus);
        near(&format!("{n} agents, GB"), of.memory_gb.map(|s| s.mean), gb, 0.02 * gb);
    }
    near("shell calls that overlap another", most.overlapping_pct, 18.0, 4.0);
}

/// What agent `i`, from 1 to 10, uses in the second until `t` of the sample below: CPU in percent of one core, and MB.
fn used(i: u32, t: u32) -> (u32, u32) {
    let tests = 10..10 + 2 * i;
    let cpu_pct = match t {
        0 => 90,
        1..5 => 60,
        // The last two are those with several threads.
        t if tests.contains(&(t - 1)) => [100, 200, 500][i.saturating_sub(8) as usize],
        51 | 52 | 55 | 56 | 59 | 60 => 30,
        80 => 70,
        _ => 2,
    };
    let mem_mb = match t {
        80 => 350,
        55.. => 230,
        t if t > 0 && tests.contains(&(t - 1)) => 400,
        _ => 200,
    };
    (cpu_pct, mem_mb)
}

/// Ten recorded tasks of 100 s, a line each. Agent `i` starts for 5 s, tests from 10 s on for 2 * `i` s, and has
/// three calls of git of 2 s each from 50 s on, which keep 30 MB; at 80 s it has a burst of its own. It reads for a
/// second: the even ones while they test, the odd ones at 40 s. The last two edit, in no time, before the third git.
fn sample() -> String {
    let line = |i: u32| {
        let call = |start: u32, end: u32, tool: &str, cat: &str| -> Value {
            json!({"start": start, "end": end, "tool": tool, "cat": cat, "cmd": ""})
        };
        let read = if i.is_multiple_of(2) { 12 } else { 40 };
        let mut calls = vec![call(10, 10 + 2 * i, "Bash", "test"), call(read, read + 1, "Read", "")];
        calls.extend([50, 54, 58].map(|at| call(at, at + 2, "Bash", "git")));
        calls.extend((i > 8).then(|| call(57, 57, "Edit", "")));
        let samples = (0..=100).map(|t| (t, used(i, t).0, used(i, t).1));
        let task = json!({
            "id": format!("agent-{i}"), "set": if i.is_multiple_of(2) { "even" } else { "odd" }, "attempt": "1", "dur_s": 100,
            "base_mb": 180 + i, "peak_mb": 400 + i, "cpu_total_s": 1, "calls": calls,
            "samples": samples.collect::<Vec<_>>(),
        });
        task.to_string() + "\n"
    };
    (1..=10).map(line).collect()
}

/// What 99 % of the sums of `n` of `values`, drawn at random, are not above: each sum by its chance, one draw after
/// the other.
fn p99_of_sums(values: &[usize], n: u32) -> usize {
    let mut often = BTreeMap::<usize, f64>::new();
    values.iter().for_each(|v| *often.entry(*v).or_default() += 1.0 / values.len() as f64);
    let most = values.iter().max().unwrap();
    let mut chances = vec![1.0];
    for _ in 0..n {
        let mut next = vec![0.0; chances.len() + most];
        for (sum, chance) in chances.iter().enumerate().filter(|(_, c)| **c > 0.0) {
            often.iter().for_each(|(v, share)| next[sum + v] += chance * share);
        }
        chances = next;
    }
    let mut below = 0.0;
    let is_p99 = |chance: &f64| {
        below += chance;
        below >= 0.99
    };
    chances.iter().position(is_p99).unwrap()
}

/// Asserts that `got` has what `want` has and no more; numbers to nine digits, the percentiles of random sums, which
/// are computed in steps, to a hundredth.
fn assert_near(at: &str, got: &Value, want: &Value) {
    match (got, want) {
        (Value::Object(g), Value::Object(w)) => {
            assert!(g.keys().eq(w.keys()), "{at}: {:?} and not {:?}", g.keys(), w.keys());
            w.iter().for_each(|(key, want)| assert_near(&format!("{at}.{key}"), &g[key], want));
        }
        (Value::Array(g), Value::Array(w)) => {
            assert_eq!(g.len(), w.len(), "{at}: {got}");
            w.iter().enumerate().for_each(|(n, want)| assert_near(&format!("{at}[{n}]"), &g[n], want));
        }
        (Value::Number(g), Value::Number(w)) => {
            let (g, w) = (g.as_f64().unwrap(), w.as_f64().unwrap());
            let part = if at.contains("together") && at.ends_with("p99") { 1e-2 } else { 1e-9 };
            assert!((g - w).abs() <= part * w.abs().max(1e-6), "{at}: {g} and not {w}");
        }
        _ => assert_eq!(got, want, "{at}"),
    }
}

/// Each figure of a sample whose answers are known by hand: none is left out, as a figure that is not named here fails.
#[test]
fn every_figure_of_a_sample_is_the_known_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.jsonl");
    std::fs::write(&path, sample()).unwrap();
    let report = Report::of(&read(&path, &mut Vec::new()).unwrap(), BOUNDS, Vec::new());
    let json = serde_json::to_value(&report).unwrap();
    let dist = |n: usize, [min, mean, p50, p95, p99, max]: [f64; 6]| -> Value {
        json!({"n": n, "min": min, "mean": mean, "p50": p50, "p95": p95, "p99": p99, "max": max})
    };
    let same = |n: usize, value: f64| dist(n, [value; 6]);

    // Samples: 200 MB until 54 s, then 230, and 120 above that once; 200 above in 2 i of them.
    let ratio = |i: f64| (400.0 + i) * 101.0 / (55.0 * 200.0 + 46.0 * 230.0 + 120.0 + 200.0 * 2.0 * i);
    let ratios = (1..=10).map(|i| ratio(f64::from(i))).sum::<f64>() / 10.0;
    // In calls: 2 * (1 + ... + 10) = 110 of tests at 100 to 500 %, 60 of git at 30 %, and at 2 % those that touch a
    // call: 2 for its tests, 3 for an odd agent's read, 6 for its gits. Outside, from 5 s on, all others: 2 %, once
    // 70 %.
    let inside = [2.0, (95.0 * 2.0 + 60.0 * 30.0 + 72.0 * 100.0 + 18.0 * 200.0 + 20.0 * 500.0) / 265.0];
    let outside = [2.0, (685.0 * 2.0 + 10.0 * 70.0) / 695.0];
    // Each second of each agent is as likely as any other.
    let seconds = || (1..=10).flat_map(|i| (0..=100).map(move |t| used(i, t)));
    let cpus: Vec<usize> = seconds().map(|(cpu_pct, _)| cpu_pct as usize).collect();
    let memory: Vec<usize> = seconds().map(|(_, mem_mb)| mem_mb as usize).collect();
    let mean = |values: &[usize]| values.iter().sum::<usize>() as f64 / values.len() as f64;
    // In units of which all are whole numbers: 2 % of a core, and 10 MB.
    let p99 = |values: &[usize], unit: usize, n: u32| {
        let units: Vec<usize> = values.iter().map(|v| v / unit).collect();
        (p99_of_sums(&units, n) * unit) as f64
    };
    let together = AGENTS.map(|n| {
        json!({
            "agents": n,
            "cpus": {"mean": mean(&cpus) / 100.0 * f64::from(n), "p99": p99(&cpus, 2, n) / 100.0},
            "memory_gb": {"mean": mean(&memory) / 1000.0 * f64::from(n), "p99": p99(&memory, 10, n) / 1000.0},
        })
    });
    assert_eq!((cpus.iter().sum::<usize>(), memory.iter().sum::<usize>()), (28_160, 239_000));
    let category = |name: &str, calls: usize, all_s: f64, lasted: Value, cpu: Value, rise: Value| -> Value {
        json!({"name": name, "calls": calls, "failed": null, "time_pct": 100.0 * all_s / 180.0, "lasted_s": lasted,
            "cpu_s": cpu, "rise_mb": rise})
    };
    let known = json!({
        "set": "all",
        "agents": 10,
        "length_s": same(10, 100.0),
        // 2 i s of tests, 6 of git, and 1 of the odd ones' reads: 9, 10, 13, 14, 17, 18, 21, 22, 25, 26.
        "in_calls_pct": dist(10, [9.0, 17.5, 17.0, 26.0, 26.0, 26.0]),
        "base_mb": dist(10, [181.0, 185.5, 185.0, 190.0, 190.0, 190.0]),
        "peak_mb": dist(10, [401.0, 405.5, 405.0, 410.0, 410.0, 410.0]),
        "peak_to_mean": dist(10, [ratio(10.0), ratios, ratio(6.0), ratio(1.0), ratio(1.0), ratio(1.0)]),
        "memory_bursts": {"samples": 120, "in_calls_pct": 100.0 * 110.0 / 120.0},
        "cpu_bursts": {"samples": 170, "in_calls_pct": 100.0 * 110.0 / 170.0},
        // Moments: 2 i + 1 of tests, 3 for each git, 2 of the odd ones' reads, 1 of two edits.
        "samples_in_calls_pct": 100.0 * (120.0 + 90.0 + 10.0 + 2.0) / 1010.0,
        "cpu_outside_pct": dist(695, [outside[0], outside[1], 2.0, 2.0, 70.0, 70.0]),
        "cpu_inside_pct": dist(265, [inside[0], inside[1], 30.0, 500.0, 500.0, 500.0]),
        "cpu_peak_pct": dist(10, [100.0, 150.0, 100.0, 500.0, 500.0, 500.0]),
        "agents_over_150_pct": 2,
        "agents_over_400_pct": 1,
        "categories": [
            // 2, 4 ... 16 s on one CPU, 18 on two and 20 on five.
            category(
                "test", 10, 110.0, dist(10, [2.0, 11.0, 10.0, 20.0, 20.0, 20.0]),
                dist(10, [2.0, 20.8, 10.0, 100.0, 100.0, 100.0]), same(10, 200.0)
            ),
            // Of the three the second is that with the 30 MB.
            category("git", 30, 60.0, same(30, 2.0), same(30, 0.6), dist(30, [0.0, 10.0, 0.0, 30.0, 30.0, 30.0])),
            category("Read", 10, 10.0, same(10, 1.0), Value::Null, Value::Null),
            category("Edit", 2, 0.0, same(2, 0.0), Value::Null, Value::Null),
        ],
        // 31 of 2 s, then 4, 6 ... 20.
        "process_calls_s": dist(40, [2.0, 4.25, 2.0, 16.0, 20.0, 20.0]),
        // The tests of the five that read meanwhile.
        "overlapping_pct": 100.0 * 5.0 / 40.0,
        // The gits of those that do not edit in between, 6 s in 100 each.
        "retries": {"agents_pct": 80.0, "groups": 8, "longest": 3, "time_pct": 4.8, "kept_mb": same(8, 30.0)},
        // Up and down of the tests and of the burst; from 2 to 500 % of a core.
        "changes": {"rise_mb_per_s": 200.0, "fall_mb_per_s": -200.0, "over_bound_pct": 4.0, "cpu_pct_per_s": 498.0},
        "together": together,
    });
    assert_near("all", &json["sets"][2], &known);

    // The two sets, where they are not alike.
    for (n, set, share, reads) in [(0, "odd", 17.0, 0.0), (1, "even", 18.0, 100.0 * 5.0 / 20.0)] {
        let of = &json["sets"][n];
        assert_eq!((&of["set"], &of["agents"]), (&json!(set), &json!(5)));
        assert_near(set, &of["in_calls_pct"]["mean"], &json!(share));
        assert_near(set, &of["overlapping_pct"], &json!(reads));
    }
    assert_eq!(json["sets"].as_array().map(Vec::len), Some(3));
    let bounds = json!({"burst_mb": 300.0, "burst_cpu_pct": 50.0, "change_mb_per_s": 50.0});
    assert_eq!((&json["bounds"], &json["notes"]), (&bounds, &json!([])));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_numbers_make_a_report(
        samples in vec((0..3u32, -10..15i32, -10..15i32), 0..8), calls in vec((0.0..9e4, 0.0..1e15), 0..6),
        dur_s in 0..3u32,
    ) {
        let mut t = 0.0;
        let samples: Vec<Value> = samples.iter().map(|(after, cpu, mem)| {
            t += f64::from(*after);
            json!([t, 10f64.powi(*cpu), 10f64.powi(*mem)])
        }).collect();
        let call = |(from, s): &(f64, f64)| json!({"start": from, "end": from + s / 2.0, "tool": "Bash"});
        let calls: Vec<Value> = calls.iter().map(call).collect();
        let task = json!({
            "id": "x", "set": "s", "attempt": "1", "dur_s": dur_s, "base_mb": 1e15, "peak_mb": 0, "cpu_total_s": 0,
            "calls": calls, "samples": samples,
        });
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tasks.jsonl");
        std::fs::write(&path, task.to_string()).unwrap();
        let tracks = read(&path, &mut Vec::new()).unwrap();
        let report = Report::of(&tracks, BOUNDS, Vec::new());
        for said in [report.text(), report.html(&tracks).unwrap(), serde_json::to_string(&report).unwrap()] {
            let is_none = |word: &str| matches!(word, "NaN" | "inf");
            prop_assert!(!said.split(|c: char| !c.is_alphanumeric()).any(is_none), "{said}");
        }
    }

    #[test]
    fn any_bytes_are_refused(bytes in vec(any::<u8>(), 0..300)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, bytes).unwrap();
        let e = read(&path, &mut Vec::new()).unwrap_err().to_string();
        prop_assert!(e.starts_with(path.to_str().unwrap()), "{e}");
    }
}
