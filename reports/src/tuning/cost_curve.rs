//! What an interval costs between the measured ones, and where that is lowest.
//!
//! Both parts of the cost are smooth where their sum has its bend: the overhead `c/T` is a straight line in logarithms
//! as long as c is constant, and the recovery R is a straight line in T as long as the capacity is constant. So each
//! part is interpolated on its own. A straight line through the sums would lie up to a tenth above the true cost in a
//! coarse grid, and good choices would seem too expensive.
//!
//! Start at [`CostCurve::at`] and [`CostCurve::lowest`]. Invariant: no measured interval costs less than the
//! parabola at its vertex by more than chance explains, or else that interval is itself the lowest.

use libm::{log, pow};

use super::{Curve, Point, curve_fit};

/// By which factor a point may be cheaper than the true curve by chance.
const LUCK: f64 = 1.1;

/// One interval with both parts of its cost.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Measured {
    /// Period T, seconds, positive.
    period: f64,
    /// `c/T`.
    overhead: f64,
    /// Mean recovery R, seconds.
    recovery: f64,
}

/// The cost over the interval, at one mean time between failures.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CostCurve {
    /// By period.
    points: Vec<Measured>,
    /// Cost of a second of recovery, `w/M`.
    price: f64,
}

impl CostCurve {
    /// The points of a curve whose values are valid.
    pub(super) fn of(curve: &Curve, mtbf: f64, weight: f64) -> CostCurve {
        CostCurve::with(curve, mtbf, weight, |_, point| Some((point.cost?, curve.recovery(point)?)))
    }

    /// The same with other measurements: `measured` gets the index of a point and returns c and R, in seconds.
    pub(super) fn with(
        curve: &Curve,
        mtbf: f64,
        weight: f64,
        measured: impl Fn(usize, &Point) -> Option<(f64, f64)>,
    ) -> CostCurve {
        let passed = curve.points.iter().enumerate().filter(|(_, point)| point.passed());
        let points = passed.filter_map(|(index, point)| {
            let (period, (cost, recovery)) = (point.period?, measured(index, point)?);
            let one = Measured { period, overhead: cost / period, recovery };
            (period > 0.0 && [period, one.overhead, recovery].iter().all(|number| number.is_finite())).then_some(one)
        });
        let mut points: Vec<Measured> = points.collect();
        // At intervals shorter than a checkpoint takes, the period is always the same.
        points.sort_by(|a, b| a.period.total_cmp(&b.period));
        points.dedup_by(|a, b| a.period <= b.period * 1.01);
        CostCurve { points, price: weight / mtbf }
    }

    /// (period in seconds, cost per second) of every point, by period.
    pub(super) fn costs(&self) -> Vec<(f64, f64)> {
        self.points.iter().map(|point| (point.period, self.sum(point))).collect()
    }

    fn sum(&self, point: &Measured) -> f64 {
        point.overhead + self.price * point.recovery
    }

    /// Cost per second at a period in seconds; `None` outside of the measured range.
    pub(super) fn at(&self, period: f64) -> Option<f64> {
        Some(self.sum(&self.read_off(period)?))
    }

    /// Mean recovery at a period, both in seconds; `None` outside of the measured range.
    pub(super) fn recovery_at(&self, period: f64) -> Option<f64> {
        Some(self.read_off(period)?.recovery)
    }

    fn read_off(&self, period: f64) -> Option<Measured> {
        let next = self.points.iter().position(|point| point.period >= period * (1.0 - 1e-12))?;
        let to = self.points[next];
        if (to.period / period - 1.0).abs() < 1e-9 {
            return Some(to);
        }
        let from = *self.points.get(next.checked_sub(1)?)?;
        let share = (period - from.period) / (to.period - from.period);
        let overhead = match exponent(&from, &to) {
            Some(exponent) => from.overhead * pow(period / from.period, exponent),
            None => from.overhead + share * (to.overhead - from.overhead),
        };
        Some(Measured { period, overhead, recovery: from.recovery + share * (to.recovery - from.recovery) })
    }

