//! The answer of a tuning set in a few sentences, and as a table of what to use in which case.
//!
//! Start at [`sentences`] and [`table`]. Every sentence is computed from the findings, and left out if there is nothing
//! to say: a set with one backend says nothing about others. Texts are plain; each document escapes them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Curve;
use super::analysis::{Contender, Recommendation};
use super::findings::{Case, Findings};
use super::scores::{self, Score};
use super::unpassed;
use crate::ansi::Style;
use crate::numbers::{bytes, chosen, extremes, median, percent, signed};
use crate::table::{Align, Cell, Table};
use crate::units;

/// Most cases that a sentence names; the table has all of them.
const CASES_MAX: usize = 3;

/// What to use, how the interval depends on the case, what a wrong interval costs, what the other backends cost, and
/// which formula to trust.
pub(super) fn sentences(findings: &Findings<'_>) -> Vec<String> {
    // Without a failure rate nothing can be chosen.
    if findings.recommendations.is_empty() {
        return Vec::new();
    }
    let parts = [
        backends(findings),
        hopeless(findings),
        moves(findings),
        flatness(findings),
        others(findings),
        formulas(findings),
        unpassed::sentence(findings),
    ];
    parts.into_iter().flatten().collect()
}

/// The recommended backend; `None`: nothing that was measured costs less than all of the time.
fn taken(recommendation: &Recommendation) -> Option<&Contender> {
    recommendation.contenders.first().filter(|first| first.cost.is_some_and(|cost| cost < 1.0))
}

/// Such as `a failure every 1 h`.
fn every(mtbf: f64) -> String {
    format!("a failure every {}", chosen(mtbf))
}

/// Such as `100 MB at load 0.5`.
fn size(recommendation: &Recommendation) -> String {
    format!("{} at load {}", bytes(recommendation.state), recommendation.load)
}

/// Which backend comes first, and how often.
fn backends(findings: &Findings<'_>) -> Option<String> {
    let mut firsts: Vec<(&str, usize)> = Vec::new();
    for first in findings.recommendations.iter().filter_map(taken) {
        match firsts.iter_mut().find(|(backend, _)| *backend == first.backend) {
            Some((_, n)) => *n += 1,
            None => firsts.push((&first.backend, 1)),
        }
    }
    firsts.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let all = findings.recommendations.len();
    let (first, n) = firsts.first()?;
    let measured = findings.recommendations.iter().map(|one| one.contenders.len()).max()?;
    if measured < 2 {
        return Some(format!("Only the backend {first} was measured, in {}.", units::counted(all, "case")));
    }
    let rest: Vec<String> = firsts[1..].iter().map(|(backend, n)| format!("{backend} in {n}")).collect();
    let rest = if rest.is_empty() { String::new() } else { format!("; {}", rest.join(", ")) };
    let (cases, what) = (units::counted(all, "case"), "(a state size, a load and a failure rate each)");
    Some(if *n == all {
        format!("Take {first}: it comes first in all {cases} {what}.")
    } else {
        format!("Take {first}: it comes first in {n} of {cases} {what}{rest}.")
    })
}

/// Cases in which nothing that was measured is good enough, and cases in which too little passed to know.
fn hopeless(findings: &Findings<'_>) -> Option<String> {
    let cases = |is_costly: bool| {
        let none = findings.recommendations.iter().filter(|one| taken(one).is_none());
        let of_kind = none.filter(|one| one.contenders.first().is_some_and(|first| first.cost.is_some()) == is_costly);
        let told: Vec<String> = of_kind.map(|one| format!("{} with {}", size(one), every(one.mtbf))).collect();
        let rest = match told.len().saturating_sub(CASES_MAX) {
            0 => String::new(),
            n => format!("; and for {}", units::counted(n, "more case")),
        };
        told.iter().take(CASES_MAX).map(String::as_str).collect::<Vec<_>>().join("; for ") + &rest
    };
    let told = [
        (cases(true), "Nothing that was measured will do", "even the best interval costs more than all the time"),
        (cases(false), "There is no answer", "too few intervals were measured and passed"),
    ];
    let told = told.iter().filter(|(cases, ..)| !cases.is_empty());
    let told: Vec<String> = told.map(|(cases, what, why)| format!("{what} for {cases}: {why}.")).collect();
    (!told.is_empty()).then(|| told.join(" "))
}

/// The best interval of the recommended backend in a case.
fn best<'f>(findings: &'f Findings<'_>, of: &Recommendation) -> Option<Case<'f>> {
    findings.case_of(of, &taken(of)?.backend).filter(|case| case.advice.best.is_some())
}

