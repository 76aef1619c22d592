// SPDX-License-Identifier: GPL-2.0-only
//! The settings of the daemon: configuration files, and the command line over them.
//!
//! `keys` takes the keys from the command line's own definition, `file` reads one file, `example`
//! writes the one that is shipped, and this puts them together: a main file, then the files of
//! `conf.d` beside it in the order of their names, each over those before it, then the command line.

mod agents;
mod example;
mod file;
mod keys;
mod reference;

pub use example::{example, shown};
pub use file::{Place, Problem};
pub use keys::Kind;
pub use reference::reference;

use crate::cli::Opts;
use crate::scheduler;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use file::{Contents, Setting};
use keys::{keys, Key};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Read if `--config` names no other; need not be there.
pub const DEFAULT_PATH: &str = "/etc/scx_agent/config.toml";
/// Folder of drop-ins, beside the main file.
const DROP_INS: &str = "conf.d";

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Default,
    /// One or more places: kinds of agents add to lists.
    Files(Vec<Place>),
    CommandLine,
}

/// A key with the value in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    pub kind: Kind,
    /// True if a reload applies it.
    pub live: bool,
    /// As on the command line; empty if it is not set and has no default.
    pub words: Vec<String>,
    pub origin: Origin,
}

/// The settings in force.
#[derive(Debug)]
pub struct Config {
    pub opts: Opts,
    /// The files that were read, in order.
    pub files: Vec<PathBuf>,
    /// By key.
    pub values: BTreeMap<String, Value>,
}

