// SPDX-License-Identifier: GPL-2.0-only
//! Looks through what wraps a command: `bash -c "..."`, `env`, `timeout`, `sudo`, and the like. Not
//! a shell: good enough to tell what a line runs, and bounded whatever the line is.

/// Longest script that is looked at, in bytes.
const SCRIPT_MAX: usize = 4096;
/// Most simple commands that are looked at in one script.
const COMMANDS_MAX: usize = 64;

const SHELLS: &[&str] = &["sh", "bash", "zsh", "dash", "ash", "ksh", "mksh", "fish", "busybox"];

/// `argv` without the programs in front of it that run the rest as it is.
pub fn unwrap<'a, 'b>(mut argv: &'b [&'a str]) -> &'b [&'a str] {
    loop {
        let rest = match argv.iter().position(|w| !is_assignment(w)) {
            Some(at) => &argv[at..],
            None => return &[],
        };
        let Some(inner) = inside(rest) else { return rest };
        argv = inner;
    }
}

fn is_assignment(word: &str) -> bool {
    let Some((name, _)) = word.split_once('=') else { return false };
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// What a wrapper runs, or None if `argv` is no wrapper. Always shorter than `argv`.
fn inside<'a, 'b>(argv: &'b [&'a str]) -> Option<&'b [&'a str]> {
    let (first, args) = argv.split_first()?;
    // How many words after the options are the wrapper's own, and which options have a value.
    let (own, valued): (usize, &[&str]) = match first.rsplit('/').next()? {
        "env" => (0, &["-u", "-C", "-S", "--unset", "--chdir"]),
        "timeout" => (1, &["-s", "-k", "--signal", "--kill-after"]),
        "nice" => (0, &["-n"]),
        "ionice" => (0, &["-c", "-n", "-p"]),
        "chrt" | "taskset" => (1, &[]),
        "sudo" | "doas" => (0, &["-u", "-g", "-C", "-h", "-p"]),
        "stdbuf" => (0, &["-i", "-o", "-e"]),
        "time" => (0, &["-f", "-o"]),
        "nohup" | "setsid" | "exec" | "command" | "builtin" | "eval" | "catchsegv" | "unbuffer"
        | "winpty" => (0, &[]),
        "xvfb-run" => (0, &["-s", "-n", "--server-args"]),
        "flock" => (1, &["-w", "-E"]),
        "xargs" => (0, &["-n", "-P", "-I", "-L", "-d", "-a", "-s", "-E"]),
        "strace" | "ltrace" => (0, &["-o", "-e", "-p", "-s"]),
        "bwrap" => return args.iter().position(|a| *a == "--").map(|at| &args[at + 1..]),
        "busybox" | "toybox" if !args.is_empty() => (0, &[]),
        "!" | "then" | "do" | "else" | "if" | "while" | "until" | "{" | "(" => (0, &[]),
        _ => return None,
    };
    let mut at = 0;
    while let Some(a) = args.get(at).filter(|a| a.starts_with('-')) {
        at += if *a == "--" { break } else { 1 + usize::from(valued.contains(a)) };
    }
    at += usize::from(args.get(at) == Some(&"--"));
    args.get(at..).and_then(|rest| {
        let rest = &rest[rest.iter().position(|w| !is_assignment(w)).unwrap_or(rest.len())..];
        rest.get(own..)
    })
}

/// The script of `sh -c SCRIPT`, if `argv` is that.
pub fn script<'a>(argv: &[&'a str]) -> Option<&'a str> {
    let (first, args) = argv.split_first()?;
    let base = super::category::program(first);
    if !SHELLS.contains(&base.as_str()) {
        return None;
    }
    let mut at = 0;
    while let Some(a) = args.get(at) {
        match *a {
            "-o" | "-O" | "+o" | "+O" | "--rcfile" | "--init-file" => at += 2,
            "--command" => return args.get(at + 1).copied(),
            a if a.starts_with("--") => at += 1,
            // `-c`, `-lc`, `-ec`, ...: the script is the next word that is no option.
            a if a.starts_with('-') && a.contains('c') => {
                return args[at + 1..].iter().find(|a| !a.starts_with('-') && !a.starts_with('+')).copied()
            }
            a if a.starts_with('-') || a.starts_with('+') => at += 1,
            _ => return None,
        }
    }
    None
}

/// The simple commands of a script, as words: split at `;`, `&`, `|` and line ends, quotes taken
/// away, redirections left out, `eval '...'` and `$(...)` looked into. A here-document's text is
/// taken for commands: harmless.
pub fn commands(script: &str) -> Vec<Vec<String>> {
    let mut out = Vec::new();
    split(cut(script), &mut out, 3);
    out
}

fn cut(script: &str) -> &str {
    let mut end = script.len().min(SCRIPT_MAX);
    while !script.is_char_boundary(end) {
        end -= 1;
    }
    &script[..end]
}

/// What [`split`] has of the command it is in.
#[derive(Default)]
struct Line {
    words: Vec<String>,
    word: Option<String>,
    /// The next word is a redirection's target.
    target: bool,
}

impl Line {
    fn push(&mut self, c: char) {
        self.word.get_or_insert_default().push(c);
    }

    fn end_word(&mut self) {
        if let Some(word) = self.word.take() {
            if !std::mem::take(&mut self.target) {
                self.words.push(word);
            }
        }
    }

    fn end_command(&mut self, out: &mut Vec<Vec<String>>, depth: usize) {
        self.end_word();
        self.target = false;
        let words = std::mem::take(&mut self.words);
        if words.is_empty() || out.len() >= COMMANDS_MAX {
            return;
        }
        if words[0] == "eval" && depth > 0 {
            return split(cut(&words[1..].join(" ")), out, depth - 1);
        }
        out.push(words);
    }
}

fn split(script: &str, out: &mut Vec<Vec<String>>, depth: usize) {
    let mut line = Line::default();
    let mut chars = script.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                line.word.get_or_insert_default();
                for c in chars.by_ref().take_while(|c| *c != '\'') {
                    line.push(c);
                }
            }
            '"' => {
                line.word.get_or_insert_default();
                while let Some(c) = chars.next().filter(|c| *c != '"') {
                    match c {
                        '\\' => chars.next().into_iter().for_each(|c| line.push(c)),
                        c => line.push(c),
                    }
                }
            }
            '\\' => match chars.next() {
                // A line that goes on.
                Some('\n') | None => (),
                Some(c) => line.push(c),
            },
            '#' if line.word.is_none() => while chars.next_if(|c| *c != '\n').is_some() {},
            '\n' | ';' | '|' | '&' | '(' | ')' | '`' => {
                // `2>&1` and `&>file` end no command.
                if c == '&' && line.target {
                    continue;
                }
                if c == '&' && chars.peek() == Some(&'>') {
                    continue;
                }
                // `>|file` is a redirection, too.
                if c == '|' && line.target {
                    continue;
                }
                if c == '(' && line.word.as_deref() == Some("$") {
                    line.word = None;
                }
                line.end_command(out, depth);
            }
            '<' | '>' => {
                if line.word.as_deref().is_some_and(|w| w.bytes().all(|b| b.is_ascii_digit())) {
                    line.word = None;
                }
                line.end_word();
                line.target = true;
            }
            c if c.is_whitespace() => line.end_word(),
            c => line.push(c),
        }
    }
    line.end_command(out, depth);
}
