//! O8: every checkpoint that is given up has a valid cause of its own.
//!
//! Statement. A leader gives up only a checkpoint that it triggered in this attempt and that has not ended, and for a reason that
//! holds for this very checkpoint:
//! - *declined*, *asynchronous part failed*: a subtask of this attempt declined this checkpoint, for this reason
//!   (`snapshot-declined`);
//! - *expired*: it was pending for the timeout;
//! - *task failure*: a failover of this attempt began while it was pending;
//! - *finalize failed*: its manifest was not written, and the checkpoint store was hurt while it was pending;
//! - *subsumed*: a later one was completed.
//!
//! So the oracle also finds a late report about an older checkpoint that makes the leader give up the current one,
//! although nothing is lost by that. If a fault makes the leader's clock wrong, or makes the leader stand still, its
//! times are not judged. Source: FLINK-13593, `CheckpointFailureManager`. Planted bug: `decline-of-any-checkpoint`.

use std::collections::{BTreeMap, BTreeSet};

use flowquake_engine::event::{AbortReason, Event, EventRecord};
use flowquake_engine::ids::{Attempt, CheckpointId, NodeName};
use flowquake_engine::time::{Time, nanos};

use super::timing::{TOLERANCE_NS, decides_at_another_time};
use super::{EVIDENCE_MAX, Finding, Violation};
use crate::outcome::Outcome;
use crate::plan::{FaultAction, RunPlan, StoreName};

/// A leader: a node in one of its lives.
type Leader<'a> = (&'a NodeName, u32);

/// A checkpoint that was triggered and has not ended.
struct Pending<'a> {
    by: Leader<'a>,
    attempt: Attempt,
    triggered_at: Time,
    declined: BTreeSet<AbortReason>,
    written: bool,
    failed_over: bool,
}

/// Judges every checkpoint that was given up.
pub fn judge(plan: &RunPlan, outcome: &Outcome) -> Finding {
    let mut finding = Finding::default();
    let mut pending: BTreeMap<CheckpointId, Pending> = BTreeMap::new();
    let mut newest = CheckpointId(0);
    for record in &outcome.trace.events {
        let by = (&record.node, record.incarnation);
        match &record.event {
            Event::CheckpointTriggered { attempt, checkpoint, .. } => {
                let new = Pending {
                    by,
                    attempt: *attempt,
                    triggered_at: record.at,
                    declined: BTreeSet::new(),
                    written: false,
                    failed_over: false,
                };
                pending.insert(*checkpoint, new);
            }
            Event::SnapshotDeclined { attempt, checkpoint, reason, .. } => {
                if let Some(of) = pending.get_mut(checkpoint).filter(|of| of.attempt == *attempt) {
                    of.declined.insert(*reason);
                }
            }
            Event::ManifestWritten { checkpoint, .. } => {
                pending.entry(*checkpoint).and_modify(|of| of.written = true);
            }
            Event::FailoverBegun { attempt, .. } => {
                let failed = pending.values_mut().filter(|of| of.by == by && of.attempt == *attempt);
                failed.for_each(|of| of.failed_over = true);
            }
            Event::CheckpointCompleted { checkpoint, .. } => {
                newest = newest.max(*checkpoint);
                pending.remove(checkpoint);
            }
            Event::CheckpointAborted { attempt, checkpoint, reason } => {
                finding.judged += 1;
                let ended = pending.remove(checkpoint).filter(|of| of.by == by && of.attempt == *attempt);
                let offence = match ended {
                    None => Some("this leader has not triggered it in this attempt, or it had ended before".to_owned()),
                    Some(of) => unfounded(plan, outcome, record, *reason, &of, newest > *checkpoint),
                };
                if let Some(offence) = offence.filter(|_| finding.violations.len() < EVIDENCE_MAX) {
                    let why = reason.name();
                    let evidence = format!(
                        "checkpoint {checkpoint} of {attempt} was given up at {} ({why}): {offence}",
                        record.at
                    );
                    finding.violations.push(Violation { oracle: "O8", evidence });
                }
            }
            _ => {}
        }
    }
    finding
}

