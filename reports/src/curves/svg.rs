//! The curves of a set as pictures over the period: overhead, recovery, availability, latency.
//!
//! Start at [`plots`]. A dot is what the runs of a group with one interval measured, and a line is what the formula
//! expects for the group; dots and lines are never connected. A line ends where its formula has no value, and where it
//! is far above everything measured. All pictures have the same axis of periods, so that one can be compared with the
//! one above it. Groups are distinguished by colour, and by the number at the end of their line.

use super::{ASSUMED_MTBF, Curves, Group, Measured, Times};
use crate::numbers::{availability, chosen, extremes, percent, seconds};
use crate::svg::plot::{self, Plot};
use crate::svg::scale::{Axis, decades, model, short_availability, short_percent, times, wider};
use crate::units;

/// CSS for a page that holds pictures.
pub const STYLE: &str = plot::STYLE;

/// A picture reaches up to this many times the greatest measured value, because near the end of their domain formulas
/// grow without bound.
const ABOVE: f64 = 30.0;

/// The largest value of a picture is at least this many times the smallest value.
const SPAN_MIN: f64 = 8.0;

/// Most scenarios that a dot names.
const NAMES_MAX: usize = 3;

/// The data of one group in one picture.
struct Series {
    /// Number of the group, from 1.
    number: usize,
    /// Whether this shows the longest times of the group instead of the mean.
    longest: bool,
    dots: Vec<((f64, f64), String)>,
    /// For a period: the smallest and the largest value.
    bars: Vec<(f64, (f64, f64))>,
    line: Vec<(f64, f64)>,
}

/// The value of a point, if it was measured.
type Value = fn(&Measured) -> Option<f64>;
/// What a formula expects for a group and a period in seconds.
type Expected = fn(&Group, f64) -> Option<f64>;
/// The text of a dot about its value.
type Said = fn(&Measured, f64) -> String;

impl Series {
    /// Makes one series for each group.
    fn of(curves: &Curves, value: Value, expected: Expected, said: Said) -> Vec<Series> {
        let one = |(number, group): (usize, &Group)| {
            let dot = |measured: &Measured, interval_ns: u64| {
                let (period, value) = (measured.period?.mean, value(measured)?);
                let (head, said) = (head(group, number, measured, interval_ns), said(measured, value));
                Some(((period, value), format!("{head}: {said}")))
            };
            Series {
                number,
                longest: false,
                dots: group.points.iter().filter_map(|point| dot(&point.measured, point.interval_ns)).collect(),
                bars: vec![],
                line: model(group.window(), |period| expected(group, period)),
            }
        };
        (1..).zip(&curves.groups).map(one).collect()
    }

    /// The same series with bars from the smallest to the largest of these times.
    fn with_bars(mut self, curves: &Curves, times: fn(&Measured) -> Option<Times>) -> Series {
        let points = curves.groups.get(self.number - 1).into_iter().flat_map(|group| &group.points);
        let bar = |measured: &Measured| {
            let times = times(measured).filter(|times| times.count > 1)?;
            Some((measured.period?.mean, (times.least, times.greatest)))
        };
        self.bars = points.filter_map(|point| bar(&point.measured)).collect();
        self
    }

    fn class(&self, what: &str) -> String {
        format!("{what} {}", class(self.number))
    }
}

/// The CSS class with the colour of a group, used in pictures and beside the group's name.
pub(super) fn class(number: usize) -> String {
    format!("curve curve-{number}")
}

/// The text that names the runs of a dot.
fn head(group: &Group, number: usize, measured: &Measured, interval_ns: u64) -> String {
    let names: Vec<&str> = measured.scenarios.keys().take(NAMES_MAX).map(String::as_str).collect();
    let more = measured.scenarios.len() - names.len();
    let more = if more > 0 { format!(" and {} more", units::count(more as u64)) } else { String::new() };
    let (runs, interval) = (units::counted(measured.runs(), "run"), units::duration(interval_ns));
    let period = measured.period.map_or_else(String::new, |period| mean("T", period, "gap"));
    format!("{number} {}; {runs} of {}{more}; I {interval}, {period}", group.kind.label(), names.join(", "))
}

/// Such as `c 50 µs (12 checkpoints)`.
fn mean(symbol: &str, times: Times, noun: &str) -> String {
    format!("{symbol} {} ({})", seconds(times.mean), units::counted(times.count, noun))
}

