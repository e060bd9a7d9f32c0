//! From an outcome to a verdict: first whether the run means anything, then the oracles, then the scenario's expectations.

use flowquake_engine::event::Event;
use flowquake_reports::record::Verdict;

use crate::nemesis::describe;
use crate::oracles::Violation;
use crate::plan::{ExpectedEnd, RunPlan};
use crate::run::{End, Outcome};

/// Decides. `clean` is the trace hash of the same plan without its faults, where that was run.
pub fn decide(plan: &RunPlan, outcome: &Outcome, violations: &[Violation], clean: Option<u64>) -> Verdict {
    match &outcome.end {
        End::Panicked(panic) => return Verdict::Crashed { panic: panic.clone() },
        End::NoYield(why) => return Verdict::Stuck { reason: format!("no yield: {why}") },
        _ => {}
    }
    // A stall has a class of its own; but wrong output is worse, and may be why.
    let stall = violations.iter().find(|violation| violation.oracle == "O7");
    let only_that = violations.iter().all(|violation| violation.oracle == "O7");
    if let (End::TimeLimit, Some(stall), true) = (&outcome.end, stall, only_that) {
        return Verdict::Stuck { reason: stall.evidence.clone() };
    }
    if let Some(first) = violations.first() {
        let of_first = violations.iter().filter(|violation| violation.oracle == first.oracle);
        let evidence = of_first.flat_map(|violation| violation.evidence.lines().map(str::to_owned)).collect();
        return Verdict::Failed { oracle: first.oracle.into(), evidence };
    }
    if let Some((expectation, evidence)) = unmet(plan, outcome) {
        return Verdict::Failed { oracle: expectation.into(), evidence: vec![evidence] };
    }
    if let Some(missing) = vacuous(plan, outcome, clean) {
        return Verdict::Vacuous { missing };
    }
    Verdict::Passed
}

fn count(outcome: &Outcome, which: impl Fn(&Event) -> bool) -> u32 {
    outcome.trace.events.iter().filter(|record| which(&record.event)).count() as u32
}

fn unmet(plan: &RunPlan, outcome: &Outcome) -> Option<(&'static str, String)> {
    let expect = &plan.expect;
    match (&expect.job, &outcome.end) {
        (ExpectedEnd::Finished, End::Failed(cause)) => {
            return Some(("expect.job", format!("expected finished, but the job failed: {cause}")));
        }
        (ExpectedEnd::Failed(text), End::Finished) => {
            return Some(("expect.job", format!("expected failed({text}), but the job finished")));
        }
        (ExpectedEnd::Failed(text), End::Failed(cause)) if !cause.contains(text) => {
            return Some(("expect.job", format!("expected failed({text}), but it failed otherwise: {cause}")));
        }
        (ExpectedEnd::FinishedOrFailed(text), End::Failed(cause)) if !cause.contains(text) => {
            return Some((
                "expect.job",
                format!("expected finished or failed({text}), but it failed otherwise: {cause}"),
            ));
        }
        (ExpectedEnd::FinishedOrFailed(_), End::Failed(cause)) if !spoiled(plan, outcome) => {
            let evidence = format!("the job failed although no fault that can spoil a checkpoint struck: {cause}");
            return Some(("expect.job", evidence));
        }
        _ => {}
    }
    let failovers = count(outcome, |event| matches!(event, Event::FailoverBegun { .. }));
    if let Some(expected) = expect.failovers.filter(|expected| *expected != failovers) {
        return Some(("expect.failovers", format!("expected {expected}, there were {failovers}")));
    }
    let fell_back = count(outcome, |event| matches!(event, Event::FellBack { .. })) > 0;
    if let Some(expected) = expect.falls_back.filter(|expected| *expected != fell_back) {
        return Some(("expect.falls_back", format!("expected {expected}, found {fell_back}")));
    }
    let aborted = count(outcome, |event| matches!(event, Event::CheckpointAborted { .. }));
    if let Some(least) = expect.aborted_checkpoints_min.filter(|least| *least > aborted) {
        return Some(("expect.aborted_checkpoints_min", format!("expected at least {least}, there were {aborted}")));
    }
    None
}

