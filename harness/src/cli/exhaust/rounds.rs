//! The runs of a search, round by round: what the proof asks for, until it asks for nothing more or the budget is used
//! up.
//!
//! Start at [`Rounds::run`]. Every result goes into the journal as it comes.

use std::collections::BTreeMap;
use std::time::Instant;

use flowquake_reports::exhaust::ExhaustResult;
use flowquake_reports::record::Verdict;
use flowquake_reports::units::counted;

use super::journal::{Journal, Line};
use super::one::{command_of, plan_name, save};
use super::options::Budget;
use super::{ExhaustArgs, result};
use crate::cli::sweep::{Ended, Many, Progress, Step};
use crate::plan::RunPlan;
use crate::provenance;
use crate::screen as clock;
use crate::search::proof::{Proof, Share};
use crate::search::strike::Catalogue;
use crate::session::Depth;
use crate::worker::{Made, Order};

/// The runs of a search, round by round.
pub(super) struct Rounds<'s> {
    pub(super) args: &'s ExhaustArgs,
    pub(super) catalogue: &'s Catalogue,
    pub(super) share: Share,
    pub(super) parallel: usize,
    pub(super) began: Instant,
    /// Number of runs made by this process.
    pub(super) made: u64,
    /// Number of runs whose rule hit something other than what it was aimed at.
    pub(super) astray: u64,
    pub(super) known: &'s mut BTreeMap<u32, Line>,
    pub(super) journal: &'s mut Journal,
    pub(super) problems: Vec<String>,
}

impl Rounds<'_> {
    /// Makes the runs that the proof asks for, until it asks for nothing more.
    pub(super) fn run(&mut self) -> Option<Ended> {
        loop {
            let open = self.proof().open;
            if open.is_empty() || self.spent() {
                return None;
            }
            if let Some(ended) = self.round(&open) {
                return Some(ended);
            }
        }
    }

    /// The proof of this shard's classes.
    fn proof(&self) -> Proof {
        let classes = result::of_shard(self.catalogue, self.args.shard);
        Proof::of(&classes, &result::signatures(self.known), self.share)
    }

    fn spent(&self) -> bool {
        match self.args.budget {
            None => false,
            Some(Budget::Runs(runs)) => self.made >= runs,
            Some(Budget::Time(time)) => self.began.elapsed() >= time,
        }
    }

    /// Why the search is incomplete; empty if it is complete.
    pub(super) fn stopped(&self, ended: &Option<Ended>) -> String {
        let open = self.proof().open.len();
        match (ended, open) {
            (_, 0) => String::new(),
            (Some(_), open) => format!("interrupted, {} open; go on with --resume", counted(open, "run")),
            (None, open) => format!("the budget is spent, {} open; go on with --resume", counted(open, "run")),
        }
    }

    fn round(&mut self, open: &[u32]) -> Option<Ended> {
        let (args, catalogue) = (self.args, self.catalogue);
        let most = match args.budget {
            Some(Budget::Runs(runs)) => usize::try_from(runs - self.made).unwrap_or(usize::MAX),
            _ => usize::MAX,
        };
        let open = &open[..open.len().min(most)];
        let deadline = match args.budget {
            Some(Budget::Time(time)) => self.began.checked_add(time),
            _ => None,
        };
        let depth = if args.restore_check { Depth::Full } else { Depth::Quick };
        let mut progress = Progress::new(open.len() as u64);
        let terms = args.limits.terms(args.log);
        let many = Many { total: open.len() as u64, parallel: self.parallel, max_failures: None, terms: &terms };
        let ended = many.make(
            |nth| {
                if deadline.is_some_and(|deadline| clock::now() >= deadline) {
                    return None;
                }
                let number = *open.get(usize::try_from(nth).ok()?)?;
                let quick = Order::quick(catalogue.plan(number), command_of(args, number));
                Some(Order { depth, signature: true, slim: true, ..quick })
            },
            |step| {
                let Step::Made(nth, made) = step else {
                    progress.wait();
                    return true;
                };
                let number = open[nth as usize];
                match made.record.verdict {
                    Verdict::Passed | Verdict::Vacuous { .. } => {
                        progress.count();
                        progress.wait();
                    }
                    _ => progress.step(&made.record),
                }
                self.keep(number, *made);
                true
            },
        );
        progress.end();
        self.problems.extend(self.journal.problem());
        ended
    }

    fn keep(&mut self, number: u32, made: Made) {
        let Made { record, seen, problems, .. } = made;
        self.problems.extend(problems);
        self.made += 1;
        // The faults of the ground come first; for the scenario itself, the strike's own fault does.
        let of_ground = self.catalogue.base().faults.len();
        let before = self.catalogue.faults_before(number);
        let struck = record.faults.get(before).and_then(|fault| fault.struck_at_ns);
        let aimed = self.catalogue.aimed_at(number);
        self.astray += u64::from(aimed.is_some_and(|at| struck.is_some_and(|struck| struck != at.0)));
        let signature = seen.signature.expect("it was ordered");
        let mut result = ExhaustResult {
            verdict: record.verdict.class(),
            signature: format!("{:016x}", signature.class()),
            headline: record.verdict.headline(),
            replay: record.replay,
            cpu_ns: record.totals.cpu_ns,
            struck: struck.is_some() && record.faults.get(of_ground).is_some_and(|fault| fault.struck_at_ns.is_some()),
        };
        if !matches!(record.verdict, Verdict::Passed | Verdict::Vacuous { .. }) {
            let file = self.args.failures.join(plan_name(self.catalogue, number));
            let plan = RunPlan { prediction: record.prediction.clone(), ..self.catalogue.plan(number) };
            match save(&self.args.failures, &file, &plan) {
                Ok(()) => result.replay = provenance::replay_command(&file),
                Err(problem) => self.problems.push(problem),
            }
        }
        let line = Line { number, words: signature.to_string(), result };
        self.journal.add(&line);
        self.known.insert(number, line);
    }
}
