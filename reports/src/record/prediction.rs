//! What was predicted before the run, as the plan and the record hold it.
//!
//! Start at [`Prediction`]. It is made only from scenario, profile and the time of the fault, and is never fitted to
//! measurements. [`prediction::compare`](crate::prediction::compare) shows how good it is.

use serde::{Deserialize, Serialize};

use super::checkpoint::CheckpointParts;
use super::recovery::RecoveryParts;

/// What a run should take. A value is `None` if the model cannot predict it; [`Prediction::outside`] says why.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prediction {
    /// The time for which the size of the state is predicted: the fault, or the middle of the input. `None`: a plan of
    /// an older version.
    #[serde(default)]
    pub state_at_ns: Option<u64>,
    /// Bytes of keyed state at that time.
    pub state_bytes: Option<u64>,
    /// Parts of a checkpoint over that state, along its critical path; they sum to its duration d.
    pub duration: Option<CheckpointParts>,
    /// Work lost to such a checkpoint, c.
    #[serde(default)]
    pub cost_ns: Option<u64>,
    /// Time from trigger to next trigger, T.
    pub period_ns: Option<u64>,
    /// Capacity μ without checkpoints, records per second.
    pub capacity: Option<f64>,
    /// Capacity with checkpoints, μ(1 − c/T).
    pub effective_capacity: Option<f64>,
    /// The recovery after the fault.
    pub recovery: Option<PredictedRecovery>,
    /// What the model cannot predict for this plan, and why.
    pub outside: Vec<String>,
    /// Numbers that are outside of the model's domain. They help to plan the run, but the run is not judged by them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub out_of_domain: Vec<OutOfDomain>,
}

/// Why some of the numbers of a prediction are not reliable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutOfDomain {
    /// Which numbers.
    pub subjects: Vec<Subject>,
    /// Why, in words.
    pub why: String,
}

/// What numbers of a prediction are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// State, duration and lost work of a checkpoint, and the period.
    Checkpoint,
    /// Everything after the fault.
    Recovery,
    /// The part of the recovery after the outage.
    CatchingUp,
}

impl Subject {
    /// The words used in documents.
    pub fn label(self) -> &'static str {
        match self {
            Subject::Checkpoint => "checkpoint",
            Subject::Recovery => "recovery",
            Subject::CatchingUp => "catching up",
        }
    }
}

impl Prediction {
    /// Why the run is not judged by what is predicted about `subject`; `None`: it is judged by it.
    pub fn disowned(&self, subject: Subject) -> Option<&str> {
        let concerns = |of: &Subject| *of == subject || (*of, subject) == (Subject::Recovery, Subject::CatchingUp);
        self.out_of_domain.iter().find(|one| one.subjects.iter().any(concerns)).map(|one| one.why.as_str())
    }
}

/// The recovery after one fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictedRecovery {
    /// The fault, by its position in the plan.
    pub fault: u32,
    /// When it strikes.
    pub failed_at_ns: u64,
    /// The checkpoint restored from; `None`: the job begins anew.
    pub restored: Option<u64>,
    /// Bytes of state in that checkpoint; `None`: a plan of an older version.
    #[serde(default)]
    pub restored_bytes: Option<u64>,
    /// Age A of the restored snapshot at the fault.
    pub snapshot_age_ns: u64,
    /// Parts of the outage; they sum to D.
    pub parts: RecoveryParts,
    /// Capacity with checkpoints of the part of the cluster that is left, in records per second.
    #[serde(default)]
    pub effective_capacity: Option<f64>,
    /// Time from the failure until the sources have caught up, R; `None`: never, or not known.
    pub total_ns: Option<u64>,
}
