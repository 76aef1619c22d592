// SPDX-License-Identifier: GPL-2.0-only
//! What holds for each agent: an operator's word over what follows from its budget of CPU time, that over
//! what is said of its container, and that over what is said of its cgroup.

use super::budget::{Budgets, Turn};
use super::{Options, Qos, Setting, Weight};
use crate::kernel::Kernel;
use crate::memory::{Cgroup, CGROUP_ROOT};
use crate::status::lasted;
use crate::view;
use anyhow::Result;
use log::warn;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What is said of one agent, and by whom.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    cgroup: Setting,
    container: Setting,
    operator: Setting,
}

/// What a reload has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reload {
    /// What is said of containers by their names or labels.
    pub containers: bool,
}

/// What is said of all agents; kept over restarts of the kernel half.
#[derive(Debug)]
pub struct Settings {
    options: Options,
    /// The agents there are, by cgroup.
    agents: BTreeSet<u64>,
    /// By cgroup; only of those of which something is said.
    said: BTreeMap<u64, Said>,
    budgets: Budgets,
    reload: Option<Reload>,
}

/// CPU time that the cgroup has used, in us; None if it is gone.
fn cpu_us(id: u64) -> Option<u64> {
    Some(Cgroup::by_id(Path::new(CGROUP_ROOT), id).ok()?.cpu_us())
}

fn window_ns(options: &Options) -> u64 {
    options.cpu_budget_window.as_nanos().try_into().unwrap_or(u64::MAX / 2)
}

impl Settings {
    /// On a machine with `cpus`.
    pub fn new(options: Options, cpus: usize) -> Settings {
        let budgets = Budgets::new(window_ns(&options), cpus as u64);
        Settings { options, agents: BTreeSet::new(), said: BTreeMap::new(), budgets, reload: None }
    }

    /// Other options are in force: to be applied by [`Settings::reapply`].
    pub fn take_over(&mut self, options: &Options) {
        let containers = options.ask_containers_else(&self.options);
        let before = self.reload.is_some_and(|r| r.containers);
        self.reload = Some(Reload { containers: containers || before });
        self.options.take_over(options.clone());
    }

    /// What has changed, once after each [`Settings::take_over`].
    pub fn reload(&mut self) -> Option<Reload> {
        self.reload.take()
    }

    /// The options in force.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Applies the options in force to the agents there are; `path` finds that of a cgroup relative to the cgroup
    /// v2 root. What is said of containers comes by [`Settings::container`].
    pub fn reapply(&mut self, now_ns: u64, path: impl Fn(u64) -> String, kernel: &Kernel) {
        self.budgets.window(window_ns(&self.options), now_ns);
        let asked = self.options.ask_containers();
        for id in self.agents.clone() {
            let cgroup = match self.options.ask_cgroups() {
                true => self.options.of_cgroup(&path(id)),
                false => Setting::default(),
            };
            self.say(id, now_ns, kernel, |said| {
                said.cgroup = cgroup;
                if !asked {
                    said.container = Setting::default();
                }
            });
        }
    }

    /// A new agent with this cgroup; `path` finds that relative to the cgroup v2 root.
    pub fn found(&mut self, id: u64, now_ns: u64, path: impl FnOnce() -> String, kernel: &Kernel) {
        self.agents.insert(id);
        if self.options.ask_cgroups() {
            let setting = self.options.of_cgroup(&path());
            if setting != Setting::default() {
                self.said.entry(id).or_default().cgroup = setting;
            }
        }
        self.allow(id, now_ns);
        // The kernel half begins with neither.
        let Setting { qos, weight, .. } = self.holds(id);
        if qos.unwrap_or_default() != Qos::default() || matches!(weight, Some(Weight::Own(_))) {
            self.apply(id, kernel);
        }
    }

    /// What the settings say of the container whose cgroup this is.
    pub fn container(&mut self, id: u64, now_ns: u64, setting: Setting, kernel: &Kernel) {
        self.say(id, now_ns, kernel, |said| said.container = setting);
    }

    /// What the operator says of the agent with this cgroup, over all that was said before.
    pub fn operator(&mut self, id: u64, setting: Setting, kernel: &Kernel) -> Result<(), String> {
        let said = self.said.entry(id).or_default();
        said.operator = setting.over(said.operator);
        match self.tell(id, kernel) {
            Ok(true) => Ok(()),
            Ok(false) => Err("its cgroup has gone".into()),
            Err(e) => Err(format!("{e:#}")),
        }
    }

