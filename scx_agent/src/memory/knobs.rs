// SPDX-License-Identifier: GPL-2.0-only
//! The files of one cgroup, through a descriptor of its directory: a cgroup that is removed and
//! made again under the same name is another one.

use super::limit::Limit;
use super::policy::Usage;
use procfs::{FromBufRead, MemoryPressure};
use rustix::fs::{openat, Mode, OFlags};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Type of a kernfs file handle, which is the cgroup's id.
const FILEID_KERNFS: i32 = 0xfe;

/// An open cgroup directory.
#[derive(Debug)]
pub struct Cgroup {
    dir: OwnedFd,
    /// The cgroup's id, which is its inode number; never used again.
    pub id: u64,
    /// Below the cgroup root, for messages.
    pub path: String,
}

/// True if `e` means that the cgroup was removed, or its controller turned off.
pub fn is_gone(e: &io::Error) -> bool {
    e.kind() == io::ErrorKind::NotFound || matches!(e.raw_os_error(), Some(libc::ENODEV) | Some(libc::ESTALE))
}

fn bad(what: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_string())
}

impl Cgroup {
    /// Opens the cgroup `id` below `root`, the cgroup v2 mount.
    ///
    /// # Errors
    /// It is gone ([`is_gone`]), or cannot be opened.
    pub fn by_id(root: &Path, id: u64) -> io::Result<Cgroup> {
        let dir = match open_handle(root, id) {
            Ok(dir) => dir,
            // Without CAP_DAC_READ_SEARCH, and in tests on other file systems.
            Err(_) => OwnedFd::from(File::open(find(root, id)?)?),
        };
        let path = std::fs::read_link(format!("/proc/self/fd/{}", dir.as_raw_fd())).unwrap_or_default();
        let path = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        Ok(Cgroup { dir, id, path })
    }

