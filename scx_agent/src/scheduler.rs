// SPDX-License-Identifier: GPL-2.0-only
//! Loads the kernel half, serves its statistics and events until it ends.

use crate::agents::{monotonic_ns, Agents, Change, Logs};
use crate::bpf_intf;
use crate::bpf_skel::*;
use crate::calls::limit::Limit;
use crate::cli::{Opts, Queues};
use crate::containers;
use crate::daemon::Daemon;
use crate::ended;
use crate::explain;
use crate::globs::{Glob, CI_GLOB, CONTAINER_GLOBS, FRAMEWORK_COMMS, FRAMEWORK_WORDS, GENERIC_COMMS};
use crate::kernel::{Kernel, Types};
use crate::lines::Lines;
use crate::memory;
use crate::metrics;
use crate::observe;
use crate::operate;
use crate::privileges::Loading;
use crate::qos::Settings;
use crate::questions::{self, Answer, Question, Waker};
use crate::shortages::Shortages;
use crate::stats::Metrics;
use crate::status::Status;
use crate::tags;
use crate::topology;
use crate::verified;
use crate::view::View;
use anyhow::{bail, Context, Result};
use libbpf_rs::skel::{OpenSkel, Skel};
use libbpf_rs::{Link, MapCore, MapFlags, OpenObject, RingBuffer, RingBufferBuilder};
use log::{info, warn};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::umask;
use scx_stats::prelude::*;
use scx_utils::{scx_ops_attach, scx_ops_load, scx_ops_open, uei_exited};
use std::cell::RefCell;
use std::fmt;
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::rc::Rc;

const CGROUP_ROOT: &str = "/sys/fs/cgroup";
/// How long the main loop sleeps when nothing happens; also how fast a signal is noticed.
const POLL: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// A loaded and enabled scheduler; dropping it gives the host back to its default scheduler. If it is not
/// to schedule, its programs watch only.
pub struct Scheduler<'a> {
    skel: BpfSkel<'a>,
    link: Option<Link>,
    events: RingBuffer<'a>,
    agents: Rc<RefCell<Agents>>,
    stats: StatsServer<Question, Answer>,
    waker: Waker,
    kernel: Kernel,
    /// None where its socket cannot be made.
    tags: Option<tags::Server>,
    /// None where nobody wants them, or the port is taken.
    metrics: Option<metrics::Server>,
    memory: Option<memory::Link>,
    /// Names agents; ends with this.
    containers: containers::Watch,
    limit: Limit,
    check_roles: bool,
    shortages: Shortages,
}

