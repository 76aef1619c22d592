// SPDX-License-Identifier: GPL-2.0-only
//! Compares schedulers under the same plan of AI coding agents.
//!
//! [`matrix`] runs the [`scenarios`] under each [`scheduler`] in a VM ([`boot`]); [`metrics`]
//! turns records into figures, which [`figures`] names; [`ideal`] simulates the same plan under
//! a [`policy`] without overhead. [`results`] holds all of it; [`table`], [`report`] and
//! [`check`] read only that. [`memory`] compares control of memory instead.

pub mod boot;
pub mod check;
pub mod explore;
pub mod figures;
pub mod ideal;
pub mod matrix;
pub mod memory;
pub mod metrics;
pub mod policy;
pub mod pool;
pub mod report;
pub mod results;
pub mod scenarios;
pub mod scheduler;
pub mod table;
