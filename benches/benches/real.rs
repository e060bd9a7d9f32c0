//! The engine on the real tokio runtime: a JobManager and two TaskManagers over loopback TCP with real files, in this
//! one process.
//!
//! Throughput is input records per second of processor time (user and system, all threads). `flowquake engine` measures
//! the same with one process per node; here criterion repeats the measurement. The numbers per record can be compared
//! with `data` in `simulation`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flowquake::jobs::Jobs;
use flowquake::plan::job_spec;
use flowquake_benches::{process_cpu, reference};
use flowquake_engine::config::BackendKind;
use flowquake_engine::env::tokio::TokioWorld;
use flowquake_engine::env::{Env, Secret};
use flowquake_engine::graph::JobSpec;
use flowquake_engine::jobmanager::{self, JobResult};
use flowquake_engine::taskmanager::{self, TaskManagerConfig};
use object_store::local::LocalFileSystem;

/// The shared secret of the nodes, which are all in this process.
static SECRET: LazyLock<Secret> = LazyLock::new(|| Secret::random().expect("the system has random numbers"));

const RECORDS: u64 = 2_000_000;

fn env(name: &str, folder: &Path) -> Env {
    let store = |name: &str| {
        let path = folder.join(name);
        std::fs::create_dir_all(&path).expect("a temporary folder can be written");
        Arc::new(LocalFileSystem::new_with_prefix(path).expect("the folder was made above"))
    };
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let world =
        TokioWorld::new(anywhere, SECRET.clone(), store("checkpoints"), store("output"), folder.join(name), |_| {});
    Env::real(name.into(), 1, 1, world)
}

/// Runs the job to its end; returns the processor time it took.
fn run(spec: &JobSpec) -> Duration {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("tokio starts");
    let before = process_cpu();
    let result = runtime.block_on(async {
        let jobs = Jobs::builtin().builder();
        let job_manager = env("jm-1", folder.path());
        let mut task_managers = Vec::new();
        let listening = |address: &flowquake_engine::env::Address| {
            for name in ["tm-1", "tm-2"] {
                let config = TaskManagerConfig {
                    slots: 1,
                    job_managers: vec![address.clone()],
                    retry: Duration::from_millis(100),
                    connect_timeout: Duration::from_secs(5),
                };
                let (within, jobs) = (env(name, folder.path()), jobs.clone());
                task_managers.push(job_manager.spawn(async move {
                    taskmanager::run(within, config, jobs).await.expect("loopback can be listened on");
                }));
            }
        };
        jobmanager::run(job_manager.clone(), spec.clone(), jobs.clone(), listening).await
    });
    let spent = process_cpu() - before;
    assert_eq!(result.expect("the job starts"), JobResult::Finished);
    spent
}

fn real(c: &mut Criterion) {
    let mut group = c.benchmark_group("real, records");
    group.throughput(Throughput::Elements(RECORDS));
    for backend in [BackendKind::Memory, BackendKind::RocksDb].into_iter().filter(|backend| backend.is_built()) {
        let mut spec = job_spec(&reference(RECORDS, 100_000, None, backend.name(), None));
        spec.config.parallelism = 2;
        spec.input.splits = 2;
        spec.params.insert("emit_every".into(), "100".into());
        group.bench_function(backend.name(), |b| b.iter_custom(|n| (0..n).map(|_| run(&spec)).sum()));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).without_plots();
    targets = real
}
criterion_main!(benches);
