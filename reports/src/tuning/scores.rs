//! How each formula did over all curves and failure rates: what its choices cost, which choices were not measured, and
//! where it has no value.
//!
//! Start at [`of`]. A choice below `c/(1 − ρ)` is worse than any regret: checkpoints leave less capacity than the input
//! needs, and the job falls further and further behind.

use super::analysis::Choice;
use super::catalogue::FORMULAS;
use super::findings::{Case, Findings};
use crate::numbers::{self, extremes, median};

/// Regret up to which a choice counts as good as the best, because costs near the optimum are flat.
pub(super) const GOOD: f64 = 0.05;

/// Regret below this is shown as none.
pub(super) const NOTHING: f64 = 0.0005;

/// Where a choice lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Placed {
    /// Among the measured intervals. Its value is by how much it costs more than the best, as a share.
    Measured(f64),
    /// At this interval the job never keeps up.
    Starving,
    /// Shorter than every measured interval, or longer; also used if there is no best interval to compare with.
    Shorter,
    Longer,
    Unjudged,
    /// The formula has no value.
    Outside,
}

/// Where `choice` lies in its case.
pub(super) fn place(case: &Case<'_>, choice: &Choice) -> Placed {
    let Ok(interval) = choice.interval else { return Placed::Outside };
    if case.advice.shortest.is_some_and(|shortest| interval <= shortest) {
        return Placed::Starving;
    }
    if let Some(regret) = choice.regret {
        return Placed::Measured(regret);
    }
    match extremes(case.costs().into_iter().map(|(period, _)| period)) {
        Some((shortest, _)) if interval < shortest => Placed::Shorter,
        Some((_, longest)) if interval > longest => Placed::Longer,
        _ => Placed::Unjudged,
    }
}

/// One formula over all cases.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Score {
    /// Name of the formula.
    pub(super) formula: &'static str,
    /// Cases in which its choice was measured.
    pub(super) measured: usize,
    /// How many of these cost at most [`GOOD`] more than the best.
    pub(super) good: usize,
    /// Median regret.
    pub(super) median: Option<f64>,
    /// Largest regret, and its case.
    pub(super) worst: Option<(f64, String)>,
    /// Cases whose choice is shorter than every measured interval.
    pub(super) shorter: usize,
    /// Cases whose choice is longer than every measured interval.
    pub(super) longer: usize,
    /// Cases in which the job never keeps up at the chosen interval.
    pub(super) starving: Vec<String>,
    /// Cases in which the formula has no value, with the reason.
    pub(super) outside: Vec<(String, String)>,
}

/// The scores, in the order of the catalogue.
pub(super) fn of(findings: &Findings<'_>) -> Vec<Score> {
    FORMULAS.iter().map(|formula| score(findings, formula.name)).collect()
}

fn score(findings: &Findings<'_>, formula: &'static str) -> Score {
    let mut score = Score {
        formula,
        measured: 0,
        good: 0,
        median: None,
        worst: None,
        shorter: 0,
        longer: 0,
        starving: vec![],
        outside: vec![],
    };
    let mut regrets = Vec::new();
    for case in findings.cases() {
        for choice in case.advice.choices.iter().filter(|choice| choice.formula == formula) {
            match place(&case, choice) {
                Placed::Measured(regret) => {
                    score.good += usize::from(regret <= GOOD);
                    if score.worst.as_ref().is_none_or(|(worst, _)| regret > *worst) {
                        score.worst = Some((regret, case.name()));
                    }
                    regrets.push(regret);
                }
                Placed::Starving => score.starving.push(case.name()),
                Placed::Shorter => score.shorter += 1,
                Placed::Longer => score.longer += 1,
                Placed::Unjudged => {}
                Placed::Outside => {
                    let why = choice.interval.as_ref().err().cloned().unwrap_or_default();
                    score.outside.push((case.name(), why));
                }
            }
        }
    }
    score.measured = regrets.len();
    score.median = median(regrets);
    score
}

impl Score {
    /// The score in one sentence, for readers who do not want a table.
    pub(super) fn sentence(&self) -> String {
        let mut parts = Vec::new();
        match (self.median, &self.worst) {
            (Some(_), Some((worst, _))) if *worst < NOTHING => {
                parts.push(format!("as good as the best in {} of {} measured cases", self.good, self.measured));
            }
            (Some(median), Some((worst, case))) => parts.push(format!(
                "within 5 % of the best in {} of {} measured cases, median {}, at worst {} ({case})",
                self.good,
                self.measured,
                numbers::signed(median),
                numbers::signed(*worst)
            )),
            _ => parts.push("no choice lies among the measured intervals".into()),
        }
        let mut count = |n: usize, what: &str| {
            if n > 0 {
                parts.push(format!("{n} {what}"));
            }
        };
        count(self.shorter, "shorter than measured");
        count(self.longer, "longer than measured");
        count(self.starving.len(), "under which the job never keeps up");
        count(self.outside.len(), "outside its domain");
        parts.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuning::fixtures;

    #[test]
    fn every_case_is_counted_once_per_formula() {
        let set = fixtures::set();
        let findings = Findings::of(&set);
        for score in of(&findings) {
            let counted = score.measured + score.shorter + score.longer + score.starving.len() + score.outside.len();
            assert_eq!(counted, findings.cases().count(), "{}", score.formula);
        }
    }

    #[test]
    fn the_formula_that_knows_the_load_is_never_far_off() {
        let set = fixtures::set();
        let scores = of(&Findings::of(&set));
        let numerical = &scores[6];
        assert!(numerical.worst.as_ref().unwrap().0 < 0.1, "{numerical:?}");
        assert!(scores[0].median.unwrap_or(f64::INFINITY) > numerical.median.unwrap());
    }

    #[test]
    fn a_formula_that_costs_nothing_more_is_not_told_as_if_it_did() {
        let set = fixtures::set();
        let mut score = of(&Findings::of(&set)).remove(6);
        (score.median, score.worst) = (Some(0.0), Some((0.0, "fs".into())));
        assert_eq!(score.sentence(), "as good as the best in 16 of 16 measured cases");
    }

    #[test]
    fn an_interval_under_which_nothing_is_caught_up_is_no_regret() {
        let set = fixtures::set();
        let mut findings = Findings::of(&set);
        findings.advice[0].shortest = Some(1e9);
        findings.advice[1].choices[1].interval = Err("c must be small".into());
        let scores = of(&findings);
        assert_eq!(scores[6].starving, ["fs, 67.1 MB, load 0.5, a failure every 1 h"]);
        let outside = ("fs, 67.1 MB, load 0.5, a failure every 1 d".to_owned(), "c must be small".to_owned());
        assert_eq!(scores[1].outside, [outside]);
        assert!(scores[1].sentence().ends_with("1 under which the job never keeps up; 1 outside its domain"));
    }
}
