// SPDX-License-Identifier: GPL-2.0-only
//! Cgroups by their numbers.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The kind of file handle that cgroupfs has, from kernfs (FILEID_KERNFS of linux/exportfs.h): the
/// number of the cgroup.
const FILEID_KERNFS: libc::c_int = 0xfe;

/// A `struct file_handle` with the room that a kernfs handle takes.
#[repr(C)]
struct Handle {
    bytes: libc::c_uint,
    kind: libc::c_int,
    id: [u8; 8],
}

/// Path of cgroup `id` below `root`, where the cgroup v2 file system is; None if it is not there.
pub fn path_of(root: &Path, id: u64) -> Option<String> {
    // It is gone, or we have no CAP_DAC_READ_SEARCH, or this is another file system.
    by_handle(root, id).ok().and_then(|path| relative(root, &path)).or_else(|| by_walk(root, id))
}

fn relative(root: &Path, path: &Path) -> Option<String> {
    Some(path.strip_prefix(root).ok()?.display().to_string())
}

/// The kernel knows it by its number.
fn by_handle(root: &Path, id: u64) -> io::Result<PathBuf> {
    let mount = File::open(root)?;
    let mut handle = Handle { bytes: 8, kind: FILEID_KERNFS, id: id.to_ne_bytes() };
    // SAFETY: a handle of the size that it says, which the kernel only reads.
    let fd = unsafe {
        libc::open_by_handle_at(mount.as_raw_fd(), (&raw mut handle).cast(), libc::O_PATH | libc::O_CLOEXEC)
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor of our own.
    let dir = unsafe { File::from_raw_fd(fd) };
    let path = std::fs::read_link(format!("/proc/self/fd/{}", dir.as_raw_fd()))?;
    // One that has just been removed is named so.
    if path.as_os_str().to_string_lossy().ends_with(" (deleted)") {
        return Err(io::Error::from_raw_os_error(libc::ESTALE));
    }
    Ok(path)
}

/// Looks through all of them.
fn by_walk(root: &Path, id: u64) -> Option<String> {
    let mut dirs = vec![root.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for e in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let Ok(meta) = e.metadata() else { continue };
            if !meta.is_dir() {
                continue;
            }
            let path = e.path();
            if meta.ino() == id {
                return relative(root, &path);
            }
            dirs.push(path);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_found_by_its_number() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a/b/c");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::create_dir_all(root.path().join("d/e")).unwrap();
        let id = std::fs::metadata(&deep).unwrap().ino();
        assert_eq!(path_of(root.path(), id).as_deref(), Some("a/b/c"));
        assert_eq!(path_of(root.path(), u64::MAX), None);
    }
}
