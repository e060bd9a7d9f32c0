//! The probability of a failure along its run, which shows where the failure was decided.
//!
//! A failing run is made again many times with its first `k` events kept and all timing after them drawn anew. The
//! share of these runs that still fail is a point of the curve. Before the step of the curve the failure depends on
//! chance; after the step it is settled. Start at [`FailureCurve`]; [`text`] and [`svg`] draw it, `flowquake when`
//! measures it.
//!
//! Invariant: (PROBABILITY-C1) points are ordered by events, and each share is inside its interval.

use serde::{Deserialize, Serialize};

pub mod html;
pub mod svg;
pub mod text;

/// The curve of one failing plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailureCurve {
    /// Name of the scenario.
    pub scenario: String,
    /// The seed of the run.
    pub seed: u64,
    /// The plan's file.
    pub plan: String,
    /// What counts as the same failure: the class, and the oracle if it has one.
    pub failure: String,
    /// Number of events of the failing run.
    pub events: u64,
    /// The measured points, ordered by [`CurvePoint::after_events`].
    pub points: Vec<CurvePoint>,
    /// The narrowest stretch over which the curve certainly rises ([`decided`]).
    pub step: Option<Step>,
    /// When each fault of the plan first struck in the failing run.
    pub strikes: Vec<Strike>,
    /// Number of runs made in all.
    pub runs: u64,
}

/// One point: runs that share their first events with the failing run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// How many events they have in common.
    pub after_events: u64,
    /// Number of runs made.
    pub runs: u64,
    /// Number of runs that failed in the same way.
    pub failed: u64,
    /// Number of runs that failed in another way.
    pub failed_otherwise: u64,
    /// Share of those that failed in the same way.
    pub share: f64,
    /// Lower end of the 95 % interval of that share (Wilson's).
    pub low: f64,
    /// Upper end of that interval.
    pub high: f64,
}

/// Where the failure was decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// After this many events the failure was open …
    pub from: u64,
    /// … and after this many it was settled, or closer to it.
    pub to: u64,
    /// The share at [`Step::from`].
    pub before: f64,
    /// The share at [`Step::to`].
    pub after: f64,
    /// The first events in between, as text.
    pub events: Vec<String>,
}

/// A fault, and when it first struck.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strike {
    /// Position in the plan, from 1.
    pub fault: u32,
    /// The kind of fault.
    pub kind: String,
    /// How many events came before it.
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
    /// The corners of the line: the points, and after all events the failing run itself.
    pub(crate) fn corners(&self) -> Vec<(u64, f64)> {
        let points = self.points.iter().map(|point| (point.after_events, point.share));
        points.filter(|(at, _)| *at < self.events).chain([(self.events, 1.0)]).collect()
    }
}

/// The narrowest stretch of events over which the share certainly rises, which means that the intervals of its ends do
/// not overlap. Of several equally narrow ones it is the one with the largest rise, then the last. The failing run
/// itself counts as a point after its last event that certainly fails.
pub fn decided(points: &[CurvePoint], events: u64) -> Option<(u64, u64)> {
    let whole =
        CurvePoint { after_events: events, runs: 1, failed: 1, failed_otherwise: 0, share: 1.0, low: 1.0, high: 1.0 };
    let all: Vec<&CurvePoint> = points.iter().filter(|point| point.after_events < events).chain([&whole]).collect();
    let mut best: Option<(u64, u64, f64)> = None;
    for (at, to) in all.iter().enumerate() {
        // Of the earlier points that certainly differ, the last is the nearest.
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
    // Rounding must not put a share of 0 or 1 outside of its interval.
    (((middle - half) / scale).clamp(0.0, share), ((middle + half) / scale).clamp(share, 1.0))
}

/// Such as `35 %`.
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
        // Computed by hand from the formula: 0 of 20.
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
        // Nothing measured yet, and a run without events.
        let empty = FailureCurve { events: 0, points: vec![], step: None, strikes: vec![], ..curve };
        assert!(svg::picture(&empty).starts_with("<svg") && !svg::picture(&empty).contains("NaN"));
        text::chart(&empty, 60, text::Signs::Blocks, Color::No);
    }
}
