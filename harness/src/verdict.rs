//! Derives the verdict from an outcome. First comes the question whether the run proves anything, then the oracles,
//! then the expectations of the scenario. Start at [`decide`].

use flowquake_engine::event::{Event, EventRecord};
use flowquake_engine::time::Time;
use flowquake_reports::record::{Verdict, Violated};

use crate::faults::{self, TASK_MANAGER, kind};
use crate::nemesis::describe;
use crate::oracles::{Violation, causes_first};
use crate::outcome::{End, Outcome};
use crate::plan::{ExpectedEnd, FaultAction, RunPlan};

/// Oracles that judge whether things happened in time, or for a cause, which may be a time-out. A slow machine can
/// violate them.
const TIMED: [&str; 3] = ["O7", "O8", "O9"];

/// Returns the verdict of a run.
pub fn decide(plan: &RunPlan, outcome: &Outcome, violations: &[Violation]) -> Verdict {
    match &outcome.end {
        End::Panicked(panic) => return Verdict::Crashed { panic: panic.clone() },
        End::NoYield(why) => return Verdict::Stuck { reason: format!("no yield: {why}") },
        _ => {}
    }
    // A stall has a verdict of its own. Wrong output is worse than a stall and may have caused it, so `Stuck` needs
    // that O7 alone is violated.
    let stall = violations.iter().find(|violation| violation.oracle == "O7");
    let only_that = violations.iter().all(|violation| violation.oracle == "O7");
    let doubts = doubts(plan, outcome);
    if let (End::TimeLimit, Some(stall), true) = (&outcome.end, stall, only_that) {
        // If a fault was never healed, the job waits for ever, and the stall is no fault of the engine.
        return match (doubts.is_empty(), &outcome.starved) {
            (true, None) => Verdict::Stuck { reason: stall.evidence.clone() },
            (true, Some(why)) => Verdict::Uncertain { doubts: vec![why.clone(), stall.evidence.clone()] },
            (false, _) => Verdict::Uncertain { doubts },
        };
    }
    // A strike in doubt does not excuse wrong output. But the scenario's expectations about its strikes are only asked
    // if the strikes are proved.
    let proved = doubts.is_empty() && (plan.target.is_sim() || vacuous(plan, outcome).is_none());
    if let Some(failed) = failed(plan, outcome, violations, proved) {
        return match &outcome.starved {
            // If the machine keeps a process waiting, its peers run into time-outs.
            Some(why) if violations.iter().all(|violation| TIMED.contains(&violation.oracle)) => {
                Verdict::Uncertain { doubts: vec![why.clone(), failed.headline()] }
            }
            _ => failed,
        };
    }
    if !doubts.is_empty() {
        return Verdict::Uncertain { doubts };
    }
    if let Some(missing) = vacuous(plan, outcome) {
        return Verdict::Vacuous { missing };
    }
    Verdict::Passed
}

/// Every strike without proof, and everything else that makes the run uncertain.
fn doubts(plan: &RunPlan, outcome: &Outcome) -> Vec<String> {
    let strikes = plan.faults.iter().zip(&outcome.strikes);
    let of_strikes = strikes.flat_map(|(fault, strike)| {
        let doubted = strike.hits.iter().filter_map(|hit| Some((hit, hit.doubt.as_ref()?)));
        doubted.map(|(hit, why)| format!("fault {} ({} {}): {why}", fault.id, kind(&fault.action), hit.target))
    });
    of_strikes.chain(outcome.doubts.iter().cloned()).collect()
}

/// Everything that was violated: first the oracles, in the order of causes, then the scenario's expectations if
/// `expects` is set.
fn failed(plan: &RunPlan, outcome: &Outcome, violations: &[Violation], expects: bool) -> Option<Verdict> {
    let lines = |of: Vec<&Violation>| {
        of.into_iter().flat_map(|violation| violation.evidence.lines().map(str::to_owned)).collect()
    };
    let oracles = causes_first(violations).into_iter();
    let oracles = oracles.map(|(oracle, of)| Violated { oracle: oracle.into(), evidence: lines(of) });
    let expectations = if expects { unmet(plan, outcome) } else { Vec::new() }.into_iter();
    let expectations =
        expectations.map(|(oracle, evidence)| Violated { oracle: oracle.into(), evidence: vec![evidence] });
    let mut all = oracles.chain(expectations);
    let Violated { oracle, evidence } = all.next()?;
    Some(Verdict::Failed { oracle, evidence, also: all.collect() })
}

