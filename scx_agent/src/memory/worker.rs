// SPDX-License-Identifier: GPL-2.0-only
//! A thread for what takes long: reclaim runs in the thread that writes memory.reclaim.

use super::knobs::Cgroup;
use super::limit::MB;
use super::message::Message;
use crossbeam::channel::{unbounded, Sender};
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

/// Bytes of one write: a burst that begins meanwhile waits for no more than this.
const CHUNK: u64 = 8 * MB;
/// Bytes of a step, where an agent is reclaimed from little by little.
const STEP: u64 = 64 * MB;

/// Take `bytes` from `cgroup`, while `wanted`.
pub struct Job {
    pub cgroup: Arc<Cgroup>,
    pub bytes: u64,
    pub cache_only: bool,
    pub wanted: Arc<AtomicBool>,
    pub why: Why,
}

impl Job {
    /// One step, of all that the agent holds.
    pub fn step(cgroup: Arc<Cgroup>, wanted: Arc<AtomicBool>, why: Why) -> Job {
        Job { cgroup, bytes: STEP, cache_only: false, wanted, why }
    }
}

/// What for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its tools have left more than an agent needs that waits for its model.
    Leftovers,
    /// A burst that does not grow is to give back, as the host runs short.
    Burst,
    /// An operator has paused the agent.
    Paused,
    /// The agent has done nothing for long, and the host runs short.
    Idle,
}

/// What came of a [`Job`].
#[derive(Debug)]
pub struct Reclaimed {
    pub id: u64,
    pub why: Why,
    pub asked: u64,
    /// Bytes, as far as the kernel says: whole chunks, and what the last one changed.
    pub got: u64,
    /// EAGAIN if there was no more to take.
    pub result: io::Result<()>,
}

/// Starts the thread; it ends when the sender is dropped, after the write it is in.
///
/// # Errors
/// No thread can be started.
pub fn start(answers: Sender<Message>) -> io::Result<Sender<Job>> {
    let (jobs, queue) = unbounded::<Job>();
    std::thread::Builder::new().name("memory-reclaim".into()).spawn(move || {
        for job in queue {
            // The controller may have ended meanwhile.
            let _ = answers.send(Message::Reclaimed(reclaim(&job)));
        }
    })?;
    Ok(jobs)
}

fn reclaim(job: &Job) -> Reclaimed {
    let before = job.cgroup.current().unwrap_or(0);
    let mut left = job.bytes;
    let mut cache_only = job.cache_only;
    let mut result = Ok(());
    while left > 0 && job.wanted.load(Ordering::Relaxed) {
        let chunk = left.min(CHUNK);
        match job.cgroup.reclaim(chunk, cache_only) {
            Ok(()) => left -= chunk,
            Err(e) if e.kind() == ErrorKind::Interrupted => (),
            // A kernel that takes no swappiness there.
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) && cache_only => cache_only = false,
            Err(e) => {
                result = Err(e);
                break;
            }
        }
    }
    let after = job.cgroup.current().unwrap_or(before);
    let got = before.saturating_sub(after);
    Reclaimed { id: job.cgroup.id, why: job.why, asked: job.bytes, got, result }
}

#[cfg(test)]
mod tests {
    use super::super::knobs::tests::fake;
    use super::*;
    use crossbeam::channel::unbounded;
    use std::fs;

    #[test]
    fn reclaims_in_chunks_while_wanted() {
        let (root, id) = fake("worker", 0);
        let (tx, rx) = unbounded();
        let jobs = start(tx).unwrap();
        let cgroup = Arc::new(Cgroup::by_id(&root, id).unwrap());
        let wanted = Arc::new(AtomicBool::new(true));
        let job = |wanted: &Arc<AtomicBool>| Job {
            cgroup: cgroup.clone(),
            bytes: CHUNK + 1,
            cache_only: true,
            wanted: wanted.clone(),
            why: Why::Leftovers,
        };
        jobs.send(job(&wanted)).unwrap();
        let Message::Reclaimed(r) = rx.recv().unwrap() else { panic!("another message") };
        assert!(r.id == id && r.asked == CHUNK + 1 && r.result.is_ok(), "{r:?}");
        let written = fs::read_to_string(root.join("agents/a/memory.reclaim")).unwrap();
        assert!(written.starts_with("1 swappiness=0"), "the last chunk, over the first: {written:?}");
        fs::remove_file(root.join("agents/a/memory.reclaim")).unwrap();
        jobs.send(job(&wanted)).unwrap();
        let Message::Reclaimed(r) = rx.recv().unwrap() else { panic!("another message") };
        assert!(r.result.is_err());
        wanted.store(false, Ordering::Relaxed);
        jobs.send(job(&wanted)).unwrap();
        let Message::Reclaimed(r) = rx.recv().unwrap() else { panic!("another message") };
        assert!(r.result.is_ok(), "cancelled before the first write: {r:?}");
        fs::remove_dir_all(root).unwrap();
    }
}
