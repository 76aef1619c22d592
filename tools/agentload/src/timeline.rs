// SPDX-License-Identifier: GPL-2.0-only
//! Who ran where: the kernel's `sched_switch` and `sched_process_fork` events during a run, in a
//! trace instance of our own, reduced to the dominant occupant of each bin.

use crate::record::TimelineRecord;
use crate::ringbuf::{self, Event, Layout};
use crate::sys;
use anyhow::{bail, Context, Result};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Width of a bin in ns.
const BIN_NS: u64 = 10_000_000;
/// Ring buffer per CPU in KiB: about 100 000 switches.
const BUFFER_KB: u64 = 8192;
/// Phases of [`TimelineRecord`].
const IDLE: i64 = 0;
const FRAMEWORK: i64 = 1;
const TOOL: i64 = 2;
const OTHER: i64 = 3;

/// A running trace; its instance is removed when dropped.
pub struct Tracer {
    dir: PathBuf,
    switch: Layout,
    fork: Layout,
}

impl Tracer {
    /// Starts to trace. Fails without tracefs or without the right to use it.
    pub fn start() -> Result<Tracer> {
        let root = tracefs()?;
        let dir = root.join("instances/agentload");
        let _ = fs::remove_dir(&dir);
        fs::create_dir(&dir).with_context(|| format!("cannot make the trace instance {}", dir.display()))?;
        // From here on Drop cleans up.
        let mut t = Tracer {
            dir,
            switch: Layout { id: 0, first: 0, second: 0 },
            fork: Layout { id: 0, first: 0, second: 0 },
        };
        t.switch = t.event("sched_switch", "prev_pid", "next_pid")?;
        t.fork = t.event("sched_process_fork", "parent_pid", "child_pid")?;
        t.write("trace_clock", "mono")?;
        let _ = t.write("options/record-cmd", "0");
        t.write("buffer_size_kb", &buffer_kb().to_string())?;
        t.write("events/sched/sched_switch/enable", "1")?;
        t.write("events/sched/sched_process_fork/enable", "1")?;
        t.write("tracing_on", "1")?;
        Ok(t)
    }

    fn event(&self, name: &str, first: &str, second: &str) -> Result<Layout> {
        let path = self.dir.join("events/sched").join(name).join("format");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        ringbuf::layout(&text, first, second)
            .with_context(|| format!("{}: no fields {first}, {second}", path.display()))
    }

    fn write(&self, file: &str, value: &str) -> Result<()> {
        let path = self.dir.join(file);
        fs::write(&path, value).with_context(|| format!("cannot write {value:?} to {}", path.display()))
    }

    /// Stops and reduces. `start_ns` is the run's start (CLOCK_MONOTONIC), `frameworks` the
    /// framework pids in the plan's order. Says on stderr when the buffer was too small.
    pub fn finish(&mut self, start_ns: u64, frameworks: &[i32]) -> Result<Vec<TimelineRecord>> {
        self.write("tracing_on", "0")?;
        let end_ns = sys::now_ns();
        let mut switches = Vec::new();
        let mut forks = Vec::new();
        for cpu in 0..1024 {
            let dir = self.dir.join(format!("per_cpu/cpu{cpu}"));
            if dir.is_dir() {
                let mut own = Vec::new();
                self.read_cpu(&dir, |t, e| match e {
                    Event::Switch { prev, next } => own.push((t, prev, next)),
                    Event::Fork { parent, child } => forks.push((t, parent, child)),
                })?;
                switches.push((cpu, own));
            }
        }
        let who = owners(frameworks, &mut forks);
        Ok(switches
            .into_iter()
            .filter(|(_, s)| !s.is_empty())
            .map(|(cpu, s)| TimelineRecord { cpu, bin_ns: BIN_NS, runs: bins(&s, &who, start_ns, end_ns) })
            .collect())
    }

    fn read_cpu(&self, dir: &Path, mut f: impl FnMut(u64, Event)) -> Result<()> {
        use std::io::Read;
        use std::os::unix::fs::OpenOptionsExt;
        let path = dir.join("trace_pipe_raw");
        let mut file = fs::OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        let mut page = vec![0u8; 65536];
        // A read gives at most one sub-buffer; EAGAIN is the end.
        while let Ok(n) = file.read(&mut page) {
            if n == 0 {
                break;
            }
            ringbuf::parse(&page[..n], self.switch, self.fork, &mut f);
        }
        let stats = fs::read_to_string(dir.join("stats")).unwrap_or_default();
        let lost = stats.lines().find_map(|l| l.strip_prefix("overrun: ")).unwrap_or("0");
        if lost.trim() != "0" {
            eprintln!("agentload: timeline: {lost} events lost at the beginning of {}", dir.display());
        }
        Ok(())
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _ = self.write("tracing_on", "0");
        let _ = self.write("events/enable", "0");
        let _ = fs::remove_dir(&self.dir);
    }
}

