//! `flowquake hunt`: continuous search over swarms, guided or not, with a corpus, failures in buckets, and each failure
//! made smaller once.
//!
//! Start at [`hunt`]. [`Hunt`] decides what is run next and what a run has shown. This file handles the folder of the
//! corpus, the workers, the clock, and the report. Each run is recorded as it comes, and what enters the corpus is on
//! disk at once, so Ctrl-C, a full disk or a kill loses only the runs in progress.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use flowquake_reports::bounded;
use flowquake_reports::json::write_atomically;
use flowquake_reports::units::{count, count_of, counted};

use self::folder::Folder;
use super::print::{say, tell};
use super::sweep::{self, Ended, Many, Progress, Step};
use super::{catalogue, check, command_line, limits, outputs, refuse_text};
use crate::checker::JobCatalogue;
use crate::cost::estimate;
use crate::environment::needs_disk;
use crate::interrupt;
use crate::jobs::Jobs;
use crate::logging::Level;
use crate::plan::RunPlan;
use crate::predict::foresee;
use crate::provenance::{self, quoted};
use crate::scenario::{load_plan, plan_problems, save_plan};
use crate::screen;
use crate::search::hunt::bucket::Bucket;
use crate::search::hunt::report::{FailureFound, HUNT_REPORT_VERSION, HuntReport, merge};
use crate::search::hunt::{Candidate, Hunt, News, Shown};
use crate::search::seeds::{Date, Seeds, Shard};
use crate::shrink::{self, Failure};
use crate::units as written;
use crate::worker::{Order, Terms, Unmade, Worker};

mod folder;

/// A hunt counts as saturated only after this many runs, because before that the estimate means little.
const SATURATED_RUNS: u64 = 200;
/// The largest report that is read.
const REPORT_MAX: u64 = 256 << 20;

#[derive(Args)]
pub(super) struct HuntArgs {
    /// Scenario files with a [swarm], or folders to search for them [default: scenarios/swarm]; with --merge, reports
    paths: Vec<PathBuf>,
    /// End after this time; failures are made smaller after it
    #[arg(long = "for", value_name = "DURATION", default_value = "10min", value_parser = time)]
    lasts: Duration,
    /// End after so many runs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    runs: Option<u64>,
    /// End when the chance that the next run shows something new is below this, in percent
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    saturation: Option<f64>,
    /// The first seed
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "nightly")]
    seed: u64,
    /// Seeds that belong to this date alone
    #[arg(long, value_name = "DATE")]
    nightly: Option<Date>,
    /// Every N-th seed from the K-th on, for hunts that share the work
    #[arg(long, value_name = "K/N", default_value_t)]
    shard: Shard,
    /// Change plans that showed something new, besides fresh seeds
    #[arg(long)]
    guided: bool,
    /// Plans that showed something new; a hunt goes on from what it finds there
    #[arg(long, value_name = "DIR", default_value = "flowquake-corpus")]
    corpus: PathBuf,
    /// Where the plans of failures are saved
    #[arg(long, value_name = "DIR", default_value = "flowquake-failures")]
    failures: PathBuf,
    /// Runs to make each failure smaller; 0 leaves them as they are
    #[arg(long, value_name = "N", default_value_t = 200)]
    shrink_runs: u64,
    /// So many failures are made smaller at most
    #[arg(long, value_name = "N", default_value_t = 10)]
    shrink_most: usize,
    /// Write the report as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Make one report of those of all shards, and run nothing
    #[arg(long, requires = "paths")]
    merge: bool,
    /// Runs at the same time [default: one per core]
    #[arg(long)]
    jobs: Option<usize>,
    #[command(flatten)]
    limits: limits::PerRun,
    /// The engine's log lines, on standard error
    #[arg(long, value_enum, default_value_t)]
    log: Level,
}

fn time(text: &str) -> Result<Duration, String> {
    let time = written::duration(text).map_err(|error| format!("{}; {}", error.reason, error.remedy))?;
    if time.is_zero() { Err("no run would be made; write a time, such as 30m".into()) } else { Ok(time) }
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim_end().parse::<f64>().ok();
    number.filter(|percent| (0.0..=100.0).contains(percent)).ok_or_else(|| "a number from 0 to 100 is needed".into())
}

pub(super) fn hunt(args: &HuntArgs, jobs: &Jobs) -> ExitCode {
    match if args.merge { merged(args) } else { hunted(args, jobs) } {
        Ok(code) | Err(code) => code,
    }
}