impl<'a> Scheduler<'a> {
    /// Load and, if it `schedules`, enable the scheduler, and tell the memory controller and the log of `events`
    /// what it sees.
    ///
    /// # Errors
    /// The kernel refuses it, or a file cannot be written; the host keeps its scheduler. [`NoneLoads`] if
    /// that is for all schedulers, so that watching is all that can be done.
    pub fn start(
        opts: &Opts,
        schedules: bool,
        events: Option<Lines>,
        memory: Option<memory::Link>,
        object: &'a mut MaybeUninit<OpenObject>,
    ) -> Result<Self> {
        let loading = Loading::begin()?;
        let mut builder = BpfSkelBuilder::default();
        builder.obj_builder.debug(opts.verbose > 2);
        let mut skel = match schedules {
            false => observe::open(builder, object),
            true => scx_ops_open!(builder, object, agent_ops, None),
        }
        .context("cannot open the kernel half; is /sys/kernel/btf/vmlinux that of the running kernel?")?;
        skel.struct_ops.agent_ops_mut().exit_dump_len = opts.exit_dump_len;
        set_knobs(&mut skel, opts)?;
        let types = Types::read();
        let seen = |function: &str| types.function(function);
        // Without it (no CONFIG_SECURITY) jobs of shells are told by their execs alone.
        skel.progs.on_setpgid.set_autoload(seen("security_task_setpgid"));
        let probed = memory.is_some() && seen(memory::PROBED);
        skel.progs.on_over_high.set_autoload(probed);
        // Has a try of its own, see probe().
        skel.progs.on_over_high.set_autoattach(false);
        // All or none: see bpf/inside.bpf.h.
        let inside = ["percpu_down_write", "percpu_up_write", "cgroup_can_fork", "exit_signals"];
        let inside = schedules && inside.into_iter().all(seen);
        skel.progs.on_move_begins.set_autoload(inside);
        skel.progs.on_move_ends.set_autoload(inside);
        skel.progs.on_fork_begins.set_autoload(inside);
        skel.progs.on_fork_refused.set_autoload(inside);
        skel.progs.on_exit_begins.set_autoload(inside);
        skel.progs.on_exit_begun.set_autoload(inside);
        let mut skel = match schedules {
            false => skel.load().context(
                "the kernel refuses the programs that tell agents' phases; nothing was changed (-vvv shows the \
                 verifier's log)",
            )?,
            true => scx_ops_load!(skel, agent_ops, uei).map_err(load_error)?,
        };
        verified::tell(skel.object());

        let logs = Logs {
            events,
            calls: opts
                .metrics
                .call_log
                .as_deref()
                .map(|path| Lines::rotating(path, opts.metrics.rotation()))
                .transpose()?,
        };
        let told = memory.as_ref().map(|m| m.messages.clone());
        let agents = Rc::new(RefCell::new(Agents::new(
            Path::new(CGROUP_ROOT),
            logs,
            told,
            opts.metrics.metrics_agents,
        )));
        let mut ring = RingBufferBuilder::new();
        let sink = agents.clone();
        ring.add(&skel.maps.events, move |record| {
            sink.borrow_mut().handle(record);
            0
        })?;
        let events = ring.build()?;
        let waker = Waker::new()?;
        let metrics = metrics_server(opts, agents.borrow().observed.clone(), &waker)?;
        let link = match schedules {
            false => {
                observe::start(&mut skel)?;
                None
            }
            true => {
                Some(scx_ops_attach!(skel, agent_ops).context("the kernel does not enable the scheduler")?)
            }
        };
        if memory.is_some() {
            probe(&mut skel, probed);
        }
        // Before there are threads that serve somebody.
        drop(loading);
        // Root's only, whatever we were started with.
        let mask = umask(Mode::RWXG | Mode::RWXO);
        let stats = StatsServer::new(questions::server_data(&waker)).launch();
        umask(mask);
        let stats = stats.context("cannot serve statistics")?;
        let kernel = Kernel::new(&skel, schedules)?;
        if let Some(m) = &memory {
            let _ = m.messages.send(memory::Message::Kernel(kernel.clone()));
        }
        let asked = kernel.clone();
        let agent_of = move |pid| asked.agent_of(pid);
        let tags = tags::Server::start(Path::new(tags::SOCKET), agent_of, waker.clone())
            .inspect_err(|e| warn!("no tags are taken: {e:#}"))
            .ok();
        let root = Path::new(CGROUP_ROOT);
        let watch = containers::Watch::start(&opts.containers, &opts.qos, root, &kernel, &waker)?;
        let limit = Limit::new();
        let check_roles = opts.check_roles;
        let shortages = Shortages::default();
        let this = Scheduler {
            skel,
            link,
            events,
            agents,
            stats,
            waker,
            kernel,
            tags,
            metrics,
            memory,
            containers: watch,
            limit,
            check_roles,
            shortages,
        };
        this.events.consume()?;
        this.report_found(opts);
        Ok(this)
    }

    /// One line on what is scheduled, and one for each glob that matches nothing.
    fn report_found(&self, opts: &Opts) {
        let (agents, _) = self.agents.borrow().counts();
        let idle: Vec<_> = opts
            .agent_cgroups
            .iter()
            .filter(|g| g.matches_below(Path::new(CGROUP_ROOT)).is_empty())
            .collect();
        for g in idle {
            info!("no cgroup matches {:?} yet; it is an agent as soon as it is made", g.to_string());
        }
        let how = match opts.agent_cgroups.len() {
            0 => "looking for known agent frameworks in containers".to_string(),
            _ => {
                let globs: Vec<_> = opts.agent_cgroups.iter().map(|g| g.to_string()).collect();
                format!("agents are {}", globs.join(", "))
            }
        };
        let what = if self.link.is_none() { "watching, and schedules nothing" } else { "scheduling" };
        println!("scx_agent {} is {what}: {agents} agents with tasks now; {how}", env!("CARGO_PKG_VERSION"));
    }

