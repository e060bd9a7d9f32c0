//! The time axis of a picture: turns nanoseconds into x, and places the ticks.
//!
//! Start at [`Axis::of`]. Coordinates are tenths of a user unit, in integers; [`px`] prints them. Here SVG-S1 is kept.

use super::{LEFT, RIGHT};
use crate::record::RunRecord;
use crate::units::SECOND;

/// Time to x, in tenths of a user unit.
pub(super) struct Axis {
    /// The right end of the axis.
    pub(super) end_ns: u64,
}

impl Axis {
    /// From zero to the latest time in the picture, because a record that was cut off may lack its length.
    pub(super) fn of(run: &RunRecord) -> Axis {
        let checkpoints = run.checkpoints.iter().map(|c| c.ended_at_ns.unwrap_or(c.triggered_at_ns));
        let faults = run.faults.iter().filter_map(|f| f.healed_at_ns.or(f.struck_at_ns));
        let end = checkpoints.chain(faults).chain([run.totals.virtual_ns, 1_000]).max();
        Axis { end_ns: end.unwrap_or(1_000) }
    }

    /// x of a time, in tenths; clamped to the plot (SVG-S1).
    pub(super) fn x(&self, ns: u64) -> u64 {
        let span = u128::from(10 * (RIGHT - LEFT));
        let offset = u128::from(ns.min(self.end_ns)) * span / u128::from(self.end_ns);
        10 * LEFT + offset as u64
    }

    /// x and width of a span in tenths. It is at least `least` wide and inside the plot (SVG-S1).
    pub(super) fn span(&self, from_ns: u64, to_ns: u64, least: u64) -> (u64, u64) {
        let x = self.x(from_ns).min(10 * RIGHT - least);
        (x, (self.x(to_ns).saturating_sub(x)).max(least))
    }

    /// Distance of ticks: the smallest of 1, 2 or 5 times a power of ten that gives at most twelve ticks.
    pub(super) fn tick_ns(&self) -> u64 {
        let mut step = 1;
        loop {
            for factor in [1, 2, 5] {
                let tick = step * factor;
                if self.end_ns / tick <= 12 {
                    return tick;
                }
            }
            // `u64::MAX / 5e18` is 3, so the loop ends before this overflows.
            step *= 10;
        }
    }
}

/// Tenths as a number of user units.
pub(crate) fn px(tenths: u64) -> String {
    match tenths % 10 {
        0 => (tenths / 10).to_string(),
        rest => format!("{}.{rest}", tenths / 10),
    }
}

/// The label of a tick. All ticks of an axis have the same unit, chosen by their distance.
pub(super) fn tick_label(at_ns: u64, tick_ns: u64) -> String {
    let (unit_ns, unit) = match tick_ns {
        0..1_000 => (1, "ns"),
        1_000..1_000_000 => (1_000, "µs"),
        1_000_000..100_000_000 => (1_000_000, "ms"),
        _ => (SECOND, "s"),
    };
    match at_ns % unit_ns * 10 / unit_ns {
        0 => format!("{} {unit}", at_ns / unit_ns),
        tenth => format!("{}.{tenth} {unit}", at_ns / unit_ns),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures;

    #[test]
    fn ticks_are_nice_and_few() {
        assert_eq!(Axis { end_ns: 12 * SECOND }.tick_ns(), SECOND);
        assert_eq!(Axis { end_ns: 13 * SECOND }.tick_ns(), 2 * SECOND);
        assert_eq!(Axis { end_ns: 1 }.tick_ns(), 1);
        assert!(u64::MAX / Axis { end_ns: u64::MAX }.tick_ns() <= 12);
        assert_eq!(tick_label(500_000_000, 500_000_000), "0.5 s");
        assert_eq!(tick_label(40_000_000, 20_000_000), "40 ms");
    }

    proptest! {
        #[test]
        fn every_time_is_inside_the_plot(run in fixtures::any_run(), from in any::<u64>(), to in any::<u64>()) {
            let axis = Axis::of(&run);
            let x = axis.x(from);
            prop_assert!((10 * LEFT..=10 * RIGHT).contains(&x), "SVG-S1");
            let (x, width) = axis.span(from, to, 20);
            prop_assert!(width >= 20 && x + width <= 10 * RIGHT, "SVG-S1");
        }
    }
}
