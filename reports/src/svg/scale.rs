//! Logarithmic scales: where a positive number is placed, which ticks an axis has, and a formula as points to draw.
//!
//! Start at [`Axis`], which a [`Plot`](super::plot::Plot) gets for each of its two axes. Logarithms are from `libm`, so
//! that everything is placed at the same tenth of a unit on every machine.
//!
//! Invariant: (L1) a scale is monotone, and everything that it places is inside the plot.

use libm::{floor, log, log10, pow};

use crate::numbers::chosen;

/// Number of points of a formula's line.
const STEPS: usize = 80;

/// One axis: what it shows, its range, and its ticks.
pub(crate) struct Axis {
    /// Name of the axis, with the unit if the ticks have none.
    pub(crate) name: &'static str,
    /// The smallest and the largest value, both positive.
    pub(crate) range: Option<(f64, f64)>,
    /// Whether the smallest value is at the top.
    pub(crate) reversed: bool,
    /// Text of a tick.
    pub(crate) label: fn(f64) -> String,
    /// Ticks within a range.
    pub(crate) ticks: fn((f64, f64)) -> Vec<f64>,
}

impl Axis {
    /// The axis of the period T over a range, seconds.
    pub(crate) fn period(range: Option<(f64, f64)>) -> Axis {
        Axis { name: "period T, trigger to trigger", range, reversed: false, label: chosen, ticks: times }
    }
}

/// Maps positive numbers to tenths of a user unit, logarithmically.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    pub(super) from: f64,
    pub(super) to: f64,
    /// Positions of `from` and `to`; the first may be the larger one.
    ends: (u64, u64),
}

impl Scale {
    /// A scale over a range of positive numbers. A range of zero width is widened, and an invalid range becomes 1 to
    /// 10.
    pub(super) fn new(range: Option<(f64, f64)>, ends: (u64, u64)) -> Scale {
        let sound = |(from, to): &(f64, f64)| *from > 0.0 && from <= to && (to / from).is_finite();
        let (from, to) = range.filter(sound).unwrap_or((1.0, 10.0));
        if to / from < 1.5 { Scale { from: from / 1.3, to: to * 1.3, ends } } else { Scale { from, to, ends } }
    }

    /// Whether a value is inside.
    pub(super) fn holds(&self, value: f64) -> bool {
        value >= self.from * (1.0 - 1e-9) && value <= self.to * (1.0 + 1e-9)
    }

    /// Position of a value in tenths. A value outside gets the nearest end, and NaN gets the position of the smallest
    /// value (L1).
    pub(super) fn place(&self, value: f64) -> u64 {
        // The logarithm of a value that is not positive would be NaN.
        let share = (log(value.max(self.from) / self.from) / log(self.to / self.from)).clamp(0.0, 1.0);
        let (from, to) = (self.ends.0 as f64, self.ends.1 as f64);
        (from + share * (to - from) + 0.5) as u64
    }
}

/// 1, 2 and 5 times the powers of ten within a range; only the powers of ten if that would be too many.
pub(crate) fn decades((from, to): (f64, f64)) -> Vec<f64> {
    if !(from > 0.0 && from <= to && to.is_finite()) {
        return vec![];
    }
    let powers = floor(log10(from)) as i32..=floor(log10(to)) as i32;
    let all = |factors: &[f64]| -> Vec<f64> {
        let ticks = powers.clone().flat_map(|power| factors.iter().map(move |factor| factor * pow(10.0, power.into())));
        ticks.filter(|tick| *tick >= from * (1.0 - 1e-9) && *tick <= to * (1.0 + 1e-9)).collect()
    };
    let ticks = [all(&[1.0, 2.0, 5.0]), all(&[1.0, 3.0]), all(&[1.0])];
    let few = ticks.iter().find(|ticks| ticks.len() <= 9).unwrap_or(&ticks[2]);
    // A range of less than a decade may contain too few of these.
    if few.len() < 2 { all(&[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]) } else { few.clone() }
}

