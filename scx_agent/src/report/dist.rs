// SPDX-License-Identifier: GPL-2.0-only
//! Many values in a few figures.

use serde::Serialize;

/// What is said of many values. Percentiles are nearest-rank.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Dist {
    /// How many there are, at least one.
    pub n: usize,
    pub min: f64,
    pub mean: f64,
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
    pub max: f64,
}

impl Dist {
    /// None of no values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Dist> {
        let mut v: Vec<f64> = values.into_iter().collect();
        v.sort_by(f64::total_cmp);
        let (min, max) = (*v.first()?, *v.last()?);
        let rank = |pct: usize| v[(v.len() * pct).div_ceil(100).max(1) - 1];
        let mean = v.iter().sum::<f64>() / v.len() as f64;
        Some(Dist { n: v.len(), min, mean, p50: rank(50), p95: rank(95), p99: rank(99), max })
    }
}

/// `part` of `whole` in percent; None of nothing.
pub fn pct(part: f64, whole: f64) -> Option<f64> {
    // The sum of nothing is -0.
    (whole > 0.0).then(|| 100.0 * part / whole + 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_rank() {
        let d = Dist::of((1..=200).rev().map(f64::from)).unwrap();
        assert_eq!((d.n, d.min, d.p50, d.p95, d.p99, d.max), (200, 1.0, 100.0, 190.0, 198.0, 200.0));
        assert_eq!(d.mean, 100.5);
        let one = Dist::of([7.0]).unwrap();
        assert_eq!((one.min, one.p50, one.p99, one.max), (7.0, 7.0, 7.0, 7.0));
        assert_eq!(Dist::of([]), None);
        assert!(pct([].iter().sum(), 1.0).is_some_and(f64::is_sign_positive));
    }
}
