//! Compares a failing run with the most similar passing run: the reason of the failure is most likely among the
//! differences.
//!
//! Start at [`nearest`], then [`table`]. The nearest run is a passed run of the same scenario, with the fewest
//! differing options, then with the closest seed. If none of that scenario passed, a run of the same job is chosen in
//! the same way. Times differ between any two runs, so they are compared only where they are results. Of the timelines,
//! the first line with another text is shown.

use crate::ansi::Style;
use crate::record::{CheckpointEnd, FaultRecord, RecoveryRecord, RunRecord, RunSet, TimelineEntry, Verdict};
use crate::table::Align::Left;
use crate::table::{Cell, Table};
use crate::{tables, units};

/// Longest text in a cell, in characters, so that two cells fit beside each other.
const TEXT_MAX: usize = 110;

/// Index of the passed run of the set that is most similar to `run`. `None`: no run of its job passed and is kept as a
/// whole. (Long sweeps keep only sums of runs that passed.)
pub fn nearest(set: &RunSet, run: &RunRecord) -> Option<usize> {
    let is_whole = |other: &RunRecord| !other.timeline.is_empty() || other.totals.events == 0;
    let passed = set.runs.iter().enumerate().filter(|(_, other)| other.verdict == Verdict::Passed && is_whole(other));
    let alike = passed.filter(|(_, other)| other.scenario == run.scenario || other.job.name == run.job.name);
    let distance = |other: &RunRecord| {
        (other.scenario != run.scenario, differing_options(run, other).count(), other.seed.abs_diff(run.seed))
    };
    alike.min_by_key(|(_, other)| distance(other)).map(|(index, _)| index)
}

/// Options whose values differ: name, value here, value there. A setting that a run drew or defaulted stands among its
/// options. Every other setting is stated in the scenario's file, and the record has some of those.
fn differing_options<'a>(run: &'a RunRecord, other: &'a RunRecord) -> impl Iterator<Item = (&'a str, String, String)> {
    let is_chosen = |of: &RunRecord, name: &str| of.options.iter().any(|(known, _)| known == name);
    let only_there = other.options.iter().filter(move |(name, _)| !is_chosen(run, name));
    let names = run.options.iter().chain(only_there).map(|(name, _)| name.as_str());
    let both = names.map(|name| (name, value(run, name), value(other, name)));
    both.filter(|(_, here, there)| bare(here) != bare(there))
}

/// The value of an option, with its origin.
fn value(run: &RunRecord, name: &str) -> String {
    if let Some((_, value)) = run.options.iter().find(|(known, _)| known == name) {
        return value.clone();
    }
    let stated = match name {
        "backend" => run.job.backend.clone(),
        "parallelism" => run.job.parallelism.to_string(),
        "task_managers" => run.job.task_managers.to_string(),
        "slots" => run.job.slots_per_task_manager.to_string(),
        "cost_profile" => run.cost_profile.clone(),
        // Only a swarm draws these settings.
        "faults" | "kinds of faults" => return "not drawn".into(),
        _ => return "stated in its file".into(),
    };
    format!("{stated} (stated)")
}

/// A value without its origin.
fn bare(value: &str) -> &str {
    value.rsplit_once(" (").map_or(value, |(value, _)| value)
}

/// The differences side by side, without anything that is the same.
pub fn table(run: &RunRecord, other: &RunRecord) -> Table {
    let mut rows = Rows(Table::new([("", Left), ("this run", Left), ("the passing run", Left)]));
    let both = |of: &dyn Fn(&RunRecord) -> String| (of(run), of(other));
    rows.compare("scenario", both(&|of| of.scenario.clone()));
    rows.compare("seed", both(&|of| of.seed.to_string()));
    rows.compare("verdict", both(&|of| of.verdict.label().into()));
    for (name, here, there) in differing_options(run, other) {
        rows.compare(&format!("option {name}"), (here, there));
    }
    for index in 0..run.faults.len().max(other.faults.len()) {
        rows.compare(&format!("fault {}", index + 1), both(&|of| fault(of.faults.get(index))));
    }
    rows.compare("checkpoints", both(&checkpoints));
    rows.compare("first not completed", both(&first_not_completed));
    rows.compare("recoveries", both(&|of| units::count(tables::tried_recoveries(of))));
    for index in 0..run.recoveries.len().max(other.recoveries.len()) {
        rows.compare(&format!("recovery {}", index + 1), both(&|of| recovery(of.recoveries.get(index))));
    }
    rows.compare("records read", both(&|of| units::count(of.totals.records_in)));
    rows.compare("records committed", both(&|of| units::count(of.totals.records_committed)));
    for oracle in run.oracles.iter().filter(|oracle| !oracle.held && oracle.not_judged.is_none()) {
        let there = other.oracles.iter().find(|known| known.id == oracle.id);
        let there = there.filter(|there| there.not_judged.is_none());
        let there = there.map_or("not asked", |there| if there.held { "held" } else { "violated" });
        rows.compare(&format!("{} {}", oracle.id, oracle.property), ("violated".into(), there.into()));
    }
    let (here, there) = first_difference(&run.timeline, &other.timeline);
    rows.compare("first line of the timeline", (line(here), line(there)));
    rows.0
}

/// A table that takes only rows with two different values.
struct Rows(Table);

impl Rows {
    fn compare(&mut self, what: &str, (here, there): (String, String)) {
        if here != there {
            let cut = |text: String| match text.chars().count() {
                ..=TEXT_MAX => Cell::new(text),
                _ => Cell::new(text.chars().take(TEXT_MAX - 1).chain(['…']).collect::<String>()),
            };
            self.0.row([Cell::new(what).styled(Style::Dim), cut(here), cut(there)]);
        }
    }
}

