// SPDX-License-Identifier: GPL-2.0-only
//! Thin wrappers over the system calls the load needs.

use std::ffi::{CStr, CString};
use std::io;

/// Now, CLOCK_MONOTONIC, in ns.
pub fn now_ns() -> u64 {
    clock_ns(libc::CLOCK_MONOTONIC)
}

/// CPU time of the calling thread, in ns.
pub fn thread_cpu_ns() -> u64 {
    clock_ns(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut t = timespec(0);
    // SAFETY: t is a valid timespec; these clocks always exist.
    unsafe { libc::clock_gettime(clock, &mut t) };
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

fn timespec(ns: u64) -> libc::timespec {
    libc::timespec { tv_sec: (ns / 1_000_000_000) as libc::time_t, tv_nsec: (ns % 1_000_000_000) as _ }
}

/// Sleeps until CLOCK_MONOTONIC reads `at_ns`; returns at once if it does already.
pub fn sleep_until(at_ns: u64) {
    let t = timespec(at_ns);
    // SAFETY: t is valid; an absolute sleep is simply repeated after a signal.
    while unsafe {
        libc::clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &t, std::ptr::null_mut())
    } == libc::EINTR
    {}
}

/// Sleeps for `ns`.
pub fn sleep_for(ns: u64) {
    sleep_until(now_ns() + ns);
}

/// Online CPUs.
pub fn online_cpus() -> u32 {
    // SAFETY: no pointers.
    unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) }.max(1) as u32
}

/// Sets the calling thread's comm (cut to 15 bytes by the kernel).
pub fn set_comm(comm: &str) {
    if let Ok(c) = CString::new(comm) {
        // SAFETY: c is NUL-terminated and outlives the call.
        unsafe { libc::prctl(libc::PR_SET_NAME, c.as_ptr() as libc::c_ulong, 0, 0, 0) };
    }
}

/// Anonymous memory; `shared` memory stays common with children forked later.
pub fn map_anonymous(bytes: usize, shared: bool) -> io::Result<*mut u8> {
    let how = if shared { libc::MAP_SHARED } else { libc::MAP_PRIVATE };
    // SAFETY: a new anonymous mapping at an address the kernel chooses.
    let p = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            how | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if p == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(p.cast())
}

/// Memory that programs started later can map as well, by the descriptor.
pub fn map_file(bytes: usize) -> io::Result<(*mut u8, i32)> {
    // SAFETY: a new file that has no name, its descriptor is ours; mapped as long as it is.
    unsafe {
        let fd = libc::memfd_create(c"agentload".as_ptr(), 0);
        if fd < 0 || libc::ftruncate(fd, bytes as libc::off_t) < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((map_fd(fd, bytes)?, fd))
    }
}

/// The first `bytes` of the memory behind the descriptor of [`map_file`].
pub fn map_fd(fd: i32, bytes: usize) -> io::Result<*mut u8> {
    // SAFETY: a new mapping at an address the kernel chooses; a bad descriptor is refused.
    let p = unsafe {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        libc::mmap(std::ptr::null_mut(), bytes, protection, libc::MAP_SHARED, fd, 0)
    };
    if p == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(p.cast())
}

/// The calling process's signal mask with these signals blocked (or unblocked).
pub fn mask_signals(signals: &[libc::c_int], block: bool) {
    let set = signal_set(signals);
    let how = if block { libc::SIG_BLOCK } else { libc::SIG_UNBLOCK };
    // SAFETY: set is initialised.
    unsafe { libc::sigprocmask(how, &set, std::ptr::null_mut()) };
}

fn signal_set(signals: &[libc::c_int]) -> libc::sigset_t {
    // SAFETY: sigemptyset initialises the set.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        for s in signals {
            libc::sigaddset(&mut set, *s);
        }
        set
    }
}

