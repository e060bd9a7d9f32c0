//! Makes many runs: in parallel, each in a worker process, in bounded memory, up to a number of failures.
//!
//! Start at [`Many::make`]; [`Sweep`] says which runs there are. A plan is made when a worker is free for it, and
//! dropped with its run. In a long sweep ([`LONG`]), runs that passed keep only what the sums need, because their plans
//! can be made again from their seeds. The first run of each scenario stays whole, because a failing run is compared
//! with a run that passed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use flowquake_reports::ansi::{Style, clean};
use flowquake_reports::record::{RunRecord, RunSet, Verdict};
use flowquake_reports::table::{Align, Cell, Table};
use flowquake_reports::{tables, units};
use indicatif::{ProgressBar, ProgressStyle};
use nix::sys::signal::Signal;

use super::print::tell;
use super::{BAD_INPUT, moves, refuse_text};
use crate::environment::{self, Environment};
use crate::interrupt;
use crate::plan::{RunPlan, TargetPlan};
use crate::profile::on_target;
use crate::scenario::Scenario;
use crate::screen;
use crate::worker::{Made, Order, Terms, Unmade, Worker};

/// From this many runs on, results are summed up instead of listed one by one.
pub(super) const LONG: u64 = 500;

/// Which runs to make.
pub(super) struct Sweep<'s> {
    pub(super) scenarios: &'s [Scenario],
    /// The target of each run that a scenario and a seed have; never empty.
    pub(super) variants: Vec<TargetPlan>,
    /// First seed.
    pub(super) seed: u64,
    /// Seeds of each scenario.
    pub(super) seeds: u64,
    /// If given, only these runs are made, each with the index of its scenario, instead of all seeds of all scenarios.
    pub(super) only: Option<Vec<(usize, u64)>>,
    /// How many runs are made at the same time.
    pub(super) parallel: usize,
    /// After this many failed runs, no more runs are started.
    pub(super) max_failures: Option<u64>,
}

impl Sweep<'_> {
    pub(super) fn runs(&self) -> u64 {
        if let Some(only) = &self.only {
            return only.len() as u64;
        }
        (self.scenarios.len() as u64).saturating_mul(self.of_scenario())
    }

    /// Runs of one scenario.
    fn of_scenario(&self) -> u64 {
        self.seeds.saturating_mul(self.variants.len() as u64)
    }

    pub(super) fn is_long(&self) -> bool {
        self.runs() >= LONG
    }

    /// Whether faults are drawn in some of the runs.
    pub(super) fn has_swarms(&self) -> bool {
        self.scenarios.iter().any(Scenario::is_swarm)
    }

    /// The plan of a run by its index: all seeds of the first scenario, each on all targets, then all of the next.
    pub(super) fn plan(&self, index: u64) -> Option<RunPlan> {
        if let Some(only) = &self.only {
            let (scenario, seed) = *only.get(usize::try_from(index).ok()?)?;
            return Some(on_target(self.scenarios.get(scenario)?.plan(seed), *self.variants.first()?));
        }
        let scenario = self.scenarios.get(usize::try_from(index.checked_div(self.of_scenario())?).ok()?)?;
        let (variants, within) = (self.variants.len() as u64, index % self.of_scenario());
        let target = self.variants[usize::try_from(within % variants).ok()?];
        Some(on_target(scenario.plan(self.seed.saturating_add(within / variants)), target))
    }

    /// The place among all runs of that of this scenario file and seed on this target, if it is one of them; of repetitions the `nth`, from 0.
    pub(super) fn index(&self, file: &Path, seed: u64, target: &str, nth: usize) -> Option<u64> {
        let scenario = self.scenarios.iter().position(|scenario| Path::new(scenario.file()) == file)?;
        if let Some(only) = &self.only {
            return Some(only.iter().position(|run| *run == (scenario, seed))? as u64);
        }
        let behind = seed.checked_sub(self.seed).filter(|behind| *behind < self.seeds)?;
        let mut own = (0..).zip(&self.variants).filter(|(_, variant)| variant.name() == target);
        let (variant, _) = own.nth(nth)?;
        let within = behind.checked_mul(self.variants.len() as u64)?.checked_add(variant)?;
        (scenario as u64).checked_mul(self.of_scenario())?.checked_add(within)
    }

    /// Whether the run of this plan keeps only what the sums need. The first run of a scenario stays whole, because
    /// failing runs are compared with it.
    pub(super) fn is_slim(&self, plan: &RunPlan) -> bool {
        self.is_long() && self.only.is_none() && plan.seed != self.seed
    }
}

