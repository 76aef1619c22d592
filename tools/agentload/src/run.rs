// SPDX-License-Identifier: GPL-2.0-only
//! A run: one framework process per agent, started together, and their records collected.

use crate::cgroup::{Knob, Tree};
use crate::framework::{self, Settings};
use crate::plan::{Agent, Call, Turn};
use crate::record::{AgentRecord, CallRecord, MemoryRecord, Record, RunRecord, StepRecord, TurnRecord};
use crate::shared::{self, Shared};
use crate::timeline::Tracer;
use crate::{sys, work};
use anyhow::{bail, Context, Result};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// How to run a plan.
#[derive(Clone, Debug)]
pub struct Options {
    /// Parent cgroup, below the cgroup v2 root.
    pub cgroup: String,
    /// Take no new turns after this many seconds.
    pub window_s: Option<f64>,
    /// Divides think and start times; more than 0.
    pub speedup: f64,
    /// One call after another instead of the plan's times.
    pub serial: bool,
    /// Record who ran where, with the scheduler's tracepoints.
    pub timeline: bool,
    /// Hold the plan's memory.
    pub mem: bool,
    /// Iterations of the work loop per ms; calibrated when None.
    pub work_per_ms: Option<f64>,
    /// comm for all frameworks; None takes each agent's from the plan.
    pub comm: Option<String>,
    /// Written to the agents' cgroups.
    pub knobs: Vec<Knob>,
}

/// The signals a parent waits for.
pub const SIGNALS: [libc::c_int; 3] = [libc::SIGCHLD, libc::SIGINT, libc::SIGTERM];

/// Runs the plan and returns its records, sorted by agent (in the plan's order) and call.
/// Fails when the cgroups cannot be made, a framework cannot start, or a signal ends the run.
pub fn run(plan: &[Agent], opt: &Options) -> Result<Vec<Record>> {
    sys::mask_signals(&SIGNALS, true);
    let work_per_ms = opt.work_per_ms.map_or_else(work::calibrate, Ok)?;
    let settings = Settings {
        program: own_path()?,
        work_per_ms,
        speedup: if opt.serial { 1.0 } else { opt.speedup },
        window_ns: opt.window_s.map(|s| (s * 1e9) as u64),
        mem: opt.mem,
        comm: opt.comm.clone(),
    };
    let head = RunRecord {
        agents: plan.len() as u32,
        calls: plan.iter().flat_map(|a| &a.turns).map(|t| t.calls.len() as u32).sum(),
        cpus: sys::online_cpus(),
        work_per_ms,
        serial: opt.serial,
    };
    let mut records = vec![Record::Run(head)];
    if opt.serial {
        let (alone, index) = serial_plan(plan, sys::online_cpus());
        let (mem, _) = execute(&alone, opt, &settings, &mut records)?;
        if mem.agent(0).end_ns.load(Acquire) == 0 {
            bail!("the framework of the serial run died before its last call");
        }
        spread_serial(plan, &index, &mem, &mut records);
    } else {
        let unknown = |k: &&Knob| k.agent.as_ref().is_some_and(|a| plan.iter().all(|p| p.agent != *a));
        if let Some(knob) = opt.knobs.iter().find(unknown) {
            bail!("--set {}/{}: the plan has no such agent", knob.agent.as_deref().unwrap_or(""), knob.file);
        }
        warn_about_memory(plan, opt);
        let (mem, memory) = execute(plan, opt, &settings, &mut records)?;
        collect(plan, &settings, &mem, memory, &mut records);
    }
    Ok(records)
}

/// The path the shell starts the burner by.
pub fn own_path() -> Result<String> {
    let p = std::env::current_exe().context("cannot tell this program's own path (is /proc mounted?)")?;
    p.into_os_string().into_string().ok().context("this program's path is not UTF-8")
}

