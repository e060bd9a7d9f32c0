//! What a new baseline changes, for the person who has to answer for it. `flowquake gate --update` prints it.
//!
//! Start at [`text`]. Times are compared like in the gate, over all seeds of a scenario, but to the nanosecond.

use super::baseline::{Baseline, ScenarioBaseline};
use super::budget::{Budget, Budgets};
use super::judge::{Pace, times};
use super::tables::change;
use super::times::Times;
use crate::ansi::{Screen, Style, paint};
use crate::class::Class;
use crate::table::Align::{Left, Right};
use crate::table::{Cell, Table};
use crate::units;

/// The difference as text, ending with a line break. `before` is `None` if there was no baseline.
pub fn text(before: Option<&Baseline>, now: &Baseline, screen: impl Into<Screen>) -> String {
    let screen = screen.into();
    let color = screen.color;
    let Some(before) = before else {
        return format!("{}: {}\n", paint("new", Style::Good, color), now.size());
    };
    let table = table(before, now);
    if table.is_empty() {
        return format!("nothing changed: {}\n", now.size());
    }
    table.text(0, screen)
}

/// One row per change: first changes of the whole baseline, then scenario by scenario.
fn table(before: &Baseline, now: &Baseline) -> Table {
    let mut table =
        Table::new([("scenario", Left), ("what", Left), ("before", Right), ("now", Right), ("change", Right)]);
    let mut fact = |what: &str, before: String, now: String| {
        if before != now {
            table.row([Cell::new("–"), Cell::new(what), Cell::new(before), Cell::new(now), Cell::default()]);
        }
    };
    fact("engine", before.engine.clone(), now.engine.clone());
    fact("budget", before.budgets.to_string(), now.budgets.to_string());
    for (name, hash) in &now.cost_profiles {
        let was = before.cost_profiles.get(name).cloned().unwrap_or_else(|| "none".into());
        fact(&format!("cost profile {name}"), was, hash.clone());
    }
    let found = |all: &[ScenarioBaseline], name: &str| all.iter().find(|other| other.scenario == name).cloned();
    for scenario in &now.scenarios {
        match found(&before.scenarios, &scenario.scenario) {
            Some(was) => compare(&was, scenario, &mut table),
            None => whole(scenario, "added", Style::Good, &mut table),
        }
    }
    for scenario in before.scenarios.iter().filter(|was| found(&now.scenarios, &was.scenario).is_none()) {
        whole(scenario, "removed", Style::Bad, &mut table);
    }
    table
}

fn whole(scenario: &ScenarioBaseline, what: &str, style: Style, table: &mut Table) {
    let runs = Cell::new(units::counted(scenario.runs.len(), "run"));
    let (before, now) = if what == "added" { (Cell::none(), runs) } else { (runs, Cell::none()) };
    table.row([Cell::new(&scenario.scenario), Cell::new(what).styled(style), before, now, Cell::default()]);
}

fn compare(before: &ScenarioBaseline, now: &ScenarioBaseline, table: &mut Table) {
    let name = &now.scenario;
    let mut fact = |what: &str, before: String, now: String, style: Style| {
        if before != now {
            let cells = [Cell::new(before), Cell::new(now).styled(style)];
            let [before, now] = cells;
            table.row([Cell::new(name), Cell::new(what), before, now, Cell::default()]);
        }
    };
    fact("file", before.file.clone(), now.file.clone(), Style::Plain);
    fact("runs", before.runs.len().to_string(), now.runs.len().to_string(), Style::Plain);
    let pairs: Vec<_> = now
        .runs
        .iter()
        .filter_map(|run| before.runs.iter().find(|was| was.seed == run.seed).map(|was| (was, run)))
        .collect();
    for (was, run) in &pairs {
        let what = format!("verdict of seed {}", run.seed);
        let style = if run.verdict == Class::Passed { Style::Good } else { Style::Bad };
        fact(&what, was.verdict.label().into(), run.verdict.label().into(), style);
    }
    let other = |wanted: fn(&super::baseline::RunBaseline) -> &String| {
        pairs.iter().filter(|(was, run)| wanted(was) != wanted(run)).count()
    };
    for (what, n) in [("plans", other(|run| &run.plan)), ("traces", other(|run| &run.trace))] {
        if n > 0 {
            let changed = format!("{n} of {} other", pairs.len());
            table.row([Cell::new(name), Cell::new(what), Cell::default(), Cell::new(changed), Cell::default()]);
        }
    }
    let pool = |of: &ScenarioBaseline| Times::pooled(of.runs.iter().map(|run| &run.times));
    for time in times(&pool(before), &pool(now), &Budgets::all(Budget::NONE)) {
        if time.pace != Pace::Same {
            let style = if time.pace == Pace::Slower { Style::Bad } else { Style::Good };
            let lapse = |lapse: Option<super::times::Lapse>| match lapse {
                Some(lapse) => Cell::new(units::aligned(lapse.to_string())),
                None => Cell::none(),
            };
            table.row([
                Cell::new(name),
                Cell::new(format!("{} {}", time.measure.label(), time.percentile.label())),
                lapse(time.before),
                lapse(time.now),
                Cell::new(change(&time)).styled(style),
            ]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ansi::Color;
    use crate::gate::fixtures::{baseline, slower};

    #[test]
    fn every_change_has_its_row() {
        let mut now = slower().baseline;
        now.budgets = Budgets::all(Budget::NONE);
        let mut added = now.scenarios[0].clone();
        added.scenario = "added".into();
        now.scenarios.push(added);
        let mut before = baseline();
        let mut gone = before.scenarios[0].clone();
        gone.scenario = "gone".into();
        before.scenarios.insert(0, gone);
        before.scenarios[2].runs[1].verdict = Class::Vacuous;
        insta::assert_snapshot!(text(Some(&before), &now, Color::No));
    }

    #[test]
    fn no_change_and_no_baseline_are_said() {
        assert_eq!(text(None, &baseline(), Color::No), "new: 2 scenarios, 3 runs\n");
        assert_eq!(text(Some(&baseline()), &baseline(), Color::No), "nothing changed: 2 scenarios, 3 runs\n");
    }
}
