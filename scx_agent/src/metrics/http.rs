// SPDX-License-Identifier: GPL-2.0-only
//! The thread that serves the page: one connection after the other, each for a bounded time and of a
//! bounded size. Anybody on the host may connect, so nothing here grows with how many do; whoever
//! connects without end delays scrapes, which Prometheus sees.

use super::families::Page;
use super::{Observed, Options};
use crate::privileges;
use crate::questions::Waker;
use crate::usage::{Host, Own, Usage};
use crate::view::View;
use anyhow::{Context, Result};
use crossbeam::channel::{bounded, Receiver, Sender};
use log::debug;
use rustix::event::{poll, PollFd, PollFlags};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a request may take to come, and an answer to go.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the main loop may take.
const ANSWER: Duration = Duration::from_secs(5);
/// Longest request, in bytes.
const REQUEST_MAX: usize = 8192;
const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Somebody wants to see all agents: where the main loop sends them.
pub type Inquiry = Sender<View>;

/// The running thread; dropping it ends it.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    pub inquiries: Receiver<Inquiry>,
    stop: Arc<AtomicBool>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves as the options say, None if they say off. The daemon is to schedule if `wanted`. `main` is woken for each scrape.
    ///
    /// # Errors
    /// Nothing can listen at the address.
    pub fn start(options: &Options, wanted: bool, observed: Observed, main: Waker) -> Result<Option<Server>> {
        let Some(address) = options.metrics.address() else { return Ok(None) };
        let listener =
            TcpListener::bind(address).with_context(|| format!("cannot serve metrics at {address}"))?;
        listener.set_nonblocking(true).context("cannot serve metrics")?;
        let address = listener.local_addr().context("cannot serve metrics")?;
        let (ask, inquiries) = bounded(1);
        let (stop, waker) = (Arc::new(AtomicBool::new(false)), Waker::new()?);
        let serve = Serve { listener, wanted, ask, main, observed };
        let (stopped, woken) = (stop.clone(), waker.clone());
        let thread = std::thread::Builder::new()
            .name("metrics".into())
            .spawn(move || {
                privileges::keep(privileges::LOOKING);
                serve.run(&stopped, &woken);
            })
            .context("cannot start a thread")?;
        Ok(Some(Server { address, inquiries, stop, waker, thread: Some(thread) }))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.waker.wake();
        // Nobody answers what it asks now.
        self.inquiries = crossbeam::channel::never();
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

struct Serve {
    listener: TcpListener,
    wanted: bool,
    ask: Sender<Inquiry>,
    main: Waker,
    observed: Observed,
}

impl Serve {
    fn run(&self, stop: &AtomicBool, woken: &Waker) {
        while !stop.load(Ordering::Relaxed) {
            let waker = woken.fd();
            let mut fds = [PollFd::new(&waker, PollFlags::IN), PollFd::new(&self.listener, PollFlags::IN)];
            let _ = poll(&mut fds, None);
            match self.listener.accept() {
                Ok((stream, peer)) => {
                    if let Err(e) = self.serve(stream) {
                        debug!("metrics: {peer}: {e}");
                    }
                }
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionAborted) => (),
                Err(e) => {
                    // No descriptors, mostly: not at once again.
                    debug!("metrics: {e}");
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
        }
    }

    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        let (status, kind, body) = match read_path(&mut stream)?.as_deref() {
            Ok("/metrics") => match self.page() {
                Some(page) => ("200 OK", OPEN_METRICS, page),
                None => ("503 Service Unavailable", TEXT, "scx_agent is ending or busy\n".into()),
            },
            Ok("/") => ("200 OK", TEXT, "scx_agent: its metrics are at /metrics\n".into()),
            Ok(_) => ("404 Not Found", TEXT, "there is only /metrics\n".into()),
            Err(status) => (*status, TEXT, String::new()),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let until = Instant::now() + PATIENCE;
        write_until(&mut stream, head.as_bytes(), until)?;
        write_until(&mut stream, body.as_bytes(), until)
    }

    fn page(&self) -> Option<String> {
        let (reply, answer) = bounded(1);
        self.ask.send_timeout(reply, ANSWER).ok()?;
        self.main.wake();
        let view = answer.recv_timeout(ANSWER).ok()?;
        let state = std::fs::read_to_string("/sys/kernel/sched_ext/state").unwrap_or_default();
        let page = Page {
            view: &view,
            observed: &self.observed,
            host: Host::now(),
            usage: &Usage::of,
            wanted: self.wanted,
            enabled: state.trim() == "enabled",
            process: Own::now(),
        };
        Some(page.text())
    }
}

/// The path of a GET request, without its query; or the status that says what is wrong with it.
fn read_path(stream: &mut impl Timed) -> io::Result<Result<String, &'static str>> {
    let until = Instant::now() + PATIENCE;
    let (mut got, mut buf) = (Vec::new(), [0u8; 1024]);
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || got.len() > REQUEST_MAX {
            return Ok(Err("408 Request Timeout"));
        }
        stream.wait_at_most(left)?;
        let n = match stream.read(&mut buf) {
            Ok(n) => n,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        got.extend_from_slice(&buf[..n]);
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(&got) {
            Ok(httparse::Status::Complete(_)) => {
                return Ok(match (request.method, request.path) {
                    (Some("GET"), Some(path)) => Ok(path.split('?').next().unwrap_or_default().to_string()),
                    _ => Err("405 Method Not Allowed"),
                })
            }
            Ok(httparse::Status::Partial) if n > 0 => (),
            _ => return Ok(Err("400 Bad Request")),
        }
    }
}

/// Writes all of `bytes`, however little at a time the other end takes.
fn write_until(stream: &mut TcpStream, mut bytes: &[u8], until: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_write_timeout(Some(left))?;
        match stream.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(e) if e.kind() == ErrorKind::Interrupted => (),
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// A stream whose reads end.
trait Timed: Read {
    fn wait_at_most(&self, time: Duration) -> io::Result<()>;
}

impl Timed for TcpStream {
    fn wait_at_most(&self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time))
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
