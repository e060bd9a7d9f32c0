//! Hand-made runs for unit tests: a small plan, and outcomes made of the few events that a test is about.

use std::path::Path;
use std::time::Duration;

use flowquake_engine::checkpoint::manifest::Manifest;
use flowquake_engine::event::{Event, EventRecord};
use flowquake_engine::ids::{Attempt, CheckpointId, SubtaskId, Term, VertexId};
use flowquake_engine::time::Time;

use crate::cli::catalogue;
use crate::jobs::Jobs;
use crate::nemesis::{Hit, Strike};
use crate::plan::{EventTrigger, FaultAction, FaultPlan, KillMode, NodeTarget, RunPlan, Trigger};
use crate::run::{End, Outcome, Part, Sealed, job_spec};
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

/// A finished job with these events. Checkpoint 1 is durable from the start, and a part of output is visible under it.
pub(crate) fn outcome(events: impl IntoIterator<Item = EventRecord>) -> Outcome {
    let mut trace = Trace::default();
    events.into_iter().for_each(|record| trace.push(record));
    let mut outcome = Outcome {
        end: End::Finished,
        ended_at: trace.events.last().map_or(Time::ZERO, |record| record.at),
        trace,
        strikes: Vec::new(),
        sealed: Default::default(),
        visible: vec![part(0, 1)],
        retracted: Vec::new(),
        lives: Vec::new(),
        network: Default::default(),
        late_effects: 0,
        cpu: Default::default(),
        wall: Default::default(),
    };
    seal(&mut outcome, 0, 1);
    outcome
}

/// A line of output that becomes visible under `epoch`.
pub(crate) fn part(time: u64, epoch: u64) -> Part {
    let name = format!("part of epoch {epoch}");
    Part { at: ms(time), name, subtask: subtask(1, 0), epoch: CheckpointId(epoch), bytes: "4 1\n".into() }
}

/// Makes the manifest of a checkpoint durable.
pub(crate) fn seal(outcome: &mut Outcome, time: u64, checkpoint: u64) {
    let manifest = Manifest {
        checkpoint: CheckpointId(checkpoint),
        attempt: Attempt(1),
        term: Term(1),
        job: job_spec(&plan()),
        start: Time::ZERO,
        triggered_at: Time::ZERO,
        subtasks: Default::default(),
    };
    let sealed = Sealed { at: ms(time), manifest, files: Default::default() };
    outcome.sealed.insert(CheckpointId(checkpoint), sealed);
}

/// Strikes at the first event of this name.
pub(crate) fn on(event: &str) -> EventTrigger {
    EventTrigger { event: event.into(), nth: 1, ..EventTrigger::default() }
}

/// Kills `tm-1`, which stays down.
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
    };
    Strike { hits: vec![hit], missed: String::new() }
}
