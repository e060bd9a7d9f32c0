//! Makes a failing plan smaller, as long as it fails in the same way.
//!
//! Start at [`shrink`]: it tries the [`candidates`] of a plan, largest cut first, goes on from the first one that still fails,
//! and ends when none does or the budget of runs is spent. [`Failure`] is what must stay. Nothing is run here: whoever calls
//! says how a plan is tried.
//!
//! Invariants: (SHRINK-K1) the result fails, since it was tried; (SHRINK-K2) no plan is tried twice; (SHRINK-K3) every step makes the plan smaller,
//! so the search ends.
//! Source: Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002 (delta debugging).

use std::collections::BTreeSet;

use flowquake_engine::env::draw;
use flowquake_reports::record::Verdict;
use xxhash_rust::xxh3::xxh3_64;

use crate::plan::RunPlan;

mod candidates;

pub use candidates::candidates;

/// The way in which a run failed. Two failures of one way need not tell the same record or the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// [`Verdict::label`].
    class: &'static str,
    /// The oracle or expectation that was violated, if the class has one.
    oracle: Option<String>,
}

impl std::fmt::Display for Failure {
    /// `failed O1`, `stuck`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.oracle {
            Some(oracle) => write!(f, "{} {oracle}", self.class),
            None => f.write_str(self.class),
        }
    }
}

impl Failure {
    /// The failure behind a verdict, if it is one.
    pub fn of(verdict: &Verdict) -> Option<Self> {
        let oracle = match verdict {
            Verdict::Failed { oracle, .. } => Some(oracle.clone()),
            Verdict::Stuck { .. } | Verdict::Crashed { .. } => None,
            Verdict::Passed
            | Verdict::Vacuous { .. }
            | Verdict::Nondeterministic { .. }
            | Verdict::NotBuilt { .. }
            | Verdict::NotOffered { .. } => {
                return None;
            }
        };
        Some(Self { class: verdict.label(), oracle })
    }
}

/// How much may be tried.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Runs in all.
    pub runs: u64,
    /// Schedules per candidate: what is left may need another order of tasks to go wrong.
    pub schedules: u64,
}

/// What came out.
#[derive(Debug)]
pub struct Shrunk {
    /// The smallest plan found that fails.
    pub plan: RunPlan,
    /// What was cut, in order.
    pub steps: Vec<String>,
    /// Runs made.
    pub runs: u64,
    /// The budget of runs was spent before every smaller plan had been tried: more runs might find a smaller one.
    pub stopped: bool,
}

/// Shrinks `plan`, which fails. `may_run` refuses what breaks a rule, at no cost. `fails` makes one run and says whether it
/// failed in the same way; it is given the number of the run and the smallest plan so far, for its progress bar, and the plan
/// to try.
pub fn shrink(
    plan: RunPlan,
    budget: Budget,
    may_run: impl Fn(&RunPlan) -> bool,
    mut fails: impl FnMut(u64, &RunPlan, &RunPlan) -> bool,
) -> Shrunk {
    let mut shrunk = Shrunk { plan, steps: Vec::new(), runs: 0, stopped: false };
    let mut tried = BTreeSet::from([fingerprint(&shrunk.plan)]);
    'smaller: loop {
        for (what, candidate) in candidates(&shrunk.plan) {
            if !tried.insert(fingerprint(&candidate)) || !may_run(&candidate) {
                continue;
            }
            for n in 0..budget.schedules.max(1) {
                if shrunk.runs >= budget.runs {
                    shrunk.stopped = true;
                    return shrunk;
                }
                shrunk.runs += 1;
                let scheduling_seed = match n {
                    0 => candidate.scheduling_seed,
                    n => draw(candidate.seed, "shrink schedule", 0, n),
                };
                let candidate = RunPlan { scheduling_seed, ..candidate.clone() };
                if fails(shrunk.runs, &shrunk.plan, &candidate) {
                    shrunk.plan = candidate;
                    shrunk.steps.push(what);
                    continue 'smaller;
                }
            }
        }
        return shrunk;
    }
}

