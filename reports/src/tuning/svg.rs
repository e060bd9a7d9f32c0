//! The curves of a tuning set as pictures over the interval: cost with the best interval and every formula's choice,
//! recovery, availability, latency.
//!
//! Start at [`files`], which makes every picture as a file; [`cost`], [`recovery`], [`uptime`] and [`latency`] make one
//! each. The line of the cost follows the interpolation between points; the other lines are straight.

use super::analysis::inputs;
use super::catalogue::number;
use super::findings::{Case, Findings, name, slug};
use super::scores::{Placed, place};
use super::{Curve, Point, TuningSet};
use crate::formulas::load::{Load, expected_cost, expected_recovery};
use crate::numbers::{self, availability, chosen, extremes, percent, seconds};
use crate::svg::plot::{Mark, Plot, STYLE as PLOT_STYLE};
use crate::svg::scale::{Axis, decades, model, short_availability, short_percent, times, wider};

/// CSS for a page that holds pictures.
pub const STYLE: &str = PLOT_STYLE;

/// A choice that is further than this factor outside of the measured range is drawn at the edge.
const BEYOND: f64 = 3.0;
/// Classes of lines for different failure rates; if there are more rates, the last class is used again.
const CLASSES: [&str; 3] = ["total", "other", "third"];

/// Every picture with its file name, in the order of the curves.
pub fn files(findings: &Findings<'_>) -> Vec<(String, String)> {
    // Viewers paint white behind a picture whatever the colour scheme, so the file has a background of its own.
    let style = format!("<style>{STYLE}</style>\n<rect class=\"page\" width=\"100%\" height=\"100%\"/>\n");
    let mut files = Vec::new();
    for (curve, cases) in findings.curves() {
        for case in &cases {
            files.push((cost_file(case), cost(case, &style)));
        }
        let of = |what: &str| format!("{}-{what}.svg", slug(curve));
        files.push((of("recovery"), recovery(findings.set, curve, &style)));
        files.push((of("availability"), uptime(findings.set, curve, &style)));
        files.push((of("latency"), latency(curve, &style)));
    }
    files
}

/// Name of the file for the picture of [`cost`].
pub(super) fn cost_file(case: &Case<'_>) -> String {
    format!("{}-cost-{}.svg", slug(case.curve), chosen(case.advice.mtbf).replace(' ', ""))
}

fn passed(curve: &Curve) -> impl Iterator<Item = &Point> {
    curve.points.iter().filter(|point| point.passed())
}

fn periods(curve: &Curve) -> Option<(f64, f64)> {
    extremes(passed(curve).filter_map(|point| point.period))
}