    /// Opens the cgroup `name` right below it.
    ///
    /// # Errors
    /// There is none.
    pub fn child(&self, name: &str) -> io::Result<Cgroup> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = openat(&self.dir, name, flags, Mode::empty())?;
        let id = rustix::fs::fstat(&dir)?.st_ino;
        Ok(Cgroup { dir, id, path: format!("{}/{name}", self.path) })
    }

    /// Names of the cgroups right below it.
    ///
    /// # Errors
    /// It cannot be read; see [`is_gone`].
    pub fn children(&self) -> io::Result<Vec<String>> {
        let entries = std::fs::read_dir(self.file(""))?.flatten();
        let dirs = entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
        Ok(dirs.map(|e| e.file_name().to_string_lossy().into_owned()).collect())
    }

    /// True if an operator, or systemd for one (`Delegate=yes`), says that whoever manages what runs in
    /// it may divide it.
    pub fn is_delegated(&self) -> bool {
        ["trusted.delegate", "user.delegate"].into_iter().any(|name| {
            let mut value = [0u8; 8];
            rustix::fs::fgetxattr(&self.dir, name, &mut value).is_ok_and(|len| &value[..len] == b"1")
        })
    }

    /// True while there is a process in it or below it.
    pub fn is_populated(&self) -> bool {
        field(&self.read("cgroup.events").unwrap_or_default(), "populated") > 0
    }

    /// Its directory.
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// A path of one of its files that holds while this is open.
    pub fn file(&self, name: &str) -> PathBuf {
        format!("/proc/self/fd/{}/{name}", self.dir.as_raw_fd()).into()
    }

    /// False if the memory controller is off for this cgroup.
    pub fn has_memory(&self) -> bool {
        self.read("memory.high").is_ok()
    }

    fn open(&self, name: &str, flags: OFlags) -> io::Result<File> {
        Ok(openat(&self.dir, name, flags | OFlags::CLOEXEC, Mode::empty())?.into())
    }

    /// # Errors
    /// The file cannot be read; see [`is_gone`].
    pub fn read(&self, name: &str) -> io::Result<String> {
        let mut text = String::new();
        self.open(name, OFlags::RDONLY)?.read_to_string(&mut text)?;
        Ok(text)
    }

    /// Writes one of its files.
    ///
    /// # Errors
    /// The kernel refuses it; see [`is_gone`].
    pub fn write(&self, name: &str, text: &str) -> io::Result<()> {
        self.open(name, OFlags::WRONLY | OFlags::TRUNC)?.write_all(text.as_bytes())
    }

    fn number(&self, name: &str) -> io::Result<u64> {
        self.read(name)?.trim().parse().map_err(bad)
    }

    fn limit(&self, name: &str) -> io::Result<Limit> {
        self.read(name)?.parse().map_err(bad)
    }

    /// # Errors
    /// The file cannot be read; see [`is_gone`].
    pub fn high(&self) -> io::Result<Limit> {
        self.limit("memory.high")
    }

    /// # Errors
    /// The file cannot be read; see [`is_gone`].
    pub fn max(&self) -> io::Result<Limit> {
        self.limit("memory.max")
    }

    /// Sets memory.high without waiting for reclaim: O_NONBLOCK makes the kernel take the number
    /// only.
    ///
    /// # Errors
    /// The kernel refuses it; see [`is_gone`].
    pub fn set_high(&self, limit: Limit) -> io::Result<()> {
        self.open("memory.high", OFlags::WRONLY | OFlags::NONBLOCK | OFlags::TRUNC)?
            .write_all(limit.to_string().as_bytes())
    }

    /// memory.current, in bytes.
    ///
    /// # Errors
    /// The file cannot be read; see [`is_gone`].
    pub fn current(&self) -> io::Result<u64> {
        self.number("memory.current")
    }

    /// What the cgroup uses now, in bytes.
    ///
    /// # Errors
    /// A file cannot be read; see [`is_gone`].
    pub fn usage(&self) -> io::Result<Usage> {
        let stat = self.read("memory.stat")?;
        let cache = field(&stat, "active_file") + field(&stat, "inactive_file");
        Ok(Usage {
            current: self.current()?,
            cache: cache.saturating_sub(field(&stat, "file_mapped")),
            swap: self.number("memory.swap.current").unwrap_or(0), // no swap, no file
        })
    }

    /// How long tasks of the cgroup have stalled for memory so far, in us; 0 where PSI is off.
    pub fn stalled_us(&self) -> u64 {
        let text = self.read("memory.pressure").unwrap_or_default();
        MemoryPressure::from_buf_read(text.as_bytes()).map_or(0, |p| p.some.total)
    }

    /// How often the cgroup has run into memory.high so far.
    pub fn high_events(&self) -> u64 {
        field(&self.read("memory.events").unwrap_or_default(), "high")
    }

    /// How many of its processes the kernel has killed for want of memory so far.
    pub fn oom_kills(&self) -> u64 {
        field(&self.read("memory.events").unwrap_or_default(), "oom_kill")
    }

    /// The most it has ever used, in bytes; 0 where the kernel does not tell.
    pub fn peak(&self) -> u64 {
        self.number("memory.peak").unwrap_or(0)
    }

    /// True if the cgroup is frozen, or about to be.
    ///
    /// # Errors
    /// The file cannot be read; see [`is_gone`].
    pub fn frozen(&self) -> io::Result<bool> {
        Ok(self.read("cgroup.freeze")?.trim() == "1")
    }

    /// Freezes the cgroup, or lets it go on.
    ///
    /// # Errors
    /// The kernel refuses it; see [`is_gone`].
    pub fn set_frozen(&self, frozen: bool) -> io::Result<()> {
        self.write("cgroup.freeze", if frozen { "1" } else { "0" })
    }

    /// CPU time of the cgroup so far, in us.
    pub fn cpu_us(&self) -> u64 {
        field(&self.read("cpu.stat").unwrap_or_default(), "usage_usec")
    }

    /// cpu.weight, 100 where the cpu controller is off.
    ///
    /// # Errors
    /// As memory.current cannot be read, either: see [`is_gone`].
    pub fn weight(&self) -> io::Result<u64> {
        self.number("cpu.weight").or_else(|_| self.current().map(|_| 100))
    }

    /// How much more its memory.swap.max lets it swap out, in bytes; u64::MAX without such a limit.
    pub fn swap_left(&self) -> u64 {
        match self.limit("memory.swap.max") {
            Ok(Limit::Bytes(max)) => max.saturating_sub(self.number("memory.swap.current").unwrap_or(0)),
            _ => u64::MAX,
        }
    }

    /// Has the kernel take back `bytes`, of file cache only if asked. Takes as long as it takes.
    ///
    /// # Errors
    /// EAGAIN if it got less; another one if it cannot be done; see [`is_gone`].
    pub fn reclaim(&self, bytes: u64, cache_only: bool) -> io::Result<()> {
        let how = if cache_only { " swappiness=0" } else { "" };
        self.open("memory.reclaim", OFlags::WRONLY)?.write_all(format!("{bytes}{how}").as_bytes())
    }
}

