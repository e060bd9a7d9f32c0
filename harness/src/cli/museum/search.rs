//! One search of the museum: for one bug, with one method, from one start. It ends with the first run that fails.
//!
//! Start at [`Searcher::search`]. Before each run with the bug, the same run is made without any bug. It is the
//! control, because a failing run counts only if it passes without the bug. It also shows which bugs the engine asked
//! about: a bug that the engine did not ask about cannot change the run, so the run with that bug need not be made.
//! Runs without bugs are made once for all bugs. All runs are made by worker processes, because a planted bug may
//! panic, hang or exhaust memory.
//!
//! To add a method, add a variant to [`Method`] and its runs to [`Searcher::runs`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use flowquake_engine::mutation::Mutation;
use flowquake_reports::museum::Method;
use flowquake_reports::record::Verdict;
use serde::{Deserialize, Serialize};

use super::super::print::tell;
use super::journal::Kept;
use super::visit::{Bug, Tour};
use crate::interrupt;
use crate::plan::RunPlan;
use crate::session::Depth;
use crate::worker::{Made, Order, Unmade, Worker};

/// How many seeds of the scenario in the catalogue are tried, so that a bug that needs some luck is still found.
const SEEDS: u64 = 5;
/// Distance between the first seeds of two starts.
const BETWEEN_STARTS: u64 = 1_000_000;

const _: () = assert!(Mutation::ALL.len() <= 128, "a run without bugs notes them in two words");

/// A run, apart from the bug that is planted in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Run {
    /// The scenario with this index, with this seed.
    Seed(usize, u64),
    /// The strike of this number.
    Strike(u32),
}

/// The result of a run without bugs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Clean {
    /// What is wrong with the run; `None`: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) wrong: Option<String>,
    /// The bugs that the engine asked about, one bit each.
    pub(super) asked: [u64; 2],
}

impl Clean {
    fn of(verdict: &Verdict, bugs: &BTreeSet<Mutation>, name: &str) -> Self {
        let wrong = match verdict {
            Verdict::Passed | Verdict::Vacuous { .. } => None,
            verdict => Some(format!("{name}, without a bug: {}: {}", verdict.label(), verdict.headline())),
        };
        let mut asked = [0; 2];
        for (at, bug) in Mutation::ALL.iter().enumerate() {
            asked[at / 64] |= u64::from(bugs.contains(bug)) << (at % 64);
        }
        Self { wrong, asked }
    }

    /// Whether this bug can change the run.
    fn asks(&self, bug: Mutation) -> bool {
        Mutation::ALL.iter().position(|other| *other == bug).is_some_and(|at| self.asked[at / 64] >> (at % 64) & 1 == 1)
    }
}

/// The result of a search.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Search {
    pub(super) method: Method,
    pub(super) start: u64,
    /// Number of runs until the bug was found.
    pub(super) runs: Option<u64>,
    pub(super) by: Option<(String, u64)>,
    /// The strike that showed the bug, in words.
    pub(super) strike: Option<String>,
    /// The checks that noticed the bug in that run. For a bug that was not found: the checks that noticed something,
    /// although the named one did not.
    pub(super) noticed: Vec<String>,
    pub(super) reached: bool,
    pub(super) budget: u64,
    /// Processor time of the runs with the bug.
    pub(super) cpu_ns: u64,
}

/// Why a search has no result.
pub(super) enum Failed {
    Unmade(Unmade),
    /// A scenario fails without a bug, so nothing that it shows about bugs counts.
    Unsound(String),
}

/// What all searches share.
pub(super) struct Shared<'t> {
    pub(super) tour: &'t Tour<'t>,
    pub(super) bugs: &'t [Bug],
    /// Indices of the scenarios whose faults are drawn.
    pub(super) swarms: Vec<usize>,
    pub(super) kept: &'t Kept,
    pub(super) clean: Mutex<BTreeMap<Run, Clean>>,
    /// Number of runs made so far, for the progress display.
    pub(super) made: AtomicU64,
}

pub(super) struct Searcher<'t> {
    pub(super) shared: &'t Shared<'t>,
    pub(super) worker: Worker<'t>,
}

