// SPDX-License-Identifier: GPL-2.0-only
//! `scx_agent pause` and `resume`, the time limit of calls, and `record`, `replay` and `report`.

use agentload::jsonl;
use agentload::record::Record;
use scx_agent_tests::documents;
use scx_agent_tests::vm::{Boot, Left};
use serde_json::Value;

#[test]
fn agents_are_paused_limited_and_recorded() {
    let documented = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(documented.path(), documents::to_run(documents::Where::Daemon)).unwrap();
    let left = Boot::script("operate").module("zram").file(documented.path(), "/tests/documented.sh").run();
    left.assert_kernel_well();
    let facts = left.facts();
    left.expect(
        &facts,
        &[
            ("pause", "0"),
            ("frozen", "0"),
            ("again", "0"),
            ("pause_busy", "0"),
            ("journal", "1"),
            ("resume", "0"),
            ("thawed", "0"),
            ("resume_again", "1"),
            ("nobody", "1"),
            ("too_long", "2"),
            ("short", "0"),
            ("short_over", "0"),
            ("foreign", "1"),
            ("foreign_left", "1"),
            ("taken", "0"),
            ("taken_left", "0"),
            ("first_status", "0"),
            ("after_term", "0 0 "),
            ("second_pause", "0"),
            ("after_kill", "0"),
            ("journal_left", ""),
            ("framework_lives", "yes"),
            ("stubborn_left", "0"),
            ("daemon_lives", "yes"),
            ("waits_pause", "0"),
            ("waits_meanwhile", ""),
            ("waits_resume", "0"),
            ("waits_call", "7"),
            ("socket_mode", "700"),
            ("limited_status", "0"),
            ("no_memory", "1"),
            ("load", "0"),
            ("record", "0"),
            ("replay", "0"),
            ("report", "0"),
            ("report_text", "0"),
            ("no_recording", "1"),
        ],
    );
    assert!(facts.number("used_before") >= 100.0, "{facts:?}");
    assert!(facts.number("used_paused") < 30.0, "what is paused is reclaimed: {facts:?}");
    assert!(facts.number("cpu_paused") < 5.0, "a paused agent runs: {facts:?}");
    for (file, word) in [
        ("pause.out", "agent \"held\" is paused"),
        ("again.out", "paused already"),
        ("resume.out", "MB were reclaimed"),
        ("resume_again.err", "is not paused"),
        ("nobody.err", "there is no agent \"nobody\""),
        ("foreign.err", "somebody else"),
        ("no_memory.err", "no_memory"),
        ("replay.out", " held "),
        ("report_text.out", "time in tool calls"),
        ("report.html", "<svg"),
        ("no_recording.err", "/tests/operate.sh:1: not JSON"),
        ("status.out", "2 agents are paused"),
        ("first.err", "its time is over"),
        ("first.err", "let 2 paused agents go on"),
        ("first.err", "somebody else lets it go on"),
        ("second.err", "let 1 paused agents go on"),
        ("limited.err", "the time limit of calls"),
        ("limited.err", "does not end within 2 s of SIGTERM: SIGKILL to"),
    ] {
        assert!(left.text(file).contains(word), "{file} does not say {word:?}:\n{}", left.text(file));
    }

    check_capabilities(&left);
    let calls: Value = serde_json::from_str(&left.text("calls.json")).expect("JSON");
    let of = |part: &str| {
        let mut all = calls.as_array().unwrap().iter();
        all.find(|c| c["command"].as_str().unwrap().contains(part))
            .unwrap_or_else(|| panic!("no {part}: {calls:#}"))
    };
    let (well, told, made) = (of("sleep 1"), of("exit 5"), of("trap \"\" TERM"));
    assert!(well["ended_by"].is_null() && well["status"]["exited"] == 0, "{well:#}");
    assert_eq!(
        (&told["status"]["exited"], told["ended_by"].as_str()),
        (&5.into(), Some("time limit of 3 s"))
    );
    assert_eq!(
        (&made["status"]["killed"], made["ended_by"].as_str()),
        (&9.into(), Some("time limit of 3 s"))
    );
    let seconds = |c: &Value| c["wall_ns"].as_f64().unwrap() / 1e9;
    assert!((2.9..6.0).contains(&seconds(told)), "{told:#}");
    assert!((4.9..9.0).contains(&seconds(made)), "SIGKILL comes after the grace: {made:#}");
    assert_eq!(left.text("calls.out").lines().filter(|l| l.contains(" limit ")).count(), 2);
    check_report(&left);
    assert_eq!(left.text("documented.failed"), "", "commands of the documents that do not work");
    assert!(facts.number("documented") >= 15.0, "{facts:?}");
}

