//! The results of runs as they come, one per line: whatever happens to this process or its machine, finished runs are
//! kept.
//!
//! Start at [`Journal::begin`] and [`Journal::go_on`]. The first line says what the journal belongs to. For `run` it is
//! the run set without its runs, and each further line is a record, in the order in which the runs ended. A new journal
//! replaces the old one in one step, so two sweeps at the same time do not mix their results. An open journal is
//! locked, so nobody continues or removes the journal of a sweep that is in progress. If the journal cannot be written,
//! that is reported at the end, when the records are still in memory.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::Builder;

/// Longest journal in bytes that can be continued: enough for some fifty thousand runs.
const FILE_MAX: u64 = 4 << 30;
/// Longest head in bytes.
#[cfg(any(feature = "mutations", test))]
const HEAD_MAX: u64 = 16 << 20;

/// An open journal.
pub(super) struct Journal {
    path: PathBuf,
    file: io::Result<File>,
}

/// The content of a journal that is continued.
pub(super) struct Known<L> {
    pub(super) records: Vec<L>,
    /// Number of lines that were not records, for example because a kill cut a line off. Their runs are made again.
    pub(super) dropped: usize,
}

impl Journal {
    /// Begins a journal at `path` with its head.
    pub(super) fn begin(path: &Path, head: &impl Serialize) -> Self {
        let mut journal = Self { path: path.to_owned(), file: create(path) };
        journal.add(&serde_json::to_vec(head).expect("a head is always JSON"));
        journal
    }

    /// The head of the journal at `path`; `None`: its first line is not a head.
    #[cfg(any(feature = "mutations", test))]
    pub(super) fn head<H: DeserializeOwned>(path: &Path) -> io::Result<Option<H>> {
        let mut line = Vec::new();
        BufReader::new(File::open(path)?.take(HEAD_MAX)).read_until(b'\n', &mut line)?;
        Ok(serde_json::from_slice(&line).ok())
    }

    /// Opens the journal at `path` to continue after its last complete line.
    ///
    /// Errors: `WouldBlock`, if the sweep that writes it is in progress.
    pub(super) fn go_on<H: Serialize + DeserializeOwned, L: DeserializeOwned>(
        path: &Path,
        head: &H,
    ) -> io::Result<(Self, Known<L>)> {
        let file = File::options().read(true).append(true).open(path)?;
        lock(&file)?;
        if file.metadata()?.len() > FILE_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it is longer than {FILE_MAX} bytes")));
        }
        let (mut known, mut whole, mut has_head) = (Known { records: Vec::new(), dropped: 0 }, 0, false);
        let mut lines = BufReader::new((&file).take(FILE_MAX));
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line)? > 0 {
            if line.ends_with(b"\n") {
                whole += line.len() as u64;
            }
            if whole == line.len() as u64 && serde_json::from_slice::<H>(&line).is_ok() {
                has_head = true;
            } else if let (true, Ok(record)) = (line.ends_with(b"\n"), serde_json::from_slice(&line)) {
                known.records.push(record);
            } else {
                known.dropped += 1;
            }
            line.clear();
        }
        // Anything after the last complete line would be joined with the next one. Without a head, the journal is begun
        // again.
        file.set_len(if has_head { whole } else { 0 })?;
        let mut journal = Self { path: path.to_owned(), file: Ok(file) };
        if !has_head {
            known.records.clear();
            journal.add(&serde_json::to_vec(head).expect("a head is always JSON"));
        }
        Ok((journal, known))
    }

    /// Adds a line. When this returns, the operating system has the line, so it survives this process.
    pub(super) fn add(&mut self, json: &[u8]) {
        if let Ok(file) = &mut self.file {
            let line = [json, b"\n"].concat();
            if let Err(error) = file.write_all(&line) {
                self.file = Err(error);
            }
        }
    }

    /// Why the journal is incomplete, if it is. It stays open, and therefore locked.
    pub(super) fn problem(&self) -> Option<String> {
        self.file.as_ref().err().map(|error| format!("journal {}: {error}", self.path.display()))
    }
}

/// Whether the sweep that writes the journal at `path` is in progress; `None`: the file system has no locks, so this
/// cannot be known.
pub(super) fn is_open(path: &Path) -> Option<bool> {
    let Ok(file) = File::open(path) else { return Some(false) };
    match file.try_lock_shared() {
        Ok(()) => Some(false),
        Err(TryLockError::WouldBlock) => Some(true),
        Err(TryLockError::Error(_)) => None,
    }
}

/// Locks a file until it is closed, if the file system has locks.
fn lock(file: &File) -> io::Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        // Some network file systems have no locks. Then only the names of their folders keep two sweeps apart.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

fn create(path: &Path) -> io::Result<File> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    // Readable for everybody who may read reports.
    let readable = fs::Permissions::from_mode(0o644);
    let file = Builder::new().prefix(".runs-").permissions(readable).tempfile_in(folder)?;
    lock(file.as_file())?;
    file.persist(path).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use flowquake_reports::record::{RunRecord, RunSet};

    use super::*;

    type Gone = io::Result<(Journal, Known<RunRecord>)>;

    fn go_on(path: &Path) -> Gone {
        Journal::go_on(path, &head())
    }

    fn head() -> RunSet {
        RunSet {
            schema_version: 3,
            command: "flowquake".into(),
            program: String::new(),
            fault_kinds: Vec::new(),
            setting_ranges: Vec::new(),
            runs: Vec::new(),
        }
    }

    #[test]
    fn lines_are_there_at_once_and_a_new_journal_replaces_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/runs.jsonl");
        let mut old = Journal::begin(&path, &head());
        old.add(b"{\"seed\": 1}");
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().nth(1), Some("{\"seed\": 1}"));
        assert_eq!(serde_json::from_str::<RunSet>(text.lines().next().unwrap()).unwrap(), head());
        let new = Journal::begin(&path, &head());
        old.add(b"{\"seed\": 2}");
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
        assert_eq!((old.problem(), new.problem()), (None, None));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no leftover");
        assert!(Journal::begin(&path.join("below-a-file"), &head()).problem().is_some());
    }

    #[test]
    fn a_journal_is_gone_on_with_behind_its_last_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs.jsonl");
        let journal = Journal::begin(&path, &head());
        let other = go_on(&path).err().map(|error| error.kind());
        assert_eq!((other, is_open(&path)), (Some(io::ErrorKind::WouldBlock), Some(true)), "it is under way");
        drop(journal);
        assert_eq!([is_open(&path), is_open(&folder.path().join("none"))], [Some(false); 2]);
        let begun = fs::read(&path).unwrap();
        // The process was killed while it wrote a line; or, after a power loss, zeros were written.
        for torn in [&b"{\"scenario\": \"sm"[..], &[0; 20]] {
            fs::write(&path, [&begun, torn].concat()).unwrap();
            let (mut journal, known) = go_on(&path).unwrap();
            assert_eq!((known.records.len(), known.dropped), (0, 1));
            journal.add(b"{}");
            assert_eq!(fs::read(&path).unwrap(), [&begun[..], b"{}\n"].concat());
        }
        // Killed before its first line was complete.
        fs::write(&path, &begun[..9]).unwrap();
        let (journal, known) = go_on(&path).unwrap();
        assert_eq!((known.dropped, fs::read(&path).unwrap()), (1, begun));
        drop(journal);
        assert_eq!(Journal::head::<RunSet>(&path).unwrap(), Some(head()));
        assert!(go_on(&folder.path().join("none")).is_err());
    }
}
