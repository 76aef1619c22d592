// SPDX-License-Identifier: GPL-2.0-only
//! Means over seeds, with how sure they are.

use serde::{Deserialize, Serialize};

/// A mean and its 95 % confidence interval, by Student's t.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    pub mean: f64,
    pub low: f64,
    pub high: f64,
    pub count: usize,
}

/// Two-sided 95 % quantiles of Student's t by degrees of freedom, from 1.
const T95: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

impl Mean {
    /// The arithmetic mean; None for less than two values, of which nothing can be said.
    pub fn of(values: &[f64]) -> Option<Mean> {
        let count = values.len();
        let freedom = count.checked_sub(1).filter(|f| *f > 0)?;
        let mean = values.iter().sum::<f64>() / count as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / freedom as f64;
        let t = T95.get(freedom - 1).copied().unwrap_or(1.96);
        let half = t * (variance / count as f64).sqrt();
        Some(Mean { mean, low: mean - half, high: mean + half, count })
    }

    /// The geometric mean of ratios; None for less than two, or one that is not above 0.
    pub fn of_ratios(ratios: &[f64]) -> Option<Mean> {
        if ratios.iter().any(|r| *r <= 0.0) {
            return None;
        }
        let logs: Vec<f64> = ratios.iter().map(|r| r.ln()).collect();
        let Mean { mean, low, high, count } = Mean::of(&logs)?;
        Some(Mean { mean: mean.exp(), low: low.exp(), high: high.exp(), count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_students() {
        let m = Mean::of(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        // s = 1.5811, t(4) = 2.776: 1.9630 on either side.
        assert!((m.mean - 3.0).abs() < 1e-9 && (m.high - 4.963).abs() < 1e-3 && m.count == 5, "{m:?}");
        assert_eq!(Mean::of(&[1.0]), None);
        let r = Mean::of_ratios(&[0.5, 2.0]).unwrap();
        assert!((r.mean - 1.0).abs() < 1e-9 && r.low < 0.01 && r.high > 100.0, "{r:?}");
        assert_eq!(Mean::of_ratios(&[1.0, 0.0]), None);
    }
}
