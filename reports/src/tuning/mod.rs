//! Which checkpoint interval to choose: what was measured over many intervals, what each formula would have chosen, and
//! what that choice would have cost.
//!
//! A [`TuningSet`] is the data of one `tune`: a [`Curve`] per backend, state size and load, with a [`Point`] per
//! interval. How often failures come is not measured: a point says what *one* failure costs on average, and the
//! analysis ([`analysis`]) weighs that by the failure rate. `recovery` says what a failure at a random time costs,
//! `cost_curve` interpolates costs between the measured intervals and finds the lowest, and `confidence` says how
//! certain that is.
//!
//! [`findings`] holds a set together with its analysis, and every document is made from that: [`terminal`], [`html`],
//! [`json`], [`markdown`] and [`svg`]; [`folder`] writes all of them. `answer` says in words what to use, and
//! `unpassed` what did not pass and whether that matters. `tables` and `rule_tables` have the contents of the tables.
//! `scores` says how each formula did over all curves, `rules` how the rules of thumb did, and `changes` how the cost
//! grows if only changes are written.
//!
//! Invariants: (TUNING-V1) points of a curve are ordered by interval, each interval once; (TUNING-V2) nothing here is
//! drawn but the resamples of the bootstrap, from a fixed seed.

use serde::{Deserialize, Serialize};

pub mod analysis;
mod answer;
mod catalogue;
mod changes;
mod confidence;
mod cost_curve;
mod curve_fit;
pub mod findings;
pub mod folder;
pub mod html;
pub mod json;
pub mod markdown;
mod recovery;
mod rule_tables;
mod rules;
mod scores;
pub mod svg;
mod tables;
pub mod terminal;
mod unpassed;

#[cfg(test)]
mod fixtures;

/// Version of this schema and of the meaning of its points. Readers refuse any other version, and journals of any other
/// version are dropped.
pub const TUNING_VERSION: u32 = 2;

/// All measurements of one `tune`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TuningSet {
    /// [`TUNING_VERSION`] of the writer.
    pub tuning_version: u32,
    /// The command line; it can be pasted into a shell.
    pub command: String,
    /// Version of the program, with its commit if that is known.
    pub program: String,
    /// Name of the scenario that was tuned.
    pub scenario: String,
    /// Why the scenario exists.
    pub why: String,
    /// Name of the job.
    pub job: String,
    /// Parallelism of the job.
    pub parallelism: u32,
    /// Name of the cost profile.
    pub cost_profile: String,
    /// Minimum pause P between checkpoints, seconds.
    pub min_pause: f64,
    /// Mean times between failures M for which the analysis is made, in seconds.
    pub mtbf: Vec<f64>,
    /// Weight w: how many seconds of late output are as bad as one second of lost work.
    pub lateness_weight: f64,
    /// Virtual time that was simulated in all, in seconds.
    pub simulated: f64,
    /// The curves, in the order of backend, state size and load.
    pub curves: Vec<Curve>,
}

/// One backend, state size and load, over all intervals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// State backend.
    pub backend: String,
    /// State size that was asked for, bytes.
    pub state_declared: f64,
    /// Load ρ = λ/μ that was asked for.
    pub load: f64,
    /// Input rate λ in records per second, with weights.
    pub rate: f64,
    /// Predicted capacity μ in records per second, with weights.
    pub capacity: f64,
    /// How many records each simulated record stands for.
    pub record_weight: u64,
    /// How many entries each simulated entry of state stands for.
    pub state_weight: u64,
    /// One point per interval.
    pub points: Vec<Point>,
}

/// One interval, measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Checkpoint interval I, seconds.
    pub interval: f64,
    /// Verdict of the run. If it is not `passed`, the times mean nothing.
    pub verdict: String,
    /// Why the run did not pass; empty if it did.
    pub headline: String,
    /// Mean time from trigger to trigger T, in seconds.
    pub period: Option<f64>,
    /// Median time from trigger to completion d, in seconds.
    pub duration: Option<f64>,
    /// The time from trigger to completion that 99 of 100 do not exceed, in seconds.
    pub duration_p99: Option<f64>,
    /// Work lost per checkpoint c: the longest synchronous part over the subtasks; mean, in seconds.
    pub cost: Option<f64>,
    /// Bytes of state in the last checkpoint, with weights.
    pub state: f64,
    /// Mean number of these bytes in files that the checkpoint before did not have, with weights; `None`: not known.
    pub new_bytes: Option<f64>,
    /// Capacity with checkpoints, μ_eff, as measured while catching up: mean over the recoveries that took long enough,
    /// in records per second.
    pub capacity: Option<f64>,
    /// Mean time from completion to visible output, in seconds.
    pub commit: Option<f64>,
    /// Every recovery.
    pub recoveries: Vec<Recovered>,
    /// Virtual time of the run, seconds.
    pub simulated: f64,
}

/// One recovery.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Recovered {
    /// Where in the period the failure struck: 0 at a trigger, 1 at the next.
    pub phase: f64,
    /// Age of the restored snapshot A, seconds.
    pub age: f64,
    /// Outage D, seconds.
    pub outage: f64,
    /// Time from the failure until caught up, R, in seconds; `None`: not within the run.
    pub total: Option<f64>,
    /// The part of the outage in which state was loaded, in seconds; `None`: not measured separately.
    #[serde(default)]
    pub state_load: Option<f64>,
}

impl Point {
    /// Mean outage D, seconds.
    pub fn outage(&self) -> Option<f64> {
        mean(self.recoveries.iter().map(|recovered| Some(recovered.outage)))
    }

    /// Mean time to load state in a recovery, in seconds; `None` if it was not measured separately.
    pub fn state_load(&self) -> Option<f64> {
        mean(self.recoveries.iter().map(|recovered| recovered.state_load))
    }

    /// Measured capacity divided by `μ(1 − c/T)`, with the predicted μ of the curve; `None`: not measured.
    pub fn capacity_ratio(&self, predicted: f64) -> Option<f64> {
        let ratio = self.capacity? / (predicted * (1.0 - self.cost? / self.period?));
        (self.passed() && ratio.is_finite() && ratio > 0.0).then_some(ratio)
    }

    /// Whether the run passed, so that its times are valid.
    pub fn passed(&self) -> bool {
        self.verdict == "passed"
    }

    /// Mean time from a record's processing until its output is visible, without failures, seconds: `T/2 + d + t_c`.
    pub fn exactly_once_latency(&self) -> Option<f64> {
        let (period, duration) = (self.period?, self.duration?);
        crate::formulas::trigger::exactly_once_latency_mean(period, duration, self.commit.unwrap_or(0.0)).ok()
    }
}

fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let values: Option<Vec<f64>> = values.collect();
    values.filter(|values| !values.is_empty()).map(|values| values.iter().sum::<f64>() / values.len() as f64)
}
