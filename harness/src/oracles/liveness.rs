//! O7: liveness.
//!
//! Statement. Once the last fault has ended, the job finishes within `expect.recovers_within` (or fails for good, where the
//! scenario expects that), in virtual time; in any case before the plan's time limit. A stall has a named reason, read from
//! the trace, and gives the verdict `stuck`. Planted bug: `ignore-barrier-after-restore`.

use std::collections::BTreeSet;
use std::fmt::Write;

use flowquake_engine::event::Event;
use flowquake_engine::ids::SubtaskId;
use flowquake_engine::time::Time;

use super::{Finding, Violation};
use crate::plan::RunPlan;
use crate::run::{End, Outcome};

/// Judges whether the job ended in time.
pub fn judge(plan: &RunPlan, outcome: &Outcome) -> Finding {
    let mut finding = Finding { judged: 1, violations: Vec::new() };
    if outcome.end == End::TimeLimit {
        let limit = humantime::format_duration(plan.time_limit);
        let evidence = format!("after {limit}: {}", reason(outcome));
        finding.violations.push(Violation { oracle: "O7", evidence });
        return finding;
    }
    let hits = outcome.strikes.iter().flat_map(|strike| &strike.hits);
    let calm = hits.map(|hit| hit.healed_at.unwrap_or(hit.at)).max();
    let Some(bound) = plan.expect.recovers_within else { return finding };
    // Without a fault the clock runs from the start.
    let since = calm.unwrap_or(Time::ZERO);
    let took = outcome.ended_at.since(since);
    if took > bound {
        let evidence = format!("the job ended {took:?} after the last fault; {bound:?} are allowed");
        finding.violations.push(Violation { oracle: "O7", evidence });
    }
    finding
}

/// Why a job that did not end is stuck.
fn reason(outcome: &Outcome) -> String {
    let events = || outcome.trace.events.iter().map(|record| (record.at, &record.event));
    let last = |which: &dyn Fn(&Event) -> bool| events().filter(|(_, event)| which(event)).map(|(at, _)| at).last();
    let deployed = last(&|event| matches!(event, Event::DeploymentBegun { .. }));
    let failovers = events().filter(|(_, event)| matches!(event, Event::FailoverBegun { .. })).count();
    // It is said again as long as the job waits, and what is offered changes: the last word counts.
    let waiting = events().rev().filter(|(at, _)| Some(*at) >= deployed).find_map(|(_, event)| match event {
        Event::WaitingForSlots { needed, offered, .. } => Some((*needed, *offered)),
        _ => None,
    });
    let failing = last(&|event| matches!(event, Event::FailoverBegun { .. }));
    let mut text = if deployed.is_none() || (waiting.is_some() && failing >= deployed) {
        let (needed, offered) = waiting.unwrap_or_default();
        format!("no slots: {needed} needed, {offered} offered")
    } else if failing > deployed && last(&|event| matches!(event, Event::TasksCanceled { .. })) < failing {
        "tasks of the failed attempt are not cancelled".to_owned()
    } else if let Some(pending) = pending_checkpoint(outcome) {
        pending
    } else if let Some(commit) = missing_commits(outcome) {
        commit
    } else {
        "no checkpoint is pending and the job does not end".to_owned()
    };
    if failovers > 0 {
        let _ = write!(text, " ({failovers} failovers before)");
    }
    text
}

/// Who the pending checkpoint waits for.
fn pending_checkpoint(outcome: &Outcome) -> Option<String> {
    let mut pending = None;
    let mut acknowledged: BTreeSet<SubtaskId> = BTreeSet::new();
    let mut barriers: Vec<(SubtaskId, SubtaskId)> = Vec::new();
    let mut open: BTreeSet<SubtaskId> = BTreeSet::new();
    let mut running: BTreeSet<SubtaskId> = BTreeSet::new();
    for record in &outcome.trace.events {
        match &record.event {
            Event::TaskRunning { subtask, .. } => drop(running.insert(*subtask)),
            Event::CheckpointTriggered { checkpoint, .. } => {
                pending = Some(*checkpoint);
                acknowledged.clear();
                barriers.clear();
                open.clear();
            }
            Event::CheckpointCompleted { .. } | Event::CheckpointAborted { .. } => pending = None,
            Event::CheckpointAcknowledged { subtask, .. } => drop(acknowledged.insert(*subtask)),
            Event::BarrierReceived { subtask, from, .. } => barriers.push((*subtask, *from)),
            Event::AlignmentOpened { subtask, .. } => drop(open.insert(*subtask)),
            Event::AlignmentClosed { subtask, .. } => drop(open.remove(subtask)),
            _ => {}
        }
    }
    let checkpoint = pending?;
    let missing: Vec<_> = running.difference(&acknowledged).collect();
    if let Some(subtask) = open.first() {
        let arrived: Vec<_> =
            barriers.iter().filter(|(to, _)| to == subtask).map(|(_, from)| from.to_string()).collect();
        let arrived = arrived.join(", ");
        return Some(format!(
            "checkpoint {checkpoint}: subtask {subtask} waits for barriers; arrived only from {arrived}"
        ));
    }
    let missing = missing.iter().map(|subtask| subtask.to_string()).collect::<Vec<_>>().join(", ");
    Some(format!("checkpoint {checkpoint} waits for acknowledgements of {missing}"))
}

