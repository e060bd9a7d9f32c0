//! Estimates what a failure at a random time costs, from failures at a few times.
//!
//! The failures of a point strike at evenly spaced phases of the period. Those that strike while a checkpoint is in
//! progress restore the one before. How many do is a whole number: of six failures one or none, where d/T says a fifth
//! of one. So the mean age of the restored snapshots is wrong by up to half a period divided by the number of failures,
//! and so is the mean recovery. That error is larger than the differences between the costs of neighbouring intervals.
//! But the mean age for failures at random times is known: `T/2 + d`.
//!
//! Start at [`Curve::recovery`], a ratio estimator (Cochran 1977, chapter 6): the measured mean, multiplied by `R` at
//! the age for random failures, divided by `R` at the ages found. The spare capacity cancels in this ratio, so an error
//! of a few percent in the capacity hardly matters. To compare a formula with measurements, use
//! [`Point::measured_recovery`] instead, which depends on no formula.

use super::{Curve, Point, mean};
use crate::formulas::load::mean_snapshot_age;
use crate::formulas::recovery::{capacity_with_checkpoints, total};

impl Point {
    /// Mean recovery over the failures that were made, in seconds; `None` if the job did not catch up after one of
    /// them.
    pub fn measured_recovery(&self) -> Option<f64> {
        mean(self.recoveries.iter().map(|recovered| recovered.total))
    }

    /// Mean age of the snapshots that were restored, in seconds.
    pub fn sampled_age(&self) -> Option<f64> {
        mean(self.recoveries.iter().map(|recovered| Some(recovered.age)))
    }
}

impl Curve {
    /// Mean recovery R after a failure at a random time, in seconds; `None` if the job did not catch up after one of
    /// the failures.
    pub fn recovery(&self, point: &Point) -> Option<f64> {
        Some(point.measured_recovery()? * self.sampling(point))
    }

    /// The recovery at random times divided by the recovery at the times tried, as far as the ages of snapshots explain
    /// it; 1 if that is not known.
    pub(super) fn sampling(&self, point: &Point) -> f64 {
        let ratio = || {
            let (period, cost) = (point.period?, point.cost?);
            let capacity = capacity_with_checkpoints(self.capacity, self.rate, cost, period).ok()?;
            let outage = point.outage()?;
            let at = |age: f64| total(self.rate, capacity, age, outage).ok();
            let ratio = at(mean_snapshot_age(period, point.duration?).ok()?)? / at(point.sampled_age()?)?;
            Some(ratio).filter(|ratio| ratio.is_finite() && *ratio > 0.0)
        };
        ratio().unwrap_or(1.0)
    }
}

#[cfg(test)]
mod tests {
    use crate::formulas::load::expected_recovery;
    use crate::formulas::recovery::total;
    use crate::tuning::analysis::inputs;
    use crate::tuning::{Curve, Recovered, fixtures};

    /// A curve whose recoveries follow the formula exactly. Each point has this many recoveries at evenly spaced
    /// phases.
    fn exact(failures: u32) -> Curve {
        let mut curve = fixtures::set().curves.remove(0);
        let (rate, capacity) = (curve.rate, curve.capacity);
        for point in &mut curve.points {
            (point.duration, point.cost) = (Some(1.3), Some(0.4));
            let period = point.interval.max(2.0);
            point.period = Some(period);
            let effective = capacity * (1.0 - 0.4 / period);
            let recovered = |failure: u32| {
                let phase = (f64::from(failure) + 0.5) / f64::from(failures);
                let since = phase * period;
                // A checkpoint in progress cannot be restored.
                let age = if since < 1.3 { since + period } else { since };
                let total = total(rate, effective, age, 6.0).ok();
                Recovered { phase, age, outage: 6.0, total, state_load: None }
            };
            point.recoveries = (0..failures).map(recovered).collect();
        }
        curve
    }

    #[test]
    fn a_few_failures_say_what_random_ones_cost() {
        let set = fixtures::set();
        for failures in [1, 2, 3, 6, 12] {
            let curve = exact(failures);
            let load = inputs(&set, &curve, 3_600.0).unwrap();
            let mut off = 0.0_f64;
            for point in &curve.points {
                let expected = expected_recovery(point.period.unwrap(), &load).unwrap();
                assert!((curve.recovery(point).unwrap() / expected - 1.0).abs() < 1e-9, "{failures} failures");
                off = off.max((point.measured_recovery().unwrap() / expected - 1.0).abs());
            }
            assert!(off > 0.04, "{failures} failures are off by {off} without it");
        }
    }

    #[test]
    fn a_capacity_that_is_off_hardly_matters() {
        let truth = exact(3);
        let load = inputs(&fixtures::set(), &truth, 3_600.0).unwrap();
        for factor in [0.95, 1.05] {
            let curve = Curve { capacity: truth.capacity * factor, ..truth.clone() };
            for point in curve.points.iter().filter(|point| point.interval > 2.0) {
                let expected = expected_recovery(point.period.unwrap(), &load).unwrap();
                let off = curve.recovery(point).unwrap() / expected - 1.0;
                assert!(off.abs() < 0.005, "{off} at {}", point.interval);
            }
        }
    }

    #[test]
    fn what_is_not_known_is_left_as_measured() {
        let mut curve = exact(4);
        let mean = curve.points[2].measured_recovery();
        assert_ne!(curve.recovery(&curve.points[2]), mean);
        curve.points[2].duration = None;
        assert_eq!(curve.recovery(&curve.points[2]), mean);
        curve.points[2].recoveries[0].total = None;
        assert_eq!(curve.recovery(&curve.points[2]), None);
        curve.points[2].recoveries.clear();
        assert_eq!((curve.recovery(&curve.points[2]), curve.sampling(&curve.points[2])), (None, 1.0));
    }
}
