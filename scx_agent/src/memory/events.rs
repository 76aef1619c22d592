// SPDX-License-Identifier: GPL-2.0-only
//! Who runs into memory.high, as it happens: the kernel tells of each change of memory.events,
//! at most every 10 ms for a cgroup.

use super::knobs::Cgroup;
use super::message::Message;
use crossbeam::channel::Sender;
use log::{log, Level};
use rustix::fs::inotify::{add_watch, init, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

/// Cgroup ids by inotify's number of the watch.
type Ids = Arc<Mutex<HashMap<i32, u64>>>;

/// Tells the controller of the cgroups it was given.
#[derive(Debug)]
pub struct Watcher {
    inotify: Arc<OwnedFd>,
    ids: Ids,
    /// That some cgroups cannot be watched has been said.
    warned: bool,
}

impl Watcher {
    /// Starts the thread that listens; it ends with the controller's end, or the process.
    ///
    /// # Errors
    /// No inotify, or no thread.
    pub fn start(tell: Sender<Message>) -> io::Result<Watcher> {
        let inotify = Arc::new(init(CreateFlags::CLOEXEC)?);
        let ids = Ids::default();
        let this = Watcher { inotify: inotify.clone(), ids: ids.clone(), warned: false };
        std::thread::Builder::new()
            .name("memory-events".into())
            .spawn(move || listen(&inotify, &ids, &tell))?;
        Ok(this)
    }

    /// Listens to the cgroup of agent `name`, until it is removed. False, and said, if it cannot.
    pub fn watch(&mut self, name: &str, cgroup: &Cgroup) -> bool {
        let Err(e) = self.add(cgroup) else { return true };
        let why = match e.raw_os_error() {
            Some(libc::ENOSPC) => "all inotify watches are in use; raise fs.inotify.max_user_watches".into(),
            _ => e.to_string(),
        };
        // Where one cannot, many cannot.
        let level = if self.warned { Level::Info } else { Level::Warn };
        self.warned = true;
        log!(
            level,
            "memory: agent {name:?}: cannot watch its memory.events: {why}; it is read once a second instead"
        );
        false
    }

    fn add(&self, cgroup: &Cgroup) -> io::Result<()> {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let watch = add_watch(&*self.inotify, cgroup.file("memory.events"), WatchFlags::MODIFY)?;
        ids.insert(watch, cgroup.id);
        Ok(())
    }
}

fn listen(inotify: &OwnedFd, ids: &Ids, tell: &Sender<Message>) {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = Reader::new(inotify, &mut buffer);
    loop {
        let (watch, what) = match reader.next() {
            Ok(event) => (event.wd(), event.events()),
            Err(Errno::INTR) => continue,
            Err(_) => return,
        };
        let mut ids = ids.lock().unwrap_or_else(PoisonError::into_inner);
        let told = match ids.get(&watch) {
            Some(&id) if what.contains(ReadFlags::MODIFY) => tell.send(Message::Events { id }),
            Some(_) if what.contains(ReadFlags::IGNORED) => {
                ids.remove(&watch);
                continue;
            }
            _ => continue,
        };
        if told.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::knobs::tests::fake;
    use super::*;
    use crossbeam::channel::unbounded;
    use std::time::Duration;

    #[test]
    fn changes_are_told() {
        let (root, id) = fake("events", 0);
        let (tx, rx) = unbounded();
        let mut watcher = Watcher::start(tx).unwrap();
        assert!(watcher.watch("a", &Cgroup::by_id(&root, id).unwrap()));
        std::fs::write(root.join("agents/a/memory.events"), "high 8\n").unwrap();
        let told = rx.recv_timeout(Duration::from_secs(20)).unwrap();
        assert!(matches!(told, Message::Events { id: i } if i == id), "{told:?}");
        std::fs::remove_dir_all(root).unwrap();
    }
}
