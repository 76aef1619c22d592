// SPDX-License-Identifier: GPL-2.0-only
//! One QEMU process: its arguments, and its life from spawn to exit, limit or interruption.
//!
//! All output of the guest goes to files, which never make QEMU wait; the console is read from its
//! file as it grows. A pipe that fills up would make the guest's time depend on its reader.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::child::dies_with_us;
use crate::guest::{Guest, Mode};
use crate::prepare::Prepared;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// How often the console's file is looked at.
const POLL: Duration = Duration::from_millis(20);

/// Makes every running and every later [`Guest::run`](crate::Guest::run) of this process kill its
/// QEMU and return [`RunError::Interrupted`](crate::RunError::Interrupted). Safe in a signal handler.
pub fn interrupt() {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Files of one run, in a folder of their own.
pub(crate) struct Files {
    dir: PathBuf,
}

impl Files {
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_path_buf() }
    }
    pub fn initramfs(&self) -> PathBuf {
        self.dir.join("initramfs")
    }
    pub fn console(&self) -> PathBuf {
        self.dir.join("console")
    }
    pub fn report(&self) -> PathBuf {
        self.dir.join("report")
    }
    pub fn out(&self) -> PathBuf {
        self.dir.join("out.tar")
    }
    pub fn log(&self) -> PathBuf {
        self.dir.join("scheduler.log")
    }
    /// True if the guest's init has said what it does.
    pub fn init_has_begun(&self) -> bool {
        std::fs::metadata(self.report()).is_ok_and(|m| m.len() > 0)
    }

    pub fn stderr(&self) -> PathBuf {
        self.dir.join("qemu.log")
    }
}

/// How a QEMU process ended.
pub(crate) enum End {
    Exited(ExitStatus),
    TimedOut,
    Interrupted,
    /// Its init has not begun within [`BOOT_LIMIT`].
    Silent,
}

/// How long a guest may take to begin its init: some seconds as a rule, two minutes on a very busy host.
pub(crate) const BOOT_LIMIT: Duration = Duration::from_secs(300);

/// Runs one guest to its end; `line` gets every console line as it comes.
pub(crate) fn run(
    guest: &Guest,
    prepared: &Prepared,
    files: &Files,
    mut line: impl FnMut(&str),
) -> Result<End> {
    let mut console = Console::create(&files.console())?;
    let mut qemu = Qemu::spawn(command(guest, prepared, files)?)?;
    let limit = Duration::from_secs(guest.timeout_s);
    let start = Instant::now();
    let mut begun = false;
    loop {
        // Asked before the console is read, so that nothing written before the exit is missed.
        let exited = qemu.child.try_wait().context("cannot wait for QEMU")?;
        console.poll(&mut line)?;
        let end = if let Some(status) = exited {
            End::Exited(status)
        } else if INTERRUPTED.load(Ordering::Relaxed) {
            End::Interrupted
        } else if start.elapsed() >= limit {
            End::TimedOut
        } else if !begun && start.elapsed() >= BOOT_LIMIT && !files.init_has_begun() {
            End::Silent
        } else {
            begun |= start.elapsed() >= BOOT_LIMIT;
            std::thread::sleep(POLL);
            continue;
        };
        qemu.kill();
        console.poll(&mut line)?;
        console.finish(&mut line);
        return Ok(end);
    }
}

/// CPUs that QEMU has in lock-step mode at least; the kernel is told to use no more than asked for.
///
/// QEMU's CPUs take turns, and each time one arms the timer that is next to expire, QEMU begins a
/// new round in which every CPU gets one N-th of what is left until then: the later ones less and
/// less. With 8 CPUs the fastest had 2.5 times the share of the slowest. CPUs that are never
/// brought up use nothing but make N large: with 32 all but the first differ by a few percent.
/// More are more even, and slower to simulate.
const LOCKSTEP_PROCESSORS: u32 = 32;

/// QEMU's -smp for a guest.
fn processors(guest: &Guest) -> String {
    if let Some(smp) = &guest.smp {
        return smp.clone();
    }
    let all = match guest.mode {
        Mode::Lockstep => guest.cpus.saturating_mul(4).clamp(LOCKSTEP_PROCESSORS, 255),
        Mode::Functional => guest.cpus,
    };
    match guest.cpus / guest.llcs {
        _ if guest.llcs == 1 => all.to_string(),
        // A socket has one such cache.
        cores => format!("{},sockets={},cores={cores}", all - all % cores, all / cores),
    }
}

