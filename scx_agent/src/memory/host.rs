// SPDX-License-Identifier: GPL-2.0-only
//! The host's memory.

use super::limit::MB;
use anyhow::{Context, Result};
use procfs::{Current, Meminfo, MemoryPressure};

/// The host's memory now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Host {
    /// MemAvailable, in bytes.
    pub available: u64,
    /// PSI, some avg10, in percent; 0 where PSI is off.
    pub some_avg10: f32,
    /// PSI, full avg10, in percent; 0 where PSI is off.
    pub full_avg10: f32,
    /// How long some task has stalled for memory so far, in us; 0 where PSI is off.
    pub stalled_us: u64,
    /// SwapFree and SwapTotal, in bytes.
    pub swap_free: u64,
    pub swap_total: u64,
}

impl Host {
    /// # Errors
    /// /proc/meminfo cannot be read.
    pub fn now() -> Result<Host> {
        let mem = Meminfo::current().context("cannot read /proc/meminfo")?;
        let available = mem.mem_available.unwrap_or(mem.mem_free);
        let (some_avg10, full_avg10, stalled_us) =
            MemoryPressure::current().map_or((0.0, 0.0, 0), |p| (p.some.avg10, p.full.avg10, p.some.total));
        let (swap_free, swap_total) = (mem.swap_free, mem.swap_total);
        Ok(Host { available, some_avg10, full_avg10, stalled_us, swap_free, swap_total })
    }
}

/// What bursts may not use up unless the operator says otherwise: a twentieth of the memory, at
/// least 128 MB, at most 4 GB.
///
/// # Errors
/// /proc/meminfo cannot be read.
pub fn default_reserve() -> Result<u64> {
    let mem = Meminfo::current().context("cannot read /proc/meminfo")?;
    Ok((mem.mem_total / 20).clamp(128 * MB, 4096 * MB))
}
