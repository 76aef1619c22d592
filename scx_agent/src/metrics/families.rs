// SPDX-License-Identifier: GPL-2.0-only
//! The page of metrics, in OpenMetrics' text form. Names of agents are a container's to choose: the encoder
//! escapes what has a meaning in the form, and what cannot be printed is written out before.

use super::Observed;
use crate::agents::Phase;
use crate::calls::command::shown;
use crate::usage::{Host, Own, Usage};
use crate::view::{Agent, Totals, View};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Metric, Registry, Unit};
use std::sync::atomic::AtomicU64;

/// Stands for all agents without metrics of their own.
const OTHER: &str = "other";
/// Longest name of an agent, in characters.
const NAME_MAX: usize = 128;
const PHASES: [Phase; 3] = [Phase::LlmWait, Phase::Framework, Phase::Tool];

type Labels = Vec<(&'static str, String)>;

/// All that a page is made of.
pub struct Page<'a> {
    pub view: &'a View,
    pub observed: &'a Observed,
    pub host: Host,
    /// Of the labelled agents, by cgroup.
    pub usage: &'a dyn Fn(u64) -> Option<Usage>,
    /// The daemon is to schedule.
    pub wanted: bool,
    /// The kernel runs the scheduler.
    pub enabled: bool,
    pub process: Own,
}

/// Adds families.
struct To<'a>(&'a mut Registry);

type Count = Counter<f64, AtomicU64>;
type Level = Gauge<f64, AtomicU64>;

impl To<'_> {
    fn add(&mut self, name: &str, help: &str, unit: Option<Unit>, metric: impl Metric) {
        match unit {
            Some(unit) => self.0.register_with_unit(name, help, unit, metric),
            None => self.0.register(name, help, metric),
        }
    }

    fn counter(&mut self, name: &str, help: &str, unit: Option<Unit>, value: f64) {
        let count = Count::default();
        count.inc_by(value);
        self.add(name, help, unit, count);
    }

    fn gauge(&mut self, name: &str, help: &str, unit: Option<Unit>, value: f64) {
        let level = Level::default();
        level.set(value);
        self.add(name, help, unit, level);
    }

    /// Of two values with the same labels, as agents of one name have them, the sum.
    fn counters(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        values: impl IntoIterator<Item = (Labels, f64)>,
    ) {
        let family = Family::<Labels, Count>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).inc_by(value);
        }
        self.add(name, help, unit, family);
    }

    /// As [`To::counters`].
    fn gauges(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        values: impl IntoIterator<Item = (Labels, f64)>,
    ) {
        let family = Family::<Labels, Level>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).inc_by(value);
        }
        self.add(name, help, unit, family);
    }
}

fn label(name: &'static str, value: &str) -> Labels {
    vec![(name, value.to_string())]
}

fn kinds<const N: usize>(values: [(&str, u64); N]) -> [(Labels, f64); N] {
    values.map(|(kind, n)| (label("kind", kind), n as f64))
}

