//! Every scripted scenario passes, and every planted bug is caught: each is a test of its own name, on all cores.
//!
//! `task-manager::killed-during-restore` runs that scenario; `planted::skip-sweep is caught by O4` runs the scenario of the
//! museum with the bug, and without it. This target is a program of its own (`harness = false`), since tests of `#[test]` have
//! names that are written down. Runs are made in this process: the workers of `flowquake::test_main` plant no bugs. Some bugs are
//! caught by assertions of the engine: those panics are not printed, since they are what the test waits for.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use flowquake::cli::catalogue;
use flowquake::jobs::Jobs;
use flowquake::scenario::{Scenario, ScenarioError, discover};
use flowquake::session::{Depth, execute_to};
use flowquake_engine::mutation::Mutation;
use flowquake_reports::ansi::Color;
use flowquake_reports::record::{RunRecord, Verdict};
use flowquake_reports::terminal::failure;
use flowquake_scenarios::SCENARIOS;
use flowquake_scenarios::museum::{Exhibit, MUSEUM};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// Seeds tried until a planted bug shows; one that needs luck is still found.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=10;
/// There are more; fewer mean that files were not found.
const SCENARIOS_MIN: usize = 60;

fn main() -> ExitCode {
    hush_expected_panics();
    let mut arguments = Arguments::from_args();
    // With none the library would wait for the first test for ever.
    arguments.test_threads = arguments.test_threads.map(|threads| threads.max(1));
    let scripted = match discover(&[PathBuf::from(SCENARIOS)]) {
        Ok(files) => {
            files.into_iter().map(|file| Arc::new(Scripted { file, sound: OnceLock::new() })).collect::<Vec<_>>()
        }
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
    for exhibit in MUSEUM {
        let scripted = by_name.get(exhibit.scenario).cloned();
        trials.push(Trial::test(planted_name(exhibit), move || is_caught(exhibit, scripted)));
    }
    trials.push(Trial::test("all::tests have names of their own, and most scenarios can run here", {
        let names: Vec<String> = trials.iter().map(|trial| trial.name().to_owned()).collect();
        move || whole(names, by_name)
    }));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Panics under the name of an invariant that catches a planted bug are not printed. Nothing is lost: where none is waited for,
/// the test fails and its record says the panic.
fn hush_expected_panics() {
    let say = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let name = panic.payload_as_str().and_then(|text| text.split_once(':')).map(|(name, _)| name);
        if !MUSEUM.iter().any(|exhibit| Some(exhibit.caught_by) == name) {
            say(panic);
        }
    }));
}

/// A scenario file.
struct Scripted {
    file: PathBuf,
    /// The run with the first seed and without a bug: the test of the scenario asks for it, and so does a bug that is planted
    /// there.
    sound: OnceLock<Result<RunRecord, String>>,
}

impl Scripted {
    fn name(&self) -> String {
        self.file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Folder and scenario.
    fn test_name(&self) -> String {
        let below = self.file.strip_prefix(SCENARIOS).unwrap_or(&self.file).with_extension("");
        let words: Vec<_> = below.iter().map(|word| word.to_string_lossy()).collect();
        words.join("::")
    }

    fn scenario(&self) -> Result<Scenario, String> {
        Scenario::load(&self.file, &catalogue(&Jobs::builtin())).map_err(shown)
    }

    /// What the run without a bug came to.
    fn sound(&self) -> Result<&RunRecord, String> {
        let sound = self.sound.get_or_init(|| Ok(execute(&self.scenario()?, 1, &[])));
        sound.as_ref().map_err(String::clone)
    }

    fn passes(&self) -> Result<Completion, Failed> {
        let record = self.sound()?;
        match &record.verdict {
            Verdict::Passed => Ok(Completion::Completed),
            // Said aloud by the command line, too; a build without RocksDB proves nothing about it.
            Verdict::NotBuilt { feature } => Ok(Completion::ignored_with(format!("built without {feature}"))),
            _ => Err(failure(record, Color::No).into()),
        }
    }
}

fn shown(error: ScenarioError) -> String {
    format!("{:?}", miette::Report::new(error))
}

fn execute(scenario: &Scenario, seed: u64, mutations: &[Mutation]) -> RunRecord {
    let plan = scenario.plan(seed);
    let replay = format!("cargo run -- run {} --seed {seed}", scenario.file());
    execute_to(Depth::Full, &plan, &Jobs::builtin(), mutations, replay).0
}

/// As plans and this museum write it.
fn planted_name(exhibit: &Exhibit) -> String {
    let bug = serde_json::to_value(exhibit.mutation).ok();
    let bug = bug.as_ref().and_then(serde_json::Value::as_str).expect("a bug is written as its name");
    format!("planted::{bug} is caught by {}", exhibit.caught_by)
}

/// The oracle that the museum names is among those that the run with the bug violates, and the run without it passes.
fn is_caught(exhibit: &Exhibit, scripted: Option<Arc<Scripted>>) -> Result<(), Failed> {
    let scripted = scripted.ok_or_else(|| format!("there is no scenario `{}`", exhibit.scenario))?;
    let sound = scripted.sound()?;
    if sound.verdict != Verdict::Passed {
        return Err(format!("without the bug:\n{}", failure(sound, Color::No)).into());
    }
    let scenario = scripted.scenario()?;
    let mut seen = String::new();
    for seed in SEEDS {
        let verdict = execute(&scenario, seed, &[exhibit.mutation]).verdict;
        let by = violated(&verdict);
        if by.contains(&exhibit.caught_by) {
            return Ok(());
        }
        seen.push_str(&format!("\n  seed {seed}: {}: {}", by.join(", "), verdict.headline()));
    }
    Err(format!("{:?} escaped {} in {}:{seen}", exhibit.mutation, exhibit.caught_by, exhibit.scenario).into())
}

/// Whom a run convinced that something is wrong. One bug may violate several oracles.
fn violated(verdict: &Verdict) -> Vec<&str> {
    match verdict {
        Verdict::Failed { oracle, also, .. } => {
            std::iter::once(oracle).chain(also.iter().map(|other| &other.oracle)).map(String::as_str).collect()
        }
        // An invariant that the engine asserts begins the panic with its name.
        Verdict::Crashed { panic } => vec![panic.split_once(':').map_or(panic.as_str(), |(name, _)| name)],
        other => vec![other.label()],
    }
}

/// What no test alone can see.
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
    if scenarios.len() + MUSEUM.len() != tests {
        return Err(format!("{} scenarios have the name of another", tests - MUSEUM.len() - scenarios.len()).into());
    }
    let runnable = scenarios.iter().filter(|scenario| scenario.plan(1).job.config.backend.is_built()).count();
    if runnable < SCENARIOS_MIN {
        return Err(format!("only {runnable} of {} scenarios can run in this build", scenarios.len()).into());
    }
    Ok(())
}
