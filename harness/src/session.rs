//! One plan from beginning to end: run, judge, measure. Start at [`execute`].

use flowquake_engine::config::BackendKind;
use flowquake_engine::env::InputFiles;
use flowquake_engine::mutation::Mutation;
use flowquake_reports::record::{RunRecord, Verdict};

use crate::jobs::Jobs;
use crate::oracles::restorable;
use crate::plan::RunPlan;
use crate::predict::foresee;
use crate::run::{End, Outcome, run_from, run_with_copies};
use crate::{measure, oracles, verdict};

/// How much is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// What one run shows: for many seeds.
    Quick,
    /// Also whether the job can be restored from its checkpoints (O10): at most as much work again.
    Full,
}

/// Runs a plan and says what it proved, as far as the run itself shows. `replay` is the command that runs it again.
pub fn execute(plan: &RunPlan, jobs: &Jobs, mutations: &[Mutation], replay: String) -> (RunRecord, Outcome) {
    execute_to(Depth::Quick, plan, jobs, mutations, replay)
}

/// Runs a plan and says what it proved.
pub fn execute_to(
    depth: Depth,
    plan: &RunPlan,
    jobs: &Jobs,
    mutations: &[Mutation],
    replay: String,
) -> (RunRecord, Outcome) {
    // Before the run, and of its plan alone.
    let plan = &foresee(plan, jobs);
    if let Some(feature) = not_built(plan) {
        let outcome = Outcome::nothing();
        let verdict = Verdict::NotBuilt { feature: feature.into() };
        return (measure::record(plan, &outcome, 0, verdict, Vec::new(), replay), outcome);
    }
    let calm = RunPlan { faults: Vec::new(), prediction: None, ..plan.clone() };
    let copies = if depth == Depth::Full { restorable::COPIES } else { 0 };
    let mut outcome = run_with_copies(plan, jobs, mutations, copies);
    let inputs = InputFiles::default();
    let (oracles, violations) = match outcome.end {
        // A crashed run has no output worth judging; the panic is the verdict.
        End::Panicked(_) | End::NoYield => Default::default(),
        _ => oracles::judge(plan, &outcome, jobs, &inputs, &|copy| run_from(&calm, jobs, mutations, copy)),
    };
    // They hold on to all that was in the stores.
    outcome.copies.clear();
    let verdict = verdict::decide(plan, &outcome, &violations);
    let sources = measure::sources(plan, jobs, &inputs);
    (measure::record(plan, &outcome, sources, verdict, oracles, replay), outcome)
}

fn not_built(plan: &RunPlan) -> Option<&'static str> {
    let backend = plan.job.config.backend;
    (backend == BackendKind::RocksDb && !backend.is_built()).then_some("rocksdb")
}