/// The processes in the cgroup directory `dir` and below it; none of those that are gone, or threaded.
///
/// # Errors
/// A cgroup that is there cannot be read.
pub fn pids_below(dir: &Path) -> io::Result<Vec<u32>> {
    let mut pids = Vec::new();
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        // One below may be removed meanwhile.
        let Ok(entries) = std::fs::read_dir(&dir) else { continue };
        dirs.extend(entries.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()));
        match std::fs::read_to_string(dir.join("cgroup.procs")) {
            Ok(text) => pids.extend(text.lines().filter_map(|l| l.parse::<u32>().ok())),
            Err(e) if is_gone(&e) || e.raw_os_error() == Some(libc::EOPNOTSUPP) => (),
            Err(e) => return Err(e),
        }
    }
    Ok(pids)
}

/// A number of a `name value` file, 0 if it is not there.
fn field(text: &str, name: &str) -> u64 {
    let value = |l: &str| l.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
    text.lines().find_map(value).unwrap_or(0)
}

/// Opens a directory by its kernfs handle.
fn open_handle(root: &Path, id: u64) -> io::Result<OwnedFd> {
    /// `struct file_handle` with a kernfs id.
    #[repr(C)]
    struct Handle {
        bytes: u32,
        kind: i32,
        id: [u8; 8],
    }
    let mount = File::open(root)?;
    let mut handle = Handle { bytes: 8, kind: FILEID_KERNFS, id: id.to_ne_bytes() };
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: the handle has the layout of struct file_handle and the number of bytes it says.
    let fd = unsafe { libc::open_by_handle_at(mount.as_raw_fd(), (&raw mut handle).cast(), flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor that nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Walks the tree for the directory whose inode number is `id`.
fn find(root: &Path, id: u64) -> io::Result<PathBuf> {
    let mut dirs = vec![root.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for e in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let Ok(meta) = e.metadata() else { continue };
            if meta.is_dir() && meta.ino() == id {
                return Ok(e.path());
            } else if meta.is_dir() {
                dirs.push(e.path());
            }
        }
    }
    Err(io::Error::from_raw_os_error(libc::ENOENT))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A directory with the files of a cgroup, in a root of its own; and its id.
    pub fn fake(name: &str, current: u64) -> (PathBuf, u64) {
        let root = std::env::temp_dir().join(format!("scx_agent-mem-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        let dir = root.join("agents/a");
        std::fs::create_dir_all(&dir).unwrap();
        for (file, text) in [
            ("memory.high", "max\n".to_string()),
            ("memory.max", "max\n".to_string()),
            ("memory.current", format!("{current}\n")),
            ("memory.stat", "anon 1\ninactive_file 300\nactive_file 200\nfile_mapped 100\n".to_string()),
            ("memory.reclaim", String::new()),
            ("cgroup.freeze", "0\n".to_string()),
            ("cgroup.type", "domain\n".to_string()),
            ("cgroup.subtree_control", "\n".to_string()),
            ("memory.events", "low 0\nhigh 7\nmax 0\n".to_string()),
        ] {
            std::fs::write(dir.join(file), text).unwrap();
        }
        let id = std::fs::metadata(dir).unwrap().ino();
        (root, id)
    }

    #[test]
    fn files_of_a_cgroup() {
        let (root, id) = fake("files", 4096);
        let c = Cgroup::by_id(&root, id).unwrap();
        assert_eq!(c.path, "agents/a");
        assert!(c.has_memory());
        assert_eq!(c.high().unwrap(), Limit::Max);
        assert_eq!(c.usage().unwrap(), Usage { current: 4096, cache: 400, swap: 0 });
        assert_eq!(c.high_events(), 7);
        assert_eq!(c.weight().unwrap(), 100);
        assert_eq!(c.stalled_us(), 0);
        std::fs::write(root.join("agents/a/memory.max"), "junk\n").unwrap();
        assert!(!is_gone(&c.max().unwrap_err()));
        std::fs::remove_dir_all(&root).unwrap();
        assert!(is_gone(&c.set_high(Limit::Max).unwrap_err()));
        assert!(is_gone(&Cgroup::by_id(&std::env::temp_dir().join("none"), id).unwrap_err()));
    }
}
