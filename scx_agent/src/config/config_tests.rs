// SPDX-License-Identifier: GPL-2.0-only

use super::*;
use std::fs;

/// A folder with these files.
fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("scx_agent-config-{name}-{}", std::process::id()));
    fs::create_dir_all(dir.join(DROP_INS)).unwrap();
    for (path, text) in files {
        fs::write(dir.join(path), text).unwrap();
    }
    dir
}

fn config(dir: &Path, options: &[&str]) -> Result<Config, String> {
    let mut argv = vec![OsString::from("scx_agent"), "--config".into(), dir.join("config.toml").into()];
    argv.extend(options.iter().map(OsString::from));
    load(&argv).map_err(|e| e.to_string())
}

#[test]
fn the_example_says_the_defaults() {
    let commented = folder("example", &[("config.toml", &example())]);
    let plain = config(&commented, &[]).unwrap();
    assert!(plain.values.values().all(|v| v.origin == Origin::Default), "all of it is commented out");

    // With its values in force, nothing changes either.
    let keys = keys();
    let is_default = |l: &&str| {
        let key = l.strip_prefix('#').and_then(|l| l.split_once(" = "));
        key.is_some_and(|(k, v)| {
            keys.iter()
                .any(|key| key.name == k && v != key.placeholder && v != format!("\"{}\"", key.placeholder))
        })
    };
    // What a kind of agents may have is no key.
    let text = example();
    let (own, _) = text.split_once("#[agents.").unwrap();
    let said: Vec<&str> = own.lines().filter(is_default).map(|l| &l[1..]).collect();
    // Those without a default can only be described.
    let unset =
        |k: &&keys::Key| k.default.is_none() && matches!(k.kind, Kind::Text | Kind::Number | Kind::Seconds);
    assert_eq!(said.len(), keys.len() - keys.iter().filter(unset).count(), "{said:?}");
    let spelt_out = folder("spelt", &[("config.toml", &said.join("\n"))]);
    let all = config(&spelt_out, &[]).unwrap();
    assert_eq!(all.changes(&plain), (vec![], vec![]));
    for key in &keys {
        assert!(example().contains(&format!("\n#{} = ", key.name)), "{} is not in the example", key.name);
    }
    for dir in [commented, spelt_out] {
        fs::remove_dir_all(dir).unwrap();
    }
}

