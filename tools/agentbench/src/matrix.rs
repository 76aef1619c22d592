// SPDX-License-Identifier: GPL-2.0-only
//! Runs every scenario under every scheduler.

use crate::ideal::{simulate, Machine};
use crate::metrics::{alone_of, metrics, Alone, Summary};
use crate::policy::Policy;
use crate::pool::pool;
use crate::results::{AloneCall, Reaction, Results, RunResult, ScenarioResult};
use crate::scenarios::{generated, Load, Scenario};
use crate::scheduler::Scheduler;
use agentload::plan::Agent;
use agentload::record::Record;
use agentload::{jsonl, react};
use anyhow::{bail, Context, Result};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Where the runs take place: a VM, or a stand-in for tests.
pub trait Boot {
    /// Kernel release.
    fn release(&self) -> &str;
    /// All that can change what a run gives, besides its plan and programs.
    fn key(&self) -> String;
    /// Boots, runs the job's command under its scheduler, and leaves its files in `out`.
    fn boot(&self, job: &Job, out: &Path) -> Result<()>;
}

/// One boot.
pub struct Job<'a> {
    /// For progress lines.
    pub title: String,
    pub scheduler: &'a Scheduler,
    /// For the guest's shell; what it writes to /out is kept.
    pub command: String,
    /// Files of this machine and their paths in the guest.
    pub files: Vec<(PathBuf, String)>,
}

/// What to run.
pub struct Matrix<'a> {
    /// `lockstep` or `functional`.
    pub mode: String,
    pub cpus: u32,
    /// Last-level caches, each of which as many of them share.
    pub llcs: u32,
    /// Of the plans, at least one: each scenario runs once for each.
    pub seeds: Vec<u64>,
    pub quick: bool,
    /// Record what each CPU ran. Costs a little time in the guest.
    pub timeline: bool,
    pub scenarios: Vec<&'a Scenario>,
    pub schedulers: Vec<Scheduler>,
    /// Where everything goes.
    pub out: PathBuf,
    pub agentload: PathBuf,
    /// Gives the plan of a scenario that replays traces.
    pub traces: &'a dyn Fn(Load, u64) -> Result<Vec<Agent>>,
}

/// Policies that the report shows beside the measurements.
const IDEAL: [Policy; 3] = [Policy::Equal, Policy::Las { cap_ms: f64::INFINITY }, Policy::Srpt];

/// Runs the matrix: the results, and what failed (one message each).
pub fn run(m: &Matrix, vm: &dyn Boot) -> Result<(Results, Vec<String>)> {
    let mut results = Results {
        mode: m.mode.clone(),
        cpus: m.cpus,
        llcs: m.llcs,
        kernel: vm.release().to_string(),
        seeds: m.seeds.clone(),
        scenarios: Vec::new(),
        reactions: Vec::new(),
    };
    let mut failures = Vec::new();
    let plans = |s: &Scenario| if matches!(s.load, Load::React { .. }) { 1 } else { m.seeds.len() };
    let all = m.scenarios.iter().map(|s| plans(s)).sum::<usize>() * m.schedulers.len();
    let mut done = 0;
    // One run under each scheduler; what fails is told and left out.
    let mut under_each = |name: &str, measure: &mut dyn FnMut(&Scheduler, String) -> Result<()>| {
        for scheduler in &m.schedulers {
            done += 1;
            if let Err(e) = measure(scheduler, format!("{done}/{all} {name}/{}", scheduler.name)) {
                eprintln!("agentbench: {name}/{} failed: {e:#}", scheduler.name);
                failures.push(format!("{name}/{}: {e:#}", scheduler.name));
            }
        }
    };
    for s in &m.scenarios {
        let load = if m.quick { s.quick() } else { s.load };
        if let Load::React { width, rounds } = load {
            under_each(s.name, &mut |scheduler, title| {
                let out = m.out.join("runs").join(s.name).join(&scheduler.name);
                results.reactions.push(reaction(vm, scheduler, title, &out, width, rounds)?);
                Ok(())
            });
            continue;
        }
        let mut of_seeds = Vec::new();
        for &seed in &m.seeds {
            let name = match m.seeds.len() {
                1 => s.name.to_string(),
                _ => format!("{}/seed-{seed}", s.name),
            };
            let prepared = Prepared::new(m, vm, name.clone(), load, seed)?;
            let mut runs = Vec::new();
            under_each(&name, &mut |scheduler, title| {
                runs.push(prepared.measure(m, vm, scheduler, title)?);
                Ok(())
            });
            of_seeds.push((seed, prepared.result(m, s, runs)));
        }
        results.scenarios.push(pool(of_seeds, m.cpus));
    }
    Ok((results, failures))
}

/// A scenario with its plan for one seed and the calls' times alone.
struct Prepared {
    /// Of the scenario, and of the seed where there are several; also a path.
    name: String,
    plan: Vec<Agent>,
    file: PathBuf,
    alone: Alone,
    /// Iterations of agentload's work loop for a ms of CPU: the same in all runs.
    work_per_ms: f64,
}

