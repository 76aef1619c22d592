// SPDX-License-Identifier: GPL-2.0-only
//! The commands that the documents name: indented blocks, fences without `text`, and code in the text.

use std::path::{Path, PathBuf};

/// A command of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// File and line, for messages.
    pub at: String,
    /// It is in a block of its own, to be typed as it is; else in a sentence, perhaps in part.
    pub block: bool,
    /// Without `sudo`, settings of the environment, redirections and comments.
    pub words: Vec<String>,
}

/// Programs of ours, and cargo, by which code in a sentence is known as a command.
pub const OURS: [&str; 6] = ["scx_agent", "agentvm", "agentbench", "agentload", "scx_agentland", "cargo"];

/// The root of the checkout.
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// README, CONTRIBUTING and all of docs.
///
/// # Panics
/// If they cannot be read.
pub fn documents() -> Vec<(String, String)> {
    let root = checkout();
    let docs = std::fs::read_dir(root.join("docs")).expect("docs");
    let mut names: Vec<String> =
        docs.map(|e| format!("docs/{}", e.unwrap().file_name().to_string_lossy())).collect();
    names.retain(|n| n.ends_with(".md"));
    names.extend(["README.md", "CONTRIBUTING.md"].map(String::from));
    names.sort();
    let read = |n: String| (std::fs::read_to_string(root.join(&n)).unwrap_or_else(|e| panic!("{n}: {e}")), n);
    names.into_iter().map(read).map(|(text, name)| (name, text)).collect()
}

/// All commands of a document called `name`, in order.
pub fn commands(name: &str, text: &str) -> Vec<Command> {
    let mut out = Vec::new();
    let mut prose: Vec<(usize, &str)> = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    let (mut fence, mut n) = (None, 0);
    while n < lines.len() {
        let line = lines[n];
        let number = n + 1;
        n += 1;
        if let Some(language) = line.trim_start().strip_prefix("```") {
            fence = if fence.is_some() { None } else { Some(language) };
            continue;
        }
        let code = match fence {
            Some(language) => language != "text",
            None => line.starts_with("    "),
        };
        if !code {
            if fence.is_none() {
                prose.push((number, line));
            }
            continue;
        }
        // A shell's continuation, and one in YAML.
        let mut whole = line.trim().to_string();
        while n < lines.len() && (whole.ends_with('\\') || whole.ends_with(" --")) {
            whole = format!("{} {}", whole.trim_end_matches('\\').trim_end(), lines[n].trim());
            n += 1;
        }
        let whole = whole.strip_prefix("- ").unwrap_or(&whole);
        let whole = whole.strip_prefix("run: ").unwrap_or(whole);
        out.extend(parts(whole).into_iter().map(|words| (number, true, words)));
    }
    out.extend(inline(&prose));
    out.into_iter()
        .map(|(line, block, words)| Command { at: format!("{name}:{line}"), block, words })
        .collect()
}

/// Where a command of a block is carried out as it is typed, but for what stands for the reader's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// In a guest in which a daemon runs.
    Daemon,
    /// There, as a job of a pipeline.
    Pipeline,
    /// In guests, by tests of their own: what README has in its first minutes, and programs that those
    /// tests are made of.
    Others,
    /// Where the tests run.
    Host,
    /// Nowhere, for it takes too long, or is what runs the tests: the same with less is run.
    Nowhere,
}

/// Commands of scx_agent that ask a daemon, or are one.
const ASKING: [&str; 14] = [
    "calls", "check", "config", "explain", "hooks", "pause", "record", "reload", "replay", "report",
    "resume", "set", "status", "top",
];

/// Where a command is carried out. [`None`]: it is none of ours.
pub fn place(words: &[String]) -> Option<Where> {
    let word = |n: usize| words.get(n).map_or("", String::as_str);
    match (program(word(0)), word(1)) {
        ("scx_agent", "ci") => Some(Where::Pipeline),
        ("scx_agent", asks) if ASKING.contains(&asks) => Some(Where::Daemon),
        ("scx_agent" | "scx_agentland" | "agentload", _) => Some(Where::Others),
        // Lock-step machines, and memory under pressure, take minutes to hours.
        ("agentbench", "run") if !words.iter().any(|w| w == "--quick") => Some(Where::Nowhere),
        ("agentbench", "memory") | ("cargo", _) => Some(Where::Nowhere),
        ("agentbench" | "agentvm", _) => Some(Where::Host),
        ("install" | "uninstall" | "package", _) if word(0).starts_with("scripts/") => Some(Where::Others),
        _ if word(0).starts_with("scripts/") => Some(Where::Nowhere),
        _ => None,
    }
}

