//! Compares the rules of thumb with measurements: interval = duration + pause, recovery = duration + state load, larger
//! state means longer checkpoints. Beside each is the formula for the same quantity that holds.
//!
//! Start at [`intervals`], [`recoveries`] and [`sizes`]. A ratio is the rule divided by the measurement: 1 is right.

use super::analysis::inputs;
use super::{Curve, Point, TuningSet};
use crate::formulas::recovery::{capacity_with_checkpoints, total};
use crate::formulas::state::full_duration;
use crate::numbers::{extremes, median};

/// A rule is right if it is at most this far off, as a share.
pub(super) const RIGHT: f64 = 0.05;

/// A rule over some points: the rule divided by the measurement at each.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Ratios(Vec<f64>);

impl Ratios {
    pub(super) fn of(values: impl Iterator<Item = Option<f64>>) -> Ratios {
        Ratios(values.flatten().filter(|ratio| ratio.is_finite()).collect())
    }

    /// How many points were compared.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// How many of them are right.
    pub(super) fn right(&self) -> usize {
        self.0.iter().filter(|ratio| (**ratio - 1.0).abs() <= RIGHT).count()
    }

    /// The median.
    pub(super) fn median(&self) -> Option<f64> {
        median(self.0.iter().copied())
    }

    /// The smallest and the largest.
    pub(super) fn ends(&self) -> Option<(f64, f64)> {
        extremes(self.0.iter().copied())
    }
}

fn passed(curve: &Curve) -> impl Iterator<Item = &Point> {
    curve.points.iter().filter(|point| point.passed())
}

/// The period of checkpoints by the rule of thumb `d + P`, and by the engine's `max(I, P, d + P)`.
pub(super) fn intervals(set: &TuningSet, curve: &Curve) -> (Ratios, Ratios) {
    let thumb = |point: &Point| Some((point.duration? + set.min_pause) / point.period?);
    let engine = |point: &Point| {
        let gap = (point.duration? + set.min_pause).max(point.interval).max(set.min_pause);
        Some(gap / point.period?)
    };
    (Ratios::of(passed(curve).map(thumb)), Ratios::of(passed(curve).map(engine)))
}

/// Recoveries: how close the rule of thumb and the formula are.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RecoveryRules {
    /// `d + state load` divided by the outage D; empty if the loading of state was not measured separately.
    pub(super) thumb_outage: Ratios,
    /// `d + state load` divided by the recovery R.
    pub(super) thumb_total: Ratios,
    /// `R = (D·μₑ + λ·A)/(μₑ − λ)` divided by the measured R, with c and D measured once and the ages A that were
    /// found.
    pub(super) expected: Ratios,
}

/// Recoveries of one curve.
pub(super) fn recoveries(set: &TuningSet, curve: &Curve) -> RecoveryRules {
    let thumb = |point: &Point| Some(point.duration? + point.state_load()?);
    // R does not depend on how often failures come.
    let load = inputs(set, curve, 1.0);
    // With the ages found, not `T/2 + d`: a few failures have another mean age, and the formula is not to blame for
    // that.
    let expected = |point: &Point| {
        let load = load.as_ref()?;
        let capacity = capacity_with_checkpoints(load.capacity, load.rate, load.cost, point.period?).ok()?;
        total(load.rate, capacity, point.sampled_age()?, load.outage).ok()
    };
    RecoveryRules {
        thumb_outage: Ratios::of(passed(curve).map(|point| Some(thumb(point)? / point.outage()?))),
        thumb_total: Ratios::of(passed(curve).map(|point| Some(thumb(point)? / point.measured_recovery()?))),
        expected: Ratios::of(passed(curve).map(|point| Some(expected(point)? / point.measured_recovery()?))),
    }
}

/// Duration over state size, for one backend and load.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sizes {
    /// State backend.
    pub(super) backend: String,
    /// Load ρ.
    pub(super) load: f64,
    /// d₀ in seconds, and B in bytes per second and subtask, from the smallest and the largest state. `None` with fewer
    /// than two sizes, or if a larger state takes no longer.
    pub(super) fit: Option<(f64, f64)>,
    /// Bytes, measured median duration in seconds, and the duration by the fit.
    pub(super) rows: Vec<(f64, f64, Option<f64>)>,
}

