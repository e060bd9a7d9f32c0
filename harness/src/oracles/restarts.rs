//! O9: the restart delay.
//!
//! Statement. After a failover the leader that began it deploys the next attempt not before `restart_delay` has passed, and is
//! ready for it (`restart-ready`) within 10 µs of the latest of: the end of the delay, the end of the failed attempt's tasks
//! (`tasks-canceled`), and the end of a checkpoint that was on its way into the log. An engine that forgets the delay hammers a
//! cluster that is down anyhow; one that waits longer prolongs every outage, and no sum of measured parts would show it.
//!
//! A takeover has no restart delay. Where the leader's clock is wrong, or it stands still or is slow, times are not held against it.
//! Source: apache/flink `FixedDelayRestartBackoffTimeStrategy`. Planted bug: `skip-restart-delay`.

use flowquake_engine::event::{Event, EventRecord};
use flowquake_engine::ids::Attempt;
use flowquake_engine::time::Time;
use flowquake_reports::units;

use super::timing::{TOLERANCE_NS, decides_at_another_time};
use super::{EVIDENCE_MAX, Finding, Violation};
use crate::plan::RunPlan;
use crate::run::Outcome;

/// A failover that waits for its next attempt.
struct Waiting<'a> {
    failover: &'a EventRecord,
    attempt: Attempt,
    canceled: Option<Time>,
    /// When a checkpoint was completed meanwhile: it had been on its way into the log.
    logged: Option<Time>,
}

