//! O8: every failover has a cause, and each cause leads to at most one failover.
//!
//! Statement. When a failover begins, the event that it names as its root comes before it in the trace, belongs to it
//! (the same attempt, TaskManager, subtask or checkpoint), happened while the failing attempt was alive, and is the
//! root of no other failover. So an engine that handles one failure twice is found even if the output stays right.
//!
//! Which of several events is the root is left to the engine: two failures at one instant are two possible roots, one
//! of which stays unused. A superseded leader may still fail over, and needs a cause too. Source: apache/flink
//! `ExecutionFailureHandler`, `RootExceptionHistoryEntry`. Planted bug: `double-failover` (FLINK-31041).

use std::collections::BTreeMap;

use flowquake_engine::event::{Event, EventRecord, RootCause};
use flowquake_engine::ids::Attempt;

use super::{EVIDENCE_MAX, Finding, Oracle, Violation, aborts, provoked};
use crate::outcome::{Outcome, Section};

/// An event that may be the root of a failover.
struct Candidate<'a> {
    at: usize,
    record: &'a EventRecord,
    used: bool,
}

/// The entry of O8.
pub const ORACLE: Oracle = Oracle {
    id: "O8",
    property: "failovers and aborts have causes, each at most one failover, and come from faults",
    unit: "causes",
    rank: 4,
    needs: &[Section::Trace],
    prefers: &[],
    judge: |case| {
        judge(case.outcome).and(aborts::judge(case.plan, case.outcome)).and(provoked::judge(case.plan, case.outcome))
    },
};

/// Judges every failover.
pub fn judge(outcome: &Outcome) -> Finding {
    let mut finding = Finding::default();
    let mut candidates: Vec<Candidate> = Vec::new();
    // Where each attempt was deployed, by the last leader that did so.
    let mut deployed: BTreeMap<Attempt, usize> = BTreeMap::new();
    for (at, record) in outcome.trace.events.iter().enumerate() {
        match &record.event {
            Event::DeploymentBegun { attempt, .. } => drop(deployed.insert(*attempt, at)),
            Event::FailoverBegun { attempt, root, cause } => {
                finding.judged += 1;
                let since = deployed.get(attempt).copied().unwrap_or(0);
                let fits = |candidate: &Candidate| is_root(root, *attempt, candidate, since, record);
                if let Some(unused) = candidates.iter_mut().find(|candidate| !candidate.used && fits(candidate)) {
                    unused.used = true;
                    continue;
                }
                let used = candidates.iter().rev().find(|candidate| fits(candidate));
                let (time, root) = (record.at, describe(root));
                let what = match used {
                    Some(used) => format!("its root, {root} at {}, has caused a failover before", used.record.at),
                    None => format!("there was no {root} before it"),
                };
                let evidence = format!("failover of {attempt} at {time} ({cause}): {what}");
                if finding.violations.len() < EVIDENCE_MAX {
                    finding.violations.push(Violation { oracle: "O8", evidence });
                }
            }
            Event::TaskFailed { .. }
            | Event::TaskManagerLost { .. }
            | Event::CheckpointAborted { .. }
            | Event::CheckpointDamaged { .. }
            | Event::DeploymentLost { .. }
            | Event::StoreFailed { .. } => candidates.push(Candidate { at, record, used: false }),
            _ => {}
        }
    }
    finding
}

/// Whether an event is what a failover names as its root. What a leader reports counts for its own failovers only.
fn is_root(root: &RootCause, attempt: Attempt, candidate: &Candidate, since: usize, failover: &EventRecord) -> bool {
    let record = candidate.record;
    let same_leader = record.node == failover.node && record.incarnation == failover.incarnation;
    let in_time = candidate.at >= since;
    match (root, &record.event) {
        (RootCause::TaskFailed { subtask }, Event::TaskFailed { attempt: of, subtask: failed, .. }) => {
            *of == attempt && failed == subtask
        }
        (RootCause::TaskManagerLost { task_manager }, Event::TaskManagerLost { task_manager: lost, .. }) => {
            same_leader && in_time && lost == task_manager
        }
        (
            RootCause::CheckpointsFailed { checkpoint },
            Event::CheckpointAborted { attempt: of, checkpoint: failed, reason },
        ) => same_leader && *of == attempt && failed == checkpoint && reason.counts(),
        (RootCause::CheckpointDamaged { checkpoint }, Event::CheckpointDamaged { checkpoint: damaged, .. }) => {
            same_leader && in_time && damaged == checkpoint
        }
        (RootCause::DeploymentLost { task_manager }, Event::DeploymentLost { attempt: of, task_manager: lost }) => {
            same_leader && *of == attempt && lost == task_manager
        }
        (RootCause::StoreFailed, Event::StoreFailed { attempt: of, .. }) => same_leader && *of == attempt,
        _ => false,
    }
}

fn describe(root: &RootCause) -> String {
    match root {
        RootCause::TaskFailed { subtask } => format!("task-failed of subtask {subtask}"),
        RootCause::TaskManagerLost { task_manager } => format!("task-manager-lost of {task_manager}"),
        RootCause::CheckpointsFailed { checkpoint } => format!("checkpoint-aborted of checkpoint {checkpoint}"),
        RootCause::CheckpointDamaged { checkpoint } => format!("checkpoint-damaged of checkpoint {checkpoint}"),
        RootCause::DeploymentLost { task_manager } => format!("deployment-lost of {task_manager}"),
        RootCause::StoreFailed => "store-failed".into(),
    }
}