fn missing_commits(outcome: &Outcome) -> Option<String> {
    let mut completed = None;
    let mut sinks = BTreeSet::new();
    let mut committed = BTreeSet::new();
    for record in &outcome.trace.events {
        match &record.event {
            Event::CheckpointCompleted { checkpoint, .. } => {
                completed = Some(*checkpoint);
                committed.clear();
            }
            Event::SinkPreCommitted { subtask, .. } => drop(sinks.insert(*subtask)),
            Event::CommitAcknowledged { subtask, .. } => drop(committed.insert(*subtask)),
            _ => {}
        }
    }
    let missing: Vec<String> = sinks.difference(&committed).map(SubtaskId::to_string).collect();
    if missing.is_empty() {
        return None;
    }
    Some(format!("commits of checkpoint {} are not acknowledged by {}", completed?, missing.join(", ")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use flowquake_engine::event::{EventRecord, RootCause};
    use flowquake_engine::ids::{Attempt, CheckpointId};

    use super::*;
    use crate::fixtures::{at, ms, outcome, plan, struck, subtask};

    const ATTEMPT: Attempt = Attempt(1);
    const CHECKPOINT: CheckpointId = CheckpointId(4);

    /// Why a job with these events, a millisecond apart, is stuck.
    fn stall(events: impl IntoIterator<Item = Event>) -> String {
        let events: Vec<EventRecord> = (0..).zip(events).map(|(time, event)| at(time, "jm-1", event)).collect();
        let outcome = Outcome { end: End::TimeLimit, ..outcome(events) };
        let violations = judge(&plan(), &outcome).violations;
        assert_eq!(violations.len(), 1, "{violations:?}");
        assert_eq!(violations[0].oracle, "O7");
        violations[0].evidence.strip_prefix("after 5m: ").unwrap().to_owned()
    }

    /// An attempt of two sources and a sink runs, and checkpoint 4 is pending.
    fn pending() -> Vec<Event> {
        let mut events = vec![Event::DeploymentBegun { attempt: ATTEMPT, restored: None, state_bytes: 0 }];
        let running = [subtask(0, 0), subtask(0, 1), subtask(1, 0)];
        events.extend(running.map(|subtask| Event::TaskRunning { attempt: ATTEMPT, subtask }));
        events.push(Event::CheckpointTriggered { attempt: ATTEMPT, checkpoint: CHECKPOINT, last: false });
        events
    }

    #[test]
    fn a_job_without_slots_says_how_many_there_are_now() {
        let waiting = |offered| Event::WaitingForSlots { attempt: ATTEMPT, needed: 3, offered };
        assert_eq!(stall([waiting(0), waiting(2)]), "no slots: 3 needed, 2 offered");

        let deployed = Event::DeploymentBegun { attempt: ATTEMPT, restored: None, state_bytes: 0 };
        let failover =
            Event::FailoverBegun { attempt: ATTEMPT, root: RootCause::StoreFailed, cause: "tm-1 is lost".into() };
        let canceled = Event::TasksCanceled { attempt: ATTEMPT };
        let events = [waiting(0), deployed, failover, canceled, waiting(1)];
        assert_eq!(stall(events), "no slots: 3 needed, 1 offered (1 failovers before)");
    }

    #[test]
    fn a_failover_that_waits_for_tasks_says_so() {
        let mut events = pending();
        events.push(Event::FailoverBegun {
            attempt: ATTEMPT,
            root: RootCause::StoreFailed,
            cause: "subtask failed".into(),
        });
        assert_eq!(stall(events), "tasks of the failed attempt are not cancelled (1 failovers before)");
    }

    #[test]
    fn a_pending_checkpoint_names_the_subtask_and_the_barriers_that_arrived() {
        let (attempt, checkpoint, sink) = (ATTEMPT, CHECKPOINT, subtask(1, 0));
        let mut events = pending();
        events.push(Event::CheckpointAcknowledged { attempt, checkpoint, subtask: subtask(0, 0) });
        assert_eq!(stall(events.clone()), "checkpoint 4 waits for acknowledgements of 0#1, 1#0");

        events.push(Event::BarrierReceived { attempt, checkpoint, subtask: sink, from: subtask(0, 0) });
        events.push(Event::AlignmentOpened { attempt, checkpoint, subtask: sink });
        let expected = "checkpoint 4: subtask 1#0 waits for barriers; arrived only from 0#0";
        assert_eq!(stall(events), expected);
    }

    #[test]
    fn commits_that_are_not_acknowledged_are_named() {
        let (attempt, checkpoint) = (ATTEMPT, CHECKPOINT);
        let mut events = pending();
        for sink in [subtask(1, 0), subtask(1, 1)] {
            events.push(Event::SinkPreCommitted { attempt, checkpoint, subtask: sink, bytes: 1 });
        }
        events.push(Event::CheckpointCompleted { attempt, checkpoint, bytes: 1 });
        events.push(Event::CommitAcknowledged { attempt, checkpoint, subtask: subtask(1, 0) });
        assert_eq!(stall(events.clone()), "commits of checkpoint 4 are not acknowledged by 1#1");

        events.push(Event::CommitAcknowledged { attempt, checkpoint, subtask: subtask(1, 1) });
        assert_eq!(stall(events), "no checkpoint is pending and the job does not end");
    }

    #[test]
    fn recovery_is_timed_from_the_end_of_the_last_fault() {
        let mut plan = plan();
        let mut outcome = outcome([]);
        outcome.ended_at = ms(10_000);
        assert_eq!(judge(&plan, &outcome).violations, []);

        plan.expect.recovers_within = Some(Duration::from_secs(8));
        outcome.strikes = vec![struck(1_000, Some(2_000))];
        assert_eq!(judge(&plan, &outcome).violations, []);
        outcome.strikes = vec![struck(1_000, None)];
        let expected = "the job ended 9s after the last fault; 8s are allowed";
        assert_eq!(judge(&plan, &outcome).violations[0].evidence, expected);
        outcome.strikes.clear();
        let expected = "the job ended 10s after the last fault; 8s are allowed";
        assert_eq!(judge(&plan, &outcome).violations[0].evidence, expected);
    }
}
