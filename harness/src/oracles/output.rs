//! O1 and O2: the committed output is, checkpoint by checkpoint, one that the job's reference accepts; so is keyed
//! state.
//!
//! Statement. Let `c1 < c2 < …` be the completed checkpoints that the job did not fall back behind, as the leadership
//! log has them. The reference must accept the output visible under epochs `(c(i-1), c(i)]` for the input between the
//! source positions of the two manifests: nothing is lost, doubled or invented (O1), and the order per split and key is
//! kept (O2). The keyed state in manifest `c(i)` must equal the reference's state at those positions (O2,
//! [`super::state`]). If the job finished, the positions of the last manifest must be the end of the input (O1). Output
//! under an epoch that belongs to no such checkpoint is invented (O1).
//!
//! So the output is right as a prefix at every instant, not only at the end: output only grows, and never beyond what
//! is complete (O5), so whatever was visible at some instant is a part of these spans. For endless, cancelled and
//! failed jobs this is all that is judged: under a checkpoint whose sinks are not all known to have committed, output
//! may be missing, but nothing else may be wrong. A fallback counts only if an attempt was deployed after it. A
//! fallback that was refused, because a sink had committed already, leaves that output right.
//!
//! Where a target shows only the output at the end, O1 judges that output as a whole. Planted bugs:
//! `no-barrier-alignment`, `skip-fencing`, `abort-on-checkpoint-failure`, `forget-commit`, `replay-one-too-many` (O1);
//! `reorder-buffers` (O2).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use flowquake_engine::env::InputFiles;
use flowquake_engine::event::Event;
use flowquake_engine::ids::{CheckpointId, SubtaskId};

use super::{EVIDENCE_MAX, Finding, Oracle, Violation, state};
use crate::explain;
use crate::jobs::{Consumed, Jobs, Reference, Refusal};
use crate::outcome::{End, Outcome, Part, Section};
use crate::plan::RunPlan;
use crate::plan::job_spec;

/// How many refused outputs are traced through the run. More would only repeat the same kind.
const EXPLAINED_MAX: usize = 2;

/// Sections needed to judge the output checkpoint by checkpoint. If one is missing, the output is judged as a whole.
const SPANS: [Section; 4] = [Section::Trace, Section::Log, Section::Checkpoints, Section::Output];

/// The entry of O1.
pub const CONTENT: Oracle = Oracle {
    id: "O1",
    property: "committed output is exactly-once: nothing lost, doubled or invented",
    unit: "records",
    rank: 5,
    needs: &[Section::FinalOutput],
    prefers: &SPANS,
    judge: |case| case.output().0.clone(),
};

/// The entry of O2.
pub const ORDER: Oracle = Oracle {
    id: "O2",
    property: "order per split and key, and keyed state, equal the reference's",
    unit: "entries",
    rank: 6,
    needs: &SPANS,
    prefers: &[],
    judge: |case| case.output().1.clone(),
};

/// Judges content (O1), and order and keyed state (O2).
pub fn judge(plan: &RunPlan, outcome: &Outcome, jobs: &Jobs, inputs: &InputFiles) -> (Finding, Finding) {
    if SPANS.iter().all(|section| outcome.sections.contains(section)) {
        judge_spans(plan, outcome, jobs, inputs, true)
    } else {
        (judge_whole(plan, outcome, jobs, inputs), Finding::default())
    }
}

