// SPDX-License-Identifier: GPL-2.0-only
//! What a container does that wants more than its share: `hostile storm CHAINS` until it is killed.
//! `hostile plain CHAINS` wants as much, and plays no tricks. Says on exit by SIGTERM what it did.

use std::ffi::CStr;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Names that a container may hope something of.
const NAMES: [&CStr; 5] = [c"claude", c"codex", c"node", c"scx_agent", c"kworker/0:1"];
const TAGS: &str = "/run/scx_agent/tags/tag.sock";

/// What all processes count together.
#[derive(Default)]
struct Counts {
    calls: AtomicU64,
    /// Forks of forks, whose parent was gone first.
    orphans: AtomicU64,
    moves: AtomicU64,
    renames: AtomicU64,
    tags: AtomicU64,
    answers: AtomicU64,
}

static STOP: AtomicBool = AtomicBool::new(false);

extern "C" fn stop(_: libc::c_int) {
    STOP.store(true, Relaxed);
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let chains: usize = args.get(2).and_then(|n| n.parse().ok()).unwrap_or_else(|| usage());
    // SAFETY: a handler that stores a flag.
    unsafe { libc::signal(libc::SIGTERM, stop as *const () as libc::sighandler_t) };
    rename(c"claude");
    match args[1].as_str() {
        "storm" => storm(chains),
        "plain" => plain(chains),
        _ => usage(),
    }
}

fn usage() -> ! {
    eprintln!("usage: hostile storm|plain CHAINS");
    std::process::exit(2)
}

/// One tool call of `chains` processes that compute.
fn plain(chains: usize) {
    let line = format!("n=0; while [ $n -lt {chains} ]; do n=$((n + 1)); (while :; do :; done) & done; wait");
    let mut call = std::process::Command::new("/bin/sh").args(["-c", &line]).spawn().expect("a shell");
    while !STOP.load(Relaxed) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = call.kill();
    let _ = call.wait();
}

/// Everything at once.
fn storm(chains: usize) {
    let counts = shared();
    let mut pids: Vec<i32> = (0..chains).map(|n| forked(|| chain(counts, n as u64))).collect();
    pids.push(forked(|| mover(counts)));
    pids.push(forked(|| renamer(counts)));
    pids.push(forked(|| flooder(counts)));
    while !STOP.load(Relaxed) {
        std::thread::sleep(Duration::from_millis(20));
    }
    for pid in pids {
        // SAFETY: children of this process that it has not reaped.
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
    let n = |c: &AtomicU64| c.load(Relaxed);
    println!("calls={}", n(&counts.calls));
    println!("orphans={}", n(&counts.orphans));
    println!("moves={}", n(&counts.moves));
    println!("renames={}", n(&counts.renames));
    println!("tags={}", n(&counts.tags));
    println!("answers={}", n(&counts.answers));
}

/// Counts that children of this process share with it.
fn shared() -> &'static Counts {
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping, never unmapped, of zeroes, which are valid counts.
    unsafe {
        let p = libc::mmap(std::ptr::null_mut(), size_of::<Counts>(), protection, flags, -1, 0);
        assert!(p != libc::MAP_FAILED, "no memory");
        &*p.cast::<Counts>()
    }
}

/// The pid of a child that does `what` and ends.
fn forked(what: impl FnOnce()) -> i32 {
    // SAFETY: this program has one thread when it forks.
    match unsafe { libc::fork() } {
        0 => {
            what();
            // SAFETY: always allowed.
            unsafe { libc::_exit(0) }
        }
        pid => pid,
    }
}

fn rename(name: &CStr) {
    // SAFETY: a string with a NUL.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// Call after call, each as short as can be: as frameworks make them, marked as frameworks mark
/// them, and every fourth from a grandchild whose parent is gone.
fn chain(counts: &Counts, seed: u64) {
    let environment = [c"AI_AGENT=claude-code_1_agent".as_ptr(), std::ptr::null()];
    let call = [c"sh".as_ptr(), c"-c".as_ptr(), c":".as_ptr(), std::ptr::null()];
    let mut n = seed;
    loop {
        n += 1;
        let name = NAMES[n as usize % NAMES.len()];
        let orphan = n.is_multiple_of(4);
        let pid = forked(|| {
            rename(name);
            if orphan && forked(|| std::thread::sleep(Duration::from_millis(1))) > 0 {
                counts.orphans.fetch_add(1, Relaxed);
            }
            // SAFETY: strings with a NUL, lists with a null at the end.
            unsafe {
                libc::setsid();
                libc::execve(c"/bin/sh".as_ptr(), call.as_ptr(), environment.as_ptr());
            }
        });
        // SAFETY: a child of this process.
        unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
        counts.calls.fetch_add(1, Relaxed);
    }
}

/// To and fro between cgroups of its own.
fn mover(counts: &Counts) {
    loop {
        for to in ["a", "b"] {
            let file = format!("/sys/fs/cgroup/agents/evil/{to}/cgroup.procs");
            if fs::write(file, "0").is_ok() {
                counts.moves.fetch_add(1, Relaxed);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Threads that change their names.
fn renamer(counts: &'static Counts) {
    for _ in 0..4 {
        std::thread::spawn(|| loop {
            for name in NAMES {
                rename(name);
                counts.renames.fetch_add(1, Relaxed);
            }
            std::thread::sleep(Duration::from_millis(1));
        });
    }
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Garbage and lies, as fast as the socket takes them.
fn flooder(counts: &Counts) {
    let lies: [&[u8]; 4] = [
        b"\xff\x00garbage\n",
        br#"{"what":"call_begin","pid":1,"command":"x","hook":true}"#,
        br#"{"what":"call_end","id":"nobody's"}"#,
        &[b'{'; 8192],
    ];
    let mut open = Vec::new();
    loop {
        for lie in lies {
            let Ok(mut s) = UnixStream::connect(TAGS) else {
                std::thread::sleep(Duration::from_millis(10));
                continue;
            };
            let _ = s.set_nonblocking(true);
            let _ = s.write_all(lie);
            let _ = s.write_all(b"\n");
            counts.tags.fetch_add(1, Relaxed);
            open.push(s);
        }
        // Some are left open for long.
        if open.len() > 64 {
            for mut s in open.drain(..32) {
                counts.answers.fetch_add(u64::from(s.read(&mut [0; 64]).is_ok_and(|n| n > 0)), Relaxed);
            }
        }
    }
}
