//! The judgement: what was measured now beside the baseline, and whether it may pass. Pure.
//!
//! Start at [`judge`]. Verdict, scenario and trace are judged run by run; times scenario by scenario, over all its seeds,
//! since the one outage of one run says little. Times of a scenario are left alone where one of its runs cannot be compared.
//!
//! | outcome | when | exit code |
//! |---|---|---|
//! | passed | nothing below | 0 |
//! | not built | this build lacks a feature that the scenario needs | 7 |
//! | slower | a percentile exceeds its budget, or something ends no more | 8 |
//! | changed | another trace with the same engine and plan, other times with the same trace, or another plan | 9 |
//! | worse | the verdict is worse than the baseline's | that of the verdict |
//!
//! The lowest row counts. Sources: the engine's fingerprint and the plan's hash say whether a trace had to stay.

use super::baseline::{Baseline, RunBaseline, ScenarioBaseline};
use super::budget::Budgets;
use super::times::{Lapse, Measure, Times};
use crate::ansi::Style;
use crate::class::Class;
use crate::percentile::{Percentile, percentile};

/// What a run, a scenario or the whole gate came to; the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// As good as the baseline, within the budgets.
    Passed,
    /// Not measured; never counts as passed.
    NotBuilt,
    /// Beyond a budget.
    Slower,
    /// The run is another one, and nobody said so.
    Changed,
    /// It proves less than it did.
    Worse(Class),
}

impl Outcome {
    /// The word in documents.
    pub fn label(self) -> &'static str {
        match self {
            Outcome::Passed => "passed",
            Outcome::NotBuilt => "not built",
            Outcome::Slower => "slower",
            Outcome::Changed => "changed",
            Outcome::Worse(class) => class.label(),
        }
    }

    /// The process exit code; 2 is bad input and belongs to no outcome.
    pub fn exit_code(self) -> u8 {
        match self {
            Outcome::Passed => 0,
            Outcome::NotBuilt => Class::NotBuilt.exit_code(),
            Outcome::Slower => 8,
            Outcome::Changed => 9,
            Outcome::Worse(class) => class.exit_code(),
        }
    }

    /// How it is shown.
    pub fn style(self) -> Style {
        match self {
            Outcome::Passed => Style::Good,
            Outcome::NotBuilt => Style::Warn,
            Outcome::Slower | Outcome::Changed => Style::Bad,
            Outcome::Worse(class) => class.style(),
        }
    }
}

/// What was measured now: a baseline of its own, and what a reader of failures needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// The runs, as the next baseline would hold them; the same scenarios and seeds in the same order as in the baseline.
    pub baseline: Baseline,
    /// First line of evidence and replay command of each run, scenario by scenario.
    pub notes: Vec<Vec<Note>>,
}

/// What a reader of a failure needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Note {
    /// First line of the evidence; empty for a passed run.
    pub headline: String,
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
    /// One per measure and percentile that either side has; empty where they cannot be compared.
    pub times: Vec<TimeJudgement>,
    /// Whether [`ScenarioJudgement::times`] had to be left alone.
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
    /// What became of its plan and trace.
    pub trace: TraceJudgement,
    /// Evidence and replay command.
    pub note: Note,
}

/// The trace of a run beside that of the baseline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TraceJudgement {
    /// The same hash.
    Same,
    /// Another hash, and another engine: to be expected.
    WithEngine,
    /// Another hash of the same plan on the same engine.
    Unexplained {
        /// Hash in the baseline.
        before: String,
        /// Hash now.
        now: String,
    },
    /// The same hash, but other times: a trace holds every time, so somebody edited those of the baseline.
    OtherTimes,
    /// Scenario and seed make another plan than they did.
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
    /// Values in the baseline and now.
    pub counts: (usize, usize),
    /// The percentile in the baseline; `None`: there was no value.
    pub before: Option<Lapse>,
    /// The percentile now; `None`: there is no value.
    pub now: Option<Lapse>,
    /// What this makes of it.
    pub pace: Pace,
}

/// How a percentile compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pace {
    /// Shorter by more than the budget.
    Improved,
    /// Not a nanosecond of difference.
    Same,
    /// Other, within the budget.
    Within,
    /// Longer by more than the budget.
    Slower,
}

/// Judges `now` against `baseline` under `budgets`.
///
/// Panics if the two do not hold the same scenarios and seeds in the same order: whoever measures follows the baseline.
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

