//! The tables and sentences of the gate; terminal, Markdown and HTML show the same cells.
//!
//! Start at [`scenarios`] for one row per scenario, and at [`slower`], [`improved`] and [`troubles`] for what should be
//! looked at.

use super::judge::{Judgement, Pace, RunJudgement, ScenarioJudgement, TimeJudgement, TraceJudgement};
use super::outcome::Outcome;
use crate::ansi::Style;
use crate::class::Class;
use crate::table::Align::{Left, Right};
use crate::table::{Cell, Table};
use crate::units;

/// One row per scenario.
pub fn scenarios(judgement: &Judgement) -> Table {
    let mut table = Table::new([
        ("scenario", Left),
        ("runs", Right),
        ("verdict", Left),
        ("trace", Left),
        ("largest change of a time", Left),
        ("gate", Left),
    ]);
    for scenario in &judgement.scenarios {
        let class = scenario.runs.iter().map(|run| run.now).max().unwrap_or(Class::Passed);
        let outcome = scenario.outcome();
        table.row([
            Cell::new(&scenario.scenario),
            Cell::count(scenario.runs.len() as u64),
            Cell::new(class.label()).styled(class.style()),
            Cell::new(traces(scenario)),
            largest_change(scenario),
            Cell::new(outcome.label()).styled(outcome.style()),
        ]);
    }
    table
}

/// What changed about the traces of a scenario.
fn traces(scenario: &ScenarioJudgement) -> String {
    let count = |wanted: fn(&TraceJudgement) -> bool| scenario.runs.iter().filter(|run| wanted(&run.trace)).count();
    let parts = [
        (count(|trace| matches!(trace, TraceJudgement::OtherPlan)), "of another scenario"),
        (count(|trace| matches!(trace, TraceJudgement::OtherTimes)), "the same with other times"),
        (count(|trace| matches!(trace, TraceJudgement::Unexplained { .. })), "changed"),
        (count(|trace| matches!(trace, TraceJudgement::WithEngine)), "changed with the engine"),
        (count(|trace| matches!(trace, TraceJudgement::NotMade)), "not made"),
        (count(|trace| matches!(trace, TraceJudgement::Same)), "the same"),
    ];
    let all = scenario.runs.len();
    let told = parts.iter().filter(|(n, _)| *n > 0);
    told.map(|(n, what)| if *n == all { (*what).to_owned() } else { format!("{n} {what}") })
        .collect::<Vec<_>>()
        .join(", ")
}

fn largest_change(scenario: &ScenarioJudgement) -> Cell {
    if scenario.incomparable {
        return Cell::new("not compared").styled(Style::Dim);
    }
    let changed = scenario.times.iter().filter(|time| time.pace != Pace::Same);
    // Times that are judged worst come first, then those that changed most.
    let largest = changed.max_by_key(|time| (time.pace == Pace::Slower, time.change().map_or(i64::MAX, i64::abs)));
    match largest {
        None if scenario.times.is_empty() => Cell::none(),
        None => Cell::new("none").styled(Style::Dim),
        Some(time) => {
            let text = format!("{} {} {}", time.measure.label(), time.percentile.label(), change(time));
            Cell::new(text).styled(style(time.pace))
        }
    }
}

/// Such as `+12.3 %`; in words if a time began or ceased to exist or to end.
pub fn change(time: &TimeJudgement) -> String {
    match (time.change(), time.before, time.now) {
        (Some(tenths), ..) => {
            let sign = if tenths < 0 { "−" } else { "+" };
            format!("{sign}{}.{} %", tenths.unsigned_abs() / 10, tenths.unsigned_abs() % 10)
        }
        (None, None, _) => "new".to_owned(),
        (None, _, None) => "gone".to_owned(),
        (None, Some(_), Some(now)) => format!("now {now}"),
    }
}

fn style(pace: Pace) -> Style {
    match pace {
        Pace::Slower => Style::Bad,
        Pace::Improved => Style::Good,
        Pace::Same | Pace::Within => Style::Plain,
    }
}

/// Percentiles that exceed their budget.
pub fn slower(judgement: &Judgement) -> Table {
    paced(judgement, Pace::Slower)
}

/// Percentiles that are shorter by more than the budget.
pub fn improved(judgement: &Judgement) -> Table {
    paced(judgement, Pace::Improved)
}

/// Every percentile that was compared.
pub fn all_times(judgement: &Judgement) -> Table {
    let all = judgement.scenarios.iter().flat_map(|scenario| scenario.times.iter().map(move |time| (scenario, time)));
    times(judgement, all)
}

fn paced(judgement: &Judgement, pace: Pace) -> Table {
    times(judgement, judgement.paced(pace))
}

