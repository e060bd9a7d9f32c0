//! A JobManager alone, with stores that another release of the engine wrote: it reports that and changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::config::JobConfig;
use crate::connectors::file_sink::decision_path;
use crate::env::sim::testing::on_one_node;
use crate::graph::{InputKind, InputSpec};
use crate::ha::position::{FOLDER, Position};
use crate::ids::{SubtaskId, VertexId};

const LEASE: Duration = Duration::from_secs(1);

fn spec() -> JobSpec {
    let kind = InputKind::Generator { name: "none".into(), records: 1, seed: 1 };
    let config = JobConfig { lease: LEASE, ..JobConfig::default() };
    JobSpec {
        program: "job".into(),
        params: BTreeMap::new(),
        input: InputSpec { kind, splits: 1, period_fs: 0 },
        config,
    }
}

async fn run_job(env: &Env) -> Result<JobResult, RunError> {
    let jobs: JobBuilder = Arc::new(|_, _| Ok(JobGraph { vertices: Vec::new(), edges: Vec::new() }));
    run(env.clone(), spec(), jobs, |_| {}).await
}

fn position(number: u64) -> Position {
    Position { segment: 1, number }
}

/// Entry `number` of a leader that completed these checkpoints.
fn entry(number: u64, completed: &[u64]) -> HaEntry {
    let state = HaState {
        program: "job".into(),
        start: Time(5),
        attempt: Attempt(1),
        completed: completed.iter().copied().map(CheckpointId).collect(),
        undecided: None,
        reserved: CheckpointId(16),
        ended: None,
    };
    HaEntry {
        position: position(number),
        term: Term(1),
        leader: "other".into(),
        incarnation: 1,
        address: Address("other:control".into()),
        change: Change::Renewed,
        state,
    }
}

fn manifest(id: u64) -> Manifest {
    Manifest {
        checkpoint: CheckpointId(id),
        attempt: Attempt(1),
        term: Term(1),
        job: spec(),
        start: Time(5),
        triggered_at: Time(6),
        subtasks: BTreeMap::new(),
    }
}

async fn put(env: &Env, path: &str, bytes: Bytes) {
    assert_eq!(env.store(StoreKind::Checkpoints).create(path, bytes).await, Ok(true), "{path}");
}

/// Paths and contents of everything in both stores.
async fn everything(env: &Env) -> Vec<(StoreKind, String, Bytes)> {
    let mut all = Vec::new();
    for kind in [StoreKind::Checkpoints, StoreKind::Output] {
        let store = env.store(kind);
        for (path, _) in store.list("").await.unwrap() {
            let bytes = store.get(&path).await.unwrap();
            all.push((kind, path, bytes));
        }
    }
    all
}

/// What a job that ran for a while leaves behind: two checkpoints, a file that belongs to none, and a decision.
async fn a_past(env: &Env, newest: Bytes) {
    put(env, &position(0).path(), entry(0, &[]).encode()).await;
    put(env, &position(1).path(), entry(1, &[3, 5]).encode()).await;
    put(env, &path(CheckpointId(3)), manifest(3).encode()).await;
    put(env, &path(CheckpointId(5)), newest).await;
    put(env, "chk-00000004/orphan", Bytes::from_static(b"left over")).await;
    let decision = decision_path(SubtaskId { vertex: VertexId(1), index: 0 }, CheckpointId(3));
    env.store(StoreKind::Output).create(&decision, Bytes::from_static(b"commit 1-1\n")).await.unwrap();
}

