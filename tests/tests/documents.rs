// SPDX-License-Identifier: GPL-2.0-only
//! Every command in the documents is one that can be typed: programs of ours are asked, with `--help` added, whether
//! they know its subcommands and options; scripts, tests and packages must be there. Those in blocks are also run, here
//! or in the guests of other tests, but for what takes too long.

use scx_agent_tests::documents::{
    checkout, commands, documents, on_the_host, place, program, Command, Where, OURS,
};
use scx_agent_tests::vm::bin_dir;
use std::collections::BTreeSet;
use std::process::Stdio;

/// What stands for a value of the reader's own, and a value.
const PLACEHOLDERS: [(&str, &str); 6] = [
    ("N", "1"),
    ("PID", "1"),
    ("ADDRESS:PORT", "127.0.0.1:9855"),
    ("KEY=VALUE", "a=b"),
    ("SEC", "1"),
    ("MB", "1"),
];

/// The command's words, with values for placeholders, and without what stands for more to come.
fn filled(command: &Command) -> Vec<String> {
    let value = |w: &String| match PLACEHOLDERS.iter().find(|(name, _)| name == w) {
        Some((_, value)) => (*value).to_string(),
        None => w.clone(),
    };
    command.words.iter().filter(|w| !matches!(w.as_str(), "..." | "…")).map(value).collect()
}

/// Asks a program of ours whether it understands the command. It does nothing but help.
fn understood(words: &[String]) -> Result<(), String> {
    // What is behind `--` is another program's.
    let own = words.iter().position(|w| w == "--").unwrap_or(words.len());
    let path = bin_dir().join(program(&words[0]));
    let run = std::process::Command::new("timeout")
        .arg("20")
        .arg(&path)
        .args(&words[1..own])
        .arg("--help")
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("{}: {e}", path.display()))?;
    let said = String::from_utf8_lossy(&run.stdout);
    match run.status.success() && said.contains("Usage: ") {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&run.stderr).into_owned()),
    }
}

/// What follows an option, as `--test X` or `--test=X`.
fn values<'a>(words: &'a [String], options: &[&str]) -> Vec<&'a str> {
    let mut out = Vec::new();
    for (i, w) in words.iter().enumerate() {
        if options.contains(&w.as_str()) {
            out.extend(words.get(i + 1).map(String::as_str));
        } else if let Some((option, value)) = w.split_once('=') {
            out.extend(options.contains(&option).then_some(value));
        }
    }
    out
}

fn packages() -> BTreeSet<String> {
    let text = std::fs::read_to_string(checkout().join("Cargo.toml")).unwrap();
    let members = text.lines().find_map(|l| l.strip_prefix("members = [")).expect("members");
    let name = |member: &str| {
        let member = member.trim_matches(['"', ' ', ']']);
        let text = std::fs::read_to_string(checkout().join(member).join("Cargo.toml")).unwrap();
        let name = text.lines().find_map(|l| l.strip_prefix("name = ")).expect("name");
        name.trim_matches('"').to_string()
    };
    members.split(',').map(name).collect()
}

fn check_cargo(words: &[String]) -> Result<(), String> {
    let packages = packages();
    for package in values(words, &["-p", "--package", "--exclude"]) {
        if !packages.contains(package) {
            return Err(format!("no package {package} in the workspace: {packages:?}"));
        }
    }
    for test in values(words, &["--test"]) {
        if !checkout().join("tests/tests").join(test).with_extension("rs").exists() {
            return Err(format!("no test {test} in tests/tests"));
        }
    }
    let run = std::process::Command::new("cargo")
        .args(words[1..].iter().take_while(|w| !matches!(w.as_str(), "--")))
        .arg("--help")
        .current_dir(checkout())
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("cargo: {e}"))?;
    match run.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&run.stderr).into_owned()),
    }
}

/// Its options are those that the script's text knows.
fn check_script(words: &[String]) -> Result<(), String> {
    let path = checkout().join(&words[0]);
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let own = words.iter().skip(1).take_while(|w| *w != "--").filter(|w| w.starts_with("--"));
    match own.filter(|w| !text.contains(&format!("{w})"))).collect::<Vec<_>>() {
        unknown if unknown.is_empty() => Ok(()),
        unknown => Err(format!("{} has no {unknown:?}", words[0])),
    }
}

