//! The curves of a set as a table: the same values as the pictures, for readers who cannot see these.
//!
//! Start at [`table`].

use super::{Curves, Group, Measured, Point, Times};
use crate::numbers::{percent, seconds};
use crate::table::Align::{Left, Right};
use crate::table::{Cell, Table};
use crate::units::aligned;

/// Shown beside the table.
pub const NOTE: &str = "means over the runs; R expected: for the T of its row, whenever a failure strikes";

/// The meaning of the table's symbols.
pub const SYMBOLS: &str = "I: interval; T: trigger to trigger; d: trigger to completion; c: work lost per checkpoint; A: age of \
    the restored snapshot; D: fault to lasting progress; R: failure until caught up; latency: until output is visible, without \
    failures, mean over all records; longest: the same of the record right behind each barrier.";

/// A row per group and interval. Groups have the same numbers as in the pictures.
pub fn table(curves: &Curves) -> Table {
    let mut table = Table::new([
        ("group", Left),
        ("runs", Right),
        ("I", Right),
        ("T", Right),
        ("d", Right),
        ("c", Right),
        ("c/T", Right),
        ("A", Right),
        ("D", Right),
        ("R", Right),
        ("R expected", Right),
        ("latency", Right),
        ("longest", Right),
    ]);
    for (number, group) in (1..).zip(&curves.groups) {
        for point in &group.points {
            table.row(row(number, group, point));
        }
    }
    table
}

fn row(number: usize, group: &Group, Point { interval_ns, measured }: &Point) -> [Cell; 13] {
    let Measured { period, duration, cost, age, outage, recovery, latency, longest, .. } = measured;
    let mean = |times: &Option<Times>| maybe(times.map(|times| times.mean));
    [
        Cell::new(format!("{number} {}, {}", group.kind.job, group.kind.backend)),
        Cell::count(measured.runs() as u64),
        Cell::duration(*interval_ns),
        mean(period),
        maybe(duration.map(|duration| duration.mean)),
        mean(cost),
        measured.overhead().map_or_else(Cell::none, |share| Cell::new(aligned(percent(share)))),
        mean(age),
        mean(outage),
        mean(recovery),
        maybe(period.and_then(|period| group.expected_recovery(period.mean))),
        maybe(*latency),
        mean(longest),
    ]
}

fn maybe(time: Option<f64>) -> Cell {
    time.map_or_else(Cell::none, |time| Cell::new(aligned(seconds(time))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ansi::Color;
    use crate::fixtures;
    use crate::record::prediction::Prediction;
    use crate::record::{RunRecord, RunSet};

    #[test]
    fn a_row_per_group_and_interval() {
        let prediction = Some(Prediction { capacity: Some(4_000.0), ..Prediction::default() });
        let with = |interval_ns: u64, backend: &str| {
            let mut run = RunRecord { prediction: prediction.clone(), ..fixtures::passed() };
            (run.settings.interval_ns, run.job.backend) = (interval_ns, backend.into());
            run
        };
        let mut bare = with(1_000_000_000, "memory");
        (bare.prediction, bare.recoveries) = (None, vec![]);
        let runs = vec![with(1_000_000_000, "fs"), with(1_000_000_000, "fs"), with(500_000_000, "fs"), bare];
        let curves = Curves::of(&RunSet { runs, ..fixtures::set() });
        insta::assert_snapshot!(table(&curves).text(0, Color::No));
    }
}
