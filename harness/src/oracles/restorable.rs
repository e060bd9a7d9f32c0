//! O10: a job that is restored from a retained checkpoint continues correctly.
//!
//! Statement. Take the durable stores as they were at the instant when checkpoint `k` became complete, as if the whole
//! cluster had been destroyed right then. A new cluster without faults, which finds nothing but these stores, brings
//! the job to its end. The output that was visible by then, together with what the new cluster adds, is accepted by the
//! reference (O1 and O2).
//!
//! So a checkpoint is proved to be complete in itself even if no later event of the run uses it: its manifest names
//! everything that a restored job needs. Only samples are judged, because each costs up to a whole run: the checkpoints
//! are drawn from the seed, and checked as long as all continuations together read no more records than the run itself
//! did. The copies hold what the engine wrote, without damage by the nemesis. Source: FLINK-26403. Planted bug:
//! `forget-pending-transactions`.

use flowquake_engine::env::InputFiles;

use super::{EVIDENCE_MAX, Finding, Oracle, Violation, output};
use crate::jobs::Jobs;
use crate::outcome::{End, Outcome, Sealed, Section, StoreCopy};
use crate::plan::RunPlan;
use crate::plan::job_spec;

/// How many copies of the stores a run keeps for this oracle.
pub const COPIES: usize = 2;

/// The entry of O10.
pub const ORACLE: Oracle = Oracle {
    id: "O10",
    property: "a job restored from a retained checkpoint goes on rightly",
    unit: "restores",
    rank: 7,
    needs: &[Section::Trace, Section::Log, Section::Checkpoints, Section::Output, Section::Copies],
    prefers: &[],
    judge: |case| judge(case.plan, case.outcome, case.jobs, case.inputs, case.resume),
};

/// Judges the copies that a run kept. `resume` continues the job from one of them, without faults.
pub fn judge(
    plan: &RunPlan,
    outcome: &Outcome,
    jobs: &Jobs,
    inputs: &InputFiles,
    resume: &dyn Fn(&StoreCopy) -> Outcome,
) -> Finding {
    let mut finding = Finding::default();
    let covered = |id| outcome.sealed.get(&id).map_or(0, Sealed::records);
    let mut budget = outcome.lineage().last().map_or(0, |last| covered(*last));
    let spec = job_spec(plan);
    let reference = jobs.reference(&spec, inputs);
    // Without a reference nothing can be judged; O1 has reported that already.
    let Ok(input) = reference.map(|reference| reference.input_len()) else { return finding };
    for copy in &outcome.copies {
        let cost = input.saturating_sub(covered(copy.checkpoint));
        if cost > budget {
            continue;
        }
        budget -= cost;
        finding.judged += 1;
        let whole = joined(outcome, copy, resume(copy));
        let mut offend = |what: String| {
            let evidence = format!("restored from checkpoint {} as of {}: {what}", copy.checkpoint, copy.at);
            finding.violations.push(Violation { oracle: "O10", evidence });
        };
        match &whole.end {
            End::Finished => {
                let (content, order) = output::judge_output(plan, &whole, jobs, inputs);
                content.violations.into_iter().chain(order.violations).for_each(|violation| offend(violation.evidence));
            }
            End::Failed(cause) => offend(format!("the job failed: {cause}")),
            End::TimeLimit => offend(format!("the job did not end within {:?}", plan.time_limit)),
            End::Panicked(panic) => offend(format!("the engine panicked: {panic}")),
            End::NoYield(why) => offend(why.clone()),
        }
    }
    finding.violations.truncate(EVIDENCE_MAX);
    finding
}

/// What happened until the copy was taken, followed by the run that began with it. Events and strikes of both are kept,
/// because an explanation follows a record through both.
fn joined(outcome: &Outcome, copy: &StoreCopy, continuation: Outcome) -> Outcome {
    let mut whole = continuation;
    whole.log.iter_mut().for_each(|logged| logged.events += copy.events);
    whole.trace.events.splice(0..0, outcome.trace.events[..copy.events].iter().cloned());
    whole.strikes.clone_from(&outcome.strikes);
    whole.strikes.iter_mut().for_each(|strike| strike.hits.retain(|hit| hit.at <= copy.at));
    whole.log.splice(0..0, outcome.log[..copy.log].iter().cloned());
    whole.visible.splice(0..0, outcome.visible[..copy.visible].iter().cloned());
    for (id, sealed) in outcome.sealed.range(..=copy.checkpoint) {
        whole.sealed.entry(*id).or_insert_with(|| sealed.clone());
    }
    whole
}

#[cfg(test)]
mod tests {
    use flowquake_engine::ha::entry::Change;
    use flowquake_engine::ids::CheckpointId;

    use super::*;
    use crate::fixtures::{covers, logged, ms, outcome, part, plan};
    use crate::jobs::word;
    use crate::outcome::Part;

