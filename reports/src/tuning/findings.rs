//! A tuning set together with its analysis, from which every document is made.
//!
//! Start at [`Findings::of`]; [`Findings::curves`] iterates over curves with their advice, and a [`Case`] is one curve
//! at one failure rate.

use super::analysis::{Advice, Recommendation, advise, recommend};
use super::cost_curve::CostCurve;
use super::{Curve, TuningSet};
use crate::{numbers, units};

/// A set, the advice for each of its curves, and the comparison of the backends.
#[derive(Debug, Clone)]
pub struct Findings<'s> {
    /// What was measured.
    pub set: &'s TuningSet,
    /// Advice for every curve and failure rate, in that order.
    pub advice: Vec<Advice>,
    /// The comparison of backends for every state size, load and failure rate.
    pub recommendations: Vec<Recommendation>,
}

/// One curve at one failure rate.
#[derive(Debug, Clone, Copy)]
pub struct Case<'f> {
    /// The set that it belongs to.
    pub set: &'f TuningSet,
    /// The curve.
    pub curve: &'f Curve,
    /// The advice for it.
    pub advice: &'f Advice,
}

impl<'s> Findings<'s> {
    /// Analyses a set.
    pub fn of(set: &'s TuningSet) -> Findings<'s> {
        let advice = advise(set);
        let recommendations = recommend(set, &advice);
        Findings { set, advice, recommendations }
    }

    /// Every curve with its cases, one per failure rate.
    pub fn curves(&self) -> impl Iterator<Item = (&Curve, Vec<Case<'_>>)> {
        // Without failure rates there is no advice, and chunks of size zero are not allowed.
        let mut chunks = self.advice.chunks(self.set.mtbf.len().max(1));
        self.set.curves.iter().map(move |curve| {
            let advice = chunks.next().unwrap_or_default();
            (curve, advice.iter().map(|advice| Case { set: self.set, curve, advice }).collect())
        })
    }

    /// The case of one backend in a recommendation.
    pub(super) fn case_of(&self, recommendation: &Recommendation, backend: &str) -> Option<Case<'_>> {
        let key = (recommendation.state, recommendation.load, recommendation.mtbf);
        self.cases().find(|case| {
            (case.advice.state, case.advice.load, case.advice.mtbf) == key && case.advice.backend == backend
        })
    }

    /// Every case.
    pub fn cases(&self) -> impl Iterator<Item = Case<'_>> {
        self.curves().flat_map(|(_, cases)| cases)
    }
}

/// An end of the measured range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Shortest,
    Longest,
}

impl Case<'_> {
    /// (period in seconds, cost per second) of every point with valid values, by period.
    pub fn costs(&self) -> Vec<(f64, f64)> {
        self.cost_curve().costs()
    }

    fn cost_curve(&self) -> CostCurve {
        CostCurve::of(self.curve, self.advice.mtbf, self.set.lateness_weight)
    }

    /// Cost per second at a period in seconds, interpolated between the measured ones; `None` outside of them.
    pub fn cost_at(&self, period: f64) -> Option<f64> {
        self.cost_curve().at(period)
    }

    /// The best interval; with `≤` or `≥` if it is at an end of the measured range.
    pub(super) fn best_interval(&self) -> Option<String> {
        let (best, end) = self.best_end()?;
        let sign = match end {
            None => "",
            Some(End::Shortest) => "≤ ",
            Some(End::Longest) => "≥ ",
        };
        Some(format!("{sign}{best}"))
    }

    /// The same for a sentence, such as `1.00 s or less`.
    pub(super) fn best_in_words(&self) -> Option<String> {
        let (best, end) = self.best_end()?;
        let beyond = match end {
            None => "",
            Some(End::Shortest) => " or less",
            Some(End::Longest) => " or more",
        };
        Some(format!("{best}{beyond}"))
    }

    fn best_end(&self) -> Option<(String, Option<End>)> {
        let best = self.advice.best?;
        let shortest = self.costs().first().is_some_and(|(period, _)| *period >= best.interval * (1.0 - 1e-9));
        let end = if shortest { End::Shortest } else { End::Longest };
        Some((numbers::seconds(best.interval), best.at_the_end.then_some(end)))
    }

    /// Such as `11.2 – 13.9 s`, or `unknown`; an end of the measured range has a sign as in [`Case::best_interval`].
    /// `None` without a best interval.
    pub(super) fn confidence(&self) -> Option<String> {
        let Some((from, to)) = self.advice.best?.confidence else { return Some("unknown".into()) };
        let costs = self.costs();
        let below = costs.first().is_some_and(|(shortest, _)| from <= shortest * (1.0 + 1e-9));
        let above = costs.last().is_some_and(|(longest, _)| to >= longest * (1.0 - 1e-9));
        Some(match (below, above) {
            (false, false) => numbers::range(from, to),
            (true, false) => format!("≤ {}", numbers::range(from, to)),
            (false, true) => format!("{} – ≥ {}", numbers::seconds(from), numbers::seconds(to)),
            (true, true) => format!("≤ {} – ≥ {}", numbers::seconds(from), numbers::seconds(to)),
        })
    }

    /// Such as `fs, 67.1 MB, load 0.5, a failure every 1 h`.
    pub(super) fn name(&self) -> String {
        format!("{}, a failure every {}", name(self.curve), numbers::chosen(self.advice.mtbf))
    }
}

