//! Which runs did not pass last. The list is kept beside the report, so that `run --failed` can make them again.
//!
//! Start at [`read`] and [`write`]. A scenario file and a seed identify a run, because the scenario itself may have
//! been changed to fix the failure. A run that was not made again stays on the list.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use flowquake_reports::bounded;
use flowquake_reports::json::write_atomically;
use serde::{Deserialize, Serialize};

/// Name of the file in the folder of the report.
pub(super) const NAME: &str = "failed.json";
/// Longest list in bytes: enough for some hundred thousand runs.
const FILE_MAX: u64 = 64 << 20;

/// What identifies a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct RunId {
    /// The scenario file, as it was given.
    pub(super) file: PathBuf,
    /// The seed.
    pub(super) seed: u64,
}

/// Runs that did not pass, each with the label of its verdict.
pub(super) type Failed = BTreeMap<RunId, String>;

/// An entry of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    file: PathBuf,
    seed: u64,
    /// Lists of older versions do not have it.
    #[serde(default)]
    verdict: String,
}

/// The list in `folder`; empty if there is none yet.
pub(super) fn read(folder: &Path) -> io::Result<Failed> {
    match bounded::text(&folder.join(NAME), FILE_MAX) {
        Ok(text) => {
            let lines: Vec<Line> =
                serde_json::from_str(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            Ok(lines.into_iter().map(|line| (RunId { file: line.file, seed: line.seed }, line.verdict)).collect())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Failed::new()),
        Err(error) => Err(error),
    }
}

/// Writes the list into `folder`.
pub(super) fn write(folder: &Path, failed: &Failed) -> io::Result<()> {
    let lines: Vec<Line> = failed
        .iter()
        .map(|(run, verdict)| Line { file: run.file.clone(), seed: run.seed, verdict: verdict.clone() })
        .collect();
    let text = serde_json::to_string_pretty(&lines).expect("a list is always JSON") + "\n";
    std::fs::create_dir_all(folder)?;
    write_atomically(&folder.join(NAME), text.as_bytes())
}

/// The list after runs were made: without those in `made`, and with those in `failed`.
pub(super) fn after(mut before: Failed, made: &BTreeSet<RunId>, failed: Failed) -> Failed {
    before.retain(|run, _| !made.contains(run));
    before.extend(failed);
    before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_made_again_stays_on_the_list() {
        let folder = tempfile::tempdir().unwrap();
        let id = |seed: &u64| RunId { file: "a.toml".into(), seed: *seed };
        let of = |seeds: &[u64]| -> Failed { seeds.iter().map(|seed| (id(seed), "stuck".to_owned())).collect() };
        assert_eq!(read(folder.path()).unwrap(), of(&[]));
        write(folder.path(), &of(&[1, 2, 3])).unwrap();
        let made = [1, 2].iter().map(id).collect();
        let list = after(read(folder.path()).unwrap(), &made, of(&[2]));
        assert_eq!(list, of(&[2, 3]));
        std::fs::write(folder.path().join(NAME), "[{\"file\": \"a.toml\", \"seed\": 7}]").unwrap();
        assert_eq!(read(folder.path()).unwrap(), Failed::from([(id(&7), String::new())]), "of an older build");
        std::fs::write(folder.path().join(NAME), "no list").unwrap();
        assert_eq!(read(folder.path()).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
