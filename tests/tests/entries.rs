// SPDX-License-Identifier: GPL-2.0-only
//! Tool calls that no framework starts: jobs of a shell that it feeds with commands, and programs
//! that enter the container from outside. With stand-ins that do what SWE-ReX, OpenHands and
//! `docker exec` do to processes.

use scx_agent_tests::events::Event;
use scx_agent_tests::vm::Boot;
use std::path::Path;

#[test]
fn jobs_of_shells_and_entries_from_outside() {
    let left = Boot::script("entries")
        .program(Path::new("/bin/bash"))
        .program(Path::new("/usr/bin/script"))
        .program(Path::new("/usr/bin/tmux"))
        .file(Path::new("/usr/lib/locale/C.utf8"), "/usr/lib/locale/C.utf8") // tmux insists
        .run();
    left.assert_kernel_well();
    let facts = left.facts();
    assert_eq!(facts.get("scheduler_status"), "0", "{}", left.diagnosis());
    let log = left.events("entries.jsonl");
    for event in &log.0 {
        if !matches!(event, Event::Phase { .. }) {
            println!("{event:?}");
        }
    }
    let text = left.text("jobs");
    let pid = |job: &str| -> u32 {
        let line = text.lines().find_map(|l| l.strip_prefix(&format!("{job}=")));
        line.and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{job} did not run:\n{text}"))
    };
    // Of a pipeline, the side that is first to ask for its process group begins the call.
    let of_pipeline = |found: u32| match () {
        _ if found == pid("pty_right") => pid("pty_left"),
        _ if found == pid("tmux_right") => pid("tmux_left"),
        _ => found,
    };
    let job = "job of a shell";
    let outside = "entered from outside";
    // Agent, and what begins its calls, in order; what a shell runs on its own behalf is no call.
    let expected: [(&str, &[(&str, &str)]); 4] = [
        (
            "pty",
            &[
                ("pty_program", job),
                ("pty_left", job),
                ("pty_subshell", job),
                ("pty_substituted", job),
                ("pty_background", job),
            ],
        ),
        ("tmux", &[("tmux_program", job), ("tmux_left", job)]),
        ("pipe", &[("pipe_one", job), ("pipe_two", job)]),
        ("box", &[("box_exec", outside), ("box_nsenter", outside), ("box_typed", job)]),
    ];
    for (agent, calls) in expected {
        let expected: Vec<(u32, &str)> = calls.iter().map(|(name, rule)| (pid(name), *rule)).collect();
        let shell = match agent {
            "box" => facts.number("box_shell") as u32, // was a call until it read commands
            _ => 0,
        };
        let begins: Vec<_> = log
            .begins(agent)
            .into_iter()
            .filter(|b| b.0 != shell)
            .map(|(pid, rule)| (of_pipeline(pid), rule))
            .collect();
        assert_eq!(begins, expected, "{agent}: {text}");
        for (name, _) in calls {
            let pid = pid(name);
            let ends: Vec<_> = log.ends(agent).into_iter().filter(|e| of_pipeline(e.pid) == pid).collect();
            assert_eq!(ends.len(), 1, "{name} ends once: {ends:?}");
        }
    }
    let pipeline = |agent: &str, first: &str| {
        let pid = pid(first);
        let ends = log.ends(agent);
        ends.into_iter().find(|e| of_pipeline(e.pid) == pid).expect("compared above").processes
    };
    // Each side is a shell that runs a shell that forks.
    assert_eq!(pipeline("pty", "pty_left"), 6, "both sides of a pipeline are one call");
    assert_eq!(pipeline("tmux", "tmux_left"), 6, "both sides of a pipeline are one call");

    let late = facts.number("late_framework") as u32;
    let begins = log.begins("late");
    let of_framework: Vec<_> = begins.iter().filter(|b| b.0 == late).collect();
    assert_eq!(of_framework.len(), 1, "a call until it is known to be the framework: {begins:?}");
    assert!(begins.iter().any(|b| b.1 == "shell under the framework"), "it has calls then: {begins:?}");

    let errors = left.text("entries.err");
    assert!(errors.contains("roles: 0 told late"), "{errors}");
}
