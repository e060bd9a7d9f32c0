//! Speed of simulated runs per second of processor time, oracles included. Read the throughput: simulated seconds,
//! records or runs per second of processor time.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flowquake_benches::{measure, reference};
use flowquake_engine::config::BackendKind;

const BACKENDS: [BackendKind; 2] = [BackendKind::Memory, BackendKind::RocksDb];

/// 120 simulated seconds of the reference cluster with a kill at 100 records per second: the protocol, not the data.
fn protocol(c: &mut Criterion) {
    let mut group = c.benchmark_group("protocol, simulated seconds");
    let plan = reference(12_000, 100, Some(100), "memory", Some(50));
    let seconds = measure(&plan).0.totals.virtual_ns / 1_000_000_000;
    group.throughput(Throughput::Elements(seconds));
    group.bench_function("100 records/s", |b| b.iter_custom(|n| (0..n).map(|_| measure(&plan).2).sum()));
    group.finish();
}

/// A million 100-byte records, as fast as they go.
fn data(c: &mut Criterion) {
    let mut group = c.benchmark_group("data, records");
    for backend in BACKENDS.into_iter().filter(|backend| backend.is_built()) {
        let records = 1_000_000;
        let plan = reference(records, 100_000, None, backend.name(), None);
        group.throughput(Throughput::Elements(records));
        group.bench_function(backend.name(), |b| b.iter_custom(|n| (0..n).map(|_| measure(&plan).2).sum()));
    }
    group.finish();
}

/// Whole runs of 15 simulated seconds at 2,000 records per second with a kill.
fn runs(c: &mut Criterion) {
    let mut group = c.benchmark_group("15 s runs");
    for backend in BACKENDS.into_iter().filter(|backend| backend.is_built()) {
        let plan = reference(30_000, 1_000, Some(2_000), backend.name(), Some(5));
        group.throughput(Throughput::Elements(1));
        group.bench_function(backend.name(), |b| b.iter_custom(|n| (0..n).map(|_| measure(&plan).2).sum()));
    }
    group.finish();
}

criterion_group! {
    name = simulation;
    config = Criterion::default().sample_size(10).without_plots();
    targets = protocol, data, runs
}
criterion_main!(simulation);