    /// Serve events and statistics until `daemon` is told to stop or until the kernel ends the scheduler.
    /// True if it is to be started again.
    ///
    /// # Errors
    /// The kernel ejected the scheduler; its reason.
    pub fn run(&mut self, daemon: &mut Daemon) -> Result<bool> {
        let (answers, requests) = self.stats.channels();
        while !daemon.stopping() && !uei_exited!(&self.skel, uei) {
            self.sleep()?;
            self.events.consume().context("cannot read the kernel half's events")?;
            self.agents.borrow_mut().flush();
            // Before questions are answered: what a reload says that it has applied, is.
            daemon.round();
            self.settle(daemon);
            for request in self.tags.iter().flat_map(|t| t.requests.try_iter()) {
                let answer = tags::apply(&mut self.agents.borrow_mut(), &self.kernel, &request);
                request.answer(&answer);
            }
            for question in requests.try_iter() {
                if matches!(question, Question::About(questions::RELOAD, _)) {
                    daemon.reload();
                    self.settle(daemon);
                }
                answers.send(self.answer(question, daemon)?)?;
            }
            for inquiry in self.metrics.iter().flat_map(|m| m.inquiries.try_iter()) {
                // Whoever asked may not wait any more.
                let _ = inquiry.send(self.view(&daemon.settings, u64::MAX, None)?);
            }
            let paused = || self.memory.as_ref().map(memory::Link::paused).unwrap_or_default();
            self.limit.round(
                daemon.limits(),
                &mut self.agents.borrow_mut().calls,
                &self.kernel,
                monotonic_ns(),
                paused,
            );
            if self.shortages.due() {
                let m = self.counters(&daemon.settings)?;
                self.shortages.tell(&m);
            }
        }
        let scheduled = self.link.take().is_some();
        self.events.consume()?;
        self.agents.borrow_mut().flush();
        let m = self.counters(&daemon.settings)?;
        if self.check_roles {
            info!(
                "roles: {} told late; below agents' cgroups {} ns in calls, {} ns elsewhere",
                m.role_late,
                self.counter(bpf_intf::agent_stat_STAT_BELOW_CALL_NS)?,
                self.counter(bpf_intf::agent_stat_STAT_BELOW_OTHER_NS)?
            );
        }
        self.shortages.tell(&m);
        match scheduled {
            true => ended::report(&self.skel),
            false => Ok(false),
        }
    }

    /// Gives agents the class, the weight and the budget that are said of them.
    fn settle(&mut self, daemon: &mut Daemon) {
        let changes = self.agents.borrow_mut().changes();
        let reload = daemon.settings.reload();
        if !daemon.schedules() {
            return;
        }
        let (now_ns, settings, agents) = (monotonic_ns(), &mut daemon.settings, &self.agents);
        if let Some(reload) = reload {
            settings.reapply(now_ns, |id| agents.borrow().path_of(id), &self.kernel);
            if reload.containers {
                self.containers.look_again(settings.options());
            }
        }
        for change in changes {
            match change {
                Change::Found(id) => settings.found(id, now_ns, || agents.borrow().path_of(id), &self.kernel),
                Change::Gone(id) => settings.gone(id),
            }
        }
        for (id, setting) in self.containers.settings.try_iter() {
            settings.container(id, now_ns, setting, &self.kernel);
        }
        settings.round(now_ns, |id| agents.borrow().name_of(id), &self.kernel);
    }

    /// Until there are events, or somebody wants something, or for [`POLL`].
    fn sleep(&self) -> Result<()> {
        // SAFETY: libbpf's descriptor, open for as long as `events` is.
        let events = unsafe { BorrowedFd::borrow_raw(self.events.epoll_fd()) };
        let waker = self.waker.fd();
        let mut fds = [PollFd::new(&events, PollFlags::IN), PollFd::new(&waker, PollFlags::IN)];
        match poll(&mut fds, Some(&POLL)) {
            Ok(_) | Err(Errno::INTR) => (),
            Err(e) => return Err(e).context("cannot wait for the kernel half's events"),
        }
        self.waker.clear();
        Ok(())
    }

