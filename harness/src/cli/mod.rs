//! The command line. Each command has a file; this file has their names and what they share.
//!
//! Exit codes: 0 passed, 1 failed, 2 bad input, 3 vacuous, 4 stuck, 5 crashed, 6 nondeterministic, 7 not built, 10 not
//! offered, 11 uncertain. Several runs give the code of the worst one, in the order 1, 5, 4, 6, 11, 3, 10, 7. `coverage
//! --min` gives 1 below its gate, and `tune` gives 3 if no setting has a best interval. `formulas` gives 0 or 2,
//! because "no value" is an answer, too. `gate` adds 8 (slower) and 9 (changed), in the order 1, 5, 4, 6, 3, 9, 8, 7.

use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use flowquake_engine::env::InputFiles;
use flowquake_engine::graph::JobError;
use flowquake_reports::ansi::Color;

use self::print::tell;
use crate::engine_command::{self, EngineArgs, ProcessArgs};
use crate::jobs::Jobs;
use crate::live;
use crate::plan::{RunPlan, job_spec};
use crate::provenance::{self, quoted};
use crate::scenario::{JobCatalogue, JobEntry, JobParam, ParamCheck, ScenarioError};
use crate::target::{NotRepeatable, require_repeatable};
use crate::worker::{self, Made, Order, Unmade, Worker, WorkerArgs};

mod calibrate;
mod check;
mod clean_runs;
mod completions;
mod coverage;
mod examples;
mod exhaust;
mod export;
mod flink;
mod formulas;
mod gate;
mod hunt;
mod init;
mod journal;
mod last_failed;
mod limits;
mod list;
mod merge;
mod museum;
mod outputs;
mod print;
mod replay;
mod run;
mod schema;
mod shrink;
mod state;
mod sweep;
mod tune;
mod when;

use crate::logging;
use crate::screen::moves;
use crate::screen::{self, screen};

/// Bad input: a file, a path, an option.
const BAD_INPUT: u8 = 2;

#[derive(Parser)]
#[command(name = "flowquake", version, about = "Proves or refutes the fault tolerance of a stream engine")]
struct Cli {
    /// When output has colours
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t, hide_possible_values = true)]
    color: screen::ColorWhen,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run scenarios and judge them: in simulation, or on real processes
    Run(run::RunArgs),
    /// Write a first scenario, with a word on every section
    Init(init::InitArgs),
    /// Read scenarios and say what is wrong with them; runs nothing
    Check(check::CheckArgs),
    /// Run a saved plan again: same plan, same trace hash
    Replay(replay::ReplayArgs),
    /// Make a failing plan smaller, as long as it fails in the same way
    Shrink(shrink::ShrinkArgs),
    /// Strike every fault at every distinguishable step of a scenario, and prove that the steps taken for one may be
    Exhaust(Box<exhaust::ExhaustArgs>),
    /// Search on and on over swarms: keep the plans that show something new, and make each failure smaller
    Hunt(Box<hunt::HuntArgs>),
    /// Put the shards of an exhaustive search together
    Merge(merge::MergeArgs),
    /// Say at which event of a failing run its failure was decided: the probability that it still fails, along the run
    When(when::WhenArgs),
    /// Show which fault struck whom at which step of the protocol, from run records
    Coverage(coverage::CoverageArgs),
    /// Compare verdicts, traces and times with a committed baseline
    Gate(gate::GateArgs),
    /// Search for every planted bug, and hold what finds it against a committed matrix
    Museum(museum::MuseumArgs),
    /// Make files for other tools from run records: traces for Perfetto, logs for ShiViz, pictures
    Export(export::ExportArgs),
    /// Sweep checkpoint intervals over state sizes, loads and backends, and say which one to choose
    Tune(tune::TuneArgs),
    /// Ask every formula on checkpoints and recovery with values of your own; without values, list them
    ///
    /// What follows from the values is derived and told: T from I, P and d, A from T and d, ρ from λ and μ.
    Formulas(Box<formulas::FormulasArgs>),
    /// Measure this machine and write its cost profile
    Calibrate(calibrate::CalibrateArgs),
    /// List what exists
    List(list::ListArgs),
    /// Look for an Apache Flink to run scenarios on
    Flink(flink::FlinkArgs),
    /// Look into checkpoints
    State(state::StateArgs),
    /// Print the JSON schema of scenario files, by which editors complete and check them
    Schema(schema::SchemaArgs),
    /// Print what a shell needs to complete this command line
    Completions(completions::CompletionsArgs),
    /// Write manual pages
    Man(completions::ManArgs),
    /// Run a job for real: one process per JobManager and TaskManager
    Engine(Box<EngineArgs>),
    #[command(flatten)]
    Process(ProcessArgs),
    /// A process that makes runs
    #[command(hide = true)]
    RunWorker(WorkerArgs),
    /// Another program, whose life is bound to that of its starter
    #[command(hide = true, name = live::BOUND)]
    Bound(live::BoundArgs),
}

/// Runs the command line with these jobs. A program that adds jobs of its own calls this from its `main`, before
/// anything else, because the program starts itself again with other arguments to make runs in separate processes.
pub fn main(jobs: &Jobs) -> ExitCode {
    print::end_quietly();
    let color = screen::asked(std::env::args_os());
    screen::settle_color(color);
    let cli =
        Cli::from_arg_matches(&command_of().color(color.into()).get_matches()).unwrap_or_else(|error| error.exit());
    print::settle(begin(cli.command, jobs))
}

/// The whole command line, with its examples.
fn command_of() -> clap::Command {
    examples::with_examples(Cli::command())
}