/// Merges several reports into one.
fn merged(args: &HuntArgs) -> Result<ExitCode, ExitCode> {
    let read: Vec<&Path> = args.paths.iter().map(PathBuf::as_path).collect();
    outputs::check(&[("--json", args.json.as_deref())], &read)?;
    let mut reports = Vec::new();
    for file in read {
        let remedy = "name a file that `flowquake hunt --json FILE` has written";
        let refuse = |why: String| refuse_text(&format!("{}: {why}", file.display()), remedy);
        let text = bounded::text(file, REPORT_MAX).map_err(|error| refuse(error.to_string()))?;
        let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| refuse(error.to_string()))?;
        let version = value.get("hunt_version").and_then(serde_json::Value::as_u64);
        if version != Some(HUNT_REPORT_VERSION.into()) {
            let found =
                version.map_or("no report of a hunt".to_owned(), |version| format!("a report of version {version}"));
            return Err(refuse(format!("it is {found}, this build reads version {HUNT_REPORT_VERSION}")));
        }
        reports.push(serde_json::from_value(value).map_err(|error| refuse(error.to_string()))?);
    }
    let remedy = "name the report of every shard of one hunt, each once";
    let report: HuntReport = merge(reports).map_err(|error| refuse_text(&format!("--merge: {error}"), remedy))?;
    finish(args, &report)?;
    Ok(ExitCode::from(report.exit_code()))
}

/// Prints the report, and writes it to a file if that was asked for.
fn finish(args: &HuntArgs, report: &HuntReport) -> Result<(), ExitCode> {
    say!("{}", report.text().trim_end());
    if let Some(file) = &args.json {
        let text = serde_json::to_string_pretty(report).expect("a report is always JSON") + "\n";
        write_atomically(file, text.as_bytes()).map_err(|error| {
            refuse_text(&format!("--json {}: {error}", file.display()), "name a file that can be written")
        })?;
    }
    Ok(())
}

fn hunted(args: &HuntArgs, jobs: &Jobs) -> Result<ExitCode, ExitCode> {
    let default = [PathBuf::from("scenarios/swarm")];
    let paths = if args.paths.is_empty() { &default[..] } else { &args.paths };
    let scenarios = check::load(paths, jobs)?;
    if let Some(scripted) = scenarios.iter().find(|scenario| !scenario.is_swarm()) {
        let what = format!("{} has no [swarm]: nothing says what may be changed in it", scripted.file());
        return Err(refuse_text(&what, "name scenarios with a [swarm], such as those in scenarios/swarm"));
    }
    let files: Vec<&Path> = scenarios.iter().map(|scenario| Path::new(scenario.file())).collect();
    outputs::check(&[("--json", args.json.as_deref())], &files)?;
    outputs::check_made_later("--failures", &args.failures)?;
    outputs::check_made_later("--corpus", &args.corpus)?;
    let parallel = limits::parallel(args.jobs)?;
    let seeds = match args.nightly {
        Some(date) => Seeds::of_night(date, args.shard),
        None => Seeds { first: args.seed, shard: args.shard },
    };
    scenarios.iter().try_for_each(|scenario| args.limits.affordable(&scenario.plan(seeds.nth(0))))?;
    sweep::prepare(scenarios.iter().any(|scenario| needs_disk(&scenario.plan(seeds.nth(0)))))?;
    outputs::clear(&[("--json", args.json.as_deref())])?;
    let catalogue = catalogue(jobs);
    let (folder, found) = Folder::open(&args.corpus, &scenarios, &catalogue)?;
    let begun = screen::now();
    let terms = args.limits.terms(args.log);
    let mut known: Vec<_> = found.into_iter().map(|found| (found.name, found.plan, found.scenario)).collect();
    // An expensive plan in a corpus must not prevent the hunt, so it is left out.
    known.retain(|(_, plan, _)| estimate(plan).seconds() <= args.limits.max_cost().as_secs_f64());
    let mut search = Search {
        args,
        hunt: Mutex::new(Hunt::new(&scenarios, seeds, args.guided, known)),
        under_way: Mutex::new(BTreeMap::new()),
        folder,
        saturated: AtomicBool::new(false),
        problems: Vec::new(),
        cpu_ns: 0,
    };
    let may_run = |plan: &RunPlan| {
        plan_problems(plan, &catalogue).is_empty() && estimate(plan).seconds() <= args.limits.max_cost().as_secs_f64()
    };
    let ended = search.go(&terms, parallel, begun, may_run);
    let Search { hunt, folder, saturated, mut problems, cpu_ns, .. } = search;
    let hunt = hunt.into_inner().expect("a hunt does not panic");
    let why = match &ended {
        None if saturated.into_inner() => "saturated".to_owned(),
        None if args.runs == Some(hunt.seen().runs()) => "as many runs as asked for".to_owned(),
        None => "time".to_owned(),
        Some(Ended::Signal(signal)) => format!("interrupted by {signal}"),
        Some(Ended::Environment(environment)) => format!("the environment: {environment}"),
        Some(Ended::Full) => "the corpus cannot be written".to_owned(),
    };
    let mut failures = Vec::new();
    let small = args.shrink_runs > 0 && ended.is_none();
    let mut worker = Worker::new(&terms);
    for (number, bucket) in hunt.buckets().into_iter().enumerate() {
        let shrunk = (small && number < args.shrink_most).then_some(&mut worker);
        failures.push(saved(args, jobs, bucket, shrunk, &catalogue, &mut problems));
    }
    let report = HuntReport {
        hunt_version: HUNT_REPORT_VERSION,
        program: provenance::program(),
        command: command_line(),
        scenarios: scenarios.iter().map(|scenario| scenario.name().to_owned()).collect(),
        guided: args.guided,
        seeds,
        shards: vec![args.shard],
        ended: why,
        wall_ns: u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX),
        cpu_ns,
        fresh: hunt.fresh(),
        verdicts: hunt.verdicts().iter().map(|(verdict, runs)| ((*verdict).to_owned(), *runs)).collect(),
        seen: hunt.seen().clone(),
        signals: hunt.signals(),
        corpus: hunt.entries().len() as u64,
        failures,
    };
    finish(args, &report)?;
    say!("corpus: {}", folder.path().display());
    problems.iter().for_each(|problem| tell!("error: {problem}"));
    let made = hunt.seen().runs();
    // The signal may have come while failures were made smaller.
    let ended = ended.or_else(|| interrupt::signal().map(Ended::Signal));
    Ok(match ended {
        Some(ended) => ended.settle(made, args.runs.unwrap_or(made)),
        None if !problems.is_empty() => ExitCode::from(super::BAD_INPUT),
        None => ExitCode::from(report.exit_code()),
    })
}

