// SPDX-License-Identifier: GPL-2.0-only
//! What Prometheus gets of the daemon, what the alerts and the dashboard make of it, and the log of tool calls.

use scx_agent_tests::metrics::{Page, Sample};
use scx_agent_tests::vm::Boot;
use serde_json::{json, Value};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// All that looks like one of our metrics in the expressions of a file.
fn named(text: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !word(c)).filter(|w| w.starts_with("scx_agent_") || w.starts_with("process_"));
    words.map(String::from).collect()
}

/// Needs promtool, of Debian's package prometheus.
#[test]
fn the_alerts_fire_when_they_should() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist/prometheus");
    promtool_passes(&dir, "scx_agent.rules.test.yml");
}

fn promtool_passes(dir: &Path, tests: &str) {
    match Command::new("promtool").args(["test", "rules", tests]).current_dir(dir).output() {
        Err(e) => panic!(
            "promtool: {e}; scripts/test brings it, apt install prometheus does, and without it the alerts and the \
             dashboard are not tested"
        ),
        Ok(done) => {
            let said = [done.stdout, done.stderr].map(|out| String::from_utf8_lossy(&out).into_owned());
            assert!(done.status.success(), "promtool test rules {tests}:\n{}", said.concat());
        }
    }
}

/// Has promtool evaluate each expression of the dashboard over the series of `page`, in an hour in which counters
/// go up: each has a value, or its panel would be empty.
fn check_dashboard(page: &Page, board: &Value) {
    let quoted = |v: &str| v.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let series = |s: &Sample| {
        let labels = s.labels.iter().map(|(k, v)| format!("{k}=\"{}\"", quoted(v)));
        let known = ["instance=\"a:9855\"", "job=\"scx_agent\""].map(String::from);
        let labels: Vec<String> = labels.chain(known).collect();
        let counts = ["_total", "_bucket", "_sum", "_count"].iter().any(|end| s.name.ends_with(end));
        let values = if counts { "0+1x60" } else { "1x60" };
        json!({ "series": format!("{}{{{}}}", s.name, labels.join(",")), "values": values })
    };
    let panels = board["panels"].as_array().into_iter().flatten();
    let targets = panels.flat_map(|p| p["targets"].as_array().into_iter().flatten());
    let expressions: Vec<String> = targets
        .filter_map(|t| t["expr"].as_str())
        .map(|e| e.replace("$__rate_interval", "5m").replace("$instance", ".*"))
        .collect();
    assert!(expressions.len() >= 20 && expressions.iter().all(|e| !e.contains('$')), "{expressions:?}");
    let has_a_value = |e: &String| {
        let one = [json!({ "labels": "{}", "value": 1 })];
        json!({ "expr": format!("count({e}) > bool 0"), "eval_time": "50m", "exp_samples": one })
    };
    let test = json!({
        "rule_files": [],
        "evaluation_interval": "1m",
        "tests": [{
            "interval": "1m",
            "input_series": page.samples.iter().map(series).collect::<Vec<_>>(),
            "promql_expr_test": expressions.iter().map(has_a_value).collect::<Vec<_>>(),
        }],
    });
    let dir = tempfile::tempdir().unwrap();
    // JSON is YAML.
    std::fs::write(dir.path().join("board.yml"), test.to_string()).unwrap();
    promtool_passes(dir.path(), "board.yml");
}

