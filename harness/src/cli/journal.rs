//! The records of runs as they come, one a line: whatever happens to this process or its machine, what was made is there.
//!
//! Start at [`Journal::begin`]. The first line is the run set without runs, each further one a record, in the order in which the
//! runs ended. A new journal takes the place of the old one in one step, so two sweeps at once do not mix theirs. That it cannot
//! be written is told at the end: the records are still in memory then.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use flowquake_reports::record::RunSet;
use tempfile::Builder;

/// An open journal.
pub(super) struct Journal {
    path: PathBuf,
    file: io::Result<File>,
}

impl Journal {
    /// Begins a journal at `path` with the head of a set.
    pub(super) fn begin(path: &Path, head: &RunSet) -> Self {
        let mut journal = Self { path: path.to_owned(), file: create(path) };
        journal.add(&serde_json::to_vec(head).expect("a run set is always JSON"));
        journal
    }

    /// Adds a line; it is the system's when this returns, and survives this process.
    pub(super) fn add(&mut self, json: &[u8]) {
        if let Ok(file) = &mut self.file {
            let line = [json, b"\n"].concat();
            if let Err(error) = file.write_all(&line) {
                self.file = Err(error);
            }
        }
    }

    /// Why it is not whole, if it is not.
    pub(super) fn problem(self) -> Option<String> {
        self.file.err().map(|error| format!("journal {}: {error}", self.path.display()))
    }
}

fn create(path: &Path) -> io::Result<File> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    // For all who may read reports.
    let readable = fs::Permissions::from_mode(0o644);
    let file = Builder::new().prefix(".runs-").permissions(readable).tempfile_in(folder)?;
    file.persist(path).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_there_at_once_and_a_new_journal_replaces_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/runs.jsonl");
        let head = RunSet {
            schema_version: 3,
            command: "flowquake".into(),
            program: String::new(),
            fault_kinds: Vec::new(),
            runs: Vec::new(),
        };
        let mut old = Journal::begin(&path, &head);
        old.add(b"{\"seed\": 1}");
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().nth(1), Some("{\"seed\": 1}"));
        assert_eq!(serde_json::from_str::<RunSet>(text.lines().next().unwrap()).unwrap(), head);
        let new = Journal::begin(&path, &head);
        old.add(b"{\"seed\": 2}");
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
        assert_eq!((old.problem(), new.problem()), (None, None));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no leftover");
        assert!(Journal::begin(&path.join("below-a-file"), &head).problem().is_some());
    }
}
