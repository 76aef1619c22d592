// SPDX-License-Identifier: GPL-2.0-only
//! The figures by name: the one table that tables, ratios and `agentbench check` share.

use crate::metrics::{CallFigures, Metrics, Summary};

/// A figure of a run.
pub struct Figure {
    /// Name in `agentbench check`, with its unit; `<key without unit>_ratio` is its ratio.
    pub key: &'static str,
    /// Column head, without unit.
    pub title: &'static str,
    /// Unit to show.
    pub unit: Unit,
    /// Whether less is better.
    pub less_is_better: bool,
    pub get: fn(&Metrics) -> Option<f64>,
    /// Whether tables show it.
    pub shown: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unit {
    /// Shown in s or ms.
    Ms,
    /// A plain number with two decimals.
    Number,
    /// A fraction, shown in percent.
    Fraction,
    Count,
}

impl Unit {
    /// `value` for people: 43.2 ms, 1.94 s, 2.05, 71 %.
    pub fn show(self, value: f64) -> String {
        match self {
            Unit::Ms if value >= 999.95 => format!("{:.2} s", value / 1e3),
            Unit::Ms => format!("{value:.1} ms"),
            Unit::Number => format!("{value:.2}"),
            Unit::Fraction => format!("{:.0} %", value * 100.0),
            Unit::Count => format!("{value:.0}"),
        }
    }
}

fn response(f: &Option<CallFigures>, of: fn(&Summary) -> f64) -> Option<f64> {
    f.as_ref().map(|f| of(&f.response_ms))
}

fn slowdown(f: &Option<CallFigures>, of: fn(&Summary) -> f64) -> Option<f64> {
    f.as_ref().and_then(|f| f.slowdown.as_ref()).map(of)
}

macro_rules! figure {
    ($key:literal, $title:literal, $unit:ident, $shown:literal, $less:literal, $get:expr) => {
        Figure {
            key: $key,
            title: $title,
            unit: Unit::$unit,
            shown: $shown,
            less_is_better: $less,
            get: $get,
        }
    };
}

/// All figures, in the order of the tables' columns.
pub const FIGURES: &[Figure] = &[
    figure!("slowdown_mean", "mean slowdown", Number, true, true, |m| slowdown(&m.all, |s| s.mean)),
    figure!("slowdown_p95", "p95 slowdown", Number, false, true, |m| slowdown(&m.all, |s| s.p95)),
    figure!("response_mean_ms", "mean response", Ms, true, true, |m| response(&m.all, |s| s.mean)),
    figure!("response_p95_ms", "p95 response", Ms, false, true, |m| response(&m.all, |s| s.p95)),
    figure!("small_mean_ms", "small mean", Ms, true, true, |m| response(&m.small, |s| s.mean)),
    figure!("small_p50_ms", "small p50", Ms, false, true, |m| response(&m.small, |s| s.p50)),
    figure!("small_p95_ms", "small p95", Ms, true, true, |m| response(&m.small, |s| s.p95)),
    figure!("small_p99_ms", "small p99", Ms, false, true, |m| response(&m.small, |s| s.p99)),
    figure!("small_slowdown", "small slowdown", Number, false, true, |m| slowdown(&m.small, |s| s.mean)),
    figure!("medium_mean_ms", "medium mean", Ms, true, true, |m| response(&m.medium, |s| s.mean)),
    figure!("medium_p50_ms", "medium p50", Ms, false, true, |m| response(&m.medium, |s| s.p50)),
    figure!("medium_p95_ms", "medium p95", Ms, true, true, |m| response(&m.medium, |s| s.p95)),
    figure!("medium_p99_ms", "medium p99", Ms, false, true, |m| response(&m.medium, |s| s.p99)),
    figure!("medium_slowdown", "medium slowdown", Number, false, true, |m| slowdown(&m.medium, |s| s.mean)),
    figure!("large_mean_ms", "large mean", Ms, true, true, |m| response(&m.large, |s| s.mean)),
    figure!("large_p50_ms", "large p50", Ms, false, true, |m| response(&m.large, |s| s.p50)),
    figure!("large_p95_ms", "large p95", Ms, true, true, |m| response(&m.large, |s| s.p95)),
    figure!("large_p99_ms", "large p99", Ms, false, true, |m| response(&m.large, |s| s.p99)),
    figure!("large_slowdown", "large slowdown", Number, false, true, |m| slowdown(&m.large, |s| s.mean)),
    figure!("framework_p50_ms", "framework p50", Ms, false, true, |m| m.framework_ms.map(|s| s.p50)),
    figure!("framework_p95_ms", "framework p95", Ms, true, true, |m| m.framework_ms.map(|s| s.p95)),
    figure!("wakeup_p95_ms", "wake-up p95", Ms, true, true, |m| m.wakeup_ms.map(|s| s.p95)),
    figure!("jain", "Jain index", Number, true, false, |m| m.jain),
    figure!("worst_agent", "worst agent", Number, true, true, |m| m.worst_agent),
    figure!("makespan_ms", "makespan", Ms, true, true, |m| Some(m.makespan_ms)),
    figure!("load", "load", Fraction, true, false, |m| Some(m.load)),
    figure!("steady_load", "steady load", Fraction, true, false, |m| Some(m.steady_load)),
    figure!("failed_calls", "failed calls", Count, true, true, |m| Some(m.failed_calls as f64)),
];

impl Figure {
    /// Name of the figure's ratio: `small_p95_ms` has `small_p95_ratio`.
    pub fn ratio_key(&self) -> String {
        format!("{}_ratio", self.key.strip_suffix("_ms").unwrap_or(self.key))
    }

    /// How many times better `ours` is than `base`: above 1 is better. `None` where either is
    /// missing or 0, and for loads and counts.
    pub fn ratio(&self, base: &Metrics, ours: &Metrics) -> Option<f64> {
        if matches!(self.unit, Unit::Fraction | Unit::Count) {
            return None;
        }
        let (base, ours) = ((self.get)(base)?, (self.get)(ours)?);
        match self.less_is_better {
            _ if base <= 0.0 || ours <= 0.0 => None,
            true => Some(base / ours),
            false => Some(ours / base),
        }
    }
}

/// The figure named `key`, or the figure whose ratio is, and whether it is the ratio.
pub fn find(key: &str) -> Option<(&'static Figure, bool)> {
    let is = |f: &&Figure| f.key == key || f.ratio_key() == key;
    FIGURES.iter().find(is).map(|f| (f, f.key != key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for f in FIGURES {
            assert!(!find(f.key).unwrap().1);
            let (found, ratio) = find(&f.ratio_key()).unwrap();
            assert!(ratio && found.key == f.key);
        }
    }

    #[test]
    fn units_for_people() {
        assert_eq!(Unit::Ms.show(43.21), "43.2 ms");
        assert_eq!(Unit::Ms.show(999.96), "1.00 s");
        assert_eq!(Unit::Fraction.show(0.714), "71 %");
    }
}