/// Starts the frameworks of a plan and waits for their end; also what the memory of each came to, in
/// the plan's order.
fn execute(
    plan: &[Agent],
    opt: &Options,
    set: &Settings,
    records: &mut Vec<Record>,
) -> Result<(Shared, Vec<MemoryRecord>)> {
    let mem = Shared::new(plan, set.mem).context("no memory for the records")?;
    let mut tree = Tree::new(&opt.cgroup)?;
    tree.knobs = opt.knobs.clone();
    let fleet = Fleet::start(plan, &mut tree, set, &mem)?;
    let mut tracer = if opt.timeline { Some(Tracer::start()?) } else { None };
    fleet.release(&mem);
    let died = |pid| {
        if let Some(i) = fleet.pids.iter().position(|p| *p == pid) {
            tree.kill(&plan[i].agent);
        }
    };
    let result = wait_all(plan.len(), &mem, died);
    if let (Some(t), Ok(())) = (&mut tracer, &result) {
        let start = mem.start().load(Relaxed);
        records.extend(t.finish(start, &fleet.pids)?.into_iter().map(Record::Timeline));
    }
    let memory = plan.iter().map(|a| tree.memory(&a.agent)).collect();
    drop(tree);
    result.map(|()| (mem, memory))
}

/// Frameworks that are set up and wait at the gate.
pub struct Fleet {
    /// Framework pids, in the plan's order.
    pub pids: Vec<i32>,
    gate: i32,
}

impl Fleet {
    /// Forks one framework per agent into cgroups of `tree` and waits until all are set up.
    pub fn start(plan: &[Agent], tree: &mut Tree, set: &Settings, mem: &Shared) -> Result<Fleet> {
        let (ready_r, ready_w) = sys::pipe()?;
        let (gate_r, gate_w) = sys::pipe()?;
        let mut pids = Vec::with_capacity(plan.len());
        for (i, agent) in plan.iter().enumerate() {
            let dir = tree.add(&agent.agent)?;
            match sys::fork().with_context(|| format!("cannot fork the framework of {}", agent.agent))? {
                0 => {
                    sys::close(ready_r);
                    sys::close(gate_w);
                    framework::main(agent, i, &dir, set, mem, ready_w, gate_r)
                }
                pid => pids.push(pid),
            }
        }
        sys::close(ready_w);
        sys::close(gate_r);
        let mut answers = vec![0u8; plan.len()];
        let mut got = 0;
        while got < plan.len() {
            let n = sys::read_fd(ready_r, &mut answers[got..]);
            if n == 0 || answers[got..got + n].contains(&b'-') {
                bail!("a framework could not start (killed for memory, or its cgroup refused it)");
            }
            got += n;
        }
        sys::close(ready_r);
        Ok(Fleet { pids, gate: gate_w })
    }

    /// Sets the start of the run to now and lets all frameworks go.
    pub fn release(&self, mem: &Shared) {
        mem.start().store(sys::now_ns() + 1_000_000, Relaxed);
        sys::close(self.gate);
    }
}

/// Waits until all frameworks have ended; every 2 s a line of progress on stderr. `died` is told of
/// those that did not end well: a container ends with its first process.
fn wait_all(agents: usize, mem: &Shared, died: impl Fn(i32)) -> Result<()> {
    let mut left = agents;
    let mut next = sys::now_ns() + 2_000_000_000;
    while left > 0 {
        let now = sys::now_ns();
        if now >= next {
            let (done, calls) = mem.progress();
            eprintln!("{done}/{agents} agents done, {calls}/{} calls", mem.calls_total());
            next = now + 2_000_000_000;
        }
        match sys::wait_signal(&SIGNALS, next - now.min(next)) {
            Some(libc::SIGCHLD) | None => {
                while let Some((pid, status)) = sys::reap(false) {
                    left -= 1;
                    if !sys::status_ok(status) {
                        eprintln!("agentload: framework {pid} ended with status {status:#x}");
                        died(pid);
                    }
                }
            }
            Some(s) => bail!("ended by signal {s}"),
        }
    }
    Ok(())
}