impl Prepared {
    fn new(m: &Matrix, vm: &dyn Boot, name: String, load: Load, seed: u64) -> Result<Prepared> {
        let plan = match load {
            Load::Traces { .. } => (m.traces)(load, seed)?,
            _ => generated(load, seed)?,
        };
        let file = m.out.join("plans").join(format!("{}.jsonl", name.replace('/', "-")));
        if let Some(dir) = file.parent() {
            std::fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
        }
        jsonl::write_file(&file, &plan)?;
        let eevdf = Scheduler { name: crate::results::BASELINE.into(), program: None };
        let job = Job {
            title: format!("{name}/alone"),
            scheduler: &eevdf,
            command: "agentload run --plan /plan.jsonl --mem off --serial --out /out/records.jsonl".into(),
            files: vec![(file.clone(), "/plan.jsonl".into())],
        };
        let records = cached(m, vm, &job, &file, &m.out.join("runs").join(&name).join("alone"))?;
        let work_per_ms = records.iter().find_map(|r| match r {
            Record::Run(r) => Some(r.work_per_ms),
            _ => None,
        });
        let work_per_ms = work_per_ms.context("the records of the serial run have no first line")?;
        Ok(Prepared { name, plan, file, alone: alone_of(&records), work_per_ms })
    }

    fn measure(&self, m: &Matrix, vm: &dyn Boot, scheduler: &Scheduler, title: String) -> Result<RunResult> {
        let out = m.out.join("runs").join(&self.name).join(&scheduler.name);
        let timeline = if m.timeline { " --timeline" } else { "" };
        let job = Job {
            title,
            scheduler,
            command: format!(
                "agentload run --plan /plan.jsonl --mem off --work-per-ms {}{timeline} --out /out/records.jsonl",
                self.work_per_ms
            ),
            files: vec![(self.file.clone(), "/plan.jsonl".into())],
        };
        // The kernel's own scheduler does not change with ours: what is exact need not be repeated.
        let records = match scheduler.program {
            None if m.mode == "lockstep" => cached(m, vm, &job, &self.file, &out)?,
            _ => boot(vm, &job, &out)?,
        };
        let metrics = metrics(&records, &self.alone, m.cpus);
        if metrics.all.is_none() {
            bail!("no call ended well; see {}", out.join("records.jsonl").display());
        }
        let command = scheduler.command().to_string();
        Ok(RunResult { scheduler: scheduler.name.clone(), command, metrics, records })
    }

    fn result(self, m: &Matrix, s: &Scenario, runs: Vec<RunResult>) -> ScenarioResult {
        let bare = Machine { cpus: m.cpus, ..Machine::default() };
        let calls = || {
            self.plan.iter().flat_map(|a| {
                let own = a.turns.iter().flat_map(|t| &t.calls);
                own.map(move |c| ((a.agent.clone(), c.call), c))
            })
        };
        let over = calls().filter_map(|(key, c)| Some(self.alone.get(&key)? - bare.alone_ms(c)));
        let overhead_ms = Summary::of(over).map_or(0.0, |s| s.p50.max(0.0));
        let machine = Machine { overhead_ms, ..bare };
        let ideal_alone: Alone = calls().map(|(key, c)| (key, machine.alone_ms(c))).collect();
        let ideal = IDEAL.map(|policy| {
            let records = simulate(&self.plan, machine, policy);
            let metrics = metrics(&records, &ideal_alone, m.cpus);
            RunResult { scheduler: policy.to_string(), command: String::new(), metrics, records }
        });
        ScenarioResult {
            name: s.name.into(),
            doc: format!("{}{}", s.doc, if m.quick { " Shortened (--quick)." } else { "" }),
            agents: self.plan.iter().map(|a| a.agent.clone()).collect(),
            calls: calls().count() as u32,
            overhead_ms,
            alone: AloneCall::list(&self.alone),
            ideal_alone: AloneCall::list(&ideal_alone),
            runs,
            ideal: ideal.into(),
        }
    }
}

/// Runs `job` and reads its records.
fn boot(vm: &dyn Boot, job: &Job, out: &Path) -> Result<Vec<Record>> {
    vm.boot(job, out)?;
    jsonl::read(&out.join("records.jsonl"))
}

/// The records of `job`, which lives `plan` under the kernel's own scheduler: from the cache, or
/// measured. The cache knows them by all that they depend on.
fn cached(m: &Matrix, vm: &dyn Boot, job: &Job, plan: &Path, out: &Path) -> Result<Vec<Record>> {
    let mut hash = Sha256::new();
    for file in [plan, &m.agentload] {
        let bytes = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    hash.update(format!("{} {} {} {}", m.mode, m.cpus, vm.key(), job.command));
    let hex: String = hash.finalize().iter().take(12).map(|b| format!("{b:02x}")).collect();
    let cache = m.out.join("cache");
    let file = cache.join(format!("{hex}.jsonl"));
    if file.exists() {
        eprintln!("[{}] cached", job.title);
        return jsonl::read(&file);
    }
    let records = boot(vm, job, out)?;
    std::fs::create_dir_all(&cache).with_context(|| format!("creating {}", cache.display()))?;
    jsonl::write_file(&file, &records)?;
    Ok(records)
}

fn reaction(
    vm: &dyn Boot,
    scheduler: &Scheduler,
    title: String,
    out: &Path,
    width: u32,
    rounds: u32,
) -> Result<Reaction> {
    let job = Job {
        title,
        scheduler,
        command: format!("agentload react --width {width} --rounds {rounds} --out /out/react.jsonl"),
        files: Vec::new(),
    };
    vm.boot(&job, out)?;
    let file = out.join("react.jsonl");
    let rounds: Vec<react::Round> = jsonl::read(&file)?;
    let ms = Summary::of(rounds.iter().map(|r| r.all_running_ns as f64 / 1e6));
    let ms = ms.with_context(|| format!("{} has no rounds", file.display()))?;
    Ok(Reaction {
        scheduler: scheduler.name.clone(),
        width,
        samples: ms.count,
        p50_ms: ms.p50,
        p95_ms: ms.p95,
        max_ms: ms.max,
    })
}