fn fault(fault: Option<&FaultRecord>) -> String {
    let Some(fault) = fault else { return "not planned".into() };
    let what = format!("{} {}", fault.kind, fault.target);
    let Some(struck) = fault.struck_at_ns else { return format!("{what}: never struck") };
    let strikes = if fault.hits.len() > 1 { format!("{} times, first ", fault.hits.len()) } else { String::new() };
    format!("{what}: {strikes}at {} s, {}", units::instant(struck), fault.detail)
}

fn checkpoints(run: &RunRecord) -> String {
    let (completed, aborted) = tables::checkpoint_counts(run);
    format!("{} completed, {} given up, of {}", completed, aborted, run.checkpoints.len())
}

fn first_not_completed(run: &RunRecord) -> String {
    let first = run.checkpoints.iter().find(|checkpoint| checkpoint.end != CheckpointEnd::Completed);
    first.map_or("none".into(), |checkpoint| match &checkpoint.end {
        CheckpointEnd::Aborted { reason } => format!("checkpoint {}: {reason}", checkpoint.id),
        _ => format!("checkpoint {}: unfinished", checkpoint.id),
    })
}

fn recovery(recovery: Option<&RecoveryRecord>) -> String {
    let Some(recovery) = recovery else { return "none".into() };
    let from = recovery.restored_checkpoint.map_or("nothing".into(), |id| format!("checkpoint {id}"));
    let mut outage = format!("outage {}", recovery.outage());
    if recovery.outage_ns().is_some() && recovery.caught_up_at_ns.is_none() && !recovery.is_stall() {
        outage.push_str(", never caught up");
    }
    if !recovery.superseded.is_empty() {
        outage.push_str(&format!(" with {} superseded", units::counted(recovery.superseded.len(), "recovery")));
    }
    if recovery.is_stall() {
        return format!("attempt {} stood still, {outage}: {}", recovery.attempt, recovery.cause);
    }
    format!("attempt {} from {from}, {outage}: {}", recovery.attempt, recovery.cause)
}

/// The first lines of the timelines that have different texts. Times do not count as a difference.
fn first_difference<'a>(
    here: &'a [TimelineEntry],
    there: &'a [TimelineEntry],
) -> (Option<&'a TimelineEntry>, Option<&'a TimelineEntry>) {
    let said = |entry: &'a TimelineEntry| (entry.kind, &entry.node, &entry.text);
    let same = here.iter().zip(there).take_while(|(a, b)| said(a) == said(b)).count();
    (here.get(same), there.get(same))
}

fn line(entry: Option<&TimelineEntry>) -> String {
    entry.map_or("the end".into(), |entry| {
        format!("{} s  {}  {}", units::instant(entry.at_ns), entry.node, entry.text).replace("  ", " ")
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{ansi::Color, fixtures};

    #[test]
    fn the_nearest_is_of_the_same_scenario_with_the_fewest_differing_options_then_the_closest_seed() {
        let run = |scenario: &str, seed, option: &str| {
            let mut run = fixtures::passed();
            (run.scenario, run.seed, run.options[0].1) = (scenario.into(), seed, option.into());
            run
        };
        let failed = RunRecord { verdict: fixtures::failed().verdict, ..run("a", 7, "x") };
        let set = |runs| RunSet { runs, ..fixtures::set() };
        let runs = vec![run("b", 7, "x"), run("a", 8, "y"), run("a", 30, "x"), run("a", 9, "x"), failed.clone()];
        assert_eq!(nearest(&set(runs.clone()), &failed), Some(3));
        assert_eq!(nearest(&set(runs[..1].to_vec()), &failed), Some(0), "another scenario of the same job");
        let mut foreign = run("b", 7, "x");
        foreign.job.name = "other".into();
        let thinned = RunRecord { timeline: Vec::new(), ..run("a", 7, "x") };
        assert_eq!(nearest(&set(vec![foreign, thinned, failed.clone()]), &failed), None);
    }

    #[test]
    fn what_differs_stands_side_by_side() {
        let (mut here, there) = (fixtures::failed(), fixtures::passed());
        here.options[2].1 = "false".into();
        here.faults[0].struck_at_ns = Some(4_400_000_000);
        here.timeline[4].text = "checkpoint 3 aborted".into();
        insta::assert_snapshot!("diff", table(&here, &there).text(0, Color::No));
    }

    #[test]
    fn what_a_file_states_is_set_and_equal_values_are_no_difference_whoever_chose_them() {
        let (mut here, mut there) = (fixtures::failed(), fixtures::failed());
        here.options =
            ["memory (default)", "4 (default)", "1s (default)"].map(|value| (String::new(), value.to_owned())).to_vec();
        for (option, name) in here.options.iter_mut().zip(["backend", "parallelism", "lease"]) {
            option.0 = name.into();
        }
        there.options = vec![("faults".into(), "cut (drawn)".into())];
        (there.job.backend, there.job.parallelism) = ("fs".into(), 4);
        let rows: Vec<_> = differing_options(&here, &there).collect();
        let row = |name, here: &str, there: &str| (name, here.to_owned(), there.to_owned());
        let expected = [
            row("backend", "memory (default)", "fs (stated)"),
            row("lease", "1s (default)", "stated in its file"),
            row("faults", "not drawn", "cut (drawn)"),
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn a_run_does_not_differ_from_itself() {
        assert!(table(&fixtures::passed(), &fixtures::passed()).is_empty());
    }

    proptest! {
        #[test]
        fn arbitrary_runs_are_compared(here in fixtures::any_run(), there in fixtures::any_run()) {
            let _ = table(&here, &there);
        }
    }
}
