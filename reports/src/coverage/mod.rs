//! Coverage: which fault struck which victim at which step of the protocol, and what the runs in which that happened
//! proved.
//!
//! The grid has a cell per *event position × fault kind × victim role*. Start at [`Coverage::of`], which counts one run
//! set. [`Coverage::merge`] adds another set; [`text`] and [`html`] draw the grid, and [`json`](mod@json) exports it.
//!
//! Which cells belong to the grid is not chosen by anybody: a cell is *meaningful* if a run without faults emits the
//! event and the fault kind applies to the role, both according to the records. A meaningful cell is *hit* if a fault
//! struck there in a run that proves something. A vacuous run also strikes, but shows nothing.
//!
//! Besides the grid, [`settings`] counts in which ranges each setting was tried, and [`activation`] how often each kind
//! of fault was drawn, struck and hurt something.
//!
//! Invariants: (COVERAGE-C1) every strike is counted exactly once: in a meaningful cell, outside the grid, or as a
//! strike by the clock; (COVERAGE-C2) merging the coverage of two sets gives the coverage of all their runs.

use std::collections::{BTreeMap, BTreeSet};

use self::activation::{Activation, ActiveKind};
use self::settings::SettingsCoverage;
use crate::class::Class;
use crate::record::{FaultKindRecord, RunRecord, RunSet};
use crate::units;

pub mod activation;
pub mod html;
pub mod json;
pub mod settings;
pub mod text;

/// Events that end the job: a strike there cannot hurt it any more.
const AFTER_THE_END: [&str; 2] = ["job-finished", "job-failed"];

/// Name of a cell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CellId {
    /// The event at whose emission a fault strikes.
    pub event: String,
    /// Kind of the fault.
    pub fault: String,
    /// Role of its victim.
    pub role: String,
}

/// What happened in a cell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cell {
    /// Number of strikes, including several of one run.
    pub hits: u64,
    /// Number of runs that struck here, by the class of their verdict.
    pub verdicts: BTreeMap<Class, u64>,
}

impl Cell {
    /// The worst verdict of the runs that struck here. Runs that prove nothing count only if there are no others.
    pub fn verdict(&self) -> Option<Class> {
        self.verdicts.keys().filter(|class| class.proves()).max().or(self.verdicts.keys().max()).copied()
    }

    /// Whether some run that struck here proves something.
    pub fn is_hit(&self) -> bool {
        self.verdict().is_some_and(Class::proves)
    }

    fn merge(&mut self, other: &Cell) {
        self.hits += other.hits;
        for (class, runs) in &other.verdicts {
            *self.verdicts.entry(*class).or_default() += runs;
        }
    }
}

/// Some of the meaningful cells, and how many of them were hit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Cells hit.
    pub hit: u64,
    /// All cells.
    pub meaningful: u64,
}

impl Tally {
    /// Whether at least `percent` of the cells were hit; `false` if there are no cells.
    pub fn reaches(self, percent: f64) -> bool {
        self.meaningful > 0 && self.hit as f64 * 100.0 >= percent * self.meaningful as f64
    }

    /// Such as `41.2 %`.
    pub fn percent(self) -> String {
        units::percent(self.hit, self.meaningful)
    }
}

/// Why there is no grid to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoGrid {
    /// Which cells are meaningful depends on what happens without faults, and no run is without faults.
    #[error(
        "there is no run without faults, so nothing says which events there are to strike at; run a scenario without faults in the same command, or add its records"
    )]
    NoCleanRun,
    /// The record was made by a program that has no kinds of faults.
    #[error("the run records name no kinds of faults; make them anew with `run --json`")]
    NoFaultKinds,
}

/// The grid of one or more run sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Kinds of faults in the order of the records; each name once, and each role of a kind once.
    kinds: Vec<FaultKindRecord>,
    /// Events that clean runs emit.
    positions: BTreeSet<String>,
    /// Cells in which something happened, meaningful or not.
    cells: BTreeMap<CellId, Cell>,
    /// Strikes by the clock.
    by_the_clock: u64,
    settings: SettingsCoverage,
    activation: Activation,
    runs: u64,
    clean_runs: u64,
}

impl Coverage {
    /// Counts the runs of one set.
    pub fn of(set: &RunSet) -> Coverage {
        let mut coverage = Coverage::default();
        set.fault_kinds.iter().for_each(|kind| coverage.add_kind(kind));
        set.setting_ranges.iter().for_each(|setting| coverage.settings.add_setting(setting));
        for run in &set.runs {
            coverage.add_run(run);
            coverage.settings.add_run(run, &set.setting_ranges);
            coverage.activation.add_run(run);
        }
        coverage
    }

    /// Adds the runs of another set (COVERAGE-C2).
    pub fn merge(&mut self, other: &Coverage) {
        other.kinds.iter().for_each(|kind| self.add_kind(kind));
        self.positions.extend(other.positions.iter().cloned());
        for (id, cell) in &other.cells {
            self.cells.entry(id.clone()).or_default().merge(cell);
        }
        self.settings.merge(&other.settings);
        self.activation.merge(&other.activation);
        self.by_the_clock += other.by_the_clock;
        self.runs += other.runs;
        self.clean_runs += other.clean_runs;
    }

