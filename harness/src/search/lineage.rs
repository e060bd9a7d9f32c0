//! Lineage: which events of a run the first commit after a recovery rests on. A second fault is worth a run of its own
//! where it can break one of these supports.
//!
//! Start at [`support`]. The protocol says what an event rests on: an acknowledgement on the snapshot that it reports,
//! a manifest on every acknowledgement, a deployment on the restart that was ready, a failover on what failed
//! (`causes`). Where the protocol says nothing, an event follows the event before it in the same process: the same
//! subtask in the same attempt, or the same node in the same life. The support of an event is everything that comes
//! before it in this order. What the run did in vain is not part of it: checkpoints of an attempt that died, subtasks
//! that were cancelled, what a sink did after its part of the checkpoint, and other sinks' commits.
//!
//! This order is only a part of "happened before": it leaves out that the leader is one process, whose every step
//! follows all its earlier steps. With these edges nearly everything would be support, since everything is reported to
//! the leader. So a step outside of the support is *believed* not to matter. The cut that uses this
//! ([`super::cut::Cut::Lineage`]) is therefore assumed, can be switched off, and is tested.
//!
//! Invariant: (LINEAGE-L1) a support holds the causes of each of its events, as far as the run has them, and no event
//! after the event that it supports.

use std::collections::BTreeMap;

use flowquake_engine::event::{Event, EventRecord, RootCause};
use flowquake_engine::ids::{Attempt, CheckpointId, SubtaskId};

/// The first commit after a recovery: the first commit of the first checkpoint that was completed in the last attempt
/// that ran.
pub fn first_commit(events: &[EventRecord]) -> Option<usize> {
    let running = events.iter().rposition(|record| matches!(record.event, Event::JobRunning { .. }))?;
    let next = |from: usize, fits: fn(&Event) -> bool| {
        events[from..].iter().position(|record| fits(&record.event)).map(|at| from + at)
    };
    let completed = next(running, |event| matches!(event, Event::CheckpointCompleted { .. }))?;
    next(completed, |event| matches!(event, Event::CommitAcknowledged { .. }))
}

/// For each event, whether `goal` rests on it; `goal` rests on itself.
pub fn support(events: &[EventRecord], goal: usize) -> Vec<bool> {
    let causes = causes(&events[..=goal]);
    let mut on = vec![false; events.len()];
    on[goal] = true;
    for at in (0..=goal).rev() {
        if on[at] {
            causes[at].iter().for_each(|cause| on[*cause] = true);
            assert!(causes[at].iter().all(|cause| *cause < at), "LINEAGE-L1: an event rests on a later one");
        }
    }
    on
}

/// The process that an event belongs to: node, life, and the subtask that runs there.
type Process<'e> = (&'e str, u32, Option<(SubtaskId, Option<Attempt>)>);

fn process(record: &EventRecord) -> Process<'_> {
    let of_task = record.node.as_str().starts_with("tm-");
    let subtask = record.event.subtask().filter(|_| of_task);
    (record.node.as_str(), record.incarnation, subtask.map(|subtask| (subtask, record.event.attempt())))
}

/// The events that each event rests on directly.
fn causes(events: &[EventRecord]) -> Vec<Vec<usize>> {
    let mut newest: BTreeMap<Process, usize> = BTreeMap::new();
    let mut all = Vec::with_capacity(events.len());
    for (at, record) in events.iter().enumerate() {
        let before = newest.insert(process(record), at);
        let mut causes = by_protocol(&events[..at], record);
        // For subtasks the order of their own steps counts as well, because state and output are built up step by step.
        let own = process(record).2.is_some();
        if own || causes.is_empty() {
            causes.extend(before);
        }
        causes.sort_unstable();
        causes.dedup();
        all.push(causes);
    }
    all
}

