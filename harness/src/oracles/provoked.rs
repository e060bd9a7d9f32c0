//! O8: every failover and every takeover comes from a fault; the engine causes none itself.
//!
//! Statement. Whenever a failover begins, or a term other than the first is opened, one of these holds:
//! - a fault of the plan is in force, or has ended no longer ago than its consequences can take (`Reach`);
//! - a fault left something behind that can be found at any later time: a damaged file, half a connection
//!   (`leaves_traces`);
//! - the recovery from an earlier failover is not over: no checkpoint was completed since;
//! - the plan itself causes it: the job's own code failed, or a checkpoint took longer than the timeout that the
//!   scenario set.
//!
//! So an engine that takes a healthy TaskManager for a lost one is found, although the job comes back and the output
//! stays right. The consequences of a fault take time: a cut is noticed after the heartbeat timeout, a lost order after
//! the RPC timeout, a missing object after several reads. `Reach` is the sum of these, each taken from the plan. A
//! shorter `Reach` accused correct runs of the swarms; a longer one would excuse failovers that have nothing to do with
//! the fault. A recovery that never ends is reported by O7, not here. Planted bug: `misread-heartbeat`.

use std::time::Duration;

use flowquake_engine::event::{AbortReason, Event, EventRecord, RootCause};
use flowquake_engine::ids::Term;
use flowquake_engine::time::Time;

use super::{EVIDENCE_MAX, Finding, Violation};
use crate::outcome::Outcome;
use crate::plan::{ClockFault, FaultAction, MessageFault, RunPlan, StoreFault};

/// How long requests to a store are repeated before something counts as failed or lost, with some time for the requests
/// themselves.
const STORE_PATIENCE: Duration = Duration::from_secs(10);

/// Judges every failover and takeover.
pub fn judge(plan: &RunPlan, outcome: &Outcome) -> Finding {
    let mut finding = Finding::default();
    let reach = Reach::of(plan);
    let faults = in_force(plan, outcome);
    let mut recovering = false;
    for (index, record) in outcome.trace.events.iter().enumerate() {
        let (what, after) = match &record.event {
            Event::FailoverBegun { attempt, root, cause } => {
                let before = &outcome.trace.events[..index];
                if lies_in_the_plan(root, record, before) {
                    recovering = true;
                    continue;
                }
                (format!("failover of {attempt} ({cause})"), reach.of_failover(root))
            }
            Event::LeadershipGranted { term } if *term > Term(1) => {
                (format!("takeover by {} in {term}", record.node), reach.of_takeover())
            }
            Event::CheckpointCompleted { .. } => {
                recovering = false;
                continue;
            }
            _ => continue,
        };
        finding.judged += 1;
        let excused = faults.iter().any(|(from, to)| *from <= record.at && record.at <= *to + after);
        if !recovering && !excused && finding.violations.len() < EVIDENCE_MAX {
            let ended = faults.iter().filter(|(from, _)| *from <= record.at).map(|(_, to)| *to).max();
            let why = match ended {
                None => "no fault had struck before it".to_owned(),
                Some(ended) => format!(
                    "the last fault before it had ended at {ended}, and a checkpoint was complete since; its consequences are over \
                     after {after:?}"
                ),
            };
            let evidence = format!("{what} at {}: the engine caused it itself: {why}", record.at);
            finding.violations.push(Violation { oracle: "O8", evidence });
        }
        recovering = true;
    }
    finding
}

/// From when to when each hit of a fault was in force; without an end for faults that leave traces.
fn in_force(plan: &RunPlan, outcome: &Outcome) -> Vec<(Time, Time)> {
    let hits = plan.faults.iter().zip(&outcome.strikes).flat_map(|(fault, strike)| {
        let lasts = leaves_traces(&fault.action);
        strike.hits.iter().map(move |hit| {
            let end = hit.healed_at.filter(|_| !lasts).unwrap_or(FOR_EVER);
            (hit.at, end)
        })
    });
    hits.collect()
}

/// Far in the future, but durations can still be added to it.
const FOR_EVER: Time = Time(u64::MAX / 2);

/// Whether something is left when the fault has ended, which can be found later.
fn leaves_traces(action: &FaultAction) -> bool {
    match action {
        FaultAction::Damage { .. } | FaultAction::DamageLocal { .. } | FaultAction::HalfOpen { .. } => true,
        FaultAction::Store { how, .. } => matches!(how, StoreFault::TornWrite | StoreFault::LostWrite),
        _ => false,
    }
}

/// How long after the end of a fault its consequences may come, from the settings of a plan.
struct Reach {
    heartbeats: Duration,
    connecting: Duration,
    rpc: Duration,
    lease: Duration,
    /// By how much messages are late and clocks are behind. Every timeout that waits for them can end that much later.
    delayed: Duration,
}

