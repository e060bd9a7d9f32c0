//! Makes the runs of the museum: bug by bug and way by way, each until it is found.
//!
//! Start at [`visit`]. A [`Task`] is one bug, one way of searching and one start; it is a sequence of runs that ends with the first that
//! fails, so tasks, not runs, are what goes in parallel. Runs are made by worker processes: a planted bug may panic, hang or exhaust
//! memory. A run that fails counts only if the same plan passes without the bug (the paired control); controls are made once.
//!
//! Another way of searching is a [`Method`] and its runs in [`Searcher::search`].

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, mpsc};

use flowquake_engine::mutation::Mutation;
use flowquake_reports::museum::{Fate, Found, Method};
use flowquake_reports::record::Verdict;
use flowquake_reports::units::counted;
use indicatif::{ProgressBar, ProgressStyle};

use super::super::print::tell;
use super::super::sweep::Ended;
use super::super::{moves, refuse_text};
use crate::interrupt;
use crate::plan::RunPlan;
use crate::scenario::Scenario;
use crate::session::Depth;
use crate::worker::{Order, Terms, Unmade, Worker};

/// Seeds of the scenario in the catalogue that are tried: one that needs luck is still found.
const SEEDS: u64 = 5;
/// Between the first seeds of two starts.
const BETWEEN_STARTS: u64 = 1_000_000;

/// A bug, and where the catalogue sends it.
pub(super) struct Bug {
    pub(super) mutation: Mutation,
    pub(super) name: String,
    /// Index of the scenario.
    pub(super) scenario: usize,
    /// Who has to notice it there; `None`: nobody can.
    pub(super) caught_by: Option<&'static str>,
}

/// What is searched, and how far.
pub(super) struct Tour<'t> {
    pub(super) scenarios: &'t [Scenario],
    /// Only the scenarios of the catalogue.
    pub(super) short: bool,
    pub(super) seeds: u64,
    pub(super) starts: u64,
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

/// What a search came to.
struct Search {
    task: Task,
    /// Runs until the bug was found.
    runs: Option<u64>,
    by: Option<(String, u64)>,
    /// Who noticed it there; of a bug that was not found, who noticed it in place of him who is named.
    noticed: Vec<String>,
    reached: bool,
    budget: u64,
    cpu_ns: u64,
}

/// Why nothing came of it.
enum Failed {
    Unmade(Unmade),
    /// A scenario fails without a bug: nothing that it says about bugs counts.
    Unsound(String),
}

/// Searches for every bug; one map for each, in their order.
pub(super) fn visit(tour: &Tour<'_>, bugs: &[Bug]) -> Result<Vec<BTreeMap<Method, Found>>, ExitCode> {
    let mut tasks = Vec::new();
    for bug in 0..bugs.len() {
        tasks.push(Task { bug, method: Method::Scripted, start: 0 });
    }
    if !tour.short {
        for bug in 0..bugs.len() {
            tasks.extend((0..tour.starts).map(|start| Task { bug, method: Method::Swarm, start }));
        }
    }
    let swarms: Vec<usize> = (0..tour.scenarios.len()).filter(|index| tour.scenarios[*index].plan(1).swarm).collect();
    let shared = Shared { tour, bugs, swarms, controls: Mutex::default() };
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let (done, results) = mpsc::channel();
    let mut searches: Vec<Search> = Vec::new();
    let mut failed = None;
    std::thread::scope(|scope| {
        for _ in 0..tour.parallel.min(tasks.len()) {
            let (done, tasks, next, stop, shared) = (done.clone(), &tasks, &next, &stop, &shared);
            scope.spawn(move || {
                let mut searcher = Searcher { shared, worker: Worker::new(tour.terms) };
                while !stop.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed) as usize;
                    let Some(task) = tasks.get(index) else { return };
                    let result = searcher.search(*task);
                    if result.is_err() {
                        stop.store(true, Ordering::Relaxed);
                    }
                    if done.send(result).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        let progress = Progress::new(tasks.len() as u64);
        for result in results {
            match result {
                Ok(search) => {
                    progress.step(&bugs[search.task.bug], &search);
                    searches.push(search);
                }
                Err(error) => failed = failed.take().or(Some(error)),
            }
        }
        progress.end();
    });
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
            Err(ended.settle(searches.len() as u64, tasks.len() as u64))
        }
    }
}

/// Puts the starts of each way together.
fn matrix(bugs: usize, mut searches: Vec<Search>) -> Vec<BTreeMap<Method, Found>> {
    searches.sort_by_key(|search| (search.task.bug, search.task.method, search.task.start));
    let mut found: Vec<BTreeMap<Method, Found>> = vec![BTreeMap::new(); bugs];
    for search in searches {
        let entry = found[search.task.bug].entry(search.task.method).or_insert_with(|| Found {
            fate: Fate::Stale,
            by: None,
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
            (entry.by, entry.noticed) = (search.by, search.noticed);
        }
    }
    found
}

struct Shared<'t> {
    tour: &'t Tour<'t>,
    bugs: &'t [Bug],
    /// Scenarios whose faults are drawn.
    swarms: Vec<usize>,
    /// What is wrong with a scenario and seed without a bug; `None`: nothing.
    controls: Mutex<BTreeMap<(usize, u64), Option<String>>>,
}

struct Searcher<'t> {
    shared: &'t Shared<'t>,
    worker: Worker<'t>,
}

