// SPDX-License-Identifier: GPL-2.0-only
//! The program as a service: its settings and their reload, the signals, and what the service
//! manager is told.

use crate::calls::limit;
use crate::config::{self, Config};
use crate::lines::Lines;
use crate::memory::{self, Memory};
use crate::qos::Settings;
use crate::scheduler::{NoneLoads, Scheduler};
use crate::{cli, logging, preflight, privileges, sockets, stats};
use anyhow::{bail, Context, Result};
use log::warn;
use sd_notify::NotifyState;
use serde::{Deserialize, Serialize};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::ffi::OsString;
use std::io::IsTerminal;
use std::mem::MaybeUninit;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What came of the reloads so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Reloads {
    /// How many there were, refused ones included.
    pub count: u64,
    /// True if the last one was refused: the settings of before are in force.
    pub refused: bool,
    /// What the last one did, or why it did not; one line for each thing.
    pub message: String,
}

/// What the main loop has beside the scheduler.
#[derive(Debug)]
pub struct Daemon {
    argv: Vec<OsString>,
    config: Config,
    stop: Arc<AtomicBool>,
    hangup: Arc<AtomicBool>,
    memory: Option<memory::Link>,
    started: Instant,
    reloads: Reloads,
    /// Why nothing is scheduled although it was to be.
    unscheduled: Option<String>,
    /// Classes and weights of agents.
    pub settings: Settings,
    /// How often the service manager wants to hear from the main loop, and when it last did.
    watchdog: Option<(Duration, Instant)>,
}

/// A flag that is raised by the signals that end the program: of those, SIGHUP only where the
/// terminal is what it is started from.
///
/// # Errors
/// The system does not let us.
pub fn stop_on_signals() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut signals = vec![SIGINT, SIGTERM];
    signals.extend(std::io::stdin().is_terminal().then_some(SIGHUP));
    for signal in signals {
        signal_hook::flag::register(signal, stop.clone()).context("cannot handle signals")?;
    }
    Ok(stop)
}

/// Schedules until it is told to stop, as the command line `argv` and the files say.
///
/// # Errors
/// Something that it needs is missing, or the kernel ended the scheduler: one sentence.
pub fn run(argv: Vec<OsString>) -> Result<()> {
    let config = config::load(&argv)?;
    logging::set(config.opts.verbose);
    let stop = stop_on_signals()?;
    let hangup = Arc::new(AtomicBool::new(false));
    if !std::io::stdin().is_terminal() {
        signal_hook::flag::register(SIGHUP, hangup.clone()).context("cannot handle signals")?;
    }
    let printed = config.opts.stats.map(|secs| cli::interval(secs, "--stats")).transpose()?;
    let host = preflight::Host::this();
    let unscheduled = if config.opts.no_sched { None } else { host.only_memory() };
    host.check(config.opts.no_sched || unscheduled.is_some())?;
    privileges::bound()?;
    // Dropped last: knobs are put back whichever way this function ends.
    let memory = Memory::start(&config.opts.memory, config.opts.verbose)?;
    if let Some(interval) = printed {
        let stop = stop.clone();
        std::thread::spawn(move || {
            if let Err(e) = stats::monitor(interval, stop) {
                warn!("no more statistics: {e:#}");
            }
        });
    }
    let settings = Settings::new(config.opts.qos.clone(), libbpf_rs::num_possible_cpus()?);
    // Once: when the CPUs change it goes on.
    let events = config.opts.events.as_deref().map(|path| Lines::create("event log", path)).transpose()?;
    let mut daemon = Daemon {
        argv,
        config,
        stop,
        hangup,
        memory: memory.as_ref().map(Memory::link),
        started: Instant::now(),
        reloads: Reloads::default(),
        unscheduled: None,
        settings,
        watchdog: sd_notify::watchdog_enabled().map(|period| (period / 2, Instant::now())),
    };
    if let Some(why) = unscheduled {
        daemon.only_watches(why)?;
    }
    if daemon.config.opts.no_sched {
        daemon.lacks_budgets();
    }
    loop {
        let mut object = MaybeUninit::uninit();
        let log = events.as_ref().map(Lines::another).transpose()?;
        let link = daemon.memory.clone();
        let started = Scheduler::start(&daemon.config.opts, daemon.schedules(), log, link, &mut object);
        let mut scheduler = match started {
            Err(e) if e.is::<NoneLoads>() => {
                daemon.only_watches(e.to_string())?;
                continue;
            }
            started => started?,
        };
        let status = if daemon.schedules() { "scheduling" } else { "watching" };
        tell(&[NotifyState::Ready, NotifyState::Status(status)]);
        let ended = scheduler.run(&mut daemon);
        if matches!(ended, Ok(true)) && !daemon.stopping() {
            warn!("the CPUs of this machine changed: restarting");
            continue;
        }
        tell(&[NotifyState::Stopping]);
        drop(scheduler);
        drop(memory);
        sockets::remove_dead();
        return ended.map(|_| ());
    }
}

