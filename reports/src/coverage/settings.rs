//! Settings in coverage: which ranges of each setting occurred in a run that proves something, and which did not.
//!
//! Start at [`SettingsCoverage`]; [`table`] shows it. The records say which ranges there are, as they do for the kinds
//! of faults. Settings are not part of the grid: how much of the grid was hit says nothing about settings, and the
//! reverse.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::ansi::Style;
use crate::record::{RunRecord, SettingRecord};
use crate::table::Align::{Left, Right};
use crate::table::{Cell, Table};
use crate::units;

/// Settings of one or more run sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingsCoverage {
    /// The settings, in the order of the records.
    settings: Vec<SettingRecord>,
    /// Number of runs that prove something, by setting and range.
    runs: BTreeMap<(String, String), u64>,
}

/// A setting, and how many runs had each of its ranges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettingTried {
    /// The name in the records, such as `checkpointing.interval`.
    pub name: String,
    /// Whether swarms draw it.
    pub drawn: bool,
    /// Every range with its runs, in order.
    pub ranges: Vec<RangeTried>,
}

/// A range of a setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RangeTried {
    /// The range in words.
    pub range: String,
    /// Number of runs that had a value in the range and proved something.
    pub runs: u64,
}

impl SettingTried {
    /// Ranges that no run had.
    pub fn never(&self) -> impl Iterator<Item = &str> {
        self.ranges.iter().filter(|range| range.runs == 0).map(|range| range.range.as_str())
    }
}

impl SettingsCoverage {
    /// Adds a setting, or adds ranges to a setting that is known.
    pub(super) fn add_setting(&mut self, setting: &SettingRecord) {
        let Some(known) = self.settings.iter_mut().find(|known| known.name == setting.name) else {
            self.settings.push(setting.clone());
            return;
        };
        known.drawn |= setting.drawn;
        for range in &setting.ranges {
            if !known.ranges.contains(range) {
                known.ranges.push(range.clone());
            }
        }
    }

    /// Counts a run of a set with these settings, if the run proves something.
    pub(super) fn add_run(&mut self, run: &RunRecord, settings: &[SettingRecord]) {
        if !run.verdict.class().proves() {
            return;
        }
        for (setting, letter) in settings.iter().zip(run.tried.bytes()) {
            if let Some(range) = letter.checked_sub(b'a').and_then(|at| setting.ranges.get(usize::from(at))) {
                *self.runs.entry((setting.name.clone(), range.clone())).or_default() += 1;
            }
        }
    }

    pub(super) fn merge(&mut self, other: &SettingsCoverage) {
        other.settings.iter().for_each(|setting| self.add_setting(setting));
        for (key, runs) in &other.runs {
            *self.runs.entry(key.clone()).or_default() += runs;
        }
    }

    /// Every setting with its ranges.
    pub fn tried(&self) -> Vec<SettingTried> {
        let of = |name: &str, range: &str| self.runs.get(&(name.to_owned(), range.to_owned())).copied().unwrap_or(0);
        let setting = |setting: &SettingRecord| SettingTried {
            name: setting.name.clone(),
            drawn: setting.drawn,
            ranges: setting
                .ranges
                .iter()
                .map(|range| RangeTried { range: range.clone(), runs: of(&setting.name, range) })
                .collect(),
        };
        self.settings.iter().map(setting).collect()
    }

    /// The number of ranges that some run had, and the number of all ranges.
    pub fn tally(&self) -> (u64, u64) {
        let tried = self.tried();
        let ranges = || tried.iter().flat_map(|setting| &setting.ranges);
        (ranges().filter(|range| range.runs > 0).count() as u64, ranges().count() as u64)
    }
}

/// One line that says how many of the ranges were tried; `None` if the records have no settings.
pub fn summary(coverage: &SettingsCoverage) -> Option<String> {
    let (tried, all) = coverage.tally();
    (all > 0).then(|| {
        format!(
            "settings: {} of {} ranges tried ({})",
            units::count(tried),
            units::count(all),
            units::percent(tried, all)
        )
    })
}

