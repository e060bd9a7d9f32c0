//! Makes a failing plan smaller, as long as it fails in the same way.
//!
//! Start at [`shrink`]. It tries one kind of cut after the other, large cuts first. When a smaller plan still fails, it
//! goes on from that plan with the same kind of cut. It ends when a round over all kinds makes nothing smaller, or the
//! budget of runs is used up. [`Failure`] is what must stay the same. Nothing is run here: the caller passes a function
//! that tries a plan.
//!
//! Invariants: (SHRINK-K1) the result fails, since it was tried; (SHRINK-K2) no plan is tried twice; (SHRINK-K3) every
//! step makes the plan smaller, so the search ends. Source: Zeller and Hildebrandt, "Simplifying and Isolating
//! Failure-Inducing Input", 2002 (delta debugging).

use std::collections::BTreeSet;

use flowquake_engine::env::draw;
use flowquake_reports::record::Verdict;
use xxhash_rust::xxh3::xxh3_64;

use crate::plan::RunPlan;

mod candidates;

pub use candidates::only_struck;
use candidates::{candidates, cuts};

/// The way in which a run failed. Two failures of the same way may differ in the record and the time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// [`Verdict::label`].
    class: &'static str,
    /// The oracle or expectation that was violated, if the class has one.
    oracle: Option<String>,
}

impl std::fmt::Display for Failure {
    /// Such as `failed O1`, `stuck`.
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
            | Verdict::Uncertain { .. }
            | Verdict::Nondeterministic { .. }
            | Verdict::NotBuilt { .. }
            | Verdict::NotOffered { .. } => {
                return None;
            }
        };
        Some(Self { class: verdict.label(), oracle })
    }
}

/// Limits of the search.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Total number of runs.
    pub runs: u64,
    /// Schedules to try per candidate, because a smaller plan may need another order of tasks to fail. One is enough if
    /// the plan fails with every schedule.
    pub schedules: u64,
}

/// The result of shrinking.
#[derive(Debug)]
pub struct Shrunk {
    /// The smallest plan found that fails.
    pub plan: RunPlan,
    /// What was cut, in order.
    pub steps: Vec<String>,
    /// Number of runs made.
    pub runs: u64,
    /// Whether the budget was used up before every smaller plan was tried, so that more runs might find a smaller one.
    pub stopped: bool,
}

/// Shrinks `plan`, which fails. The candidates of `first` are tried before all others. `may_run` refuses plans that
/// break a rule, without a run. `fails` makes one run, and says whether it failed in the same way; it gets the number
/// of the run and the smallest plan so far, for its progress bar, and the plan to try.
pub fn shrink(
    plan: RunPlan,
    first: Option<(String, RunPlan)>,
    budget: Budget,
    may_run: impl Fn(&RunPlan) -> bool,
    fails: impl FnMut(u64, &RunPlan, &RunPlan) -> bool,
) -> Shrunk {
    let tried = BTreeSet::from([fingerprint(&plan)]);
    let shrunk = Shrunk { plan, steps: Vec::new(), runs: 0, stopped: false };
    let mut search = Search { shrunk, tried, budget, may_run, fails };
    search.measure_luck();
    if let Some(first) = first {
        search.try_out(vec![first]);
    }
    loop {
        let before = search.shrunk.steps.len();
        for cut in cuts(&search.shrunk.plan) {
            while search.try_out(candidates(&search.shrunk.plan, cut)) {}
        }
        if search.shrunk.stopped || search.shrunk.steps.len() == before {
            return search.shrunk;
        }
    }
}

struct Search<M, F> {
    shrunk: Shrunk,
    tried: BTreeSet<u64>,
    budget: Budget,
    may_run: M,
    fails: F,
}

impl<M: Fn(&RunPlan) -> bool, F: FnMut(u64, &RunPlan, &RunPlan) -> bool> Search<M, F> {
    /// A plan that fails with every schedule needs only one schedule per candidate.
    fn measure_luck(&mut self) {
        let always = (1..self.budget.schedules).all(|n| self.fails_with(&self.shrunk.plan.clone(), n));
        if always && !self.shrunk.stopped {
            self.budget.schedules = 1;
        }
    }

    /// Goes on from the first candidate that fails; returns whether there is one.
    fn try_out(&mut self, candidates: Vec<(String, RunPlan)>) -> bool {
        for (what, candidate) in candidates {
            if !self.tried.insert(fingerprint(&candidate)) || !(self.may_run)(&candidate) {
                continue;
            }
            for n in 0..self.budget.schedules.max(1) {
                if self.fails_with(&candidate, n) {
                    self.shrunk.plan = scheduled(&candidate, n);
                    self.shrunk.steps.push(what);
                    return true;
                }
            }
        }
        false
    }

    /// Whether the plan fails with the `n`-th schedule; `false` once the budget is used up.
    fn fails_with(&mut self, plan: &RunPlan, n: u64) -> bool {
        if self.shrunk.runs >= self.budget.runs {
            self.shrunk.stopped = true;
            return false;
        }
        self.shrunk.runs += 1;
        (self.fails)(self.shrunk.runs, &self.shrunk.plan, &scheduled(plan, n))
    }
}

/// The plan with the `n`-th schedule; the first one is the plan's own.
fn scheduled(plan: &RunPlan, n: u64) -> RunPlan {
    let scheduling_seed = match n {
        0 => plan.scheduling_seed,
        n => draw(plan.seed, "shrink schedule", 0, n),
    };
    RunPlan { scheduling_seed, ..plan.clone() }
}

/// A hash that distinguishes plans, whatever their schedule.
fn fingerprint(plan: &RunPlan) -> u64 {
    let plan = RunPlan { scheduling_seed: 0, ..plan.clone() };
    // Debug text, not JSON, because it cannot fail and has every field.
    xxh3_64(format!("{plan:?}").as_bytes())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fixtures::{kill, on, plan};
    use crate::plan::{EventTrigger, FaultAction, InputSource, Trigger};

    const BUDGET: Budget = Budget { runs: 10_000, schedules: 2 };

    /// A plan with six faults; the fifth waits for the second.
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
        // Fails with one credit, 300 records, a fault at a commit, and a fault before that.
        let fails = |plan: &RunPlan| {
            let commit = plan.faults.iter().position(|f| matches!(&f.trigger, Trigger::On(on) if on.nth > 0));
            plan.job.config.credits == 1 && records(plan) >= 300 && commit.is_some_and(|at| at > 0)
        };
        assert!(fails(&large()));
        let shrunk = shrink(large(), None, BUDGET, |_| true, |_, _, candidate| fails(candidate));
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
        let shrunk = shrink(large(), None, Budget { runs: 57, schedules: 3 }, has_faults, |_, _, candidate| {
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
        let needs_another = |_, _: &RunPlan, candidate: &RunPlan| {
            candidate.scheduling_seed != before && candidate.faults.len() < large().faults.len()
        };
        let shrunk = shrink(large(), None, BUDGET, |_| true, needs_another);
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
