//! The kill matrix: which check finds which planted bug, and after how many runs; none of that may get worse.
//!
//! A planted bug that every search misses shows a blind spot of the harness. So what is found is kept in a committed
//! baseline, and compared with it. Start at [`KillMatrix`]; [`judge()`] compares two of them, and `terminal` and `html`
//! show them.
//!
//! Invariant: (MATRIX-M1) what [`KillMatrix::text`] writes, [`KillMatrix::parse`] reads back unchanged; a matrix that
//! was read names every bug once.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

mod html;
mod judge;
mod tables;
mod terminal;

pub use html::page;
pub use judge::{Judgement, Problem, judge};
pub use terminal::text;

/// Version of the file. Raised when a field changes or its meaning does.
pub const MATRIX_VERSION: u32 = 1;

/// What was found about every bug, in the order of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KillMatrix {
    /// [`MATRIX_VERSION`] of the writer.
    pub matrix_version: u32,
    /// Fingerprint of the engine's sources.
    pub engine: String,
    /// A row for each bug.
    pub bugs: Vec<Row>,
}

/// One bug.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Its name.
    pub bug: String,
    /// The kind of mistake, and where such a mistake was made.
    pub like: String,
    /// Why nothing can find the bug, or that nothing does yet; empty for a bug that must be found.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub excused: String,
    /// The result of each method.
    pub found: BTreeMap<Method, Found>,
}

impl Row {
    /// What became of the bug: the best result of any method.
    pub fn fate(&self) -> Fate {
        let fates: BTreeSet<Fate> = self.found.values().map(|found| found.fate).collect();
        fates.first().copied().unwrap_or(Fate::Stale)
    }
}

/// A method of searching. To add one, add a variant here and its runs in `harness/src/cli/museum/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Scripted scenarios: first the one of the catalogue, then all others.
    Scripted,
    /// Scenarios whose faults are drawn, in turn, with one seed after another.
    Swarm,
    /// Every single fault at every distinguishable step of a scenario.
    Exhaust,
}

impl Method {
    /// All methods.
    pub const ALL: [Method; 3] = [Method::Scripted, Method::Swarm, Method::Exhaust];

    /// The method's name in documents.
    pub fn name(self) -> &'static str {
        match self {
            Method::Scripted => "scripted",
            Method::Swarm => "swarm",
            Method::Exhaust => "exhaust",
        }
    }
}

/// What became of a bug; the best result is first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// A run failed with the bug, and passes without it.
    Killed,
    /// The bug's code was reached, and no run failed.
    Survived,
    /// The bug's code was never reached, so nothing is known about whether it would be found.
    Stale,
}

impl Fate {
    /// The fate in words.
    pub fn name(self) -> &'static str {
        match self {
            Fate::Killed => "killed",
            Fate::Survived => "survived",
            Fate::Stale => "stale",
        }
    }
}

/// The result of one method.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// What became of the bug.
    pub fate: Fate,
    /// The scenario and seed of the first run that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<(String, u64)>,
    /// The single fault that showed the bug in that run, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strike: Option<String>,
    /// What noticed the bug in that run: oracles, invariants, expectations, `stuck`; the first cause first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub noticed: Vec<String>,
    /// Number of runs up to the first that failed, for each start; `None` for a start that found nothing.
    pub runs: Vec<Option<u64>>,
    /// Most runs of each start.
    pub budget: u64,
    /// Processor time of all runs, in milliseconds.
    pub cpu_ms: u64,
}

impl Found {
    /// The median over the starts. A start that found nothing counts as longer than any other. `None`: most starts
    /// found nothing.
    pub fn median(&self) -> Option<u64> {
        let mut runs: Vec<u64> = self.runs.iter().map(|runs| runs.unwrap_or(u64::MAX)).collect();
        runs.sort_unstable();
        runs.get(runs.len().checked_sub(1)? / 2).copied().filter(|runs| *runs < u64::MAX)
    }
}

/// Why a text is not a valid kill matrix, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadMatrix {
    /// What is wrong, with line and column where they are known.
    pub message: String,
    /// What would be right.
    pub help: String,
}

const RENEW: &str = "restore the file, or make it anew with --update";

impl KillMatrix {
    /// Reads a kill matrix.
    pub fn parse(text: &str) -> Result<KillMatrix, BadMatrix> {
        #[derive(Deserialize)]
        struct Versioned {
            matrix_version: u32,
        }
        let bad = |message: String| BadMatrix { message, help: RENEW.into() };
        if let Ok(Versioned { matrix_version: found }) = serde_json::from_str(text)
            && found != MATRIX_VERSION
        {
            return Err(bad(format!("it has version {found}, but this build reads version {MATRIX_VERSION}")));
        }
        let matrix: KillMatrix =
            serde_json::from_str(text).map_err(|error| bad(format!("it is no kill matrix: {error}")))?;
        let mut names = BTreeSet::new();
        match matrix.bugs.iter().find(|row| !names.insert(&row.bug)) {
            Some(twice) => Err(bad(format!("`{}` stands in it twice", twice.bug))),
            None => Ok(matrix),
        }
    }

    /// The file's text, ending with a line break. It has a line for each bug and for each method, so that reviews show
    /// what changed.
    pub fn text(&self) -> String {
        let json = |value: &dyn erased::Json| value.json();
        let row = |row: &Row| {
            let excused = match row.excused.is_empty() {
                true => String::new(),
                false => format!("\n      \"excused\": {},", json(&row.excused)),
            };
            let found: Vec<String> =
                row.found.iter().map(|(method, found)| format!("        {}: {}", json(method), json(found))).collect();
            format!(
                "    {{\n      \"bug\": {},\n      \"like\": {},{excused}\n      \"found\": {{\n{}\n      }}\n    }}",
                json(&row.bug),
                json(&row.like),
                found.join(",\n")
            )
        };
        let rows: Vec<String> = self.bugs.iter().map(row).collect();
        format!(
            "{{\n  \"matrix_version\": {},\n  \"engine\": {},\n  \"bugs\": [\n{}\n  ]\n}}\n",
            self.matrix_version,
            json(&self.engine),
            rows.join(",\n")
        )
    }

    /// The row of a bug.
    pub fn row(&self, bug: &str) -> Option<&Row> {
        self.bugs.iter().find(|row| row.bug == bug)
    }

    /// This matrix, with rows and methods of `before` where nothing was searched.
    pub fn over(self, before: Option<&KillMatrix>) -> KillMatrix {
        let mut merged = self;
        for row in &mut merged.bugs {
            for (method, found) in
                before.and_then(|before| before.row(&row.bug)).map(|row| &row.found).into_iter().flatten()
            {
                row.found.entry(*method).or_insert_with(|| found.clone());
            }
        }
        merged
    }
}

mod erased {
    /// A value that can always be written as JSON on one line.
    pub(super) trait Json {
        fn json(&self) -> String;
    }
    impl<T: serde::Serialize> Json for T {
        fn json(&self) -> String {
            serde_json::to_string(self).expect("a matrix is always JSON")
        }
    }
}

#[cfg(test)]
mod tests;
