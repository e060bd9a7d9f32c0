//! O5: the commit horizon.
//!
//! Statement. When a part of the output becomes visible under epoch `e`, some checkpoint `m >= e` is durably complete
//! according to the leadership log. A checkpoint that failed hands its epoch on to the next one, so `m` may be higher
//! than `e`. No part becomes visible twice, and no visible part is changed or removed. Judged at the instant of each
//! change of the output store.
//!
//! Every checkpoint that was ever complete counts, even one that the job has since fallen back behind: a sink that had
//! decided `commit` before may still be committing, and then the job must fail. Output that does not belong to the
//! job's lineage is reported by O1, not here. Source: apache/flink `TwoPhaseCommittingSink`. Planted bug:
//! `commit-on-pre-commit`.

use flowquake_engine::ha::entry::Change;
use flowquake_engine::ids::CheckpointId;

use super::{EVIDENCE_MAX, Finding, Oracle, Violation};
use crate::outcome::{Outcome, Section};

/// The entry of O5.
pub const ORACLE: Oracle = Oracle {
    id: "O5",
    property: "nothing visible before its checkpoint is complete, twice, or taken back",
    unit: "parts",
    rank: 3,
    needs: &[Section::Log, Section::Output],
    prefers: &[],
    judge: |case| judge(case.outcome),
};

/// Judges every part that became visible.
pub fn judge(outcome: &Outcome) -> Finding {
    let mut finding = Finding { judged: outcome.visible.len() as u64, violations: Vec::new() };
    let mut completions = outcome.log.iter().filter_map(|logged| match logged.entry.change {
        Change::Completed(id) => Some((logged.order, id)),
        _ => None,
    });
    let (mut next, mut horizon) = (completions.next(), CheckpointId(0));
    for part in &outcome.visible {
        while let Some((_, id)) = next.filter(|(order, _)| *order < part.order) {
            horizon = horizon.max(id);
            next = completions.next();
        }
        if part.epoch > horizon {
            let (name, at, epoch) = (&part.name, part.at, part.epoch);
            let evidence =
                format!("{name} became visible at {at}, before checkpoint {epoch} or a later one was complete");
            finding.violations.push(Violation { oracle: "O5", evidence });
        }
    }
    let taken_back = outcome.retracted.iter().map(|what| Violation { oracle: "O5", evidence: what.clone() });
    finding.violations.extend(taken_back);
    finding.violations.truncate(EVIDENCE_MAX);
    finding
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{complete, logged, outcome, part, seal};

    fn evidence(outcome: &Outcome) -> Vec<String> {
        judge(outcome).violations.into_iter().map(|violation| violation.evidence).collect()
    }

    #[test]
    fn a_part_needs_a_complete_checkpoint_of_its_epoch_or_a_later_one() {
        let mut one = outcome([]);
        // A complete checkpoint of an earlier epoch does not allow the output, and one of the right epoch comes too
        // late. A manifest alone completes nothing.
        complete(&mut one, 10, 2);
        seal(&mut one, 11, 3);
        one.visible.push(part(50, 3));
        complete(&mut one, 51, 3);
        let expected = "part of epoch 3 became visible at 0.050000s, before checkpoint 3 or a later one was complete";
        assert_eq!(evidence(&one), [expected]);
        assert_eq!(judge(&one).judged, 2);

        // Checkpoint 3 failed for this sink, so checkpoint 4 took over its epoch.
        let mut other = outcome([]);
        complete(&mut other, 49, 4);
        other.visible.push(part(50, 3));
        assert_eq!(evidence(&other), [""; 0]);
    }

    #[test]
    fn a_commit_that_was_decided_before_the_job_fell_back_may_still_show() {
        let mut outcome = outcome([]);
        complete(&mut outcome, 10, 2);
        logged(&mut outcome, 20, 1, Change::FallingBack(Some(CheckpointId(1))));
        outcome.visible.push(part(21, 2));
        assert_eq!(evidence(&outcome), [""; 0]);
    }

    #[test]
    fn output_must_not_be_written_over_or_taken_back() {
        let mut outcome = outcome([]);
        outcome.retracted = vec!["0.1s: a was written over".into(), "0.2s: b was deleted".into()];
        assert_eq!(evidence(&outcome), ["0.1s: a was written over", "0.2s: b was deleted"]);
        assert!(judge(&outcome).violations.iter().all(|violation| violation.oracle == "O5"));
    }
}
