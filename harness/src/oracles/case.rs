//! What an oracle is: its entry in the catalogue, and what it is given to judge.

use std::cell::OnceCell;

use flowquake_engine::env::InputFiles;

use super::output;
use crate::finding::Finding;
use crate::jobs::Jobs;
use crate::outcome::{Outcome, Section, StoreCopy};
use crate::plan::RunPlan;

/// All that is known of one oracle, in one place: its entry stands at the top of its file.
pub struct Oracle {
    /// `O1` …; never given to another property.
    pub id: &'static str,
    /// What must hold, in one line.
    pub property: &'static str,
    /// What it counts as judged.
    pub unit: &'static str,
    /// Its place where one violation brings about another; the lowest is told first, as the cause. Without one owner (O6)
    /// anything may follow; without the files of a checkpoint (O3) its restore fails; output that is visible too early (O5) and
    /// failovers out of nothing (O8) make wrong output (O1, O2), not the other way round; what a restored job does (O10), what
    /// is left over (O4) and what takes too long (O9, O7) are consequences of all of them.
    pub rank: u8,
    /// Sections of the outcome without which it cannot judge.
    pub needs: &'static [Section],
    /// Sections with which it judges more closely, all of them or none: O1 checkpoint by checkpoint, and not only the whole output.
    pub prefers: &'static [Section],
    /// Judges.
    pub(super) judge: fn(&Case) -> Finding,
}

/// A run to be judged.
pub struct Case<'a> {
    /// What was to be run.
    pub plan: &'a RunPlan,
    /// What came of it.
    pub outcome: &'a Outcome,
    /// The registry that holds the plan's job.
    pub jobs: &'a Jobs,
    /// Input files, read once.
    pub inputs: &'a InputFiles,
    /// Runs the job on from a copy of the stores, without faults.
    pub resume: &'a dyn Fn(&StoreCopy) -> Outcome,
    /// Content and order are judged in one pass, of which each oracle takes its part.
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

    /// What is said of content, and of order and state.
    pub(super) fn output(&self) -> &(Finding, Finding) {
        self.output.get_or_init(|| output::judge(self.plan, self.outcome, self.jobs, self.inputs))
    }
}