impl Reach {
    fn of(plan: &RunPlan) -> Self {
        let config = &plan.job.config;
        let delays = plan.faults.iter().map(|fault| match &fault.action {
            FaultAction::Message { how: MessageFault::Delay(by) | MessageFault::DuplicateLate(by), .. } => *by,
            FaultAction::Clock { how: ClockFault::Back(by), .. } => *by,
            _ => Duration::ZERO,
        });
        // A leader counts the heartbeats that it sends, and a TaskManager waits for one; both may start counting only
        // when the fault ends.
        let beats = config.heartbeat_interval * (1 + config.heartbeat_rpc_failure_threshold);
        Self {
            heartbeats: config.heartbeat_timeout + beats,
            // A TaskManager that lost its leader tries every JobManager in turn.
            connecting: config.connect_timeout * plan.cluster.job_managers,
            rpc: config.rpc_timeout + config.heartbeat_interval,
            // A standby waits for the lease and a quarter, and looks four times per lease.
            lease: config.lease * 3 / 2,
            delayed: delays.max().unwrap_or_default(),
        }
    }

    fn of_failover(&self, root: &RootCause) -> Duration {
        let own = match root {
            // The TaskManager may have given up its leader first, and then registers again with a leader that has not
            // noticed.
            RootCause::TaskManagerLost { .. } => self.heartbeats * 2 + self.connecting,
            RootCause::TaskFailed { .. } => self.connecting + STORE_PATIENCE,
            RootCause::DeploymentLost { .. } => self.rpc,
            RootCause::CheckpointsFailed { .. } | RootCause::CheckpointDamaged { .. } | RootCause::StoreFailed => {
                STORE_PATIENCE
            }
        };
        own + self.delayed
    }

    fn of_takeover(&self) -> Duration {
        self.lease + STORE_PATIENCE + self.delayed
    }
}

