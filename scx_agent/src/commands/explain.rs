// SPDX-License-Identifier: GPL-2.0-only
//! `scx_agent explain`.

use super::ask;
use crate::calls::command::shown;
use crate::calls::Evidence;
use crate::explain::{Explanation, Role};
use crate::questions;
use anyhow::Result;
use std::fmt::Write;

/// Say what a process or thread is taken for, and why.
///
/// Names its agent, its role, its tool call, the rule that decided and what it was decided from, how
/// it ranks now, and its agent's last phases.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Process or thread, as numbered on this host.
    pid: u32,

    /// As a JSON object; times in ns.
    #[arg(long)]
    json: bool,
}

/// # Errors
/// No daemon answers, or there is nothing to tell of this pid.
pub fn run(args: &Args) -> Result<()> {
    let told: Explanation = ask::ask(questions::EXPLAIN, &[("pid", args.pid.to_string())])?;
    match args.json {
        true => ask::print_json(&told),
        false => ask::print(&text(&told)),
    }
}

fn text(e: &Explanation) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(out, "{name:<10} {value}");
    };
    line("agent", shown(&e.agent, 128));
    let role = match e.role {
        Role::Framework => "framework",
        Role::Tool => "tool",
        Role::Helper => "helper",
        Role::Sandbox => "sandbox that shows nothing of what runs in it",
        Role::LeftRunning => "left running by a tool call that is over",
        Role::Untold => "not told yet",
        Role::Other => "other",
    };
    line("role", if e.pid == e.process { role.into() } else { format!("{role}, a thread of {}", e.process) });
    line("rule", e.rule.clone());
    match &e.evidence {
        Some(why) => line("evidence", evidence(why, e)),
        None => line("evidence", format!("none of its own: forked by {}", e.parent)),
    }
    if let Some(c) = &e.call {
        line(
            "call",
            format!(
                "{} ({}), pid {}, {}: {}",
                c.call,
                c.kind.category.name(),
                c.pid,
                c.rule,
                shown(&c.command, 200)
            ),
        );
        if e.evidence.is_none() && e.pid != c.pid {
            line(
                "",
                format!("{}, parent {} {:?}", shown(&c.comm, 16), c.evidence.parent, c.evidence.parent_comm),
            );
        }
        if let Some(tag) = &c.tag {
            let name = |s: &Option<String>| shown(s.as_deref().unwrap_or("-"), 128);
            line(
                "tag",
                format!("{} of tool {}, session {}", name(&tag.id), name(&tag.tool), name(&tag.session)),
            );
        }
    }
    let rank = match e.rank_ns {
        r if r < 0 => format!("{:.3} s before a new tool call", -r as f64 / 1e9),
        r => format!("{:.3} s behind a new tool call", r as f64 / 1e9),
    };
    let long = if e.long { ", with the long calls" } else { "" };
    line(
        "rank",
        format!(
            "{rank}{long}; service {:.3} s, debt of its agent {:.3} s",
            e.service_ns as f64 / 1e9,
            e.debt_ns as f64 / 1e9
        ),
    );
    line(
        "phase",
        format!("{:?} for {:.3} s", e.phase, e.now_ns.saturating_sub(e.phase_since_ns) as f64 / 1e9),
    );
    for (i, span) in e.history.iter().rev().enumerate() {
        let ago = e.now_ns.saturating_sub(span.ended_ns) as f64 / 1e9;
        let before =
            format!("{:?} for {:.3} s, until {ago:.3} s ago", span.phase, span.lasted_ns as f64 / 1e9);
        line(if i == 0 { "before" } else { "" }, before);
    }
    out
}

fn evidence(why: &Evidence, e: &Explanation) -> String {
    format!(
        "{:.3} s ago as {:?}, parent {} {:?}, session {}, cgroup {}",
        e.now_ns.saturating_sub(why.at_ns) as f64 / 1e9,
        why.comm,
        why.parent,
        why.parent_comm,
        why.session,
        shown(e.cgroup.as_deref().unwrap_or("-"), 256)
    )
}
