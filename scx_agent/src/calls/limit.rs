// SPDX-License-Identifier: GPL-2.0-only
//! A time limit of tool calls: one that runs for longer is told to end (SIGTERM to each of its
//! processes), and after a grace made to (SIGKILL). Only processes that the kernel half has in that
//! very call are, each through a descriptor of the process, so that a number that is used again
//! is nobody else's.
//!
//! Time for which an operator has paused the agent counts for neither.

use super::category::{program, Kind};
use super::command::shown;
use super::Calls;
use crate::kernel::Kernel;
use crate::memory::{pids_below, Cgroup, CGROUP_ROOT};
use clap::Args;
use log::warn;
use rustix::process::{pidfd_open, pidfd_send_signal, Pid, PidfdFlags, Signal};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// Longest limit that can be set, in s: a week.
const LIMIT_MAX_S: u64 = 604_800;
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
    /// Seconds for which a tool call may run, without those for which its agent is paused: then its
    /// processes are told to end (SIGTERM), and made to after a grace. What it runs in the background ends with it. 0: for ever.
    #[arg(long, value_name = "SEC", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=LIMIT_MAX_S))]
    pub call_limit_s: u64,

    /// The same for calls of one kind, in place of that: what `scx_agent calls` shows as their category
    /// (test, build, package-install, git, search, interpreter, other), or the program they are told by.
    /// 0: for ever. Repeat for others; a program is over a category, and what is said later over what was
    /// said before. A call says itself what it is.
    #[arg(long = "call-limit", value_name = "KIND=SEC")]
    pub call_limits: Vec<KindLimit>,

    /// Seconds from then to SIGKILL.
    #[arg(long, value_name = "SEC", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub call_grace_s: u64,
}

/// A time limit of one kind of calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindLimit {
    kind: String,
    s: u64,
}

impl FromStr for KindLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=').map(|(kind, s)| (kind, s.parse())) {
            Some((kind, Ok(s))) if !kind.is_empty() && s <= LIMIT_MAX_S => match program(kind) {
                // As calls are told: else it would never be one.
                told if told != kind => {
                    Err(format!("{kind:?} is told as {told:?}: say that"))
                }
                _ => Ok(KindLimit { kind: kind.into(), s }),
            },
            _ => Err(format!(
                "{text:?}: expected a category or a program and seconds, 0 to {LIMIT_MAX_S}, such as test=1800"
            )),
        }
    }
}

impl Options {
    /// True if some calls have a limit.
    fn any(&self) -> bool {
        self.call_limit_s > 0 || self.call_limits.iter().any(|l| l.s > 0)
    }

    /// How long a call of this kind may run, and the key that says so; None: for ever.
    pub fn of(&self, kind: &Kind) -> Option<(Duration, &'static str)> {
        let said = |name: &str| self.call_limits.iter().rev().find(|l| l.kind == name);
        let (s, rule) = match said(&kind.program).or_else(|| said(kind.category.name())) {
            Some(limit) => (limit.s, "call_limits"),
            None => (self.call_limit_s, "call_limit_s"),
        };
        (s > 0).then(|| (Duration::from_secs(s), rule))
    }
}

/// A call that is over its limit.
#[derive(Clone, Debug)]
pub struct Overdue {
    pub limit: Duration,
    /// The key that says so.
    pub rule: &'static str,
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
    looked: Instant,
    ending: BTreeMap<u64, Ending>,
}

impl Limit {
    pub fn new() -> Limit {
        Limit { looked: Instant::now(), ending: BTreeMap::new() }
    }

    /// Ends what is to be ended; to be called often. `paused` says which agents are, by cgroup.
    pub fn round(
        &mut self,
        options: &Options,
        calls: &mut Calls,
        kernel: &Kernel,
        now_ns: u64,
        paused: impl Fn() -> BTreeSet<u64>,
    ) {
        let now = Instant::now();
        if now < self.looked + LOOK {
            return;
        }
        let since = now - self.looked;
        self.looked = now;
        let (paused, grace) = (paused(), Duration::from_secs(options.call_grace_s));
        // Also without a limit, which may come by a reload.
        calls.hold(&paused, since);
        if !options.any() && self.ending.is_empty() {
            return;
        }
        for e in self.ending.values_mut().filter(|e| paused.contains(&e.call.cgroup_id)) {
            e.told += since;
        }
        for call in calls.overdue(now_ns, options) {
            if let Entry::Vacant(new) = self.ending.entry(call.call) {
                calls.ended_by_limit(call.slot, call.call, call.limit);
                new.insert(Ending::begin(call, grace, kernel, now));
            }
        }
        self.ending.retain(|_, e| now < e.told + grace || e.kill(grace, kernel));
    }
}

impl Ending {
    fn begin(call: Overdue, grace: Duration, kernel: &Kernel, now: Instant) -> Ending {
        let mut processes = processes(&call, kernel);
        let told = processes.values().filter(|p| pidfd_send_signal(p, Signal::TERM).is_ok()).count();
        warn!(
            SCX_AGENT_AGENT = call.agent.as_str(), SCX_AGENT_RULE = call.rule, SCX_AGENT_CALL = call.call,
            SCX_AGENT_SIGNAL = "SIGTERM", SCX_AGENT_PROCESSES = told;
            "agent {:?}: call {} ({}) runs for more than {} s, the time limit of calls ({}): SIGTERM to {told} \
             processes, SIGKILL after {} s",
            call.agent,
            call.call,
            shown(&call.command, 100),
            call.limit.as_secs(),
            call.rule,
            grace.as_secs()
        );
        while processes.len() > KEPT {
            processes.pop_last();
        }
        Ending { call, told: now, tries: 0, processes }
    }

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
                SCX_AGENT_AGENT = self.call.agent.as_str(), SCX_AGENT_RULE = self.call.rule,
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

#[cfg(test)]
mod tests {
    use super::super::category::kind;
    use super::*;

    #[test]
    fn a_program_is_over_its_category_and_that_over_all() {
        let options = |all, kinds: &[&str]| Options {
            call_limit_s: all,
            call_limits: kinds.iter().map(|k| k.parse().unwrap()).collect(),
            call_grace_s: 10,
        };
        let of = |o: &Options, argv: &[&str]| o.of(&kind(argv)).map(|(limit, _)| limit.as_secs());
        let o = options(60, &["test=1800", "pytest=900", "git=0", "test=2000"]);
        assert_eq!(of(&o, &["pytest", "-x"]), Some(900));
        assert_eq!(of(&o, &["cargo", "test"]), Some(2000), "the later one");
        assert_eq!(of(&o, &["git", "status"]), None, "for ever");
        assert_eq!(of(&o, &["true"]), Some(60));
        assert!(o.any() && !options(0, &["git=0"]).any() && options(0, &["git=1"]).any());
        let rule = |argv: &[&str]| o.of(&kind(argv)).map(|(_, rule)| rule);
        assert_eq!((rule(&["pytest"]), rule(&["true"])), (Some("call_limits"), Some("call_limit_s")));
        assert_eq!(of(&options(0, &["package-install=5"]), &["npm", "ci"]), Some(5));
        for bad in ["", "test", "=5", "test=", "test=-1", "test=604801"] {
            assert!(bad.parse::<KindLimit>().is_err(), "{bad:?}");
        }
        let told = "python3=60".parse::<KindLimit>().unwrap_err();
        assert!(told.contains("is told as \"python\""), "{told}");
    }
}
