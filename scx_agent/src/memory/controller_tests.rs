// SPDX-License-Identifier: GPL-2.0-only

use super::super::knobs::tests::fake;
use super::super::limit::MB;
use super::super::over_high::OverHigh;
use super::super::policy::tests::tunables;
use super::super::stalls::Stalls;
use super::super::worker::Reclaimed;
use super::*;
use crate::agents::monotonic_ns;
use crossbeam::channel::unbounded;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::atomic::AtomicU64;

/// The limit of 200 MB, less a little file cache, with 64 MB of slack: in whole pages.
const HELD: &str = "276758528";

struct Bench {
    c: Controller,
    id: u64,
    root: Root,
    jobs: Receiver<Job>,
    now: Instant,
}

fn nothing() -> Host {
    Host { available: 0, some_avg10: 0.0, full_avg10: 0.0, stalled_us: 0, swap_free: 0, swap_total: 0 }
}

fn plenty() -> anyhow::Result<Host> {
    Ok(Host { available: 8192 * MB, ..nothing() })
}

fn scarce() -> anyhow::Result<Host> {
    Ok(Host { available: 100 * MB, ..nothing() })
}

/// A controller with one agent that uses `current_mb`.
fn bench(name: &str, current_mb: u64) -> Bench {
    let (root, id) = fake(name, current_mb * MB);
    let (tx, jobs) = unbounded();
    let tunables = tunables();
    let now = Instant::now();
    let mut c = Controller {
        tunables,
        root: root.clone(),
        journal: Journal::load(&root.join("memory.journal")).unwrap(),
        jobs: tx,
        counters: Arc::default(),
        look: plenty,
        agents: BTreeMap::new(),
        paused: BTreeMap::new(),
        idle: Idle::default(),
        variant: None,
        rooms: None,
        brakes: None,
        host: plenty().unwrap(),
        host_at: now,
        lost_per_s: 0.0,
        look_took: Duration::ZERO,
        stalls: Stalls::default(),
        short: false,
        rivals: Rivals::default(),
        pressure: Pressure::None,
        thrashed: None,
        checked: now,
        check_from: 0,
        shared: now,
        guard: None,
        watcher: None,
        separation: None,
    };
    c.handle(Message::Found { id, name: "a\n".into() }, now);
    Bench { c, id, root: Root(root), jobs, now }
}

impl Bench {
    fn phase(&mut self, to: Phase) {
        self.c.handle(Message::Phase { id: self.id, to, at: self.now }, self.now);
    }

    /// `s` seconds later.
    fn tick(&mut self, s: u64) {
        self.now += Duration::from_secs(s);
        self.c.tick(self.now);
    }

    fn file(&self, name: &str) -> PathBuf {
        self.root.0.join("agents/a").join(name)
    }

    fn high(&self) -> String {
        fs::read_to_string(self.file("memory.high")).unwrap().trim().into()
    }

    /// The cgroup of a second agent like the first, which is not told of yet.
    fn second(&self, name: &str) -> (u64, PathBuf) {
        let dir = self.root.0.join("agents").join(name);
        fs::create_dir(&dir).unwrap();
        for file in fs::read_dir(self.file("")).unwrap().flatten() {
            fs::copy(file.path(), dir.join(file.file_name())).unwrap();
        }
        (fs::metadata(&dir).unwrap().ino(), dir)
    }

    fn uses(&self, mb: u64) {
        fs::write(self.file("memory.current"), (mb * MB).to_string()).unwrap();
    }
}

/// Removed when dropped.
struct Root(PathBuf);

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn waits_are_held_and_calls_are_open() {
    let mut b = bench("phases", 200);
    b.tick(0);
    assert_eq!(b.high(), "max", "not before it has waited a while");
    b.tick(2);
    assert_eq!(b.high(), HELD);
    assert_eq!(b.c.journal.entries().count(), 1);
    b.phase(Phase::Tool);
    assert_eq!(b.high(), "max", "at once");
    b.uses(1200);
    b.tick(1);
    assert_eq!(b.high(), "max");
    b.phase(Phase::Framework);
    b.phase(Phase::LlmWait);
    b.tick(2);
    let job = b.jobs.try_recv().unwrap();
    assert!(job.bytes > 0 && job.wanted.load(Ordering::Relaxed));
    assert_ne!(b.high(), "max");
    assert!(b.high().parse::<u64>().unwrap() > 1200 * MB, "not below usage: {}", b.high());
    b.tick(2);
    assert!(b.jobs.is_empty(), "one job at a time");
    b.phase(Phase::Tool);
    assert!(!job.wanted.load(Ordering::Relaxed), "a burst ends the reclaim");
}