#[test]
fn scrapes_and_what_is_made_of_them() {
    let left = Boot::script("metrics").run();
    let facts = left.facts();
    left.assert_kernel_well();
    for name in ["stalled", "first", "second"] {
        assert_eq!(facts.get(name), "0", "{}", left.text(&format!("{name}.head")));
        assert!(left.text(&format!("{name}.head")).contains("application/openmetrics-text"));
    }
    assert!(facts.number("stalled_ms") < 5000.0, "a silent connection holds others up: {facts:?}");
    assert!(left.text("none.head").contains("404"), "{}", left.text("none.head"));

    let text = left.text("first");
    let page = Page::parse(&text);
    assert_eq!(page.value("scx_agent_scheduling", &[]), Some(1.0));
    let agents = page.labels("agent");
    assert_eq!(agents.len(), 4, "three with a label, and the others: {agents:?}");
    let evil = agents.iter().find(|a| a.starts_with("evil\"} 1")).expect("the name that would end its label");
    assert!(evil.ends_with("\\\\u{1b}[2J") && !text.contains('\u{1b}'), "{evil:?}");
    for (agent, calls, failed) in
        [("one", 3.0, 2.0), (evil, 3.0, 2.0), ("two", 3.0, 2.0), ("other", 6.0, 4.0)]
    {
        let of = |name: &str| page.value(name, &[("agent", agent)]);
        assert_eq!(of("scx_agent_agent_calls_total"), Some(calls), "{agent}:\n{text}");
        assert_eq!(of("scx_agent_agent_calls_failed_total"), Some(failed), "{agent}");
        if agent != "other" {
            assert!(of("scx_agent_agent_cpu_seconds_total").is_some_and(|s| s > 0.001), "{agent}:\n{text}");
        }
    }
    let ended = |category: &str, outcome: &str| {
        page.value("scx_agent_calls_ended_total", &[("category", category), ("outcome", outcome)])
    };
    assert_eq!(ended("git", "success"), Some(5.0), "{text}");
    assert_eq!(ended("test", "failure"), Some(5.0));
    assert_eq!(ended("other", "signal"), Some(5.0));
    let below =
        |le: &str| page.value("scx_agent_call_duration_seconds_bucket", &[("category", "git"), ("le", le)]);
    assert_eq!(below("+Inf"), Some(5.0));
    let status: Value = serde_json::from_str(&left.text("status.json")).expect("JSON");
    assert_eq!(page.value("scx_agent_calls_begun_total", &[]), status["metrics"]["calls"].as_f64());
    let phases: f64 = ["llm_wait", "framework", "tool"]
        .iter()
        .map(|p| {
            page.value("scx_agent_agent_phase_seconds_total", &[("agent", "one"), ("phase", p)]).unwrap()
        })
        .sum();
    assert!(phases > 0.5, "the phases of an agent are all of its time: {phases}");
    // Counters never go back.
    let second = Page::parse(&left.text("second"));
    for s in page.samples.iter().filter(|s| s.name.ends_with("_total")) {
        let labels: Vec<_> = s.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert!(second.value(&s.name, &labels).is_some_and(|v| v >= s.value), "{s:?}");
    }

    // What the shipped files ask for is there.
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist");
    for file in ["prometheus/scx_agent.rules.yml", "grafana/scx_agent.json"] {
        let text = std::fs::read_to_string(dist.join(file)).unwrap();
        let names = named(&text);
        assert!(names.len() >= 7, "{file}: {names:?}");
        let missing: Vec<_> = names.iter().filter(|n| !page.has(n)).collect();
        assert!(missing.is_empty(), "{file} asks for what there is not: {missing:?}");
    }
    let board = std::fs::read_to_string(dist.join("grafana/scx_agent.json")).unwrap();
    let board: Value = serde_json::from_str(&board).expect("JSON");
    assert!(board["panels"].as_array().is_some_and(|p| p.len() >= 10));
    check_dashboard(&page, &board);

    // Every finished call is in the log, as `scx_agent calls` has it.
    let logged: Vec<Value> =
        left.text("calls.jsonl").lines().map(|l| serde_json::from_str(l).expect("a line of JSON")).collect();
    let calls: Value = serde_json::from_str(&left.text("calls.json")).expect("JSON");
    assert_eq!(logged.len(), 15, "{logged:#?}");
    let key =
        |c: &Value| (c["call"].as_u64(), c["command"].clone(), c["status"].clone(), c["cpu_ns"].clone());
    let mut told: Vec<_> = logged.iter().map(key).collect();
    told.sort_by_key(|k| k.0);
    assert_eq!(told, calls.as_array().unwrap().iter().map(key).collect::<Vec<_>>());
    assert_eq!(facts.get("log_mode"), "600");

    // The port: an address that was asked for must be had.
    assert_eq!((facts.get("taken"), facts.get("taken_state")), ("1", "disabled"));
    assert!(left.text("taken.err").contains("127.0.0.1:9855"), "{}", left.text("taken.err"));
    assert_eq!(facts.get("without_status"), "0");
    assert!(left.text("without.err").contains("no metrics are served"), "{}", left.text("without.err"));
    assert_ne!(facts.get("off"), "0", "off is off");
}
