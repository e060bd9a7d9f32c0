//! Which runs the gate makes, and what can be wrong with a baseline or with the scenarios that it names.
//!
//! Start at [`baseline`] and [`Set`]. All problems are reported at once, each with the file, the value and a remedy.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use flowquake_reports::bounded;
use flowquake_reports::gate::baseline::{BadBaseline, Baseline};
use miette::{LabeledSpan, MietteDiagnostic, NamedSource};

use super::{identity, refused};
use crate::cli::print::tell;
use crate::cli::{catalogue, check, limits, refuse, refuse_text};
use crate::jobs::Jobs;
use crate::plan::RunPlan;
use crate::scenario::{Excerpt, Scenario, discover};

/// Most seeds of each scenario, because each has a line in a file that people review.
const SEEDS_MAX: u64 = 100_000;

/// Longest baseline in bytes: enough for a few million runs.
const FILE_MAX: u64 = 1 << 30;

/// The runs of one gate.
pub(super) struct Set {
    pub(super) entries: Vec<Entry>,
}

/// A scenario and its seeds.
pub(super) struct Entry {
    pub(super) scenario: Scenario,
    pub(super) seeds: Vec<u64>,
}

/// Reads the baseline. If it is to be replaced as a whole, it may be missing or have another version.
pub(super) fn baseline(file: &Path, replaced: bool) -> Result<Option<Baseline>, ExitCode> {
    let text = match bounded::text(file, FILE_MAX) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound && replaced => return Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let name = file.display();
            let help = format!(
                "make one of scenarios that pass, and commit it: flowquake gate --baseline {name} --update SCENARIOS…\n        \
                 paths count from the folder that the gate is run in"
            );
            return Err(refuse_text(&format!("there is no baseline {name}"), &help));
        }
        Err(error) if error.kind() == ErrorKind::InvalidData && replaced => {
            tell!("the old {} is replaced unread: {error}", file.display());
            return Ok(None);
        }
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            let help = "restore it, or make it anew: flowquake gate --update SCENARIOS…";
            return Err(refuse_text(&format!("{} {error}", file.display()), help));
        }
        Err(error) => {
            return Err(refuse_text(&format!("{} cannot be read: {error}", file.display()), "check the path"));
        }
    };
    match Baseline::parse(&text) {
        Ok(baseline) => Ok(Some(baseline)),
        Err(error) if replaced => {
            tell!("the old {} is replaced unread: {error}", file.display());
            Ok(None)
        }
        Err(error) => Err(refuse_baseline(file, &text, &error)),
    }
}

fn refuse_baseline(file: &Path, text: &str, error: &BadBaseline) -> ExitCode {
    let mut told = MietteDiagnostic::new(error.to_string()).with_help(error.help.clone());
    let excerpt = Excerpt::of(text);
    if let Some(offset) = error.offset {
        let (place, column) = excerpt.place(&(offset..offset));
        let label = column.map_or_else(|| "here".to_owned(), |column| format!("here, in column {column}"));
        told = told.with_label(LabeledSpan::at_offset(place.start, label));
    }
    let source = NamedSource::new(file.display().to_string(), excerpt.text.into_owned());
    tell!("{:?}", miette::Report::new(told).with_source_code(source));
    refused()
}

impl Set {
    /// The runs that a baseline names.
    pub(super) fn of_baseline(baseline: &Baseline, file: &Path, jobs: &Jobs) -> Result<Set, ExitCode> {
        let catalogue = catalogue(jobs);
        let mut entries = Vec::new();
        for named in &baseline.scenarios {
            let (name, path) = (&named.scenario, Path::new(&named.file));
            if !path.exists() {
                let message = format!("{}: scenario `{name}` is not at {} any more", file.display(), named.file);
                let help = match elsewhere(path, file) {
                    Some(found) => format!("it was moved to {}: write that into `file`", found.display()),
                    None => {
                        "remove it from the baseline, or run the gate in the folder that its paths count from".into()
                    }
                };
                refuse_text(&message, &help);
                continue;
            }
            match Scenario::load(path, &catalogue) {
                Ok(scenario) if scenario.name() == name => {
                    entries.push(Entry { scenario, seeds: named.runs.iter().map(|run| run.seed).collect() });
                }
                Ok(scenario) => {
                    let message = format!(
                        "{}: {} holds scenario `{}`, not `{name}`",
                        file.display(),
                        named.file,
                        scenario.name()
                    );
                    refuse_text(
                        &message,
                        "correct `scenario` or `file` in the baseline, or make it anew with --update",
                    );
                }
                Err(error) => drop(refuse(error)),
            }
        }
        if entries.len() == baseline.scenarios.len() { Ok(Set { entries }) } else { Err(refused()) }
    }

    /// A new set: every scenario below `paths`, with `seeds` seeds beginning at `seed`.
    pub(super) fn of_paths(paths: &[PathBuf], seed: u64, seeds: u64, jobs: &Jobs) -> Result<Set, ExitCode> {
        limits::seeds(seed, seeds, SEEDS_MAX)?;
        if let Some(path) = paths.iter().find(|path| path.is_absolute()) {
            let message = format!("{} would be in the baseline, which others use elsewhere", path.display());
            return Err(refuse_text(&message, "give the path from the folder that the gate is run in"));
        }
        let scenarios = check::load(paths, jobs)?;
        let seeds: Vec<u64> = (0..seeds).map(|n| seed.saturating_add(n)).collect();
        Ok(Set { entries: scenarios.into_iter().map(|scenario| Entry { scenario, seeds: seeds.clone() }).collect() })
    }

    /// One plan per run, scenario by scenario.
    pub(super) fn plans(&self) -> impl Iterator<Item = RunPlan> {
        self.entries.iter().flat_map(|entry| entry.seeds.iter().map(|seed| entry.scenario.plan(*seed)))
    }

    /// The hash of every cost profile in use, by name.
    pub(super) fn cost_profiles(&self) -> BTreeMap<String, String> {
        let profiles = self.entries.iter().map(|entry| entry.scenario.profile());
        profiles.map(|profile| (profile.name.clone(), identity::of_profile(profile))).collect()
    }

    /// Refuses other cost profiles than those of the baseline, because times under other prices cannot be compared.
    pub(super) fn check_cost_profiles(&self, baseline: &Baseline, file: &Path) -> Result<(), ExitCode> {
        let mut told = Ok(());
        for (name, now) in self.cost_profiles() {
            let was = baseline.cost_profiles.get(&name);
            if was != Some(&now) {
                let file = file.display();
                let message = match was {
                    Some(was) => {
                        format!("{file}: cost profile `{name}` was {was}, and is {now} in this build")
                    }
                    None => format!("{file}: nothing was measured with the cost profile `{name}`"),
                };
                told = Err(refuse_text(&message, "if that was meant, measure anew: the gate again with --update"));
            }
        }
        told
    }
}

/// A file with that name near the baseline, or below the folder in which it was.
fn elsewhere(path: &Path, baseline: &Path) -> Option<PathBuf> {
    let folder = baseline.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let files = discover(&[folder.to_owned()]).ok()?;
    files.into_iter().find(|file| file.file_name() == path.file_name())
}
