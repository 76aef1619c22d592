// SPDX-License-Identifier: GPL-2.0-only

use super::*;
use crate::agents::{Phase, Span};
use crate::calls::Call;
use crate::qos::Qos;
use crate::stats::Metrics;
use crate::usage::{Host, Usage};
use crate::view::{self, Totals, View};
use proptest::collection::vec;
use proptest::prelude::*;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::KeyCode;
use ratatui::style::Color;
use ratatui::Terminal;
use std::path::Path;

const S: u64 = 1_000_000_000;
const MB: u64 = 1 << 20;

fn agent(id: u64, name: &str, phase: Phase, since_ns: u64, history: &[(Phase, u64, u64)]) -> view::Agent {
    let span = |&(phase, ended_ns, lasted_ns)| Span { phase, ended_ns, lasted_ns };
    view::Agent {
        name: name.into(),
        cgroup_id: id,
        phase,
        since_ns,
        history: history.iter().map(span).collect(),
        totals: Totals {
            calls: 12,
            failed: 2,
            cpu_ns: 40 * S,
            wait_ns: 6 * S,
            phase_ns: [60 * S, 5 * S, 45 * S],
        },
        labelled: true,
        opaque: false,
        qos: Qos::default(),
        weight: 0,
        budget: None,
    }
}

fn call(id: u64, agent: &str, category: &str, command: &str, wall_ns: u64) -> view::AgentCall {
    let json = serde_json::json!({
        "agent": agent, "call": wall_ns, "pid": 1, "comm": "sh", "command": command,
        "category": category, "program": "x", "rule": "shell under the framework", "begun_ns": 0,
        "wall_ns": wall_ns, "cpu_ns": wall_ns * 3, "wait_ns": wall_ns / 4, "processes": 9, "peak_width": 4,
        "retry": null, "status": null, "tag": null, "hint": null,
        "evidence": {"at_ns":0,"cgroup_id":0,"parent":0,"parent_comm":"","session":0,"comm":""}
    });
    let call: Call = serde_json::from_value(json).unwrap();
    view::AgentCall { cgroup_id: id, call }
}

/// When phases of [`sample`] are counted from, in seconds.
const T: u64 = 1002;

/// A small host at second `t`: what is shown in the documents.
fn sample(t: u64) -> Sample {
    use Phase::{Framework, LlmWait, Tool};
    let mut agents = vec![
        agent(
            1,
            "docker-4fd1c2.scope",
            Tool,
            (T - 13) * S,
            &[
                (LlmWait, (T - 40) * S, 25 * S),
                (Framework, (T - 36) * S, 4 * S),
                (Tool, (T - 28) * S, 8 * S),
                (Framework, (T - 26) * S, 2 * S),
                (LlmWait, (T - 13) * S, 13 * S),
            ],
        ),
        agent(
            2,
            "docker-9a07be.scope",
            LlmWait,
            (T - 31) * S,
            &[(Tool, (T - 33) * S, 50 * S), (Framework, (T - 31) * S, 2 * S)],
        ),
        agent(3, "libpod-refactor.scope", Framework, (T - 1) * S, &[(LlmWait, (T - 1) * S, 90 * S)]),
        agent(4, "run-u12.scope", Tool, (T - 95) * S, &[]),
    ];
    // At the first look it had used 110 s of CPU time in a window of which 20 min were left.
    let from_us = 1000 * 3_120_000 - 110_000_000;
    let ends_ns = (1000 + 1200) * S;
    agents[0].budget = Some(view::Budget { allowed_us: 3_600_000_000, from_us, ends_ns, over: false });
    agents[0].totals.wait_ns += (t - 1000) * S * 3 / 2;
    let usage = [
        (1, t * 3_120_000, Some(812 * MB)),
        (2, t * 4_000, Some(390 * MB)),
        (3, t * 610_000, Some(455 * MB)),
    ];
    let usage = usage.map(|(id, cpu_us, memory)| (id, Usage { cpu_us, memory }));
    let usage = usage.into_iter().chain([(4, Usage { cpu_us: t * 990_000, memory: None })]).collect();
    let calls = vec![
        call(4, "run-u12.scope", "other", "sh -c 'npm run watch'", 95 * S),
        call(1, "docker-4fd1c2.scope", "test", "/bin/bash -c 'cd /repo && pytest -x -n 4 tests/'", 13 * S),
    ];
    let metrics = Metrics {
        agents: 4,
        agents_llm_wait: 1,
        agents_framework: 1,
        agents_tool: 2,
        memory_limited: 1,
        memory_reclaimed_mb: 640,
        ..Metrics::default()
    };
    let host = Host {
        cpu: Some(0.12),
        memory: Some(0.0),
        io: Some(0.031),
        available: 20_480 * MB,
        total: 32_000 * MB,
        cpus: 8,
        cpu_us: t * 4_900_000,
    };
    Sample { view: View { now_ns: t * S, agents, calls, metrics, ..View::default() }, usage, host }
}

