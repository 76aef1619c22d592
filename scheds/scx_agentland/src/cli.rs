// SPDX-License-Identifier: GPL-2.0-only
//! The command line.

use crate::globs::Glob;
use clap::Parser;

/// The ranking of scx_agent in user space, for trying a policy.
///
/// Every task that has to wait for a CPU is sent to this program, which looks
/// up in /proc what it works for, ranks it as scx_agent does (frameworks first,
/// then the tool calls that have had the least CPU time, long ones first come,
/// first served), and says who runs next. A policy is a function in Rust here,
/// but each decision is a context switch: use scx_agent to have it fast.
/// Ctrl-C or SIGTERM gives the host back to its default scheduler.
#[derive(Debug, Parser)]
#[command(name = "scx_agentland", disable_version_flag = true)]
#[command(after_help = "EXAMPLES:
  scx_agentland --agent-cgroup 'agents/*'          every cgroup below /sys/fs/cgroup/agents is one agent
  scx_agentland --agent-cgroup 'agents/*' --stats 5
  scx_agentland --agent-cgroup 'system.slice/docker-*.scope' -v")]
pub struct Opts {
    /// A cgroup that is an agent, its subtree included, also if made later; `*` and `?` stand for
    /// characters of one path component. Relative to the cgroup v2 root. Repeatable.
    #[arg(long = "agent-cgroup", value_name = "GLOB", required_unless_present = "version")]
    pub agent_cgroups: Vec<Glob>,

    /// Longest time on a CPU before somebody else may have it, in us.
    #[arg(long, value_name = "US", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..=100_000))]
    pub slice_us: u64,

    /// Print statistics every SEC seconds while scheduling.
    #[arg(long, value_name = "SEC", value_parser = parse_interval)]
    pub stats: Option<std::time::Duration>,

    /// More messages: -v every agent and tool call, -vv libbpf's.
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// Print the version and exit.
    #[arg(short = 'V', long)]
    pub version: bool,
}

fn parse_interval(s: &str) -> Result<std::time::Duration, String> {
    match s.parse().map(std::time::Duration::try_from_secs_f64) {
        Ok(Ok(d)) if d >= std::time::Duration::from_millis(10) => Ok(d),
        _ => Err("expected a number of seconds, at least 0.01".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn command_line_is_consistent() {
        Opts::command().debug_assert();
    }

    #[test]
    fn intervals() {
        assert_eq!(parse_interval("0.5"), Ok(std::time::Duration::from_millis(500)));
        for bad in ["", "0", "-1", "x", "inf", "NaN", "1e300"] {
            assert!(parse_interval(bad).is_err(), "{bad}");
        }
    }
}
