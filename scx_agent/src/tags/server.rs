// SPDX-License-Identifier: GPL-2.0-only
//! The thread behind the tag socket. It finds out who speaks, keeps everybody to their share, and
//! hands what is left to the main loop, which answers.

use super::limit::{Limits, Verdict};
use super::message::{Message, MESSAGE_MAX};
use crate::memory::run_dir;
use crate::privileges;
use crate::questions::Waker;
use anyhow::{Context, Result};
use crossbeam::channel::{bounded, Receiver, Sender, TrySendError};
use log::{debug, warn};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Connections that are open at once, and of one agent.
const CONNECTIONS: usize = 256;
const PER_AGENT: usize = 8;
/// How long a connection has for its message: on a full host its sender may wait for a CPU in the middle.
const PATIENCE: Duration = Duration::from_secs(1);
/// Connections that are refused in [`PAUSE`], until none is taken for the rest of it: who floods the
/// socket costs CPU time that is nobody's share. Fewer than may wait to be taken, by which others
/// are behind a flood.
const REFUSED: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);
/// Messages that wait for the main loop.
const QUEUE: usize = 256;

/// Slot and cgroup of the agent that a process is in.
pub trait AgentOf: Fn(u32) -> Option<(u32, u64)> + Send + 'static {}
impl<F: Fn(u32) -> Option<(u32, u64)> + Send + 'static> AgentOf for F {}

/// A message, who says it, and where the answer goes.
#[derive(Debug)]
pub struct Request {
    pub message: Message,
    /// The process that speaks, alive when the message was read.
    pub pid: u32,
    /// Its agent: slot, and cgroup.
    pub group: u32,
    pub cgroup_id: u64,
    stream: UnixStream,
}

impl Request {
    /// Answers, and hangs up.
    pub fn answer(mut self, answer: &Result<String, String>) {
        reply(&mut self.stream, answer);
    }
}

fn reply(stream: &mut UnixStream, answer: &Result<String, String>) {
    let mut line = serde_json::to_vec(answer).unwrap_or_default();
    line.push(b'\n');
    // Not there any more, or does not read: its own loss.
    let _ = stream.write_all(&line);
}

/// A connection whose message is not complete.
struct Connection {
    stream: UnixStream,
    pid: u32,
    group: u32,
    cgroup_id: u64,
    got: Vec<u8>,
    until: Instant,
}

