// SPDX-License-Identifier: GPL-2.0-only
//! The command line.

use crate::globs::Glob;
use anyhow::Result;
use clap::Parser;
use jiff::SignedDuration;
use std::time::Duration;

/// Whose queues of runnable tasks there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Queues {
    /// Of the CPUs that share a last-level cache.
    Llc,
    /// Of the whole machine.
    Machine,
}

/// A sched_ext scheduler for hosts full of AI coding agents.
///
/// An agent is a cgroup, mostly a container, in which an agent framework
/// (claude, codex, ...) waits for its language model and runs tool calls. The
/// scheduler tells frameworks from tool calls by itself, runs frameworks first,
/// and gives tool calls the CPUs they ask for at once, those first that have
/// had the least CPU time so far. Ctrl-C or SIGTERM gives the host back to its
/// default scheduler.
///
/// A command asks the scx_agent that is running, and schedules nothing.
#[derive(Debug, Parser)]
#[command(name = "scx_agent", disable_version_flag = true)]
#[command(after_help = "EXAMPLES:
  scx_agent                                   containers that hold a known agent framework
  scx_agent --agent-cgroup 'agents/*'         every cgroup below /sys/fs/cgroup/agents is one agent
  scx_agent --agent-cgroup 'system.slice/docker-*.scope' --stats 5
  scx_agent --monitor 1                       watch a scheduler that is running
  scx_agent calls --running                   the tool calls that it sees now")]
pub struct Opts {
    /// A cgroup that is an agent, its subtree included, also if made later; `*` and `?` stand for
    /// characters of one path component. Relative to the cgroup v2 root. Repeatable. Without this,
    /// containers (Docker, Podman, Kubernetes, LXC) that hold a known agent framework are agents.
    #[arg(long = "agent-cgroup", value_name = "GLOB")]
    pub agent_cgroups: Vec<Glob>,

    /// Further comms that mark an agent framework, beside claude, codex, opencode and others.
    /// Repeatable.
    #[arg(long = "framework-comm", value_name = "COMM", value_parser = parse_comm)]
    pub framework_comms: Vec<String>,

    /// Further words that mark an agent framework that runs in node, bun, deno or python: in the path
    /// of its script or in the name of its module, between slashes and dots, such as `my-agent` in
    /// /app/node_modules/my-agent/main.js. Repeatable.
    #[arg(long = "framework-arg", value_name = "WORD", value_parser = parse_word)]
    pub framework_args: Vec<String>,

    /// Read settings from FILE, and from the files of conf.d beside it [default:
    /// /etc/scx_agent/config.toml, if it is there]. Options of the command line are over them; see
    /// `scx_agent config default`.
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<std::path::PathBuf>,

    /// Schedule nothing: tell agents' phases and manage their memory only. For kernels without
    /// sched_ext, and hosts that keep their scheduler.
    #[arg(long)]
    pub no_sched: bool,

    /// Print statistics every SEC seconds while scheduling.
    #[arg(long, value_name = "SEC")]
    pub stats: Option<f64>,

    /// Print the statistics of a running scx_agent every SEC seconds; schedules nothing.
    #[arg(long, value_name = "SEC")]
    pub monitor: Option<f64>,

    /// Describe the statistics and exit.
    #[arg(long)]
    pub help_stats: bool,

    /// Write every phase transition and tool call to FILE, as JSON lines.
    #[arg(long, value_name = "FILE")]
    pub events: Option<std::path::PathBuf>,

    /// Size of the kernel's dump on an error exit, in bytes; 0 for the kernel's default (32 KiB).
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub exit_dump_len: u32,

    /// Longest time on a CPU before the queue is looked at again, in us.
    #[arg(long, value_name = "US", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..=1_000_000), help_heading = "Policy")]
    pub slice_us: u64,

    /// Whose queues there are: of the CPUs that share a last-level cache, or of the whole machine. With one such
    /// cache it is the same; with several the second ranks all that waits together, and moves it about.
    #[arg(long, value_enum, value_name = "WHOSE", default_value_t = Queues::Llc, help_heading = "Policy")]
    pub queues: Queues,

    /// How many ns a tool call ranks behind a new one for every ns of service it has had.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=1000), help_heading = "Policy")]
    pub delay_slope: u64,

    /// CPU time from which a tool call is long, in ms: long calls wait for all others, and run first
    /// come, first served.
    #[arg(long, value_name = "MS", default_value_t = 1_500, value_parser = clap::value_parser!(u64).range(10..=60_000), help_heading = "Policy")]
    pub long_call_ms: u64,

