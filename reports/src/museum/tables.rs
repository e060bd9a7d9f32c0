//! The tables of a kill matrix, for the terminal and for the page.

use super::{Fate, Found, KillMatrix, Method, Row};
use crate::ansi::Style;
use crate::table::{Align, Cell, Table};
use crate::units;

/// A row for each bug.
pub(super) fn matrix(matrix: &KillMatrix) -> Table {
    let right = |heading: &'static str| (heading, Align::Right);
    let left = |heading: &'static str| (heading, Align::Left);
    let mut table = Table::new([
        left("bug"),
        left("fate"),
        left("noticed by"),
        left("in"),
        right("scripted runs"),
        right("swarm runs"),
        right("exhaust runs"),
        right("cpu"),
    ])
    .dispensable(&["in", "cpu"]);
    for row in &matrix.bugs {
        let kill = kill(row);
        let cpu: u64 = row.found.values().map(|found| found.cpu_ms).sum();
        table.row([
            Cell::new(&row.bug),
            Cell::new(fate_of(row)).styled(style(row)),
            Cell::new(kill.and_then(|(_, found)| found.noticed.first().cloned()).unwrap_or_default()),
            Cell::new(kill.and_then(|(_, found)| found.by.clone()).map(|(scenario, _)| scenario).unwrap_or_default()),
            runs(row, Method::Scripted),
            runs(row, Method::Swarm),
            runs(row, Method::Exhaust),
            Cell::duration(cpu * 1_000_000),
        ]);
    }
    table
}

/// The first method that found the bug.
pub(super) fn kill(row: &Row) -> Option<(Method, &Found)> {
    row.found.iter().find(|(_, found)| found.fate == Fate::Killed).map(|(method, found)| (*method, found))
}

pub(super) fn fate_of(row: &Row) -> &'static str {
    match (row.fate(), row.excused.is_empty()) {
        (Fate::Survived, false) => "excused",
        (fate, _) => fate.name(),
    }
}

pub(super) fn style(row: &Row) -> Style {
    match (row.fate(), row.excused.is_empty()) {
        (Fate::Killed, _) => Style::Good,
        (Fate::Survived, false) => Style::Warn,
        _ => Style::Bad,
    }
}

/// Runs until the bug was found, as the median over the starts; or that so many runs were not enough.
pub(super) fn runs(row: &Row, method: Method) -> Cell {
    match row.found.get(&method) {
        None => Cell::none(),
        Some(found) => match found.median() {
            Some(runs) => Cell::count(runs),
            None => Cell::new(format!("> {}", units::count(found.budget))).styled(Style::Warn),
        },
    }
}

/// Such as `40 bugs: 38 killed, 2 excused`.
pub(super) fn summary(matrix: &KillMatrix) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for fate in ["killed", "survived", "excused", "stale"] {
        let n = matrix.bugs.iter().filter(|row| fate_of(row) == fate).count();
        if n > 0 {
            counts.push((fate, n));
        }
    }
    let counts: Vec<String> = counts.into_iter().map(|(fate, n)| format!("{n} {fate}")).collect();
    format!("{}: {}", units::counted(matrix.bugs.len(), "bug"), counts.join(", "))
}

/// For each method, the median number of runs over the bugs that it was tried on.
pub(super) fn medians(matrix: &KillMatrix) -> Vec<String> {
    let mut lines = Vec::new();
    for method in Method::ALL {
        let tried: Vec<&Found> =
            matrix.bugs.iter().filter(|row| row.excused.is_empty()).filter_map(|row| row.found.get(&method)).collect();
        let mut runs: Vec<u64> = tried.iter().map(|found| found.median().unwrap_or(u64::MAX)).collect();
        runs.sort_unstable();
        let Some(middle) = runs.len().checked_sub(1).map(|last| runs[last / 2]) else { continue };
        let killed = tried.iter().filter(|found| found.fate == Fate::Killed).count();
        let median = if middle == u64::MAX { "none".to_owned() } else { units::counted(middle as usize, "run") };
        lines.push(format!("{}: {killed} of {} killed, median {median} to kill", method.name(), tried.len()));
    }
    lines
}