/// What stands for the reader's own in a guest: an agent of that name, less time, no terminal, and a program that is
/// built.
const IN_A_GUEST: [(&[&str], &[&str]); 6] = [
    (&["scripts/install"], &["scripts/install", "--program", "/src/scx_agent"]),
    (&["docker-4fd1c2.scope"], &["held"]),
    (&["nightly"], &["held"]),
    (&["record", "--for"], &["record", "--for", "2"]),
    (&["top"], &["top", "--batch", "1"]),
    (&["replay"], &["replay", "--print"]),
];

/// And on the host: results of another scenario, of one draw.
const ON_THE_HOST: [(&[&str], &[&str]); 1] = [(&["gen70:small_p95_ratio>=2"], &["small:small_p95_ratio>=0"])];

/// The commands in blocks of the documents that are carried out there.
fn of_blocks(there: Where) -> impl Iterator<Item = Command> {
    let all = documents().into_iter().flat_map(|(name, text)| commands(&name, &text));
    all.filter(move |c| c.block && place(&c.words) == Some(there))
}

/// A line of shell for each command that a guest carries out: `documented FILE:LINE` and the command, in which
/// `$held` is a process of the agent `held`.
pub fn to_run(place: Where) -> String {
    let line =
        |c: Command| format!("documented {} {} {}\n", c.at, program(&c.words[0]), in_a_guest(&c.words[1..]));
    of_blocks(place).map(line).collect()
}

/// The commands that can be carried out where the tests run, and each as a line of shell, in the order in
/// which they can be: what looks at results comes last. Each once.
pub fn on_the_host() -> Vec<(Command, String)> {
    let mut all: Vec<(Command, String)> = Vec::new();
    for c in of_blocks(Where::Host) {
        let line = replaced(&c.words, &ON_THE_HOST);
        if all.iter().all(|(_, known)| *known != line) {
            all.push((c, line));
        }
    }
    all.sort_by_key(|(c, _)| matches!(c.words[1].as_str(), "report" | "check"));
    all
}

/// Words as a guest's shell takes them.
fn in_a_guest(words: &[String]) -> String {
    replaced(words, &IN_A_GUEST).replace("4711", "$held")
}

/// Words as a shell takes them, some in place of others.
fn replaced(words: &[String], by: &[(&[&str], &[&str])]) -> String {
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    for (from, to) in by {
        if let Some(at) = words.windows(from.len()).position(|w| w == *from) {
            // The time after `--for` goes, too.
            let end = at + from.len() + usize::from(from.contains(&"--for"));
            words.splice(at..end.min(words.len()), to.iter().copied());
        }
    }
    shlex::try_join(words).expect("no NUL")
}

/// The part of a document below a heading, up to the next; empty lines stand for all others.
///
/// # Panics
/// There is no such heading.
fn section(text: &str, heading: &str) -> String {
    let at = text.lines().position(|l| l == heading).unwrap_or_else(|| panic!("no section {heading:?}"));
    let length = text.lines().skip(at + 1).take_while(|l| !l.starts_with('#')).count();
    let lines = text.lines().enumerate();
    lines
        .map(|(n, l)| if (at + 1..=at + length).contains(&n) { l } else { "" })
        .fold(String::new(), |all, l| all + l + "\n")
}

/// A person's first minutes: what README has to be typed, in order, to install the service, look at it, give it settings,
/// ask it and end it; what ends it comes last. Before the first that has to do with settings, the file that README gives
/// is written. A line of shell each: `settings PATH TEXT`, or `minute FILE:LINE` and the command.
///
/// # Panics
/// README has changed so that they cannot be found.
pub fn first_minutes() -> (Vec<Command>, String) {
    let (_, text) = documents().into_iter().find(|(name, _)| name == "README.md").expect("README");
    let ours = |c: &Command| {
        c.block
            && (matches!(program(&c.words[0]), "scx_agent" | "systemctl")
                || c.words[0].starts_with("scripts/"))
    };
    let of = |heading: &str| -> Vec<Command> {
        commands("README.md", &section(&text, heading)).into_iter().filter(ours).collect()
    };
    let service = of("### As a service");
    let stop =
        service.iter().position(|c| c.words.get(1).is_some_and(|w| w == "stop")).expect("how to stop it");
    let mut all = service[..stop].to_vec();
    let settings = all.len();
    all.extend(of("### Settings"));
    all.extend(of("### Ask it"));
    all.extend_from_slice(&service[stop..]);

    let text = section(&text, "### Settings");
    let mut file = text.lines().skip_while(|l| !l.starts_with("    # /etc/"));
    let path = file.next().expect("a file of settings").trim_start_matches(['#', ' ']).to_string();
    let file: Vec<&str> = file.take_while(|l| l.starts_with("    ") || l.is_empty()).map(str::trim).collect();
    let file = file.join("\n");
    // What follows is commands, after an empty line.
    let end = file.find("\nscx_agent ").or_else(|| file.find("\nsudo ")).expect("commands behind the file");
    let mut script = String::new();
    for (n, c) in all.iter().enumerate() {
        if n == settings {
            script += &shlex::try_join(["settings", &path, &file[..end]]).expect("no NUL");
            script.push('\n');
        }
        script += &format!("minute {} {}\n", c.at, in_a_guest(&c.words));
    }
    (all, script)
}