/// How the best interval depends on state, failure rate and load, each along one line through the middle of the
/// measured values.
fn moves(findings: &Findings<'_>) -> Option<String> {
    let all = &findings.recommendations;
    let middle = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values.dedup();
        values.get(values.len().saturating_sub(1) / 2).copied()
    };
    let state = middle(all.iter().map(|one| one.state).collect())?;
    let load = middle(all.iter().map(|one| one.load).collect())?;
    let mtbf = middle(all.iter().map(|one| one.mtbf).collect())?;
    let along = |matches: &dyn Fn(&Recommendation) -> bool, value: fn(&Recommendation) -> f64| {
        let on_it = all.iter().filter(|one| matches(one)).filter_map(|one| Some((value(one), best(findings, one)?)));
        let mut line: Vec<(f64, Case<'_>)> = on_it.collect();
        line.sort_by(|a, b| a.0.total_cmp(&b.0));
        let ((from, first), (to, last)) = (*line.first()?, *line.last()?);
        let (before, after) = (first.advice.best?.interval, last.advice.best?.interval);
        let how = match after / before {
            ..0.95 => "falls",
            0.95..=1.05 => "stays",
            _ => "grows",
        };
        (from < to).then(|| Some((how, (from, first.best_in_words()?), (to, last.best_in_words()?)))).flatten()
    };
    let mut parts = Vec::new();
    if let Some((how, from, to)) = along(&|one| (one.load, one.mtbf) == (load, mtbf), |one| one.state) {
        parts.push(format!(
            "With the state it {how}: at load {load} and {} from {} with {} to {} with {}",
            every(mtbf),
            from.1,
            bytes(from.0),
            to.1,
            bytes(to.0)
        ));
    }
    if let Some((how, from, to)) = along(&|one| (one.state, one.load) == (state, load), |one| one.mtbf) {
        parts.push(format!(
            "with the time between failures it {how}: with {} at load {load} from {} ({}) to {} ({})",
            bytes(state),
            from.1,
            chosen(from.0),
            to.1,
            chosen(to.0)
        ));
    }
    if let Some((how, from, to)) = along(&|one| (one.state, one.mtbf) == (state, mtbf), |one| one.load) {
        parts.push(format!("with the load it {how}: from {} at load {} to {} at load {}", from.1, from.0, to.1, to.0));
    }
    (!parts.is_empty()).then(|| format!("The best interval moves. {}.", parts.join("; ")))
}

/// What an interval costs that is wrong by a factor of two.
fn flatness(findings: &Findings<'_>) -> Option<String> {
    let regrets: Vec<f64> = findings
        .recommendations
        .iter()
        .filter_map(|one| best(findings, one))
        .flat_map(|case| {
            [0.5, 2.0].map(|factor| {
                let best = case.advice.best?;
                Some((case.cost_at(best.interval * factor)? / best.cost - 1.0).max(0.0))
            })
        })
        .flatten()
        .collect();
    let (middle, (_, worst)) = (median(regrets.iter().copied())?, extremes(regrets.iter().copied())?);
    Some(format!(
        "It need not be met exactly: half or twice the best interval costs {} (the median of {}), at worst {}.",
        more(middle),
        units::counted(regrets.len(), "such choice"),
        more(worst)
    ))
}

/// Such as `12.0 % more`.
fn more(share: f64) -> String {
    if share < scores::NOTHING { "no more".into() } else { format!("{} more", percent(share)) }
}

/// What the backends cost that are not the first choice.
fn others(findings: &Findings<'_>) -> Option<String> {
    let mut extra: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for recommendation in &findings.recommendations {
        let cheapest = extremes(recommendation.contenders.iter().filter_map(|one| one.cost))?.0;
        for contender in recommendation.contenders.iter().skip(1) {
            extra.entry(&contender.backend).or_default().extend(contender.cost.map(|cost| cost / cheapest - 1.0));
        }
    }
    let by = |share: f64| signed(share.max(0.0)).trim_start_matches('+').to_owned();
    let told = extra.into_iter().filter_map(|(backend, extra)| {
        let (least, most) = extremes(extra.iter().copied())?;
        Some(format!("{backend} by {} to {} ({})", by(least), by(most), units::counted(extra.len(), "case")))
    });
    let told: Vec<String> = told.collect();
    (!told.is_empty())
        .then(|| format!("Where they do not come first, backends cost more than the cheapest: {}.", told.join(", ")))
}

/// The formula that chose best, and the one that chose worst.
fn formulas(findings: &Findings<'_>) -> Option<String> {
    let scores: Vec<Score> = scores::of(findings).into_iter().filter(|score| score.measured > 0).collect();
    let worst = |score: &Score| score.worst.as_ref().map_or(0.0, |(worst, _)| *worst);
    let order = |a: &&Score, b: &&Score| a.good.cmp(&b.good).then(worst(b).total_cmp(&worst(a)));
    // Of two equally good formulas, take the one that comes first in the list, because it needs fewer inputs.
    let best = scores.iter().rev().max_by(order)?;
    let least = scores.iter().min_by(order)?;
    let of = |score: &Score| {
        format!(
            "“{}” (within 5 % of the best in {} of {} in which its choice was measured, at worst {})",
            score.formula,
            score.good,
            units::counted(score.measured, "case"),
            signed(worst(score))
        )
    };
    if best.formula == least.formula {
        return Some(format!("Only one formula made choices that were measured: {}.", of(best)));
    }
    Some(format!("Of the formulas, {} chooses best, and {} worst.", of(best), of(least)))
}

