//! The tables that compare rules with measurements: the rules of thumb, and what a checkpoint of changes costs.
//!
//! Start at [`interval_rules`]. A ratio is the rule divided by the measurement: 1 is right.

use super::rules::{self, Ratios};
use super::tables::time;
use super::{Curve, TuningSet, changes};
use crate::ansi::Style;
use crate::numbers::{bytes, ratio, signed};
use crate::table::Align::{Left, Right};
use crate::table::{Cell, Table};

/// `right of compared`, the median, and the range of a rule's ratios.
fn ratios(ratios: &Ratios) -> [Cell; 3] {
    let right = match ratios.count() {
        0 => Cell::none(),
        n if n == ratios.right() => Cell::new(format!("{n} of {n}")).styled(Style::Good),
        n => Cell::new(format!("{} of {n}", ratios.right())),
    };
    [
        right,
        ratios.median().map_or_else(Cell::none, |median| Cell::new(ratio(median))),
        ratios.ends().map_or_else(Cell::none, |(low, high)| Cell::new(format!("{} – {}", ratio(low), ratio(high)))),
    ]
}

/// The rule of thumb for the interval and the engine's rule, each divided by the measured period.
pub(super) fn interval_rules(set: &TuningSet) -> Table {
    let mut table = Table::new([
        ("backend", Left),
        ("state", Right),
        ("load", Right),
        ("d + P right", Right),
        ("median ratio", Right),
        ("from – to", Right),
        ("max(I, P, d + P) right", Right),
        ("median ratio", Right),
        ("from – to", Right),
    ]);
    for curve in &set.curves {
        let (thumb, engine) = rules::intervals(set, curve);
        let ([a, b, c], [d, e, f]) = (ratios(&thumb), ratios(&engine));
        let [backend, state, load] = key(curve);
        table.row([backend, state, load, a, b, c, d, e, f]);
    }
    table
}

/// The rule of thumb for recoveries, compared with the load-aware formula.
pub(super) fn recovery_rules(set: &TuningSet) -> Table {
    let mut table = Table::new([
        ("backend", Left),
        ("state", Right),
        ("load", Right),
        ("(d + state load)/D", Right),
        ("from – to", Right),
        ("(d + state load)/R", Right),
        ("from – to", Right),
        ("R(T) right", Right),
        ("median ratio", Right),
        ("from – to", Right),
    ]);
    for curve in &set.curves {
        let rules = rules::recoveries(set, curve);
        let ([_, a, b], [_, c, d]) = (ratios(&rules.thumb_outage), ratios(&rules.thumb_total));
        let [e, f, g] = ratios(&rules.expected);
        let [backend, state, load] = key(curve);
        table.row([backend, state, load, a, b, c, d, e, f, g]);
    }
    table
}

/// Duration over state size, and the line through the smallest and the largest state.
pub(super) fn size_rules(set: &TuningSet) -> Table {
    let mut table = Table::new([
        ("backend", Left),
        ("load", Right),
        ("d₀", Right),
        ("B per subtask", Right),
        ("state", Right),
        ("duration d", Right),
        ("fitted", Right),
        ("off by", Right),
    ]);
    for sizes in rules::sizes(set) {
        for (index, (state, measured, fitted)) in sizes.rows.iter().enumerate() {
            let once = |cell: Cell| if index == 0 { cell } else { Cell::new("") };
            // The line was fitted to both ends, so its error there says nothing, unless it was moved because it would
            // begin below zero.
            let is_end = index == 0 || index + 1 == sizes.rows.len();
            let off = fitted.map(|fitted| fitted / measured - 1.0).filter(|off| !is_end || off.abs() > 1e-9);
            let bandwidth = sizes.fit.map(|(_, bandwidth)| format!("{}/s", bytes(bandwidth)));
            table.row([
                once(Cell::new(&sizes.backend)),
                once(Cell::new(sizes.load.to_string())),
                once(time(sizes.fit.map(|(fixed, _)| fixed))),
                once(bandwidth.map_or_else(Cell::none, Cell::new)),
                Cell::new(bytes(*state)),
                time(Some(*measured)),
                time(*fitted),
                off.map_or_else(Cell::none, |off| Cell::new(signed(off))),
            ]);
        }
    }
    table
}

/// If the cost of a checkpoint grows with the period: how well `c₀ + k·S·(1 − e^(−u·T))` describes it.
pub(super) fn change_rules(set: &TuningSet) -> Table {
    let mut table = Table::new([
        ("backend", Left),
        ("state", Right),
        ("load", Right),
        ("c₀", Right),
        ("c₀ + k·S", Right),
        ("a key changes every", Right),
        ("c(T) right", Right),
        ("median ratio", Right),
        ("from – to", Right),
    ]);
    for changes in changes::of(set) {
        let [backend, state, load] = key(changes.curve);
        let fit = changes.fit;
        let [right, middle, ends] = ratios(&changes.ratios);
        let every = time(Some(1.0 / fit.updates));
        table.row([
            backend,
            state,
            load,
            time(Some(fit.fixed)),
            time(Some(fit.fixed + fit.all)),
            every,
            right,
            middle,
            ends,
        ]);
    }
    table
}

fn key(curve: &Curve) -> [Cell; 3] {
    [Cell::new(&curve.backend), Cell::new(bytes(curve.state_declared)), Cell::new(curve.load.to_string())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuning::fixtures;

    fn texts(table: &Table, column: usize) -> Vec<&str> {
        table.rows().iter().map(|row| row[column].text.as_str()).collect()
    }

    #[test]
    fn a_line_is_not_held_against_the_points_that_it_was_laid_through() {
        let mut set = fixtures::set();
        assert!(texts(&size_rules(&set), 7).iter().all(|off| *off == "–"));
        let mut between = set.curves[0].clone();
        between.points.iter_mut().for_each(|point| point.state *= 4.0);
        set.curves.insert(1, between);
        let told = size_rules(&set);
        assert!(texts(&told, 7)[0] == "–" && texts(&told, 7)[1].ends_with(" %"), "{:?}", texts(&told, 7));
    }

    #[test]
    fn only_curves_whose_cost_grows_are_held_against_the_cost_of_changes() {
        let mut set = fixtures::set();
        assert!(change_rules(&set).is_empty());
        for point in &mut set.curves[3].points {
            point.cost = point.period.map(|period| 0.1 - 0.09 * libm::exp(-0.02 * period));
        }
        let told = change_rules(&set);
        assert_eq!((told.rows().len(), texts(&told, 5)[0].trim()), (1, "50.0 s"));
        assert_eq!(texts(&told, 7), ["1.00"]);
    }
}
