//! Compares the simulation with the real build: the same job with the same settings in virtual time with the `native`
//! cost profile, and in real time on this machine. Compared is how long a checkpoint and a recovery take.
//!
//! `cargo bench -p flowquake-benches --profile dev --bench sim_vs_real -- [megabytes ...]` prints a row per backend and
//! size of keyed state. `FLOWQUAKE_PROFILE=FILE.toml` chooses another profile. The same code reads the times from the
//! events of both runs, after the state has reached its size. TaskManagers die one after the other and come back later.
//! The surviving TaskManager has enough slots for all tasks, so recovery never waits for a TaskManager.
#![allow(clippy::disallowed_methods, reason = "faults strike the real engine by the real clock")]

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flowquake::calibrate::cluster::{RealCluster, RealFault};
use flowquake::calibrate::fit::median;
use flowquake::cli::catalogue;
use flowquake::jobs::Jobs;
use flowquake::plan::RunPlan;
use flowquake::plan::job_spec;
use flowquake::run::run;
use flowquake::scenario::Scenario;
use flowquake_engine::event::{Event, EventRecord};
use flowquake_engine::ids::Attempt;
use flowquake_engine::time::{Time, nanos};

/// Bytes of each key's value.
const VALUE_BYTES: u64 = 1_000;
/// Records per second. In five seconds, nearly every key of the largest state occurs.
const RATE: u64 = 100_000;
/// After this time the state has its full size.
const FILLED: Duration = Duration::from_secs(6);
/// When TaskManagers die and which ones, in seconds after the job began to run; `END` is the end of the run.
const DEATHS: [(u64, &str); 3] = [(11, "tm-1"), (15, "tm-2"), (19, "tm-1")];
const END: u64 = 23;
/// How long a dead TaskManager is away.
const AWAY: Duration = Duration::from_secs(2);

fn plan(megabytes: u64, backend: &str, profile: &str) -> RunPlan {
    let keys = megabytes * 1_000_000 / VALUE_BYTES;
    let deaths: String = DEATHS
        .iter()
        .map(|(at, who)| {
            format!("[[fault]]\nat = \"{at}s\"\ndo = \"kill\"\ntarget = \"{who}\"\nrestart_after = \"{AWAY:?}\"\n")
        })
        .collect();
    let text = format!(
        r#"
name = "sim-vs-real"
why = "measured"
time_limit = "1h"
[job]
name = "keyed-count"
params = {{ keys = {keys}, emit_every = 1000000, value_bytes = {VALUE_BYTES} }}
input = {{ generator = "orders", records = {records}, splits = 2, rate = "{RATE}/s" }}
parallelism = 2
[cluster]
task_managers = 2
slots = 2
cores = 2
cost_profile = "{profile}"
[checkpointing]
interval = "1s"
backend = "{backend}"
[engine]
restart_delay = "0s"
{deaths}"#,
        records = END * RATE,
    );
    let scenario = Scenario::parse(&text, Path::new("sim-vs-real.toml"), &catalogue(&Jobs::builtin()));
    scenario.unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error))).plan(1)
}

/// The times that one run took, in ms.
#[derive(Default)]
struct Took {
    /// Duration of checkpoints, from the trigger until complete.
    checkpoints: Vec<f64>,
    /// Parts of the same duration: until the last synchronous part ended, until the last asynchronous part ended, until
    /// complete.
    parts: [Vec<f64>; 3],
    /// From the death until every subtask has processed its first record. Keyed subtasks do this only once they have
    /// their state.
    first_records: Vec<f64>,
    /// From the death until every source has read all records that have arrived.
    caught_up: Vec<f64>,
}

fn ms(from: Time, to: Time) -> f64 {
    nanos(to.since(from)) as f64 / 1e6
}

