// SPDX-License-Identifier: GPL-2.0-only
//! What the memory controller decides, as arithmetic: figures in, limits out.
//!
//! An agent that waits for its model is held to its baseline (what it used in such waits) plus
//! slack. Bursts of tool calls are free while the host has memory, or swap and none is more important. Under
//! pressure, what the host has left is shared among them: the most important goes on, of equals the oldest; the
//! last waits.

use super::limit::{Limit, MB};
use std::time::Duration;

/// The least a limit moves: smaller changes are not worth a write.
pub const STEP_MIN: u64 = 4 * MB;
/// What the first burst may grow by between two decisions, however little the host has left: so
/// one of them always gets to its end and gives its memory back.
const FIRST_GROWTH: u64 = 8 * MB;
/// What a burst that does not grow may use more than it does, so that it can begin to.
const IDLE_GROWTH: u64 = 16 * MB;
/// How long after it has grown a burst counts as one that does: they do not grow evenly.
pub const NEEDS: Duration = Duration::from_secs(2);
/// How long the baseline takes to follow a rise of usage.
const RISE: Duration = Duration::from_secs(60);
/// Times between two looks at a host with bursts: the longest, and the shortest.
pub const LOOK_MAX: Duration = Duration::from_millis(250);
pub const LOOK_MIN: Duration = Duration::from_millis(50);
/// Part of the time that looking may take, and from which pause on it may take more: brakes hold for a second.
const LOOK_PART: u32 = 20;
const LOOK_REST: Duration = Duration::from_millis(500);
/// PSI of an agent, some avg10 in percent, from which it needs what it has: no more is reclaimed.
pub const AGENT_STALLED_PCT: f32 = 1.0;

/// What the operator chooses.
#[derive(Clone, Debug)]
pub struct Tunables {
    /// Room above the baseline in LLM wait, in percent of it.
    pub slack_pct: u64,
    /// Least room above the baseline, in bytes.
    pub slack_min: u64,
    /// How long an agent has to wait for its model before anything is taken from it.
    pub settle: Duration,
    /// Memory of the host that bursts may not use up, in bytes.
    pub reserve: u64,
    /// PSI of the host without what is held by us, in percent, from which it is short of memory.
    pub pressure_pct: f32,
    /// How much higher the oom_score_adj of tool calls is, 0..=1000; 0: left alone.
    pub oom_adj: u32,
    /// Calls over their share are not dispatched less.
    pub no_brake: bool,
    /// From when on an agent that waits is idle; None: never.
    pub idle_after: Option<Duration>,
}

/// What one agent uses now, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// memory.current.
    pub current: u64,
    /// File cache that no process has mapped.
    pub cache: u64,
    /// What is swapped out.
    pub swap: u64,
}

impl Usage {
    /// What the agent's processes have in memory.
    pub fn resident(&self) -> u64 {
        self.current.saturating_sub(self.cache)
    }
}

/// Why a baseline takes a value over as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    No,
    /// Before the first tool call: all there is is the framework's.
    OnlyFramework,
    /// Its tasks stall for memory: what is left to them is what they need.
    Stalls,
}

/// The baseline after a look at an agent in LLM wait, `elapsed` after the last one.
///
/// Falls at once, but only by what was really given back: what reclaim has moved to swap is not
/// less need, or limits would creep down. Rises slowly, and only to what is in memory: what a tool
/// has left behind and reclaim has moved out is not more need.
pub fn baseline(old: Option<u64>, usage: &Usage, elapsed: Duration, trust: Trust) -> u64 {
    let (resident, all) = (usage.resident(), usage.resident().saturating_add(usage.swap));
    let Some(old) = old.filter(|_| trust != Trust::OnlyFramework) else { return all };
    if all < old {
        all
    } else if trust == Trust::Stalls {
        old.max(resident)
    } else {
        let part = (elapsed.as_secs_f64() / RISE.as_secs_f64()).min(1.0);
        old + (resident.saturating_sub(old) as f64 * part) as u64
    }
}

impl Tunables {
    /// The least that an agent with this baseline is ever held to.
    pub fn floor(&self, baseline: u64) -> u64 {
        let slack = (u128::from(baseline) * u128::from(self.slack_pct) / 100).min(u128::from(u64::MAX));
        baseline.saturating_add((slack as u64).max(self.slack_min))
    }

    /// Least time from one look to the next, if that takes `took`.
    pub fn rest(took: Duration) -> Duration {
        took.saturating_mul(LOOK_PART).clamp(LOOK_MIN, LOOK_REST)
    }

