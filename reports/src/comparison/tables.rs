//! The comparison as tables: numbers of each scenario and target, and where targets differ.
//!
//! Start at [`numbers`] and [`differences`]. Terminal, page and Markdown show the same cells.

use std::borrow::Cow;

use super::{Comparison, Side, Spread};
use crate::ansi::Style;
use crate::numbers;
use crate::record::Lapse;
use crate::table::Align::{self, Left, Right};
use crate::table::{Cell, Table};
use crate::units;

/// Columns that are left out where there is no room, the first one first.
const DISPENSABLE: [&str; 12] = [
    "profile",
    "durations",
    "outages",
    "init",
    "slots",
    "deploy",
    "before",
    "restart delay",
    "restore",
    "detect",
    "checkpoints",
    "off in duration",
];

/// What a row of [`numbers`] begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// The scenario stands above its rows.
    Above,
    /// The scenario stands in a column.
    InColumn,
}

/// One row for each scenario and target: verdict, checkpoints, longest outage in parts, and how far times are from their predictions.
pub fn numbers(comparison: &Comparison, place: Scenario) -> Table {
    let sides = || comparison.rows.iter().flat_map(|row| &row.sides);
    let repeated = sides().any(|side| side.runs.len() > 1);
    let before = sides().any(|side| before_ns(side).is_some_and(|ns| ns > 0));
    let mut columns: Vec<(&'static str, Align)> = vec![("scenario", Left), ("target", Left), ("verdict", Left)];
    columns.extend([("checkpoints", Right), ("duration", Right), ("durations", Right)]);
    columns.extend([("longest outage", Right), ("outages", Right), ("before", Right), ("detect", Right)]);
    columns.extend([
        ("restart delay", Right),
        ("slots", Right),
        ("deploy", Right),
        ("restore", Right),
        ("init", Right),
    ]);
    columns.extend([("off in duration", Right), ("off in outage", Right), ("profile", Left)]);
    let shown = |name: &str| match name {
        "scenario" => place == Scenario::InColumn,
        "durations" | "outages" => repeated,
        "before" => before,
        _ => true,
    };
    let kept: Vec<bool> = columns.iter().map(|(name, _)| shown(name)).collect();
    let columns = columns.into_iter().filter(|(name, _)| shown(name));
    let mut table =
        Table::with(columns.map(|(name, align)| (Cow::Borrowed(name), align)).collect()).dispensable(&DISPENSABLE);
    for row in &comparison.rows {
        if place == Scenario::Above {
            table.section(Cell::new(&row.scenario).styled(Style::Heading));
        }
        for side in &row.sides {
            let cells = cells(&row.scenario, side).into_iter().zip(&kept);
            table.row(cells.filter_map(|(cell, kept)| kept.then_some(cell)).collect::<Vec<_>>());
        }
    }
    table
}

fn cells(scenario: &str, side: &Side) -> Vec<Cell> {
    let parts = side.median_outage.and_then(|outage| outage.parts);
    let part = |of: fn(&crate::record::RecoveryParts) -> u64| Cell::maybe_duration(parts.as_ref().map(of));
    let off = |spread: &Option<Spread<f64>>| {
        spread.map_or_else(Cell::none, |spread| Cell::new(numbers::signed(spread.median)))
    };
    vec![
        Cell::new(scenario),
        Cell::new(&side.target),
        verdict(side),
        side.completed.map_or_else(Cell::none, |spread| Cell::new(range(&spread, |n| units::count(*n)))),
        Cell::maybe_duration(side.duration_ns.map(|spread| spread.median)),
        side.duration_ns.map_or_else(Cell::none, |spread| Cell::new(range(&spread, |ns| units::duration(*ns)))),
        side.outage.map_or_else(Cell::none, |spread| Cell::lapse(spread.median)),
        side.outage.map_or_else(Cell::none, |spread| Cell::new(range(&spread, Lapse::to_string))),
        Cell::maybe_duration(before_ns(side)),
        part(|parts| parts.detect_ns),
        part(|parts| parts.backoff_or_cancel_ns),
        part(|parts| parts.slots_ns),
        part(|parts| parts.deploy_ns),
        part(|parts| parts.restore_ns),
        part(|parts| parts.init_ns),
        off(&side.duration_residual),
        off(&side.outage_residual),
        Cell::new(&side.profile).styled(Style::Dim),
    ]
}

/// What came before the failure that the last recovery of the median outage answers.
fn before_ns(side: &Side) -> Option<u64> {
    let parts = side.median_outage?.parts?;
    Some(parts.stalled_ns.saturating_add(parts.superseded_ns))
}

/// `passed`, or of several runs `4 passed, 1 uncertain`, the worst last.
fn verdict(side: &Side) -> Cell {
    let text = match side.runs.len() {
        0 | 1 => side.verdict.label().to_owned(),
        _ => {
            let counts =
                side.verdicts.iter().map(|(class, n)| format!("{} {}", units::count(*n as u64), class.label()));
            counts.collect::<Vec<_>>().join(", ")
        }
    };
    Cell::new(text).styled(side.verdict.style())
}

/// `1.1 s to 1.3 s`, or the one value.
fn range<T>(spread: &Spread<T>, text: impl Fn(&T) -> String) -> String {
    let (min, max) = (text(&spread.min), text(&spread.max));
    if min == max { min } else { format!("{min} to {max}") }
}

/// One row for each way in which runs of a target differ from those of the first: the first step that is another one.
pub fn differences(comparison: &Comparison) -> Table {
    let base = comparison.targets.first().map_or("", String::as_str);
    let columns = [("scenario", Left), ("target", Left), ("in", Right), ("after", Left)];
    let mut columns: Vec<(Cow<'static, str>, Align)> =
        columns.into_iter().map(|(name, align)| (Cow::Borrowed(name), align)).collect();
    columns.extend([(Cow::Owned(format!("then on {base}")), Left), (Cow::Borrowed("but there"), Left)]);
    let mut table = Table::with(columns).dispensable(&["after"]);
    for row in &comparison.rows {
        for side in &row.sides {
            for way in &side.differing {
                let step = |step: &Option<super::protocol::Step>, none: &str| {
                    step.as_ref().map_or_else(|| Cell::new(none).styled(Style::Dim), |step| Cell::new(step.to_string()))
                };
                table.row([
                    Cell::new(&row.scenario),
                    Cell::new(&side.target),
                    Cell::new(format!("{} of {}", way.runs, side.compared.unwrap_or(0))).styled(Style::Warn),
                    step(&way.difference.after, "the beginning"),
                    step(&way.difference.first, "nothing more"),
                    step(&way.difference.second, "nothing more"),
                ]);
            }
        }
    }
    table
}

/// What the comparison comes down to: `2 scenarios on sim, process, flink: 1 agrees, 1 differs`.
pub fn sum(comparison: &Comparison) -> String {
    let differ = comparison.rows.iter().filter(|row| row.differs()).count();
    let alone =
        comparison.rows.iter().filter(|row| row.sides.iter().filter(|side| side.verdict.ran()).count() < 2).count();
    let agree = comparison.rows.len() - differ - alone;
    let counts = [(agree, "the same on all that run it"), (differ, "not the same"), (alone, "run by one target only")];
    let counts: Vec<String> =
        counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", units::count(*n as u64))).collect();
    let scenarios = units::counted(comparison.rows.len(), "scenario");
    format!("{scenarios} on {}, by verdict and protocol: {}", comparison.targets.join(", "), counts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ansi::{Color, Screen};
    use crate::comparison::tests::set;

    fn shown(width: usize) -> String {
        let comparison = Comparison::of(&set()).unwrap();
        let screen = Screen { color: Color::No, width };
        let mut text = numbers(&comparison, Scenario::Above).text(0, screen);
        text.push_str(&crate::table::titled("Differences", &differences(&comparison), screen));
        text
    }

    #[test]
    fn targets_are_compared_on_a_narrow_and_on_a_wide_terminal() {
        insta::assert_snapshot!(shown(80), @r"
        target   verdict      checkpoints  duration   longest      off in  off in outage
                                                       outage    duration

        killed
        sim      passed                 7    128 ms  3.450 s       +2.3 %         +2.9 %
        process  passed                 7    128 ms  3.450 s       +2.3 %         +2.9 %
        flink    3 passed               7    128 ms  3.550 s       +2.3 %         +5.6 %

        cut
        sim      passed                 7    128 ms  3.450 s       +2.3 %         +2.9 %
        process  passed                 7    128 ms  3.450 s       +2.3 %         +2.9 %
        flink    not offered            –         –         –           –              –
        not shown for lack of room: profile, durations, outages, init, slots, deploy,
        before, restart delay, restore, detect

        Differences
          scenario  target      in  then on sim                             but there
          killed    flink   1 of 3  attempt 1: a failover began:            attempt 1: a
                                    task-manager-lost                       failover
                                                                            began:
                                                                            task-failed
          not shown for lack of room: after
        ");
        // All parts of an outage have room there.
        let left_out = "not shown for lack of room: profile, durations, outages\n";
        assert!(shown(140).contains(left_out), "{}", shown(140));
        for width in [80, 140] {
            let lines = shown(width);
            assert!(lines.lines().all(|line| crate::ansi::width(line) <= width), "{lines}");
        }
        let comparison = Comparison::of(&set()).unwrap();
        let said = "2 scenarios on sim, process, flink, by verdict and protocol: 1 the same on all that run it, 1 not the same";
        assert_eq!(sum(&comparison), said);
    }

    #[test]
    fn a_page_has_the_scenario_in_each_row() {
        let comparison = Comparison::of(&set()).unwrap();
        let table = numbers(&comparison, Scenario::InColumn);
        assert_eq!(table.columns()[0].0, "scenario");
        let verdicts: Vec<&str> = table.rows().iter().map(|row| row[2].text.as_str()).collect();
        assert_eq!(verdicts, ["passed", "passed", "3 passed", "passed", "passed", "not offered"]);
    }
}
