// SPDX-License-Identifier: GPL-2.0-only
//! The thread that looks tasks up in /proc, and prints.
//!
//! The scheduling thread must not wait for anybody: whoever it waits for may be waiting for it to get
//! a CPU, and then nobody runs until the kernel ends the scheduler. /proc/PID/cgroup takes
//! a lock that a task without a CPU may hold, and a terminal may be slow. So a second thread does both,
//! in a real-time class, which this scheduler has no part in: it is never without a CPU while it
//! holds the lock of what the two share, or that of the memory allocator.

use crate::facts::Facts;
use crate::globs::Glob;
use crate::roles::{Place, Table};
use crate::sys;
use anyhow::{Context, Result};
use std::io::Write;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Time between two looks at which tasks are gone.
const PRUNE: Duration = Duration::from_millis(500);

/// What became of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Placed(i32, Place),
    Gone(i32),
}

/// What the scheduling thread has to say, and hears.
#[derive(Default)]
struct Shared {
    asked: Vec<i32>,
    lines: Vec<String>,
    answers: Vec<Answer>,
}

/// The thread, as seen by the scheduling one.
pub struct Lookup {
    shared: Arc<(Mutex<Shared>, Condvar)>,
}

impl Lookup {
    /// Starts the thread, before the scheduler is loaded: afterwards no thread can be made.
    pub fn start(globs: Vec<Glob>) -> Result<Lookup> {
        let shared = Arc::new((Mutex::new(Shared::default()), Condvar::new()));
        let (theirs, (tell, told)) = (shared.clone(), sync_channel(1));
        std::thread::Builder::new().name("agentland-proc".into()).spawn(move || {
            let ready = sys::become_realtime();
            let works = ready.is_ok();
            let _ = tell.send(ready);
            if works {
                serve(&theirs, Table::new(globs));
            }
        })?;
        told.recv()?
            .context("cannot make a real-time thread, which the scheduler would wait for otherwise")?;
        Ok(Lookup { shared })
    }

    /// Asks about the tasks in `asked`, leaving it empty, and adds what is answered by now, about
    /// earlier ones, to `answers`.
    pub fn exchange(&self, asked: &mut Vec<i32>, answers: &mut Vec<Answer>) {
        let (mutex, wake) = &*self.shared;
        let mut shared = lock(mutex);
        answers.append(&mut shared.answers);
        if !asked.is_empty() {
            shared.asked.append(asked);
            drop(shared);
            wake.notify_one();
        }
    }

    /// Prints a line.
    pub fn say(&self, line: String) {
        let (mutex, wake) = &*self.shared;
        lock(mutex).lines.push(line);
        wake.notify_one();
    }
}

/// A thread that panicked has left whole values behind.
fn lock(mutex: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

fn serve((mutex, wake): &(Mutex<Shared>, Condvar), mut table: Table) -> ! {
    let mut pruned = Instant::now();
    loop {
        let (asked, lines) = {
            let mut shared = lock(mutex);
            if shared.asked.is_empty() && shared.lines.is_empty() {
                shared = match wake.wait_timeout(shared, PRUNE) {
                    Ok((shared, _)) => shared,
                    Err(e) => e.into_inner().0,
                };
            }
            (std::mem::take(&mut shared.asked), std::mem::take(&mut shared.lines))
        };
        for line in lines {
            // Nobody may be reading any more.
            let _ = writeln!(std::io::stdout(), "{line}");
        }
        let mut answers = Vec::new();
        for pid in asked {
            let told = table.look_at(pid, &mut Facts::read);
            if !told.iter().any(|t| t.0 == pid) {
                answers.push(Answer::Gone(pid));
            }
            answers.extend(told.into_iter().map(|(pid, place)| Answer::Placed(pid, place)));
        }
        if pruned.elapsed() >= PRUNE {
            answers.extend(table.prune(&sys::is_alive).into_iter().map(Answer::Gone));
            pruned = Instant::now();
        }
        lock(mutex).answers.append(&mut answers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roles::Work;

    #[test]
    fn answers_what_it_is_asked() {
        let shared = Arc::new((Mutex::new(Shared::default()), Condvar::new()));
        let (lookup, theirs) = (Lookup { shared: shared.clone() }, shared);
        std::thread::spawn(move || serve(&theirs, Table::new(vec!["no/such/agent".parse().unwrap()])));
        let own = std::process::id() as i32;
        let (mut asked, mut answers) = (vec![own, i32::MAX], Vec::new());
        let placed =
            |a: &Answer| matches!(a, Answer::Placed(pid, p) if *pid == own && p.work == Work::Outside);
        let began = Instant::now();
        while !(answers.contains(&Answer::Gone(i32::MAX)) && answers.iter().any(placed)) {
            assert!(began.elapsed() < Duration::from_secs(60), "{answers:?}");
            lookup.exchange(&mut asked, &mut answers);
            assert!(asked.is_empty());
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
