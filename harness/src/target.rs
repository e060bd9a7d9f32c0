//! The seam between a plan and whatever it is run on.
//!
//! A target brings up the cluster of a plan, tells the [`Director`] what happens, lets the director strike, and returns
//! the outcome. The scenario, the director, the oracles, the measurements and the report are the same for every target.
//! What a target cannot do, it says before the run ([`Target::offers`]); what it cannot show is missing from the
//! sections of its outcome.
//!
//! There are three targets: the simulator ([`crate::run::Simulator`]), real processes
//! ([`crate::process::RealProcesses`]) and an Apache Flink ([`crate::flink::ApacheFlink`]). A plan names the target
//! that it is for ([`RunPlan::target`]).

use std::collections::BTreeSet;

use crate::director::Director;
use crate::environment::Environment;
use crate::faults::Kind;
use crate::jobs::Jobs;
use crate::outcome::{Outcome, Section, StoreCopy};
use crate::plan::{RunPlan, Trigger};

/// Something that a plan can be run on.
pub trait Target: Sync {
    /// The target's name in records and on the command line.
    fn name(&self) -> &'static str;

    /// What the target can do with this plan.
    fn offers(&self, plan: &RunPlan) -> Offers;

    /// The first thing that the plan asks for and that this target cannot do, besides what its [`Offers`] exclude; for
    /// example a job for which the target has no program.
    fn lacks(&self, plan: &RunPlan, jobs: &Jobs) -> Option<Missing> {
        let _ = (plan, jobs);
        None
    }

    /// Settings of the plan that are different on this target although no fault and no expectation asks for it: each setting,
    /// and its value here. The record shows them.
    fn departures(&self, plan: &RunPlan) -> Vec<(String, String)> {
        let _ = plan;
        Vec::new()
    }

    /// Runs the plan under the director. With `from`, the run starts from that copy of the stores, at the instant when
    /// the copy was taken (only where [`Offers::resumes`]). `Err`: the machine could not carry out the run, so the run
    /// proves nothing.
    fn run(
        &self,
        plan: &RunPlan,
        jobs: &Jobs,
        from: Option<&StoreCopy>,
        director: Director,
    ) -> Result<Outcome, Environment>;
}

/// What a target can do with a plan. A plan that asks for more is not run there, and is never counted as passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offers {
    /// Kinds of faults that the target can strike with.
    pub faults: BTreeSet<Kind>,
    /// Whether a fault can strike at an event, before the emitter's next instruction. If not, faults strike at times
    /// only.
    pub at_events: bool,
    /// Events that the target does not report, so nothing can strike at them.
    pub untold: BTreeSet<&'static str>,
    /// Whether a record, or a byte of state, can stand for more than one.
    pub weights: bool,
    /// Whether the same plan always gives the same run, trace hash included. Only then can timing be redrawn in the
    /// middle of a run, and two runs be compared with each other ([`require_repeatable`]).
    pub repeats: bool,
    /// Whether a run can start from a copy of the stores (O10).
    pub resumes: bool,
    /// Sections that the target's outcomes contain.
    pub sections: BTreeSet<Section>,
}

/// Something that a plan asks for and a target does not offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Where the scenario asks for it.
    pub path: String,
    /// What is missing.
    pub what: String,
    /// What to write instead.
    pub remedy: String,
}

impl Offers {
    /// Offers everything.
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

/// Why two runs on a target cannot be compared: each run has its own times and its own order of events, so a difference
/// would say nothing about the engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{by} compares runs of one plan, and the target `{target}` gives another trace each time")]
pub struct NotRepeatable {
    /// The command or option that asked for the comparison.
    pub by: &'static str,
    /// The target's name.
    pub target: &'static str,
}

impl NotRepeatable {
    /// What to do instead.
    pub const REMEDY: &'static str = "use the simulator, or leave the comparison out";
}

/// Refuses to compare runs on a target whose runs of one plan differ from each other. `by` is the command or option
/// that asked.
pub fn require_repeatable(target: &'static str, offers: &Offers, by: &'static str) -> Result<(), NotRepeatable> {
    if offers.repeats { Ok(()) } else { Err(NotRepeatable { by, target }) }
}
