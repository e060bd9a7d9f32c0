//! A hunt: changes plans that showed something new and runs them again, until time or novelty is used up.
//!
//! ```text
//! seeds ──► plan ──► run ──► signals ──new──► corpus ──► change ──► plan ──► …
//!                      └───► failure ──► bucket ──► shrunk once
//! ```
//! Start at [`Hunt::next`], which says what to run, and [`Hunt::record`], which takes what the run showed. Both are
//! pure: the same results in the same order give the same hunt. Without guidance a hunt is a plain swarm: one fresh
//! seed after another.
//!
//! A plan enters the corpus if it shows a signal ([`signals`]) that no run showed before. The plan to change next is
//! drawn, and plans with rare signals are drawn more often; the change is drawn, too ([`mod@mutate`]). One run in
//! `FRESH` is a fresh seed nevertheless, because changes alone stay close to what is known.
//!
//! Invariants: (HUNT-1) every run is counted once in classes and in at most one bucket; (HUNT-2) a plan is in the corpus only if it showed a
//! signal that nothing in the corpus had before it.

use std::collections::{BTreeMap, BTreeSet};

use flowquake_reports::record::{RunRecord, Verdict};

use crate::draws::Draws;
use crate::plan::RunPlan;
use crate::scenario::Scenario;
use crate::search::seeds::Seeds;
use crate::search::signature::Signature;

pub mod bucket;
pub mod corpus;
pub mod mutate;
pub mod report;
pub mod saturation;
pub mod signals;

use bucket::{Bucket, BucketKey};
use mutate::{Change, Ground, mutate};
use saturation::Seen;

/// One in this many runs of a guided hunt is a fresh seed.
const FRESH: u64 = 3;
/// How many changes are tried until one keeps the rules of plans.
const TRIES: u64 = 8;
/// How many plans are considered when choosing the next one; the one with the rarest signals is taken.
const TOURNAMENT: u64 = 4;

/// A plan to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Number of the run, from 1.
    pub number: u64,
    /// The plan.
    pub plan: RunPlan,
    /// Index of the plan's scenario.
    pub scenario: usize,
    /// Where the plan comes from.
    pub origin: Origin,
}

/// Where a plan comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A seed that was not used before.
    Seed,
    /// The corpus that the hunt began with.
    Corpus {
        /// Name of the plan's file.
        name: String,
    },
    /// A change of a plan in the corpus.
    Changed,
}

/// What a run showed.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// The run's verdict.
    pub verdict: Verdict,
    /// How the run went.
    pub signature: Signature,
    /// S1 and S2 ([`signals::steps`]).
    pub steps: Vec<u64>,
    /// How often each event was emitted.
    pub emitted: BTreeMap<String, u64>,
}

impl Shown {
    /// Made from a run's record and what was computed beside it.
    pub fn of(record: &RunRecord, signature: Signature, steps: Vec<u64>) -> Self {
        let emitted = record.totals.events_by_name.clone();
        Self { verdict: record.verdict.clone(), signature, steps, emitted }
    }

    /// All signals of the run.
    fn signals(&self) -> BTreeSet<u64> {
        let class = signals::class(self.signature.class());
        self.steps.iter().copied().chain(signals::counts(&self.emitted)).chain([class]).collect()
    }
}

/// A plan of the corpus.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Name of the plan's file, without the extension.
    pub name: String,
    /// The plan.
    pub plan: RunPlan,
    /// Index of the plan's scenario.
    pub scenario: usize,
    /// What the plan showed.
    pub signals: BTreeSet<u64>,
    /// How many of these signals nothing before it had shown.
    pub fresh: usize,
    /// How often each event was emitted.
    emitted: BTreeMap<String, u64>,
    /// The plan's last verdict, in one word.
    pub verdict: &'static str,
    /// Whether the plan failed.
    pub failed: bool,
}

/// What followed from a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    /// The index of the entry, if the plan entered the corpus.
    pub kept: Option<usize>,
    /// The file's name, if the plan came from the corpus and adds nothing to it any more.
    pub dropped: Option<String>,
    /// The failure's key, if no run failed like this before.
    pub new_bucket: Option<BucketKey>,
}

