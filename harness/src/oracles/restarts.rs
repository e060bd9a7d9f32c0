//! O9: restarts.
//!
//! Statement. After a failover the leader that began it deploys the next attempt only when the delay of the restart
//! strategy has passed. It is ready to do so (`restart-ready`) within 10 µs of the latest of: the end of the delay, the
//! end of the failed attempt's tasks (`tasks-canceled`), and the end of a checkpoint that was on its way into the log.
//! An engine that skips the delay overloads a cluster that is down already; one that waits longer prolongs every
//! outage, which no sum of measured parts would show. If the leader ends the job instead (`job-failed`), the strategy
//! must allow that, and if it does not end the job, the strategy must allow the restart: nothing else ends a job at
//! that point.
//!
//! What the strategy allows follows from the settings and the times of this leader's failovers (`rule`). A takeover has
//! no restart delay, and the next leader counts from zero. If a fault makes the leader's clock wrong, or makes the
//! leader stand still or slow, its times are not judged.
//! Source: apache/flink `RestartBackoffTimeStrategy`. Planted bugs: `skip-restart-delay`, `never-reset-backoff`,
//! `count-failures-forever`.

use std::collections::BTreeMap;
use std::time::Duration;

use flowquake_engine::config::RestartStrategy;
use flowquake_engine::event::{Event, EventRecord};
use flowquake_engine::ids::{Attempt, NodeName};
use flowquake_engine::time::Time;
use flowquake_reports::units;

use self::rule::{Allowed, Rule};
use super::timing::{TOLERANCE_NS, decides_at_another_time};
use super::{EVIDENCE_MAX, Finding, Violation};
use crate::outcome::Outcome;
use crate::plan::RunPlan;

mod rule;

/// A failover whose next attempt has not come yet.
struct Waiting<'a> {
    failover: &'a EventRecord,
    attempt: Attempt,
    allowed: Allowed,
    canceled: Option<Time>,
    /// When a checkpoint was completed in the meantime: it had been on its way into the log.
    logged: Option<Time>,
}

impl Waiting<'_> {
    /// Until when the next attempt waits for something other than the delay.
    fn held_up_until(&self) -> Time {
        self.canceled.max(self.logged).unwrap_or(Time::ZERO)
    }

    /// What is wrong with a next attempt that is ready at `at`. The time `may_be_late` if only the deployment shows it.
    fn wrong(&self, at: Time, may_be_late: bool, strategy: &RestartStrategy) -> Option<String> {
        let (began, attempt, name) = (self.failover.at, self.attempt, strategy.name());
        let Some((least, most)) = self.allowed.delay_ns else {
            return Some(format!(
                "after the failover of {attempt} at {began} the job goes on at {at}, although the restart strategy {name} allows no \
                 restart any more"
            ));
        };
        let (from, to) = (Time(began.0.saturating_add(least)), Time(began.0.saturating_add(most)));
        let due = to.max(self.held_up_until());
        let early = at.0 + TOLERANCE_NS < from.0;
        let late = !may_be_late && at.0 > due.0.saturating_add(TOLERANCE_NS);
        if !early && !late {
            return None;
        }
        let what = if early { "early" } else { "late" };
        let off = at.0.abs_diff(if early { from.0 } else { due.0 });
        let [least, most] = [least, most].map(Duration::from_nanos);
        let delay = if least == most { format!("{least:?}") } else { format!("{least:?} to {most:?}") };
        Some(format!(
            "after the failover of {attempt} at {began} the next attempt was ready at {at}, {} too {what}: the restart delay is {delay} \
             ({name}), tasks were gone at {}",
            units::duration(off),
            self.canceled.map_or("no time".into(), |at| at.to_string()),
        ))
    }
}

