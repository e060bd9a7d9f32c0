//! Every scripted scenario passes. Each is a test with its own name, and they run on all cores.
//!
//! `task-manager::killed-during-restore` runs that scenario. This target is a program of its own (`harness = false`),
//! because the names of `#[test]` functions are fixed in the source. Whether planted bugs are caught is checked by
//! `flowquake museum`, not by a test here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use flowquake::cli::catalogue;
use flowquake::jobs::Jobs;
use flowquake::scenario::{Scenario, ScenarioError, discover};
use flowquake::session::{Depth, execute_to};
use flowquake_reports::ansi::Color;
use flowquake_reports::record::{RunRecord, Verdict};
use flowquake_reports::terminal::failure;
use flowquake_scenarios::SCENARIOS;
use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// There are more; fewer mean that files were not found.
const SCENARIOS_MIN: usize = 60;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // With zero threads the library would wait forever for the first test.
    arguments.test_threads = arguments.test_threads.map(|threads| threads.max(1));
    let scripted = match discover(&[PathBuf::from(SCENARIOS)]) {
        Ok(files) => files.into_iter().map(|file| Arc::new(Scripted { file })).collect::<Vec<_>>(),
        Err(error) => {
            eprintln!("{}", shown(error));
            return ExitCode::from(101);
        }
    };
    let mut by_name: BTreeMap<String, Arc<Scripted>> = BTreeMap::new();
    let mut trials = Vec::new();
    for one in scripted {
        by_name.insert(one.name(), one.clone());
        trials.push(Trial::ignorable_test(one.test_name(), move || one.passes()));
    }
    trials.push(Trial::test("all::tests have names of their own, and most scenarios can run here", {
        let names: Vec<String> = trials.iter().map(|trial| trial.name().to_owned()).collect();
        move || whole(names, by_name)
    }));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A scenario file.
struct Scripted {
    file: PathBuf,
}

impl Scripted {
    fn name(&self) -> String {
        self.file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Folder and name of the scenario.
    fn test_name(&self) -> String {
        let below = self.file.strip_prefix(SCENARIOS).unwrap_or(&self.file).with_extension("");
        let words: Vec<_> = below.iter().map(|word| word.to_string_lossy()).collect();
        words.join("::")
    }

    fn scenario(&self) -> Result<Scenario, String> {
        Scenario::load(&self.file, &catalogue(&Jobs::builtin())).map_err(shown)
    }

    fn passes(&self) -> Result<Completion, Failed> {
        let record = execute(&self.scenario()?);
        match &record.verdict {
            Verdict::Passed => Ok(Completion::Completed),
            // The command line reports this, too: a build without RocksDB proves nothing about RocksDB.
            Verdict::NotBuilt { feature } => Ok(Completion::ignored_with(format!("built without {feature}"))),
            _ => Err(failure(&record, Color::No).into()),
        }
    }
}

fn shown(error: ScenarioError) -> String {
    format!("{:?}", miette::Report::new(error))
}

fn execute(scenario: &Scenario) -> RunRecord {
    let replay = format!("cargo run -- run {}", scenario.file());
    execute_to(Depth::Full, &scenario.plan(1), &Jobs::builtin(), &[], replay).0
}

/// What only all tests together can show.
fn whole(mut names: Vec<String>, by_name: BTreeMap<String, Arc<Scripted>>) -> Result<(), Failed> {
    let tests = names.len();
    names.sort();
    names.dedup();
    if names.len() < tests {
        return Err(format!("{} tests have the name of another", tests - names.len()).into());
    }
    let files: Vec<PathBuf> = by_name.values().map(|one| one.file.clone()).collect();
    let scenarios = Scenario::load_all(&files, &catalogue(&Jobs::builtin()))
        .map_err(|errors| errors.into_iter().map(shown).collect::<String>())?;
    if scenarios.len() != tests {
        return Err(format!("{} scenarios have the name of another", tests - scenarios.len()).into());
    }
    let runnable = scenarios.iter().filter(|scenario| scenario.plan(1).job.config.backend.is_built()).count();
    if runnable < SCENARIOS_MIN {
        return Err(format!("only {runnable} of {} scenarios can run in this build", scenarios.len()).into());
    }
    Ok(())
}