/// Short of memory, with swap.
fn swapping() -> anyhow::Result<Host> {
    Ok(Host { swap_free: 4096 * MB, swap_total: 4096 * MB, ..scarce()? })
}

#[test]
fn equals_are_open_while_there_is_swap() {
    let mut b = bench("equals", 200);
    b.c.look = swapping;
    b.tick(2);
    assert_eq!(b.high(), HELD, "settled, not relieved");
    let (second, dir) = b.second("second");
    b.c.handle(Message::Found { id: second, name: "second".into() }, b.now);
    b.phase(Phase::Tool);
    b.uses(900);
    b.tick(1);
    assert_eq!((b.c.short, b.c.pressure), (true, Pressure::None));
    assert_eq!(b.high(), "max", "the kernel finds what nobody uses");
    fs::write(dir.join("cpu.weight"), "400").unwrap();
    b.tick(2);
    assert_eq!(b.c.pressure, Pressure::Weight, "what is left is for the other");
    assert_ne!(b.high(), "max");
    fs::write(dir.join("cpu.weight"), "50").unwrap();
    b.tick(2);
    assert_eq!(
        (b.c.pressure, b.high().as_str()),
        (Pressure::Weight, "max"),
        "the greatest weight is its own"
    );
    fs::write(dir.join("cpu.weight"), "100").unwrap();
    b.tick(2);
    assert_eq!((b.c.pressure, b.high().as_str()), (Pressure::None, "max"));
    b.c.look = || Ok(Host { full_avg10: 60.0, ..swapping()? });
    b.c.handle(Message::Phase { id: second, to: Phase::Tool, at: b.now }, b.now);
    b.tick(2);
    assert_eq!(b.c.pressure, Pressure::Memory, "nothing else is done any more");
    b.c.look = plenty;
    b.tick(2);
    assert_eq!((b.c.short, b.c.pressure, b.high().as_str()), (false, Pressure::None, "max"));
}

#[test]
fn pressure_holds_bursts_but_no_framework() {
    let mut b = bench("pressure", 200);
    b.tick(2);
    b.phase(Phase::Tool);
    b.uses(900);
    b.c.look = scarce;
    b.tick(1);
    let high: u64 = b.high().parse().unwrap();
    assert!((900 * MB..1000 * MB).contains(&high), "{high}");
    b.phase(Phase::Framework);
    assert_eq!(b.high(), "max");
    b.phase(Phase::Tool);
    assert_ne!(b.high(), "max", "without waiting for the timer");
    b.c.look = plenty;
    b.tick(1);
    assert_eq!(b.high(), "max", "no pressure, no limit");
}

#[test]
fn what_stalls_at_a_limit_of_ours_does_not_keep_it() {
    // Of each second the host stalls for 0.8.
    static STALLED_US: AtomicU64 = AtomicU64::new(0);
    fn host(available: u64) -> anyhow::Result<Host> {
        let us = STALLED_US.load(Ordering::Relaxed);
        Ok(Host { available, stalled_us: us, ..nothing() })
    }
    let high_after = |name: &str, by_the_burst: bool| {
        let mut b = bench(name, 200);
        b.phase(Phase::Tool);
        b.uses(900);
        let lives = |b: &mut Bench, look: fn() -> anyhow::Result<Host>, ticks: u64| {
            b.c.look = look;
            for _ in 0..ticks {
                let us = STALLED_US.fetch_add(800_000, Ordering::Relaxed) + 800_000;
                if by_the_burst {
                    let line = format!("avg10=0.00 avg60=0.00 avg300=0.00 total={us}\n");
                    fs::write(b.file("memory.pressure"), format!("some {line}full {line}")).unwrap();
                }
                b.tick(1);
            }
        };
        lives(&mut b, || host(100 * MB), 20);
        assert_ne!(b.high(), "max", "{name}: too little is available");
        lives(&mut b, || host(8192 * MB), 1);
        b.high()
    };
    assert_eq!(high_after("own stalls", true), "max");
    assert_ne!(high_after("stalls of others", false), "max");
}

#[test]
fn the_important_burst_goes_on_and_the_other_gives_back() {
    let mut b = bench("weights", 200);
    let (id, dir) = b.second("important");
    fs::write(dir.join("cpu.weight"), "400").unwrap();
    b.c.handle(Message::Found { id, name: "important".into() }, b.now);
    b.phase(Phase::Tool);
    b.c.handle(Message::Phase { id, to: Phase::Tool, at: Instant::now() }, b.now);
    b.uses(900);
    fs::write(dir.join("memory.current"), (900 * MB).to_string()).unwrap();
    b.c.look = swapping;
    b.tick(1);
    let important = fs::read_to_string(dir.join("memory.high")).unwrap();
    assert_eq!(important.trim(), "max", "the newer one, but of more weight");
    let left: u64 = b.high().parse().unwrap();
    assert!(left < 900 * MB, "{left}");
}