/// Judges only the final output, for targets that do not show how it came about: a finished job must have put out what
/// the whole input asks for, and any other job nothing besides that. Wrong order shows in the content of the output, so
/// it is found as wrong content.
fn judge_whole(plan: &RunPlan, outcome: &Outcome, jobs: &Jobs, inputs: &InputFiles) -> Finding {
    let mut content = Finding::default();
    let mut wrong = |evidence: String| content.violations.push(Violation { oracle: "O1", evidence });
    let mut reference = match jobs.reference(&job_spec(plan), inputs) {
        Ok(reference) => reference,
        Err(error) => {
            wrong(error.to_string());
            return content;
        }
    };
    let splits = u64::from(plan.job.input.splits);
    let records = reference.input_len();
    let all: Consumed = (0..splits).map(|split| 0..(records + splits - 1 - split) / splits).collect();
    let texts: Vec<Cow<str>> = outcome.visible.iter().map(|part| String::from_utf8_lossy(&part.bytes)).collect();
    let lines: Vec<&str> = texts.iter().flat_map(|text| text.lines()).collect();
    let partial = outcome.end != End::Finished;
    if let Err(refusals) = reference.accept(&all, &lines, partial) {
        for Refusal::Content(what) | Refusal::Order(what) in refusals {
            wrong(format!("the whole output: {what}"));
        }
    }
    content.judged = lines.len() as u64;
    content.violations.truncate(EVIDENCE_MAX);
    content
}

/// Judges content and order, without keyed state.
pub(super) fn judge_output(plan: &RunPlan, outcome: &Outcome, jobs: &Jobs, inputs: &InputFiles) -> (Finding, Finding) {
    judge_spans(plan, outcome, jobs, inputs, false)
}

fn judge_spans(
    plan: &RunPlan,
    outcome: &Outcome,
    jobs: &Jobs,
    inputs: &InputFiles,
    with_state: bool,
) -> (Finding, Finding) {
    let (mut content, mut order) = (Finding::default(), Finding::default());
    let spec = job_spec(plan);
    let reference = jobs.reference(&spec, inputs);
    let mut reference = match reference {
        Ok(reference) => reference,
        Err(error) => {
            content.violations.push(Violation { oracle: "O1", evidence: error.to_string() });
            return (content, order);
        }
    };
    let mut by_epoch: BTreeMap<CheckpointId, Vec<&Part>> = BTreeMap::new();
    outcome.visible.iter().for_each(|part| by_epoch.entry(part.epoch).or_default().push(part));
    let lineage = outcome.lineage();
    let committed = fully_committed(outcome);
    let splits = plan.job.input.splits as usize;
    let mut before = vec![0u64; splits];
    let mut previous = CheckpointId(0);
    for checkpoint in &lineage {
        let Some(sealed) = outcome.sealed.get(checkpoint) else {
            let evidence = format!("checkpoint {checkpoint} counts as complete, but its manifest was never written");
            content.violations.push(Violation { oracle: "O1", evidence });
            continue;
        };
        let positions = sealed.positions(splits);
        let consumed: Consumed = before.iter().zip(&positions).map(|(from, to)| *from..*to).collect();
        let parts = by_epoch.range(previous.next()..=*checkpoint).flat_map(|(_, parts)| parts);
        let texts: Vec<Cow<str>> = parts.map(|part| String::from_utf8_lossy(&part.bytes)).collect();
        let lines: Vec<&str> = texts.iter().flat_map(|text| text.lines()).collect();
        content.judged += lines.len() as u64;
        if let Err(refusals) = reference.accept(&consumed, &lines, *checkpoint > committed) {
            for refusal in refusals {
                let (finding, oracle, what) = match refusal {
                    Refusal::Content(what) => (&mut content, "O1", what),
                    Refusal::Order(what) => (&mut order, "O2", what),
                };
                let explained = match finding.violations.len() {
                    ..EXPLAINED_MAX => explain::objection(plan, outcome, reference.as_ref(), &what),
                    _ => String::new(),
                };
                let evidence = format!("epoch ({previous}, {checkpoint}]: {what}{explained}");
                finding.violations.push(Violation { oracle, evidence });
            }
        }
        if with_state && (sealed.keeps_state || lineage.last() == Some(checkpoint)) {
            state::judge(sealed, reference.as_ref(), jobs, inputs, &mut order);
        }
        before = positions;
        previous = *checkpoint;
    }
    for part in by_epoch.range(previous.next()..).flat_map(|(_, parts)| parts) {
        let explained = explain::part(plan, outcome, part);
        let evidence = format!("{} is visible, but no checkpoint covers epoch {}{explained}", part.name, part.epoch);
        content.violations.push(Violation { oracle: "O1", evidence });
    }
    if outcome.end == End::Finished {
        judge_end(reference.as_ref(), &before, splits, &mut content);
    }
    content.violations.truncate(EVIDENCE_MAX);
    order.violations.truncate(EVIDENCE_MAX);
    (content, order)
}

