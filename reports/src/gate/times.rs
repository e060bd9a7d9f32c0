//! The times of a run that the gate compares, taken from the run's record.
//!
//! Start at [`Times::of`]. All are durations in nanoseconds of the run's clock. In the simulator that is virtual time,
//! so the same engine gives the same numbers on every machine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crate::record::Lapse;
use crate::record::{CheckpointRecord, RecoveryRecord, RunRecord, recovered_after};
use crate::timing;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// From trigger to completion, of completed checkpoints.
    CheckpointDuration,
    /// From trigger to next trigger, of neighbouring completed periodic checkpoints of one attempt.
    TriggerGap,
    /// From a trigger to the last commit of the next checkpoint: the longest time until a record's output is visible,
    /// without failures.
    Latency,
    /// From the fault until lasting progress.
    Outage,
    /// From the fault until the sources had emitted again all that had arrived.
    CaughtUp,
}

impl Measure {
    /// All, in the order of documents.
    pub const ALL: [Measure; 5] =
        [Measure::CheckpointDuration, Measure::TriggerGap, Measure::Latency, Measure::Outage, Measure::CaughtUp];

    /// The words in documents.
    pub fn label(self) -> &'static str {
        match self {
            Measure::CheckpointDuration => "checkpoint duration",
            Measure::TriggerGap => "trigger gap",
            Measure::Latency => "exactly-once latency",
            Measure::Outage => "outage",
            Measure::CaughtUp => "caught up after",
        }
    }

    /// The word in baselines.
    pub fn key(self) -> &'static str {
        match self {
            Measure::CheckpointDuration => "checkpoint-duration",
            Measure::TriggerGap => "trigger-gap",
            Measure::Latency => "latency",
            Measure::Outage => "outage",
            Measure::CaughtUp => "caught-up",
        }
    }

    /// Whether having no value is better than having one: true for outages, and false for checkpoints.
    pub fn is_loss(self) -> bool {
        matches!(self, Measure::Outage | Measure::CaughtUp)
    }
}

/// Values of every measure, sorted; a measure without values is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Times(BTreeMap<Measure, Vec<Lapse>>);

impl Times {
    /// The times of one run.
    pub fn of(run: &RunRecord) -> Times {
        let caught_up = |index| recovered_after(&run.recoveries, index, run.totals.virtual_ns);
        let mut times = Times::default();
        let durations = run.checkpoints.iter().filter_map(CheckpointRecord::duration_ns);
        times.add(Measure::CheckpointDuration, durations.map(Lapse::Ns));
        times.add(Measure::TriggerGap, timing::trigger_gaps_ns(run).into_iter().map(Lapse::Ns));
        times.add(Measure::Latency, timing::latencies_ns(run).into_iter().map(Lapse::Ns));
        times.add(Measure::Outage, run.recoveries.iter().map(RecoveryRecord::outage));
        times.add(Measure::CaughtUp, (0..run.recoveries.len()).map(caught_up));
        times
    }

    /// The times of several runs together.
    pub fn pooled<'t>(all: impl IntoIterator<Item = &'t Times>) -> Times {
        let mut pool = Times::default();
        for (measure, values) in all.into_iter().flat_map(|times| &times.0) {
            pool.add(*measure, values.iter().copied());
        }
        pool
    }

    /// The sorted values of a measure.
    pub fn values(&self, measure: Measure) -> &[Lapse] {
        self.0.get(&measure).map_or(&[], Vec::as_slice)
    }

    /// Adds values in any order.
    pub fn add(&mut self, measure: Measure, values: impl IntoIterator<Item = Lapse>) {
        let mut values = values.into_iter().peekable();
        if values.peek().is_some() {
            let of = self.0.entry(measure).or_default();
            of.extend(values);
            of.sort_unstable();
        }
    }

    /// Sorts the values, because the file they came from may have been edited.
    pub(super) fn sort(&mut self) {
        self.0.retain(|_, values| !values.is_empty());
        self.0.values_mut().for_each(|values| values.sort_unstable());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn a_recovery_without_an_end_is_longer_than_any_other() {
        let mut run = fixtures::passed();
        let mut lost = run.recoveries[0].clone();
        (lost.parts, lost.caught_up_at_ns, lost.unended_ns) = (None, None, Some(7));
        run.recoveries.push(lost);
        let times = Times::of(&run);
        for measure in [Measure::Outage, Measure::CaughtUp] {
            let values = times.values(measure);
            assert!(matches!(values, [Lapse::Ns(_), Lapse::Over(_)]), "{values:?}");
        }
        let text = serde_json::to_string(&times).unwrap();
        assert!(text.contains(r#"{"over":7}"#), "{text}");
        assert_eq!(serde_json::from_str::<Times>(&text).unwrap(), times);
    }

    #[test]
    fn pools_are_sorted_and_absent_measures_are_empty() {
        let times = Times::of(&fixtures::passed());
        let pool = Times::pooled([&times, &times]);
        assert_eq!(pool.values(Measure::TriggerGap).len(), 2 * times.values(Measure::TriggerGap).len());
        assert!(pool.values(Measure::CheckpointDuration).is_sorted());
        assert!(Times::default().values(Measure::Outage).is_empty());
    }
}
