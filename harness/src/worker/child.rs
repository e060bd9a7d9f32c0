//! The process that executes runs. Start at [`serve`].
//!
//! Its standard input is a socket to the process that started it: orders come in, answers go out. First the process
//! moves this socket to another descriptor, where neither user code nor child processes use it by accident. The process
//! ends when the socket is closed. The system kills it if its starter dies during a run (WORKER-W3). Signals from the
//! terminal are left to the starter.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use flowquake_engine::event::EventRecord;
use flowquake_reports::json::write_atomically;
use flowquake_reports::record::{RunRecord, Verdict};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::dup2_stdin;

use super::{Answer, Order, Seen, frame, process};
use crate::environment::Environment;
use crate::exit_guard;
use crate::flink::ApacheFlink;
use crate::interrupt;
use crate::jobs::Jobs;
use crate::outcome::Outcome;
use crate::plan::{RunPlan, TargetPlan};
use crate::process::RealProcesses;
use crate::run::Simulator;
use crate::run::{expect_panics, limit_processor_time};
use crate::scenario::save_plan;
use crate::search::hunt::signals;
use crate::search::signature::Signature;
use crate::search::survey::Survey;
use crate::session::try_execute;
use crate::target::Target;
use crate::trace::first_difference;

/// The hidden subcommand of a process that makes runs. Other commands start it; not for use by hand.
#[derive(Debug, Clone, clap::Args)]
pub struct WorkerArgs {
    /// Processor time of a run, in milliseconds
    #[arg(long)]
    cpu_ms: u64,
    /// The engine's log lines
    #[arg(long)]
    pub(crate) log: String,
}

/// Executes runs until the socket is closed.
pub fn serve(args: &WorkerArgs, jobs: &Jobs) -> ExitCode {
    let socket = match begin() {
        Ok(socket) => socket,
        Err(error) => {
            eprintln!("error: this subcommand is started by `flowquake run` and its like, not by hand ({error})");
            return ExitCode::from(2);
        }
    };
    limit_processor_time(Duration::from_millis(args.cpu_ms));
    match answer_all(&socket, jobs) {
        Ok(()) => ExitCode::SUCCESS,
        // The starter sees the same error, and prints it.
        Err(_) => ExitCode::FAILURE,
    }
}

/// Moves the socket away from standard input.
fn begin() -> io::Result<UnixStream> {
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    socket.peer_addr()?;
    dup2_stdin(File::open("/dev/null")?)?;
    set_pdeathsig(Signal::SIGKILL)?;
    interrupt::leave_to_others()?;
    exit_guard::leave_to_starter();
    // If memory runs out, the system should kill this run and not the sweep. Not every system allows this setting.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    Ok(socket)
}

fn answer_all(socket: &UnixStream, jobs: &Jobs) -> io::Result<()> {
    let mut orders = frame::Reader::new(socket);
    send(socket, &Answer::Ready)?;
    loop {
        let order = match orders.next() {
            Ok(Some(order)) => order,
            Ok(None) => continue,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && orders.is_empty() => return Ok(()),
            Err(error) => return Err(error),
        };
        let order: Order = serde_json::from_slice(&order)?;
        // The job's model and its reference are user code, too, so a panic is caught here.
        let made = catch_unwind(AssertUnwindSafe(|| make(&order, jobs)));
        let made = made.unwrap_or_else(|panic| {
            let words = crate::run::panic_text(&*panic);
            let record = process::crashed(&order, format!("while its run was predicted or judged: {words}"));
            let seen = Seen::nothing_of(&order, &record);
            Ok(Finished { record, problems: Vec::new(), abandoned: false, seen })
        });
        match made {
            Ok(Finished { record, problems, abandoned, seen }) => {
                send(socket, &Answer::Made { problems, abandoned, seen })?;
                frame::write(&mut &*socket, &serde_json::to_vec(&record)?)?;
            }
            Err(environment) => send(socket, &Answer::Broken(environment))?,
        }
    }
}

