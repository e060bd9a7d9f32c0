//! Hand-made runs for unit tests: a small plan, and outcomes made of the few events that a test needs.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use flowquake_engine::checkpoint::manifest::{
    Manifest, StateFile, StateFileOwner, StatePlace, SubtaskState, state_file,
};
use flowquake_engine::codec::encoded;
use flowquake_engine::env::{Address, Checksum, InputFiles};
use flowquake_engine::event::{Event, EventRecord};
use flowquake_engine::graph::JobGraph;
use flowquake_engine::graph::source::SplitPosition;
use flowquake_engine::ha::entry::{Change, HaEntry, HaState};
use flowquake_engine::ha::position::Position;
use flowquake_engine::ids::{Attempt, CheckpointId, SplitId, SubtaskId, Term, VertexId};
use flowquake_engine::paths::StateFilePath;
use flowquake_engine::state::key_group::groups_of;
use flowquake_engine::state::{HEAP_FILE, heap_file};
use flowquake_engine::time::Time;

use crate::cli::catalogue;
use crate::jobs::{JobContext, Jobs};
use crate::nemesis::{Harm, Harms, Hit, Strike};
use crate::outcome::{End, LogEntry, Outcome, Part, Sealed};
use crate::plan::job_spec;
use crate::plan::{EventTrigger, FaultAction, FaultPlan, KillMode, NodeTarget, RunPlan, Trigger};
use crate::scenario::Scenario;
use crate::trace::Trace;

/// A plan without faults that expects a finished job; stopped after 5 minutes.
pub(crate) fn plan() -> RunPlan {
    let text = r#"
        name = "hand-made"
        why = "the trace is made by hand"
        time_limit = "300s"
        [job]
        name = "string-length-count"
        input = { generator = "words", records = 2_000, rate = "2000/s" }
    "#;
    Scenario::parse(text, Path::new("hand-made.toml"), &catalogue(&Jobs::builtin())).unwrap().plan(1)
}

/// Milliseconds from the start of the run.
pub(crate) fn ms(ms: u64) -> Time {
    Time::ZERO + Duration::from_millis(ms)
}

/// An event in the first life of a node.
pub(crate) fn at(time: u64, node: &str, event: Event) -> EventRecord {
    EventRecord { at: ms(time), node: node.into(), incarnation: 1, event }
}

pub(crate) fn subtask(vertex: u16, index: u16) -> SubtaskId {
    SubtaskId { vertex: VertexId(vertex), index }
}

/// The graph of [`plan`]'s job.
pub(crate) fn graph() -> JobGraph {
    let spec = job_spec(&plan());
    Jobs::builtin().build(&spec, &JobContext::inert(&InputFiles::default())).unwrap()
}

/// A finished job with these events. Checkpoint 1 is complete from the start, and a part of output is visible under it.
pub(crate) fn outcome(events: impl IntoIterator<Item = EventRecord>) -> Outcome {
    let mut trace = Trace::default();
    events.into_iter().for_each(|record| trace.push(record));
    let ended_at = trace.events.last().map_or(Time::ZERO, |record| record.at);
    let mut outcome = Outcome { end: End::Finished, ended_at, visible: vec![part(0, 1)], ..Outcome::nothing() };
    logged(&mut outcome, 0, 1, Change::Opened);
    complete(&mut outcome, 0, 1);
    outcome.trace = trace;
    outcome
}

/// A line of output that becomes visible under `epoch`.
pub(crate) fn part(time: u64, epoch: u64) -> Part {
    let name = format!("part of epoch {epoch}");
    let epoch = CheckpointId(epoch);
    Part { at: ms(time), order: time + 1, name, subtask: subtask(1, 0), epoch, bytes: "4 1\n".into() }
}

/// Adds an entry to the log: by `jm-1` in term 1, by `jm-2` in term 2, and so on. Each leader reserves 10 more ids.
/// Changes of the stores are numbered by their milliseconds. A leader that opens a term also closes the segment before.
pub(crate) fn logged(outcome: &mut Outcome, time: u64, term: u64, change: Change) {
    let newest = outcome.log.last().map(|logged| &logged.entry);
    if let Some(newest) = newest.filter(|newest| change == Change::Opened && newest.change != Change::Closed) {
        let closed = newest.term.0;
        logged(outcome, time, closed, Change::Closed);
    }
    let before = outcome.log.last().map(|logged| logged.entry.state.clone());
    let mut state = before.unwrap_or_else(|| HaState {
        program: "hand-made".into(),
        start: Time::ZERO,
        attempt: Attempt(0),
        completed: Vec::new(),
        undecided: None,
        reserved: CheckpointId(0),
        ended: None,
    });
    match &change {
        Change::Opened => state.reserved.0 += 10,
        Change::AttemptBegun(attempt) => state.attempt = *attempt,
        Change::Completed(id) => {
            state.undecided = None;
            state.completed.push(*id);
            state.reserved = state.reserved.max(id.next());
        }
        Change::FallingBack(to) => {
            state.undecided = state.undecided.max(state.completed.last().copied());
            state.completed.retain(|id| Some(*id) <= *to);
        }
        Change::Renewed | Change::Ended | Change::Closed => {}
    }
    let position = outcome.log.last().map_or(Position::FIRST, |logged| logged.entry.next_position());
    let leader = format!("jm-{term}");
    let entry = HaEntry {
        position,
        term: Term(term),
        leader: leader.as_str().into(),
        incarnation: 1,
        address: Address(format!("{leader}:control")),
        change,
        state,
    };
    let events = outcome.trace.events.len();
    outcome.log.push(LogEntry { at: ms(time), order: time, events, position, entry, deployed: false });
}

