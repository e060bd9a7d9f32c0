//! Which runs did not pass last: kept beside the report, so that `run --failed` makes them again.
//!
//! Start at [`read`] and [`write`]. A run is known by its scenario file and seed, since a scenario may have been changed to mend
//! it. What was not made again stays on the list.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use flowquake_reports::bounded;
use flowquake_reports::json::write_atomically;
use serde::{Deserialize, Serialize};

/// The file, in the folder of the report.
pub(super) const NAME: &str = "failed.json";
/// Longest list: of some hundred thousand runs.
const FILE_MAX: u64 = 64 << 20;

/// A run that did not pass.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Failed {
    /// The scenario file, as it was given.
    pub(super) file: PathBuf,
    /// The seed.
    pub(super) seed: u64,
}

/// The list in `folder`; empty if there is none yet.
pub(super) fn read(folder: &Path) -> io::Result<BTreeSet<Failed>> {
    match bounded::text(&folder.join(NAME), FILE_MAX) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(error),
    }
}

/// Writes the list into `folder`.
pub(super) fn write(folder: &Path, failed: &BTreeSet<Failed>) -> io::Result<()> {
    let text = serde_json::to_string_pretty(failed).expect("a list is always JSON") + "\n";
    std::fs::create_dir_all(folder)?;
    write_atomically(&folder.join(NAME), text.as_bytes())
}

/// The list after runs were made: without those of `made`, of which only those in `failed` failed.
pub(super) fn after(before: BTreeSet<Failed>, made: &BTreeSet<Failed>, failed: BTreeSet<Failed>) -> BTreeSet<Failed> {
    before.difference(made).cloned().chain(failed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_made_again_stays_on_the_list() {
        let folder = tempfile::tempdir().unwrap();
        let of = |seeds: &[u64]| -> BTreeSet<Failed> {
            seeds.iter().map(|seed| Failed { file: "a.toml".into(), seed: *seed }).collect()
        };
        assert_eq!(read(folder.path()).unwrap(), of(&[]));
        write(folder.path(), &of(&[1, 2, 3])).unwrap();
        let list = after(read(folder.path()).unwrap(), &of(&[1, 2]), of(&[2]));
        assert_eq!(list, of(&[2, 3]));
        std::fs::write(folder.path().join(NAME), "no list").unwrap();
        assert_eq!(read(folder.path()).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
