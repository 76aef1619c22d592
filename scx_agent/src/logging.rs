// SPDX-License-Identifier: GPL-2.0-only
//! Log lines, as many as asked for: on standard error, and where that is the journal, there, with their
//! priorities and with what was decided as fields of their own.
//!
//! Fields are given to log's macros by their names in the journal, `SCX_AGENT_AGENT` and others that
//! docs/operation.md lists. A value may be anything: it cannot become another field.

use env_filter::FilteredLog;
use log::{Level, LevelFilter, Log};
use std::io::Write;
use systemd_journal_logger::{connected_to_journal, JournalLog};

/// As much as may ever be asked for: [`set`] says how much is.
const MOST: LevelFilter = LevelFilter::Debug;

/// A part of scx_utils that warns on each machine without some files of sysfs, most virtual ones, of what we
/// do not ask it for.
const WARNS_IN_VAIN: &str = "scx_utils::topology";

/// Begins to log, with `verbose` times -v. `serves`: of a process that lives long enough for the journal to
/// see which unit it is of, so that it may be told fields; others write lines that it reads.
pub fn init(verbose: u8, serves: bool) {
    let journal = (serves && connected_to_journal()).then(|| JournalLog::new().ok()).flatten();
    let log: Box<dyn Log> = match journal {
        Some(journal) => {
            let mut filter = env_filter::Builder::new();
            filter.filter_level(MOST).filter_module(WARNS_IN_VAIN, LevelFilter::Error);
            if let Ok(wanted) = std::env::var(env_logger::DEFAULT_FILTER_ENV) {
                filter.parse(&wanted);
            }
            Box::new(FilteredLog::new(journal, filter.build()))
        }
        None => Box::new(lines()),
    };
    // Fails if there is a logger: this is called once.
    let _ = log::set_boxed_logger(log);
    log::set_max_level(LevelFilter::Trace);
    set(verbose);
}

/// On standard error; what reads it, if it is the journal, takes the priority from the line.
fn lines() -> env_logger::Logger {
    let mut builder = env_logger::Builder::new();
    builder.filter_level(MOST).filter_module(WARNS_IN_VAIN, LevelFilter::Error).parse_default_env();
    if connected_to_journal() {
        builder.format(|to, record| {
            let priority = match record.level() {
                Level::Error => 3,
                Level::Warn => 4,
                Level::Info => 6,
                Level::Debug | Level::Trace => 7,
            };
            writeln!(to, "<{priority}>{}", record.args())
        });
    }
    builder.build()
}

/// Logs more or less from now on. RUST_LOG is over it.
pub fn set(verbose: u8) {
    if std::env::var_os("RUST_LOG").is_some() {
        return;
    }
    log::set_max_level(match verbose {
        0 => LevelFilter::Warn,
        1 => LevelFilter::Info,
        _ => LevelFilter::Debug,
    });
}