/// All sizes, one entry per backend and load.
pub(super) fn sizes(set: &TuningSet) -> Vec<Sizes> {
    let mut all: Vec<Sizes> = Vec::new();
    for curve in &set.curves {
        let bytes = median(passed(curve).map(|point| point.state));
        let duration = median(passed(curve).filter_map(|point| point.duration));
        let (Some(bytes), Some(duration)) = (bytes, duration) else { continue };
        match all.iter_mut().find(|sizes| (&sizes.backend, sizes.load) == (&curve.backend, curve.load)) {
            Some(sizes) => sizes.rows.push((bytes, duration, None)),
            None => {
                let rows = vec![(bytes, duration, None)];
                all.push(Sizes { backend: curve.backend.clone(), load: curve.load, fit: None, rows });
            }
        }
    }
    for sizes in &mut all {
        sizes.rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        sizes.fit = fit(&sizes.rows, f64::from(set.parallelism));
        for (bytes, _, fitted) in &mut sizes.rows {
            *fitted = sizes.fit.and_then(|(fixed, bandwidth)| {
                full_duration(fixed, *bytes, f64::from(set.parallelism), bandwidth).ok()
            });
        }
    }
    all
}

/// `d = d₀ + S/(p·B)` through the first and the last row, with d₀ not below zero.
fn fit(rows: &[(f64, f64, Option<f64>)], parallelism: f64) -> Option<(f64, f64)> {
    let ((s0, d0, _), (s1, d1, _)) = (rows.first()?, rows.last()?);
    let per_byte = (d1 - d0) / (s1 - s0);
    let fits = per_byte.is_finite() && per_byte > 0.0;
    fits.then(|| ((d0 - per_byte * s0).max(0.0), 1.0 / (parallelism * per_byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuning::fixtures;

    #[test]
    fn the_engines_rule_is_exact_and_the_thumb_is_right_only_when_checkpoints_are_long() {
        let set = fixtures::set();
        // fs, 1 GiB: 4.4 s of checkpoint in an interval of 2 s.
        let (thumb, engine) = intervals(&set, &set.curves[2]);
        assert_eq!((engine.count(), engine.right()), (7, 7));
        assert_eq!(thumb.right(), 2, "{thumb:?}");
        assert!(thumb.ends().unwrap().0 < 0.02);
        let (thumb, _) = intervals(&set, &set.curves[7]);
        assert_eq!(thumb.count(), 6, "the point that got stuck is not compared");
    }

    #[test]
    fn the_formula_meets_recoveries_and_the_thumb_leaves_out_the_rest() {
        let mut set = fixtures::set();
        let rules = recoveries(&set, &set.curves[0]);
        assert!(rules.expected.ends().is_some_and(|(low, high)| low > 0.9 && high < 1.1), "{rules:?}");
        assert!(rules.thumb_outage.median().unwrap() < 0.5);
        for point in &mut set.curves[0].points {
            point.recoveries.iter_mut().for_each(|recovered| recovered.state_load = None);
        }
        assert_eq!(recoveries(&set, &set.curves[0]).thumb_outage.count(), 0);
    }

    #[test]
    fn durations_are_fitted_by_two_points() {
        let set = fixtures::set();
        let all = sizes(&set);
        assert_eq!(all.len(), 4);
        let (fixed, bandwidth) = all[0].fit.unwrap();
        assert!((fixed / 0.3 - 1.0).abs() < 0.1, "{fixed}");
        // 4 ms per MiB over four subtasks.
        assert!((bandwidth / (1_048_576.0 / 0.016) - 1.0).abs() < 0.1, "{bandwidth}");
        for (_, measured, fitted) in &all[0].rows {
            assert!((fitted.unwrap() / measured - 1.0).abs() < 1e-9, "the fit goes through both");
        }
        assert_eq!(fit(&[(1.0, 2.0, None), (5.0, 1.0, None)], 1.0), None, "larger and faster");
        assert_eq!(fit(&[(1.0, 2.0, None)], 1.0), None);
    }
}
