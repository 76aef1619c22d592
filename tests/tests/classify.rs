// SPDX-License-Identifier: GPL-2.0-only
//! The decisions of the classification (`bpf/classify.h`), the very code that runs in the kernel.

use scx_agent_tests::policy::*;

const BOTH: [bool; 2] = [false, true];

fn framework(rule: Rule) -> Verdict {
    Verdict { role: Role::Framework, rule, new_call: false, commands: false }
}

fn new_call(rule: Rule) -> Verdict {
    Verdict { role: Role::Tool, rule, new_call: true, commands: false }
}

fn in_its_call(rule: Rule) -> Verdict {
    Verdict { role: Role::Tool, rule, new_call: false, commands: false }
}

fn helper(rule: Rule) -> Verdict {
    Verdict { role: Role::Helper, rule, new_call: false, commands: rule == Rule::Commands }
}

/// Facts of every combination of flags and marks.
fn all_facts(role: Role) -> impl Iterator<Item = Facts> {
    (0..1u32 << 13).flat_map(move |bits| {
        let bit = |n: u32| bits & (1 << n) != 0;
        [Mark::None, Mark::Tool, Mark::Own].map(|mark| Facts {
            role,
            mark,
            forked: bit(0),
            direct: bit(1),
            entered: bit(2),
            known_comm: bit(3),
            parent_known: bit(4),
            generic_comm: bit(5),
            same_program: bit(6),
            shell: bit(7),
            command: bit(8),
            new_session: bit(9),
            parent_init: bit(10),
            of_commands: bit(11),
            expect_mark: bit(12),
        })
    })
}

/// A program that a framework forked.
fn child() -> Facts {
    Facts { forked: true, ..Facts::of(Role::Framework) }
}

/// A shell that a framework forked, with a command.
fn shell() -> Facts {
    Facts { shell: true, command: true, ..child() }
}

#[test]
fn what_a_tool_call_execs_stays_in_the_call() {
    for f in all_facts(Role::Tool).filter(|f| !f.entered) {
        assert_eq!(exec(&f), in_its_call(Rule::Inherit), "{f:?}");
    }
}

#[test]
fn outside_agents_an_exec_changes_nothing() {
    let none = Verdict { role: Role::None, rule: Rule::Inherit, new_call: false, commands: false };
    for f in all_facts(Role::None) {
        assert_eq!(exec(&f), none, "{f:?}");
    }
}

#[test]
fn a_framework_that_execs_itself_again_stays_the_framework() {
    for f in all_facts(Role::Framework).filter(|f| !f.forked) {
        assert_eq!(exec(&f), framework(Rule::Reexec), "{f:?}");
    }
}

#[test]
fn nothing_but_shells_marks_and_jobs_begins_a_call() {
    for role in [Role::Framework, Role::Helper] {
        for f in all_facts(role).filter(|f| exec(f).new_call) {
            assert!(f.mark == Mark::Tool || f.shell || f.of_commands, "{f:?}");
        }
    }
}

#[test]
fn a_mark_beats_every_other_rule() {
    for f in all_facts(Role::Helper).filter(|f| f.mark == Mark::Tool) {
        assert_eq!(exec(&f), new_call(Rule::Mark), "{f:?}");
    }
    for f in all_facts(Role::Framework).filter(|f| f.mark == Mark::Tool && f.forked) {
        assert_eq!(exec(&f), new_call(Rule::Mark), "{f:?}");
    }
    assert_eq!(exec(&Facts { mark: Mark::Own, new_session: true, ..shell() }), helper(Rule::Unmarked));
}

#[test]
fn a_shell_with_a_command_is_a_call() {
    assert_eq!(exec(&shell()), new_call(Rule::Shell));
    assert_eq!(exec(&Facts { new_session: true, ..shell() }), new_call(Rule::Session));
    // Known as it may be: a shell's comm is not a framework's.
    assert_eq!(exec(&Facts { new_session: true, known_comm: true, ..shell() }), new_call(Rule::Session));
}

#[test]
fn a_shell_is_no_call_where_calls_are_marked() {
    for new_session in BOTH {
        assert_eq!(exec(&Facts { expect_mark: true, new_session, ..shell() }), helper(Rule::Unmarked));
    }
}

#[test]
fn other_children_of_a_framework_are_helpers() {
    for new_session in BOTH {
        assert_eq!(exec(&Facts { new_session, ..child() }), helper(Rule::Program));
        let server =
            Facts { known_comm: true, generic_comm: true, parent_known: true, new_session, ..child() };
        assert_eq!(exec(&server), helper(Rule::Program), "an MCP server on node under node");
    }
}

