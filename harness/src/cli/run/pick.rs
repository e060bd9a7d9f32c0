//! Which runs a command makes: the scenarios below its paths; with `--only`, those that it names; and with `--failed`,
//! their runs that did not pass last.
//!
//! Start at [`pick`] and [`fits`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use flowquake_reports::units::counted;

use super::super::last_failed::{Failed, RunId};
use super::super::print::tell;
use super::super::{check, refuse_text};
use crate::jobs::Jobs;
use crate::scenario::Scenario;

/// What to run.
pub(super) struct Picked {
    pub(super) scenarios: Vec<Scenario>,
    /// If given, only these runs are made, each with the index of its scenario, instead of all seeds of all scenarios.
    pub(super) only: Option<Vec<(usize, u64)>>,
}

/// Loads the scenarios below `paths`, and keeps those that fit one of the `patterns`, if there are any. If `runs` is
/// given, only those runs of these scenarios are made; without paths, `runs` also says which scenarios to load.
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
        let place = place(scenario.name(), Path::new(scenario.file()), paths);
        patterns.is_empty() || patterns.iter().any(|pattern| fits(pattern, &place))
    });
    if scenarios.is_empty() {
        let what = format!("--only {}: of {} none is called so", patterns.join(" --only "), counted(all, "scenario"));
        return Err(refuse_text(&what, "write part of a name or folder, or a pattern such as 'network/*-lost'"));
    }
    let only = runs.map(|runs| {
        // However the file was named then and now.
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

/// The runs on the list of failures that have the verdict `verdict`, or all; an empty list is refused. Runs whose files
/// no longer exist are left out.
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

/// The place of a scenario below the path that it was found by: `FOLDER/…/NAME`, with all folders in between. The last
/// folder is always included, and all folders are if no path was given.
fn place(name: &str, file: &Path, paths: &[PathBuf]) -> String {
    let folder = file.parent().unwrap_or(Path::new(""));
    let below = paths.iter().filter_map(|path| folder.strip_prefix(path).ok());
    let nearest = below.max_by_key(|below| below.components().count());
    // A file that was named directly is below none of the paths.
    let below = nearest.unwrap_or(if paths.is_empty() { folder } else { Path::new("") });
    let last = || Path::new(folder.file_name().unwrap_or_default());
    let folders = if below.as_os_str().is_empty() { last() } else { below };
    format!("{}/{name}", folders.display())
}

/// Whether a pattern fits a scenario's place: the place contains the pattern; or, if the pattern has `*` or `?`, it
/// matches the whole name, with none, some or all of its folders.
fn fits(pattern: &str, place: &str) -> bool {
    if !pattern.contains(['*', '?']) {
        return place.contains(pattern);
    }
    let behind_folders = place.match_indices('/').map(|(at, _)| &place[at + 1..]);
    [place].into_iter().chain(behind_folders).any(|end| matches(pattern, end))
}

/// Whether the whole `text` matches a pattern in which `*` stands for any text and `?` for one character.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    // The position of the last `*`, and the position in the text where the part that it stands for is next assumed to
    // end.
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
        let of = |file: &str, paths: &[&str]| {
            let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
            place("deployment-lost", Path::new(file), &paths)
        };
        let file = "scenarios/network/deployment-lost.toml";
        let is = |pattern: &str| fits(pattern, &of(file, &["scenarios"]));
        for pattern in ["lost", "network", "network/dep", "*lost", "network/*", "d?ployment*", "*", "n*/*-lost"] {
            assert!(is(pattern), "{pattern}");
        }
        for pattern in ["scenarios", "lost/", "*deployment", "?lost", "network/*-found"] {
            assert!(!is(pattern), "{pattern}");
        }
        // The last folder counts whatever path was given, and below a path all folders count.
        for paths in [&["scenarios/network"][..], &[file], &["scenarios/", "scenarios/network"]] {
            assert_eq!(of(file, paths), "network/deployment-lost", "{paths:?}");
        }
        assert_eq!(of(file, &[]), "scenarios/network/deployment-lost");
        assert_eq!(of("deployment-lost.toml", &["deployment-lost.toml"]), "/deployment-lost");
        let nested = of("all/net/slow/deployment-lost.toml", &["all"]);
        assert_eq!(nested, "net/slow/deployment-lost");
        for pattern in ["net/", "net/slow", "slow/dep", "net/*", "slow/*-lost", "net/slow/*", "*-lost", "n*/dep*"] {
            assert!(fits(pattern, &nested), "{pattern}");
        }
        assert!(!fits("all", &nested) && !fits("net/deployment-lost", &nested) && !fits("et/*", &nested));
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
