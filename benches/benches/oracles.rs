//! What judging costs: processor time of the oracles on a recorded run, and of recording an event, without the run itself.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flowquake::jobs::Jobs;
use flowquake::oracles::judge;
use flowquake::run::run;
use flowquake::trace::Trace;
use flowquake_benches::{plan, reference};
use flowquake_engine::env::InputFiles;

/// Two jobs, a million and two hundred thousand records, memory: nanoseconds per input record.
fn records(c: &mut Criterion) {
    let mut group = c.benchmark_group("judged, records");
    let jobs = Jobs::builtin();
    let words = r#"
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
    let plans = [
        ("keyed-count", 1_000_000, reference(1_000_000, 1_000, Some(100_000), "memory", None)),
        ("string-length-count", 200_000, plan(words)),
    ];
    for (name, records, plan) in plans {
        let outcome = run(&plan, &jobs, &[]);
        group.throughput(Throughput::Elements(records));
        let never = |_: &_| unreachable!("no copies are kept");
        group.bench_function(name, |b| b.iter(|| judge(&plan, &outcome, &jobs, &InputFiles::default(), &never)));
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

criterion_group! {
    name = oracles;
    config = Criterion::default().sample_size(10).without_plots();
    targets = records, events
}
criterion_main!(oracles);
