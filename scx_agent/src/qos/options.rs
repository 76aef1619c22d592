// SPDX-License-Identifier: GPL-2.0-only
//! Which agents have which class, weight and budget, by their cgroups and containers.

use super::{BudgetS, Qos, Setting, Weight, BUDGET_MAX_S};
use crate::cli::parse_time;
use crate::containers::Label;
use crate::globs::Glob;
use agentpolicy::component_matches;
use anyhow::{bail, Result};
use clap::Args;
use scx_utils::read_cpulist;
use std::str::FromStr;
use std::time::Duration;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Classes of agents")]
pub struct Options {
    /// The class of an agent: `interactive` (a person waits for it: its tool calls take CPUs from all
    /// others), `standard`, or `background` (it has what is left over, and a turn when it has waited for
    /// some seconds). WHO is a glob over its cgroup, `container:NAME` or `label:KEY[=VALUE]`; of several
    /// that match, the last decides. Repeatable.
    #[arg(long = "agent-qos", value_name = "WHO=CLASS")]
    pub agent_qos: Vec<Rule<Qos>>,

    /// The weight of an agent, 1 to 10000, in place of the cpu.weight of its cgroup, which is left as it
    /// is. WHO as above. Repeatable.
    #[arg(long = "agent-weight", value_name = "WHO=N")]
    pub agent_weights: Vec<Rule<Weight>>,

    /// The only CPUs that agents in the background run on, such as `0-3,8`: efficient cores, or a NUMA
    /// node. If none of them is online, all do [default: all].
    #[arg(long, value_name = "CPUS", value_parser = parse_cpus)]
    pub background_cpus: Option<Cpus>,

    /// CPU time that an agent may use in each window of --cpu-budget-window, in seconds: with more, it is
    /// in the background until the next window begins, unless an operator has set its class. It is never
    /// ended for that. 0: as much as it wants.
    #[arg(long, value_name = "SEC", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=BUDGET_MAX_S))]
    pub cpu_budget_s: u64,

    /// The window of budgets of CPU time, such as 30m, 1h or 24h. An agent's first one begins when it is
    /// found.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_time)]
    pub cpu_budget_window: Duration,

    /// The budget of some agents in place of --cpu-budget-s, 0 for none. WHO as above. Repeatable.
    #[arg(long = "agent-budget", value_name = "WHO=SEC")]
    pub agent_budgets: Vec<Rule<BudgetS>>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            agent_qos: Vec::new(),
            agent_weights: Vec::new(),
            background_cpus: None,
            cpu_budget_s: 0,
            cpu_budget_window: Duration::from_secs(3600),
            agent_budgets: Vec::new(),
        }
    }
}

/// What holds for some agents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule<T> {
    pub who: Who,
    pub what: T,
}

/// Some agents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    Cgroup(Glob),
    /// A glob over its container's name.
    Container(String),
    Label(Label),
}

impl FromStr for Who {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        if let Some(name) = s.strip_prefix("container:") {
            return match name {
                "" => Err("a container's name is not empty".into()),
                name => Ok(Who::Container(name.into())),
            };
        }
        match s.strip_prefix("label:") {
            Some(label) => Ok(Who::Label(label.parse()?)),
            None => Ok(Who::Cgroup(s.parse()?)),
        }
    }
}

impl<T: FromStr<Err = String>> FromStr for Rule<T> {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        // A label has an equals sign of its own.
        let (who, what) =
            s.rsplit_once('=').ok_or("expected WHO=WHAT, such as agents/nightly-*=background")?;
        Ok(Rule { who: who.parse()?, what: what.parse()? })
    }
}

impl Who {
    fn is_cgroup(&self, path: &str) -> bool {
        matches!(self, Who::Cgroup(glob) if glob.matches(path))
    }

    fn is_container<'a>(&self, name: &str, label: &impl Fn(&str) -> Option<&'a str>) -> bool {
        match self {
            Who::Cgroup(_) => false,
            Who::Container(glob) => component_matches(glob.as_bytes(), name.as_bytes()),
            Who::Label(l) => l.is(label),
        }
    }
}

impl Options {
    /// True if something depends on a cgroup's path.
    pub fn ask_cgroups(&self) -> bool {
        self.any(|who| matches!(who, Who::Cgroup(_)))
    }

    /// True if something depends on a container's name or labels.
    pub fn ask_containers(&self) -> bool {
        self.any(|who| !matches!(who, Who::Cgroup(_)))
    }

    /// What they say of the agent whose cgroup is `path`, relative to the cgroup v2 root.
    pub fn of_cgroup(&self, path: &str) -> Setting {
        self.of(|who| who.is_cgroup(path))
    }