/// The tracefs mount; mounts it at its usual place if it is not there.
fn tracefs() -> Result<PathBuf> {
    let here = |p: &str| Path::new(p).join("instances").is_dir();
    for p in ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"] {
        if here(p) {
            return Ok(p.into());
        }
    }
    let at = c"/sys/kernel/tracing";
    // SAFETY: constant strings.
    unsafe { libc::mount(c"tracefs".as_ptr(), at.as_ptr(), c"tracefs".as_ptr(), 0, std::ptr::null()) };
    if here("/sys/kernel/tracing") {
        return Ok("/sys/kernel/tracing".into());
    }
    bail!("no tracefs (CONFIG_FTRACE) at /sys/kernel/tracing: --timeline needs it")
}

/// Buffer per CPU: [`BUFFER_KB`], but together at most an eighth of the memory.
fn buffer_kb() -> u64 {
    // SAFETY: no pointers.
    let total_kb = unsafe { libc::sysconf(libc::_SC_PHYS_PAGES) } as u64 * 4;
    BUFFER_KB.min(total_kb / 8 / sys::online_cpus() as u64).max(64)
}

/// pid -> (agent index, phase) of all frameworks and their descendants.
fn owners(frameworks: &[i32], forks: &mut [(u64, i32, i32)]) -> HashMap<i32, (i64, i64)> {
    let mut who: HashMap<i32, (i64, i64)> =
        frameworks.iter().enumerate().map(|(i, pid)| (*pid, (i as i64, FRAMEWORK))).collect();
    forks.sort_unstable();
    for (_, parent, child) in forks.iter() {
        match who.get(parent) {
            Some((agent, _)) => {
                who.insert(*child, (*agent, TOOL));
            }
            // A pid that is used again by a stranger.
            None => {
                who.remove(child);
            }
        }
    }
    who
}

/// Runs of equal bins of one CPU's switches `(time, prev, next)`.
fn bins(
    switches: &[(u64, i32, i32)],
    who: &HashMap<i32, (i64, i64)>,
    start_ns: u64,
    end_ns: u64,
) -> Vec<[i64; 4]> {
    let occupant = |pid: i32| match pid {
        0 => (-1, IDLE),
        _ => who.get(&pid).copied().unwrap_or((-1, OTHER)),
    };
    let mut runs: Vec<[i64; 4]> = Vec::new();
    // Time of each occupant in the bin being filled.
    let mut shares: Vec<((i64, i64), u64)> = Vec::new();
    let mut bin = 0;
    let mut close = |bin: u64, shares: &mut Vec<((i64, i64), u64)>| {
        let Some((most, _)) = shares.iter().max_by_key(|(o, t)| (*t, std::cmp::Reverse(*o))).copied() else {
            return;
        };
        shares.clear();
        match runs.last_mut() {
            Some(r) if (r[2], r[3]) == most && r[0] + r[1] == bin as i64 => r[1] += 1,
            _ => runs.push([bin as i64, 1, most.0, most.1]),
        }
    };
    let Some(first) = switches.first() else {
        return runs;
    };
    let mut at = start_ns;
    let mut pid = first.1;
    let last = (end_ns, 0, 0);
    for (t, _, next) in switches.iter().chain([&last]) {
        let mut from = at.max(start_ns);
        let to = (*t).min(end_ns);
        while from < to {
            let k = (from - start_ns) / BIN_NS;
            if k != bin {
                close(bin, &mut shares);
                bin = k;
            }
            let until = to.min(start_ns + (k + 1) * BIN_NS);
            let o = occupant(pid);
            match shares.iter_mut().find(|s| s.0 == o) {
                Some(s) => s.1 += until - from,
                None => shares.push((o, until - from)),
            }
            from = until;
        }
        at = at.max(*t);
        pid = *next;
    }
    close(bin, &mut shares);
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descendants_belong_to_their_agent() {
        let mut forks = [(3, 201, 202), (1, 100, 200), (2, 200, 201), (4, 50, 202), (5, 7, 8)];
        let who = owners(&[100, 101], &mut forks);
        assert_eq!(who[&100], (0, FRAMEWORK));
        assert_eq!(who[&101], (1, FRAMEWORK));
        assert_eq!(who[&201], (0, TOOL));
        assert_eq!(who.get(&202), None, "used again by a stranger");
        assert_eq!(who.get(&8), None);
    }

    #[test]
    fn bins_have_their_dominant_occupant() {
        let who: HashMap<i32, (i64, i64)> = [(10, (0, FRAMEWORK)), (11, (0, TOOL))].into();
        let ms = 1_000_000;
        let start = 1000 * ms;
        // idle to 12 ms, tool to 38, a stranger to 45, framework to 46, idle to 60.
        let s =
            [(12, 0, 11), (38, 11, 99), (45, 99, 10), (46, 10, 0)].map(|(t, p, n)| (start + t * ms, p, n));
        let runs = bins(&s, &who, start, start + 60 * ms);
        assert_eq!(runs, [[0, 1, -1, IDLE], [1, 3, 0, TOOL], [4, 1, -1, OTHER], [5, 1, -1, IDLE]]);
        assert_eq!(bins(&[], &who, start, start + ms), Vec::<[i64; 4]>::new());
    }

    #[test]
    fn what_was_before_the_start_does_not_count() {
        let who = HashMap::new();
        let s = [(500, 0, 5), (1500, 5, 0)];
        assert_eq!(bins(&s, &who, 1000, 1800), [[0, 1, -1, OTHER]]);
    }
}
