//! Each `run` has a folder of its own below that of the report: `history/NUMBER-TIME/`. The report's folder also has
//! the documents of the newest run, and `index.html` lists all runs.
//!
//! Start at [`History::begin`]; [`History::publish`] puts the newest documents into the report's folder, and
//! [`History::end`] writes what is known at the end. Names begin with a number, so that they sort in the order in which
//! runs began, whatever the clock says. The plans of runs are kept beside their records ([`History::keep_plan`]), so
//! that a run can be made again after its scenario was changed.
//!
//! Invariants: (HISTORY-H1) errors here are reported as problems and stop nothing: a run that cannot have a folder of
//! its own writes into the report's folder. (HISTORY-H2) a folder is made by exactly one run, and removed only when no
//! run writes it. Decision: docs/adr/0044.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use flowquake_reports::bounded;
use flowquake_reports::folder::COMPARISON;
use flowquake_reports::history::{HISTORY_VERSION, HistoryEnd, HistoryEntry, HistoryRow, Life, page};
use flowquake_reports::json::write_atomically;
use flowquake_reports::record::{RunRecord, RunSet};

use super::super::journal::{self, Journal};
use super::resume::Ask;
use super::{JOURNAL, REPORT};
use crate::plan::RunPlan;
use crate::provenance;
use crate::screen;

/// The folder of all runs.
pub(super) const FOLDER: &str = "history";
/// The entry of a run, in its folder.
const ENTRY: &str = "run.json";
/// The folder of a run's plans, in its folder.
pub(super) const PLANS: &str = "plans";
/// The page that lists the runs.
pub(super) const INDEX: &str = "index.html";
/// A file that processes lock while they change the history.
const LOCK: &str = ".lock";
/// Longest entry in bytes.
const ENTRY_MAX: u64 = 1 << 20;
/// How many names are tried, in case other runs begin at the same instant.
const TRIES: u32 = 1_000;

/// How much is kept: the newest runs, up to this number and size. The newest run is always kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    pub(super) runs: u32,
    pub(super) bytes: u64,
}

/// The place of a run in progress.
pub(super) struct History {
    /// The report's folder.
    top: PathBuf,
    /// Where this run's documents go: a folder of its own, or the report's folder.
    folder: PathBuf,
    entry: HistoryEntry,
    began: Instant,
    problems: Vec<String>,
}

impl History {
    /// Makes a folder for a run, with its journal in it. If that is not possible, both are in the report's folder
    /// (HISTORY-H1).
    pub(super) fn begin(top: &Path, head: &RunSet, asked: u64, ask: &Ask) -> (Self, Journal) {
        let entry = HistoryEntry {
            history_version: HISTORY_VERSION,
            name: String::new(),
            begun: now(),
            command: head.command.clone(),
            program: provenance::program(),
            asked,
            made: 0,
            verdicts: Default::default(),
            wall_ns: 0,
            resumed: 0,
            end: None,
        };
        let (top, folder) = (top.to_owned(), top.to_owned());
        let mut history = Self { top, folder, entry, began: screen::now(), problems: Vec::new() };
        let journal = match history.make_folder(head, ask) {
            Ok(journal) => journal,
            Err(error) => {
                history.problems.push(format!("history {}: {error}", history.top.join(FOLDER).display()));
                history.folder = history.top.clone();
                Journal::begin(&history.top.join(JOURNAL), head)
            }
        };
        (history, journal)
    }

    /// Continues in the folder of a run that was stopped.
    pub(super) fn go_on(top: &Path, folder: &Path, entry: HistoryEntry) -> Self {
        let entry = HistoryEntry { resumed: entry.resumed.saturating_add(1), end: None, ..entry };
        let (top, folder) = (top.to_owned(), folder.to_owned());
        let mut history = Self { top, folder, entry, began: screen::now(), problems: Vec::new() };
        let lock = lock(&history.top);
        let written = history.write_entry().and_then(|()| history.publish_file(JOURNAL));
        let written = written.and_then(|()| write_index(&history.top));
        history.note(written);
        drop(lock);
        history
    }

    fn make_folder(&mut self, head: &RunSet, ask: &Ask) -> io::Result<Journal> {
        fs::create_dir_all(self.top.join(FOLDER))?;
        // Until the journal is locked, the folder could be taken for one that no run writes (HISTORY-H2).
        let _lock = lock(&self.top);
        self.entry.name = create(&self.top.join(FOLDER), &self.entry.begun)?;
        self.folder = self.top.join(FOLDER).join(&self.entry.name);
        let journal = Journal::begin(&self.folder.join(JOURNAL), head);
        ask.write(&self.folder)?;
        self.write_entry()?;
        let published = self.publish_file(JOURNAL).and_then(|()| write_index(&self.top));
        self.note(published);
        Ok(journal)
    }

