//! An exhaustive search in a few lines: what went wrong, how strikes went by kind, and at the end the result in one
//! line.

use std::collections::BTreeMap;

use super::{Covering, ExhaustSet, ExhaustStrike};
use crate::ansi::{Screen, Style};
use crate::class::Class;
use crate::table::{Align, Cell, Table};
use crate::units::{count, counted};

/// Most wrong strikes that are listed one by one.
const TOLD: usize = 20;

/// The whole summary as text for a terminal.
pub fn summary(set: &ExhaustSet, screen: Screen) -> String {
    let mut text = table(set).text(0, screen);
    text.push('\n');
    if let Some(table) = depths(set) {
        text.push_str(&format!("{}\n", table.text(0, screen)));
    }
    if !set.measured.is_empty() {
        text.push_str(&format!("{}\n", cuts(set).text(0, screen)));
    }
    let wrong: Vec<&ExhaustStrike> = wrong(set).collect();
    for strike in wrong.iter().take(TOLD) {
        let Some(result) = &strike.result else { continue };
        text.push_str(&format!("{}: {}\n", result.verdict.label(), what(set, strike)));
        text.push_str(&format!("  {}\n  {}\n", result.headline, result.replay));
    }
    if wrong.len() > TOLD {
        text.push_str(&format!("and {} more, which the JSON and the page list\n", count((wrong.len() - TOLD) as u64)));
    }
    text.push_str(&format!("{}\n", verdicts(set)));
    if !set.stopped.is_empty() {
        text.push_str(&format!("not finished: {}\n", set.stopped));
    }
    if let Some(covering) = &set.covering {
        text.push_str(&format!("\n{}\n", combinations(covering).text(0, screen)));
        for (why, missing) in &covering.missing {
            text.push_str(&format!("cannot be: {} {why}\n", count(*missing)));
        }
    }
    text.push_str(&format!("{}\n", set.theorem));
    text
}

/// A row for each depth, if strikes were made at several: how runs went with no, one or two faults before the strike.
pub(super) fn depths(set: &ExhaustSet) -> Option<Table> {
    let mut rows: BTreeMap<u8, Row> = BTreeMap::new();
    for strike in &set.strikes {
        rows.entry(set.depths[strike.ground as usize]).or_default().add(strike);
    }
    if rows.len() < 2 {
        return None;
    }
    let right = |heading: &'static str| (heading, Align::Right);
    let mut table = Table::new([
        ("struck", Align::Left),
        right("strikes"),
        right("classes"),
        right("run"),
        right("passed"),
        right("hurt nothing"),
        right("wrong"),
        right("ways"),
    ]);
    for (depth, row) in rows {
        let place = match depth {
            0 => "the scenario itself",
            1 => "a recovery",
            _ => "the recovery of a recovery",
        };
        let counts = [row.strikes, row.classes, row.run, row.passed, row.vacuous, row.wrong, row.ways.len() as u64];
        table.row(std::iter::once(Cell::new(place)).chain(counts.map(Cell::count)).collect::<Vec<_>>());
    }
    Some(table)
}

/// A row for each cut: what it removes while all others are made.
pub(super) fn cuts(set: &ExhaustSet) -> Table {
    let right = |heading: &'static str| (heading, Align::Right);
    let headings =
        [("cut", Align::Left), ("", Align::Left), right("removes"), right("of"), right("share"), ("unit", Align::Left)];
    let mut table = Table::new(headings);
    for cut in &set.measured {
        table.row([
            Cell::new(&cut.name),
            Cell::new(if cut.sound { "sound" } else { "assumed" }),
            Cell::count(cut.removes),
            Cell::count(cut.of),
            Cell::new((cut.removes * 100).checked_div(cut.of).map_or("-".into(), |share| format!("{share} %"))),
            Cell::new(&cut.unit),
        ]);
    }
    table
}

/// A row for each sort of combinations of a covering array.
pub(super) fn combinations(covering: &Covering) -> Table {
    let right = |heading: &'static str| (heading, Align::Right);
    let headings = [("combination", Align::Left), right("all"), right("cannot be"), right("covered"), right("open")];
    let mut table = Table::new(headings);
    for sort in &covering.sorts {
        let open = Cell::count(sort.possible - sort.covered);
        table.row([
            Cell::new(&sort.name),
            Cell::count(sort.all),
            Cell::count(sort.all - sort.possible),
            Cell::count(sort.covered),
            open,
        ]);
    }
    table
}

/// Strikes whose run shows something wrong.
pub(super) fn wrong(set: &ExhaustSet) -> impl Iterator<Item = &ExhaustStrike> {
    let is_wrong = |verdict: Class| verdict.ran() && !matches!(verdict, Class::Passed | Class::Vacuous);
    set.strikes.iter().filter(move |strike| strike.result.as_ref().is_some_and(|result| is_wrong(result.verdict)))
}

