//! Documents as JSON files, above all run sets. They are written as a whole or not at all, and read only in the version
//! that this program knows.
//!
//! Start at [`write()`] and [`read`]; `read_document` reads any kind of document. A reader that guessed at an older
//! schema would show zeros where a field had another name. So readers refuse other versions, and name the file, the
//! version found and the version expected.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::bounded;
use crate::record::{RunSet, SCHEMA_VERSION};

/// Longest document in bytes: enough for the records of some million runs of a long sweep.
const DOCUMENT_MAX: u64 = 4 << 30;

/// Most characters of a file's name that are used in the name of its temporary file.
const NAME_SHOWN: usize = 40;
/// Number of files written by this process, so that each temporary file has a name of its own.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// Why a file could not be read as a document.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read: check the path.
    #[error("cannot read {}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The content is something else: this is another file, or it was edited.
    #[error("{} is no {what}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// What the file should hold.
        what: &'static str,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
    /// The file was written by another version of the program: make it anew, or read it with that version.
    #[error("{} has {key} version {found}, expected {expected}", file.display())]
    Version {
        /// The file.
        file: PathBuf,
        /// Which version this is: of the schema of run sets, or of tuning sets.
        key: &'static str,
        /// Version in the file.
        found: u32,
        /// Version that this program reads.
        expected: u32,
    },
}

/// `set` as pretty JSON, ending with a line break.
pub fn to_string(set: &RunSet) -> String {
    pretty(set)
}

/// A document of this crate as pretty JSON, ending with a line break.
pub(crate) fn pretty(document: &impl Serialize) -> String {
    // Serialising fails only for maps with keys that are not strings, or if the writer fails; neither occurs here.
    let mut text = serde_json::to_string_pretty(document).expect("a document is always JSON");
    text.push('\n');
    text
}

/// Writes `set` to `file`, atomically.
pub fn write(file: &Path, set: &RunSet) -> io::Result<()> {
    write_atomically(file, to_string(set).as_bytes())
}

/// Reads the set in `file`.
pub fn read(file: &Path) -> Result<RunSet, ReadError> {
    read_document(file, "run set", "schema", SCHEMA_VERSION)
}

/// Reads the document in `file`, which should be a `what`, if its version (called `key`) is the `expected` one.
pub(crate) fn read_document<T: DeserializeOwned>(
    file: &Path,
    what: &'static str,
    key: &'static str,
    expected: u32,
) -> Result<T, ReadError> {
    /// The version fields, which are read before anything else is known to be right.
    #[derive(Deserialize)]
    struct Versioned {
        schema_version: Option<u32>,
        tuning_version: Option<u32>,
    }
    let malformed = |source| ReadError::Malformed { file: file.to_owned(), what, source };
    let text =
        bounded::text(file, DOCUMENT_MAX).map_err(|source| ReadError::Unreadable { file: file.to_owned(), source })?;
    let Versioned { schema_version, tuning_version } = serde_json::from_str(&text).map_err(malformed)?;
    let missing = || malformed(serde::de::Error::custom(format!("missing field `{key}_version`")));
    let found = if key == "tuning" { tuning_version } else { schema_version }.ok_or_else(missing)?;
    if found != expected {
        return Err(ReadError::Version { file: file.to_owned(), key, found, expected });
    }
    serde_json::from_str(&text).map_err(malformed)
}

