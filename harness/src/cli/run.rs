//! `flowquake run`: scenarios times seeds, in parallel, with a table at the end and a folder of reports.

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, mpsc};

use clap::Args;
use flowquake_engine::event::EventRecord;
use flowquake_reports::class::Class;
use flowquake_reports::coverage::{self, Coverage};
use flowquake_reports::record::{RunRecord, RunSet, SCHEMA_VERSION, Verdict};
use flowquake_reports::{folder, json, terminal};
use indicatif::{ProgressBar, ProgressStyle};

use super::logging::{self, Level};
use super::{color, command_line, refuse_text};
use crate::jobs::Jobs;
use crate::plan::RunPlan;
use crate::provenance;
use crate::run::{Outcome, report_folder};
use crate::scenario::save_plan;
use crate::session::execute;
use crate::trace::first_difference;

/// Failures explained on the terminal; the report explains all.
const FAILURES_MAX: usize = 10;

#[derive(Args)]
pub(super) struct RunArgs {
    /// Scenario files, or folders to search for them
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// First seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds of each scenario, counted up from the first
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Runs at the same time [default: one per core]
    #[arg(long)]
    jobs: Option<usize>,
    /// Also write the run records to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where the plans of runs that did not pass are saved
    #[arg(long, value_name = "DIR", default_value = "flowquake-failures")]
    failures: PathBuf,
    /// Start no more runs once one did not pass
    #[arg(long)]
    stop_on_failure: bool,
    /// Write the trace to this file, one event per line; for a single run
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Print every run in full, not only those that did not pass
    #[arg(long, short)]
    verbose: bool,
    /// Run each plan a second time, in another process, and compare the hashes
    #[arg(long)]
    verify_determinism: bool,
    /// The engine's log lines, on standard error
    #[arg(long, value_enum, default_value_t)]
    log: Level,
}

pub(super) fn run(args: &RunArgs, jobs: &Jobs) -> ExitCode {
    let scenarios = match super::check::load(&args.paths, jobs) {
        Ok(scenarios) => scenarios,
        Err(code) => return code,
    };
    if args.seeds == 0 {
        return refuse_text("--seeds 0", "at least one seed is needed");
    }
    let seeds = args.seed..=args.seed.saturating_add(args.seeds - 1);
    let plans: Vec<RunPlan> = scenarios.iter().flat_map(|s| seeds.clone().map(move |seed| s.plan(seed))).collect();
    if args.trace.is_some() && plans.len() > 1 {
        let remedy = format!("name one scenario and one seed; these are {} runs", plans.len());
        return refuse_text("--trace needs a single run", &remedy);
    }
    logging::start(args.log);
    let total = plans.len();
    let parallel = args.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).max(1);
    let runs = execute_all(plans, jobs, parallel, args);
    if runs.len() < total {
        eprintln!("stopped after a failure: {} of {total} runs were not made", total - runs.len());
    }
    let (mut records, mut problems) = (Vec::new(), Vec::new());
    for run in runs {
        match run {
            Ok(record) => records.push(record),
            Err(problem) => problems.push(problem),
        }
    }
    finish(records, problems, args)
}