    fn answer(&self, question: Question, daemon: &mut Daemon) -> Result<Answer> {
        Ok(match question {
            Question::Metrics => Answer::Metrics(Box::new(self.counters(&daemon.settings)?)),
            Question::About(questions::PAUSE, args) => operate::pause(&args, &self.agents.borrow(), daemon),
            Question::About(questions::SET, _) if !daemon.schedules() => {
                Answer::About(Err("nothing is scheduled here: see scx_agent status".into()))
            }
            Question::About(questions::SET, args) => {
                operate::set(&args, &self.agents.borrow(), &mut daemon.settings, &self.kernel)
            }
            Question::About(questions::RESUME, args) => operate::resume(&args, &self.agents.borrow(), daemon),
            Question::About(target, args) => Answer::About(match target {
                questions::CALLS => self.agents.borrow_mut().calls.answer(&args, &self.kernel),
                questions::EXPLAIN => explain::answer(&args, &mut self.agents.borrow_mut(), &self.kernel),
                questions::RELOAD => match daemon.reloads() {
                    reloads if reloads.refused => {
                        Err(format!("the reload was refused:\n{}", reloads.message))
                    }
                    reloads => Ok(reloads.message.clone().into()),
                },
                questions::STATUS => {
                    let metrics = self.counters(&daemon.settings)?;
                    Ok(serde_json::to_value(Status::now(daemon, metrics, &self.shortages))?)
                }
                questions::VIEW => {
                    let number = |name: &str| args.get(name).and_then(|n| n.parse().ok());
                    let (since_ns, known) = (number("since_ns").unwrap_or(0), number("ended_known"));
                    Ok(serde_json::to_value(self.view(&daemon.settings, since_ns, known)?)?)
                }
                _ => Err(format!("nothing is known about {target}")),
            }),
        })
    }

    fn counter(&self, stat: u32) -> Result<u64> {
        let cpus = self.skel.maps.stats.lookup_percpu(&stat.to_ne_bytes(), MapFlags::ANY)?;
        Ok(cpus.into_iter().flatten().map(|v| v.try_into().map_or(0, u64::from_ne_bytes)).sum())
    }

    /// All there is to show now, see [`questions::VIEW`].
    fn view(&self, settings: &Settings, since_ns: u64, ended_known: Option<u64>) -> Result<View> {
        let metrics = self.counters(settings)?;
        let mut view = self.agents.borrow_mut().view(&self.kernel, since_ns, ended_known);
        view.agents.iter_mut().for_each(|a| a.budget = settings.budget(a.cgroup_id));
        Ok(View { metrics, ..view })
    }

    fn counters(&self, settings: &Settings) -> Result<Metrics> {
        let agents = self.agents.borrow();
        let (n, [llm_wait, framework, tool]) = agents.counts();
        let calls = self.counter(bpf_intf::agent_stat_STAT_CALLS)?;
        let calls_ended = self.counter(bpf_intf::agent_stat_STAT_CALLS_ENDED)?;
        let data = self.skel.maps.data_data.as_ref().context("the kernel half has no data")?;
        let memory = self.memory.as_ref().map(memory::Link::counts).unwrap_or_default();
        Ok(Metrics {
            memory_limited: memory.limited,
            memory_braked: memory.braked,
            memory_writes: memory.high_writes,
            memory_over_high: memory.over_high,
            memory_reclaimed_mb: memory.reclaimed_mb,
            memory_foreign: memory.foreign,
            memory_oom_kills: memory.oom_kills,
            memory_paused: memory.paused,
            memory_failed: self.memory.as_ref().is_some_and(memory::Link::has_ended).into(),
            agents: n,
            groups_active: data.nr_active_groups.into(),
            quantum_ms: data.round_quantum_ns / 1_000_000,
            agents_llm_wait: llm_wait,
            agents_framework: framework,
            agents_tool: tool,
            agents_over_budget: settings.over_budget(),
            calls_running: calls.saturating_sub(calls_ended),
            calls,
            calls_ended,
            calls_cpu_s: agents.calls_cpu_ns as f64 / 1e9,
            calls_wait_s: agents.calls_wait_ns as f64 / 1e9,
            direct: self.counter(bpf_intf::agent_stat_STAT_DIRECT)?,
            queued: self.counter(bpf_intf::agent_stat_STAT_QUEUED)?,
            preempt: self.counter(bpf_intf::agent_stat_STAT_PREEMPT)?,
            kept: self.counter(bpf_intf::agent_stat_STAT_KEPT)?,
            aged: self.counter(bpf_intf::agent_stat_STAT_AGED)?,
            overdue: self.counter(bpf_intf::agent_stat_STAT_OVERDUE)?,
            in_kernel: self.counter(bpf_intf::agent_stat_STAT_IN_KERNEL)?,
            elsewhere: self.counter(bpf_intf::agent_stat_STAT_ELSEWHERE)?,
            braked: self.counter(bpf_intf::agent_stat_STAT_BRAKED)?,
            throttled: self.counter(bpf_intf::agent_stat_STAT_THROTTLED)?,
            phases: self.counter(bpf_intf::agent_stat_STAT_PHASES)?,
            no_call_slot: self.counter(bpf_intf::agent_stat_STAT_NO_CALL_SLOT)?,
            no_group_slot: self.counter(bpf_intf::agent_stat_STAT_NO_GROUP_SLOT)?,
            no_limit_slot: self.counter(bpf_intf::agent_stat_STAT_NO_LIMIT_SLOT)?,
            role_late: self.counter(bpf_intf::agent_stat_STAT_ROLE_LATE)?,
            untold: self.counter(bpf_intf::agent_stat_STAT_UNTOLD)?,
            lost_events: self.counter(bpf_intf::agent_stat_STAT_LOST_EVENTS)?,
        })
    }
}