/// All records of a normal run; `memory` is that of each agent.
fn collect(plan: &[Agent], set: &Settings, mem: &Shared, memory: Vec<MemoryRecord>, out: &mut Vec<Record>) {
    let start = mem.start().load(Relaxed);
    for (i, (a, memory)) in plan.iter().zip(memory).enumerate() {
        let base = mem.base(i);
        let mut call_slot = base.call;
        let mut step_slot = base.step;
        let mut calls = 0;
        let mut failed = 0;
        let mut turns = Vec::new();
        for (k, t) in a.turns.iter().enumerate() {
            let slot = mem.turn(base.turn + k);
            if slot.state.load(Acquire) != 0 {
                turns.push(Record::Turn(TurnRecord {
                    agent: a.agent.clone(),
                    turn: k as u32,
                    due_ns: since(&slot.due_ns, start),
                    woken_ns: since(&slot.woken_ns, start),
                    done_ns: since(&slot.done_ns, start),
                    cpu_ms: t.framework_ms,
                }));
            }
            for c in &t.calls {
                if let Some(r) = call_record(a, c, mem.call(call_slot), start) {
                    calls += 1;
                    failed += !r.ok as u32;
                    out.push(Record::Call(r));
                }
                call_slot += 1;
                out.extend(step_records(a, c, mem, step_slot, start).map(Record::Step));
                step_slot += c.stages.len();
            }
        }
        let slot = mem.agent(base.agent);
        out.append(&mut turns);
        out.push(Record::Agent(AgentRecord {
            agent: a.agent.clone(),
            comm: set.comm.clone().unwrap_or_else(|| a.comm.clone()),
            turns: slot.turns.load(Relaxed),
            calls,
            failed_calls: failed,
            end_ns: since(&slot.end_ns, start),
            memory: set.mem.then_some(memory),
        }));
    }
}

/// The stages of a call that grew and got all they wanted; their slots begin with `first`.
fn step_records<'a>(
    a: &'a Agent,
    c: &'a Call,
    mem: &'a Shared,
    first: usize,
    start: u64,
) -> impl Iterator<Item = StepRecord> + 'a {
    let mut before = 0.0;
    c.stages.iter().enumerate().filter_map(move |(i, s)| {
        let mb = s.mem_mb - std::mem::replace(&mut before, s.mem_mb);
        let slot = mem.step(first + i);
        (slot.end_ns.load(Relaxed) != 0).then(|| StepRecord {
            agent: a.agent.clone(),
            call: c.call,
            stage: i as u32,
            mb,
            start_ns: since(&slot.start_ns, start),
            end_ns: since(&slot.end_ns, start),
        })
    })
}

fn since(slot: &std::sync::atomic::AtomicU64, start: u64) -> u64 {
    slot.load(Relaxed).saturating_sub(start)
}

/// The record of a call that was started; a call whose framework died under it has failed.
fn call_record(a: &Agent, c: &crate::plan::Call, slot: &shared::CallSlot, start: u64) -> Option<CallRecord> {
    let state = slot.state.load(Acquire);
    if slot.start_ns.load(Relaxed) == 0 {
        return None;
    }
    let start_ns = since(&slot.start_ns, start);
    Some(CallRecord {
        agent: a.agent.clone(),
        call: c.call,
        cat: c.cat.clone(),
        size: c.size(),
        cpu_ms: c.cpu_ms(),
        width: c.width(),
        start_ns,
        end_ns: since(&slot.end_ns, start).max(start_ns),
        ok: state == shared::OK,
        pid: slot.pid.load(Relaxed),
    })
}

/// One agent that makes every different call of the plan once, uncontended; and for each call of
/// the plan, in order, which of them stands for it.
///
/// Uncontended, not one by one, for that takes minutes: side by side as long as half of the `cpus`
/// stay idle, and calls of about the same length together, so that each has CPUs to itself.
fn serial_plan(plan: &[Agent], cpus: u32) -> (Vec<Agent>, Vec<usize>) {
    let all = || plan.iter().flat_map(|a| &a.turns).flat_map(|t| &t.calls);
    let key = |call: &Call| format!("{:?}", call.stages);
    let different: BTreeMap<String, &Call> = all().map(|c| (key(c), c)).collect();
    let mut order: Vec<(String, &Call)> = different.into_iter().collect();
    order.sort_by(|a, b| a.1.span_ms().total_cmp(&b.1.span_ms()));

    let mut at = BTreeMap::new();
    let mut turns: Vec<Turn> = Vec::new();
    let mut free = 0;
    for (i, (key, call)) in order.into_iter().enumerate() {
        at.insert(key, i);
        let width = call.width().max(1);
        if turns.is_empty() || width > free {
            turns.push(Turn { think_ms: 0.0, framework_ms: 0.0, wait_cpu_pct: 0.0, calls: vec![] });
            free = (cpus / 2).max(1);
        }
        free = free.saturating_sub(width);
        let calls = &mut turns.last_mut().expect("just pushed").calls;
        calls.push(Call { call: i as u32, offset_ms: 0.0, ..call.clone() });
    }
    let index = all().map(|c| at[&key(c)]).collect();
    let agent = Agent { agent: "serial".into(), comm: "claude".into(), start_ms: 0, base_mb: 0.0, turns };
    (vec![agent], index)
}