/// Why this reason does not justify giving up the checkpoint; `None` if it does.
fn unfounded(
    plan: &RunPlan,
    outcome: &Outcome,
    abort: &EventRecord,
    reason: AbortReason,
    of: &Pending,
    subsumed: bool,
) -> Option<String> {
    let pending_ns = (abort.at - of.triggered_at).as_nanos() as u64;
    let holds = match reason {
        AbortReason::Declined | AbortReason::AsyncException => of.declined.contains(&reason),
        AbortReason::Expired => {
            pending_ns + TOLERANCE_NS >= nanos(plan.job.config.checkpoints.timeout)
                || decides_at_another_time(plan, outcome, of.triggered_at, abort.at)
        }
        AbortReason::FinalizeFailure => !of.written && store_was_hurt(plan, outcome, of.triggered_at, abort.at),
        AbortReason::TaskFailure => of.failed_over,
        AbortReason::Subsumed => subsumed,
        // The job ends with this, and reports that by another event.
        AbortReason::CoordinatorShutdown => true,
    };
    let offence = match reason {
        AbortReason::Declined | AbortReason::AsyncException => "no subtask declined this checkpoint".to_owned(),
        AbortReason::Expired => {
            format!(
                "it was pending since {}, the timeout is {:?}",
                of.triggered_at, plan.job.config.checkpoints.timeout
            )
        }
        AbortReason::FinalizeFailure if of.written => "its manifest was written".to_owned(),
        AbortReason::FinalizeFailure => "no fault hurt the checkpoint store while it was pending".to_owned(),
        AbortReason::TaskFailure => "no failover of this attempt began while it was pending".to_owned(),
        AbortReason::Subsumed | AbortReason::CoordinatorShutdown => "no later checkpoint was complete".to_owned(),
    };
    (!holds).then_some(offence)
}

