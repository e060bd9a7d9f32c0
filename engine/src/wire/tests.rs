//! Messages as the engine sends them, and messages that no process of this engine sends.

use super::*;
use crate::checkpoint::manifest::{Chunk, StateFile, StatePlace, Transaction};
use crate::codec::encoded;
use crate::config::JobConfig;
use crate::env::Checksum;
use crate::graph::{InputKind, InputSpec};
use crate::ids::VertexId;
use crate::paths::{PendingPath, StateFilePath};
use crate::state::heap_file;

const SUBTASK: SubtaskId = SubtaskId { vertex: VertexId(1), index: 0 };

fn report(message: &ToJobManager) -> Result<ToJobManager, BadMessage> {
    ToJobManager::decode(&encoded(message))
}

fn order(order: Order) -> Result<ToTaskManager, BadMessage> {
    ToTaskManager::decode(&encoded(&ToTaskManager { term: Term(1), order }))
}

fn register(node: &str) -> ToJobManager {
    let data = Address("127.0.0.1:1".into());
    ToJobManager::Register { node: node.into(), incarnation: 1, slots: 1, data }
}

fn acknowledge(checkpoint: u64, state: SubtaskState) -> ToJobManager {
    let checkpoint = CheckpointId(checkpoint);
    ToJobManager::Task(Attempt(1), TaskReport::Acknowledge { checkpoint, subtask: SUBTASK, state })
}

fn state(stored: &str, pending: &str) -> SubtaskState {
    let checksum = Checksum::of(b"");
    let place = StatePlace::Stored(StateFilePath::new(stored).unwrap());
    let chunk = Chunk { path: PendingPath::new(pending).unwrap(), checksum };
    SubtaskState {
        positions: Vec::new(),
        files: vec![StateFile { name: heap_file(), place, checksum }],
        transactions: vec![Transaction { epoch: CheckpointId(7), chunks: vec![chunk], records: 1 }],
    }
}

fn own_state() -> SubtaskState {
    state("chk-7/1-0-1-1-heap", ".pending/1-0/1-1-0")
}

fn deployment() -> Deployment {
    let kind = InputKind::Generator { name: "words".into(), records: 1, seed: 1 };
    let input = InputSpec { kind, splits: 1, period_fs: 0 };
    let job = JobSpec { program: "p".into(), params: BTreeMap::new(), input, config: JobConfig::default() };
    Deployment {
        attempt: Attempt(1),
        job,
        start: Time::ZERO,
        checkpoint: Some(CheckpointId(7)),
        subtasks: BTreeMap::from([(SUBTASK, own_state())]),
        placement: BTreeMap::from([(SUBTASK, "tm-1".into())]),
        data: BTreeMap::from([("tm-1".into(), Address("tm-1:data".into()))]),
    }
}

#[test]
fn what_processes_send_is_read_and_nothing_may_follow_it() {
    for message in [register("tm-1"), acknowledge(7, own_state()), ToJobManager::Canceled(Attempt(3))] {
        assert_eq!(report(&message), Ok(message.clone()));
        let longer = [&encoded(&message)[..], &[0]].concat();
        assert_eq!(ToJobManager::decode(&longer), Err(BadMessage::Unreadable));
    }
    assert!(order(Order::Deploy(Box::new(deployment()))).is_ok());
    assert_eq!(ToTaskManager::decode(b""), Err(BadMessage::Unreadable));
}

#[test]
fn an_acknowledgement_names_files_of_its_own_subtask_and_checkpoint_only() {
    let own = (".pending/1-0/1-1-0", "chk-7/1-0-1-1-heap");
    for (checkpoint, stored, pending) in [
        (6, own.1, own.0),
        (8, own.1, own.0),
        (7, "chk-7/1-1-1-1-heap", own.0),
        (7, "chk-6/1-0-1-1-heap", own.0),
        (7, own.1, ".pending/1-1/1-1-0"),
    ] {
        let refused = report(&acknowledge(checkpoint, state(stored, pending)));
        assert!(matches!(refused, Err(BadMessage::Implausible(_))), "{checkpoint} {stored} {pending}");
    }
}

#[test]
fn numbers_at_the_end_of_their_range_and_names_that_harm_are_refused() {
    let attempt = Attempt(u32::MAX);
    let checkpoint = CheckpointId(u64::MAX);
    let refused = [
        report(&ToJobManager::Canceled(attempt)).map(drop),
        report(&ToJobManager::Heartbeat(Some(Tasks { attempt, status: BTreeMap::new() }))).map(drop),
        report(&ToJobManager::Task(attempt, TaskReport::Running(SUBTASK))).map(drop),
        report(&ToJobManager::Task(Attempt(1), TaskReport::Committed { checkpoint, subtask: SUBTASK })).map(drop),
        report(&register("")).map(drop),
        report(&register("\u{1b}[2J")).map(drop),
        report(&register(&"x".repeat(256))).map(drop),
        order(Order::Cancel(attempt)).map(drop),
        order(Order::Trigger(Attempt(1), checkpoint)).map(drop),
        ToTaskManager::decode(&encoded(&ToTaskManager { term: Term(u64::MAX), order: Order::Heartbeat })).map(drop),
    ];
    for (number, refused) in refused.into_iter().enumerate() {
        assert!(matches!(refused, Err(BadMessage::Implausible(_))), "message {number}");
    }
    let mut impossible = deployment();
    impossible.job.config.max_parallelism = 0;
    assert!(matches!(order(Order::Deploy(Box::new(impossible))), Err(BadMessage::Job(_))));
    let other = Deployment { checkpoint: None, ..deployment() };
    assert!(matches!(order(Order::Deploy(Box::new(other))), Err(BadMessage::Implausible(_))));
}

#[test]
fn a_deployment_that_leaves_a_subtask_without_a_place_does_not_fit() {
    let vertex = crate::graph::Vertex {
        name: "v".into(),
        build: std::sync::Arc::new(|_| unreachable!("no task runs here")),
        is_source: true,
        has_sink: true,
        is_keyed: false,
    };
    let graph = |vertices: usize| JobGraph { vertices: vec![vertex.clone(); vertices], edges: Vec::new() };
    assert!(deployment().fits(&graph(2)).is_err(), "0#0 has no place");
    let mut whole = deployment();
    whole.placement.insert(SubtaskId { vertex: VertexId(0), index: 0 }, "tm-1".into());
    assert_eq!(whole.fits(&graph(2)), Ok(()));
    assert!(whole.fits(&graph(1)).is_err(), "1#0 is no subtask");
    whole.data.clear();
    assert!(whole.fits(&graph(2)).is_err(), "nobody knows where tm-1 listens");
}
