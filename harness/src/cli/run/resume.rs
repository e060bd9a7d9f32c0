//! `run --resume`: continues a run that was stopped, if program and files are still the same.
//!
//! Start at [`Ask`], which is written when a run begins, and [`find`]. A record says what one program made of one plan.
//! A set with records of two programs, or of two texts of a scenario, would prove nothing. So program and files must be
//! those that the run began with ([`Ask::refusal`]), and a refusal says what has changed.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use flowquake_reports::bounded;
use flowquake_reports::history::HistoryEntry;
use flowquake_reports::json::write_atomically;
use flowquake_reports::units::counted;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::super::last_failed::RunId;
use super::history;
use crate::plan::{InputSource, RunPlan};
use crate::provenance;
use crate::scenario::Scenario;
use crate::tune::journal::key;

/// The file in a run's folder that says what the run was asked for.
const NAME: &str = "asked.json";
/// Longest such file in bytes: enough for some hundred thousand runs.
const FILE_MAX: u64 = 64 << 20;

/// What is wrong, and what to do about it.
pub(super) type Refusal = (String, String);

/// What a run was asked for, and by which program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    /// The command line, without the program.
    pub(super) words: Vec<String>,
    /// The program's version.
    program: String,
    /// Hash of the program's file, because two builds may have the same version.
    executable: String,
    scenarios: Vec<Asked>,
    /// With `--failed`: the runs that were on the list at that time.
    pub(super) runs: Option<Vec<RunId>>,
}

/// A scenario as it was when the run began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    file: String,
    /// Hash of its text.
    text: String,
    /// Hash of its plan for the first seed and of the input file that the plan names, which covers what the scenario
    /// takes from other files.
    plan: String,
}

impl Ask {
    /// What this program is asked for at present.
    pub(super) fn of(scenarios: &[Scenario], seed: u64, runs: Option<Vec<RunId>>) -> Self {
        // An argument that is not valid text could not be given again.
        let words = std::env::args_os().skip(1).map(|word| word.into_string().unwrap_or_default()).collect();
        let scenarios = scenarios.iter().map(|scenario| Asked::of(scenario, seed)).collect();
        Self { words, program: provenance::program(), executable: executable(), scenarios, runs }
    }

    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let text = serde_json::to_string(self).expect("what is asked for is always JSON") + "\n";
        write_atomically(&folder.join(NAME), text.as_bytes())
    }

    /// Why this program must not continue a run that began with this request, if it must not. Files are compared only
    /// by their text.
    pub(super) fn refusal(&self) -> Option<String> {
        let program = provenance::program();
        if self.program != program {
            return Some(format!("it was begun by {}, and this is {program}", self.program));
        }
        if self.executable != executable() {
            return Some(format!("it was begun by another build of {program}"));
        }
        let changed = self.scenarios.iter().find_map(|asked| match hash(Path::new(&asked.file)) {
            Ok(text) if text == asked.text => None,
            Ok(_) => Some(format!("{} has changed since it began", asked.file)),
            Err(error) => Some(format!("{} cannot be read any more: {error}", asked.file)),
        });
        changed
            .or_else(|| self.words.iter().any(String::is_empty).then(|| "a word of its command is no text".to_owned()))
    }

    /// As [`Ask::refusal`], after the scenarios were loaded: also compares what they take from other files, and whether
    /// the scenarios are the same.
    pub(super) fn refusal_of(&self, scenarios: &[Scenario], seed: u64) -> Option<String> {
        let now: Vec<Asked> = scenarios.iter().map(|scenario| Asked::of(scenario, seed)).collect();
        let new = now.iter().find(|asked| !self.scenarios.iter().any(|known| known.file == asked.file));
        let gone = self.scenarios.iter().find(|known| !now.iter().any(|asked| asked.file == known.file));
        let other = || now.iter().zip(&self.scenarios).find(|(asked, known)| asked != known);
        match (new, gone) {
            (Some(new), _) => Some(format!("{} was not there when it began", new.file)),
            (None, Some(gone)) => Some(format!("{} is not among its scenarios any more", gone.file)),
            (None, None) => other().map(|(asked, _)| {
                format!(
                    "what {} takes from other files, its profile or its input, has changed since it began",
                    asked.file
                )
            }),
        }
    }
}

impl Asked {
    fn of(scenario: &Scenario, seed: u64) -> Self {
        let text = hash(Path::new(scenario.file())).unwrap_or_default();
        Self { file: scenario.file().to_owned(), text, plan: key_with_input(&scenario.plan(seed)) }
    }
}

fn key_with_input(plan: &RunPlan) -> String {
    match &plan.job.input.source {
        InputSource::File { path, .. } => format!("{}-{}", key(plan), hash(path).unwrap_or_default()),
        InputSource::Generator { .. } => key(plan),
    }
}

/// Hash of this program's file; empty if the file cannot be read.
fn executable() -> String {
    hash(Path::new("/proc/self/exe")).unwrap_or_default()
}

/// Hash of the content of a file.
fn hash(file: &Path) -> io::Result<String> {
    let found = File::open(file)?;
    if !found.metadata()?.is_file() {
        // A file that may have no end is not read.
        return Ok(format!("{:016x}", xxh3_64(&[])));
    }
    let (mut reader, mut hash) = (BufReader::with_capacity(1 << 20, found), Xxh3::new());
    loop {
        let chunk = reader.fill_buf()?;
        if chunk.is_empty() {
            return Ok(format!("{:016x}", hash.digest()));
        }
        hash.update(chunk);
        let length = chunk.len();
        reader.consume(length);
    }
}