/// Whether a fault kept some node from using the checkpoint store in this time.
fn store_was_hurt(plan: &RunPlan, outcome: &Outcome, from: Time, to: Time) -> bool {
    plan.faults.iter().zip(&outcome.strikes).any(|(fault, strike)| {
        let hurts = match &fault.action {
            FaultAction::Store { store, .. } => *store != Some(StoreName::Output),
            FaultAction::Isolate { stores, .. } => *stores,
            // The file may have been damaged while it was read back.
            FaultAction::Damage { .. } => true,
            _ => false,
        };
        hurts && strike.hits.iter().any(|hit| hit.at <= to && hit.healed_at.is_none_or(|healed| healed >= from))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use flowquake_engine::event::RootCause;

    use super::*;
    use crate::faults::LEADER;
    use crate::fixtures::{at, kill, outcome, plan, struck, subtask};
    use crate::plan::{ClockFault, FaultPlan, NodeTarget, StoreFault, Trigger};

    const ATTEMPT: Attempt = Attempt(1);

    fn triggered(time: u64, id: u64) -> EventRecord {
        let checkpoint = CheckpointId(id);
        at(time, "jm-1", Event::CheckpointTriggered { attempt: ATTEMPT, checkpoint, last: false })
    }

    fn declined(time: u64, id: u64, reason: AbortReason) -> EventRecord {
        let (checkpoint, subtask) = (CheckpointId(id), subtask(1, 0));
        at(time, "tm-1", Event::SnapshotDeclined { attempt: ATTEMPT, checkpoint, subtask, reason })
    }

    fn aborted(time: u64, id: u64, reason: AbortReason) -> EventRecord {
        at(time, "jm-1", Event::CheckpointAborted { attempt: ATTEMPT, checkpoint: CheckpointId(id), reason })
    }

    fn failover(time: u64, attempt: u32) -> EventRecord {
        let (attempt, root) = (Attempt(attempt), RootCause::StoreFailed);
        at(time, "jm-1", Event::FailoverBegun { attempt, root, cause: "why".into() })
    }

    /// Evidence against a run under one fault that was in force from and to these milliseconds.
    fn under(action: Option<FaultAction>, force: (u64, Option<u64>), events: Vec<EventRecord>) -> Vec<String> {
        let mut plan = plan();
        plan.job.config.checkpoints.timeout = Duration::from_secs(2);
        let mut outcome = outcome(events);
        if let Some(action) = action {
            plan.faults = vec![FaultPlan { action, ..kill(1, Trigger::At(Duration::ZERO)) }];
            outcome.strikes = vec![struck(force.0, force.1)];
            outcome.strikes[0].hits[0].role = LEADER;
        }
        judge(&plan, &outcome).violations.into_iter().map(|violation| violation.evidence).collect()
    }

    fn evidence(events: Vec<EventRecord>) -> Vec<String> {
        under(None, (0, None), events)
    }

    #[test]
    fn a_decline_counts_for_its_own_checkpoint_and_reason() {
        use AbortReason::{AsyncException, Declined};
        let story = |of, why, reason| evidence(vec![triggered(10, 3), declined(20, of, why), aborted(30, 3, reason)]);
        assert_eq!(story(3, AsyncException, AsyncException), [""; 0]);
        assert_eq!(story(3, Declined, Declined), [""; 0]);
        let expected = "checkpoint 3 of attempt 1 was given up at 0.030000s (asynchronous part failed): no subtask declined this \
                        checkpoint";
        assert_eq!(story(2, AsyncException, AsyncException), [expected]);
        assert_eq!(story(3, Declined, AsyncException).len(), 1);
        let late = vec![
            triggered(10, 3),
            declined(20, 3, AsyncException),
            aborted(30, 3, AsyncException),
            triggered(40, 4),
            declined(41, 3, AsyncException),
            aborted(50, 4, AsyncException),
        ];
        assert_eq!(evidence(late).len(), 1, "the decline of 3 hit 4");
    }

    #[test]
    fn a_checkpoint_expires_when_its_time_is_over() {
        let story = |time| vec![triggered(10, 3), aborted(time, 3, AbortReason::Expired)];
        assert_eq!(evidence(story(2_010)), [""; 0]);
        assert!(evidence(story(1_900))[0].contains("it was pending since 0.010000s, the timeout is 2s"));
        let ahead = ClockFault::Forward(Duration::from_secs(1));
        let clock = FaultAction::Clock { target: NodeTarget::Leader, how: ahead, heal_after: None };
        assert_eq!(under(Some(clock.clone()), (500, Some(500)), story(1_900)), [""; 0], "its clock jumped");
        assert_eq!(under(Some(clock), (5, Some(5)), story(1_900)).len(), 1, "before it was triggered");
    }

    #[test]
    fn a_failover_takes_its_own_checkpoint_with_it() {
        let reason = AbortReason::TaskFailure;
        assert_eq!(evidence(vec![triggered(10, 3), failover(20, 1), aborted(20, 3, reason)]), [""; 0]);
        assert_eq!(evidence(vec![failover(5, 1), triggered(10, 3), aborted(20, 3, reason)]).len(), 1);
        assert_eq!(evidence(vec![triggered(10, 3), failover(20, 2), aborted(20, 3, reason)]).len(), 1);
    }

    #[test]
    fn a_manifest_fails_where_the_store_does() {
        let reason = AbortReason::FinalizeFailure;
        let written = at(15, "jm-1", Event::ManifestWritten { attempt: ATTEMPT, checkpoint: CheckpointId(3) });
        let story = || vec![triggered(10, 3), aborted(20, 3, reason)];
        let no_space = |store| {
            let how = StoreFault::NoSpace;
            Some(FaultAction::Store { store, node: None, how, count: None, heal_after: None })
        };
        assert_eq!(under(no_space(Some(StoreName::Checkpoints)), (5, None), story()), [""; 0]);
        assert_eq!(under(no_space(None), (5, Some(12)), story()), [""; 0]);
        assert_eq!(under(no_space(Some(StoreName::Output)), (5, None), story()).len(), 1);
        assert_eq!(under(no_space(None), (5, Some(9)), story()).len(), 1);
        assert_eq!(evidence(story()).len(), 1);
        let told = under(no_space(None), (5, None), vec![triggered(10, 3), written, aborted(20, 3, reason)]);
        assert!(told[0].ends_with("its manifest was written"), "{told:?}");
    }

    #[test]
    fn only_what_is_pending_is_given_up_and_only_by_its_leader() {
        let reason = AbortReason::TaskFailure;
        let completed = Event::CheckpointCompleted { attempt: ATTEMPT, checkpoint: CheckpointId(3), bytes: 1 };
        let after = vec![triggered(10, 3), at(15, "jm-1", completed), failover(20, 1), aborted(20, 3, reason)];
        assert!(evidence(after)[0].contains("had ended before"));
        assert_eq!(evidence(vec![failover(20, 1), aborted(20, 3, reason)]).len(), 1, "never triggered");
        let twice = vec![triggered(10, 3), failover(20, 1), aborted(20, 3, reason), aborted(21, 3, reason)];
        assert_eq!(evidence(twice).len(), 1);
        let of_another = EventRecord { incarnation: 2, ..aborted(20, 3, reason) };
        assert_eq!(evidence(vec![triggered(10, 3), failover(20, 1), of_another]).len(), 1);
        // No event of a checkpoint is expected once its attempt is gone.
        assert_eq!(evidence(vec![triggered(10, 3), failover(20, 1)]), [""; 0]);
    }
}
