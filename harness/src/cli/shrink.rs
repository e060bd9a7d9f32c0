//! `flowquake shrink`: makes a failing plan smaller, and a scenario file from it if asked for.
//!
//! A scenario file cannot state the order of tasks, which a plan fixes and some failures need; in a scenario the order
//! follows from the seed. So the file is tested before anything is said about it, first with the plan's seed and then
//! with others, and the seed that fails in the same way is reported.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use flowquake_reports::json::write_atomically;
use flowquake_reports::units;
use indicatif::{ProgressBar, ProgressStyle};

use super::print::{say, tell};
use super::{catalogue, limits, make_one, moves, outputs, refuse, refuse_text, repeats};
use crate::environment;
use crate::jobs::Jobs;
use crate::logging::Level;
use crate::plan::RunPlan;
use crate::predict::foresee;
use crate::provenance::{self, quoted};
use crate::scenario::{Scenario, load_plan, plan_problems, save_plan, scenario_of};
use crate::screen;
use crate::shrink::{Budget, Failure, only_struck, shrink};
use crate::worker::{Order, Worker};

/// How many seeds a scenario file is tried with, besides the plan's own seed.
const SEEDS: u64 = 50;

#[derive(Args)]
pub(super) struct ShrinkArgs {
    /// A plan that fails, as saved by `flowquake run`
    plan: PathBuf,
    /// Where the smaller plan goes [default: beside the plan, ending in .small.json]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Also write the smaller plan as a scenario file, which fails in the same way
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// So many runs at most
    #[arg(long, default_value_t = 500)]
    runs: u64,
    /// So many orders of tasks are tried for each smaller plan
    #[arg(long, default_value_t = 3)]
    schedules: u64,
    #[command(flatten)]
    limits: limits::PerRun,
    /// The engine's log lines, on standard error
    #[arg(long, value_enum, default_value_t)]
    log: Level,
}

