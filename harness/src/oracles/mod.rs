//! The oracles: what must hold in every run, whatever the scenario. Each is a file with its statement.
//!
//! | id | property | file |
//! |---|---|---|
//! | O1 | committed output is accepted by the job's reference: nothing lost, doubled, invented | [`output`] |
//! | O2 | order per split and key, and the keyed state of checkpoints, are the reference's | [`output`] |
//! | O5 | nothing is visible before its checkpoint is durable, twice, or only for a while | [`commit_horizon`] |
//! | O7 | after the last fault the job comes back and finishes | [`liveness`] |
//!
//! Oracles read an [`Outcome`]; they never look into the engine. Planted bugs prove that each of them bites.

use flowquake_engine::env::InputFiles;
use flowquake_engine::ids::CheckpointId;
use flowquake_reports::record::OracleRecord;

use crate::jobs::Jobs;
use crate::plan::RunPlan;
use crate::run::Outcome;

pub mod commit_horizon;
pub mod liveness;
pub mod output;

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

/// Id, property and unit of every oracle.
pub const CATALOGUE: &[(&str, &str, &str)] = &[
    ("O1", "committed output is exactly-once: nothing lost, doubled or invented", "records"),
    ("O2", "order per split and key, and keyed state, equal the reference's", "entries"),
    ("O5", "nothing visible before its checkpoint is durable, twice, or taken back", "parts"),
    ("O7", "after the last fault the job comes back and finishes in time", "runs"),
];

/// Checkpoints whose output counts: completed ones, without those that the job fell back behind.
pub fn lineage(outcome: &Outcome) -> Vec<CheckpointId> {
    use flowquake_engine::event::Event;
    let mut lineage: Vec<CheckpointId> = Vec::new();
    for record in &outcome.trace.events {
        match &record.event {
            Event::CheckpointCompleted { checkpoint, .. } => lineage.push(*checkpoint),
            Event::DeploymentBegun { restored, .. } => {
                let restored = restored.unwrap_or_default();
                lineage.retain(|checkpoint| *checkpoint <= restored);
                // Sealed by a JobManager that died before it could say so.
                if restored > CheckpointId(0) && lineage.last() != Some(&restored) {
                    lineage.push(restored);
                }
            }
            _ => {}
        }
    }
    lineage
}

/// Asks every oracle.
pub fn judge(
    plan: &RunPlan,
    outcome: &Outcome,
    jobs: &Jobs,
    inputs: &InputFiles,
) -> (Vec<OracleRecord>, Vec<Violation>) {
    let (content, order) = output::judge(plan, outcome, jobs, inputs);
    let findings = [content, order, commit_horizon::judge(outcome), liveness::judge(plan, outcome)];
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
    use flowquake_engine::event::Event;
    use flowquake_engine::ids::Attempt;

    use super::*;
    use crate::fixtures::{at, outcome};

    fn completed(checkpoint: u64) -> Event {
        Event::CheckpointCompleted { attempt: Attempt(1), checkpoint: CheckpointId(checkpoint), bytes: 0 }
    }

    fn deployed(restored: Option<u64>) -> Event {
        Event::DeploymentBegun { attempt: Attempt(2), restored: restored.map(CheckpointId), state_bytes: 0 }
    }

    fn ids(events: impl IntoIterator<Item = Event>) -> Vec<u64> {
        let outcome = outcome(events.into_iter().map(|event| at(0, "jm-1", event)));
        lineage(&outcome).into_iter().map(|id| id.0).collect()
    }

    #[test]
    fn a_restore_from_the_newest_checkpoint_keeps_the_lineage() {
        assert_eq!(ids([deployed(None), completed(1), completed(2), deployed(Some(2)), completed(4)]), [1, 2, 4]);
    }

    #[test]
    fn a_fallback_forgets_what_came_after_the_older_checkpoint() {
        let events = || vec![deployed(None), completed(1), completed(2), completed(3), deployed(Some(1))];
        assert_eq!(ids(events()), [1]);
        assert_eq!(ids(events().into_iter().chain([completed(4)])), [1, 4]);
        assert_eq!(ids(events().into_iter().chain([deployed(None), completed(5)])), [5]);
    }
}
