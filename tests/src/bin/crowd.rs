// SPDX-License-Identifier: GPL-2.0-only
//! Very many agents: `crowd agents N TASKS EXECS_PER_S SECONDS` below /sys/fs/cgroup/agents, each a
//! framework with one tool call, in a cgroup of its own, of TASKS tasks, which execs all the time.
//! `crowd week FIRST N CALLS` has N agents there, from number FIRST on, that come and go: most are never
//! more than a cgroup, and frameworks in the others make CALLS tool calls.
//! `crowd hog CPU` keeps that CPU from all but real-time tasks, for ever.
//! `crowd cgroups DIR N` makes that many, `crowd remove DIR` removes them; `crowd delegate DIR` says of a
//! cgroup what systemd says of those of units with `Delegate=yes`.

use std::ffi::CString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The threads of a call may end.
static OVER: AtomicBool = AtomicBool::new(false);

const AGENTS: &str = "/sys/fs/cgroup/agents";
/// Agents of a week that are there at a time, and calls that one of them makes.
const AT_ONCE: u64 = 8;
const CALLS_EACH: u64 = 50;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |n: usize| args.get(n).and_then(|a| a.parse::<u64>().ok()).unwrap_or_else(|| usage());
    let text = |n: usize| args.get(n).map_or_else(|| usage(), String::as_str);
    match args.get(1).map(String::as_str) {
        Some("agents") => agents(number(2), &format!("{} {} {}", number(3), number(4), number(5))),
        Some("call") => call(text(2), number(3), number(4), number(5)),
        Some("week") => week(number(2), number(3), number(4)),
        Some("hog") => hog(number(2)),
        Some("cgroups") => {
            fs::create_dir(text(2)).expect("a new cgroup");
            (0..number(3)).for_each(|n| fs::create_dir(format!("{}/{n}", text(2))).expect("a cgroup"));
        }
        Some("delegate") => delegate(text(2)),
        Some("remove") => {
            for e in fs::read_dir(text(2)).expect("the cgroup").flatten().filter(|e| e.path().is_dir()) {
                fs::remove_dir(e.path()).expect("an empty cgroup");
            }
            fs::remove_dir(text(2)).expect("an empty cgroup");
        }
        _ => usage(),
    }
}

fn usage() -> ! {
    eprintln!("usage: crowd agents N TASKS EXECS_PER_S SECONDS | week FIRST N CALLS | hog CPU | cgroups DIR N | remove DIR | delegate DIR");
    std::process::exit(2)
}