    /// Where the documents of this run go.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the run has a folder of its own.
    pub(super) fn is_kept(&self) -> bool {
        self.folder != self.top
    }

    /// Keeps the plan of a run under a file name. The write is not flushed to disk: after a power loss, scenario and
    /// seed give the plan again.
    pub(super) fn keep_plan(&mut self, name: &str, plan: &RunPlan) {
        if self.is_kept() {
            let folder = self.folder.join(PLANS);
            let text = serde_json::to_string_pretty(plan).expect("a plan is always JSON") + "\n";
            let kept = fs::create_dir_all(&folder).and_then(|()| fs::write(folder.join(name), text));
            self.note(kept);
        }
    }

    /// How long this run has taken, including the times before it was resumed.
    fn wall_ns(&self) -> u64 {
        self.entry.wall_ns.saturating_add(u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// Records how the run ended, and removes what exceeds the bound. Returns what went wrong since the run began.
    pub(super) fn end(mut self, runs: &[RunRecord], end: HistoryEnd, bound: Bound) -> Vec<String> {
        if self.is_kept() {
            self.entry.wall_ns = self.wall_ns();
            self.entry.count(runs);
            self.entry.end = Some(end);
            let lock = lock(&self.top);
            let written = self.write_entry();
            self.note(written);
            let ended = prune(&self.top, &self.folder, bound).and_then(|()| write_index(&self.top));
            self.note(ended);
            drop(lock);
        }
        self.problems
    }

    fn note(&mut self, result: io::Result<()>) {
        let told = result.map_err(|error| format!("history {}: {error}", self.folder.display()));
        self.problems.extend(told.err());
    }

    fn write_entry(&self) -> io::Result<()> {
        let text = serde_json::to_string_pretty(&self.entry).expect("an entry is always JSON") + "\n";
        write_atomically(&self.folder.join(ENTRY), text.as_bytes())
    }

    /// Puts the documents of this run into the report's folder.
    pub(super) fn publish(&mut self) {
        if self.is_kept() {
            let _lock = lock(&self.top);
            for name in REPORT.into_iter().filter(|name| *name != super::last_failed::NAME) {
                if self.folder.join(name).exists() {
                    let published = self.publish_file(name);
                    self.note(published);
                } else if name == COMPARISON {
                    // That of an earlier run would be taken for this one's.
                    let removed = fs::remove_file(self.top.join(name));
                    self.note(removed.or_else(|error| match error.kind() {
                        ErrorKind::NotFound => Ok(()),
                        _ => Err(error),
                    }));
                }
            }
        }
    }

    /// Puts one document there: as a second name of the same file (a hard link), or as a copy if that is not possible.
    fn publish_file(&self, name: &str) -> io::Result<()> {
        let (from, to) = (self.folder.join(name), self.top.join(name));
        // A link, or a file that is not regular, stays, and is written into as elsewhere.
        if fs::symlink_metadata(&to).is_ok_and(|found| !found.is_file()) {
            return write_atomically(&to, &fs::read(&from)?);
        }
        let new = self.top.join(format!(".{name}.{}.new", self.entry.name));
        let made = fs::hard_link(&from, &new).or_else(|_| fs::copy(&from, &new).map(drop));
        let put = made.and_then(|()| fs::rename(&new, &to));
        // If both names already belong to the same file, the rename does nothing and leaves the temporary name.
        let _ = fs::remove_file(&new);
        put
    }
}

/// The entries that can be read, each with its folder, the newest first.
pub(super) fn entries(top: &Path) -> io::Result<Vec<(HistoryEntry, PathBuf)>> {
    let mut folders = folders(top)?;
    folders.reverse();
    let read = |folder: PathBuf| {
        let text = bounded::text(&folder.join(ENTRY), ENTRY_MAX).ok()?;
        let entry: HistoryEntry = serde_json::from_str(&text).ok()?;
        let is_own = folder.file_name().is_some_and(|name| *name == *entry.name);
        (is_own && entry.history_version == HISTORY_VERSION).then_some((entry, folder))
    };
    Ok(folders.into_iter().filter_map(read).collect())
}

/// The folder of the run with this name.
pub(super) fn folder_of(top: &Path, name: &str) -> PathBuf {
    top.join(FOLDER).join(name)
}

/// Whether a process is writing the run in this folder, as far as that can be known.
pub(super) fn is_under_way(folder: &Path) -> bool {
    life(folder) == Life::UnderWay
}

/// What became of the run in this folder, if its entry has no end.
fn life(folder: &Path) -> Life {
    match journal::is_open(&folder.join(JOURNAL)) {
        Some(true) => Life::UnderWay,
        Some(false) => Life::Killed,
        None => Life::Unknown,
    }
}

/// The entries that can be read, with what their folders show, the newest first.
pub(super) fn rows(top: &Path) -> io::Result<Vec<HistoryRow>> {
    let row = |(entry, folder): (HistoryEntry, PathBuf)| {
        let at = |name: &str| format!("{FOLDER}/{}/{name}", entry.name);
        let report = folder.join("report.html").is_file().then(|| at("report.html"));
        let plans = folder.join(PLANS).is_dir().then(|| at(&format!("{PLANS}/")));
        HistoryRow { life: life(&folder), report, plans, entry }
    };
    Ok(entries(top)?.into_iter().map(row).collect())
}

/// The folders of all runs, the oldest first. Folders with other names do not belong to the history.
fn folders(top: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    match fs::read_dir(top.join(FOLDER)) {
        Ok(found) => {
            for entry in found {
                let entry = entry?;
                if let Some(number) = number(&entry.file_name().to_string_lossy())
                    && entry.file_type()?.is_dir()
                {
                    folders.push((number, entry.path()));
                }
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    folders.sort();
    Ok(folders.into_iter().map(|(_, folder)| folder).collect())
}

/// The number in the name of a run's folder: 7 in `000007-20261130T144705Z`.
fn number(name: &str) -> Option<u64> {
    let (number, time) = name.split_once('-')?;
    let is_time = !time.is_empty() && time.chars().all(|letter| letter.is_ascii_digit() || "TZ".contains(letter));
    if is_time && number.len() >= 6 { number.parse().ok() } else { None }
}

/// Makes the next folder in `history`, and returns its name.
fn create(history: &Path, begun: &str) -> io::Result<String> {
    let time: String = begun.chars().filter(char::is_ascii_alphanumeric).collect();
    let top = history.parent().unwrap_or(Path::new("."));
    let newest = folders(top)?.last().and_then(|folder| number(&folder.file_name()?.to_string_lossy())).unwrap_or(0);
    let mut next = newest.saturating_add(1);
    for _ in 0..TRIES {
        let name = format!("{next:06}-{time}");
        match fs::create_dir(history.join(&name)) {
            Ok(()) => return Ok(name),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => next = next.saturating_add(1),
            Err(error) => return Err(error),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// Removes the oldest runs that exceed the bound, except this run, runs in progress, and the newest run that can be
/// resumed.
fn prune(top: &Path, this: &Path, bound: Bound) -> io::Result<()> {
    let mut folders = folders(top)?;
    folders.reverse();
    let resumable = entries(top)?.into_iter().find(|(entry, _)| !entry.is_finished()).map(|(_, folder)| folder);
    let (mut runs, mut bytes) = (0, 0_u64);
    for folder in folders {
        runs += 1;
        bytes = bytes.saturating_add(size(&folder));
        let stays = folder == this || Some(&folder) == resumable.as_ref() || is_under_way(&folder);
        if (runs > bound.runs || bytes > bound.bytes) && !stays {
            match fs::remove_dir_all(&folder) {
                // If the file system has no locks, another run may be removing the same folder.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                removed => removed?,
            }
        }
    }
    Ok(())
}

/// Bytes of the files in a run's folder, plans included.
fn size(folder: &Path) -> u64 {
    let of = |folder: PathBuf| {
        let Ok(entries) = fs::read_dir(folder) else { return 0 };
        let files = entries.filter_map(|entry| entry.ok()?.metadata().ok()).filter(fs::Metadata::is_file);
        files.map(|file| file.len()).sum::<u64>()
    };
    of(folder.to_owned()).saturating_add(of(folder.join(PLANS)))
}

/// Writes the page that lists all runs, in their present state.
pub(super) fn write_index(top: &Path) -> io::Result<()> {
    write_atomically(&top.join(INDEX), page(&rows(top)?, &now()).as_bytes())
}

/// Keeps other runs from changing the history until the result is dropped, if the file system has locks.
pub(super) fn lock(top: &Path) -> Option<File> {
    let path = top.join(FOLDER).join(LOCK);
    let file = File::options().read(true).write(true).create(true).truncate(false).open(path).ok()?;
    file.lock().ok()?;
    Some(file)
}

#[allow(clippy::disallowed_methods, reason = "the history is one of real time; nothing in a run sees it")]
fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(top: &Path) -> (History, Journal) {
        let set = super::super::set_of(String::from("flowquake run x"), Vec::new());
        History::begin(top, &set, 3, &Ask::default())
    }

    fn names(top: &Path) -> Vec<String> {
        let name = |folder: &PathBuf| folder.file_name().unwrap().to_string_lossy().into_owned();
        folders(top).unwrap().iter().map(name).collect()
    }

    const ALL: Bound = Bound { runs: 100, bytes: u64::MAX };

    #[test]
    fn each_run_has_a_folder_and_the_newest_is_where_it_always_was() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().join("target/flowquake");
        for text in ["first", "second"] {
            let (mut history, journal) = begin(&top);
            assert!(is_under_way(history.folder()));
            fs::write(history.folder().join("report.html"), text).unwrap();
            history.publish();
            // A second time, when both names already belong to the same file.
            history.publish();
            assert_eq!(journal.problem(), None);
            assert!(is_under_way(history.folder()), "until its end");
            assert_eq!(history.end(&[], HistoryEnd::Finished, ALL), [""; 0]);
            drop(journal);
            assert_eq!(fs::read_to_string(top.join("report.html")).unwrap(), text);
        }
        let names = names(&top);
        assert!(names.len() == 2 && names[0].starts_with("000001-") && names[1].starts_with("000002-"), "{names:?}");
        let old = fs::read_to_string(folder_of(&top, &names[0]).join("report.html")).unwrap();
        assert_eq!(old, "first");
        let index = fs::read_to_string(top.join(INDEX)).unwrap();
        let at = |name: &String| index.find(&format!("history/{name}/report.html")).expect("linked");
        assert!(at(&names[1]) < at(&names[0]), "newest first");
        let kept: Vec<String> =
            fs::read_dir(&top).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        assert!(!kept.iter().any(|name| name.starts_with('.')), "{kept:?}");
    }

    #[test]
    fn the_oldest_go_beyond_the_bound_but_none_that_is_under_way() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        let (running, journal) = begin(top);
        let mut last = Vec::new();
        for _ in 0..4 {
            let (history, journal) = begin(top);
            drop(journal);
            last = history.end(&[], HistoryEnd::Finished, Bound { runs: 2, bytes: u64::MAX });
        }
        assert_eq!(last, [""; 0]);
        let numbers = |top: &Path| names(top).iter().filter_map(|name| number(name)).collect::<Vec<_>>();
        assert_eq!(numbers(top), [1, 4, 5]);
        drop(journal);
        running.end(&[], HistoryEnd::Finished, Bound { runs: 9, bytes: 1 });
        assert_eq!(numbers(top), [1], "what has just ended is kept, however large");
        fs::create_dir(top.join("history/mine")).unwrap();
        let (history, _journal) = begin(top);
        history.end(&[], HistoryEnd::Finished, Bound { runs: 1, bytes: u64::MAX });
        assert_eq!(numbers(top), [2]);
        assert!(top.join("history/mine").is_dir(), "what is not ours stays");
    }

    #[test]
    fn the_newest_run_that_can_be_gone_on_with_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        // Two runs that were killed, then three that ended.
        let killed: Vec<String> = (0..2).map(|_| begin(top).0.entry.name).collect();
        for _ in 0..3 {
            let (history, _journal) = begin(top);
            history.end(&[], HistoryEnd::Finished, Bound { runs: 1, bytes: u64::MAX });
        }
        let left = names(top);
        assert!(left.contains(&killed[1]) && !left.contains(&killed[0]) && left.len() == 2, "{left:?}");
    }

    #[test]
    fn without_a_history_the_report_is_written_where_it_always_was() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        fs::write(top.join(FOLDER), "a file").unwrap();
        let (mut history, journal) = begin(top);
        assert_eq!(history.folder(), top);
        assert!(top.join(JOURNAL).is_file());
        history.publish();
        drop(journal);
        let problems = history.end(&[], HistoryEnd::Finished, ALL);
        assert!(problems.len() == 1 && problems[0].contains("history: "), "HISTORY-H1: {problems:?}");
    }

    #[test]
    fn runs_that_begin_at_once_have_folders_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| begin(top).0.end(&[], HistoryEnd::Finished, ALL));
            }
        });
        assert_eq!(entries(top).unwrap().len(), 8, "HISTORY-H2");
        let numbers: Vec<u64> = names(top).iter().filter_map(|name| number(name)).collect();
        assert_eq!(numbers, (1..=8).collect::<Vec<_>>());
    }

    #[test]
    fn names_of_other_folders_are_not_taken_for_runs() {
        assert_eq!(number("000007-20261130T144705Z"), Some(7));
        assert_eq!(number("1000000-20261130T144705Z"), Some(1_000_000));
        for other in ["", "7-20261130T144705Z", "000007", "000007-", "000007-mine", "mine-20261130T144705Z"] {
            assert_eq!(number(other), None, "{other}");
        }
    }
}
