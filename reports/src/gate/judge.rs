//! The judgement: compares what was measured now with the baseline, and decides whether it may pass. Pure.
//!
//! Start at [`judge`]. Verdict, plan and trace are judged run by run. Times are judged scenario by scenario over all
//! seeds, because a single outage of a single run says little. The times of a scenario are not judged if one of its
//! runs cannot be compared.
//!
//! The result, with words and exit codes, is an [`Outcome`]. The engine's fingerprint and the plan's hash say whether a
//! trace had to stay the same.

use super::baseline::{Baseline, RunBaseline, ScenarioBaseline};
use super::budget::Budgets;
use super::outcome::Outcome;
use super::times::{Lapse, Measure, Times};
use crate::class::Class;
use crate::percentile::{Percentile, percentile};

/// What was measured now: a baseline of its own, and notes for the readers of failures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// The runs as the next baseline would hold them, with the same scenarios and seeds in the same order as in the
    /// baseline.
    pub baseline: Baseline,
    /// Evidence and replay command of each run, scenario by scenario.
    pub notes: Vec<Vec<Note>>,
}

/// What a reader of a failure needs to know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Note {
    /// First line of the evidence; empty for a passed run.
    pub headline: String,
    /// All lines of evidence of every oracle that was violated, causes first; empty for a passed run.
    pub evidence: Vec<String>,
    /// The command that makes the run again.
    pub replay: String,
}

/// The whole judgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Fingerprint of the engine in the baseline.
    pub engine_before: String,
    /// Fingerprint of this engine.
    pub engine_now: String,
    /// The budgets in force.
    pub budgets: Budgets,
    /// One per scenario, in the order of the baseline.
    pub scenarios: Vec<ScenarioJudgement>,
}

/// One scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioJudgement {
    /// Its name.
    pub scenario: String,
    /// Its file.
    pub file: String,
    /// One per seed.
    pub runs: Vec<RunJudgement>,
    /// One for each measure and percentile that either side has; empty if times cannot be compared.
    pub times: Vec<TimeJudgement>,
    /// Whether [`ScenarioJudgement::times`] could not be judged.
    pub incomparable: bool,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunJudgement {
    /// Its seed.
    pub seed: u64,
    /// The verdict in the baseline.
    pub before: Class,
    /// The verdict now.
    pub now: Class,
    /// What changed about the run's plan and trace.
    pub trace: TraceJudgement,
    /// Evidence and replay command.
    pub note: Note,
}

/// The trace of a run, compared with the trace in the baseline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TraceJudgement {
    /// The same hash.
    Same,
    /// Another hash and another engine, so a difference is expected.
    WithEngine,
    /// Another hash of the same plan on the same engine.
    Unexplained {
        /// Hash in the baseline.
        before: String,
        /// Hash now.
        now: String,
    },
    /// The same hash, but other times. A trace contains every time, so the times in the baseline must have been edited.
    OtherTimes,
    /// Scenario and seed give another plan than before.
    OtherPlan,
    /// The run was not made.
    NotMade,
}

/// One percentile of one measure, over all runs of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeJudgement {
    /// What was measured.
    pub measure: Measure,
    /// Which percentile.
    pub percentile: Percentile,
    /// Number of values in the baseline and now.
    pub counts: (usize, usize),
    /// The percentile in the baseline; `None`: there was no value.
    pub before: Option<Lapse>,
    /// The percentile now; `None`: there is no value.
    pub now: Option<Lapse>,
    /// How the two compare.
    pub pace: Pace,
}

/// How a percentile compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pace {
    /// Shorter by more than the budget.
    Improved,
    /// No difference at all.
    Same,
    /// A difference within the budget.
    Within,
    /// Longer by more than the budget.
    Slower,
}

/// Judges `now` against `baseline` under `budgets`.
///
/// Panics if the two do not have the same scenarios and seeds in the same order. Whoever measures must follow the
/// baseline.
pub fn judge(baseline: &Baseline, now: &Measured, budgets: Budgets) -> Judgement {
    let same_engine = baseline.engine == now.baseline.engine;
    assert_eq!(baseline.scenarios.len(), now.baseline.scenarios.len(), "measured what the baseline names");
    let scenarios = baseline.scenarios.iter().zip(&now.baseline.scenarios).zip(&now.notes);
    Judgement {
        engine_before: baseline.engine.clone(),
        engine_now: now.baseline.engine.clone(),
        budgets,
        scenarios: scenarios
            .map(|((before, now), notes)| scenario(before, now, notes, same_engine, &budgets))
            .collect(),
    }
}

fn scenario(
    before: &ScenarioBaseline,
    now: &ScenarioBaseline,
    notes: &[Note],
    same_engine: bool,
    budgets: &Budgets,
) -> ScenarioJudgement {
    assert_eq!((&before.scenario, before.runs.len()), (&now.scenario, now.runs.len()));
    let runs: Vec<RunJudgement> = before
        .runs
        .iter()
        .zip(&now.runs)
        .zip(notes)
        .map(|((before, now), note)| run(before, now, note, same_engine))
        .collect();
    let incomparable = runs.iter().any(|run| !run.is_comparable());
    let pool = |of: &ScenarioBaseline| Times::pooled(of.runs.iter().map(|run| &run.times));
    let times = if incomparable { Vec::new() } else { times(&pool(before), &pool(now), budgets) };
    ScenarioJudgement { scenario: before.scenario.clone(), file: before.file.clone(), runs, times, incomparable }
}