/// Programs of others that the documents use: what they do is not ours to test.
const OTHERS: [&str; 10] = [
    "systemctl",
    "export",
    "setfattr",
    "setpriv",
    "make",
    "shellcheck",
    "jq",
    "docker",
    "promtool",
    "modprobe",
];

#[test]
fn what_cannot_be_typed_is_found() {
    let words = |line: &str| line.split(' ').map(String::from).collect::<Vec<_>>();
    for line in ["scx_agent status --json", "agentbench run --scenarios gen70 --seed 1,2"] {
        understood(&words(line)).unwrap_or_else(|e| panic!("{line}: {e}"));
    }
    for (line, why) in [
        ("scx_agent status --jsn", "--jsn"),
        ("scx_agent statuss", "statuss"),
        ("scx_agent top --batch many", "many"),
        ("agentbench run --scenarios gen70 --sed 1", "--sed"),
    ] {
        let e = understood(&words(line)).expect_err(line);
        assert!(e.contains(why), "{line}: {e}");
    }
    assert!(check_script(&words("scripts/demo --full")).is_ok());
    assert!(check_script(&words("scripts/demo --fuller")).is_err());
    assert!(check_script(&words("scripts/dem")).is_err());
    assert!(check_cargo(&words("cargo test -p scx_agent_tests --test limits")).is_ok());
    for line in ["cargo test -p scx_agnt", "cargo test --test limit", "cargo tset", "cargo test --relese"] {
        assert!(check_cargo(&words(line)).is_err(), "{line}");
    }
}

#[test]
fn every_command_in_the_documents_can_be_typed() {
    let mut wrong = Vec::new();
    let (mut asked, mut unknown) = (0, BTreeSet::new());
    for (name, text) in documents() {
        for command in commands(&name, &text) {
            let words = filled(&command);
            let checked = match program(&words[0]) {
                "scx_agent" | "agentvm" | "agentbench" | "agentload" | "scx_agentland" => {
                    asked += 1;
                    understood(&words)
                }
                "cargo" => check_cargo(&words),
                _ if words[0].starts_with("scripts/") => check_script(&words),
                other => {
                    if command.block && !OTHERS.contains(&other) {
                        unknown.insert(format!("{}: {}", command.at, words.join(" ")));
                    }
                    Ok(())
                }
            };
            if let Err(why) = checked {
                wrong.push(format!("{}: {}\n{why}", command.at, words.join(" ")));
            }
        }
    }
    // Settings, pictures and output are in blocks, too.
    eprintln!(
        "in blocks, and no commands of ours:\n  {}",
        unknown.into_iter().collect::<Vec<_>>().join("\n  ")
    );
    assert!(wrong.is_empty(), "{} commands cannot be typed:\n\n{}", wrong.len(), wrong.join("\n"));
    assert!(asked >= 60, "only {asked} commands of ours were found");
}

#[test]
fn every_command_in_a_block_has_a_place_where_it_is_run() {
    let mut nowhere = Vec::new();
    for (name, text) in documents() {
        for command in commands(&name, &text).into_iter().filter(|c| c.block) {
            match place(&command.words) {
                Some(Where::Nowhere) => nowhere.push(format!("{}: {}", command.at, command.words.join(" "))),
                Some(_) => (),
                None => assert!(
                    !OURS.contains(&program(&command.words[0])),
                    "{}: nothing runs {:?}",
                    command.at,
                    command.words
                ),
            }
        }
    }
    eprintln!("not run, for it takes too long or runs the tests:\n  {}", nowhere.join("\n  "));
}

#[test]
fn those_for_the_host_are_run() {
    let all = on_the_host();
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("target")).unwrap();
    std::os::unix::fs::symlink(bin_dir(), dir.path().join("target/agents")).unwrap();
    for (command, line) in &all {
        eprintln!("{}: {line}", command.at);
        let run = std::process::Command::new("timeout")
            .args(["600", "sh", "-c", line])
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|e| panic!("timeout: {e}"));
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            run.status.success(),
            "{}: {line}: {}\n{}{}",
            command.at,
            run.status,
            said(&run.stdout),
            said(&run.stderr)
        );
    }
    let runs = |what: &str| all.iter().any(|(c, _)| c.words.iter().any(|w| w == what));
    for what in ["run", "scenarios", "ideal", "report", "check"] {
        assert!(runs(what), "no {what:?} is run: {all:?}");
    }
}
