//! The seam between a plan and whatever it is run on.
//!
//! A target brings the cluster of a plan up, tells the [`Director`] what happens, lets it strike, and brings the outcome home. The
//! scenario, the director, the oracles, the measurements and the report are the same for every target; what one cannot do it says before
//! the run ([`Target::offers`]), and what it cannot show is missing from the sections of its outcome. There are three: the simulator,
//! [`crate::run::Simulator`], real processes, [`crate::process::RealProcesses`], and an Apache Flink, [`crate::flink::ApacheFlink`]. A plan says which one it is for
//! ([`RunPlan::target`]).

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

    /// The first thing that the plan asks for and that this target cannot do, apart from what its offers say: a job that it has no program
    /// for, say.
    fn lacks(&self, plan: &RunPlan, jobs: &Jobs) -> Option<Missing> {
        let _ = (plan, jobs);
        None
    }

    /// What of the plan is otherwise on this target, without being asked for by a fault or an expectation: the setting, and what it is
    /// here. The record shows it.
    fn departures(&self, plan: &RunPlan) -> Vec<(String, String)> {
        let _ = plan;
        Vec::new()
    }

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
    /// Events that it does not tell, at which nothing can strike.
    pub untold: BTreeSet<&'static str>,
    /// Whether a record, or a byte of state, can stand for more than one.
    pub weights: bool,
    /// Whether the same plan always gives the same run, trace hash and all: only then can timing be drawn anew in mid-run, and two runs be
    /// held against each other ([`require_repeatable`]).
    pub repeats: bool,
    /// Whether a run can begin in a copy of the stores (O10).
    pub resumes: bool,
    /// Sections that its outcomes show.
    pub sections: BTreeSet<Section>,
}

/// Something that a plan asks for and a target does not offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Where the scenario asks for it.
    pub path: String,
    /// What it is.
    pub what: String,
    /// What to write instead.
    pub remedy: String,
}

impl Offers {
    /// Everything there is.
    pub fn everything() -> Self {
        Self {
            faults: Kind::ALL.iter().copied().collect(),
            at_events: true,
            untold: BTreeSet::new(),
            weights: true,
            repeats: true,
            resumes: true,
            sections: Section::all(),
        }
    }

    /// The first thing that the plan asks for and the target does not offer.
    pub fn missing(&self, plan: &RunPlan) -> Option<Missing> {
        let fault = plan.faults.iter().find_map(|fault| {
            let kind = Kind::of(&fault.action);
            let at_event = matches!(fault.trigger, Trigger::On(_) | Trigger::Each(_));
            if !self.faults.contains(&kind) {
                let names: Vec<&str> = self.faults.iter().map(|kind| kind.name()).collect();
                Some(Missing {
                    path: format!("fault[{}].do", fault.id),
                    what: format!("fault {}: `{}`", fault.id, kind.name()),
                    remedy: format!("take one of its kinds of faults ({}), or another target", names.join(", ")),
                })
            } else if at_event && !self.at_events {
                Some(Missing {
                    path: format!("fault[{}].on", fault.id),
                    what: format!("fault {}: to strike at an event", fault.id),
                    remedy: "strike at a time: at = \"2s\"".into(),
                })
            } else {
                let event = fault.trigger.event().and_then(|event| self.untold.get(event));
                event.map(|event| Missing {
                    path: format!("fault[{}].on", fault.id),
                    what: format!("fault {}: to strike at `{event}`, which it does not tell", fault.id),
                    remedy: "strike at another event, or at a time: at = \"2s\"".into(),
                })
            }
        });
        let cluster = &plan.cluster;
        let weight = [("record_weight", cluster.record_weight), ("state_weight", cluster.state_weight)];
        let weight = weight.into_iter().find(|(_, weight)| *weight != 1 && !self.weights);
        let weight = weight.map(|(key, weight)| Missing {
            path: format!("cluster.{key}"),
            what: format!("`{key} = {weight}`: what is there once counts once"),
            remedy: format!("leave {key} out, or take another target"),
        });
        let redrawn = (!plan.redraws.is_empty() && !self.repeats).then(|| Missing {
            path: "redraws".into(),
            what: "timing that is drawn anew in mid-run".into(),
            remedy: "leave redraws out, or take another target".into(),
        });
        fault.or(weight).or(redrawn)
    }
}

/// Why runs of a target are not held against each other: its times and its order of events are other ones in each run, so a
/// difference would say nothing of the engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{by} compares runs of one plan, and the target `{target}` gives another trace each time")]
pub struct NotRepeatable {
    /// What was to compare them: a command or an option.
    pub by: &'static str,
    /// The target's name.
    pub target: &'static str,
}

impl NotRepeatable {
    /// What to do instead.
    pub const REMEDY: &'static str = "use the simulator, or leave the comparison out";
}

/// Refuses a comparison of runs, `by` a command or an option, on a target whose runs of one plan differ from each other.
pub fn require_repeatable(target: &'static str, offers: &Offers, by: &'static str) -> Result<(), NotRepeatable> {
    if offers.repeats { Ok(()) } else { Err(NotRepeatable { by, target }) }
}
