// SPDX-License-Identifier: GPL-2.0-only
//! What /proc says of a task. All names in it are chosen by containers: any bytes may come.

use procfs::process::Process;

/// Kernel thread, in the flags of /proc/PID/stat.
const PF_KTHREAD: u32 = 0x0020_0000;

/// What the classification goes by.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// When it began, in clock ticks since boot: tells a pid's owners apart.
    pub began: u64,
    /// Its process: the pid of its thread group.
    pub process: i32,
    /// The process that forked it, or took it over.
    pub parent: i32,
    pub session: i32,
    /// Its comm; what is not UTF-8 is replaced.
    pub comm: String,
    /// Path of its cgroup v2, from the root on.
    pub cgroup: Vec<u8>,
    /// It is a kernel thread.
    pub kernel: bool,
}

impl Facts {
    /// Reads those of the task `pid`; none if it is gone.
    pub fn read(pid: i32) -> Option<Facts> {
        let stat = Process::new(pid).and_then(|p| p.stat()).ok()?;
        // These two as bytes: procfs refuses a file in which a name is not UTF-8.
        let cgroup = std::fs::read(format!("/proc/{pid}/cgroup")).ok()?;
        // All threads but the first have no signal for their parent.
        let process = if stat.exit_signal == Some(-1) {
            let status = std::fs::read(format!("/proc/{pid}/status")).ok()?;
            std::str::from_utf8(after(&status, b"Tgid:\t")?).ok()?.parse().ok()?
        } else {
            pid
        };
        Some(Facts {
            began: stat.starttime,
            process,
            parent: stat.ppid,
            session: stat.session,
            comm: stat.comm,
            cgroup: after(&cgroup, b"0::").unwrap_or(b"/").to_vec(),
            kernel: stat.flags & PF_KTHREAD != 0,
        })
    }
}

/// What follows `mark` in the line that begins with it.
fn after<'a>(text: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    text.split(|&c| c == b'\n').find_map(|line| line.strip_prefix(mark))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn reads_this_process_and_its_threads() {
        let own = Facts::read(std::process::id() as i32).unwrap();
        assert_eq!(own.process, std::process::id() as i32);
        assert!(!own.kernel && own.cgroup.starts_with(b"/"), "{own:?}");
        // SAFETY: no arguments, no memory.
        let thread = std::thread::spawn(|| Facts::read(unsafe { libc::gettid() }).unwrap()).join().unwrap();
        assert_eq!((thread.process, thread.session), (own.process, own.session));
        assert_eq!(Facts::read(i32::MAX), None);
    }

    #[test]
    fn reads_hostile_comms() {
        // A comm that looks like the end of the field, and is no UTF-8.
        let script = "printf ') R 1 2 \\377\\n' >/proc/self/comm; echo; read x";
        let piped = Stdio::piped;
        let mut child =
            Command::new("/bin/sh").args(["-c", script]).stdin(piped()).stdout(piped()).spawn().unwrap();
        std::io::Read::read(child.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        let facts = Facts::read(child.id() as i32).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(facts.parent, std::process::id() as i32, "{facts:?}");
        assert!(facts.comm.starts_with(") R 1 2"), "{facts:?}");
    }

    #[test]
    fn lines_are_found_by_their_beginning() {
        assert_eq!(after(b"1:cpu:/x\n0::/a:0::b\n", b"0::"), Some(&b"/a:0::b"[..]));
        assert_eq!(after(b"Name:\tTgid:\t7\nTgid:\t8\n", b"Tgid:\t"), Some(&b"8"[..]));
        assert_eq!(after(b"", b"0::"), None);
    }
}