fn run(before: &RunBaseline, now: &RunBaseline, note: &Note, same_engine: bool) -> RunJudgement {
    assert_eq!(before.seed, now.seed);
    let trace = if now.verdict == Class::NotBuilt {
        TraceJudgement::NotMade
    } else if before.plan != now.plan {
        TraceJudgement::OtherPlan
    } else if before.trace == now.trace {
        if before.times == now.times { TraceJudgement::Same } else { TraceJudgement::OtherTimes }
    } else if same_engine {
        TraceJudgement::Unexplained { before: before.trace.clone(), now: now.trace.clone() }
    } else {
        TraceJudgement::WithEngine
    };
    RunJudgement { seed: before.seed, before: before.verdict, now: now.verdict, trace, note: note.clone() }
}

/// Every percentile of either side that differs from the longest value, and how it compares under `budgets`.
pub(super) fn times(before: &Times, now: &Times, budgets: &Budgets) -> Vec<TimeJudgement> {
    let mut all = Vec::new();
    for measure in Measure::ALL {
        let (was, is) = (before.values(measure), now.values(measure));
        for which in Percentile::ALL {
            // If there are few values, the upper percentiles equal the longest value, and are left out.
            let few = [was, is].iter().all(|values| which.rank(values.len()) == Percentile::Max.rank(values.len()));
            if (was.is_empty() && is.is_empty()) || (few && which != Percentile::Max) {
                continue;
            }
            let (before, now) = (percentile(was, which), percentile(is, which));
            all.push(TimeJudgement {
                measure,
                percentile: which,
                counts: (was.len(), is.len()),
                before,
                now,
                pace: pace(measure, which, before, now, budgets),
            });
        }
    }
    all
}

fn pace(measure: Measure, which: Percentile, before: Option<Lapse>, now: Option<Lapse>, budgets: &Budgets) -> Pace {
    let budget = budgets.of(which);
    match (before, now) {
        (Some(before), Some(now)) if before == now => Pace::Same,
        (Some(before), Some(now)) if budget.is_exceeded(before, now) => Pace::Slower,
        (Some(before), Some(now)) if budget.is_exceeded(now, before) => Pace::Improved,
        (Some(_), Some(_)) => Pace::Within,
        (None, Some(_)) => {
            if measure.is_loss() {
                Pace::Slower
            } else {
                Pace::Improved
            }
        }
        (Some(_), None) => {
            if measure.is_loss() {
                Pace::Improved
            } else {
                Pace::Slower
            }
        }
        (None, None) => Pace::Same,
    }
}

impl RunJudgement {
    /// The outcome of this run, without its times.
    pub fn outcome(&self) -> Outcome {
        match self.trace {
            _ if self.now == Class::NotBuilt => Outcome::NotBuilt,
            _ if self.now > self.before => Outcome::Worse(self.now),
            TraceJudgement::OtherPlan | TraceJudgement::OtherTimes | TraceJudgement::Unexplained { .. } => {
                Outcome::Changed
            }
            _ => Outcome::Passed,
        }
    }

    /// Whether the run's times can be compared with those of the baseline.
    fn is_comparable(&self) -> bool {
        let other =
            matches!(self.trace, TraceJudgement::OtherPlan | TraceJudgement::OtherTimes | TraceJudgement::NotMade);
        self.now == self.before && !other
    }
}

impl ScenarioJudgement {
    /// The worst outcome of the scenario's runs and times.
    pub fn outcome(&self) -> Outcome {
        let slower = self.times.iter().any(|time| time.pace == Pace::Slower);
        let runs = self.runs.iter().map(RunJudgement::outcome);
        runs.chain(slower.then_some(Outcome::Slower)).max().unwrap_or(Outcome::Passed)
    }

    /// The percentiles with that pace.
    pub fn paced(&self, pace: Pace) -> impl Iterator<Item = &TimeJudgement> {
        self.times.iter().filter(move |time| time.pace == pace)
    }
}

impl TimeJudgement {
    /// By how much it is longer now, in tenths of a percent; `None` if that cannot be computed.
    pub fn change(&self) -> Option<i64> {
        match (self.before?, self.now?) {
            (Lapse::Ns(before), Lapse::Ns(now)) if before > 0 => {
                let difference = i128::from(now) - i128::from(before);
                i64::try_from(difference * 1_000 / i128::from(before)).ok()
            }
            _ => None,
        }
    }
}

impl Judgement {
    /// The worst outcome of all scenarios.
    pub fn outcome(&self) -> Outcome {
        self.scenarios.iter().map(ScenarioJudgement::outcome).max().unwrap_or(Outcome::Passed)
    }

    /// Whether the baseline was made by another engine, so that traces may differ.
    pub fn engine_changed(&self) -> bool {
        self.engine_before != self.engine_now
    }

    /// Every run with its scenario.
    pub fn runs(&self) -> impl Iterator<Item = (&ScenarioJudgement, &RunJudgement)> {
        self.scenarios.iter().flat_map(|scenario| scenario.runs.iter().map(move |run| (scenario, run)))
    }

    /// Every percentile with that pace, with its scenario.
    pub fn paced(&self, pace: Pace) -> impl Iterator<Item = (&ScenarioJudgement, &TimeJudgement)> {
        self.scenarios.iter().flat_map(move |scenario| scenario.paced(pace).map(move |time| (scenario, time)))
    }
}

#[cfg(test)]
mod tests;
