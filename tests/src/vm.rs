// SPDX-License-Identifier: GPL-2.0-only
//! Guests for the tests: a stock kernel, our programs, and a script of `guest/`.

use crate::events::Log;
use agentvm::{Guest, KernelChoice, Mode, Outcome, Prepared};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use std::time::Instant;
use tempfile::TempDir;

/// Lines of a log that are shown with a failure: its last.
const LOG_LINES: usize = 150;

/// Folder of the programs under test: `SCX_AGENT_BIN_DIR`, or that which this test was built into.
///
/// # Panics
/// If there are none, saying how to build them.
pub fn bin_dir() -> PathBuf {
    let dir = match std::env::var_os("SCX_AGENT_BIN_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => {
            let own = std::env::current_exe().expect("the path of this test");
            let has = |d: &&Path| d.join("scx_agent").is_file();
            match own.ancestors().skip(1).take(3).find(has) {
                Some(dir) => dir.to_path_buf(),
                None => panic!(
                    "no scx_agent beside {}: build all programs first (cargo build --release --workspace) and test \
                     with --release, or name their folder in SCX_AGENT_BIN_DIR",
                    own.display()
                ),
            }
        }
    };
    for program in ["scx_agent", "agentload", "agentbench"] {
        assert!(
            dir.join(program).is_file(),
            "no {program} in {}: build it (cargo build --release --workspace)",
            dir.display()
        );
    }
    dir
}

/// The kernel to test on, ready to boot: `SCX_AGENT_TEST_KERNEL` as `agentvm --kernel` takes it,
/// else Debian sid's.
///
/// # Panics
/// If it cannot be prepared: no VM, no test.
pub fn prepared() -> &'static Prepared {
    static READY: OnceLock<Prepared> = OnceLock::new();
    READY.get_or_init(|| {
        let kernel = match std::env::var("SCX_AGENT_TEST_KERNEL") {
            Ok(name) => name.parse().unwrap_or_else(|e| panic!("SCX_AGENT_TEST_KERNEL: {e}")),
            Err(_) => KernelChoice::default(),
        };
        prepare(&kernel)
    })
}

fn prepare(kernel: &KernelChoice) -> Prepared {
    agentvm::prepare(kernel, |step| eprintln!("agentvm: {step}")).unwrap_or_else(|e| {
        panic!(
            "the VM cannot be prepared, so nothing that needs a kernel was tested: {e:#}\n\
             It is downloaded once from this machine's Debian mirror; try `agentvm prepare`."
        )
    })
}

/// One boot to be.
pub struct Boot {
    name: String,
    guest: Guest,
    kernel: Option<KernelChoice>,
}

/// What a boot left.
pub struct Left {
    pub outcome: Outcome,
    dir: TempDir,
}

impl Boot {
    /// A functional guest with 4 CPUs that runs `guest/<script>.sh` and has our programs in /bin.
    pub fn script(script: &str) -> Boot {
        let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("guest");
        let mut boot = Boot::command(script, &format!("sh /tests/{script}.sh"));
        boot.guest.files.push((guest, "/tests".into()));
        boot
    }

    /// A functional guest with 4 CPUs that runs `command` and has our programs in /bin.
    pub fn command(name: &str, command: &str) -> Boot {
        let bin = bin_dir();
        let programs = ["scx_agent", "agentload"].map(|p| (bin.join(p), None));
        let guest =
            Guest { command: command.into(), programs: programs.into(), timeout_s: 900, ..Guest::default() };
        Boot { name: name.into(), guest, kernel: None }
    }

    /// Under systemd in a small Debian system, in which scx_agent is not installed.
    pub fn systemd(mut self) -> Boot {
        self.guest.systemd = true;
        self.guest.programs.retain(|(path, _)| !path.ends_with("scx_agent"));
        self
    }

    /// Bit-for-bit repeatable, on guest time.
    pub fn lockstep(mut self) -> Boot {
        self.guest.mode = Mode::Lockstep;
        self
    }

    /// With so many CPUs, and so many last-level caches that they share.
    pub fn caches(mut self, cpus: u32, llcs: u32) -> Boot {
        (self.guest.cpus, self.guest.llcs) = (cpus, llcs);
        self
    }

    /// With CPUs of this topology, as QEMU's -smp takes it: `8,sockets=1,cores=4,threads=2`.
    pub fn smp(mut self, topology: &str) -> Boot {
        self.guest.smp = Some(topology.into());
        self
    }

    /// With this scheduler from before the workload to its end.
    pub fn scheduler(mut self, line: &str) -> Boot {
        self.guest.scheduler = Some(line.into());
        self
    }

    /// With a file of the host at `to`.
    pub fn file(mut self, from: &Path, to: &str) -> Boot {
        self.guest.files.push((from.into(), to.into()));
        self
    }

    /// With a program of the host in /bin.
    pub fn program(mut self, path: &Path) -> Boot {
        self.guest.programs.push((path.into(), None));
        self
    }

    /// With a program of the host as /bin/`name`.
    pub fn program_as(mut self, path: &Path, name: &str) -> Boot {
        self.guest.programs.push((path.into(), Some(name.into())));
        self
    }

    /// On the newest cloud kernel of this Debian suite, whatever kernel is to be tested otherwise.
    pub fn suite(mut self, suite: &str) -> Boot {
        self.kernel = Some(KernelChoice::Suite(suite.into()));
        self
    }

    /// On the kernel in a folder, which somebody has built.
    pub fn folder(mut self, dir: &Path) -> Boot {
        let kernel = KernelChoice::Folder(dir.into());
        self.guest.kernel = kernel.clone();
        self.kernel = Some(kernel);
        self
    }