    /// A run of 2,000 records with checkpoints at 500 and at the end, and a copy of its stores as of the first.
    fn run() -> Outcome {
        let mut outcome = outcome([]);
        (outcome.visible, outcome.sealed, outcome.log) = Default::default();
        logged(&mut outcome, 5, 1, Change::Opened);
        covers(&mut outcome, 10, 1, 500);
        logged(&mut outcome, 10, 1, Change::Completed(CheckpointId(1)));
        let (log, visible) = (outcome.log.len(), 0);
        let checkpoint = CheckpointId(1);
        let events = outcome.trace.events.len();
        outcome.copies.push(StoreCopy { at: ms(10), checkpoint, written: Default::default(), events, log, visible });
        covers(&mut outcome, 20, 2, 2000);
        logged(&mut outcome, 20, 1, Change::Completed(CheckpointId(2)));
        outcome
    }

    /// Continues from the copy: commits records `from..500` of checkpoint 1, then the rest with checkpoint 9.
    fn resumed(from: u64) -> Outcome {
        let mut outcome = outcome([]);
        (outcome.visible, outcome.sealed, outcome.log) = Default::default();
        logged(&mut outcome, 12, 2, Change::Opened);
        let lines = |from, to| {
            let mut counts = std::collections::BTreeMap::new();
            let line = |index| {
                let word = word(plan().seed, index);
                let count = counts.entry(word.len()).or_insert(0);
                *count += 1;
                format!("{word} - {}\n", *count - 1)
            };
            (0..to).map(line).skip(from as usize).collect::<String>()
        };
        outcome.visible.push(Part { bytes: lines(from, 500).into(), ..part(13, 1) });
        covers(&mut outcome, 20, 9, 2000);
        logged(&mut outcome, 20, 2, Change::Completed(CheckpointId(9)));
        outcome.visible.push(Part { bytes: lines(500, 2000).into(), ..part(21, 9) });
        outcome
    }

    fn judged(outcome: &Outcome, resume: &dyn Fn(&StoreCopy) -> Outcome) -> (u64, Vec<String>) {
        let finding = judge(&plan(), outcome, &Jobs::builtin(), &InputFiles::default(), resume);
        (finding.judged, finding.violations.into_iter().map(|violation| violation.evidence).collect())
    }

    #[test]
    fn what_was_visible_and_what_is_added_make_a_whole() {
        assert_eq!(judged(&run(), &|_| resumed(0)), (1, vec![]));
        // Part of checkpoint 1 was visible before, and is not committed again.
        let mut outcome = run();
        let first = resumed(0).visible[0].bytes.clone();
        let half = first.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        outcome.visible.push(Part { bytes: first.slice(..half), ..part(9, 1) });
        outcome.copies[0].visible = 1;
        assert_eq!(judged(&outcome, &|_| resumed(1)), (1, vec![]));
    }

    #[test]
    fn what_the_checkpoint_forgot_is_missed() {
        let (_, evidence) = judged(&run(), &|_| resumed(3));
        assert!(
            evidence[0].starts_with("restored from checkpoint 1 as of 0.010000s: epoch (0, 1]: length"),
            "{evidence:?}"
        );
        assert!(evidence[0].contains("is missing"), "{evidence:?}");
    }

    #[test]
    fn the_explanation_knows_the_run_before_the_copy_and_nothing_after_it() {
        use crate::fixtures::{at, kill, struck};
        use crate::plan::Trigger;
        use flowquake_engine::event::{Event, RootCause};
        use flowquake_engine::ids::Attempt;
        let mut outcome = run();
        let attempt = Attempt(1);
        let (root, cause) = (RootCause::StoreFailed, "tm-1 is lost".to_owned());
        outcome.trace.push(at(7, "jm-1", Event::FailoverBegun { attempt, root, cause }));
        outcome.copies[0].events = outcome.trace.events.len();
        outcome.trace.push(at(
            15,
            "jm-1",
            Event::FailoverBegun { attempt, root: RootCause::StoreFailed, cause: "later".into() },
        ));
        outcome.strikes = vec![struck(6, None), struck(12, None)];
        let mut plan = plan();
        plan.faults = [1, 2].map(|id| kill(id, Trigger::At(std::time::Duration::ZERO))).to_vec();
        let finding = judge(&plan, &outcome, &Jobs::builtin(), &InputFiles::default(), &|_| resumed(3));
        let evidence = &finding.violations[0].evidence;
        assert!(evidence.contains("before it: fault 1 (kill tm-1: process killed) at 0.006000s"), "{evidence}");
        assert!(evidence.contains("attempt 1 failed over at 0.007000s (tm-1 is lost)"), "{evidence}");
        assert!(!evidence.contains("later") && !evidence.contains("fault 2"), "{evidence}");
    }

    #[test]
    fn a_job_that_cannot_go_on_is_named() {
        let failed = |_: &StoreCopy| Outcome { end: End::Failed("no such file".into()), ..resumed(0) };
        assert_eq!(
            judged(&run(), &failed).1,
            ["restored from checkpoint 1 as of 0.010000s: the job failed: no such file"]
        );
    }

    #[test]
    fn no_more_is_run_again_than_the_run_itself_took() {
        let mut outcome = run();
        // The continuations read 1,500 records each, so the second one would exceed the budget.
        outcome.copies.push(outcome.copies[0].clone());
        assert_eq!(judged(&outcome, &|_| resumed(0)).0, 1);
        // A run that failed early has read too little to afford any copy.
        outcome.log.pop();
        assert_eq!(judged(&outcome, &|_| unreachable!("too dear")).0, 0);
    }
}
