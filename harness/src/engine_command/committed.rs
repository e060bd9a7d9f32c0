//! Counts committed records as a consumer would: the lines of the visible files.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::PathBuf;

use flowquake_engine::connectors::file_sink::parse_part_name;

/// The visible files of an output folder.
pub(super) struct Committed {
    folder: PathBuf,
    seen: BTreeSet<String>,
    records: u64,
}

impl Committed {
    /// What is visible now belongs to an earlier run and does not count.
    pub(super) fn beginning_now(folder: PathBuf) -> io::Result<Self> {
        let mut committed = Self { folder, seen: BTreeSet::new(), records: 0 };
        committed.seen = committed.unseen()?;
        Ok(committed)
    }

    /// Records committed so far. A file never changes once it is visible, so each is read once.
    pub(super) fn count(&mut self) -> io::Result<u64> {
        for name in self.unseen()? {
            let bytes = fs::read(self.folder.join(&name))?;
            self.records += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
            self.seen.insert(name);
        }
        Ok(self.records)
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
        assert_eq!((committed.count().unwrap(), committed.count().unwrap()), (2, 2));
    }
}
