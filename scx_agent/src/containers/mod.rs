// SPDX-License-Identifier: GPL-2.0-only
//! Agents by the names and labels of their containers, which Docker or Podman are asked for. A thread
//! for each socket: it looks at all containers once, then at each that starts.

mod api;
mod options;

pub use options::{Label, Options};

use crate::kernel::{Kernel, Named};
use crate::qos::{self, Setting};
use crate::questions::Waker;
use anyhow::{bail, Context, Result};
use crossbeam::channel::{never, unbounded, Receiver, Sender};
use log::{debug, info, warn};
use std::net::Shutdown;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long until a socket that was not there, or is no more, is tried again.
const AGAIN: Duration = Duration::from_secs(10);

/// Cgroups of containers, and what is said of each.
type Settings = Receiver<(u64, Setting)>;

/// The threads; dropping it ends them.
pub struct Watch {
    watchers: Vec<Watcher>,
    /// Cgroups of containers of which [`qos::Options`] say something.
    pub settings: Settings,
    options: Options,
    cgroup_root: PathBuf,
    kernel: Kernel,
    waker: Waker,
}

#[derive(Debug)]
struct Watcher {
    open: Arc<Mutex<Open>>,
    thread: Option<JoinHandle<()>>,
}

/// What one thread waits for.
#[derive(Debug, Default)]
struct Open {
    stop: bool,
    stream: Option<UnixStream>,
}

impl Watch {
    /// Names the containers that `options` mean to `kernel`, those that run and those that will, and wakes
    /// the main loop for what `qos` says of them.
    ///
    /// # Errors
    /// The system starts no thread.
    pub fn start(
        options: &Options,
        qos: &qos::Options,
        cgroup_root: &Path,
        kernel: &Kernel,
        waker: &Waker,
    ) -> Result<Watch> {
        let mut watch = Watch {
            watchers: Vec::new(),
            settings: never(),
            options: options.clone(),
            cgroup_root: cgroup_root.into(),
            kernel: kernel.clone(),
            waker: waker.clone(),
        };
        (watch.watchers, watch.settings) = watch.threads(qos)?;
        Ok(watch)
    }

    /// As at the start, with other words of `qos`: what it says of each container is told again. If that cannot
    /// be, which is said, the old ones stay.
    pub fn look_again(&mut self, qos: &qos::Options) {
        match self.threads(qos) {
            Ok((watchers, settings)) => {
                self.settings = settings;
                let before = std::mem::replace(&mut self.watchers, watchers);
                // One may just be waiting for an answer.
                std::thread::spawn(|| drop(before));
            }
            Err(e) => warn!("containers have the classes, weights and budgets of before: {e:#}"),
        }
    }

