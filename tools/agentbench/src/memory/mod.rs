// SPDX-License-Identifier: GPL-2.0-only
//! What control of memory is worth: the same agents in the same memory, with and without it.
//!
//! [`rounds`] runs them in a guest; [`priority`] and [`density`] say what to run and what it came to.

pub mod cli;
pub mod density;
pub mod load;
pub mod priority;
pub mod rounds;
pub mod stats;
pub mod table;
