//! The contents of the tables in every document of a tuning set.
//!
//! Start at [`overview`]; [`recommendations`] compares backends, [`choices`] and [`points`] are the details of a curve.

use super::analysis::{Choice, advise_curve};
use super::catalogue::{FORMULAS, number};
use super::findings::{Case, Findings};
use super::scores::{self, GOOD, Placed, place};
use super::{Curve, Point, TuningSet};
use crate::ansi::Style;
use crate::numbers::{availability, bytes, chosen, percent, range, rate, seconds, short_times, signed};
use crate::table::Align::{Left, Right};
use crate::table::{Cell, Table};
use crate::units::aligned;

pub(super) fn time(value: Option<f64>) -> Cell {
    value.map_or_else(Cell::none, |value| Cell::new(aligned(seconds(value))))
}

fn share(value: Option<f64>) -> Cell {
    value.map_or_else(Cell::none, |value| Cell::new(percent(value)))
}

/// The difference to the best; emphasised if it is large.
fn regret(value: f64) -> Cell {
    let style = match value {
        ..=GOOD => Style::Good,
        ..=0.5 => Style::Plain,
        ..=1.0 => Style::Warn,
        _ => Style::Bad,
    };
    Cell::new(signed(value)).styled(style)
}

/// The confidence of the best interval; dim where it is unknown.
fn confidence(case: &Case<'_>) -> Cell {
    let style = match case.advice.best {
        Some(best) if best.confidence.is_none() => Style::Dim,
        _ => Style::Plain,
    };
    case.confidence().map_or_else(Cell::none, |text| Cell::new(text).styled(style))
}

/// Where a choice is, as a cell in a column of differences.
fn placed(place: Placed) -> Cell {
    match place {
        Placed::Measured(value) => regret(value),
        Placed::Starving => Cell::new("falls behind").styled(Style::Bad),
        Placed::Shorter | Placed::Longer | Placed::Unjudged => Cell::new("unmeasured").styled(Style::Dim),
        Placed::Outside => Cell::new("no value").styled(Style::Dim),
    }
}

/// One line per curve and failure rate.
pub(super) fn overview(findings: &Findings<'_>) -> Table {
    let mut table = Table::new([
        ("backend", Left),
        ("state", Right),
        ("load", Right),
        ("failure every", Right),
        ("best interval", Right),
        ("95 % confidence", Right),
        ("within 5 %", Right),
        ("cost", Right),
        ("availability", Right),
        ("d + P", Right),
        ("Young", Right),
        ("load-aware", Right),
    ]);
    for case in findings.cases() {
        let best = case.advice.best;
        let of = |index: usize| match case.advice.choices.iter().find(|c| c.formula == FORMULAS[index].name) {
            Some(choice) => placed(place(&case, choice)),
            None => Cell::none(),
        };
        let or_none = |text: Option<String>| text.map_or_else(Cell::none, Cell::new);
        table.row([
            Cell::new(&case.curve.backend),
            Cell::new(bytes(case.curve.state_declared)),
            Cell::new(case.curve.load.to_string()),
            Cell::new(chosen(case.advice.mtbf)),
            case.best_interval().map_or_else(
                || Cell::new("none").styled(Style::Bad),
                |best| Cell::new(aligned(best)).styled(Style::Heading),
            ),
            confidence(&case),
            or_none(best.map(|best| range(best.within_5_percent.0, best.within_5_percent.1))),
            share(best.map(|best| best.cost)),
            or_none(best.map(|best| availability(best.unavailability))),
            of(0),
            of(1),
            of(6),
        ]);
    }
    table
}

/// The choice of every formula, and its cost.
pub(super) fn choices(case: &Case<'_>) -> Table {
    let mut table = Table::new([("", Right), ("formula", Left), ("interval", Right), ("costs", Right), ("", Left)]);
    for choice in &case.advice.choices {
        let place = place(case, choice);
        table.row([
            Cell::new(number(&choice.formula).to_string()).styled(Style::Dim),
            Cell::new(&choice.formula),
            time(choice.interval.as_ref().ok().copied()),
            placed(place),
            Cell::new(remark(case, choice, place)).styled(Style::Dim),
        ]);
    }
    table
}

