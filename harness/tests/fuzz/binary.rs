//! Binary formats: manifests, state, the leadership log, messages between processes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use flowquake::jobs::Jobs;
use flowquake::state_reader;
use flowquake_engine::checkpoint::manifest::{Chunk, Manifest, StateFile, StatePlace, SubtaskState, Transaction};
use flowquake_engine::codec::encoded;
use flowquake_engine::config::{BackendKind, JobConfig};
use flowquake_engine::env::{Address, Checksum, InputFiles, Lines};
use flowquake_engine::event::AbortReason;
use flowquake_engine::graph::source::SplitPosition;
use flowquake_engine::graph::{InputKind, InputSpec, JobSpec};
use flowquake_engine::ha::entry::{Change, Ending, HaEntry, HaState};
use flowquake_engine::ha::position::Position;
use flowquake_engine::ids::{Attempt, CheckpointId, SplitId, SubtaskId, Term, VertexId};
use flowquake_engine::jobmanager::job_master;
use flowquake_engine::paths::{PendingPath, StateFilePath};
use flowquake_engine::state::heap_file;
use flowquake_engine::time::Time;
use flowquake_engine::wire::{
    Deployment, Order, TaskFailure, TaskReport, TaskStatus, Tasks, ToJobManager, ToTaskManager,
};

use super::target::Target;

/// The bytes of a file, with a hash that fits them.
fn with_right_hash(bytes: &[u8]) -> Vec<u8> {
    let mut file = bytes.to_vec();
    let checksum = Checksum::of(bytes);
    file.extend_from_slice(&checksum.length.to_le_bytes());
    file.extend_from_slice(&checksum.hash);
    file
}

fn without_hash(file: &[u8]) -> Vec<u8> {
    file[..file.len() - 16].to_vec()
}

const SUBTASK: SubtaskId = SubtaskId { vertex: VertexId(1), index: 0 };

fn job(program: &str, backend: BackendKind) -> JobSpec {
    let generator = if program == "keyed-count" { "orders" } else { "words" };
    let kind = InputKind::Generator { name: generator.into(), records: 1_000, seed: 1 };
    let config = JobConfig { parallelism: 2, backend, ..JobConfig::default() };
    JobSpec {
        program: program.into(),
        params: BTreeMap::new(),
        input: InputSpec { kind, splits: 2, period_fs: 7 },
        config,
    }
}

/// Counts of three keys, as a heap backend of `string-length-count` writes them.
fn heap() -> Bytes {
    let mut bytes = encoded(&"count").to_vec();
    bytes.extend_from_slice(&3_u64.to_le_bytes());
    for key in 0..3_u32 {
        bytes.extend_from_slice(&1_u16.to_le_bytes());
        bytes.extend(encoded(&(key, 5_i32)));
    }
    bytes.into()
}

fn state(backend: BackendKind) -> SubtaskState {
    let (bytes, checksum) = (heap(), Checksum::of(&heap()));
    let place = match backend {
        BackendKind::Memory => StatePlace::Inline(bytes),
        _ => StatePlace::Stored(StateFilePath::new("chk-00000007/1-0-1-2-heap").unwrap()),
    };
    let path = PendingPath::new(".pending/1-0/000001-000002-00000000").unwrap();
    let transaction = |epoch| Transaction {
        epoch: CheckpointId(epoch),
        chunks: vec![Chunk { path: path.clone(), checksum }],
        records: 3,
    };
    SubtaskState {
        positions: vec![SplitPosition { split: SplitId(0), emitted: 17 }],
        files: vec![StateFile { name: heap_file(), place, checksum }],
        transactions: vec![transaction(6), transaction(7)],
    }
}

fn manifest(backend: BackendKind) -> Manifest {
    Manifest {
        checkpoint: CheckpointId(7),
        attempt: Attempt(2),
        term: Term(1),
        job: job("string-length-count", backend),
        start: Time(1),
        triggered_at: Time(2),
        subtasks: [(SUBTASK, state(backend))].into(),
    }
}

