//! Which runs a command makes: the scenarios below its paths, those of them that `--only` names, and, with `--failed`, their runs
//! that did not pass last.
//!
//! Start at [`pick`] and [`fits`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::super::last_failed::{Failed, RunId};
use super::super::print::tell;
use super::super::{check, refuse_text};
use crate::jobs::Jobs;
use crate::scenario::Scenario;

/// What to run.
pub(super) struct Picked {
    pub(super) scenarios: Vec<Scenario>,
    /// In place of all seeds of all scenarios: these runs, each by the index of its scenario.
    pub(super) only: Option<Vec<(usize, u64)>>,
}

/// Loads the scenarios below `paths`, and keeps those that fit one of the `patterns`, if there are any. Of `runs`, if they are
/// given, those of these scenarios are made; without paths they say which scenarios there are.
pub(super) fn pick(
    paths: &[PathBuf],
    patterns: &[String],
    runs: Option<&[RunId]>,
    jobs: &Jobs,
) -> Result<Picked, ExitCode> {
    let files: BTreeSet<&PathBuf> = runs.unwrap_or_default().iter().map(|run| &run.file).collect();
    let listed: Vec<PathBuf> = files.into_iter().cloned().collect();
    let mut scenarios = check::load(if paths.is_empty() { &listed } else { paths }, jobs)?;
    let all = scenarios.len();
    scenarios.retain(|scenario| {
        patterns.is_empty() || patterns.iter().any(|pattern| fits(pattern, scenario.name(), scenario.file()))
    });
    if scenarios.is_empty() {
        let what = format!("--only {}: none of {all} scenarios is called so", patterns.join(" --only "));
        return Err(refuse_text(&what, "write part of a name or folder, or a pattern such as 'network/*-lost'"));
    }
    let only = runs.map(|runs| {
        // However a file was named then and now.
        let same = |file: &Path| file.canonicalize().unwrap_or_else(|_| file.to_owned());
        let places: BTreeMap<PathBuf, usize> =
            (0..).zip(&scenarios).map(|(index, scenario)| (same(Path::new(scenario.file())), index)).collect();
        let index = |run: &RunId| places.get(&same(&run.file)).copied();
        runs.iter().filter_map(|run| Some((index(run)?, run.seed))).collect::<Vec<_>>()
    });
    if only.as_ref().is_some_and(Vec::is_empty) {
        return Err(refuse_text("--failed: no run of these scenarios failed last", "name others, or none"));
    }
    Ok(Picked { scenarios, only })
}

/// The runs on the list of failures that `verdict` names, or all; refuses an empty list. Runs of files that are gone are left out.
pub(super) fn listed(failed: &Failed, verdict: &str) -> Result<Vec<RunId>, ExitCode> {
    let (failed, gone): (Failed, Failed) = failed.clone().into_iter().partition(|(run, _)| run.file.exists());
    if !gone.is_empty() {
        let files: BTreeSet<String> = gone.keys().map(|run| run.file.display().to_string()).collect();
        let files: Vec<String> = files.into_iter().collect();
        tell!("note: --failed leaves out runs of files that are gone: {}", files.join(", "));
    }
    let runs: Vec<RunId> =
        failed.iter().filter(|(_, of)| verdict.is_empty() || *of == verdict).map(|(run, _)| run.clone()).collect();
    if !runs.is_empty() {
        return Ok(runs);
    }
    let verdicts: BTreeSet<&str> = failed.values().map(String::as_str).filter(|of| !of.is_empty()).collect();
    let verdicts: Vec<&str> = verdicts.into_iter().collect();
    Err(match (failed.is_empty(), verdict) {
        (true, _) => refuse_text("--failed: no run failed last", "leave it out: of no runs nothing passes"),
        (false, verdict) => {
            let what = format!("--failed={verdict}: no run had this verdict last");
            refuse_text(&what, &format!("the verdicts of those that did not pass are: {}", verdicts.join(", ")))
        }
    })
}

/// Whether a scenario is called so: `FOLDER/NAME` contains the pattern, or, if that has `*` or `?`, `NAME` or `FOLDER/NAME`
/// matches it as a whole.
fn fits(pattern: &str, name: &str, file: &str) -> bool {
    let folder = Path::new(file).parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let whole = format!("{folder}/{name}");
    match pattern.contains(['*', '?']) {
        true => matches(pattern, name) || matches(pattern, &whole),
        false => whole.contains(pattern),
    }
}

/// Whether `text` as a whole matches a pattern in which `*` stands for anything and `?` for one letter.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    // Where the last `*` stood, and from where in the text it is tried to end next.
    let (mut at, mut from, mut star) = (0, 0, None);
    while from < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(letter) if *letter == '?' || *letter == text[from] => (at, from) = (at + 1, from + 1),
            _ => {
                let Some((behind, tried)) = star else { return false };
                star = Some((behind, tried + 1));
                (at, from) = (behind + 1, tried + 1);
            }
        }
    }
    pattern[at..].iter().all(|letter| *letter == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_is_picked_by_part_of_its_name_or_folder_or_by_a_pattern() {
        let is = |pattern: &str| fits(pattern, "deployment-lost", "scenarios/network/deployment-lost.toml");
        for pattern in ["lost", "network", "network/dep", "*lost", "network/*", "d?ployment*", "*", "n*/*-lost"] {
            assert!(is(pattern), "{pattern}");
        }
        for pattern in ["scenarios", "lost/", "*deployment", "?lost", "network/*-found"] {
            assert!(!is(pattern), "{pattern}");
        }
        assert!(fits("a", "a", "a.toml"));
    }

    #[test]
    fn failures_are_picked_by_their_verdict() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.toml"), "").unwrap();
        let run = |seed| RunId { file: folder.path().join("a.toml"), seed };
        let gone = RunId { file: folder.path().join("gone.toml"), seed: 1 };
        let failed =
            Failed::from([(run(1), "stuck".to_owned()), (run(2), "failed".to_owned()), (gone, "stuck".to_owned())]);
        assert_eq!(listed(&failed, "").unwrap(), [run(1), run(2)]);
        assert_eq!(listed(&failed, "stuck").unwrap(), [run(1)]);
        assert!(listed(&failed, "crashed").is_err() && listed(&Failed::new(), "").is_err());
    }
}
