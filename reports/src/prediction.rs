//! What was predicted before the run beside what the run measured.
//!
//! A [`Prediction`] is made from scenario, profile and fault time only, and stands in the record beside the measurements; it
//! is never fitted to them. Start at [`compare`].

use serde::{Deserialize, Serialize};

use crate::record::{CheckpointParts, CheckpointRecord, RecoveryParts, RunRecord};
use crate::timing::trigger_gaps_ns;

/// What a run should take. `None`: outside of what the model knows, which [`Prediction::outside`] tells.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Bytes of keyed state at the fault, or in the middle of the input.
    pub state_bytes: Option<u64>,
    /// Parts of a checkpoint over that state, along its critical path; they sum to its duration d.
    pub duration: Option<CheckpointParts>,
    /// Trigger to next trigger, T.
    pub period_ns: Option<u64>,
    /// Capacity μ without checkpoints, records per second.
    pub capacity: Option<f64>,
    /// Capacity with them, μ(1 − c/T).
    pub effective_capacity: Option<f64>,
    /// The recovery after the fault.
    pub recovery: Option<PredictedRecovery>,
    /// What the model does not know about this plan, and why.
    pub outside: Vec<String>,
}

/// The recovery after one fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PredictedRecovery {
    /// The fault, by its position in the plan.
    pub fault: u32,
    /// When it strikes.
    pub failed_at_ns: u64,
    /// The checkpoint restored from; `None`: the job begins anew.
    pub restored: Option<u64>,
    /// Age A of the restored snapshot at the fault.
    pub snapshot_age_ns: u64,
    /// Parts of the outage; they sum to D.
    pub parts: RecoveryParts,
    /// Failure until the sources have caught up, R; `None`: never, or not known.
    pub total_ns: Option<u64>,
}

/// One predicted time beside the measured one.
#[derive(Debug, Clone, PartialEq)]
pub struct PredictionRow {
    /// What is predicted, with its symbol.
    pub what: &'static str,
    /// Predicted, ns.
    pub predicted_ns: u64,
    /// Measured, ns; of several (checkpoints, gaps) the median.
    pub measured_ns: u64,
    /// How many were measured.
    pub count: usize,
}

impl PredictionRow {
    /// `(measured − predicted)/measured`; zero where nothing was measured and nothing predicted.
    pub fn residual(&self) -> f64 {
        if self.measured_ns == 0 {
            return if self.predicted_ns == 0 { 0.0 } else { -1.0 };
        }
        (self.measured_ns as f64 - self.predicted_ns as f64) / self.measured_ns as f64
    }
}

/// Everything that was both predicted and measured: checkpoint duration, period, snapshot age, outage, recovery.
pub fn compare(run: &RunRecord) -> Vec<PredictionRow> {
    let Some(prediction) = &run.prediction else { return Vec::new() };
    let mut rows = Vec::new();
    let mut add = |what, predicted: Option<u64>, mut measured: Vec<u64>| {
        measured.sort_unstable();
        if let (Some(predicted_ns), Some(measured_ns)) = (predicted, measured.get(measured.len().saturating_sub(1) / 2))
        {
            rows.push(PredictionRow { what, predicted_ns, measured_ns: *measured_ns, count: measured.len() });
        }
    };
    let periodic = |checkpoint: &&CheckpointRecord| checkpoint.kind == "periodic";
    let durations = run.checkpoints.iter().filter(periodic).filter_map(CheckpointRecord::duration_ns);
    add("checkpoint duration d", prediction.duration.map(|parts| parts.total_ns()), durations.collect());
    add("trigger period T", prediction.period_ns, trigger_gaps_ns(run));
    if let Some(predicted) = &prediction.recovery {
        let measured = run.recoveries.iter().find(|recovery| recovery.fault == Some(predicted.fault));
        let one = |value: Option<u64>| value.into_iter().collect::<Vec<_>>();
        add("snapshot age A", Some(predicted.snapshot_age_ns), one(measured.map(|m| m.snapshot_age_ns)));
        let outage = measured.and_then(|measured| measured.outage_ns());
        add("outage D", Some(predicted.parts.total_ns()), one(outage));
        let total = measured.and_then(|m| m.caught_up_at_ns.map(|at| at.saturating_sub(m.failed_at_ns)));
        add("recovery R", predicted.total_ns, one(total));
    }
    rows
}
