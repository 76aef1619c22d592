// SPDX-License-Identifier: GPL-2.0-only
//! Log lines on standard error, as many as asked for; in the journal with their priorities.

use log::{Level, LevelFilter};
use std::io::Write;

/// Begins to log, with `verbose` times -v.
pub fn init(verbose: u8) {
    let mut builder = env_logger::Builder::new();
    // As much as may ever be asked for: [`set`] says how much is.
    builder.filter_level(LevelFilter::Debug).parse_default_env();
    if std::env::var_os("JOURNAL_STREAM").is_some() {
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
    builder.init();
    set(verbose);
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
