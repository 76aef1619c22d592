// SPDX-License-Identifier: GPL-2.0-only
//! What `scx_agent calls`, `explain` and `call` say of agents whose calls are known, and what they
//! refuse.

use scx_agent_tests::events::{Event, Phase};
use scx_agent_tests::vm::{Boot, Left};
use serde_json::Value;

fn json(left: &Left, name: &str) -> Value {
    let text = left.text(name);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}: {text}\n{}", left.diagnosis()))
}

/// The calls of an agent whose command has `part` in it.
fn of<'a>(calls: &'a Value, agent: &str, part: &str) -> Vec<&'a Value> {
    let all = calls.as_array().expect("an array").iter();
    all.filter(|c| c["agent"] == agent && c["command"].as_str().unwrap().contains(part)).collect()
}

fn one<'a>(calls: &'a Value, agent: &str, part: &str) -> &'a Value {
    match of(calls, agent, part)[..] {
        [call] => call,
        ref other => panic!("{} calls of {agent} with {part:?}: {calls:#}", other.len()),
    }
}

#[test]
fn what_the_commands_say() {
    let left = Boot::script("calls").run();
    left.assert_kernel_well();
    let facts = left.facts();
    assert_eq!(facts.get("calls_status"), "0", "{}", left.diagnosis());
    let calls = json(&left, "calls.json");

    categories(&calls);
    explanations(&left);
    tags(&left, &calls);
    model(&left);

    let kinds = json(&left, "kinds.json");
    let kinds = kinds.as_array().unwrap();
    assert!(!kinds.is_empty() && kinds.iter().all(|c| c["agent"] == "kinds"), "--agent");
    let running = json(&left, "running.json");
    assert!(running.as_array().unwrap().iter().all(|c| c["status"].is_null()), "--running: {running:#}");
    let long = one(&running, "kinds", "sleep 60");
    assert_eq!(long["pid"], facts.number("long_pid") as u64);
    assert!(long["wall_ns"].as_u64().unwrap() > 0 && long["processes"] == 2, "{long:#}");
    let table = left.text("table.out");
    assert!(table.chars().all(|c| c == '\n' || !c.is_control()), "{table:?}");
    assert!(!table.contains('\u{202e}') && table.contains("\\u{202e}"), "{table}");
    assert_eq!(table.lines().count(), 1 + calls.as_array().unwrap().len());

    assert_eq!(facts.get("socket_mode"), "666:0");
    assert_eq!(facts.get("folder_mode"), "711");
    assert_eq!(facts.get("socket_left"), "");
    assert_eq!(facts.get("alone_hook"), "0", "a hook never fails");
    for (name, said) in [
        ("alone", "no scx_agent listens"),
        ("alone_calls", "no scx_agent is running"),
        ("alone_call", "no scx_agent listens"),
    ] {
        let err = left.text(&format!("{name}.err"));
        assert!(err.contains(said) && err.lines().count() == 1, "{name}: {err}");
    }
    assert_eq!((facts.get("alone_calls"), facts.get("alone_call")), ("1", "1"));
}