    /// When to look again at a host that has `available` bytes and has lost `lost_per_s` of them a second since the
    /// last look, which took `took`: before half of what is above the reserve is gone.
    pub fn next_look(&self, available: u64, lost_per_s: f64, took: Duration) -> Duration {
        let room = available.saturating_sub(self.reserve) as f64 / 2.0;
        let longest = LOOK_MAX.as_secs_f64();
        let lasts_s = if lost_per_s > 0.0 { (room / lost_per_s).min(longest) } else { longest };
        Duration::from_secs_f64(lasts_s).max(Tunables::rest(took))
    }

    /// Whether the host is short of memory, of whose tasks `stalled_pct` stall that we do not hold; `was` is the
    /// last answer. Ends only well below where it begins.
    pub fn is_short(&self, was: bool, available: u64, stalled_pct: f32) -> bool {
        if was {
            available < self.reserve.saturating_add(self.reserve / 2) || stalled_pct > self.pressure_pct / 2.0
        } else {
            available < self.reserve || stalled_pct > self.pressure_pct
        }
    }
}

/// What an agent's limit must respect.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Baseline plus slack, in bytes.
    pub floor: u64,
    /// memory.high before us: never exceeded.
    pub original: Limit,
    /// memory.max: a limit of ours stays 18 % under it, as throttling needs room to work.
    pub max: Limit,
}

impl Bounds {
    /// `wanted` within the bounds, or the original where there is no room for a limit at all.
    fn apply(&self, wanted: u64) -> Limit {
        let under_max = match self.max {
            Limit::Bytes(max) => max / 100 * 82,
            Limit::Max => u64::MAX,
        };
        let limit = wanted.max(self.floor).min(under_max);
        if limit < self.floor {
            return self.original;
        }
        Limit::pages(limit).min(self.original)
    }
}

/// What to do with an agent in LLM wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    pub high: Limit,
    /// Bytes to reclaim now.
    pub reclaim: u64,
    /// Whether they are all file cache, so that nothing need be swapped.
    pub cache_only: bool,
    pub rule: &'static str,
}

/// Holds an agent in LLM wait to its floor: leftovers go in steps, and the limit follows from
/// above, as one below usage would throttle the framework. `stalled`: its PSI says it needs it.
pub fn settle(usage: &Usage, bounds: &Bounds, stalled: bool, short: bool) -> Settled {
    let excess = usage.current.saturating_sub(bounds.floor);
    let room = (bounds.floor / 16).max(16 * MB);
    let high = bounds.apply(usage.current.saturating_add(room).max(bounds.floor));
    if excess < STEP_MIN {
        return Settled { high, reclaim: 0, cache_only: true, rule: "baseline + slack" };
    }
    if stalled {
        return Settled { high, reclaim: 0, cache_only: true, rule: "stalls, left alone" };
    }
    let most = if short { 512 * MB } else { 128 * MB };
    let step = (excess / 2).clamp(STEP_MIN, most).max(excess.min(16 * MB));
    Settled { high, reclaim: step, cache_only: usage.cache >= step, rule: "reclaim leftovers" }
}

/// The limit of an agent that has run into its own in LLM wait while the host has memory: room for
/// a good part of what it has, `current` bytes.
pub fn relief(current: u64, bounds: &Bounds) -> Limit {
    bounds.apply(current.saturating_add((current / 4).max(64 * MB)))
}

/// Whether who uses `current` bytes may just have run into `high`.
pub fn near(current: u64, high: Limit) -> bool {
    current >= high.bytes() / 8 * 7
}

/// Whether a limit that is `new` instead of `old` is worth a write.
pub fn worth(old: Limit, new: Limit) -> bool {
    old != new && old.bytes().abs_diff(new.bytes()) >= STEP_MIN.max(old.bytes().min(new.bytes()) / 64)
}

/// A burst: an agent with a tool call.
#[derive(Clone, Copy, Debug)]
pub struct Burst {
    /// memory.current in bytes.
    pub current: u64,
    /// Has grown or was throttled in the last [`NEEDS`]: it needs more now.
    pub needs: bool,
    /// Its share against others, the cgroup's cpu.weight: 1..=10000.
    pub weight: u64,
    pub bounds: Bounds,
}

/// What a burst may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    pub high: Limit,
    /// What it may use by the rule, in bytes, whatever bounds say of the limit.
    pub budget: u64,
    pub rule: &'static str,
}

