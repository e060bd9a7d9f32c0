//! One plan from beginning to end: run, judge, measure. Start at [`try_execute`].

use std::cell::RefCell;

use flowquake_engine::config::BackendKind;
use flowquake_engine::env::InputFiles;
use flowquake_engine::mutation::Mutation;
use flowquake_reports::record::{RunRecord, Verdict};
use serde::{Deserialize, Serialize};

use crate::director::Director;
use crate::environment::{self, Environment};
use crate::jobs::Jobs;
use crate::oracles::{Case, restorable};
use crate::outcome::{End, Outcome, StoreCopy};
use crate::plan::RunPlan;
use crate::predict::foresee;
use crate::run::Simulator;
use crate::target::Target;
use crate::{measure, oracles, verdict};

/// How much is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Depth {
    /// What the run itself shows; used for many seeds.
    Quick,
    /// Also whether the job can be restored from its checkpoints (O10), which at most doubles the work.
    Full,
}

/// Runs a plan and returns what it proved, as far as the run itself shows. `replay` is the command that runs it again.
///
/// # Panics
/// As [`execute_to`].
pub fn execute(plan: &RunPlan, jobs: &Jobs, mutations: &[Mutation], replay: String) -> (RunRecord, Outcome) {
    execute_to(Depth::Quick, plan, jobs, mutations, replay)
}

/// Runs a plan and returns what it proved.
///
/// # Panics
/// If the machine cannot carry out the run, which is not a verdict.
pub fn execute_to(
    depth: Depth,
    plan: &RunPlan,
    jobs: &Jobs,
    mutations: &[Mutation],
    replay: String,
) -> (RunRecord, Outcome) {
    let target = Simulator::with(mutations);
    try_execute(&target, depth, plan, jobs, replay)
        .unwrap_or_else(|broken| panic!("the environment: {broken}\n  help: {}", broken.remedy))
}

/// Runs a plan on a target and returns what it proved. `Err`: the machine could not carry out the run, so it proved
/// nothing.
pub fn try_execute(
    target: &dyn Target,
    depth: Depth,
    plan: &RunPlan,
    jobs: &Jobs,
    replay: String,
) -> Result<(RunRecord, Outcome), Environment> {
    // Predicted before the run, from the plan alone.
    let plan = &foresee(plan, jobs);
    let offers = target.offers(plan);
    let prevented = match (not_built(plan), offers.missing(plan).or_else(|| target.lacks(plan, jobs))) {
        (Some(feature), _) => Some(Verdict::NotBuilt { feature: feature.into() }),
        (None, Some(missing)) => Some(Verdict::NotOffered { what: missing.what, target: target.name().into() }),
        (None, None) => None,
    };
    if let Some(verdict) = prevented {
        let outcome = Outcome::nothing();
        let record = measure::record(plan, &outcome, 0, verdict, Vec::new(), replay);
        return Ok((RunRecord { target: target.name().into(), ..record }, outcome));
    }
    let calm = RunPlan { faults: Vec::new(), redraws: Vec::new(), prediction: None, ..plan.clone() };
    let copies = if depth == Depth::Full && offers.resumes { restorable::COPIES } else { 0 };
    let sound = |outcome: Outcome| match outcome.environment_at_fault(plan) {
        Some(environment) => Err(environment),
        None => Ok(outcome),
    };
    let mut outcome = target.run(plan, jobs, None, Director::new(plan, copies)).and_then(sound)?;
    let inputs = InputFiles::default();
    let broken = RefCell::new(Ok(()));
    let resumed = |copy: &StoreCopy| {
        let resumed = target.run(&calm, jobs, Some(copy), Director::new(&calm, 0)).and_then(sound);
        resumed.unwrap_or_else(|environment| {
            *broken.borrow_mut() = Err(environment);
            Outcome::nothing()
        })
    };
    let (oracles, violations) = match outcome.end {
        // The output of a crashed run is not judged; the panic is the verdict.
        End::Panicked(_) | End::NoYield(_) => Default::default(),
        _ => oracles::judge(&Case::new(plan, &outcome, jobs, &inputs, &resumed)),
    };
    broken.into_inner()?;
    // State is also read back from files, so the machine may be at fault here, too.
    if environment::needs_disk(plan)
        && let Some(environment) = violations
            .iter()
            .filter(|violation| violation.oracle == "O2")
            .find_map(|violation| environment::told_in(&violation.evidence))
    {
        return Err(environment);
    }
    // The copies hold everything that was in the stores, so they are dropped.
    outcome.copies.clear();
    let verdict = verdict::decide(plan, &outcome, &violations);
    let sources = measure::sources(plan, jobs, &inputs);
    let mut record = measure::record(plan, &outcome, sources, verdict, oracles, replay);
    record.options.extend(target.departures(plan));
    Ok((RunRecord { target: target.name().into(), ..record }, outcome))
}

fn not_built(plan: &RunPlan) -> Option<&'static str> {
    let backend = plan.job.config.backend;
    (backend == BackendKind::RocksDb && !backend.is_built()).then_some("rocksdb")
}
