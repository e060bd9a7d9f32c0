//! What a checkpoint costs if it writes only what changed since the one before: the longer the interval, the more.
//!
//! Start at [`of`]. `c(T) = c₀ + k·S·(1 − e^(−u·T))` ([`incremental_cost`]) is fitted to the shortest, the middle and
//! the longest measured interval, and compared with all others. A backend that writes everything at each checkpoint has
//! the same cost at every interval, and nothing is fitted. If the cost grows, Young's formula is not right: it uses the
//! cost at one interval to choose another.

use libm::{exp, expm1, log};

use super::rules::Ratios;
use super::{Curve, TuningSet};
use crate::formulas::state::incremental_cost;

/// A cost that grows by less than this factor over all intervals counts as constant.
const GROWS: f64 = 1.2;
/// Periods whose ratio is smaller than this count as one.
const SAME_PERIOD: f64 = 1.01;

/// `c(T)` of one curve.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Changes<'s> {
    /// The curve.
    pub(super) curve: &'s Curve,
    /// The fitted numbers.
    pub(super) fit: Fit,
    /// Formula divided by measurement, at the intervals that were not used for the fit.
    pub(super) ratios: Ratios,
}

/// The three numbers of the formula.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fit {
    /// c₀: cost of a checkpoint without changes, seconds.
    pub(super) fixed: f64,
    /// k·S: the additional cost of writing everything, in seconds.
    pub(super) all: f64,
    /// u: updates of a key per second.
    pub(super) updates: f64,
}

impl Fit {
    fn at(&self, period: f64) -> Option<f64> {
        incremental_cost(self.fixed, 1.0, self.all, self.updates, period).ok()
    }

    /// Fits three points of (period, cost), both growing; `None` if no curve of this form goes through them. The cost
    /// without changes cannot be negative: if it would be, it is set to zero, and the first and the last point decide.
    fn through([(t0, c0), (t1, c1), (t2, c2)]: [(f64, f64); 3]) -> Option<Fit> {
        let updates = updates([t0, t1, t2], (c1 - c0) / (c2 - c0))?;
        let all = (c2 - c0) / (exp(-updates * t0) - exp(-updates * t2));
        let fixed = c0 + all * expm1(-updates * t0);
        let fit = if fixed >= 0.0 {
            Fit { fixed, all, updates }
        } else {
            let updates = self::updates([0.0, t0, t2], c0 / c2)?;
            Fit { fixed: 0.0, all: c2 / -expm1(-updates * t2), updates }
        };
        [fit.all, fit.fixed, fit.updates].iter().all(|number| number.is_finite()).then_some(fit)
    }
}

/// The rate u at which `share` of what changes from `t0` to `t2` has changed at `t1`. The share is that of a straight
/// line if keys hardly change, and all of it if they change at once.
fn updates([t0, t1, t2]: [f64; 3], share: f64) -> Option<f64> {
    let reached = |updates: f64| {
        let since = |period: f64| -expm1(-updates * (period - t0));
        since(t1) / since(t2)
    };
    let (mut low, mut high) = (log(1e-6 / t2), log(30.0 / (t1 - t0)));
    if !(reached(exp(low)) < share && share < reached(exp(high))) {
        return None;
    }
    // Halving 60 times narrows thirty orders of magnitude down to one double.
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if reached(exp(middle)) < share { low = middle } else { high = middle }
    }
    Some(exp(low))
}

/// Every curve whose cost grows with its period.
pub(super) fn of(set: &TuningSet) -> Vec<Changes<'_>> {
    set.curves.iter().filter_map(of_curve).collect()
}