/// Such as `fs, 67.1 MB, load 0.5`.
pub(super) fn name(curve: &Curve) -> String {
    format!("{}, {}, load {}", curve.backend, numbers::bytes(curve.state_declared), curve.load)
}

/// The name as part of a file name, without spaces and characters that are special for a shell or a browser:
/// `fs-67.1mb-load-0.5`.
pub(super) fn slug(curve: &Curve) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c.to_ascii_lowercase() } else { '-' };
    let state = numbers::bytes(curve.state_declared).replace(' ', "");
    let backend: String = curve.backend.chars().map(plain).collect();
    format!("{backend}-{}-load-{}", state.to_lowercase(), curve.load)
}

/// How well the predicted capacity held while the job caught up: median over the intervals, and the range.
pub(super) fn capacity_held(curve: &Curve) -> Option<String> {
    let ratios = || curve.points.iter().filter_map(|point| point.capacity_ratio(curve.capacity));
    let (middle, (low, high)) = (numbers::median(ratios())?, numbers::extremes(ratios())?);
    let [middle, low, high] = [middle, low, high].map(numbers::ratio);
    Some(format!("of which catching up reached {middle} times μ(1 − c/T) ({low} to {high})"))
}

/// What one record and one byte stand for: a number, or the least and the greatest where curves differ.
pub(super) fn weights(set: &TuningSet) -> (String, String) {
    let of = |weight: fn(&Curve) -> u64| {
        let all = || set.curves.iter().map(weight);
        match (all().min(), all().max()) {
            (Some(least), Some(most)) if least < most => format!("{} to {}", units::count(least), units::count(most)),
            (Some(only), _) => units::count(only),
            _ => "1".into(),
        }
    };
    (of(|curve| curve.record_weight), of(|curve| curve.state_weight))
}

/// The assumptions behind the numbers, one sentence each: profile, weights, pause, lateness, simulated time.
pub(super) fn notes(set: &TuningSet) -> Vec<String> {
    let (records, state) = weights(set);
    let weighted = match (records.as_str(), state.as_str()) {
        ("1", "1") => "Every record and every entry of state is itself.".to_owned(),
        _ => format!(
            "Records and state are weighted: one record stands for {records}, an entry of state for {state}; rates, capacities \
             and sizes are told as they count."
        ),
    };
    vec![
        format!(
            "Times are simulated: work costs what the profile {} says, so that they are as good as it is.",
            set.cost_profile
        ),
        weighted,
        "Checkpoints are aligned and full: every one holds the whole state, of which RocksDB writes only what has changed. The \
         engine has no unaligned and no incremental ones."
            .into(),
        "Failures strike at a few phases of the period, evenly spread; what was measured in the first seconds, until the state \
         was there, does not count. R \"at random\" is what failures at random times cost: the measured mean, times what \
         R = (D·μₑ + λ·A)/(μₑ − λ) is at their mean age T/2 + d over what it is at the ages found. Costs and best intervals \
         rest on that."
            .into(),
        format!(
            "Minimum pause P {}; a second of late output is as bad as {} of lost work.",
            numbers::chosen(set.min_pause),
            numbers::chosen(set.lateness_weight)
        ),
        format!("{} simulated.", hours(set.simulated)),
    ]
}