/// Makes the manifest of a checkpoint durable, and the checkpoint complete.
pub(crate) fn complete(outcome: &mut Outcome, time: u64, checkpoint: u64) {
    seal(outcome, time, checkpoint);
    logged(outcome, time, 1, Change::Completed(CheckpointId(checkpoint)));
}

/// Makes the manifest of a checkpoint durable.
pub(crate) fn seal(outcome: &mut Outcome, time: u64, checkpoint: u64) {
    outcome.sealed.insert(CheckpointId(checkpoint), sealed(time, checkpoint, BTreeMap::new()));
}

/// Makes the manifest of a checkpoint durable. The checkpoint covers the first `records` records of the input.
pub(crate) fn covers(outcome: &mut Outcome, time: u64, checkpoint: u64, records: u64) {
    let splits = u64::from(plan().job.input.splits);
    let position = |split: u64| {
        let emitted = records.saturating_sub(split).div_ceil(splits);
        SplitPosition { split: SplitId(split as u32), emitted }
    };
    let positions = (0..splits).map(position).collect();
    let source = SubtaskState { positions, ..SubtaskState::default() };
    let states = BTreeMap::from([(subtask(0, 0), source)]);
    outcome.sealed.insert(CheckpointId(checkpoint), sealed(time, checkpoint, states));
}

fn sealed(time: u64, checkpoint: u64, subtasks: BTreeMap<SubtaskId, SubtaskState>) -> Sealed {
    let manifest = Manifest {
        checkpoint: CheckpointId(checkpoint),
        attempt: Attempt(1),
        term: Term(1),
        job: job_spec(&plan()),
        start: Time::ZERO,
        triggered_at: Time::ZERO,
        subtasks,
    };
    Sealed { at: ms(time), manifest, files: BTreeMap::new(), keeps_state: false }
}

/// Path of the only state file of a checkpoint of [`sealed_with_file`].
pub(crate) fn state_path(checkpoint: u64) -> String {
    let owner = StateFileOwner {
        checkpoint: CheckpointId(checkpoint),
        subtask: subtask(1, 0),
        term: Term(1),
        attempt: Attempt(1),
    };
    state_file(owner, HEAP_FILE)
}

/// A manifest that names one file with these contents.
pub(crate) fn sealed_with_file(time: u64, checkpoint: u64, contents: &[u8]) -> Sealed {
    let place = StatePlace::Stored(StateFilePath::new(state_path(checkpoint)).unwrap());
    let file = StateFile { name: heap_file(), place, checksum: Checksum::of(contents) };
    let state = SubtaskState { files: vec![file], ..SubtaskState::default() };
    sealed(time, checkpoint, BTreeMap::from([(subtask(1, 0), state)]))
}

/// Checkpoint 1 with these counts per key in two subtasks, as heap snapshots of `string-length-count`.
pub(crate) fn sealed_with_state(states: [&[(u32, i32)]; 2]) -> Sealed {
    let mut job = job_spec(&plan());
    job.config.parallelism = 2;
    let snapshot = |index: u16, entries: &[(u32, i32)]| {
        let mut bytes = encoded(&"count").to_vec();
        bytes.extend_from_slice(&(entries.len() as u64).to_le_bytes());
        let group = groups_of(index, job.config.max_parallelism, 2).start;
        for entry in entries {
            bytes.extend_from_slice(&group.to_le_bytes());
            bytes.extend(encoded(entry));
        }
        let checksum = Checksum::of(&bytes);
        let file = StateFile { name: heap_file(), place: StatePlace::Inline(bytes.into()), checksum };
        (subtask(1, index), SubtaskState { files: vec![file], ..SubtaskState::default() })
    };
    let subtasks = (0..).zip(states).map(|(index, entries)| snapshot(index, entries)).collect();
    let mut sealed = sealed(0, 1, subtasks);
    sealed.manifest.job = job;
    sealed
}

/// A trigger at the first event with this name.
pub(crate) fn on(event: &str) -> EventTrigger {
    EventTrigger { event: event.into(), nth: 1, ..EventTrigger::default() }
}

/// A fault that kills `tm-1`, which stays down.
pub(crate) fn kill(id: u32, trigger: Trigger) -> FaultPlan {
    let target = NodeTarget::Node("tm-1".into());
    let action = FaultAction::Kill {
        targets: vec![target],
        mode: KillMode::Crash,
        restart_after: None,
        disk: crate::plan::Disk::Wiped,
    };
    FaultPlan { id, trigger, delay: Duration::ZERO, repeat: 1, action }
}

/// A fault that struck `tm-1`.
pub(crate) fn struck(time: u64, healed: Option<u64>) -> Strike {
    let hit = Hit {
        at: ms(time),
        position: String::new(),
        role: crate::faults::TASK_MANAGER,
        target: "tm-1".into(),
        detail: "process killed".into(),
        healed_at: healed.map(ms),
        receipt: String::new(),
        doubt: None,
    };
    Strike { hits: vec![hit], missed: String::new(), harms: Harms::from([(Harm::NodesKilled, 1)]) }
}