/// The highest checkpoint up to which every sink is known to have committed.
fn fully_committed(outcome: &Outcome) -> CheckpointId {
    if outcome.end == End::Finished {
        return CheckpointId(u64::MAX);
    }
    let mut by_sink: BTreeMap<SubtaskId, CheckpointId> = BTreeMap::new();
    let mut sinks: BTreeSet<SubtaskId> = BTreeSet::new();
    for record in &outcome.trace.events {
        match &record.event {
            Event::SinkPreCommitted { subtask, .. } => drop(sinks.insert(*subtask)),
            Event::CommitAcknowledged { subtask, checkpoint, .. } => {
                let up_to = by_sink.entry(*subtask).or_default();
                *up_to = (*up_to).max(*checkpoint);
            }
            _ => {}
        }
    }
    sinks.iter().map(|sink| by_sink.get(sink).copied().unwrap_or_default()).min().unwrap_or_default()
}

/// A finished job must have read the whole input.
fn judge_end(reference: &dyn Reference, positions: &[u64], splits: usize, content: &mut Finding) {
    let read: u64 = positions.iter().sum();
    let due = reference.input_len();
    if read != due {
        let evidence = format!(
            "the job finished, but its last checkpoint covers {read} of {due} records (positions of {splits} splits: {positions:?})"
        );
        content.violations.push(Violation { oracle: "O1", evidence });
    }
}

#[cfg(test)]
mod tests {
    use flowquake_engine::ha::entry::Change;
    use flowquake_engine::ids::Attempt;

    use super::*;
    use crate::fixtures::{at, covers, logged, outcome, part, plan, subtask};

    /// Completes a checkpoint that covers the first `records` records of the plan's input.
    fn complete(outcome: &mut Outcome, time: u64, checkpoint: u64, records: u64) {
        covers(outcome, time, checkpoint, records);
        logged(outcome, time, 1, Change::Completed(CheckpointId(checkpoint)));
    }

    /// The output of records `from..to`.
    fn lines(from: u64, to: u64) -> Vec<String> {
        let mut counts: BTreeMap<usize, u64> = BTreeMap::new();
        let all = (0..to).map(|index| {
            let word = crate::jobs::word(plan().seed, index);
            let count = counts.entry(word.len()).or_default();
            *count += 1;
            format!("{word} - {}\n", *count - 1)
        });
        all.skip(from as usize).collect()
    }

    fn output(time: u64, epoch: u64, lines: &[String]) -> Part {
        Part { bytes: lines.concat().into(), ..part(time, epoch) }
    }

    fn committed(checkpoint: u64) -> [Event; 2] {
        let (attempt, checkpoint, subtask) = (Attempt(1), CheckpointId(checkpoint), subtask(1, 0));
        [
            Event::SinkPreCommitted { attempt, checkpoint, subtask, bytes: 1 },
            Event::CommitAcknowledged { attempt, checkpoint, subtask },
        ]
    }

