//! The cost of judging: processor time of the oracles on a recorded run, of recording an event, and what both add to a
//! whole run.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flowquake::jobs::Jobs;
use flowquake::oracles::{Case, judge};
use flowquake::outcome::Outcome;
use flowquake::plan::RunPlan;
use flowquake::run::{run, run_unrecorded};
use flowquake::trace::Trace;
use flowquake_benches::{plan, process_cpu, reference};
use flowquake_engine::env::InputFiles;

const WORDS: &str = r#"
name = "reference"
why = "measured"
time_limit = "100h"
[job]
name = "string-length-count"
input = { generator = "words", records = 200_000, splits = 4, rate = "20000/s" }
parallelism = 4
[cluster]
task_managers = 4
slots = 1
"#;

/// Judges a run that kept no copies of checkpoints.
fn judged(plan: &RunPlan, outcome: &Outcome, jobs: &Jobs) {
    let never = |_: &_| unreachable!("no copies are kept");
    black_box(judge(&Case::new(plan, outcome, jobs, &InputFiles::default(), &never)));
}

/// Two jobs, few keys and many, a million and two hundred thousand records, memory: nanoseconds per input record.
fn records(c: &mut Criterion) {
    let mut group = c.benchmark_group("judged, records");
    let jobs = Jobs::builtin();
    let plans = [
        ("keyed-count", 1_000_000, reference(1_000_000, 1_000, Some(100_000), "memory", None)),
        ("keyed-count, 100,000 keys", 1_000_000, reference(1_000_000, 100_000, Some(100_000), "memory", None)),
        ("string-length-count", 200_000, plan(WORDS)),
    ];
    for (name, records, plan) in plans {
        let outcome = run(&plan, &jobs, &[]);
        group.throughput(Throughput::Elements(records));
        group.bench_function(name, |b| b.iter(|| judged(&plan, &outcome, &jobs)));
    }
    group.finish();
}

/// Events of a run of the protocol, recorded again.
fn events(c: &mut Criterion) {
    let mut group = c.benchmark_group("recorded, events");
    let outcome = run(&reference(12_000, 100, Some(100), "memory", Some(50)), &Jobs::builtin(), &[]);
    let events = &outcome.trace.events;
    group.throughput(Throughput::Elements(events.len() as u64));
    group.bench_function("trace", |b| {
        b.iter(|| {
            let mut trace = Trace::default();
            events.iter().for_each(|event| trace.push(event.clone()));
            black_box(trace.hash())
        });
    });
    group.finish();
}

/// Whole runs: without recording, with recording, and with recording and judging. The unit is an input record where
/// there are many records, and an event where the protocol is all the work.
fn whole_runs(c: &mut Criterion) {
    let jobs = Jobs::builtin();
    let events = |plan: &RunPlan| run(plan, &jobs, &[]).trace.events.len() as u64;
    let protocol = reference(12_000, 100, Some(100), "memory", Some(50));
    let cases = [
        ("data, records", 1_000_000, reference(1_000_000, 100_000, Some(100_000), "memory", None)),
        ("words, records", 200_000, plan(WORDS)),
        ("protocol, events", events(&protocol), protocol),
    ];
    for (name, elements, plan) in cases {
        let mut group = c.benchmark_group(format!("whole run, {name}"));
        group.throughput(Throughput::Elements(elements));
        let judged = || judged(&plan, &run(&plan, &jobs, &[]), &jobs);
        let ways: [(&str, &dyn Fn()); 3] = [
            ("neither recorded nor judged", &|| drop(run_unrecorded(&plan, &jobs))),
            ("recorded", &|| drop(run(&plan, &jobs, &[]))),
            ("recorded and judged", &judged),
        ];
        for (way, once) in ways {
            group.bench_function(way, |b| b.iter_custom(|times| spent(times, once)));
        }
        group.finish();
    }
}

/// Processor time of so many calls, independent of other load on the machine.
fn spent(times: u64, once: &dyn Fn()) -> Duration {
    let before = process_cpu();
    (0..times).for_each(|_| once());
    process_cpu() - before
}

criterion_group! {
    name = oracles;
    config = Criterion::default().sample_size(10).without_plots();
    targets = records, events, whole_runs
}
criterion_main!(oracles);
