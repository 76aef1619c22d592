// SPDX-License-Identifier: GPL-2.0-only
//! Which process dies when memory runs out: the processes of a tool call before the framework.
//!
//! The first process of a call gets a higher oom_score_adj as soon as the call begins, and those
//! that descend from it inherit that. The framework's own is never written. What is noted to put
//! them back is which values were given in place of which, for each agent: the processes are found
//! by their value, so one that has set that very value for itself would be put back, too.

use super::knobs::{pids_below, Cgroup};
use rustix::fs::{open, openat, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

/// The highest oom_score_adj (proc(5)): such a process goes first.
const ADJ_MAX: i32 = 1000;
/// Processes that a call may have before we see its begin; more are left with what they have.
const FAMILY_MAX: usize = 64;
/// How often an agent's processes are looked through until none is found that has a value of ours.
const ROUNDS: usize = 16;

/// A value that processes of an agent had, and the one that they were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raised {
    pub from: i32,
    pub to: i32,
}

/// What a process with `old` gets, `by` (0..=1000) more: None if it has the highest already.
pub fn raised(old: i32, by: u32) -> Option<Raised> {
    let to = old.saturating_add_unsigned(by).min(ADJ_MAX);
    (to > old).then_some(Raised { from: old, to })
}

/// A process, held by its directory in /proc: another one with its number is not taken for it.
struct Process(OwnedFd);

impl Process {
    fn open(pid: u32) -> io::Result<Process> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Process(open(format!("/proc/{pid}"), flags, Mode::empty())?))
    }

    fn read(&self, name: &str) -> io::Result<String> {
        let mut text = String::new();
        let file: File = openat(&self.0, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?.into();
        file.take(1 << 16).read_to_string(&mut text)?;
        Ok(text)
    }

    fn adj(&self) -> io::Result<i32> {
        self.read("oom_score_adj")?.trim().parse().map_err(|_| io::ErrorKind::InvalidData.into())
    }

    fn set_adj(&self, adj: i32) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let mut file: File = openat(&self.0, "oom_score_adj", flags, Mode::empty())?.into();
        file.write_all(adj.to_string().as_bytes())
    }

    /// Whether it is in `cgroup`, the path of one below the root, or below that.
    fn is_in(&self, cgroup: &str) -> io::Result<bool> {
        Ok(self.read("cgroup")?.lines().filter_map(|l| l.strip_prefix("0::/")).any(|path| {
            path.strip_prefix(cgroup).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }))
    }

    fn children(&self, pid: u32) -> Vec<u32> {
        let text = self.read(&format!("task/{pid}/children")).unwrap_or_default();
        text.split_whitespace().filter_map(|p| p.parse().ok()).collect()
    }
}

/// True if `e` says that a process has ended.
fn has_ended(e: &io::Error) -> bool {
    e.kind() == io::ErrorKind::NotFound || e.raw_os_error() == Some(Errno::SRCH.raw_os_error())
}

/// What the first process `pid` of a call in `cgroup` is to get, `by` more than it has; None if it
/// has ended, is not there any more, or has the highest.
///
/// # Errors
/// /proc cannot be read.
pub fn plan(cgroup: &Cgroup, pid: u32, by: u32) -> io::Result<Option<Raised>> {
    let look = || -> io::Result<Option<Raised>> {
        let first = Process::open(pid)?;
        let adj = first.adj()?;
        Ok(raised(adj, by).filter(|_| first.is_in(&cgroup.path).unwrap_or(false)))
    };
    look().or_else(|e| if has_ended(&e) { Ok(None) } else { Err(e) })
}

/// Gives `pid` of `cgroup`, and those it has forked already, the value `raised.to` in place of
/// `raised.from`.
///
/// # Errors
/// The kernel refuses it. That one has ended meanwhile is no error.
pub fn raise(cgroup: &Cgroup, pid: u32, raised: Raised) -> io::Result<()> {
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(&pid) = family.get(next) {
        next += 1;
        let one = || -> io::Result<Vec<u32>> {
            let process = Process::open(pid)?;
            // Whoever left the agent is none of its calls.
            if process.adj()? == raised.from && process.is_in(&cgroup.path)? {
                process.set_adj(raised.to)?;
            }
            // After the write: those forked from now on inherit it.
            Ok(process.children(pid))
        };
        match one() {
            Ok(children) => {
                family.extend(children.into_iter().take(FAMILY_MAX - family.len().min(FAMILY_MAX)))
            }
            Err(e) if has_ended(&e) => (),
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Puts the processes of `cgroup` and of those below it back that have one of the values given, also
/// those that are forked meanwhile by one whose turn was not yet. Returns how many.
///
/// # Errors
/// A cgroup cannot be read, or a value not written.
pub fn put_back(cgroup: &Cgroup, given: &[Raised]) -> io::Result<u64> {
    let mut count = 0;
    for _ in 0..ROUNDS {
        match put_back_once(cgroup, given)? {
            0 => break,
            some => count += some,
        }
    }
    Ok(count)
}

fn put_back_once(cgroup: &Cgroup, given: &[Raised]) -> io::Result<u64> {
    let mut count = 0;
    for pid in pids_below(&cgroup.file(""))? {
        let one = || -> io::Result<u64> {
            let process = Process::open(pid)?;
            let adj = process.adj()?;
            let Some(own) = given.iter().find(|r| r.to == adj) else { return Ok(0) };
            process.set_adj(own.from)?;
            Ok(1)
        };
        count += one().or_else(|e| if has_ended(&e) { Ok(0) } else { Err(e) })?;
    }
    Ok(count)
}

/// Whether a wait status says that SIGKILL ended the process, or that a shell says so of its child.
pub fn was_killed(status: u32) -> bool {
    let status = status as i32;
    (libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL)
        || (libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 128 + libc::SIGKILL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_in_range_and_are_never_lowered() {
        assert_eq!(raised(0, 500), Some(Raised { from: 0, to: 500 }));
        assert_eq!(raised(-997, 500), Some(Raised { from: -997, to: -497 }));
        assert_eq!(raised(800, 500), Some(Raised { from: 800, to: 1000 }));
        assert_eq!(raised(1000, 500), None);
        assert_eq!(raised(0, 0), None);
    }

    #[test]
    fn a_kill_is_told_from_other_ends() {
        assert!(was_killed(9));
        assert!(was_killed(137 << 8));
        for other in [0, 1 << 8, 15, 143 << 8, 9 << 8] {
            assert!(!was_killed(other), "{other}");
        }
    }

    #[test]
    fn processes_outside_the_agent_are_left_alone() {
        let own = Process::open(std::process::id()).unwrap();
        assert!(!own.is_in("no/such/agent").unwrap());
        assert!(own.adj().is_ok());
        let ended = Process::open(u32::MAX - 1);
        assert!(ended.is_err_and(|e| has_ended(&e)));
    }
}