/// The running thread; dropping it removes the socket.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    pub requests: Receiver<Request>,
    stop: Arc<AtomicBool>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens at `path`; `main` is woken for each message. `agent_of` tells of a process which agent
    /// it is in: slot and cgroup, None outside agents.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn start(path: &Path, agent_of: impl AgentOf, main: Waker) -> Result<Server> {
        Server::patient(path, agent_of, main, PATIENCE)
    }

    /// As [`Server::start`], with a connection's time for its message.
    fn patient(path: &Path, agent_of: impl AgentOf, main: Waker, patience: Duration) -> Result<Server> {
        let listener = listen(path).with_context(|| format!("cannot listen at {}", path.display()))?;
        let (sender, requests) = bounded(QUEUE);
        let (stop, waker) = (Arc::new(AtomicBool::new(false)), Waker::new()?);
        let mut serve = Serve {
            listener,
            agent_of: Box::new(agent_of),
            main,
            sender,
            patience,
            limits: Limits::default(),
            open: Vec::new(),
            refused: 0,
            refused_since: Instant::now(),
        };
        let (stopped, woken) = (stop.clone(), waker.clone());
        let thread = std::thread::Builder::new()
            .name("tags".into())
            .spawn(move || {
                privileges::keep(privileges::NOTHING);
                while !stopped.load(Ordering::Relaxed) {
                    serve.round(&woken);
                }
            })
            .context("cannot start a thread")?;
        Ok(Server { path: path.into(), requests, stop, waker, thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.waker.wake();
        let _ = self.thread.take().map(JoinHandle::join);
        let _ = fs::remove_file(&self.path);
    }
}

fn listen(path: &Path) -> Result<UnixListener> {
    let dir = path.parent().context("no folder")?;
    if let Some(above) = dir.parent() {
        run_dir(above)?;
    }
    fs::create_dir_all(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755))?;
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(e.into()),
        _ => (),
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// What the thread has.
struct Serve {
    listener: UnixListener,
    agent_of: Box<dyn AgentOf>,
    main: Waker,
    sender: Sender<Request>,
    patience: Duration,
    limits: Limits,
    open: Vec<Connection>,
    /// Connections refused, and since when.
    refused: u32,
    refused_since: Instant,
}

impl Serve {
    /// Until when no connection is taken, if that is in the future.
    fn paused_until(&mut self, now: Instant) -> Option<Instant> {
        let end = self.refused_since + PAUSE;
        if now >= end {
            (self.refused, self.refused_since) = (0, now);
        }
        (self.refused >= REFUSED).then_some(end)
    }

    /// Waits for something to do, and does it.
    fn round(&mut self, waker: &Waker) {
        let paused = self.paused_until(Instant::now());
        let wait = match self.open.iter().map(|c| c.until).chain(paused).min() {
            Some(until) => until.saturating_duration_since(Instant::now()) + Duration::from_millis(1),
            None => Duration::from_secs(3600),
        };
        let takes = paused.is_none() && self.open.len() < CONNECTIONS;
        let wait = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
        let waker_fd = waker.fd();
        let mut fds = vec![PollFd::new(&waker_fd, PollFlags::IN)];
        if takes {
            fds.push(PollFd::new(&self.listener, PollFlags::IN));
        }
        fds.extend(self.open.iter().map(|c| PollFd::new(&c.stream, PollFlags::IN)));
        let _ = poll(&mut fds, Some(&wait));
        drop(fds);
        let now = Instant::now();
        // One at a time: who is connected already goes first.
        self.read(now);
        if takes {
            self.accept(now);
        }
    }

    fn accept(&mut self, now: Instant) {
        let Ok((stream, _)) = self.listener.accept() else { return };
        let Some((pid, group, cgroup_id)) = self.speaker(&stream) else { return };
        match self.limits.take(cgroup_id, now) {
            Verdict::Taken => (),
            Verdict::Refused => {
                self.refused += 1;
                return;
            }
            Verdict::Tell(n) => {
                self.refused += 1;
                warn!(
                    "tags: {n} of the agent with cgroup {cgroup_id} refused: it sends too many (pid {pid})"
                );
                return;
            }
        }
        if self.open.iter().filter(|c| c.cgroup_id == cgroup_id).count() >= PER_AGENT {
            return;
        }
        if stream.set_nonblocking(true).is_ok() {
            self.open.push(Connection {
                stream,
                pid,
                group,
                cgroup_id,
                got: Vec::new(),
                until: now + self.patience,
            });
            self.read(now);
        }
    }

    /// Who is at the other end: pid, and slot and cgroup of its agent, 0 outside agents. None if it
    /// is gone.
    fn speaker(&self, stream: &UnixStream) -> Option<(u32, u32, u64)> {
        let none = libc::ucred { pid: 0, uid: 0, gid: 0 };
        let pid = u32::try_from(peer_option(stream, libc::SO_PEERCRED, none)?.pid).ok()?;
        let peer = peer_option(stream, libc::SO_PEERPIDFD, -1)
            .filter(|fd| *fd >= 0)
            // SAFETY: a new descriptor that nobody else has.
            .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
        let (group, cgroup_id) = (self.agent_of)(pid).unwrap_or_default();
        // The number may be another process's by now: not if this one lives.
        if peer.is_some_and(|p| has_ended(&p)) {
            return None;
        }
        Some((pid, group, cgroup_id))
    }

    fn read(&mut self, now: Instant) {
        let mut at = 0;
        while at < self.open.len() {
            match fill(&mut self.open[at], now) {
                Fill::More => at += 1,
                Fill::Lost => drop(self.open.swap_remove(at)),
                Fill::Whole => {
                    let c = self.open.swap_remove(at);
                    self.hand_over(c);
                }
            }
        }
    }

    fn hand_over(&self, mut c: Connection) {
        let message = match Message::parse(&c.got) {
            Ok(_) if c.cgroup_id == 0 => {
                return reply(&mut c.stream, &Err("this process is in no agent: nothing to tag".into()))
            }
            Ok(message) => message,
            Err(e) => {
                debug!("tags: pid {}: {e}", c.pid);
                return reply(&mut c.stream, &Err(e));
            }
        };
        let Connection { stream, pid, group, cgroup_id, .. } = c;
        match self.sender.try_send(Request { message, pid, group, cgroup_id, stream }) {
            Ok(()) => self.main.wake(),
            Err(TrySendError::Full(r) | TrySendError::Disconnected(r)) => {
                r.answer(&Err("scx_agent is busy: the tag is lost".into()))
            }
        }
    }
}

/// How far a connection's message is.
enum Fill {
    More,
    Whole,
    Lost,
}

fn fill(c: &mut Connection, now: Instant) -> Fill {
    let mut buf = [0u8; 4096];
    loop {
        match c.stream.read(&mut buf) {
            Ok(0) => return if c.got.is_empty() { Fill::Lost } else { Fill::Whole },
            Ok(n) => {
                c.got.extend_from_slice(&buf[..n]);
                if let Some(end) = c.got.iter().position(|b| *b == b'\n') {
                    c.got.truncate(end);
                    return Fill::Whole;
                }
                if c.got.len() > MESSAGE_MAX {
                    reply(&mut c.stream, &Err(format!("a tag has at most {MESSAGE_MAX} bytes")));
                    return Fill::Lost;
                }
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock && now < c.until => return Fill::More,
            Err(e) if e.kind() == ErrorKind::Interrupted => (),
            Err(_) => return Fill::Lost,
        }
    }
}

/// What the kernel says of the process that connected: its credentials, or from 6.5 on a new
/// descriptor of it. None if it does not know.
fn peer_option<T: Copy>(stream: &UnixStream, option: i32, mut value: T) -> Option<T> {
    let mut len = size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes of `value`, integers.
    let got = unsafe {
        libc::getsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, option, (&raw mut value).cast(), &raw mut len)
    };
    (got == 0 && len as usize == size_of::<T>()).then_some(value)
}

/// True if the process has ended: its descriptor is readable from then on.
fn has_ended(pidfd: &OwnedFd) -> bool {
    let fd = pidfd.as_fd();
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) != Ok(0)
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