/// Tells the service manager, if there is one.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(e) = sd_notify::notify(states) {
        warn!("cannot tell the service manager: {e}");
    }
}

impl Daemon {
    /// True once the program is to end.
    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// When it began.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// False if it watches only: it was told to, or has to.
    pub fn schedules(&self) -> bool {
        !self.config.opts.no_sched && self.unscheduled.is_none()
    }

    /// Why nothing is scheduled although it was to be.
    pub fn unscheduled(&self) -> Option<&str> {
        self.unscheduled.as_deref()
    }

    /// Goes on without a scheduler, and says so.
    fn only_watches(&mut self, why: String) -> Result<()> {
        if self.memory.is_none() {
            bail!("{why}; and memory is not to be managed (no_memory), which is all that could be done");
        }
        warn!("nothing is scheduled, and agents' memory is managed alone, as with --no-sched: {why}");
        self.unscheduled = Some(why);
        self.lacks_budgets();
        Ok(())
    }

    /// Says what of the settings cannot be without a scheduler.
    fn lacks_budgets(&self) {
        if self.config.opts.qos.has_budgets() {
            warn!(
                "budgets of CPU time are not watched: without a scheduler (no_sched) there is no background"
            );
        }
    }

    /// The files whose settings are in force.
    pub fn files(&self) -> &[PathBuf] {
        &self.config.files
    }

    /// How long calls may run.
    pub fn limits(&self) -> &limit::Options {
        &self.config.opts.limit
    }

    /// What came of the reloads so far.
    pub fn reloads(&self) -> &Reloads {
        &self.reloads
    }

    /// The memory controller, if there is one.
    pub fn memory(&self) -> Option<&memory::Link> {
        self.memory.as_ref()
    }

    /// What the main loop does besides, each time round: it is alive, and it may have to reload.
    pub fn round(&mut self) {
        if let Some((every, last)) = &mut self.watchdog {
            if last.elapsed() >= *every {
                *last = Instant::now();
                tell(&[NotifyState::Watchdog]);
            }
        }
        if self.hangup.swap(false, Ordering::Relaxed) {
            self.reload();
        }
    }

    /// Reads the files again, and notes what came of it.
    pub fn reload(&mut self) {
        let since = NotifyState::monotonic_usec_now().ok();
        tell(&std::iter::once(NotifyState::Reloading).chain(since).collect::<Vec<_>>());
        let done = self.try_reload();
        self.reloads.count += 1;
        self.reloads.refused = done.is_err();
        self.reloads.message = match done {
            Ok(said) => {
                warn!("reload: {}", said.replace('\n', "; "));
                said
            }
            Err(e) => {
                let said = format!("{e:#}\nthe settings of before stay in force");
                said.lines().for_each(|l| warn!("reload: {l}"));
                said
            }
        };
        tell(&[NotifyState::Ready]);
    }

    /// Takes over what can be while scheduling; says what that is, and what needs a restart.
    fn try_reload(&mut self) -> Result<String> {
        let new = config::load(&self.argv)?;
        let (live, restart) = new.changes(&self.config);
        let tunables = new.opts.memory.tunables()?;
        if let Some(memory) = &self.memory {
            // One that has ended has put its knobs back.
            let _ = memory.messages.send(memory::Message::Tunables(tunables));
        }
        logging::set(new.opts.verbose);
        self.settings.take_over(&new.opts.qos);
        let mut said = match (live.is_empty(), restart.is_empty()) {
            (true, true) => "nothing has changed".into(),
            (true, false) => "nothing has changed that applies at once".into(),
            (false, _) => format!("applied: {}", live.join(", ")),
        };
        if !restart.is_empty() {
            said += &format!("\nafter a restart only: {}", restart.join(", "));
        }
        self.config.take_over(new, &live);
        Ok(said)
    }
}