/// Attaches the look at tasks that run into memory.high, where the kernel has been found to have it.
fn probe(skel: &mut BpfSkel<'_>, offered: bool) {
    let lack = match offered.then(|| skel.progs.on_over_high.attach()) {
        Some(Ok(link)) => {
            skel.links.on_over_high = Some(link);
            return;
        }
        Some(Err(e)) => format!("the kernel does not let a program see {}: {e}", memory::PROBED),
        None => format!("this kernel has no {}", memory::PROBED),
    };
    info!("memory: {lack}; who runs into memory.high is seen by its events");
}

/// The metrics' server. That somebody else has the port matters only if it was asked for.
///
/// # Errors
/// It cannot listen at the address that was given.
fn metrics_server(
    opts: &Opts,
    observed: metrics::Observed,
    waker: &Waker,
) -> Result<Option<metrics::Server>> {
    let server = metrics::Server::start(&opts.metrics, !opts.no_sched, observed, waker.clone());
    match (server, opts.metrics.metrics) {
        (Err(e), metrics::Listen::Loopback) => {
            warn!("no metrics are served: {e:#}; name another address with --metrics, or off");
            Ok(None)
        }
        (Err(e), _) => Err(e.context("--metrics")),
        (Ok(server), _) => {
            if let Some(s) = &server {
                info!("metrics are at http://{}/metrics", s.address);
            }
            Ok(server)
        }
    }
}

/// # Errors
/// There are more of something than the kernel half has room for: the key, and how many there may be.
pub fn fits(opts: &Opts) -> Result<(), (&'static str, String)> {
    let named = !opts.agent_cgroups.is_empty();
    let generic = if named { GENERIC_COMMS.len() } else { 0 };
    for (key, n, known, most) in [
        // One is that of `scx_agent ci`.
        ("agent_cgroups", opts.agent_cgroups.len(), 1, bpf_intf::agent_consts_AGENT_MAX_GLOBS),
        (
            "framework_comms",
            opts.framework_comms.len(),
            FRAMEWORK_COMMS.len() + generic,
            bpf_intf::agent_consts_AGENT_MAX_COMMS,
        ),
        (
            "framework_args",
            opts.framework_args.len(),
            FRAMEWORK_WORDS.len(),
            bpf_intf::agent_consts_AGENT_MAX_WORDS,
        ),
    ] {
        let most = most as usize - known;
        if n > most {
            return Err((key, format!("there are {n}, and at most {most} are supported")));
        }
    }
    Ok(())
}

