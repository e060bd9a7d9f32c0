//! `flowquake when`: finds the event of a failing run at which the failure was decided.
//!
//! Start at [`when`]. The plan is run once to get its events. Then workers make the runs of each point in parallel, and
//! the results decide which point is next ([`Search`]). Ctrl-C ends the search with what was measured so far.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use flowquake_engine::event::EventRecord;
use flowquake_reports::json::write_atomically;
use flowquake_reports::probability::text::{self, Signs};
use flowquake_reports::probability::{CurvePoint, FailureCurve, Strike};
use flowquake_reports::record::{RunRecord, RunSet, SCHEMA_VERSION};
use flowquake_reports::{html, units};

use super::print::{say, tell};
use super::sweep::{self, Ended, Many, Progress, Step};
use super::{catalogue, color, command_line, limits, make_one, outputs, refuse, refuse_text, repeats, screen, width};
use crate::environment;
use crate::jobs::Jobs;
use crate::logging::Level;
use crate::plan::RunPlan;
use crate::provenance::{self, quoted};
use crate::scenario::{load_plan, tried};
use crate::search::curve::{Search, redrawn};
use crate::session::Depth;
use crate::shrink::Failure;
use crate::worker::{Order, Terms, Worker};

#[derive(Args)]
pub(super) struct WhenArgs {
    /// A plan that fails, as saved by `flowquake run`
    plan: PathBuf,
    /// Runs for each point of the curve
    #[arg(long, value_name = "N", default_value_t = SAMPLES, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    samples: u64,
    /// So many points at most, half of them evenly over the run, the others where the curve rises
    #[arg(long, value_name = "N", default_value_t = POINTS, value_parser = clap::value_parser!(u32).range(2..=10_000))]
    points: u32,
    /// Write the page of the run, with the curve in it
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write the curve as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw with ASCII characters alone [default: if the locale says so]
    #[arg(long)]
    ascii: bool,
    /// Runs at the same time [default: one per core]
    #[arg(long)]
    jobs: Option<usize>,
    #[command(flatten)]
    limits: limits::PerRun,
    /// The engine's log lines, on standard error
    #[arg(long, value_enum, default_value_t)]
    log: Level,
}

pub(super) fn when(args: &WhenArgs, jobs: &Jobs) -> ExitCode {
    let plan = match load_plan(&args.plan, &catalogue(jobs)) {
        Ok(plan) => plan,
        Err(error) => return refuse(error),
    };
    if let Err(code) = repeats(&plan, &args.plan) {
        return code;
    }
    let written = [("--output", args.output.as_deref()), ("--json", args.json.as_deref())];
    let ready = outputs::check(&written, &[&args.plan])
        .and_then(|()| args.limits.affordable(&plan))
        .and_then(|()| limits::parallel(args.jobs))
        .and_then(|parallel| sweep::prepare(environment::needs_disk(&plan)).map(|()| parallel))
        .and_then(|parallel| outputs::clear(&written).map(|()| parallel));
    let parallel = match ready {
        Ok(parallel) => parallel,
        Err(code) => return code,
    };
    let terms = args.limits.terms(args.log);
    let asked = Asked { samples: args.samples, points: args.points, parallel, terms: &terms };
    let Measured { record, curve, ended } = match curve(&asked, &plan, &args.plan) {
        Ok(measured) => measured,
        Err(code) => return code,
    };
    let signs = if args.ascii || !screen::speaks_unicode() { Signs::Ascii } else { Signs::Blocks };
    say!("{}", text::chart(&curve, width(), signs, color()));
    say!("{}", text::table(&curve).text(0, screen::screen()));
    say!("{}", text::findings(&curve).trim_end());
    if let Err(code) = write(args, record, &curve) {
        return code;
    }
    let (made, begun) = (curve.runs - 1, curve.points.len() as u64 * args.samples);
    ended.map_or(ExitCode::SUCCESS, |ended| ended.settle(made, begun))
}

/// A command that measures the curve of the failing plan in this file.
pub(super) fn command(plan: &Path) -> String {
    provenance::command(&format!("when {}", quoted(&plan.to_string_lossy())))
}

/// Default number of runs for each point.
pub(super) const SAMPLES: u64 = 20;
/// Default limit on the number of points.
pub(super) const POINTS: u32 = 32;

/// How a curve is measured.
pub(super) struct Asked<'t> {
    pub(super) samples: u64,
    pub(super) points: u32,
    pub(super) parallel: usize,
    pub(super) terms: &'t Terms,
}

/// A curve as far as it was measured.
pub(super) struct Measured {
    /// Record of the failing run.
    pub(super) record: RunRecord,
    pub(super) curve: FailureCurve,
    pub(super) ended: Option<Ended>,
}

/// Measures the curve of the plan in `file`. Refuses a plan that does not fail.
pub(super) fn curve(asked: &Asked<'_>, plan: &RunPlan, file: &Path) -> Result<Measured, ExitCode> {
    let whole = Whole::make(asked, plan, file)?;
    let mut search = Search::new(whole.events.len() as u64, asked.points as usize);
    let (ended, runs) = measure(asked, plan, &whole.failure, &mut search);
    let curve = FailureCurve {
        scenario: plan.scenario.clone(),
        seed: plan.seed,
        plan: file.display().to_string(),
        failure: whole.failure.to_string(),
        events: whole.events.len() as u64,
        points: search.points(),
        step: search.step(&whole.events),
        strikes: whole.strikes(),
        runs: runs + 1,
    };
    Ok(Measured { record: whole.record, curve, ended })
}

