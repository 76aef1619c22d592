// SPDX-License-Identifier: GPL-2.0-only
//! `scx_agent ci` and `scx_agent top --batch`.

use scx_agent_tests::documents;
use scx_agent_tests::vm::{Boot, Left};
use serde_json::Value;

fn report(left: &Left, name: &str) -> Value {
    let text = left.text(&format!("{name}.json"));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}: {text}\n{}", left.diagnosis()))
}

#[test]
fn commands_are_run_and_reported() {
    let documented = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(documented.path(), documents::to_run(documents::Where::Pipeline)).unwrap();
    let left = Boot::script("ci").file(documented.path(), "/tests/documented.sh").run();
    left.assert_kernel_well();
    let facts = left.facts();
    let (alone, under) = ("disabled  0", "enabled  0");
    for (name, status, after) in [
        ("own", "7", alone),
        ("left", "0", alone),
        ("running", "0", under),
        ("killed", "137", under),
        ("framework", "0", under),
        ("claude", "0", under),
        ("gate", "1", under),
        ("gate_open", "0", under),
        ("missing", "125", under),
        ("bad_name", "2", under),
        ("bad_gate", "2", under),
        ("unwritable", "125", under),
        ("without", "3", alone),
        ("required", "125", alone),
    ] {
        let said = left.text(&format!("{name}.err"));
        assert_eq!((facts.get(name), facts.get(&format!("{name}_left"))), (status, after), "{name}:\n{said}");
    }
    assert_eq!((facts.get("term"), facts.get("kill_state")), ("9", "disabled"));
    assert_eq!(facts.get("daemon_status"), "0");

    let own = report(&left, "own");
    assert_eq!(left.text("own.out"), "out\n", "standard output is the command's");
    assert_eq!((&own["status"]["exited"], &own["scheduled"]), (&7.into(), &"own".into()), "{own:#}");
    let calls = &own["calls"];
    assert_eq!(
        (&calls["finished"], &calls["failed"], &calls["detailed"]),
        (&1.into(), &1.into(), &1.into()),
        "{own:#}"
    );
    let number = |v: &Value| v.as_f64().unwrap_or_else(|| panic!("{v} is no number: {own:#}"));
    // The same CPU time, told by the scheduler and by the kernel for the cgroup.
    let (told, billed) = (number(&calls["cpu_s"]), number(&own["cpu_s"]));
    assert!(told > 0.1 && (told / billed - 1.0).abs() < 0.2, "{told} s and {billed} s: {own:#}");
    assert!(number(&own["wall_s"]) < told, "it is wide: {own:#}");
    assert!(number(&own["memory_peak_bytes"]) > 1e5 && own["oom_kills"] == 0, "{own:#}");
    assert!(calls["longest"][0]["command"].as_str().unwrap().contains("busy.sh"), "{own:#}");
    let text = left.text("own.err");
    for word in ["exit status 7", "started for it", "1 finished, 1 of them failed", "longest", "busy.sh"] {
        assert!(text.contains(word), "no {word:?}: {text}");
    }

    assert_eq!(report(&left, "killed")["status"]["killed"], 9);
    assert_eq!(report(&left, "left")["left_running"], 1);
    let framework = report(&left, "framework");
    let by = &framework["calls"]["by_category"];
    assert_eq!((&by["git"]["calls"], &by["git"]["failed"]), (&1.into(), &0.into()), "{framework:#}");
    assert_eq!(
        (&by["test"]["failed"], &framework["calls"]["finished"]),
        (&1.into(), &3.into()),
        "{framework:#}"
    );
    let claude = report(&left, "claude");
    assert_eq!(claude["calls"]["finished"], 1, "a known framework is the agent: {claude:#}");
    assert!(claude["calls"]["longest"][0]["command"].as_str().unwrap().contains("sleep 0.2"), "{claude:#}");
    let gate = report(&left, "gate");
    assert_eq!(gate["failed_gates"].as_array().map(Vec::len), Some(1), "{gate:#}");
    assert!(left.text("gate.err").contains("wall_s>0.001: it is "), "{}", left.text("gate.err"));
    for (name, word) in
        [("missing", "/no/such/program"), ("unwritable", "/no/such/file"), ("required", "slice_us")]
    {
        assert!(left.text(&format!("{name}.err")).contains(word), "{}", left.text(&format!("{name}.err")));
    }
    let running = report(&left, "running");
    assert_eq!(
        (&running["scheduled"], &running["calls"]["finished"]),
        (&"running".into(), &1.into()),
        "{running:#}"
    );
    let without = report(&left, "without");
    assert_eq!((&without["scheduled"], &without["calls"]), (&"host".into(), &Value::Null), "{without:#}");
    assert!(without["note"].as_str().unwrap().contains("slice_us"), "{without:#}");

    assert_eq!(left.text("documented.failed"), "", "commands of the documents that do not work");
    assert!(facts.number("documented") >= 3.0, "{facts:?}");

    assert_eq!(facts.get("top"), "0", "{}", left.text("top.err"));
    let top = left.text("top.out");
    assert_eq!(top.lines().count(), 40, "two screens:\n{top}");
    let line = top.lines().rfind(|l| l.contains("shown-") && l.contains('#')).expect("a line of the agent");
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[1], "call", "{line}");
    let cpus: f64 = words[3].parse().expect("CPUs");
    assert!((0.5..1.6).contains(&cpus), "it spins on one CPU:\n{top}");
    assert!(top.contains("sh /tests/spin"), "its call:\n{top}");
    // What was recorded is shown as it was.
    assert_eq!((facts.get("record"), facts.get("replay"), facts.get("recording_mode")), ("0", "0", "600"));
    let replay = left.text("replay.out");
    assert!(replay.contains("STOPPED 0:01 of 0:0"), "{replay}");
    let line = replay.lines().find(|l| l.contains("shown-") && l.contains('#')).expect("a line of the agent");
    let cpus: f64 = line.split_whitespace().nth(3).and_then(|w| w.parse().ok()).expect("CPUs");
    assert!((0.3..1.8).contains(&cpus), "{replay}");
    assert_eq!(facts.get("replay_none"), "1");
    assert!(left.text("replay_none.err").contains("is no recording"), "{}", left.text("replay_none.err"));
    assert_eq!((facts.get("top_no_terminal"), facts.get("top_alone")), ("1", "1"));
    assert!(left.text("top_no_terminal.err").contains("--batch"));
    assert!(left.text("top_alone.err").contains("no scx_agent is running"));
}
