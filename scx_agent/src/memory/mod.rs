// SPDX-License-Identifier: GPL-2.0-only
//! Memory by phase: drives memory.high of each agent's cgroup from the phases that the kernel half
//! reports. An agent that waits for its model is held to what it needs for that, a tool call gets
//! its memory at once, and when the host runs short the newest tool calls wait, never a framework.
//!
//! Where the kernel has to kill all the same, tool calls go before their framework.
//!
//! `policy` decides, `controller` carries out (`waits` and `bursts`, by `high`; `room` where the kernel lets
//! programs do it, which `struct_ops` loads; `kills` and `oom` for who dies first; `apart`, `call_cgroups` and
//! `subtree` for calls in cgroups of their own); `journal`, `restore` and `guard` see to it that every original
//! value comes back whatever ends the daemon.

mod agent;
mod apart;
mod brakes;
mod bursts;
mod call_cgroups;
mod controller;
mod events;
mod guard;
mod high;
mod host;
mod idle;
mod journal;
mod kills;
mod knobs;
mod limit;
mod message;
mod oom;
mod options;
mod over_high;
mod pause;
mod policy;
mod pressure;
mod restore;
mod retry;
mod room;
mod rundir;
mod stalls;
mod struct_ops;
mod subtree;
mod waits;
mod worker;

pub use knobs::{pids_below, Cgroup};
pub use limit::MB;
pub use message::Message;
pub use oom::was_killed;
pub use options::Options;
pub use over_high::{OverHigh, PROBED};
pub use rundir::make as run_dir;
pub use struct_ops::Variant;

use crate::privileges;
use anyhow::{Context, Result};
use apart::Separation;
use call_cgroups::CallCgroups;
use controller::Controller;
use crossbeam::channel::{unbounded, Sender};
use events::Watcher;
use guard::Guard;
use host::Host;
use idle::Idle;
use journal::Journal;
use log::{error, info, warn};
use restore::restore;
use rundir::{RunDir, RUN_DIR};
use stalls::Stalls;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

/// The cgroup v2 mount.
pub const CGROUP_ROOT: &str = "/sys/fs/cgroup";

/// What the controller counts, for the statistics.
#[derive(Debug, Default)]
pub struct Counters {
    /// Writes of memory.high.
    pub high_writes: AtomicU64,
    /// Agents that are held to a limit now.
    pub limited: AtomicU64,
    /// Agents whose calls are braked now.
    pub braked: AtomicU64,
    /// Bytes that were reclaimed.
    pub reclaimed: AtomicU64,
    /// Processes of agents that the kernel killed for want of memory.
    pub oom_kills: AtomicU64,
    /// Knobs that turned out to be somebody else's.
    pub foreign: AtomicU64,
    /// Agents that an operator has paused, by their cgroups.
    pub paused: Mutex<BTreeSet<u64>>,
    /// Times that the kernel half saw an agent run into memory.high.
    pub over_high: AtomicU64,
    /// True while the host's headroom is shared among tool calls.
    pub pressed: AtomicBool,
    /// The controller has ended.
    pub ended: AtomicBool,
}

/// The controller, as the rest of the daemon sees it.
#[derive(Clone, Debug)]
pub struct Link {
    pub messages: Sender<Message>,
    counters: Arc<Counters>,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub high_writes: u64,
    pub limited: u64,
    pub braked: u64,
    pub reclaimed_mb: u64,
    pub oom_kills: u64,
    pub foreign: u64,
    pub paused: u64,
    pub over_high: u64,
    pub pressed: bool,
}

impl Link {
    /// The agents that an operator has paused, by their cgroups.
    pub fn paused(&self) -> BTreeSet<u64> {
        self.counters.paused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// True once there is no controller any more: it was told to end, or has failed and has put its limits back.
    pub fn has_ended(&self) -> bool {
        self.counters.ended.load(Ordering::Relaxed)
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        let c = &self.counters;
        Counts {
            high_writes: c.high_writes.load(Ordering::Relaxed),
            limited: c.limited.load(Ordering::Relaxed),
            braked: c.braked.load(Ordering::Relaxed),
            reclaimed_mb: c.reclaimed.load(Ordering::Relaxed) / limit::MB,
            oom_kills: c.oom_kills.load(Ordering::Relaxed),
            foreign: c.foreign.load(Ordering::Relaxed),
            paused: self.paused().len() as u64,
            over_high: c.over_high.load(Ordering::Relaxed),
            pressed: c.pressed.load(Ordering::Relaxed),
        }
    }
}

/// Notes the controller's end, however that comes, and says so if nobody has told it to.
struct End(Arc<Counters>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Relaxed);
        // All of them thaw with it.
        self.0.paused.lock().unwrap_or_else(PoisonError::into_inner).clear();
        if std::thread::panicking() {
            error!(
                "memory: the controller has failed: it has put limits back, and sets none until a restart"
            );
        }
    }
}