/// A run that was stopped.
#[derive(Debug)]
pub(super) struct Unfinished {
    pub(super) folder: PathBuf,
    pub(super) entry: HistoryEntry,
    pub(super) ask: Ask,
}

/// The run with this name; if the name is empty, the newest run that is not finished.
pub(super) fn find(top: &Path, name: &str) -> Result<Unfinished, Refusal> {
    // With the lock held, a run that is just beginning is either complete or not there yet.
    let lock = history::lock(top);
    let entries = history::entries(top)
        .map_err(|error| (format!("--resume: {}: {error}", top.display()), "check the folder".to_owned()))?;
    drop(lock);
    let index = top.join(history::INDEX);
    let known = entries.iter().find(|(entry, folder)| match name {
        "" => !entry.is_finished() && !history::is_under_way(folder),
        name => entry.name == name,
    });
    let Some((entry, folder)) = known else {
        let what = match (name, entries.first()) {
            ("", None) => format!("--resume: there is no run in {}", top.display()),
            ("", Some((newest, folder))) if history::is_under_way(folder) => {
                format!("--resume: run {} is under way, and no other is unfinished", newest.name)
            }
            ("", Some((newest, _))) => {
                format!(
                    "--resume: no run is unfinished; the last one, {}, made all its {}",
                    newest.name,
                    counted(newest.asked as usize, "run")
                )
            }
            (name, _) => format!("--resume={name}: there is no such run in {}", history::folder_of(top, "").display()),
        };
        return Err((what, format!("leave --resume out to begin a run; those that there are: {}", index.display())));
    };
    if entry.is_finished() {
        let what = format!(
            "--resume: run {} is finished: it made all its {}",
            entry.name,
            counted(entry.asked as usize, "run")
        );
        return Err((what, format!("its report: {}", folder.join("report.html").display())));
    }
    let read = bounded::text(&folder.join(NAME), FILE_MAX).and_then(|text| {
        serde_json::from_str(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    });
    match read {
        Ok(ask) => Ok(Unfinished { folder: folder.clone(), entry: entry.clone(), ask }),
        Err(error) => {
            let what = format!("--resume: what run {} was asked for is not known: {NAME}: {error}", entry.name);
            Err((what, "run again without --resume".to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::catalogue;
    use crate::jobs::Jobs;

    const TEXT: &str = "name = \"a\"\nwhy = \"a test\"\n[job]\nname = \"string-length-count\"\n\
                        input = { generator = \"words\", records = 10, rate = \"10/s\" }\n\
                        [checkpointing]\ninterval = \"200ms\"\n";

    fn load(files: &[&Path]) -> Vec<Scenario> {
        let files: Vec<PathBuf> = files.iter().map(|file| (*file).to_owned()).collect();
        Scenario::load_all(&files, &catalogue(&Jobs::builtin())).unwrap()
    }

    #[test]
    fn what_changed_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a.toml"), folder.path().join("b.toml"));
        std::fs::write(&a, TEXT).unwrap();
        std::fs::write(&b, TEXT.replace("\"a\"", "\"b\"")).unwrap();
        let both = load(&[&a, &b]);
        let ask = Ask::of(&both, 1, None);
        assert_eq!((ask.refusal(), ask.refusal_of(&both, 1)), (None, None));
        let says = |what: Option<String>, part: &str| assert!(what.as_ref().unwrap().contains(part), "{what:?}");
        says(ask.refusal_of(&load(&[&a]), 1), "b.toml is not among its scenarios any more");
        let one = Ask::of(&load(&[&a]), 1, None);
        says(one.refusal_of(&both, 1), "b.toml was not there when it began");
        says(Ask { executable: "x".into(), ..ask.clone() }.refusal(), "another build of flowquake");
        says(
            Ask { program: "flowquake 0.0.1".into(), ..ask.clone() }.refusal(),
            "begun by flowquake 0.0.1, and this is",
        );
        std::fs::write(&a, TEXT.replace("a test", "another")).unwrap();
        says(ask.refusal(), "a.toml has changed since it began");
        std::fs::remove_file(&a).unwrap();
        says(ask.refusal(), "a.toml cannot be read any more");
    }

    #[test]
    fn what_a_scenario_takes_from_another_file_counts() {
        let folder = tempfile::tempdir().unwrap();
        let (a, input) = (folder.path().join("a.toml"), folder.path().join("in.txt"));
        std::fs::write(&input, "one\ntwo\n").unwrap();
        std::fs::write(&a, TEXT.replace("{ generator = \"words\", records = 10, rate", "{ file = \"in.txt\", rate"))
            .unwrap();
        let ask = Ask::of(&load(&[&a]), 1, None);
        assert_eq!(ask.refusal_of(&load(&[&a]), 1), None);
        std::fs::write(&input, "one\nTwo\n").unwrap();
        assert_eq!(ask.refusal(), None);
        assert!(ask.refusal_of(&load(&[&a]), 1).unwrap().contains("a.toml takes from other files"));
    }

    #[test]
    fn a_run_that_is_not_there_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let says = |name: &str| find(folder.path(), name).unwrap_err().0;
        assert!(says("").contains("there is no run in"));
        assert!(says("000001-20261130T144705Z").contains("there is no such run"));
    }
}