/// A hunt, and what it leaves on disk.
struct Search<'s> {
    args: &'s HuntArgs,
    hunt: Mutex<Hunt<'s>>,
    /// What the workers are running, by index.
    under_way: Mutex<BTreeMap<u64, Candidate>>,
    folder: Folder,
    saturated: AtomicBool,
    problems: Vec<String>,
    cpu_ns: u64,
}

impl Search<'_> {
    /// Makes runs until time, runs or novelty are used up.
    fn go(
        &mut self,
        terms: &Terms,
        parallel: usize,
        begun: std::time::Instant,
        may_run: impl Fn(&RunPlan) -> bool + Sync,
    ) -> Option<Ended> {
        let Self { args, hunt, under_way, folder, saturated, problems, cpu_ns } = self;
        let (hunt, under_way, folder, saturated) = (&*hunt, &*under_way, &*folder, &*saturated);
        let total = args.runs.unwrap_or(u64::MAX);
        let mut progress = Progress::open(args.runs);
        let many = Many { total, parallel, max_failures: None, terms };
        let ended = many.make(
            |index| {
                if index >= total || begun.elapsed() >= args.lasts || saturated.load(Ordering::Relaxed) {
                    return None;
                }
                let candidate = hunt.lock().expect("a hunt does not panic").next(&may_run);
                let order = Order {
                    slim: true,
                    signature: true,
                    steps: true,
                    ..Order::quick(candidate.plan.clone(), String::new())
                };
                under_way.lock().expect("nothing panics with it").insert(index, candidate);
                Some(order)
            },
            |step| {
                let Step::Made(index, made) = step else {
                    progress.wait();
                    return true;
                };
                let candidate = under_way.lock().expect("nothing panics with it").remove(&index);
                let (Some(candidate), Some(signature)) = (candidate, made.seen.signature) else { return true };
                *cpu_ns += made.record.totals.cpu_ns;
                let mut hunt = hunt.lock().expect("a hunt does not panic");
                let news = hunt.record(candidate, Shown::of(&made.record, *signature, made.seen.steps));
                if let Some(key) = &news.new_bucket {
                    tell!("new failure, run {}: {key}", count(hunt.seen().runs()));
                }
                let kept = keep(folder, &hunt, &news);
                let is_saturated = args.saturation.is_some_and(|percent| {
                    hunt.seen().runs() >= SATURATED_RUNS && hunt.seen().unseen() * 100.0 < percent
                });
                saturated.fetch_or(is_saturated, Ordering::Relaxed);
                progress.news(hunt.entries().len(), hunt.buckets().len());
                drop(hunt);
                progress.count();
                progress.wait();
                if let Err(problem) = kept {
                    problems.push(problem);
                    return false;
                }
                true
            },
        );
        progress.end();
        ended
    }
}

