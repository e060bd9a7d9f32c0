//! Activation: for every kind of fault, how often it was in a plan, how often it struck, and how often it hurt
//! something.
//!
//! The grid shows where kinds struck; this shows whether they had any effect. A kind that is drawn a thousand times and
//! hurts twice is tested twice. Start at [`Activation::rows`]; [`Floors`] are the least numbers that a sweep must
//! reach.
//!
//! Runs that did not run (because a backend was not built) are not counted. Vacuous runs are: what was hurt in them was
//! hurt.
//!
//! Invariant: (ACTIVATION-A1) of every kind, at most as many faults struck as were in plans, and at most as many hurt
//! as struck.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::ansi::Style;
use crate::record::{FaultKindRecord, RunRecord};
use crate::table::Align::{Left, Right};
use crate::table::{Cell, Table};
use crate::units;

/// Most kinds that a line names.
const NAMED_MAX: usize = 8;

/// Counts of the faults of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Active {
    /// Faults of this kind in the plans of all runs, both drawn by swarms and scripted by scenarios.
    pub drawn: u64,
    /// How many of them struck at least once.
    pub struck: u64,
    /// How many of those hurt something.
    pub hurt: u64,
}

/// Counts of faults by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Activation {
    kinds: BTreeMap<String, Active>,
}

/// A kind with its counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ActiveKind<'a> {
    /// Its family.
    pub family: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The kind's counts.
    #[serde(flatten)]
    pub active: Active,
}

impl Activation {
    /// Counts the faults of a run, if it ran.
    pub(super) fn add_run(&mut self, run: &RunRecord) {
        if !run.verdict.class().ran() {
            return;
        }
        for fault in &run.faults {
            let struck = fault.struck_at_ns.is_some() || !fault.hits.is_empty();
            let hurt = struck && !fault.hurt.is_empty();
            let kind = self.kinds.entry(fault.kind.clone()).or_default();
            kind.drawn += 1;
            kind.struck += u64::from(struck);
            kind.hurt += u64::from(hurt);
            assert!(kind.hurt <= kind.struck && kind.struck <= kind.drawn, "ACTIVATION-A1");
        }
    }

    /// Counts the faults of these runs.
    pub fn of_runs<'r>(runs: impl IntoIterator<Item = &'r RunRecord>) -> Self {
        let mut activation = Self::default();
        runs.into_iter().for_each(|run| activation.add_run(run));
        activation
    }

    pub(super) fn merge(&mut self, other: &Activation) {
        for (name, more) in &other.kinds {
            let kind = self.kinds.entry(name.clone()).or_default();
            kind.drawn += more.drawn;
            kind.struck += more.struck;
            kind.hurt += more.hurt;
        }
    }

    /// Whether any run had a fault.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// The kinds that hurt less often than their floor allows. A floor is a number per 1,000 runs, and is scaled to
    /// `runs` and rounded down.
    pub fn below<'f>(&self, runs: u64, floors: impl IntoIterator<Item = (&'f str, u64)>) -> Vec<Below> {
        let least = |floor: u64| u64::try_from(u128::from(floor) * u128::from(runs) / 1_000).unwrap_or(u64::MAX);
        let floors = floors.into_iter().map(|(kind, floor)| (kind, self.of(kind), least(floor)));
        let below = floors.filter(|(_, active, least)| active.hurt < *least);
        below.map(|(kind, active, least)| Below { kind: kind.into(), active, least }).collect()
    }

    /// The counts of a kind.
    pub fn of(&self, kind: &str) -> Active {
        self.kinds.get(kind).copied().unwrap_or_default()
    }

    /// A row for each of these kinds, in their order. Kinds that no run had have zeros.
    pub fn rows<'a>(&self, kinds: &[&'a FaultKindRecord]) -> Vec<ActiveKind<'a>> {
        let row = |kind: &&'a FaultKindRecord| ActiveKind {
            family: &kind.family,
            name: &kind.name,
            active: self.of(&kind.name),
        };
        kinds.iter().map(row).collect()
    }
}

/// How many faults of each kind must have hurt something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Floors {
    /// For every kind that has no floor of its own.
    every: Option<u64>,
    kinds: BTreeMap<String, u64>,
}

/// A floor as it is written: `20` for every kind, `kill=20` for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Floor {
    /// The kind; `None`: every kind without a floor of its own.
    pub kind: Option<String>,
    /// Least number of faults.
    pub least: u64,
}

