// SPDX-License-Identifier: GPL-2.0-only
//! What a plan would take under an ideal policy: a simulation of N cores without any overhead.
//!
//! The plan is a closed loop (each agent thinks, then its framework works, then its calls run,
//! and only when the last has ended does it think again), so a better policy also makes later
//! work arrive earlier, as on a real host.
//!
//! Service is fluid. A call's stage of width k is k processes of at most one core each; framework
//! work (width 1) comes first, then calls by the [`Policy`]'s rank, and processes of equal rank
//! share the cores that are left equally. Ranks are renewed at every start, wait and end, and
//! every [`Machine::grain_ms`], which stands for the slice. CPU the framework uses while it waits
//! (`wait_cpu_pct`) is left out.

use crate::policy::{Policy, Rank, View};
use agentload::plan::{Agent, Call};
use agentload::record::{AgentRecord, CallRecord, Record, TurnRecord};

/// The simulated machine.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    pub cpus: u32,
    /// CPU a call needs before its first stage (fork, exec, exit), on one core, in ms.
    pub overhead_ms: f64,
    /// Ranks are renewed at least this often, in ms.
    pub grain_ms: f64,
}

impl Default for Machine {
    fn default() -> Machine {
        Machine { cpus: 8, overhead_ms: 0.0, grain_ms: 1.0 }
    }
}

impl Machine {
    /// Response of a call with the machine to itself, in ms.
    pub fn alone_ms(&self, call: &Call) -> f64 {
        let stages = call.stages.iter();
        let crowd = |w: u32| (w as f64 / self.cpus as f64).max(1.0);
        self.overhead_ms + stages.map(|s| s.wait_ms + s.cpu_ms * crowd(s.width)).sum::<f64>()
    }
}

const EPSILON_MS: f64 = 1e-9;

/// Framework work or a tool call in progress.
struct Job {
    agent: usize,
    /// Index of the call in its turn; `None` for framework work.
    call: Option<usize>,
    /// Next stage to begin.
    next_stage: usize,
    /// The present stage waits until then, in ms.
    wait_until: f64,
    /// CPU each process of the present stage still needs, in ms.
    left_ms: f64,
    width: u32,
    attained_ms: f64,
    remaining_ms: f64,
    start_ms: f64,
    seq: u64,
}

/// Where an agent is in its turn.
#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Think {
        until: f64,
    },
    Framework {
        due: f64,
    },
    /// Calls from `next` on start at their offset after `from`; `open` have not ended.
    Calls {
        from: f64,
        next: usize,
        open: usize,
    },
    Done,
}

struct Sim<'a> {
    plan: &'a [Agent],
    machine: Machine,
    policy: Policy,
    now: f64,
    seq: u64,
    turn: Vec<usize>,
    phase: Vec<Phase>,
    jobs: Vec<Job>,
    out: Vec<Record>,
}

fn ns(ms: f64) -> u64 {
    (ms * 1e6).round() as u64
}

/// Runs `plan` and returns the records that a real run would have written.
pub fn simulate(plan: &[Agent], machine: Machine, policy: Policy) -> Vec<Record> {
    let mut sim = Sim {
        plan,
        machine,
        policy,
        now: 0.0,
        seq: 0,
        turn: vec![0; plan.len()],
        phase: vec![Phase::Done; plan.len()],
        jobs: Vec::new(),
        out: Vec::new(),
    };
    for (i, agent) in plan.iter().enumerate() {
        sim.begin_turn(i, agent.start_ms as f64);
    }
    sim.run();
    sim.out
}

