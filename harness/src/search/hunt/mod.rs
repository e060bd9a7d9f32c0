//! A hunt: plans are changed where they showed something new, and run again, until time or novelty is used up.
//!
//! ```text
//! seeds ──► plan ──► run ──► signals ──new──► corpus ──► change ──► plan ──► …
//!                      └───► failure ──► bucket ──► shrunk once
//! ```
//! Start at [`Hunt::next`], which says what to run, and [`Hunt::record`], which takes what it showed. Both are pure: the same answers
//! in the same order give the same hunt. Without guidance it is a plain swarm: one fresh seed after another.
//!
//! A plan enters the corpus if it shows a signal ([`signals`]) that no run showed before. Which plan is changed next is drawn, plans with
//! rare signals being likelier; so is how ([`mod@mutate`]). One run in `FRESH` is a fresh seed all the same: changes alone stay near what
//! is known.
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

/// One in so many runs of a guided hunt is a fresh seed.
const FRESH: u64 = 3;
/// So many changes are tried until one keeps the rules of plans.
const TRIES: u64 = 8;
/// Plans that are looked at when the next one is chosen; the one with the rarest signals is taken.
const TOURNAMENT: u64 = 4;

/// A plan to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Number of the run, from 1.
    pub number: u64,
    /// The plan.
    pub plan: RunPlan,
    /// Index of its scenario.
    pub scenario: usize,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a plan comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A seed that nothing was made of before.
    Seed,
    /// The corpus, as it was found.
    Corpus {
        /// Its file's name.
        name: String,
    },
    /// A change of what is in the corpus.
    Changed,
}

/// What a run showed.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// Its verdict.
    pub verdict: Verdict,
    /// How it went.
    pub signature: Signature,
    /// S1 and S2 ([`signals::steps`]).
    pub steps: Vec<u64>,
    /// How often each event came.
    pub emitted: BTreeMap<String, u64>,
}

impl Shown {
    /// From a run's record, and what was computed beside it.
    pub fn of(record: &RunRecord, signature: Signature, steps: Vec<u64>) -> Self {
        let emitted = record.totals.events_by_name.clone();
        Self { verdict: record.verdict.clone(), signature, steps, emitted }
    }

    /// All signals, each once.
    fn signals(&self) -> BTreeSet<u64> {
        let class = signals::class(self.signature.class());
        self.steps.iter().copied().chain(signals::counts(&self.emitted)).chain([class]).collect()
    }
}

/// A plan of the corpus.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Name of its file, without the ending.
    pub name: String,
    /// The plan.
    pub plan: RunPlan,
    /// Index of its scenario.
    pub scenario: usize,
    /// What it showed.
    pub signals: BTreeSet<u64>,
    /// How many of them nothing showed before it.
    pub fresh: usize,
    /// How often each event came.
    emitted: BTreeMap<String, u64>,
    /// Its verdict, in a word.
    pub verdict: &'static str,
    /// Whether it failed.
    pub failed: bool,
}

/// What became of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    /// It entered the corpus, as this entry.
    pub kept: Option<usize>,
    /// It came from the corpus, and adds nothing to it any more.
    pub dropped: Option<String>,
    /// It failed as nothing before.
    pub new_bucket: Option<BucketKey>,
}

/// A hunt under way.
pub struct Hunt<'h> {
    scenarios: &'h [Scenario],
    seeds: Seeds,
    guided: bool,
    /// Found before, to be run first.
    found: Vec<(String, RunPlan, usize)>,
    entries: Vec<Entry>,
    /// How many runs showed each signal.
    frequency: BTreeMap<u64, u64>,
    seen: Seen,
    buckets: BTreeMap<BucketKey, Bucket>,
    verdicts: BTreeMap<&'static str, u64>,
    /// Runs that were asked for, and those among them that were fresh seeds.
    asked: u64,
    fresh: u64,
}

impl<'h> Hunt<'h> {
    /// A hunt over scenarios with swarms. `found` are plans of a former corpus with the index of their scenario, by name; they are
    /// run first, in this order.
    ///
    /// # Panics
    /// If there is no scenario, or one without a swarm: whoever calls says that better.
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

    /// What to run next. `may_run` says whether a changed plan keeps the rules of plans.
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

    /// A changed plan of the corpus: one to three changes, one above the other.
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

    /// The plan to change: of some that are drawn, the one whose signals are the rarest.
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
        // One that failed stays, so that the next hunt begins with it.
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

    /// What was seen how often.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Failures, the most frequent first.
    pub fn buckets(&self) -> Vec<&Bucket> {
        let mut buckets: Vec<&Bucket> = self.buckets.values().collect();
        buckets.sort_by_key(|bucket| (std::cmp::Reverse(bucket.runs), bucket.first_run));
        buckets
    }

    /// Runs that failed.
    pub fn failures(&self) -> u64 {
        self.buckets.values().map(|bucket| bucket.runs).sum()
    }

    /// Runs by verdict.
    pub fn verdicts(&self) -> &BTreeMap<&'static str, u64> {
        &self.verdicts
    }

    /// Signals that were shown.
    pub fn signals(&self) -> u64 {
        self.frequency.len() as u64
    }

    /// Fresh seeds that were used.
    pub fn fresh(&self) -> u64 {
        self.fresh
    }
}

#[cfg(test)]
mod tests;