/// All that is wrong with the files.
#[derive(Debug)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, p) in self.0.iter().enumerate() {
            write!(f, "{}{p}", if i > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The files for `--config PATH`, or for none: the main file, and the drop-ins beside it.
///
/// # Errors
/// A file that was named is not there, or `conf.d` cannot be read.
pub fn files(named: Option<&Path>) -> Result<Vec<PathBuf>, Problems> {
    let main = named.unwrap_or(Path::new(DEFAULT_PATH));
    let told = |path: &Path, e: &dyn fmt::Display| {
        Problems(vec![Problem(format!("cannot read {}: {e}", path.display()))])
    };
    let mut all = Vec::new();
    match std::fs::metadata(main) {
        Ok(meta) if meta.is_file() => all.push(main.to_path_buf()),
        Ok(_) => return Err(told(main, &"it is not a file")),
        Err(e) if e.kind() == ErrorKind::NotFound && named.is_none() => (),
        Err(e) => return Err(told(main, &e)),
    }
    let dir = main.parent().unwrap_or(Path::new("")).join(DROP_INS);
    let mut drop_ins = match std::fs::read_dir(&dir) {
        Ok(entries) => {
            entries.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>().map_err(|e| told(&dir, &e))?
        }
        Err(e) if e.kind() == ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(told(&dir, &e)),
    };
    let shown = |p: &PathBuf| {
        let name = p.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.ends_with(".toml") && !name.starts_with('.')
    };
    drop_ins.retain(shown);
    drop_ins.sort();
    all.extend(drop_ins);
    Ok(all)
}

/// Reads the files that the command line `argv` says, and puts its options over them.
///
/// # Errors
/// All that is wrong with the files, or with them on this machine; a wrong command line ends the process with
/// clap's message.
pub fn load(argv: &[OsString]) -> Result<Config, Problems> {
    let matches = Opts::command().get_matches_from(argv);
    let files = files(matches.get_one::<PathBuf>("config").map(PathBuf::as_path))?;
    let config = read(argv, &matches, files)?;
    if let Ok(cpus) = libbpf_rs::num_possible_cpus() {
        config.suits(cpus)?;
    }
    Ok(config)
}

fn read(argv: &[OsString], matches: &ArgMatches, files: Vec<PathBuf>) -> Result<Config, Problems> {
    let keys = keys();
    let (mut contents, mut problems) = (Vec::new(), Vec::new());
    for path in &files {
        match file::read(path, &keys) {
            Ok(c) => contents.push(c),
            Err(p) => problems.extend(p),
        }
    }
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    let merged = merge(contents);
    let values: BTreeMap<String, Value> =
        keys.iter().map(|k| (k.name.clone(), in_force(k, matches, &merged))).collect();
    let from_files = keys.iter().flat_map(|k| match &values[&k.name] {
        Value { origin: Origin::Files(_), words, .. } => words.iter().map(|w| k.word(w)).collect(),
        _ => Vec::new(),
    });
    let mut words: Vec<OsString> = argv.iter().take(1).cloned().collect();
    words.extend(from_files.map(OsString::from));
    words.extend(argv.iter().skip(1).cloned());
    // Each value has been tried; together they could still be too much for the command line.
    let opts = Opts::command()
        .try_get_matches_from(words)
        .and_then(|m| Opts::from_arg_matches(&m))
        .map_err(|e| Problems(vec![Problem(e.to_string())]))?;
    Ok(Config { opts, files, values })
}

/// Later files win, key by key; kinds of agents add up, those of the same name do not.
fn merge(contents: Vec<Contents>) -> BTreeMap<String, Vec<Setting>> {
    let (mut settings, mut agents) = (BTreeMap::new(), BTreeMap::new());
    for c in contents {
        for s in c.settings {
            settings.insert(s.key.clone(), vec![s]);
        }
        for a in c.agents {
            agents.insert(a.name.clone(), a);
        }
    }
    for a in agents.into_values() {
        for (key, values) in a.lists {
            if !values.is_empty() {
                let setting = Setting { key: key.into(), values, place: a.place.clone() };
                settings.entry(key.to_string()).or_insert_with(Vec::new).push(setting);
            }
        }
    }
    settings
}

fn in_force(key: &Key, matches: &ArgMatches, files: &BTreeMap<String, Vec<Setting>>) -> Value {
    let value = |words, origin| Value { kind: key.kind, live: key.live, words, origin };
    if matches.value_source(&key.name) == Some(ValueSource::CommandLine) {
        let words = match key.kind {
            Kind::Flag => vec![String::new()],
            Kind::Count => vec![String::new(); matches.get_count(&key.name).into()],
            _ => {
                let raw = matches.get_raw(&key.name).into_iter().flatten();
                raw.map(|w| w.to_string_lossy().into_owned()).collect()
            }
        };
        return value(words, Origin::CommandLine);
    }
    match files.get(&key.name) {
        Some(settings) => {
            let words = settings.iter().flat_map(|s| s.values.clone()).collect();
            value(words, Origin::Files(settings.iter().map(|s| s.place.clone()).collect()))
        }
        None => value(key.default.iter().cloned().collect(), Origin::Default),
    }
}

impl Config {
    /// # Errors
    /// What a machine with so many CPUs cannot do, and the kernel half has no room for.
    fn suits(&self, cpus: usize) -> Result<(), Problems> {
        let told = |key, why: &dyn fmt::Display| {
            let places = match self.values.get(key).map(|v| &v.origin) {
                Some(Origin::Files(places)) => places.as_slice(),
                _ => &[],
            };
            // Of a list that several have added to, the last is where it became too long.
            let place = places.last().map(|p| format!("{p}: ")).unwrap_or_default();
            Problem(format!("{place}{key}: {why}"))
        };
        let cpus = self.opts.qos.background_mask(cpus).err().map(|e| told("background_cpus", &e));
        let room = scheduler::fits(&self.opts).err().map(|(key, why)| told(key, &why));
        let problems: Vec<Problem> = cpus.into_iter().chain(room).collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Problems(problems))
        }
    }

    /// Takes over the keys `live` of `new`: the others stay as they are in force. Options that are
    /// applied as a whole are read from `new` by then.
    pub fn take_over(&mut self, new: Config, live: &[String]) {
        self.files = new.files;
        for (name, value) in new.values.into_iter().filter(|(n, _)| live.contains(n)) {
            self.values.insert(name, value);
        }
        self.opts.verbose = new.opts.verbose;
        self.opts.memory.take_over(new.opts.memory);
        self.opts.qos.take_over(new.opts.qos);
        self.opts.limit = new.opts.limit;
    }

    /// The keys whose values differ from those of `old`: those that a reload applies, and those that
    /// need a restart.
    pub fn changes(&self, old: &Config) -> (Vec<String>, Vec<String>) {
        let differs =
            |(name, v): &(&String, &Value)| old.values.get(*name).is_none_or(|o| o.words != v.words);
        let (live, rest): (Vec<_>, Vec<_>) = self.values.iter().filter(differs).partition(|(_, v)| v.live);
        let names = |all: Vec<(&String, &Value)>| all.into_iter().map(|(n, _)| n.clone()).collect();
        (names(live), names(rest))
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