impl Sim<'_> {
    /// The agent begins the turn `self.turn[agent]` at `at`, or has ended.
    fn begin_turn(&mut self, agent: usize, at: f64) {
        let a = &self.plan[agent];
        self.phase[agent] = match a.turns.get(self.turn[agent]) {
            Some(turn) => Phase::Think { until: at + turn.think_ms },
            None => {
                self.out.push(Record::Agent(AgentRecord {
                    memory: None,
                    agent: a.agent.clone(),
                    comm: a.comm.clone(),
                    turns: a.turns.len() as u32,
                    calls: a.turns.iter().map(|t| t.calls.len() as u32).sum(),
                    failed_calls: 0,
                    end_ns: ns(at),
                }));
                Phase::Done
            }
        };
    }

    fn spawn(&mut self, agent: usize, call: Option<usize>, cpu_ms: f64, remaining_ms: f64) {
        self.jobs.push(Job {
            agent,
            call,
            next_stage: 0,
            wait_until: 0.0,
            left_ms: cpu_ms,
            width: 1,
            attained_ms: 0.0,
            remaining_ms,
            start_ms: self.now,
            seq: self.seq,
        });
        self.seq += 1;
    }

    /// Does all that is due now; returns when the next thing is due.
    fn fire(&mut self) -> f64 {
        let mut next_due = f64::INFINITY;
        for i in 0..self.plan.len() {
            if let Phase::Think { until } = self.phase[i] {
                if until <= self.now + EPSILON_MS {
                    let work = self.plan[i].turns[self.turn[i]].framework_ms;
                    self.phase[i] = Phase::Framework { due: until };
                    self.spawn(i, None, work, work);
                } else {
                    next_due = next_due.min(until);
                }
            }
            while let Phase::Calls { from, next, open } = self.phase[i] {
                let calls = &self.plan[i].turns[self.turn[i]].calls;
                if next == calls.len() {
                    if open == 0 {
                        self.turn[i] += 1;
                        self.begin_turn(i, self.now);
                        if let Phase::Think { until } = self.phase[i] {
                            next_due = next_due.min(until);
                        }
                    }
                    break;
                }
                // Calls start in order: one never starts before its predecessor.
                let at = from + calls[next].offset_ms;
                if at > self.now + EPSILON_MS {
                    next_due = next_due.min(at);
                    break;
                }
                let overhead = self.machine.overhead_ms;
                let demand = calls[next].cpu_ms() + overhead;
                self.phase[i] = Phase::Calls { from, next: next + 1, open: open + 1 };
                self.spawn(i, Some(next), overhead, demand);
            }
        }
        next_due
    }

    /// Moves jobs whose stage is done to the next one, ends those that have none left; returns
    /// when the first wait ends and whether a job has ended.
    fn settle(&mut self) -> (f64, bool) {
        let (mut next_due, mut ended) = (f64::INFINITY, false);
        let mut i = 0;
        while i < self.jobs.len() {
            let job = &mut self.jobs[i];
            let stages = match job.call {
                Some(c) => &self.plan[job.agent].turns[self.turn[job.agent]].calls[c].stages[..],
                None => &[],
            };
            while job.left_ms <= EPSILON_MS
                && job.wait_until <= self.now + EPSILON_MS
                && job.next_stage < stages.len()
            {
                let s = &stages[job.next_stage];
                job.wait_until = self.now + s.wait_ms;
                job.left_ms = s.cpu_ms;
                job.width = s.width.max(1);
                job.next_stage += 1;
            }
            if job.wait_until > self.now + EPSILON_MS {
                next_due = next_due.min(job.wait_until);
            } else if job.left_ms <= EPSILON_MS && job.next_stage == stages.len() {
                ended = true;
                let job = self.jobs.remove(i);
                self.end(job);
                continue;
            }
            i += 1;
        }
        (next_due, ended)
    }

    fn end(&mut self, job: Job) {
        let agent = &self.plan[job.agent];
        let turn = &agent.turns[self.turn[job.agent]];
        match (job.call, self.phase[job.agent]) {
            (None, Phase::Framework { due }) => {
                self.out.push(Record::Turn(TurnRecord {
                    agent: agent.agent.clone(),
                    turn: self.turn[job.agent] as u32,
                    due_ns: ns(due),
                    woken_ns: ns(due),
                    done_ns: ns(self.now),
                    cpu_ms: turn.framework_ms,
                }));
                self.phase[job.agent] = Phase::Calls { from: self.now, next: 0, open: 0 };
            }
            (Some(c), Phase::Calls { from, next, open }) => {
                let call = &turn.calls[c];
                self.out.push(Record::Call(CallRecord {
                    agent: agent.agent.clone(),
                    call: call.call,
                    cat: call.cat.clone(),
                    size: call.size(),
                    cpu_ms: call.cpu_ms(),
                    width: call.width(),
                    start_ns: ns(job.start_ms),
                    end_ns: ns(self.now),
                    ok: true,
                    pid: 0,
                }));
                self.phase[job.agent] = Phase::Calls { from, next, open: open - 1 };
            }
            _ => unreachable!("a job of an agent in another phase"),
        }
    }

    /// Share of a core for each process of each job.
    fn rates(&self) -> Vec<f64> {
        let mut ranked: Vec<(Rank, usize)> = Vec::new();
        for (i, job) in self.jobs.iter().enumerate() {
            if job.wait_until > self.now + EPSILON_MS {
                continue;
            }
            let rank = match job.call {
                None => Rank { level: f64::NEG_INFINITY, order: 0 },
                Some(_) => self.policy.rank(&View {
                    attained_ms: job.attained_ms,
                    remaining_ms: job.remaining_ms,
                    width: job.width,
                    age_ms: self.now - job.start_ms,
                    seq: job.seq,
                    grain_ms: self.machine.grain_ms,
                }),
            };
            ranked.push((rank, i));
        }
        ranked.sort_by(|a, b| {
            (a.0.level.total_cmp(&b.0.level)).then(a.0.order.cmp(&b.0.order)).then(a.1.cmp(&b.1))
        });
        let mut rates = vec![0.0; self.jobs.len()];
        let mut cores = self.machine.cpus as f64;
        for group in ranked.chunk_by(|a, b| a.0 == b.0) {
            let wanted: f64 = group.iter().map(|(_, i)| self.jobs[*i].width as f64).sum();
            let share = (cores / wanted).min(1.0);
            group.iter().for_each(|(_, i)| rates[*i] = share);
            cores -= share * wanted;
            if cores <= EPSILON_MS {
                break;
            }
        }
        rates
    }

    fn run(&mut self) {
        loop {
            let (mut due, mut ended);
            let mut timer;
            loop {
                timer = self.fire();
                (due, ended) = self.settle();
                if !ended {
                    break;
                }
            }
            let rates = self.rates();
            let mut step = due.min(timer) - self.now;
            for (job, rate) in self.jobs.iter().zip(&rates) {
                if *rate > 0.0 {
                    step = step.min(self.machine.grain_ms).min(job.left_ms / rate);
                }
            }
            if step.is_infinite() {
                return;
            }
            self.now += step;
            for (job, rate) in self.jobs.iter_mut().zip(&rates) {
                let served = step * rate;
                job.left_ms = (job.left_ms - served).max(0.0);
                job.attained_ms += served * job.width as f64;
                job.remaining_ms -= served * job.width as f64;
            }
        }
    }
}