fn categories(calls: &Value) {
    let tests = of(calls, "kinds", "pytest");
    let first = tests[0]["call"].as_u64().unwrap();
    let rows: Vec<_> = tests.iter().map(|c| c["retry"]["nth"].as_u64()).collect();
    assert_eq!(rows, [None, None, Some(3), Some(4)], "{tests:#?}");
    for c in &tests {
        assert_eq!((&c["category"], &c["program"]), (&"test".into(), &"pytest".into()), "{c:#}");
        assert_eq!(c["status"]["exited"], 1);
        assert!(c["retry"].is_null() || c["retry"]["first"] == first, "{c:#}");
    }
    for (part, category, exited) in [
        ("git status", "git", 3),
        ("pip install", "package-install", 0),
        ("make -j2", "build", 0),
        ("grep -rl", "search", 0),
    ] {
        let c = one(calls, "kinds", part);
        assert_eq!(
            (c["category"].as_str().unwrap(), &c["status"]["exited"]),
            (category, &exited.into()),
            "{c:#}"
        );
        assert!(c["retry"].is_null(), "{c:#}");
    }
    assert_eq!(one(calls, "kinds", "kill -9")["status"]["killed"], 9);
    let busy = one(calls, "kinds", "busy.sh");
    assert!(busy["peak_width"].as_u64().unwrap() >= 3 && busy["processes"] == 5, "{busy:#}");
    assert!(busy["cpu_ns"].as_u64().unwrap() > busy["wall_ns"].as_u64().unwrap(), "{busy:#}");
    let hostile = one(calls, "kinds", "[2J");
    assert!(hostile["command"].as_str().unwrap().len() <= 512, "{hostile:#}");
    let hinted: Vec<&Value> = of(calls, "kinds", "sleep 0.5").iter().map(|c| &c["hint"]).collect();
    let hint = serde_json::json!({"memory": {"bytes": 2u64 << 30}, "cpu": 3});
    assert_eq!(hinted, [&hint, &Value::Null]);
}

fn explanations(left: &Left) {
    let facts = left.facts();
    for (name, status) in [
        ("explain_framework", "0"),
        ("explain_text", "0"),
        ("explain_tool", "0"),
        ("explain_child", "0"),
        ("explain_init", "1"),
        ("explain_gone", "1"),
        ("explain_thread", "1"),
    ] {
        assert_eq!(facts.get(name), status, "{name}: {}", left.text(&format!("{name}.err")));
    }
    let framework = json(left, "explain_framework.out");
    assert_eq!(
        (&framework["role"], &framework["agent"]),
        (&"framework".into(), &"kinds".into()),
        "{framework:#}"
    );
    assert!(framework["rank_ns"].as_i64().unwrap() < 0, "a framework is before new calls: {framework:#}");
    assert_eq!(framework["phase"], "tool");
    let history = framework["history"].as_array().unwrap();
    assert!(history.len() >= 8 && history.len() <= 32, "{framework:#}");
    for pair in history.windows(2) {
        assert_ne!(pair[0]["phase"], pair[1]["phase"], "{framework:#}");
        let began = pair[1]["ended_ns"].as_u64().unwrap() - pair[1]["lasted_ns"].as_u64().unwrap();
        assert!(began.abs_diff(pair[0]["ended_ns"].as_u64().unwrap()) < 1_000_000, "no gap: {framework:#}");
    }

    let (long, kinds) = (facts.number("long_pid") as u64, facts.number("kinds_pid") as u64);
    let tool = json(left, "explain_tool.out");
    assert_eq!((&tool["role"], &tool["call"]["pid"]), (&"tool".into(), &long.into()), "{tool:#}");
    assert!(tool["rule"].as_str().unwrap().contains("under the framework"), "{tool:#}");
    let why = &tool["evidence"];
    assert_eq!(
        (&why["parent"], &why["comm"], &why["parent_comm"]),
        (&kinds.into(), &"sh".into(), &"hooked".into()),
        "{tool:#}"
    );
    assert_eq!(tool["cgroup"], "agents/kinds");
    assert!(why["session"] == kinds && why["at_ns"].as_u64().unwrap() > 0, "{tool:#}");
    assert!(tool["call"]["wall_ns"].as_u64().unwrap() > 0, "as it is now: {tool:#}");

    let child = json(left, "explain_child.out");
    assert_eq!(
        (&child["role"], &child["call"]["call"]),
        (&"tool".into(), &tool["call"]["call"]),
        "{child:#}"
    );
    assert!(child["evidence"].is_null() && child["parent"] == long, "inherited: {child:#}");
    let text = left.text("explain_text.out");
    for part in ["agent      kinds", "role       tool", "forked", "sleep 60", "new tool call", "Tool for"] {
        assert!(text.contains(part), "{part:?}: {text}");
    }
    for (name, said) in [
        ("explain_init", "in no agent"),
        ("explain_gone", "no process 99999999"),
        ("explain_thread", "in no agent"),
    ] {
        let err = left.text(&format!("{name}.err"));
        assert!(err.contains(said) && err.lines().count() == 1, "{name}: {err}");
    }
}