#[test]
fn a_framework_starts_itself_again() {
    assert_eq!(exec(&Facts { known_comm: true, ..child() }), framework(Rule::Comm));
    assert_eq!(exec(&Facts { same_program: true, ..child() }), framework(Rule::Relaunch));
    let init = Facts { parent_init: true, ..child() };
    assert_eq!(exec(&init), framework(Rule::Entry), "what the container is for");
    // In a session of its own it is something that it runs.
    let away = Facts { known_comm: true, same_program: true, new_session: true, ..child() };
    assert_eq!(exec(&away), helper(Rule::Program));
}

#[test]
fn what_leads_to_a_shell_is_asked_again() {
    let launcher = Facts { role: Role::Helper, direct: true, ..Facts::of(Role::Helper) };
    let on = Facts { shell: true, command: true, new_session: true, ..launcher };
    assert_eq!(exec(&on), new_call(Rule::Session));
    assert_eq!(exec(&launcher), helper(Rule::Program));
    // What a helper forks is the helper's.
    assert_eq!(exec(&Facts { forked: true, ..on }), helper(Rule::Inherit));
    assert_eq!(exec(&Facts { direct: false, ..on }), helper(Rule::Inherit));
}

#[test]
fn a_shell_that_reads_commands_has_jobs() {
    let reads = Facts { shell: true, new_session: true, ..child() };
    assert_eq!(exec(&reads), helper(Rule::Commands));
    assert_eq!(exec(&Facts { new_session: false, ..reads }), helper(Rule::Commands));
    let pane = Facts { forked: true, shell: true, new_session: true, ..Facts::of(Role::Helper) };
    assert_eq!(exec(&pane), helper(Rule::Commands), "of a terminal multiplexer");
    let job = Facts { forked: true, of_commands: true, ..Facts::of(Role::Helper) };
    assert_eq!(exec(&job), new_call(Rule::Job));
    let again = Facts { of_commands: true, shell: true, ..Facts::of(Role::Helper) };
    assert!(exec(&again).commands, "exec bash");
}

#[test]
fn who_comes_from_outside_may_be_the_framework_or_a_shell() {
    let entered = Facts { entered: true, ..Facts::of(Role::Tool) };
    assert_eq!(exec(&entered), in_its_call(Rule::Inherit));
    assert_eq!(exec(&Facts { known_comm: true, ..entered }), framework(Rule::Comm));
    let generic = Facts { known_comm: true, generic_comm: true, ..entered };
    assert_eq!(exec(&generic), in_its_call(Rule::Inherit), "any script");
    assert_eq!(exec(&Facts { shell: true, ..entered }), helper(Rule::Commands));
    assert_eq!(exec(&Facts { shell: true, command: true, ..entered }), in_its_call(Rule::Inherit));
}

/// Calls `found` with this parent and every other combination.
fn all_found(parent_role: Role, frameworks: u32, check: impl Fn(&Found, Verdict)) {
    for bits in 0..32u32 {
        let [known_comm, shell, like_parent, new_session, parent_init] =
            [1, 2, 4, 8, 16].map(|b| bits & b != 0);
        let f = Found { parent_role, frameworks, known_comm, shell, like_parent, new_session, parent_init };
        check(&f, found(&f));
    }
}

#[test]
fn found_below_a_call_or_a_helper_is_part_of_it() {
    for frameworks in [0, 1, 5] {
        all_found(Role::Tool, frameworks, |_, v| assert_eq!(v, in_its_call(Rule::Parent)));
        all_found(Role::Helper, frameworks, |_, v| {
            assert_eq!((v.role, v.rule, v.new_call), (Role::Helper, Rule::Parent, false));
        });
    }
}

#[test]
fn found_under_a_framework() {
    for frameworks in [0, 1, 5] {
        all_found(Role::Framework, frameworks, |f, v| {
            let expected = match () {
                () if f.known_comm && !f.new_session => framework(Rule::Comm),
                () if f.like_parent => framework(Rule::Parent),
                () if f.parent_init => framework(Rule::Entry),
                () if f.shell => new_call(Rule::Parent),
                () => helper(Rule::Parent),
            };
            assert_eq!(v, expected, "{f:?}");
        });
    }
}

#[test]
fn the_first_to_enter_is_the_framework_and_later_ones_are_calls() {
    for frameworks in [0, 1, u32::MAX] {
        all_found(Role::None, frameworks, |f, v| {
            let expected = match () {
                () if f.known_comm => framework(Rule::Comm),
                () if frameworks == 0 => framework(Rule::Entry),
                () => new_call(Rule::Outside),
            };
            assert_eq!(v, expected, "{f:?}");
        });
    }
}

