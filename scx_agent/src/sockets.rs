// SPDX-License-Identifier: GPL-2.0-only
//! The sockets that a daemon leaves behind: one that was killed both of them, and one that ends well that
//! of the statistics, which nobody else removes.

use crate::{questions, tags};
use rustix::io::Errno;
use rustix::net::{connect, socket_with, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// One that nobody listens at yet, as it has just been made, is left alone.
const YOUNG: Duration = Duration::from_secs(1);
/// Until those are old enough, and the kernel has closed what a process had that has ended.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// Removes those sockets that nobody listens at any more.
pub fn remove_dead() {
    let deadline = Instant::now() + PATIENCE;
    let mut left = vec![questions::SOCKET, tags::SOCKET];
    loop {
        left.retain(|path| !is_removed(Path::new(path)));
        if left.is_empty() || Instant::now() >= deadline {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// True if there is no socket at `path`, or not any more.
fn is_removed(path: &Path) -> bool {
    let Ok(meta) = fs::symlink_metadata(path) else { return true };
    let age = meta.modified().ok().and_then(|made| SystemTime::now().duration_since(made).ok());
    let ours = meta.file_type().is_socket() && age.is_some_and(|age| age >= YOUNG);
    ours && is_dead(path) && fs::remove_file(path).is_ok()
}

/// True if the kernel says that nobody listens there.
fn is_dead(path: &Path) -> bool {
    let refused = || -> rustix::io::Result<bool> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        Ok(connect(&socket, &SocketAddrUnix::new(path)?) == Err(Errno::CONNREFUSED))
    };
    refused().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn only_what_nobody_listens_at_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        assert!(is_removed(&path), "there is none");
        let listener = UnixListener::bind(&path).unwrap();
        assert!(!is_dead(&path));
        drop(listener);
        assert!(is_dead(&path));
        assert!(!is_removed(&path), "it may be about to be listened at");
        let file = dir.path().join("f");
        fs::write(&file, "").unwrap();
        std::thread::sleep(YOUNG);
        assert!(is_removed(&path) && !path.exists());
        assert!(!is_removed(&file) && file.exists(), "no socket");
    }
}
