//! The journal of an exhaustive search: its results as they come, one per line, so that a search that was stopped can
//! go on.
//!
//! Start at [`Journal::begin`] and [`Journal::go_on`]. The first line says which search it is: engine, plan, cuts,
//! shard. The numbers of strikes mean nothing in another search, so a journal of another engine, plan or version is
//! refused, and the difference is named. A line that a stop cut off is dropped, and its run is made again.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flowquake_reports::bounded;
use flowquake_reports::exhaust::{EXHAUST_VERSION, ExhaustResult};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::provenance;
use crate::search::cut::Cuts;
use crate::search::strike::Catalogue;

/// Longest journal in bytes: enough for some millions of runs.
const FILE_MAX: u64 = 4 << 30;

/// Identifies the search.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) exhaust_version: u32,
    pub(super) engine: String,
    pub(super) plan: String,
    pub(super) cuts: Vec<String>,
    pub(super) shard: (u32, u32),
    pub(super) restore_check: bool,
}

/// The result of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    /// Number of the strike.
    pub(super) number: u32,
    /// The run's signature in words.
    pub(super) words: String,
    pub(super) result: ExhaustResult,
}

impl Head {
    pub(super) fn of(catalogue: &Catalogue, cuts: &Cuts, shard: (u32, u32), restore_check: bool) -> Self {
        let mut hasher = Xxh3::new();
        for ground in catalogue.grounds() {
            let plan = ground.ground().plan(catalogue.base());
            hasher.update(&serde_json::to_vec(&plan).expect("a plan is always JSON"));
        }
        hasher.update(&(catalogue.strikes().len() as u64).to_le_bytes());
        Self {
            exhaust_version: EXHAUST_VERSION,
            engine: provenance::ENGINE.unwrap_or("unknown").to_owned(),
            plan: format!("{:016x}", hasher.digest()),
            cuts: cuts.names().into_iter().map(str::to_owned).collect(),
            shard,
            restore_check,
        }
    }

    /// How the journal's search differs from this one; `None`: it does not.
    fn differs_from(&self, found: &Self) -> Option<String> {
        let shard = |(k, n): (u32, u32)| format!("{k}/{n}");
        let other =
            |what: &str, theirs: String, ours: String| format!("it is of another {what}: {theirs}, and this is {ours}");
        if found.exhaust_version != self.exhaust_version {
            return Some(other("version", found.exhaust_version.to_string(), self.exhaust_version.to_string()));
        }
        if found.engine != self.engine {
            return Some(other("engine", found.engine.clone(), self.engine.clone()));
        }
        if found.plan != self.plan {
            return Some(
                "it is of another plan: the scenario, its seed, --recovery, --pairs or the kinds of faults have changed".into(),
            );
        }
        if found.cuts != self.cuts {
            return Some(other("choice of cuts", found.cuts.join(", "), self.cuts.join(", ")));
        }
        if found.shard != self.shard {
            return Some(other("shard", shard(found.shard), shard(self.shard)));
        }
        (found.restore_check != self.restore_check).then(|| "it was made with another --restore-check".to_owned())
    }
}

/// An open journal.
pub(super) struct Journal {
    path: PathBuf,
    file: io::Result<File>,
}

impl Journal {
    /// Begins a new journal at `path`.
    pub(super) fn begin(path: &Path, head: &Head) -> io::Result<Self> {
        let mut file = File::create(path)?;
        writeln!(file, "{}", serde_json::to_string(head)?)?;
        Ok(Self { path: path.to_owned(), file: Ok(file) })
    }

    /// Continues the journal at `path`. `Err`: why that is not possible.
    pub(super) fn go_on(path: &Path, head: &Head) -> Result<(Self, BTreeMap<u32, Line>), String> {
        let shown = path.display();
        let text = bounded::text(path, FILE_MAX).map_err(|error| format!("journal {shown}: {error}"))?;
        let mut lines = text.lines();
        let found: Head = lines
            .next()
            .and_then(|line| serde_json::from_str(line).ok())
            .ok_or_else(|| format!("journal {shown}: its first line does not say which search it is of"))?;
        if let Some(why) = head.differs_from(&found) {
            return Err(format!("journal {shown} cannot be gone on with: {why}"));
        }
        let known: Vec<Line> = lines.filter_map(|line| serde_json::from_str(line).ok()).collect();
        let file = OpenOptions::new().append(true).open(path).and_then(|mut file| {
            // Without a line break, the cut-off line would be joined with the next one.
            if !text.ends_with('\n') {
                file.write_all(b"\n")?;
            }
            Ok(file)
        });
        let file = file.map_err(|error| format!("journal {shown}: {error}"))?;
        let known = known.into_iter().map(|line| (line.number, line)).collect();
        Ok((Self { path: path.to_owned(), file: Ok(file) }, known))
    }

    /// Adds a result. When this returns, the operating system has it.
    pub(super) fn add(&mut self, line: &Line) {
        if let Ok(file) = &mut self.file {
            let text = serde_json::to_string(line).expect("a result is always JSON");
            if let Err(error) = file.write_all(format!("{text}\n").as_bytes()) {
                self.file = Err(error);
            }
        }
    }

    /// Why the journal is incomplete, if it is.
    pub(super) fn problem(&self) -> Option<String> {
        self.file.as_ref().err().map(|error| format!("journal {}: {error}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use flowquake_reports::class::Class;

    use super::*;

    fn head() -> Head {
        Head {
            exhaust_version: EXHAUST_VERSION,
            engine: "e".into(),
            plan: "p".into(),
            cuts: vec!["next-step".into()],
            shard: (1, 2),
            restore_check: false,
        }
    }

    fn line(number: u32) -> Line {
        let result = ExhaustResult {
            verdict: Class::Passed,
            signature: "00".into(),
            headline: String::new(),
            replay: "r".into(),
            cpu_ns: 1,
            struck: true,
        };
        Line { number, words: "passed".into(), result }
    }

    #[test]
    fn a_journal_is_gone_on_with_behind_a_line_that_was_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let mut journal = Journal::begin(&path, &head()).unwrap();
        journal.add(&line(3));
        std::fs::write(&path, std::fs::read_to_string(&path).unwrap() + "{\"number\": 4, \"wor").unwrap();
        let (mut journal, known) = Journal::go_on(&path, &head()).unwrap();
        assert_eq!(known.into_keys().collect::<Vec<_>>(), [3]);
        journal.add(&line(4));
        let (_, known) = Journal::go_on(&path, &head()).unwrap();
        assert_eq!(known.into_keys().collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn a_journal_of_another_search_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let says = |change: &dyn Fn(&mut Head)| {
            let mut other = head();
            change(&mut other);
            Journal::begin(&path, &other).unwrap();
            Journal::go_on(&path, &head()).map(|_| ()).unwrap_err()
        };
        assert!(says(&|head| head.engine = "f".into()).contains("another engine: f"));
        assert!(says(&|head| head.plan = "q".into()).contains("another plan"));
        assert!(says(&|head| head.exhaust_version = 9).contains("another version: 9"));
        assert!(says(&|head| head.cuts.clear()).contains("choice of cuts"));
        assert!(says(&|head| head.shard = (2, 2)).contains("another shard: 2/2"));
        std::fs::write(&path, "hello\n").unwrap();
        assert!(Journal::go_on(&path, &head()).map(|_| ()).unwrap_err().contains("first line"));
        assert!(Journal::go_on(&folder.path().join("none"), &head()).is_err());
    }
}