/// A row per state size and load, with a column per failure rate: what to use.
pub(super) fn table(findings: &Findings<'_>) -> Table {
    let mtbf = &findings.set.mtbf;
    let mut columns = vec![(Cow::Borrowed("state"), Align::Right), (Cow::Borrowed("load"), Align::Right)];
    columns.extend(mtbf.iter().map(|mtbf| (Cow::Owned(every(*mtbf)), Align::Left)));
    let mut table = Table::with(columns);
    let mut rows: Vec<(f64, f64)> = findings.recommendations.iter().map(|one| (one.state, one.load)).collect();
    rows.dedup();
    let mut last = None;
    for (state, load) in rows {
        // Only the first row of a group has the size, so that the groups are easy to see.
        let name = if last == Some(state) { Cell::new("") } else { Cell::new(bytes(state)) };
        last = Some(state);
        let of = |mtbf: f64| {
            let key = (state, load, mtbf);
            findings.recommendations.iter().find(|one| (one.state, one.load, one.mtbf) == key)
        };
        let cells = mtbf.iter().map(|mtbf| of(*mtbf).map_or_else(Cell::none, |one| choice(findings, one)));
        table.row([name, Cell::new(load.to_string())].into_iter().chain(cells).collect::<Vec<_>>());
    }
    table
}

/// Such as `fs every 3.02 s, costs 0.144 %`.
fn choice(findings: &Findings<'_>, recommendation: &Recommendation) -> Cell {
    let Some(first) = recommendation.contenders.first() else { return Cell::none() };
    let Some(interval) = findings.case_of(recommendation, &first.backend).and_then(|case| case.best_in_words()) else {
        return Cell::new("none that was measured").styled(Style::Bad);
    };
    let cost = percent(first.cost.unwrap_or(f64::INFINITY));
    match taken(recommendation) {
        Some(_) => Cell::new(format!("{} every {interval}, costs {cost}", first.backend)),
        None => Cell::new(format!("nothing: {} every {interval} costs {cost}", first.backend)).styled(Style::Bad),
    }
}

/// For each state size and load, the curve of the backend to use, at the middle failure rate.
pub(super) fn pictures<'f>(findings: &'f Findings<'_>) -> Vec<Case<'f>> {
    let mut mtbf = findings.set.mtbf.clone();
    mtbf.sort_by(f64::total_cmp);
    let Some(middle) = mtbf.get(mtbf.len().saturating_sub(1) / 2) else { return Vec::new() };
    let at = findings.recommendations.iter().filter(|one| one.mtbf == *middle);
    at.filter_map(|one| findings.case_of(one, &one.contenders.first()?.backend))
        .filter(|case| case.advice.best.is_some())
        .collect()
}

/// Number of a curve among all, from 1; its section has this number.
pub(super) fn place(findings: &Findings<'_>, curve: &Curve) -> usize {
    findings.set.curves.iter().position(|other| std::ptr::eq(other, curve)).map_or(0, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ansi::Color;
    use crate::tuning::fixtures;

    #[test]
    fn the_answer_in_words_and_as_a_table() {
        let set = fixtures::set();
        let findings = Findings::of(&set);
        let text = format!("{}\n\n{}", sentences(&findings).join("\n"), table(&findings).text(0, Color::No));
        insta::assert_snapshot!("answer", text);
        assert_eq!(pictures(&findings).len(), 4);
        assert_eq!(place(&findings, pictures(&findings)[0].curve), 5);
    }

    #[test]
    fn what_was_not_measured_is_not_told() {
        let mut set = fixtures::set();
        set.curves.truncate(1);
        set.mtbf.truncate(1);
        let told = sentences(&Findings::of(&set)).join("\n");
        assert!(told.starts_with("Only the backend fs was measured, in 1 case."), "{told}");
        for word in ["moves", "do not come first", "did not pass"] {
            assert!(!told.contains(word), "{word}: {told}");
        }
        set.curves.clear();
        assert_eq!(sentences(&Findings::of(&set)), [""; 0]);
        assert!(table(&Findings::of(&set)).is_empty() && pictures(&Findings::of(&set)).is_empty());
        let mut set = fixtures::set();
        set.mtbf.clear();
        assert_eq!(sentences(&Findings::of(&set)).len(), 0);
    }

    #[test]
    fn a_case_without_hope_is_told_as_one() {
        let mut set = fixtures::set();
        set.mtbf = vec![1.0];
        let findings = Findings::of(&set);
        let told = sentences(&findings).join("\n");
        assert!(
            told.contains("Nothing that was measured will do for 67.1 MB at load 0.5 with a failure every 1 s; for"),
            "{told}"
        );
        assert!(table(&findings).text(0, Color::No).contains("nothing: "));
        let mut set = fixtures::set();
        set.curves.truncate(1);
        set.mtbf.truncate(1);
        set.curves[0].points.iter_mut().for_each(|point| point.verdict = "stuck".into());
        let told = sentences(&Findings::of(&set)).join("\n");
        let none = "There is no answer for 67.1 MB at load 0.5 with a failure every 1 h: too few intervals were measured and passed.";
        assert!(told.starts_with(none) && !told.contains("Nothing that was measured"), "{told}");
        assert!(told.ends_with("For one of these curves the answer may be another one."), "{told}");
    }
}
