// SPDX-License-Identifier: GPL-2.0-only
//! Recorded tasks of AI coding agents: their [format](traces), an [importer](import) of public
//! measurements, and [JSON lines](jsonl) with errors that say where.

pub mod import;
pub mod jsonl;
pub mod spans;
pub mod traces;