#[test]
fn later_files_and_the_command_line_win() {
    let dir = folder(
        "order",
        &[
            ("config.toml", "slice_us = 1000\ndelay_slope = 2\nno_memory = true\nverbose = 1"),
            ("conf.d/20-b.toml", "slice_us = 3000\nno_memory = false"),
            ("conf.d/10-a.toml", "slice_us = 2000\ndelay_slope = 3\nlong_call_ms = 20"),
            ("conf.d/README", "no toml"),
            ("conf.d/.swp.toml", "no toml"),
        ],
    );
    let c = config(&dir, &["--long-call-ms", "30"]).unwrap();
    assert_eq!((c.opts.slice_us, c.opts.delay_slope, c.opts.long_call_ms), (3000, 3, 30));
    assert!(!c.opts.memory.no_memory);
    assert_eq!(c.opts.verbose, 1);
    assert_eq!(c.files.len(), 3);
    assert_eq!(c.values["long_call_ms"].origin, Origin::CommandLine);
    let shown = shown(&c);
    let line = |key: &str| shown.lines().find(|l| l.starts_with(key)).unwrap();
    assert_eq!(line("slice_us"), format!("slice_us = 3000  # {}:1", dir.join("conf.d/20-b.toml").display()));
    assert_eq!(line("long_call_ms"), "long_call_ms = 30  # command line");
    assert_eq!(line("quantum_max_ms"), "quantum_max_ms = 8000  # default");
    assert_eq!(config(&dir, &["-vv"]).unwrap().opts.verbose, 2);
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn agents_of_ones_own_add_up() {
    let dir = folder(
        "agents",
        &[
            ("config.toml", "framework_comms = ['one']\n[agents.two]\ncomms = ['two']\ncgroups = ['two/*']"),
            ("conf.d/1.toml", "[agents.three]\ncomms = 'three'\n[agents.two]\ncomms = ['zwei']"),
        ],
    );
    let c = config(&dir, &[]).unwrap();
    assert_eq!(c.opts.framework_comms, ["one", "three", "zwei"]);
    assert!(c.opts.agent_cgroups.is_empty(), "two was said anew");
    let c = config(&dir, &["--framework-comm", "four", "--agent-cgroup", "x/*"]).unwrap();
    assert_eq!(c.opts.framework_comms, ["four"]);
    assert_eq!(c.opts.agent_cgroups.len(), 1);
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_kind_of_agents_has_a_class_and_a_weight() {
    let kind = "agent_qos = ['agents/*=interactive']\n[agents.batch]\nqos = 'background'\nweight = 20\ncpu_budget_s = 60\n\
                cgroups = ['batch/*']\ncontainers = 'ci-*'\nlabels = ['tier=batch']";
    let dir = folder("classes", &[("config.toml", kind)]);
    let c = config(&dir, &[]).unwrap();
    let of = |key: &str| c.values[key].words.clone();
    let all = ["batch/*", "container:ci-*", "label:tier=batch"];
    let with = |what: &str| all.map(|who| format!("{who}={what}"));
    assert_eq!(of("agent_qos")[0], "agents/*=interactive");
    assert_eq!(of("agent_qos")[1..], with("background"));
    assert_eq!(of("agent_weights"), with("20"));
    assert_eq!(of("agent_budgets"), with("60"));
    assert_eq!(c.opts.qos.agent_qos.len(), 4);
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn what_is_missing_or_wrong_is_told() {
    let dir = folder("missing", &[("conf.d/1.toml", "slice_us = 1"), ("conf.d/2.toml", "x = 1")]);
    assert!(config(&dir, &[]).unwrap_err().contains("cannot read"), "a file that was named is to be there");
    fs::write(dir.join("config.toml"), "").unwrap();
    let told = config(&dir, &[]).unwrap_err();
    assert_eq!(told.lines().count(), 2, "{told}");
    assert!(
        told.contains("conf.d/1.toml:1: slice_us") && told.contains("conf.d/2.toml:1: there is no key"),
        "{told}"
    );
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_reload_tells_what_it_applies_from_what_needs_a_restart() {
    let dir = folder("changes", &[("config.toml", "mem_slack_pct = 30\nexit_dump_len = 70000")]);
    let old = config(&dir, &[]).unwrap();
    assert_eq!(old.changes(&old), (vec![], vec![]));
    fs::write(dir.join("config.toml"), "mem_slack_pct = 40\nverbose = 1\nevents = '/e'").unwrap();
    let (live, restart) = config(&dir, &[]).unwrap().changes(&old);
    assert_eq!(live, ["mem_slack_pct", "verbose"]);
    assert_eq!(restart, ["events", "exit_dump_len"]);
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn cpus_that_the_machine_lacks_are_told_with_their_place() {
    let dir = folder("cpus", &[("config.toml", "# more\nbackground_cpus = \"0,8191\"\n")]);
    let some_are_there = config(&dir, &[]).unwrap();
    assert!(some_are_there.suits(8).is_ok());
    fs::write(dir.join("config.toml"), "# none\nbackground_cpus = \"8190-8191\"\n").unwrap();
    let said = config(&dir, &[]).unwrap_err();
    let place = format!("{}:2: background_cpus: ", dir.join("config.toml").display());
    assert!(said.starts_with(&place), "{said}");
    // An option has no place, and is named all the same.
    let said = config(&dir, &["--background-cpus", "8000"]).unwrap_err();
    assert!(said.starts_with("background_cpus: "), "{said}");
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn more_than_there_is_room_for_is_told_with_its_place() {
    let globs: Vec<String> = (0..40).map(|n| format!("\"agents/{n}\"")).collect();
    let text = format!("# many\nagent_cgroups = [{}]\n", globs.join(", "));
    let dir = folder("room", &[("config.toml", &text)]);
    let said = config(&dir, &[]).unwrap_err();
    let place = format!("{}:2: agent_cgroups: there are 40, and at most ", dir.join("config.toml").display());
    assert!(said.starts_with(&place), "{said}");
    fs::remove_dir_all(dir).unwrap();
}