fn model() -> Model {
    let mut model = Model::default();
    model.take(sample(1000));
    model.take(sample(1002));
    model
}

fn screen(model: &Model, columns: u16, lines: u16, colours: bool) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(columns, lines)).unwrap();
    terminal.draw(|frame| _ = draw(frame, model, colours)).unwrap();
    terminal
}

fn shown(model: &Model) -> String {
    text(screen(model, 80, 24, false).backend().buffer())
}

/// Compares with the screen number `n` of a document; UPDATE_DOCS=1 in the environment writes it.
fn assert_screen(name: &str, n: usize, text: &str) {
    const BEGIN: &str = "```text\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    let document = std::fs::read_to_string(&path).unwrap();
    let (begin, _) = document.match_indices(BEGIN).nth(n).expect("a screen");
    let begin = begin + BEGIN.len();
    let end = begin + document[begin..].find("```").unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, [&document[..begin], text, &document[end..]].concat()).unwrap();
        return;
    }
    assert_eq!(text, &document[begin..end], "screen {n} of {name} is old: UPDATE_DOCS=1 writes it");
}

#[test]
fn the_screens_of_the_documents() {
    let mut model = model();
    model.key(KeyCode::Down, 10);
    for document in ["docs/operation.md", "README.md"] {
        assert_screen(document, 0, &shown(&model));
    }
    model.key(KeyCode::Enter, 10);
    assert_screen("docs/operation.md", 1, &shown(&model));
}

#[test]
fn rates_are_over_the_time_between_two_looks() {
    let model = model();
    let row = model.rows()[0];
    assert_eq!(row.agent.cgroup_id, 1);
    assert!((row.cpu.unwrap() - 3.12).abs() < 1e-6 && (row.wait.unwrap() - 1.5).abs() < 1e-6, "{row:?}");
    assert!((model.busy.unwrap() - 4.9).abs() < 1e-6);
    let mut first = Model::default();
    first.take(sample(1000));
    assert!(first.rows()[0].cpu.is_none() && first.busy.is_none());
    // A daemon that was restarted meanwhile.
    let mut again = sample(1004);
    again.view.agents.iter_mut().for_each(|a| a.totals = Totals::default());
    first.take(again);
    assert_eq!(first.rows().iter().find(|r| r.agent.cgroup_id == 1).unwrap().wait, Some(0.0));
}

