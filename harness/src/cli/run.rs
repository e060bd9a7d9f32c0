//! `flowquake run`: scenarios times seeds, in parallel, with a table at the end and a folder of reports.
//!
//! Start at [`run`]. No step between a verdict and its output loses the verdict: a file that cannot be written is reported beside
//! the verdict, with exit code 2, and the record stays. While runs are made, each record is appended to a journal. The journal
//! survives whatever happens to this process, and `--resume` continues a stopped run from it ([`resume`]). [`pick`] decides which
//! runs to make, [`history`] keeps them, [`listing`] prints what it keeps, and [`documents`] writes tables, reports and files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use clap::Args;
use flowquake_reports::ansi::Color;
use flowquake_reports::class::Class;
use flowquake_reports::coverage::Coverage;
use flowquake_reports::coverage::activation::Floor;
use flowquake_reports::folder::COMPARISON;
use flowquake_reports::history::HistoryEnd;
use flowquake_reports::probability::FailureCurve;
use flowquake_reports::record::{RunRecord, RunSet, SCHEMA_VERSION, Verdict};
use flowquake_reports::terminal;
use flowquake_reports::units::count_of;
use xxhash_rust::xxh3::xxh3_64;

use self::documents::Results;
use self::history::{Bound, History};
pub(super) use self::listing::runs;
use self::pick::Picked;
use self::resume::{Ask, Unfinished};
use super::coverage;
use super::journal::Journal;
use super::last_failed::{self, Failed, RunId};
use super::print::tell;
use super::sweep::{self, Ended, Many, Progress, Step, Sweep};
use super::{BAD_INPUT, command_line, comparable, limits, outputs, refuse_text, run_args, when};
use crate::environment::needs_disk;
use crate::flink::ApacheFlink;
use crate::jobs::Jobs;
use crate::logging::Level;
use crate::plan::{RunPlan, TargetPlan};
use crate::provenance;
use crate::run::report_folder;
use crate::scenario::{save_plan, tried};
use crate::session::Depth;
use crate::shrink::Failure;
use crate::units;
use crate::worker::{Made, Order, Terms};

mod compare;
mod documents;
mod history;
mod listing;
mod pick;
mod resume;

/// The records of all runs, one per line, written as they come.
const JOURNAL: &str = "runs.jsonl";
/// What [`flowquake_reports::folder::write_report_folder`] writes, and the comparison of several targets.
const DOCUMENTS: [&str; 5] = ["runs.json", "distributions.json", "report.html", "verdicts.txt", COMPARISON];
/// All that is written into the folder of a run: the documents, the journal, and the list of failures.
const REPORT: [&str; 7] = {
    let [runs, distributions, page, verdicts, comparison] = DOCUMENTS;
    [runs, distributions, page, verdicts, comparison, JOURNAL, last_failed::NAME]
};

#[derive(Args)]
pub(super) struct RunArgs {
    /// Scenario files, or folders to search for them
    #[arg(required_unless_present_any = ["failed", "resume"])]
    paths: Vec<PathBuf>,
    /// Only scenarios whose name or folders contain this, or match it if it has * or ?; may be given several times
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Only the runs that did not pass last, or only those with this verdict; of these paths, if any are given
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "", value_name = "VERDICT",
          conflicts_with_all = ["seed", "seeds"])]
    failed: Option<String>,
    /// Go on with the last run that was stopped, or with this one of `target/flowquake/index.html`
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "", value_name = "NAME",
          conflicts_with_all = ["paths", "only", "failed", "seed", "seeds", "failures", "trace", "verify_determinism",
                                "restore_check", "run_memory", "run_cpu", "max_cost"])]
    resume: Option<String>,
    /// What the scenarios are run on: one target, or several to compare (sim,process,flink); what one does not offer is not run there, and
    /// no pass (docs/targets.md)
    #[arg(long, value_enum, value_name = "TARGET", value_delimiter = ',', default_values_t = [TargetPlan::Sim])]
    target: Vec<TargetPlan>,
    /// How often each run is made on targets that do not repeat exactly
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    repeat: u32,
    /// The folder of the Apache Flink for `--target flink` [default: what FLINK_HOME says]
    #[arg(long, value_name = "DIR")]
    flink_home: Option<PathBuf>,
    /// First seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds of each scenario, counted up from the first
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Runs at the same time [default: one per core]
    #[arg(long)]
    jobs: Option<usize>,
    /// Stop starting runs after so many failed ones; `none`: never, for a --resume whose first call had a number
    #[arg(long, value_name = "N|none")]
    max_failures: Option<MaxFailures>,
    /// Also write the run records to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also write the runs as JUnit XML, for a CI system
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Also write them as Markdown, for a comment on a pull request
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Exit with code 1 if fewer than N faults of a kind hurt something: N for every kind, KIND=N for one; several times
    #[arg(long, value_name = "[KIND=]N")]
    min_hurt: Vec<Floor>,
    /// Measure of the first N failures at which event each was decided [1 without a value], and draw it in the report: some 600 runs each
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "1", value_name = "N",
          value_parser = clap::value_parser!(u64).range(1..=100))]
    when: Option<u64>,
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
    /// Runs that the history keeps, the newest ones
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    history_runs: u32,
    /// Bytes that it keeps, the newest run and those under way besides
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = size)]
    history_size: u64,
    #[command(flatten)]
    limits: limits::PerRun,
    /// The engine's log lines, on standard error
    #[arg(long, value_enum, default_value_t)]
    log: Level,
}

