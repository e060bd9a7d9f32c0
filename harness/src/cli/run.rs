//! `flowquake run`: scenarios times seeds, in parallel, with a table at the end and a folder of reports.
//!
//! Start at [`run`]. No step between a verdict and its output loses the verdict: what cannot be written is a problem, told
//! besides and with exit code 2, and the record stays. While runs are made their records go into a journal, line by line; it
//! survives whatever happens to this process.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use flowquake_reports::class::Class;
use flowquake_reports::coverage::{self, Coverage};
use flowquake_reports::record::{RunRecord, RunSet, SCHEMA_VERSION, Verdict};
use flowquake_reports::{diff, folder, json, junit, markdown, terminal, units};
use xxhash_rust::xxh3::xxh3_64;

use super::journal::Journal;
use super::last_failed::{self, Failed};
use super::print::{say, tell};
use super::sweep::{self, Many, Progress, Step, Sweep};
use super::{command_line, limits, outputs, refuse_text, screen};
use crate::environment::needs_disk;
use crate::jobs::Jobs;
use crate::logging::Level;
use crate::plan::RunPlan;
use crate::provenance;
use crate::run::report_folder;
use crate::scenario::save_plan;
use crate::session::Depth;
use crate::worker::{Made, Order};

/// The records of all runs, one a line, written as they come.
const JOURNAL: &str = "runs.jsonl";
/// Runs of a long sweep that its page shows.
const SHOWN_MAX: usize = 100;
/// What [`folder::write_report_folder`] writes, the journal, and the list of failures.
const REPORT: [&str; 6] =
    ["runs.json", "distributions.json", "report.html", "verdicts.txt", JOURNAL, last_failed::NAME];
/// Failures explained on the terminal; the report explains all.
const FAILURES_MAX: usize = 10;

#[derive(Args)]
pub(super) struct RunArgs {
    /// Scenario files, or folders to search for them
    #[arg(required_unless_present = "failed")]
    paths: Vec<PathBuf>,
    /// Only the runs that did not pass last; of these paths, if any are given
    #[arg(long, conflicts_with_all = ["seed", "seeds"])]
    failed: bool,
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
    /// Also write the runs as JUnit XML, for a CI system
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Also write them as Markdown, for a comment on a pull request
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
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
    #[command(flatten)]
    limits: limits::PerRun,
    /// The engine's log lines, on standard error
    #[arg(long, value_enum, default_value_t)]
    log: Level,
}