fn remark(case: &Case<'_>, choice: &Choice, place: Placed) -> String {
    match place {
        Placed::Measured(_) => String::new(),
        Placed::Starving => {
            format!("checkpoints need more than c/(1 − ρ) = {}", time(case.advice.shortest).text.trim())
        }
        Placed::Shorter => "not measured there: shorter than all".into(),
        Placed::Longer => "not measured there: longer than all".into(),
        Placed::Unjudged => "no best interval to compare with".into(),
        Placed::Outside => choice.interval.clone().err().unwrap_or_default(),
    }
}

/// Every interval of a curve, as measured.
pub(super) fn points(curve: &Curve) -> Table {
    let mut table = Table::new([
        ("interval", Right),
        ("period T", Right),
        ("duration d", Right),
        ("d, p99", Right),
        ("cost c", Right),
        ("c/T", Right),
        ("outage D", Right),
        ("recovery R", Right),
        ("at random", Right),
        ("failures", Right),
        ("latency", Right),
        ("state", Right),
        ("in new files", Right),
        ("", Left),
    ]);
    for point in &curve.points {
        let overhead = |point: &Point| Some(point.cost? / point.period?);
        let uncaught = point.recoveries.iter().filter(|recovered| recovered.total.is_none()).count();
        let remark = match (point.passed(), uncaught) {
            (false, _) => Cell::new(format!("{}: {}", point.verdict, short_times(&point.headline))).styled(Style::Bad),
            (true, 0) => Cell::new(""),
            (true, n) => Cell::new(format!("{n} not caught up with")).styled(Style::Warn),
        };
        let known = point.passed();
        table.row([
            Cell::new(aligned(chosen(point.interval))),
            time(point.period.filter(|_| known)),
            time(point.duration.filter(|_| known)),
            time(point.duration_p99.filter(|_| known)),
            time(point.cost.filter(|_| known)),
            share(overhead(point).filter(|_| known)),
            time(point.outage().filter(|_| known)),
            time(point.measured_recovery().filter(|_| known)),
            time(curve.recovery(point).filter(|_| known)),
            Cell::count(point.recoveries.len() as u64),
            time(point.exactly_once_latency().filter(|_| known)),
            if known { Cell::new(bytes(point.state)) } else { Cell::none() },
            point.new_bytes.filter(|_| known).map_or_else(Cell::none, |new| Cell::new(bytes(new))),
            remark,
        ]);
    }
    table
}

/// Backends by state size, load and failure rate, with the best first.
pub(super) fn recommendations(findings: &Findings<'_>) -> Table {
    let mut table = Table::new([
        ("state", Right),
        ("load", Right),
        ("failure every", Right),
        ("backend", Left),
        ("best interval", Right),
        ("cost", Right),
        ("to the best", Right),
        ("capacity, predicted", Right),
        ("", Left),
    ]);
    for recommendation in &findings.recommendations {
        let costs = recommendation.contenders.iter().filter_map(|contender| contender.cost);
        let cheapest = costs.fold(f64::INFINITY, f64::min);
        for (index, contender) in recommendation.contenders.iter().enumerate() {
            // Only the first row of a group has the size, so that the groups are easy to see.
            let once = |text: String| Cell::new(if index == 0 { text } else { String::new() });
            // With `≤` or `≥` if it is at an end of the measured range.
            let best = findings.case_of(recommendation, &contender.backend).and_then(|case| case.best_interval());
            let extra = contender.cost.map(|cost| cost / cheapest - 1.0);
            let (style, remark) = match (index, &contender.why_not, extra) {
                (_, Some(why), _) => (Style::Bad, short_times(why)),
                (_, None, _) if contender.cost.is_some_and(|cost| cost >= 1.0) => {
                    (Style::Bad, "costs more than all the time".into())
                }
                (0, None, _) => (Style::Good, "recommended".into()),
                (_, None, Some(extra)) if extra <= GOOD => {
                    let less = contender.capacity < recommendation.contenders[0].capacity;
                    (Style::Plain, if less { "as cheap, bears less" } else { "as cheap" }.into())
                }
                _ => (Style::Plain, String::new()),
            };
            table.row([
                once(bytes(recommendation.state)),
                once(recommendation.load.to_string()),
                once(chosen(recommendation.mtbf)),
                Cell::new(&contender.backend).styled(if index == 0 { Style::Heading } else { Style::Plain }),
                best.map_or_else(Cell::none, |best| Cell::new(aligned(best))),
                share(contender.cost),
                extra.map_or_else(Cell::none, regret),
                Cell::new(rate(contender.capacity)),
                Cell::new(remark).styled(style),
            ]);
        }
    }
    table
}

