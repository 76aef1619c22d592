// SPDX-License-Identifier: GPL-2.0-only
//! What the daemon asks and tells the kernel half while it schedules: `bpf/ask.bpf.h`, `bpf/brake.bpf.h`,
//! `bpf/naming.bpf.h`, `bpf/setting.bpf.h` and `bpf/tags.bpf.h`.

use crate::bpf_intf::{
    self, agent_brake, agent_call_state, agent_group_flags_GROUP_AGENT, agent_naming, agent_setting,
    agent_tag, agent_task_state,
};
use crate::bpf_skel::BpfSkel;
use anyhow::{Context, Result};
use libbpf_rs::btf::{types::Func, Btf};
use libbpf_rs::libbpf_sys::{bpf_prog_test_run_opts, bpf_test_run_opts};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// How often a cgroup is looked for, each after a millisecond: another program may just be looking at
/// cgroups on this CPU, but it will not be there for long.
const TRIES: u32 = 100;

const NO_MEMORY: &str = "the kernel has no memory for it now";

/// The programs, for any thread; the kernel keeps them while this is there.
#[derive(Clone, Debug)]
pub struct Kernel(Arc<Programs>);

#[derive(Debug)]
struct Programs {
    ask_task: OwnedFd,
    ask_call: OwnedFd,
    tag_agent: OwnedFd,
    name_agent: OwnedFd,
    set_agent: OwnedFd,
    /// None where nothing is scheduled.
    brake_agent: Option<OwnedFd>,
    task_ctxs: OwnedFd,
}

