//! What the recorder makes of events and writes, without a run: the simulated world only provides stores.

use std::collections::BTreeMap;

use flowquake_engine::checkpoint::manifest::{StateFile, SubtaskState, path};
use flowquake_engine::connectors::file_sink::{decision_path, part_name};
use flowquake_engine::env::Checksum;
use flowquake_engine::env::sim::SimWorld;
use flowquake_engine::ids::Attempt;
use flowquake_engine::state::heap_file;

use super::*;
use crate::fixtures::{at, logged, ms, outcome, plan, sealed_with_file, sealed_with_state, state_path, subtask};

/// A recorder, and the stores that it is told about.
struct Run {
    world: SimWorld,
    recorder: Recorder,
    /// The leadership log so far.
    log: Outcome,
    time: u64,
}

impl Run {
    fn new(copies: usize) -> Self {
        let mut log = outcome([]);
        log.log.clear();
        let mut run = Self { world: SimWorld::default(), recorder: Recorder::new(&plan(), copies), log, time: 0 };
        run.log(1, Change::Opened);
        run
    }

    fn put(&mut self, kind: StoreKind, path: &str, bytes: Bytes) {
        self.time += 1;
        self.world.stores().damage(kind, path, Some(bytes.clone()));
        let mutation = StoreMutation::Put { kind, path: path.into(), bytes };
        self.recorder.on_store(&self.world, ms(self.time), &mutation);
    }

    fn rename(&mut self, from: &str, to: &str) {
        self.time += 1;
        let kind = StoreKind::Output;
        let bytes = self.world.stores().read(kind, from);
        self.world.stores().damage(kind, to, bytes);
        self.world.stores().damage(kind, from, None);
        let mutation = StoreMutation::Renamed { kind, from: from.into(), to: to.into() };
        self.recorder.on_store(&self.world, ms(self.time), &mutation);
    }

    fn delete(&mut self, kind: StoreKind, path: &str) {
        self.time += 1;
        self.world.stores().damage(kind, path, None);
        self.recorder.on_store(&self.world, ms(self.time), &StoreMutation::Deleted { kind, path: path.into() });
    }

    fn log(&mut self, term: u64, change: Change) {
        let before = self.log.log.len();
        logged(&mut self.log, self.time + 1, term, change);
        let added = self.log.log[before..].to_vec();
        for logged in added {
            self.put(StoreKind::Checkpoints, &logged.position.path(), logged.entry.encode());
        }
    }

    /// Uploads a state file of `bytes` and seals a checkpoint that names it.
    fn seal(&mut self, id: u64, bytes: Bytes) {
        self.put(StoreKind::Checkpoints, &state_path(id), bytes.clone());
        let sealed = sealed_with_file(0, id, &bytes);
        self.put(StoreKind::Checkpoints, &path(CheckpointId(id)), sealed.manifest.encode());
    }

    fn emit(&mut self, node: &str, event: Event) {
        self.time += 1;
        self.recorder.on_event(&self.world, &at(self.time, node, event));
    }

    fn deploy(&mut self, node: &str) {
        self.emit(node, Event::DeploymentBegun { attempt: Attempt(1), restored: None, state_bytes: 0 });
    }

    fn end(mut self) -> Outcome {
        self.recorder.take_outcome(None, &[])
    }
}

#[test]
fn a_checkpoint_is_complete_only_with_its_log_entry() {
    let mut run = Run::new(0);
    run.seal(1, Bytes::from_static(b"state"));
    assert_eq!(run.recorder.outcome.retained_files.finding().judged, 0);
    run.log(1, Change::Completed(CheckpointId(1)));
    let outcome = run.end();
    assert_eq!(outcome.log.len(), 2);
    assert_eq!(outcome.sealed[&CheckpointId(1)].files[&state_path(1)], "state");
    assert_eq!(outcome.retained_files.finding().judged, 2);
    assert_eq!(outcome.retained_files.finding().violations, []);
    // Both files are of term 1: one claim.
    let claims: Vec<_> = outcome.claims.iter().map(|claim| (claim.checkpoint.0, claim.term.0, &claim.path)).collect();
    assert_eq!(claims, [(1, 1, &state_path(1))]);
}

