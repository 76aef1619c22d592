// SPDX-License-Identifier: GPL-2.0-only
//! The scheduling loop: takes the tasks that wait from the kernel, and gives back those that run.

use crate::bpf::{BpfScheduler, DispatchedTask, QueuedTask, RL_CPU_ANY};
use crate::cli::Opts;
use crate::lookup::{Answer, Lookup};
use crate::queue::{Queue, Rank};
use crate::ranks::{Arrival, Ranks};
use crate::sys;
use anyhow::{Context, Result};
use libbpf_rs::OpenObject;
use scx_utils::UserExitInfo;
use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

/// Longest wait for a CPU, while rank decides before that. scx_rustland_core has the kernel end
/// a scheduler that leaves a task waiting for 5 s; what is left of that is for hosts that stall.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// No key is farther from now than the lead of a framework, or the delay of a call.
const FARTHEST_NS: i64 = 6_400_000_000;

/// Name of the scheduler in /sys/kernel/sched_ext/root/ops, before its version.
const OPS_NAME: &str = "agentland";

/// A task in the queue.
struct Waiting {
    task: DispatchedTask,
    /// To the one CPU that it can run on.
    bound: bool,
}

/// A loaded scheduler.
pub struct Scheduler<'a> {
    bpf: BpfScheduler<'a>,
    lookup: Lookup,
    ranks: Ranks,
    queue: Queue<Waiting>,
    slice_ns: u64,
    began: Instant,
    asked: Vec<i32>,
    answers: Vec<Answer>,
    stats: Option<Stats>,
}

/// What is counted between two prints.
struct Stats {
    interval: Duration,
    since: Instant,
    cpu: Duration,
    waits: u64,
    runs: u64,
    lookups: u64,
    overdue: u64,
}