/// Names that lead to other files, encoded with postcard.
const NAMES: [&[u8]; 6] =
    [b"\x08../../xx", b"\x0b/etc/passwd", b"\x02..", b"\x01/", b"\x05a\x00b/c", b"\x0e.pending/1-1/x"];

#[test]
fn manifests() {
    let jobs = Jobs::builtin();
    let read = |bytes: &[u8]| {
        let Ok(manifest) = Manifest::decode(&with_right_hash(bytes), "m") else { return false };
        let (sum, inline) = (manifest.state_bytes(), 2 * manifest.inline_bytes());
        assert!(sum < u64::MAX && inline < u64::MAX);
        let inputs = InputFiles::default();
        if let InputKind::File { path, .. } = &manifest.job.input.kind {
            inputs.insert(path.clone(), Arc::new(Lines::parse(b"\n".to_vec(), Path::new("x")).unwrap()));
        }
        // RocksDB opens files of its own, which is about a thousand times slower.
        if manifest.job.config.backend != BackendKind::RocksDb {
            let heap = |_: &str| Some(heap());
            let _ = state_reader::for_each(&manifest, &jobs, &inputs, heap, &mut |_, entry| {
                let _ = (format!("{:?} {:?}", entry.key, entry.value), entry.group);
            });
        }
        true
    };
    let good = BackendKind::ALL.map(|backend| without_hash(&manifest(backend).encode())).into();
    Target { name: "manifests", good, words: &NAMES, read: &read }.survives();
}

#[test]
fn state_on_the_heap() {
    let jobs = Jobs::builtin();
    let read = |bytes: &[u8]| {
        let mut manifest = manifest(BackendKind::Memory);
        let bytes = Bytes::copy_from_slice(bytes);
        let file = &mut manifest.subtasks.get_mut(&SUBTASK).unwrap().files[0];
        (file.checksum, file.place) = (Checksum::of(&bytes), StatePlace::Inline(bytes));
        state_reader::for_each(&manifest, &jobs, &InputFiles::default(), |_| None, &mut |_, _| {}).is_ok()
    };
    Target { name: "state on the heap", good: vec![heap().to_vec()], words: &[], read: &read }.survives();
}

fn entries() -> Vec<HaEntry> {
    let state = HaState {
        program: "string-length-count".into(),
        start: Time(5),
        attempt: Attempt(2),
        completed: vec![CheckpointId(4), CheckpointId(6)],
        undecided: Some(CheckpointId(7)),
        reserved: CheckpointId(16),
        ended: None,
    };
    let entry = |change, ended| HaEntry {
        position: Position { segment: 3, number: 7 },
        term: Term(3),
        leader: "jm-1".into(),
        incarnation: 1,
        address: Address("127.0.0.1:4000".into()),
        change,
        state: HaState { ended, ..state.clone() },
    };
    vec![
        entry(Change::Opened, None),
        entry(Change::FallingBack(Some(CheckpointId(4))), None),
        entry(Change::Ended, Some(Ending::Failed("of a test".into()))),
    ]
}

#[test]
fn entries_of_the_leadership_log() {
    let read = |bytes: &[u8]| {
        let Ok(entry) = HaEntry::decode(&with_right_hash(bytes), "e") else { return false };
        let next = entry.next_position();
        let mut state = job_master::opened(entry.state);
        for change in
            [entry.change, Change::Completed(state.reserved.next()), Change::AttemptBegun(state.attempt.next())]
        {
            state.apply(&change, 2);
        }
        assert!(Term(entry.term.0 + 1) <= Term(Term::MAX.0 + 1) && next > entry.position);
        true
    };
    let good = entries().iter().map(|entry| without_hash(&entry.encode())).collect();
    Target { name: "entries of the leadership log", good, words: &[], read: &read }.survives();
}

