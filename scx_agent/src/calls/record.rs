// SPDX-License-Identifier: GPL-2.0-only
//! One tool call, as it is kept, sent and shown.

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
    /// None while it runs.
    pub status: Option<Status>,
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