/// A hunt in progress.
pub struct Hunt<'h> {
    scenarios: &'h [Scenario],
    seeds: Seeds,
    guided: bool,
    /// Plans of the corpus that the hunt began with; they are run first.
    found: Vec<(String, RunPlan, usize)>,
    entries: Vec<Entry>,
    /// How many runs showed each signal.
    frequency: BTreeMap<u64, u64>,
    seen: Seen,
    buckets: BTreeMap<BucketKey, Bucket>,
    verdicts: BTreeMap<&'static str, u64>,
    /// How many runs were asked for, and how many of them were fresh seeds.
    asked: u64,
    fresh: u64,
}

impl<'h> Hunt<'h> {
    /// A hunt over scenarios with swarms. `found` are plans of an earlier corpus, each with its name and the index of
    /// its scenario; they are run first, in this order.
    ///
    /// # Panics
    /// If there is no scenario, or one without a swarm. The caller should check this first, because it can give a
    /// better message.
    pub fn new(scenarios: &'h [Scenario], seeds: Seeds, guided: bool, found: Vec<(String, RunPlan, usize)>) -> Self {
        assert!(!scenarios.is_empty() && scenarios.iter().all(Scenario::is_swarm), "a hunt is over swarms");
        let found = found.into_iter().rev().collect();
        Self {
            scenarios,
            seeds,
            guided,
            found,
            entries: Vec::new(),
            frequency: BTreeMap::new(),
            seen: Seen::default(),
            buckets: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            asked: 0,
            fresh: 0,
        }
    }

    /// The plan to run next. `may_run` says whether a changed plan keeps the rules of plans.
    pub fn next(&mut self, may_run: impl Fn(&RunPlan) -> bool) -> Candidate {
        self.asked += 1;
        let number = self.asked;
        if let Some((name, plan, scenario)) = self.found.pop() {
            return Candidate { number, plan, scenario, origin: Origin::Corpus { name } };
        }
        let draws = Draws { seed: self.seeds.nth(0), entity: number };
        if self.guided && !self.entries.is_empty() && !draws.one_in("hunt fresh", FRESH) {
            for n in 0..TRIES {
                if let Some((plan, scenario)) = self.changed(&draws, n).filter(|(plan, _)| may_run(plan)) {
                    return Candidate { number, plan, scenario, origin: Origin::Changed };
                }
            }
        }
        let (scenario, seed) = ((self.fresh % self.scenarios.len() as u64) as usize, self.seeds.nth(self.fresh));
        self.fresh += 1;
        Candidate { number, plan: self.scenarios[scenario].plan(seed), scenario, origin: Origin::Seed }
    }

    /// A changed plan of the corpus, with one to three changes on top of each other.
    fn changed(&self, draws: &Draws, n: u64) -> Option<(RunPlan, usize)> {
        let entry = self.chosen(draws, n)?;
        let swarm = self.scenarios.get(entry.scenario)?.swarm()?;
        let siblings: Vec<&Entry> = self.entries.iter().filter(|other| other.scenario == entry.scenario).collect();
        let mut plan = entry.plan.clone();
        let mut any = false;
        for step in 0..draws.nth("hunt changes", n, 1, 3) {
            let number = n * 10 + step;
            let change = Change::ALL[draws.nth("hunt change", number, 0, Change::ALL.len() as u64 - 1) as usize];
            let other = draws.nth("hunt other", number, 0, siblings.len() as u64 - 1) as usize;
            let seed = draws.nth("hunt seed", number, 0, u64::MAX);
            let ground = Ground { swarm, emitted: &entry.emitted, other: siblings.get(other).map(|e| &e.plan), seed };
            if let Some(next) = mutate(&plan, change, &ground) {
                plan = next;
                any = true;
            }
        }
        any.then_some((plan, entry.scenario))
    }

