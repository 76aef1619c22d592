// SPDX-License-Identifier: GPL-2.0-only
//! The matrix end to end, with a simulation in the VM's place.

use agentbench::check::check;
use agentbench::ideal::{simulate, Machine};
use agentbench::matrix::{run, Boot, Job, Matrix};
use agentbench::results::Results;
use agentbench::scenarios::{find, Load};
use agentbench::scheduler::{Program, Scheduler};
use agentbench::{report, table};
use agentload::plan::Agent;
use agentload::record::{Record, RunRecord, TimelineRecord};
use agentload::{jsonl, plan_file, react};
use anyhow::{bail, Context, Result};
use std::cell::RefCell;
use std::path::{Path, PathBuf};

/// EEVDF shares equally, any other scheduler serves the least attained service first; `broken`
/// does not load.
struct Fake {
    titles: RefCell<Vec<String>>,
}

impl Boot for Fake {
    fn release(&self) -> &str {
        "7.2-test"
    }

    fn key(&self) -> String {
        "fake".into()
    }

    fn boot(&self, job: &Job, out: &Path) -> Result<()> {
        self.titles.borrow_mut().push(job.title.clone());
        std::fs::create_dir_all(out)?;
        let policy = match job.scheduler.name.as_str() {
            "broken" => bail!("the scheduler exited before it was enabled"),
            "eevdf" => "equal",
            _ => "las",
        };
        if job.command.contains("agentload react") {
            let ns = if policy == "las" { 2_000_000 } else { 30_000_000 };
            let round = |round| react::Round { round, width: 4, all_running_ns: ns, each_ns: vec![ns; 4] };
            return jsonl::write_file(&out.join("react.jsonl"), &(0..5).map(round).collect::<Vec<_>>());
        }
        let (plan, _) = job.files.first().context("no plan")?;
        let plan = plan_file::read(plan)?;
        let serial = job.command.contains("--serial");
        let cpus = if serial { 1000 } else { 2 };
        let head = RunRecord { agents: plan.len() as u32, calls: 0, cpus, work_per_ms: 1234.5, serial };
        assert!(serial || job.command.contains("--work-per-ms 1234.5"), "{}", job.command);
        let mut records = vec![Record::Run(head)];
        let machine = Machine { cpus, overhead_ms: 10.0, ..Machine::default() };
        records.extend(simulate(&plan, machine, policy.parse()?));
        records.push(Record::Timeline(TimelineRecord {
            cpu: 0,
            bin_ns: 1_000_000,
            runs: vec![[0, 500, 0, 2], [500, 20, 1, 1], [520, 900, -1, 0]],
        }));
        jsonl::write_file(&out.join("records.jsonl"), &records)
    }
}

fn scheduler(name: &str) -> Scheduler {
    let program = Program { path: PathBuf::from("/bin/sh"), command: format!("{name} --x") };
    Scheduler { name: name.into(), program: (name != "eevdf").then_some(program) }
}

fn no_traces(_: Load, _: u64) -> Result<Vec<Agent>> {
    bail!("no traces")
}

fn matrix(out: &Path) -> Matrix<'static> {
    Matrix {
        mode: "lockstep".into(),
        cpus: 2,
        llcs: 1,
        seeds: vec![1],
        quick: false,
        timeline: true,
        scenarios: vec![find("small").unwrap(), find("react").unwrap()],
        schedulers: ["eevdf", "scx_agent", "broken"].map(scheduler).into(),
        out: out.into(),
        agentload: PathBuf::from("/bin/sh"),
        traces: &no_traces,
    }
}

fn folder(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("agentbench-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

#[test]
fn a_matrix_gives_results_report_and_checks() {
    let dir = folder("matrix");
    let vm = Fake { titles: RefCell::default() };
    let (results, failures) = run(&matrix(&dir), &vm).unwrap();
    assert_eq!(failures.len(), 2, "{failures:?}");
    assert!(failures[0].contains("small/broken: the scheduler exited"));
    let titles = vm.titles.borrow().clone();
    assert_eq!(titles[..3], ["small/alone", "1/6 small/eevdf", "2/6 small/scx_agent"]);

    results.save(&dir).unwrap();
    let read = Results::load(&dir).unwrap();
    assert!((read.scenarios[0].overhead_ms - 10.0).abs() < 0.01);
    let require = |r: &str| check(&read, &[r.parse().unwrap()]);
    assert!(require("small:slowdown_mean_ratio>=1.01").is_ok());
    assert!(require("react:p95_ratio>=15").is_ok());
    assert!(require("react:p95_ms<=1").is_err());

    let html = report::html(&read).unwrap();
    for part in ["<svg", "LLM wait", "ideal: srpt", "Reaction", "a000: tool call", "Fairness"] {
        assert!(html.contains(part), "no {part:?} in the report");
    }
    for outside in ["http://", "https://", "src=", "<script", "NaN", dir.to_str().unwrap()] {
        let text = html.replace("http://www.w3.org/2000/svg", "");
        assert!(!text.contains(outside), "{outside:?} in the report");
    }
    assert!(table::all(&read)[0].markdown().contains("| scx_agent |"));
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn runs_repeat_and_times_alone_are_cached() {
    let dir = folder("repeat");
    let bytes = |vm: &Fake| {
        let (results, _) = run(&matrix(&dir), vm).unwrap();
        (serde_json::to_string(&results).unwrap(), report::html(&results).unwrap())
    };
    let (first, second) = (Fake { titles: RefCell::default() }, Fake { titles: RefCell::default() });
    assert_eq!(bytes(&first), bytes(&second));
    assert_eq!(first.titles.borrow().len(), 7);
    assert_eq!(second.titles.borrow().len(), 5, "the serial run and the kernel's own are not repeated");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn figures_are_over_the_calls_of_all_seeds() {
    let dir = folder("seeds");
    let of = |seeds: &[u64]| {
        let vm = Fake { titles: RefCell::default() };
        let two = Matrix { seeds: seeds.into(), timeline: false, ..matrix(&dir) };
        run(&Matrix { schedulers: ["eevdf", "scx_agent"].map(scheduler).into(), ..two }, &vm).unwrap().0
    };
    let (one, two, both) = (of(&[1]), of(&[2]), of(&[1, 2]));
    let [one, two, pooled] = [&one, &two, &both].map(|r| &r.scenarios[0]);
    assert_eq!(pooled.calls, one.calls + two.calls);
    assert_eq!(pooled.agents.len(), 16);
    for i in 0..2 {
        let [a, b, both] = [one, two, pooled].map(|s| &s.runs[i].metrics);
        let all = |m: &agentbench::metrics::Metrics| m.all.unwrap().slowdown.unwrap();
        let (x, y) = (all(a), all(b));
        let mean = (x.mean * x.count as f64 + y.mean * y.count as f64) / (x.count + y.count) as f64;
        assert_eq!(all(both).count, x.count + y.count);
        assert!((all(both).mean - mean).abs() < 1e-9);
        assert_eq!(all(both).max, x.max.max(y.max));
        assert_eq!(both.makespan_ms, (a.makespan_ms + b.makespan_ms) / 2.0);
    }
    assert_eq!(both.reactions.len(), 2);
    let html = report::html(&both).unwrap();
    assert!(html.contains("plans of seed 1, 2") && !html.contains("Timelines"));
    std::fs::remove_dir_all(dir).unwrap();
}