#[test]
fn order_and_filter() {
    let mut model = model();
    let ids = |m: &Model| m.rows().iter().map(|r| r.agent.cgroup_id).collect::<Vec<_>>();
    assert_eq!(ids(&model), [1, 4, 3, 2], "by CPU");
    model.key(KeyCode::Char('s'), 10);
    assert_eq!(ids(&model), [1, 3, 2, 4], "by memory, what has none last");
    model.key(KeyCode::Char('s'), 10);
    assert_eq!(ids(&model)[0], 1, "by wait");
    model.key(KeyCode::Char('s'), 10);
    assert_eq!(ids(&model), [1, 2, 3, 4], "by name");
    for c in ['/', 'q', 'u'] {
        assert!(!model.key(KeyCode::Char(c), 10), "a q of a filter does not quit");
    }
    assert!(ids(&model).is_empty() && model.calls().is_empty());
    model.key(KeyCode::Backspace, 10);
    model.key(KeyCode::Backspace, 10);
    "run-".chars().for_each(|c| _ = model.key(KeyCode::Char(c), 10));
    model.key(KeyCode::Enter, 10);
    assert_eq!((ids(&model), model.calls().len()), (vec![4], 1));
    assert!(shown(&model).contains("filter \"run-\""));
    model.key(KeyCode::Esc, 10);
    assert_eq!(ids(&model).len(), 4);
    assert!(model.key(KeyCode::Char('q'), 10));
}

#[test]
fn cursor_details_and_pause() {
    let mut model = model();
    model.key(KeyCode::Enter, 10);
    assert!(!model.detail, "of nobody");
    for (key, id) in [
        (KeyCode::Down, 1),
        (KeyCode::Down, 4),
        (KeyCode::PageDown, 2),
        (KeyCode::Down, 2),
        (KeyCode::Home, 1),
        (KeyCode::End, 2),
        (KeyCode::Up, 3),
    ] {
        model.key(key, 10);
        assert_eq!(model.selected, Some(id), "{key:?}");
    }
    model.key(KeyCode::Enter, 10);
    assert!(
        model.detail && shown(&model).contains("before  wait  for 90.000 s, until 1.0 s ago"),
        "{}",
        shown(&model)
    );
    assert!(model.calls().is_empty());
    model.key(KeyCode::Char('p'), 10);
    model.take(sample(1010));
    assert!(model.sample.view.now_ns == 1002 * S && shown(&model).contains("PAUSED"));
    model.key(KeyCode::Char('p'), 10);
    let mut gone = sample(1011);
    gone.view.agents.retain(|a| a.cgroup_id != 3);
    model.take(gone);
    assert!(!model.detail && model.selected.is_none(), "the agent is gone");
    model.trouble = Some("no scx_agent is running".into());
    assert!(shown(&model).contains("no scx_agent is running"));
}

#[test]
fn the_last_minute() {
    let model = model();
    let strip = |id| {
        let row = model.rows().into_iter().find(|r| r.agent.cgroup_id == id).unwrap();
        row.strip.iter().map(|p| super::strip::mark(*p)).collect::<String>()
    };
    assert_eq!(strip(4), "###############");
    assert_eq!(strip(3).trim_end_matches(['.', '+']), "", "{}", strip(3));
    assert!(strip(2).starts_with('#') && strip(2).ends_with('.'), "{}", strip(2));
    // What the daemon has forgotten is remembered for as long as it is shown.
    let mut model = Model::default();
    for t in 1000..1100 {
        let mut look = sample(t);
        let a = &mut look.view.agents[3];
        (a.since_ns, a.phase) = (t * S, if t % 2 == 0 { Phase::Tool } else { Phase::LlmWait });
        let before = if t % 2 == 0 { Phase::LlmWait } else { Phase::Tool };
        a.history = vec![Span { phase: before, ended_ns: t * S, lasted_ns: S }];
        model.take(look);
    }
    let row = model.rows().into_iter().find(|r| r.agent.cgroup_id == 4).unwrap();
    assert!(row.strip.iter().all(Option::is_some), "{row:?}");
    assert!(model.phases(4).len() <= 70, "and no longer");
    assert!(model.known_ns() >= 1098 * S);
}

