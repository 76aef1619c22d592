// SPDX-License-Identifier: GPL-2.0-only
//! Options of the memory controller.

use super::host;
use super::limit::MB;
use super::policy::Tunables;
use crate::cli::parse_time;
use crate::globs::Glob;
use anyhow::Result;
use clap::Args;
use std::time::Duration;

#[derive(Debug, Args)]
#[command(next_help_heading = "Memory")]
#[group(skip)]
pub struct Options {
    /// Do not touch any memory.high: schedule only.
    #[arg(long)]
    pub no_memory: bool,

    /// Room of an agent that waits for its model above what it used in earlier waits, in percent.
    #[arg(long, value_name = "PCT", default_value_t = 25, value_parser = clap::value_parser!(u64).range(0..=1000))]
    pub mem_slack_pct: u64,

    /// The least such room, in MB.
    #[arg(long, value_name = "MB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(16..=65_536))]
    pub mem_slack_min_mb: u64,

    /// How long an agent waits for its model before what its tools left is reclaimed, in ms.
    #[arg(long, value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(100..=600_000))]
    pub mem_settle_ms: u64,

    /// Memory of the host, in MB, with less of which available it is short: then the newest tool calls are
    /// throttled, but for an agent of more weight than all others. While there is swap and all agents have the
    /// same weight, the kernel is left to take what nobody uses. Default: a twentieth of the memory, at least
    /// 128 MB, at most 4 GB.
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u64).range(16..=1_048_576))]
    pub mem_reserve_mb: Option<u64>,

    /// Share of the last ten seconds in which tasks stalled for memory (PSI some) that no limit of ours holds, from
    /// which the host is short as well, in percent.
    #[arg(long, value_name = "PCT", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub mem_pressure_pct: u64,

    /// How much higher the oom_score_adj of tool calls is than that of what started them, 0 to 1000
    /// (proc(5)): so much of the memory, in thousandths, may a framework use beyond the largest tool
    /// process before the kernel kills it first. 0: left alone.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub mem_oom_adj: u32,

    /// Do not dispatch tool calls less that take more than their share of memory under pressure.
    #[arg(long)]
    pub mem_no_brake: bool,

    /// How long an agent waits for its model, and uses next to no CPU time, until it is idle: when the host
    /// runs short, the memory of idle agents is reclaimed, of the one that is idle longest first, in steps.
    /// It comes back from swap when it is used. A time such as 30m or 2h. Default: never.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub idle_after: Option<Duration>,

    /// Put each tool call into a cgroup of its own below its agent's, with its own limit under pressure,
    /// its own peak, and so that a call that runs out of memory dies as a whole, and alone. Only of agents
    /// whose cgroup is delegated (`Delegate=yes` of its unit) or is one of --delegated-cgroup, in no
    /// container of Docker, Podman, Kubernetes, LXC or nspawn, and has no cgroups below it.
    #[arg(long)]
    pub tool_cgroups: bool,

    /// A cgroup that --tool-cgroups may divide, too, as --agent-cgroup is given. Repeatable.
    #[arg(long = "delegated-cgroup", value_name = "GLOB")]
    pub delegated_cgroups: Vec<Glob>,

    /// `scx_agent restore`, as it was called in units of earlier versions.
    #[arg(long, hide = true)]
    pub restore_memory: bool,

    /// Be the process that does so when the daemon PID is killed.
    #[arg(long, hide = true, value_name = "PID")]
    pub memory_guard: Option<u32>,
}

impl Options {
    /// Takes over what is a tunable of `new`.
    pub fn take_over(&mut self, new: Options) {
        let Options { no_memory, tool_cgroups, restore_memory, memory_guard, .. } = *self;
        let delegated_cgroups = std::mem::take(&mut self.delegated_cgroups);
        *self = Options { no_memory, tool_cgroups, delegated_cgroups, restore_memory, memory_guard, ..new };
    }

    /// As the policy takes them.
    ///
    /// # Errors
    /// The host's memory cannot be read.
    pub fn tunables(&self) -> Result<Tunables> {
        let reserve = match self.mem_reserve_mb {
            Some(mb) => mb * MB,
            None => host::default_reserve()?,
        };
        Ok(Tunables {
            slack_pct: self.mem_slack_pct,
            slack_min: self.mem_slack_min_mb * MB,
            settle: Duration::from_millis(self.mem_settle_ms),
            reserve,
            pressure_pct: self.mem_pressure_pct as f32,
            oom_adj: self.mem_oom_adj,
            no_brake: self.mem_no_brake,
            idle_after: self.idle_after,
        })
    }
}
