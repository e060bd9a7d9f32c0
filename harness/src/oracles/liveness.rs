//! O7: liveness.
//!
//! Statement. After the last fault has ended, the job comes back and ends within `expect.recovers_within` of virtual
//! time: it completes a checkpoint, drains its backlog and finishes, or fails for good where the scenario expects that.
//! In any case it ends before the plan's time limit. A stall has a named reason and gives the verdict `stuck`.
//!
//! The reason (`Stall`) is read from the trace: each wait is followed to what it waits for, down to the first subtask
//! that waits for nothing else. Only the events of the leader in force count; the trace also has events of superseded
//! leaders. Planted bugs: `ignore-barrier-after-restore`, `forget-wakeup`.

use std::time::Duration;

use flowquake_engine::env::InputFiles;
use flowquake_engine::event::Event;
use flowquake_engine::time::Time;

use super::{EVIDENCE_MAX, Finding, Oracle, Violation};
use crate::jobs::{JobContext, Jobs};
use crate::outcome::{End, Outcome, Section};
use crate::plan::RunPlan;
use crate::plan::job_spec;

mod stall;

use stall::Stall;

/// The entry of O7.
pub const ORACLE: Oracle = Oracle {
    id: "O7",
    property: "after the last fault the job comes back and finishes in time",
    unit: "runs",
    rank: 10,
    needs: &[Section::Trace],
    // The log shows who leads, which can be the reason of a stall.
    prefers: &[Section::Log],
    judge: |case| judge(case.plan, case.outcome, case.jobs, case.inputs),
};

/// Judges whether the job ended in time.
pub fn judge(plan: &RunPlan, outcome: &Outcome, jobs: &Jobs, inputs: &InputFiles) -> Finding {
    let mut finding = Finding { judged: 1, violations: Vec::new() };
    let mut offend = |evidence: String| finding.violations.push(Violation { oracle: "O7", evidence });
    if outcome.end == End::TimeLimit {
        let limit = humantime::format_duration(plan.time_limit);
        let spec = job_spec(plan);
        let graph = jobs.build(&spec, &JobContext::inert(inputs)).ok();
        offend(format!("after {limit}: {}", Stall::of(plan, outcome, graph.as_ref())));
        return finding;
    }
    let hits = outcome.strikes.iter().flat_map(|strike| &strike.hits);
    let calm = hits.map(|hit| hit.healed_at.unwrap_or(hit.at)).max();
    let Some(bound) = plan.expect.recovers_within else { return finding };
    // Without a fault the time counts from the start.
    let since = calm.unwrap_or(Time::ZERO);
    let took = outcome.ended_at.since(since);
    if took > bound {
        let steps = steps(outcome, since);
        offend(format!("the job ended {took:?} after the last fault; {bound:?} are allowed{steps}"));
    }
    finding.violations.truncate(EVIDENCE_MAX);
    finding
}

/// When, after the last fault, the job did each thing that it has to do before it can finish.
fn steps(outcome: &Outcome, since: Time) -> String {
    let after = || outcome.trace.events.iter().filter(|record| record.at >= since);
    let checkpoint = after().find(|record| matches!(record.event, Event::CheckpointCompleted { .. }));
    let drained = after().rfind(|record| matches!(record.event, Event::EndOfInput { .. }));
    let took = |at: Time| -> Duration { at.since(since) };
    let steps = [("first checkpoint complete", checkpoint), ("last end of input", drained)];
    let told = steps.iter().filter_map(|(what, record)| Some(format!("; {what} after {:?}", took((*record)?.at))));
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{at, ms, outcome, plan, struck, subtask};
    use flowquake_engine::ids::{Attempt, CheckpointId};

    fn evidence(plan: &RunPlan, outcome: &Outcome) -> Vec<String> {
        let finding = judge(plan, outcome, &Jobs::builtin(), &InputFiles::default());
        finding.violations.into_iter().map(|violation| violation.evidence).collect()
    }

    #[test]
    fn recovery_is_timed_from_the_end_of_the_last_fault() {
        let mut plan = plan();
        let mut outcome = outcome([]);
        outcome.ended_at = ms(10_000);
        assert_eq!(evidence(&plan, &outcome), [""; 0]);

        plan.expect.recovers_within = Some(Duration::from_secs(8));
        outcome.strikes = vec![struck(1_000, Some(2_000))];
        assert_eq!(evidence(&plan, &outcome), [""; 0]);
        outcome.strikes = vec![struck(1_000, None)];
        assert_eq!(evidence(&plan, &outcome), ["the job ended 9s after the last fault; 8s are allowed"]);
        outcome.strikes.clear();
        assert_eq!(evidence(&plan, &outcome), ["the job ended 10s after the last fault; 8s are allowed"]);
        // A job that has to fail must also do so in time.
        outcome.end = End::Failed("restarts are used up".into());
        assert_eq!(evidence(&plan, &outcome).len(), 1);
    }

    #[test]
    fn a_slow_recovery_says_what_took_how_long() {
        let (attempt, checkpoint) = (Attempt(2), CheckpointId(4));
        let events = [
            at(1_500, "jm-1", Event::CheckpointCompleted { attempt, checkpoint, bytes: 1 }),
            at(4_000, "jm-1", Event::CheckpointCompleted { attempt, checkpoint: CheckpointId(5), bytes: 1 }),
            at(6_000, "tm-1", Event::EndOfInput { attempt, subtask: subtask(0, 0) }),
            at(9_000, "tm-1", Event::EndOfInput { attempt, subtask: subtask(1, 0) }),
        ];
        let mut outcome = outcome(events);
        (outcome.ended_at, outcome.strikes) = (ms(10_000), vec![struck(1_000, Some(2_000))]);
        let mut plan = plan();
        plan.expect.recovers_within = Some(Duration::from_secs(5));
        let expected = "the job ended 8s after the last fault; 5s are allowed; first checkpoint complete after 2s; last end \
                        of input after 7s";
        assert_eq!(evidence(&plan, &outcome), [expected]);
    }
}
