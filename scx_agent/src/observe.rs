// SPDX-License-Identifier: GPL-2.0-only
//! The kernel half without sched_ext: it tells roles, calls and phases, and schedules nothing. See
//! `bpf/observe.bpf.h`.

use crate::bpf_skel::{BpfSkel, BpfSkelBuilder, OpenBpfSkel};
use anyhow::{Context, Result};
use libbpf_rs::skel::{OpenSkel, Skel, SkelBuilder};
use libbpf_rs::{Iter, Link, OpenObject, ProgramInput};
use std::io::Read;
use std::mem::MaybeUninit;

/// What is loaded: nothing that calls into sched_ext or is called by it.
const PROGRAMS: [&str; 17] = [
    "on_exec",
    "on_exec_again",
    "on_over_high",
    "on_setpgid",
    "on_exit",
    "on_cgroup_mkdir",
    "on_cgroup_rmdir",
    "on_cgroup_attach",
    "ask_task",
    "ask_call",
    "tag_agent",
    "name_agent",
    "set_agent",
    "observe_start",
    "observe_tasks",
    "observe_fork",
    "observe_runtime",
];

/// Opens the kernel half as an observer.
///
/// # Errors
/// It does not fit the running kernel.
pub fn open<'a>(builder: BpfSkelBuilder, object: &'a mut MaybeUninit<OpenObject>) -> Result<OpenBpfSkel<'a>> {
    let mut skel = builder.open(object)?;
    skel.maps.agent_ops.set_autocreate(false)?;
    for mut program in skel.open_object_mut().progs_mut() {
        let wanted = program.name().to_str().is_some_and(|n| PROGRAMS.contains(&n));
        program.set_autoload(wanted);
    }
    // Only once the tasks that are there have been seen.
    skel.progs.observe_fork.set_autoattach(false);
    skel.maps.rodata_data.as_mut().context("the kernel half has no rodata")?.observing = true;
    Ok(skel)
}

/// Attaches it, and has it look at the tasks that are there: parents first, and so before forks are
/// seen, or a child that is forked just now is taken for the first of its agent; then again, at what
/// was forked meanwhile.
///
/// # Errors
/// The kernel refuses to.
pub fn start(skel: &mut BpfSkel<'_>) -> Result<()> {
    skel.attach().context("the kernel does not let the programs see its events")?;
    let status = skel.progs.observe_start.test_run(ProgramInput::default())?.return_value as i32;
    if status != 0 {
        let why = std::io::Error::from_raw_os_error(-status);
        return Err(why).context("the kernel half cannot start its timer");
    }
    look_at_tasks(skel)?;
    skel.links.observe_fork =
        Some(skel.progs.observe_fork.attach().context("the kernel does not let the programs see forks")?);
    look_at_tasks(skel)
}

fn look_at_tasks(skel: &BpfSkel<'_>) -> Result<()> {
    let tasks: &Link = skel.links.observe_tasks.as_ref().context("the look at all tasks is not attached")?;
    Iter::new(tasks)
        .and_then(|mut all| all.read_to_end(&mut Vec::new()).map_err(libbpf_rs::Error::from))
        .context("cannot look at the tasks that are there")?;
    Ok(())
}