#[test]
fn shells_by_their_comms() {
    for comm in ["sh", "bash", "dash", "zsh", "fish", "ksh", "ash", "busybox", "rbash", "tcsh"] {
        assert!(is_shell(comm), "{comm}");
    }
    for comm in ["", "s", "shx", "bash.sh", "ssh", "busybox-static1", "git", "tini"] {
        assert!(!is_shell(comm), "{comm}");
    }
    for comm in ["tini", "docker-init", "dumb-init", "catatonit"] {
        assert!(is_init(comm) && !is_shell(comm), "{comm}");
    }
    for comm in ["tini-static", "docker-i", "init", "catatoni", "docker-initx"] {
        assert!(!is_init(comm), "{comm}");
    }
}

#[test]
fn commands_of_shells() {
    let long = "x".repeat(5000);
    for args in [
        &["-c", "true"][..],
        &["-lc", "true"],
        &["-l", "-c", "true"],
        &["-c", "-l", "true"],
        &["-ic", "true"],
        &["-o", "pipefail", "-c", "true"],
        &["-eo", "pipefail", "script.sh"],
        &["--rcfile", "/x", "-c", "true"],
        &["--norc", "script.sh"],
        &["--command=true"],
        &["script.sh", "-x"],
        &[&long],
    ] {
        assert!(shell_has_command(args), "{args:?}");
    }
    for args in [
        &[][..],
        &["-l"],
        &["-i"],
        &["--norc", "--noprofile"],
        &["--rcfile", "/x"],
        &["--init-file", "/x", "-i"],
        &["-o", "pipefail"],
        &["+o", "history"],
        &["-s", "arg"],
        &["-"],
    ] {
        assert!(!shell_has_command(args), "{args:?}");
    }
}

#[test]
fn marks_in_the_environment() {
    for var in ["CODEX_TOOL_CALL_ID=call_1", "AI_AGENT=claude-code_2-1-197_agent"] {
        assert_eq!(env_mark(var), Mark::Tool, "{var}");
    }
    assert_eq!(env_mark("AI_AGENT=claude-code_2-1-197_harness"), Mark::Own);
    for var in [
        "",
        "A",
        "AI_AGENT=",
        "AI_AGENT=claude-code",
        "AI_AGENT=claude-code_x",
        "CODEX_TOOL_CALL_ID",
        "AGENT=1",
        "xCODEX_TOOL_CALL_ID=1",
    ] {
        assert_eq!(env_mark(var), Mark::None, "{var:?}");
    }
    assert_eq!(env_mark(&format!("AI_AGENT=claude-code{}_agent", "x".repeat(500))), Mark::None);
}

#[test]
fn comms_are_compared_up_to_their_end() {
    let comm = |text: &str, rest: u8| {
        let mut c = [rest; 16];
        c[..text.len()].copy_from_slice(text.as_bytes());
        if text.len() < 16 {
            c[text.len()] = 0;
        }
        c
    };
    assert!(comm_equal(&comm("claude", 0), &comm("claude", 0)));
    assert!(comm_equal(&comm("claude", 0), &comm("claude", b'x')), "what follows the end does not count");
    assert!(comm_equal(&comm("", 0), &comm("", 1)));
    assert!(comm_equal(&comm("node-MainThread", 0), &comm("node-MainThread", 0)));
    assert!(comm_equal(&[b'a'; 16], &[b'a'; 16]), "without an end at all");
    for other in ["claud", "claudex", "Claude", ""] {
        assert!(!comm_equal(&comm("claude", 0), &comm(other, 0)), "{other}");
    }
}

#[test]
fn interpreters_and_the_words_of_their_scripts() {
    for comm in ["node", "nodejs", "bun", "deno", "python", "python3", "python3.13"] {
        assert!(is_interpreter(comm) && !is_shell(comm), "{comm}");
    }
    for comm in ["nodex", "bunx", "pytho", "sh", "", "claude", "node-MainThread"] {
        assert!(!is_interpreter(comm), "{comm}");
    }
    for text in ["gemini-cli", "gemini-cli/bundle/gemini.js", "gemini-cli.js"] {
        assert_eq!(word_hash(text), word_hash("gemini-cli"), "{text}");
    }
    for text in ["gemini", "gemini-cli2", "my-gemini-cli", ""] {
        assert_ne!(word_hash(text), word_hash("gemini-cli"), "{text}");
    }
}