/// Capabilities by their numbers (linux/capability.h).
fn capabilities(numbers: &[u32]) -> u64 {
    numbers.iter().map(|n| 1 << n).sum()
}

/// Who may do what: the daemon has dropped what it does not need, and nobody who answers others has much.
fn check_capabilities(left: &Left) {
    let facts = left.facts();
    let hex = |text: &str| u64::from_str_radix(text, 16).unwrap_or_else(|e| panic!("{text:?}: {e}"));
    let fact = |name: &str| hex(facts.get(name));
    // DAC_OVERRIDE, DAC_READ_SEARCH, SYS_PTRACE and SYS_RESOURCE; KILL.
    let restoring = capabilities(&[1, 2, 19, 24]);
    let working = restoring | capabilities(&[5]);
    // SYS_ADMIN, PERFMON and BPF.
    let all = working | capabilities(&[21, 38, 39]);
    for (name, want) in [
        ("daemon_Eff", working),
        ("daemon_Prm", all),
        ("daemon_Bnd", all),
        ("daemon_Inh", 0),
        ("daemon_Amb", 0),
        ("guard_Eff", restoring),
        ("guard_Prm", restoring),
        ("guard_Bnd", all),
        ("guard_Inh", 0),
        ("daemon_no_new_privs", 1),
        ("guard_no_new_privs", 1),
    ] {
        assert_eq!(fact(name), want, "{name}: {:x} and not {want:x}", fact(name));
    }
    let text = left.text("threads");
    let threads: Vec<(&str, u64, u64)> = text
        .lines()
        .map(|l| {
            let words: Vec<&str> = l.split(' ').collect();
            (words[0], hex(words[1]), hex(words[2]))
        })
        .collect();
    let of =
        |name: &str| *threads.iter().find(|t| t.0 == name).unwrap_or_else(|| panic!("no {name}: {text}"));
    assert_eq!(of("tags"), ("tags", 0, 0));
    let looking = capabilities(&[2]);
    assert_eq!(of("metrics"), ("metrics", looking, looking));
    assert_eq!(of("memory"), ("memory", working, working));
    assert!(threads.iter().all(|t| t.2 & !working == 0), "a thread that can load programs: {text}");
}

/// The report on the recording, against what the load says that it did, and the daemon of its calls.
fn check_report(left: &Left) {
    let report: Value = serde_json::from_str(&left.text("report.out")).expect("JSON");
    assert_eq!(left.text("report.err"), "", "all of it is used");
    let all = &report["sets"][0];
    let number =
        |path: &str| all.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path}: {all:#}"));
    let records: Vec<Record> = jsonl::read(&left.path("load.jsonl")).unwrap();
    let made: Vec<(u64, f64)> = records
        .iter()
        .filter_map(|r| match r {
            Record::Call(c) => Some((c.pid.into(), (c.end_ns - c.start_ns) as f64 / 1e9)),
            _ => None,
        })
        .collect();
    let told: Vec<Value> = serde_json::from_str(&left.text("loaded.json")).expect("JSON");
    let told = |name: &str| -> Vec<f64> {
        let of_load = |c: &&Value| made.iter().any(|m| c["pid"] == m.0);
        told.iter().filter(of_load).map(|c| c[name].as_f64().expect(name) / 1e9).collect()
    };
    assert!(number("/agents") >= 3.0, "two of the load, and one that only holds memory: {all:#}");
    // Most are shorter than the time between two looks.
    assert_eq!((made.len(), told("wall_ns").len()), (6, 6), "{made:?}");
    for (path, name) in [("/process_calls_s", "wall_ns"), ("/categories/0/cpu_s", "cpu_ns")] {
        let mean = told(name).iter().sum::<f64>() / 6.0;
        assert_eq!(number(&format!("{path}/n")), 6.0, "{all:#}");
        assert!((number(&format!("{path}/mean")) - mean).abs() < 1e-6, "mean {mean}: {all:#}");
    }
    // A framework has forked a call before that is known to be one, and reaps it after its end.
    let longest = made.iter().map(|m| m.1).fold(0.0, f64::max);
    assert!(number("/process_calls_s/max") < longest, "{made:?}: {all:#}");
    let most = 100.0 * told("wall_ns").iter().sum::<f64>() / 2.0 / number("/length_s/max");
    assert!(number("/in_calls_pct/min") == 0.0 && number("/in_calls_pct/max") >= most, "{most}: {all:#}");
    assert!((95.0..150.0).contains(&number("/peak_mb/max")), "{all:#}");
    assert!(number("/cpu_inside_pct/max") > 20.0 && number("/cpu_outside_pct/p50") < 10.0, "{all:#}");
}
