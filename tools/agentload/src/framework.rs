// SPDX-License-Identifier: GPL-2.0-only
//! An agent's framework process: waits for its model, works a little, calls tools, reaps them.

use crate::plan::{Agent, Call, Turn};
use crate::shared::{self, Shared};
use crate::{burn, cgroup, sys, work};
use std::ffi::CString;
use std::path::Path;
use std::sync::atomic::Ordering::{Relaxed, Release};

/// Length of one poll period while the framework burns `wait_cpu_pct`.
const POLL_NS: u64 = 100_000_000;

/// What all frameworks of a run have in common.
#[derive(Clone)]
pub struct Settings {
    /// Absolute path of this program, for the burner.
    pub program: String,
    /// Iterations of the work loop per ms.
    pub work_per_ms: f64,
    /// Divides think times and start times.
    pub speedup: f64,
    /// No new turns after this time since the start.
    pub window_ns: Option<u64>,
    /// Hold memory as planned.
    pub mem: bool,
    /// comm for every framework instead of the plan's.
    pub comm: Option<String>,
}

impl Settings {
    /// The shell command of a call, which says in `slots` how it gets its memory. The shell
    /// stays: the burner is its child.
    pub fn command(&self, call: &Call, slots: Option<String>) -> String {
        let mut args = format!("--stages {}", burn::encode(&call.stages, self.work_per_ms, self.mem));
        if let Some(slots) = slots {
            args += &format!(" --slots {slots}");
        }
        self.shell_line(&args)
    }

    /// A shell command that runs the burner with these arguments as the shell's child.
    pub fn shell_line(&self, burn_args: &str) -> String {
        let quoted = self.program.replace('\'', "'\\''");
        format!("'{quoted}' burn {burn_args}; exit $?")
    }
}

/// The framework process: enters its cgroup, becomes itself, waits at the gate, lives the plan.
/// Never returns. `ready` gets one byte when set up (`+`, or `-` for a failure).
pub fn main(
    agent: &Agent,
    index: usize,
    dir: &Path,
    set: &Settings,
    mem: &Shared,
    ready: i32,
    gate: i32,
) -> ! {
    sys::mask_signals(&[libc::SIGINT, libc::SIGTERM], false);
    // SAFETY: plain integers; the frameworks must not outlive a killed parent.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong, 0, 0, 0) };
    if let Err(e) = cgroup::enter(dir) {
        eprintln!("agentload: {}: cannot enter {}: {e}", agent.agent, dir.display());
        sys::write_fd(ready, b"-");
        sys::exit_now(1);
    }
    sys::set_comm(set.comm.as_deref().unwrap_or(&agent.comm));
    let pages = if set.mem { work::pages(agent.base_mb) } else { 0 };
    let mut held = (pages > 0).then(|| work::Held::reserve(pages)).and_then(Result::ok);
    if let Some(h) = &mut held {
        h.resize(pages);
    }
    let base = mem.base(index);
    // Commands are made before the run: no formatting on the way to a call.
    let mut step = base.step;
    let mut command = |c: &Call| {
        let line = set.command(c, mem.steps_from(step));
        step += c.stages.len();
        CString::new(line).unwrap_or_default()
    };
    let commands: Vec<Vec<CString>> =
        agent.turns.iter().map(|t| t.calls.iter().map(&mut command).collect()).collect();
    sys::write_fd(ready, b"+");
    sys::close(ready);
    sys::read_fd(gate, &mut [0u8; 1]);
    sys::close(gate);

    let start = mem.start().load(Relaxed);
    let slot = mem.agent(base.agent);
    let mut at = start + scaled_ns(agent.start_ms as f64, set.speedup);
    let mut next_call = base.call;
    for (i, turn) in agent.turns.iter().enumerate() {
        let due = at + scaled_ns(turn.think_ms, set.speedup);
        if set.window_ns.is_some_and(|w| due > start + w) {
            break;
        }
        think(due, turn.wait_cpu_pct, set.work_per_ms);
        let woken = sys::now_ns();
        if let Some(h) = &mut held {
            h.touch();
        }
        work::spin(work::iterations(turn.framework_ms, set.work_per_ms));
        let done = sys::now_ns();
        let t = mem.turn(base.turn + i);
        t.due_ns.store(due, Relaxed);
        t.woken_ns.store(woken, Relaxed);
        t.done_ns.store(done, Relaxed);
        t.state.store(shared::OK as u64, Release);
        run_calls(turn, &commands[i], next_call, done, mem, slot);
        next_call += turn.calls.len();
        slot.turns.fetch_add(1, Relaxed);
        at = sys::now_ns();
    }
    slot.end_ns.store(sys::now_ns(), Release);
    sys::exit_now(0)
}

