// SPDX-License-Identifier: GPL-2.0-only
//! `scx_agent check`.

use super::ask;
use crate::kernel::Types;
use crate::memory::{Variant, PROBED};
use crate::preflight::{Host, Need};
use anyhow::{bail, Result};
use scx_utils::compat::{malformed_scx_kfuncs, struct_has_field};
use serde::Serialize;
use std::fmt::Write;

/// Say what this host offers, and what is missing costs; exit status 0 if it can be scheduled.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// As JSON: an array of objects.
    #[arg(long)]
    json: bool,
}

/// One line.
#[derive(Debug, PartialEq, Serialize)]
struct Line {
    name: &'static str,
    ok: bool,
    /// True if nothing can be scheduled without it.
    needed: bool,
    /// What it is for; or what is missing, what that costs, and what to do about it.
    means: String,
}

/// # Errors
/// Something that is needed is missing.
pub fn run(args: &Args) -> Result<()> {
    let lines = lines(&Host::this());
    match args.json {
        true => ask::print_json(&lines)?,
        false => ask::print(&text(&lines))?,
    }
    match lines.iter().find(|l| l.needed && !l.ok) {
        Some(missing) => bail!("this host cannot be scheduled: {}", missing.means),
        None => Ok(()),
    }
}

fn lines(host: &Host) -> Vec<Line> {
    let needs = host.needs();
    let btf = needs.iter().any(|n| n.name == "BTF" && n.found.is_ok());
    let needed = |n: Need| {
        let ok = n.found.is_ok();
        Line { name: n.name, ok, needed: true, means: n.found.unwrap_or_else(|missing| missing) }
    };
    let mut all: Vec<Line> = needs.into_iter().map(needed).collect();
    all.push(line("no other scheduler", true, other(host)));
    if btf {
        all.extend(types());
    }
    all.extend(cgroups(host));
    all.extend(memory(host));
    if btf {
        all.push(probe(Types::read().function(PROBED), &host.read("/proc/kallsyms")));
    }
    all
}

/// Whether a program can see who runs into memory.high.
fn probe(typed: bool, kallsyms: &str) -> Line {
    let there = typed && kallsyms.lines().any(|l| l.split_whitespace().nth(2) == Some(PROBED));
    option(
        "memory.high probe",
        there,
        "who runs into memory.high is seen in the kernel, before being throttled for it",
        "no function __mem_cgroup_handle_over_high to look at (6.18 has it): who runs into memory.high is seen by \
         memory.events, some ms later",
    )
}

fn line(name: &'static str, needed: bool, found: Result<&str, String>) -> Line {
    let ok = found.is_ok();
    Line { name, ok, needed, means: found.map_or_else(|missing| missing, String::from) }
}

/// `there`, or what its lack costs.
fn option(name: &'static str, there: bool, means: &str, lack: &str) -> Line {
    line(name, false, if there { Ok(means) } else { Err(lack.into()) })
}

fn other(host: &Host) -> Result<&'static str, String> {
    match host.loaded() {
        Some((_, ops)) if ops.starts_with("agent") => Ok("scx_agent is running"),
        Some((state, ops)) if !state.is_empty() => {
            Err(format!("{ops:?} is loaded ({state}); stop it first: `systemctl stop scx scx_loader`"))
        }
        _ => Ok("none is loaded"),
    }
}

/// What the kernel's types say.
fn types() -> Vec<Line> {
    let has = |t: &str, member: &str| struct_has_field(t, member).unwrap_or(false);
    let kfuncs = match malformed_scx_kfuncs().len() {
        0 => Ok("the kernel's functions for schedulers are described rightly"),
        n => Err(format!(
            "{n} of the kernel's functions for schedulers are described wrongly (it was built with pahole older than \
             1.26), so that no scheduler loads; boot another kernel"
        )),
    };
    let ops = Variant::of_kernel();
    vec![
        line("kfuncs", true, kfuncs),
        line(
            "group scheduling",
            true,
            if has("sched_ext_ops", "cgroup_init") {
                Ok("cpu.weight of cgroups holds (ops.cgroup_init)")
            } else {
                Err("the kernel tells schedulers of no cgroup, and scx_agent does not load; boot one with \
                     CONFIG_EXT_GROUP_SCHED"
                    .into())
            },
        ),
        option(
            "cpu.max",
            has("sched_ext_ops", "cgroup_set_bandwidth"),
            "limits of cgroups hold (ops.cgroup_set_bandwidth)",
            "not applied while scx_agent schedules: the kernel does not tell of it; 6.17 and newer do",
        ),
        option(
            "memory struct_ops",
            ops.is_some(),
            &ops.map(|v| format!("agents are protected and delayed by {}", v.name())).unwrap_or_default(),
            "no memcg_bpf_ops, as in every released kernel: memory.high does the work",
        ),
    ]
}

