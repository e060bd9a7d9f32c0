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
    let calm = outcome.strikes.iter().filter_map(|strike| strike.healed_at.or(strike.struck_at)).max();
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
    let waiting = events().filter(|(at, _)| Some(*at) >= deployed).find_map(|(_, event)| match event {
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