    /// What they say of the container called `name`, with labels as `label` finds them.
    pub fn of_container<'a>(&self, name: &str, label: impl Fn(&str) -> Option<&'a str>) -> Setting {
        self.of(|who| who.is_container(name, &label))
    }

    /// True if some agent may have a budget.
    pub fn has_budgets(&self) -> bool {
        self.cpu_budget_s > 0 || self.agent_budgets.iter().any(|r| r.what.0 > 0)
    }

    /// True if these say something else than `other` by containers' names or labels.
    pub fn ask_containers_else(&self, other: &Options) -> bool {
        fn differ<T: PartialEq>(a: &[Rule<T>], b: &[Rule<T>]) -> bool {
            let of_containers = |r: &&Rule<T>| !matches!(r.who, Who::Cgroup(_));
            !a.iter().filter(of_containers).eq(b.iter().filter(of_containers))
        }
        differ(&self.agent_qos, &other.agent_qos)
            || differ(&self.agent_weights, &other.agent_weights)
            || differ(&self.agent_budgets, &other.agent_budgets)
    }

    /// Takes over what a reload applies of `new`: all but the CPUs, which the kernel half has as a constant.
    pub fn take_over(&mut self, new: Options) {
        let background_cpus = self.background_cpus.take();
        *self = Options { background_cpus, ..new };
    }

    fn any(&self, test: impl Fn(&Who) -> bool) -> bool {
        self.agent_qos.iter().any(|r| test(&r.who))
            || self.agent_weights.iter().any(|r| test(&r.who))
            || self.agent_budgets.iter().any(|r| test(&r.who))
    }

    fn of(&self, test: impl Fn(&Who) -> bool) -> Setting {
        fn last<T: Copy>(rules: &[Rule<T>], test: impl Fn(&Who) -> bool) -> Option<T> {
            rules.iter().rev().find(|r| test(&r.who)).map(|r| r.what)
        }
        Setting {
            qos: last(&self.agent_qos, &test),
            weight: last(&self.agent_weights, &test),
            budget: last(&self.agent_budgets, &test),
        }
    }

    /// [`Self::background_cpus`], a bit each, on a machine with `cpus`; None if they are not confined.
    ///
    /// # Errors
    /// This machine has none of them.
    pub fn background_mask(&self, cpus: usize) -> Result<Option<Vec<u64>>> {
        let Some(Cpus(wanted)) = &self.background_cpus else { return Ok(None) };
        let mut mask = vec![0u64; cpus.div_ceil(64)];
        for cpu in wanted.iter().filter(|c| **c < cpus) {
            mask[cpu / 64] |= 1 << (cpu % 64);
        }
        if mask.iter().all(|bits| *bits == 0) {
            bail!("this machine has none of these CPUs, its own are 0 to {}", cpus - 1);
        }
        Ok(Some(mask))
    }
}

/// Numbers of CPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cpus(pub Vec<usize>);

fn parse_cpus(s: &str) -> Result<Cpus, String> {
    match read_cpulist(s) {
        Ok(cpus) if !cpus.is_empty() => Ok(Cpus(cpus)),
        _ => Err(format!("{s:?}: expected numbers of CPUs, such as 0-3,8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(qos: &[&str], weights: &[&str]) -> Options {
        Options {
            agent_qos: qos.iter().map(|s| s.parse().unwrap()).collect(),
            agent_weights: weights.iter().map(|s| s.parse().unwrap()).collect(),
            ..Options::default()
        }
    }

    #[test]
    fn the_last_that_matches_decides() {
        let o = options(
            &["agents/*=background", "agents/desk-?=interactive", "container:ci-*=background"],
            &["agents/desk-1=300", "label:tier=batch=20", "label:vip=900"],
        );
        assert_eq!(o.of_cgroup("agents/a"), Setting { qos: Some(Qos::Background), ..Setting::default() });
        let desk = Setting { qos: Some(Qos::Interactive), weight: Some(Weight::Own(300)), budget: None };
        assert_eq!(o.of_cgroup("agents/desk-1"), desk);
        assert_eq!(o.of_cgroup("agents/desk-1/below"), Setting::default());
        let none = |_: &str| None;
        assert_eq!(o.of_container("ci-1", none).qos, Some(Qos::Background));
        assert_eq!(o.of_container("web", none), Setting::default());
        let tier = |key: &str| (key == "tier").then_some("batch");
        assert_eq!(o.of_container("web", tier).weight, Some(Weight::Own(20)));
        assert_eq!(o.of_container("web", |k| (k == "vip").then_some("")).weight, Some(Weight::Own(900)));
        assert!(o.ask_cgroups() && o.ask_containers());
        assert!(!Options::default().ask_cgroups() && !Options::default().ask_containers());
    }

    #[test]
    fn containers_are_asked_anew_only_if_something_else_is_said_of_them() {
        let before = options(&["agents/*=background", "container:ci-*=background"], &["label:vip=900"]);
        let same = options(&["container:ci-*=background"], &["label:vip=900", "agents/x=3"]);
        assert!(!before.ask_containers_else(&same) && before.ask_cgroups());
        assert!(before.ask_containers_else(&options(&["container:ci-*=background"], &[])));
        let budget = Options { agent_budgets: vec!["label:vip=60".parse().unwrap()], ..Options::default() };
        assert!(budget.ask_containers_else(&Options::default()) && budget.ask_containers());
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for bad in [
            "agents/*",
            "=background",
            "agents/*=fast",
            "agents/*=",
            "container:=background",
            "label:=x=background",
        ] {
            assert!(bad.parse::<Rule<Qos>>().is_err(), "{bad:?}");
        }
        for bad in ["a=0", "a=10001", "a=-1", "a=ten"] {
            assert!(bad.parse::<Rule<Weight>>().is_err(), "{bad:?}");
        }
        for bad in ["a=-1", "a=1.5", "a=", "a=99999999999999999"] {
            assert!(bad.parse::<Rule<BudgetS>>().is_err(), "{bad:?}");
        }
        for bad in ["", "x", "3-", "4-2"] {
            assert!(parse_cpus(bad).is_err(), "{bad:?}");
        }
        assert_eq!(parse_cpus("0-2,8").unwrap(), Cpus(vec![0, 1, 2, 8]));
    }

    #[test]
    fn cpus_are_bits_and_some_are_there() {
        let on = |cpus: &str| Options { background_cpus: parse_cpus(cpus).ok(), ..Options::default() };
        assert_eq!(on("1,65,4000").background_mask(128).unwrap(), Some(vec![2, 2]));
        assert_eq!(Options::default().background_mask(4).unwrap(), None);
        assert!(on("4-7").background_mask(4).is_err());
    }
}
