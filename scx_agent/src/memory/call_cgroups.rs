// SPDX-License-Identifier: GPL-2.0-only
//! Tool calls in cgroups of their own (`tool_cgroups`): a thread makes one when a call begins, moves the
//! call there, and removes it when the call is over. It does so beside the controller, as the kernel
//! stops every fork of the machine for each move.

use super::knobs::Cgroup;
use super::limit::{mb, Limit};
use super::message::Message;
use super::{policy, subtree};
use crate::kernel::Kernel;
use crossbeam::channel::{unbounded, Receiver, RecvTimeoutError, Sender};
use log::{debug, info, warn};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Cgroups of calls that an agent has at most; what it calls beyond that stays with its framework.
const CALLS_MAX: usize = 64;
/// Time between two looks at what is divided: for ends that were not told.
const LOOK: Duration = Duration::from_millis(500);
/// Looks for processes of a call that are not in its cgroup yet.
const GATHERS: usize = 64;

/// What the thread is told.
#[derive(Debug)]
pub enum Job {
    /// Whom to ask which process is in which call; the calls of an earlier one are over.
    Kernel(Kernel),
    /// An agent's cgroup is to be divided; that is in the journal.
    Divide { agent: Arc<Cgroup>, name: String },
    /// A call of an agent has begun with process `pid`. Nothing is done for one that is not divided (any
    /// more: it may have been empty for a moment).
    Begin { id: u64, call: u64, pid: u32 },
    /// A call is over, or was none.
    End { id: u64, call: u64 },
    /// All of the agent is to stay within `high`, by its calls.
    Hold { id: u64, high: Limit },
    /// The agent is gone.
    Gone { id: u64 },
}

