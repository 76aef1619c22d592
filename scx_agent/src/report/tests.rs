// SPDX-License-Identifier: GPL-2.0-only

use super::together::AGENTS;
use super::*;
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