#[test]
fn a_burst_that_sleeps_gives_back_what_a_limit_does_not_take() {
    let mut b = bench("sleeper", 200);
    let (id, dir) = b.second("older");
    b.c.handle(Message::Found { id, name: "older".into() }, b.now);
    let earlier = b.now.checked_sub(Duration::from_secs(1)).unwrap();
    b.c.handle(Message::Phase { id, to: Phase::Tool, at: earlier }, b.now);
    b.phase(Phase::Tool);
    b.uses(900);
    fs::write(dir.join("memory.current"), (900 * MB).to_string()).unwrap();
    b.c.look = scarce;
    b.tick(1);
    assert!(b.jobs.is_empty(), "both have grown just now, and meet their limits by themselves");
    for a in b.c.agents.values_mut() {
        a.grew = None;
    }
    b.tick(1);
    let job = b.jobs.try_recv().unwrap();
    assert_eq!((job.why, job.cgroup.id), (Why::Burst, b.id), "the newer one");
    assert!((MB..=900 * MB / 8 + MB).contains(&job.bytes), "{}", job.bytes);
    b.tick(1);
    assert!(b.jobs.is_empty(), "one job at a time");
    let answer = Reclaimed { id: b.id, why: job.why, asked: job.bytes, got: job.bytes, result: Ok(()) };
    b.c.handle(Message::Reclaimed(answer), b.now);
    b.phase(Phase::Framework);
    assert!(!job.wanted.load(Ordering::Relaxed), "its end ends the reclaim");
}

#[test]
fn a_failed_write_is_no_end() {
    let mut b = bench("failed", 200);
    // Writes fail as on a read-only cgroupfs, even for root.
    fs::remove_file(b.file("memory.high")).unwrap();
    std::os::unix::fs::symlink("/proc/version", b.file("memory.high")).unwrap();
    for _ in 0..3 {
        b.tick(2);
    }
    assert!(b.c.agents[&b.id].knob.broken);
    b.phase(Phase::Tool);
    b.phase(Phase::LlmWait);
    b.tick(2);
    assert_eq!(b.c.counters.high_writes.load(Ordering::Relaxed), 0);
}

#[test]
fn a_refused_write_ends_lowering_only() {
    let mut b = bench("refused", 200);
    if !rustix::process::geteuid().is_root() {
        fs::set_permissions(b.file("memory.high"), fs::Permissions::from_mode(0o444)).unwrap();
        b.tick(2);
        assert!(b.c.agents[&b.id].knob.broken, "EACCES");
    }
    let e = io::Error::from_raw_os_error(libc::EBUSY);
    b.c.trouble(b.id, e.into());
    assert!(b.c.agents[&b.id].knob.broken);
    b.tick(2);
    assert_eq!(b.high(), "max");
}

#[test]
fn a_removed_cgroup_is_forgotten() {
    let mut b = bench("removed", 200);
    b.tick(2);
    fs::remove_dir_all(b.root.0.join("agents")).unwrap();
    b.phase(Phase::Tool);
    assert!(b.c.agents.is_empty());
    assert_eq!(b.c.journal.entries().count(), 0);
    b.phase(Phase::LlmWait);
    b.c.handle(Message::Gone { id: b.id }, b.now);
    b.c.handle(Message::Found { id: b.id, name: "late".into() }, b.now);
    b.tick(2);
}

#[test]
fn what_others_set_is_theirs() {
    let mut b = bench("foreign", 200);
    b.tick(2);
    fs::write(b.file("memory.high"), "1048576").unwrap();
    b.tick(2);
    assert_eq!(b.c.counters.foreign.load(Ordering::Relaxed), 1);
    b.phase(Phase::Tool);
    b.phase(Phase::LlmWait);
    b.tick(2);
    b.tick(2);
    assert_eq!(b.high(), "1048576");
    assert_eq!(b.c.counters.foreign.load(Ordering::Relaxed), 1, "said once");
    assert!(b.jobs.is_empty());
}

