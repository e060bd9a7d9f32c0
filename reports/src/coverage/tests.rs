//! The grid on hand-made sets: what counts where, that nothing is lost, and how the grid looks.

use proptest::prelude::*;

use super::*;
use crate::ansi::Color;
use crate::fixtures;
use crate::record::{FaultRecord, HitRecord, RunSet, Verdict};

fn kind(name: &str, family: &str, roles: &[&str]) -> FaultKindRecord {
    FaultKindRecord {
        name: name.into(),
        family: family.into(),
        roles: roles.iter().map(|role| (*role).into()).collect(),
    }
}

fn kinds() -> Vec<FaultKindRecord> {
    vec![
        kind("kill", "process", &["leader", "standby", "task-manager"]),
        kind("cut-one-way", "network", &["leader-link", "task-link"]),
        kind("pause", "process", &["leader", "task-manager"]),
        kind("damage", "storage", &["checkpoint-store"]),
    ]
}

/// A run that struck at `hits` (event, fault, role).
fn struck(verdict: Verdict, hits: &[(&str, &str, &str)]) -> RunRecord {
    let fault = |(position, kind, role): &(&str, &str, &str)| FaultRecord {
        kind: (*kind).into(),
        hits: vec![HitRecord {
            receipt: String::new(),
            position: (*position).into(),
            role: (*role).into(),
            target: "tm-1".into(),
            struck_at_ns: 1,
            healed_at_ns: None,
        }],
        ..fixtures::passed().faults[0].clone()
    };
    RunRecord { verdict, faults: hits.iter().map(fault).collect(), ..fixtures::empty() }
}

fn clean(events: &[&str]) -> RunRecord {
    let mut run = fixtures::empty();
    run.totals.events_by_name = events.iter().map(|event| ((*event).to_owned(), 3)).collect();
    run
}

fn set(runs: Vec<RunRecord>) -> RunSet {
    RunSet { fault_kinds: kinds(), runs, ..fixtures::set() }
}

fn failed() -> Verdict {
    Verdict::Failed { oracle: "O1".into(), evidence: vec![], also: vec![] }
}

fn vacuous() -> Verdict {
    Verdict::Vacuous { missing: "no record crossed the recovery".into() }
}

fn example() -> Coverage {
    Coverage::of(&set(vec![
        clean(&["barrier-injected", "checkpoint-triggered", "job-finished", "sink-committed"]),
        struck(Verdict::Passed, &[("barrier-injected", "kill", "task-manager"), ("sink-committed", "kill", "leader")]),
        struck(failed(), &[("barrier-injected", "kill", "task-manager"), ("failover-begun", "pause", "leader")]),
        struck(vacuous(), &[("sink-committed", "pause", "leader"), ("sink-committed", "kill", "leader")]),
        struck(Verdict::Passed, &[("", "kill", "leader"), ("job-finished", "kill", "leader")]),
        struck(Verdict::Passed, &[("checkpoint-triggered", "damage", "checkpoint-store")]),
    ]))
}

#[test]
fn meaningful_is_what_clean_runs_emit_and_faults_apply_to() {
    let coverage = example();
    // Three events (the end of the job is not counted) times eight pairs of fault and role.
    assert_eq!(coverage.tally(), Tally { hit: 3, meaningful: 24 });
    assert_eq!(coverage.of_kind(&kinds()[0]), Tally { hit: 2, meaningful: 9 });
    assert_eq!(coverage.of_event("barrier-injected"), Tally { hit: 1, meaningful: 8 });
    assert_eq!(coverage.by_the_clock(), 1);
    let outside: Vec<_> = coverage.outside().map(|(id, cell)| (id.event.as_str(), cell.hits)).collect();
    assert_eq!(outside, [("failover-begun", 1), ("job-finished", 1)]);
    assert_eq!(coverage.empty().len(), 21);
}

#[test]
fn a_cell_has_the_worst_verdict_and_vacuous_runs_prove_nothing() {
    let coverage = example();
    let verdict = |event, fault, role| coverage.cell(event, fault, role).and_then(Cell::verdict);
    assert_eq!(verdict("barrier-injected", "kill", "task-manager"), Some(Class::Failed));
    assert_eq!(verdict("sink-committed", "kill", "leader"), Some(Class::Passed), "the vacuous run has no say");
    assert_eq!(verdict("sink-committed", "pause", "leader"), Some(Class::Vacuous));
    let only_vacuous = CellId { event: "sink-committed".into(), fault: "pause".into(), role: "leader".into() };
    assert!(coverage.empty().contains(&only_vacuous));
}

#[test]
fn one_run_that_strikes_a_cell_twice_is_two_strikes_of_one_run() {
    let twice = struck(Verdict::Passed, &[("a", "kill", "leader"), ("a", "kill", "leader")]);
    let coverage = Coverage::of(&set(vec![clean(&["a"]), twice]));
    let cell = coverage.cell("a", "kill", "leader").unwrap();
    assert_eq!((cell.hits, &cell.verdicts), (2, &BTreeMap::from([(Class::Passed, 1)])));
}

#[test]
fn without_a_clean_run_or_a_catalogue_there_is_no_grid() {
    assert_eq!(Coverage::of(&set(vec![])).check(), Err(NoGrid::NoCleanRun));
    // Not built, so no event was emitted.
    assert_eq!(Coverage::of(&set(vec![clean(&[])])).check(), Err(NoGrid::NoCleanRun));
    let no_kinds = RunSet { fault_kinds: vec![], ..set(vec![clean(&["a"])]) };
    assert_eq!(Coverage::of(&no_kinds).check(), Err(NoGrid::NoFaultKinds));
    let text = text::summary(&Coverage::of(&set(vec![])));
    assert!(text.starts_with("coverage: unknown: there is no run without faults"), "{text}");
}

