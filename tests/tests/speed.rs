// SPDX-License-Identifier: GPL-2.0-only
//! Agents fare better under scx_agent than under the kernel's own scheduler, in lock-step mode, so
//! that the figures are the same on every machine.

use scx_agent_tests::vm::{bin_dir, prepared};
use std::path::Path;
use std::process::Command;

/// `agentbench` with these arguments; what it printed.
fn agentbench(args: &[&str]) -> String {
    let bin = bin_dir();
    let mut command = Command::new(bin.join("agentbench"));
    command.args(args);
    println!("{command:?}");
    let output = command.output().expect("agentbench starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{out}");
    assert!(output.status.success(), "agentbench {args:?}: {}\n{err}", output.status);
    out.into_owned()
}

fn run(scenarios: &str, extra: &[&str], out: &Path, require: &[&str]) {
    prepared();
    let bin = bin_dir();
    let (bin, out) = (bin.to_str().expect("UTF-8"), out.to_str().expect("UTF-8"));
    let mut args = vec!["run", "--scenarios", scenarios, "--bin-dir", bin, "--out", out];
    args.extend(extra);
    agentbench(&args);
    let mut args = vec!["check", out];
    for r in require {
        args.extend(["--require", r]);
    }
    agentbench(&args);
}

#[test]
fn small_calls_and_slowdown() {
    let dir = tempfile::tempdir().unwrap();
    run(
        "gen70",
        &["--quick", "--cpus", "4"],
        dir.path(),
        &[
            "gen70:small_p95_ratio>=1.5",
            "gen70:slowdown_mean_ratio>=1.2",
            "gen70:makespan_ratio>=0.952",
            "gen70:failed_calls<=0",
        ],
    );
}

#[test]
fn a_wide_call_has_its_cpus_at_once() {
    let dir = tempfile::tempdir().unwrap();
    run("react", &["--schedulers", "scx_agent", "--cpus", "4"], dir.path(), &["react:p95_ms<=2"]);
}

#[test]
fn it_has_them_of_two_caches_too() {
    let dir = tempfile::tempdir().unwrap();
    let two = ["--schedulers", "scx_agent", "--cpus", "8", "--llcs", "2"];
    run("react", &two, dir.path(), &["react:p95_ms<=2"]);
}
