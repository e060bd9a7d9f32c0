//! O5: the commit horizon.
//!
//! Statement. Whenever a part of output becomes visible under epoch `e`, the manifest of some checkpoint `m >= e` is durable
//! (a checkpoint that failed hands its epoch on to the next one, so `m` may be higher). No part becomes visible twice, and
//! none is changed or removed afterwards. Judged at the instant of each change of the output store.
//! Any manifest that was ever written counts, also of a checkpoint given up later: output of such a one is O1's to find.
//! Planted bug: `commit-on-pre-commit`.

use super::{Finding, Violation};
use crate::run::Outcome;

/// Judges every part that became visible.
pub fn judge(outcome: &Outcome) -> Finding {
    let mut finding = Finding { judged: outcome.visible.len() as u64, violations: Vec::new() };
    for part in &outcome.visible {
        let durable = outcome.sealed.range(part.epoch..).find(|(_, sealed)| sealed.at <= part.at);
        if durable.is_none() {
            let (name, at, epoch) = (&part.name, part.at, part.epoch);
            let evidence =
                format!("{name} became visible at {at}, before checkpoint {epoch} or a later one was durable");
            finding.violations.push(Violation { oracle: "O5", evidence });
        }
    }
    let taken_back = outcome.retracted.iter().map(|what| Violation { oracle: "O5", evidence: what.clone() });
    finding.violations.extend(taken_back);
    finding.violations.truncate(8);
    finding
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{outcome, part, seal};

    fn evidence(outcome: &Outcome) -> Vec<String> {
        judge(outcome).violations.into_iter().map(|violation| violation.evidence).collect()
    }

    #[test]
    fn a_part_needs_a_durable_manifest_of_its_epoch_or_a_later_one() {
        let mut outcome = outcome([]);
        outcome.visible.push(part(50, 3));
        // Durable, but of an earlier epoch; and of the right one, but too late.
        seal(&mut outcome, 10, 2);
        seal(&mut outcome, 51, 3);
        let expected = "part of epoch 3 became visible at 0.050000s, before checkpoint 3 or a later one was durable";
        assert_eq!(evidence(&outcome), [expected]);
        assert_eq!(judge(&outcome).judged, 2);
        // Checkpoint 3 failed for this sink; checkpoint 4 took its epoch over, in the very instant.
        seal(&mut outcome, 50, 4);
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
