// SPDX-License-Identifier: GPL-2.0-only
//! One boot: what to put into the guest, and what came out.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure, Context, Result};

use crate::choice::KernelChoice;
use crate::initramfs::Tree;
use crate::modules::modules;
use crate::outcome::{doing, panic_of, ran_old_code, unpack, Outcome, Report, RunError};
use crate::prepare::{prepare, Prepared};
use crate::qemu::{self, End, Files};
use crate::rootfs;

/// How the guest's processors are emulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// CPUs run in parallel on the host's clock: quick, for tests.
    #[default]
    Functional,
    /// CPUs take turns, time is the number of instructions: every run with the same inputs gives the
    /// same bytes, however loaded the host is. All CPUs are equally fast (125 million instructions
    /// per guest second each, with 8 of them).
    Lockstep,
}

/// One boot of a guest.
#[derive(Debug, Clone)]
pub struct Guest {
    /// How processors are emulated.
    pub mode: Mode,
    /// Number of CPUs; `smp` overrides it.
    pub cpus: u32,
    /// Memory, as QEMU's -m takes it: `2G`, `512M`.
    pub mem: String,
    /// Last-level caches, each of which as many of the CPUs share; `smp` overrides it.
    pub llcs: u32,
    /// Processor topology, as QEMU's -smp takes it: `16,sockets=2,cores=4,threads=2`.
    pub smp: Option<String>,
    /// The kernel to boot.
    pub kernel: KernelChoice,
    /// Files and folders of the host, and their absolute paths in the guest.
    pub files: Vec<(PathBuf, PathBuf)>,
    /// A small Debian system under systemd, in which the workload is a service, instead of busybox.
    pub systemd: bool,
    /// Programs for the guest's /bin, with another name if one is given; the libraries that ldd
    /// names come with them, unless the guest has its own ([`Guest::systemd`]).
    pub programs: Vec<(PathBuf, Option<String>)>,
    /// The scheduler's command line; none leaves the kernel's own.
    pub scheduler: Option<String>,
    /// How long sched_ext may take to be enabled, in guest seconds.
    pub scheduler_wait_s: u32,
    /// The workload's command line, for `sh -c`. Files it leaves in /out are handed out.
    pub command: String,
    /// Kernel modules to load before the scheduler starts (`zram`); what they depend on comes too.
    pub modules: Vec<String>,
    /// More kernel parameters.
    pub cmdline: String,
    /// More arguments for QEMU (`-numa …`).
    pub qemu_args: Vec<String>,
    /// Limit for the whole boot, in host seconds.
    pub timeout_s: u64,
}

impl Default for Guest {
    /// Functional, 4 CPUs, 2 GiB, Debian sid's kernel, no scheduler, `true` as workload; the
    /// scheduler may take 240 guest seconds, everything half an hour.
    fn default() -> Self {
        Self {
            mode: Mode::Functional,
            cpus: 4,
            mem: "2G".into(),
            llcs: 1,
            smp: None,
            kernel: KernelChoice::default(),
            files: Vec::new(),
            systemd: false,
            programs: Vec::new(),
            scheduler: None,
            scheduler_wait_s: 240,
            command: "true".into(),
            modules: Vec::new(),
            cmdline: String::new(),
            qemu_args: Vec::new(),
            timeout_s: 1800,
        }
    }
}

/// How often a guest is booted at most that the emulator fails.
const BOOTS: u32 = 2;

/// Host seconds that a guest's boot may take of its time without what it says of itself being lost.
const HUNG_MARGIN_S: u64 = 30;

impl Guest {
    /// Prepares the kernel if need be (telling stderr), boots it, runs the workload, and puts the
    /// files of the guest's /out into `out_dir`. `sink` gets every console line as it comes.
    ///
    /// # Errors
    /// [`RunError`] if the guest did not get to the workload's end; another error if it could not
    /// be started, or if its results could not be read or written.
    pub fn run(&self, out_dir: &Path, sink: impl FnMut(&str)) -> Result<Outcome> {
        let prepared = prepare(&self.kernel, |step| eprintln!("agentvm: {step}"))?;
        self.run_prepared(&prepared, out_dir, sink)
    }

