// SPDX-License-Identifier: GPL-2.0-only
//! System calls that the standard library has no function for.

use std::io;
use std::time::Duration;

/// True if there is a task `pid`, a thread or a process.
pub fn is_alive(pid: i32) -> bool {
    // SAFETY: no memory is involved. Signal 0 is none: only the pid is looked up.
    unsafe { libc::kill(pid, 0) == 0 || *libc::__errno_location() != libc::ESRCH }
}

/// Makes the calling thread a real-time one of the lowest priority.
pub fn become_realtime() -> io::Result<()> {
    let param = libc::sched_param { sched_priority: 1 };
    // SAFETY: `param` lives as long as the call.
    match unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, &param) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// CPU time that this process has used.
pub fn cpu_time() -> Duration {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `t` is of the type that the call writes; this clock is always there.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut t) };
    Duration::new(t.tv_sec as u64, t.tv_nsec as u32)
}

/// True if this process is root's.
pub fn is_root() -> bool {
    // SAFETY: no memory is involved.
    unsafe { libc::geteuid() == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn life() {
        assert!(is_alive(std::process::id() as i32) && is_alive(1));
        assert!(!is_alive(i32::MAX));
    }
}