/// Reads a run's events. `deaths`: when TaskManagers died, on the same clock.
fn took(events: &[EventRecord], deaths: &[Time]) -> Took {
    let mut took = Took::default();
    let Some(began) = events.iter().find(|record| matches!(record.event, Event::JobRunning { .. })) else {
        return took;
    };
    let (filled, first_death) = (began.at + FILLED, deaths[0]);
    for record in events.iter().filter(|record| record.at > filled && record.at < first_death) {
        let Event::CheckpointTriggered { checkpoint: id, .. } = record.event else { continue };
        let last = |of: fn(&Event) -> bool| {
            let mine = events.iter().filter(|other| other.event.checkpoint() == Some(id) && of(&other.event));
            mine.map(|other| other.at).max()
        };
        let complete = last(|event| matches!(event, Event::CheckpointCompleted { .. }));
        let sync = last(|event| matches!(event, Event::SnapshotSyncEnded { .. }));
        let stored = last(|event| matches!(event, Event::SnapshotAsyncEnded { .. }));
        if let (Some(complete), Some(sync), Some(stored)) = (complete, sync, stored) {
            took.checkpoints.push(ms(record.at, complete));
            let parts = [ms(record.at, sync), ms(sync, stored), ms(stored, complete)];
            took.parts.iter_mut().zip(parts).for_each(|(all, part)| all.push(part));
        }
    }
    for (index, death) in deaths.iter().enumerate() {
        let until = deaths.get(index + 1).copied().unwrap_or(Time::NEVER);
        let within = || events.iter().filter(|record| record.at > *death && record.at < until);
        let deployed = within().find_map(|record| match record.event {
            Event::DeploymentBegun { attempt, .. } => Some(attempt),
            _ => None,
        });
        let Some(attempt) = deployed else { continue };
        let last = |of: fn(&Event, Attempt) -> bool| {
            within().filter(|record| of(&record.event, attempt)).map(|record| record.at).max()
        };
        let first = last(|event, mine| matches!(event, Event::FirstRecord { attempt, .. } if *attempt == mine));
        let caught_up = last(|event, mine| matches!(event, Event::CaughtUp { attempt, .. } if *attempt == mine));
        took.first_records.extend(first.map(|first| ms(*death, first)));
        took.caught_up.extend(caught_up.map(|caught_up| ms(*death, caught_up)));
    }
    took
}

fn simulated(plan: &RunPlan) -> Took {
    let outcome = run(plan, &Jobs::builtin(), &[]);
    let deaths: Vec<Time> = outcome.strikes.iter().filter_map(|strike| strike.struck_at()).collect();
    took(&outcome.trace.events, &deaths)
}

fn now() -> Time {
    Time(nanos(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970")))
}

fn real(plan: &RunPlan) -> Result<Took, RealFault> {
    let spec = job_spec(plan);
    let mut cluster = RealCluster::start(spec, Jobs::builtin().builder(), 2, 2)?;
    let began = cluster.until("a running job", |events| {
        events.iter().find(|record| matches!(record.event, Event::JobRunning { .. })).map(|record| record.at)
    })?;
    let mut deaths = Vec::new();
    for (at, who) in DEATHS {
        wait_until(began + Duration::from_secs(at));
        deaths.push(now());
        cluster.kill(who);
        wait_until(began + Duration::from_secs(at) + AWAY);
        cluster.start_task_manager(who)?;
    }
    wait_until(began + Duration::from_secs(END));
    Ok(took(&cluster.events(), &deaths))
}

/// In this run the scenario's clock is the real clock.
fn wait_until(at: Time) {
    std::thread::sleep(at.since(now()));
}

/// `real`, `simulated` and how far off that is, of two lists of times.
fn compared(real: &[f64], simulated: &[f64]) -> String {
    let (real, simulated) = (median(real), median(simulated));
    let off = (simulated / real - 1.0) * 100.0;
    format!("{real:>9.1} {simulated:>9.1} {off:>+7.1} %")
}

fn main() {
    let given: Vec<u64> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let sizes = if given.is_empty() { vec![1, 10, 100] } else { given };
    let profile = std::env::var("FLOWQUAKE_PROFILE").unwrap_or_else(|_| "native".into());
    let backends: &[&str] = if cfg!(feature = "rocksdb") { &["memory", "fs", "rocksdb"] } else { &["memory", "fs"] };
    println!("medians in ms; real, simulated with the profile `{profile}`, deviation of the simulated one");
    println!(
        "{:>6} {:8} {:>29} {:>29} {:>29}",
        "state", "backend", "checkpoint", "first record after a death", "caught up after a death"
    );
    for megabytes in sizes {
        for backend in backends {
            let plan = plan(megabytes, backend, &profile);
            let simulated = simulated(&plan);
            let real = real(&plan).unwrap_or_else(|error| panic!("{error}"));
            println!(
                "{:>6} {backend:8} {} {} {}",
                format!("{megabytes} MB"),
                compared(&real.checkpoints, &simulated.checkpoints),
                compared(&real.first_records, &simulated.first_records),
                compared(&real.caught_up, &simulated.caught_up),
            );
            if std::env::var_os("VERBOSE").is_some() {
                for (index, what) in ["until sync", "async", "acknowledge, finalise"].iter().enumerate() {
                    println!("       {what:22} {}", compared(&real.parts[index], &simulated.parts[index]));
                }
                println!("       real {:.1?} {:.1?} {:.1?}", real.checkpoints, real.first_records, real.caught_up);
                println!(
                    "       simulated {:.1?} {:.1?} {:.1?}",
                    simulated.checkpoints, simulated.first_records, simulated.caught_up
                );
            }
        }
    }
}