/// QEMU's whole command line for a guest.
fn command(guest: &Guest, prepared: &Prepared, files: &Files) -> Result<Command> {
    let mut command = Command::new(&prepared.qemu[0]);
    command.args(&prepared.qemu[1..]);
    command.args(["-no-user-config", "-nodefaults", "-display", "none", "-no-reboot", "-m", &guest.mem]);
    command.args(["-smp", &processors(guest)]);
    // With a topology: let the guest see it (the emulated vendor is AMD).
    let topology = if guest.smp.is_some() || guest.llcs > 1 { ",+topoext" } else { "" };
    // The crypto self-tests keep two kernel threads busy for seconds after the boot: in lock-step
    // mode two whole CPUs are not there for the workload.
    let mut cmdline = String::from("quiet console=ttyS0 panic=-1 mitigations=off cryptomgr.notests=1");
    match guest.mode {
        Mode::Functional => {
            command.args(["-accel", "tcg,thread=multi", "-cpu", &format!("max{topology}")]);
            // A tenth faster: a fifth level of page tables makes each of QEMU's walks longer.
            cmdline += " no5lvl";
            command.arg("-kernel").arg(&prepared.vmlinuz);
        }
        Mode::Lockstep => {
            // One thread, time from the instruction count, no entropy and no clock of the host.
            command.args(["-accel", "tcg,thread=single,tb-size=512", "-icount", "shift=0,sleep=off"]);
            command.args(["-cpu", &format!("max,-rdrand,-rdseed{topology}"), "-seed", "1"]);
            command.args(["-rtc", "base=2026-01-01T00:00:00,clock=vm"]);
            command.arg("-kernel").arg(&prepared.vmlinux_lockstep);
            cmdline += " nokaslr norandmaps random.trust_cpu=off random.trust_bootloader=off \
                        tsc=reliable idle=poll maxcpus=1";
            if guest.smp.is_none() {
                cmdline += &format!(" nr_cpus={}", guest.cpus); // see LOCKSTEP_PROCESSORS
            }
            if let Some(lpj) = loops_per_jiffy(&prepared.config) {
                cmdline += &format!(" lpj={lpj}"); // else every CPU spends 0.15 s on calibration
            }
        }
    }
    if guest.systemd {
        cmdline += " TERM=dumb systemd.show_status=no"; // the console is the workload's
    }
    if !guest.cmdline.is_empty() {
        cmdline = format!("{cmdline} {}", guest.cmdline);
    }
    command.arg("-append").arg(cmdline).arg("-initrd").arg(files.initramfs());
    command.arg("-chardev").arg(chardev("console", &files.console()));
    command.args(["-serial", "chardev:console"]);
    // ioeventfd=off: the device works within the guest's instruction, not when the host gets to it.
    command.args(["-device", "virtio-serial-pci,ioeventfd=off,max_ports=8"]);
    for (number, name, file) in
        [(1, "report", files.report()), (2, "out", files.out()), (3, "log", files.log())]
    {
        command.arg("-chardev").arg(chardev(name, &file));
        command.arg("-device").arg(format!("virtserialport,chardev={name},nr={number},name={name}"));
    }
    command.args(&guest.qemu_args);
    let stderr = File::create(files.stderr()).context("cannot write QEMU's log")?;
    command.stdin(Stdio::null()).stdout(stderr.try_clone()?).stderr(stderr);
    Ok(command)
}

/// The delay loop's calibration in lock-step mode, whose TSC runs at exactly 1 GHz.
fn loops_per_jiffy(config: &Path) -> Option<u32> {
    let config = fs::read_to_string(config).ok()?;
    let hz: u32 = config.lines().find_map(|l| l.strip_prefix("CONFIG_HZ="))?.parse().ok()?;
    1_000_000_000_u32.checked_div(hz)
}

/// A character device that writes to a file; QEMU wants commas doubled.
fn chardev(id: &str, file: &Path) -> String {
    format!("file,id={id},path={}", file.to_string_lossy().replace(',', ",,"))
}

/// A QEMU process in a process group of its own; killed when dropped, or when we die.
struct Qemu {
    child: Child,
}

impl Qemu {
    fn spawn(mut command: Command) -> Result<Self> {
        command.process_group(0);
        dies_with_us(&mut command, libc::SIGKILL);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
        Ok(Self { child })
    }

    fn kill(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // SAFETY: the group is that of our child, which has not been waited for.
            unsafe { libc::kill(-(self.child.id() as libc::pid_t), libc::SIGKILL) };
        }
        let _ = self.child.wait();
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What QEMU's exit status and messages say, in one line.
pub(crate) fn describe(status: ExitStatus, files: &Files) -> String {
    let text = fs::read_to_string(files.stderr()).unwrap_or_default();
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (_, Some(signal)) => format!("signal {signal}"),
        _ => "unknown".into(),
    };
    if text.trim().is_empty() {
        how
    } else {
        format!("{how}: {}", text.trim())
    }
}

/// A file that grows, read line by line.
struct Console {
    file: File,
    rest: Vec<u8>,
}

impl Console {
    fn create(path: &Path) -> Result<Self> {
        File::create(path).with_context(|| format!("{}", path.display()))?;
        let file = File::open(path).with_context(|| format!("{}", path.display()))?;
        Ok(Self { file, rest: Vec::new() })
    }

    fn poll(&mut self, line: &mut impl FnMut(&str)) -> Result<()> {
        let from = self.rest.len();
        self.file.read_to_end(&mut self.rest).context("cannot read the console")?;
        let Some(last) = self.rest[from..].iter().rposition(|b| *b == b'\n') else {
            return Ok(());
        };
        let rest = self.rest.split_off(from + last + 1);
        let whole = std::mem::replace(&mut self.rest, rest);
        for bytes in whole[..whole.len() - 1].split(|b| *b == b'\n') {
            line(&text(bytes));
        }
        Ok(())
    }

    fn finish(&mut self, line: &mut impl FnMut(&str)) {
        if !self.rest.is_empty() {
            line(&text(&self.rest));
        }
    }
}

/// A console line without the carriage returns that end it.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\r').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn console_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("console");
        let mut console = Console::create(&path).unwrap();
        let mut file = File::options().append(true).open(&path).unwrap();
        let mut lines = Vec::new();
        for part in ["a\r\r\nb", "c\n", "", "\nd"] {
            file.write_all(part.as_bytes()).unwrap();
            console.poll(&mut |l| lines.push(l.to_owned())).unwrap();
        }
        console.finish(&mut |l| lines.push(l.to_owned()));
        assert_eq!(lines, ["a", "bc", "", "d"]);
    }

    #[test]
    fn commas_in_paths() {
        assert_eq!(chardev("x", Path::new("/a,b")), "file,id=x,path=/a,,b");
    }
}