impl<'a> Scheduler<'a> {
    /// Loads the scheduler. `lookup` must have been started before: afterwards this process can
    /// neither start threads nor map memory.
    pub fn start(
        opts: &Opts,
        lookup: Lookup,
        object: &'a mut MaybeUninit<OpenObject>,
    ) -> Result<Scheduler<'a>> {
        let slice_ns = opts.slice_us * 1000;
        // Wake-ups go to an idle CPU without asking us.
        let (partial, debug, builtin_idle, numa_local) = (false, false, true, false);
        let mut bpf =
            BpfScheduler::init(object, None, 0, partial, debug, builtin_idle, numa_local, slice_ns, OPS_NAME)
                .context(
                    "cannot load the scheduler (`scx_agent` says what this host lacks, or which other \
                     scheduler is loaded)",
                )?;
        let cpus = u32::try_from(*bpf.nr_online_cpus_mut())?;
        let stats = opts.stats.map(|interval| Stats {
            interval,
            since: Instant::now(),
            cpu: sys::cpu_time(),
            waits: 0,
            runs: 0,
            lookups: 0,
            overdue: 0,
        });
        let max_wait_ns = MAX_WAIT.as_nanos() as u64;
        lookup.say(format!("scx_agentland is scheduling {cpus} CPUs from user space"));
        Ok(Scheduler {
            bpf,
            lookup,
            ranks: Ranks::new(cpus, 0),
            queue: Queue::new(max_wait_ns),
            slice_ns,
            began: Instant::now(),
            asked: Vec::new(),
            answers: Vec::new(),
            stats,
        })
    }

    /// Schedules until a signal, or until the kernel ends it; returns why.
    pub fn run(mut self) -> Result<UserExitInfo> {
        while !self.bpf.exited() {
            let now = self.now();
            // As long as this is not 0, the kernel half gives us a CPU before any other task.
            *self.bpf.nr_scheduled_mut() = self.queue.len() as u64 + 1;
            self.learn(now);
            self.take_in(now)?;
            self.give_out(now);
            self.count();
            self.bpf.notify_complete(self.queue.len() as u64);
        }
        self.bpf.shutdown_and_report()
    }

    /// ns since the start.
    fn now(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }

    /// Asks about tasks, and hears about others.
    fn learn(&mut self, now: u64) {
        self.lookup.exchange(&mut self.asked, &mut self.answers);
        let mut some_gone = false;
        for answer in self.answers.drain(..) {
            match answer {
                Answer::Placed(pid, place) => self.ranks.placed(pid, place, now),
                Answer::Gone(pid) => {
                    self.ranks.gone(pid, now);
                    some_gone = true;
                }
            }
        }
        self.ranks.tick(some_gone, now);
    }

    /// Ranks all that has come to wait since the last time.
    fn take_in(&mut self, now: u64) -> Result<()> {
        loop {
            let task = match self.bpf.dequeue_task() {
                Ok(Some(task)) => task,
                Ok(None) => break,
                Err(e) => anyhow::bail!("cannot read the queue of the kernel half: error {e}"),
            };
            let (rank, look_up) = self.ranks.arrive(&arrival(&task), now);
            if look_up {
                self.asked.push(task.pid);
            }
            let out = DispatchedTask { slice_ns: self.slice_ns, ..DispatchedTask::new(&task) };
            self.queue.push(rank, Waiting { task: out, bound: task.nr_cpus_allowed == 1 }, now);
            if let Some(stats) = &mut self.stats {
                stats.waits += 1;
                stats.lookups += u64::from(look_up);
            }
        }
        if !self.asked.is_empty() {
            self.lookup.exchange(&mut self.asked, &mut self.answers);
        }
        Ok(())
    }

    /// Gives out the first in rank: as many as there are idle CPUs, and one for the CPU that we
    /// leave. The others are ranked again against those that come.
    fn give_out(&mut self, now: u64) {
        let mut idle = self.bpf.nr_online_cpus_mut().saturating_sub(*self.bpf.nr_running_mut() + 1);
        while let Some((rank, Waiting { mut task, bound })) = self.queue.pop(now) {
            if !bound {
                let cpu = if idle > 0 { self.bpf.select_cpu(task.pid, task.cpu, task.flags) } else { -1 };
                task.cpu = if cpu >= 0 { cpu } else { RL_CPU_ANY };
                idle = if cpu >= 0 { idle - 1 } else { 0 };
            }
            task.vtime = order(rank, now);
            self.ranks.started(task.pid, now);
            if let Some(stats) = &mut self.stats {
                stats.runs += 1;
            }
            if self.bpf.dispatch_task(&task).is_err() {
                // More than the kernel half takes at once: it takes them when we yield.
                self.queue.push(Rank::Key(now), Waiting { task, bound }, now);
                break;
            }
            if task.cpu == RL_CPU_ANY {
                break;
            }
        }
    }

    /// Prints statistics when it is time.
    fn count(&mut self) {
        let Some(stats) = &mut self.stats else { return };
        let elapsed = stats.since.elapsed();
        if elapsed < stats.interval {
            return;
        }
        let (secs, cpu) = (elapsed.as_secs_f64(), sys::cpu_time());
        let (tasks, calls, groups) = self.ranks.counts();
        self.lookup.say(format!(
            "tasks {tasks} calls {calls} cgroups {groups} waiting {} | per second: {:.0} waits {:.0} runs {:.0} \
             lookups | overdue {} own CPU {:.1} %",
            self.queue.len(),
            stats.waits as f64 / secs,
            stats.runs as f64 / secs,
            stats.lookups as f64 / secs,
            self.queue.nr_overdue - stats.overdue,
            (cpu - stats.cpu).as_secs_f64() / secs * 100.0,
        ));
        (stats.since, stats.cpu) = (Instant::now(), cpu);
        (stats.waits, stats.runs, stats.lookups, stats.overdue) = (0, 0, 0, self.queue.nr_overdue);
    }
}

/// Place in the queues of the kernel half, for a task that is given out `now`.
///
/// Not all that is given out runs at once: a kernel thread may be first on the CPU that we leave, and
/// then the task waits there while we give out others. Those should be first that rank first, but none
/// may wait for long: differences count a sixteenth, and so at most for 0.4 s either way.
fn order(rank: Rank, now: u64) -> u64 {
    let behind_ns = match rank {
        Rank::Key(key) => (key.wrapping_sub(now) as i64).clamp(-FARTHEST_NS, FARTHEST_NS),
        Rank::Long(_) => FARTHEST_NS,
    };
    now.wrapping_add_signed(behind_ns / 16)
}

/// What the policy goes by.
fn arrival(task: &QueuedTask) -> Arrival {
    Arrival {
        pid: task.pid,
        comm: task.comm.map(|c| c as u8),
        nr_waits: task.enq_cnt,
        ran_at_ns: task.start_ts,
        ran_ns: task.stop_ts.saturating_sub(task.start_ts),
        woke_up: task.exec_runtime == 0,
        weight: task.weight.clamp(1, 10_000) as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_out_is_in_order_and_ages() {
        const S: u64 = 1_000_000_000;
        let now = 2 * S;
        let ranks = [Rank::Key(now.wrapping_sub(6 * S)), Rank::Key(now), Rank::Key(now + S), Rank::Long(0)];
        for pair in ranks.windows(2) {
            assert!(agentpolicy::before(order(pair[0], now), order(pair[1], now)), "{pair:?}");
        }
        let later = now + S;
        assert!(agentpolicy::before(order(Rank::Key(u64::MAX >> 1), now), order(ranks[0], later)), "{later}");
    }
}