/// Whether a fault struck that can spoil a checkpoint.
fn spoiled(plan: &RunPlan, outcome: &Outcome) -> bool {
    let struck = plan.faults.iter().zip(&outcome.strikes).filter(|(_, strike)| strike.struck_at().is_some());
    struck.into_iter().any(|(fault, _)| fault.action.spoils_checkpoints())
}

/// What did not happen, of a run that therefore proves nothing.
fn vacuous(plan: &RunPlan, outcome: &Outcome, clean: Option<u64>) -> Option<String> {
    if plan.swarm {
        // Drawn blindly, a fault may wait for what never comes, or change nothing: that is the price of a swarm, not a lie.
        let struck = outcome.strikes.iter().any(|strike| strike.struck_at().is_some());
        return (!struck).then(|| "none of the drawn faults struck".into());
    }
    for (fault, strike) in plan.faults.iter().zip(&outcome.strikes) {
        if strike.hits.is_empty() {
            let why = if strike.missed.is_empty() { "its trigger never came" } else { &strike.missed };
            return Some(format!("fault {} ({}) never struck: {why}", fault.id, describe(&fault.trigger)));
        }
    }
    if !plan.faults.is_empty() && clean == Some(outcome.trace.hash()) {
        return Some("the faults changed nothing: the trace equals that of the run without them".into());
    }
    let records = outcome.visible.iter().map(|part| part.bytes.len()).sum::<usize>();
    if records == 0 && outcome.end == End::Finished {
        return Some("the job committed no output".into());
    }
    let restarted = outcome.trace.events.iter().rposition(|r| matches!(r.event, Event::DeploymentBegun { .. }))?;
    let crossed = outcome.trace.events[restarted..].iter().any(|r| matches!(r.event, Event::FirstRecord { .. }));
    if outcome.end == End::Finished && !crossed && count(outcome, |e| matches!(e, Event::FailoverBegun { .. })) > 0 {
        let before = &outcome.trace.events[..restarted];
        let last = before.iter().filter(|record| matches!(record.event, Event::EndOfInput { .. })).count();
        // After the end of input there is nothing left to cross; then the final checkpoint is what the recovery is for.
        if last == 0 {
            return Some("no record crossed the recovery".into());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use flowquake_engine::event::{AbortReason, RootCause};
    use flowquake_engine::ids::{Attempt, CheckpointId};

    use super::*;
    use crate::fixtures::{at, kill, on, outcome, plan, struck, subtask};
    use crate::nemesis::Strike;
    use crate::plan::Trigger;

    fn violation(oracle: &'static str, evidence: &str) -> Violation {
        Violation { oracle, evidence: evidence.into() }
    }

    fn failed(oracle: &str, evidence: &[&str]) -> Verdict {
        Verdict::Failed { oracle: oracle.into(), evidence: evidence.iter().map(|line| (*line).into()).collect() }
    }

    fn vacuous(missing: &str) -> Verdict {
        Verdict::Vacuous { missing: missing.into() }
    }

    fn failover(time: u64) -> flowquake_engine::event::EventRecord {
        at(
            time,
            "jm-1",
            Event::FailoverBegun { attempt: Attempt(1), root: RootCause::StoreFailed, cause: "tm-1 is lost".into() },
        )
    }

    #[test]
    fn a_finished_job_with_output_and_no_violation_passes() {
        assert_eq!(decide(&plan(), &outcome([]), &[], None), Verdict::Passed);
    }

    #[test]
    fn a_violation_fails_with_all_evidence_of_the_first_oracle() {
        let violations = [violation("O1", "lost 3"), violation("O2", "order"), violation("O1", "doubled 4")];
        assert_eq!(decide(&plan(), &outcome([]), &violations, None), failed("O1", &["lost 3", "doubled 4"]));
    }

    #[test]
    fn the_job_must_end_as_expected() {
        let mut plan = plan();
        let with_end = |end: End| crate::run::Outcome { end, ..outcome([]) };
        let lost = || with_end(End::Failed("restarts are used up".into()));
        let evidence = "expected finished, but the job failed: restarts are used up";
        assert_eq!(decide(&plan, &lost(), &[], None), failed("expect.job", &[evidence]));

        plan.expect.job = ExpectedEnd::Failed("used up".into());
        assert_eq!(decide(&plan, &lost(), &[], None), Verdict::Passed);
        let evidence = "expected failed(used up), but the job finished";
        assert_eq!(decide(&plan, &outcome([]), &[], None), failed("expect.job", &[evidence]));
        let evidence = "expected failed(used up), but it failed otherwise: no checkpoint";
        let otherwise = with_end(End::Failed("no checkpoint".into()));
        assert_eq!(decide(&plan, &otherwise, &[], None), failed("expect.job", &[evidence]));
    }

    #[test]
    fn expectations_that_are_not_met_fail_by_name() {
        let aborted =
            Event::CheckpointAborted { attempt: Attempt(1), checkpoint: CheckpointId(2), reason: AbortReason::Expired };
        let fell_back = Event::FellBack { from: CheckpointId(2), to: None };
        let outcome = outcome([at(1, "jm-1", aborted), at(2, "jm-1", fell_back)]);

        let mut failovers = plan();
        failovers.expect.failovers = Some(1);
        let verdict = decide(&failovers, &outcome, &[], None);
        assert_eq!(verdict, failed("expect.failovers", &["expected 1, there were 0"]));

        let mut falls_back = plan();
        falls_back.expect.falls_back = Some(false);
        let verdict = decide(&falls_back, &outcome, &[], None);
        assert_eq!(verdict, failed("expect.falls_back", &["expected false, found true"]));

        let mut aborted = plan();
        aborted.expect.aborted_checkpoints_min = Some(2);
        let verdict = decide(&aborted, &outcome, &[], None);
        assert_eq!(verdict, failed("expect.aborted_checkpoints_min", &["expected at least 2, there were 1"]));

        let mut met = plan();
        met.expect = crate::plan::Expectations {
            failovers: Some(0),
            falls_back: Some(true),
            aborted_checkpoints_min: Some(1),
            ..met.expect
        };
        assert_eq!(decide(&met, &outcome, &[], None), Verdict::Passed);
    }

    #[test]
    fn a_fault_that_never_struck_proves_nothing() {
        let mut plan = plan();
        plan.faults = vec![kill(1, Trigger::On(on("fell-back"))), kill(2, Trigger::At(Duration::from_secs(9)))];
        let mut outcome = outcome([]);
        outcome.strikes = vec![struck(5, None), Strike { missed: "was down already".into(), ..Strike::default() }];
        let missing = "fault 2 (at 9s) never struck: was down already";
        assert_eq!(decide(&plan, &outcome, &[], None), vacuous(missing));

        outcome.strikes[0] = Strike::default();
        let missing = "fault 1 (on fell-back) never struck: its trigger never came";
        assert_eq!(decide(&plan, &outcome, &[], None), vacuous(missing));
    }

    #[test]
    fn of_a_swarm_one_strike_is_enough_and_may_change_nothing() {
        let mut plan = plan();
        plan.swarm = true;
        plan.faults = vec![kill(1, Trigger::On(on("fell-back"))), kill(2, Trigger::At(Duration::from_secs(9)))];
        let mut outcome = outcome([]);
        outcome.strikes = vec![Strike::default(), struck(5, None)];
        let hash = outcome.trace.hash();
        assert_eq!(decide(&plan, &outcome, &[], Some(hash)), Verdict::Passed);
        outcome.strikes[1] = Strike::default();
        assert_eq!(decide(&plan, &outcome, &[], None), vacuous("none of the drawn faults struck"));
    }

    #[test]
    fn a_loud_failure_is_legal_only_for_its_reason_and_after_damage() {
        let mut plan = plan();
        plan.expect.job = ExpectedEnd::FinishedOrFailed("no way back".into());
        plan.faults = vec![kill(1, Trigger::At(Duration::from_secs(1)))];
        let mut outcome = outcome([]);
        outcome.strikes = vec![struck(1000, None)];
        assert_eq!(decide(&plan, &outcome, &[], None), Verdict::Passed);

        outcome.end = End::Failed("checkpoint 3 is damaged; no way back".into());
        let evidence = "the job failed although no fault that can spoil a checkpoint struck: checkpoint 3 is damaged; \
                        no way back";
        assert_eq!(decide(&plan, &outcome, &[], None), failed("expect.job", &[evidence]));

        let file = crate::plan::FileTarget { checkpoint: None, kind: crate::plan::FileKind::Manifest, index: 0 };
        plan.faults[0].action = crate::plan::FaultAction::Damage { file, how: crate::plan::DamageKind::Delete };
        assert_eq!(decide(&plan, &outcome, &[], None), Verdict::Passed);
        outcome.strikes[0] = Strike::default();
        assert_eq!(decide(&plan, &outcome, &[], None), failed("expect.job", &[evidence]));

        outcome.end = End::Failed("out of restarts".into());
        let evidence = "expected finished or failed(no way back), but it failed otherwise: out of restarts";
        assert_eq!(decide(&plan, &outcome, &[], None), failed("expect.job", &[evidence]));
    }

    #[test]
    fn faults_that_changed_nothing_prove_nothing() {
        let mut plan = plan();
        plan.faults = vec![kill(1, Trigger::At(Duration::from_secs(1)))];
        let mut outcome = outcome([]);
        outcome.strikes = vec![struck(1000, None)];
        let hash = outcome.trace.hash();
        let missing = "the faults changed nothing: the trace equals that of the run without them";
        assert_eq!(decide(&plan, &outcome, &[], Some(hash)), vacuous(missing));
        assert_eq!(decide(&plan, &outcome, &[], Some(hash ^ 1)), Verdict::Passed);
    }

    #[test]
    fn a_finished_job_without_output_proves_nothing() {
        let mut outcome = outcome([]);
        outcome.visible.clear();
        assert_eq!(decide(&plan(), &outcome, &[], None), vacuous("the job committed no output"));
    }

    #[test]
    fn a_recovery_that_no_record_crossed_proves_nothing_before_the_end_of_input() {
        let deployed = Event::DeploymentBegun { attempt: Attempt(2), restored: None, state_bytes: 0 };
        let mut events = vec![failover(10), at(20, "jm-1", deployed)];
        let verdict = decide(&plan(), &outcome(events.clone()), &[], None);
        assert_eq!(verdict, vacuous("no record crossed the recovery"));

        let id = (Attempt(2), subtask(1, 0));
        events.push(at(30, "tm-1", Event::FirstRecord { attempt: id.0, subtask: id.1 }));
        assert_eq!(decide(&plan(), &outcome(events.clone()), &[], None), Verdict::Passed);
        // Input that had ended before the failure leaves nothing to cross.
        events[2].event = Event::EndOfInput { attempt: id.0, subtask: id.1 };
        events.rotate_right(1);
        assert_eq!(decide(&plan(), &outcome(events), &[], None), Verdict::Passed);
    }

    #[test]
    fn a_stall_is_stuck_unless_the_output_is_wrong() {
        let mut outcome = outcome([]);
        outcome.end = End::TimeLimit;
        let stall = violation("O7", "after 5m: no slots");
        let verdict = decide(&plan(), &outcome, std::slice::from_ref(&stall), None);
        assert_eq!(verdict, Verdict::Stuck { reason: "after 5m: no slots".into() });
        let both = [violation("O1", "doubled 4"), stall];
        assert_eq!(decide(&plan(), &outcome, &both, None), failed("O1", &["doubled 4"]));
    }

    #[test]
    fn a_job_that_ends_too_late_has_failed_and_is_not_stuck() {
        let late = [violation("O7", "the job ended 8s after the last fault; 5s are allowed")];
        let verdict = decide(&plan(), &outcome([]), &late, None);
        assert_eq!(verdict, failed("O7", &["the job ended 8s after the last fault; 5s are allowed"]));
    }

    #[test]
    fn a_loop_without_a_yield_is_stuck_and_a_panic_is_a_crash() {
        let mut outcome = outcome([]);
        outcome.end = End::NoYield("something loops without ever waiting".into());
        let reason = "no yield: something loops without ever waiting".into();
        assert_eq!(decide(&plan(), &outcome, &[], None), Verdict::Stuck { reason });
        outcome.end = End::Panicked("A1: a channel is blocked".into());
        let panic = "A1: a channel is blocked".into();
        assert_eq!(decide(&plan(), &outcome, &[], None), Verdict::Crashed { panic });
    }
}