/// Code in sentences that begins with a program of ours; it may go on in the next line.
fn inline(prose: &[(usize, &str)]) -> Vec<(usize, bool, Vec<String>)> {
    let mut out = Vec::new();
    let (mut code, mut begun) = (None::<String>, 0);
    for (number, line) in prose {
        if line.trim().is_empty() {
            code = None;
        }
        for (i, piece) in line.split('`').enumerate() {
            if i > 0 {
                match code.take() {
                    None => (code, begun) = (Some(String::new()), *number),
                    Some(text) => out.extend(parts(&text).into_iter().map(|words| (begun, false, words))),
                }
            }
            if let Some(code) = &mut code {
                code.push_str(piece);
            }
        }
        if let Some(code) = &mut code {
            code.push(' ');
        }
    }
    out.retain(|(_, _, words)| {
        let program = program(&words[0]);
        OURS.contains(&program) || (words[0].starts_with("scripts/") && !program.is_empty())
    });
    out
}

/// The commands of a line, each as words; those of a guest that agentvm boots included.
pub fn parts(line: &str) -> Vec<Vec<String>> {
    let mut out = Vec::new();
    for part in split(line) {
        let Some(words) = shlex::split(&part) else { continue };
        let redirection = |w: &String| w.starts_with(['>', '<']) || w.starts_with("2>");
        let mut words: Vec<String> = words.into_iter().filter(|w| !redirection(w)).collect();
        while words.first().is_some_and(|w| is_prefix(w)) {
            words.remove(0);
        }
        let Some(first) = words.first() else { continue };
        let guest = match (program(first), words.iter().position(|w| w == "--")) {
            ("agentvm", Some(at)) => words[at + 1..].join(" "),
            _ => String::new(),
        };
        out.push(words);
        out.extend(parts(&guest));
    }
    out
}

/// `sudo`, an option of it, or a setting of the environment.
fn is_prefix(word: &str) -> bool {
    let setting = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    matches!(word, "sudo" | "-E") || word.split_once('=').is_some_and(|(name, _)| setting(name))
}

/// The last component of a program's path.
pub fn program(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// A line, up to its comment, at `;`, `&` and `|` that no quotes hold.
fn split(line: &str) -> Vec<String> {
    let (mut out, mut quote, mut before) = (vec![String::new()], None, ' ');
    for c in line.chars() {
        let last = std::mem::replace(&mut before, c);
        match (quote, c) {
            (None, '#') if last.is_whitespace() => break,
            (None, '\'' | '"') => quote = Some(c),
            (Some(q), _) if q == c => quote = None,
            (None, ';' | '&' | '|') => {
                out.push(String::new());
                continue;
            }
            _ => (),
        }
        if let Some(last) = out.last_mut() {
            last.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_wherever_they_are() {
        let text = "Say `scx_agent calls --agent\n'a b'` or `--json` or `cargo test`.\n\n    \
                    sudo A_B=1 scx_agent top   # a comment; with `scx_agent wrong`\n    \
                    target/agents/agentvm run \\\n        -- 'agentload show x >/tmp/y; scx_agent status'\n\n\
                    ```text\nscx_agent is no command\n```\n```sh\nmake && scripts/x --y | cat\n```\n\
                    ```yaml\n  - run: sudo -E scx_agent ci --\n      make\n```\n";
        let found: Vec<(String, bool, String)> =
            commands("f", text).into_iter().map(|c| (c.at, c.block, c.words.join("_"))).collect();
        let want = [
            ("f:4", true, "scx_agent_top"),
            ("f:5", true, "target/agents/agentvm_run_--_agentload show x >/tmp/y; scx_agent status"),
            ("f:5", true, "agentload_show_x"),
            ("f:5", true, "scx_agent_status"),
            ("f:12", true, "make"),
            ("f:12", true, "scripts/x_--y"),
            ("f:12", true, "cat"),
            ("f:15", true, "scx_agent_ci_--_make"),
            ("f:1", false, "scx_agent_calls_--agent_a b"),
            ("f:2", false, "cargo_test"),
        ]
        .map(|(at, block, words)| (at.to_string(), block, words.to_string()));
        assert_eq!(found, want);
    }
}