#[test]
fn hostile_names_and_any_size_of_screen() {
    let mut model = model();
    let mut look = sample(1003);
    look.view.agents[0].name = "\x1b[2J\u{202e}\n".repeat(40);
    look.view.calls[1].call.agent = "\x1b[2J".into();
    look.view.calls[1].call.command = "\x07\u{9b}\r\n".repeat(200);
    model.take(look);
    model.key(KeyCode::Down, 1);
    for detail in [false, true] {
        model.detail = detail;
        for (columns, lines) in [(80, 24), (1, 1), (20, 5), (300, 100), (80, 3), (7, 24)] {
            let text = text(screen(&model, columns, lines, true).backend().buffer());
            assert!(text.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{text:?}");
            assert_eq!(text.lines().count(), usize::from(lines));
        }
    }
}

#[test]
fn colours_only_where_they_are_wanted() {
    let model = model();
    let coloured = |colours| {
        let terminal = screen(&model, 80, 24, colours);
        let cells = &terminal.backend().buffer().content;
        cells.iter().any(|c| c.fg != Color::Reset || c.bg != Color::Reset)
    };
    assert!(coloured(true) && !coloured(false));
}

#[test]
fn more_agents_and_calls_than_lines() {
    let mut look = sample(1000);
    for i in 0..1000 {
        look.view.agents.push(agent(100 + i, &format!("agent-{i:04}"), Phase::LlmWait, 0, &[]));
        look.view.calls.push(call(100 + i, "agent", "test", "x", i));
    }
    let mut model = Model::default();
    model.take(look);
    model.key(KeyCode::End, 10);
    model.key(KeyCode::End, 10);
    let text = shown(&model);
    assert!(text.contains(">run-u12.scope"), "the cursor is on the screen:\n{text}");
    assert!(text.contains("more") && text.contains("q quit"), "{text}");
}

#[test]
fn a_recording_is_shown_as_it_was() {
    let dir = std::env::temp_dir().join(format!("scx_agent-recording-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("rec");
    for unix in [0, 5] {
        // Stopped and begun again.
        let mut recorder = Recorder::open(&path, 1).unwrap();
        for t in unix..unix + 5 {
            recorder.write(1e9 + t as f64, &sample(1002 + t)).unwrap();
        }
    }
    // The system went down while it was written.
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(b"{\"unix_s\": 1000000010.0, \"sam");
    std::fs::write(&path, bytes).unwrap();
    let mut recording = Recording::open(&path).unwrap();
    assert_eq!((recording.len(), recording.length_s()), (10, 9.0));
    assert!(
        recording.skipped.len() == 1 && recording.skipped[0].contains("rec:11: column "),
        "{recording:?}"
    );
    assert_eq!([0.0, 0.5, 3.0, 99.0].map(|t| recording.at(t)), [0, 0, 3, 9]);
    assert_eq!(recording.look(7).unwrap(), sample(1009));
    assert_eq!(recording.look(0).unwrap(), sample(1002));

    // With what was put aside.
    let mut recorder = Recorder::open(&path, 1).unwrap();
    let mut big = sample(2000);
    big.view.calls = (0..2000).map(|i| call(1, "a", "test", "x", i)).collect();
    recorder.write(1e9 + 20.0, &big).unwrap();
    recorder.write(1e9 + 21.0, &big).unwrap();
    let mut recording = Recording::open(&path).unwrap();
    assert!(dir.join("rec.1").exists());
    assert_eq!(recording.look(recording.len() - 1).unwrap(), big);

    // Versions: what this one writes, what has none, and what it does not know.
    let written = std::fs::read_to_string(dir.join("rec.1")).unwrap();
    let first = written.lines().next().unwrap();
    assert!(first.starts_with("{\"version\":2,"), "{first:.40}");
    std::fs::remove_file(dir.join("rec.1")).unwrap();
    std::fs::write(&path, first.replace("\"version\":2,", "") + "\n").unwrap();
    assert_eq!(Recording::open(&path).unwrap().look(0).unwrap(), sample(1002));
    // One of before there were some of the counters.
    let mut old: serde_json::Value = serde_json::from_str(first).unwrap();
    let metrics = old.pointer_mut("/sample/view/metrics").and_then(|m| m.as_object_mut()).expect("counters");
    assert!(metrics.remove("memory_failed").is_some() && metrics.remove("in_kernel").is_some());
    std::fs::write(&path, old.to_string() + "\n").unwrap();
    assert_eq!(Recording::open(&path).unwrap().look(0).unwrap(), sample(1002));
    std::fs::write(&path, first.replace("\"version\":2,", "\"version\":3,")).unwrap();
    let e = Recording::open(&path).unwrap_err().to_string();
    assert!(e.contains("rec:1: version 3") && e.contains("up to 2"), "{e}");
    // A look that is none is told when it is read.
    std::fs::write(&path, first.replace("\"now_ns\":", "\"now\":")).unwrap();
    let e = Recording::open(&path).unwrap().look(0).unwrap_err().to_string();
    assert!(e.contains("rec:1: column ") && e.contains("missing field `now_ns`"), "{e}");

    std::fs::write(&path, "junk\n").unwrap();
    assert!(Recording::open(&path).unwrap_err().to_string().contains("rec is no recording"));
    assert!(Recording::open(&dir.join("none")).is_err());
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn of_many_lines_that_are_no_look_some_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rec");
    Recorder::open(&path, 1).unwrap().write(1e9, &sample(1000)).unwrap();
    let look = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, look + &"\n".repeat(100_000)).unwrap();
    let recording = Recording::open(&path).unwrap();
    assert_eq!(recording.len(), 1);
    assert!(recording.skipped.len() < 50, "{}", recording.skipped.len());
    assert!(recording.skipped[0].contains("rec:2: column "), "{}", recording.skipped[0]);
    let last = recording.skipped.last().unwrap();
    assert!(last.ends_with("99980 more lines are no look of scx_agent record"), "{last}");
}

/// A recording of `looks`, as bytes.
fn recorded(looks: &[Sample]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rec");
    let mut recorder = Recorder::open(&path, 64).unwrap();
    for (i, look) in looks.iter().enumerate() {
        recorder.write(1e9 + i as f64, look).unwrap();
    }
    std::fs::read(&path).unwrap()
}

/// Opens `bytes` as a recording.
fn opened(bytes: &[u8]) -> anyhow::Result<Recording> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rec");
    std::fs::write(&path, bytes).unwrap();
    // Its files stay open.
    Recording::open(&path)
}

/// Shows all looks of a recording, with every agent's details.
fn show(mut recording: Recording) {
    let mut model = Model::default();
    for n in 0..recording.len() {
        let Ok(look) = recording.look(n) else { continue };
        model.take(look);
        for key in [KeyCode::Char('s'), KeyCode::Down, KeyCode::Enter] {
            model.key(key, 10);
            assert_eq!(shown(&model).lines().count(), 24);
        }
    }
    assert!(recording.at(recording.length_s()) < recording.len());
    assert!(recording.at(f64::NAN) < recording.len());
}

proptest! {
    #[test]
    fn any_looks_are_read_as_they_were_written(looks in vec(arbitrary::look(), 1..4)) {
        let mut recording = opened(&recorded(&looks)).unwrap();
        prop_assert!(recording.skipped.is_empty(), "{:?}", recording.skipped);
        prop_assert_eq!(recording.len(), looks.len());
        for (n, look) in looks.iter().enumerate() {
            prop_assert_eq!(&recording.look(n).unwrap(), look);
        }
        show(recording);
    }

    #[test]
    fn a_damaged_recording_is_shown_or_refused(looks in vec(arbitrary::look(), 1..3), damage in arbitrary::damage()) {
        if let Ok(recording) = opened(&arbitrary::damaged(recorded(&looks), &damage)) {
            show(recording);
        }
    }

    #[test]
    fn any_bytes_are_a_recording_or_refused(bytes in vec(any::<u8>(), 0..300)) {
        prop_assert!(opened(&bytes).is_err());
    }
}