/// The pictures that have something to show, in a fixed order.
pub fn plots(curves: &Curves) -> Vec<String> {
    [overhead(curves), recovery(curves), late(curves), latency(curves)].into_iter().flatten().collect()
}

/// Overhead c/T over the period.
fn overhead(curves: &Curves) -> Option<String> {
    let said: Said = |measured, value| {
        let cost = measured.cost.map_or_else(String::new, |cost| mean("c", cost, "checkpoint"));
        format!("c/T {}, {cost}", percent(value))
    };
    let all = Series::of(curves, Measured::overhead, Group::expected_overhead, said);
    let y = Axis { name: "share of time", range: range(&all), reversed: false, label: short_percent, ticks: decades };
    draw(curves, "Overhead", &y, &all, &[("model", "expected c/T")])
}

/// Recovery R over the period.
fn recovery(curves: &Curves) -> Option<String> {
    let said: Said = |measured, value| {
        let outage = measured.outage.map_or_else(String::new, |outage| mean("D", outage, "failure"));
        let age = measured.age.map_or_else(String::new, |age| format!(", A {}", seconds(age.mean)));
        format!("R {}, {outage}{age}", seconds(value))
    };
    let value: Value = |measured| Some(measured.recovery?.mean);
    let all: Vec<Series> = Series::of(curves, value, Group::expected_recovery, said)
        .into_iter()
        .map(|series| series.with_bars(curves, |measured| measured.recovery))
        .collect();
    let y = Axis { name: "since the failure", range: range(&all), reversed: false, label: chosen, ticks: times };
    let bars = all.iter().any(|series| !series.bars.is_empty());
    let text = if bars { "expected R(T); bars: shortest to longest" } else { "expected R(T)" };
    draw(curves, "Recovery", &y, &all, &[("model", text)])
}

/// Availability over the period. The distance to 100 % is shown on a logarithmic scale.
fn late(curves: &Curves) -> Option<String> {
    let said: Said = |measured, value| {
        let recovery = measured.recovery.map_or_else(String::new, |recovery| mean("R", recovery, "failure"));
        format!("available {}, {recovery}", availability(value))
    };
    let all = Series::of(curves, Measured::late, Group::expected_late, said);
    let most = range(&all).map(|(from, to)| (from, to.min(1.0)));
    let y = Axis { name: "output not late", range: most, reversed: true, label: short_availability, ticks: decades };
    let name = format!("Availability, a failure every {} assumed", chosen(ASSUMED_MTBF));
    draw(curves, &name, &y, &all, &[("model", "expected 1 − R(T)/M")])
}

/// Exactly-once latency over the period.
fn latency(curves: &Curves) -> Option<String> {
    let said: Said = |_, value| format!("visible after {}, mean of all records", seconds(value));
    let mut all = Series::of(curves, |measured| measured.latency, Group::expected_latency, said);
    let said: Said = |measured, value| {
        let most = measured.longest.map_or(value, |longest| longest.greatest);
        format!("the last record of a gap visible after {}, at most {}", seconds(value), seconds(most))
    };
    let value: Value = |measured| Some(measured.longest?.mean);
    let longest = Series::of(curves, value, Group::expected_longest, said);
    all.extend(longest.into_iter().map(|series| Series { longest: true, ..series }));
    let y = Axis { name: "without failures", range: range(&all), reversed: false, label: chosen, ticks: times };
    let lines = [("model", "mean T/2 + d + t_c"), ("model worst", "longest T + d + t_c, hollow dots")];
    draw(curves, "Exactly-once latency", &y, &all, &lines)
}

/// The range of values of a picture, with some space around it. Lines count only where they are near the dots.
fn range(all: &[Series]) -> Option<(f64, f64)> {
    let positive = |value: &f64| *value > 0.0;
    let dots = all.iter().flat_map(|series| series.dots.iter().map(|((_, y), _)| *y));
    let bars = all.iter().flat_map(|series| series.bars.iter().flat_map(|(_, (low, high))| [*low, *high]));
    let measured = extremes(dots.chain(bars).filter(positive));
    let lines = all.iter().flat_map(|series| series.line.iter().map(|(_, y)| *y)).filter(positive);
    let near = |y: &f64| measured.is_none_or(|(_, greatest)| *y <= greatest * ABOVE);
    let (low, high) = extremes(lines.filter(near).chain(measured.into_iter().flat_map(|(low, high)| [low, high])))?;
    // A flat line needs room for ticks on both sides.
    wider(Some((low, high)), libm::sqrt(SPAN_MIN / (high / low)).max(1.3))
}

