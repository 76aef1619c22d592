// SPDX-License-Identifier: GPL-2.0-only
//! The cgroup of one command.

use super::report::Figures;
use crate::memory::{pids_below, CGROUP_ROOT};
use anyhow::{bail, Context, Result};
use procfs::{CpuPressure, FromBufRead};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Folder of all such cgroups, below the cgroup root. Whatever is made in it is an agent of every
/// scx_agent; only root can.
pub const FOLDER: &str = "scx_agent.ci";
/// How long the kernel may take to let go of ended processes.
const PATIENCE: Duration = Duration::from_secs(10);

/// The cgroup; dropping it ends what is left in it, and removes it.
#[derive(Debug)]
pub struct Place {
    /// The agent's name.
    pub name: String,
    path: PathBuf,
    /// A process that waits in it as the agent's framework, so that the command is its call.
    anchor: Option<libc::pid_t>,
}

impl Place {
    /// Makes a cgroup whose name begins with `name`; with `anchor`, what comes to it is a tool call.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn make(name: &str, anchor: bool) -> Result<Place> {
        let folder = Path::new(CGROUP_ROOT).join(FOLDER);
        let told = || format!("cannot make a cgroup below {}", folder.display());
        match fs::create_dir(&folder) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e).with_context(told),
            _ => (),
        }
        for controller in ["+cpu", "+memory", "+io"] {
            // Where the host has it off, its figures are missing from the report.
            let _ = fs::write(folder.join("cgroup.subtree_control"), controller);
        }
        let name = format!("{name}-{}", std::process::id());
        let path = folder.join(&name);
        fs::create_dir(&path).with_context(told)?;
        let mut place = Place { name, path, anchor: None };
        if anchor {
            place.anchor = Some(place.start_anchor()?);
        }
        Ok(place)
    }

    /// Opened before a fork, as after it nothing may be allocated.
    fn entrance(&self) -> Result<File> {
        let path = self.path.join("cgroup.procs");
        OpenOptions::new().write(true).open(&path).with_context(|| format!("cannot open {}", path.display()))
    }

    fn start_anchor(&self) -> Result<libc::pid_t> {
        let entrance = self.entrance()?;
        // SAFETY: the child makes only async-signal-safe calls, and never returns.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()).context("cannot start a process"),
            0 => unsafe {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                // Ends with the terminal's Ctrl-C only when it is told to.
                libc::signal(libc::SIGINT, libc::SIG_IGN);
                if enter(entrance.as_raw_fd()).is_err() {
                    libc::_exit(1);
                }
                loop {
                    libc::pause();
                }
            },
            pid => {
                let deadline = Instant::now() + PATIENCE;
                while !self.pids().contains(&(pid as u32)) {
                    if Instant::now() > deadline {
                        bail!("no process can enter {}", self.path.display());
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
                Ok(pid)
            }
        }
    }

    /// Starts `command` in it.
    ///
    /// # Errors
    /// The program is not there, or may not be run.
    pub fn start(&self, command: &[std::ffi::OsString]) -> Result<Child> {
        let (program, arguments) = command.split_first().context("no command")?;
        let entrance = self.entrance()?;
        let mut child = Command::new(program);
        child.args(arguments);
        // SAFETY: one write, which is async-signal-safe.
        unsafe { child.pre_exec(move || enter(entrance.as_raw_fd())) };
        child.spawn().with_context(|| format!("cannot run {}", Path::new(program).display()))
    }

    fn pids(&self) -> Vec<u32> {
        pids_below(&self.path).unwrap_or_default()
    }

    /// What the kernel has accounted for it.
    pub fn figures(&self) -> Figures {
        let read = |file: &str| fs::read_to_string(self.path.join(file)).ok();
        let field = |file: &str, name: &str| {
            let text = read(file)?;
            let value = |l: &str| l.strip_prefix(name)?.strip_prefix(' ')?.trim().parse::<u64>().ok();
            text.lines().find_map(value)
        };
        let number = |file: &str| read(file)?.trim().parse::<u64>().ok();
        // The three files have one format.
        let stalled = |file: &str| {
            let pressure = CpuPressure::from_buf_read(read(file)?.as_bytes()).ok()?;
            Some(pressure.some.total as f64 / 1e6)
        };
        Figures {
            cpu_s: field("cpu.stat", "usage_usec").unwrap_or(0) as f64 / 1e6,
            stalled_cpu_s: stalled("cpu.pressure"),
            stalled_memory_s: stalled("memory.pressure"),
            stalled_io_s: stalled("io.pressure"),
            memory_peak_bytes: number("memory.peak"),
            swap_peak_bytes: number("memory.swap.peak"),
            oom_kills: field("memory.events", "oom_kill"),
            left_running: self.pids().iter().filter(|p| Some(**p as libc::pid_t) != self.anchor).count(),
        }
    }
}

/// The calling process enters the cgroup whose cgroup.procs is `fd`.
fn enter(fd: i32) -> io::Result<()> {
    // SAFETY: one byte that is there.
    match unsafe { libc::write(fd, b"0".as_ptr().cast(), 1) } {
        1 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn below(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()).collect()
}

/// Removes a cgroup and those below it, which a command may have made.
fn remove(dir: &Path) -> io::Result<()> {
    for d in below(dir) {
        remove(&d)?;
    }
    fs::remove_dir(dir)
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::write(self.path.join("cgroup.kill"), "1");
        if let Some(pid) = self.anchor.take() {
            // SAFETY: a child of ours that nobody has waited for.
            unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
        }
        let deadline = Instant::now() + PATIENCE;
        while let Err(e) = remove(&self.path) {
            if e.kind() == io::ErrorKind::NotFound {
                break;
            }
            if Instant::now() > deadline {
                eprintln!("scx_agent ci: cannot remove {}: {e}", self.path.display());
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        // Not while another command has its cgroup in it.
        let _ = fs::remove_dir(Path::new(CGROUP_ROOT).join(FOLDER));
    }
}