/// What an interval costs, at one failure rate; `style` goes before everything else.
pub fn cost(case: &Case<'_>, style: &str) -> String {
    let costs = case.costs();
    let overhead: Vec<(f64, f64)> =
        passed(case.curve).filter_map(|point| Some((point.period?, point.cost? / point.period?))).collect();
    let measured = wider(periods(case.curve), 1.15);
    let near = |x: &f64| measured.is_some_and(|(from, to)| *x >= from / BEYOND && *x <= to * BEYOND);
    let choices = || case.advice.choices.iter().filter_map(|choice| Some((choice, *choice.interval.as_ref().ok()?)));
    let x = extremes(choices().map(|(_, x)| x).filter(near).chain(measured.into_iter().flat_map(|(a, b)| [a, b])));
    // The overhead may be far below the total, where it does not matter, so it is cut off.
    let total = extremes(costs.iter().map(|(_, cost)| *cost));
    let floor = total.map_or(0.0, |(least, _)| least / 30.0);
    let y = extremes(overhead.iter().chain(&costs).map(|(_, share)| *share).filter(|share| *share >= floor));
    let marks: Vec<Mark> = choices()
        .map(|(choice, x)| {
            let cost = match place(case, choice) {
                Placed::Measured(regret) => format!("costs {} to the best", numbers::signed(regret)),
                Placed::Starving => "the job falls behind".into(),
                _ => "not measured there".into(),
            };
            Mark { number: number(&choice.formula), x, title: format!("{}: {}, {cost}", choice.formula, seconds(x)) }
        })
        .collect();
    let y = Axis { name: "share of time", range: wider(y, 1.2), reversed: false, label: short_percent, ticks: decades };
    let every = chosen(case.advice.mtbf);
    let best = case.best_interval().map_or_else(String::new, |best| format!("; best: {best}"));
    let title = format!("Cost over the interval: {}{best}", case.name());
    let heading = format!("Cost, a failure every {every}");
    let mut plot = Plot::new(&heading, title, &Axis::period(wider(x, 1.06)), &y, &marks);
    if let Some(best) = case.advice.best {
        let title = format!(
            "best {}, 95 % confidence {}, cost {}",
            case.best_interval().unwrap_or_default(),
            case.confidence().unwrap_or_default(),
            percent(best.cost)
        );
        plot.best(best.interval, best.confidence, best.within_5_percent, &title);
    }
    plot.line("part", &overhead, "overhead c/T");
    plot.dots("part", &told(&overhead, percent));
    let load = inputs(case.set, case.curve, case.advice.mtbf);
    let formula = |period: f64| expected_cost(period, load.as_ref()?).ok();
    plot.line("model", &model(periods(case.curve), formula), "cost as the load-aware formula expects");
    let mut line = model(periods(case.curve), |period| case.cost_at(period));
    line.extend(&costs);
    line.sort_by(|a, b| a.0.total_cmp(&b.0));
    plot.line("total", &line, "cost c/T + w·R/M, measured");
    plot.dots("total", &told(&costs, percent));
    if let Some(best) = case.advice.best {
        plot.dots("best", &told(&[(best.interval, best.cost)], percent));
    }
    for (choice, x) in choices() {
        plot.explain(number(&choice.formula), &format!("{} {}", choice.formula, seconds(x)));
    }
    plot.finish(style)
}

/// Points with their texts.
fn told(points: &[(f64, f64)], say: fn(f64) -> String) -> Vec<((f64, f64), String)> {
    points.iter().map(|(x, y)| ((*x, *y), format!("{}: {}", seconds(*x), say(*y)))).collect()
}

/// Recovery R over the interval: for failures at random times as a line, as measured as dots with their spread, and as
/// the formula expects.
pub fn recovery(set: &TuningSet, curve: &Curve, style: &str) -> String {
    let of = |value: &dyn Fn(&Point) -> Option<f64>| -> Vec<(f64, f64)> {
        passed(curve).filter_map(|point| Some((point.period?, value(point)?))).collect()
    };
    let (measured, outages) = (of(&Point::measured_recovery), of(&Point::outage));
    let random = of(&|point| curve.recovery(point));
    let spread = |point: &Point| extremes(point.recoveries.iter().filter_map(|recovered| recovered.total));
    let spreads: Vec<(f64, (f64, f64))> =
        passed(curve).filter_map(|point| Some((point.period?, spread(point)?))).collect();
    let all = random
        .iter()
        .chain(&measured)
        .chain(&outages)
        .map(|(_, y)| *y)
        .chain(spreads.iter().flat_map(|(_, (a, b))| [*a, *b]));
    let y = Axis {
        name: "since the failure",
        range: wider(extremes(all), 1.2),
        reversed: false,
        label: chosen,
        ticks: times,
    };
    let title = format!("Recovery over the interval: {}", name(curve));
    let mut plot = Plot::new("Recovery", title, &Axis::period(wider(periods(curve), 1.15)), &y, &[]);
    plot.line("part", &outages, "outage D");
    plot.dots("part", &told(&outages, seconds));
    let load: Option<Load> = inputs(set, curve, 1.0);
    let formula = |period: f64| expected_recovery(period, load.as_ref()?).ok();
    plot.line("model", &model(periods(curve), formula), "expected R(T)");
    for (x, ends) in spreads {
        plot.whisker("total", x, ends);
    }
    plot.line("total", &random, "recovery R of failures at random; dots, bars: measured");
    plot.dots("total", &told(&measured, seconds));
    plot.finish(style)
}