/// The thread; dropping it waits for what it is at. What is divided then stays so.
#[derive(Debug)]
pub struct CallCgroups {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl CallCgroups {
    /// # Errors
    /// No thread can be started.
    pub fn start(tell: Sender<Message>) -> io::Result<CallCgroups> {
        let (jobs, inbox) = unbounded();
        let work = Work { tell, kernel: None, agents: BTreeMap::new() };
        let thread =
            std::thread::Builder::new().name("memory-calls".into()).spawn(move || work.run(&inbox))?;
        Ok(CallCgroups { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Has the thread do something.
    pub fn send(&self, job: Job) {
        // One that has failed is noticed at the end.
        let _ = self.jobs.as_ref().map(|j| j.send(job));
    }
}

impl Drop for CallCgroups {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            warn!("memory: the thread that puts calls into cgroups of their own has failed");
        }
    }
}

/// A call in a cgroup of its own.
#[derive(Debug)]
struct Own {
    cgroup: Cgroup,
    pid: u32,
}

/// An agent whose cgroup is divided.
#[derive(Debug)]
struct Divided {
    name: String,
    cgroup: Arc<Cgroup>,
    framework: Cgroup,
    calls: BTreeMap<u64, Own>,
    /// What all of it is to stay within.
    high: Limit,
}

struct Work {
    tell: Sender<Message>,
    kernel: Option<Kernel>,
    agents: BTreeMap<u64, Divided>,
}

impl Work {
    fn run(mut self, inbox: &Receiver<Job>) {
        loop {
            let job = match self.agents.is_empty() {
                true => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => inbox.recv_timeout(LOOK),
            };
            match job {
                Ok(Job::Kernel(kernel)) => {
                    for a in self.agents.values_mut() {
                        let all: Vec<u64> = a.calls.keys().copied().collect();
                        all.into_iter().for_each(|call| a.end(call));
                    }
                    self.kernel = Some(kernel);
                }
                Ok(Job::Divide { agent, name }) => self.divide(agent, name),
                Ok(Job::Begin { id, call, pid }) => self.begin(id, call, pid),
                Ok(Job::End { id, call }) => _ = self.agents.get_mut(&id).map(|a| a.end(call)),
                Ok(Job::Hold { id, high }) => _ = self.agents.get_mut(&id).map(|a| a.hold(high)),
                Ok(Job::Gone { id }) => _ = self.agents.remove(&id),
                Err(RecvTimeoutError::Timeout) => self.look(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn divide(&mut self, cgroup: Arc<Cgroup>, name: String) {
        match subtree::divide(&cgroup) {
            Ok(framework) => {
                info!("memory: agent {name:?}: rule \"calls apart\": its cgroup is divided");
                let (id, calls, high) = (cgroup.id, BTreeMap::new(), Limit::Max);
                self.agents.insert(id, Divided { name, cgroup, framework, calls, high });
            }
            Err(e) => self.join(&cgroup, Some(e.to_string())),
        }
    }

    fn begin(&mut self, id: u64, call: u64, pid: u32) {
        let (Some(kernel), Some(a)) = (&self.kernel, self.agents.get_mut(&id)) else { return };
        if a.calls.len() >= CALLS_MAX {
            return debug!(
                "memory: agent {:?}: call {call} stays with its framework: {CALLS_MAX} have cgroups already",
                a.name
            );
        }
        if !is_in(kernel, pid, call) {
            return debug!("memory: agent {:?}: call {call} is over already, or was none", a.name);
        }
        if let Err(e) = a.begin(kernel, call, pid) {
            debug!("memory: agent {:?}: call {call} has no cgroup of its own: {e}", a.name);
            a.end(call);
        }
    }

    /// Brings an agent's cgroup together and tells the controller; `why`, if it could not be divided.
    fn join(&mut self, cgroup: &Cgroup, why: Option<String>) {
        let undone = subtree::undo(cgroup).map_err(|e| e.to_string());
        self.agents.remove(&cgroup.id);
        // A controller that is ending does it all by its journal.
        let _ = self.tell.send(Message::Joined { id: cgroup.id, why, undone });
    }

    /// Removes what is empty.
    fn look(&mut self) {
        let mut empty = Vec::new();
        for a in self.agents.values_mut() {
            let over: Vec<u64> =
                a.calls.iter().filter(|(_, c)| !c.cgroup.is_populated()).map(|(call, _)| *call).collect();
            over.into_iter().for_each(|call| a.end(call));
            if !a.cgroup.is_populated() {
                empty.push(a.cgroup.clone());
            }
        }
        // Whoever made the agent's cgroup may want to remove it now.
        empty.into_iter().for_each(|cgroup| self.join(&cgroup, None));
    }
}

/// True if process `pid` is in that call, and it is not over.
fn is_in(kernel: &Kernel, pid: u32, call: u64) -> bool {
    kernel.task(pid).is_some_and(|s| s.call == call && s.detached == 0 && s.hook == 0)
}

impl Divided {
    fn begin(&mut self, kernel: &Kernel, call: u64, pid: u32) -> io::Result<()> {
        let cgroup = subtree::make_call(&self.cgroup, call)?;
        self.calls.insert(call, Own { cgroup, pid });
        if self.high != Limit::Max {
            self.spread();
        }
        let own = &self.calls[&call];
        // With what it has forked before. A fork is over before its forker is moved, so that once a look
        // finds nothing there is nothing; without sched_ext a child is told of a little later: two looks.
        // What the agent itself has moved elsewhere stays there.
        let mut calm = 0;
        for _ in 0..GATHERS {
            let mut outside = subtree::pids(&self.framework)?;
            outside.retain(|pid| is_in(kernel, *pid, call));
            calm = if outside.is_empty() { calm + 1 } else { 0 };
            if calm == 2 {
                break;
            }
            for pid in outside {
                subtree::put(pid, &own.cgroup)?;
            }
        }
        debug!(
            "memory: agent {:?}: rule \"calls apart\": call {call}, process {pid}, has its own cgroup",
            self.name
        );
        Ok(())
    }

    /// A call is over: what it has left running is the framework's company from now on.
    fn end(&mut self, call: u64) {
        let Some(own) = self.calls.remove(&call) else { return };
        let (peak, kills) = (own.cgroup.peak(), own.cgroup.oom_kills());
        let name = own.cgroup.path.rsplit('/').next().unwrap_or_default().to_string();
        if let Err(e) = subtree::remove(&self.cgroup, &name, &self.framework) {
            warn!(
                "memory: agent {:?}: cannot remove the cgroup of call {call}, {:?}: {e}",
                self.name, own.cgroup.path
            );
        }
        let told = format!("memory: agent {:?}: call {call}, process {}", self.name, own.pid);
        match kills {
            0 => info!("{told}: used at most {}", mb(peak)),
            n => warn!(
                SCX_AGENT_AGENT = self.name.as_str(), SCX_AGENT_RULE = "killed by the kernel", SCX_AGENT_CALL = call,
                SCX_AGENT_PROCESSES = n;
                "{told}: the kernel killed it for want of memory, and nothing else: {n} processes, at most {} in use",
                mb(peak)
            ),
        }
        if self.high != Limit::Max {
            self.spread();
        }
    }

    fn hold(&mut self, high: Limit) {
        self.high = high;
        self.spread();
    }

    /// Shares what the agent may use among its calls.
    fn spread(&self) {
        let used: Vec<u64> = self.calls.values().map(|c| c.cgroup.current().unwrap_or(0)).collect();
        let all = self.cgroup.current().unwrap_or(0);
        for (own, high) in self.calls.values().zip(policy::split(self.high, all, &used)) {
            if let Err(e) = own.cgroup.set_high(high) {
                debug!("memory: agent {:?}: {:?}: {e}", self.name, own.cgroup.path);
            }
        }
    }
}