/// The value of `--max-failures`: a number, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct MaxFailures(Option<u64>);

impl FromStr for MaxFailures {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "none" => Ok(Self(None)),
            number => number.parse().map(|n| Self(Some(n))).map_err(|_| "write a number, or none".to_owned()),
        }
    }
}

fn size(text: &str) -> Result<u64, String> {
    units::size(text).map_err(|error| format!("{}; {}", error.reason, error.remedy))
}

impl RunArgs {
    /// The arguments of a stopped run (`self`), with those that the call that resumes it (`now`) may change.
    fn gone_on_with(self, now: &Self) -> Self {
        let bounded = now.max_failures.is_some() || now.stop_on_failure;
        Self {
            jobs: now.jobs.or(self.jobs),
            max_failures: if bounded { now.max_failures } else { self.max_failures },
            stop_on_failure: if bounded { now.stop_on_failure } else { self.stop_on_failure },
            json: now.json.clone().or(self.json),
            junit: now.junit.clone().or(self.junit),
            markdown: now.markdown.clone().or(self.markdown),
            verbose: now.verbose || self.verbose,
            distributions: now.distributions || self.distributions,
            when: now.when.or(self.when),
            min_hurt: if now.min_hurt.is_empty() { self.min_hurt } else { now.min_hurt.clone() },
            history_runs: now.history_runs,
            history_size: now.history_size,
            log: now.log,
            ..self
        }
    }
}

pub(super) fn run(args: &RunArgs, jobs: &Jobs) -> ExitCode {
    let Some(name) = &args.resume else { return make(args, jobs, None) };
    let refuse = |name: &str, why: &str| {
        let remedy = "put it back as it was, or leave --resume out and begin anew";
        refuse_text(&format!("--resume: run {name} cannot be gone on with: {why}"), remedy)
    };
    let unfinished = match resume::find(&report_folder(), name) {
        Ok(unfinished) => unfinished,
        Err((what, remedy)) => return refuse_text(&what, &remedy),
    };
    let name = &unfinished.entry.name;
    if let Some(why) = unfinished.ask.refusal() {
        return refuse(name, &why);
    }
    match run_args(&unfinished.ask.words) {
        Some(before) => make(&before.gone_on_with(args), jobs, Some(unfinished)),
        None => refuse(name, "its command is no `run`"),
    }
}

