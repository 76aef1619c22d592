// SPDX-License-Identifier: GPL-2.0-only
//! One configuration file: what it sets, or all that is wrong with it.

use super::agents;
use super::keys::{nearest, Key, Kind};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};
use toml::Spanned;

/// A file that is longer is no configuration.
const MAX_BYTES: u64 = 1 << 20;

/// Where something is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub path: PathBuf,
    /// From 1 on.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.line)
    }
}

/// One thing that is wrong with a file: where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(pub String);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a file says about one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    pub key: String,
    /// As written on the command line; for a flag one word if it is set, for a count as many as it.
    pub values: Vec<String>,
    pub place: Place,
}

/// All that a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    pub settings: Vec<Setting>,
    pub agents: Vec<agents::Agent>,
}

/// Reads `path`.
///
/// # Errors
/// All that is wrong with it.
pub fn read(path: &Path, keys: &[Key]) -> Result<Contents, Vec<Problem>> {
    let told = |e: &dyn fmt::Display| vec![Problem(format!("cannot read {}: {e}", path.display()))];
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|e| told(&e))?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|e| told(&e))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(told(&"it is longer than 1 MB"));
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => parse(text, path, keys),
        Err(e) => {
            let line = line_of(&bytes, e.valid_up_to());
            Err(vec![Problem(format!("{}:{line}: this is not UTF-8 text", path.display()))])
        }
    }
}

fn line_of(bytes: &[u8], at: usize) -> usize {
    1 + bytes.iter().take(at).filter(|b| **b == b'\n').count()
}

/// A text in the making: what it says, and what is wrong with it.
pub struct Parser<'a> {
    path: &'a Path,
    text: &'a str,
    problems: Vec<Problem>,
}

impl Parser<'_> {
    /// Where byte `at` is.
    pub fn place(&self, at: usize) -> Place {
        Place { path: self.path.into(), line: line_of(self.text.as_bytes(), at) }
    }

    /// Notes what is wrong at byte `at`.
    pub fn problem(&mut self, at: usize, what: impl fmt::Display) {
        let place = self.place(at);
        self.problems.push(Problem(format!("{place}: {what}")));
    }
}

/// Reads `text`, which is that of `path`.
///
/// # Errors
/// All that is wrong with it.
pub fn parse(text: &str, path: &Path, keys: &[Key]) -> Result<Contents, Vec<Problem>> {
    let mut parser = Parser { path, text, problems: Vec::new() };
    let mut contents = Contents::default();
    let (table, errors) = DeTable::parse_recoverable(text);
    for e in errors {
        let at = e.span().map_or(0, |s| s.start);
        parser.problem(at, e.message().replace('\n', ", "));
    }
    if !parser.problems.is_empty() {
        return Err(parser.problems);
    }
    for (name, value) in table.get_ref() {
        let name_at = name.span().start;
        if name.get_ref() == agents::TABLE {
            contents.agents = agents::parse(&mut parser, value, keys);
            continue;
        }
        let Some(key) = keys.iter().find(|k| k.name == **name.get_ref()) else {
            let names = keys.iter().map(|k| k.name.as_str()).chain([agents::TABLE]);
            let hint = match nearest(name.get_ref(), names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`scx_agent config default` lists all keys".into(),
            };
            parser.problem(name_at, format_args!("there is no key {:?}: {hint}", name.get_ref()));
            continue;
        };
        match values(key, value) {
            Ok(values) => {
                let place = parser.place(name_at);
                contents.settings.push(Setting { key: key.name.clone(), values, place });
            }
            Err((at, what)) => parser.problem(at, format_args!("{}: {what}", key.name)),
        }
    }
    match parser.problems.is_empty() {
        true => Ok(contents),
        false => Err(parser.problems),
    }
}

/// A value, as words of the command line; or what is wrong with it, and where.
fn values(key: &Key, value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, (usize, String)> {
    let at = value.span().start;
    let wrong = |v: &DeValue<'_>| format!("this is {}, expected {}", article(v), key.expected());
    let tried = |text: String, at: usize| match key.try_value(&text) {
        Ok(()) => Ok(vec![text]),
        Err(what) => Err((at, what)),
    };
    match (key.kind, value.get_ref()) {
        (Kind::Flag, DeValue::Boolean(set)) => Ok(if *set { vec![String::new()] } else { Vec::new() }),
        (Kind::Count, DeValue::Integer(n)) => match n.as_str().parse::<usize>() {
            Ok(n @ 0..=4) if n.to_string().len() == 1 => Ok(vec![String::new(); n]),
            _ => Err((at, format!("{} is not {}", n.as_str(), key.expected()))),
        },
        (Kind::Number, DeValue::Integer(n)) => {
            match u64::from_str_radix(&n.as_str().replace('_', ""), n.radix()) {
                Ok(n) => tried(n.to_string(), at),
                Err(_) => Err((at, format!("{} is not {}", n.as_str(), key.expected()))),
            }
        }
        (Kind::Seconds, DeValue::Integer(n)) => tried(n.as_str().into(), at),
        (Kind::Seconds, DeValue::Float(n)) => tried(n.as_str().into(), at),
        // In place of what an earlier file says: not set.
        (Kind::Number | Kind::Seconds | Kind::Text, DeValue::Boolean(false)) if key.default.is_none() => {
            Ok(Vec::new())
        }
        (Kind::Text, DeValue::String(s)) => tried(s.to_string(), at),
        (Kind::List, DeValue::String(s)) => tried(s.to_string(), at),
        (Kind::List, DeValue::Array(list)) => {
            let mut all = Vec::new();
            for item in list.iter() {
                match item.get_ref() {
                    DeValue::String(s) => all.extend(tried(s.to_string(), item.span().start)?),
                    other => return Err((item.span().start, wrong(other))),
                }
            }
            Ok(all)
        }
        (_, other) => Err((at, wrong(other))),
    }
}

/// What a value is, in words.
pub fn article(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with decimals",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