fn delegate(dir: &str) {
    let dir = CString::new(dir).expect("no NUL");
    // SAFETY: strings with a NUL, and one byte of a value.
    let set =
        unsafe { libc::setxattr(dir.as_ptr(), c"trusted.delegate".as_ptr(), c"1".as_ptr().cast(), 1, 0) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

/// Computes on one CPU, before everybody else there.
fn hog(cpu: u64) -> ! {
    // SAFETY: plain structures of our own, for this process.
    unsafe {
        let mut cpus: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu as usize, &mut cpus);
        assert_eq!(
            libc::sched_setaffinity(0, size_of_val(&cpus), &cpus),
            0,
            "{}",
            std::io::Error::last_os_error()
        );
        let first = libc::sched_param { sched_priority: 50 };
        let set = libc::sched_setscheduler(0, libc::SCHED_FIFO, &first);
        assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
    }
    loop {
        std::hint::spin_loop();
    }
}

/// Agents that come and go, some at a time.
fn week(first: u64, n: u64, calls: u64) {
    let frameworks = calls.div_ceil(CALLS_EACH).min(n);
    let side = |this: u64| {
        // SAFETY: this program has one thread.
        if unsafe { libc::fork() } == 0 {
            (first..first + n).skip(this as usize).step_by(AT_ONCE as usize).for_each(|i| {
                // Spread over all of them.
                let works = (i - first) * frameworks / n != (i - first + 1) * frameworks / n;
                come_and_go(i, if works { CALLS_EACH } else { 0 });
            });
            std::process::exit(0);
        }
    };
    (0..AT_ONCE).for_each(side);
    let failed = (0..AT_ONCE).filter(|_| !wait_well()).count();
    println!("calls={}\nfailed={failed}", frameworks * CALLS_EACH);
    std::process::exit(i32::from(failed > 0));
}

/// An agent of so many calls, from its cgroup's begin to its end.
fn come_and_go(i: u64, calls: u64) {
    let dir = format!("{AGENTS}/w{i}");
    fs::create_dir_all(format!("{dir}/inner")).expect("a new cgroup");
    if calls > 0 {
        // SAFETY: this program has one thread.
        if unsafe { libc::fork() } == 0 {
            begin_framework(&dir);
            let well =
                |_: &u64| Command::new("/bin/sh").args(["-c", "exit 0"]).status().is_ok_and(|s| s.success());
            let made = (0..calls).filter(well).count() as u64;
            std::process::exit(i32::from(made != calls));
        }
        assert!(wait_well(), "the calls of {dir}");
    }
    for dir in [format!("{dir}/inner"), dir] {
        // Its last process is counted until it is quite gone.
        while let Err(e) = fs::remove_dir(&dir) {
            assert_eq!(e.raw_os_error(), Some(libc::EBUSY), "{dir}: {e}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Whether the next child to end ends well.
fn wait_well() -> bool {
    let mut status = 0;
    // SAFETY: a place for the status.
    unsafe { libc::wait(&mut status) > 0 && status == 0 }
}

/// Makes this process a framework, by its comm, in its agent's cgroup.
fn begin_framework(dir: &str) {
    let name = CString::new("claude").expect("no NUL");
    // SAFETY: a string with a NUL.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
    fs::write(format!("{dir}/cgroup.procs"), "0").expect("its own cgroup");
}

/// Begins `n` frameworks, tells when all are there, and sums up what their calls report.
fn agents(n: u64, what: &str) {
    let began = Instant::now();
    fs::create_dir_all("/tmp/crowd").expect("a folder for the reports");
    for i in 0..n {
        let dir = format!("{AGENTS}/s{i:04}");
        fs::create_dir_all(format!("{dir}/call")).expect("a cgroup");
        // SAFETY: this program has one thread.
        if unsafe { libc::fork() } == 0 {
            framework(&dir, i, what);
        }
    }
    println!("made_s={:.1}", began.elapsed().as_secs_f64());
    let mut failed = 0;
    loop {
        let mut status = 0;
        // SAFETY: a place for the status.
        match unsafe { libc::wait(&mut status) } {
            -1 => break,
            _ => failed += u64::from(status != 0),
        }
    }
    let (mut tasks, mut execs) = (0u64, 0u64);
    for i in 0..n {
        let report = fs::read_to_string(format!("/tmp/crowd/{i}")).unwrap_or_default();
        let mut numbers = report.split_whitespace().filter_map(|w| w.parse::<u64>().ok());
        tasks += numbers.next().unwrap_or(0) + 1; // and the framework
        execs += numbers.next().unwrap_or(0);
    }
    println!("failed={failed}\ntasks={tasks}\nexecs={execs}\nall_s={:.1}", began.elapsed().as_secs_f64());
}

/// Is a framework by its comm, makes its call, and waits for it.
fn framework(dir: &str, i: u64, what: &str) -> ! {
    begin_framework(dir);
    let line = format!("exec crowd call {i} {what}");
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &line]);
    // SAFETY: setsid in the child of a program with one thread.
    unsafe {
        shell.pre_exec(|| {
            libc::setsid();
            Ok(())
        })
    };
    let ended = shell.status();
    std::process::exit(i32::from(!ended.is_ok_and(|s| s.success())))
}

/// The call: `tasks` tasks in a cgroup of its own, and `rate` programs a second for `seconds`.
fn call(i: &str, tasks: u64, rate: u64, seconds: u64) {
    let number: u64 = i.parse().unwrap_or_else(|_| usage());
    fs::write(format!("{AGENTS}/s{number:04}/call/cgroup.procs"), "0").expect("its own cgroup");
    let idle = || {
        while !OVER.load(Relaxed) {
            std::thread::park();
        }
    };
    let small = || std::thread::Builder::new().stack_size(16 << 10);
    let threads: Vec<_> = (1..tasks).filter_map(|_| small().spawn(idle).ok()).collect();
    let made = 1 + threads.len();
    let end = Instant::now() + Duration::from_secs(seconds);
    let pause = Duration::from_micros(1_000_000 / rate.max(1));
    let (mut next, mut execs) = (Instant::now(), 0u64);
    while Instant::now() < end {
        execs += u64::from(Command::new("/bin/true").status().is_ok_and(|s| s.success()));
        next += pause;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    fs::write(format!("/tmp/crowd/{i}"), format!("{made} {execs}")).expect("a report");
    // What exits after its first thread has, does not count as the call's.
    OVER.store(true, Relaxed);
    for thread in threads {
        thread.thread().unpark();
        let _ = thread.join();
    }
}