impl Page<'_> {
    /// As text.
    pub fn text(&self) -> String {
        let mut page = Registry::default();
        self.process(&mut To(&mut page));
        let own = page.sub_registry_with_prefix("scx_agent");
        self.scheduler(&mut To(own));
        self.memory(&mut To(own));
        self.agents(&mut To(own));
        self.observed.register(own);
        let mut text = String::new();
        // A String takes whatever is written to it.
        let _ = encode(&mut text, &page);
        text
    }

    fn process(&self, to: &mut To<'_>) {
        let Own { resident, cpu_s } = self.process;
        let told = "Resident memory of the daemon";
        to.gauge("process_resident_memory", told, Some(Unit::Bytes), resident as f64);
        to.counter("process_cpu", "CPU time of the daemon", Some(Unit::Seconds), cpu_s);
    }

    fn scheduler(&self, to: &mut To<'_>) {
        let m = &self.view.metrics;
        let version = label("version", env!("CARGO_PKG_VERSION"));
        to.gauges("build_info", "Version of the daemon, always 1", None, [(version, 1.0)]);
        let told = "1 if the kernel runs the scheduler, else 0";
        to.gauge("scheduling", told, None, f64::from(u8::from(self.enabled)));
        let told = "1 if it should, 0 with --no-sched";
        to.gauge("scheduling_wanted", told, None, f64::from(u8::from(self.wanted)));
        let phases = [m.agents_llm_wait, m.agents_framework, m.agents_tool];
        let phases =
            PHASES.into_iter().zip(phases).map(|(phase, n)| (label("phase", phase.name()), n as f64));
        to.gauges("agents", "Agents, by what they do", None, phases);
        let told = "Agents that have used up their budget of CPU time in its window";
        to.gauge("agents_over_budget", told, None, m.agents_over_budget as f64);
        to.gauge("calls_running", "Tool calls that run", None, m.calls_running as f64);
        to.counter("calls_begun", "Tool calls that have begun", None, m.calls as f64);
        let told = "CPU time of finished tool calls";
        to.counter("calls_cpu", told, Some(Unit::Seconds), m.calls_cpu_s);
        let told = "Time that tasks of finished tool calls were runnable and did not run";
        to.counter("calls_cpu_wait", told, Some(Unit::Seconds), m.calls_wait_s);
        let told = "What the scheduler did: put a wake-up on an idle CPU (direct) or a task on a queue (queued), took \
                    a CPU from lower-ranked work (preempted), renewed a slice (kept), saw a long call that had \
                    waited for as long as any may (aged), put a long call in front as none may wait for longer \
                    (overdue) or a task in the middle of a system call (in_kernel), ran a task on CPUs with another \
                    last-level cache than those that it waited for (elsewhere), held a task back for its agent's use \
                    of memory (braked) or for its cpu.max (throttled)";
        let done = kinds([
            ("direct", m.direct),
            ("queued", m.queued),
            ("preempted", m.preempt),
            ("kept", m.kept),
            ("aged", m.aged),
            ("overdue", m.overdue),
            ("in_kernel", m.in_kernel),
            ("elsewhere", m.elsewhere),
            ("braked", m.braked),
            ("throttled", m.throttled),
        ]);
        to.counters("decisions", told, None, done);
        let told = "What the kernel half had no slot left for: a tool call, a cgroup, the cpu.max of one";
        let missing = [("call", m.no_call_slot), ("group", m.no_group_slot), ("limit", m.no_limit_slot)];
        to.counters("slots_missing", told, None, kinds(missing));
        let told = "Events that the daemon did not get, as it could not keep up";
        to.counter("events_lost", told, None, m.lost_events as f64);
        let pressure = [("cpu", self.host.cpu), ("memory", self.host.memory), ("io", self.host.io)];
        let pressure =
            pressure.into_iter().filter_map(|(name, share)| Some((label("resource", name), share?)));
        let told = "Share of the last ten seconds in which tasks of the host waited for it (PSI some)";
        to.gauges("host_pressure_ratio", told, None, pressure);
        let told = "Memory of the host that can be had without swapping";
        to.gauge("host_memory_available", told, Some(Unit::Bytes), self.host.available as f64);
    }

    fn memory(&self, to: &mut To<'_>) {
        let m = &self.view.metrics;
        let told = "Agents that are held to a memory limit";
        to.gauge("memory_limited_agents", told, None, m.memory_limited as f64);
        let told = "Agents whose tool calls are dispatched less, as they take too much memory";
        to.gauge("memory_braked_agents", told, None, m.memory_braked as f64);
        let told = "Agents whose memory.high somebody else sets, which are left alone";
        to.gauge("memory_foreign_agents", told, None, m.memory_foreign as f64);
        let told = "Agents that an operator has paused";
        to.gauge("paused_agents", told, None, m.memory_paused as f64);
        let told = "1 if the memory controller has failed, and memory is not managed until a restart";
        to.gauge("memory_controller_failed", told, None, m.memory_failed as f64);
        to.counter("memory_limit_writes", "Writes of memory.high", None, m.memory_writes as f64);
        let told = "Times that an agent was seen to run into memory.high, one in 10 ms at most";
        to.counter("memory_over_high", told, None, m.memory_over_high as f64);
        let told = "Memory reclaimed from agents that wait for their model, in whole MB";
        let reclaimed = (m.memory_reclaimed_mb << 20) as f64;
        to.counter("memory_reclaimed", told, Some(Unit::Bytes), reclaimed);
        let told = "Processes of agents that the kernel killed for want of memory";
        to.counter("memory_oom_kills", told, None, m.memory_oom_kills as f64);
    }

    fn agents(&self, to: &mut To<'_>) {
        let labelled: Vec<(&Agent, String)> =
            self.view.agents.iter().filter(|a| a.labelled).map(|a| (a, shown(&a.name, NAME_MAX))).collect();
        let told_apart = labelled.len() as f64;
        to.gauge("agents_labelled", "Agents with metrics of their own", None, told_apart);
        let totals = |of: fn(&Totals) -> f64| {
            let own = labelled.iter().map(move |(a, name)| (label("agent", name), of(&a.totals)));
            own.chain([(label("agent", OTHER), of(&self.view.others))])
        };
        to.counters("agent_calls", "Finished tool calls", None, totals(|t| t.calls as f64));
        let told = "Finished tool calls that failed: with an exit status other than 0, or by a signal";
        to.counters("agent_calls_failed", told, None, totals(|t| t.failed as f64));
        let told = "CPU time of tool calls";
        to.counters("agent_call_cpu", told, Some(Unit::Seconds), totals(|t| t.cpu_ns as f64 / 1e9));
        let told = "Time that tasks of tool calls were runnable and did not run";
        to.counters("agent_call_cpu_wait", told, Some(Unit::Seconds), totals(|t| t.wait_ns as f64 / 1e9));
        let phases = PHASES.into_iter().flat_map(|phase| {
            let labels = |name: &str| vec![("agent", name.to_string()), ("phase", phase.name().to_string())];
            let own = labelled.iter().map(move |(a, name)| {
                let now = if a.phase == phase { self.view.now_ns.saturating_sub(a.since_ns) } else { 0 };
                (labels(name), (a.totals.phase_ns[phase as usize] + now) as f64 / 1e9)
            });
            let others = self.view.others.phase_ns[phase as usize] as f64 / 1e9;
            own.chain([(labels(OTHER), others)]).collect::<Vec<_>>()
        });
        to.counters("agent_phase", "Time in each phase", Some(Unit::Seconds), phases);
        let usage: Vec<(&str, Usage)> = labelled
            .iter()
            .filter_map(|(a, name)| Some((name.as_str(), (self.usage)(a.cgroup_id)?)))
            .collect();
        let cpu = usage.iter().map(|(name, u)| (label("agent", name), u.cpu_us as f64 / 1e6));
        let told = "CPU time of an agent's cgroup; only of agents with metrics of their own";
        to.counters("agent_cpu", told, Some(Unit::Seconds), cpu);
        let budgets = labelled.iter().filter_map(|(a, name)| Some((name, a.cgroup_id, a.budget?)));
        let allowed = budgets.clone().map(|(name, _, b)| (label("agent", name), b.allowed_us as f64 / 1e6));
        let told = "Budget of CPU time of an agent in each window; only of agents that have one";
        to.gauges("agent_cpu_budget", told, Some(Unit::Seconds), allowed);
        let used = budgets.filter_map(|(name, id, b)| {
            let used_us = (self.usage)(id)?.cpu_us.saturating_sub(b.from_us);
            Some((label("agent", name), used_us as f64 / 1e6))
        });
        let told = "What an agent has used of its budget in this window";
        to.gauges("agent_cpu_budget_used", told, Some(Unit::Seconds), used);
        let memory = usage.iter().filter_map(|(name, u)| Some((label("agent", name), u.memory? as f64)));
        let told = "Memory of an agent's cgroup; only of agents with metrics of their own";
        to.gauges("agent_memory", told, Some(Unit::Bytes), memory);
    }
}