/// Writes `bytes` to `file` so that a reader sees the old content or the new, never a part.
///
/// Writes a temporary file beside `file` (a rename is atomic only within one file system), flushes it to disk, then
/// renames it. The name of the temporary file has the process id and a number, so that no two writers use the same one.
/// On an error no temporary file is left.
///
/// If `file` is a link, the link stays and its target is replaced. If it is not a regular file, such as a terminal, a
/// pipe or `/dev/null`, the bytes are written into it, because a rename would put a file in its place.
pub fn write_atomically(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let Some(file) = replaceable(file)? else { return write_into(file, bytes) };
    let name = file.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a file needs a name"))?;
    let mut hidden = OsString::from(".");
    // A long name has no space for more; its first characters are enough to recognise the file.
    match name.to_str().and_then(|name| name.char_indices().nth(NAME_SHOWN)).map(|(end, _)| end) {
        Some(end) => hidden.push(&name.to_string_lossy()[..end]),
        None => hidden.push(name),
    }
    hidden.push(format!(".{}.{}.partial", std::process::id(), WRITTEN.fetch_add(1, Ordering::Relaxed)));
    let temporary = file.with_file_name(hidden);
    let written = write_durably(&temporary, bytes).and_then(|()| fs::rename(&temporary, &file));
    if written.is_err() {
        // The first error is the one to report; the temporary file may not even exist.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// The file that a rename may replace: the target of the links at `file`. `None`: what is there must not be replaced.
fn replaceable(file: &Path) -> io::Result<Option<PathBuf>> {
    /// As many links as Linux follows.
    const LINKS_MAX: usize = 40;
    match fs::metadata(file) {
        Ok(found) if found.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(found) if !found.is_file() => return Ok(None),
        _ => {}
    }
    let mut at = file.to_owned();
    for _ in 0..LINKS_MAX {
        // A link in /proc, such as the target of /dev/stdout, stands for an open file. A new file would not be seen by
        // its readers.
        if at.starts_with("/proc") {
            return Ok(None);
        }
        match fs::read_link(&at) {
            Ok(target) => at = at.parent().unwrap_or(Path::new("")).join(target),
            // Not a link, or nothing is there yet.
            Err(_) => return Ok(Some(at)),
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "links that lead in circles"))
}

/// Appends to what is already there, because others may be writing to it as well.
fn write_into(file: &Path, bytes: &[u8]) -> io::Result<()> {
    File::options().append(true).open(file)?.write_all(bytes)
}

fn write_durably(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut out = File::create(file)?;
    out.write_all(bytes)?;
    out.sync_all()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures;

    #[test]
    fn what_was_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("runs.json");
        write(&file, &fixtures::set()).unwrap();
        assert_eq!(read(&file).unwrap(), fixtures::set());
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["runs.json"], "no temporary file is left");
    }

    #[test]
    fn another_schema_is_refused_by_file_found_and_expected() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("old.json");
        // Whatever else changed: only the version may be read.
        fs::write(&file, r#"{"schema_version": 999, "runs": "none"}"#).unwrap();
        let message = read(&file).unwrap_err().to_string();
        assert_eq!(message, format!("{} has schema version 999, expected {SCHEMA_VERSION}", file.display()));
    }

    #[test]
    fn other_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("other.json");
        assert!(matches!(read(&file), Err(ReadError::Unreadable { .. })));
        fs::write(&file, "[]").unwrap();
        assert!(matches!(read(&file), Err(ReadError::Malformed { .. })));
    }

    #[test]
    fn a_failed_write_leaves_the_old_content_and_no_leftover() {
        let folder = tempfile::tempdir().unwrap();
        // A folder with that name cannot be replaced by a file.
        let file = folder.path().join("runs.json");
        fs::create_dir(&file).unwrap();
        assert!(write(&file, &fixtures::set()).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(write_atomically(Path::new("/"), b"").is_err());
        for name in ["n".repeat(255), "ä".repeat(127)] {
            write_atomically(&folder.path().join(name), b"as long as a name may be").unwrap();
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_stay_and_their_targets_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("deep")).unwrap();
        std::os::unix::fs::symlink("deep/target.json", at("one")).unwrap();
        std::os::unix::fs::symlink("one", at("two")).unwrap();
        // The first time, the file does not exist yet.
        for text in ["first", "second"] {
            write_atomically(&at("two"), text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(at("deep/target.json")).unwrap(), text);
            assert!(at("one").is_symlink() && at("two").is_symlink());
        }
        std::os::unix::fs::symlink("circle", at("circle")).unwrap();
        assert!(write_atomically(&at("circle"), b"").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4, "no leftover");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_no_regular_file_is_written_into() {
        use std::os::unix::fs::FileTypeExt;
        write_atomically(Path::new("/dev/null"), b"gone").unwrap();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
        assert!(write_atomically(Path::new("/dev/full"), b"no room").is_err());
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/null", folder.path().join("null.json")).unwrap();
        write_atomically(&folder.path().join("null.json"), b"gone").unwrap();
        assert!(folder.path().join("null.json").is_symlink());
        assert!(write_atomically(Path::new("/proc/x"), b"").is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_runs_survive_the_round_trip(run in fixtures::any_run()) {
            let set = RunSet { runs: vec![run], ..fixtures::set() };
            prop_assert_eq!(serde_json::from_str::<RunSet>(&to_string(&set)).unwrap(), set);
        }
    }
}
