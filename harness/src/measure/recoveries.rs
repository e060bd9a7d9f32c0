//! The attempts to bring the job back: failovers, takeovers, and how far each came.
//!
//! The job has to come back after a failover, which its leader begins, and after a takeover, in which another
//! JobManager, or the former leader again, opens a term; that deploys the next attempt without a failover. A takeover
//! has no restart delay, and tasks are cancelled while their TaskManagers look for the new leader, so that time is part
//! of the wait for slots. A job that fails for good is not brought back.
//!
//! [`lasting`] decides whether a recovery lasted, and `outages` makes one outage of all that were tried until then.
//! Events of a JobManager that was replaced do not count.

use std::collections::BTreeSet;

use flowquake_engine::event::{Event, EventRecord};
use flowquake_engine::ha::entry::Change;
use flowquake_engine::ids::{Attempt, CheckpointId, Term};
use flowquake_reports::record::{CheckpointEnd, CheckpointRecord, RecoveryKind, RecoveryParts};

use super::blame::{Told, fault_behind};
use super::ends_attempt;
use super::progress::lasting;
use crate::outcome::Outcome;

/// One failover or takeover that was begun; or the end of a job that failed for good, after which nothing is tried.
pub(super) struct Tried {
    pub(super) kind: RecoveryKind,
    /// The attempt with which the job should come back.
    pub(super) next: Attempt,
    /// The cause as the JobManager stated it.
    pub(super) cause: String,
    /// The fault that caused it, by its position in the plan, from 1.
    pub(super) fault: Option<u32>,
    /// When that fault struck, or when lasting progress was last made under it; if no fault is known, when the failure
    /// was detected.
    pub(super) failed_at: u64,
    /// When the recovery was begun.
    pub(super) detected_at: u64,
    /// The checkpoint that it restored.
    pub(super) restored: Option<CheckpointId>,
    /// `None`: it did not lead to lasting progress.
    pub(super) comeback: Option<Comeback>,
    /// When the sources of its attempt had emitted everything that had arrived.
    pub(super) caught_up_at: Option<u64>,
}

/// A recovery with which the job came back.
pub(super) struct Comeback {
    /// From `failed_at` until every vertex had processed a record.
    pub(super) parts: RecoveryParts,
    /// When the progress was confirmed to be lasting.
    pub(super) confirmed_at: u64,
}

/// Why the job has to come back.
struct Interruption<'a> {
    kind: RecoveryKind,
    /// The attempt with which the job comes back.
    next: Attempt,
    cause: String,
    /// For a takeover: everything since the former leader's term was opened.
    lost: Option<&'a [EventRecord]>,
    told: Told<'a>,
}