fn tags(left: &Left, calls: &Value) {
    let facts = left.facts();
    let tagged = one(calls, "tags", "make it");
    assert_eq!(tagged["pid"], facts.number("tagged_pid") as u64, "hooks are no calls: {tagged:#}");
    let tag = &tagged["tag"];
    assert_eq!(
        (&tag["id"], &tag["session"], &tag["tool"]),
        (&"toolu_1".into(), &"s1".into(), &"Bash".into())
    );
    assert!(tag["lasted_ns"].as_u64() >= tagged["wall_ns"].as_u64(), "around the call: {tagged:#}");
    assert_eq!(one(calls, "tags", "sleep 60")["tag"]["id"], "own");

    let said = |name: &str, status: u32, words: &str| {
        let fact = facts.get(name);
        assert!(fact.starts_with(&format!("{status} ")) && fact.contains(words), "{name}: {fact}");
    };
    said("tag_twice", 1, "has begun already");
    said("tag_unknown", 1, "\"never\" has not begun");
    said("tag_foreign", 1, "not of the agent that asks");
    said("tag_no_call", 1, "in no tool call");
    said("tag_own", 0, "is tagged");
    said("tag_own_end", 0, "is over");
    assert!(facts.get("outside_tag").contains("in no agent"), "{}", facts.get("outside_tag"));
    // The agent whose process was named is as it was.
    assert!(one(calls, "kinds", "sleep 60")["tag"].is_null());
    // Hooks with bad input end well, say why on standard error, and nothing on standard output.
    assert_eq!(facts.get("bad_hook"), "0 ");
    let errors = left.text("hooks.err");
    assert_eq!(errors.lines().count(), 5, "{errors}");
    assert!(errors.lines().all(|l| l.starts_with("scx_agent: ")), "{errors}");

    let log = left.events("calls.jsonl");
    let helpers: Vec<u64> = log
        .0
        .iter()
        .filter_map(|e| match e {
            Event::CallHelper { agent, call, .. } if agent == "tags" => Some(*call),
            _ => None,
        })
        .collect();
    // The hooks before and after the call; the one for an unknown call stays what it seemed.
    assert_eq!(helpers.len(), 2, "{helpers:?}");
    assert!(log.ends("tags").iter().all(|c| !helpers.contains(&c.call)), "a helper ends no call");
}

/// What an agent says of its model holds, whatever its CPU use says.
fn model(left: &Left) {
    let log = left.events("calls.jsonl");
    let helpers: Vec<u64> = log
        .0
        .iter()
        .filter_map(|e| match e {
            Event::CallHelper { agent, at_ns, .. } if agent == "model" => Some(*at_ns),
            _ => None,
        })
        .collect();
    let [asked, answered] = helpers[..] else { panic!("two hooks: {helpers:?}") };
    let phases = log.phases("model");
    let after =
        |at: u64| phases.iter().find(|p| p.0 >= at).unwrap_or_else(|| panic!("none after {at}: {phases:?}"));
    assert_eq!(after(asked).2, Phase::LlmWait, "asked: {phases:?}");
    assert_eq!(after(answered).2, Phase::Framework, "answered: {phases:?}");
    // In between it worked as a framework would, and until the next hook it stayed in LLM wait.
    let between: Vec<_> = phases.iter().filter(|p| p.0 > after(asked).0 && p.0 < answered).collect();
    assert_eq!(between.len(), 1, "only the second hook's own beginning: {between:?}");
    assert_eq!((between[0].1, between[0].2), (Phase::LlmWait, Phase::Tool), "{between:?}");
    assert!(between[0].3 > 100_000_000, "it worked for long: {between:?}");
}
