// SPDX-License-Identifier: GPL-2.0-only
//! Command lines of tool calls: bounded, and fit to be shown. They are the container's to choose.

use std::path::Path;

/// Longest command that is kept of a call, in bytes.
const KEEP: usize = 512;
/// Most words of a command line that are looked at.
const WORDS: usize = 128;

/// The words of a command line as the kernel keeps it, a NUL behind each; lossily as text.
pub fn words(bytes: &[u8]) -> Vec<String> {
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    if bytes.is_empty() {
        return Vec::new();
    }
    bytes.split(|b| *b == 0).take(WORDS).map(|w| String::from_utf8_lossy(w).into_owned()).collect()
}

/// The command line of process `pid` of `proc` (`/proc`) now; empty if there is none.
pub fn of_process(proc: &Path, pid: u32) -> Vec<String> {
    words(&bounded(&proc.join(pid.to_string()).join("cmdline"), 4096))
}

/// At most `max` bytes of a file, of a process mostly that may be gone: then none.
pub fn bounded(path: &Path, max: u64) -> Vec<u8> {
    use std::io::Read;
    let mut bytes = Vec::new();
    if let Ok(file) = std::fs::File::open(path) {
        let _ = file.take(max).read_to_end(&mut bytes);
    }
    bytes
}

/// A command line as one would type it, cut to what is kept.
pub fn joined(words: &[String]) -> String {
    let mut out = String::new();
    for w in words {
        if !out.is_empty() {
            out.push(' ');
        }
        match shlex::try_quote(w) {
            Ok(quoted) => out.push_str(&quoted),
            Err(_) => out.push_str(w),
        }
        if out.len() > KEEP {
            break;
        }
    }
    cut(&mut out, KEEP);
    out
}

/// Cuts `s` to at most `max` bytes, at a character's end.
pub fn cut(s: &mut String, max: usize) {
    let mut end = max.min(s.len());
    while !s.is_char_boundary(end) {
        end -= 1;
    }
    s.truncate(end);
}

/// `s` for a terminal: on one line, at most `max` characters, nothing in it that a terminal acts
/// on or that hides or reorders text.
pub fn shown(s: &str, max: usize) -> String {
    let mut out = String::new();
    for (n, c) in s.chars().enumerate() {
        if n == max {
            out.push('…');
            break;
        }
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || is_invisible(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// Marks of direction, joiners, separators of lines, tags: no glyph of their own.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_kernel() {
        assert_eq!(words(b"sh\0-c\0a b\0"), ["sh", "-c", "a b"]);
        assert_eq!(words(b"cut\0off"), ["cut", "off"]);
        assert_eq!(words(b"x\0\0"), ["x", ""]);
        assert!(words(b"").is_empty() && words(b"\0").is_empty());
        assert_eq!(words(&[b'a', 0].repeat(5000)).len(), WORDS);
        assert_eq!(of_process(Path::new("/nonexistent"), 1), [""; 0]);
        assert!(!of_process(Path::new("/proc"), std::process::id()).is_empty());
    }

    #[test]
    fn joined_is_what_one_would_type_and_bounded() {
        assert_eq!(joined(&["sh".into(), "-c".into(), "a b".into()]), "sh -c 'a b'");
        assert!(joined(&vec!["é".repeat(300); 9]).len() <= KEEP);
    }

    #[test]
    fn nothing_reaches_the_terminal() {
        let hostile = "a\x1b[2J\u{202e}b\nc\u{9b}d\u{7f}";
        let safe = shown(hostile, 100);
        assert!(safe.chars().all(|c| !c.is_control() && !is_invisible(c)), "{safe}");
        assert_eq!(safe, "a\\u{1b}[2J\\u{202e}b\\nc\\u{9b}d\\u{7f}");
        assert_eq!(shown("abcdef", 3), "abc…");
    }
}