    /// The plan to change: of several that are drawn, the one with the rarest signals.
    fn chosen(&self, draws: &Draws, n: u64) -> Option<&Entry> {
        let drawn = (0..TOURNAMENT).filter_map(|k| {
            let at = draws.nth("hunt entry", n * TOURNAMENT + k, 0, (self.entries.len() as u64).saturating_sub(1));
            self.entries.get(at as usize)
        });
        drawn.max_by(|a, b| self.rarity(a).total_cmp(&self.rarity(b)))
    }

    fn rarity(&self, entry: &Entry) -> f64 {
        let times = |signal: &u64| self.frequency.get(signal).copied().unwrap_or(1).max(1);
        entry.signals.iter().map(|signal| 1.0 / times(signal) as f64).sum()
    }

    /// Takes what the run of a candidate showed.
    pub fn record(&mut self, candidate: Candidate, shown: Shown) -> News {
        let mut news = News::default();
        self.seen.count(shown.signature.class());
        *self.verdicts.entry(shown.verdict.label()).or_default() += 1;
        let signals = shown.signals();
        let mut fresh = 0;
        for signal in &signals {
            let times = self.frequency.entry(*signal).or_default();
            fresh += usize::from(*times == 0);
            *times += 1;
        }
        let key = BucketKey::of(&shown.verdict, shown.signature.strike.as_ref());
        let failed = key.is_some();
        if let Some(key) = key {
            news.new_bucket = self.fill(key, &candidate, &shown.verdict);
        }
        let runs = self.verdicts.values().sum::<u64>();
        assert!(runs == self.seen.runs() && self.failures() <= runs, "HUNT-1");
        let Candidate { number, plan, scenario, origin } = candidate;
        let known = match origin {
            Origin::Corpus { name } => Some(name),
            Origin::Seed | Origin::Changed => None,
        };
        // A plan that failed stays in the corpus, so that the next hunt begins with it.
        let is_new = fresh > 0 || (failed && (known.is_some() || news.new_bucket.is_some()));
        match (is_new, known) {
            (true, known) => {
                let name = known.unwrap_or_else(|| format!("{:016x}-{number}", shown.signature.class()));
                let verdict = shown.verdict.label();
                let plan = RunPlan { prediction: None, ..plan };
                self.entries.push(Entry {
                    name,
                    plan,
                    scenario,
                    signals,
                    fresh,
                    emitted: shown.emitted,
                    verdict,
                    failed,
                });
                news.kept = Some(self.entries.len() - 1);
            }
            (false, Some(name)) => news.dropped = Some(name),
            (false, None) => {}
        }
        news
    }

    fn fill(&mut self, key: BucketKey, candidate: &Candidate, verdict: &Verdict) -> Option<BucketKey> {
        let plan = RunPlan { prediction: None, ..candidate.plan.clone() };
        match self.buckets.get_mut(&key) {
            Some(bucket) => {
                bucket.runs += 1;
                if plan.faults.len() < bucket.plan.faults.len() {
                    bucket.plan = plan;
                }
                None
            }
            None => {
                let headline = verdict.headline();
                let exit_code = verdict.exit_code();
                let bucket =
                    Bucket { key: key.clone(), runs: 1, first_run: candidate.number, headline, exit_code, plan };
                self.buckets.insert(key.clone(), bucket);
                Some(key)
            }
        }
    }

    /// The corpus, in the order in which plans entered it.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How often each class of runs was seen.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Failures, the most frequent first.
    pub fn buckets(&self) -> Vec<&Bucket> {
        let mut buckets: Vec<&Bucket> = self.buckets.values().collect();
        buckets.sort_by_key(|bucket| (std::cmp::Reverse(bucket.runs), bucket.first_run));
        buckets
    }

    /// Number of runs that failed.
    pub fn failures(&self) -> u64 {
        self.buckets.values().map(|bucket| bucket.runs).sum()
    }

    /// Runs by verdict.
    pub fn verdicts(&self) -> &BTreeMap<&'static str, u64> {
        &self.verdicts
    }

    /// Number of different signals that were shown.
    pub fn signals(&self) -> u64 {
        self.frequency.len() as u64
    }

    /// Number of fresh seeds that were used.
    pub fn fresh(&self) -> u64 {
        self.fresh
    }
}

#[cfg(test)]
mod tests;