pub(super) fn run(args: &RunArgs, jobs: &Jobs) -> ExitCode {
    let folder = report_folder();
    let failed = match last_failed::read(&folder) {
        Ok(failed) => failed,
        // It is replaced below; only who asks for it needs it.
        Err(_) if !args.failed => BTreeSet::new(),
        Err(error) => {
            let what = format!("{}: {error}", folder.join(last_failed::NAME).display());
            return refuse_text(&what, "leave --failed out");
        }
    };
    let paths = match args.failed {
        true if failed.is_empty() => {
            return refuse_text("--failed: no run failed last", "leave it out: of no runs nothing passes");
        }
        true if args.paths.is_empty() => {
            let files: BTreeSet<&PathBuf> = failed.iter().map(|run| &run.file).collect();
            files.into_iter().cloned().collect()
        }
        _ => args.paths.clone(),
    };
    let scenarios = match super::check::load(&paths, jobs) {
        Ok(scenarios) => scenarios,
        Err(code) => return code,
    };
    let only = args.failed.then(|| {
        let index = |run: &Failed| scenarios.iter().position(|scenario| Path::new(scenario.file()) == run.file);
        failed.iter().filter_map(|run| Some((index(run)?, run.seed))).collect::<Vec<_>>()
    });
    if only.as_ref().is_some_and(Vec::is_empty) {
        return refuse_text("--failed: no run of these scenarios failed last", "name others, or none");
    }
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
    let sweep = Sweep { scenarios: &scenarios, seed, seeds, only, parallel, max_failures };
    if args.trace.is_some() && sweep.runs() > 1 {
        let remedy = format!("name one scenario and one seed; these are {} runs", sweep.runs());
        return refuse_text("--trace needs a single run", &remedy);
    }
    if let Err(code) = scenarios.iter().try_for_each(|scenario| args.limits.affordable(&scenario.plan(seed))) {
        return code;
    }
    let files: Vec<&Path> = scenarios.iter().map(|scenario| Path::new(scenario.file())).collect();
    let written =
        [("--json", &args.json), ("--junit", &args.junit), ("--markdown", &args.markdown), ("--trace", &args.trace)]
            .map(|(option, file)| (option, file.as_deref()));
    let writable = outputs::check(&written, &files)
        .and_then(|()| outputs::check_folder(&folder, &REPORT))
        .and_then(|()| outputs::check_made_later("--failures", &args.failures));
    if let Err(code) = writable {
        return code;
    }
    let disk = scenarios.iter().any(|scenario| needs_disk(&scenario.plan(seed)));
    if let Err(code) = sweep::prepare(disk) {
        return code;
    }
    let mut journal = Journal::begin(&folder.join(JOURNAL), &set_of(Vec::new()));
    let mut progress = Progress::new(sweep.runs());
    let (mut records, mut problems) = (BTreeMap::new(), Vec::new());
    let terms = args.limits.terms(args.log);
    let many = Many { total: sweep.runs(), parallel: sweep.parallel, max_failures: sweep.max_failures, terms: &terms };
    let ended = many.make(
        |index| sweep.plan(index).map(|plan| order(plan, args, &sweep)),
        |step| {
            let Step::Made(index, made) = step else {
                progress.wait();
                return true;
            };
            let (record, json) = kept(*made, || sweep.plan(index), args, &mut problems);
            journal.add(&json);
            progress.step(&record);
            records.insert(index, record);
            true
        },
    );
    progress.end();
    problems.extend(journal.problem());
    let records: Vec<RunRecord> = records.into_values().collect();
    let (made, total) = (records.len() as u64, sweep.runs());
    let stopped = made < total && ended.is_none();
    if stopped && !sweep.is_long() {
        tell!("stopped after a failure: {} of {total} runs were not made", total - made);
    }
    let known = |run: &RunRecord| Failed { file: run.file.clone().into(), seed: run.seed };
    let made_now = records.iter().map(known).collect();
    let failed_now = records.iter().filter(|run| is_failure(&run.verdict)).map(known).collect();
    let before = if args.failed { failed } else { BTreeSet::new() };
    if made > 0
        && let Err(error) = last_failed::write(&folder, &last_failed::after(before, &made_now, failed_now))
    {
        problems.push(format!("{}: {error}", folder.join(last_failed::NAME).display()));
    }
    let code = match made {
        // Why is said below; of no runs nothing passed.
        0 => ExitCode::from(super::BAD_INPUT),
        _ => finish(records, problems, args, &sweep, stopped, &folder),
    };
    // Said last, where a terminal stops.
    match ended {
        Some(ended) => ended.settle(made, total),
        None => code,
    }
}

/// Whether there is something to explain and to replay.
fn is_failure(verdict: &Verdict) -> bool {
    *verdict != Verdict::Passed && verdict.class().ran()
}

fn order(plan: RunPlan, args: &RunArgs, sweep: &Sweep) -> Order {
    let replay = provenance::command(&format!("run {} --seed {}", provenance::quoted(&plan.file), plan.seed));
    let depth = if args.restore_check.unwrap_or(args.seeds == 1) { Depth::Full } else { Depth::Quick };
    let (slim, trace) = (sweep.is_slim(&plan), args.trace.clone());
    Order { plan, depth, replay, verify: args.verify_determinism, trace, slim }
}

/// The record of a run, and as JSON; the plan of one that did not pass is saved, if that is possible.
fn kept(
    made: Made,
    plan: impl FnOnce() -> Option<RunPlan>,
    args: &RunArgs,
    problems: &mut Vec<String>,
) -> (RunRecord, Vec<u8>) {
    let Made { mut record, json, problems: others } = made;
    problems.extend(others);
    if !is_failure(&record.verdict) {
        return (record, json);
    }
    let file = args.failures.join(plan_file_name(&record.scenario, record.seed));
    let plan = plan().map(|plan| RunPlan { prediction: record.prediction.clone(), ..plan });
    match plan.map_or(Ok(()), |plan| save(&args.failures, &file, &plan)) {
        Ok(()) => record.replay = provenance::replay_command(&file),
        Err(problem) => problems.push(format!("{} seed {}: {problem}", record.scenario, record.seed)),
    }
    let json = serde_json::to_vec(&record).expect("a record is always JSON");
    (record, json)
}