/// Makes all runs; or, of a run that was stopped, those that are left.
fn make(args: &RunArgs, jobs: &Jobs, unfinished: Option<Unfinished>) -> ExitCode {
    let top = report_folder();
    let failed = match last_failed::read(&top) {
        Ok(failed) => failed,
        // The list is replaced below, and only `--failed` needs it.
        Err(_) if args.failed.is_none() => Failed::new(),
        Err(error) => {
            let what = format!("{}: {error}", top.join(last_failed::NAME).display());
            return refuse_text(&what, "leave --failed out");
        }
    };
    let listed = match (&unfinished, &args.failed) {
        (Some(unfinished), _) => unfinished.ask.runs.clone(),
        (None, Some(verdict)) => match pick::listed(&failed, verdict) {
            Ok(runs) => Some(runs),
            Err(code) => return code,
        },
        (None, None) => None,
    };
    let Picked { scenarios, only } = match pick::pick(&args.paths, &args.only, listed.as_deref(), jobs) {
        Ok(picked) => picked,
        Err(code) => return code,
    };
    if args.only.iter().any(String::is_empty) {
        return refuse_text(
            "--only '': an empty text is in every name",
            "write part of a name or folder, or leave it out",
        );
    }
    if let Err(code) = limits::seeds(args.seed, args.seeds, limits::SEEDS_MAX) {
        return code;
    }
    if let Err(code) = coverage::floors(&args.min_hurt, &Coverage::of(&set_of(String::new(), Vec::new()))) {
        return code;
    }
    if args.max_failures == Some(MaxFailures(Some(0))) {
        return refuse_text("--max-failures 0", "no run would be made; write at least 1, or leave it out");
    }
    let parallel = match limits::parallel(args.jobs) {
        Ok(parallel) => parallel,
        Err(code) => return code,
    };
    // Before anything is begun; what is missing is told once, not by each run.
    if args.target.contains(&TargetPlan::Flink)
        && let Err(missing) = ApacheFlink::find(args.flink_home.as_deref()).and_then(|flink| flink.archive())
    {
        return refuse_text(&missing.what, &missing.remedy);
    }
    let (seed, seeds) = (args.seed, args.seeds);
    let stop = args.stop_on_failure.then_some(1);
    let max_failures = args.max_failures.map_or(stop, |MaxFailures(most)| most);
    let variants = match compare::variants(&args.target, args.repeat, args.failed.is_some()) {
        Ok(variants) => variants,
        Err(code) => return code,
    };
    let sweep = Sweep { scenarios: &scenarios, variants, seed, seeds, only, parallel, max_failures };
    if args.trace.is_some() && sweep.runs() > 1 {
        let remedy = format!("name one scenario and one seed; these are {} runs", sweep.runs());
        return refuse_text("--trace needs a single run", &remedy);
    }
    if let Err(code) = scenarios.iter().try_for_each(|scenario| args.limits.affordable(&scenario.plan(seed))) {
        return code;
    }
    if args.verify_determinism
        && let Err(code) = comparable(
            scenarios.iter().flat_map(|scenario| {
                args.target.iter().map(|target| RunPlan { target: *target, ..scenario.plan(seed) })
            }),
            "--verify-determinism",
        )
    {
        return code;
    }
    let files: Vec<&Path> = scenarios.iter().map(|scenario| Path::new(scenario.file())).collect();
    let written =
        [("--json", &args.json), ("--junit", &args.junit), ("--markdown", &args.markdown), ("--trace", &args.trace)]
            .map(|(option, file)| (option, file.as_deref()));
    let writable = outputs::check(&written, &files)
        .and_then(|()| outputs::check_folder(&top, &[&REPORT[..], &[history::INDEX]].concat()))
        .and_then(|()| {
            outputs::check_own(&written, &top, &[history::INDEX, "report.html", last_failed::NAME, history::FOLDER])
        })
        .and_then(|()| outputs::check_made_later("--failures", &args.failures));
    if let Err(code) = writable {
        return code;
    }
    let disk = scenarios.iter().any(|scenario| needs_disk(&scenario.plan(seed)));
    if let Err(code) = sweep::prepare(disk) {
        return code;
    }
    let begun = match unfinished {
        Some(unfinished) => match gone_on(&top, unfinished, &sweep) {
            Ok(begun) => begun,
            Err(code) => return code,
        },
        None => {
            let command = command_line();
            let ask = Ask::of(&scenarios, seed, listed);
            let (history, journal) = History::begin(&top, &set_of(command.clone(), Vec::new()), sweep.runs(), &ask);
            Begun { command, history, journal, records: BTreeMap::new() }
        }
    };
    // What an earlier run left there would be taken for this one's, should this one be stopped before it has written it.
    let documents = DOCUMENTS.map(|name| top.join(name));
    let documents = documents.iter().map(|file| ("the report of an earlier run", Some(file.as_path())));
    if let Err(code) = outputs::clear(&written.into_iter().chain(documents).collect::<Vec<_>>()) {
        return code;
    }
    sweep_on(args, &sweep, begun)
}

/// A run that has its folder, with what was made of it before.
struct Begun {
    command: String,
    history: History,
    journal: Journal,
    records: BTreeMap<u64, RunRecord>,
}

