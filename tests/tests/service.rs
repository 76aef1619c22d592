// SPDX-License-Identifier: GPL-2.0-only
//! The unit, the scripts that install it, and the Debian package, under a real systemd.

use scx_agent_tests::documents::{self, Command};
use scx_agent_tests::vm::{bin_dir, Boot, Facts, Left};
use std::path::Path;

/// Asserts what the script said, all of it at once.
fn assert_facts(left: &Left, facts: &Facts, want: &[(&str, &str)]) {
    let wrong: Vec<_> = want.iter().filter(|(name, value)| facts.get(name) != *value).collect();
    let got: Vec<_> = wrong.iter().map(|(name, _)| facts.get(name)).collect();
    assert!(wrong.is_empty(), "expected {wrong:?}, got {got:?}:\n{}", left.diagnosis());
}

/// Asserts that `file` says all of `words`.
fn assert_says(left: &Left, file: &str, words: &[&str]) {
    let text = left.text(file);
    for word in words {
        assert!(text.contains(word), "{file} does not say {word:?}:\n{text}");
    }
}

/// A guest under systemd that runs `guest/<script>.sh`.
fn boot(script: &str) -> Boot {
    Boot::script(script).systemd().mem("3G").timeout_s(1500)
}

#[test]
fn a_unit_from_its_installation_to_its_end() {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (minutes, script) = documents::first_minutes();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), script).unwrap();
    let left = boot("service")
        .file(file.path(), "/tests/minutes.sh")
        .file(&bin_dir().join("scx_agent"), "/src/scx_agent")
        .file(&checkout.join("scripts"), "/src/scripts")
        .file(&checkout.join("dist"), "/src/dist")
        .run();
    let facts = left.facts();
    assert_facts(
        &left,
        &facts,
        &[
            ("status_none", "1"),
            ("install", "0"),
            ("installed_state", "disabled"),
            ("unit_verified", "0"),
            // Four starts of two minutes each are within it.
            ("start_limit", "4 30min"),
            ("not_installed", ""),
            ("install_again", "0"),
            ("settings_kept", "1"),
            ("check", "0"),
            // Ready means enabled, and an agent that was there before is known by then.
            ("active_before_enabled", "no"),
            ("status", "0"),
            ("status_state", "enabled"),
            ("limited", "0"),
            ("metrics", "1"),
            ("log_modes", "750:root 600:root "),
            ("paused", "1"),
            ("resumed", "0"),
            // A wrong file fails the reload, is told, and changes nothing.
            ("reload", "0"),
            ("reload_unchanged", "nothing has changed"),
            ("reload_wrong", "1"),
            ("reload_wrong_cli", "1"),
            ("wrong_active", "active enabled"),
            ("unhealthy", "1"),
            ("reload_mended", "0"),
            ("healthy_again", "0"),
            ("one_enable", "1"),
            ("stopped_state", "disabled"),
            ("stopped_high", "max"),
            ("stopped_result", "success"),
            ("left_behind", "0"),
            // Killed three times it comes back; the fourth time the host keeps its own scheduler.
            ("restarts", "3"),
            ("restarted_state", "enabled"),
            ("restarted_limited", "0"),
            ("limit_result", "signal failed "),
            ("limit_state", "disabled"),
            ("limit_high", "max"),
            ("agent_lives", "yes"),
            ("watchdog", "0"),
            ("watchdog_state", "disabled"),
            ("watchdog_high", "max"),
            ("others_before", "active active "),
            ("others_after", "inactive inactive active enabled"),
            ("others_again", "active inactive inactive disabled"),
            ("ejected_said", "0"),
            ("ejected_restarted", "0"),
            ("uninstall", "0"),
            ("uninstalled_state", "disabled"),
            ("uninstalled_high", "max"),
            ("left", ""),
            ("uninstall_again", "0"),
        ],
    );
    let pty = ["\u{1b}[?1049h", "AGENT", "wait", "MEM*", "\u{1b}[?1049l", "status 0"];
    assert_says(&left, "pty.out", &pty);
    assert_says(&left, "status_none.err", &["no scx_agent is running"]);
    assert_says(&left, "reload2.out", &["after a restart only: slice_us"]);
    assert_says(&left, "wrong.err", &["conf.d/20-mem.toml:1: mem_slack_pct:", "stay in force"]);
    assert_says(&left, "unhealthy.out", &["NOT HEALTHY", "the last reload was refused"]);
    assert_says(&left, "check.out", &["ok       sched_ext", "ok       kfuncs", "ok       cpu controller"]);
    assert_says(&left, "journal.err", &["reload: applied: mem_slack_pct"]);

    // What was decided can be asked for by its parts, and is no less a line of the unit's log.
    let decisions = left.text("decisions.jsonl");
    let decided = |knob: &str, old: &str| -> serde_json::Value {
        let all = decisions.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).expect("JSON"));
        let mut with = all.filter(|d| d["SCX_AGENT_KNOB"] == knob && d["SCX_AGENT_OLD"] == old);
        with.next().unwrap_or_else(|| panic!("no decision on {knob} {old}:\n{decisions}"))
    };
    let limited = decided("memory.high", "max");
    for (field, value) in [
        ("SCX_AGENT_AGENT", "a"),
        ("SCX_AGENT_PHASE", "llm_wait"),
        ("SCX_AGENT_RULE", "baseline + slack"),
        ("_SYSTEMD_UNIT", "scx_agent.service"),
        ("SYSLOG_IDENTIFIER", "scx_agent"),
    ] {
        assert_eq!(limited[field], value, "{limited:#}");
    }
    let new = limited["SCX_AGENT_NEW"].as_str().expect("a text");
    assert!(new.parse::<u64>().is_ok_and(|n| n > 100 << 20), "{limited:#}");
    assert!(limited["MESSAGE"].as_str().is_some_and(|m| m.ends_with("into the phase")), "{limited:#}");
    assert_eq!(decided("cgroup.freeze", "0")["SCX_AGENT_RULE"], "paused by an operator");
    assert_eq!(decided("cgroup.freeze", "1")["SCX_AGENT_RULE"], "by an operator");

    let status: serde_json::Value = serde_json::from_str(&left.text("status.json")).expect("JSON");
    assert_eq!((&status["healthy"], &status["state"]), (&true.into(), &"enabled".into()), "{status}");
    assert_eq!(status["metrics"]["agents"], 1, "the first scan was done when it was ready: {status}");
    assert_eq!(status["config_files"].as_array().map(Vec::len), Some(2), "{status}");
    check_first_minutes(&left, &minutes);
    left.assert_kernel_well();
}

