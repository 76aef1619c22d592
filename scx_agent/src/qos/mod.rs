// SPDX-License-Identifier: GPL-2.0-only
//! Classes, weights and budgets of agents: what the settings, an agent's container and its operator say of
//! each (`options`), put together and told to the kernel half (`settings`), which ranks by it.

mod budget;
mod options;
mod settings;

pub use options::Options;
pub use settings::Settings;

use crate::bpf_intf;
use serde::{Deserialize, Serialize};
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

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Weight::Cgroup => f.write_str("cgroup"),
            Weight::Own(n) => n.fmt(f),
        }
    }
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

/// CPU time that an agent may use in a window, in s; 0: as much as it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetS(pub u64);

/// The largest budget, in s: a century of a thousand CPUs, so that it can be counted in us.
const BUDGET_MAX_S: u64 = 100 * 366 * 86_400 * 1000;

impl FromStr for BudgetS {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s.parse() {
            Ok(n @ 0..=BUDGET_MAX_S) => Ok(BudgetS(n)),
            _ => Err(format!("{s:?} is no budget: seconds of CPU time, 0 for none")),
        }
    }
}

/// What somebody says of an agent, as far as they do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    pub qos: Option<Qos>,
    pub weight: Option<Weight>,
    pub budget: Option<BudgetS>,
}

impl Setting {
    /// This, and what it does not say from `below`.
    fn over(self, below: Setting) -> Setting {
        Setting {
            qos: self.qos.or(below.qos),
            weight: self.weight.or(below.weight),
            budget: self.budget.or(below.budget),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_words_are_over_earlier_ones_as_far_as_they_go() {
        let qos = |q| Setting { qos: Some(q), ..Setting::default() };
        let weight = |w| Setting { weight: Some(w), ..Setting::default() };
        let both = weight(Weight::Own(5)).over(qos(Qos::Background));
        assert_eq!((both.qos, both.weight), (Some(Qos::Background), Some(Weight::Own(5))));
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