    /// With this much memory, as QEMU takes it.
    pub fn mem(mut self, mem: &str) -> Boot {
        self.guest.mem = mem.into();
        self
    }

    /// With this on the kernel's command line.
    pub fn cmdline(mut self, words: &str) -> Boot {
        self.guest.cmdline = words.into();
        self
    }

    /// With a kernel module, and those it depends on.
    pub fn module(mut self, name: &str) -> Boot {
        self.guest.modules.push(name.into());
        self
    }

    /// With a variable in the command's environment.
    pub fn env(mut self, name: &str, value: &str) -> Boot {
        self.guest.command = format!("{name}='{value}' {}", self.guest.command);
        self
    }

    /// Gives the guest this many host seconds.
    pub fn timeout_s(mut self, s: u64) -> Boot {
        self.guest.timeout_s = s;
        self
    }

    /// Boots; one guest at a time.
    ///
    /// # Panics
    /// If the guest does not get to the end of its script, or the script fails.
    pub fn run(self) -> Left {
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
        let other = self.kernel.as_ref().map(prepare);
        let kernel = other.as_ref().unwrap_or_else(|| prepared());
        let dir = TempDir::new().expect("a folder for the guest's files");
        let (began, name) = (Instant::now(), &self.name);
        let say = |line: &str| println!("[{name} {:4.0} s] {line}", began.elapsed().as_secs_f64());
        say("booting");
        let outcome =
            self.guest.run_prepared(kernel, dir.path(), say).unwrap_or_else(|e| panic!("{name}: {e:#}"));
        say(&format!("done, {:.1} s in the guest", outcome.guest_s));
        let left = Left { outcome, dir };
        assert_eq!(left.outcome.status, 0, "{name}: the script failed:\n{}", left.diagnosis());
        left
    }
}

impl Left {
    /// A file that the guest left in /out.
    ///
    /// # Panics
    /// If it is not there.
    pub fn text(&self, name: &str) -> String {
        let path = self.dir.path().join(name);
        match std::fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(e) => panic!("the guest left no {name} ({e}):\n{}", self.diagnosis()),
        }
    }

    /// The bytes of a file of /out.
    ///
    /// # Panics
    /// If it is not there.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.dir.path().join(name)).unwrap_or_else(|e| panic!("the guest left no {name}: {e}"))
    }

    /// The path of a file of /out.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What the script said with `fact`.
    pub fn facts(&self) -> Facts {
        let text = self.text("facts");
        let pairs = text.lines().filter_map(|l| l.split_once('='));
        Facts(pairs.map(|(k, v)| (k.to_string(), v.to_string())).collect())
    }

    /// An event log that was left in /out.
    pub fn events(&self, name: &str) -> Log {
        Log::parse(&self.text(name))
    }

    /// Asserts that the scheduler given with [`Boot::scheduler`] ran from begin to end and left
    /// nothing behind.
    ///
    /// # Panics
    /// With its log, if it did not.
    pub fn assert_scheduled(&self) {
        let s = self.outcome.scheduler.as_ref().expect("a scheduler was asked for");
        let ok = s.enabled_at_end && s.status == 0 && !s.killed && s.left_disabled;
        assert!(ok, "the scheduler did not last, or did not end well: {s:?}");
        assert!(s.ops.starts_with("agent"), "{}", s.ops);
        assert_eq!(self.outcome.nr_rejected, Some(0));
        self.assert_kernel_well();
    }

    /// Asserts that the kernel had nothing to complain about.
    ///
    /// # Panics
    /// With what it said.
    pub fn assert_kernel_well(&self) {
        let console = &self.outcome.console;
        for bad in
            ["BUG:", "WARNING:", "Oops", "hung task", "blocked for more than", "rcu_sched self-detected"]
        {
            assert!(!console.contains(bad), "the kernel said {bad:?}:\n{console}");
        }
        assert_eq!(self.outcome.tainted & (512 | 128), 0, "the kernel warned:\n{console}");
    }

    /// Asserts that `facts` have these values.
    pub fn expect(&self, facts: &Facts, expected: &[(&str, &str)]) {
        for (name, value) in expected {
            assert_eq!(facts.get(name), *value, "{name}:\n{}", self.diagnosis());
        }
    }

    /// All that may tell why a test failed.
    pub fn diagnosis(&self) -> String {
        let mut text = format!("console:\n{}", self.outcome.console);
        if let Some(s) = &self.outcome.scheduler {
            let _ = write!(text, "\nscheduler: {s:?}");
        }
        let entries = std::fs::read_dir(self.dir.path()).into_iter().flatten().flatten();
        for e in entries.filter(|e| e.file_name().to_string_lossy().ends_with(".err")) {
            let said = std::fs::read_to_string(e.path()).unwrap_or_default();
            let lines: Vec<&str> = said.lines().collect();
            let last = &lines[lines.len().saturating_sub(LOG_LINES)..];
            let _ = write!(
                text,
                "\n{}, the last {} of {} lines:\n{}",
                e.file_name().to_string_lossy(),
                last.len(),
                lines.len(),
                last.join("\n")
            );
        }
        text
    }
}

/// What a script found out, by name.
#[derive(Debug)]
pub struct Facts(BTreeMap<String, String>);

impl Facts {
    /// # Panics
    /// If the script did not say it.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).unwrap_or_else(|| panic!("the script did not say {name}: {:?}", self.0))
    }

    /// # Panics
    /// If it is not a number.
    pub fn number(&self, name: &str) -> f64 {
        let text = self.get(name);
        text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, not a number"))
    }
}