/// Waits for one of the (blocked) signals for at most `timeout_ns`; None on timeout.
pub fn wait_signal(signals: &[libc::c_int], timeout_ns: u64) -> Option<libc::c_int> {
    let set = signal_set(signals);
    let t = timespec(timeout_ns);
    // SAFETY: set and t are valid; no siginfo is asked for.
    let s = unsafe { libc::sigtimedwait(&set, std::ptr::null_mut(), &t) };
    (s > 0).then_some(s)
}

/// Reaps one child: `Some((pid, status))`, or None when there is none (left, or ended yet).
pub fn reap(block: bool) -> Option<(i32, i32)> {
    let flags = if block { 0 } else { libc::WNOHANG };
    loop {
        let mut status = 0;
        // SAFETY: status is valid.
        let pid = unsafe { libc::waitpid(-1, &mut status, flags) };
        if pid > 0 {
            return Some((pid, status));
        }
        if pid == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return None;
        }
    }
}

/// Whether a wait status is "exited with 0".
pub fn status_ok(status: i32) -> bool {
    libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
}

/// Starts `/bin/sh -c command` as the leader of a new session, the way agents do: a vfork-like
/// clone, setsid, exec. Returns its pid.
pub fn spawn_shell(command: &CStr) -> io::Result<i32> {
    extern "C" {
        static environ: *const *mut libc::c_char;
    }
    let shell = c"/bin/sh";
    let argv = [
        c"sh".as_ptr() as *mut libc::c_char,
        c"-c".as_ptr() as *mut _,
        command.as_ptr() as *mut _,
        std::ptr::null_mut(),
    ];
    let mut pid = 0;
    // SAFETY: attr is initialised before use and destroyed after; argv is NULL-terminated and
    // its strings outlive the call.
    let e = unsafe {
        let mut attr = std::mem::zeroed();
        libc::posix_spawnattr_init(&mut attr);
        let flags = libc::POSIX_SPAWN_SETSID as i32 | libc::POSIX_SPAWN_SETSIGMASK;
        libc::posix_spawnattr_setflags(&mut attr, flags as libc::c_short);
        libc::posix_spawnattr_setsigmask(&mut attr, &signal_set(&[]));
        let e = libc::posix_spawn(&mut pid, shell.as_ptr(), std::ptr::null(), &attr, argv.as_ptr(), environ);
        libc::posix_spawnattr_destroy(&mut attr);
        e
    };
    match e {
        0 => Ok(pid),
        e => Err(io::Error::from_raw_os_error(e)),
    }
}

/// Forks. Only for processes with a single thread.
pub fn fork() -> io::Result<i32> {
    // SAFETY: single-threaded by contract, so the child may use everything.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(pid),
    }
}

/// Ends the process at once: no destructors, no flushing.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: always allowed.
    unsafe { libc::_exit(status) }
}

/// A pipe whose both ends are close-on-exec: `(read, write)`.
pub fn pipe() -> io::Result<(i32, i32)> {
    let mut fds = [0; 2];
    // SAFETY: fds has room for two.
    match unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) } {
        0 => Ok((fds[0], fds[1])),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Closes a descriptor.
pub fn close(fd: i32) {
    // SAFETY: the caller owns fd.
    unsafe { libc::close(fd) };
}

/// Reads up to `buf.len()` bytes; 0 at the end or on an error, after retrying EINTR.
pub fn read_fd(fd: i32, buf: &mut [u8]) -> usize {
    loop {
        // SAFETY: buf is valid for its length.
        let n = unsafe { libc::read(fd, buf.as_mut_ptr().cast(), buf.len()) };
        if n >= 0 {
            return n as usize;
        }
        if io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return 0;
        }
    }
}

/// Writes all of `buf`; false on an error.
pub fn write_fd(fd: i32, mut buf: &[u8]) -> bool {
    while !buf.is_empty() {
        // SAFETY: buf is valid for its length.
        let n = unsafe { libc::write(fd, buf.as_ptr().cast(), buf.len()) };
        if n < 0 {
            if io::Error::last_os_error().raw_os_error() == Some(libc::EINTR) {
                continue;
            }
            return false;
        }
        buf = &buf[n as usize..];
    }
    true
}