    /// The agent with this cgroup is gone.
    pub fn gone(&mut self, id: u64) {
        self.agents.remove(&id);
        self.said.remove(&id);
        self.budgets.gone(id);
    }

    /// Looks at budgets that are due; to be called often. `name` is how an agent is called.
    pub fn round(&mut self, now_ns: u64, name: impl Fn(u64) -> String, kernel: &Kernel) {
        for (id, turn) in self.budgets.look(now_ns, cpu_us) {
            self.apply(id, kernel);
            let (name, by_operator) = (name(id), self.said(id).operator.qos);
            let Some(budget) = self.budgets.of(id) else { continue };
            match turn {
                Turn::Over { used_us } => {
                    let left = lasted(budget.ends_ns.saturating_sub(now_ns) as f64 / 1e9);
                    let then = match by_operator {
                        Some(qos) => format!("an operator has set it to {qos}, which stays"),
                        None => format!("in the background for {left}, until its next window"),
                    };
                    warn!(
                        SCX_AGENT_AGENT = name.as_str(), SCX_AGENT_RULE = "cpu_budget_s";
                        "agent {name:?} has used {:.1} s of CPU time, its budget is {} s in {} (cpu_budget_s): {then}",
                        used_us as f64 / 1e6,
                        budget.allowed_us / 1_000_000,
                        lasted(self.options.cpu_budget_window.as_secs_f64())
                    );
                }
                Turn::Again => {
                    let qos = self.holds(id).qos.unwrap_or_default();
                    warn!(
                        SCX_AGENT_AGENT = name.as_str(), SCX_AGENT_RULE = "cpu_budget_s";
                        "agent {name:?} has a budget of {} s of CPU time again: {qos}",
                        budget.allowed_us / 1_000_000
                    );
                }
            }
        }
    }

    /// The budget of an agent, if it has one.
    pub fn budget(&self, id: u64) -> Option<view::Budget> {
        self.budgets.of(id)
    }

    /// How many agents are over theirs.
    pub fn over_budget(&self) -> u64 {
        self.budgets.over()
    }

    fn said(&self, id: u64) -> Said {
        self.said.get(&id).copied().unwrap_or_default()
    }

    /// All that is said of an agent, put together.
    pub fn holds(&self, id: u64) -> Setting {
        let said = self.said(id);
        let over = self.budgets.is_over(id).then_some(Qos::Background);
        let over = Setting { qos: over, ..Setting::default() };
        said.operator.over(over).over(said.container).over(said.cgroup)
    }

    /// Something else is said of it: tells the kernel half if that makes a difference.
    fn say(&mut self, id: u64, now_ns: u64, kernel: &Kernel, change: impl FnOnce(&mut Said)) {
        let before = self.holds(id);
        let mut said = self.said(id);
        change(&mut said);
        if [said.cgroup, said.container, said.operator].iter().all(|s| *s == Setting::default()) {
            self.said.remove(&id);
        } else {
            self.said.insert(id, said);
        }
        self.allow(id, now_ns);
        let after = self.holds(id);
        if (before.qos, before.weight) != (after.qos, after.weight) {
            self.apply(id, kernel);
        }
    }

    /// Gives an agent the budget that is said of it.
    fn allow(&mut self, id: u64, now_ns: u64) {
        if self.agents.contains(&id) {
            let allowed_s = self.holds(id).budget.map_or(self.options.cpu_budget_s, |b| b.0);
            self.budgets.set(id, allowed_s, now_ns, || cpu_us(id));
        }
    }

    fn apply(&mut self, id: u64, kernel: &Kernel) {
        match self.tell(id, kernel) {
            Ok(true) => (),
            Ok(false) => self.gone(id),
            Err(e) => warn!("cgroup {id}: its class and weight cannot be set: {e:#}"),
        }
    }

    /// False if there is no such cgroup.
    fn tell(&self, id: u64, kernel: &Kernel) -> Result<bool> {
        let Setting { qos, weight, .. } = self.holds(id);
        let weight = match weight {
            Some(Weight::Own(n)) => n,
            Some(Weight::Cgroup) | None => 0,
        };
        kernel.set(id, qos.unwrap_or_default().raw(), weight)
    }
}
