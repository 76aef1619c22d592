// SPDX-License-Identifier: GPL-2.0-only
//! Metrics for Prometheus over HTTP. The main loop hands out a [`crate::view::View`]; what is read from files is read,
//! and all text is made, in the thread that serves (`http`). `families` says what there is.

mod families;
mod http;
mod observed;
mod options;

pub use http::Server;
pub use observed::Observed;
pub use options::{Listen, Options};
