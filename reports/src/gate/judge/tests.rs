//! One edit to what was measured, and the judgement that follows.

use super::*;
use crate::gate::budget::Budget;
use crate::gate::fixtures::{baseline, measured};

/// Judges the fixture after `edit` was applied to what is measured now.
fn after(edit: impl FnOnce(&mut Baseline)) -> Judgement {
    let mut now = measured();
    edit(&mut now.baseline);
    judge(&baseline(), &now, Budgets::all(Budget::DEFAULT))
}

/// The same, with an engine that changes every trace.
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
            Lapse::Over(ns) => Lapse::Over(ns),
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
            times.add(measure, values.map(|lapse| if measure == Measure::CaughtUp { Lapse::Over(7) } else { lapse }));
        }
        run.times = times;
    });
    let (_, last) = judgement.paced(Pace::Slower).last().expect("slower");
    assert_eq!((last.measure, last.now, last.change()), (Measure::CaughtUp, Some(Lapse::Over(7)), None));
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
    let order = [Outcome::Passed, Outcome::NotBuilt, Outcome::Slower, Outcome::Changed, Outcome::Worse(Class::Vacuous)];
    assert!(order.is_sorted());
    assert!(Outcome::Worse(Class::Vacuous) < Outcome::Worse(Class::Failed));
    let mut codes = order.map(Outcome::exit_code).to_vec();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), order.len(), "exit codes differ");
}