/// The failing run without redraws.
struct Whole {
    record: RunRecord,
    failure: Failure,
    /// The run's events, as text.
    events: Vec<String>,
    times: Vec<u64>,
}

impl Whole {
    /// Makes the run. Refuses a plan that does not fail.
    fn make(asked: &Asked<'_>, plan: &RunPlan, saved: &Path) -> Result<Self, ExitCode> {
        let folder = tempfile::tempdir().map_err(|error| {
            refuse_text(&format!("a folder for the trace: {error}"), "make room for temporary files")
        })?;
        let file = folder.path().join("trace.jsonl");
        let replay = provenance::replay_command(saved);
        let order = Order { depth: Depth::Quick, trace: Some(file.clone()), ..Order::quick(plan.clone(), replay) };
        let made = make_one(&mut Worker::new(asked.terms), &order)?;
        let Some(failure) = Failure::of(&made.record.verdict) else {
            let what = format!("{} does not fail: {}", saved.display(), made.record.verdict.label());
            return Err(refuse_text(&what, "name a plan whose replay fails, is stuck or crashes"));
        };
        let unreadable = |why: String| refuse_text(&format!("the trace of the failing run: {why}"), "try again");
        // A run that ended its process leaves no trace, so there are no events to keep.
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(_) => return Err(unreadable(made.record.verdict.headline())),
        };
        let events: Result<Vec<EventRecord>, _> = text.lines().map(serde_json::from_str).collect();
        let events = events.map_err(|error| unreadable(error.to_string()))?;
        let times = events.iter().map(|event| event.at.0).collect();
        let events = events.iter().map(ToString::to_string).collect();
        Ok(Self { record: made.record, failure, events, times })
    }

    fn strikes(&self) -> Vec<Strike> {
        let strike = |fault: &flowquake_reports::record::FaultRecord| {
            let at = fault.struck_at_ns?;
            let after_events = self.times.partition_point(|time| *time <= at) as u64;
            Some(Strike { fault: fault.id, kind: fault.kind.clone(), after_events })
        };
        self.record.faults.iter().filter_map(strike).collect()
    }
}

/// Measures point after point. Returns why it ended early, and how many runs were made.
fn measure(asked: &Asked<'_>, plan: &RunPlan, failure: &Failure, search: &mut Search) -> (Option<Ended>, u64) {
    let samples = asked.samples;
    let mut runs = 0;
    let mut progress = Progress::new(u64::from(asked.points) * samples);
    loop {
        let next = search.next();
        if next.is_empty() {
            progress.end();
            return (None, runs);
        }
        let place = |index: u64| (next.get((index / samples) as usize).copied(), index % samples);
        let mut counted = vec![(0, 0, 0); next.len()];
        let many = Many {
            total: next.len() as u64 * samples,
            parallel: asked.parallel,
            max_failures: None,
            terms: asked.terms,
        };
        let ended = many.make(
            |index| {
                let (at, n) = place(index);
                Some(Order::quick(redrawn(plan, at?, n), String::new()))
            },
            |step| {
                let Step::Made(index, made) = step else {
                    progress.wait();
                    return true;
                };
                runs += 1;
                let (made_of, failed, otherwise) = &mut counted[(index / samples) as usize];
                *made_of += 1;
                match Failure::of(&made.record.verdict) {
                    Some(other) if other == *failure => *failed += 1,
                    Some(_) => *otherwise += 1,
                    None => {}
                }
                progress.count();
                progress.wait();
                true
            },
        );
        for (at, (made_of, failed, otherwise)) in next.iter().zip(counted).filter(|(_, (made_of, ..))| *made_of > 0) {
            search.measured(CurvePoint::new(*at, made_of, failed, otherwise));
        }
        if ended.is_some() {
            progress.end();
            return (ended, runs);
        }
    }
}

fn write(args: &WhenArgs, record: RunRecord, curve: &FailureCurve) -> Result<(), ExitCode> {
    let set = RunSet {
        schema_version: SCHEMA_VERSION,
        command: command_line(),
        program: provenance::program(),
        fault_kinds: crate::faults::records(),
        setting_ranges: tried::records(),
        runs: vec![record],
    };
    let json = || serde_json::to_string_pretty(curve).expect("a curve is always JSON") + "\n";
    let documents = [
        (&args.output, &(|| html::report_with(&set, std::slice::from_ref(curve))) as &dyn Fn() -> String),
        (&args.json, &json),
    ];
    for (file, document) in documents {
        if let Some(file) = file {
            write_atomically(file, document().as_bytes()).map_err(|error| {
                refuse_text(&format!("{}: {error}", file.display()), "name a file that can be written")
            })?;
            tell!("written: {}", file.display());
        }
    }
    let points = units::counted(curve.points.len(), "point");
    say!("{}, {points}", units::counted(curve.runs as usize, "run"));
    Ok(())
}
