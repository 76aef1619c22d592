// SPDX-License-Identifier: GPL-2.0-only
//! What the kernel accounts: for an agent's cgroup, for the host, and for this process. For those that show it.

use crate::memory::{Cgroup, CGROUP_ROOT};
use procfs::process::Process;
use procfs::{CpuPressure, Current, CurrentSI, IoPressure, Meminfo, MemoryPressure, PressureRecord};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A cgroup, its subtree included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// CPU time since it was made, in us.
    pub cpu_us: u64,
    /// In bytes; None without the memory controller.
    pub memory: Option<u64>,
}

impl Usage {
    /// Of the cgroup with this id now; None if it is gone.
    pub fn of(id: u64) -> Option<Usage> {
        let cgroup = Cgroup::by_id(Path::new(CGROUP_ROOT), id).ok()?;
        Some(Usage { cpu_us: cgroup.cpu_us(), memory: cgroup.current().ok() })
    }
}

/// The host: shares of the last ten seconds in which tasks waited for something (PSI `some avg10`), 0 to 1,
/// None where PSI is off; memory in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Host {
    pub cpu: Option<f64>,
    pub memory: Option<f64>,
    pub io: Option<f64>,
    pub available: u64,
    pub total: u64,
    pub cpus: usize,
    /// CPU time of all but idle and steal since boot, in us.
    pub cpu_us: u64,
}

impl Host {
    /// The host now; what cannot be read is missing or 0.
    pub fn now() -> Host {
        let share = |some: PressureRecord| f64::from(some.avg10) / 100.0;
        let memory = Meminfo::current().ok();
        let stat = procfs::KernelStats::current().ok();
        let us = |ticks: u64| ticks * 1_000_000 / procfs::ticks_per_second();
        Host {
            cpu: CpuPressure::current().ok().map(|p| share(p.some)),
            memory: MemoryPressure::current().ok().map(|p| share(p.some)),
            io: IoPressure::current().ok().map(|p| share(p.some)),
            available: memory.as_ref().map_or(0, |m| m.mem_available.unwrap_or(m.mem_free)),
            total: memory.as_ref().map_or(0, |m| m.mem_total),
            cpus: stat.as_ref().map_or(1, |s| s.cpu_time.len().max(1)),
            cpu_us: stat.map_or(0, |s| {
                let t = s.total;
                us(t.user + t.nice + t.system + t.irq.unwrap_or(0) + t.softirq.unwrap_or(0))
            }),
        }
    }
}

/// This process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Own {
    /// Resident memory, in bytes.
    pub resident: u64,
    /// CPU time of all its threads since it began, in s.
    pub cpu_s: f64,
}

impl Own {
    /// This process now; what cannot be read is 0.
    pub fn now() -> Own {
        let Ok(me) = Process::myself() else { return Own::default() };
        // `stat` has it, too, but only to some pages for each CPU.
        let maps = me.smaps_rollup().map(|r| r.memory_map_rollup.0).unwrap_or_default();
        let ticks = me.stat().map_or(0, |s| s.utime + s.stime);
        Own {
            resident: maps.iter().filter_map(|m| m.extension.map.get("Rss")).sum(),
            cpu_s: ticks as f64 / procfs::ticks_per_second() as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_process_uses_is_read() {
        const MORE: u64 = 64 << 20;
        let before = Own::now();
        let pages = std::hint::black_box(vec![1u8; MORE as usize]);
        while Own::now().cpu_s <= before.cpu_s {
            std::hint::black_box(pages.iter().map(|b| u64::from(*b)).sum::<u64>());
        }
        let grown = Own::now().resident.saturating_sub(before.resident);
        // Other tests run beside this one.
        assert!((MORE / 2..MORE * 8).contains(&grown), "{grown} more bytes");
    }
}
