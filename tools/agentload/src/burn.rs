// SPDX-License-Identifier: GPL-2.0-only
//! The burner: what a tool call's shell runs. It does the stages of a call and exits.
//!
//! It is started for every call, so it reads its one argument by hand and stays off the
//! command-line parser.

use crate::plan::Stage;
use crate::shared::Steps;
use crate::{react, sys, work};
use std::sync::atomic::Ordering::Relaxed;

/// A stage in machine units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    wait_us: u64,
    iterations: u64,
    width: u32,
    pages: usize,
}

/// The burner's argument for `stages`: `wait_us:iterations:width:pages`, comma-separated.
/// Without `mem` no memory is held.
pub fn encode(stages: &[Stage], work_per_ms: f64, mem: bool) -> String {
    let steps: Vec<String> = stages
        .iter()
        .map(|s| {
            let pages = if mem { work::pages(s.mem_mb) } else { 0 };
            let iterations = work::iterations(s.cpu_ms, work_per_ms);
            let wait_us = (s.wait_ms * 1000.0).round().max(0.0) as u64;
            format!("{wait_us}:{iterations}:{}:{pages}", s.width)
        })
        .collect();
    steps.join(",")
}

fn decode(text: &str) -> Option<Vec<Step>> {
    text.split(',')
        .filter(|s| !s.is_empty())
        .map(|s| {
            let mut f = s.split(':');
            let step = Step {
                wait_us: f.next()?.parse().ok()?,
                iterations: f.next()?.parse().ok()?,
                width: f.next()?.parse().ok()?,
                pages: f.next()?.parse().ok()?,
            };
            f.next().is_none().then_some(step)
        })
        .collect()
}

/// `burn --stages STEPS [--slots FD:OFFSET]` or `burn --react WIDTH:ITERATIONS`; ends the process.
pub fn main(mut args: impl Iterator<Item = String>) -> ! {
    let status = match (args.next().as_deref(), args.next()) {
        (Some("--stages"), Some(text)) => match (decode(&text), args.next().as_deref(), args.next()) {
            (Some(steps), None, _) => run(&steps, None),
            (Some(steps), Some("--slots"), Some(at)) => match Steps::find(&at, steps.len()) {
                Some(slots) => run(&steps, Some(&slots)),
                None => usage(),
            },
            _ => usage(),
        },
        (Some("--react"), Some(text)) => match text.split_once(':') {
            Some((k, n)) => match (k.parse(), n.parse()) {
                (Ok(k), Ok(n)) => react::burner(k, n),
                _ => usage(),
            },
            None => usage(),
        },
        _ => usage(),
    };
    sys::exit_now(status)
}

fn usage() -> i32 {
    eprintln!("agentload burn: expected --stages WAIT_US:ITERATIONS:WIDTH:PAGES[,...] [--slots FD:OFFSET]; it is run by the other subcommands");
    2
}

/// Does the steps; with `slots` it says there how long it took to get the memory of each, and uses in
/// each all that it holds.
fn run(steps: &[Step], slots: Option<&Steps>) -> i32 {
    let most = steps.iter().map(|s| s.pages).max().unwrap_or(0);
    let mut held = None;
    if most > 0 {
        match work::Held::reserve(most) {
            Ok(h) => held = Some(h),
            Err(_) => return 1,
        }
    }
    let mut before = 0;
    for (i, s) in steps.iter().enumerate() {
        let slot = slots.filter(|_| s.pages > before).map(|slots| slots.get(i));
        before = s.pages;
        if let Some(slot) = slot {
            slot.start_ns.store(sys::now_ns(), Relaxed);
        }
        if let Some(h) = &mut held {
            h.resize(s.pages);
        }
        if let Some(slot) = slot {
            slot.end_ns.store(sys::now_ns(), Relaxed);
        }
        if s.wait_us > 0 {
            sys::sleep_for(s.wait_us * 1000);
        }
        if let (Some(h), Some(_)) = (&mut held, slots) {
            h.touch();
        }
        if s.iterations > 0 && !compute(s) {
            return 1;
        }
    }
    0
}

/// Does a stage's work in `width` processes; false if one could not start or died.
fn compute(s: &Step) -> bool {
    if s.width <= 1 {
        work::spin(s.iterations);
        return true;
    }
    let mut ok = true;
    for _ in 0..s.width {
        match sys::fork() {
            Ok(0) => {
                work::spin(s.iterations);
                sys::exit_now(0);
            }
            Ok(_) => {}
            Err(_) => ok = false,
        }
    }
    while let Some((_, status)) = sys::reap(true) {
        ok &= sys::status_ok(status);
    }
    ok
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_survive_the_command_line() {
        let stages = [
            Stage { wait_ms: 1.5, cpu_ms: 2.0, width: 3, mem_mb: 0.0 },
            Stage { wait_ms: 0.0, cpu_ms: 0.0, width: 1, mem_mb: 1.0 },
        ];
        let text = encode(&stages, 1000.0, true);
        assert_eq!(text, "1500:2000:3:0,0:0:1:245");
        let steps = decode(&text).unwrap();
        assert_eq!(steps.len(), 2);
        assert_eq!(steps[0].width, 3);
        assert_eq!(encode(&stages, 1000.0, false), "1500:2000:3:0,0:0:1:0");
    }

    #[test]
    fn broken_arguments_are_refused() {
        for bad in ["1:2:3", "a:1:1:1", "1:2:3:4:5", "-1:2:3:4"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
        assert_eq!(decode(""), Some(vec![]));
    }
}