/// The folder and the records of a run that was stopped, or why it cannot be resumed.
fn gone_on(top: &Path, unfinished: Unfinished, sweep: &Sweep<'_>) -> Result<Begun, ExitCode> {
    let Unfinished { folder, entry, ask } = unfinished;
    let refuse = |why: &str, remedy: &str| {
        refuse_text(&format!("--resume: run {} cannot be gone on with: {why}", entry.name), remedy)
    };
    if let Some(why) = ask.refusal_of(sweep.scenarios, sweep.seed) {
        return Err(refuse(&why, "put it back as it was, or leave --resume out and begin anew"));
    }
    let head = set_of(entry.command.clone(), Vec::new());
    let (journal, known) = match Journal::go_on::<_, RunRecord>(&folder.join(JOURNAL), &head) {
        Ok(journal) => journal,
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            return Err(refuse("it is under way", "wait for its end"));
        }
        Err(error) => return Err(refuse(&format!("{JOURNAL}: {error}"), "leave --resume out and begin anew")),
    };
    let mut records = BTreeMap::new();
    // Repetitions of one run are all alike: each record takes the next place.
    let mut repetitions: BTreeMap<(String, u64, String), usize> = BTreeMap::new();
    for record in known.records {
        let run = (record.file.clone(), record.seed, record.target.clone());
        let nth = repetitions.entry(run).or_default();
        if let Some(index) = sweep.index(Path::new(&record.file), record.seed, &record.target, *nth) {
            *nth += 1;
            records.insert(index, record);
        }
    }
    let made = count_of(records.len() as u64, sweep.runs());
    tell!("going on with {}, begun at {}: {made} runs are made", entry.name, entry.begun);
    if known.dropped > 0 {
        let lines = flowquake_reports::units::counted(known.dropped, "line");
        tell!("note: cut off and dropped: {lines} of its journal, whose runs are made again");
    }
    let command = entry.command.clone();
    Ok(Begun { command, history: History::go_on(top, &folder, entry), journal, records })
}

fn sweep_on(args: &RunArgs, sweep: &Sweep<'_>, begun: Begun) -> ExitCode {
    let Begun { command, mut history, mut journal, mut records } = begun;
    let top = report_folder();
    let (mut problems, total) = (Vec::new(), sweep.runs());
    let known: Vec<u64> = records.keys().copied().collect();
    let open = total - known.len() as u64;
    let mut progress = Progress::new(open);
    let terms = Terms { flink_home: args.flink_home.clone(), ..args.limits.terms(args.log) };
    let many = Many { total: open, parallel: sweep.parallel, max_failures: sweep.max_failures, terms: &terms };
    let ended = many.make(
        |nth| sweep.plan(unknown(&known, nth)).map(|plan| order(plan, args, sweep)),
        |step| {
            let Step::Made(nth, made) = step else {
                progress.wait();
                return true;
            };
            let index = unknown(&known, nth);
            let (record, json) = kept(*made, || sweep.plan(index), args, sweep, &mut history, &mut problems);
            journal.add(&json);
            progress.step(&record);
            records.insert(index, record);
            true
        },
    );
    progress.end();
    problems.extend(journal.problem());
    let records: Vec<RunRecord> = records.into_values().collect();
    let made = records.len() as u64;
    let stopped = made < total && ended.is_none();
    if stopped && !sweep.is_long() {
        tell!("stopped after a failure: {} runs were not made", count_of(total - made, total));
    }
    let id = |run: &RunRecord| RunId { file: run.file.clone().into(), seed: run.seed };
    let made_now = records.iter().map(id).collect();
    let failures = records.iter().filter(|run| is_failure(&run.verdict));
    let failed_now: Failed = failures.map(|run| (id(run), run.verdict.label().to_owned())).collect();
    if made > 0 {
        // Other runs may have ended in the meanwhile.
        let _lock = history::lock(&top);
        let mut before = last_failed::read(&top).unwrap_or_default();
        before.retain(|run, _| run.file.exists());
        let own = (history.folder() != top).then(|| last_failed::write(history.folder(), &failed_now));
        let all = last_failed::write(&top, &last_failed::after(before, &made_now, failed_now));
        for written in own.into_iter().chain([all]) {
            problems.extend(written.err().map(|error| format!("{}: {error}", top.join(last_failed::NAME).display())));
        }
    }
    let set = set_of(command, records);
    let counted = Coverage::of(&set);
    let (curves, ended) = match (args.when, ended) {
        (Some(most), None) => curves(args, sweep, &set.runs, most),
        (_, ended) => (Vec::new(), ended),
    };
    if made > 0 {
        let why = match &ended {
            Some(ended) => Some(ended.to_string()),
            None => (stopped && sweep.is_long()).then(|| "as many failed as --max-failures allows".to_owned()),
        };
        let results = Results { set: &set, curves: &curves, counted: &counted };
        documents::finish(&results, args, sweep, why.as_deref(), &mut history, &mut problems);
    }
    let end = match &ended {
        None if !stopped => HistoryEnd::Finished,
        None => HistoryEnd::TooManyFailures,
        Some(Ended::Signal(signal)) => HistoryEnd::Interrupted { signal: signal.to_string() },
        Some(Ended::Environment(environment)) => HistoryEnd::Environment { what: environment.to_string() },
        Some(Ended::Full) => HistoryEnd::Environment { what: "what was made could not be kept".into() },
    };
    let can_go_on = end != HistoryEnd::Finished && history.is_kept();
    let bound = Bound { runs: args.history_runs, bytes: args.history_size };
    problems.extend(history.end(&set.runs, end, bound));
    // Until now the journal's lock kept others from resuming this run or removing its folder (HISTORY-H2).
    drop(journal);
    // In a sweep that was stopped, it is not known yet how often faults hurt something.
    let finished = ended.is_none() && !stopped;
    let active = !finished || {
        let asked = coverage::floors(&args.min_hurt, &counted).is_ok_and(|f| coverage::is_active(&f, &counted));
        asked & coverage::swarms_are_active(sweep.scenarios, &set.runs)
    };
    // With no runs nothing passed; the reason is printed below.
    let code = documents::settle(&set.runs, active, &problems);
    // Printed last, where the terminal stops.
    let (code, first) = match &ended {
        Some(ended) => (ended.settle(made, total), Some((ended.exit_code(), ended.to_string()))),
        None if !problems.is_empty() => (code, Some((BAD_INPUT, "what could not be written".to_owned()))),
        None => (code, None),
    };
    if can_go_on {
        tell!("  go on with what is left: {}", provenance::command("run --resume"));
    }
    if let Some((shown, why)) = first.filter(|_| made > 0 && worst(&set.runs) != 0) {
        // So that readers of the exit code alone do not take the program under test for correct.
        let sum = terminal::sum(&set, Color::No);
        tell!("{sum}; exit code {shown} is for {why}, the verdicts alone give {}", worst(&set.runs));
    }
    code
}