fn scaled_ns(ms: f64, speedup: f64) -> u64 {
    (ms * 1e6 / speedup).round().max(0.0) as u64
}

/// Waits until `due_ns`, using `pct` percent of a core in a poll every 100 ms.
fn think(due_ns: u64, pct: f64, work_per_ms: f64) {
    let busy_ms = pct.clamp(0.0, 95.0) / 100.0 * POLL_NS as f64 / 1e6;
    if busy_ms > 0.0 {
        let chunk = work::iterations(busy_ms, work_per_ms);
        let mut next = sys::now_ns() + POLL_NS;
        while next < due_ns {
            sys::sleep_until(next);
            work::spin(chunk);
            next += POLL_NS;
        }
    }
    sys::sleep_until(due_ns);
}

/// A call in flight: its pid and where it is recorded.
type Flying = Vec<(i32, usize)>;

/// Starts the calls at their offsets after `from_ns` and returns when all have been reaped.
fn run_calls(
    turn: &Turn,
    commands: &[CString],
    first: usize,
    from_ns: u64,
    mem: &Shared,
    agent: &shared::AgentSlot,
) {
    let mut order: Vec<usize> = (0..turn.calls.len()).collect();
    order.sort_by(|a, b| turn.calls[*a].offset_ms.total_cmp(&turn.calls[*b].offset_ms));
    let mut flying: Flying = Vec::with_capacity(order.len());
    for i in order {
        let at = from_ns + (turn.calls[i].offset_ms * 1e6).max(0.0) as u64;
        wait_reaping(at, &mut flying, mem, agent);
        let slot = mem.call(first + i);
        slot.start_ns.store(sys::now_ns(), Relaxed);
        match sys::spawn_shell(&commands[i]) {
            Ok(pid) => {
                slot.pid.store(pid as u32, Relaxed);
                flying.push((pid, first + i));
            }
            Err(_) => {
                slot.end_ns.store(sys::now_ns(), Relaxed);
                slot.state.store(shared::FAILED, Release);
                agent.calls.fetch_add(1, Relaxed);
            }
        }
    }
    while !flying.is_empty() && reap_one(true, &mut flying, mem, agent) {}
}

/// Waits until `at_ns`, recording calls that end meanwhile (SIGCHLD is blocked in this process).
fn wait_reaping(at_ns: u64, flying: &mut Flying, mem: &Shared, agent: &shared::AgentSlot) {
    while !flying.is_empty() {
        while reap_one(false, flying, mem, agent) {}
        let now = sys::now_ns();
        if now >= at_ns {
            return;
        }
        if !flying.is_empty() {
            sys::wait_signal(&[libc::SIGCHLD], at_ns - now);
        }
    }
    sys::sleep_until(at_ns);
}

/// Reaps one child and records its end; false when there was none to reap.
fn reap_one(block: bool, flying: &mut Flying, mem: &Shared, agent: &shared::AgentSlot) -> bool {
    let Some((pid, status)) = sys::reap(block) else {
        return false;
    };
    let now = sys::now_ns();
    if let Some(k) = flying.iter().position(|f| f.0 == pid) {
        let slot = mem.call(flying.swap_remove(k).1);
        slot.end_ns.store(now, Relaxed);
        let state = if sys::status_ok(status) { shared::OK } else { shared::FAILED };
        slot.state.store(state, Release);
        agent.calls.fetch_add(1, Relaxed);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_keeps_a_child() {
        let set = Settings {
            program: "/opt/it's/agentload".into(),
            work_per_ms: 10.0,
            speedup: 1.0,
            window_ns: None,
            mem: false,
            comm: None,
        };
        assert_eq!(
            set.shell_line("--stages 0:1:1:0"),
            "'/opt/it'\\''s/agentload' burn --stages 0:1:1:0; exit $?"
        );
    }

    #[test]
    fn speedup_divides() {
        assert_eq!(scaled_ns(100.0, 4.0), 25_000_000);
    }
}
