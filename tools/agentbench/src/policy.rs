// SPDX-License-Identifier: GPL-2.0-only
//! Rank functions for the ideal simulation ([`crate::ideal`]).
//!
//! A policy maps what is known of a running tool call to a [`Rank`]; the simulator serves ranks
//! in ascending order and shares cores equally between the processes of calls of equal rank. To
//! evaluate another candidate, add a variant, its arm in [`Policy::rank`] and its name in
//! [`Policy::from_str`].

use anyhow::{bail, Context, Result};
use std::fmt;
use std::str::FromStr;

/// What a policy may look at. Only [`Policy::Srpt`] uses `remaining_ms`, which no real scheduler
/// knows.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// CPU the call has had so far, all processes together, in ms.
    pub attained_ms: f64,
    /// CPU the call still needs, all processes and stages together, in ms.
    pub remaining_ms: f64,
    /// Processes of the call's present stage.
    pub width: u32,
    /// Time since the call started, in ms.
    pub age_ms: f64,
    /// Order of call starts.
    pub seq: u64,
    /// Attained service closer than this counts as equal, in ms.
    pub grain_ms: f64,
}

/// Lower is served first; equal ranks share. `level` is compared before `order`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Rank {
    pub level: f64,
    pub order: u64,
}

/// A scheduling policy for tool calls. Framework work comes before all of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Policy {
    /// Every runnable process has an equal share.
    Equal,
    /// First come first served by call start.
    Fcfs,
    /// Least attained service of the call; calls with `cap_ms` or more share equally.
    Las { cap_ms: f64 },
    /// Least attained service of the call up to `cap_ms`; first come first served above it.
    LasFcfs { cap_ms: f64 },
    /// What the scheduler does (`bpf/rank.h`): attained service times width up to `cap_ms`; above
    /// it first come first served, each process beyond the first worth `bonus_ms`.
    WidthLas { cap_ms: f64, bonus_ms: f64 },
    /// Least attained service divided by the width of the stage.
    WideLas,
    /// Attained service less `alpha` times the call's age: waiting calls move forward.
    AgedLas { alpha: f64 },
    /// Level = floor(log2(attained / base)), at most `cap`; lowest level first, within a level
    /// first come first served by call start.
    Mlf { base_ms: f64, cap: u32 },
    /// The levels of [`Policy::Mlf`], within a level an equal share for every process.
    MlfShare { base_ms: f64, cap: u32 },
    /// Clairvoyant: shortest remaining CPU demand first.
    Srpt,
}

/// Level of a call in a multi-level queue: 0 below `base_ms`, then one more for each doubling.
fn level(attained_ms: f64, base_ms: f64, cap: u32) -> f64 {
    match attained_ms / base_ms {
        r if r < 1.0 => 0.0,
        r => (1.0 + r.log2().floor()).min(cap as f64),
    }
}

impl Policy {
    /// The rank of a call now.
    pub fn rank(&self, v: &View) -> Rank {
        let shared = |level: f64| Rank { level, order: 0 };
        match *self {
            Policy::Equal => shared(0.0),
            Policy::Fcfs => Rank { level: 0.0, order: v.seq },
            Policy::Las { cap_ms } => shared((v.attained_ms.min(cap_ms) / v.grain_ms).floor()),
            Policy::LasFcfs { cap_ms } if v.attained_ms >= cap_ms => {
                Rank { level: (cap_ms / v.grain_ms).floor(), order: 1 + v.seq }
            }
            Policy::LasFcfs { .. } => shared((v.attained_ms / v.grain_ms).floor()),
            Policy::WidthLas { cap_ms, bonus_ms } if v.attained_ms * v.width as f64 >= cap_ms => {
                // A call's age grows with the clock, like everybody's: the order stays.
                let place = 1e9 - v.age_ms - bonus_ms * (v.width.max(1) - 1) as f64;
                Rank { level: (cap_ms / v.grain_ms).floor(), order: (place * 1e3) as u64 }
            }
            Policy::WidthLas { .. } => shared((v.attained_ms * v.width as f64 / v.grain_ms).floor()),
            Policy::WideLas => shared((v.attained_ms / v.width.max(1) as f64 / v.grain_ms).floor()),
            Policy::AgedLas { alpha } => shared(((v.attained_ms - alpha * v.age_ms) / v.grain_ms).floor()),
            Policy::Mlf { base_ms, cap } => Rank { level: level(v.attained_ms, base_ms, cap), order: v.seq },
            Policy::MlfShare { base_ms, cap } => shared(level(v.attained_ms, base_ms, cap)),
            Policy::Srpt => Rank { level: v.remaining_ms, order: v.seq },
        }
    }

