//! The probability of a failure along its run: where it was decided.
//!
//! For `k` events of a failing run, the run is made again and again with the same first `k` events and all timing behind them drawn
//! anew; the share that still fails is a point of the curve. Before the step of the curve the failure was a matter of luck; behind
//! it it was settled. Start at [`FailureCurve`]; [`text`] and [`svg`] draw it, `flowquake when` measures it.
//!
//! Invariant: (PROBABILITY-C1) points are ordered by events, and each share is inside of its interval.

use serde::{Deserialize, Serialize};

pub mod html;
pub mod svg;
pub mod text;

/// The curve of one failing plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailureCurve {
    /// Name of the scenario.
    pub scenario: String,
    /// Its seed.
    pub seed: u64,
    /// The plan's file.
    pub plan: String,
    /// What counts as the same failure: the class, and the oracle if it has one.
    pub failure: String,
    /// Events of the failing run.
    pub events: u64,
    /// What was measured, ordered by [`CurvePoint::after_events`].
    pub points: Vec<CurvePoint>,
    /// The narrowest stretch over which the curve rises for certain ([`decided`]).
    pub step: Option<Step>,
    /// When each fault of the plan first struck in the failing run.
    pub strikes: Vec<Strike>,
    /// Runs made in all.
    pub runs: u64,
}

/// One point: runs that share their first events with the failing run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// How many events they share.
    pub after_events: u64,
    /// Runs made.
    pub runs: u64,
    /// Those that failed in the same way.
    pub failed: u64,
    /// Those that failed in another way.
    pub failed_otherwise: u64,
    /// Share of those that failed in the same way.
    pub share: f64,
    /// Lower end of the 95 % interval of that share (Wilson's).
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// Where the failure was decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Behind so many events it was open …
    pub from: u64,
    /// … and behind so many settled, or more so.
    pub to: u64,
    /// The share at [`Step::from`].
    pub before: f64,
    /// The share at [`Step::to`].
    pub after: f64,
    /// The events between, as text: the first ones.
    pub events: Vec<String>,
}

/// A fault, and when it struck first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strike {
    /// Position in the plan, from 1.
    pub fault: u32,
    /// Its kind.
    pub kind: String,
    /// So many events came first.
    pub after_events: u64,
}

impl CurvePoint {
    /// A point with its share and interval.
    pub fn new(after_events: u64, runs: u64, failed: u64, failed_otherwise: u64) -> Self {
        let share = if runs == 0 { 0.0 } else { failed as f64 / runs as f64 };
        let (low, high) = wilson(failed, runs);
        assert!(low <= share && share <= high, "PROBABILITY-C1");
        Self { after_events, runs, failed, failed_otherwise, share, low, high }
    }
}

impl FailureCurve {
    /// The ends of the lines: the points, and behind all events the failing run itself.
    pub(crate) fn corners(&self) -> Vec<(u64, f64)> {
        let points = self.points.iter().map(|point| (point.after_events, point.share));
        points.filter(|(at, _)| *at < self.events).chain([(self.events, 1.0)]).collect()
    }
}

/// The narrowest stretch of events over which the share rises for certain: the intervals of its ends do not meet. Of several as narrow the
/// one with the largest rise, then the last. The failing run itself stands behind its last event, and fails for certain.
pub fn decided(points: &[CurvePoint], events: u64) -> Option<(u64, u64)> {
    let whole =
        CurvePoint { after_events: events, runs: 1, failed: 1, failed_otherwise: 0, share: 1.0, low: 1.0, high: 1.0 };
    let all: Vec<&CurvePoint> = points.iter().filter(|point| point.after_events < events).chain([&whole]).collect();
    let mut best: Option<(u64, u64, f64)> = None;
    for (at, to) in all.iter().enumerate() {
        // Of those before that differ for certain the last is the nearest.
        let Some(from) = all[..at].iter().rev().find(|from| from.high < to.low) else { continue };
        let (width, rise) = (to.after_events - from.after_events, to.share - from.share);
        if best.is_none_or(|(from, to, known)| width < to - from || (width == to - from && rise >= known)) {
            best = Some((from.after_events, to.after_events, rise));
        }
    }
    best.map(|(from, to, _)| (from, to))
}

