// SPDX-License-Identifier: GPL-2.0-only
//! A sched_ext host without one: boots a stock Debian kernel under QEMU's software emulation, runs
//! a scheduler and a workload in it, and gets files and exit statuses out.
//!
//! [`prepare`] brings kernel, emulator and busybox into the cache, once per machine. [`Guest`] is
//! one boot; [`Guest::run`] gives its [`Outcome`]. Why the two modes exist, and what makes
//! [`Mode::Lockstep`] bit-for-bit repeatable, is told in `image.rs` and `qemu.rs`.

mod apt;
mod cache;
mod child;
mod choice;
mod cpio;
mod guest;
mod image;
mod initramfs;
mod modules;
mod outcome;
mod prepare;
mod qemu;
mod rootfs;

pub use choice::KernelChoice;
pub use guest::{Guest, Mode};
pub use initramfs::{parse_file, parse_program};
pub use outcome::{Outcome, RunError, SchedulerOutcome};
pub use prepare::{prepare, unpack, update, Prepared};
pub use qemu::interrupt;
pub use rootfs::packages;
