// SPDX-License-Identifier: GPL-2.0-only
//! What the controller is told, by the rest of the daemon and by its own threads.

use super::over_high::OverHigh;
use super::policy::Tunables;
use super::worker::Reclaimed;
use crate::agents::Phase;
use crate::kernel::Kernel;
use crossbeam::channel::Sender;
use std::time::{Duration, Instant};

/// What the controller is told.
#[derive(Debug)]
pub enum Message {
    /// A cgroup is an agent.
    Found { id: u64, name: String },
    /// An agent's cgroup was removed.
    Gone { id: u64 },
    /// An agent goes to another phase; `at` is when the daemon was told.
    Phase { id: u64, to: Phase, at: Instant },
    /// Who knows which process is in which call, from now on.
    Kernel(Kernel),
    /// A tool call begins with the process `pid`.
    Call { id: u64, call: u64, pid: u32 },
    /// A tool call is over, or turns out to be none.
    CallOver { id: u64, call: u64 },
    /// The cgroup of an agent was brought together (true: quite), if `why` because it could not be divided.
    Joined { id: u64, why: Option<String>, undone: Result<bool, String> },
    /// A tool call has ended after `lasted`, and its first process or the last child of that with SIGKILL.
    Killed { id: u64, pid: u32, comm: String, lasted: Duration },
    /// memory.events of an agent changed: it may have run into its limit.
    Events { id: u64 },
    /// A task of an agent has run into memory.high: told before it is throttled for that.
    OverHigh { id: u64, over: OverHigh },
    /// What a reclaim job came to.
    Reclaimed(Reclaimed),
    /// The operator has other settings from now on.
    Tunables(Tunables),
    /// An operator pauses an agent for at most `time`, and is told how that went.
    Pause { id: u64, name: String, time: Duration, reply: Sender<Result<String, String>> },
    /// An operator lets a paused agent go on.
    Resume { id: u64, name: String, reply: Sender<Result<String, String>> },
    /// Put everything back and end.
    Stop,
}