/// A running controller; dropping it puts every knob back.
pub struct Memory {
    link: Link,
    thread: Option<JoinHandle<()>>,
    _run: RunDir,
}

impl Memory {
    /// Starts the controller, unless the options say otherwise; puts back first what an earlier
    /// daemon left.
    ///
    /// # Errors
    /// Another daemon runs, /run cannot be written, or a journal there cannot be understood.
    pub fn start(options: &Options, verbose: u8) -> Result<Option<Memory>> {
        let run_dir = Path::new(RUN_DIR);
        if options.no_memory && !rundir::has_journal(run_dir) {
            return Ok(None);
        }
        let run = RunDir::lock(run_dir)?;
        let mut journal = Journal::load(&run.journal())?;
        if !journal.is_empty() {
            let sum = restore(&mut journal, Path::new(CGROUP_ROOT));
            warn!("memory: an earlier scx_agent did not end well; {}", sum.sentence());
        }
        if options.no_memory {
            return Ok(None);
        }
        raise_file_limit();
        let (messages, inbox) = unbounded();
        let counters = Arc::new(Counters::default());
        let variant = Variant::of_kernel();
        if variant.is_none() {
            info!("memory: this kernel has no memcg_bpf_ops, as none that is released: memory.high does the work");
        }
        let controller = Controller {
            tunables: options.tunables()?,
            root: CGROUP_ROOT.into(),
            journal,
            jobs: worker::start(messages.clone()).context("cannot start a thread")?,
            counters: counters.clone(),
            look: Host::now,
            agents: BTreeMap::new(),
            paused: BTreeMap::new(),
            idle: Idle::default(),
            variant,
            rooms: None,
            brakes: None,
            host: Host::now()?,
            host_at: Instant::now(),
            lost_per_s: 0.0,
            look_took: std::time::Duration::ZERO,
            stalls: Stalls::default(),
            short: false,
            rivals: pressure::Rivals::default(),
            pressure: pressure::Pressure::default(),
            thrashed: None,
            checked: Instant::now(),
            check_from: 0,
            shared: Instant::now(),
            guard: Some(Guard::start(verbose)?),
            separation: options
                .tool_cgroups
                .then(|| CallCgroups::start(messages.clone()))
                .transpose()
                .context("cannot start a thread")?
                .map(|thread| Separation { thread, listed: options.delegated_cgroups.clone() }),
            watcher: Watcher::start(messages.clone())
                .inspect_err(|e| {
                    warn!("memory: no inotify ({e}): memory.events of agents are read once a second instead")
                })
                .ok(),
        };
        let divides = if options.tool_cgroups { privileges::DELEGATED } else { privileges::NOTHING };
        // Its programs are loaded again with the scheduler's, and attached to each new agent.
        let loads = if variant.is_some() { privileges::LOADING } else { privileges::NOTHING };
        let end = End(counters.clone());
        let thread = std::thread::Builder::new()
            .name("memory".into())
            .spawn(move || {
                let _end = end;
                privileges::keep(privileges::WORKING.union(divides).union(loads));
                controller.run(&inbox)
            })
            .context("cannot start a thread")?;
        let link = Link { messages, counters };
        Ok(Some(Memory { link, thread: Some(thread), _run: run }))
    }

    /// What a scheduler needs to tell it.
    pub fn link(&self) -> Link {
        self.link.clone()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let _ = self.link.messages.send(Message::Stop);
        // Its failure has been told.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// The host's memory; None if it cannot be read.
pub fn host_now() -> Option<Host> {
    Host::now().ok()
}

/// Puts back what a killed daemon has left changed, and says what that was.
///
/// # Errors
/// A daemon runs, or the journal cannot be understood, or a knob could not be put back.
pub fn restore_left() -> Result<()> {
    if !rundir::has_journal(Path::new(RUN_DIR)) {
        println!("nothing to put back");
        return Ok(());
    }
    let run = RunDir::lock(Path::new(RUN_DIR))?;
    let mut journal = Journal::load(&run.journal())?;
    let sum = restore(&mut journal, Path::new(CGROUP_ROOT));
    anyhow::ensure!(sum.failed == 0, "{}", sum.sentence());
    println!("{}", sum.sentence());
    Ok(())
}

/// `--memory-guard`.
///
/// # Errors
/// The journal cannot be read.
pub fn guard(daemon: u32) -> Result<()> {
    privileges::keep(privileges::RESTORING);
    guard::main(daemon, Path::new(RUN_DIR), Path::new(CGROUP_ROOT))
}

/// An open descriptor per agent: as many as the system allows.
fn raise_file_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a plain structure of our own, read and then written back.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}