/// Whether it is a failure of a run whose timing can be redrawn, which only the simulator can.
fn can_be_redrawn(run: &RunRecord) -> bool {
    run.target == "sim" && Failure::of(&run.verdict).is_some()
}

/// When the first failures were decided; and what ended the measurement early, if anything did.
fn curves(args: &RunArgs, sweep: &Sweep<'_>, runs: &[RunRecord], most: u64) -> (Vec<FailureCurve>, Option<Ended>) {
    let mut curves = Vec::new();
    let terms = args.limits.terms(args.log);
    let asked = when::Asked { samples: when::SAMPLES, points: when::POINTS, parallel: sweep.parallel, terms: &terms };
    let failed = runs.iter().filter(|run| can_be_redrawn(run));
    for run in failed.take(usize::try_from(most).unwrap_or(usize::MAX)) {
        let index = sweep.index(Path::new(&run.file), run.seed, &run.target, 0);
        let Some(plan) = index.and_then(|index| sweep.plan(index)) else { continue };
        tell!("when {} seed {} was decided:", run.scenario, run.seed);
        let file = args.failures.join(plan_file_name(&run.scenario, &run.target, run.seed));
        // Why it cannot be measured was told, and loses no verdict.
        let Ok(when::Measured { curve, ended, .. }) = when::curve(&asked, &plan, &file) else { continue };
        curves.push(curve);
        if ended.is_some() {
            return (curves, ended);
        }
    }
    (curves, None)
}

/// The index of the `nth` run that is not among the `known` ones, which are sorted. Both count from 0.
fn unknown(known: &[u64], nth: u64) -> u64 {
    let (mut low, mut high) = (0, known.len());
    // Searches for the number of known runs before it.
    while low < high {
        let middle = low + (high - low) / 2;
        if known[middle] - middle as u64 <= nth { low = middle + 1 } else { high = middle }
    }
    nth.saturating_add(low as u64)
}

/// Whether there is something to explain and to replay.
fn is_failure(verdict: &Verdict) -> bool {
    *verdict != Verdict::Passed && verdict.class().ran()
}