/// Writes the file of what entered the corpus, and removes the file of what left it.
fn keep(folder: &Folder, hunt: &Hunt<'_>, news: &News) -> Result<(), String> {
    if let Some(entry) = news.kept.and_then(|at| hunt.entries().get(at)) {
        folder.write(entry)?;
    }
    news.dropped.iter().try_for_each(|name| folder.remove(name))
}

/// Saves the plan of a failure. It is made smaller if there is a worker, unless an earlier hunt has done that.
fn saved(
    args: &HuntArgs,
    jobs: &Jobs,
    bucket: &Bucket,
    worker: Option<&mut Worker<'_>>,
    catalogue: &JobCatalogue,
    problems: &mut Vec<String>,
) -> FailureFound {
    let name = format!("{}-{}", bucket.plan.scenario, bucket.key.name());
    let [whole, small] = ["json", "small.json"].map(|ending| args.failures.join(format!("{name}.{ending}")));
    let save = |file: &Path, plan: &RunPlan, problems: &mut Vec<String>| {
        let made = std::fs::create_dir_all(&args.failures).map_err(|error| error.to_string());
        let saved = made.and_then(|()| save_plan(file, &foresee(plan, jobs)).map_err(|error| error.to_string()));
        problems.extend(saved.err().map(|error| format!("{}: {error}", file.display())));
    };
    save(&whole, &bucket.plan, problems);
    // Once is enough: another plan with the same failure would become no smaller.
    let before = load_plan(&small, catalogue).ok();
    let smallest = before.or_else(|| {
        let smallest = smaller(args, bucket, worker?, catalogue, problems)?;
        save(&small, &smallest, problems);
        Some(smallest)
    });
    let file = if smallest.is_some() { small } else { whole };
    FailureFound {
        bucket: bucket.clone(),
        replay: provenance::command(&format!("replay {}", quoted(&file.to_string_lossy()))),
        file: file.display().to_string(),
        small_faults: smallest.map(|plan| plan.faults.len() as u64),
    }
}

/// The smaller plan of a failure; `None` if the plan does not fail again, which is reported.
fn smaller(
    args: &HuntArgs,
    bucket: &Bucket,
    worker: &mut Worker<'_>,
    catalogue: &JobCatalogue,
    problems: &mut Vec<String>,
) -> Option<RunPlan> {
    let mut broken = None;
    let mut made = |plan: &RunPlan| {
        if broken.is_some() {
            return None;
        }
        match worker.make(&Order::quick(plan.clone(), String::new())) {
            Ok(made) => Some(made.record),
            Err(unmade) => {
                broken = Some(unmade);
                None
            }
        }
    };
    let first = made(&bucket.plan);
    let wanted = first.as_ref().and_then(|record| Failure::of(&record.verdict));
    let struck = first.iter().flat_map(|record| &record.faults).filter(|fault| fault.struck_at_ns.is_some());
    let struck = shrink::only_struck(&bucket.plan, &struck.map(|fault| fault.id).collect());
    let shrunk = wanted.is_some().then(|| {
        let budget = shrink::Budget { runs: args.shrink_runs, schedules: 3 };
        let may_run = |plan: &RunPlan| plan_problems(plan, catalogue).is_empty();
        let mut said = screen::now();
        shrink::shrink(bucket.plan.clone(), struck, budget, may_run, |run, smallest, plan| {
            if said.elapsed() >= Duration::from_secs(25) {
                tell!(
                    "{} runs to make a failure smaller, {}",
                    count_of(run, args.shrink_runs),
                    counted(smallest.faults.len(), "fault")
                );
                said = screen::now();
            }
            made(plan).and_then(|record| Failure::of(&record.verdict)) == wanted
        })
    });
    match broken {
        Some(Unmade::Environment(environment)) => {
            problems.push(format!("the environment: {environment}"));
            None
        }
        Some(Unmade::Interrupted) => None,
        None if shrunk.is_none() => {
            problems.push(format!("{}: does not fail again, so it was not made smaller", bucket.key));
            None
        }
        None => shrunk.map(|shrunk| shrunk.plan),
    }
}
