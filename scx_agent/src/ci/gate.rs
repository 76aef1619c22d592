// SPDX-License-Identifier: GPL-2.0-only
//! `--fail-if FIGURE>NUMBER`.

use super::Report;
use std::fmt;
use std::str::FromStr;

/// A figure that can be held to something: its name, and its value where it is known.
type Figure = (&'static str, fn(&Report) -> Option<f64>);

const FIGURES: [Figure; 8] = [
    ("wall_s", |r| Some(r.wall_s)),
    ("cpu_s", |r| Some(r.figures.cpu_s)),
    ("wait_pct", |r| r.wait_pct),
    ("stalled_cpu_s", |r| r.figures.stalled_cpu_s),
    ("stalled_memory_s", |r| r.figures.stalled_memory_s),
    ("memory_peak_mb", |r| Some(r.figures.memory_peak_bytes? as f64 / f64::from(1 << 20))),
    ("oom_kills", |r| Some(r.figures.oom_kills? as f64)),
    ("calls_failed", |r| Some(r.calls.as_ref()?.failed as f64)),
];

/// One such condition.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    figure: usize,
    above: bool,
    bound: f64,
}

impl Gate {
    /// What is wrong with `report`, if anything. A figure that is not known fails: a gate that
    /// silently stays open is none.
    pub fn check(&self, report: &Report) -> Option<String> {
        let (name, of) = FIGURES[self.figure];
        let Some(value) = of(report) else { return Some(format!("{self}: {name} is not known here")) };
        let fails = if self.above { value > self.bound } else { value < self.bound };
        fails.then(|| format!("{self}: it is {}", (value * 1000.0).round() / 1000.0))
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", FIGURES[self.figure].0, if self.above { '>' } else { '<' }, self.bound)
    }
}

impl FromStr for Gate {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let names = || FIGURES.map(|(name, _)| name).join(", ");
        let at =
            s.find(['<', '>']).ok_or(format!("expected FIGURE>NUMBER or FIGURE<NUMBER of {}", names()))?;
        let (name, rest) = s.split_at(at);
        let figure = FIGURES.iter().position(|(n, _)| *n == name.trim());
        let bound = rest[1..].trim().parse::<f64>().ok().filter(|b| b.is_finite());
        Ok(Gate {
            figure: figure.ok_or_else(|| format!("no figure {:?}; there are {}", name.trim(), names()))?,
            above: rest.starts_with('>'),
            bound: bound.ok_or_else(|| format!("{:?} is no number", rest[1..].trim()))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_held_to_bounds() {
        let mut report = Report { wall_s: 12.0, ..Report::default() };
        let check = |r: &Report, s: &str| s.parse::<Gate>().unwrap().check(r);
        assert_eq!(check(&report, "wall_s>12"), None);
        assert_eq!(check(&report, "wall_s > 11.5").unwrap(), "wall_s>11.5: it is 12");
        assert_eq!(check(&report, "wall_s<13").unwrap(), "wall_s<13: it is 12");
        assert!(check(&report, "memory_peak_mb>1").unwrap().contains("not known"));
        report.figures.memory_peak_bytes = Some(5 << 20);
        assert_eq!(check(&report, "memory_peak_mb>5"), None);
        assert!(check(&report, "memory_peak_mb>4.9").is_some());
        for (bad, word) in
            [("wall>1", "wall_s"), ("wall_s=1", "expected"), ("wall_s>x", "no number"), ("wall_s>inf", "no")]
        {
            assert!(bad.parse::<Gate>().unwrap_err().contains(word), "{bad}");
        }
    }
}