#[test]
fn the_end_puts_back() {
    for name in ["stop", "panic"] {
        let mut b = bench(name, 200);
        fs::write(b.file("memory.high"), (1024 * MB).to_string()).unwrap();
        b.tick(2);
        assert_eq!(b.high(), HELD);
        let Bench { c, root, .. } = b;
        let (tx, rx) = unbounded();
        let thread = std::thread::spawn(move || {
            if name == "panic" {
                let _c = c;
                panic!("on purpose");
            }
            c.run(&rx);
        });
        tx.send(Message::Stop).unwrap_or_default();
        assert_eq!(thread.join().is_err(), name == "panic");
        let high = fs::read_to_string(root.0.join("agents/a/memory.high")).unwrap();
        assert_eq!(high, (1024 * MB).to_string());
        assert!(!root.0.join("memory.journal").exists());
    }
}

#[test]
fn who_runs_into_the_limit_in_a_wait_gets_room() {
    let mut b = bench("relief", 200);
    b.tick(2);
    assert_eq!(b.high(), HELD);
    let event = |b: &mut Bench| b.c.handle(Message::Events { id: b.id }, b.now);
    event(&mut b);
    assert_eq!(b.high(), HELD, "another event than `high`");
    b.uses(264);
    fs::write(b.file("memory.events"), "low 0\nhigh 9\n").unwrap();
    event(&mut b);
    assert_eq!(b.high(), (330 * MB).to_string());
    b.uses(100);
    fs::write(b.file("memory.events"), "low 0\nhigh 10\n").unwrap();
    event(&mut b);
    assert_eq!(b.high(), (330 * MB).to_string(), "told late of what it has got room for already");
    b.uses(264);
    (b.c.short, b.c.pressure) = (true, Pressure::Memory);
    fs::write(b.file("memory.events"), "low 0\nhigh 11\n").unwrap();
    event(&mut b);
    assert_eq!(b.high(), (330 * MB).to_string(), "not on a host that has no more");
}

#[test]
fn who_is_seen_to_run_into_the_limit_gets_room() {
    let mut b = bench("probe", 200);
    b.tick(2);
    let id = b.id;
    let told = |b: &mut Bench, id, cgroup| {
        let over = OverHigh { cgroup, pid: 1, usage: 265 * MB, high: 264 * MB, at_ns: monotonic_ns() };
        b.c.handle(Message::OverHigh { id, over }, b.now);
    };
    b.uses(265);
    told(&mut b, id, id + 1);
    assert_eq!(b.high(), HELD, "the limit of another");
    told(&mut b, id, id);
    assert_eq!(b.high(), Limit::pages(265 * MB / 4 * 5).to_string(), "before memory.events says so");
    assert_eq!(b.c.counters.over_high.load(Ordering::Relaxed), 2);
    told(&mut b, id + 1, id);
    assert_eq!(b.c.counters.over_high.load(Ordering::Relaxed), 2, "no agent of ours");
}

#[test]
fn a_pause_ends_by_itself_or_when_others_end_it() {
    let mut b = bench("pause", 100);
    let frozen = |b: &Bench| fs::read_to_string(b.file("cgroup.freeze")).unwrap().trim() == "1";
    let journal =
        |b: &Bench| Journal::load(&b.root.0.join("memory.journal")).unwrap().places(Change::Frozen).count();
    let pause = |b: &mut Bench, s| b.c.pause(b.id, "a", Duration::from_secs(s), b.now);
    pause(&mut b, 10).unwrap();
    assert!(frozen(&b) && journal(&b) == 1);
    b.tick(1);
    let job = b.jobs.try_recv().unwrap();
    assert!(job.why == Why::Paused && !job.cache_only);
    b.tick(1);
    assert!(b.jobs.try_recv().is_err(), "one step at a time");
    let nothing = io::Error::from_raw_os_error(libc::EAGAIN);
    let answer = Reclaimed { id: b.id, why: Why::Paused, asked: 64 * MB, got: 5 * MB, result: Err(nothing) };
    b.c.handle(Message::Reclaimed(answer), b.now);
    b.tick(0);
    assert!(b.jobs.try_recv().is_err(), "not at once again");
    b.tick(2);
    assert!(b.jobs.try_recv().is_ok());
    pause(&mut b, 10).unwrap();
    b.tick(9);
    assert!(frozen(&b), "its time has begun anew");
    b.tick(2);
    assert!(!frozen(&b) && journal(&b) == 0);
    let id = b.id;
    let resume = |b: &mut Bench| b.c.resume(id, "a", "by an operator", b.now);
    assert!(resume(&mut b).unwrap_err().contains("not paused"));

    pause(&mut b, 10).unwrap();
    let said = resume(&mut b).unwrap();
    assert!(said.contains("goes on") && !frozen(&b) && journal(&b) == 0, "{said}");

    pause(&mut b, 10).unwrap();
    fs::write(b.file("cgroup.freeze"), "0").unwrap();
    b.tick(1);
    assert!(!frozen(&b) && journal(&b) == 0 && b.c.paused.is_empty(), "somebody else let it go on");

    fs::write(b.file("cgroup.freeze"), "1").unwrap();
    assert!(pause(&mut b, 10).unwrap_err().contains("somebody else"));
    fs::write(b.file("cgroup.freeze"), "0").unwrap();
    pause(&mut b, 10).unwrap();
    let Bench { c, root, .. } = b;
    drop(c);
    assert_eq!(
        fs::read_to_string(root.0.join("agents/a/cgroup.freeze")).unwrap(),
        "0",
        "the end lets it go on"
    );
}

