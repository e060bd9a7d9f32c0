//! What an oracle is (its entry in the catalogue), and what it is given to judge.

use std::cell::OnceCell;

use flowquake_engine::env::InputFiles;

use super::output;
use crate::finding::Finding;
use crate::jobs::Jobs;
use crate::outcome::{Outcome, Section, StoreCopy};
use crate::plan::RunPlan;

/// Everything known about one oracle. The entry stands at the top of the oracle's file.
pub struct Oracle {
    /// `O1` and so on; an id is never reused for another property.
    pub id: &'static str,
    /// What must hold, in one line.
    pub property: &'static str,
    /// What the oracle counts as judged.
    pub unit: &'static str,
    /// The oracle's place in the order of causes; of several violations the one with the lowest rank is reported first.
    /// Without one owner (O6) anything may follow. Without the files of a checkpoint (O3) its restore fails. Output
    /// that is visible too early (O5) and failovers without a cause (O8) lead to wrong output (O1, O2), not the other
    /// way round. What a restored job does (O10), what is left over (O4) and what takes too long (O9, O7) are
    /// consequences of all of these.
    pub rank: u8,
    /// Sections of the outcome that the oracle cannot judge without.
    pub needs: &'static [Section],
    /// Sections that let the oracle judge more closely, if all of them are there. With them O1 judges checkpoint by
    /// checkpoint instead of the whole output.
    pub prefers: &'static [Section],
    /// Judges.
    pub(super) judge: fn(&Case) -> Finding,
}

/// A run to judge.
pub struct Case<'a> {
    /// What was to be run.
    pub plan: &'a RunPlan,
    /// What happened.
    pub outcome: &'a Outcome,
    /// The registry that holds the plan's job.
    pub jobs: &'a Jobs,
    /// Input files, read once.
    pub inputs: &'a InputFiles,
    /// Continues the job from a copy of the stores, without faults.
    pub resume: &'a dyn Fn(&StoreCopy) -> Outcome,
    /// Content and order are judged in one pass; each oracle takes its part of the result.
    output: OnceCell<(Finding, Finding)>,
}

impl<'a> Case<'a> {
    /// A run of `plan`.
    pub fn new(
        plan: &'a RunPlan,
        outcome: &'a Outcome,
        jobs: &'a Jobs,
        inputs: &'a InputFiles,
        resume: &'a dyn Fn(&StoreCopy) -> Outcome,
    ) -> Self {
        Self { plan, outcome, jobs, inputs, resume, output: OnceCell::new() }
    }

    /// The findings on content, and on order and state.
    pub(super) fn output(&self) -> &(Finding, Finding) {
        self.output.get_or_init(|| output::judge(self.plan, self.outcome, self.jobs, self.inputs))
    }
}