/// What a recommendation assumes without having measured it.
pub(super) const RESTS_ON: &str = "Capacity is predicted from the prices of the cost profile, not measured. Its \
    prices of access are those of state that fits the caches. What memory and storage cost does not enter.";

/// Simulated time in hours, such as `31.4 hours`.
pub(super) fn hours(seconds: f64) -> String {
    let tenths = (seconds / 360.0 + 0.5) as u64;
    format!("{}.{} hours", units::count(tenths / 10), tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuning::fixtures;

    #[test]
    fn cases_are_curves_times_failure_rates() {
        let mut set = fixtures::set();
        assert_eq!(Findings::of(&set).cases().count(), set.curves.len() * set.mtbf.len());
        for case in Findings::of(&set).cases() {
            assert_eq!((&case.curve.backend, case.curve.load), (&case.advice.backend, case.advice.load));
        }
        set.mtbf.clear();
        assert_eq!(Findings::of(&set).cases().count(), 0);
        assert_eq!(Findings::of(&set).curves().count(), set.curves.len());
    }

    #[test]
    fn names_are_told_apart_and_make_files() {
        let set = fixtures::set();
        assert_eq!(name(&set.curves[0]), "fs, 67.1 MB, load 0.5");
        let slugs: std::collections::BTreeSet<String> = set.curves.iter().map(slug).collect();
        assert_eq!(slugs.len(), set.curves.len());
        assert!(slugs.contains("fs-67.1mb-load-0.5"), "{slugs:?}");
        let hostile = Curve { backend: "../A b".into(), ..set.curves[0].clone() };
        assert_eq!(slug(&hostile), "..-a-b-67.1mb-load-0.5");
    }

    #[test]
    fn a_best_at_the_end_says_so_in_signs_and_in_words() {
        let mut set = fixtures::set();
        let told = |set: &TuningSet| {
            let findings = Findings::of(set);
            let case = findings.cases().next().unwrap();
            (case.best_interval().unwrap(), case.best_in_words().unwrap())
        };
        let (sign, words) = told(&set);
        assert_eq!(sign, words);
        set.curves[0].points.drain(..4);
        assert_eq!(told(&set), ("≤ 75.0 s".into(), "75.0 s or less".into()));
        let mut set = fixtures::set();
        set.curves[0].points.truncate(3);
        assert_eq!(told(&set), ("≥ 12.0 s".into(), "12.0 s or more".into()));
        let set = fixtures::set();
        let mut findings = Findings::of(&set);
        let mut told = |confidence: Option<(f64, f64)>| {
            findings.advice[0].best.as_mut().unwrap().confidence = confidence;
            findings.cases().next().unwrap().confidence().unwrap()
        };
        assert_eq!(told(None), "unknown");
        assert_eq!(told(Some((10.0, 20.0))), "10.0 – 20.0 s");
        assert_eq!(told(Some((2.0, 20.0))), "≤ 2.00 – 20.0 s");
        assert_eq!(told(Some((2.0, 450.0))), "≤ 2.00 s – ≥ 450 s");
        assert_eq!(told(Some((20.0, 450.0))), "20.0 s – ≥ 450 s");
        assert_eq!(hours(4_460_040.0), "1,238.9 hours");
    }

    #[test]
    fn what_records_and_bytes_stand_for() {
        let mut set = fixtures::set();
        set.curves[0].record_weight = 7;
        assert_eq!(weights(&set), ("7 to 500".into(), "4,096".into()));
        set.curves.clear();
        assert_eq!(weights(&set), ("1".into(), "1".into()));
        assert!(notes(&set)[1].contains("is itself"));
    }
}