/// The arguments of a `run` with this command line, without the program; `None`: it is another command, or not valid.
fn run_args(words: &[String]) -> Option<run::RunArgs> {
    let words = ["flowquake"].into_iter().chain(words.iter().map(String::as_str));
    match Cli::from_arg_matches(&command_of().try_get_matches_from(words).ok()?).ok()?.command {
        Command::Run(args) => Some(args),
        _ => None,
    }
}

/// The name that this program was started by.
fn own_name() -> String {
    let started = std::env::args_os().next().unwrap_or_default().to_string_lossy().into_owned();
    Path::new(&started).file_name().map_or_else(|| "flowquake".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn begin(command: Command, jobs: &Jobs) -> ExitCode {
    match command {
        Command::Run(args) => run::run(&args, jobs),
        Command::Init(args) => init::init(&args, jobs),
        Command::Check(args) => check::check(&args, jobs),
        Command::Replay(args) => replay::replay(&args, jobs),
        Command::Shrink(args) => shrink::shrink_plan(&args, jobs),
        Command::Exhaust(args) => exhaust::exhaust(&args, jobs),
        Command::Hunt(args) => hunt::hunt(&args, jobs),
        Command::Merge(args) => merge::merge(&args),
        Command::When(args) => when::when(&args, jobs),
        Command::Coverage(args) => coverage::coverage(&args),
        Command::Gate(args) => gate::gate(&args, jobs),
        Command::Museum(args) => museum::museum(&args, jobs),
        Command::Export(args) => export::export(&args),
        Command::Tune(args) => tune::tune(&args, jobs),
        Command::Formulas(args) => formulas::formulas(&args),
        Command::Calibrate(args) => calibrate::calibrate(&args),
        Command::List(args) => list::list(&args, jobs),
        Command::Flink(args) => flink::flink(&args),
        Command::State(args) => state::state(&args, jobs),
        Command::Schema(args) => schema::schema(&args, jobs),
        Command::Completions(args) => completions::completions(&args, command_of(), &own_name()),
        Command::Man(args) => completions::man(&args, command_of().name(&*own_name().leak())),
        Command::Engine(args) => engine_command::run(&args, jobs),
        Command::Process(args) => engine_command::run_process(&args, jobs),
        Command::Bound(args) => {
            tell!("error: {}", live::become_bound(&args));
            ExitCode::from(BAD_INPUT)
        }
        Command::RunWorker(args) => {
            logging::start(logging::Level::from_str(&args.log, true).unwrap_or_default());
            worker::serve(&args, jobs)
        }
    }
}

/// The registry's table of contents.
pub fn catalogue(jobs: &Jobs) -> JobCatalogue {
    let builder = jobs.builder();
    // To find out what a job accepts, it is built. Problems with its input are found by other rules.
    let accepts = ParamCheck::new(move |plan| match builder(&job_spec(plan), &InputFiles::default()) {
        Err(JobError::Refused { what, .. }) => Err(what),
        _ => Ok(()),
    });
    let entry = |job: &crate::jobs::Job| JobEntry {
        description: job.description.into(),
        params: job
            .params
            .iter()
            .map(|p| JobParam { name: p.name.into(), default: p.default.into(), meaning: p.meaning.into() })
            .collect(),
        generators: job.generators.iter().map(|name| (*name).into()).collect(),
        accepts_file: job.accepts_file,
        vertices: job.vertices,
        keyed: job.keyed_vertex.is_some(),
        accepts: Some(accepts.clone()),
    };
    JobCatalogue { jobs: jobs.iter().map(|(name, job)| (name.to_owned(), entry(job))).collect() }
}

/// Whether standard output shows colours.
fn color() -> Color {
    screen().color
}

fn refuse(error: ScenarioError) -> ExitCode {
    tell!("{:?}", miette::Report::new(error));
    ExitCode::from(BAD_INPUT)
}

/// Width of drawings in characters: the terminal's, or, if there is no terminal, wide enough for most.
fn width() -> usize {
    screen::columns().unwrap_or(120)
}

/// The command line of this program; it can be pasted into the shell in which it was started.
fn command_line() -> String {
    let words = std::env::args_os().skip(1).map(|word| quoted(&word.to_string_lossy()));
    [provenance::invocation()].into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

/// Makes one run in a worker. `Err`: the exit code after a problem that was already reported.
fn make_one(worker: &mut Worker<'_>, order: &Order) -> Result<Made, ExitCode> {
    worker.make(order).map_err(|unmade| match unmade {
        Unmade::Environment(broken) => refuse_text(&format!("the environment: {broken}"), &broken.remedy),
        // Only commands with many runs handle signals; other commands are ended by them.
        Unmade::Interrupted => ExitCode::from(BAD_INPUT),
    })
}

/// Refuses a plan whose runs are not exactly repeatable, for commands that change a plan and compare the runs.
fn repeats(plan: &RunPlan, file: &Path) -> Result<(), ExitCode> {
    if plan.target.is_sim() {
        return Ok(());
    }
    let what = format!("{}: target: runs on `{}` are not repeated exactly", file.display(), plan.target.name());
    Err(refuse_text(&what, "take `target` out of the plan, so that it is run in the simulator"))
}

/// Refuses `by`, a command or option that compares runs of one plan with each other, if the plan's target is not
/// deterministic.
fn comparable(mut plans: impl Iterator<Item = RunPlan>, by: &'static str) -> Result<(), ExitCode> {
    plans.try_for_each(|plan| {
        require_repeatable(plan.target.name(), &check::offers_of(&plan), by)
            .map_err(|refused| refuse_text(&refused.to_string(), NotRepeatable::REMEDY))
    })
}

fn refuse_text(what: &str, remedy: &str) -> ExitCode {
    tell!("error: {what}\n  help: {remedy}");
    ExitCode::from(BAD_INPUT)
}
