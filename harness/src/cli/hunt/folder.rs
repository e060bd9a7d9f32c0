//! The folder of a corpus: read once, then changed file by file. Files that do not load are moved to `set-aside/`,
//! never removed.
//!
//! Start at [`Folder::open`]. A file is written as a whole, so a hunt that is killed leaves no partial files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use flowquake_reports::bounded;
use flowquake_reports::json::write_atomically;

use super::super::print::tell;
use super::super::refuse_text;
use crate::checker::JobCatalogue;
use crate::scenario::Scenario;
use crate::search::hunt::Entry;
use crate::search::hunt::corpus::{self, Found};

/// Folder for files that do not load.
const SET_ASIDE: &str = "set-aside";
/// The largest file that is read.
const FILE_MAX: u64 = 16 << 20;

/// A corpus on disk.
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Opens or makes the folder, and reads its plans in the order in which they are run.
    pub(super) fn open(
        path: &Path,
        scenarios: &[Scenario],
        catalogue: &JobCatalogue,
    ) -> Result<(Self, Vec<Found>), ExitCode> {
        let refuse = |what: &Path, error: std::io::Error| {
            refuse_text(&format!("--corpus {}: {error}", what.display()), "name a folder that can be read and written")
        };
        fs::create_dir_all(path).map_err(|error| refuse(path, error))?;
        // Checked first, so that hours of runs do not end with a folder that cannot be written to.
        tempfile::tempfile_in(path).map_err(|error| refuse(path, error))?;
        let mut files = Vec::new();
        for entry in fs::read_dir(path).map_err(|error| refuse(path, error))? {
            let file = entry.map_err(|error| refuse(path, error))?.path();
            if file.extension().is_some_and(|ending| ending == "json") && file.is_file() {
                files.push(file);
            }
        }
        files.sort();
        let mut found = Vec::new();
        for file in files {
            let read = bounded::text(&file, FILE_MAX).map_err(|error| error.to_string());
            match read.and_then(|text| corpus::read(&text, &file, scenarios, catalogue)) {
                Ok(plan) => found.push(plan),
                Err(why) => {
                    let aside = path.join(SET_ASIDE);
                    let name = file.file_name().unwrap_or_default();
                    let moved = fs::create_dir_all(&aside).and_then(|()| fs::rename(&file, aside.join(name)));
                    moved.map_err(|error| refuse(&file, error))?;
                    tell!("note: {} is set aside in {}: {why}", file.display(), aside.display());
                }
            }
        }
        corpus::order(&mut found);
        Ok((Self { path: path.to_owned() }, found))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes an entry's file.
    pub(super) fn write(&self, entry: &Entry) -> Result<(), String> {
        let file = self.file(&entry.name);
        write_atomically(&file, corpus::to_text(entry).as_bytes())
            .map_err(|error| format!("{}: {error}", file.display()))
    }

    /// Removes the file of an entry that adds nothing any more.
    pub(super) fn remove(&self, name: &str) -> Result<(), String> {
        let file = self.file(name);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(format!("{}: {error}", file.display())),
            _ => Ok(()),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.json"))
    }
}
