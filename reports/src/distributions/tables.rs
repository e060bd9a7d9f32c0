//! The distributions as a table for terminal and HTML, with the notes that belong to it.
//!
//! Start at [`table`].

use super::Distribution;
use crate::ansi::Style;
use crate::record::RunSet;
use crate::table::Align::{Left, Right};
use crate::table::{Cell, Table};
use crate::units;

/// Shown beside every table of distributions.
pub const NOTE: &str = "parts of one case sum to its whole, percentiles do not; maxima over subtasks are never summed";

/// One row per quantity.
pub fn table(distributions: &[Distribution]) -> Table {
    let mut table = Table::new([
        ("quantity", Left),
        ("one value per", Left),
        ("count", Right),
        ("p50", Right),
        ("p90", Right),
        ("p99", Right),
        ("max", Right),
        ("no end", Right),
    ]);
    for one in distributions {
        // Non-breaking spaces, because HTML keeps these.
        let name = if one.is_part { format!("\u{a0}\u{a0}{}", one.name) } else { one.name.to_owned() };
        let of = |which: fn(&crate::timing::Percentiles) -> u64| {
            one.percentiles.as_ref().map_or_else(Cell::none, |all| Cell::quantity(one.unit, which(all)))
        };
        table.row([
            Cell::new(name),
            Cell::new(one.sort.label()).styled(Style::Dim),
            Cell::count(one.percentiles.map_or(0, |p| p.count)),
            of(|p| p.p50),
            of(|p| p.p90),
            of(|p| p.p99),
            of(|p| p.max),
            match one.endless {
                0 => Cell::none(),
                n => Cell::count(n).styled(Style::Warn),
            },
        ]);
    }
    table
}

/// Says how many runs are missing from the distributions of a set, if some are.
pub fn missing(set: &RunSet) -> Option<String> {
    match super::without_times(set) {
        0 => None,
        n => Some(format!("without {} that passed in a long sweep, which keep no times", units::counted(n, "run"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ansi::Color;
    use crate::fixtures;

    #[test]
    fn a_row_per_quantity() {
        let mut run = fixtures::passed();
        let mut lost = run.recoveries[0].clone();
        (lost.parts, lost.caught_up_at_ns) = (None, None);
        run.recoveries.push(lost);
        insta::assert_snapshot!(table(&super::super::of([&run])).text(0, Color::No));
    }
}
