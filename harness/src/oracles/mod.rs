//! The oracles: properties that must hold in every run, whatever the scenario. Each has a file that begins with its
//! statement.
//!
//! Start at [`ORACLES`], the catalogue. Each entry says which property the oracle judges, which sections of an outcome
//! it needs, and where it stands among causes and consequences. An entry stands in the file that judges it. Some
//! oracles are judged in several files: O8 in [`root_cause`], [`aborts`] and [`provoked`], O9 in [`timing`] and
//! [`restarts`], O2 in [`output`] and [`state`].
//!
//! Oracles read an [`Outcome`]; they never look into the engine. Most judge after the run, from what was recorded at
//! each instant. O3 judges during the run, because only then is it known which files existed at which instant. Planted
//! bugs prove that each oracle finds what it should.
//!
//! Invariant: (ORACLES-N1) an oracle judges only an outcome that has all sections that the oracle needs; otherwise the
//! record says that it did not judge, and why.

use flowquake_reports::record::OracleRecord;

pub use self::case::{Case, Oracle};
use crate::finding::EVIDENCE_MAX;
pub use crate::finding::{Finding, Violation};
use crate::outcome::Outcome;

pub mod aborts;
mod case;
pub mod commit_horizon;
pub mod liveness;
pub mod orphans;
pub mod output;
pub mod ownership;
pub mod provoked;
pub mod restarts;
pub mod restorable;
pub mod retained;
pub mod root_cause;
pub mod state;
pub mod timing;

/// The catalogue.
pub static ORACLES: [&Oracle; 10] = [
    &output::CONTENT,
    &output::ORDER,
    &retained::ORACLE,
    &orphans::ORACLE,
    &commit_horizon::ORACLE,
    &ownership::ORACLE,
    &liveness::ORACLE,
    &root_cause::ORACLE,
    &timing::ORACLE,
    &restorable::ORACLE,
];

/// Violations by oracle, causes before consequences. Those of one oracle keep their order.
pub fn causes_first(violations: &[Violation]) -> Vec<(&'static str, Vec<&Violation>)> {
    let mut by_oracle: Vec<(&'static str, Vec<&Violation>)> = Vec::new();
    for violation in violations {
        match by_oracle.iter_mut().find(|(oracle, _)| *oracle == violation.oracle) {
            Some((_, same)) => same.push(violation),
            None => by_oracle.push((violation.oracle, vec![violation])),
        }
    }
    let rank = |id: &str| ORACLES.iter().find(|oracle| oracle.id == id).map_or(u8::MAX, |oracle| oracle.rank);
    by_oracle.sort_by_key(|(oracle, _)| rank(oracle));
    by_oracle
}

/// Asks every oracle.
pub fn judge(case: &Case) -> (Vec<OracleRecord>, Vec<Violation>) {
    let mut violations = Vec::new();
    let records = ORACLES.iter().map(|oracle| {
        let missing = oracle.missing(case.outcome);
        let finding = if missing.is_none() { (oracle.judge)(case) } else { Finding::default() };
        let record = OracleRecord {
            id: oracle.id.into(),
            property: oracle.property.into(),
            held: missing.is_none() && finding.violations.is_empty(),
            judged: finding.judged,
            unit: oracle.unit.into(),
            not_judged: missing,
        };
        violations.extend(finding.violations);
        record
    });
    (records.collect(), violations)
}

impl Oracle {
    /// Why the oracle cannot judge this outcome (ORACLES-N1); `None` if it can.
    fn missing(&self, outcome: &Outcome) -> Option<String> {
        let missing: Vec<String> =
            self.needs.iter().filter(|section| !outcome.sections.contains(section)).map(ToString::to_string).collect();
        (!missing.is_empty()).then(|| format!("the target does not show {}", missing.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_oracle_has_its_place_among_causes_and_consequences() {
        let mut ranks: Vec<u8> = ORACLES.iter().map(|oracle| oracle.rank).collect();
        ranks.sort_unstable();
        assert_eq!(ranks, (1..=ORACLES.len() as u8).collect::<Vec<_>>());
        let ids: Vec<&str> = ORACLES.iter().map(|oracle| oracle.id).collect();
        assert_eq!(ids, ["O1", "O2", "O3", "O4", "O5", "O6", "O7", "O8", "O9", "O10"]);
        let violations = ["O1", "O10", "O6", "O1"].map(|oracle| Violation { oracle, evidence: oracle.into() });
        let order: Vec<_> = causes_first(&violations).into_iter().map(|(oracle, of)| (oracle, of.len())).collect();
        assert_eq!(order, [("O6", 1), ("O1", 2), ("O10", 1)]);
    }
}
