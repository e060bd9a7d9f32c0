//! O5: the commit horizon.
//!
//! Statement. Whenever a part of output becomes visible under epoch `e`, the manifest of some checkpoint `m >= e` is durable
//! (a checkpoint that failed hands its epoch on to the next one, so `m` may be higher). No part becomes visible twice, and
//! none is changed or removed afterwards. Judged at the instant of each change of the output store.
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