pub(super) fn shrink_plan(args: &ShrinkArgs, jobs: &Jobs) -> ExitCode {
    let catalogue = catalogue(jobs);
    let plan = match load_plan(&args.plan, &catalogue) {
        Ok(plan) => plan,
        Err(error) => return refuse(error),
    };
    if let Err(code) = repeats(&plan, &args.plan) {
        return code;
    }
    let output = args.output.clone().unwrap_or_else(|| args.plan.with_extension("small.json"));
    let written = [("--output", Some(output.as_path())), ("--scenario", args.scenario.as_deref())];
    if let Err(code) = outputs::check(&written, &[&args.plan]) {
        return code;
    }
    if let Some(file) = args.scenario.as_ref().filter(|file| file.extension().is_none_or(|ending| ending != "toml")) {
        return refuse_text(&format!("--scenario {}: scenario files end in .toml", file.display()), "end it in .toml");
    }
    if let Err(code) = args.limits.affordable(&plan) {
        return code;
    }
    if let Err(broken) = environment::probe(environment::needs_disk(&plan)) {
        return refuse_text(&format!("the environment: {broken}"), &broken.remedy);
    }
    // A smaller plan of an earlier call would be taken for this one's, should this one be stopped.
    if let Err(code) = outputs::clear(&written) {
        return code;
    }
    let terms = args.limits.terms(args.log);
    let mut worker = Worker::new(&terms);
    let mut record =
        |plan: &RunPlan| make_one(&mut worker, &Order::quick(plan.clone(), String::new())).map(|made| made.record);
    let (first, struck) = match record(&plan) {
        Ok(record) => {
            let struck =
                record.faults.iter().filter(|fault| fault.struck_at_ns.is_some()).map(|fault| fault.id).collect();
            (record.verdict, only_struck(&plan, &struck))
        }
        Err(code) => return code,
    };
    let mut verdict = |plan: &RunPlan| record(plan).map(|record| record.verdict);
    let Some(failure) = Failure::of(&first) else {
        let what = format!("{} does not fail: {}", args.plan.display(), first.label());
        return refuse_text(&what, "name a plan whose replay fails, is stuck or crashes");
    };
    let bar = bar(args.runs);
    let before = size(&plan);
    let budget = Budget { runs: args.runs, schedules: args.schedules };
    let may_run = |plan: &RunPlan| plan_problems(plan, &catalogue).is_empty();
    let mut said = screen::now();
    // If the machine cannot carry out runs, the first run shows that, and no further runs are made.
    let mut broken = None;
    let shrunk = shrink(plan, struck, budget, may_run, |run, smallest, candidate| {
        if bar.is_hidden() && said.elapsed() >= Duration::from_secs(25) {
            tell!("{} runs at most, {}", units::count_of(run, args.runs), size(smallest));
            said = screen::now();
        }
        bar.set_position(run);
        bar.set_message(size(smallest));
        match broken {
            None => match verdict(candidate) {
                Ok(verdict) => Failure::of(&verdict).as_ref() == Some(&failure),
                Err(code) => {
                    broken = Some(code);
                    false
                }
            },
            Some(_) => false,
        }
    });
    bar.finish_and_clear();
    if let Some(code) = broken {
        return code;
    }
    if let Err(error) = save_plan(&output, &foresee(&shrunk.plan, jobs)) {
        return refuse(error);
    }
    shrunk.steps.iter().for_each(|step| say!("  {step}"));
    say!("{}: {}", first.label(), first.headline());
    say!("{}: {before} became {}", units::counted(shrunk.runs as usize, "run"), size(&shrunk.plan));
    if shrunk.stopped {
        say!(
            "stopped at the limit of {}: more may make it smaller still, --runs {}",
            units::counted(args.runs as usize, "run"),
            args.runs.saturating_mul(4)
        );
    }
    say!("{}", provenance::command(&format!("replay {}", quoted(&output.to_string_lossy()))));
    let Some(file) = &args.scenario else { return ExitCode::SUCCESS };
    let text = match scenario_of(&shrunk.plan, file, &catalogue) {
        Ok(text) => text,
        Err(error) => return refuse_text(&error.to_string(), "replay the plan instead, which was written"),
    };
    let scenario = match Scenario::parse(&text, file, &catalogue) {
        Ok(scenario) => scenario,
        Err(error) => return refuse(error),
    };
    for seed in std::iter::once(shrunk.plan.seed).chain(1..=SEEDS) {
        match verdict(&scenario.plan(seed)) {
            Ok(verdict) if Failure::of(&verdict).as_ref() == Some(&failure) => {
                let head = format!("# Made smaller from {}; it fails with seed {seed}.\n", args.plan.display());
                if let Err(error) = write_atomically(file, (head + &text).as_bytes()) {
                    return refuse_text(
                        &format!("--scenario {}: {error}", file.display()),
                        "name a file that can be written",
                    );
                }
                let seed = if seed == 1 { String::new() } else { format!(" --seed {seed}") };
                say!("{}", provenance::command(&format!("run {}{seed}", quoted(&file.to_string_lossy()))));
                return ExitCode::SUCCESS;
            }
            Ok(_) => {}
            Err(code) => return code,
        }
    }
    refuse_text(
        &format!("no scenario was written: with none of {} seeds it fails as the plan does", SEEDS + 1),
        "replay the plan instead: the failure needs its order of tasks",
    )
}

fn size(plan: &RunPlan) -> String {
    use crate::plan::InputSource::{File, Generator};
    let input = match &plan.job.input.source {
        Generator { records, .. } => units::counted(*records as usize, "record"),
        File { repeat, .. } => format!("the file {}", units::counted(*repeat as usize, "time")),
    };
    format!("{}, {input}", units::counted(plan.faults.len(), "fault"))
}

fn bar(runs: u64) -> ProgressBar {
    if !moves() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} runs at most  {msg}  {elapsed}");
    ProgressBar::new(runs).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