    fn add_kind(&mut self, kind: &FaultKindRecord) {
        let known = match self.kinds.iter().position(|known| known.name == kind.name) {
            Some(known) => known,
            None => {
                self.kinds.push(FaultKindRecord { roles: Vec::new(), ..kind.clone() });
                self.kinds.len() - 1
            }
        };
        let roles = &mut self.kinds[known].roles;
        for role in &kind.roles {
            if !roles.contains(role) {
                roles.push(role.clone());
            }
        }
    }

    fn add_run(&mut self, run: &RunRecord) {
        self.runs += 1;
        let emitted = || run.totals.events_by_name.iter().filter(|(_, times)| **times > 0).map(|(name, _)| name);
        // A run that this build could not make has no faults either, but it was not run.
        if run.faults.is_empty() && emitted().next().is_some() {
            self.clean_runs += 1;
            self.positions.extend(emitted().filter(|name| !AFTER_THE_END.contains(&name.as_str())).cloned());
        }
        let mut struck: BTreeMap<CellId, u64> = BTreeMap::new();
        for (fault, hit) in run.faults.iter().flat_map(|fault| fault.hits.iter().map(move |hit| (fault, hit))) {
            if hit.position.is_empty() {
                self.by_the_clock += 1;
                continue;
            }
            let id = CellId { event: hit.position.clone(), fault: fault.kind.clone(), role: hit.role.clone() };
            *struck.entry(id).or_default() += 1;
        }
        for (id, hits) in struck {
            let verdicts = BTreeMap::from([(run.verdict.class(), 1)]);
            self.cells.entry(id).or_default().merge(&Cell { hits, verdicts });
        }
    }

    /// Whether there is a grid at all.
    pub fn check(&self) -> Result<(), NoGrid> {
        match (self.kinds.iter().any(|kind| !kind.roles.is_empty()), self.positions.is_empty()) {
            (_, true) => Err(NoGrid::NoCleanRun),
            (false, _) => Err(NoGrid::NoFaultKinds),
            (true, false) => Ok(()),
        }
    }

    /// Number of runs counted.
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// Number of strikes by the clock; they belong to no cell.
    pub fn by_the_clock(&self) -> u64 {
        self.by_the_clock
    }

    /// Which ranges of which settings were tried.
    pub fn settings(&self) -> &SettingsCoverage {
        &self.settings
    }

    /// How often each kind of fault was drawn, struck and hurt: a row for every kind, in the order of the columns.
    pub fn activation(&self) -> Vec<ActiveKind<'_>> {
        self.activation.rows(&self.kinds())
    }

    /// Rows of the grid, by name.
    pub fn events(&self) -> impl Iterator<Item = &str> {
        self.positions.iter().map(String::as_str)
    }

    /// Columns of the grid, with the roles that each applies to. They are ordered by family; families and kinds come in
    /// the order of the records.
    pub fn kinds(&self) -> Vec<&FaultKindRecord> {
        let first = |family: &str| self.kinds.iter().position(|kind| kind.family == family);
        let mut kinds: Vec<_> = self.kinds.iter().filter(|kind| !kind.roles.is_empty()).collect();
        kinds.sort_by_key(|kind| first(&kind.family));
        kinds
    }

    /// What happened in a cell.
    pub fn cell(&self, event: &str, fault: &str, role: &str) -> Option<&Cell> {
        self.cells.get(&CellId { event: event.into(), fault: fault.into(), role: role.into() })
    }

    /// Whether a cell belongs to the grid.
    pub fn is_meaningful(&self, id: &CellId) -> bool {
        let applies = |kind: &FaultKindRecord| kind.name == id.fault && kind.roles.contains(&id.role);
        self.positions.contains(&id.event) && self.kinds.iter().any(applies)
    }

    /// All cells of the grid: by event, then in the order of the columns.
    pub fn meaningful(&self) -> Vec<CellId> {
        cells(self.events(), &self.kinds())
    }

    /// Cells of the grid that nothing hit.
    pub fn empty(&self) -> Vec<CellId> {
        self.meaningful().into_iter().filter(|id| !self.hit(id)).collect()
    }

    /// Cells that were struck but do not belong to the grid, such as those at `failover-begun`.
    pub fn outside(&self) -> impl Iterator<Item = (&CellId, &Cell)> {
        self.cells.iter().filter(|(id, _)| !self.is_meaningful(id))
    }

    /// The whole grid.
    pub fn tally(&self) -> Tally {
        self.count(&self.meaningful())
    }

    /// The column of one kind of fault.
    pub fn of_kind(&self, kind: &FaultKindRecord) -> Tally {
        self.count(&cells(self.events(), &[kind]))
    }

    /// The row of one event.
    pub fn of_event(&self, event: &str) -> Tally {
        self.count(&cells(std::iter::once(event), &self.kinds()))
    }

    fn count(&self, cells: &[CellId]) -> Tally {
        Tally { hit: cells.iter().filter(|id| self.hit(id)).count() as u64, meaningful: cells.len() as u64 }
    }

    fn hit(&self, id: &CellId) -> bool {
        self.cells.get(id).is_some_and(Cell::is_hit)
    }
}

fn cells<'a>(events: impl Iterator<Item = &'a str>, kinds: &[&FaultKindRecord]) -> Vec<CellId> {
    let id = |event: &str, fault: &str, role: &String| CellId {
        event: event.into(),
        fault: fault.into(),
        role: role.clone(),
    };
    let of_event =
        |event| kinds.iter().flat_map(move |kind| kind.roles.iter().map(move |role| id(event, &kind.name, role)));
    events.flat_map(of_event).collect()
}

#[cfg(test)]
#[cfg(test)]
mod tests;
