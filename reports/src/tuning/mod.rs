//! Which checkpoint interval to choose: what was measured over many intervals, what each formula would have chosen, and what
//! choosing it would have cost.
//!
//! A [`TuningSet`] is the data of one `tune`: a [`Curve`] per backend, state size and load, with a [`Point`] per interval. How
//! often failures come is no matter of measurement: a point says what *one* failure costs on average, and the analysis
//! ([`analysis`]) weighs that with the failure rate. `recovery` says what a failure at a random time costs, `cost_curve` reads costs off between the measured intervals
//! and finds the lowest, `confidence` says how sure that is.
//! [`findings`] holds a set and its analysis together, and every document is made of that: [`terminal`], [`html`], [`json`],
//! [`markdown`] and [`svg`]; [`folder`] writes them all. `answer` says in words what to take, `unpassed` what
//! did not pass and whether that matters. `tables` and `rule_tables` decide what stands in their tables, `scores` how each formula did over all curves, `rules` how the rules of thumb did, `changes` how the cost grows where only changes are written.
//!
//! Invariants: (TUNING-V1) points of a curve are ordered by interval, each interval once; (TUNING-V2) nothing here is drawn but the
//! resamples of the bootstrap, from a fixed seed.

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

/// Version of this schema and of what its points mean; a reader refuses another one, and a journal of another one is dropped.
pub const TUNING_VERSION: u32 = 2;

/// All measurements of one `tune`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TuningSet {
    /// [`TUNING_VERSION`] of the writer.
    pub tuning_version: u32,
    /// The command line, paste-able.
    pub command: String,
    /// Version of the program, commit included where it is known.
    pub program: String,
    /// Name of the scenario that was tuned.
    pub scenario: String,
    /// Why it exists.
    pub why: String,
    /// The job, and its parallelism.
    pub job: String,
    /// Parallelism of the job.
    pub parallelism: u32,
    /// Name of the cost profile.
    pub cost_profile: String,
    /// Minimum pause P between checkpoints, seconds.
    pub min_pause: f64,
    /// Mean times between failures M that the analysis looks at, seconds.
    pub mtbf: Vec<f64>,
    /// Seconds of late output that are as bad as a second of lost work, w.
    pub lateness_weight: f64,
    /// Virtual time simulated in all, seconds.
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
    /// Input rate λ, records per second, as it counts.
    pub rate: f64,
    /// Capacity μ as predicted, records per second, as it counts.
    pub capacity: f64,
    /// How many records each one that moved stands for.
    pub record_weight: u64,
    /// How many entries each entry of state stands for.
    pub state_weight: u64,
    /// One per interval.
    pub points: Vec<Point>,
}

/// One interval, measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Checkpoint interval I, seconds.
    pub interval: f64,
    /// Verdict of the run; anything but `passed` and its times mean nothing.
    pub verdict: String,
    /// Why, if it is not `passed`.
    pub headline: String,
    /// Trigger to trigger T, mean, seconds.
    pub period: Option<f64>,
    /// Trigger to completion d: median, seconds.
    pub duration: Option<f64>,
    /// The same, what 99 of 100 do not exceed.
    pub duration_p99: Option<f64>,
    /// Work lost per checkpoint c: the longest synchronous part over the subtasks, mean, seconds.
    pub cost: Option<f64>,
    /// Bytes of state in the last checkpoint, as they count.
    pub state: f64,
    /// Bytes of it in files that the checkpoint before did not have: mean, as they count; `None`: not known.
    pub new_bytes: Option<f64>,
    /// Capacity with checkpoints as catching up showed it, μ_eff: mean over the recoveries that took long enough, records per second.
    pub capacity: Option<f64>,
    /// Completion to visible output, mean, seconds.
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
    /// Failure until caught up R, seconds; `None`: not within the run.
    pub total: Option<f64>,
    /// The part of the outage in which state was loaded, seconds; `None`: not told apart.
    #[serde(default)]
    pub state_load: Option<f64>,
}

impl Point {
    /// Mean outage D, seconds.
    pub fn outage(&self) -> Option<f64> {
        mean(self.recoveries.iter().map(|recovered| Some(recovered.outage)))
    }

    /// Mean time of loading state in a recovery, seconds; `None` where it was not told apart.
    pub fn state_load(&self) -> Option<f64> {
        mean(self.recoveries.iter().map(|recovered| recovered.state_load))
    }

    /// Measured capacity over the one that the prediction μ of the curve and `μ(1 − c/T)` leave; `None`: not measured.
    pub fn capacity_ratio(&self, predicted: f64) -> Option<f64> {
        let ratio = self.capacity? / (predicted * (1.0 - self.cost? / self.period?));
        (self.passed() && ratio.is_finite() && ratio > 0.0).then_some(ratio)
    }

    /// Whether its times mean something.
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
