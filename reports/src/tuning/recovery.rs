//! What a failure at a random time costs, from failures at a few times.
//!
//! The failures of a point strike at even phases of the period, and those that strike while a checkpoint is under way go back
//! to the one before. How many do is a whole number: of six failures one or none, where d/T says a fifth of one. So the mean age
//! of the restored snapshots is off by up to half a period over the number of failures, and the mean recovery by that
//! times `λ/(μ_eff − λ)`; more than what the costs of neighbouring intervals differ by. The age that random failures find
//! is known, though: `T/2 + d`. Start at [`Curve::recovery`], which takes what the sample is off out of the mean.
//!
//! A control variate with a given coefficient: Glasserman 2003, section 4.1. A wrong coefficient leaves noise and no bias.

use super::{Curve, Point, mean};
use crate::formulas::load::mean_snapshot_age;
use crate::formulas::recovery::capacity_with_checkpoints;

impl Curve {
    /// Mean recovery R after a failure at a random time, seconds; `None` if one of the failures was not caught up with.
    pub fn recovery(&self, point: &Point) -> Option<f64> {
        let measured = mean(point.recoveries.iter().map(|recovered| recovered.total))?;
        Some(measured + self.sampling(point))
    }

    /// What the recoveries of a point have to be corrected by, since their snapshots were not as old as those of random
    /// failures, seconds; zero where that is not known.
    pub(super) fn sampling(&self, point: &Point) -> f64 {
        let off = || {
            let (period, duration, cost) = (point.period?, point.duration?, point.cost?);
            let expected = mean_snapshot_age(period, duration).ok()?;
            let capacity = capacity_with_checkpoints(self.capacity, self.rate, cost, period).ok()?;
            let sampled = mean(point.recoveries.iter().map(|recovered| Some(recovered.age)))?;
            Some((expected - sampled) * self.rate / (capacity - self.rate)).filter(|off| off.is_finite())
        };
        off().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use crate::formulas::load::expected_recovery;
    use crate::formulas::recovery::total;
    use crate::tuning::analysis::inputs;
    use crate::tuning::{Curve, Recovered, fixtures};

    /// A curve whose recoveries follow the formula to the digit, each point with this many at even phases.
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
                // A checkpoint under way is none to go back to.
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
        for failures in [1, 2, 3, 6, 12] {
            let curve = exact(failures);
            let set = fixtures::set();
            let load = inputs(&set, &curve, 3_600.0).unwrap();
            let mut off = 0.0_f64;
            for point in &curve.points {
                let expected = expected_recovery(point.period.unwrap(), &load).unwrap();
                assert!((curve.recovery(point).unwrap() / expected - 1.0).abs() < 1e-9, "{failures} failures");
                off = off.max((curve.sampling(point) / expected).abs());
            }
            assert!(off > 0.04, "{failures} failures are off by {off} without it");
        }
    }

    #[test]
    fn what_is_not_known_is_left_as_measured() {
        let mut curve = exact(4);
        let mean = curve.recovery(&curve.points[2]).unwrap() - curve.sampling(&curve.points[2]);
        curve.points[2].duration = None;
        assert_eq!(curve.recovery(&curve.points[2]), Some(mean));
        curve.points[2].recoveries[0].total = None;
        assert_eq!(curve.recovery(&curve.points[2]), None);
        curve.points[2].recoveries.clear();
        assert_eq!((curve.recovery(&curve.points[2]), curve.sampling(&curve.points[2])), (None, 0.0));
    }
}
