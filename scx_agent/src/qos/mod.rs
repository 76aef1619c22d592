// SPDX-License-Identifier: GPL-2.0-only
//! Classes and weights of agents: what the settings, an agent's container and its operator say of each,
//! put together and told to the kernel half, which ranks by it.

mod options;

pub use options::Options;

use crate::bpf_intf;
use crate::kernel::Kernel;
use anyhow::Result;
use log::warn;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// What an agent's work is worth beside that of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Qos {
    /// A person waits.
    Interactive,
    #[default]
    Standard,
    /// Nobody waits.
    Background,
}

impl Qos {
    pub fn from_raw(raw: u32) -> Option<Qos> {
        match raw {
            bpf_intf::agent_qos_QOS_STANDARD => Some(Qos::Standard),
            bpf_intf::agent_qos_QOS_INTERACTIVE => Some(Qos::Interactive),
            bpf_intf::agent_qos_QOS_BACKGROUND => Some(Qos::Background),
            _ => None,
        }
    }

    fn raw(self) -> u32 {
        match self {
            Qos::Standard => bpf_intf::agent_qos_QOS_STANDARD,
            Qos::Interactive => bpf_intf::agent_qos_QOS_INTERACTIVE,
            Qos::Background => bpf_intf::agent_qos_QOS_BACKGROUND,
        }
    }
}

impl FromStr for Qos {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "interactive" => Ok(Qos::Interactive),
            "standard" => Ok(Qos::Standard),
            "background" => Ok(Qos::Background),
            _ => Err(format!("{s:?} is no class: interactive, standard or background")),
        }
    }
}

impl fmt::Display for Qos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Qos::Interactive => "interactive",
            Qos::Standard => "standard",
            Qos::Background => "background",
        })
    }
}

/// The weight of an agent, as in cpu.weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// That of its cgroup.
    Cgroup,
    /// 1 to 10000.
    Own(u32),
}

impl FromStr for Weight {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match (s, s.parse()) {
            ("cgroup", _) => Ok(Weight::Cgroup),
            (_, Ok(n @ 1..=10_000)) => Ok(Weight::Own(n)),
            _ => Err(format!("{s:?} is no weight: 1 to 10000, or `cgroup` for that of its cgroup")),
        }
    }
}

/// What somebody says of an agent, as far as they do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    pub qos: Option<Qos>,
    pub weight: Option<Weight>,
}

impl Setting {
    /// This, and what it does not say from `below`.
    fn over(self, below: Setting) -> Setting {
        Setting { qos: self.qos.or(below.qos), weight: self.weight.or(below.weight) }
    }
}

/// What is said of one agent, and by whom.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    cgroup: Setting,
    container: Setting,
    operator: Setting,
}

/// What is said of all agents; kept over restarts of the kernel half.
#[derive(Debug, Default)]
pub struct Settings {
    options: Options,
    /// By cgroup; only of those of which something is said.
    said: BTreeMap<u64, Said>,
}

impl Settings {
    pub fn new(options: Options) -> Settings {
        Settings { options, said: BTreeMap::new() }
    }

    /// A new agent with this cgroup; `path` finds that relative to the cgroup v2 root.
    pub fn found(&mut self, id: u64, path: impl FnOnce() -> String, kernel: &Kernel) {
        if self.options.ask_cgroups() {
            let setting = self.options.of_cgroup(&path());
            if setting != Setting::default() {
                self.said.entry(id).or_default().cgroup = setting;
            }
        }
        if self.said.contains_key(&id) {
            self.apply(id, kernel);
        }
    }

    /// What the settings say of the container whose cgroup this is.
    pub fn container(&mut self, id: u64, setting: Setting, kernel: &Kernel) {
        self.said.entry(id).or_default().container = setting;
        self.apply(id, kernel);
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
        self.said.remove(&id);
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
        let said = self.said.get(&id).copied().unwrap_or_default();
        let Setting { qos, weight } = said.operator.over(said.container).over(said.cgroup);
        let weight = match weight {
            Some(Weight::Own(n)) => n,
            Some(Weight::Cgroup) | None => 0,
        };
        kernel.set(id, qos.unwrap_or_default().raw(), weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_words_are_over_earlier_ones_as_far_as_they_go() {
        let qos = |q| Setting { qos: Some(q), weight: None };
        let weight = |w| Setting { qos: None, weight: Some(w) };
        let both = weight(Weight::Own(5)).over(qos(Qos::Background));
        assert_eq!(both, Setting { qos: Some(Qos::Background), weight: Some(Weight::Own(5)) });
        assert_eq!(weight(Weight::Cgroup).over(both).weight, Some(Weight::Cgroup));
        assert_eq!(qos(Qos::Standard).over(both).qos, Some(Qos::Standard));
    }

    #[test]
    fn classes_are_what_they_are_called() {
        for qos in [Qos::Interactive, Qos::Standard, Qos::Background] {
            assert_eq!(qos.to_string().parse(), Ok(qos));
            assert_eq!(Qos::from_raw(qos.raw()), Some(qos));
            assert_eq!(serde_json::to_value(qos).unwrap(), qos.to_string());
        }
        assert!(Qos::from_raw(99).is_none() && "urgent".parse::<Qos>().is_err());
    }
}
