// SPDX-License-Identifier: GPL-2.0-only
//! Real processes that behave like AI coding agents.
//!
//! A [`plan`] says what every agent will do; it comes from a [generator](generate), from
//! recorded [`traces`], or from a file. [Running](run) a plan yields [`record`]s, and a
//! [`summary`] of them.

pub mod burn;
pub mod cgroup;
pub mod convert;
pub mod framework;
pub mod generate;
pub mod plan;
pub mod plan_file;
pub mod react;
pub mod record;
pub mod ringbuf;
pub mod rng;
pub mod run;
pub mod shared;
pub mod show;
pub mod summary;
pub mod synth;
pub mod sys;
pub mod timeline;
pub mod work;

pub use agenttraces::{import, jsonl, traces};
