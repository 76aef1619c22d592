// SPDX-License-Identifier: GPL-2.0-only
//! The plan of a load: what each agent does, independent of any scheduler.
//!
//! On disk a plan is JSON lines, one [`Agent`] a line.

use serde::{Deserialize, Serialize};

/// One agent: a cgroup with a framework process that takes turns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    /// Name, unique in the plan; also the name of the agent's cgroup.
    pub agent: String,
    /// The framework's comm (`claude`, `node`, `MainThread` ...), at most 15 bytes.
    pub comm: String,
    /// When the agent starts, in ms after the start of the run.
    pub start_ms: u64,
    /// Resident memory of the framework, in MB (10^6 bytes); 0 for none.
    #[serde(default)]
    pub base_mb: f64,
    pub turns: Vec<Turn>,
}

/// One turn: wait for the model, work in the framework, then call tools.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// LLM wait before the turn, in ms.
    pub think_ms: f64,
    /// CPU the framework itself uses when the model has answered, in ms.
    pub framework_ms: f64,
    /// CPU the framework uses while it waits (polling, spinners), in percent of a core.
    #[serde(default)]
    pub wait_cpu_pct: f64,
    /// Tool calls of this turn, started in order at their offsets; the turn ends with the last.
    pub calls: Vec<Call>,
}

/// One tool call: a new session with a shell whose descendants do the stages in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Number of the call within its agent, from 0.
    pub call: u32,
    /// Category: `test`, `build`, `pkg`, `git`, `files`, `text`, `pyrun`, `pysnip`, `other`.
    pub cat: String,
    /// Start, in ms after the framework's work of this turn is done (overlapping calls have
    /// the same or near offsets).
    #[serde(default)]
    pub offset_ms: f64,
    pub stages: Vec<Stage>,
}

/// One stage of a call: first wait (I/O, network), then `width` processes that each compute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Sleep before the computation, in ms.
    #[serde(default)]
    pub wait_ms: f64,
    /// CPU demand of each of the `width` processes, in ms.
    pub cpu_ms: f64,
    /// Processes computing side by side (1..=64).
    pub width: u32,
    /// Memory held by the call during this stage, in MB (10^6 bytes) above the framework's base.
    #[serde(default)]
    pub mem_mb: f64,
}

/// Size class of a call by its CPU demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Size {
    /// Under 100 ms of CPU.
    Small,
    /// 100 ms to under 2 s.
    Medium,
    /// 2 s and more.
    Large,
}

impl Size {
    /// The class of a call that demands `cpu_ms` of CPU in total.
    pub fn of(cpu_ms: f64) -> Size {
        match cpu_ms {
            c if c < 100.0 => Size::Small,
            c if c < 2000.0 => Size::Medium,
            _ => Size::Large,
        }
    }
}

impl Call {
    /// CPU demand over all processes and stages, in ms.
    pub fn cpu_ms(&self) -> f64 {
        self.stages.iter().map(|s| s.cpu_ms * s.width as f64).sum()
    }

    /// Widest stage, in processes.
    pub fn width(&self) -> u32 {
        self.stages.iter().map(|s| s.width).max().unwrap_or(0)
    }

    /// Shortest possible duration: waits plus each stage's CPU on its own cores, in ms.
    pub fn span_ms(&self) -> f64 {
        self.stages.iter().map(|s| s.wait_ms + s.cpu_ms).sum()
    }

    pub fn size(&self) -> Size {
        Size::of(self.cpu_ms())
    }
}