impl Searcher<'_> {
    /// The runs of a search, in order, each with the check that must notice the bug; `None`: any check.
    fn runs(&self, bug: &Bug, method: Method, start: u64) -> Vec<(Run, Option<&'static str>)> {
        let Shared { tour, swarms, .. } = self.shared;
        match method {
            Method::Scripted => {
                let seeds = if bug.caught_by.is_some() { SEEDS } else { 1 };
                let own = (1..=seeds).map(|seed| (Run::Seed(bug.scenario, seed), bug.caught_by));
                let others = (0..tour.scenarios.len()).filter(|index| !swarms.contains(index));
                let anybody = std::iter::once(bug.scenario).chain(others).map(|index| (Run::Seed(index, 1), None));
                own.chain(anybody.filter(|_| !tour.short)).collect()
            }
            Method::Swarm => {
                let each = swarms.len().max(1) as u64;
                let seed = |run: u64| 1 + start * BETWEEN_STARTS + run / each;
                let run = |run| Some((Run::Seed(*swarms.get((run % each) as usize)?, seed(run)), None));
                (0..tour.seeds).filter_map(run).collect()
            }
            Method::Exhaust => {
                let strikes = tour.strikes.iter().flat_map(|strikes| &strikes.order);
                strikes.map(|number| (Run::Strike(*number), None)).collect()
            }
        }
    }

    pub(super) fn search(&mut self, bug: &Bug, method: Method, start: u64) -> Result<Search, Failed> {
        let runs = self.runs(bug, method, start);
        let budget = runs.len() as u64;
        if let Some(known) = self.shared.kept.search(&bug.name, method, start, budget) {
            return Ok(Search { budget, ..known.clone() });
        }
        let depth = if method == Method::Scripted { Depth::Full } else { Depth::Quick };
        let mut search = Search {
            method,
            start,
            runs: None,
            by: None,
            strike: None,
            noticed: Vec::new(),
            reached: false,
            budget,
            cpu_ns: 0,
        };
        for (number, (run, who)) in runs.into_iter().enumerate() {
            let clean = self.clean(run, depth)?;
            match clean.wrong {
                Some(wrong) if method == Method::Scripted => return Err(Failed::Unsound(wrong)),
                // A false alarm, or a real mistake of the engine; not caused by this bug.
                Some(_) => continue,
                None if !clean.asks(bug.mutation) => continue,
                None => {}
            }
            let plan = self.plan(run);
            let by = (plan.scenario.clone(), plan.seed);
            let made = self.make(plan, depth, vec![bug.mutation])?;
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
            search.runs = Some(number as u64 + 1);
            search.reached = true;
            (search.by, search.noticed) = (Some(by), noticed);
            if let (Run::Strike(strike), Some(strikes)) = (run, &self.shared.tour.strikes) {
                search.strike = Some(strikes.words(strike));
            }
            break;
        }
        self.shared.kept.add_search(&bug.name, &search);
        Ok(search)
    }

    fn plan(&self, run: Run) -> RunPlan {
        let Tour { scenarios, strikes, .. } = self.shared.tour;
        match (run, strikes) {
            (Run::Seed(scenario, seed), _) => scenarios[scenario].plan(seed),
            (Run::Strike(number), Some(strikes)) => strikes.catalogue.plan(number),
            (Run::Strike(number), None) => unreachable!("strike {number} of no catalogue"),
        }
    }

    fn make(&mut self, plan: RunPlan, depth: Depth, mutations: Vec<Mutation>) -> Result<Made, Failed> {
        if interrupt::signal().is_some() {
            return Err(Failed::Unmade(Unmade::Interrupted));
        }
        let order = Order { depth, mutations, ..Order::quick(plan, String::new()) };
        let made = self.worker.make(&order).map_err(Failed::Unmade)?;
        self.shared.made.fetch_add(1, Ordering::Relaxed);
        Ok(made)
    }

    /// The result of the run without a bug.
    fn clean(&mut self, run: Run, depth: Depth) -> Result<Clean, Failed> {
        let known = self.shared.clean.lock().expect("nothing in here panics").get(&run).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let plan = self.plan(run);
        let name = match run {
            Run::Seed(..) => format!("{}, seed {}", plan.scenario, plan.seed),
            Run::Strike(number) => format!("{}, strike {number}", plan.scenario),
        };
        let made = self.make(plan, depth, Vec::new())?;
        let clean = Clean::of(&made.record.verdict, &made.seen.asked, &name);
        let before = self.shared.clean.lock().expect("nothing in here panics").insert(run, clean.clone());
        // Two searches may have made the same run at once.
        if before.is_none() {
            self.shared.kept.add_clean(run, &clean);
            if let Some(wrong) = &clean.wrong {
                tell!("{wrong}");
            }
        }
        Ok(clean)
    }
}

/// The checks that found something wrong in a run, the first cause first.
fn noticed(verdict: &Verdict) -> Vec<String> {
    match verdict {
        Verdict::Failed { oracle, also, .. } => {
            std::iter::once(oracle).chain(also.iter().map(|other| &other.oracle)).cloned().collect()
        }
        // A panic of an asserted invariant begins with the invariant's name.
        Verdict::Crashed { panic } => vec![match panic.split_once(':') {
            Some((name, _)) if !name.contains(' ') => name.to_owned(),
            _ => "crashed".to_owned(),
        }],
        Verdict::Stuck { .. } | Verdict::Nondeterministic { .. } => vec![verdict.label().to_owned()],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_bugs_says_which_of_them_can_change_it() {
        let [first, last] = [Mutation::ALL[0], Mutation::ALL[Mutation::ALL.len() - 1]];
        let clean = Clean::of(&Verdict::Passed, &[last].into(), "no-fault, seed 1");
        assert!(clean.asks(last) && !clean.asks(first) && clean.wrong.is_none());
        let crashed = Verdict::Crashed { panic: "C4: x".into() };
        let wrong = Clean::of(&crashed, &BTreeSet::new(), "no-fault, seed 1").wrong;
        assert!(wrong.unwrap().starts_with("no-fault, seed 1, without a bug: crashed"));
    }

    #[test]
    fn a_crash_is_noticed_by_the_invariant_that_it_names() {
        let crashed = |panic: &str| noticed(&Verdict::Crashed { panic: panic.into() });
        assert_eq!(crashed("C4: nobody asked"), ["C4"]);
        assert_eq!(crashed("no such thing: x"), ["crashed"]);
        assert_eq!(noticed(&Verdict::Passed), [""; 0]);
    }
}
