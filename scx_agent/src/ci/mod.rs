// SPDX-License-Identifier: GPL-2.0-only
//! `scx_agent ci`: one command as an agent of its own, and what became of it. `cgroup` is where it
//! runs, `scheduler` what schedules it, `report` what is said of it, `gate` what it is held to.

mod cgroup;
mod gate;
mod report;
mod scheduler;

pub use cgroup::Place;
#[cfg(test)]
pub use cgroup::FOLDER;
pub use gate::Gate;
pub use report::{Calls, Report, Scheduled};
pub use scheduler::Scheduler;