fn count(outcome: &Outcome, which: impl Fn(&Event) -> bool) -> u32 {
    outcome.trace.events.iter().filter(|record| which(&record.event)).count() as u32
}

/// Every expectation of the scenario that was not met, with what was found instead.
fn unmet(plan: &RunPlan, outcome: &Outcome) -> Vec<(&'static str, String)> {
    let expect = &plan.expect;
    let mut unmet: Vec<(&'static str, String)> =
        unmet_end(plan, outcome).map(|why| ("expect.job", why)).into_iter().collect();
    let failovers = count(outcome, |event| matches!(event, Event::FailoverBegun { .. }));
    if let Some(expected) = expect.failovers.filter(|expected| *expected != failovers) {
        unmet.push(("expect.failovers", format!("expected {expected}, there were {failovers}")));
    }
    let fell_back = count(outcome, |event| matches!(event, Event::FellBack { .. })) > 0;
    if let Some(expected) = expect.falls_back.filter(|expected| *expected != fell_back) {
        unmet.push(("expect.falls_back", format!("expected {expected}, found {fell_back}")));
    }
    let aborted = count(outcome, |event| matches!(event, Event::CheckpointAborted { .. }));
    if let Some(least) = expect.aborted_checkpoints_min.filter(|least| *least > aborted) {
        unmet.push(("expect.aborted_checkpoints_min", format!("expected at least {least}, there were {aborted}")));
    }
    unmet
}

/// How the job ended, if the scenario expects another end.
fn unmet_end(plan: &RunPlan, outcome: &Outcome) -> Option<String> {
    match (&plan.expect.job, &outcome.end) {
        (ExpectedEnd::Finished, End::Failed(cause)) => Some(format!("expected finished, but the job failed: {cause}")),
        (ExpectedEnd::Failed(text), End::Finished) => Some(format!("expected failed({text}), but the job finished")),
        (ExpectedEnd::Failed(text), End::Failed(cause)) if !cause.contains(text) => {
            Some(format!("expected failed({text}), but it failed otherwise: {cause}"))
        }
        (ExpectedEnd::FinishedOrFailed(text), End::Failed(cause)) if !cause.contains(text) => {
            Some(format!("expected finished or failed({text}), but it failed otherwise: {cause}"))
        }
        // Whether failures had used a limit up is for O9 to judge.
        (ExpectedEnd::FinishedOrFailed(_), End::Failed(cause))
            if !plan.job.config.restarts_are_limited() && !spoiled(plan, outcome) =>
        {
            Some(format!("the job failed although no fault that can spoil a checkpoint struck: {cause}"))
        }
        _ => None,
    }
}

/// Whether a fault struck that can damage a checkpoint.
fn spoiled(plan: &RunPlan, outcome: &Outcome) -> bool {
    let struck = plan.faults.iter().zip(&outcome.strikes).filter(|(_, strike)| strike.struck_at().is_some());
    struck.into_iter().any(|(fault, _)| faults::spoils_checkpoints(&fault.action))
}

/// Why a run proves nothing: something that had to happen did not. `None`: all of it happened.
fn vacuous(plan: &RunPlan, outcome: &Outcome) -> Option<String> {
    if plan.swarm {
        // A swarm draws its faults at random, so a fault may wait for an event that never comes, or may harm nothing;
        // this is accepted. But if all of them did nothing, the run was one without faults.
        let struck = outcome.strikes.iter().any(|strike| strike.struck_at().is_some());
        let harmed = outcome.strikes.iter().any(|strike| !strike.harms.is_empty());
        return match (struck, harmed) {
            (false, _) => Some("none of the drawn faults struck".into()),
            (true, false) => Some("none of the drawn faults hurt anything".into()),
            (true, true) => None,
        };
    }
    for (fault, strike) in plan.faults.iter().zip(&outcome.strikes) {
        if strike.hits.is_empty() {
            let why = if strike.missed.is_empty() { "its trigger never came" } else { &strike.missed };
            return Some(format!("fault {} ({}) never struck: {why}", fault.id, describe(&fault.trigger)));
        }
        if strike.harms.is_empty() {
            let (id, kind, target, detail) = (fault.id, kind(&fault.action), strike.target(), strike.detail());
            return Some(format!("fault {id} ({kind} {target}) hurt nothing: {detail}, and nobody noticed"));
        }
    }
    if let Some(idle) = struck_idle(plan, outcome) {
        return Some(idle);
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
        // After the end of input no record is left that could cross the recovery. Then the recovery serves the final
        // checkpoint.
        if last == 0 {
            return Some("no record crossed the recovery".into());
        }
    }
    None
}

/// Says which kill hit a TaskManager without a task of the job. The simulator knows where the tasks are. On other
/// targets the tasks are on the TaskManagers that registered first, and the kill of another one does not count.
fn struck_idle(plan: &RunPlan, outcome: &Outcome) -> Option<String> {
    if plan.target.is_sim() {
        return None;
    }
    let before = |at: Time| outcome.trace.events.iter().take_while(move |record| record.at <= at);
    plan.faults.iter().zip(&outcome.strikes).find_map(|(fault, strike)| {
        let all_idle = strike.hits.iter().all(|hit| {
            let attempt = before(hit.at).filter_map(|record| record.event.attempt()).max();
            let busy = |record: &EventRecord| {
                record.node.as_str() == hit.target
                    && record.event.attempt() == attempt
                    && record.event.subtask().is_some()
            };
            // While an attempt is being deployed, the events do not show yet which TaskManager has its tasks.
            let runs = |record: &EventRecord| {
                matches!(record.event, Event::JobRunning { .. }) && record.event.attempt() == attempt
            };
            hit.role == TASK_MANAGER && before(hit.at).any(runs) && !before(hit.at).any(busy)
        });
        let kills = matches!(fault.action, FaultAction::Kill { .. });
        let (id, kind, target) = (fault.id, kind(&fault.action), strike.target());
        (kills && all_idle).then(|| format!("fault {id} ({kind} {target}) struck a TaskManager that had no task"))
    })
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
        all_failed(&[(oracle, evidence)])
    }

    fn all_failed(violated: &[(&str, &[&str])]) -> Verdict {
        let mut all = violated.iter().map(|(oracle, evidence)| Violated {
            oracle: (*oracle).into(),
            evidence: evidence.iter().map(|line| (*line).into()).collect(),
        });
        let Violated { oracle, evidence } = all.next().expect("something is violated");
        Verdict::Failed { oracle, evidence, also: all.collect() }
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
        assert_eq!(decide(&plan(), &outcome([]), &[]), Verdict::Passed);
    }

    #[test]
    fn the_evidence_of_every_violated_oracle_is_kept_cause_first() {
        let violations = [
            violation("O1", "lost 3\n  record: split 0"),
            violation("O10", "restored: lost 3"),
            violation("O1", "doubled 4"),
            violation("O6", "term 2 was opened twice"),
        ];
        let mut plan = plan();
        (plan.expect.failovers, plan.expect.aborted_checkpoints_min) = (Some(1), Some(2));
        let expected = all_failed(&[
            ("O6", &["term 2 was opened twice"]),
            ("O1", &["lost 3", "  record: split 0", "doubled 4"]),
            ("O10", &["restored: lost 3"]),
            ("expect.failovers", &["expected 1, there were 0"]),
            ("expect.aborted_checkpoints_min", &["expected at least 2, there were 0"]),
        ]);
        assert_eq!(decide(&plan, &outcome([]), &violations), expected);
    }

    #[test]
    fn the_job_must_end_as_expected() {
        let mut plan = plan();
        let with_end = |end: End| crate::outcome::Outcome { end, ..outcome([]) };
        let lost = || with_end(End::Failed("restarts are used up".into()));
        let evidence = "expected finished, but the job failed: restarts are used up";
        assert_eq!(decide(&plan, &lost(), &[]), failed("expect.job", &[evidence]));

        plan.expect.job = ExpectedEnd::Failed("used up".into());
        assert_eq!(decide(&plan, &lost(), &[]), Verdict::Passed);
        let evidence = "expected failed(used up), but the job finished";
        assert_eq!(decide(&plan, &outcome([]), &[]), failed("expect.job", &[evidence]));
        let evidence = "expected failed(used up), but it failed otherwise: no checkpoint";
        let otherwise = with_end(End::Failed("no checkpoint".into()));
        assert_eq!(decide(&plan, &otherwise, &[]), failed("expect.job", &[evidence]));
    }

    #[test]
    fn expectations_that_are_not_met_fail_by_name() {
        let aborted =
            Event::CheckpointAborted { attempt: Attempt(1), checkpoint: CheckpointId(2), reason: AbortReason::Expired };
        let fell_back = Event::FellBack { from: CheckpointId(2), to: None };
        let outcome = outcome([at(1, "jm-1", aborted), at(2, "jm-1", fell_back)]);

        let mut failovers = plan();
        failovers.expect.failovers = Some(1);
        let verdict = decide(&failovers, &outcome, &[]);
        assert_eq!(verdict, failed("expect.failovers", &["expected 1, there were 0"]));

        let mut falls_back = plan();
        falls_back.expect.falls_back = Some(false);
        let verdict = decide(&falls_back, &outcome, &[]);
        assert_eq!(verdict, failed("expect.falls_back", &["expected false, found true"]));

        let mut aborted = plan();
        aborted.expect.aborted_checkpoints_min = Some(2);
        let verdict = decide(&aborted, &outcome, &[]);
        assert_eq!(verdict, failed("expect.aborted_checkpoints_min", &["expected at least 2, there were 1"]));

        let mut met = plan();
        met.expect = crate::plan::Expectations {
            failovers: Some(0),
            falls_back: Some(true),
            aborted_checkpoints_min: Some(1),
            ..met.expect
        };
        assert_eq!(decide(&met, &outcome, &[]), Verdict::Passed);
    }

    #[test]
    fn a_fault_that_never_struck_proves_nothing() {
        let mut plan = plan();
        plan.faults = vec![kill(1, Trigger::On(on("fell-back"))), kill(2, Trigger::At(Duration::from_secs(9)))];
        let mut outcome = outcome([]);
        outcome.strikes = vec![struck(5, None), Strike { missed: "was down already".into(), ..Strike::default() }];
        let missing = "fault 2 (at 9s) never struck: was down already";
        assert_eq!(decide(&plan, &outcome, &[]), vacuous(missing));

        outcome.strikes[0] = Strike::default();
        let missing = "fault 1 (on fell-back) never struck: its trigger never came";
        assert_eq!(decide(&plan, &outcome, &[]), vacuous(missing));
    }

    #[test]
    fn of_a_swarm_it_is_enough_that_one_fault_hurt_something() {
        let mut plan = plan();
        plan.swarm = true;
        plan.faults = [1, 2, 3].map(|id| kill(id, Trigger::At(Duration::from_secs(9)))).to_vec();
        let mut outcome = outcome([]);
        let harmless = Strike { harms: Default::default(), ..struck(5, None) };
        outcome.strikes = vec![Strike::default(), harmless.clone(), struck(5, None)];
        assert_eq!(decide(&plan, &outcome, &[]), Verdict::Passed);
        outcome.strikes[2] = harmless;
        assert_eq!(decide(&plan, &outcome, &[]), vacuous("none of the drawn faults hurt anything"));
        outcome.strikes.fill(Strike::default());
        assert_eq!(decide(&plan, &outcome, &[]), vacuous("none of the drawn faults struck"));
    }

    #[test]
    fn a_loud_failure_is_legal_only_for_its_reason_and_after_damage() {
        let mut plan = plan();
        plan.expect.job = ExpectedEnd::FinishedOrFailed("no way back".into());
        plan.faults = vec![kill(1, Trigger::At(Duration::from_secs(1)))];
        let mut outcome = outcome([]);
        outcome.strikes = vec![struck(1000, None)];
        assert_eq!(decide(&plan, &outcome, &[]), Verdict::Passed);

        outcome.end = End::Failed("checkpoint 3 is damaged; no way back".into());
        let evidence = "the job failed although no fault that can spoil a checkpoint struck: checkpoint 3 is damaged; \
                        no way back";
        assert_eq!(decide(&plan, &outcome, &[]), failed("expect.job", &[evidence]));

        let file = crate::plan::FileTarget { checkpoint: None, kind: crate::plan::FileKind::Manifest, index: 0 };
        plan.faults[0].action = crate::plan::FaultAction::Damage { file, how: crate::plan::DamageKind::Delete };
        assert_eq!(decide(&plan, &outcome, &[]), Verdict::Passed);
        outcome.strikes[0] = Strike::default();
        assert_eq!(decide(&plan, &outcome, &[]), failed("expect.job", &[evidence]));

        outcome.end = End::Failed("out of restarts".into());
        let evidence = "expected finished or failed(no way back), but it failed otherwise: out of restarts";
        assert_eq!(decide(&plan, &outcome, &[]), failed("expect.job", &[evidence]));
    }

    #[test]
    fn a_fault_that_hurt_nothing_proves_nothing_and_is_named() {
        let mut plan = plan();
        plan.faults = [1, 2].map(|id| kill(id, Trigger::At(Duration::from_secs(1)))).to_vec();
        let mut outcome = outcome([]);
        outcome.strikes = vec![struck(1000, None), struck(1000, None)];
        assert_eq!(decide(&plan, &outcome, &[]), Verdict::Passed);
        outcome.strikes[1].harms.clear();
        let missing = "fault 2 (kill tm-1) hurt nothing: process killed, and nobody noticed";
        assert_eq!(decide(&plan, &outcome, &[]), vacuous(missing));
    }

    #[test]
    fn what_nothing_shows_makes_a_run_uncertain_and_excuses_no_wrong_output() {
        let mut plan = plan();
        plan.faults = vec![kill(1, Trigger::At(Duration::from_secs(1)))];
        let mut outcome = outcome([]);
        outcome.strikes = vec![struck(1000, None)];
        outcome.strikes[0].harms.clear();
        outcome.strikes[0].hits[0].doubt = Some("process 7 is still there".into());
        outcome.doubts = vec!["tm-2 was killed by somebody else".into()];
        let doubts = vec![
            "fault 1 (kill tm-1): process 7 is still there".to_owned(),
            "tm-2 was killed by somebody else".to_owned(),
        ];
        assert_eq!(decide(&plan, &outcome, &[]), Verdict::Uncertain { doubts: doubts.clone() });
        let lost = violation("O1", "lost 3");
        assert_eq!(decide(&plan, &outcome, std::slice::from_ref(&lost)), failed("O1", &["lost 3"]));
        outcome.end = End::TimeLimit;
        let stall = violation("O7", "after 5m: no slots");
        assert_eq!(decide(&plan, &outcome, std::slice::from_ref(&stall)), Verdict::Uncertain { doubts });
        assert!(matches!(decide(&plan, &outcome, &[lost, stall]), Verdict::Failed { .. }));
    }

    #[test]
    fn a_machine_that_was_too_slow_excuses_lateness_and_no_wrong_output() {
        let plan = plan();
        let mut outcome = outcome([]);
        let taken_over = violation("O8", "takeover by jm-2: the engine caused it itself");
        let headline = "O8: takeover by jm-2: the engine caused it itself";
        let alone = std::slice::from_ref(&taken_over);
        assert_eq!(decide(&plan, &outcome, alone), failed("O8", &["takeover by jm-2: the engine caused it itself"]));
        outcome.starved = Some("300 ms of 500 ms were lost".into());
        assert_eq!(decide(&plan, &outcome, &[]), Verdict::Passed, "slowness hides nothing that is right");
        let doubts = vec!["300 ms of 500 ms were lost".to_owned(), headline.to_owned()];
        assert_eq!(decide(&plan, &outcome, alone), Verdict::Uncertain { doubts });
        let lost = violation("O1", "lost 3");
        assert!(matches!(decide(&plan, &outcome, &[lost, taken_over]), Verdict::Failed { .. }));
    }

    #[test]
    fn on_a_real_target_the_kill_of_an_idle_task_manager_counts_for_nothing() {
        let mut plan = plan();
        plan.faults = vec![kill(1, Trigger::At(Duration::from_secs(1)))];
        plan.expect.failovers = Some(1);
        let attempt = Attempt(1);
        let with = |node: &str| {
            let task = at(500, node, Event::TaskRunning { attempt, subtask: subtask(0, 0) });
            let mut outcome = outcome([task, at(501, "jm-1", Event::JobRunning { attempt })]);
            outcome.strikes = vec![struck(1000, None)];
            outcome
        };
        let unmet = failed("expect.failovers", &["expected 1, there were 0"]);
        assert_eq!(decide(&plan, &with("tm-2"), &[]), unmet, "simulated: a placement is certain");
        plan.target = crate::plan::TargetPlan::Process;
        assert_eq!(decide(&plan, &with("tm-1"), &[]), unmet, "it had a task, so the job must fail over");
        let idle = "fault 1 (kill tm-1) struck a TaskManager that had no task";
        assert_eq!(decide(&plan, &with("tm-2"), &[]), vacuous(idle));
        let lost = violation("O1", "lost 3");
        assert_eq!(decide(&plan, &with("tm-2"), &[lost]), failed("O1", &["lost 3"]), "wrong is wrong");
        let mut early = with("tm-2");
        early.trace.events.pop();
        assert_eq!(decide(&plan, &early, &[]), unmet, "who has the tasks is not seen yet");
    }

    #[test]
    fn a_finished_job_without_output_proves_nothing() {
        let mut outcome = outcome([]);
        outcome.visible.clear();
        assert_eq!(decide(&plan(), &outcome, &[]), vacuous("the job committed no output"));
    }

    #[test]
    fn a_recovery_that_no_record_crossed_proves_nothing_before_the_end_of_input() {
        let deployed = Event::DeploymentBegun { attempt: Attempt(2), restored: None, state_bytes: 0 };
        let mut events = vec![failover(10), at(20, "jm-1", deployed)];
        let verdict = decide(&plan(), &outcome(events.clone()), &[]);
        assert_eq!(verdict, vacuous("no record crossed the recovery"));

        let id = (Attempt(2), subtask(1, 0));
        events.push(at(30, "tm-1", Event::FirstRecord { attempt: id.0, subtask: id.1 }));
        assert_eq!(decide(&plan(), &outcome(events.clone()), &[]), Verdict::Passed);
        // If input ended before the failure, no record has to cross the recovery.
        events[2].event = Event::EndOfInput { attempt: id.0, subtask: id.1 };
        events.rotate_right(1);
        assert_eq!(decide(&plan(), &outcome(events), &[]), Verdict::Passed);
    }

    #[test]
    fn a_stall_is_stuck_unless_the_output_is_wrong() {
        let mut outcome = outcome([]);
        outcome.end = End::TimeLimit;
        let stall = violation("O7", "after 5m: no slots");
        let verdict = decide(&plan(), &outcome, std::slice::from_ref(&stall));
        assert_eq!(verdict, Verdict::Stuck { reason: "after 5m: no slots".into() });
        let both = [violation("O1", "doubled 4"), stall];
        let expected = all_failed(&[("O1", &["doubled 4"]), ("O7", &["after 5m: no slots"])]);
        assert_eq!(decide(&plan(), &outcome, &both), expected);
    }

    #[test]
    fn a_job_that_ends_too_late_has_failed_and_is_not_stuck() {
        let late = [violation("O7", "the job ended 8s after the last fault; 5s are allowed")];
        let verdict = decide(&plan(), &outcome([]), &late);
        assert_eq!(verdict, failed("O7", &["the job ended 8s after the last fault; 5s are allowed"]));
    }

    #[test]
    fn a_loop_without_a_yield_is_stuck_and_a_panic_is_a_crash() {
        let mut outcome = outcome([]);
        outcome.end = End::NoYield("something loops without ever waiting".into());
        let reason = "no yield: something loops without ever waiting".into();
        assert_eq!(decide(&plan(), &outcome, &[]), Verdict::Stuck { reason });
        outcome.end = End::Panicked("A1: a channel is blocked".into());
        let panic = "A1: a channel is blocked".into();
        assert_eq!(decide(&plan(), &outcome, &[]), Verdict::Crashed { panic });
    }
}
