// SPDX-License-Identifier: GPL-2.0-only
//! Plots as SVG text, on one HTML page that needs nothing else and is the same for the same
//! values.

mod lines;
mod page;
mod style;

pub use lines::{ecdf, ecdf_linear, over_time, show_ms, show_times, sorted, Labels, Series, Show, Track};
pub use page::{escape, page};
pub use style::Style;
