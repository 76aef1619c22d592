// SPDX-License-Identifier: GPL-2.0-only
//! The scenarios by name: what load each one is.

use agentload::generate::{generate, Params, Profile};
use agentload::plan::Agent;
use anyhow::{bail, Context, Result};

/// A load to put schedulers under.
pub struct Scenario {
    pub name: &'static str,
    /// One sentence for people.
    pub doc: &'static str,
    pub load: Load,
}

/// Where a scenario's load comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Load {
    /// Generated agents of `agentload generate --profile mix`.
    Mix { agents: u32, turns: u32 },
    /// Agents that replay `window_s` seconds of recorded traces, with all waits divided by
    /// `speedup`.
    Traces { agents: u32, window_s: u32, speedup: u32 },
    /// `agentload react`: calls of `width` processes that start on a saturated machine.
    React { width: u32, rounds: u32 },
}

/// All scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "small",
        doc: "8 generated agents, two turns each: quick, for CI.",
        load: Load::Mix { agents: 8, turns: 2 },
    },
    Scenario {
        name: "gen50",
        doc: "33 generated agents, three turns each: about 50 % load on 8 CPUs.",
        load: Load::Mix { agents: 33, turns: 3 },
    },
    Scenario {
        name: "gen70",
        doc: "46 generated agents, three turns each: about 70 % load on 8 CPUs.",
        load: Load::Mix { agents: 46, turns: 3 },
    },
    Scenario {
        name: "gen95",
        doc: "58 generated agents, three turns each: about 95 % load on 8 CPUs.",
        load: Load::Mix { agents: 58, turns: 3 },
    },
    Scenario {
        name: "gen150",
        doc: "92 generated agents, three turns each: about 150 % load on 8 CPUs.",
        load: Load::Mix { agents: 92, turns: 3 },
    },
    Scenario {
        name: "traces70",
        doc: "24 s of 72 recorded agents, waits a quarter as long: about 70 % load on 8 CPUs.",
        load: Load::Traces { agents: 72, window_s: 24, speedup: 4 },
    },
    Scenario {
        name: "traces95",
        doc: "24 s of 88 recorded agents, waits a quarter as long: about 95 % load on 8 CPUs.",
        load: Load::Traces { agents: 88, window_s: 24, speedup: 4 },
    },
    Scenario {
        name: "react",
        doc: "Reaction: calls of four processes that start together on a saturated machine.",
        load: Load::React { width: 4, rounds: 20 },
    },
];

/// The scenario named `name`.
pub fn find(name: &str) -> Result<&'static Scenario> {
    SCENARIOS.iter().find(|s| s.name == name).with_context(|| {
        let names: Vec<&str> = SCENARIOS.iter().map(|s| s.name).collect();
        format!("no scenario {name:?}: use {}", names.join(", "))
    })
}

impl Scenario {
    /// The same with less to do: one turn for each agent, a third of the
    /// traces, a quarter of the rounds.
    pub fn quick(&self) -> Load {
        match self.load {
            Load::Mix { agents, .. } => Load::Mix { agents, turns: 1 },
            Load::Traces { agents, window_s, speedup } => {
                Load::Traces { agents, window_s: window_s.div_ceil(3), speedup }
            }
            Load::React { width, rounds } => Load::React { width, rounds: rounds.div_ceil(4) },
        }
    }
}

/// The plan of a generated load.
pub fn generated(load: Load, seed: u64) -> Result<Vec<Agent>> {
    let Load::Mix { agents, turns } = load else {
        bail!("only generated scenarios have a plan without a machine or traces");
    };
    Ok(generate(&Params { profile: Profile::Mix, agents, turns, seed, ..Params::default() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_unknown_ones_explained() {
        for s in SCENARIOS {
            assert_eq!(find(s.name).unwrap().name, s.name);
            assert!(s.doc.ends_with('.'));
        }
        assert!(find("gen71").err().unwrap().to_string().contains("gen70"));
    }

    #[test]
    fn plans_are_of_the_stated_size() {
        let plan = generated(find("gen70").unwrap().load, 1).unwrap();
        assert_eq!(plan.len(), 46);
        assert!(plan.iter().all(|a| a.turns.len() == 3));
        assert_eq!(generated(find("gen70").unwrap().quick(), 1).unwrap()[0].turns.len(), 1);
    }
}