fn cgroups(host: &Host) -> Vec<Line> {
    let controllers = host.read("/sys/fs/cgroup/cgroup.controllers");
    let has = |name: &str| controllers.split_whitespace().any(|c| c == name);
    vec![
        option(
            "cpu controller",
            has("cpu"),
            "cpu.weight and cpu.max are there",
            "no shares and limits of cgroups",
        ),
        option(
            "memory controller",
            has("memory"),
            "memory.high can follow the phases",
            "memory is not controlled; boot without cgroup_disable=memory",
        ),
    ]
}

fn memory(host: &Host) -> Vec<Line> {
    let swaps = host.read("/proc/swaps");
    let names: Vec<&str> = swaps.lines().skip(1).filter_map(|l| l.split_whitespace().next()).collect();
    let zram = names.iter().any(|n| n.starts_with("/dev/zram"));
    vec![
        option(
            "PSI",
            !host.read("/proc/pressure/memory").is_empty(),
            "pressure is seen as it begins",
            "a shortage is seen from what is available alone; boot with psi=1",
        ),
        option(
            "swap",
            !names.is_empty(),
            if zram { "what tools leave behind can go to zram" } else { "what tools leave behind can be swapped out" },
            "only file cache can be reclaimed from agents that wait; zram is enough (`apt install zram-tools`)",
        ),
    ]
}

fn text(lines: &[Line]) -> String {
    let mut out = String::new();
    for l in lines {
        let state = match (l.ok, l.needed) {
            (true, _) => "ok",
            (false, true) => "MISSING",
            (false, false) => "missing",
        };
        let _ = writeln!(out, "{:<8} {:<21} {}", state, l.name, l.means);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn host(root: &Path) -> Host<'_> {
        Host { root, euid: 0, release: "7.0".into() }
    }

    #[test]
    fn an_empty_host_lacks_everything() {
        let all = lines(&host(Path::new("/nonexistent")));
        let ok: Vec<_> = all.iter().filter(|l| l.ok).map(|l| l.name).collect();
        assert_eq!(ok, ["no other scheduler"]);
        assert_eq!(all.iter().filter(|l| l.needed && !l.ok).count(), 4);
        assert!(text(&all).lines().all(|l| l.len() > 30), "each says what it means");
    }

    #[test]
    fn a_probe_needs_type_and_symbol() {
        let symbols = "ffff0 T mem_cgroup_handle\nffff8 T __mem_cgroup_handle_over_high\nffff9 t x [m]\n";
        assert!(probe(true, symbols).ok);
        assert!(!probe(false, symbols).ok && !probe(true, "ffff8 T mem_cgroup_handle_over_high\n").ok);
        assert!(!probe(true, "").needed);
    }

    #[test]
    fn what_is_there_is_seen() {
        let root = std::env::temp_dir().join(format!("scx_agent-check-{}", std::process::id()));
        for (path, contents) in [
            ("sys/kernel/sched_ext/state", "enabled\n"),
            ("sys/kernel/sched_ext/root/ops", "lavd\n"),
            ("sys/fs/cgroup/cgroup.controllers", "cpu io\n"),
            ("proc/swaps", "Filename Type\n/dev/zram0 partition 1 0 100\n"),
            ("proc/pressure/memory", "some avg10=0.00\n"),
        ] {
            std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            std::fs::write(root.join(path), contents).unwrap();
        }
        let all = lines(&host(&root));
        let state = |name: &str| all.iter().find(|l| l.name == name).unwrap();
        assert!(!state("no other scheduler").ok && state("no other scheduler").means.contains("lavd"));
        assert!(state("sched_ext").ok && state("PSI").ok && state("cpu controller").ok);
        assert!(!state("memory controller").ok && state("swap").means.contains("zram"));
        std::fs::remove_dir_all(root).unwrap();
    }
}