#[test]
fn a_gate_is_exact() {
    let third = Tally { hit: 3, meaningful: 5 };
    assert!(third.reaches(60.0) && !third.reaches(60.1));
    assert!(!Tally::default().reaches(0.0), "of no cells, none was hit");
}

#[test]
fn the_grid_on_a_wide_terminal() {
    let coverage = example();
    insta::assert_snapshot!(
        "grid",
        format!("{}\n\n{}", text::summary(&coverage), text::grid(&coverage, 100, Color::No))
    );
}

#[test]
fn the_grid_on_a_narrow_terminal() {
    insta::assert_snapshot!("grid_narrow", text::grid(&example(), 43, Color::No));
}

#[test]
fn the_tables_around_the_grid() {
    let coverage = example();
    let tables = [text::by_kind(&coverage), text::outside(&coverage), text::empty(&coverage)];
    insta::assert_snapshot!("tables", tables.map(|table| table.text(0, Color::No)).join("\n"));
}

#[test]
fn the_grid_as_json() {
    let document: serde_json::Value = serde_json::from_str(&json::to_string(&example())).unwrap();
    assert_eq!((document["meaningful"].as_u64(), document["hit"].as_u64()), (Some(24), Some(3)));
    assert_eq!(document["percent"].as_f64(), Some(12.5));
    assert_eq!(document["empty"].as_array().map(Vec::len), Some(21));
    assert_eq!(document["cells"][0]["verdict"], "failed");
}

#[test]
fn hostile_names_stay_text() {
    let hostile = "</title><script>alert(1)</script>\x1b[2J\n";
    let mut set =
        set(vec![clean(&[hostile]), struck(failed(), &[(hostile, "kill", "leader"), ("x", hostile, hostile)])]);
    set.fault_kinds.push(kind(hostile, hostile, &[hostile]));
    let coverage = Coverage::of(&set);
    let page = html::page(&coverage, hostile);
    assert!(!page.contains("<script") && !page.contains('\x1b'));
    for text in [text::grid(&coverage, 80, Color::No), text::empty(&coverage).text(0, Color::No)] {
        assert!(!text.contains('\x1b'), "{text}");
    }
}

/// Names come from short lists, so that runs meet in cells. Some are of no kind, of no role, or of no event of a clean
/// run.
fn any_set() -> impl Strategy<Value = RunSet> {
    let name = |names: &'static [&'static str]| prop::sample::select(names);
    let hit = (
        name(&["", "a", "b", "c", "job-finished"]),
        name(&["kill", "pause", "damage", "new"]),
        name(&["leader", "task-manager", "moon"]),
    );
    let verdict = prop::sample::select(vec![Verdict::Passed, failed(), vacuous()]);
    let run = (verdict, prop::collection::vec(hit, 0..6)).prop_map(|(verdict, hits)| struck(verdict, &hits));
    let clean = prop::collection::vec(name(&["a", "b", "job-finished"]), 0..3).prop_map(|events| clean(&events));
    prop::collection::vec(prop_oneof![3 => run, 1 => clean], 0..8).prop_map(set)
}

proptest! {
    #[test]
    fn every_strike_is_counted_once(set in any_set()) {
        let coverage = Coverage::of(&set);
        let strikes = set.runs.iter().flat_map(|run| &run.faults).map(|fault| fault.hits.len() as u64).sum::<u64>();
        let inside = coverage.meaningful().iter().filter_map(|id| coverage.cells.get(id)).map(|cell| cell.hits).sum::<u64>();
        let outside = coverage.outside().map(|(_, cell)| cell.hits).sum::<u64>();
        prop_assert_eq!(inside + outside + coverage.by_the_clock(), strikes, "COVERAGE-C1");
    }

    #[test]
    fn rows_and_columns_sum_to_the_grid(set in any_set()) {
        let coverage = Coverage::of(&set);
        let sum = |tallies: Vec<Tally>| tallies.iter().fold((0, 0), |(hit, all), tally| (hit + tally.hit, all + tally.meaningful));
        let all = coverage.tally();
        prop_assert_eq!(sum(coverage.events().map(|event| coverage.of_event(event)).collect()), (all.hit, all.meaningful));
        prop_assert_eq!(sum(coverage.kinds().iter().map(|kind| coverage.of_kind(kind)).collect()), (all.hit, all.meaningful));
        prop_assert_eq!(coverage.empty().len() as u64, all.meaningful - all.hit);
        prop_assert_eq!(all.reaches(100.0), all.meaningful > 0 && coverage.empty().is_empty());
    }

    #[test]
    fn merging_sets_is_counting_all_their_runs(set in any_set(), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(set.runs.len() + 1);
        let (one, other) = set.runs.split_at(cut);
        let part = |runs: &[RunRecord]| Coverage::of(&RunSet { runs: runs.to_vec(), ..set.clone() });
        let mut merged = part(one);
        merged.merge(&part(other));
        prop_assert_eq!(merged, Coverage::of(&set), "COVERAGE-C2");
    }

    #[test]
    fn no_line_of_the_grid_is_wider_than_the_terminal(set in any_set(), width in 60..200usize) {
        let coverage = Coverage::of(&set);
        let grid = text::grid(&coverage, width, Color::No);
        // The explanation of the marks is one sentence, and is not wrapped.
        for line in grid.lines().take(grid.lines().count().saturating_sub(2)) {
            prop_assert!(line.chars().count() <= width, "{line}");
        }
    }
}
