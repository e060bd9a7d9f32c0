//! One plan from beginning to end: run, judge, measure. Start at [`try_execute`].

use std::cell::RefCell;

use flowquake_engine::config::BackendKind;
use flowquake_engine::env::InputFiles;
use flowquake_engine::mutation::Mutation;
use flowquake_reports::record::{RunRecord, Verdict};
use serde::{Deserialize, Serialize};

use crate::environment::{self, Environment};
use crate::jobs::Jobs;
use crate::oracles::{Case, restorable};
use crate::outcome::{End, Outcome, StoreCopy};
use crate::plan::RunPlan;
use crate::predict::foresee;
use crate::run::{run_from, run_with_copies};
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
    try_execute(depth, plan, jobs, mutations, replay)
        .unwrap_or_else(|broken| panic!("the environment: {broken}\n  help: {}", broken.remedy))
}

/// Runs a plan and says what it proved; `Err`: the machine could not keep the run, which therefore proved nothing.
pub fn try_execute(
    depth: Depth,
    plan: &RunPlan,
    jobs: &Jobs,
    mutations: &[Mutation],
    replay: String,
) -> Result<(RunRecord, Outcome), Environment> {
    // Before the run, and of its plan alone.
    let plan = &foresee(plan, jobs);
    if let Some(feature) = not_built(plan) {
        let outcome = Outcome::nothing();
        let verdict = Verdict::NotBuilt { feature: feature.into() };
        return Ok((measure::record(plan, &outcome, 0, verdict, Vec::new(), replay), outcome));
    }
    let calm = RunPlan { faults: Vec::new(), prediction: None, ..plan.clone() };
    let copies = if depth == Depth::Full { restorable::COPIES } else { 0 };
    let mut outcome = run_with_copies(plan, jobs, mutations, copies);
    let sound = |outcome: &Outcome| outcome.environment_at_fault(plan).map_or(Ok(()), Err);
    sound(&outcome)?;
    let inputs = InputFiles::default();
    let broken = RefCell::new(Ok(()));
    let resumed = |copy: &StoreCopy| {
        let resumed = run_from(&calm, jobs, mutations, copy);
        if let Err(environment) = sound(&resumed) {
            *broken.borrow_mut() = Err(environment);
        }
        resumed
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
    Ok((measure::record(plan, &outcome, sources, verdict, oracles, replay), outcome))
}

fn not_built(plan: &RunPlan) -> Option<&'static str> {
    let backend = plan.job.config.backend;
    (backend == BackendKind::RocksDb && !backend.is_built()).then_some("rocksdb")
}