#[test]
fn damage_by_the_nemesis_is_invisible_but_in_output() {
    let mut run = Run::new(0);
    run.put(StoreKind::Checkpoints, &state_path(1), Bytes::from_static(b"state"));
    run.world.stores().damage(StoreKind::Checkpoints, &state_path(1), None);
    run.put(StoreKind::Checkpoints, &path(CheckpointId(1)), sealed_with_file(0, 1, b"state").manifest.encode());
    run.log(1, Change::Completed(CheckpointId(1)));
    let (chunk, part) = (".pending/1-0/a", part_name(subtask(1, 0), CheckpointId(1), 0));
    run.put(StoreKind::Output, chunk, Bytes::from_static(b"4 1\n"));
    run.world.stores().damage(StoreKind::Output, chunk, Some(Bytes::from_static(b"4 ")));
    run.rename(chunk, &part);
    let outcome = run.end();
    assert_eq!(outcome.retained_files.finding().violations, []);
    assert_eq!(outcome.sealed[&CheckpointId(1)].files[&state_path(1)], "state");
    assert_eq!(outcome.visible[0].bytes, "4 ");
}

#[test]
fn large_state_is_forgotten_once_its_checkpoint_is_not_retained() {
    let mut run = Run::new(0);
    let large = || Bytes::from(vec![7; 10_000]);
    for id in 1..=3 {
        run.seal(id, large());
        run.log.log.last_mut().unwrap().entry.state.completed.clear();
        run.log(1, Change::Completed(CheckpointId(id)));
    }
    run.seal(4, large());
    let outcome = run.end();
    let kept: Vec<_> =
        outcome.sealed.iter().filter(|(_, sealed)| !sealed.files.is_empty()).map(|(id, _)| id.0).collect();
    // Checkpoint 3 is retained, and 4 may still become so.
    assert_eq!(kept, [3, 4]);
}

#[test]
fn inline_state_is_forgotten_too() {
    let mut run = Run::new(0);
    let bytes = Bytes::from(vec![7; 10_000]);
    for id in 1..=2 {
        let file =
            StateFile { name: heap_file(), place: StatePlace::Inline(bytes.clone()), checksum: Checksum::of(&bytes) };
        let mut manifest = sealed_with_file(0, id, b"").manifest;
        let state = SubtaskState { files: vec![file], ..SubtaskState::default() };
        manifest.subtasks = BTreeMap::from([(subtask(1, 0), state)]);
        run.put(StoreKind::Checkpoints, &path(CheckpointId(id)), manifest.encode());
        run.log.log.last_mut().unwrap().entry.state.completed.clear();
        run.log(1, Change::Completed(CheckpointId(id)));
    }
    let outcome = run.end();
    let inline = |id: u64| match &outcome.sealed[&CheckpointId(id)].manifest.subtasks[&subtask(1, 0)].files[0].place {
        StatePlace::Inline(bytes) => bytes.len(),
        StatePlace::Stored(path) => unreachable!("{path}"),
    };
    assert_eq!((inline(1), inline(2)), (0, 10_000));
}

#[test]
fn only_the_leader_in_force_puts_the_log_into_force() {
    let deployed = |nodes: &[&str]| {
        let mut run = Run::new(0);
        run.log(1, Change::FallingBack(None));
        run.log(2, Change::Opened);
        nodes.iter().for_each(|node| run.deploy(node));
        run.log(2, Change::Renewed);
        run.end().log.iter().map(|logged| logged.deployed).collect::<Vec<_>>()
    };
    assert_eq!(deployed(&[]), [false; 5]);
    assert_eq!(deployed(&["jm-1"]), [false; 5]);
    assert_eq!(deployed(&["jm-1", "jm-2"]), [true, true, true, true, false]);
}

