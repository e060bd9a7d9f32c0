//! How small failures become, and in how many runs: tried on planted bugs, in drawn plans, in the way in which users
//! meet failures.
//!
//! `cargo test -p flowquake-scenarios --test scenarios shrinking -- --ignored --nocapture` prints the table of `benches/README.md`.

use std::collections::BTreeSet;

use flowquake::cli::catalogue;
use flowquake::jobs::Jobs;
use flowquake::plan::RunPlan;
use flowquake::scenario::plan_problems;
use flowquake::session::execute;
use flowquake::shrink::{Budget, Failure, Shrunk, only_struck, shrink};
use flowquake_engine::mutation::Mutation;
use flowquake_reports::record::RunRecord;
use flowquake_scenarios::museum::MUSEUM;

use super::named;

/// The budget that `flowquake shrink` uses by default.
const BUDGET: Budget = Budget { runs: 500, schedules: 3 };

fn record(plan: &RunPlan, bug: Mutation) -> RunRecord {
    execute(plan, &Jobs::builtin(), &[bug], String::new()).0
}

/// The first plan of a swarm that fails with the bug, and its record.
fn found(swarm: &str, bug: Mutation, seeds: u64) -> Option<(u64, RunPlan, RunRecord)> {
    let scenario = named(swarm);
    (1..=seeds).find_map(|seed| {
        let plan = scenario.plan(seed);
        let record = record(&plan, bug);
        Failure::of(&record.verdict).is_some().then_some((seed, plan, record))
    })
}

fn shrunk(plan: &RunPlan, found: &RunRecord, bug: Mutation) -> Shrunk {
    let failure = Failure::of(&found.verdict).expect("it was found because it fails");
    let struck: BTreeSet<u32> =
        found.faults.iter().filter(|fault| fault.struck_at_ns.is_some()).map(|fault| fault.id).collect();
    let catalogue = catalogue(&Jobs::builtin());
    let may_run = |plan: &RunPlan| plan_problems(plan, &catalogue).is_empty();
    let fails =
        |_, _: &RunPlan, candidate: &RunPlan| Failure::of(&record(candidate, bug).verdict).as_ref() == Some(&failure);
    shrink(plan.clone(), only_struck(plan, &struck), BUDGET, may_run, fails)
}

#[test]
fn a_failure_among_many_faults_shrinks_to_a_few_in_two_hundred_runs() {
    let bug = Mutation::ForgetPendingTransactions;
    let (_, plan, record) = found("many-faults", bug, 40).expect("one of forty seeds fails");
    let small = shrunk(&plan, &record, bug);
    assert!(
        small.plan.faults.len() <= 3 && small.runs <= 200,
        "{} faults, {} runs: {:?}",
        small.plan.faults.len(),
        small.runs,
        small.steps
    );
    assert!(Failure::of(&self::record(&small.plan, bug).verdict).is_some());
}

#[test]
#[ignore = "some minutes; it prints the table of benches/README.md"]
fn failures_of_planted_bugs_become_small() {
    println!("| planted bug | found | failure | faults | runs |");
    println!("|---|---|---|---|---|");
    let mut worst = (0, 0);
    for bug in MUSEUM.iter().map(|exhibit| exhibit.mutation).collect::<BTreeSet<_>>() {
        let name = serde_json::to_value(bug).expect("a name");
        let name = name.as_str().expect("a name");
        let Some((swarm, (seed, plan, record))) =
            ["many-faults", "odd-shapes"].into_iter().find_map(|swarm| Some((swarm, found(swarm, bug, 60)?)))
        else {
            println!("| `{name}` | not within 120 seeds | | | |");
            continue;
        };
        let small = shrunk(&plan, &record, bug);
        let (before, after) = (plan.faults.len(), small.plan.faults.len());
        let stopped = if small.stopped { ", stopped" } else { "" };
        println!(
            "| `{name}` | `{swarm}`, seed {seed} | {} | {before} to {after} | {}{stopped} |",
            record.verdict.headline(),
            small.runs
        );
        worst = (worst.0.max(after), worst.1.max(small.runs));
    }
    println!("at most {} faults and {} runs", worst.0, worst.1);
}
