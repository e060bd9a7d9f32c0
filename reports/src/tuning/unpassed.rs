//! The intervals whose run did not pass: what happened, and whether the answer depends on them.
//!
//! Start at [`of`]. The times of a run that did not pass are not valid, so its interval is in no curve. It matters to
//! the answer if the best interval is at the edge of what passed, next to an interval that did not: the true best may
//! be beyond it.

use super::findings::{Findings, name};
use super::{Curve, Point};
use crate::ansi::Style;
use crate::numbers::{chosen, short_times};
use crate::table::Align::{Left, Right};
use crate::table::{Cell, Table};
use crate::units;

/// When an interval passes, and what follows if it does not.
pub(super) const WHAT: &str = "An interval passes if its run does: the job ends in time, recovers from every failure, and every oracle \
    holds. The times of a run that did not pass mean nothing, so its interval is in no curve, no cost and no best interval.";

/// Why `memory` does not pass is a property of the backend, which the evidence of a run does not show.
const OF_MEMORY: &str =
    "the backend memory keeps snapshots in messages and in the manifest, which one JobManager writes and reads alone";

/// A curve with intervals that did not pass.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Unpassed<'f> {
    /// The curve.
    pub(super) curve: &'f Curve,
    /// Its intervals that did not pass, the shortest first.
    pub(super) points: Vec<&'f Point>,
    /// What that means for the answer.
    pub(super) effect: Effect,
}

/// Whether intervals that did not pass matter to the answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Effect {
    /// Too few are left to find a best one, so this backend cannot be chosen; others can.
    NoChoice,
    /// Too few are left to find a best one, and no other backend has one.
    NoAnswer,
    /// The best interval is next to one that did not pass, at these mean times between failures.
    BesideTheBest(Vec<f64>),
    /// The best interval is among intervals that passed.
    Elsewhere,
}

impl Effect {
    /// Whether the answer could be different.
    fn matters(&self) -> bool {
        matches!(self, Effect::NoAnswer | Effect::BesideTheBest(_))
    }
}

/// Every curve with intervals that did not pass, in the order of the set.
pub(super) fn of<'f>(findings: &'f Findings<'_>) -> Vec<Unpassed<'f>> {
    let mut all = Vec::new();
    for (curve, cases) in findings.curves() {
        let points: Vec<&Point> = curve.points.iter().filter(|point| !point.passed()).collect();
        if points.is_empty() {
            continue;
        }
        let beside = cases.iter().filter(|case| case.advice.best.is_some_and(|best| is_beside(curve, best.interval)));
        let beside: Vec<f64> = beside.map(|case| case.advice.mtbf).collect();
        let has_best = cases.iter().any(|case| case.advice.best.is_some());
        let others =
            findings.recommendations.iter().filter(|one| (one.state, one.load) == (curve.state_declared, curve.load));
        let others_have =
            others.flat_map(|one| &one.contenders).any(|one| one.backend != curve.backend && one.cost.is_some());
        let effect = match (has_best, beside.is_empty()) {
            (false, _) if others_have => Effect::NoChoice,
            (false, _) => Effect::NoAnswer,
            (true, false) => Effect::BesideTheBest(beside),
            (true, true) => Effect::Elsewhere,
        };
        all.push(Unpassed { curve, points, effect });
    }
    all
}

/// Whether an interval that did not pass lies between `best` and the next passed interval on either side.
fn is_beside(curve: &Curve, best: f64) -> bool {
    let passed =
        || curve.points.iter().filter(|point| point.passed()).map(|point| point.period.unwrap_or(point.interval));
    let below = passed().filter(|period| *period < best * (1.0 - 1e-9)).fold(0.0, f64::max);
    let above = passed().filter(|period| *period > best * (1.0 + 1e-9)).fold(f64::INFINITY, f64::min);
    curve.points.iter().any(|point| !point.passed() && point.interval > below && point.interval < above)
}

/// How many intervals did not pass, where, and whether it matters; `None`: all passed.
pub(super) fn sentence(findings: &Findings<'_>) -> Option<String> {
    let all = of(findings);
    let failed: usize = all.iter().map(|one| one.points.len()).sum();
    if failed == 0 {
        return None;
    }
    let measured: usize = findings.set.curves.iter().map(|curve| curve.points.len()).sum();
    let curves: Vec<String> = all.iter().map(|one| name(one.curve)).collect();
    let shown = curves.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
    let more = match curves.len().saturating_sub(3) {
        0 => String::new(),
        n => format!("; and {}", units::counted(n, "more curve")),
    };
    let them = if failed == 1 { "it" } else { "them" };
    let matters = match all.iter().filter(|one| one.effect.matters()).count() {
        0 => format!("The answer does not rest on {them}."),
        1 => "For one of these curves the answer may be another one.".to_owned(),
        n => format!("For {} of these curves the answer may be another one.", units::count(n as u64)),
    };
    Some(format!("{failed} of the {measured} intervals did not pass ({shown}{more}). {matters}"))
}

/// Whether any of them matters to the answer.
pub(super) fn matter(findings: &Findings<'_>) -> bool {
    of(findings).iter().any(|one| one.effect.matters())
}

