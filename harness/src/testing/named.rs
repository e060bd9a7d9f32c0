//! `cargo test` with one test per scenario, named by folder and scenario: `task-manager::killed-during-restore`.
//!
//! Start at [`test_main`]. A target with `harness = false` lets this library provide its `main`, so the program can be
//! started again to make runs in separate processes ([`crate::worker`]). A job that ends its process fails the test of
//! its scenario, and the other tests go on. Files are read when their test runs, so `--list` builds no job, and a wrong
//! file fails as one test.
//!
//! Invariants: (NT1) every scenario file below the paths is exactly one test; (NT2) no scenario at all is a failure,
//! whatever the arguments; (NT3) a test passes only if every one of its seeds was run and passed.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::ops::RangeInclusive;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::thread::JoinHandle;

use flowquake_reports::ansi::Color;
use flowquake_reports::record::Verdict;
use flowquake_reports::terminal::failure;
use libtest_mimic::{Arguments, Failed, Trial};

use super::{depth, no_seeds};
use crate::cli::catalogue;
use crate::environment::{Environment, needs_disk, probe};
use crate::jobs::Jobs;
use crate::provenance::{command, quoted};
use crate::scenario::{JobCatalogue, Scenario, ScenarioError, discover};
use crate::worker::{self, Made, Order, Terms, Unmade, Worker};

/// The exit code of a test binary with a failed test.
const FAILED: u8 = 101;
/// The exit code for invalid arguments.
const BAD_INPUT: u8 = 2;

/// The `main` of a test target with `harness = false`: each scenario at or below `paths` is a test that runs it with every seed,
/// up to the first that does not pass. The arguments are those of every test binary (`FILTER`, `--exact`, `--skip`, `--list`,
/// `--test-threads`, `--format`); `--help` lists them.
///
/// What a run prints goes to standard error and is never captured, as with `--nocapture`. A failed test shows what
/// `flowquake run` shows: the evidence, the command that replays the run, the timeline.
///
/// The exit code is 0 if every test passed, 101 if one failed or there is no scenario, 2 for arguments that do not exist or mean nothing, and 5 if a
/// job called `exit` while it was built. A scenario that this build cannot run (*not built*) fails; leave it out with `--skip`.
///
/// `main` must call this before it does anything else: the program is started again by itself to make runs.
pub fn test_main<P: AsRef<Path>>(
    paths: impl IntoIterator<Item = P>,
    seeds: RangeInclusive<u64>,
    jobs: &Jobs,
) -> ExitCode {
    if is_worker() {
        return crate::cli::main(jobs);
    }
    let mut arguments = Arguments::from_args();
    let paths: Vec<PathBuf> = paths.into_iter().map(|path| path.as_ref().to_owned()).collect();
    let files = match scenario_files(&paths, &seeds) {
        Ok(files) => files,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(FAILED);
        }
    };
    let wanted = arguments.test_threads.or_else(|| std::thread::available_parallelism().ok().map(Into::into));
    if wanted == Some(0) {
        // With zero threads the library would wait forever for the first test.
        eprintln!("error: --test-threads 0: no test would ever run\n  help: write at least 1, or leave it out");
        return ExitCode::from(BAD_INPUT);
    }
    let wanted = wanted.unwrap_or(1).min(files.len());
    arguments.test_threads = Some(wanted);
    let (runners, threads) = Runners::start(if arguments.list { 0 } else { wanted });
    let suite = Arc::new(Suite { seeds, catalogue: catalogue(jobs), runners, disk: OnceLock::new() });
    let conclusion = libtest_mimic::run(&arguments, trials(&paths, files, &suite));
    // The trials are gone, and with them all other users of the suite. Without the suite the runners end, and so do
    // their processes.
    drop(suite);
    for thread in threads {
        // If a runner panicked, its test has failed already.
        let _ = thread.join();
    }
    conclusion.exit_code()
}

/// Whether this process was started to make runs. Both words are checked, because the first alone may be a filter.
fn is_worker() -> bool {
    let words: Vec<_> = std::env::args_os().skip(1).take(2).collect();
    words == worker::FIRST_WORDS.map(OsStr::new)
}

/// The files of all tests, or why there is none (NT2).
fn scenario_files(paths: &[PathBuf], seeds: &RangeInclusive<u64>) -> Result<Vec<PathBuf>, String> {
    if seeds.is_empty() {
        return Err(format!("error: {}", no_seeds(seeds)));
    }
    let files = discover(paths).map_err(shown)?;
    if files.is_empty() {
        return Err(
            "error: no test: no path was given\n  help: name a scenario file, or a folder that holds some".into()
        );
    }
    Ok(files)
}

fn shown(error: ScenarioError) -> String {
    format!("{:?}", miette::Report::new(error))
}