    /// A job that was stopped after it had committed checkpoint 2, with 3 complete.
    fn stopped() -> Outcome {
        let mut outcome = outcome(committed(2).map(|event| at(100, "jm-1", event)));
        outcome.end = End::TimeLimit;
        (outcome.visible, outcome.sealed, outcome.log) = Default::default();
        logged(&mut outcome, 5, 1, Change::Opened);
        complete(&mut outcome, 10, 1, 100);
        outcome.visible.push(output(11, 1, &lines(0, 100)));
        complete(&mut outcome, 20, 2, 300);
        outcome.visible.push(output(21, 2, &lines(100, 300)));
        complete(&mut outcome, 30, 3, 400);
        outcome
    }

    fn evidence(outcome: &Outcome) -> Vec<String> {
        let (content, order) = judge_output(&plan(), outcome, &Jobs::builtin(), &InputFiles::default());
        assert_eq!(order.violations, []);
        // Later lines of the evidence only explain the claim in its first line.
        let claim = |text: String| text.lines().next().unwrap_or_default().to_owned();
        content.violations.into_iter().map(|violation| claim(violation.evidence)).collect()
    }

    #[test]
    fn a_stopped_job_is_right_as_far_as_it_came() {
        let mut outcome = stopped();
        assert_eq!(evidence(&outcome), [""; 0]);
        // Some of the output that checkpoint 3 covers is already visible.
        outcome.visible.push(output(31, 3, &lines(300, 350)));
        assert_eq!(evidence(&outcome), [""; 0]);
    }

    #[test]
    fn what_was_said_to_be_committed_must_be_there() {
        let mut outcome = stopped();
        outcome.visible.pop();
        let evidence = evidence(&outcome);
        assert!(evidence[0].starts_with("epoch (1, 2]: length"), "{evidence:?}");
        assert!(evidence[0].contains("is missing"), "{evidence:?}");
    }

    #[test]
    fn what_is_visible_too_early_or_twice_is_wrong_though_the_job_goes_on() {
        let mut outcome = stopped();
        outcome.visible.push(output(31, 3, &lines(300, 401)));
        assert!(evidence(&outcome)[0].contains("was never due"), "{:?}", evidence(&outcome));
        let mut outcome = stopped();
        outcome.visible.push(output(31, 3, &lines(299, 350)));
        assert!(evidence(&outcome)[0].contains("was never due"), "{:?}", evidence(&outcome));
        let mut outcome = stopped();
        outcome.visible.push(output(31, 4, &lines(400, 401)));
        assert_eq!(evidence(&outcome), ["part of epoch 4 is visible, but no checkpoint covers epoch 4"]);
    }

    #[test]
    fn output_behind_which_the_job_could_not_fall_back_stays_right() {
        let mut outcome = stopped();
        outcome.end = End::Failed("a sink has committed".into());
        outcome.visible.push(output(31, 3, &lines(300, 400)));
        logged(&mut outcome, 40, 1, Change::FallingBack(Some(CheckpointId(2))));
        assert_eq!(evidence(&outcome), [""; 0]);
        // If the job had gone on from there, that output would come twice.
        outcome.log.last_mut().unwrap().deployed = true;
        assert_eq!(evidence(&outcome), ["part of epoch 3 is visible, but no checkpoint covers epoch 3"]);
    }

    #[test]
    fn after_a_fallback_another_attempt_writes_the_same_records() {
        let mut outcome = stopped();
        outcome.end = End::Finished;
        logged(&mut outcome, 40, 1, Change::FallingBack(Some(CheckpointId(2))));
        outcome.log.last_mut().unwrap().deployed = true;
        complete(&mut outcome, 50, 5, 2000);
        outcome.visible.push(output(51, 5, &lines(300, 2000)));
        assert_eq!(evidence(&outcome), [""; 0]);
    }

    #[test]
    fn a_finished_job_has_read_everything() {
        let mut outcome = stopped();
        outcome.end = End::Finished;
        outcome.visible.push(output(31, 3, &lines(300, 400)));
        let expected = "the job finished, but its last checkpoint covers 400 of 2000 records (positions of";
        assert!(evidence(&outcome)[0].starts_with(expected), "{:?}", evidence(&outcome));
    }
}
