//! Recoveries in parts: from the fault to the first record that is processed again, and to being caught up.
//!
//! The job has to come back after a failover, which its leader begins, and after a takeover, when another JobManager, or the
//! former leader anew, opens a term: that deploys the next attempt without any failover. A takeover has no restart delay, and
//! tasks are cancelled while their TaskManagers look for the new leader, so that time is one with the wait for slots.
//!
//! An outage ends when all state is loaded *and* a record has reached the last operators; sources begin earlier, but what
//! they emit waits. A recovery that is cut short before that, by a failure or by the next takeover, has no parts. What a
//! JobManager that was replaced says of the job counts for nothing.

use std::collections::BTreeSet;

use flowquake_engine::event::{Event, EventRecord};
use flowquake_engine::ha::entry::Change;
use flowquake_engine::ids::{Attempt, SubtaskId, Term};
use flowquake_reports::record::{CheckpointRecord, RecoveryParts, RecoveryRecord};

use super::blame::{Told, fault_behind};
use super::ends_attempt;
use crate::run::Outcome;

/// Why the job has to come back.
struct Interruption<'a> {
    /// The attempt with which it does.
    next: Attempt,
    cause: String,
    /// Of a takeover: everything since the former leader's term was opened.
    lost: Option<&'a [EventRecord]>,
    told: Told<'a>,
}

/// Every failover and every takeover, in order. `sources` is the number of source subtasks.
pub(super) fn measure(outcome: &Outcome, checkpoints: &[CheckpointRecord], sources: usize) -> Vec<RecoveryRecord> {
    let events = &outcome.trace.events;
    let mut recoveries = Vec::new();
    let (mut since, mut blamed) = (0, BTreeSet::new());
    // Index of the event with which the leader in force began to lead.
    let mut leader: Option<usize> = None;
    for (index, record) in events.iter().enumerate() {
        let interruption = match &record.event {
            Event::FailoverBegun { attempt, root, cause } if leader.is_none_or(|at| same_life(&events[at], record)) => {
                let told = Told::failover(&events[..index], root, cause);
                Interruption { next: attempt.next(), cause: cause.clone(), lost: None, told }
            }
            Event::LeadershipGranted { term } => {
                let (Some(former), Some(next)) = (leader.replace(index), opened(outcome, record, *term)) else {
                    continue;
                };
                let lost = &events[former..index];
                let told = Told::Takeover { former: &lost[0] };
                Interruption { next, cause: takeover(&lost[0], record, *term), lost: Some(lost), told }
            }
            _ => continue,
        };
        let Interruption { next, cause, lost, told } = interruption;
        let detected = record.at.0;
        let fault = fault_behind(outcome, &told, since, detected, &blamed);
        since = detected;
        blamed.extend(fault);
        let failed_at = fault.map(|(_, at)| at).or_else(|| gave_up(lost?)).unwrap_or(detected);
        let rest = in_term(&events[index..]);
        let deployment = rest.iter().find_map(|record| match &record.event {
            Event::DeploymentBegun { attempt, restored, .. } if *attempt == next => Some(*restored),
            _ => None,
        });
        let restored = deployment.flatten();
        let of = restored.and_then(|id| checkpoints.iter().find(|checkpoint| checkpoint.id == id.0));
        let parts = parts(rest, next, failed_at);
        let first_record = parts.map(|parts| failed_at + parts.total_ns());
        recoveries.push(RecoveryRecord {
            attempt: next.0,
            cause,
            fault: fault.map(|(fault, _)| fault as u32 + 1),
            failed_at_ns: failed_at,
            restored_checkpoint: restored.map(|id| id.0),
            snapshot_age_ns: of.map_or(failed_at, |checkpoint| failed_at.saturating_sub(checkpoint.triggered_at_ns)),
            restored_checkpoint_duration_ns: of.and_then(CheckpointRecord::duration_ns),
            // As they count, which the engine does not know.
            restored_bytes: of.map_or(0, |checkpoint| checkpoint.state_bytes),
            parts,
            // Sources may have emitted all there is before any of it is processed again.
            caught_up_at_ns: caught_up(rest, next, sources).map(|at| at.max(first_record.unwrap_or(at))),
        });
    }
    recoveries
}

