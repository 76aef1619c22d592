// SPDX-License-Identifier: GPL-2.0-only
//! What many such agents would use together: each one drawn by chance, at a random moment of its time, so that
//! those that take longer are there more often. Their sum is a distribution that is computed, not simulated.
//!
//! Its P99 hangs on the few samples that use many CPUs, and so on how many of the agents that are given have any:
//! where more than one moment in 6000 is such a sample, the sum of 64 has one more often than once in a hundred.

use super::track::Track;
use serde::Serialize;

/// How many agents are put together.
pub const AGENTS: [u32; 2] = [64, 256];

/// Steps of a distribution: fine enough for three digits of a sum.
const STEPS: usize = 4096;

/// So many agents at random phases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Together {
    pub agents: u32,
    /// CPUs in use.
    pub cpus: Option<Sum>,
    /// Memory, in GB (10^9 bytes).
    pub memory_gb: Option<Sum>,
}

/// A sum over agents, over time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Sum {
    pub mean: f64,
    pub p99: f64,
}

/// Of agents such as `tracks`; nothing of those whose samples tell nothing.
pub fn together(tracks: &[&Track]) -> Vec<Together> {
    let intervals = || tracks.iter().flat_map(|t| t.intervals()).map(|((from, to), s)| (to - from, s));
    let cpus: Vec<_> = intervals().filter_map(|(s, sample)| Some((s, sample.cpu_pct? / 100.0))).collect();
    let memory: Vec<_> = intervals().filter_map(|(s, sample)| Some((s, sample.mem_mb? / 1000.0))).collect();
    AGENTS
        .iter()
        .map(|&agents| Together { agents, cpus: sum(&cpus, agents), memory_gb: sum(&memory, agents) })
        .filter(|t| t.cpus.is_some() || t.memory_gb.is_some())
        .collect()
}

/// The sum of `n` independent values, each of which is drawn from `values`, pairs of a weight and a value. None if
/// there are none.
fn sum(values: &[(f64, f64)], n: u32) -> Option<Sum> {
    let sound: Vec<(f64, f64)> =
        values.iter().copied().filter(|(weight, v)| *weight > 0.0 && v.is_finite() && *v >= 0.0).collect();
    let weight: f64 = sound.iter().map(|v| v.0).sum();
    let most = sound.iter().map(|v| v.1).reduce(f64::max)?;
    let mean = sound.iter().map(|v| v.0 * v.1).sum::<f64>() / weight;
    // What is beyond has next to no chance, and counts as that much.
    let bound = (2.0 * mean * f64::from(n) + 4.0 * most).min(most * f64::from(n));
    if bound <= 0.0 {
        return Some(Sum { mean: 0.0, p99: 0.0 });
    }
    let step = bound / (STEPS - 1) as f64;
    let mut one = vec![0.0; STEPS];
    for (w, v) in &sound {
        // Between two steps, so that the mean stays what it is.
        let at = (v / step).min((STEPS - 1) as f64);
        let (low, part) = (at.floor() as usize, at.fract());
        one[low] += w / weight * (1.0 - part);
        one[(low + 1).min(STEPS - 1)] += w / weight * part;
    }
    let all = times(&one, n);
    let mut below = 0.0;
    let rank = all.iter().position(|p| {
        below += p;
        below >= 0.99
    });
    let p99 = rank.unwrap_or(STEPS - 1) as f64 * step;
    Some(Sum { mean: mean * f64::from(n), p99 })
}

/// The distribution of the sum of `n` values with the distribution `one`.
fn times(one: &[f64], n: u32) -> Vec<f64> {
    let mut out = vec![0.0; one.len()];
    out[0] = 1.0;
    let (mut power, mut n) = (one.to_vec(), n);
    while n > 0 {
        if n & 1 == 1 {
            out = added(&out, &power);
        }
        n >>= 1;
        if n > 0 {
            power = added(&power, &power);
        }
    }
    out
}

/// The distribution of the sum of two values with the distributions `a` and `b`.
fn added(a: &[f64], b: &[f64]) -> Vec<f64> {
    let last = a.len() - 1;
    let mut out = vec![0.0; a.len()];
    for (i, p) in a.iter().enumerate().filter(|(_, p)| **p > 0.0) {
        let (within, beyond) = b.split_at(a.len() - i);
        for (to, q) in out[i..].iter_mut().zip(within) {
            *to += p * q;
        }
        out[last] += p * beyond.iter().sum::<f64>();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::track::Sample;
    use super::*;

    fn near(got: f64, want: f64, by: f64) {
        assert!((got - want).abs() <= by, "{got}, expected {want}");
    }

    #[test]
    fn a_sum_of_coins_is_binomial() {
        // A core, or none: of 64, 32 in the mean; P(<= 41) is 0.9918 and P(<= 40) 0.9836.
        let s = sum(&[(1.0, 0.0), (1.0, 1.0)], 64).unwrap();
        near(s.mean, 32.0, 1e-9);
        near(s.p99, 41.0, 0.1);
        // One in a hundred: of 256, 2.56; P(<= 6) is 0.9857 and P(<= 7) 0.9956.
        let s = sum(&[(99.0, 0.0), (1.0, 1.0)], 256).unwrap();
        near(s.mean, 2.56, 1e-9);
        near(s.p99, 7.0, 0.1);
    }

    #[test]
    fn constants_add_up_and_nothing_is_nothing() {
        let s = sum(&[(3.0, 0.25)], 64).unwrap();
        near(s.mean, 16.0, 1e-9);
        near(s.p99, 16.0, 0.02);
        assert_eq!(sum(&[(1.0, 0.0)], 64), Some(Sum { mean: 0.0, p99: 0.0 }));
        assert_eq!(sum(&[], 64), None);
        assert_eq!(sum(&[(0.0, 1.0), (1.0, f64::NAN)], 64), None);
    }

    #[test]
    fn who_takes_longer_is_there_more_often() {
        let track = |seconds: f64, cpu_pct: f64| Track {
            samples: vec![
                Sample { t_s: 1.0, cpu_pct: None, mem_mb: None },
                Sample { t_s: 1.0 + seconds, cpu_pct: Some(cpu_pct), mem_mb: Some(500.0) },
            ],
            ..Track::default()
        };
        let (long, short) = (track(30.0, 10.0), track(10.0, 50.0));
        let both = together(&[&long, &short]);
        assert_eq!(both.iter().map(|t| t.agents).collect::<Vec<_>>(), AGENTS);
        near(both[0].cpus.unwrap().mean, 64.0 * 0.2, 1e-9);
        near(both[1].memory_gb.unwrap().mean, 128.0, 1e-9);
    }
}