/// Call records for the whole plan from the serial run's slots.
fn spread_serial(plan: &[Agent], index: &[usize], mem: &Shared, out: &mut Vec<Record>) {
    let start = mem.start().load(Relaxed);
    let mut next = index.iter();
    for a in plan {
        for c in a.turns.iter().flat_map(|t| &t.calls) {
            let Some(&at) = next.next() else { return };
            out.extend(call_record(a, c, mem.call(at), start).map(Record::Call));
        }
    }
}

/// Says so when the plan's frameworks alone want more memory than there is.
fn warn_about_memory(plan: &[Agent], opt: &Options) {
    let want: f64 = plan.iter().map(|a| a.base_mb).sum();
    if !opt.mem || want <= 0.0 {
        return;
    }
    let free_mb = std::fs::read_to_string("/proc/meminfo").ok().and_then(|m| {
        let line = m.lines().find(|l| l.starts_with("MemAvailable:"))?;
        Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? * 1024.0 / 1e6)
    });
    if free_mb.is_some_and(|f| f < want) {
        eprintln!(
            "agentload: the frameworks want {want:.0} MB, {:.0} MB are available: expect kills (or run with --mem off)",
            free_mb.unwrap_or(0.0)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Stage;

    fn call(n: u32, cpu_ms: f64) -> Call {
        Call {
            call: n,
            cat: "test".into(),
            offset_ms: 3.0,
            stages: vec![Stage { wait_ms: 0.0, cpu_ms, width: 1, mem_mb: 0.0 }],
        }
    }

    #[test]
    fn serial_calls_side_by_side_leave_half_the_cpus() {
        let turn = |cpu_ms| Turn {
            think_ms: 0.0,
            framework_ms: 0.0,
            wait_cpu_pct: 0.0,
            calls: vec![call(0, cpu_ms)],
        };
        let plan = [Agent {
            agent: "a".into(),
            comm: "node".into(),
            start_ms: 0,
            base_mb: 0.0,
            turns: (1..=9).map(|n| turn(n as f64)).collect(),
        }];
        let (alone, index) = serial_plan(&plan, 8);
        assert_eq!(index, (0..9).collect::<Vec<_>>());
        let widths: Vec<usize> = alone[0].turns.iter().map(|t| t.calls.len()).collect();
        assert_eq!(widths, [4, 4, 1]);
    }

    #[test]
    fn serial_runs_equal_calls_once() {
        let turn = |calls| Turn { think_ms: 5.0, framework_ms: 1.0, wait_cpu_pct: 0.0, calls };
        let agent = |name: &str, turns| Agent {
            agent: name.into(),
            comm: "node".into(),
            start_ms: 4,
            base_mb: 1.0,
            turns,
        };
        let plan = [
            agent("a", vec![turn(vec![call(0, 5.0), call(1, 6.0)])]),
            agent("b", vec![turn(vec![call(0, 6.0)]), turn(vec![call(1, 7.0)])]),
        ];
        let (alone, index) = serial_plan(&plan, 2);
        assert_eq!(index, [0, 1, 1, 2]);
        assert_eq!(alone[0].turns.len(), 3);
        assert!(alone[0].turns.iter().all(|t| t.think_ms == 0.0 && t.calls[0].offset_ms == 0.0));
    }
}
