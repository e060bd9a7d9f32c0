//! Many runs: in parallel, with a bar, in bounded memory, up to a number of failures.
//!
//! Start at [`sweep`]. A plan is made when a thread is free for it and dropped with its run. Of a long sweep
//! ([`LONG`]) the runs that passed keep only what sums are made of ([`slim`]): their plans can be made again from their seeds. The
//! first of each scenario stays whole, so that a failing run has one to stand beside.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use flowquake_reports::record::{Course, RunRecord, RunSet, Verdict};
use flowquake_reports::table::{Align, Cell, Table};
use indicatif::{ProgressBar, ProgressStyle};

use super::color;
use crate::plan::RunPlan;
use crate::scenario::Scenario;

/// From this many runs on nobody reads them one by one.
pub(super) const LONG: u64 = 200;

/// Which runs to make.
pub(super) struct Sweep<'s> {
    pub(super) scenarios: &'s [Scenario],
    /// First seed.
    pub(super) seed: u64,
    /// Seeds of each scenario.
    pub(super) seeds: u64,
    /// Runs at the same time.
    pub(super) parallel: usize,
    /// No more runs are begun after this many that failed.
    pub(super) max_failures: Option<u64>,
}

impl Sweep<'_> {
    pub(super) fn runs(&self) -> u64 {
        (self.scenarios.len() as u64).saturating_mul(self.seeds)
    }

    pub(super) fn is_long(&self) -> bool {
        self.runs() >= LONG
    }

    /// Scenario by scenario, seed by seed.
    fn plan(&self, index: u64) -> Option<RunPlan> {
        let scenario = self.scenarios.get(usize::try_from(index.checked_div(self.seeds)?).ok()?)?;
        Some(scenario.plan(self.seed.saturating_add(index % self.seeds)))
    }
}

/// Makes all runs with `one`; results in the order of the plans, without those that were not begun any more.
pub(super) fn sweep(
    sweep: &Sweep,
    one: impl Fn(&RunPlan) -> Result<RunRecord, String> + Sync,
) -> Vec<Result<RunRecord, String>> {
    let long = sweep.is_long();
    // The first run of a scenario is what its failing runs stand beside.
    let first = |plan: &RunPlan| plan.seed == sweep.seed;
    let one = |plan: &RunPlan| {
        let mut result = one(plan);
        if long
            && !first(plan)
            && let Ok(record) = &mut result
        {
            slim(record);
        }
        result
    };
    let many = Many { total: sweep.runs(), parallel: sweep.parallel, max_failures: sweep.max_failures };
    many.make(|index| sweep.plan(index), one)
}

/// How to make many runs.
pub(super) struct Many {
    /// How many there are.
    pub(super) total: u64,
    /// Runs at the same time.
    pub(super) parallel: usize,
    /// No more runs are begun after this many that failed.
    pub(super) max_failures: Option<u64>,
}

impl Many {
    /// Makes the run of every plan, with a bar; results in the order of the plans, without those that were not begun any more.
    pub(super) fn make(
        &self,
        plan: impl Fn(u64) -> Option<RunPlan> + Sync,
        one: impl Fn(&RunPlan) -> Result<RunRecord, String> + Sync,
    ) -> Vec<Result<RunRecord, String>> {
        let progress = Progress::new(self.total);
        let (next, failures) = (AtomicU64::new(0), AtomicU64::new(0));
        let (done, results) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..self.parallel.min(usize::try_from(self.total).unwrap_or(usize::MAX)) {
                let (done, next, failures, plan, one) = (done.clone(), &next, &failures, &plan, &one);
                scope.spawn(move || {
                    while self.max_failures.is_none_or(|most| failures.load(Ordering::Relaxed) < most) {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(plan) = plan(index) else { return };
                        let result = one(&plan);
                        if is_failure(&result) {
                            failures.fetch_add(1, Ordering::Relaxed);
                        }
                        if done.send((index, result)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(done);
            let mut all = BTreeMap::new();
            for (index, result) in results {
                progress.step(&result);
                all.insert(index, result);
            }
            progress.end();
            all.into_values().collect()
        })
    }
}

/// A vacuous run proves nothing, but hides nothing either; a run that could not be made must not be made ten thousand times.
fn is_failure(result: &Result<RunRecord, String>) -> bool {
    let harmless =
        |verdict: &Verdict| matches!(verdict, Verdict::Passed | Verdict::Vacuous { .. } | Verdict::NotBuilt { .. });
    result.as_ref().map_or(true, |record| !harmless(&record.verdict))
}

/// Drops from a passed run what only its reader needs. What is left says what struck where, and what was emitted how often.
fn slim(record: &mut RunRecord) {
    if record.verdict == Verdict::Passed {
        record.options = Vec::new();
        record.nodes = Vec::new();
        record.checkpoints = Vec::new();
        record.recoveries = Vec::new();
        record.timeline = Vec::new();
        record.course = Course::default();
        for fault in &mut record.faults {
            fault.detail = String::new();
        }
    }
}

/// A long sweep in a table: a line for each scenario.
pub(super) fn summary(set: &RunSet, asked: u64) -> String {
    let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
    for run in &set.runs {
        sums.entry(&run.scenario).or_default().add(run);
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
    ]);
    for (scenario, sum) in sums {
        table.row([
            Cell::new(scenario),
            Cell::count(sum.runs),
            Cell::count(sum.passed),
            Cell::count(sum.vacuous),
            Cell::count(sum.not_built),
            Cell::count(sum.runs - sum.passed - sum.vacuous - sum.not_built),
            Cell::count(sum.faults),
            Cell::count(sum.struck),
            Cell::duration(sum.virtual_ns),
            Cell::duration(sum.cpu_ns),
            Cell::duration(sum.cpu_ns / sum.runs.max(1)),
        ]);
    }
    let mut text = table.text(0, color());
    let made = set.runs.len() as u64;
    if made < asked {
        text.push_str(&format!("stopped after {made} of {asked} runs: as many failed as --max-failures allows\n"));
    }
    text
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

/// A bar on a terminal; elsewhere a plain line for each run, or for every hundredth of many.
struct Progress {
    bar: Option<ProgressBar>,
    total: u64,
    done: std::cell::Cell<u64>,
    failed: std::cell::Cell<u64>,
}

impl Progress {
    fn new(total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:40} {pos}/{len} runs  {msg}  {elapsed}  eta {eta}");
            ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { bar, total, done: Default::default(), failed: Default::default() }
    }

    fn step(&self, result: &Result<RunRecord, String>) {
        self.done.set(self.done.get() + 1);
        let (name, label) = match result {
            Ok(record) => (format!("{} seed {}", record.scenario, record.seed), record.verdict.label()),
            Err(_) => ("a run".to_owned(), "error"),
        };
        if label != "passed" {
            self.failed.set(self.failed.get() + 1);
        }
        match &self.bar {
            Some(bar) => {
                bar.set_message(format!("{} not passed", self.failed.get()));
                bar.inc(1);
            }
            None if self.total <= 100 || label != "passed" || self.done.get().is_multiple_of(100) => {
                eprintln!("{}/{}  {name}: {label}", self.done.get(), self.total);
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