/// Every percentile of either side that differs from the longest, and what becomes of it under `budgets`.
pub(super) fn times(before: &Times, now: &Times, budgets: &Budgets) -> Vec<TimeJudgement> {
    let mut all = Vec::new();
    for measure in Measure::ALL {
        let (was, is) = (before.values(measure), now.values(measure));
        for which in Percentile::ALL {
            // Of few values the upper percentiles are the longest one; once is enough.
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
    /// What this run came to, without its times.
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

    /// Whether its times can stand beside those of the baseline.
    fn is_comparable(&self) -> bool {
        let other =
            matches!(self.trace, TraceJudgement::OtherPlan | TraceJudgement::OtherTimes | TraceJudgement::NotMade);
        self.now == self.before && !other
    }
}

impl ScenarioJudgement {
    /// The worst of its runs and times.
    pub fn outcome(&self) -> Outcome {
        let slower = self.times.iter().any(|time| time.pace == Pace::Slower);
        let runs = self.runs.iter().map(RunJudgement::outcome);
        runs.chain(slower.then_some(Outcome::Slower)).max().unwrap_or(Outcome::Passed)
    }

    /// Percentiles of that pace.
    pub fn paced(&self, pace: Pace) -> impl Iterator<Item = &TimeJudgement> {
        self.times.iter().filter(move |time| time.pace == pace)
    }
}

impl TimeJudgement {
    /// How much longer it takes now, in tenths of a percent; `None` where that is no number.
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
    /// The worst of all scenarios.
    pub fn outcome(&self) -> Outcome {
        self.scenarios.iter().map(ScenarioJudgement::outcome).max().unwrap_or(Outcome::Passed)
    }

    /// Whether the baseline is of another engine, so that traces may differ.
    pub fn engine_changed(&self) -> bool {
        self.engine_before != self.engine_now
    }

    /// Every run with its scenario.
    pub fn runs(&self) -> impl Iterator<Item = (&ScenarioJudgement, &RunJudgement)> {
        self.scenarios.iter().flat_map(|scenario| scenario.runs.iter().map(move |run| (scenario, run)))
    }

    /// Every percentile of that pace with its scenario.
    pub fn paced(&self, pace: Pace) -> impl Iterator<Item = (&ScenarioJudgement, &TimeJudgement)> {
        self.scenarios.iter().flat_map(move |scenario| scenario.paced(pace).map(move |time| (scenario, time)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::budget::Budget;
    use crate::gate::fixtures::{baseline, measured};

    /// Judges the fixture after `edit` was done to what is measured now.
    fn after(edit: impl FnOnce(&mut Baseline)) -> Judgement {
        let mut now = measured();
        edit(&mut now.baseline);
        judge(&baseline(), &now, Budgets::all(Budget::DEFAULT))
    }

    /// The same, with an engine under which every trace is another.
    fn with_engine(edit: impl FnOnce(&mut Baseline)) -> Judgement {
        after(|now| {
            now.engine = "1111111111111111".into();
            for run in now.scenarios.iter_mut().flat_map(|scenario| &mut scenario.runs) {
                run.trace = "ffffffffffffffff".into();
            }
            edit(now);
        })
    }

    fn scale(times: &mut Times, measure: Measure, percent: u64) {
        let values: Vec<Lapse> = times.values(measure).to_vec();
        let mut scaled = Times::default();
        for other in Measure::ALL.into_iter().filter(|other| *other != measure) {
            scaled.add(other, times.values(other).iter().copied());
        }
        scaled.add(
            measure,
            values.into_iter().map(|lapse| match lapse {
                Lapse::Ns(ns) => Lapse::Ns(ns * percent / 100),
                Lapse::Never => Lapse::Never,
            }),
        );
        *times = scaled;
    }

    #[test]
    fn the_same_passes() {
        let judgement = after(|_| {});
        assert_eq!(judgement.outcome(), Outcome::Passed);
        assert!(judgement.runs().all(|(_, run)| run.trace == TraceJudgement::Same));
        assert!(judgement.scenarios.iter().flat_map(|scenario| &scenario.times).all(|time| time.pace == Pace::Same));
    }

    #[test]
    fn a_worse_verdict_fails_with_its_own_code_and_a_better_one_does_not() {
        for class in [Class::Failed, Class::Crashed, Class::Stuck, Class::Nondeterministic, Class::Vacuous] {
            let judgement = after(|now| now.scenarios[1].runs[0].verdict = class);
            assert_eq!(judgement.outcome(), Outcome::Worse(class));
            assert_eq!(judgement.outcome().exit_code(), class.exit_code());
            assert!(judgement.scenarios[1].incomparable && !judgement.scenarios[0].incomparable);
        }
        let mut before = baseline();
        before.scenarios[0].runs[0].verdict = Class::Vacuous;
        assert_eq!(judge(&before, &measured(), before.budgets).outcome(), Outcome::Passed);
    }

    #[test]
    fn what_is_not_built_does_not_pass_and_is_not_compared() {
        let judgement = after(|now| {
            now.scenarios[1].runs[1].verdict = Class::NotBuilt;
            now.scenarios[1].runs[1].times = Times::default();
            now.scenarios[1].runs[1].trace = "0000000000000000".into();
        });
        assert_eq!((judgement.outcome(), judgement.outcome().exit_code()), (Outcome::NotBuilt, 7));
        assert!(judgement.scenarios[1].times.is_empty());
    }

    #[test]
    fn another_trace_of_the_same_engine_is_an_error_and_of_another_engine_none() {
        let other = |now: &mut Baseline| now.scenarios[0].runs[0].trace = "ffffffffffffffff".into();
        let judgement = after(other);
        assert_eq!((judgement.outcome(), judgement.outcome().exit_code()), (Outcome::Changed, 9));
        assert!(matches!(judgement.scenarios[0].runs[0].trace, TraceJudgement::Unexplained { .. }));
        let judgement = after(|now| {
            other(now);
            now.engine = "1111111111111111".into();
        });
        assert_eq!(judgement.outcome(), Outcome::Passed);
        assert_eq!(judgement.scenarios[0].runs[0].trace, TraceJudgement::WithEngine);
        assert!(judgement.engine_changed());
    }

    #[test]
    fn other_times_of_the_same_trace_are_an_edited_baseline_and_neither_slower_nor_faster() {
        for percent in [50, 200] {
            let judgement = after(|now| scale(&mut now.scenarios[1].runs[1].times, Measure::Outage, percent));
            assert_eq!((judgement.outcome(), judgement.outcome().exit_code()), (Outcome::Changed, 9));
            assert_eq!(judgement.scenarios[1].runs[1].trace, TraceJudgement::OtherTimes);
            assert!(judgement.scenarios[1].times.is_empty() && judgement.scenarios[1].incomparable);
            let run = &judgement.scenarios[1].runs[1];
            assert!(crate::gate::tables::reason(run).ends_with("the baseline was edited by hand"));
        }
    }

    #[test]
    fn another_plan_is_told_as_such_and_nothing_else_is_compared() {
        let judgement = after(|now| {
            now.scenarios[0].runs[0].plan = "ffffffffffffffff".into();
            now.scenarios[0].runs[0].trace = "ffffffffffffffff".into();
            scale(&mut now.scenarios[0].runs[0].times, Measure::TriggerGap, 300);
        });
        assert_eq!(judgement.outcome(), Outcome::Changed);
        assert_eq!(judgement.scenarios[0].runs[0].trace, TraceJudgement::OtherPlan);
        assert!(judgement.scenarios[0].times.is_empty() && judgement.scenarios[0].incomparable);
    }

    #[test]
    fn beyond_the_budget_is_slower_within_it_is_not_and_below_it_is_improved() {
        for (percent, outcome, pace) in [
            (103, Outcome::Slower, Pace::Slower),
            (102, Outcome::Passed, Pace::Within),
            (98, Outcome::Passed, Pace::Improved),
            (99, Outcome::Passed, Pace::Within),
        ] {
            let judgement = with_engine(|now| {
                for run in &mut now.scenarios[1].runs {
                    scale(&mut run.times, Measure::Outage, percent);
                }
            });
            assert_eq!(judgement.outcome(), outcome, "{percent} %");
            assert!(judgement.paced(pace).all(|(_, time)| time.measure == Measure::Outage), "{percent} %");
            assert!(judgement.paced(pace).count() > 0, "{percent} %");
        }
        assert_eq!(Outcome::Slower.exit_code(), 8);
    }

    #[test]
    fn a_recovery_that_does_not_end_any_more_is_slower() {
        let judgement = with_engine(|now| {
            let run = &mut now.scenarios[1].runs[0];
            let mut times = Times::default();
            for measure in Measure::ALL {
                let values = run.times.values(measure).iter().copied();
                times.add(measure, values.map(|lapse| if measure == Measure::CaughtUp { Lapse::Never } else { lapse }));
            }
            run.times = times;
        });
        let (_, last) = judgement.paced(Pace::Slower).last().expect("slower");
        assert_eq!((last.measure, last.now, last.change()), (Measure::CaughtUp, Some(Lapse::Never), None));
    }

    #[test]
    fn an_outage_where_none_was_is_slower_and_so_is_a_job_without_checkpoints() {
        let judgement = with_engine(|now| now.scenarios[0].runs[0].times.add(Measure::Outage, [Lapse::Ns(1)]));
        assert_eq!(judgement.outcome(), Outcome::Slower);
        let judgement = with_engine(|now| now.scenarios[0].runs[0].times = Times::default());
        assert_eq!(judgement.outcome(), Outcome::Slower);
    }

    #[test]
    fn of_few_values_only_different_percentiles_are_judged() {
        let judgement = after(|_| {});
        let of = |measure| {
            let times = judgement.scenarios[1].times.iter().filter(move |time| time.measure == measure);
            times.map(|time| time.percentile.label()).collect::<Vec<_>>()
        };
        assert_eq!(of(Measure::Outage), ["p50", "max"]);
        assert_eq!(of(Measure::CheckpointDuration), ["p50", "max"]);
    }

    #[test]
    fn the_worst_outcome_counts() {
        let order =
            [Outcome::Passed, Outcome::NotBuilt, Outcome::Slower, Outcome::Changed, Outcome::Worse(Class::Vacuous)];
        assert!(order.is_sorted());
        assert!(Outcome::Worse(Class::Vacuous) < Outcome::Worse(Class::Failed));
        let mut codes = order.map(Outcome::exit_code).to_vec();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), order.len(), "exit codes differ");
    }
}