fn save(folder: &Path, file: &Path, plan: &RunPlan) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    save_plan(file, plan).map_err(|error| error.to_string())
}

/// The name of a saved plan's file: no longer than every file system allows.
fn plan_file_name(scenario: &str, seed: u64) -> String {
    const SCENARIO_MAX: usize = 150;
    match scenario.char_indices().map(|(at, _)| at).take_while(|at| *at <= SCENARIO_MAX).last() {
        Some(end) if scenario.len() > SCENARIO_MAX => {
            format!("{}-{:016x}-seed-{seed}.json", &scenario[..end], xxh3_64(scenario.as_bytes()))
        }
        _ => format!("{scenario}-seed-{seed}.json"),
    }
}

fn set_of(runs: Vec<RunRecord>) -> RunSet {
    RunSet {
        schema_version: SCHEMA_VERSION,
        command: command_line(),
        program: provenance::program(),
        fault_kinds: crate::faults::records(),
        runs,
    }
}

fn finish(
    records: Vec<RunRecord>,
    mut problems: Vec<String>,
    args: &RunArgs,
    sweep: &Sweep,
    stopped: bool,
    folder: &Path,
) -> ExitCode {
    let set = set_of(records);
    for run in set.runs.iter().filter(|run| args.verbose && !is_failure(&run.verdict)) {
        say!("{}", terminal::details(run, screen()));
    }
    // That a swarm struck nothing is counted in a long sweep, and not worth a page for each seed.
    let told = |run: &&RunRecord| {
        is_failure(&run.verdict) && !(sweep.is_long() && matches!(run.verdict, Verdict::Vacuous { .. }))
    };
    let failures: Vec<&RunRecord> = set.runs.iter().filter(told).collect();
    for run in failures.iter().take(FAILURES_MAX) {
        say!("{}", terminal::failure(run, screen()));
    }
    if failures.len() > FAILURES_MAX {
        say!("… and {} more in the report\n", failures.len() - FAILURES_MAX);
    }
    if sweep.is_long() {
        say!("{}", sweep::summary(&set));
        if stopped {
            let (made, asked) = (set.runs.len(), sweep.runs());
            say!("stopped after {made} of {asked} runs: as many failed as --max-failures allows\n");
        }
    } else {
        say!("{}", terminal::verdicts(&set, screen()));
    }
    if args.distributions {
        say!("{}", terminal::distributions(&set, screen()).trim_start_matches('\n'));
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
    for (file, document) in [(&args.junit, junit::xml as fn(&RunSet) -> String), (&args.markdown, markdown::runs)] {
        if let Some(file) = file
            && let Err(error) = json::write_atomically(file, document(&set).as_bytes())
        {
            problems.push(format!("{}: {error}", file.display()));
        }
    }
    problems.iter().for_each(|problem| tell!("error: {problem}"));
    if !problems.is_empty() {
        return ExitCode::from(super::BAD_INPUT);
    }
    ExitCode::from(worst(&set.runs))
}

/// The exit code of a set of runs: that of the worst. Of no runs nothing passed.
fn worst(runs: &[RunRecord]) -> u8 {
    runs.iter().map(|run| run.verdict.class()).max().map_or(super::BAD_INPUT, Class::exit_code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_has_a_file_name_that_every_system_takes() {
        assert_eq!(plan_file_name("small", 7), "small-seed-7.json");
        let names = ["ä", "b"].map(|letter| plan_file_name(&letter.repeat(245), u64::MAX));
        assert!(names.iter().all(|name| name.len() < 220), "{names:?}");
        assert_ne!(plan_file_name(&"b".repeat(244), 1), plan_file_name(&"b".repeat(245), 1));
    }

    #[test]
    fn no_runs_are_no_pass() {
        assert_eq!(worst(&[]), 2);
    }
}