/// Shares the host's `headroom` (available minus reserve, in bytes; may be negative) among
/// `bursts`, the most important first, of equals the oldest.
///
/// One that is more important than all others is open; with `open_from`, all of that weight or more. Every burst keeps its floor, and the first all it has.
/// What the others hold above the floor is theirs, in this order, as far as the pool goes; of the last, at most
/// an eighth is taken back at a time, or half for a more important one that grows. What is then left goes to those that need it now by weight, each half as
/// much as the one before it, so that the last are throttled first.
pub fn share(bursts: &[Burst], headroom: i64, open_from: Option<u64>) -> Vec<Grant> {
    let held = |b: &Burst| b.current.saturating_sub(b.bounds.floor);
    let all_held = bursts.iter().map(held).fold(0u64, u64::saturating_add);
    let open = open(bursts, open_from);
    let mut pool = match headroom {
        0.. => all_held.saturating_add(headroom as u64),
        _ => all_held.saturating_sub(headroom.unsigned_abs()),
    };
    let kept: Vec<u64> = bursts
        .iter()
        .enumerate()
        .map(|(i, b)| {
            let keep = if i < open.max(1) { held(b) } else { held(b).min(pool) };
            pool = pool.saturating_sub(keep);
            keep
        })
        .collect();
    let claims = claims(bursts);
    let all_claims: f64 = claims.iter().sum();
    let mut first = true;
    let part = if urgent(bursts, open_from) { 2 } else { 8 };
    let grants = bursts.iter().enumerate().zip(kept).zip(claims).map(|(((i, b), keep), claim)| {
        let extra = if all_claims > 0.0 { (pool as f64 * (claim / all_claims)) as u64 } else { 0 };
        let (wanted, rule) = if i < open {
            first = first && claim == 0.0;
            return Grant { high: b.bounds.original, budget: u64::MAX, rule: "most important burst is open" };
        } else if claim > 0.0 && first {
            (b.current.saturating_add(extra.max(FIRST_GROWTH)), "first burst goes on")
        } else if keep < held(b) {
            ((b.bounds.floor + keep).max(b.current - b.current / part), "later burst gives back")
        } else if claim > 0.0 {
            (b.current.saturating_add(extra), "share of headroom by weight")
        } else {
            (b.current.saturating_add(IDLE_GROWTH), "burst does not grow")
        };
        first = first && claim == 0.0;
        Grant { high: b.bounds.apply(wanted), budget: wanted.max(b.bounds.floor), rule }
    });
    grants.collect()
}

/// How many of `bursts`, the first, are open: see [`share`].
fn open(bursts: &[Burst], open_from: Option<u64>) -> usize {
    match (open_from, bursts) {
        (Some(weight), _) => bursts.iter().take_while(|b| b.weight >= weight).count(),
        (None, [first, second, ..]) if first.weight > second.weight => 1,
        _ => 0,
    }
}

/// Whether others are waited for: one that is open grows.
pub fn urgent(bursts: &[Burst], open_from: Option<u64>) -> bool {
    bursts[..open(bursts, open_from)].iter().any(|b| b.needs)
}

/// What is to be taken from a burst, in bytes. One that grows gives back by itself when it runs into its limit,
/// unless it is `urgent`; from one that does not, a limit takes nothing.
pub fn take_back(burst: &Burst, grant: &Grant, urgent: bool) -> u64 {
    match burst.needs && !urgent {
        true => 0,
        false => burst.current.saturating_sub(grant.budget),
    }
}

/// Whether a burst has got to what it may use, and would go on.
pub fn over_share(burst: &Burst, grant: &Grant) -> bool {
    burst.needs && burst.current.saturating_add(STEP_MIN) > grant.budget
}

/// Limits of an agent's calls in cgroups of their own, which use `used` bytes each, so that all of the
/// agent, which uses `all`, stays within `high`: they share the room there is, or give back, in proportion
/// to what they use, as one that sleeps needs no room.
pub fn split(high: Limit, all: u64, used: &[u64]) -> Vec<Limit> {
    let Limit::Bytes(high) = high else { return vec![Limit::Max; used.len()] };
    let calls = used.iter().copied().fold(0, u64::saturating_add);
    let theirs = high.saturating_sub(all.saturating_sub(calls));
    let part =
        |of: u64, own: u64, all: u64| (u128::from(of) * u128::from(own) / u128::from(all.max(1))) as u64;
    // A call that has just begun has a share, too.
    let weight = |own: u64| own.saturating_add(STEP_MIN);
    let weights = used.iter().map(|own| weight(*own)).fold(0, u64::saturating_add);
    let limit = |&own: &u64| match theirs.checked_sub(calls) {
        Some(room) => own.saturating_add(part(room, weight(own), weights)),
        None => part(theirs, own, calls),
    };
    used.iter().map(|own| Limit::pages(limit(own).max(STEP_MIN))).collect()
}

/// How much of the pool each burst may claim, relative to the others.
fn claims(bursts: &[Burst]) -> Vec<f64> {
    let mut part = 1.0;
    bursts
        .iter()
        .map(|b| {
            if !b.needs {
                return 0.0;
            }
            part /= 2.0;
            2.0 * part * b.weight.clamp(1, 10_000) as f64
        })
        .collect()
}

#[cfg(test)]
#[path = "policy_tests.rs"]
pub mod tests;
