//! Counts committed records as a consumer would: the lines of the visible files.
//!
//! Consumers may remove files at any time, so a file that is gone is not an error, and its records stay counted.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::PathBuf;

use flowquake_engine::connectors::file_sink::parse_part_name;

/// The visible files of an output folder.
pub(super) struct Committed {
    folder: PathBuf,
    seen: BTreeSet<String>,
    /// Names of the files that were there before.
    earlier: BTreeSet<String>,
    records: u64,
}

impl Committed {
    /// Files that are visible now belong to an earlier run, and do not count.
    pub(super) fn beginning_now(folder: PathBuf) -> io::Result<Self> {
        let mut committed = Self { folder, seen: BTreeSet::new(), earlier: BTreeSet::new(), records: 0 };
        committed.earlier = committed.unseen()?;
        committed.seen = committed.earlier.clone();
        Ok(committed)
    }

    /// Reads new files. A file never changes once it is visible, so each is read once.
    pub(super) fn look(&mut self) -> io::Result<()> {
        for name in self.unseen()? {
            self.records += self.lines(&name)?;
            self.seen.insert(name);
        }
        Ok(())
    }

    /// Number of records committed, as of the last look.
    pub(super) fn count(&self) -> u64 {
        self.records
    }

    /// Records that earlier runs committed, in files that are still there.
    pub(super) fn count_earlier(&self) -> io::Result<u64> {
        self.earlier.iter().map(|name| self.lines(name)).sum()
    }

    /// Number of records in a file; zero if the file was removed.
    fn lines(&self, name: &str) -> io::Result<u64> {
        match fs::read(self.folder.join(name)) {
            Ok(bytes) => Ok(bytes.iter().filter(|byte| **byte == b'\n').count() as u64),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(io::Error::new(error.kind(), format!("{name}: {error}"))),
        }
    }

    fn unseen(&self) -> io::Result<BTreeSet<String>> {
        let mut unseen = BTreeSet::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if parse_part_name(&name).is_some() && !self.seen.contains(&name) {
                unseen.insert(name);
            }
        }
        Ok(unseen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_new_visible_lines_count() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("part-1-0-00000001-0000.txt", "a\n");
        let mut committed = Committed::beginning_now(folder.path().into()).unwrap();
        write("part-1-0-00000002-0000.txt", "a\nb\n");
        write("part-1-0-00000003-0000.txt#1", "half");
        write("notes.txt", "x\n");
        for _ in 0..2 {
            committed.look().unwrap();
            assert_eq!((committed.count(), committed.count_earlier().unwrap()), (2, 1));
        }
        fs::remove_file(folder.path().join("part-1-0-00000001-0000.txt")).unwrap();
        fs::remove_file(folder.path().join("part-1-0-00000002-0000.txt")).unwrap();
        committed.look().unwrap();
        assert_eq!((committed.count(), committed.count_earlier().unwrap()), (2, 0), "a consumer took them away");
    }
}