impl std::str::FromStr for Floor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, number) = match text.split_once('=') {
            Some((kind, number)) => (Some(kind.trim().to_owned()), number),
            None => (None, text),
        };
        if kind.as_deref() == Some("") {
            return Err("a kind of fault is needed before `=`, such as kill=20".into());
        }
        let least = number.trim().parse().map_err(|_| "write a number, such as 20 or kill=20".to_owned())?;
        Ok(Self { kind, least })
    }
}

/// A kind that is below its floor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Below {
    /// Its name.
    pub kind: String,
    /// The kind's counts.
    pub active: Active,
    /// The number that it should have reached.
    pub least: u64,
}

impl std::fmt::Display for Below {
    /// `half-open: 1 of 12 hurt something, 5 are asked for (9 struck)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Active { drawn, struck, hurt } = self.active;
        let [drawn, struck, hurt, least] = [drawn, struck, hurt, self.least].map(units::count);
        write!(f, "{}: {hurt} of {drawn} hurt something, {least} are asked for ({struck} struck)", self.kind)
    }
}

impl Floors {
    /// All these floors; of two floors for the same kind, the later one counts.
    pub fn new(floors: &[Floor]) -> Self {
        let mut all = Self::default();
        for Floor { kind, least } in floors {
            match kind {
                Some(kind) => drop(all.kinds.insert(kind.clone(), *least)),
                None => all.every = Some(*least),
            }
        }
        all
    }

    /// The first kind that has a floor of its own and is not known.
    pub fn unknown(&self, mut known: impl FnMut(&str) -> bool) -> Option<&str> {
        self.kinds.keys().map(String::as_str).find(|kind| !known(kind))
    }