impl Kernel {
    /// The programs of `skel`, which are all there if it `schedules`.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn new(skel: &BpfSkel<'_>, schedules: bool) -> Result<Kernel> {
        let own =
            |p: &libbpf_rs::ProgramMut<'_>| p.as_fd().try_clone_to_owned().context("cannot keep a program");
        Ok(Kernel(Arc::new(Programs {
            ask_task: own(&skel.progs.ask_task)?,
            ask_call: own(&skel.progs.ask_call)?,
            tag_agent: own(&skel.progs.tag_agent)?,
            name_agent: own(&skel.progs.name_agent)?,
            set_agent: own(&skel.progs.set_agent)?,
            brake_agent: schedules.then(|| own(&skel.progs.brake_agent)).transpose()?,
            task_ctxs: skel.maps.task_ctxs.as_fd().try_clone_to_owned().context("cannot keep a map")?,
        })))
    }

    /// The map of what is kept with tasks, for programs of other objects.
    pub fn tasks(&self) -> BorrowedFd<'_> {
        self.0.task_ctxs.as_fd()
    }

    /// What the kernel half knows of task `pid`; None if there is no such task, or if it is not one
    /// that it schedules.
    pub fn task(&self, pid: u32) -> Option<agent_task_state> {
        let mut state = agent_task_state { pid, ..zeroed() };
        run(&self.0.ask_task, &mut state).ok()?;
        (state.found != 0).then_some(state)
    }

    /// Slot and cgroup of the agent that process `pid` is in; None if it is in none.
    pub fn agent_of(&self, pid: u32) -> Option<(u32, u64)> {
        let state = self.task(pid)?;
        (state.group_flags & agent_group_flags_GROUP_AGENT != 0)
            .then_some((state.group, state.group_cgroup_id))
    }

    /// How far the call with number `id` in `slot` is; None if it is not there any more.
    pub fn call(&self, slot: u32, id: u64) -> Option<agent_call_state> {
        let mut state = agent_call_state { slot, ..zeroed() };
        run(&self.0.ask_call, &mut state).ok()?;
        (state.call == id && state.detached == 0).then_some(state)
    }

    /// Says something of the agent that `tag.pid` is in. False if it is in none.
    pub fn tag(&self, mut tag: agent_tag) -> bool {
        run(&self.0.tag_agent, &mut tag).is_ok() && tag.found != 0
    }

    /// Makes cgroup `cgroup_id` an agent, its subtree included, for as long as it is there.
    ///
    /// # Errors
    /// The kernel has no memory for it now.
    pub fn name(&self, cgroup_id: u64) -> Result<Named> {
        for _ in 0..TRIES {
            let mut naming = agent_naming { cgroup_id, ..zeroed() };
            run(&self.0.name_agent, &mut naming).context("cannot name an agent")?;
            match naming.outcome {
                bpf_intf::agent_naming_outcome_NAMING_GONE => return Ok(Named::Gone),
                bpf_intf::agent_naming_outcome_NAMING_DONE => return Ok(Named::Agent),
                bpf_intf::agent_naming_outcome_NAMING_INSIDE => return Ok(Named::Inside),
                bpf_intf::agent_naming_outcome_NAMING_NO_SLOT => return Ok(Named::NoSlot),
                _ => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        anyhow::bail!("{NO_MEMORY}")
    }

    /// Brakes the tool calls of the agent with cgroup `cgroup_id` for at most a second, or ends that. False if
    /// it is not so now: there is no such agent, too many are braked, or nothing is scheduled.
    pub fn brake(&self, cgroup_id: u64, on: bool) -> bool {
        let mut brake = agent_brake { cgroup_id, on: on.into(), ..zeroed() };
        let program = self.0.brake_agent.as_ref();
        program.is_some_and(|p| run(p, &mut brake).is_ok()) && brake.done != 0
    }

    /// Gives the agent with cgroup `cgroup_id` a class, as the kernel half has them, and a weight, 0 for
    /// that of its cgroup. False if there is no such cgroup, or if it is inside an agent.
    ///
    /// # Errors
    /// The kernel does not run the program.
    pub fn set(&self, cgroup_id: u64, qos: u32, weight: u32) -> Result<bool> {
        for _ in 0..TRIES {
            let mut setting = agent_setting { cgroup_id, qos, weight, ..zeroed() };
            run(&self.0.set_agent, &mut setting).context("cannot set what an agent has")?;
            if setting.later == 0 {
                return Ok(setting.found != 0);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        anyhow::bail!("{NO_MEMORY}")
    }
}

/// What the running kernel's BTF describes.
#[derive(Debug)]
pub struct Types(Option<Btf<'static>>);

impl Types {
    /// Nothing is known of a kernel without BTF.
    pub fn read() -> Types {
        Types(Btf::from_vmlinux().ok())
    }

    /// True if the kernel has `function`.
    pub fn function(&self, function: &str) -> bool {
        self.0.as_ref().is_some_and(|b| b.type_by_name::<Func<'_>>(function).is_some())
    }
}

/// What came of naming a cgroup an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// There is no such cgroup.
    Gone,
    /// It is an agent.
    Agent,
    /// It is a part of another agent, or of a container.
    Inside,
    /// There are too many cgroups.
    NoSlot,
}

/// The layouts shared with the kernel half that may start as zeroes: integers only.
trait Plain {}
impl Plain for agent_task_state {}
impl Plain for agent_call_state {}
impl Plain for agent_tag {}
impl Plain for agent_naming {}
impl Plain for agent_setting {}
impl Plain for agent_brake {}

fn zeroed<T: Plain>() -> T {
    // SAFETY: integers, and arrays of them: all zeroes are valid.
    unsafe { std::mem::zeroed() }
}

/// Runs a program once, with `context` as what it reads and writes.
fn run<T: Plain>(program: &OwnedFd, context: &mut T) -> std::io::Result<()> {
    let mut opts = bpf_test_run_opts {
        sz: size_of::<bpf_test_run_opts>() as u64,
        ctx_in: (context as *mut T).cast(),
        ctx_size_in: size_of::<T>() as u32,
        ..Default::default()
    };
    // SAFETY: the program is one of those that take a T; the kernel reads and writes ctx_size_in
    // bytes of it and keeps no pointer.
    match unsafe { bpf_prog_test_run_opts(program.as_raw_fd(), &mut opts) } {
        0 => Ok(()),
        e => Err(std::io::Error::from_raw_os_error(-e)),
    }
}