/// How many runs to make, and how.
pub(super) struct Many<'t> {
    /// Number of runs.
    pub(super) total: u64,
    /// How many runs are made at the same time.
    pub(super) parallel: usize,
    /// After this many failed runs, no more runs are started.
    pub(super) max_failures: Option<u64>,
    /// The limits of each run.
    pub(super) terms: &'t Terms,
}

/// If no run has ended for this long, [`Step::Waiting`] is reported.
const PAUSE: Duration = Duration::from_secs(5);
/// If no run ends, something is printed at least this often.
const SAID_EVERY: Duration = Duration::from_secs(25);

/// What [`Many::make`] reports while runs are made.
pub(super) enum Step {
    /// The run of this index was made.
    Made(u64, Box<Made>),
    /// No run ended for a while.
    Waiting,
}

/// Why not all runs were made, other than too many failures.
#[derive(Debug)]
pub(super) enum Ended {
    /// The machine could not carry out a run.
    Environment(Environment),
    /// A signal asked for it.
    Signal(Signal),
    /// A result could not be kept.
    Full,
}

impl Ended {
    /// Prints the reason, and returns the exit code of the command.
    pub(super) fn settle(&self, made: u64, total: u64) -> ExitCode {
        self.settle_of("runs", made, total)
    }

    /// The same for something other than runs.
    pub(super) fn settle_of(&self, what: &str, made: u64, total: u64) -> ExitCode {
        let made = units::count_of(made, total);
        match self {
            Self::Environment(environment) => {
                let what = format!("the environment, after {made} {what}: {environment}");
                _ = refuse_text(&what, &environment.remedy);
            }
            Self::Signal(signal) => tell!("interrupted by {signal}: {made} {what} were made"),
            Self::Full => {}
        }
        ExitCode::from(self.exit_code())
    }

    /// The exit code of a command that ended for this reason, whatever the verdicts were.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Environment(_) | Self::Full => BAD_INPUT,
            Self::Signal(signal) => interrupt::exit_code(*signal),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(environment) => write!(f, "the environment ({environment})"),
            Self::Signal(signal) => write!(f, "the interruption by {signal}"),
            Self::Full => f.write_str("what could not be kept"),
        }
    }
}

/// Checks the machine and starts to listen for signals. Called before many runs are made.
pub(super) fn prepare(disk: bool) -> Result<(), ExitCode> {
    environment::probe(disk).map_err(|broken| refuse_text(&format!("the environment: {broken}"), &broken.remedy))?;
    interrupt::watch().map_err(|error| refuse_text(&format!("signals cannot be watched: {error}"), "try again"))
}