    /// As [`Guest::run`], with a kernel that is ready; [`Guest::kernel`] only says where its modules
    /// are found.
    ///
    /// # Errors
    /// As [`Guest::run`].
    pub fn run_prepared(
        &self,
        prepared: &Prepared,
        out_dir: &Path,
        mut sink: impl FnMut(&str),
    ) -> Result<Outcome> {
        self.check(prepared)?;
        let dir = tempfile::Builder::new()
            .prefix("agentvm-")
            .tempdir()
            .context("cannot create a folder for the guest's files")?;
        let files = Files::new(dir.path());
        self.initramfs(prepared, &files.initramfs())?;
        let mut console = String::new();
        let mut boots = 0;
        let end = loop {
            console.clear();
            let end = qemu::run(self, prepared, &files, |line| {
                console.push_str(line);
                console.push('\n');
                sink(line);
            })?;
            boots += 1;
            // Now and then emulated hardware does not come up, before anything of ours has begun.
            let lost = matches!(end, End::Silent | End::Exited(_)) && !files.init_has_begun();
            let why = match end {
                _ if lost => "the guest did not get to its init",
                End::Exited(_) if self.mode == Mode::Functional && ran_old_code(&console) => {
                    "the emulator ran a breakpoint that the kernel had taken back"
                }
                _ => break end,
            };
            if boots == BOOTS {
                break end;
            }
            sink(&format!("agentvm: {why}: booting once more"));
        };
        let read = |path: PathBuf| fs::read(path).map(|b| String::from_utf8_lossy(&b).into_owned());
        let report = Report::parse(&read(files.report()).unwrap_or_default());
        let phase = report.phase().to_owned();
        match end {
            _ if report.complete() => {}
            End::Interrupted => bail!(RunError::Interrupted),
            End::Silent => {
                let after_s = qemu::BOOT_LIMIT.as_secs();
                bail!(RunError::Timeout { phase, after_s, doing: String::new() })
            }
            End::TimedOut => {
                bail!(RunError::Timeout { phase, after_s: self.timeout_s, doing: doing(&console) })
            }
            End::Exited(status) => match panic_of(&console) {
                Some(lines) => bail!(RunError::Panic { phase, lines }),
                None => bail!(RunError::EndedEarly { phase, qemu: qemu::describe(status, &files) }),
            },
        }
        let log = read(files.log()).unwrap_or_default();
        if let Some(failure) = report.scheduler_failure(&log) {
            bail!(failure);
        }
        let outcome = report.outcome(self.scheduler.is_some(), log, console, out_dir)?;
        let sha256 = report.get("out_sha256").unwrap_or_default();
        unpack(&files.out(), sha256, out_dir)?;
        Ok(outcome)
    }

    /// The number of CPUs that -smp gives.
    fn cpu_count(&self) -> Result<u32> {
        let Some(smp) = &self.smp else {
            return Ok(self.cpus);
        };
        let first = smp.split(',').find_map(|part| match part.split_once('=') {
            None => Some(part),
            Some(("cpus", n)) => Some(n),
            Some(_) => None,
        });
        first
            .and_then(|n| n.parse().ok())
            .with_context(|| format!("topology {smp:?} must begin with the number of CPUs"))
    }

    /// Refuses what cannot work before anything is started.
    fn check(&self, prepared: &Prepared) -> Result<()> {
        if let KernelChoice::Folder(dir) = &self.kernel {
            let dir = dir.display();
            ensure!(self.mode == Mode::Functional, "{dir} has no image for the lock-step mode");
            ensure!(self.modules.is_empty(), "{dir} has no modules: what is needed must be built in");
        }
        let cpus = self.cpu_count()?;
        ensure!((1..=255).contains(&cpus), "{cpus} CPUs: a guest has 1 to 255");
        let llcs = self.llcs;
        ensure!(
            llcs > 0 && cpus % llcs == 0,
            "{llcs} last-level caches cannot have as many of {cpus} CPUs each"
        );
        ensure!(!self.command.trim().is_empty(), "no command for the guest");
        let config = fs::read_to_string(&prepared.config)
            .with_context(|| format!("cannot read {}", prepared.config.display()))?;
        let has = |option: &str| config.lines().any(|l| l == format!("CONFIG_{option}=y"));
        let mut needed = vec!["VIRTIO_PCI", "VIRTIO_CONSOLE", "DEVTMPFS"];
        if self.scheduler.is_some() {
            needed.push("SCHED_CLASS_EXT");
        }
        for option in needed {
            ensure!(has(option), "kernel {} has no CONFIG_{option}: choose another", prepared.release);
        }
        Ok(())
    }

    /// When a guest that is still running the workload says what it does, in guest seconds from the
    /// workload's start: before its time is over. Not in lock-step, where seconds are the guest's own
    /// and nothing is added to the load.
    fn tells_what_it_does_after_s(&self) -> Option<u64> {
        (self.mode == Mode::Functional).then(|| (self.timeout_s * 9 / 10).saturating_sub(HUNG_MARGIN_S))
    }