    /// The most that a tool call ranks behind a new one, in ms: bounds how long new calls can keep
    /// it waiting.
    #[arg(long, value_name = "MS", default_value_t = 6_000, value_parser = clap::value_parser!(u64).range(10..=15_000), help_heading = "Policy")]
    pub delay_cap_ms: u64,

    /// How much better a task must rank to take a CPU from another, in ms of rank.
    #[arg(long, value_name = "MS", default_value_t = 200, value_parser = clap::value_parser!(u64).range(0..=10_000), help_heading = "Policy")]
    pub preempt_margin_ms: u64,

    /// CPU time a long call has at a stretch before others as long have their turn, in ms.
    #[arg(long, value_name = "MS", default_value_t = 8_000, value_parser = clap::value_parser!(u64).range(10..=10_000), help_heading = "Policy")]
    pub quantum_max_ms: u64,

    /// Count what contradicts the roles of tasks, and say so at the end: for tests, as it costs a
    /// little.
    #[arg(long, hide = true)]
    pub check_roles: bool,

    /// More messages: -v every agent and tool call, -vv every phase, and libbpf's messages.
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// Print the version and exit.
    #[arg(short = 'V', long)]
    pub version: bool,

    #[command(flatten)]
    pub containers: crate::containers::Options,

    #[command(flatten)]
    pub qos: crate::qos::Options,

    #[command(flatten)]
    pub limit: crate::calls::limit::Options,

    #[command(flatten)]
    pub metrics: crate::metrics::Options,

    #[command(flatten)]
    pub memory: crate::memory::Options,

    #[command(subcommand)]
    pub command: Option<crate::commands::Command>,
}

impl Opts {
    /// True if the program is to be the daemon, and not to do something else and end.
    pub fn serves(&self) -> bool {
        let does_another_thing = self.command.is_some() || self.version || self.help_stats;
        let helps_it = self.memory.restore_memory || self.memory.memory_guard.is_some();
        !does_another_thing && !helps_it && self.monitor.is_none()
    }
}

/// `secs` as a time between two prints; `option` is named in the error.
///
/// # Errors
/// It is none, or too short.
pub fn interval(secs: f64, option: &str) -> Result<Duration> {
    match Duration::try_from_secs_f64(secs) {
        Ok(d) if d >= Duration::from_millis(10) => Ok(d),
        _ => anyhow::bail!("{option} {secs}: expected a number of seconds, at least 0.01"),
    }
}

/// A comm, as the kernel has it.
///
/// # Errors
/// It is empty or too long.
pub fn parse_comm(s: &str) -> std::result::Result<String, String> {
    match s.len() {
        0 => Err("a comm is not empty".into()),
        1..=15 => Ok(s.into()),
        n => Err(format!("a comm has at most 15 bytes, this one has {n}")),
    }
}

/// A word between slashes and dots.
///
/// # Errors
/// It is empty, too long to be a file's name, or several.
pub fn parse_word(s: &str) -> std::result::Result<String, String> {
    match s.len() {
        0 => Err("a word is not empty".into()),
        256.. => Err("no file has a name of so many bytes".into()),
        _ if s.contains(['/', '.', '\0']) => Err(format!("{s:?} is not one word: no slashes and dots in it")),
        _ => Ok(s.into()),
    }
}

/// A time of at least a second.
///
/// # Errors
/// It is none, or a shorter one.
pub fn parse_time(s: &str) -> std::result::Result<Duration, String> {
    let told = |e: jiff::Error| format!("{e}: expected a time such as 30m, 90s or 1h 30m");
    let time = s.parse::<SignedDuration>().map_err(told)?;
    match Duration::try_from(time) {
        Ok(time) if time >= Duration::from_secs(1) => Ok(time),
        _ => Err("expected a time of at least 1s".into()),
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
    fn words_are_single() {
        assert!(parse_word("my-agent").is_ok());
        for bad in ["", "a/b", "a.py", "a\0", &"x".repeat(256)] {
            assert!(parse_word(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn comms_are_bounded() {
        assert!(parse_comm("claude").is_ok());
        assert!(parse_comm("").is_err());
        assert!(parse_comm("sixteen-bytes-ab").is_err());
    }

    #[test]
    fn times_have_units() {
        for (text, s) in [("30m", 1800), ("1h 30m", 5400), ("90s", 90), ("PT2H", 7200)] {
            assert_eq!(parse_time(text), Ok(Duration::from_secs(s)), "{text}");
        }
        for bad in ["", "30", "-5m", "0s", "soon", "5 parsecs"] {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
    }
}
