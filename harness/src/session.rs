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
    /// What one run shows: for many seeds.
    Quick,
    /// Also whether the job can be restored from its checkpoints (O10): at most as much work again.
    Full,
}

/// Runs a plan and says what it proved, as far as the run itself shows. `replay` is the command that runs it again.
///
/// # Panics
/// As [`execute_to`].
pub fn execute(plan: &RunPlan, jobs: &Jobs, mutations: &[Mutation], replay: String) -> (RunRecord, Outcome) {
    execute_to(Depth::Quick, plan, jobs, mutations, replay)
}

/// Runs a plan and says what it proved.
///
/// # Panics
/// If the machine cannot keep the run: that is no verdict.
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

/// Runs a plan on a target and says what it proved; `Err`: the machine could not keep the run, which therefore proved nothing.
pub fn try_execute(
    target: &dyn Target,
    depth: Depth,
    plan: &RunPlan,
    jobs: &Jobs,
    replay: String,
) -> Result<(RunRecord, Outcome), Environment> {
    // Before the run, and of its plan alone.
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
        // A crashed run has no output worth judging; the panic is the verdict.
        End::Panicked(_) | End::NoYield(_) => Default::default(),
        _ => oracles::judge(&Case::new(plan, &outcome, jobs, &inputs, &resumed)),
    };
    broken.into_inner()?;
    // State is read back from files, too.
    if environment::needs_disk(plan)
        && let Some(environment) = violations
            .iter()
            .filter(|violation| violation.oracle == "O2")
            .find_map(|violation| environment::told_in(&violation.evidence))
    {
        return Err(environment);
    }
    // They hold on to all that was in the stores.
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
