//! What each subtask did with its time: busy, back-pressured, idle (Flink: `busyTimeMsPerSecond` and its like).

use std::collections::BTreeMap;

use crate::record::{RunRecord, SubtaskCheckpoint};
use crate::table::{Align, Cell, Table};

/// Shares of one subtask over its snapshots, in thousandths.
#[derive(Default)]
struct Load {
    snapshots: u64,
    busy: (u64, u16),
    back_pressured: (u64, u16),
}

impl Load {
    fn add(&mut self, busy: u16, back_pressured: u16) {
        self.snapshots += 1;
        for (of, share) in [(&mut self.busy, busy), (&mut self.back_pressured, back_pressured)] {
            *of = (of.0 + u64::from(share), of.1.max(share));
        }
    }

    fn mean(&self, sum: u64) -> u64 {
        sum / self.snapshots.max(1)
    }
}

/// One row per subtask: means over its snapshots, and the most in between two of them. Empty, if none took one.
pub fn load(run: &RunRecord) -> Table {
    let right = |name: &'static str| (name, Align::Right);
    let mut table = Table::new([
        ("subtask", Align::Left),
        right("snapshots"),
        right("busy"),
        right("at most"),
        right("back-pressured"),
        right("at most"),
        right("idle"),
    ]);
    let mut by_subtask: BTreeMap<&str, Load> = BTreeMap::new();
    let taken = run.checkpoints.iter().flat_map(|checkpoint| &checkpoint.subtasks);
    for SubtaskCheckpoint { subtask, busy_permille, back_pressured_permille, .. } in taken {
        if let (Some(busy), Some(back_pressured)) = (busy_permille, back_pressured_permille) {
            by_subtask.entry(subtask).or_default().add(*busy, *back_pressured);
        }
    }
    for (subtask, load) in by_subtask {
        let (busy, back_pressured) = (load.mean(load.busy.0), load.mean(load.back_pressured.0));
        table.row([
            Cell::new(subtask),
            Cell::count(load.snapshots),
            percent(busy),
            percent(load.busy.1.into()),
            percent(back_pressured),
            percent(load.back_pressured.1.into()),
            percent(1_000_u64.saturating_sub(busy + back_pressured)),
        ]);
    }
    table
}

fn percent(permille: u64) -> Cell {
    Cell::new(format!("{}.{} %", permille / 10, permille % 10))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ansi::Color;
    use crate::fixtures;

    #[test]
    fn shares_are_means_over_snapshots_beside_the_most_of_one() {
        let mut run = fixtures::passed();
        run.checkpoints.truncate(2);
        for (checkpoint, (busy, back_pressured)) in run.checkpoints.iter_mut().zip([(200, 0), (400, 500)]) {
            checkpoint.subtasks.truncate(1);
            checkpoint.subtasks[0].subtask = "count#0".into();
            (checkpoint.subtasks[0].busy_permille, checkpoint.subtasks[0].back_pressured_permille) =
                (Some(busy), Some(back_pressured));
        }
        let text = load(&run).text(0, Color::No);
        let row: Vec<&str> =
            text.lines().last().unwrap().split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        assert_eq!(row, ["count#0", "2", "30.0 %", "40.0 %", "25.0 %", "50.0 %", "45.0 %"]);
        run.checkpoints.iter_mut().for_each(|checkpoint| checkpoint.subtasks[0].busy_permille = None);
        assert!(load(&run).is_empty());
    }
}