fn send(mut socket: &UnixStream, answer: &Answer) -> io::Result<()> {
    frame::write(&mut socket, &serde_json::to_vec(answer)?)
}

struct Finished {
    record: RunRecord,
    problems: Vec<String>,
    abandoned: bool,
    seen: Seen,
}

fn make(order: &Order, jobs: &Jobs) -> Result<Finished, Environment> {
    let Order { plan, depth, replay, .. } = order;
    if !order.mutations.is_empty() {
        // An assertion that catches a planted bug is what such a run is for, so its panic needs no message.
        expect_panics();
    }
    let simulator = Simulator::with(&order.mutations).noting(order.survey);
    let processes = RealProcesses::default();
    let flink;
    let target: &dyn Target = match plan.target {
        TargetPlan::Sim => &simulator,
        TargetPlan::Process => &processes,
        TargetPlan::Flink => {
            flink = ApacheFlink::find(None)?;
            &flink
        }
    };
    let (mut record, outcome) = try_execute(target, *depth, plan, jobs, replay.clone())?;
    let mut problems = Vec::new();
    if order.verify && record.verdict == Verdict::Passed {
        match differs_elsewhere(plan, &outcome) {
            Ok(None) => {}
            Ok(Some(difference)) => record.verdict = Verdict::Nondeterministic { difference },
            Err(problem) => problems.push(format!("{} seed {} was not run again: {problem}", plan.scenario, plan.seed)),
        }
    }
    if let Some(file) = &order.trace
        && let Err(problem) = write_trace(file, &outcome)
    {
        problems.push(problem);
    }
    // The signature must use the verdict that is in the record.
    let signature = order.signature.then(|| Box::new(Signature::of(plan, &outcome, &record.verdict)));
    let struck_at = outcome.strikes.iter().flat_map(|strike| &strike.hits).map(|hit| hit.at).min();
    let steps = if order.steps { signals::steps(&outcome.trace.events, struck_at) } else { Vec::new() };
    let abandoned = outcome.abandoned;
    let survey = order.survey.then(|| Box::new(Survey::of(outcome.trace.events, outcome.traffic)));
    if order.slim {
        super::slim(&mut record);
    }
    let asked = simulator.asked().bugs();
    let seen = Seen { signature, steps, survey, reached: simulator.asked().reached(), asked };
    Ok(Finished { record, problems, abandoned, seen })
}

/// Writes one event per line, as JSON.
fn write_trace(file: &Path, outcome: &Outcome) -> Result<(), String> {
    let mut text = String::new();
    for record in &outcome.trace.events {
        text.push_str(&serde_json::to_string(record).map_err(|error| error.to_string())?);
        text.push('\n');
    }
    write_atomically(file, text.as_bytes()).map_err(|error| format!("{}: {error}", file.display()))
}

/// Runs the plan in another process, and returns the first difference if there is one.
fn differs_elsewhere(plan: &RunPlan, outcome: &Outcome) -> Result<Option<String>, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (plan_file, trace_file) = (folder.path().join("plan.json"), folder.path().join("trace.jsonl"));
    save_plan(&plan_file, plan).map_err(|error| error.to_string())?;
    let output = std::process::Command::new(process::PROGRAM)
        .args(["replay", "--hash-only", "--trace"])
        .args([&trace_file, &plan_file])
        .output()
        .map_err(|error| format!("second process: {error}"))?;
    let hash = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if hash == format!("{:016x}", outcome.trace.hash()) {
        return Ok(None);
    }
    let said = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let text = std::fs::read_to_string(&trace_file).map_err(|error| format!("second process: {error}; {}", said()))?;
    let other: Result<Vec<EventRecord>, _> = text.lines().map(serde_json::from_str).collect();
    let other = other.map_err(|error| format!("trace of the second process: {error}"))?;
    let difference = first_difference(&outcome.trace.events, &other);
    Ok(Some(difference.unwrap_or_else(|| "the events are equal, but frames or output differ".into())))
}