fn of_curve(curve: &Curve) -> Option<Changes<'_>> {
    let passed = curve.points.iter().filter(|point| point.passed());
    let mut costs: Vec<(f64, f64)> = passed.filter_map(|point| Some((point.period?, point.cost?))).collect();
    costs.retain(|(period, cost)| *period > 0.0 && period.is_finite() && *cost > 0.0 && cost.is_finite());
    // At intervals shorter than a checkpoint takes, the period is always the same.
    costs.sort_by(|a, b| a.0.total_cmp(&b.0));
    costs.dedup_by(|a, b| a.0 <= b.0 * SAME_PERIOD);
    let [first, .., last] = costs[..] else { return None };
    if costs.len() < 4 || last.1 < first.1 * GROWS {
        return None;
    }
    // The middle in logarithms, because intervals are spread over orders of magnitude.
    let center = (log(first.0) + log(last.0)) / 2.0;
    let off = |index: &usize| (log(costs[*index].0) - center).abs();
    let middle = (1..costs.len() - 1).min_by(|a, b| off(a).total_cmp(&off(b)))?;
    let fit = Fit::through([first, costs[middle], last])?;
    let others = costs.iter().enumerate().filter(|(index, _)| ![0, middle, costs.len() - 1].contains(index));
    let ratios = Ratios::of(others.map(|(_, (period, cost))| Some(fit.at(*period)? / cost)));
    Some(Changes { curve, fit, ratios })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tuning::fixtures;

    /// The first curve of the fixture with these costs over its periods.
    fn with(cost: impl Fn(f64) -> f64) -> TuningSet {
        let mut set = fixtures::set();
        set.curves.truncate(1);
        for point in &mut set.curves[0].points {
            point.cost = point.period.map(&cost);
        }
        set
    }

    #[test]
    fn a_cost_of_this_form_is_found_again() {
        let truth = Fit { fixed: 0.02, all: 0.4, updates: 0.05 };
        let set = with(|period| truth.at(period).unwrap());
        let [changes] = &of(&set)[..] else { panic!("one curve") };
        let close = |got: f64, want: f64| (got / want - 1.0).abs() < 1e-6;
        let fit = changes.fit;
        assert!(close(fit.fixed, 0.02) && close(fit.all, 0.4) && close(fit.updates, 0.05), "{fit:?}");
        assert!(changes.ratios.count() > 0 && changes.ratios.right() == changes.ratios.count(), "{changes:?}");
    }

    #[test]
    fn a_cost_without_changes_is_never_negative() {
        let [first, middle, last] = [(17.1, 0.176), (72.4, 0.351), (300.0, 0.37)];
        let fit = Fit::through([first, middle, last]).unwrap();
        assert_eq!(fit.fixed, 0.0);
        for (period, cost) in [first, last] {
            assert!((fit.at(period).unwrap() / cost - 1.0).abs() < 1e-9, "{fit:?}");
        }
        assert!((fit.at(middle.0).unwrap() / middle.1 - 1.0).abs() < 0.05, "{fit:?}");
    }

    #[test]
    fn a_cost_that_does_not_grow_and_one_of_another_form_are_not_fitted() {
        assert_eq!(of(&with(|_| 0.3)), []);
        // Grows faster than a straight line.
        assert_eq!(of(&with(|period| period * period)), []);
        assert_eq!(of(&with(|_| f64::NAN)), []);
    }

    proptest! {
        #[test]
        fn costs_near_the_form_are_fitted_and_any_fit_is_finite(
            fixed in 0.0f64..1.0, all in 0.01f64..10.0, updates in 1e-3f64..1.0,
            noise in prop::collection::vec(0.98f64..1.02, 7),
        ) {
            let truth = Fit { fixed, all, updates };
            let mut set = with(|period| truth.at(period).unwrap());
            let grows = {
                let costs: Vec<f64> = set.curves[0].points.iter().map(|point| point.cost.unwrap()).collect();
                costs[6] / costs[0]
            };
            for (point, noise) in set.curves[0].points.iter_mut().zip(&noise) {
                point.cost = point.cost.map(|cost| cost * noise);
            }
            let fits = of(&set);
            // With a clear bend and enough growth there is a fit, and it is close at every interval.
            if grows > 3.0 && (0.01..0.1).contains(&updates) {
                prop_assert!(fits.len() == 1 && fits[0].ratios.count() == 4, "{fits:?}");
                let (low, high) = fits[0].ratios.ends().unwrap();
                prop_assert!(low > 0.8 && high < 1.25, "{low} to {high}");
            }
            for Fit { fixed, all, updates } in fits.iter().map(|changes| changes.fit) {
                prop_assert!([fixed, all, updates].iter().all(|number| number.is_finite() && *number >= 0.0));
            }
        }

        #[test]
        fn no_costs_break_it(
            costs in prop::collection::vec(prop_oneof![any::<f64>(), 1e-6f64..1e3], 7),
            periods in prop::collection::vec(prop_oneof![any::<f64>(), 1e-3f64..1e4], 7),
        ) {
            let mut set = fixtures::set();
            set.curves.truncate(1);
            for (index, point) in set.curves[0].points.iter_mut().enumerate() {
                (point.cost, point.period) = (Some(costs[index]), Some(periods[index]));
            }
            for Fit { fixed, all, updates } in of(&set).iter().map(|changes| changes.fit) {
                prop_assert!([fixed, all, updates].iter().all(|number| number.is_finite()));
            }
        }
    }
}