/// One row per setting: what was tried, in how many runs, and what never was.
pub fn table(coverage: &SettingsCoverage) -> Table {
    let mut table = Table::new([
        ("setting", Left),
        ("drawn", Left),
        ("tried", Right),
        ("of", Right),
        ("runs with each range", Left),
        ("never tried", Left),
    ])
    .dispensable(&["runs with each range"]);
    for setting in coverage.tried() {
        let tried: Vec<&RangeTried> = setting.ranges.iter().filter(|range| range.runs > 0).collect();
        let list: Vec<String> =
            tried.iter().map(|range| format!("{}: {}", range.range, units::count(range.runs))).collect();
        let never: Vec<&str> = setting.never().collect();
        let never = Cell::new(never.join("; ")).styled(if never.is_empty() { Style::Plain } else { Style::Warn });
        table.row([
            Cell::new(&setting.name),
            Cell::new(if setting.drawn { "yes" } else { "" }),
            Cell::count(tried.len() as u64),
            Cell::count(setting.ranges.len() as u64),
            Cell::new(list.join("; ")),
            never,
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ansi::Color;
    use crate::fixtures;
    use crate::record::Verdict;

    fn setting(name: &str, ranges: &[&str]) -> SettingRecord {
        SettingRecord { name: name.into(), ranges: ranges.iter().map(|range| (*range).into()).collect(), drawn: true }
    }

    fn run(verdict: Verdict, tried: &str) -> RunRecord {
        RunRecord { verdict, tried: tried.into(), ..fixtures::passed() }
    }

    #[test]
    fn only_runs_that_prove_something_count() {
        let mut coverage = SettingsCoverage::default();
        let settings = [setting("cluster.slots", &["1", "2", "3 or more"])];
        coverage.add_setting(&settings[0]);
        // A letter that stands for no range, or that comes after the last setting, counts nothing.
        for tried in ["a", "-", "z", "é", "ab", ""] {
            coverage.add_run(&run(Verdict::Passed, tried), &settings);
        }
        coverage.add_run(&run(Verdict::Vacuous { missing: "x".into() }, "b"), &settings);
        let tried = coverage.tried();
        assert_eq!(tried[0].ranges.iter().map(|range| range.runs).collect::<Vec<_>>(), [2, 0, 0]);
        assert_eq!(tried[0].never().collect::<Vec<_>>(), ["2", "3 or more"]);
        assert_eq!(summary(&coverage).unwrap(), "settings: 1 of 3 ranges tried (33.3 %)");
        let text = table(&coverage).text(0, Color::No);
        assert!(text.contains("1: 2") && text.contains("2; 3 or more"), "{text}");
        assert_eq!(summary(&SettingsCoverage::default()), None, "records of older builds tell of none");
    }

    #[test]
    fn two_sets_give_the_same_as_all_their_runs() {
        let runs = [run(Verdict::Passed, "aa"), run(Verdict::Passed, "b")];
        let of = |runs: &[RunRecord], settings: &[SettingRecord]| {
            let mut coverage = SettingsCoverage::default();
            settings.iter().for_each(|setting| coverage.add_setting(setting));
            runs.iter().for_each(|run| coverage.add_run(run, settings));
            coverage
        };
        let (a, b) = (setting("a", &["1", "2"]), setting("b", &["x"]));
        let mut merged = of(&runs[..1], &[a.clone(), b.clone()]);
        merged.merge(&of(&runs[1..], std::slice::from_ref(&a)));
        assert_eq!(merged, of(&runs, &[a, b]));
        let mut wider = of(&[], &[setting("a", &["1"])]);
        wider.merge(&of(&[], &[setting("a", &["1", "3"])]));
        assert_eq!(wider.tried()[0].ranges.len(), 2);
    }
}