impl Many<'_> {
    /// Makes the run of every order and gives each result to `each` as it comes, on this thread. If nothing comes for a
    /// while, `each` is told that, too. `each` returns whether to go on. `None`: all runs were made, or as many as
    /// failures allow.
    pub(super) fn make(
        &self,
        order: impl Fn(u64) -> Option<Order> + Sync,
        mut each: impl FnMut(Step) -> bool,
    ) -> Option<Ended> {
        let (next, failures, full) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
        let (done, results) = mpsc::channel();
        let mut ended = None;
        std::thread::scope(|scope| {
            for _ in 0..self.parallel.min(usize::try_from(self.total).unwrap_or(usize::MAX)) {
                let (done, next, failures, full, order) = (done.clone(), &next, &failures, &full, &order);
                scope.spawn(move || {
                    let mut worker = Worker::new(self.terms);
                    let go_on = || {
                        !full.load(Ordering::Relaxed)
                            && self.max_failures.is_none_or(|most| failures.load(Ordering::Relaxed) < most)
                    };
                    while go_on() {
                        let result = match interrupt::signal() {
                            Some(_) => Err(Unmade::Interrupted),
                            None => {
                                let index = next.fetch_add(1, Ordering::Relaxed);
                                let Some(order) = order(index) else { return };
                                worker.make(&order).map(|made| (index, made))
                            }
                        };
                        match &result {
                            Ok((_, made)) if !is_failure(&made.record.verdict) => {}
                            Ok(_) => drop(failures.fetch_add(1, Ordering::Relaxed)),
                            // What stops one run stops all of them.
                            Err(_) => full.store(true, Ordering::Relaxed),
                        }
                        if done.send(result).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(done);
            loop {
                let result = match results.recv_timeout(PAUSE) {
                    Ok(result) => result,
                    Err(RecvTimeoutError::Timeout) => {
                        each(Step::Waiting);
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                };
                match result {
                    Ok((index, made)) => {
                        if !each(Step::Made(index, Box::new(made))) {
                            full.store(true, Ordering::Relaxed);
                            ended.get_or_insert(Ended::Full);
                        }
                    }
                    Err(Unmade::Environment(environment)) => ended = Some(Ended::Environment(environment)),
                    Err(Unmade::Interrupted) => {
                        if let Some(signal) = interrupt::signal() {
                            ended.get_or_insert(Ended::Signal(signal));
                        }
                    }
                }
            }
        });
        ended
    }
}

/// A vacuous or uncertain run proves nothing, but hides no failure either. A run that was not built is no reason to
/// stop.
fn is_failure(verdict: &Verdict) -> bool {
    !matches!(verdict, Verdict::Passed | Verdict::Vacuous { .. } | Verdict::Uncertain { .. }) && verdict.class().ran()
}

/// A long sweep as a table: a line for each scenario, and a subtotal for each folder if there are several.
pub(super) fn summary(set: &RunSet) -> String {
    let mut sums: BTreeMap<(&str, &str), Sum> = BTreeMap::new();
    let mut folders: BTreeMap<&str, Sum> = BTreeMap::new();
    for run in &set.runs {
        sums.entry((tables::folder(run), &run.scenario)).or_default().add(run);
        folders.entry(tables::folder(run)).or_default().add(run);
    }
    let right = |heading: &'static str| (heading, Align::Right);
    let mut table = Table::new([
        ("scenario", Align::Left),
        right("runs"),
        right("passed"),
        right("vacuous"),
        right("not built"),
        right("failed"),
        right("faults drawn"),
        right("struck"),
        right("virtual time"),
        right("cpu"),
        right("cpu per run"),
    ])
    .dispensable(&["cpu", "virtual time", "faults drawn", "struck", "cpu per run", "not built"]);
    let mut over = None;
    for ((folder, scenario), sum) in sums {
        if folders.len() > 1 && over != Some(folder) {
            over = Some(folder);
            table.section(Cell::new(format!("{folder}, {}", folders[folder].in_words())).styled(Style::Heading));
        }
        table.row([
            Cell::new(scenario),
            Cell::count(sum.runs),
            Cell::count(sum.passed),
            Cell::count(sum.vacuous),
            Cell::count(sum.not_built),
            Cell::count(sum.failed()),
            Cell::count(sum.faults),
            Cell::count(sum.struck),
            Cell::duration(sum.virtual_ns),
            Cell::duration(sum.cpu_ns),
            Cell::duration(sum.cpu_ns / sum.runs.max(1)),
        ]);
    }
    table.text(0, screen::screen())
}

/// Sums over the runs of one scenario.
#[derive(Default)]
struct Sum {
    runs: u64,
    passed: u64,
    vacuous: u64,
    not_built: u64,
    faults: u64,
    struck: u64,
    virtual_ns: u64,
    cpu_ns: u64,
}

impl Sum {
    fn failed(&self) -> u64 {
        self.runs - self.passed - self.vacuous - self.not_built
    }

    /// Such as `2,000 runs: 1,990 passed, 10 vacuous`.
    fn in_words(&self) -> String {
        let counts = [
            (self.passed, "passed"),
            (self.failed(), "failed"),
            (self.vacuous, "vacuous"),
            (self.not_built, "not built"),
        ];
        let counts: Vec<String> =
            counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", units::count(*n))).collect();
        format!("{}: {}", units::counted(self.runs as usize, "run"), counts.join(", "))
    }

    fn add(&mut self, run: &RunRecord) {
        self.runs += 1;
        self.passed += u64::from(run.verdict == Verdict::Passed);
        self.vacuous += u64::from(matches!(run.verdict, Verdict::Vacuous { .. }));
        self.not_built += u64::from(matches!(run.verdict, Verdict::NotBuilt { .. }));
        self.faults += run.faults.len() as u64;
        self.struck += run.faults.iter().filter(|fault| fault.struck_at_ns.is_some()).count() as u64;
        self.virtual_ns += run.totals.virtual_ns;
        self.cpu_ns += run.totals.cpu_ns;
    }
}

/// A progress bar on a terminal. Elsewhere a line for each run if there are few, a line for each run that did not pass,
/// and at least every half minute a line about progress, because CI systems end programs that are silent for long.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    total: u64,
    done: u64,
    failed: u64,
    began: Instant,
    said: Instant,
}

impl Progress {
    pub(super) fn new(total: u64) -> Self {
        let bar = moves().then(|| {
            let style = ProgressStyle::with_template("{bar:20} {pos}/{len} runs  {msg}  {elapsed}  eta {eta}");
            ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        let now = screen::now();
        Self { bar, total, done: 0, failed: 0, began: now, said: now }
    }

    /// Progress over as many runs as time allows, if no number is given.
    pub(super) fn open(total: Option<u64>) -> Self {
        let progress = Self::new(total.unwrap_or(u64::MAX));
        if let (Some(bar), None) = (&progress.bar, total) {
            let style = ProgressStyle::with_template("{spinner} {pos} runs  {msg}  {elapsed}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        }
        progress
    }

    /// Shows what a search has found so far.
    pub(super) fn news(&mut self, corpus: usize, failures: usize) {
        self.failed = failures as u64;
        if let Some(bar) = &self.bar {
            bar.set_message(format!("corpus {corpus}, failures {failures}"));
        }
    }

    pub(super) fn step(&mut self, record: &RunRecord) {
        let label = record.verdict.label();
        self.failed += u64::from(label != "passed");
        self.count();
        if self.bar.is_none() && (self.total <= 100 || label != "passed") {
            let on = if record.is_simulated() { String::new() } else { format!(" on {}", record.target) };
            let name = clean(&format!("{}{on}", record.scenario));
            tell!("{}/{}  {name} seed {}: {label}", self.done, self.total, record.seed);
            self.said = screen::now();
        }
        self.wait();
    }

    /// Counts a run without printing anything about it.
    pub(super) fn count(&mut self) {
        self.done += 1;
        if let Some(bar) = &self.bar {
            if self.failed > 0 {
                bar.set_message(format!("{} not passed", self.failed));
            }
            bar.inc(1);
        }
    }

    /// Prints the progress if nothing was printed for long.
    pub(super) fn wait(&mut self) {
        match &self.bar {
            Some(bar) => bar.tick(),
            None if self.said.elapsed() >= SAID_EVERY => {
                let gone = units::duration(self.began.elapsed().as_secs() * 1_000_000_000);
                let done = match self.total {
                    u64::MAX => units::count(self.done),
                    total => units::count_of(self.done, total),
                };
                tell!("{done} runs, {} not passed, {gone}", units::count(self.failed));
                self.said = screen::now();
            }
            None => {}
        }
    }

    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
