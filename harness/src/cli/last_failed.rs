//! Which runs did not pass last: kept beside the report, so that `run --failed` makes them again.
//!
//! Start at [`read`] and [`write`]. A scenario file, a seed and a target identify a run, because the scenario itself may have been
//! changed to mend the failure, and what passes in the simulator may still fail on real processes. A run that was not made again
//! stays on the list.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use flowquake_reports::bounded;
use flowquake_reports::json::write_atomically;
use serde::{Deserialize, Serialize};

use crate::plan::TargetPlan;

/// The file, in the folder of the report.
pub(super) const NAME: &str = "failed.json";
/// Longest list: of some hundred thousand runs.
const FILE_MAX: u64 = 64 << 20;

/// What identifies a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct RunId {
    /// The scenario file, as it was given.
    pub(super) file: PathBuf,
    /// The seed.
    pub(super) seed: u64,
    /// What it was run on; lists of older builds name none, and are of the simulator.
    #[serde(default, skip_serializing_if = "TargetPlan::is_sim")]
    pub(super) target: TargetPlan,
}

/// How a run failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Failure {
    /// The label of its verdict.
    pub(super) verdict: String,
    /// The folder of the Apache Flink that it was run on.
    pub(super) flink_home: Option<PathBuf>,
}

/// Runs that did not pass.
pub(super) type Failed = BTreeMap<RunId, Failure>;

/// An entry of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    file: PathBuf,
    seed: u64,
    #[serde(default, skip_serializing_if = "TargetPlan::is_sim")]
    target: TargetPlan,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    flink_home: Option<PathBuf>,
    /// Lists of older builds have none.
    #[serde(default)]
    verdict: String,
}

/// The list in `folder`; empty if there is none yet.
pub(super) fn read(folder: &Path) -> io::Result<Failed> {
    match bounded::text(&folder.join(NAME), FILE_MAX) {
        Ok(text) => {
            let lines: Vec<Line> =
                serde_json::from_str(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            let run = |Line { file, seed, target, flink_home, verdict }| {
                (RunId { file, seed, target }, Failure { verdict, flink_home })
            };
            Ok(lines.into_iter().map(run).collect())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Failed::new()),
        Err(error) => Err(error),
    }
}

/// Writes the list into `folder`.
pub(super) fn write(folder: &Path, failed: &Failed) -> io::Result<()> {
    let lines: Vec<Line> = failed
        .iter()
        .map(|(RunId { file, seed, target }, Failure { verdict, flink_home })| Line {
            file: file.clone(),
            seed: *seed,
            target: *target,
            flink_home: flink_home.clone(),
            verdict: verdict.clone(),
        })
        .collect();
    let text = serde_json::to_string_pretty(&lines).expect("a list is always JSON") + "\n";
    std::fs::create_dir_all(folder)?;
    write_atomically(&folder.join(NAME), text.as_bytes())
}

/// The list after runs were made: without those of `made`, of which only those in `failed` failed.
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
        let on = |seed: &u64, target| RunId { file: "a.toml".into(), seed: *seed, target };
        let id = |seed: &u64| on(seed, TargetPlan::Sim);
        let stuck = || Failure { verdict: "stuck".to_owned(), flink_home: None };
        let of = |seeds: &[u64]| -> Failed { seeds.iter().map(|seed| (id(seed), stuck())).collect() };
        assert_eq!(read(folder.path()).unwrap(), of(&[]));
        write(folder.path(), &of(&[1, 2, 3])).unwrap();
        let made = [1, 2].iter().map(id).collect();
        let list = after(read(folder.path()).unwrap(), &made, of(&[2]));
        assert_eq!(list, of(&[2, 3]));
        std::fs::write(folder.path().join(NAME), "[{\"file\": \"a.toml\", \"seed\": 7}]").unwrap();
        assert_eq!(read(folder.path()).unwrap(), Failed::from([(id(&7), Failure::default())]), "of an older build");
        // A run on another target is another run.
        let flink = Failure { flink_home: Some("/opt/flink".into()), ..stuck() };
        let both = Failed::from([(id(&1), stuck()), (on(&1, TargetPlan::Flink), flink.clone())]);
        write(folder.path(), &both).unwrap();
        let list = after(read(folder.path()).unwrap(), &[id(&1)].into(), Failed::new());
        assert_eq!(list, Failed::from([(on(&1, TargetPlan::Flink), flink)]));
        std::fs::write(folder.path().join(NAME), "no list").unwrap();
        assert_eq!(read(folder.path()).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
