//! The corpus on disk: one JSON file per plan, with what it showed and its last verdict.
//!
//! Start at [`to_text`] and [`read`]; the command handles the folder. A file that does not load (it has another
//! version, is cut off, or belongs to a scenario that is not hunted) is no error of the hunt: it is put aside and
//! reported.
//!
//! Invariant: (CORPUS-1) what was written is read back unchanged, and no plan that breaks a rule is read.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Entry;
use crate::checker::JobCatalogue;
use crate::plan::RunPlan;
use crate::scenario::{Scenario, parse_plan};

/// Version of these files. Files of any other version are put aside.
pub const CORPUS_VERSION: u32 = 1;

/// What a file holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    corpus_version: u32,
    /// Verdict of the run that put the plan there, or of its last run.
    verdict: String,
    failed: bool,
    /// Number of signals that nothing before it had shown.
    fresh_signals: usize,
    plan: serde_json::Value,
}

/// A plan of the corpus, as it was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Name of the plan's file, without the extension.
    pub name: String,
    /// The plan.
    pub plan: RunPlan,
    /// Index of its scenario.
    pub scenario: usize,
    /// Whether the plan failed when it was last run.
    pub failed: bool,
}

/// The text of an entry's file.
pub fn to_text(entry: &Entry) -> String {
    let file = File {
        corpus_version: CORPUS_VERSION,
        verdict: entry.verdict.to_owned(),
        failed: entry.failed,
        fresh_signals: entry.fresh,
        plan: serde_json::to_value(&entry.plan).expect("a plan is always JSON"),
    };
    serde_json::to_string_pretty(&file).expect("an entry is always JSON") + "\n"
}

/// Reads an entry's file. `Err`: why the file cannot be used, in one line.
pub fn read(text: &str, path: &Path, scenarios: &[Scenario], catalogue: &JobCatalogue) -> Result<Found, String> {
    #[derive(Deserialize)]
    struct Version {
        corpus_version: u32,
    }
    match serde_json::from_str(text) {
        Ok(Version { corpus_version }) if corpus_version != CORPUS_VERSION => {
            return Err(format!("it has version {corpus_version}, this build reads {CORPUS_VERSION}"));
        }
        Ok(_) => {}
        Err(error) => return Err(format!("it is no entry of a corpus: {error}")),
    }
    let file: File = serde_json::from_str(text).map_err(|error| format!("it is no entry of a corpus: {error}"))?;
    let plan = parse_plan(&file.plan.to_string(), path, catalogue).map_err(|error| one_line(&error.to_string()))?;
    let scenario = scenarios.iter().position(|scenario| scenario.name() == plan.scenario);
    let scenario = scenario.ok_or_else(|| format!("its scenario `{}` is not hunted", plan.scenario))?;
    if !scenarios[scenario].swarm().is_some_and(|swarm| swarm.is_within(&plan)) {
        return Err(format!("it is beyond the budgets that `{}` has now", plan.scenario));
    }
    let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Found { name, plan, scenario, failed: file.failed })
}

/// Sorts a corpus into the order in which to run it: first what failed, then what has the fewest faults, then by name.
pub fn order(found: &mut [Found]) {
    found.sort_by(|a, b| {
        let key = |found: &Found| (!found.failed, found.plan.faults.len());
        key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name))
    });
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::catalogue;
    use crate::jobs::Jobs;
    use crate::search::hunt::tests::{entry, scenario};

    #[test]
    fn what_was_written_is_read_back_and_all_else_says_why_not() {
        let (scenarios, catalogue) = ([scenario()], catalogue(&Jobs::builtin()));
        let read = |text: &str| super::read(text, Path::new("corpus/abc.json"), &scenarios, &catalogue);
        let entry = entry(&scenarios[0], 3);
        let text = to_text(&entry);
        let found = read(&text).unwrap();
        assert_eq!((found.name.as_str(), found.plan, found.scenario), ("abc", entry.plan.clone(), 0), "CORPUS-1");
        let says = |text: &str| read(text).unwrap_err();
        assert!(says("").contains("no entry of a corpus"));
        assert!(says(&text[..text.len() / 2]).contains("no entry of a corpus"));
        assert!(says(&text.replace("\"corpus_version\": 1", "\"corpus_version\": 7")).contains("version 7"));
        assert!(
            says(&text.replace("\"scenario\": \"hunted\"", "\"scenario\": \"other\""))
                .contains("`other` is not hunted")
        );
        assert!(says(&text.replace("\"task_managers\": ", "\"task_managers\": 999")).contains("task"));
        assert!(says("{\"corpus_version\": 1}").contains("missing field"));
        let mut beyond = entry;
        beyond.plan.job.config.checkpoints.retained = 1;
        let damage = (1..200).find_map(|n| {
            scenarios[0].swarm()?.another(&scenarios[0].plan(3), crate::faults::Kind::from_name("damage"), n, 1)
        });
        beyond.plan.faults = damage.into_iter().collect();
        assert!(read(&to_text(&beyond)).is_err(), "nothing would be left to fall back to");
    }

    #[test]
    fn what_failed_comes_first() {
        let found =
            |name: &str, seed, failed| Found { name: name.into(), plan: scenario().plan(seed), scenario: 0, failed };
        let mut all = vec![found("b", 1, false), found("a", 1, false), found("c", 1, true)];
        order(&mut all);
        assert_eq!(all.iter().map(|found| found.name.as_str()).collect::<Vec<_>>(), ["c", "a", "b"]);
    }
}