    /// Where the cost is lowest: period in seconds and cost per second; `None` with fewer than three points.
    ///
    /// It is the vertex of a parabola through the points around it, because a single point may be cheap by chance. If a
    /// point costs less than the vertex by more than chance explains, the curve is not a parabola there, and the point
    /// itself is taken.
    pub(super) fn lowest(&self) -> Option<(f64, f64)> {
        let costs = self.costs();
        let (vertex, fitted) = curve_fit::lowest(&costs)?;
        let cheapest = costs.into_iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(if cheapest.1 * LUCK < fitted { cheapest } else { (vertex, self.at(vertex)?) })
    }
}

/// The power of the period that the overhead follows between two neighbours; `None` if it is zero.
fn exponent(from: &Measured, to: &Measured) -> Option<f64> {
    let exponent = log(to.overhead / from.overhead) / log(to.period / from.period);
    Some(exponent).filter(|exponent| exponent.is_finite())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Points of (period, c, R).
    fn curve(points: &[(f64, f64, f64)]) -> CostCurve {
        let point =
            |&(period, cost, recovery): &(f64, f64, f64)| Measured { period, overhead: cost / period, recovery };
        CostCurve { points: points.iter().map(point).collect(), price: 1.0 / 400.0 }
    }

    #[test]
    fn the_lowest_is_found_between_the_points() {
        // Young's curve with its optimum at 20.
        let points = [2.0, 5.0, 11.0, 27.0, 60.0, 140.0].map(|period| (period, 1.0, period));
        let (best, cost) = curve(&points).lowest().unwrap();
        assert!((best / 20.0 - 1.0).abs() < 0.05 && (cost / 0.1 - 1.0).abs() < 0.002, "{best} at {cost}");
        assert_eq!(curve(&points[..2]).lowest(), None);
        assert_eq!(curve(&points[3..]).lowest().unwrap().0, 27.0, "the range ends before the optimum");
    }

    #[test]
    fn costs_are_read_off_between_points_and_not_beyond_them() {
        let young = curve(&[(5.0, 1.0, 5.0), (50.0, 1.0, 50.0), (90.0, 1.0, 90.0)]);
        assert!((young.at(20.0).unwrap() - 0.1).abs() < 1e-12);
        assert!((young.recovery_at(20.0).unwrap() - 20.0).abs() < 1e-9);
        assert_eq!((young.at(4.9), young.at(91.0), young.at(f64::NAN)), (None, None, None));
        let free = curve(&[(5.0, 0.0, 5.0), (50.0, 0.0, 50.0), (90.0, 1.0, 90.0)]);
        assert_eq!(free.lowest().unwrap().0, 5.0, "nothing is lost to checkpoints");
    }

    #[test]
    fn luck_does_not_decide_and_evidence_does() {
        // Young's curve, with one point off by this factor.
        let off = |by: f64| {
            let points = [5.0, 8.0, 13.0, 20.0, 31.0, 50.0, 80.0].map(|period| {
                let lucky = if period == 31.0 { by } else { 1.0 };
                (period, lucky, lucky * period)
            });
            curve(&points).lowest().unwrap()
        };
        assert!((off(1.0).0 / 20.0 - 1.0).abs() < 0.02, "{:?}", off(1.0));
        // With an error of 11 % the point is still treated as chance.
        assert!((off(0.89).0 / 20.0 - 1.0).abs() < 0.15, "{:?}", off(0.89));
        assert_eq!(off(0.5).0, 31.0);
    }

    proptest! {
        #[test]
        fn nothing_measured_is_much_cheaper_than_the_lowest(
            steps in prop::collection::vec((1.02f64..4.0, 0.0f64..3.0, 0.1f64..900.0), 3..9),
        ) {
            let mut period = 1.0;
            let points: Vec<(f64, f64, f64)> = steps.iter().map(|(step, cost, recovery)| {
                period *= step;
                (period, *cost, *recovery)
            }).collect();
            let curve = curve(&points);
            let (best, lowest) = curve.lowest().unwrap();
            prop_assert!((curve.at(best).unwrap() / lowest - 1.0).abs() < 1e-9);
            let (_, fitted) = curve_fit::lowest(&curve.costs()).unwrap();
            let least = curve.costs().into_iter().map(|(_, cost)| cost).fold(f64::INFINITY, f64::min);
            prop_assert!(least * LUCK >= fitted || lowest == least, "{least}, {fitted}, {lowest}");
        }
    }
}