/// A strike in words.
pub(super) fn what(set: &ExhaustSet, strike: &ExhaustStrike) -> String {
    let kind = &set.kinds[strike.kind as usize].0;
    let place = match set.events.get(strike.event as usize).filter(|_| strike.ground == 0) {
        Some(event) => format!("at {} of {}", event.name, event.node),
        None => format!("at event {} of the recovery", strike.event),
    };
    let ground = &set.grounds[strike.ground as usize];
    let ground = if ground.is_empty() { String::new() } else { format!(", where {ground}") };
    format!("strike {}: {kind} {}, {} {place}{ground}", strike.number, strike.label, strike.victim)
}

/// Such as `5,857 runs: 5,201 passed, 656 hurt nothing`.
pub(super) fn verdicts(set: &ExhaustSet) -> String {
    let verdicts = set.verdicts();
    let parts: Vec<String> = verdicts
        .iter()
        .map(|(class, runs)| {
            let word = if *class == Class::Vacuous { "hurt nothing" } else { class.label() };
            format!("{} {word}", count(*runs as u64))
        })
        .collect();
    format!("{}: {}", counted(verdicts.values().sum(), "run"), parts.join(", "))
}

/// A row for each kind of fault.
pub(super) fn table(set: &ExhaustSet) -> Table {
    let right = |heading: &'static str| (heading, Align::Right);
    let mut table = Table::new([
        ("fault", Align::Left),
        right("strikes"),
        right("classes"),
        right("run"),
        right("passed"),
        right("hurt nothing"),
        right("wrong"),
        right("ways"),
        right("cpu"),
    ])
    .dispensable(&["cpu", "classes"]);
    let mut rows: BTreeMap<u32, Row> = BTreeMap::new();
    for strike in &set.strikes {
        rows.entry(strike.kind).or_default().add(strike);
    }
    for (kind, row) in rows {
        let wrong = Cell::count(row.wrong);
        table.row([
            Cell::new(&set.kinds[kind as usize].0),
            Cell::count(row.strikes),
            Cell::count(row.classes),
            Cell::count(row.run),
            Cell::count(row.passed),
            Cell::count(row.vacuous),
            if row.wrong > 0 { wrong.styled(Style::Bad) } else { wrong },
            Cell::count(row.ways.len() as u64),
            Cell::duration(row.cpu_ns),
        ]);
    }
    table
}

#[derive(Default)]
struct Row<'s> {
    strikes: u64,
    classes: u64,
    run: u64,
    passed: u64,
    vacuous: u64,
    wrong: u64,
    ways: std::collections::BTreeSet<&'s str>,
    cpu_ns: u64,
}

impl<'s> Row<'s> {
    fn add(&mut self, strike: &'s ExhaustStrike) {
        self.strikes += 1;
        self.classes += u64::from(strike.stands);
        let Some(result) = &strike.result else { return };
        self.run += 1;
        self.cpu_ns += result.cpu_ns;
        self.ways.insert(&result.signature);
        match result.verdict {
            Class::Passed => self.passed += 1,
            Class::Vacuous => self.vacuous += 1,
            verdict => self.wrong += u64::from(verdict.ran()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exhaust::{CoveredSort, fixture};

    #[test]
    fn recoveries_stand_apart_by_their_depth() {
        let mut set = fixture();
        let grounds = ["", "the leader dies", "the leader dies, and tm-1 as well"];
        (set.grounds, set.depths) = (grounds.map(str::to_owned).into(), vec![0, 1, 2]);
        (set.strikes[3].ground, set.strikes[4].ground, set.strikes[5].ground) = (1, 2, 2);
        insta::assert_snapshot!(depths(&set).unwrap().text(0, crate::ansi::Color::No));
        assert!(depths(&fixture()).is_none());
    }

    #[test]
    fn a_covering_array_says_what_it_covers_and_what_cannot_be() {
        let sort =
            CoveredSort { name: "two kinds, phase of the first".into(), all: 1200, possible: 1000, covered: 998 };
        let missing = [("the first kind has no strike in this scenario".to_owned(), 200)].into();
        let covering = Covering { strength: 3, sorts: vec![sort], missing, pairs: Vec::new() };
        let theorem = covering.theorem(500);
        let set = ExhaustSet { covering: Some(covering), theorem, ..fixture() };
        insta::assert_snapshot!(summary(&set, crate::ansi::Color::No.into()));
    }

    #[test]
    fn a_search_in_a_few_lines() {
        insta::assert_snapshot!(summary(&fixture(), crate::ansi::Color::No.into()));
    }
}
