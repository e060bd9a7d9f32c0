//! Makes the searches of the museum in parallel, bug by bug and method by method, and puts their results together.
//!
//! Start at [`visit`]. A [`Task`] is one bug, one method and one start. It is a sequence of runs that ends with the
//! first failing run ([`super::search`]), so tasks run in parallel, not single runs.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use flowquake_engine::mutation::Mutation;
use flowquake_reports::museum::{Fate, Found, Method};
use flowquake_reports::units::counted;
use indicatif::{ProgressBar, ProgressStyle};

use super::super::print::tell;
use super::super::sweep::Ended;
use super::super::{moves, refuse_text};
use super::journal::Kept;
use super::search::{Failed, Search, Searcher, Shared};
use super::strikes::Strikes;
use crate::interrupt;
use crate::scenario::Scenario;
use crate::screen as clock;
use crate::worker::{Terms, Unmade, Worker};

/// A bug, with the scenario that the catalogue names for it.
pub(super) struct Bug {
    pub(super) mutation: Mutation,
    pub(super) name: String,
    /// Index of the scenario.
    pub(super) scenario: usize,
    /// The check that must notice the bug there; `None`: no check can.
    pub(super) caught_by: Option<&'static str>,
}

/// What is searched, and how far.
pub(super) struct Tour<'t> {
    pub(super) scenarios: &'t [Scenario],
    /// The methods to use.
    pub(super) methods: &'t [Method],
    /// Use only the scenarios of the catalogue.
    pub(super) short: bool,
    pub(super) seeds: u64,
    pub(super) starts: u64,
    /// Strikes of the exhaustive search, if it is used.
    pub(super) strikes: Option<Strikes>,
    pub(super) parallel: usize,
    pub(super) terms: &'t Terms,
}

/// One search.
#[derive(Clone, Copy)]
struct Task {
    bug: usize,
    method: Method,
    start: u64,
}

