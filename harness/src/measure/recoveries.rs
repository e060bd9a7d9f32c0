//! Recoveries in parts: from the fault to the first record that is processed again, and to being caught up.
//!
//! An outage ends when all state is loaded *and* a record has reached the last operators; sources begin earlier, but what
//! they emit waits. A failover that fails before that has no parts.

use flowquake_engine::event::{Event, EventRecord};
use flowquake_engine::ids::{Attempt, SubtaskId};
use flowquake_reports::record::{CheckpointRecord, RecoveryParts, RecoveryRecord};

use super::ends_attempt;
use crate::run::Outcome;

/// Every failover, in order. `sources` is the number of source subtasks.
pub(super) fn measure(outcome: &Outcome, checkpoints: &[CheckpointRecord], sources: usize) -> Vec<RecoveryRecord> {
    let events = &outcome.trace.events;
    let mut recoveries = Vec::new();
    let mut blamed = 0;
    for (index, record) in events.iter().enumerate() {
        let Event::FailoverBegun { attempt, cause, .. } = &record.event else { continue };
        let detected = record.at.0;
        // The newest fault that struck since the failover before; damage fails nothing by itself.
        let strikes = outcome.strikes.iter().enumerate();
        let hits = strikes.flat_map(|(fault, strike)| strike.hits.iter().map(move |hit| (fault, hit)));
        let fault = hits
            .filter(|(_, hit)| !hit.damages_file())
            .map(|(fault, hit)| (fault, hit.at.0))
            .filter(|(_, at)| *at >= blamed && *at <= detected)
            .max_by_key(|(_, at)| *at);
        blamed = detected;
        let failed_at = fault.map_or(detected, |(_, at)| at);
        let rest = &events[index..];
        let next = attempt.next();
        let deployment = rest.iter().find_map(|record| match &record.event {
            Event::DeploymentBegun { attempt, restored, state_bytes } if *attempt == next => {
                Some((record.at.0, *restored, *state_bytes))
            }
            _ => None,
        });
        let restored = deployment.and_then(|(_, restored, _)| restored);
        let of = restored.and_then(|id| checkpoints.iter().find(|checkpoint| checkpoint.id == id.0));
        let parts = parts(rest, *attempt, failed_at);
        let first_record = parts.map(|parts| failed_at + parts.total_ns());
        recoveries.push(RecoveryRecord {
            attempt: next.0,
            cause: cause.clone(),
            fault: fault.map(|(fault, _)| fault as u32 + 1),
            failed_at_ns: failed_at,
            restored_checkpoint: restored.map(|id| id.0),
            snapshot_age_ns: of.map_or(failed_at, |checkpoint| failed_at.saturating_sub(checkpoint.triggered_at_ns)),
            restored_checkpoint_duration_ns: of.and_then(CheckpointRecord::duration_ns),
            restored_bytes: deployment.map_or(0, |(_, _, bytes)| bytes),
            parts,
            // Sources may have emitted all there is before any of it is processed again.
            caught_up_at_ns: caught_up(rest, next, sources).map(|at| at.max(first_record.unwrap_or(at))),
        });
    }
    recoveries
}

fn parts(rest: &[EventRecord], failed: Attempt, failed_at: u64) -> Option<RecoveryParts> {
    let next = failed.next();
    let detected = rest.first()?.at.0;
    let at = |which: &dyn Fn(&Event) -> bool| rest.iter().find(|record| which(&record.event)).map(|record| record.at.0);
    let ready = at(&|event| matches!(event, Event::RestartReady { attempt } if *attempt == failed))?;
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
