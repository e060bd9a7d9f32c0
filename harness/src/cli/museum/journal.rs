//! The journal of a visit: the result of every search, written as it comes, so that a visit that was stopped can go on.
//!
//! Start at [`Kept::begin`] and [`Kept::go_on`]. The first line says which visit it is. Results of another engine,
//! another program or other scenarios mean nothing for this visit, so such a journal is refused, and the difference is
//! named. Runs without bugs are kept as well, because each serves the searches for all bugs.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Mutex;

use flowquake_reports::museum::Method;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::super::journal::Journal;
use super::search::{Clean, Run, Search};
use crate::provenance;
use crate::scenario::Scenario;

/// Raised when a line changes or its meaning does.
const JOURNAL_VERSION: u32 = 1;

/// Which visit it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    journal_version: u32,
    engine: String,
    program: String,
    /// Hash over the plans of all scenarios.
    scenarios: String,
}

impl Head {
    pub(super) fn of(engine: &str, scenarios: &[Scenario]) -> Self {
        let mut hasher = Xxh3::new();
        for scenario in scenarios {
            hasher.update(&serde_json::to_vec(&scenario.plan(1)).expect("a plan is always JSON"));
        }
        Self {
            journal_version: JOURNAL_VERSION,
            engine: engine.to_owned(),
            program: provenance::program(),
            scenarios: format!("{:016x}", hasher.digest()),
        }
    }

    /// How the journal's visit differs from this one; `None`: it does not.
    fn differs_from(&self, found: &Self) -> Option<String> {
        let of_another =
            |what: &str, theirs: &str, ours: &str| format!("it is of another {what}: {theirs}, and this is {ours}");
        if found.journal_version != self.journal_version {
            let [theirs, ours] = [found, self].map(|head| head.journal_version.to_string());
            return Some(of_another("version", &theirs, &ours));
        }
        if found.engine != self.engine {
            return Some(of_another("engine", &found.engine, &self.engine));
        }
        if found.program != self.program {
            return Some(of_another("program", &found.program, &self.program));
        }
        (found.scenarios != self.scenarios).then(|| "it is of other scenarios".to_owned())
    }
}

/// One result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    /// Result of a run without bugs.
    Clean(Run, Clean),
    /// Result of a search for a bug, with the bug's name.
    Search(String, Search),
}

/// What was found before, and the journal that further results go to.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) clean: BTreeMap<Run, Clean>,
    pub(super) searches: BTreeMap<(String, Method, u64), Search>,
    /// `None` for visits that are too short to need a journal.
    journal: Option<Mutex<Journal>>,
}

impl Kept {
    /// Begins a new journal, with nothing found before.
    pub(super) fn begin(path: &Path, head: &Head) -> Self {
        Self { journal: Some(Mutex::new(Journal::begin(path, head))), ..Self::default() }
    }

    /// Continues the journal at `path`. `Err`: why that is not possible.
    pub(super) fn go_on(path: &Path, head: &Head) -> Result<Self, String> {
        let shown = path.display();
        let found: Option<Head> = Journal::head(path).map_err(|error| format!("journal {shown}: {error}"))?;
        let found =
            found.ok_or_else(|| format!("journal {shown}: its first line does not say which visit it is of"))?;
        if let Some(why) = head.differs_from(&found) {
            return Err(format!("journal {shown} cannot be gone on with: {why}"));
        }
        let (journal, known) = Journal::go_on(path, head).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => format!("journal {shown}: the visit that writes it is under way"),
            _ => format!("journal {shown}: {error}"),
        })?;
        let mut kept = Self { journal: Some(Mutex::new(journal)), ..Self::default() };
        for line in known.records {
            match line {
                Line::Clean(run, clean) => drop(kept.clean.insert(run, clean)),
                Line::Search(bug, search) => {
                    drop(kept.searches.insert((bug, search.method, search.start), search));
                }
            }
        }
        Ok(kept)
    }

    pub(super) fn add_clean(&self, run: Run, clean: &Clean) {
        self.add(&Line::Clean(run, clean.clone()));
    }

    pub(super) fn add_search(&self, bug: &str, search: &Search) {
        self.add(&Line::Search(bug.to_owned(), search.clone()));
    }

    fn add(&self, line: &Line) {
        if let Some(journal) = &self.journal {
            let json = serde_json::to_vec(line).expect("a result is always JSON");
            journal.lock().expect("nothing in here panics").add(&json);
        }
    }

    /// Why the journal is incomplete, if it is.
    pub(super) fn problem(&self) -> Option<String> {
        self.journal.as_ref()?.lock().expect("nothing in here panics").problem()
    }

    /// The result of a search for this bug, if it had a budget that fits. A bug found within a budget is found with any
    /// budget that is not smaller than the runs it took.
    pub(super) fn search(&self, bug: &str, method: Method, start: u64, budget: u64) -> Option<&Search> {
        let search = self.searches.get(&(bug.to_owned(), method, start))?;
        let counts = match search.runs {
            Some(runs) => runs <= budget,
            None => search.budget == budget,
        };
        counts.then_some(search)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        let [engine, program, scenarios] = ["e", "p", "s"].map(str::to_owned);
        Head { journal_version: JOURNAL_VERSION, engine, program, scenarios }
    }

    fn search(runs: Option<u64>) -> Search {
        Search {
            method: Method::Swarm,
            start: 2,
            runs,
            by: None,
            strike: None,
            noticed: Vec::new(),
            reached: true,
            budget: 10,
            cpu_ns: 1,
        }
    }

    #[test]
    fn a_visit_goes_on_with_what_it_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("museum.jsonl");
        let kept = Kept::begin(&path, &head());
        let clean = Clean { wrong: Some("no-fault: stuck".into()), asked: [1, 1 << 63] };
        kept.add_clean(Run::Strike(7), &clean);
        kept.add_search("skip-sweep", &search(Some(4)));
        kept.add_search("forget-commit", &search(None));
        assert!(Kept::go_on(&path, &head()).err().unwrap().contains("under way"));
        drop(kept);
        let kept = Kept::go_on(&path, &head()).unwrap();
        assert_eq!(kept.clean, BTreeMap::from([(Run::Strike(7), clean)]));
        let known = |bug, budget| kept.search(bug, Method::Swarm, 2, budget).is_some();
        assert!(known("skip-sweep", 10) && known("skip-sweep", 4) && known("skip-sweep", 1_000));
        assert!(!known("skip-sweep", 3), "it takes four runs");
        assert!(known("forget-commit", 10) && !known("forget-commit", 20) && !known("forget-commit", 5));
        assert!(kept.search("skip-sweep", Method::Swarm, 1, 10).is_none());
    }

    #[test]
    fn a_journal_of_another_visit_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("museum.jsonl");
        let says = |change: &dyn Fn(&mut Head)| {
            let mut other = head();
            change(&mut other);
            drop(Kept::begin(&path, &other));
            Kept::go_on(&path, &head()).err().unwrap()
        };
        assert!(says(&|head| head.engine = "f".into()).contains("another engine: f, and this is e"));
        assert!(says(&|head| head.program = "q".into()).contains("another program: q"));
        assert!(says(&|head| head.scenarios = "t".into()).contains("other scenarios"));
        assert!(says(&|head| head.journal_version = 9).contains("another version: 9"));
        std::fs::write(&path, "hello\n").unwrap();
        assert!(Kept::go_on(&path, &head()).err().unwrap().contains("first line"));
        assert!(Kept::go_on(&folder.path().join("none"), &head()).is_err());
    }
}
