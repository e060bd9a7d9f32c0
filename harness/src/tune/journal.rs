//! The journal of a sweep, one line per run, so that a sweep that was stopped goes on where it was.
//!
//! A line is bound to its plan by a hash. The file is bound to the engine by its fingerprint, and to the meaning of a
//! point by [`TUNING_VERSION`]. So points of another plan, engine or meaning are never used. A journal of another
//! engine is renamed, and a new one is begun. A journal of another version is refused and left alone, because the build
//! that wrote it can still use it. A line that the stop cut off is dropped. Both are reported ([`Journal::aside`],
//! [`Journal::dropped`]). Start at [`Journal::open`].

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flowquake_reports::bounded;
use flowquake_reports::json::write_atomically;
use flowquake_reports::tuning::{Point, TUNING_VERSION};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::plan::RunPlan;

/// Longest journal in bytes: enough for some million runs.
const FILE_MAX: u64 = 4 << 30;
/// Text between the engine and the version in the first line.
const VERSION: &str = ", points of version ";

#[derive(Serialize, Deserialize)]
struct Line {
    plan: String,
    point: Point,
}

/// An open journal.
pub struct Journal {
    file: File,
    known: BTreeMap<String, Point>,
    aside: Option<PathBuf>,
    dropped: usize,
}

/// The key of a plan in the journal.
pub fn key(plan: &RunPlan) -> String {
    let json = serde_json::to_vec(plan).expect("a plan can be written");
    format!("{:016x}", xxh3_64(&json))
}

impl Journal {
    /// Opens the journal at `path`. A journal that another engine wrote there is renamed. A valid file is only appended
    /// to; otherwise a valid one replaces it in one step, so that a stop in the meantime loses nothing.
    ///
    /// Errors: `InvalidData`, and the file stays as it is, if it has points of another version.
    pub fn open(path: &Path, engine: &str) -> io::Result<Self> {
        let text = match bounded::text(path, FILE_MAX) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let head = format!("{engine}{VERSION}{TUNING_VERSION}");
        let mut lines = text.lines();
        let found = text.lines().next().and_then(|head| head.rsplit_once(VERSION)?.1.parse::<u32>().ok());
        if let Some(found) = found.filter(|found| *found != TUNING_VERSION) {
            let what = format!("it holds points of version {found}, but this build reads version {TUNING_VERSION}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        let same = lines.next() == Some(&head);
        let read: Vec<Option<Line>> = match same {
            true => lines.map(|line| serde_json::from_str(line).ok()).collect(),
            false => Vec::new(),
        };
        let dropped = read.iter().filter(|line| line.is_none()).count();
        let aside = (!same && !text.is_empty()).then(|| unused(path));
        if let Some(aside) = &aside {
            std::fs::rename(path, aside)?;
        }
        let whole = same && text.ends_with('\n') && read.iter().all(Option::is_some);
        let known: BTreeMap<String, Point> = read.into_iter().flatten().map(|line| (line.plan, line.point)).collect();
        if !whole {
            let mut text = format!("{head}\n");
            for (plan, point) in &known {
                text.push_str(&line(plan, point)?);
            }
            write_atomically(path, text.as_bytes())?;
        }
        let file = OpenOptions::new().append(true).open(path)?;
        Ok(Self { file, known, aside, dropped })
    }

    /// The new path of the journal of another engine that was at this path.
    pub fn aside(&self) -> Option<&Path> {
        self.aside.as_deref()
    }

    /// Number of lines that were incomplete; their runs are made again.
    pub fn dropped(&self) -> usize {
        self.dropped
    }

    /// The point of a plan that was run before.
    pub fn get(&self, plan: &str) -> Option<&Point> {
        self.known.get(plan)
    }

    /// Number of known points.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether no point is known.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Adds a point. When this returns, it is in the file.
    pub fn add(&mut self, plan: String, point: Point) -> io::Result<()> {
        self.file.write_all(line(&plan, &point)?.as_bytes())?;
        self.known.insert(plan, point);
        Ok(())
    }
}

/// A name beside `path` that does not exist yet.
fn unused(path: &Path) -> PathBuf {
    let name = |n: u32| path.with_extension(format!("journal.{n}"));
    (1..).map(name).find(|file| !file.exists()).unwrap_or_else(|| name(0))
}

fn line(plan: &str, point: &Point) -> io::Result<String> {
    let line = Line { plan: plan.to_owned(), point: point.clone() };
    serde_json::to_string(&line).map(|text| text + "\n").map_err(io::Error::other)
}
