//! The oracles: what must hold in every run, whatever the scenario. Each is a file with its statement.
//!
//! | id | property | file |
//! |---|---|---|
//! | O1 | committed output is accepted by the job's reference: nothing lost, doubled, invented | [`output`] |
//! | O2 | order per split and key, and the keyed state of checkpoints, are the reference's | [`output`], [`state`] |
//! | O3 | every file of every retained checkpoint is there as recorded, at every instant | [`crate::outcome::RetainedFiles`] |
//! | O4 | a finished job leaves no orphan files | [`orphans`] |
//! | O5 | nothing is visible before its checkpoint is complete, twice, or only for a while | [`commit_horizon`] |
//! | O6 | ids only grow; every attempt and term has one owner | [`ownership`] |
//! | O7 | after the last fault the job comes back and finishes | [`liveness`] |
//! | O8 | every failover and every checkpoint given up has a cause, every cause at most one failover, and no failover comes without a fault | [`root_cause`], [`aborts`], [`provoked`] |
//! | O9 | checkpoints are triggered, and attempts restarted, when the rule says, and times keep the scenario's bounds | [`timing`], [`restarts`] |
//! | O10 | a job restored from a retained checkpoint goes on rightly (sampled) | [`restorable`] |
//!
//! Oracles read an [`Outcome`]; they never look into the engine. Most judge when the run is over, from what was recorded at
//! each instant; O3 judges while it goes on, since only then is known what was where. Planted bugs prove that each bites.

use flowquake_engine::env::InputFiles;
use flowquake_reports::record::OracleRecord;

use crate::finding::EVIDENCE_MAX;
pub use crate::finding::{Finding, Violation};
use crate::jobs::Jobs;
use crate::outcome::{Outcome, StoreCopy};
use crate::plan::RunPlan;

pub mod aborts;
pub mod commit_horizon;
pub mod liveness;
pub mod orphans;
pub mod output;
pub mod ownership;
pub mod provoked;
pub mod restarts;
pub mod restorable;
pub mod root_cause;
pub mod state;
pub mod timing;

/// Id, property and unit of every oracle.
pub const CATALOGUE: &[(&str, &str, &str)] = &[
    ("O1", "committed output is exactly-once: nothing lost, doubled or invented", "records"),
    ("O2", "order per split and key, and keyed state, equal the reference's", "entries"),
    ("O3", "every file of every retained checkpoint is there as recorded", "files"),
    ("O4", "a finished job leaves no orphan files", "files"),
    ("O5", "nothing visible before its checkpoint is complete, twice, or taken back", "parts"),
    ("O6", "ids only grow; every attempt and term has one owner", "effects"),
    ("O7", "after the last fault the job comes back and finishes in time", "runs"),
    ("O8", "failovers and aborts have causes, each at most one failover, and come from faults", "causes"),
    ("O9", "checkpoints are triggered, attempts restarted when the rule says; times keep their bounds", "times"),
    ("O10", "a job restored from a retained checkpoint goes on rightly", "restores"),
];

/// Oracles in the order in which one violation brings about another: what comes first is reported as the cause. Without one
/// owner (O6) anything may follow; without the files of a checkpoint (O3) its restore fails; output that is visible too early
/// (O5) and failovers out of nothing (O8) make wrong output (O1, O2), not the other way round; what a restored job does (O10),
/// what is left over (O4) and what takes too long (O9, O7) are consequences of all of them.
const CAUSES_FIRST: [&str; 10] = ["O6", "O3", "O5", "O8", "O1", "O2", "O10", "O4", "O9", "O7"];

/// Violations by oracle, cause before consequence; those of one oracle stay in their order.
pub fn causes_first(violations: &[Violation]) -> Vec<(&'static str, Vec<&Violation>)> {
    let mut by_oracle: Vec<(&'static str, Vec<&Violation>)> = Vec::new();
    for violation in violations {
        match by_oracle.iter_mut().find(|(oracle, _)| *oracle == violation.oracle) {
            Some((_, same)) => same.push(violation),
            None => by_oracle.push((violation.oracle, vec![violation])),
        }
    }
    let rank = |oracle: &str| CAUSES_FIRST.iter().position(|other| *other == oracle).unwrap_or(CAUSES_FIRST.len());
    by_oracle.sort_by_key(|(oracle, _)| rank(oracle));
    by_oracle
}

/// Asks every oracle. `resume` runs the job on from a copy of the stores, without faults.
pub fn judge(
    plan: &RunPlan,
    outcome: &Outcome,
    jobs: &Jobs,
    inputs: &InputFiles,
    resume: &dyn Fn(&StoreCopy) -> Outcome,
) -> (Vec<OracleRecord>, Vec<Violation>) {
    let (content, order) = output::judge(plan, outcome, jobs, inputs);
    let findings = [
        content,
        order,
        outcome.retained_files.finding(),
        orphans::judge(plan, outcome),
        commit_horizon::judge(outcome),
        ownership::judge(outcome),
        liveness::judge(plan, outcome, jobs, inputs),
        root_cause::judge(outcome).and(aborts::judge(plan, outcome)).and(provoked::judge(plan, outcome)),
        timing::judge(plan, outcome, jobs, inputs).and(restarts::judge(plan, outcome)),
        restorable::judge(plan, outcome, jobs, inputs, resume),
    ];
    let mut records = Vec::new();
    let mut violations = Vec::new();
    for ((id, property, unit), finding) in CATALOGUE.iter().zip(findings) {
        records.push(OracleRecord {
            id: (*id).into(),
            property: (*property).into(),
            held: finding.violations.is_empty(),
            judged: finding.judged,
            unit: (*unit).into(),
        });
        violations.extend(finding.violations);
    }
    (records, violations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_oracle_has_its_place_among_causes_and_consequences() {
        let mut ranked = CAUSES_FIRST;
        ranked.sort_unstable();
        let mut known: Vec<&str> = CATALOGUE.iter().map(|(id, ..)| *id).collect();
        known.sort_unstable();
        assert_eq!(ranked.as_slice(), known);
        let violations = ["O1", "O10", "O6", "O1"].map(|oracle| Violation { oracle, evidence: oracle.into() });
        let order: Vec<_> = causes_first(&violations).into_iter().map(|(oracle, of)| (oracle, of.len())).collect();
        assert_eq!(order, [("O6", 1), ("O1", 2), ("O10", 1)]);
    }
}
