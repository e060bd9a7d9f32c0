//! Checkpoint duration over state size, in virtual time, with the processor time that simulating it costs.
//!
//! The virtual durations are printed first: they are the same on every machine.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use flowquake::plan::RunPlan;
use flowquake_benches::{measure, plan};
use flowquake_engine::config::BackendKind;

fn with_keys(keys: u64, backend: BackendKind) -> RunPlan {
    plan(&format!(
        r#"
name = "reference"
why = "measured"
[job]
name = "keyed-count"
params = {{ keys = {keys}, emit_every = 2 }}
input = {{ generator = "orders", records = {}, splits = 2, rate = "{}/s" }}
parallelism = 2
[cluster]
task_managers = 2
slots = 1
[checkpointing]
interval = "1s"
backend = "{}"
"#,
        keys * 3,
        (keys * 3 / 4).max(100),
        backend.name()
    ))
}

fn checkpoint_duration(c: &mut Criterion) {
    let mut group = c.benchmark_group("checkpoint over state size");
    for backend in BackendKind::ALL.into_iter().filter(|backend| backend.is_built()) {
        for keys in [1_000, 10_000, 100_000] {
            let plan = with_keys(keys, backend);
            let (record, ..) = measure(&plan);
            let largest = record.checkpoints.iter().max_by_key(|checkpoint| checkpoint.state_bytes);
            if let Some((checkpoint, duration)) = largest.and_then(|c| Some((c, c.duration_ns()?))) {
                let (bytes, millis) = (checkpoint.state_bytes, duration as f64 / 1e6);
                println!(
                    "{:8} {keys:7} keys: {bytes:9} bytes of state, checkpoint {millis:.2} ms (virtual)",
                    backend.name()
                );
            }
            let id = BenchmarkId::new(backend.name(), keys);
            group.bench_function(id, |b| b.iter_custom(|n| (0..n).map(|_| measure(&plan).2).sum()));
        }
    }
    group.finish();
}

criterion_group! {
    name = checkpoints;
    config = Criterion::default().sample_size(10).without_plots();
    targets = checkpoint_duration
}
criterion_main!(checkpoints);