/// Wilson's 95 % interval of a share.
pub fn wilson(failed: u64, runs: u64) -> (f64, f64) {
    /// Two-sided 95 % of the normal distribution.
    const Z: f64 = 1.959_963_984_540_054;
    if runs == 0 {
        return (0.0, 1.0);
    }
    let (n, share) = (runs as f64, failed as f64 / runs as f64);
    let middle = share + Z * Z / (2.0 * n);
    let half = Z * libm::sqrt(share * (1.0 - share) / n + Z * Z / (4.0 * n * n));
    let scale = 1.0 + Z * Z / n;
    // Rounding must not put a share of nothing, or of all, outside of its interval.
    (((middle - half) / scale).clamp(0.0, share), ((middle + half) / scale).clamp(share, 1.0))
}

/// `35 %`.
pub(crate) fn percent(share: f64) -> String {
    format!("{} %", libm::round(share * 100.0))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::ansi::Color;

    pub(crate) fn curve() -> FailureCurve {
        let point = CurvePoint::new;
        FailureCurve {
            scenario: "small".into(),
            seed: 7,
            plan: "small-seed-7.json".into(),
            failure: "failed O1".into(),
            events: 400,
            points: vec![point(0, 20, 0, 0), point(100, 20, 1, 0), point(199, 20, 2, 0), point(200, 20, 19, 1)],
            step: Some(Step {
                from: 199,
                to: 200,
                before: 0.1,
                after: 0.95,
                events: vec!["2.000 s tm-1 <sink-pre-committed>".into()],
            }),
            strikes: vec![Strike { fault: 1, kind: "kill".into(), after_events: 150 }],
            runs: 81,
        }
    }

    #[test]
    fn intervals_hold_their_shares_and_narrow() {
        assert_eq!(wilson(0, 0), (0.0, 1.0));
        for runs in [1, 7, 20, 1_000] {
            for failed in 0..=runs {
                let point = CurvePoint::new(1, runs, failed, 0);
                assert!(0.0 <= point.low && point.high <= 1.0);
            }
        }
        let width = |runs: u64| wilson(runs / 2, runs).1 - wilson(runs / 2, runs).0;
        assert!(width(20) > width(80) && width(80) > width(1_000));
        // By the formula, by hand: 0 of 20.
        assert!((wilson(0, 20).1 - 0.1611).abs() < 1e-4);
    }

    #[test]
    fn a_stretch_is_as_narrow_as_the_intervals_allow() {
        let of = |shares: &[(u64, u64)]| {
            let points: Vec<CurvePoint> =
                shares.iter().map(|(at, failed)| CurvePoint::new(*at, 20, *failed, 0)).collect();
            decided(&points, 400)
        };
        assert_eq!(of(&[(0, 0), (100, 1), (199, 2), (200, 19)]), Some((199, 200)));
        assert_eq!(
            of(&[(0, 8), (1, 13), (50, 9), (90, 14), (200, 20)]),
            Some((50, 200)),
            "what may be chance is no step"
        );
        assert_eq!(of(&[(0, 20), (100, 20)]), None, "it always fails");
        assert_eq!(of(&[(0, 0), (399, 0)]), Some((399, 400)), "decided at the last event");
        assert_eq!(of(&[]), None);
        assert_eq!(decided(&curve().points, 400), Some((199, 200)));
    }

    #[test]
    fn the_curve_as_text() {
        insta::assert_snapshot!(text::chart(&curve(), 60, text::Signs::Blocks, Color::No));
        let plain = text::chart(&curve(), 60, text::Signs::Ascii, Color::No);
        assert!(plain.is_ascii(), "{plain}");
        insta::assert_snapshot!(plain);
        for width in [0, 1, 20, 300] {
            text::chart(&curve(), width, text::Signs::Blocks, Color::No);
        }
    }

    #[test]
    fn the_curve_as_a_picture_escapes_and_keeps_inside() {
        let mut curve = curve();
        curve.strikes[0].kind = "<kill>".into();
        let picture = svg::picture(&curve);
        assert!(!picture.contains("<kill>") && picture.contains("&lt;kill&gt;"), "{picture}");
        assert!(!picture.contains("<sink"), "{picture}");
        insta::assert_snapshot!(picture);
        // Nothing was measured yet, and a run without an event.
        let empty = FailureCurve { events: 0, points: vec![], step: None, strikes: vec![], ..curve };
        assert!(svg::picture(&empty).starts_with("<svg") && !svg::picture(&empty).contains("NaN"));
        text::chart(&empty, 60, text::Signs::Blocks, Color::No);
    }
}
