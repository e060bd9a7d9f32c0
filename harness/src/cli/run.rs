//! `flowquake run`: scenarios times seeds, in parallel, with a table at the end and a folder of reports.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use flowquake_engine::event::EventRecord;
use flowquake_reports::class::Class;
use flowquake_reports::coverage::{self, Coverage};
use flowquake_reports::record::{RunRecord, RunSet, SCHEMA_VERSION, Verdict};
use flowquake_reports::{diff, folder, json, terminal, units};

use super::logging::{self, Level};
use super::print::say;
use super::sweep::{self, Sweep};
use super::{color, command_line, limits, outputs, refuse_text};
use crate::jobs::Jobs;
use crate::plan::RunPlan;
use crate::predict::foresee;
use crate::provenance;
use crate::run::{Outcome, report_folder};
use crate::scenario::save_plan;
use crate::session::{Depth, execute_to};
use crate::trace::first_difference;

/// Runs of a long sweep that its page shows.
const SHOWN_MAX: usize = 100;
/// What [`folder::write_report_folder`] writes.
const REPORT: [&str; 4] = ["runs.json", "distributions.json", "report.html", "verdicts.txt"];
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
    /// Begin no more runs after so many failed ones
    #[arg(long, value_name = "N")]
    max_failures: Option<u64>,
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
    /// Print the distribution of every measured time over all runs
    #[arg(long)]
    distributions: bool,
    /// Run each plan a second time, in another process, and compare the hashes
    #[arg(long)]
    verify_determinism: bool,
    /// Also restore the job from copies of its stores and run it on (O10), which may double the work [default: with one
    /// seed]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    restore_check: Option<bool>,
    /// The engine's log lines, on standard error
    #[arg(long, value_enum, default_value_t)]
    log: Level,
}

pub(super) fn run(args: &RunArgs, jobs: &Jobs) -> ExitCode {
    let scenarios = match super::check::load(&args.paths, jobs) {
        Ok(scenarios) => scenarios,
        Err(code) => return code,
    };
    if let Err(code) = limits::seeds(args.seed, args.seeds, limits::SEEDS_MAX) {
        return code;
    }
    if args.max_failures == Some(0) {
        return refuse_text("--max-failures 0", "no run would be made; write at least 1, or leave it out");
    }
    let parallel = match limits::parallel(args.jobs) {
        Ok(parallel) => parallel,
        Err(code) => return code,
    };
    let (seed, seeds) = (args.seed, args.seeds);
    let max_failures = args.max_failures.or(args.stop_on_failure.then_some(1));
    let sweep = Sweep { scenarios: &scenarios, seed, seeds, parallel, max_failures };
    if args.trace.is_some() && sweep.runs() > 1 {
        let remedy = format!("name one scenario and one seed; these are {} runs", sweep.runs());
        return refuse_text("--trace needs a single run", &remedy);
    }
    let folder = report_folder();
    let files: Vec<&Path> = scenarios.iter().map(|scenario| Path::new(scenario.file())).collect();
    let written = [("--json", args.json.as_deref()), ("--trace", args.trace.as_deref())];
    let writable = outputs::check(&written, &files)
        .and_then(|()| outputs::check_folder(&folder, &REPORT))
        .and_then(|()| outputs::check_made_later("--failures", &args.failures));
    if let Err(code) = writable {
        return code;
    }
    logging::start(args.log);
    let runs = sweep::sweep(&sweep, |plan| one(plan, jobs, args));
    let left = sweep.runs() - runs.len() as u64;
    if left > 0 && !sweep.is_long() {
        eprintln!("stopped after a failure: {left} of {} runs were not made", sweep.runs());
    }
    let (mut records, mut problems) = (Vec::new(), Vec::new());
    for run in runs {
        match run {
            Ok(record) => records.push(record),
            Err(problem) => problems.push(problem),
        }
    }
    finish(records, problems, args, &sweep, &folder)
}

/// Whether there is something to explain and to replay.
fn is_failure(verdict: &Verdict) -> bool {
    !matches!(verdict, Verdict::Passed | Verdict::NotBuilt { .. })
}

fn one(plan: &RunPlan, jobs: &Jobs, args: &RunArgs) -> Result<RunRecord, String> {
    let plan = &foresee(plan, jobs);
    let replay = format!("cargo run -- run {} --seed {}", plan.file, plan.seed);
    let depth = if args.restore_check.unwrap_or(args.seeds == 1) { Depth::Full } else { Depth::Quick };
    let (mut record, outcome) = execute_to(depth, plan, jobs, &[], replay);
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

fn finish(
    records: Vec<RunRecord>,
    mut problems: Vec<String>,
    args: &RunArgs,
    sweep: &Sweep,
    folder: &Path,
) -> ExitCode {
    let set = RunSet {
        schema_version: SCHEMA_VERSION,
        command: command_line(),
        program: provenance::program(),
        fault_kinds: crate::faults::records(),
        runs: records,
    };
    for run in set.runs.iter().filter(|run| args.verbose && !is_failure(&run.verdict)) {
        say!("{}", terminal::details(run, color()));
    }
    // That a swarm struck nothing is counted in a long sweep, and not worth a page for each seed.
    let told = |run: &&RunRecord| {
        is_failure(&run.verdict) && !(sweep.is_long() && matches!(run.verdict, Verdict::Vacuous { .. }))
    };
    let failures: Vec<&RunRecord> = set.runs.iter().filter(told).collect();
    for run in failures.iter().take(FAILURES_MAX) {
        say!("{}", terminal::failure(run, color()));
    }
    if failures.len() > FAILURES_MAX {
        say!("… and {} more in the report\n", failures.len() - FAILURES_MAX);
    }
    if sweep.is_long() {
        say!("{}", sweep::summary(&set, sweep.runs()));
    } else {
        say!("{}", terminal::verdicts(&set, color()));
    }
    if args.distributions {
        say!("{}", terminal::distributions(&set, color()).trim_start_matches('\n'));
    }
    if set.runs.len() > 1 {
        say!("{}\n", coverage::text::summary(&Coverage::of(&set)));
    }
    if args.verify_determinism {
        let same = set.runs.iter().filter(|run| run.verdict == Verdict::Passed).count();
        let plans = units::counted(same, "plan");
        say!("determinism: {plans} run again in another process gave the same hash\n");
    }
    // A page with ten thousand sections serves nobody: that of a long sweep shows what did not pass, and what that is
    // compared with.
    let page = sweep.is_long().then(|| {
        let unproved = set.runs.iter().enumerate().filter(|(_, run)| run.verdict != Verdict::Passed).take(SHOWN_MAX);
        let shown: BTreeSet<usize> =
            unproved.flat_map(|(index, run)| [Some(index), diff::nearest(&set, run)]).flatten().collect();
        let runs = shown.into_iter().map(|index| set.runs[index].clone()).collect();
        RunSet {
            runs,
            command: set.command.clone(),
            program: set.program.clone(),
            fault_kinds: set.fault_kinds.clone(),
            ..set
        }
    });
    match folder::write_report_folder(folder, page.as_ref().unwrap_or(&set)) {
        Ok(files) => {
            let page = files.iter().find(|file| file.extension().is_some_and(|ending| ending == "html"));
            say!("report: {}", page.map_or(folder, PathBuf::as_path).display());
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