fn times<'j>(judgement: &Judgement, rows: impl Iterator<Item = (&'j ScenarioJudgement, &'j TimeJudgement)>) -> Table {
    let mut table = Table::new([
        ("scenario", Left),
        ("time", Left),
        ("", Left),
        ("values", Right),
        ("baseline", Right),
        ("now", Right),
        ("change", Right),
        ("budget", Right),
    ]);
    for (scenario, time) in rows {
        let (before, now) = time.counts;
        let lapse = |lapse: Option<super::times::Lapse>| match lapse {
            Some(lapse) => Cell::new(units::aligned(lapse.to_string())),
            None => Cell::none(),
        };
        table.row([
            Cell::new(&scenario.scenario),
            Cell::new(time.measure.label()),
            Cell::new(time.percentile.label()),
            Cell::new(if before == now { now.to_string() } else { format!("{before} → {now}") }),
            lapse(time.before),
            lapse(time.now),
            Cell::new(change(time)).styled(style(time.pace)),
            Cell::new(judgement.budgets.of(time.percentile).to_string()),
        ]);
    }
    table
}

/// One row for each run that may not pass, with a line that says why.
pub fn troubles(judgement: &Judgement) -> Table {
    let mut table = Table::new([("", Left), ("scenario", Left), ("seed", Right), ("", Left)]);
    for (scenario, run) in judgement.runs().filter(|(_, run)| run.outcome() != Outcome::Passed) {
        let outcome = run.outcome();
        table.row([
            Cell::new(outcome.label()).styled(outcome.style()),
            Cell::new(&scenario.scenario),
            Cell::new(run.seed.to_string()),
            Cell::new(reason(run)),
        ]);
    }
    table
}

/// Why a run may not pass; empty if it may.
pub fn reason(run: &RunJudgement) -> String {
    match (run.outcome(), &run.trace) {
        (Outcome::Passed | Outcome::Slower, _) => String::new(),
        (Outcome::NotBuilt | Outcome::Worse(_), _) => run.note.headline.clone(),
        (Outcome::Changed, TraceJudgement::Unexplained { before, now }) => {
            format!("trace {before} became {now}, though engine and scenario are those of the baseline")
        }
        (Outcome::Changed, TraceJudgement::OtherTimes) => {
            "its trace is that of the baseline and its times are not: the baseline was edited by hand".to_owned()
        }
        (Outcome::Changed, _) => "scenario and seed make another plan than in the baseline".to_owned(),
    }
}

/// All lines of evidence of a run that is worse than before, if the reason does not contain all of them.
pub fn evidence(run: &RunJudgement) -> &[String] {
    match run.outcome() {
        Outcome::Worse(_) if run.note.evidence.len() > 1 => &run.note.evidence,
        _ => &[],
    }
}

/// Such as `gate: slower. 3 runs of 2 scenarios: 2 scenarios passed, 1 slower`.
pub fn summary(judgement: &Judgement) -> String {
    let runs = units::counted(judgement.runs().count(), "run");
    let scenarios = units::counted(judgement.scenarios.len(), "scenario");
    let mut counts: std::collections::BTreeMap<Outcome, usize> = std::collections::BTreeMap::new();
    for scenario in &judgement.scenarios {
        *counts.entry(scenario.outcome()).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(outcome, n)| format!("{n} {}", outcome.label())).collect();
    format!("{runs} of {scenarios}; scenarios: {}", counts.join(", "))
}

/// The engine of the baseline, and whether it is the present one.
pub fn engine(judgement: &Judgement) -> String {
    if judgement.engine_changed() {
        let (before, now) = (&judgement.engine_before, &judgement.engine_now);
        format!("engine {now}, baseline made with {before}: traces may differ")
    } else {
        format!("engine {}, that of the baseline: traces must not differ", judgement.engine_now)
    }
}

/// What to do about the outcome, one sentence per finding.
pub fn advice(judgement: &Judgement) -> Vec<&'static str> {
    let mut advice = Vec::new();
    let has = |wanted: fn(&RunJudgement) -> bool| judgement.runs().any(|(_, run)| wanted(run));
    if has(|run| matches!(run.outcome(), Outcome::Worse(_))) {
        advice.push("A verdict is worse than it was: replay the run, and mend what it shows.");
    }
    if has(|run| run.outcome() == Outcome::Changed && matches!(run.trace, TraceJudgement::Unexplained { .. })) {
        advice.push(
            "A trace changed though nothing that can change it did: look for what the simulator does not control \
             (flowquake run FILE --verify-determinism), or for sources that the engine's fingerprint leaves out.",
        );
    }
    if has(|run| run.outcome() == Outcome::Changed && matches!(run.trace, TraceJudgement::OtherTimes)) {
        advice.push(
            "The baseline holds times that its traces do not: take back what was edited, or run the gate again with \
             --update.",
        );
    }
    if has(|run| run.outcome() == Outcome::Changed && matches!(run.trace, TraceJudgement::OtherPlan)) {
        advice.push(
            "A scenario was changed: if that was meant, run the gate again with --update and commit the baseline.",
        );
    }
    if judgement.paced(Pace::Slower).next().is_some() {
        advice.push(
            "Times are beyond their budget: if that is the price of something worth it, run the gate again with \
             --update, commit the baseline, and say in the commit what it buys.",
        );
    }
    if has(|run| run.now == Class::NotBuilt) {
        advice.push("Not built is not passed: run the gate with the default features.");
    }
    if judgement.outcome() == Outcome::Passed && judgement.paced(Pace::Improved).next().is_some() {
        advice.push("Times improved: run the gate again with --update and commit the baseline, so that they stay so.");
    }
    advice
}