#[test]
fn changes_that_must_not_be_are_told() {
    let mut run = Run::new(0);
    let (subtask, epoch) = (subtask(1, 0), CheckpointId(1));
    let (part, decision) = (part_name(subtask, epoch, 0), decision_path(subtask, epoch));
    for _ in 0..2 {
        run.put(StoreKind::Output, &part, Bytes::from_static(b"4 1\n"));
        run.put(StoreKind::Output, &decision, Bytes::from_static(b"commit 1-1\n"));
    }
    run.delete(StoreKind::Output, &part);
    run.delete(StoreKind::Output, &decision);
    run.log(1, Change::Renewed);
    run.log(1, Change::Closed);
    // A process that sees an older state of the log may close the segment once more; nobody acts upon that entry.
    let closed = run.log.log[2].clone();
    run.log(1, Change::Renewed);
    run.delete(StoreKind::Checkpoints, &Position::FIRST.next().path());
    run.put(StoreKind::Checkpoints, &Position::FIRST.next().path(), closed.entry.encode());
    run.delete(StoreKind::Checkpoints, &closed.position.path());
    let torn = closed.position.next_segment().next();
    run.put(StoreKind::Checkpoints, &torn.path(), Bytes::from_static(b"no entry"));
    let outcome = run.end();
    let told = |part: &str| [format!("0.004000s: {part} was written over"), format!("0.006000s: {part} was deleted")];
    assert_eq!(outcome.retracted, told(&part));
    let told = ["was written over", "about an epoch that the job may fall back behind, was deleted"];
    let told = [format!("0.005000s: {decision} {}", told[0]), format!("0.007000s: {decision}, {}", told[1])];
    assert_eq!(outcome.overruled, told);
    assert_eq!(outcome.decisions.len(), 2);
    assert!(outcome.decisions.iter().all(|decision| decision.commit));
    assert_eq!(outcome.log_offences, ["0.013000s: ha/00000001-00000002, the end of a segment, was deleted"]);
    assert_eq!(outcome.torn_entries, BTreeSet::from([torn]));
}

#[test]
fn copies_are_of_the_instant_of_completion_and_no_more_than_asked_for() {
    let mut run = Run::new(2);
    for id in 1..=20 {
        run.seal(id, Bytes::from_static(b"state"));
        run.put(StoreKind::Output, &format!(".pending/1-0/{id}"), Bytes::from_static(b"4 1\n"));
        run.log(1, Change::Completed(CheckpointId(id)));
        run.rename(&format!(".pending/1-0/{id}"), &part_name(subtask(1, 0), CheckpointId(id), 0));
    }
    let outcome = run.end();
    assert_eq!(outcome.copies.len(), 2);
    for copy in &outcome.copies {
        let id = copy.checkpoint.0;
        let has = |kind, path: &str| copy.written.get(kind, path).is_some();
        assert!(has(StoreKind::Checkpoints, &state_path(id)) && !has(StoreKind::Checkpoints, &state_path(id + 1)));
        assert!(has(StoreKind::Output, &format!(".pending/1-0/{id}")), "not committed yet");
        assert_eq!(outcome.log[copy.log - 1].entry.change, Change::Completed(copy.checkpoint));
        assert_eq!(copy.visible as u64, id - 1);
    }
}

#[test]
fn what_nobody_names_is_left_over() {
    let mut run = Run::new(0);
    run.seal(1, Bytes::from_static(b"state"));
    run.log(1, Change::Completed(CheckpointId(1)));
    run.put(StoreKind::Checkpoints, &state_path(2), Bytes::from_static(b"late"));
    run.put(StoreKind::Checkpoints, &state_path(3), Bytes::from_static(b"hurt"));
    run.world.stores().damage(StoreKind::Checkpoints, &state_path(3), None);
    run.put(StoreKind::Output, ".pending/1-0/a", Bytes::from_static(b"4 1\n"));
    run.emit("jm-1", Event::SweepEnded { term: Term(1), removed: 0 });
    run.recorder.note_left(&run.world);
    let outcome = run.end();
    // Changes of the stores in order: log 1, state 2, manifest 3, log 4, late upload 5, another upload 6, chunk 7.
    assert_eq!(outcome.sweep, Some(Sweep { term: Term(1), began: 4 }));
    let left: Vec<_> = outcome.orphans.iter().map(|orphan| (orphan.path.as_str(), orphan.put)).collect();
    assert_eq!(left, [(state_path(2).as_str(), 5), (".pending/1-0/a", 7)]);
}

#[test]
fn large_state_is_kept_when_enough_records_came_in() {
    let manifest = sealed_with_state([&[], &[]]).manifest;
    assert!(is_kept(&manifest, 0));
    let many: Vec<(u32, i32)> = (0..4000).map(|key| (key, 1)).collect();
    let manifest = sealed_with_state([&many, &[]]).manifest;
    let bytes = manifest.state_bytes();
    assert!(bytes > STATE_BYTES_SMALL);
    assert!(!is_kept(&manifest, bytes * RECORDS_PER_BYTE - 1));
    assert!(is_kept(&manifest, bytes * RECORDS_PER_BYTE));
}