    fn threads(&self, qos: &qos::Options) -> Result<(Vec<Watcher>, Settings)> {
        let wanted = self.options.wanted() || qos.ask_containers();
        let sockets = if wanted { self.options.sockets() } else { Vec::new() };
        let (tell, settings) = unbounded();
        let start = |socket: PathBuf| {
            let open = Arc::new(Mutex::new(Open::default()));
            let see = See {
                socket,
                options: self.options.clone(),
                qos: qos.clone(),
                tell: tell.clone(),
                waker: self.waker.clone(),
                cgroup_root: self.cgroup_root.clone(),
                kernel: self.kernel.clone(),
                open: open.clone(),
            };
            let thread = std::thread::Builder::new()
                .name("containers".into())
                .spawn(move || see.run())
                .context("cannot start a thread")?;
            Ok(Watcher { open, thread: Some(thread) })
        };
        Ok((sockets.into_iter().map(start).collect::<Result<_>>()?, settings))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.stop = true;
            if let Some(stream) = &open.stream {
                // Fails if the other end has gone already.
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

struct See {
    socket: PathBuf,
    options: Options,
    qos: qos::Options,
    tell: Sender<(u64, Setting)>,
    waker: Waker,
    cgroup_root: PathBuf,
    kernel: Kernel,
    open: Arc<Mutex<Open>>,
}

impl See {
    fn run(&self) {
        let mut said = String::new();
        while !self.stopping() {
            if let Err(e) = self.session() {
                // Once, and not every time that it is tried.
                let what = format!("{e:#}");
                if what != said && !self.stopping() {
                    let socket = self.socket.display();
                    info!("{socket}: containers are not known by name or label for now: {what}");
                    said = what;
                }
            }
            if !self.stopping() {
                std::thread::park_timeout(AGAIN);
            }
        }
    }

    fn stopping(&self) -> bool {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).stop
    }

    /// From the connection to its end.
    fn session(&self) -> Result<()> {
        let stream = api::connect(&self.socket)?;
        {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            if open.stop {
                return Ok(());
            }
            open.stream = Some(stream.try_clone()?);
        }
        // Listened to before all are looked at: none is missed between.
        let starts = api::Starts::listen(&stream)?;
        info!("{}: containers are known by name and label", self.socket.display());
        let mut all = api::list(&self.socket)?.into_iter().chain(starts);
        while let Some(id) = all.next().filter(|_| !self.stopping()) {
            if let Err(e) = self.look(&id) {
                warn!("container {id}: {e:#}");
            }
        }
        bail!("the connection has ended")
    }

    /// Makes container `id` an agent if it is meant, and tells its class and weight if it has such.
    fn look(&self, id: &str) -> Result<()> {
        let container = api::inspect(&self.socket, id)?;
        let named = self.options.names(container.name(), |key| container.label(key));
        let setting = self.qos.of_container(container.name(), |key| container.label(key));
        let asked = self.qos.ask_containers();
        if !named && !asked {
            return Ok(());
        }
        // It may have ended already.
        let Some(pid) = container.pid() else { return Ok(()) };
        let Some(path) = cgroup_of(Path::new("/proc"), pid, id)? else { return Ok(()) };
        let cgroup = self.cgroup_root.join(&path);
        let cgroup_id = match std::fs::metadata(&cgroup) {
            Ok(meta) => meta.ino(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(e).with_context(|| format!("cannot look at {}", cgroup.display())),
        };
        if asked {
            // Also that nothing is said of it: settings of before a reload may have. The main loop has ended,
            // or takes it.
            let _ = self.tell.send((cgroup_id, setting));
            self.waker.wake();
        }
        if !named {
            return Ok(());
        }
        match self.kernel.name(cgroup_id)? {
            Named::Gone => debug!("container {id} has gone"),
            Named::Agent => info!("container {:?} is an agent: {}", container.name(), path.display()),
            Named::Inside => bail!("{} is a part of another agent or container", path.display()),
            Named::NoSlot => bail!("{} is no agent: there are too many cgroups", path.display()),
        }
        Ok(())
    }
}

/// The cgroup of container `id`, whose first process is `pid`, relative to the cgroup v2 root; None if
/// the process is gone. Only one that has the id in its name is believed to be the container's: a pid
/// may be anybody's by now.
///
/// # Errors
/// The process is somewhere else.
fn cgroup_of(proc: &Path, pid: u32, id: &str) -> Result<Option<PathBuf>> {
    // A line "0::PATH" is the default hierarchy's.
    let Ok(text) = std::fs::read_to_string(proc.join(format!("{pid}/cgroup"))) else { return Ok(None) };
    let path = text.lines().find_map(|l| l.strip_prefix("0::/")).unwrap_or_default();
    let mut found = PathBuf::new();
    for part in path.split('/') {
        found.push(part);
        if part.contains(id) {
            return Ok(Some(found));
        }
    }
    bail!("its first process, pid {pid}, is in cgroup {path:?}, which is not named after it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_cgroup_that_is_named_after_the_container_is_its() {
        let proc = tempfile::tempdir().unwrap();
        let write = |pid: &str, text: &str| {
            std::fs::create_dir_all(proc.path().join(pid)).unwrap();
            std::fs::write(proc.path().join(pid).join("cgroup"), text).unwrap();
        };
        let id = "4fd1c2aa0011";
        write("1", "0::/system.slice/docker-4fd1c2aa0011.scope/init\n");
        write("2", "0::/user.slice/session-1.scope\n");
        write("3", "1:cpu:/x\n0::/agents.slice/libpod-4fd1c2aa0011.scope\n");
        let of = |pid| cgroup_of(proc.path(), pid, id).unwrap();
        assert_eq!(of(1), Some("system.slice/docker-4fd1c2aa0011.scope".into()));
        assert_eq!(of(3), Some("agents.slice/libpod-4fd1c2aa0011.scope".into()));
        assert_eq!(of(4), None, "gone");
        assert!(cgroup_of(proc.path(), 2, id).is_err(), "a pid that is another's by now");
    }
}