/// The causes that the protocol names, among the events before. Empty if it names none, or if they were not emitted.
fn by_protocol(before: &[EventRecord], record: &EventRecord) -> Vec<usize> {
    let newest =
        |fits: &dyn Fn(&Event) -> bool| before.iter().rposition(|record| fits(&record.event)).into_iter().collect();
    let every = |fits: &dyn Fn(&Event) -> bool| -> Vec<usize> {
        let fitting = before.iter().enumerate().filter(|(_, record)| fits(&record.event));
        fitting.map(|(at, _)| at).collect()
    };
    match &record.event {
        Event::LeadershipGranted { .. } => newest(&|event| matches!(event, Event::LeaseExpired { .. })),
        Event::TaskManagerRegistered { .. } => newest(&|event| matches!(event, Event::LeadershipGranted { .. })),
        Event::FailoverBegun { root, .. } => newest(&|event| is_root(event, root)),
        Event::TasksCanceled { .. } => newest(&|event| matches!(event, Event::FailoverBegun { .. })),
        Event::RestartReady { .. } => {
            newest(&|event| matches!(event, Event::TasksCanceled { .. } | Event::FailoverBegun { .. }))
        }
        Event::DeploymentBegun { restored, .. } => deployment(before, *restored),
        Event::RestoreBegun { attempt, .. } => {
            newest(&|event| matches!(event, Event::DeploymentBegun { attempt: of, .. } if of == attempt))
        }
        Event::JobRunning { attempt } => {
            every(&|event| matches!(event, Event::TaskRunning { attempt: of, .. } if of == attempt))
        }
        Event::CheckpointTriggered { attempt, last, .. } => every(&|event| match event {
            Event::JobRunning { attempt: of } => of == attempt,
            Event::EndOfInput { attempt: of, .. } => *last && of == attempt,
            _ => false,
        }),
        Event::BarrierInjected { checkpoint, .. } => {
            newest(&|event| matches!(event, Event::CheckpointTriggered { checkpoint: of, .. } if of == checkpoint))
        }
        Event::BarrierReceived { checkpoint, from, .. } => newest(&|event| match event {
            Event::BarrierInjected { checkpoint: of, subtask, .. }
            | Event::AlignmentClosed { checkpoint: of, subtask, .. } => of == checkpoint && subtask == from,
            _ => false,
        }),
        Event::CheckpointAcknowledged { checkpoint, subtask, .. } => newest(
            &|event| matches!(event, Event::SnapshotAsyncEnded { checkpoint: of, subtask: by, .. } if of == checkpoint && by == subtask),
        ),
        Event::ManifestWritten { checkpoint, .. } => {
            every(&|event| matches!(event, Event::CheckpointAcknowledged { checkpoint: of, .. } if of == checkpoint))
        }
        Event::CheckpointCompleted { checkpoint, .. } => {
            newest(&|event| matches!(event, Event::ManifestWritten { checkpoint: of, .. } if of == checkpoint))
        }
        Event::CompletionNotified { checkpoint, .. } => {
            newest(&|event| matches!(event, Event::CheckpointCompleted { checkpoint: of, .. } if of == checkpoint))
        }
        Event::SinkCommitted { checkpoint, .. } => {
            newest(&|event| matches!(event, Event::CompletionNotified { checkpoint: of, .. } if of == checkpoint))
        }
        Event::CommitAcknowledged { checkpoint, subtask, .. } => newest(
            &|event| matches!(event, Event::SinkCommitted { checkpoint: of, subtask: by, .. } if of == checkpoint && by == subtask),
        ),
        _ => Vec::new(),
    }
}

/// Whether an event is the root of a failover.
fn is_root(event: &Event, root: &RootCause) -> bool {
    match (event, root) {
        (Event::TaskFailed { subtask, .. }, RootCause::TaskFailed { subtask: of }) => subtask == of,
        (Event::TaskManagerLost { task_manager, .. }, RootCause::TaskManagerLost { task_manager: of })
        | (Event::DeploymentLost { task_manager, .. }, RootCause::DeploymentLost { task_manager: of }) => {
            task_manager == of
        }
        (Event::CheckpointAborted { checkpoint, .. }, RootCause::CheckpointsFailed { checkpoint: of })
        | (Event::CheckpointDamaged { checkpoint, .. }, RootCause::CheckpointDamaged { checkpoint: of }) => {
            checkpoint == of
        }
        (Event::StoreFailed { .. }, RootCause::StoreFailed) => true,
        _ => false,
    }
}

/// A deployment rests on the restart or the new term that it follows, on the TaskManagers that have registered in that
/// term, and on the checkpoint that it restores.
fn deployment(before: &[EventRecord], restored: Option<CheckpointId>) -> Vec<usize> {
    let term = before.iter().rposition(|record| matches!(record.event, Event::LeadershipGranted { .. })).unwrap_or(0);
    let restart = before.iter().rposition(|record| {
        matches!(record.event, Event::RestartReady { .. } | Event::LeadershipGranted { .. } | Event::FellBack { .. })
    });
    let fits = |at: usize, event: &Event| match event {
        Event::TaskManagerRegistered { .. } => at >= term,
        Event::CheckpointCompleted { checkpoint, .. } => restored == Some(*checkpoint),
        _ => false,
    };
    let there = before.iter().enumerate().filter(|(at, record)| fits(*at, &record.event)).map(|(at, _)| at);
    restart.into_iter().chain(there).collect()
}