/// Put the options where the kernel half reads them.
fn set_knobs(skel: &mut OpenBpfSkel, opts: &Opts) -> Result<()> {
    fits(opts).map_err(|(key, why)| anyhow::anyhow!("{key}: {why}"))?;
    let named = !opts.agent_cgroups.is_empty();
    let mut globs: Vec<Glob> = if named {
        opts.agent_cgroups.clone()
    } else {
        CONTAINER_GLOBS.iter().map(|g| g.parse().expect("built-in globs are valid")).collect()
    };
    globs.push(CI_GLOB.parse().expect("built-in globs are valid")); // last, see below
    let mut comms: Vec<&str> = FRAMEWORK_COMMS.to_vec();
    comms.extend(opts.framework_comms.iter().map(String::as_str));
    let generic: &[&str] = if named { GENERIC_COMMS } else { &[] };
    comms.extend(generic); // last, see the kernel half's nr_generic_comms
    let words: Vec<u64> = FRAMEWORK_WORDS
        .iter()
        .copied()
        .chain(opts.framework_args.iter().map(String::as_str))
        .map(agentpolicy::word_hash)
        .collect();
    let cpus = libbpf_rs::num_possible_cpus()?;
    let max_cpus = bpf_intf::agent_consts_AGENT_MAX_CPUS as usize;
    if cpus > max_cpus {
        bail!("this machine has {cpus} CPUs, at most {max_cpus} are supported");
    }

    let background = opts.qos.background_mask(cpus).context("background_cpus")?;
    let rodata = skel.maps.rodata_data.as_mut().context("the kernel half has no rodata")?;
    if let Some(mask) = background {
        rodata.background_confined = true;
        rodata.background_cpus[..mask.len()].copy_from_slice(&mask);
    }
    let known = topology::Cpus::read();
    if let Some(next) = known.next_in_core(cpus) {
        rodata.smt = true;
        rodata.next_in_core[..next.len()].copy_from_slice(&next);
    }
    let most = match opts.queues {
        Queues::Llc => bpf_intf::agent_consts_AGENT_MAX_DOMAINS as usize,
        Queues::Machine => 1,
    };
    let domains = known.domains(cpus, most);
    let (members, starts) = topology::by_domain(&domains);
    rodata.nr_domains = starts.len() as u32 - 1;
    if rodata.nr_domains > 1 {
        info!("{} sets of queues, by last-level caches", rodata.nr_domains);
    }
    rodata.domain_of[..cpus].copy_from_slice(&domains);
    rodata.domain_cpus[..cpus].copy_from_slice(&members);
    rodata.domain_start[..starts.len()].copy_from_slice(&starts);
    rodata.slice_ns = opts.slice_us * 1_000;
    rodata.preempt_margin_ns = opts.preempt_margin_ms * 1_000_000;
    rodata.knobs.delay_slope = opts.delay_slope;
    rodata.knobs.delay_cap_ns = opts.delay_cap_ms * 1_000_000;
    rodata.knobs.long_service_ns = opts.long_call_ms * 1_000_000;
    rodata.knobs.quantum_max_ns = opts.quantum_max_ms * 1_000_000;
    rodata.nr_cpu_ids = cpus as u32;
    rodata.nr_globs = globs.len() as u32;
    rodata.nr_comms = comms.len() as u32;
    rodata.nr_generic_comms = generic.len() as u32;
    rodata.nr_words = words.len() as u32;
    rodata.words[..words.len()].copy_from_slice(&words);
    rodata.check_roles = opts.check_roles;
    let kind = if named {
        bpf_intf::agent_group_flags_GROUP_AGENT
    } else {
        bpf_intf::agent_group_flags_GROUP_CANDIDATE
    };
    for (i, glob) in globs.iter().enumerate() {
        rodata.glob_depth[i] = glob.parts().len() as u32;
        rodata.glob_flags[i] =
            if i + 1 == globs.len() { bpf_intf::agent_group_flags_GROUP_AGENT } else { kind };
        for (to, part) in rodata.glob_parts[i].iter_mut().zip(glob.parts()) {
            for (to, c) in to.iter_mut().zip(part.bytes()) {
                *to = c as _;
            }
        }
    }
    for (to, comm) in rodata.comms.iter_mut().zip(comms) {
        let mut padded = [0u8; 16];
        padded[..comm.len()].copy_from_slice(comm.as_bytes());
        for (to, word) in to.iter_mut().zip(padded.chunks_exact(8)) {
            *to = u64::from_ne_bytes(word.try_into().expect("8 bytes"));
        }
    }
    Ok(())
}

/// One sentence for a load that the kernel refused.
fn load_error(e: anyhow::Error) -> anyhow::Error {
    if scx_utils::compat::malformed_scx_kfuncs().is_empty() {
        return e.context(
            "the kernel refuses the scheduler; nothing was changed (-vvv shows the verifier's log)",
        );
    }
    NoneLoads.into()
}

/// No scheduler loads on this kernel, and agents can be watched.
#[derive(Debug)]
pub struct NoneLoads;

impl fmt::Display for NoneLoads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "this kernel's BTF describes its sched_ext functions wrongly (it was built with pahole older than 1.26, \
             like Debian's backported 7.1 and 7.2 and Ubuntu 24.04's kernels), so that no sched_ext scheduler loads; \
             boot another kernel, such as Debian's backported 7.0 or 7.3",
        )
    }
}

impl std::error::Error for NoneLoads {}