/// A row per curve: how many did not pass, what happened, and whether it matters.
pub(super) fn table(findings: &Findings<'_>) -> Table {
    let mut table = Table::new([
        ("curve", Left),
        ("not passed", Right),
        ("intervals", Left),
        ("what happened", Left),
        ("does it matter?", Left),
    ]);
    for one in of(findings) {
        let style = if one.effect.matters() { Style::Warn } else { Style::Plain };
        table.row([
            Cell::new(name(one.curve)),
            Cell::new(format!("{} of {}", one.points.len(), one.curve.points.len())),
            Cell::new(one.intervals()),
            Cell::new(one.happened()),
            Cell::new(one.matters(findings)).styled(style),
        ]);
    }
    table
}

impl Unpassed<'_> {
    /// Such as `all but 280 s`, `500 ms, 1 s`, or the first and the last.
    fn intervals(&self) -> String {
        let passed: Vec<&Point> = self.curve.points.iter().filter(|point| point.passed()).collect();
        let list = |points: &[&Point]| points.iter().map(|point| chosen(point.interval)).collect::<Vec<_>>().join(", ");
        match (passed.len(), self.points.as_slice()) {
            (0, _) => "all".into(),
            (_, few) if few.len() <= 3 => list(few),
            (1..=3, _) => format!("all but {}", list(&passed)),
            (_, many) => list(many),
        }
    }

    /// Each verdict, with how often it occurred and its first evidence.
    fn happened(&self) -> String {
        let mut verdicts: Vec<(&str, usize, &str)> = Vec::new();
        for point in &self.points {
            match verdicts.iter_mut().find(|(verdict, ..)| *verdict == point.verdict) {
                Some((_, n, _)) => *n += 1,
                None => verdicts.push((&point.verdict, 1, &point.headline)),
            }
        }
        let told = |(verdict, n, headline): &(&str, usize, &str)| {
            let (count, first) = if *n > 1 { (format!("{n} times "), ", first: ") } else { (String::new(), ": ") };
            format!("{count}{verdict}{}{}", first, short_times(headline))
        };
        let mut parts: Vec<String> = verdicts.iter().map(told).collect();
        if self.curve.backend == "memory" {
            parts.push(OF_MEMORY.into());
        }
        parts.join("; ")
    }

    fn matters(&self, findings: &Findings<'_>) -> String {
        let backend = &self.curve.backend;
        match &self.effect {
            Effect::NoChoice => {
                let key = (self.curve.state_declared, self.curve.load);
                let mut firsts: Vec<&str> = findings
                    .recommendations
                    .iter()
                    .filter(|one| (one.state, one.load) == key)
                    .filter_map(|one| one.contenders.first())
                    .map(|first| first.backend.as_str())
                    .collect();
                firsts.dedup();
                format!("no: {backend} is no choice here, and the answer is {}", firsts.join(" or "))
            }
            Effect::NoAnswer => "yes: too few intervals passed for an answer".into(),
            Effect::BesideTheBest(mtbf) => {
                let every: Vec<String> = mtbf.iter().map(|mtbf| chosen(*mtbf)).collect();
                format!("it may: for a failure every {} the best lies at the edge of what passed", every.join(", "))
            }
            Effect::Elsewhere => "no: the best intervals lie among intervals that passed".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ansi::Color;
    use crate::tuning::{TuningSet, fixtures};

    /// The set, with these intervals of its last curve not passed.
    fn set(broken: &[usize]) -> TuningSet {
        let mut set = fixtures::set();
        for (index, point) in set.curves[7].points.iter_mut().enumerate() {
            let passed = !broken.contains(&index);
            (point.verdict, point.headline) =
                if passed { ("passed".into(), String::new()) } else { ("stuck".into(), "no record".into()) };
            if index == 0 {
                (point.period, point.cost, point.duration) = (Some(2.0), Some(0.12), Some(1.1));
            }
        }
        set
    }

    fn effect(set: &TuningSet) -> Option<Effect> {
        of(&Findings::of(set)).into_iter().next().map(|one| one.effect)
    }

    #[test]
    fn it_matters_where_the_best_lies_beside_one_that_did_not_pass() {
        assert_eq!(effect(&set(&[])), None);
        // The best intervals are 15 s and 74 s; they lie between 12 s and 30 s, and between 75 s and 180 s.
        assert_eq!(effect(&set(&[0])), Some(Effect::Elsewhere));
        assert_eq!(effect(&set(&[6])), Some(Effect::Elsewhere));
        assert_eq!(effect(&set(&[0, 1, 2])), Some(Effect::BesideTheBest(vec![3_600.0])));
        assert_eq!(effect(&set(&[0, 1, 2, 3, 4, 5])), Some(Effect::NoChoice));
        let mut alone = set(&[0, 1, 2, 3, 4, 5, 6]);
        alone.curves.drain(..7);
        assert_eq!(effect(&alone), Some(Effect::NoAnswer));
    }

    #[test]
    fn what_did_not_pass_is_explained() {
        let told = |set: &TuningSet| {
            let findings = Findings::of(set);
            format!("{}\n{}", sentence(&findings).unwrap_or_default(), table(&findings).text(0, Color::No))
        };
        insta::assert_snapshot!(
            "unpassed",
            [told(&set(&[0])), told(&set(&[0, 1, 2])), told(&set(&[0, 1, 2, 3, 4, 5])),].join("\n")
        );
        let mut memory = set(&[0]);
        memory.curves[7].backend = "memory".into();
        assert!(told(&memory).contains("one JobManager writes and reads alone"));
        assert_eq!(sentence(&Findings::of(&set(&[]))), None);
        assert!(!matter(&Findings::of(&set(&[0]))) && matter(&Findings::of(&set(&[0, 1, 2]))));
    }
}