fn refused(result: Result<JobResult, RunError>) -> String {
    match result {
        Err(RunError::OtherVersion(other)) => other.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_manifest_of_another_version_ends_the_job_and_nothing_is_touched() {
    on_one_node(|_, env| async move {
        a_past(&env, manifest(5).encode_as_next_version()).await;
        let before = everything(&env).await;
        let told = refused(run_job(&env).await);
        assert!(told.starts_with("chk-00000005/_metadata is a checkpoint manifest of format version"), "{told}");
        assert_eq!(everything(&env).await, before);
    });
}

#[test]
fn an_older_retained_manifest_of_another_version_ends_the_job_too() {
    on_one_node(|_, env| async move {
        put(&env, &position(0).path(), entry(0, &[3, 5]).encode()).await;
        put(&env, &path(CheckpointId(3)), manifest(3).encode_as_next_version()).await;
        put(&env, &path(CheckpointId(5)), manifest(5).encode()).await;
        let before = everything(&env).await;
        assert!(refused(run_job(&env).await).starts_with("chk-00000003/"), "the job may fall back to it");
        assert_eq!(everything(&env).await, before);
    });
}

#[test]
fn an_entry_of_another_version_ends_the_job_and_nothing_is_touched() {
    on_one_node(|_, env| async move {
        a_past(&env, manifest(5).encode()).await;
        put(&env, &position(2).path(), entry(2, &[3, 5]).encode_as_next_version()).await;
        let before = everything(&env).await;
        let told = refused(run_job(&env).await);
        assert!(told.starts_with("ha/00000001-00000002 is an entry of the leadership log of format version"), "{told}");
        assert_eq!(everything(&env).await, before);
    });
}

#[test]
fn a_standby_leaves_a_job_that_another_release_took_over() {
    on_one_node(|_, env| async move {
        a_past(&env, manifest(5).encode()).await;
        let standing_by = env.clone();
        let waiting = env.spawn(async move { drop(refused(run_job(&standing_by).await)) });
        env.sleep(LEASE / 2).await;
        put(&env, &position(2).path(), entry(2, &[3, 5]).encode_as_next_version()).await;
        let before = everything(&env).await;
        env.sleep(LEASE * 10).await;
        assert_eq!(everything(&env).await, before, "it does not open a term");
        drop(waiting);
    });
}

/// Before entries had segments, their names were plain numbers. Such a log must not look like an empty one.
#[test]
fn a_log_of_the_first_version_ends_the_job_and_nothing_is_touched() {
    on_one_node(|_, env| async move {
        put(&env, "ha/00000001", entry(0, &[3, 5]).encode_as_version(1)).await;
        let before = everything(&env).await;
        let told = refused(run_job(&env).await);
        assert!(told.starts_with("ha/00000001 is an entry of the leadership log of format version 1"), "{told}");
        assert_eq!(everything(&env).await, before);
    });
}

/// Both releases write the same number of the log. The second writer finds the other's entry and must not continue
/// behind it.
#[test]
fn a_leader_that_another_release_superseded_stops_and_writes_nothing_more() {
    on_one_node(|_, env| async move {
        let (leading, done) = (env.clone(), Arc::new(AtomicBool::new(false)));
        let stopped = done.clone();
        let job = env.spawn(async move {
            refused(run_job(&leading).await);
            stopped.store(true, Ordering::Relaxed);
        });
        env.sleep(LEASE / 10).await;
        let store = env.store(StoreKind::Checkpoints);
        let listed = store.list(FOLDER).await.unwrap();
        let tail = listed.iter().filter_map(|(path, _)| Position::at(path)).max().unwrap();
        let taken_over = HaEntry { term: Term(2), change: Change::Closed, ..entry(tail.number + 1, &[]) };
        put(&env, &taken_over.position.path(), taken_over.encode_as_next_version()).await;
        let before = everything(&env).await;
        env.sleep(LEASE * 10).await;
        assert!(done.load(Ordering::Relaxed), "the job ended for this release");
        assert_eq!(everything(&env).await, before);
        drop(job);
    });
}

#[test]
fn a_damaged_version_is_damage_and_the_job_goes_on() {
    on_one_node(|_, env| async move {
        let mut damaged = manifest(5).encode().to_vec();
        damaged[8] ^= 1;
        a_past(&env, damaged.into()).await;
        let leading = env.clone();
        let job = env.spawn(async move { drop(run_job(&leading).await) });
        env.sleep(LEASE * 3).await;
        let newest = crate::ha::log::Log::find(&env, &env.store(StoreKind::Checkpoints)).await.unwrap().newest.unwrap();
        assert_eq!((newest.term, newest.leader), (Term(2), env.node().clone()), "it leads");
        drop(job);
    });
}