#[test]
fn the_longest_idle_gives_first_and_only_under_pressure() {
    let mut b = bench("idle", 200);
    let (older, dir) = b.second("older");
    let at = b.now;
    b.c.handle(Message::Found { id: older, name: "older".into() }, at);
    b.c.tunables.idle_after = Some(Duration::from_secs(60));
    b.now += Duration::from_secs(30);
    b.phase(Phase::LlmWait);
    b.tick(100);
    b.tick(3);
    let job = |b: &Bench| b.jobs.try_iter().find(|j| j.why == Why::Idle);
    assert!(job(&b).is_none(), "the host has memory");
    b.c.look = swapping;
    b.tick(1);
    assert!(job(&b).is_none(), "nobody has been looked at yet");
    b.tick(2);
    assert_eq!(job(&b).map(|j| j.cgroup.id), Some(older));
    b.tick(1);
    assert!(job(&b).is_none(), "one step at a time");
    let done = |b: &mut Bench, id, result| {
        let answer = Reclaimed { id, why: Why::Idle, asked: 64 * MB, got: 5 * MB, result };
        b.c.handle(Message::Reclaimed(answer), b.now);
    };
    done(&mut b, older, Ok(()));
    b.tick(0);
    assert!(job(&b).is_none(), "another look before another step");
    b.tick(1);
    assert_eq!(job(&b).map(|j| j.cgroup.id), Some(older), "all of it first");
    done(&mut b, older, Err(io::Error::from_raw_os_error(libc::EAGAIN)));
    let older_uses = |mb: u64| fs::write(dir.join("memory.current"), (mb * MB).to_string()).unwrap();
    older_uses(1);
    b.tick(0);
    b.tick(2);
    let job_a = job(&b).unwrap();
    assert_eq!(job_a.cgroup.id, b.id, "then the next");
    b.phase(Phase::Tool);
    assert!(!job_a.wanted.load(Ordering::Relaxed), "who does something is left alone at once");
    let id = b.id;
    done(&mut b, id, Ok(()));
    older_uses(200);
    fs::write(dir.join("cpu.stat"), "usage_usec 1000000\n").unwrap();
    b.tick(8);
    assert!(job(&b).is_none(), "used a CPU");
    b.tick(2);
    assert_eq!(job(&b).map(|j| j.cgroup.id), Some(older), "and then did not");
    done(&mut b, older, Ok(()));
    b.c.look = plenty;
    b.tick(3);
    assert!(job(&b).is_none() && b.c.idle.is_none(), "the pressure is over");
}

#[test]
fn knobs_of_many_agents_are_checked_in_turn() {
    use std::os::unix::fs::MetadataExt;
    const AGENTS: u64 = 300;
    let mut b = bench("many", 200);
    let dir = |n: u64| b.root.0.join(format!("agents/b{n}"));
    let dirs: Vec<PathBuf> = (1..AGENTS).map(dir).chain([b.root.0.join("agents/a")]).collect();
    for to in &dirs {
        let _ = fs::create_dir(to);
        for file in fs::read_dir(b.file("")).unwrap().flatten() {
            if !to.ends_with("a") {
                fs::copy(file.path(), to.join(file.file_name())).unwrap();
            }
        }
        let id = fs::metadata(to).unwrap().ino();
        b.c.handle(Message::Found { id, name: "b".into() }, b.now);
    }
    b.tick(3);
    let limited = b.c.agents.values().filter(|a| a.knob.limited()).count();
    assert_eq!(limited as u64, AGENTS);
    dirs.iter().for_each(|d| fs::write(d.join("memory.high"), "4096").unwrap());
    let seen = |b: &Bench| b.c.counters.foreign.load(Ordering::Relaxed);
    for expected in [128, 256, AGENTS, AGENTS] {
        b.c.check_knobs();
        assert_eq!(seen(&b), expected);
    }
}