/// Runs all plans, `parallel` at a time; results in the order of the plans. Fewer, if a failure is to stop them.
fn execute_all(plans: Vec<RunPlan>, jobs: &Jobs, parallel: usize, args: &RunArgs) -> Vec<Result<RunRecord, String>> {
    let total = plans.len();
    let progress = Progress::new(total as u64);
    let stopped = AtomicBool::new(false);
    let queue = Mutex::new(plans.into_iter().enumerate().collect::<VecDeque<_>>());
    let (done, results) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..parallel.min(total) {
            let (done, queue, stopped) = (done.clone(), &queue, &stopped);
            scope.spawn(move || {
                loop {
                    if stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    let next = queue.lock().map(|mut queue| queue.pop_front());
                    let Ok(Some((index, plan))) = next else { return };
                    let result = one(&plan, jobs, args);
                    if args.stop_on_failure && result.as_ref().is_ok_and(|record| is_failure(&record.verdict)) {
                        stopped.store(true, Ordering::Relaxed);
                    }
                    if done.send((index, result)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        let mut all: Vec<_> = (0..total).map(|_| None).collect();
        for (index, result) in results {
            progress.step(&result);
            all[index] = Some(result);
        }
        progress.end();
        all.into_iter().flatten().collect()
    })
}

/// Whether there is something to explain and to replay.
fn is_failure(verdict: &Verdict) -> bool {
    !matches!(verdict, Verdict::Passed | Verdict::NotBuilt { .. })
}

fn one(plan: &RunPlan, jobs: &Jobs, args: &RunArgs) -> Result<RunRecord, String> {
    let replay = format!("cargo run -- run {} --seed {}", plan.file, plan.seed);
    let (mut record, outcome) = execute(plan, jobs, &[], replay);
    if args.verify_determinism
        && record.verdict == Verdict::Passed
        && let Some(difference) = differs_elsewhere(plan, &outcome)?
    {
        record.verdict = Verdict::Nondeterministic { difference };
    }
    if is_failure(&record.verdict) {
        let folder = &args.failures;
        let path = folder.join(format!("{}-seed-{}.json", plan.scenario, plan.seed));
        std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        save_plan(&path, plan).map_err(|error| error.to_string())?;
        record.replay = provenance::replay_command(&path);
    }
    if let Some(file) = &args.trace {
        write_trace(file, &outcome)?;
    }
    Ok(record)
}

/// Writes one event per line, as JSON.
pub(super) fn write_trace(file: &Path, outcome: &Outcome) -> Result<(), String> {
    let mut text = String::new();
    for record in &outcome.trace.events {
        text.push_str(&serde_json::to_string(record).map_err(|error| error.to_string())?);
        text.push('\n');
    }
    json::write_atomically(file, text.as_bytes()).map_err(|error| format!("{}: {error}", file.display()))
}

/// Runs the plan in another process; the first difference, if there is one.
fn differs_elsewhere(plan: &RunPlan, outcome: &Outcome) -> Result<Option<String>, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (plan_file, trace_file) = (folder.path().join("plan.json"), folder.path().join("trace.jsonl"));
    save_plan(&plan_file, plan).map_err(|error| error.to_string())?;
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = std::process::Command::new(program)
        .args(["replay", "--hash-only", "--trace"])
        .args([&trace_file, &plan_file])
        .output()
        .map_err(|error| format!("second process: {error}"))?;
    let hash = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if hash == format!("{:016x}", outcome.trace.hash()) {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&trace_file).map_err(|error| format!("second process: {error}"))?;
    let other: Result<Vec<EventRecord>, _> = text.lines().map(serde_json::from_str).collect();
    let other = other.map_err(|error| format!("trace of the second process: {error}"))?;
    let difference = first_difference(&outcome.trace.events, &other);
    Ok(Some(difference.unwrap_or_else(|| "the events are equal, but frames or output differ".into())))
}

fn finish(records: Vec<RunRecord>, mut problems: Vec<String>, args: &RunArgs) -> ExitCode {
    let set = RunSet {
        schema_version: SCHEMA_VERSION,
        command: command_line(),
        program: provenance::program(),
        fault_kinds: Vec::new(),
        runs: records,
    };
    for run in set.runs.iter().filter(|run| args.verbose && !is_failure(&run.verdict)) {
        println!("{}", terminal::details(run, color()));
    }
    let failures: Vec<&RunRecord> = set.runs.iter().filter(|run| is_failure(&run.verdict)).collect();
    for run in failures.iter().take(FAILURES_MAX) {
        println!("{}", terminal::failure(run, color()));
    }
    if failures.len() > FAILURES_MAX {
        println!("… and {} more in the report\n", failures.len() - FAILURES_MAX);
    }
    println!("{}", terminal::verdicts(&set, color()));
    if set.runs.len() > 1 {
        println!("{}\n", coverage::text::summary(&Coverage::of(&set)));
    }
    if args.verify_determinism {
        let same = set.runs.iter().filter(|run| run.verdict == Verdict::Passed).count();
        println!("determinism: {same} plans were run again in another process and gave the same hash\n");
    }
    let folder = report_folder();
    match folder::write_report_folder(&folder, &set) {
        Ok(files) => {
            let page = files.iter().find(|file| file.extension().is_some_and(|ending| ending == "html"));
            println!("report: {}", page.unwrap_or(&folder).display());
        }
        Err(error) => problems.push(format!("report folder {}: {error}", folder.display())),
    }
    if let Some(file) = &args.json
        && let Err(error) = json::write(file, &set)
    {
        problems.push(format!("{}: {error}", file.display()));
    }
    problems.iter().for_each(|problem| eprintln!("error: {problem}"));
    if !problems.is_empty() {
        return ExitCode::from(super::BAD_INPUT);
    }
    ExitCode::from(worst(&set.runs))
}

/// The exit code of a set of runs: that of the worst.
fn worst(runs: &[RunRecord]) -> u8 {
    runs.iter().map(|run| run.verdict.class()).max().map_or(0, Class::exit_code)
}

/// A bar on a terminal; elsewhere a plain line for each run, or for every hundredth of many.
struct Progress {
    bar: Option<ProgressBar>,
    total: u64,
    done: std::cell::Cell<u64>,
    failed: std::cell::Cell<u64>,
}

impl Progress {
    fn new(total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:40} {pos}/{len} runs  {msg}  {elapsed}  eta {eta}");
            ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { bar, total, done: Default::default(), failed: Default::default() }
    }

    fn step(&self, result: &Result<RunRecord, String>) {
        self.done.set(self.done.get() + 1);
        let (name, label) = match result {
            Ok(record) => (format!("{} seed {}", record.scenario, record.seed), record.verdict.label()),
            Err(_) => ("a run".to_owned(), "error"),
        };
        if label != "passed" {
            self.failed.set(self.failed.get() + 1);
        }
        match &self.bar {
            Some(bar) => {
                bar.set_message(format!("{} not passed", self.failed.get()));
                bar.inc(1);
            }
            None if self.total <= 100 || label != "passed" || self.done.get().is_multiple_of(100) => {
                eprintln!("{}/{}  {name}: {label}", self.done.get(), self.total);
            }
            None => {}
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