/// Judges every failover that led to another attempt of the same leader, or to the end of the job.
pub fn judge(plan: &RunPlan, outcome: &Outcome) -> Finding {
    let config = &plan.job.config;
    let mut finding = Finding::default();
    let mut rules: BTreeMap<(&NodeName, u32), Rule> = BTreeMap::new();
    let mut waiting: Option<Waiting> = None;
    for record in &outcome.trace.events {
        let life = (&record.node, record.incarnation);
        if let Event::FailoverBegun { attempt, .. } = &record.event {
            let allowed = rules.entry(life).or_insert_with(|| Rule::new(config)).on_failover(record.at);
            waiting = Some(Waiting { failover: record, attempt: *attempt, allowed, canceled: None, logged: None });
            continue;
        }
        if let Event::LeadershipGranted { .. } = &record.event {
            rules.remove(&life);
        }
        let by_leader = |of: &Waiting| (&of.failover.node, of.failover.incarnation) == life;
        let Some(of) = waiting.as_mut().filter(|of| by_leader(of)) else { continue };
        let wrong = match &record.event {
            Event::TasksCanceled { attempt } if *attempt == of.attempt => {
                of.canceled = Some(record.at);
                continue;
            }
            Event::CheckpointCompleted { .. } => {
                of.logged = Some(record.at);
                continue;
            }
            // The next leader, which may be this node, takes over: there is no restart delay.
            Event::LeadershipLost { .. } | Event::LeadershipGranted { .. } => {
                waiting = None;
                continue;
            }
            Event::RestartReady { attempt } if *attempt == of.attempt => {
                of.wrong(record.at, false, &config.restart_strategy)
            }
            // If `restart-ready` is missing, the deployment shows the time; but it also waits for slots and manifests.
            Event::DeploymentBegun { attempt, .. } if *attempt > of.attempt => {
                of.wrong(record.at, true, &config.restart_strategy)
            }
            Event::JobFailed { attempt, cause } if *attempt == of.attempt => (!of.allowed.end).then(|| {
                let (began, name) = (of.failover.at, config.restart_strategy.name());
                format!(
                    "after the failover of {attempt} at {began} the job was given up, although the restart strategy {name} allows \
                     another restart: {cause}"
                )
            }),
            _ => continue,
        };
        finding.judged += 1;
        if let Some(rule) = rules.get_mut(&life) {
            let since = rule.since();
            rule.on_ready(record.at, record.at > of.held_up_until() + Duration::from_nanos(TOLERANCE_NS));
            let held = wrong.filter(|_| !decides_at_another_time(plan, outcome, since, record.at));
            let room = finding.violations.len() < EVIDENCE_MAX;
            finding.violations.extend(held.filter(|_| room).map(|evidence| Violation { oracle: "O9", evidence }));
        }
        waiting = None;
    }
    finding
}