/// What README promises of the commands of a person's first minutes: what each begins with, and words that it says.
const PROMISES: [(&str, &[&str]); 20] = [
    ("scripts/install", &["systemctl enable --now scx_agent"]),
    ("systemctl enable --now", &[]),
    ("scx_agent status", &["is healthy", "scheduler  enabled", "1: 0 wait", "1 in a tool call"]),
    ("scx_agent top", &["AGENT", "PHASE", "docker-4fd1c", " call ", "RUNNING CALL", "sleep 1000"]),
    ("scx_agent record", &[]),
    (
        "scx_agent report",
        &["time in tool calls", "samples above 300 MB", "CPU in tool calls", "retry groups"],
    ),
    ("scx_agent check", &["ok       sched_ext", "ok       cpu controller"]),
    ("systemctl reload", &[]),
    ("scx_agent config default", &["#slice_us = 10000", "#mem_slack_pct = 25", "Longest time on a CPU"]),
    ("scx_agent config check", &["/etc/scx_agent/config.toml", "50-mine.toml"]),
    ("scx_agent config show", &["mem_slack_pct = 40  # /etc/scx_agent/conf.d/50-mine.toml:1", "# default"]),
    (
        "scx_agent reload",
        &["applied: mem_slack_pct", "after a restart only: agent_cgroups", "framework_comms"],
    ),
    ("scx_agent calls --agent", &["docker-4fd1c2aa0011", "sleep 1000"]),
    ("scx_agent calls --running", &["\"agent\":", "docker-4fd1c2aa0011", "sleep 1000"]),
    ("scx_agent explain", &["framework", "docker-4fd1c2aa0011", "rule", "rank"]),
    ("scx_agent hooks install claude", &["\"hooks\"", "scx_agent call begin", "scx_agent call end"]),
    ("scx_agent hooks install gemini", &[".gemini/settings.json"]),
    ("systemctl stop", &[]),
    ("scripts/uninstall", &[]),
    ("scx_agent", &["no promise is known of this command: add it"]),
];