/// What it costs to miss the best interval of a curve.
pub(super) fn sensitivity(cases: &[Case<'_>]) -> Table {
    let mut table = Table::new([
        ("failure every", Right),
        ("best interval", Right),
        ("× 0.5", Right),
        ("× 0.8", Right),
        ("× 1.25", Right),
        ("× 2", Right),
    ]);
    for case in cases {
        let Some(best) = case.advice.best else { continue };
        let at = |factor: f64| match case.cost_at(best.interval * factor) {
            Some(cost) => regret(cost / best.cost - 1.0),
            None => placed(Placed::Unjudged),
        };
        table.row([
            Cell::new(chosen(case.advice.mtbf)),
            Cell::new(aligned(case.best_interval().unwrap_or_default())),
            at(0.5),
            at(0.8),
            at(1.25),
            at(2.0),
        ]);
    }
    table
}

/// How the best interval of a curve depends on the time between failures: from a quarter of the least to four times the
/// greatest.
pub(super) fn by_failure_rate(set: &TuningSet, curve: &Curve) -> Table {
    let mut table = Table::new([
        ("failure every", Right),
        ("best interval", Right),
        ("95 % confidence", Right),
        ("load-aware", Right),
        ("Young", Right),
        ("cost", Right),
        ("availability", Right),
    ]);
    let mut all: Vec<f64> = set.mtbf.iter().flat_map(|mtbf| [mtbf / 4.0, *mtbf, mtbf * 4.0]).collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    for mtbf in all {
        let advice = advise_curve(set, curve, mtbf);
        let case = Case { set, curve, advice: &advice };
        let chosen_by = |index: usize| {
            let choice = advice.choices.iter().find(|choice| choice.formula == FORMULAS[index].name);
            time(choice.and_then(|choice| choice.interval.clone().ok()))
        };
        let best = advice.best;
        table.row([
            Cell::new(chosen(mtbf)),
            case.best_interval().map_or_else(Cell::none, |best| Cell::new(aligned(best))),
            confidence(&case),
            chosen_by(6),
            chosen_by(1),
            share(best.map(|best| best.cost)),
            best.map_or_else(Cell::none, |best| Cell::new(availability(best.unavailability))),
        ]);
    }
    table
}

/// How every formula did over all curves and failure rates.
pub(super) fn scores(findings: &Findings<'_>) -> Table {
    let mut table = Table::new([
        ("formula", Left),
        ("measured", Right),
        ("within 5 %", Right),
        ("median", Right),
        ("worst", Right),
        ("shorter", Right),
        ("longer", Right),
        ("falls behind", Right),
        ("no value", Right),
        ("worst where", Left),
    ]);
    for score in scores::of(findings) {
        let count = |n: usize, style: Style| match n {
            0 => Cell::none(),
            n => Cell::count(n as u64).styled(style),
        };
        let (worst, case) = score.worst.map_or((Cell::none(), String::new()), |(worst, case)| (regret(worst), case));
        table.row([
            Cell::new(score.formula),
            count(score.measured, Style::Plain),
            count(score.good, Style::Plain),
            score.median.map_or_else(Cell::none, regret),
            worst,
            count(score.shorter, Style::Dim),
            count(score.longer, Style::Dim),
            count(score.starving.len(), Style::Bad),
            count(score.outside.len(), Style::Warn),
            Cell::new(case).styled(Style::Dim),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuning::fixtures;

    fn texts(table: &Table, column: usize) -> Vec<&str> {
        table.rows().iter().map(|row| row[column].text.as_str()).collect()
    }

    #[test]
    fn a_long_time_in_a_verdict_is_shortened_and_no_confidence_is_unknown() {
        let mut set = fixtures::set();
        set.curves.truncate(1);
        for point in &mut set.curves[0].points {
            point.recoveries.truncate(1);
        }
        set.curves[0].points.drain(3..);
        assert_eq!(texts(&overview(&Findings::of(&set)), 5), ["unknown", "unknown"]);
        for point in &mut set.curves[0].points {
            (point.verdict, point.headline) = ("stuck".into(), "after 1h 35m 15s 672ms 791us 817ns: silence".into());
        }
        assert_eq!(texts(&points(&set.curves[0]), 13)[0], "stuck: after 1 h 35 min: silence");
        let remarks = recommendations(&Findings::of(&set));
        assert_eq!(texts(&remarks, 8)[0], "stuck: after 1 h 35 min: silence");
    }
}