#[cfg(test)]
mod tests {
    use flowquake_engine::config::{ExponentialDelay, FailureRate, Thousandths};
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
        assert!(early[0].contains("950 ms too early: the restart delay is 1s (fixed-delay)"), "{early:?}");
        let (_, late) = judged(vec![failover(100), canceled(150), ready(2_100)]);
        assert!(late[0].contains("1.000 s too late"), "{late:?}");
        let (_, unannounced) = judged(vec![failover(100), canceled(150), deployed(151)]);
        assert_eq!(unannounced.len(), 1, "it does not even say that it is ready");
    }

    /// Failovers of attempts 1, 2, … at the first times; each is ready to restart at the second.
    fn restarts(times: &[(u64, u64)]) -> Vec<EventRecord> {
        let mut events = Vec::new();
        for (number, (failed, back)) in (1..).zip(times) {
            let (attempt, root) = (Attempt(number), RootCause::StoreFailed);
            events.push(at(*failed, "jm-1", Event::FailoverBegun { attempt, root, cause: "why".into() }));
            events.push(at(*failed, "jm-1", Event::TasksCanceled { attempt }));
            events.push(at(*back, "jm-1", Event::RestartReady { attempt }));
        }
        events
    }

    fn given_up(time: u64, attempt: u32) -> [EventRecord; 2] {
        let (attempt, root) = (Attempt(attempt), RootCause::StoreFailed);
        let begun = at(time, "jm-1", Event::FailoverBegun { attempt, root, cause: "why".into() });
        [begun, at(time, "jm-1", Event::JobFailed { attempt, cause: "enough".into() })]
    }

    fn judged_with(restart_strategy: RestartStrategy, events: Vec<EventRecord>) -> (u64, Vec<String>) {
        let mut plan = plan();
        plan.job.config.restart_strategy = restart_strategy;
        let finding = judge(&plan, &outcome(events));
        (finding.judged, finding.violations.into_iter().map(|violation| violation.evidence).collect())
    }

    #[test]
    fn a_job_ends_when_its_restarts_are_used_up_and_not_before() {
        let limited = |attempts, events: Vec<EventRecord>| {
            let mut plan = plan();
            plan.job.config.restart_attempts = attempts;
            judge(&plan, &outcome(events))
                .violations
                .into_iter()
                .map(|violation| violation.evidence)
                .collect::<Vec<_>>()
        };
        let twice = || [restarts(&[(100, 1_100), (2_000, 3_000)]), given_up(4_000, 3).into()].concat();
        assert_eq!(limited(Some(2), twice()), [""; 0]);
        for early in [Some(3), None] {
            let early = limited(early, twice());
            assert!(early[0].contains("the restart strategy fixed-delay allows another restart: enough"), "{early:?}");
        }
        let late = limited(Some(1), twice());
        assert!(late[0].contains("the job goes on at 3.000000s, although"), "{late:?}");
        let none = judged_with(RestartStrategy::None, restarts(&[(100, 1_100)])).1;
        assert!(none[0].contains("the restart strategy none allows no restart"), "{none:?}");
        assert_eq!(judged_with(RestartStrategy::None, given_up(100, 1).into()), (1, Vec::new()));
    }

    #[test]
    fn a_failure_rate_counts_the_failures_of_one_leader_within_the_interval() {
        let rate = |events: Vec<EventRecord>| {
            let failure_rate_interval = Duration::from_secs(10);
            let settings = FailureRate { max_failures_per_interval: 2, failure_rate_interval };
            judged_with(RestartStrategy::FailureRate(settings), events).1
        };
        let apart = || restarts(&[(100, 1_100), (6_000, 7_000), (11_000, 12_000)]);
        assert_eq!(rate(apart()), [""; 0]);
        let early = rate([restarts(&[(100, 1_100), (6_000, 7_000)]), given_up(11_000, 3).into()].concat());
        assert!(early[0].contains("failure-rate allows another restart"), "{early:?}");
        assert_eq!(rate([restarts(&[(100, 1_100), (6_000, 7_000)]), given_up(10_099, 3).into()].concat()), [""; 0]);
        assert_eq!(rate(restarts(&[(100, 1_100), (6_000, 7_000), (9_000, 10_000)])).len(), 1, "it had to end");
        // Exactly at the limit, both answers are accepted: the engine may have seen either side.
        let limit = || restarts(&[(100, 1_100), (6_000, 7_000)]);
        assert_eq!(rate([limit(), given_up(10_100, 3).into()].concat()), [""; 0]);
        assert_eq!(rate(restarts(&[(100, 1_100), (6_000, 7_000), (10_100, 11_100)])), [""; 0]);
        // The node took over from itself.
        let mut anew = restarts(&[(100, 1_100), (6_000, 7_000)]);
        anew.push(at(8_000, "jm-1", Event::LeadershipGranted { term: Term(5) }));
        anew.extend(restarts(&[(9_000, 10_000)]));
        assert_eq!(rate(anew), [""; 0]);
    }

    #[test]
    fn an_exponential_delay_grows_is_capped_and_resets() {
        let settings = |jitter: u32, attempts_before_reset_backoff| {
            RestartStrategy::ExponentialDelay(ExponentialDelay {
                max_backoff: Duration::from_secs(3),
                backoff_multiplier: Thousandths(2_000),
                reset_backoff_threshold: Duration::from_secs(10),
                jitter_factor: Thousandths(jitter),
                attempts_before_reset_backoff,
                ..ExponentialDelay::default()
            })
        };
        // 1 s, 2 s, 3 s (capped), 3 s; after 10 s of peace 1 s again.
        let grows = [(100, 1_100), (2_000, 4_000), (5_000, 8_000), (9_000, 12_000)];
        let story = |last: (u64, u64)| restarts(&[&grows[..], &[last]].concat());
        assert_eq!(judged_with(settings(0, None), story((22_001, 23_001))), (5, Vec::new()));
        let (_, unreset) = judged_with(settings(0, None), story((22_001, 25_001)));
        assert!(unreset[0].contains("2.000 s too late: the restart delay is 1s (exponential-delay)"), "{unreset:?}");
        let (_, hasty) = judged_with(settings(0, None), story((21_900, 22_900)));
        assert!(hasty[0].contains("2.000 s too early: the restart delay is 3s"), "{hasty:?}");
        // With jitter there is a range, bounded by the first and the greatest delay.
        for (ready, fits) in [(3_599, false), (3_600, true), (4_400, true), (4_401, false)] {
            let (_, found) = judged_with(settings(200, None), restarts(&[(100, 1_100), (2_000, ready)]));
            assert_eq!(found.is_empty(), fits, "{ready}: {found:?}");
        }
        // Ready at 3.7 s, so due then, although it could have been 4.4 s. So 10 s later the delay must have been reset.
        let late_reset = |ready| restarts(&[(100, 1_100), (2_000, 3_700), (13_750, ready)]);
        assert_eq!(judged_with(settings(200, None), late_reset(14_800)), (3, Vec::new()));
        assert_eq!(judged_with(settings(200, None), late_reset(16_750)).1.len(), 1);
        // Attempts are counted since the reset.
        let used_up = |at| [restarts(&grows[..2]), given_up(at, 3).into()].concat();
        assert_eq!(judged_with(settings(0, Some(2)), used_up(5_000)).1, [""; 0]);
        assert_eq!(judged_with(settings(0, Some(2)), used_up(15_000)).1.len(), 1, "reset before");
        assert_eq!(judged_with(settings(0, Some(1)), used_up(5_000)).1.len(), 1, "two restarts, and one was allowed");
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
        // The leader had decided on the failover before it stood still, and reported it when it went on.
        let mut told_late = crate::fixtures::outcome(vec![failover(100), canceled(101), ready(101)]);
        told_late.strikes = vec![struck(50, Some(90))];
        told_late.strikes[0].hits[0].role = LEADER;
        assert_eq!(judge(&plan, &told_late).violations.len(), 1, "it went on 10 ms before");
        told_late.strikes[0].hits[0].healed_at = Some(crate::fixtures::ms(100));
        assert_eq!(judge(&plan, &told_late).violations, []);
    }
}