    /// The kinds of these rows that are below their floors. A kind that no run had is below every floor except 0.
    pub fn below(&self, rows: &[ActiveKind<'_>]) -> Vec<Below> {
        let floor = |row: &ActiveKind<'_>| self.kinds.get(row.name).copied().or(self.every).unwrap_or(0);
        let below = rows.iter().filter(|row| row.active.hurt < floor(row));
        below.map(|row| Below { kind: row.name.into(), active: row.active, least: floor(row) }).collect()
    }
}

/// One row per kind; a kind that never hurt anything is marked.
pub fn table(rows: &[ActiveKind<'_>]) -> Table {
    let mut table = Table::new([
        ("family", Left),
        ("fault", Left),
        ("drawn", Right),
        ("struck", Right),
        ("hurt", Right),
        ("hurt of drawn", Right),
    ]);
    if rows.iter().all(|row| row.active == Active::default()) {
        return table;
    }
    let mut before = "";
    for row in rows {
        let Active { drawn, struck, hurt } = row.active;
        let family = if row.family == before { "" } else { row.family };
        before = row.family;
        let style = if hurt == 0 { Style::Warn } else { Style::Plain };
        let share = if drawn == 0 { Cell::none() } else { Cell::new(units::percent(hurt, drawn)) };
        table.row([
            Cell::new(family),
            Cell::new(row.name).styled(style),
            Cell::count(drawn),
            Cell::count(struck),
            Cell::count(hurt),
            share,
        ]);
    }
    table
}

/// One line that says how many of the kinds were drawn, struck and hurt at all.
pub fn summary(rows: &[ActiveKind<'_>]) -> Option<String> {
    let kinds = |of: fn(&Active) -> u64| units::count(rows.iter().filter(|row| of(&row.active) > 0).count() as u64);
    rows.iter().any(|row| row.active.drawn > 0).then(|| {
        let never: Vec<&str> = rows.iter().filter(|row| row.active.hurt == 0).map(|row| row.name).collect();
        let more = match never.len().saturating_sub(NAMED_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let named = never.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
        let never = if never.is_empty() { String::new() } else { format!("; never hurt: {named}{more}") };
        format!(
            "activation: of {} {} were drawn, {} struck, {} hurt something{never}",
            units::counted(rows.len(), "kind of faults"),
            kinds(|active| active.drawn),
            kinds(|active| active.struck),
            kinds(|active| active.hurt),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ansi::Color;
    use crate::fixtures;
    use crate::record::{FaultRecord, HurtRecord, Verdict};

    fn kind(name: &str, family: &str) -> FaultKindRecord {
        FaultKindRecord { name: name.into(), family: family.into(), roles: vec!["leader".into()] }
    }

    fn fault(kind: &str, struck: bool, hurt: bool) -> FaultRecord {
        FaultRecord {
            kind: kind.into(),
            struck_at_ns: struck.then_some(1),
            hits: Vec::new(),
            hurt: if hurt { vec![HurtRecord { count: 1, what: "nodes killed".into() }] } else { Vec::new() },
            ..fixtures::passed().faults[0].clone()
        }
    }

    fn activation(runs: &[(Verdict, Vec<FaultRecord>)]) -> Activation {
        let mut activation = Activation::default();
        for (verdict, faults) in runs {
            let run = RunRecord { verdict: verdict.clone(), faults: faults.clone(), ..fixtures::passed() };
            activation.add_run(&run);
        }
        activation
    }

    #[test]
    fn a_fault_is_drawn_strikes_and_hurts_each_by_itself() {
        let faults = vec![fault("kill", true, true), fault("kill", true, false), fault("kill", false, false)];
        let vacuous = Verdict::Vacuous { missing: "x".into() };
        let not_built = Verdict::NotBuilt { feature: "rocksdb".into() };
        let counted = activation(&[
            (Verdict::Passed, faults.clone()),
            (vacuous, vec![fault("pause", true, true)]),
            (not_built, faults),
        ]);
        assert_eq!(counted.of("kill"), Active { drawn: 3, struck: 2, hurt: 1 });
        assert_eq!(counted.of("pause"), Active { drawn: 1, struck: 1, hurt: 1 }, "a vacuous run ran");
        assert_eq!(counted.of("cut"), Active::default());
        let mut twice = counted.clone();
        twice.merge(&counted);
        assert_eq!(twice.of("kill"), Active { drawn: 6, struck: 4, hurt: 2 });
    }

    #[test]
    fn floors_hold_for_every_kind_and_those_of_one_kind_before_them() {
        let (kill, pause, cut) = (kind("kill", "process"), kind("pause", "process"), kind("cut", "network"));
        let kinds = [&kill, &pause, &cut];
        let counted = activation(&[(Verdict::Passed, vec![fault("kill", true, true), fault("pause", true, false)])]);
        let rows = counted.rows(&kinds);
        let below = |floors: &[&str]| {
            let floors: Vec<Floor> = floors.iter().map(|text| text.parse().unwrap()).collect();
            Floors::new(&floors).below(&rows).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert!(below(&[]).is_empty());
        let never = "cut: 0 of 0 hurt something, 1 are asked for (0 struck)";
        assert_eq!(below(&["1"]), ["pause: 0 of 1 hurt something, 1 are asked for (1 struck)", never]);
        assert_eq!(below(&["1", "pause=0"]), [never]);
        assert_eq!(below(&["kill=2"]), ["kill: 1 of 1 hurt something, 2 are asked for (1 struck)"]);
        assert!(below(&["kill=2", "kill=1"]).is_empty());
        let unknown = Floors::new(&["kil=1".parse().unwrap()]);
        assert_eq!(unknown.unknown(|name| rows.iter().any(|row| row.name == name)), Some("kil"));
        for wrong in ["", "x", "-1", "=3", "kill=", "kill=x", "1.5"] {
            assert!(wrong.parse::<Floor>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_floor_of_a_thousand_runs_is_lower_for_fewer() {
        let run = RunRecord { faults: vec![fault("kill", true, true)], ..fixtures::passed() };
        let counted = Activation::of_runs([&run, &run]);
        let below =
            |runs, floor| counted.below(runs, [("kill", floor)]).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(below(100, 29), [""; 0], "two of 2.9");
        assert_eq!(below(100, 30), ["kill: 2 of 2 hurt something, 3 are asked for (2 struck)"]);
        assert_eq!(below(1, 999), [""; 0]);
        assert_eq!(below(u64::MAX, u64::MAX).len(), 1);
        assert_eq!(
            counted.below(1_000, [("cut", 1)])[0].to_string(),
            "cut: 0 of 0 hurt something, 1 are asked for (0 struck)"
        );
    }

    #[test]
    fn the_table_has_every_kind_and_marks_what_never_hurt() {
        let (kill, pause, cut) = (kind("kill", "process"), kind("pause", "process"), kind("cut", "network"));
        let counted = activation(&[(Verdict::Passed, vec![fault("kill", true, true), fault("pause", true, false)])]);
        let rows = counted.rows(&[&kill, &pause, &cut]);
        insta::assert_snapshot!(table(&rows).text(0, Color::No), @r"
        family   fault  drawn  struck  hurt  hurt of drawn
        process  kill       1       1     1        100.0 %
                 pause      1       1     0          0.0 %
        network  cut        0       0     0              –
        ");
        let line = summary(&rows).unwrap();
        assert_eq!(
            line,
            "activation: of 3 kinds of faults 2 were drawn, 2 struck, 1 hurt something; never hurt: pause, cut"
        );
        let none = Activation::default();
        assert!(none.is_empty() && table(&none.rows(&[&kill])).is_empty() && summary(&none.rows(&[&kill])).is_none());
    }
}