/// Whether the plan alone explains a failover: by the job's own code, or by a timeout that is too short for the state.
fn lies_in_the_plan(root: &RootCause, failover: &EventRecord, before: &[EventRecord]) -> bool {
    let attempt = failover.event.attempt();
    before.iter().rev().any(|record| match (root, &record.event) {
        (RootCause::TaskFailed { subtask }, Event::TaskFailed { attempt: of, subtask: failed, in_program, .. }) => {
            *in_program && Some(*of) == attempt && failed == subtask
        }
        (
            RootCause::CheckpointsFailed { checkpoint },
            Event::CheckpointAborted { checkpoint: failed, reason: AbortReason::Expired, .. },
        ) => failed == checkpoint && record.node == failover.node,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use flowquake_engine::ids::{Attempt, CheckpointId};

    use super::*;
    use crate::fixtures::{at, kill, outcome, plan, struck, subtask};
    use crate::plan::{FaultPlan, FileKind, FileTarget, NodeTarget, Trigger};

    fn failover(time: u64, root: RootCause) -> EventRecord {
        at(time, "jm-1", Event::FailoverBegun { attempt: Attempt(1), root, cause: "why".into() })
    }

    fn lost(time: u64) -> EventRecord {
        failover(time, RootCause::TaskManagerLost { task_manager: "tm-1".into() })
    }

    fn completed(time: u64) -> EventRecord {
        let (attempt, checkpoint) = (Attempt(1), CheckpointId(time));
        at(time, "jm-1", Event::CheckpointCompleted { attempt, checkpoint, bytes: 1 })
    }

    fn granted(time: u64, node: &str, term: u64) -> EventRecord {
        at(time, node, Event::LeadershipGranted { term: Term(term) })
    }

    /// Evidence against a run in which `action` was in force in these milliseconds.
    fn with(action: FaultAction, force: (u64, Option<u64>), events: Vec<EventRecord>) -> Vec<String> {
        let mut plan = plan();
        plan.faults = vec![FaultPlan { action, ..kill(1, Trigger::At(Duration::from_millis(force.0))) }];
        let mut outcome = outcome(events);
        outcome.strikes = vec![struck(force.0, force.1)];
        judge(&plan, &outcome).violations.into_iter().map(|violation| violation.evidence).collect()
    }

    fn killed(force: (u64, Option<u64>), events: Vec<EventRecord>) -> Vec<String> {
        with(kill(1, Trigger::At(Duration::ZERO)).action, force, events)
    }

    fn without_faults(events: Vec<EventRecord>) -> Vec<String> {
        let finding = judge(&plan(), &outcome(events));
        finding.violations.into_iter().map(|violation| violation.evidence).collect()
    }

    #[test]
    fn without_a_fault_nobody_fails_over_and_nobody_takes_over() {
        assert_eq!(without_faults(vec![granted(1, "jm-1", 1), completed(50)]), [""; 0]);
        let told = without_faults(vec![granted(1, "jm-1", 1), lost(100)]);
        let expected =
            "failover of attempt 1 (why) at 0.100000s: the engine caused it itself: no fault had struck before it";
        assert_eq!(told, [expected]);
        let told = without_faults(vec![granted(1, "jm-1", 1), granted(100, "jm-2", 2)]);
        assert!(told[0].starts_with("takeover by jm-2 in term 2 at 0.100000s"), "{told:?}");
    }

    #[test]
    fn a_fault_excuses_what_follows_while_its_consequences_may_come() {
        assert_eq!(killed((100, None), vec![lost(90_000)]), [""; 0], "it is down all the time");
        // Twice heartbeat timeout and interval, and one attempt to connect: 17 s.
        assert_eq!(killed((100, Some(1_000)), vec![lost(18_000)]), [""; 0]);
        let told = killed((100, Some(1_000)), vec![lost(18_001)]);
        assert!(told[0].contains("had ended at 1.000000s"), "{told:?}");
        assert_eq!(killed((200, Some(1_000)), vec![lost(199)]).len(), 1, "the cause comes first");
        let deployment = |time| failover(time, RootCause::DeploymentLost { task_manager: "tm-1".into() });
        assert_eq!(killed((100, Some(1_000)), vec![deployment(7_000)]), [""; 0]);
        assert_eq!(killed((100, Some(1_000)), vec![deployment(7_001)]).len(), 1);
        assert_eq!(killed((100, Some(1_000)), vec![granted(18_500, "jm-2", 2)]), [""; 0]);
        assert_eq!(killed((100, Some(1_000)), vec![granted(18_501, "jm-2", 2)]).len(), 1);
    }

    #[test]
    fn a_recovery_may_fail_again_until_a_checkpoint_is_complete() {
        let force = (100, Some(1_000));
        assert_eq!(killed(force, vec![lost(2_000), lost(30_000), lost(60_000)]), [""; 0], "that is O7's to find");
        let told = killed(force, vec![lost(2_000), lost(30_000), completed(31_000), lost(60_000)]);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("failover of attempt 1 (why) at 60.000000s"), "{told:?}");
    }

    #[test]
    fn what_a_fault_leaves_behind_may_be_found_at_any_time() {
        let damaged = |time| failover(time, RootCause::CheckpointDamaged { checkpoint: CheckpointId(1) });
        let file = FileTarget { checkpoint: None, kind: FileKind::Manifest, index: 0 };
        let action = FaultAction::Damage { file, how: crate::plan::DamageKind::FlipByte };
        assert_eq!(with(action, (100, Some(100)), vec![completed(200), damaged(200_000)]), [""; 0]);
        assert_eq!(killed((100, Some(100)), vec![completed(200), damaged(200_000)]).len(), 1);
        let back = ClockFault::Back(Duration::from_secs(100));
        let clock = FaultAction::Clock { target: NodeTarget::Leader, how: back, heal_after: None };
        assert_eq!(
            with(clock.clone(), (100, Some(100)), vec![lost(117_000)]),
            [""; 0],
            "it sends no heartbeats so long"
        );
        assert_eq!(with(clock, (100, Some(100)), vec![lost(117_101)]).len(), 1);
    }

    #[test]
    fn what_lies_in_the_plan_needs_no_fault() {
        let (attempt, of) = (Attempt(1), subtask(1, 0));
        let failed =
            |in_program| at(50, "tm-1", Event::TaskFailed { attempt, subtask: of, in_program, cause: "why".into() });
        let root = RootCause::TaskFailed { subtask: of };
        assert_eq!(without_faults(vec![failed(true), failover(51, root.clone())]), [""; 0]);
        assert_eq!(without_faults(vec![failed(false), failover(51, root.clone())]).len(), 1);
        let another = RootCause::TaskFailed { subtask: subtask(1, 1) };
        assert_eq!(without_faults(vec![failed(true), failover(51, another)]).len(), 1);

        let checkpoint = CheckpointId(4);
        let aborted = |reason| at(50, "jm-1", Event::CheckpointAborted { attempt, checkpoint, reason });
        let root = RootCause::CheckpointsFailed { checkpoint };
        assert_eq!(without_faults(vec![aborted(AbortReason::Expired), failover(51, root.clone())]), [""; 0]);
        assert_eq!(without_faults(vec![aborted(AbortReason::AsyncException), failover(51, root)]).len(), 1);
    }
}
