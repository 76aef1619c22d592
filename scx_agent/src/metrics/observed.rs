// SPDX-License-Identifier: GPL-2.0-only
//! What is counted call by call, as a call ends: its parts are shared with the thread that serves.

use crate::calls::{Call, Status};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Upper bounds of call lengths and waits, in seconds: from what a shell takes to a test suite.
const BOUNDS_S: [f64; 11] = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    category: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    category: &'static str,
    outcome: &'static str,
}

/// Counted tool calls; clones count together.
#[derive(Clone, Debug)]
pub struct Observed {
    ended: Family<Ended, Counter>,
    lasted: Family<Kind, Histogram, fn() -> Histogram>,
    waited: Family<Kind, Histogram, fn() -> Histogram>,
}

fn histogram() -> Histogram {
    Histogram::new(BOUNDS_S)
}

impl Default for Observed {
    fn default() -> Self {
        Observed {
            ended: Family::default(),
            lasted: Family::new_with_constructor(histogram),
            waited: Family::new_with_constructor(histogram),
        }
    }
}

impl Observed {
    /// A call has ended.
    pub fn call(&self, call: &Call) {
        let category = call.kind.category.name();
        let outcome = match call.status {
            Some(Status::Exited(0)) => "success",
            Some(Status::Killed(_)) => "signal",
            _ => "failure",
        };
        self.ended.get_or_create(&Ended { category, outcome }).inc();
        let kind = Kind { category };
        self.lasted.get_or_create(&kind).observe(call.wall_ns as f64 / 1e9);
        self.waited.get_or_create(&kind).observe(call.wait_ns as f64 / 1e9);
    }

    /// Puts them on a page.
    pub fn register(&self, page: &mut Registry) {
        page.register(
            "calls_ended",
            "Tool calls that have ended, by what they did and how they ended",
            self.ended.clone(),
        );
        page.register_with_unit(
            "call_duration",
            "How long tool calls took, from the exec of their first process to its exit",
            Unit::Seconds,
            self.lasted.clone(),
        );
        page.register_with_unit(
            "call_cpu_wait",
            "How long tasks of a tool call were runnable and did not run, over all of its tasks",
            Unit::Seconds,
            self.waited.clone(),
        );
    }
}
