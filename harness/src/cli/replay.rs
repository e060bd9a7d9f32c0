//! `flowquake replay`: runs a saved plan again.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use flowquake_reports::record::{RunRecord, Verdict};
use flowquake_reports::terminal;

use super::print::{say, tell};
use super::{catalogue, limits, make_one, outputs, refuse, refuse_text, screen};
use crate::environment;
use crate::jobs::Jobs;
use crate::logging::Level;
use crate::plan::RunPlan;
use crate::provenance;
use crate::scenario::load_plan;
use crate::session::Depth;
use crate::worker::{Made, Order, Worker};

#[derive(Args)]
pub(super) struct ReplayArgs {
    /// A plan saved by `flowquake run`, perhaps edited
    plan: PathBuf,
    /// Write the trace to this file, one event per line
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Print the trace's hash and nothing else
    #[arg(long)]
    hash_only: bool,
    /// The commit that the plan was saved with; another one is mentioned, since there the run may go otherwise
    #[arg(long, value_name = "COMMIT")]
    commit: Option<String>,
    #[command(flatten)]
    limits: limits::PerRun,
    /// The engine's log lines, on standard error
    #[arg(long, value_enum, default_value_t)]
    log: Level,
}

pub(super) fn replay(args: &ReplayArgs, jobs: &Jobs) -> ExitCode {
    let plan = match load_plan(&args.plan, &catalogue(jobs)) {
        Ok(plan) => plan,
        Err(error) => return refuse(error),
    };
    if let Err(code) = outputs::check(&[("--trace", args.trace.as_deref())], &[&args.plan]) {
        return code;
    }
    if let Err(code) = args.limits.affordable(&plan) {
        return code;
    }
    if let Err(broken) = environment::probe(environment::needs_disk(&plan)) {
        return refuse_text(&format!("the environment: {broken}"), &broken.remedy);
    }
    if let (Some(saved), Some(built)) = (args.commit.as_deref(), provenance::COMMIT)
        && saved != built
    {
        tell!("note: the plan was saved with commit {saved}, this build is of {built}: the run may go otherwise");
    }
    // To compare hashes, no verdict is needed.
    let depth = if args.hash_only { Depth::Quick } else { Depth::Full };
    let (saved, replay) = (plan.prediction.clone(), provenance::replay_command(&args.plan));
    let order = Order { depth, trace: args.trace.clone(), ..Order::quick(plan, replay) };
    let made = make_one(&mut Worker::new(&args.limits.terms(args.log)), &order);
    let Made { record, problems, .. } = match made {
        Ok(made) => made,
        Err(code) => return code,
    };
    if saved.is_some() && saved != record.prediction {
        tell!("note: the prediction in the plan is that of another plan or build: predicted anew");
    }
    if let Some(problem) = problems.first() {
        return refuse_text(problem, "name a file that can be written");
    }
    if args.hash_only {
        say!("{}", record.trace_hash);
        return ExitCode::SUCCESS;
    }
    told(&record)
}

/// Makes the run of a plan that was saved as `file`, and shows it.
pub(super) fn show(limits: &limits::PerRun, log: Level, plan: RunPlan, file: &Path) -> ExitCode {
    let order = Order { depth: Depth::Full, ..Order::quick(plan, provenance::replay_command(file)) };
    match make_one(&mut Worker::new(&limits.terms(log)), &order) {
        Ok(made) => told(&made.record),
        Err(code) => code,
    }
}

fn told(record: &RunRecord) -> ExitCode {
    match &record.verdict {
        Verdict::Passed | Verdict::NotBuilt { .. } | Verdict::NotOffered { .. } => {
            say!("{}", terminal::details(record, screen()))
        }
        _ => say!("{}", terminal::failure(record, screen())),
    }
    say!("{}: {}, trace {}", record.scenario, record.verdict.label(), record.trace_hash);
    ExitCode::from(record.verdict.exit_code())
}