/// Tells plans apart whatever their schedule.
fn fingerprint(plan: &RunPlan) -> u64 {
    let plan = RunPlan { scheduling_seed: 0, ..plan.clone() };
    // Debug text, not JSON: it cannot fail, and holds every field.
    xxh3_64(format!("{plan:?}").as_bytes())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fixtures::{kill, on, plan};
    use crate::plan::{EventTrigger, FaultAction, InputSource, Trigger};

    const BUDGET: Budget = Budget { runs: 10_000, schedules: 2 };

    /// Six faults; the fifth waits for the second.
    fn large() -> RunPlan {
        let mut plan = plan();
        let waits = EventTrigger { after_fault: Some(2), subtask: Some(1), nth: 3, ..on("sink-committed") };
        plan.faults = (1..=6).map(|id| kill(id, Trigger::At(Duration::from_secs(id.into())))).collect();
        plan.faults[4] = kill(5, Trigger::On(waits));
        for fault in &mut plan.faults {
            if let FaultAction::Kill { restart_after, .. } = &mut fault.action {
                *restart_after = Some(Duration::from_secs(2));
            }
        }
        plan.job.config.credits = 1;
        plan.job.config.buffer_size = 128;
        plan
    }

    fn records(plan: &RunPlan) -> u64 {
        match plan.job.input.source {
            InputSource::Generator { records, .. } => records,
            InputSource::File { .. } => 0,
        }
    }

    #[test]
    fn what_the_failure_does_not_need_is_cut() {
        // Fails with one credit, 300 records, a fault at a commit and one before it.
        let fails = |plan: &RunPlan| {
            let commit = plan.faults.iter().position(|f| matches!(&f.trigger, Trigger::On(on) if on.nth > 0));
            plan.job.config.credits == 1 && records(plan) >= 300 && commit.is_some_and(|at| at > 0)
        };
        assert!(fails(&large()));
        let shrunk = shrink(large(), BUDGET, |_| true, |_, _, candidate| fails(candidate));
        let plan = &shrunk.plan;
        assert!(fails(plan), "SHRINK-K1");
        assert_eq!((plan.faults.len(), plan.job.config.credits), (2, 1), "{:?}", shrunk.steps);
        assert_eq!(plan.job.config.buffer_size, 32 * 1024, "back at its default");
        assert!((300..600).contains(&records(plan)), "{}", records(plan));
        let Trigger::On(trigger) = &plan.faults[1].trigger else { panic!("{:?}", plan.faults) };
        assert_eq!(trigger, &on("sink-committed"));
        assert_eq!(plan.faults.iter().map(|fault| fault.id).collect::<Vec<_>>(), [1, 2]);
        assert!(shrunk.runs < 600 && !shrunk.stopped, "{}", shrunk.runs);
    }

    #[test]
    fn the_budget_is_kept_and_no_plan_is_tried_twice_on_one_schedule() {
        let mut tried = BTreeSet::new();
        let has_faults = |plan: &RunPlan| !plan.faults.is_empty();
        let shrunk = shrink(large(), Budget { runs: 57, schedules: 3 }, has_faults, |_, _, candidate| {
            assert!(has_faults(candidate));
            assert!(tried.insert(format!("{candidate:?}")), "SHRINK-K2");
            false
        });
        assert_eq!((shrunk.runs, tried.len(), shrunk.stopped), (57, 57, true));
        assert_eq!(shrunk.plan, large());
    }

    #[test]
    fn a_failure_that_needs_another_schedule_takes_it_along() {
        let before = large().scheduling_seed;
        let shrunk = shrink(large(), BUDGET, |_| true, |_, _, candidate| candidate.scheduling_seed != before);
        assert_ne!(shrunk.plan.scheduling_seed, before);
        assert_eq!(shrunk.plan.faults.len(), 0);
    }

    #[test]
    fn failures_are_told_apart_by_class_and_oracle() {
        let failed = |oracle: &str, line: &str| Verdict::Failed {
            oracle: oracle.into(),
            evidence: vec![line.into()],
            also: vec![],
        };
        assert_eq!(Failure::of(&failed("O1", "lost 3")), Failure::of(&failed("O1", "lost 4")));
        assert_ne!(Failure::of(&failed("O1", "lost 3")), Failure::of(&failed("O2", "lost 3")));
        assert_ne!(Failure::of(&failed("O1", "")), Failure::of(&Verdict::Stuck { reason: String::new() }));
        assert_eq!(Failure::of(&Verdict::Passed), None);
        assert_eq!(Failure::of(&Verdict::Vacuous { missing: String::new() }), None);
    }
}