    /// The policies that `agentbench ideal` prints when none is named.
    pub fn defaults() -> Vec<Policy> {
        let cap = u32::MAX;
        vec![
            Policy::Equal,
            Policy::Fcfs,
            Policy::Las { cap_ms: f64::INFINITY },
            Policy::Las { cap_ms: 1000.0 },
            Policy::Las { cap_ms: 2000.0 },
            Policy::LasFcfs { cap_ms: 1000.0 },
            Policy::LasFcfs { cap_ms: 2000.0 },
            Policy::WidthLas { cap_ms: 1000.0, bonus_ms: 500.0 },
            Policy::WideLas,
            Policy::AgedLas { alpha: 0.1 },
            Policy::AgedLas { alpha: 0.3 },
            Policy::Mlf { base_ms: 10.0, cap },
            Policy::Mlf { base_ms: 50.0, cap },
            Policy::Mlf { base_ms: 50.0, cap: 4 },
            Policy::Mlf { base_ms: 50.0, cap: 5 },
            Policy::Mlf { base_ms: 50.0, cap: 6 },
            Policy::MlfShare { base_ms: 50.0, cap },
            Policy::MlfShare { base_ms: 50.0, cap: 5 },
            Policy::Srpt,
        ]
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let levels = |f: &mut fmt::Formatter<'_>, name: &str, base: f64, cap: u32| match cap {
            u32::MAX => write!(f, "{name}:{base}"),
            cap => write!(f, "{name}:{base}:{cap}"),
        };
        match *self {
            Policy::Equal => f.write_str("equal"),
            Policy::Fcfs => f.write_str("fcfs"),
            Policy::Las { cap_ms } if cap_ms.is_infinite() => f.write_str("las"),
            Policy::Las { cap_ms } => write!(f, "las:{cap_ms}"),
            Policy::LasFcfs { cap_ms } => write!(f, "las-fcfs:{cap_ms}"),
            Policy::WidthLas { cap_ms, bonus_ms } => write!(f, "width-las:{cap_ms}:{bonus_ms}"),
            Policy::WideLas => f.write_str("wide-las"),
            Policy::AgedLas { alpha } => write!(f, "aged-las:{alpha}"),
            Policy::Mlf { base_ms, cap } => levels(f, "mlf", base_ms, cap),
            Policy::MlfShare { base_ms, cap } => levels(f, "mlf-share", base_ms, cap),
            Policy::Srpt => f.write_str("srpt"),
        }
    }
}

impl FromStr for Policy {
    type Err = anyhow::Error;

    /// `equal`, `fcfs`, `las[:CAP_MS]`, `las-fcfs:CAP_MS`, `width-las:CAP_MS:BONUS_MS`, `wide-las`, `aged-las:ALPHA`,
    /// `mlf:BASE_MS[:CAP_LEVEL]`, `mlf-share:BASE_MS[:CAP_LEVEL]`, `srpt`.
    fn from_str(s: &str) -> Result<Policy> {
        let mut parts = s.split(':');
        let name = parts.next().unwrap_or("");
        let numbers = parts
            .map(|p| {
                let n: f64 = p.parse().with_context(|| format!("policy {s:?}: {p:?} is no number"))?;
                match n > 0.0 {
                    true => Ok(n),
                    false => bail!("policy {s:?}: {p} must be above 0"),
                }
            })
            .collect::<Result<Vec<f64>>>()?;
        Ok(match (name, numbers.as_slice()) {
            ("equal", []) => Policy::Equal,
            ("fcfs", []) => Policy::Fcfs,
            ("las", []) => Policy::Las { cap_ms: f64::INFINITY },
            ("las", [cap_ms]) => Policy::Las { cap_ms: *cap_ms },
            ("las-fcfs", [cap_ms]) => Policy::LasFcfs { cap_ms: *cap_ms },
            ("width-las", [cap_ms, bonus_ms]) => Policy::WidthLas { cap_ms: *cap_ms, bonus_ms: *bonus_ms },
            ("wide-las", []) => Policy::WideLas,
            ("aged-las", [alpha]) => Policy::AgedLas { alpha: *alpha },
            ("mlf", [base_ms]) => Policy::Mlf { base_ms: *base_ms, cap: u32::MAX },
            ("mlf", [base_ms, cap]) => Policy::Mlf { base_ms: *base_ms, cap: *cap as u32 },
            ("mlf-share", [base_ms]) => Policy::MlfShare { base_ms: *base_ms, cap: u32::MAX },
            ("mlf-share", [base_ms, cap]) => Policy::MlfShare { base_ms: *base_ms, cap: *cap as u32 },
            ("srpt", []) => Policy::Srpt,
            _ => bail!(
                "unknown policy {s:?}: use equal, fcfs, las[:CAP_MS], las-fcfs:CAP_MS, \
                 width-las:CAP_MS:BONUS_MS, wide-las, \
                 aged-las:ALPHA, mlf:BASE_MS[:CAP_LEVEL], mlf-share:BASE_MS[:CAP_LEVEL] or srpt"
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for p in Policy::defaults() {
            assert_eq!(p.to_string().parse::<Policy>().unwrap(), p);
        }
        assert!("las:x".parse::<Policy>().is_err());
        assert!("mlf".parse::<Policy>().is_err());
    }

    #[test]
    fn levels_double() {
        assert_eq!(level(0.0, 10.0, 9), 0.0);
        assert_eq!(level(9.9, 10.0, 9), 0.0);
        assert_eq!(level(10.0, 10.0, 9), 1.0);
        assert_eq!(level(39.0, 10.0, 9), 2.0);
        assert_eq!(level(40.0, 10.0, 9), 3.0);
        assert_eq!(level(1e9, 10.0, 9), 9.0);
    }
}