/// Judges the delay of every failover that led to another attempt of the same leader.
pub fn judge(plan: &RunPlan, outcome: &Outcome) -> Finding {
    let mut finding = Finding::default();
    let mut waiting: Option<Waiting> = None;
    for record in &outcome.trace.events {
        if let Event::FailoverBegun { attempt, .. } = &record.event {
            waiting = Some(Waiting { failover: record, attempt: *attempt, canceled: None, logged: None });
            continue;
        }
        let leader = |of: &EventRecord| of.node == record.node && of.incarnation == record.incarnation;
        let Some(of) = waiting.as_mut().filter(|of| leader(of.failover)) else { continue };
        let (ready, may_be_late) = match &record.event {
            Event::TasksCanceled { attempt } if *attempt == of.attempt => {
                of.canceled = Some(record.at);
                continue;
            }
            Event::CheckpointCompleted { .. } => {
                of.logged = Some(record.at);
                continue;
            }
            Event::RestartReady { attempt } => (*attempt == of.attempt, false),
            // Whoever leads next, this node included, takes over: there is no restart delay.
            Event::LeadershipLost { .. } | Event::LeadershipGranted { .. } => {
                waiting = None;
                continue;
            }
            // Without the word before it the deployment itself tells; it also waits for slots and manifests.
            Event::DeploymentBegun { attempt, .. } => (*attempt > of.attempt, true),
            _ => continue,
        };
        if !ready {
            continue;
        }
        finding.judged += 1;
        let (began, delay) = (of.failover.at, plan.job.config.restart_delay);
        let due = (began + delay).max(of.canceled.unwrap_or(Time::ZERO)).max(of.logged.unwrap_or(Time::ZERO));
        let early = record.at.0 + TOLERANCE_NS < (began + delay).0;
        let late = !may_be_late && record.at.0 > due.0 + TOLERANCE_NS;
        if (early || late) && !decides_at_another_time(plan, outcome, began, record.at) {
            let what = if early { "early" } else { "late" };
            let off = record.at.0.abs_diff(if early { (began + delay).0 } else { due.0 });
            let evidence = format!(
                "after the failover of {} at {began} the next attempt was ready at {}, {} too {what}: the restart delay is {delay:?}, \
                 tasks were gone at {}",
                of.attempt,
                record.at,
                units::duration(off),
                of.canceled.map_or("no time".into(), |at| at.to_string()),
            );
            if finding.violations.len() < EVIDENCE_MAX {
                finding.violations.push(Violation { oracle: "O9", evidence });
            }
        }
        waiting = None;
    }
    finding
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use flowquake_engine::event::RootCause;
    use flowquake_engine::ids::{CheckpointId, Term};

    use super::*;
    use crate::faults::LEADER;
    use crate::fixtures::{at, kill, outcome, plan, struck};
    use crate::plan::{FaultAction, FaultPlan, NodeTarget, Trigger};

    fn failover(time: u64) -> EventRecord {
        let (attempt, root) = (Attempt(1), RootCause::StoreFailed);
        at(time, "jm-1", Event::FailoverBegun { attempt, root, cause: "why".into() })
    }

    fn canceled(time: u64) -> EventRecord {
        at(time, "jm-1", Event::TasksCanceled { attempt: Attempt(1) })
    }

    fn ready(time: u64) -> EventRecord {
        at(time, "jm-1", Event::RestartReady { attempt: Attempt(1) })
    }

    fn deployed(time: u64) -> EventRecord {
        at(time, "jm-1", Event::DeploymentBegun { attempt: Attempt(2), restored: None, state_bytes: 0 })
    }

    /// The delay is a second.
    fn judged(events: Vec<EventRecord>) -> (u64, Vec<String>) {
        let finding = judge(&plan(), &outcome(events));
        (finding.judged, finding.violations.into_iter().map(|violation| violation.evidence).collect())
    }

    #[test]
    fn the_next_attempt_waits_for_the_delay_and_for_no_longer_than_it_must() {
        let right = [
            vec![failover(100), canceled(150), ready(1_100), deployed(1_100)],
            vec![failover(100), canceled(3_000), ready(3_000), deployed(9_000)],
        ];
        for story in right {
            assert_eq!(judged(story), (1, Vec::new()));
        }
        let completed = Event::CheckpointCompleted { attempt: Attempt(1), checkpoint: CheckpointId(2), bytes: 1 };
        let logging = vec![failover(100), canceled(150), at(1_900, "jm-1", completed), ready(1_900)];
        assert_eq!(judged(logging), (1, Vec::new()), "a checkpoint was on its way into the log");
        let (_, early) = judged(vec![failover(100), canceled(150), ready(150), deployed(150)]);
        assert!(early[0].contains("950 ms too early: the restart delay is 1s"), "{early:?}");
        let (_, late) = judged(vec![failover(100), canceled(150), ready(2_100)]);
        assert!(late[0].contains("1.000 s too late"), "{late:?}");
        let (_, unannounced) = judged(vec![failover(100), canceled(150), deployed(151)]);
        assert_eq!(unannounced.len(), 1, "it does not even say that it is ready");
    }

    #[test]
    fn another_leader_has_no_delay() {
        let next = at(150, "jm-2", Event::DeploymentBegun { attempt: Attempt(2), restored: None, state_bytes: 0 });
        assert_eq!(judged(vec![failover(100), next.clone()]), (0, Vec::new()));
        let next_life = EventRecord { node: "jm-1".into(), incarnation: 2, ..next };
        assert_eq!(judged(vec![failover(100), next_life]), (0, Vec::new()));
        let lost = at(120, "jm-1", Event::LeadershipLost { term: Term(4) });
        let again = at(140, "jm-1", Event::LeadershipGranted { term: Term(5) });
        assert_eq!(
            judged(vec![failover(100), lost, again, deployed(150)]),
            (0, Vec::new()),
            "it took over from itself"
        );
    }

    #[test]
    fn who_stands_still_is_not_late() {
        let mut plan = plan();
        let action = FaultAction::Pause { target: NodeTarget::Leader, resume_after: None };
        plan.faults = vec![FaultPlan { action, ..kill(1, Trigger::At(Duration::ZERO)) }];
        let mut outcome = outcome(vec![failover(100), canceled(150), ready(2_100)]);
        outcome.strikes = vec![struck(500, Some(2_100))];
        assert_eq!(judge(&plan, &outcome).violations.len(), 1, "a TaskManager that stands still has no part in it");
        outcome.strikes[0].hits[0].role = LEADER;
        assert_eq!(judge(&plan, &outcome).violations, []);
        // It had decided on the failover before it stood still, and told of it when it went on.
        let mut told_late = crate::fixtures::outcome(vec![failover(100), canceled(101), ready(101)]);
        told_late.strikes = vec![struck(50, Some(90))];
        told_late.strikes[0].hits[0].role = LEADER;
        assert_eq!(judge(&plan, &told_late).violations.len(), 1, "it went on 10 ms before");
        told_late.strikes[0].hits[0].healed_at = Some(crate::fixtures::ms(100));
        assert_eq!(judge(&plan, &told_late).violations, []);
    }
}