impl Searcher<'_> {
    fn search(&mut self, task: Task) -> Result<Search, Failed> {
        let Shared { tour, bugs, swarms, .. } = self.shared;
        let bug = &bugs[task.bug];
        // Runs in order: scenario, seed, and who has to notice (anybody, if nobody is named).
        let runs: Vec<(usize, u64, Option<&str>)> = match task.method {
            Method::Scripted => {
                let seeds = if bug.caught_by.is_some() { SEEDS } else { 1 };
                let own = (1..=seeds).map(|seed| (bug.scenario, seed, bug.caught_by));
                let others = (0..tour.scenarios.len()).filter(|index| !swarms.contains(index));
                let anybody = std::iter::once(bug.scenario).chain(others).map(|index| (index, 1, None));
                own.chain(anybody.filter(|_| !tour.short)).collect()
            }
            Method::Swarm => {
                let each = swarms.len().max(1) as u64;
                let seed = |run: u64| 1 + task.start * BETWEEN_STARTS + run / each;
                (0..tour.seeds).filter_map(|run| Some((*swarms.get((run % each) as usize)?, seed(run), None))).collect()
            }
        };
        let depth = if task.method == Method::Scripted { Depth::Full } else { Depth::Quick };
        let budget = runs.len() as u64;
        let mut search = Search { task, runs: None, by: None, noticed: Vec::new(), reached: false, budget, cpu_ns: 0 };
        for (number, (scenario, seed, who)) in runs.into_iter().enumerate() {
            let plan = tour.scenarios[scenario].plan(seed);
            let name = plan.scenario.clone();
            let made = self.run(plan, depth, vec![bug.mutation])?;
            search.cpu_ns += made.record.totals.cpu_ns;
            search.reached |= made.seen.reached;
            let noticed = noticed(&made.record.verdict);
            if noticed.is_empty() {
                continue;
            }
            if who.is_some_and(|who| !noticed.iter().any(|other| other == who)) {
                search.noticed = noticed;
                continue;
            }
            if let Some(wrong) = self.control(scenario, seed, depth)? {
                match task.method {
                    Method::Scripted => return Err(Failed::Unsound(wrong)),
                    // A false alarm, or a mistake of the engine; not of this bug.
                    Method::Swarm => {
                        tell!("{wrong}");
                        continue;
                    }
                }
            }
            search.runs = Some(number as u64 + 1);
            search.reached = true;
            (search.by, search.noticed) = (Some((name, seed)), noticed);
            break;
        }
        if task.method == Method::Scripted && search.runs.is_none() {
            // Paired with a run that passes in any case.
            if let Some(wrong) = self.control(bug.scenario, 1, depth)? {
                return Err(Failed::Unsound(wrong));
            }
        }
        Ok(search)
    }

    fn run(&mut self, plan: RunPlan, depth: Depth, mutations: Vec<Mutation>) -> Result<crate::worker::Made, Failed> {
        if interrupt::signal().is_some() {
            return Err(Failed::Unmade(Unmade::Interrupted));
        }
        let order = Order { depth, mutations, ..Order::quick(plan, String::new()) };
        self.worker.make(&order).map_err(Failed::Unmade)
    }

    /// What is wrong with a run without a bug.
    fn control(&mut self, scenario: usize, seed: u64, depth: Depth) -> Result<Option<String>, Failed> {
        let known = self.shared.controls.lock().expect("nothing in here panics").get(&(scenario, seed)).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let plan = self.shared.tour.scenarios[scenario].plan(seed);
        let name = plan.scenario.clone();
        let made = self.run(plan, depth, Vec::new())?;
        let wrong = match &made.record.verdict {
            Verdict::Passed | Verdict::Vacuous { .. } => None,
            verdict => Some(format!("{name}, seed {seed}, without a bug: {}: {}", verdict.label(), verdict.headline())),
        };
        self.shared.controls.lock().expect("nothing in here panics").insert((scenario, seed), wrong.clone());
        Ok(wrong)
    }
}

/// Whom a run convinced that something is wrong, the first cause first.
fn noticed(verdict: &Verdict) -> Vec<String> {
    match verdict {
        Verdict::Failed { oracle, also, .. } => {
            std::iter::once(oracle).chain(also.iter().map(|other| &other.oracle)).cloned().collect()
        }
        // An invariant that the engine asserts begins the panic with its name.
        Verdict::Crashed { panic } => vec![match panic.split_once(':') {
            Some((name, _)) if !name.contains(' ') => name.to_owned(),
            _ => "crashed".to_owned(),
        }],
        Verdict::Stuck { .. } | Verdict::Nondeterministic { .. } => vec![verdict.label().to_owned()],
        _ => Vec::new(),
    }
}

/// A bar on a terminal; elsewhere a line for each search.
struct Progress {
    bar: Option<ProgressBar>,
    total: u64,
    done: AtomicU64,
}

impl Progress {
    fn new(total: u64) -> Self {
        let bar = moves().then(|| {
            let style = ProgressStyle::with_template("{bar:20} {pos}/{len} searches  {msg}  {elapsed}");
            ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { bar, total, done: AtomicU64::new(0) }
    }

    fn step(&self, bug: &Bug, search: &Search) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let came_to = match (search.runs, &search.by, search.reached) {
            (Some(runs), Some((scenario, seed)), _) => {
                format!("run {runs}, {} in {scenario} seed {seed}", search.noticed.join(", "))
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
            None => tell!("{done}/{}  {}  {}: {came_to}", self.total, bug.name, search.task.method.name()),
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