/// All recoveries that were tried, in order. `sources` is the number of source subtasks.
pub(super) fn tried(outcome: &Outcome, checkpoints: &[CheckpointRecord], sources: usize) -> Vec<Tried> {
    let events = &outcome.trace.events;
    let mut all: Vec<Tried> = Vec::new();
    let (mut since, mut blamed) = (0, BTreeSet::new());
    // Index of the event with which the leader in force began to lead.
    let mut leader: Option<usize> = None;
    for (index, record) in events.iter().enumerate() {
        let is_down = all.last().is_some_and(|tried| tried.comeback.is_none());
        let interruption = match &record.event {
            Event::FailoverBegun { attempt, root, cause } if leader.is_none_or(|at| same_life(&events[at], record)) => {
                let told = Told::failover(&events[..index], root, cause);
                let kind = RecoveryKind::Failover;
                Interruption { kind, next: attempt.next(), cause: cause.clone(), lost: None, told }
            }
            Event::LeadershipGranted { term } => {
                let (Some(former), Some(next)) = (leader.replace(index), opened(outcome, record, *term)) else {
                    continue;
                };
                let lost = &events[former..index];
                let told = Told::Takeover { former: &lost[0] };
                let cause = takeover(&lost[0], record, *term);
                Interruption { kind: RecoveryKind::Takeover, next, cause, lost: Some(lost), told }
            }
            Event::JobFailed { attempt, cause } if !is_down => {
                let (kind, told) = (RecoveryKind::Stall, Told::End);
                Interruption { kind, next: *attempt, cause: cause.clone(), lost: None, told }
            }
            _ => continue,
        };
        let Interruption { kind, next, cause, lost, told } = interruption;
        let detected_at = record.at.0;
        let fault = fault_behind(outcome, &told, since, detected_at, &blamed);
        since = detected_at;
        blamed.extend(fault);
        let struck_at = fault.map(|(_, at)| progress_since(checkpoints, at, detected_at).unwrap_or(at));
        let failed_at = struck_at.or_else(|| gave_up(lost?)).unwrap_or(detected_at);
        let rest = in_term(&events[index..]);
        let deployment = rest.iter().find_map(|record| match &record.event {
            Event::DeploymentBegun { attempt, restored, .. } if *attempt == next => Some(*restored),
            _ => None,
        });
        let comeback = match kind {
            RecoveryKind::Stall => None,
            RecoveryKind::Failover | RecoveryKind::Takeover => comeback(rest, next, failed_at, checkpoints, sources),
        };
        all.push(Tried {
            kind,
            next,
            cause,
            fault: fault.map(|(fault, _)| fault as u32 + 1),
            failed_at,
            detected_at,
            restored: deployment.flatten(),
            comeback,
            caught_up_at: caught_up(rest, next, sources),
        });
    }
    all
}

/// When a checkpoint last completed that was triggered while a fault that struck at `struck_at` was in force. Until
/// then the fault had not stopped the job.
fn progress_since(checkpoints: &[CheckpointRecord], struck_at: u64, until: u64) -> Option<u64> {
    let completed = checkpoints.iter().filter(|one| one.end == CheckpointEnd::Completed);
    let under_it = completed.filter(|one| one.triggered_at_ns >= struck_at);
    under_it.filter_map(|one| one.ended_at_ns.filter(|end| *end <= until)).max()
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

/// When the former leader itself noticed that it no longer leads. Its term begins the slice.
fn gave_up(term: &[EventRecord]) -> Option<u64> {
    let lost =
        |record: &&EventRecord| matches!(record.event, Event::LeadershipLost { .. }) && same_life(&term[0], record);
    term.iter().find(lost).map(|record| record.at.0)
}

/// `rest` begins with the event that interrupted the job. `None`: the job did not come back with this attempt.
fn comeback(
    rest: &[EventRecord],
    next: Attempt,
    failed_at: u64,
    checkpoints: &[CheckpointRecord],
    sources: usize,
) -> Option<Comeback> {
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
    // All subtasks of the new attempt run. The job counts as running only if none of them has failed before.
    let running = at(&|event| matches!(event, Event::JobRunning { attempt } if *attempt == next))?;
    let of_next = rest.iter().filter(|record| record.event.attempt() == Some(next));
    let restored =
        of_next.filter(|r| matches!(r.event, Event::RestoreEnded { .. }) && r.at.0 <= running).map(|r| r.at.0).max()?;
    let lasting = lasting(rest, next, checkpoints, sources)?;
    // Sources begin before all state is loaded, but what they emit waits.
    let back = lasting.since.max(restored);
    let part = |from: u64, to: u64| to.checked_sub(from);
    let parts = RecoveryParts {
        detect_ns: part(failed_at, detected)?,
        backoff_or_cancel_ns: part(detected, ready)?,
        slots_ns: part(ready, deployed)?,
        deploy_ns: part(deployed, restoring)?,
        restore_ns: part(restoring, restored)?,
        init_ns: part(restored, back)?,
        ..RecoveryParts::default()
    };
    Some(Comeback { parts, confirmed_at: lasting.confirmed_at })
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