/// Damaged files with their old hash, which is nearly always wrong.
#[test]
fn damaged_files() {
    let read = |bytes: &[u8]| Manifest::decode(bytes, "m").is_ok() || HaEntry::decode(bytes, "e").is_ok();
    let mut good: Vec<Vec<u8>> = vec![manifest(BackendKind::Memory).encode().into()];
    good.extend(entries().iter().map(|entry| entry.encode().to_vec()));
    Target { name: "damaged files", good, words: &[], read: &read }.survives();
}

#[test]
fn messages_to_the_job_manager() {
    let checkpoint = CheckpointId(7);
    let task = |report| ToJobManager::Task(Attempt(2), report);
    let (node, data) = ("tm-1".into(), Address("127.0.0.1:4001".into()));
    let status = [(SUBTASK, TaskStatus::Running)].into();
    let messages = [
        ToJobManager::Register { node, incarnation: 1, slots: 2, data },
        ToJobManager::Heartbeat(Some(Tasks { attempt: Attempt(2), status })),
        ToJobManager::Canceled(Attempt(2)),
        task(TaskReport::Acknowledge { checkpoint, subtask: SUBTASK, state: state(BackendKind::Fs) }),
        task(TaskReport::Acknowledge { checkpoint, subtask: SUBTASK, state: state(BackendKind::Memory) }),
        task(TaskReport::Decline { checkpoint, subtask: SUBTASK, reason: AbortReason::AsyncException }),
        task(TaskReport::Failed(SUBTASK, TaskFailure::Fatal("of a test".into()))),
    ];
    let read = |bytes: &[u8]| ToJobManager::decode(bytes).is_ok();
    let good = messages.iter().map(|message| encoded(message).to_vec()).collect();
    Target { name: "messages to the JobManager", good, words: &NAMES, read: &read }.survives();
}

#[test]
fn messages_to_task_managers() {
    let build = Jobs::builtin().builder();
    let node = |index: u16| format!("tm-{index}");
    let subtasks: Vec<_> = (0..4).map(|n| SubtaskId { vertex: VertexId(n / 2), index: n % 2 }).collect();
    let deployment = |program| Deployment {
        attempt: Attempt(2),
        job: job(program, BackendKind::Fs),
        start: Time(3),
        checkpoint: Some(CheckpointId(7)),
        subtasks: [(SUBTASK, state(BackendKind::Fs))].into(),
        placement: subtasks.iter().map(|subtask| (*subtask, node(subtask.index).into())).collect(),
        data: (0..2).map(|index| (node(index).into(), Address("127.0.0.1:4002".into()))).collect(),
    };
    let orders = [
        Order::Registered { heartbeat_timeout_ns: 5 },
        Order::Deploy(Box::new(deployment("string-length-count"))),
        Order::Deploy(Box::new(deployment("keyed-count"))),
        Order::Trigger(Attempt(2), CheckpointId(8)),
        Order::Cancel(Attempt(2)),
    ];
    let read = |bytes: &[u8]| {
        let Ok(message) = ToTaskManager::decode(bytes) else { return false };
        if let Order::Deploy(deployment) = message.order {
            let inputs = InputFiles::default();
            if let InputKind::File { path, .. } = &deployment.job.input.kind {
                inputs.insert(path.clone(), Arc::new(Lines::parse(b"\n".to_vec(), Path::new("x")).unwrap()));
            }
            let Ok(graph) = build(&deployment.job, &inputs) else { return true };
            if deployment.fits(&graph).is_ok() {
                let parallelism = deployment.job.config.parallelism;
                for channel in deployment.subtasks.keys().flat_map(|subtask| graph.inputs_of(*subtask, parallelism)) {
                    assert!(deployment.data.contains_key(&deployment.placement[&channel.from]));
                }
            }
        }
        true
    };
    let good = orders.map(|order| encoded(&ToTaskManager { term: Term(1), order }).to_vec()).into();
    Target { name: "messages to TaskManagers", good, words: &NAMES, read: &read }.survives();
}
