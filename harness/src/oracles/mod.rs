//! The oracles: what must hold in every run, whatever the scenario. Each is a file with its statement.
//!
//! | id | property | file |
//! |---|---|---|
//! | O1 | committed output is accepted by the job's reference: nothing lost, doubled, invented | [`output`] |
//! | O2 | order per split and key, and the keyed state of checkpoints, are the reference's | [`output`], [`state`] |
//! | O3 | every file of every retained checkpoint is there as recorded, at every instant | [`retained_files`] |
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
use flowquake_engine::ha::entry::Change;
use flowquake_engine::ids::CheckpointId;
use flowquake_reports::record::OracleRecord;

use crate::jobs::Jobs;
use crate::plan::RunPlan;
use crate::run::{Outcome, StoreCopy};

pub mod aborts;
pub mod commit_horizon;
pub mod liveness;
pub mod orphans;
pub mod output;
pub mod ownership;
pub mod provoked;
pub mod restarts;
pub mod restorable;
pub mod retained_files;
pub mod root_cause;
pub mod state;
pub mod timing;

/// Evidence beyond this many lines of one oracle helps nobody.
const EVIDENCE_MAX: usize = 8;

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which oracle found it.
    pub oracle: &'static str,
    /// What, naming the entity at fault; lines behind the first explain it.
    pub evidence: String,
}

/// What an oracle is and what it saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finding {
    /// How many things it judged.
    pub judged: u64,
    /// What it found.
    pub violations: Vec<Violation>,
}

impl Finding {
    /// What two parts of one oracle saw.
    fn and(mut self, other: Finding) -> Finding {
        self.judged += other.judged;
        self.violations.extend(other.violations);
        self
    }
}

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

/// Checkpoints whose output counts: completed ones, in order, without those that the job fell back behind.
pub fn lineage(outcome: &Outcome) -> Vec<CheckpointId> {
    let mut lineage: Vec<CheckpointId> = Vec::new();
    for logged in &outcome.log {
        match logged.entry.change {
            // One that is not newer is O6's to find.
            Change::Completed(checkpoint) if lineage.last() < Some(&checkpoint) => lineage.push(checkpoint),
            // Until an attempt is deployed, a sink that has committed already may still forbid it.
            Change::FallingBack(to) if logged.deployed => lineage.retain(|checkpoint| Some(*checkpoint) <= to),
            _ => {}
        }
    }
    lineage
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
    use crate::fixtures::{logged, outcome};

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

    /// The lineage after these changes, each followed by a deployment (or not).
    fn ids(changes: impl IntoIterator<Item = (Change, bool)>) -> Vec<u64> {
        let mut outcome = outcome([]);
        outcome.log.clear();
        for (time, (change, deployed)) in (0..).zip(changes) {
            logged(&mut outcome, time, 1, change);
            outcome.log.last_mut().unwrap().deployed = deployed;
        }
        lineage(&outcome).into_iter().map(|id| id.0).collect()
    }

    fn completed(id: u64) -> (Change, bool) {
        (Change::Completed(CheckpointId(id)), true)
    }

    fn falling_back(to: Option<u64>, deployed: bool) -> (Change, bool) {
        (Change::FallingBack(to.map(CheckpointId)), deployed)
    }

    #[test]
    fn a_restart_and_a_new_leader_keep_the_lineage() {
        assert_eq!(ids([completed(1), completed(2), (Change::Opened, true), completed(11)]), [1, 2, 11]);
    }

    #[test]
    fn a_fallback_forgets_what_came_after_the_older_checkpoint() {
        let three = || vec![completed(1), completed(2), completed(3)];
        let then = |more: Vec<_>| ids(three().into_iter().chain(more));
        assert_eq!(then(vec![falling_back(Some(1), true)]), [1]);
        assert_eq!(then(vec![falling_back(Some(1), true), completed(4)]), [1, 4]);
        assert_eq!(then(vec![falling_back(None, true), completed(5)]), [5]);
        assert_eq!(then(vec![falling_back(Some(1), false)]), [1, 2, 3]);
    }
}