#[cfg(test)]
mod tests {
    use flowquake_engine::event::AbortReason;
    use flowquake_engine::ids::CheckpointId;

    use super::*;
    use crate::fixtures::{at, outcome, subtask};

    fn evidence(events: impl IntoIterator<Item = (&'static str, Event)>) -> Vec<String> {
        let events = (0..).zip(events).map(|(time, (node, event))| at(time, node, event));
        judge(&outcome(events)).violations.into_iter().map(|violation| violation.evidence).collect()
    }

    fn deployed(attempt: u32) -> (&'static str, Event) {
        ("jm-1", Event::DeploymentBegun { attempt: Attempt(attempt), restored: None, state_bytes: 0 })
    }

    fn failover(attempt: u32, root: RootCause) -> (&'static str, Event) {
        ("jm-1", Event::FailoverBegun { attempt: Attempt(attempt), root, cause: "why".into() })
    }

    fn lost() -> (&'static str, Event) {
        ("jm-1", Event::TaskManagerLost { task_manager: "tm-1".into(), cause: "silent".into() })
    }

    fn task_failed(attempt: u32) -> (&'static str, Event) {
        (
            "tm-1",
            Event::TaskFailed {
                attempt: Attempt(attempt),
                subtask: subtask(1, 0),
                in_program: false,
                cause: "why".into(),
            },
        )
    }

    fn aborted(reason: AbortReason) -> (&'static str, Event) {
        let (attempt, checkpoint) = (Attempt(1), CheckpointId(4));
        ("jm-1", Event::CheckpointAborted { attempt, checkpoint, reason })
    }

    fn of_task() -> RootCause {
        RootCause::TaskFailed { subtask: subtask(1, 0) }
    }

    fn of_machine() -> RootCause {
        RootCause::TaskManagerLost { task_manager: "tm-1".into() }
    }

    #[test]
    fn every_kind_of_root_is_recognised() {
        let damaged = || {
            let (file, expected, found) = ("a".into(), "b".into(), "c".into());
            ("jm-1", Event::CheckpointDamaged { checkpoint: CheckpointId(4), file, expected, found })
        };
        let gone = ("jm-1", Event::DeploymentLost { attempt: Attempt(1), task_manager: "tm-1".into() });
        let store = ("jm-1", Event::StoreFailed { attempt: Attempt(1), cause: "no answer".into() });
        let pairs = [
            (task_failed(1), of_task()),
            (lost(), of_machine()),
            (aborted(AbortReason::Expired), RootCause::CheckpointsFailed { checkpoint: CheckpointId(4) }),
            (damaged(), RootCause::CheckpointDamaged { checkpoint: CheckpointId(4) }),
            (gone, RootCause::DeploymentLost { task_manager: "tm-1".into() }),
            (store, RootCause::StoreFailed),
        ];
        for (event, root) in pairs {
            assert_eq!(evidence([deployed(1), event.clone(), failover(1, root.clone())]), [""; 0]);
            assert_eq!(evidence([deployed(1), failover(1, root), event]).len(), 1, "the cause comes first");
        }
    }

    #[test]
    fn a_cause_is_used_once() {
        let expected = "failover of attempt 1 at 0.003000s (why): its root, task-manager-lost of tm-1 at 0.001000s, has caused \
                        a failover before";
        assert_eq!(evidence([deployed(1), lost(), failover(1, of_machine()), failover(1, of_machine())]), [expected]);
        // The TaskManager is lost, comes back, and is lost again.
        let again = [deployed(1), lost(), failover(1, of_machine()), deployed(2), lost(), failover(2, of_machine())];
        assert_eq!(evidence(again), [""; 0]);
        // Two tasks fail at once: one failover, and one root that stays unused.
        assert_eq!(evidence([deployed(1), task_failed(1), lost(), failover(1, of_task())]), [""; 0]);
    }

    #[test]
    fn a_cause_belongs_to_the_failing_attempt() {
        let expected = "failover of attempt 2 at 0.003000s (why): there was no task-failed of subtask 1#0 before it";
        assert_eq!(evidence([deployed(1), task_failed(1), deployed(2), failover(2, of_task())]), [expected]);
        let expected = "failover of attempt 2 at 0.003000s (why): there was no task-manager-lost of tm-1 before it";
        assert_eq!(evidence([deployed(1), lost(), deployed(2), failover(2, of_machine())]), [expected]);
        // Only failures that count towards the tolerated number can exceed it.
        let root = RootCause::CheckpointsFailed { checkpoint: CheckpointId(4) };
        let expected =
            "failover of attempt 1 at 0.002000s (why): there was no checkpoint-aborted of checkpoint 4 before it";
        assert_eq!(evidence([deployed(1), aborted(AbortReason::TaskFailure), failover(1, root)]), [expected]);
    }

    #[test]
    fn two_leaders_that_lose_the_same_machine_have_a_cause_each() {
        let on = |node, (_, event): (&'static str, Event)| (node, event);
        let both =
            [deployed(1), lost(), on("jm-2", lost()), on("jm-2", failover(1, of_machine())), failover(1, of_machine())];
        assert_eq!(evidence(both), [""; 0]);
        assert_eq!(evidence([deployed(1), on("jm-2", lost()), failover(1, of_machine())]).len(), 1);
    }
}