/// A test for each file (NT1).
fn trials(paths: &[PathBuf], files: Vec<PathBuf>, suite: &Arc<Suite>) -> Vec<Trial> {
    let mut first_of: BTreeMap<String, PathBuf> = BTreeMap::new();
    let trial = |file: PathBuf| {
        let scenario = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        // As on the command line: verdicts and reports refer to a scenario only by its name.
        let namesake = first_of.get(&scenario).map(|first| {
            format!(
                "two scenarios are called `{scenario}`: {} and {}\n  help: rename one of them, both the file and its `name`",
                first.display(),
                file.display()
            )
        });
        first_of.entry(scenario).or_insert_with(|| file.clone());
        let suite = suite.clone();
        Trial::test(name_of(&file, paths), move || match namesake {
            Some(problem) => Err(Failed::from(problem)),
            None => suite.judge(&file).map_err(Failed::from),
        })
    };
    files.into_iter().map(trial).collect()
}

/// The name of a file's test: its place below the path that it was found by, and its name.
fn name_of(file: &Path, paths: &[PathBuf]) -> String {
    let below = paths.iter().find_map(|path| file.strip_prefix(path).ok()).filter(|below| below.file_name().is_some());
    let below = below.or_else(|| file.file_name().map(Path::new)).unwrap_or(file).with_extension("");
    let words = below.components().filter_map(|component| match component {
        Component::Normal(word) => Some(word.to_string_lossy()),
        _ => None,
    });
    words.collect::<Vec<_>>().join("::")
}

/// What all tests share.
struct Suite {
    seeds: RangeInclusive<u64>,
    catalogue: JobCatalogue,
    runners: Runners,
    /// Whether this machine has space for runs that use its disk; checked when the first such run asks.
    disk: OnceLock<Result<(), String>>,
}

impl Suite {
    /// Runs the scenario of a file with every seed, up to the first that does not pass (NT3). `Err`: the text to show.
    fn judge(&self, file: &Path) -> Result<(), String> {
        let scenario = Scenario::load(file, &self.catalogue).map_err(shown)?;
        // An absolute path, because the command may be pasted in any folder, while tests run in the folder of their
        // package.
        let absolute = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
        let absolute = quoted(&absolute.to_string_lossy());
        for seed in self.seeds.clone() {
            let plan = scenario.plan(seed);
            if needs_disk(&plan) {
                self.disk.get_or_init(|| probe(true).map_err(|broken| in_words(&broken))).clone()?;
            }
            let replay = command(&format!("run {absolute} --seed {seed}"));
            let order = Order { depth: depth(&self.seeds), ..Order::quick(plan, replay) };
            let Made { record, problems, .. } = self.runners.make(order).map_err(|unmade| match unmade {
                Unmade::Environment(broken) => in_words(&broken),
                Unmade::Interrupted => "the run was interrupted".to_owned(),
            })?;
            if record.verdict != Verdict::Passed || !problems.is_empty() {
                return Err([vec![failure(&record, Color::No)], problems].concat().join("\n"));
            }
        }
        Ok(())
    }
}

fn in_words(broken: &Environment) -> String {
    format!("the environment: {broken}\n  help: {}", broken.remedy)
}

/// A run to make, and the channel for its result.
type Errand = (Order, mpsc::Sender<Result<Made, Unmade>>);

/// Threads that make runs. Each has a [`Worker`] for as long as it lives, because a worker's life is bound to its
/// thread, while the test library may end the threads of tests at any time.
struct Runners(mpsc::Sender<Errand>);

impl Runners {
    fn start(count: usize) -> (Self, Vec<JoinHandle<()>>) {
        let (errands, next) = mpsc::channel::<Errand>();
        let next = Arc::new(Mutex::new(next));
        let runner = || {
            let next = next.clone();
            std::thread::spawn(move || {
                let terms = Terms::default();
                let mut worker = Worker::new(&terms);
                loop {
                    let errand = next.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((order, answer)) = errand else { return };
                    // A test that has panicked no longer waits for the answer.
                    let _ = answer.send(worker.make(&order));
                }
            })
        };
        let threads = (0..count).map(|_| runner()).collect();
        (Self(errands), threads)
    }

    fn make(&self, order: Order) -> Result<Made, Unmade> {
        let (answer, answered) = mpsc::channel();
        self.0.send((order, answer)).expect("runners live as long as the suite");
        answered.recv().expect("a runner answers")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_named_by_folder_and_scenario() {
        let paths = [PathBuf::from("scenarios"), PathBuf::from("more/./"), PathBuf::from("one/alone.toml")];
        let name = |file: &str| name_of(Path::new(file), &paths);
        assert_eq!(name("scenarios/task-manager/killed.toml"), "task-manager::killed");
        assert_eq!(name("scenarios/a/b/v1.2.toml"), "a::b::v1.2");
        assert_eq!(name("more/top.toml"), "top");
        assert_eq!(name("one/alone.toml"), "alone", "a file that was given itself");
    }

    #[test]
    #[allow(clippy::reversed_empty_ranges, reason = "that is what is tried")]
    fn no_test_is_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let why = |paths: &[PathBuf], seeds| scenario_files(paths, &seeds).expect_err("NT2");
        assert!(why(&[], 1..=1).contains("no path was given"));
        assert!(why(&[folder.path().into()], 1..=1).contains("holds no scenario"));
        assert!(why(&[folder.path().join("nowhere")], 1..=1).contains("there is no file or folder"));
        assert!(why(&[folder.path().into()], 3..=1).contains("the seeds 3..=1 are none"));
    }
}