fn same_life(a: &EventRecord, b: &EventRecord) -> bool {
    (&a.node, a.incarnation) == (&b.node, b.incarnation)
}

/// The attempt that the first entry of a term begins.
fn opened(outcome: &Outcome, granted: &EventRecord, term: Term) -> Option<Attempt> {
    let first = outcome.log.iter().rfind(|logged| {
        let entry = &logged.entry;
        (&entry.change, entry.term, &entry.leader) == (&Change::Opened, term, &granted.node) && logged.at <= granted.at
    });
    first.map(|logged| logged.entry.state.attempt)
}

fn takeover(former: &EventRecord, granted: &EventRecord, term: Term) -> String {
    match (&former.node, &granted.node) {
        (former, node) if former == node => format!("{node} leads again, in {term}"),
        (former, node) => format!("{node} took over from {former}, in {term}"),
    }
}

/// The events of the term in which the first one happened.
fn in_term(events: &[EventRecord]) -> &[EventRecord] {
    let next = events.iter().skip(1).position(|record| matches!(record.event, Event::LeadershipGranted { .. }));
    &events[..next.map_or(events.len(), |next| next + 1)]
}

/// When the former leader noticed by itself that it does not lead any more; its term begins the slice.
fn gave_up(term: &[EventRecord]) -> Option<u64> {
    let lost =
        |record: &&EventRecord| matches!(record.event, Event::LeadershipLost { .. }) && same_life(&term[0], record);
    term.iter().find(lost).map(|record| record.at.0)
}

/// `rest` begins with the event that interrupted the job.
fn parts(rest: &[EventRecord], next: Attempt, failed_at: u64) -> Option<RecoveryParts> {
    let detected = rest.first()?;
    let at = |which: &dyn Fn(&Event) -> bool| rest.iter().find(|record| which(&record.event)).map(|record| record.at.0);
    let ready = match &detected.event {
        Event::FailoverBegun { attempt: failed, .. } => {
            at(&|event| matches!(event, Event::RestartReady { attempt } if attempt == failed))?
        }
        _ => detected.at.0,
    };
    let detected = detected.at.0;
    let deployed = at(&|event| matches!(event, Event::DeploymentBegun { attempt, .. } if *attempt == next))?;
    let restoring = at(&|event| matches!(event, Event::RestoreBegun { attempt, .. } if *attempt == next))?;
    // All subtasks of the new attempt; the job is running only if none of them failed before.
    let running = at(&|event| matches!(event, Event::JobRunning { attempt } if *attempt == next))?;
    let of_next = || rest.iter().filter(|record| record.event.attempt() == Some(next));
    let restored = of_next()
        .filter(|r| matches!(r.event, Event::RestoreEnded { .. }) && r.at.0 <= running)
        .map(|r| r.at.0)
        .max()?;
    let last_vertex =
        of_next().filter_map(|record| record.event.subtask()).map(|subtask: SubtaskId| subtask.vertex).max()?;
    let first_record = of_next()
        .find(|r| matches!(&r.event, Event::FirstRecord { subtask, .. } if subtask.vertex == last_vertex))
        .map(|r| r.at.0.max(restored))?;
    let part = |from: u64, to: u64| to.checked_sub(from);
    Some(RecoveryParts {
        detect_ns: part(failed_at, detected)?,
        backoff_or_cancel_ns: part(detected, ready)?,
        slots_ns: part(ready, deployed)?,
        deploy_ns: part(deployed, restoring)?,
        restore_ns: part(restoring, restored)?,
        init_ns: part(restored, first_record)?,
    })
}

fn caught_up(rest: &[EventRecord], attempt: Attempt, sources: usize) -> Option<u64> {
    let mut seen = 0;
    for record in rest.iter().skip(1).take_while(|r| !(ends_attempt(&r.event) && r.event.attempt() == Some(attempt))) {
        if matches!(&record.event, Event::CaughtUp { attempt: of, .. } if *of == attempt) {
            seen += 1;
            if seen == sources {
                return Some(record.at.0);
            }
        }
    }
    None
}