fn order(plan: RunPlan, args: &RunArgs, sweep: &Sweep) -> Order {
    let target = if plan.target.is_sim() { String::new() } else { format!(" --target {}", plan.target.name()) };
    let replay = provenance::command(&format!("run {}{target} --seed {}", provenance::quoted(&plan.file), plan.seed));
    let depth = if args.restore_check.unwrap_or(args.seeds == 1) { Depth::Full } else { Depth::Quick };
    let (slim, trace) = (sweep.is_slim(&plan), args.trace.clone());
    Order { depth, verify: args.verify_determinism, trace, slim, ..Order::quick(plan, replay) }
}

/// The record of a run, also as JSON. The history keeps its plan, unless it is one of thousands that passed. The plan
/// of a run that did not pass is also saved for the user, if that is possible.
fn kept(
    made: Made,
    plan: impl FnOnce() -> Option<RunPlan>,
    args: &RunArgs,
    sweep: &Sweep<'_>,
    history: &mut History,
    problems: &mut Vec<String>,
) -> (RunRecord, Vec<u8>) {
    let Made { mut record, json, problems: others, .. } = made;
    problems.extend(others);
    let failed = is_failure(&record.verdict);
    if !failed && sweep.is_long() {
        return (record, json);
    }
    let name = plan_file_name(&record.scenario, &record.target, record.seed);
    let plan = plan().map(|plan| RunPlan { prediction: record.prediction.clone(), ..plan });
    if let Some(plan) = &plan {
        history.keep_plan(&name, plan);
    }
    if !failed {
        return (record, json);
    }
    let file = args.failures.join(name);
    match plan.map_or(Ok(()), |plan| save(&args.failures, &file, &plan)) {
        Ok(()) => {
            record.replay = provenance::replay_command(&file);
            if can_be_redrawn(&record) {
                record.when = when::command(&file);
            }
        }
        Err(problem) => problems.push(format!("{} seed {}: {problem}", record.scenario, record.seed)),
    }
    let json = serde_json::to_vec(&record).expect("a record is always JSON");
    (record, json)
}

fn save(folder: &Path, file: &Path, plan: &RunPlan) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    save_plan(file, plan).map_err(|error| error.to_string())
}

/// The name of a saved plan's file: no longer than every file system allows. A target other than the simulator is named, since plans of several
/// targets lie side by side.
fn plan_file_name(scenario: &str, target: &str, seed: u64) -> String {
    const SCENARIO_MAX: usize = 150;
    let on = if target == TargetPlan::Sim.name() { String::new() } else { format!("-{target}") };
    match scenario.char_indices().map(|(at, _)| at).take_while(|at| *at <= SCENARIO_MAX).last() {
        Some(end) if scenario.len() > SCENARIO_MAX => {
            format!("{}-{:016x}{on}-seed-{seed}.json", &scenario[..end], xxh3_64(scenario.as_bytes()))
        }
        _ => format!("{scenario}{on}-seed-{seed}.json"),
    }
}

fn set_of(command: String, runs: Vec<RunRecord>) -> RunSet {
    RunSet {
        schema_version: SCHEMA_VERSION,
        command,
        program: provenance::program(),
        fault_kinds: crate::faults::records(),
        setting_ranges: tried::records(),
        runs,
    }
}

/// The exit code of a set of runs: that of the worst one. With no runs nothing passed.
fn worst(runs: &[RunRecord]) -> u8 {
    runs.iter().map(|run| run.verdict.class()).max().map_or(BAD_INPUT, Class::exit_code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_has_a_file_name_that_every_system_takes() {
        assert_eq!(plan_file_name("small", "sim", 7), "small-seed-7.json");
        assert_eq!(plan_file_name("small", "flink", 7), "small-flink-seed-7.json");
        let names = ["ä", "b"].map(|letter| plan_file_name(&letter.repeat(245), "process", u64::MAX));
        assert!(names.iter().all(|name| name.len() < 220), "{names:?}");
        assert_ne!(plan_file_name(&"b".repeat(244), "sim", 1), plan_file_name(&"b".repeat(245), "sim", 1));
    }

    #[test]
    fn what_is_known_is_left_out() {
        let known = [0, 1, 4, 7];
        let rest: Vec<u64> = (0..6).map(|nth| unknown(&known, nth)).collect();
        assert_eq!(rest, [2, 3, 5, 6, 8, 9]);
        assert_eq!((unknown(&[], 7), unknown(&known, u64::MAX)), (7, u64::MAX));
    }

    #[test]
    fn no_runs_are_no_pass() {
        assert_eq!(worst(&[]), 2);
    }
}