#[cfg(test)]
mod tests {
    use flowquake_engine::event::AbortReason;
    use flowquake_engine::ids::Term;

    use super::*;
    use crate::fixtures::{at, subtask};

    /// A subtask of the first attempt fails during checkpoint 2; the second attempt completes and commits checkpoint 3.
    fn run() -> Vec<EventRecord> {
        let (old, new, two, three) = (Attempt(1), Attempt(2), CheckpointId(2), CheckpointId(3));
        let (source, sink) = (subtask(0, 0), subtask(1, 0));
        let root = RootCause::TaskFailed { subtask: sink };
        let restore = |subtask| Event::RestoreBegun { term: Term(1), attempt: new, subtask, checkpoint: None };
        let events = [
            ("jm-1", Event::CheckpointTriggered { attempt: old, checkpoint: two, last: false }),
            ("tm-1", Event::BarrierInjected { attempt: old, checkpoint: two, subtask: source }),
            ("tm-2", Event::TaskFailed { attempt: old, subtask: sink, in_program: true, cause: String::new() }),
            ("jm-1", Event::CheckpointAborted { attempt: old, checkpoint: two, reason: AbortReason::TaskFailure }),
            ("jm-1", Event::FailoverBegun { attempt: old, root, cause: String::new() }),
            ("jm-1", Event::TasksCanceled { attempt: old }),
            ("jm-1", Event::RestartReady { attempt: old }),
            ("jm-1", Event::DeploymentBegun { attempt: new, restored: None, state_bytes: 0 }),
            ("tm-1", restore(source)),
            ("tm-2", restore(sink)),
            ("tm-1", Event::TaskRunning { attempt: new, subtask: source }),
            ("tm-2", Event::TaskRunning { attempt: new, subtask: sink }),
            ("jm-1", Event::JobRunning { attempt: new }),
            ("jm-1", Event::CheckpointTriggered { attempt: new, checkpoint: three, last: false }),
            ("tm-1", Event::BarrierInjected { attempt: new, checkpoint: three, subtask: source }),
            ("tm-1", Event::SnapshotAsyncEnded { attempt: new, checkpoint: three, subtask: source, bytes: 1 }),
            ("tm-1", Event::CaughtUp { attempt: new, subtask: source }),
            ("jm-1", Event::CheckpointAcknowledged { attempt: new, checkpoint: three, subtask: source }),
            ("jm-1", Event::ManifestWritten { attempt: new, checkpoint: three }),
            ("jm-1", Event::CheckpointCompleted { attempt: new, checkpoint: three, bytes: 1 }),
            ("jm-1", Event::CheckpointSubsumed { checkpoint: CheckpointId(1) }),
            ("jm-1", Event::CompletionNotified { attempt: new, checkpoint: three }),
            ("tm-2", Event::SinkCommitted { attempt: new, epoch: three, subtask: sink, checkpoint: three }),
            ("jm-1", Event::CommitAcknowledged { attempt: new, subtask: sink, checkpoint: three }),
        ];
        events.into_iter().zip(1..).map(|((node, event), time)| at(time, node, event)).collect()
    }

    #[test]
    fn what_was_done_in_vain_and_what_led_nowhere_is_no_support() {
        let events = run();
        let goal = first_commit(&events).unwrap();
        assert_eq!(goal, events.len() - 1);
        let on = support(&events, goal);
        let off: Vec<&str> =
            events.iter().zip(&on).filter(|(_, on)| !**on).map(|(record, _)| record.event.name()).collect();
        let vain =
            ["checkpoint-triggered", "barrier-injected", "checkpoint-aborted", "caught-up", "checkpoint-subsumed"];
        assert_eq!(off, vain);
    }

    /// Tries LINEAGE-L1: the support contains the support of each of its events.
    #[test]
    fn a_support_is_closed_and_ends_with_its_event() {
        let events = run();
        let goal = first_commit(&events).unwrap();
        let on = support(&events, goal);
        for at in (0..goal).filter(|at| on[*at]) {
            let of_cause = support(&events, at);
            assert!(of_cause.iter().zip(&on).all(|(cause, on)| *on || !*cause), "LINEAGE-L1: {:?}", events[at]);
            assert!(!of_cause[at + 1..].contains(&true), "LINEAGE-L1");
        }
    }

    #[test]
    fn a_run_without_a_commit_has_no_support() {
        assert_eq!(first_commit(&run()[..20]), None);
    }
}
