//! Outages: what a user sees, made from all attempts to bring the job back until one lasts.
//!
//! Start at [`measure`]. Recoveries that follow each other without lasting progress in between are one outage, from the
//! first fault to the recovery that lasts. A stall that ends in a failure begins the outage of that failure. The parts
//! of such an outage are those of its last recovery, preceded by what came before, so they sum to the whole
//! (RECORD-R1).

use flowquake_reports::record::{CheckpointRecord, RecoveryKind, RecoveryParts, RecoveryRecord, SupersededRecovery};

use super::recoveries::{Tried, tried};
use super::stalls::{self, Stall};
use crate::outcome::{End, Outcome};
use crate::plan::RunPlan;
use flowquake_engine::event::Event;
use flowquake_engine::ids::Attempt;
use flowquake_engine::time::Time;

/// Every outage, in order. `sources` is the number of source subtasks.
pub(super) fn measure(
    plan: &RunPlan,
    outcome: &Outcome,
    checkpoints: &[CheckpointRecord],
    sources: usize,
) -> Vec<RecoveryRecord> {
    let all = tried(outcome, checkpoints, sources);
    let mut records: Vec<RecoveryRecord> = Vec::new();
    // Since when the job has, as far as is known, been making progress.
    let mut since = 0;
    let came_back = |tried: &Tried| tried.comeback.is_some();
    for together in all.split_inclusive(came_back) {
        let detected = together[0].detected_at;
        let mut stalls = stalls::between(plan, outcome, checkpoints, since, detected);
        // A stall that goes on until the failure is a part of its outage, and so is a stall during which the fault
        // struck that caused the failure.
        let begun = together.iter().map(|tried| tried.failed_at).min().unwrap_or(detected);
        let stalled = stalls.iter().position(|stall| stall.to > begun || stall.to == detected);
        let stalled = stalled.and_then(|first| stalls.drain(first..).next());
        records.extend(stalls.into_iter().map(|stall| of_stall(outcome, stall, Some(stall.to))));
        let record = of_recoveries(outcome, checkpoints, together, stalled);
        since = record.parts.map_or(u64::MAX, |parts| record.failed_at_ns + parts.total_ns());
        records.push(record);
    }
    if since < u64::MAX {
        // A job that failed for good was handled above.
        let end = outcome.ended_at.0;
        for stall in stalls::between(plan, outcome, checkpoints, since, end) {
            let is_open = stall.to == end && outcome.end != End::Finished;
            records.push(of_stall(outcome, stall, (!is_open).then_some(stall.to)));
        }
    }
    records
}

/// The recoveries until the job came back, or until the run ended, as one outage.
fn of_recoveries(
    outcome: &Outcome,
    checkpoints: &[CheckpointRecord],
    together: &[Tried],
    stalled: Option<Stall>,
) -> RecoveryRecord {
    let (last, superseded) = together.split_last().expect("a group has a member");
    let first = together.iter().min_by_key(|tried| tried.failed_at).expect("a group has a member");
    let (begun, fault) = match stalled {
        Some(stall) if stall.from < first.failed_at => (stall.from, Some(stall.fault)),
        _ => (first.failed_at, first.fault),
    };
    let mut other_faults: Vec<u32> = together.iter().filter_map(|tried| tried.fault).collect();
    other_faults.retain(|other| Some(*other) != fault);
    other_faults.sort_unstable();
    other_faults.dedup();
    let of = last.restored.and_then(|id| checkpoints.iter().find(|checkpoint| checkpoint.id == id.0));
    let parts = last.comeback.as_ref().map(|comeback| RecoveryParts {
        stalled_ns: first.failed_at - begun,
        superseded_ns: last.failed_at - first.failed_at,
        ..comeback.parts
    });
    let back = parts.map(|parts| begun + parts.total_ns());
    RecoveryRecord {
        kind: last.kind,
        attempt: last.next.0,
        cause: last.cause.clone(),
        fault,
        other_faults,
        failed_at_ns: begun,
        superseded: superseded.iter().map(of_superseded).collect(),
        restored_checkpoint: last.restored.map(|id| id.0),
        snapshot_age_ns: of.map_or(begun, |checkpoint| begun.saturating_sub(checkpoint.triggered_at_ns)),
        restored_checkpoint_duration_ns: of.and_then(CheckpointRecord::duration_ns),
        // With weights, which the engine does not know.
        restored_bytes: of.map_or(0, |checkpoint| checkpoint.state_bytes),
        parts,
        confirmed_at_ns: last.comeback.as_ref().map(|comeback| comeback.confirmed_at),
        unended_ns: parts.is_none().then(|| outcome.ended_at.0.saturating_sub(begun)),
        // Sources may have emitted everything before any of it is processed again. If the recovery did not last,
        // catching up does not count.
        caught_up_at_ns: back.and_then(|back| last.caught_up_at.map(|at| at.max(back))),
    }
}

fn of_superseded(tried: &Tried) -> SupersededRecovery {
    SupersededRecovery {
        attempt: tried.next.0,
        cause: tried.cause.clone(),
        fault: tried.fault,
        failed_at_ns: tried.failed_at,
    }
}

fn of_stall(outcome: &Outcome, stall: Stall, end: Option<u64>) -> RecoveryRecord {
    let length = stall.to - stall.from;
    RecoveryRecord {
        kind: RecoveryKind::Stall,
        attempt: deployed(outcome, stall.to).map_or(0, |attempt| attempt.0),
        cause: format!("nothing lasting between {} and {}: no checkpoint completed", Time(stall.from), Time(stall.to)),
        fault: Some(stall.fault),
        other_faults: Vec::new(),
        failed_at_ns: stall.from,
        superseded: Vec::new(),
        restored_checkpoint: None,
        snapshot_age_ns: 0,
        restored_checkpoint_duration_ns: None,
        restored_bytes: 0,
        parts: end.map(|_| RecoveryParts { stalled_ns: length, ..RecoveryParts::default() }),
        confirmed_at_ns: end,
        unended_ns: end.is_none().then_some(length),
        caught_up_at_ns: None,
    }
}

/// The last attempt that was deployed before this time.
fn deployed(outcome: &Outcome, before: u64) -> Option<Attempt> {
    let events = outcome.trace.events.iter().take_while(|record| record.at.0 <= before);
    let attempts = events.filter_map(|record| match record.event {
        Event::DeploymentBegun { attempt, .. } => Some(attempt),
        _ => None,
    });
    attempts.last()
}
