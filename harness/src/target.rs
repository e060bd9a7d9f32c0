//! The seam between a plan and whatever it is run on.
//!
//! A target brings the cluster of a plan up, tells the [`Director`] what happens, lets it strike, and brings the outcome home. The
//! scenario, the director, the oracles, the measurements and the report are the same for every target; what one cannot do it says before
//! the run ([`Target::offers`]), and what it cannot show is missing from the sections of its outcome. The simulator is
//! [`crate::run::Simulator`].

use std::collections::BTreeSet;

use crate::director::Director;
use crate::environment::Environment;
use crate::faults::Kind;
use crate::jobs::Jobs;
use crate::outcome::{Outcome, Section, StoreCopy};
use crate::plan::{RunPlan, Trigger};

/// Something that a plan can be run on.
pub trait Target: Sync {
    /// Its name in records and on the command line.
    fn name(&self) -> &'static str;

    /// What it can do with this plan.
    fn offers(&self, plan: &RunPlan) -> Offers;

    /// Runs the plan under the director; `from`: in stores that hold a copy already, at the instant of which the run begins (only
    /// where [`Offers::resumes`]). `Err`: the machine could not keep the run, which therefore proved nothing.
    fn run(
        &self,
        plan: &RunPlan,
        jobs: &Jobs,
        from: Option<&StoreCopy>,
        director: Director,
    ) -> Result<Outcome, Environment>;
}

/// What a target can do with a plan. What it does not offer is never tried, and never a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offers {
    /// Kinds of faults that it can strike with.
    pub faults: BTreeSet<Kind>,
    /// Whether a fault can strike at an event, before its emitter's next instruction; otherwise at times only.
    pub at_events: bool,
    /// Whether a run can begin in a copy of the stores (O10).
    pub resumes: bool,
    /// Sections that its outcomes show.
    pub sections: BTreeSet<Section>,
    /// Whether the same plan always gives the same trace hash. Only then may two runs be held against each other
    /// ([`require_deterministic`]).
    pub deterministic: bool,
}

impl Offers {
    /// Everything there is.
    pub fn everything() -> Self {
        Self {
            faults: Kind::ALL.iter().copied().collect(),
            at_events: true,
            resumes: true,
            sections: Section::all(),
            deterministic: true,
        }
    }

    /// The first thing that the plan asks for and the target does not offer, by its path in the scenario.
    pub fn missing(&self, plan: &RunPlan) -> Option<String> {
        plan.faults.iter().find_map(|fault| {
            let kind = Kind::of(&fault.action);
            let at_event = matches!(fault.trigger, Trigger::On(_) | Trigger::Each(_));
            if !self.faults.contains(&kind) {
                Some(format!("fault {}: `{}`", fault.id, kind.spec().name))
            } else if at_event && !self.at_events {
                Some(format!("fault {}: to strike at an event", fault.id))
            } else {
                None
            }
        })
    }
}

/// Why runs of a target are not held against each other: its times and its order of events are other ones in each run, so a
/// difference would say nothing of the engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{by} compares runs of one plan, and the target `{target}` gives another trace each time")]
pub struct NotDeterministic {
    /// What was to compare them: a command or an option.
    pub by: &'static str,
    /// The target's name.
    pub target: &'static str,
}

impl NotDeterministic {
    /// What to do instead.
    pub const REMEDY: &'static str = "use the simulator, or leave the comparison out";
}

/// Refuses a comparison of runs, `by` a command or an option, on a target whose runs of this plan differ from each other.
pub fn require_deterministic(target: &dyn Target, plan: &RunPlan, by: &'static str) -> Result<(), NotDeterministic> {
    match target.offers(plan).deterministic {
        true => Ok(()),
        false => Err(NotDeterministic { by, target: target.name() }),
    }
}