    /// Writes the guest's root. Equal inputs give equal bytes.
    fn initramfs(&self, prepared: &Prepared, path: &Path) -> Result<()> {
        let mut tree = if self.systemd { systemd_tree(prepared)? } else { busybox_tree(prepared)? };
        let config = format!("/boot/config-{}", prepared.release);
        tree.file(&prepared.config, Path::new(&config))?;
        let modules = modules(&self.kernel, prepared, &self.modules, |step| eprintln!("agentvm: {step}"))?;
        let names: Vec<_> = modules.iter().map(|m| m.name.clone()).collect();
        for module in modules {
            tree.text(&format!("/lib/modules/{}.ko", module.name), 0o644, module.elf);
        }
        let settings = format!(
            "cpus={}\nlockstep={}\nscheduler_wait={}\nmodules='{}'\n",
            self.cpu_count()?,
            u8::from(self.mode == Mode::Lockstep),
            self.scheduler_wait_s,
            names.join(" ")
        );
        tree.text("/etc/agentvm/settings", 0o644, settings);
        let mut command = self.command.clone();
        if let Some(after_s) = self.tells_what_it_does_after_s() {
            tree.text("/usr/lib/agentvm/hung", 0o755, include_str!("guest_hung.sh"));
            // Debian's own sh cannot wait for so long without a process of its own.
            let sh = if self.systemd { "/usr/lib/agentvm/busybox sh" } else { "sh" };
            // In brackets: none of the workload's jobs, for which it may wait.
            command = format!("({sh} /usr/lib/agentvm/hung {after_s} </dev/null &)\n{command}");
        }
        tree.text("/etc/agentvm/command", 0o644, command);
        if let Some(scheduler) = &self.scheduler {
            tree.text("/etc/agentvm/scheduler", 0o644, scheduler.as_str());
        }
        for (program, name) in &self.programs {
            tree.program(program, name.as_deref(), !self.systemd)?;
        }
        for (source, guest) in &self.files {
            tree.file(source, guest)?;
        }
        tree.write(path)
    }
}

/// The root of a guest in which our init is the first process.
fn busybox_tree(prepared: &Prepared) -> Result<Tree> {
    let mut tree = Tree::new();
    tree.text("/init", 0o755, include_str!("guest_init.sh"));
    tree.file(&prepared.busybox, Path::new("/bin/busybox"))?;
    tree.symlink("/bin/sh", "busybox");
    tree.text("/etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\n");
    tree.text("/etc/group", 0o644, "root:x:0:\n");
    tree.text("/etc/hosts", 0o644, "127.0.0.1 localhost agentvm\n::1 localhost\n");
    Ok(tree)
}

/// The root of a guest in which systemd is the first process, and our init one of its services.
fn systemd_tree(prepared: &Prepared) -> Result<Tree> {
    const UNITS: &str = "/etc/systemd/system";
    let mut tree = Tree::empty();
    tree.file(&rootfs::bring(prepared, |step| eprintln!("agentvm: {step}"))?, Path::new("/"))?;
    tree.symlink("/init", "/usr/lib/systemd/systemd");
    tree.text("/usr/lib/agentvm/init", 0o755, include_str!("guest_init.sh"));
    tree.file(&prepared.busybox, Path::new("/usr/lib/agentvm/busybox"))?;
    tree.dir("/out");
    tree.text("/etc/hostname", 0o644, "agentvm\n");
    tree.text("/etc/machine-id", 0o444, format!("{:032x}\n", 1)); // not a first boot
    tree.text(&format!("{UNITS}/agentvm.service"), 0o644, include_str!("guest_init.service"));
    tree.symlink(&format!("{UNITS}/multi-user.target.wants/agentvm.service"), "../agentvm.service");
    // The console is the workload's, there is no kmod, and no timer is to add to the load.
    for unit in ["getty.target", "systemd-modules-load.service", "timers.target"] {
        tree.symlink(&format!("{UNITS}/{unit}"), "/dev/null");
    }
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_of_a_topology() {
        let with = |smp: &str| Guest { smp: Some(smp.into()), ..Guest::default() }.cpu_count().ok();
        assert_eq!(Guest::default().cpu_count().unwrap(), 4);
        assert_eq!(with("16,sockets=2,cores=4,threads=2"), Some(16));
        assert_eq!(with("sockets=2,cpus=8"), Some(8));
        assert_eq!(with("sockets=2"), None);
    }
}