/// Availability over the interval, one line per failure rate. The distance to 100 % is shown on a logarithmic scale.
pub fn uptime(set: &TuningSet, curve: &Curve, style: &str) -> String {
    let recovered: Vec<(f64, f64)> =
        passed(curve).filter_map(|point| Some((point.period?, curve.recovery(point)?))).collect();
    let late = |mtbf: f64| -> Vec<(f64, f64)> { recovered.iter().map(|(x, r)| (*x, (r / mtbf).min(1.0))).collect() };
    let all = extremes(set.mtbf.iter().flat_map(|mtbf| late(*mtbf)).map(|(_, late)| late));
    let range = wider(all, 1.2).map(|(from, to)| (from, to.min(1.0)));
    let y = Axis { name: "output not late", range, reversed: true, label: short_availability, ticks: decades };
    let title = format!("Availability over the interval: {}", name(curve));
    let mut plot = Plot::new("Availability", title, &Axis::period(wider(periods(curve), 1.15)), &y, &[]);
    for (index, mtbf) in set.mtbf.iter().enumerate() {
        let class = CLASSES[index.min(CLASSES.len() - 1)];
        let points = late(*mtbf);
        plot.line(class, &points, &format!("a failure every {}", chosen(*mtbf)));
        plot.dots(class, &told(&points, availability));
    }
    plot.finish(style)
}

/// Exactly-once latency over the interval, and the duration of a checkpoint.
pub fn latency(curve: &Curve, style: &str) -> String {
    let of = |value: fn(&Point) -> Option<f64>| -> Vec<(f64, f64)> {
        passed(curve).filter_map(|point| Some((point.period?, value(point)?))).collect()
    };
    let (latency, duration) = (of(Point::exactly_once_latency), of(|point| point.duration));
    let all = extremes(latency.iter().chain(&duration).map(|(_, y)| *y));
    let y = Axis { name: "without failures", range: wider(all, 1.2), reversed: false, label: chosen, ticks: times };
    let title = format!("Exactly-once latency over the interval: {}", name(curve));
    let mut plot = Plot::new("Exactly-once latency", title, &Axis::period(wider(periods(curve), 1.15)), &y, &[]);
    plot.line("part", &duration, "checkpoint duration d, median");
    plot.dots("part", &told(&duration, seconds));
    plot.line("total", &latency, "until visible T/2 + d + t_c, mean");
    plot.dots("total", &told(&latency, seconds));
    plot.finish(style)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuning::fixtures;

    #[test]
    fn the_cost_of_one_curve() {
        let set = fixtures::set();
        let findings = Findings::of(&set);
        insta::assert_snapshot!("cost", cost(&findings.cases().next().unwrap(), ""));
    }

    #[test]
    fn every_curve_has_its_files_and_no_two_share_a_name() {
        let set = fixtures::set();
        let files = files(&Findings::of(&set));
        assert_eq!(files.len(), 8 * (2 + 3));
        let names: std::collections::BTreeSet<&String> = files.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), files.len());
        for (name, svg) in &files {
            assert!(svg.contains("role=\"img\"") && svg.contains("<title>") && !svg.contains("NaN"), "{name}");
            assert!(svg.contains("<polyline"), "{name} has a line");
        }
    }

    #[test]
    fn hostile_names_are_escaped_and_a_curve_of_nothing_is_a_picture() {
        let mut set = fixtures::set();
        set.curves.truncate(1);
        set.curves[0].backend = "</title><script>".into();
        for point in &mut set.curves[0].points {
            (point.period, point.cost) = (None, None);
        }
        for (name, svg) in files(&Findings::of(&set)) {
            assert!(!svg.contains("<script") && svg.ends_with("</svg>\n"));
            assert!(!name.contains(['/', '<']), "{name}");
        }
    }
}