/// Searches for every bug. The result has one map for each bug, in their order.
pub(super) fn visit(tour: &Tour<'_>, bugs: &[Bug], mut kept: Kept) -> Result<Vec<BTreeMap<Method, Found>>, ExitCode> {
    let starts = |method| if method == Method::Swarm { tour.starts } else { 1 };
    let of_method = |method| (0..bugs.len()).flat_map(move |bug| (0..starts(method)).map(move |start| (bug, start)));
    let tasks: Vec<Task> = tour
        .methods
        .iter()
        .flat_map(|method| of_method(*method).map(|(bug, start)| Task { bug, method: *method, start }))
        .collect();
    let swarms: Vec<usize> = (0..tour.scenarios.len()).filter(|index| tour.scenarios[*index].is_swarm()).collect();
    let clean = Mutex::new(std::mem::take(&mut kept.clean));
    let shared = Shared { tour, bugs, swarms, kept: &kept, clean, made: AtomicU64::new(0) };
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let (done, results) = mpsc::channel();
    let mut searches: Vec<(usize, Search)> = Vec::new();
    let mut failed = None;
    std::thread::scope(|scope| {
        for _ in 0..tour.parallel.min(tasks.len()) {
            let (done, tasks, next, stop, shared) = (done.clone(), &tasks, &next, &stop, &shared);
            scope.spawn(move || {
                let mut searcher = Searcher { shared, worker: Worker::new(tour.terms) };
                while !stop.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed) as usize;
                    let Some(task) = tasks.get(index) else { return };
                    let result = searcher.search(&shared.bugs[task.bug], task.method, task.start);
                    if result.is_err() {
                        stop.store(true, Ordering::Relaxed);
                    }
                    if done.send(result.map(|search| (task.bug, search))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        let mut progress = Progress::new(tasks.len() as u64, &shared.made);
        loop {
            match results.recv_timeout(PAUSE) {
                Ok(Ok((bug, search))) => {
                    progress.step(&bugs[bug], &search);
                    searches.push((bug, search));
                }
                Ok(Err(error)) => failed = failed.take().or(Some(error)),
                Err(RecvTimeoutError::Timeout) => progress.wait(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        progress.end();
    });
    if let Some(problem) = kept.problem() {
        tell!("note: {problem}: this visit cannot be gone on with");
    }
    match failed {
        None => Ok(matrix(bugs.len(), searches)),
        Some(Failed::Unsound(what)) => {
            Err(refuse_text(&what, "a bug proves something only where all is well without it: mend that first"))
        }
        Some(Failed::Unmade(unmade)) => {
            let ended = match (unmade, interrupt::signal()) {
                (Unmade::Environment(environment), _) => Ended::Environment(environment),
                (Unmade::Interrupted, Some(signal)) => Ended::Signal(signal),
                (Unmade::Interrupted, None) => Ended::Full,
            };
            let code = ended.settle_of("searches", searches.len() as u64, tasks.len() as u64);
            if !tour.short {
                tell!("go on with --resume");
            }
            Err(code)
        }
    }
}

/// Combines the starts of each method.
fn matrix(bugs: usize, mut searches: Vec<(usize, Search)>) -> Vec<BTreeMap<Method, Found>> {
    searches.sort_by_key(|(bug, search)| (*bug, search.method, search.start));
    let mut found: Vec<BTreeMap<Method, Found>> = vec![BTreeMap::new(); bugs];
    for (bug, search) in searches {
        let entry = found[bug].entry(search.method).or_insert_with(|| Found {
            fate: Fate::Stale,
            by: None,
            strike: None,
            noticed: Vec::new(),
            runs: Vec::new(),
            budget: search.budget,
            cpu_ms: 0,
        });
        let fate = match (search.runs, search.reached) {
            (Some(_), _) => Fate::Killed,
            (None, true) => Fate::Survived,
            (None, false) => Fate::Stale,
        };
        entry.fate = entry.fate.min(fate);
        entry.runs.push(search.runs);
        entry.budget = entry.budget.max(search.budget);
        entry.cpu_ms += search.cpu_ns / 1_000_000;
        if entry.by.is_none() {
            (entry.by, entry.strike, entry.noticed) = (search.by, search.strike, search.noticed);
        }
    }
    found
}

/// If no search has ended for this long, it is checked whether something should be printed.
const PAUSE: Duration = Duration::from_secs(5);
/// If no search ends, something is printed at least this often.
const SAID_EVERY: Duration = Duration::from_secs(25);

/// A progress bar on a terminal. Elsewhere a line for each search, and a line about progress if no search ends for
/// long.
struct Progress<'m> {
    bar: Option<ProgressBar>,
    total: u64,
    done: u64,
    made: &'m AtomicU64,
    said: Instant,
}

impl<'m> Progress<'m> {
    fn new(total: u64, made: &'m AtomicU64) -> Self {
        let bar = moves().then(|| {
            let style = ProgressStyle::with_template("{bar:20} {pos}/{len} searches  {msg}  {elapsed}  eta {eta}");
            ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { bar, total, done: 0, made, said: clock::now() }
    }

    fn step(&mut self, bug: &Bug, search: &Search) {
        self.done += 1;
        let came_to = match (search.runs, &search.by, search.reached) {
            (Some(runs), Some((scenario, seed)), _) => {
                let strike = search.strike.as_ref().map(|strike| format!(", {strike}")).unwrap_or_default();
                format!("run {runs}, {} in {scenario} seed {seed}{strike}", search.noticed.join(", "))
            }
            (_, _, true) if !search.noticed.is_empty() => {
                let who = bug.caught_by.unwrap_or_default();
                format!("survived: {} noticed it, {who} did not", search.noticed.join(", "))
            }
            (_, _, true) => format!("survived {}", counted(search.budget as usize, "run")),
            (_, _, false) => format!("never made its mistake in {}", counted(search.budget as usize, "run")),
        };
        match &self.bar {
            Some(bar) => {
                bar.set_message(bug.name.clone());
                bar.inc(1);
            }
            None => {
                tell!("{}/{}  {}  {}: {came_to}", self.done, self.total, bug.name, search.method.name());
                self.said = clock::now();
            }
        }
    }

    fn wait(&mut self) {
        match &self.bar {
            Some(bar) => bar.tick(),
            None if self.said.elapsed() >= SAID_EVERY => {
                let runs = counted(self.made.load(Ordering::Relaxed) as usize, "run");
                tell!("{}/{} searches, {runs}", self.done, self.total);
                self.said = clock::now();
            }
            None => {}
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
