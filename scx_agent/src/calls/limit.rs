// SPDX-License-Identifier: GPL-2.0-only
//! A time limit of tool calls: one that runs for longer is told to end (SIGTERM to each of its
//! processes), and after a grace made to (SIGKILL). Only processes that the kernel half has in that
//! very call are, each through a descriptor of the process, so that a number that is used again
//! is nobody else's.

use super::command::shown;
use super::Calls;
use crate::kernel::Kernel;
use crate::memory::{pids_below, Cgroup, CGROUP_ROOT};
use clap::Args;
use log::warn;
use rustix::process::{pidfd_open, pidfd_send_signal, Pid, PidfdFlags, Signal};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// Processes of a call whose descriptors are kept for its grace: what is left of more is found in the
/// call itself, as long as that is there.
const KEPT: usize = 1024;
/// How often it is tried to kill what is left.
const TRIES: u32 = 10;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Operation")]
#[group(skip)]
pub struct Options {
    /// Seconds for which a tool call may run: then its processes are told to end (SIGTERM), and made
    /// to after a grace. What it runs in the background ends with it. 0: for ever.
    #[arg(long, value_name = "SEC", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=604_800))]
    pub call_limit_s: u64,

    /// Seconds from then to SIGKILL.
    #[arg(long, value_name = "SEC", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub call_grace_s: u64,
}

/// A call that is over its limit.
#[derive(Clone, Debug)]
pub struct Overdue {
    pub slot: u32,
    pub cgroup_id: u64,
    pub call: u64,
    pub agent: String,
    pub command: String,
}

/// One that was told to end.
#[derive(Debug)]
struct Ending {
    call: Overdue,
    told: Instant,
    tries: u32,
    /// By number, which may be another process's by now.
    processes: BTreeMap<u32, OwnedFd>,
}

/// The limit, and the calls that it ends.
#[derive(Debug)]
pub struct Limit {
    /// None: there is none.
    after: Option<Duration>,
    grace: Duration,
    looked: Instant,
    ending: BTreeMap<u64, Ending>,
}

impl Limit {
    pub fn new(options: &Options) -> Limit {
        Limit {
            after: (options.call_limit_s > 0).then(|| Duration::from_secs(options.call_limit_s)),
            grace: Duration::from_secs(options.call_grace_s),
            looked: Instant::now(),
            ending: BTreeMap::new(),
        }
    }

    /// Ends what is to be ended; to be called often.
    pub fn round(&mut self, calls: &mut Calls, kernel: &Kernel, now_ns: u64) {
        let (Some(after), now) = (self.after, Instant::now()) else { return };
        if now < self.looked + LOOK {
            return;
        }
        self.looked = now;
        for call in calls.overdue(now_ns, after) {
            if !self.ending.contains_key(&call.call) {
                let ending = self.begin(call, after, kernel, now);
                calls.ended_by_limit(ending.call.slot, ending.call.call, after);
                self.ending.insert(ending.call.call, ending);
            }
        }
        let grace = self.grace;
        self.ending.retain(|_, e| now < e.told + grace || e.kill(grace, kernel));
    }

    fn begin(&self, call: Overdue, after: Duration, kernel: &Kernel, now: Instant) -> Ending {
        let mut processes = processes(&call, kernel);
        let told = processes.values().filter(|p| pidfd_send_signal(p, Signal::TERM).is_ok()).count();
        warn!(
            SCX_AGENT_AGENT = call.agent.as_str(), SCX_AGENT_RULE = "call_limit_s", SCX_AGENT_CALL = call.call,
            SCX_AGENT_SIGNAL = "SIGTERM", SCX_AGENT_PROCESSES = told;
            "agent {:?}: call {} ({}) runs for more than {} s, the time limit of calls (call_limit_s): SIGTERM to {told} \
             processes, SIGKILL after {} s",
            call.agent,
            call.call,
            shown(&call.command, 100),
            after.as_secs(),
            self.grace.as_secs()
        );
        while processes.len() > KEPT {
            processes.pop_last();
        }
        Ending { call, told: now, tries: 0, processes }
    }
}

impl Ending {
    /// Kills what is left; false once there is nothing to kill, or nothing to be done.
    fn kill(&mut self, grace: Duration, kernel: &Kernel) -> bool {
        let mut left = std::mem::take(&mut self.processes);
        left.extend(processes(&self.call, kernel));
        // One that has ended cannot be signalled.
        let killed = left.values().filter(|p| pidfd_send_signal(p, Signal::KILL).is_ok()).count();
        if killed == 0 {
            return false;
        }
        self.tries += 1;
        if self.tries == 1 {
            warn!(
                SCX_AGENT_AGENT = self.call.agent.as_str(), SCX_AGENT_RULE = "call_limit_s",
                SCX_AGENT_CALL = self.call.call, SCX_AGENT_SIGNAL = "SIGKILL", SCX_AGENT_PROCESSES = killed;
                "agent {:?}: call {} does not end within {} s of SIGTERM: SIGKILL to {killed} processes",
                self.call.agent,
                self.call.call,
                grace.as_secs()
            );
        } else if self.tries == TRIES {
            warn!(
                "agent {:?}: call {} still has {killed} processes after SIGKILL: they are left alone",
                self.call.agent, self.call.call
            );
        }
        self.tries < TRIES
    }
}

/// The processes of a call, by number.
fn processes(call: &Overdue, kernel: &Kernel) -> BTreeMap<u32, OwnedFd> {
    let is_in_call = |pid: u32| kernel.task(pid).is_some_and(|s| s.call == call.call && s.hook == 0);
    let Ok(cgroup) = Cgroup::by_id(Path::new(CGROUP_ROOT), call.cgroup_id) else { return BTreeMap::new() };
    let open = |pid: u32| {
        let fd = pidfd_open(Pid::from_raw(pid as i32)?, PidfdFlags::empty()).ok()?;
        // Asked again: the number may have become another process's before it was opened.
        is_in_call(pid).then_some((pid, fd))
    };
    let pids = pids_below(&cgroup.file("")).unwrap_or_default();
    pids.into_iter().filter(|pid| is_in_call(*pid)).filter_map(open).collect()
}
