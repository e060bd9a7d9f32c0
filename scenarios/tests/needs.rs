//! An oracle judges only by the sections that it says it needs, so a target that shows just these gets the same finding
//! (ORACLES-N1).

use flowquake::jobs::Jobs;
use flowquake::oracles::{Case, ORACLES, Oracle, Violation, judge};
use flowquake::outcome::{Outcome, Section, StoreCopy};
use flowquake::plan::RunPlan;
use flowquake::run::{run_from, run_with_copies};
use flowquake_engine::env::InputFiles;
use flowquake_engine::mutation::Mutation;
use flowquake_reports::record::OracleRecord;
use flowquake_scenarios::museum::{MUSEUM, Verdict};

use super::named;

/// What `oracle` finds in a run that shows only these sections.
fn said_of(
    oracle: &Oracle,
    plan: &RunPlan,
    mutations: &[Mutation],
    shown: &[Section],
) -> (OracleRecord, Vec<Violation>) {
    let jobs = Jobs::builtin();
    let calm = RunPlan { faults: Vec::new(), ..plan.clone() };
    let mut outcome: Outcome = run_with_copies(plan, &jobs, mutations, 1);
    Section::ALL.iter().filter(|section| !shown.contains(section)).for_each(|section| outcome.forget(*section));
    let (inputs, resume) = (InputFiles::default(), |copy: &StoreCopy| run_from(&calm, &jobs, mutations, copy));
    let (records, violations) = judge(&Case::new(plan, &outcome, &jobs, &inputs, &resume));
    let record = records.into_iter().find(|record| record.id == oracle.id).expect("every oracle has a record");
    (record, violations.into_iter().filter(|violation| violation.oracle == oracle.id).collect())
}

#[test]
fn sections_that_an_oracle_does_not_need_change_nothing_of_what_it_finds() {
    for exhibit in MUSEUM {
        let Verdict::CaughtBy(by) = exhibit.verdict else { continue };
        let Some(oracle) = ORACLES.iter().find(|oracle| oracle.id == by) else { continue };
        let scenario = named(exhibit.scenario);
        let mut runs = (1..=20).map(|seed| {
            let plan = scenario.plan(seed);
            let whole = said_of(oracle, &plan, &[exhibit.mutation], &Section::ALL);
            (plan, whole)
        });
        let (plan, whole) = runs.find(|(_, (record, _))| !record.held).expect("one of twenty seeds shows the bug");
        let shown = [oracle.needs, oracle.prefers].concat();
        assert_eq!(said_of(oracle, &plan, &[exhibit.mutation], &shown), whole, "{:?}", exhibit.mutation);
    }
    let plan = named("killed-between-checkpoints").plan(1);
    for oracle in ORACLES {
        let whole = said_of(oracle, &plan, &[], &Section::ALL);
        assert!(whole.0.held && whole.0.not_judged.is_none(), "{}", oracle.id);
        assert_eq!(said_of(oracle, &plan, &[], &[oracle.needs, oracle.prefers].concat()), whole, "{}", oracle.id);
        let (closely, coarsely) = (whole.0, said_of(oracle, &plan, &[], oracle.needs).0);
        assert!(coarsely.held && coarsely.judged <= closely.judged, "{}", oracle.id);
    }
}

#[test]
fn an_oracle_without_a_section_that_it_needs_says_so_and_is_no_proof() {
    let plan = named("no-fault").plan(1);
    for oracle in ORACLES {
        for missing in oracle.needs {
            let shown: Vec<Section> = Section::ALL.into_iter().filter(|section| section != missing).collect();
            let (record, violations) = said_of(oracle, &plan, &[], &shown);
            let why = format!("the target does not show {missing}");
            assert_eq!((record.held, record.judged, record.not_judged, violations), (false, 0, Some(why), vec![]));
        }
    }
}