/// One picture; `None` if it would be empty.
fn draw(curves: &Curves, name: &str, y: &Axis, all: &[Series], legend: &[(&str, &str)]) -> Option<String> {
    let x = wider(curves.window(), 1.05);
    x.filter(|_| y.range.is_some())?;
    let groups = units::counted(curves.groups.len(), "group");
    let title = format!("{name} over the period, measured and expected: {groups} of runs");
    let mut plot = Plot::new(name, title, &Axis::period(x), y, &[]);
    let mut ends = Vec::new();
    for series in all {
        let line = series.class(if series.longest { "model worst" } else { "model" });
        let end = plot.stroke(&line, &series.line).filter(|_| !series.longest);
        ends.extend(end.map(|end| (end, class(series.number), series.number.to_string())));
        for (x, low_high) in &series.bars {
            plot.whisker(&class(series.number), *x, *low_high);
        }
    }
    // Dots are drawn above all lines, so that expected values do not hide measured ones.
    for series in all {
        plot.dots(&series.class(if series.longest { "worst" } else { "mean" }), &series.dots);
    }
    plot.ends(&ends);
    for (class, text) in legend.iter().filter(|_| all.iter().any(|series| series.line.len() > 1)) {
        plot.explain_line(class, text);
    }
    Some(plot.finish(""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures;
    use crate::record::prediction::Prediction;
    use crate::record::{RunRecord, RunSet};

    fn curves(runs: Vec<RunRecord>) -> Curves {
        Curves::of(&RunSet { runs, ..fixtures::set() })
    }

    fn known(capacity: f64) -> RunRecord {
        let prediction = Prediction { capacity: Some(capacity), ..Prediction::default() };
        RunRecord { prediction: Some(prediction), ..fixtures::passed() }
    }

    #[test]
    fn one_run_has_four_pictures() {
        let plots = plots(&curves(vec![known(4_000.0)]));
        assert_eq!(plots.len(), 4);
        insta::assert_snapshot!("recovery", plots[1]);
        for plot in &plots {
            assert!(plot.contains("<circle class=\"mean curve curve-1\""), "a dot");
            assert!(plot.contains("<polyline class=\"model curve curve-1\""), "a line");
            assert!(!plot.contains(" id="));
        }
    }

    #[test]
    fn without_a_capacity_there_are_dots_but_no_line_of_the_recovery() {
        let plots = plots(&curves(vec![fixtures::passed()]));
        assert!(plots[1].contains("<circle") && !plots[1].contains("<polyline"));
        assert!(plots[3].contains("<polyline"));
    }

    #[test]
    fn a_formula_close_to_the_end_of_its_domain_does_not_flatten_the_rest() {
        let close = curves(vec![known(2_030.0)]);
        let series = Series::of(
            &close,
            |measured| Some(measured.recovery?.mean),
            Group::expected_recovery,
            |_, _| String::new(),
        );
        assert!(series[0].line.iter().any(|(_, y)| *y > 1_000.0));
        assert!(range(&series).unwrap().1 < 5.2 * ABOVE * 1.4);
    }

    #[test]
    fn nothing_measured_is_no_picture() {
        assert!(plots(&curves(vec![fixtures::empty()])).is_empty());
        assert!(plots(&Curves::default()).is_empty());
    }

    #[test]
    fn a_dot_names_a_few_scenarios_and_counts_the_rest() {
        let runs = ["a", "b", "c", "<d>", "<d>"].map(|name| RunRecord { scenario: name.into(), ..known(4_000.0) });
        let plots = plots(&curves(runs.into()));
        assert!(plots[0].contains("5 runs of &lt;d&gt;, a, b and 1 more; I 1.000 s, T 1.00 s (20 gaps): c/T "));
    }

    proptest! {
        #[test]
        fn any_runs_are_drawn(runs in prop::collection::vec(fixtures::any_run(), 0..4), capacity in 0.0..1e5f64) {
            let prediction = Some(Prediction { capacity: Some(capacity), ..Prediction::default() });
            let runs = runs.into_iter().map(|run| RunRecord { prediction: prediction.clone(), ..run }).collect();
            for plot in plots(&curves(runs)) {
                prop_assert!(!plot.contains("NaN") && !plot.contains("inf ") && !plot.contains("<script"));
                prop_assert!(plot.ends_with("</svg>\n"));
            }
        }
    }
}
