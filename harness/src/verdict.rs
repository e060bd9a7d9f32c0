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
        End::NoYield => return Verdict::Stuck { reason: "no yield: something loops without ever waiting".into() },
        _ => {}
    }
    // A stall has a class of its own; but wrong output is worse, and may be why.
    let stall = violations.iter().find(|violation| violation.oracle == "O7");
    let only_that = violations.iter().all(|violation| violation.oracle == "O7");
    if let (End::TimeLimit, Some(stall), true) = (&outcome.end, stall, only_that) {
        return Verdict::Stuck { reason: stall.evidence.clone() };
    }
    if let Some(first) = violations.first() {
        let evidence = violations.iter().filter(|v| v.oracle == first.oracle).map(|v| v.evidence.clone()).collect();
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

/// What did not happen, of a run that therefore proves nothing.
fn vacuous(plan: &RunPlan, outcome: &Outcome, clean: Option<u64>) -> Option<String> {
    for (fault, strike) in plan.faults.iter().zip(&outcome.strikes) {
        if strike.struck_at.is_none() {
            let why = if strike.detail.is_empty() { "its trigger never came" } else { &strike.detail };
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
        let last = count(outcome, |event| matches!(event, Event::EndOfInput { .. }));
        // After the end of input there is nothing left to cross; then the final checkpoint is what the recovery is for.
        if last == 0 {
            return Some("no record crossed the recovery".into());
        }
    }
    None
}