/// README's commands for the first minutes did what it says of them.
fn check_first_minutes(left: &Left, minutes: &[Command]) {
    let facts = left.facts();
    let mut broken = Vec::new();
    for c in minutes {
        let (line, name) = (c.words.join(" "), c.at.replace(':', "."));
        let said = left.text(&name);
        let (_, words) = PROMISES.iter().find(|(begin, _)| line.starts_with(begin)).expect("one for all");
        let wanted = match &c.words[0][..] {
            "scripts/install" | "scripts/uninstall" => "inactive disabled",
            "systemctl" if c.words[1] == "stop" => "inactive disabled",
            _ => "active enabled",
        };
        let missing: Vec<_> = words.iter().filter(|w| !said.contains(**w)).collect();
        let (status, state) = (facts.get(&format!("minute_{}", c.at)), facts.get(&format!("state_{}", c.at)));
        if status != "0" || state != wanted || !missing.is_empty() {
            broken.push(format!(
                "{}: {line}: exit status {status}, {state:?}, does not say {missing:?}:\n{said}",
                c.at
            ));
        }
    }
    assert!(broken.is_empty(), "promises of README:\n{}", broken.join("\n"));
    assert!(minutes.len() >= 15, "{minutes:?}");
    assert_eq!(facts.get("minutes_left"), "");
}

#[test]
fn a_package_from_its_installation_to_its_purge() {
    let debs = bin_dir().join("debs");
    assert!(
        debs.join("scx-agent_1.0.1_amd64.deb").is_file(),
        "no packages in {}: build them (for v in 1.0.0 1.0.1; do scripts/package --out {0} --version $v; done)",
        debs.display()
    );
    let left = boot("package").file(&debs, "/debs").run();
    let facts = left.facts();
    assert_facts(
        &left,
        &facts,
        &[
            ("install", "0"),
            ("installed", "installed 1.0.0"),
            ("installed_active", "inactive disabled disabled"),
            ("unit_path", "/usr/lib/systemd/system/scx_agent.service"),
            ("bash", "1"),
            ("not_installed", ""),
            ("settings_are_defaults", "yes"),
            ("drop_ins", "755 root 0"),
            ("upgrade_off", "0 installed 1.0.1 inactive disabled"),
            ("not_warned", "0"),
            ("warned", "1"),
            ("upgrade", "0 installed 1.0.1"),
            ("upgraded_active", "active enabled enabled"),
            ("upgraded_anew", "yes"),
            ("upgraded_settings", "1"),
            ("upgraded_limited", "0"),
            ("remove", "0"),
            ("removed", "config-files 1.0.1"),
            ("removed_state", "disabled"),
            ("removed_high", "max"),
            ("removed_settings", "conf.d config.toml "),
            ("removed_drop_ins", "50-mine.toml"),
            ("removed_logs", "/var/log/scx_agent"),
            ("removed_program", ""),
            ("purge", "0"),
            ("purged", ""),
            ("left", ""),
            ("left_in_run", ""),
            ("agent_lives", "yes"),
            ("system", ""),
        ],
    );
    left.assert_kernel_well();
}