/// Round times within a range, in seconds: round in units of a clock, not in powers of ten.
pub(crate) fn times((from, to): (f64, f64)) -> Vec<f64> {
    const ROUND: [f64; 18] = [
        1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_200.0, 1_800.0, 3_600.0, 7_200.0, 18_000.0,
        43_200.0, 86_400.0, 604_800.0,
    ];
    let below = (-6..0).flat_map(|power| [1.0, 2.0, 5.0].map(|factor| factor * pow(10.0, power.into())));
    below.chain(ROUND).filter(|time| *time >= from && *time <= to).collect()
}

/// A range extended by this factor on both sides.
pub(crate) fn wider(range: Option<(f64, f64)>, by: f64) -> Option<(f64, f64)> {
    range.map(|(from, to)| (from / by, to * by))
}

/// A formula as points of a line over a range, evenly spaced on the logarithmic scale. Points where it has no value are
/// left out.
pub(crate) fn model(range: Option<(f64, f64)>, formula: impl Fn(f64) -> Option<f64>) -> Vec<(f64, f64)> {
    let Some((from, to)) = range else { return vec![] };
    let at = |step: usize| from * pow(to / from, step as f64 / STEPS as f64);
    (0..=STEPS).filter_map(|step| Some((at(step), formula(at(step))?))).collect()
}

/// Such as `99.9 %`: a tick of the availability, where the distance to 100 % is what is drawn.
pub(crate) fn short_availability(late: f64) -> String {
    format!("{} %", 100.0 - (late * 1e8).round() / 1e6)
}

/// Such as `2 %`, `0.5 %`: ticks have no trailing zeros.
pub(crate) fn short_percent(share: f64) -> String {
    format!("{} %", (share * 1e8).round() / 1e6)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(decades((0.9, 60.0)), [1.0, 2.0, 5.0, 10.0, 20.0, 50.0]);
        assert_eq!(decades((1.0, 1e6)).len(), 7);
        assert_eq!(decades((1.4, 3.3)), [1.5, 2.0, 3.0]);
        assert!(decades((0.0, 1.0)).is_empty() && decades((f64::NAN, 1.0)).is_empty());
    }

    #[test]
    fn a_scale_has_its_ends_and_its_middle() {
        let scale = Scale::new(Some((1.0, 100.0)), (100, 300));
        assert_eq!([1.0, 10.0, 100.0, 1e9, 1e-9].map(|value| scale.place(value)), [100, 200, 300, 300, 100]);
        let reversed = Scale::new(Some((1.0, 100.0)), (300, 100));
        assert_eq!(reversed.place(1.0), 300);
        assert!(Scale::new(Some((5.0, 5.0)), (0, 10)).holds(5.0), "a range of nothing is widened");
    }

    #[test]
    fn times_are_those_of_a_clock() {
        assert_eq!(times((0.4, 70.0)), [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0]);
    }

    proptest! {
        #[test]
        fn every_place_is_inside(from in any::<f64>(), to in any::<f64>(), a in any::<f64>(), b in any::<f64>()) {
            let scale = Scale::new(Some((from, to)), (10, 20));
            for value in [a, b] {
                prop_assert!((10..=20).contains(&scale.place(value)), "L1");
            }
            if a <= b {
                prop_assert!(scale.place(a) <= scale.place(b), "L1");
            }
        }

        #[test]
        fn what_is_larger_stands_farther(from in 1e-6f64..1e6, by in 1.5f64..1e6, a in 0.0f64..1.0, b in 0.0f64..1.0) {
            let scale = Scale::new(Some((from, from * by)), (1_000, 5_000));
            let (a, b) = (from * pow(by, a.min(b)), from * pow(by, a.max(b)));
            prop_assert!(scale.holds(a) && scale.holds(b));
            prop_assert!(scale.place(a) <= scale.place(b), "L1");
            let reversed = Scale::new(Some((from, from * by)), (5_000, 1_000));
            prop_assert!(reversed.place(a) >= reversed.place(b), "L1");
        }
    }
}
