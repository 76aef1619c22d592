// SPDX-License-Identifier: GPL-2.0-only
//! One tool call, as it is kept, sent and shown.

use super::category::Kind;
use super::hint::Hint;
use super::repeat::Retry;
use serde::{Deserialize, Serialize};

/// How the first process of a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// With this exit status.
    Exited(u32),
    /// By this signal.
    Killed(u32),
}

impl Status {
    /// From a wait status, as the kernel keeps it.
    pub fn from_wait(status: u32) -> Status {
        match status & 0x7f {
            0 => Status::Exited(status >> 8 & 0xff),
            signal => Status::Killed(signal),
        }
    }
}

/// What the agent's own hooks say of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    pub session: Option<String>,
    /// The agent's own name of the call, such as `toolu_...`.
    pub id: Option<String>,
    /// The agent's name of the tool, such as `Bash`.
    pub tool: Option<String>,
    /// From the hook before to the hook after the call, in ns; None before the latter.
    pub lasted_ns: Option<u64>,
}

/// One tool call. Times are in ns, CLOCK_MONOTONIC where they are points in time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Its agent's name.
    pub agent: String,
    /// Its number, never used again.
    pub call: u64,
    /// Its first process.
    pub pid: u32,
    /// comm of its first process; chosen by the container.
    pub comm: String,
    /// Command line of its first process, cut; chosen by the container.
    pub command: String,
    #[serde(flatten)]
    pub kind: Kind,
    /// Why it was taken for one.
    pub rule: String,
    pub begun_ns: u64,
    /// How long it has been running, or ran.
    pub wall_ns: u64,
    /// CPU time of all its tasks.
    pub cpu_ns: u64,
    /// Time that its tasks were runnable and did not run.
    pub wait_ns: u64,
    /// Processes so far.
    pub processes: u32,
    /// Most tasks runnable at once.
    pub peak_width: u32,
    /// Its place among calls of the same kind in a row, from the third on.
    pub retry: Option<Retry>,
    /// None while it runs.
    pub status: Option<Status>,
    /// Why the daemon told it to end, if it did.
    pub ended_by: Option<String>,
    pub tag: Option<Tag>,
    pub hint: Option<Hint>,
    /// What it was decided from, see `scx_agent explain`.
    pub evidence: Evidence,
}

/// What a decision on a task's role was made from, as it was then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// When; CLOCK_MONOTONIC.
    pub at_ns: u64,
    pub cgroup_id: u64,
    /// Parent process.
    pub parent: u32,
    pub parent_comm: String,
    /// Leader of the session.
    pub session: u32,
    /// comm right after the exec.
    pub comm: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_statuses() {
        assert_eq!(Status::from_wait(3 << 8), Status::Exited(3));
        assert_eq!(Status::from_wait(9), Status::Killed(9));
        assert_eq!(Status::from_wait(0x80 | 11), Status::Killed(11));
    }
}
