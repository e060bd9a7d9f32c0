//! What an Apache Flink offers as a target, and what of a plan it lacks.

use flowquake_engine::event::{Emitter, Event};

use super::translate::TOLD;
use crate::faults::Kind;
use crate::jobs::Jobs;
use crate::outcome::Section;
use crate::plan::{FaultAction, FaultPlan, NodeTarget, RunPlan};
use crate::target::{Missing, Offers};

/// What every Flink offers.
pub fn offered() -> Offers {
    let untold = Event::CATALOGUE.iter().map(|(name, _)| *name).filter(|name| !TOLD.contains(name));
    Offers {
        faults: [Kind::Kill, Kind::CrashLoop, Kind::Pause].into(),
        at_events: true,
        untold: untold.collect(),
        weights: false,
        repeats: false,
        resumes: false,
        sections: [Section::Trace, Section::FinalOutput].into(),
    }
}

/// What no Flink that is started here does with this plan; the first of it.
pub fn lacking(plan: &RunPlan, jobs: &Jobs) -> Option<Missing> {
    let another = || "take another target".to_owned();
    if jobs.get(&plan.job.name).is_ok_and(|job| job.texts.is_none()) {
        return Some(Missing {
            path: "job.name".into(),
            what: format!("job `{}`: it has no twin that Flink can run", plan.job.name),
            remedy: "take keyed-count or string-length-count, or another target".into(),
        });
    }
    let fault = plan.faults.iter().find(|fault| strikes_a_job_manager(fault));
    let fault = fault.map(|fault| Missing {
        path: format!("fault[{}].target", fault.id),
        what: format!("fault {}: to strike a JobManager: without high availability, which takes a ZooKeeper, the job is lost with it", fault.id),
        remedy: "strike a TaskManager, or take another target".into(),
    });
    fault.or_else(|| {
        (plan.cluster.job_managers > 1).then(|| Missing {
            path: "cluster.job_managers".into(),
            what: "several JobManagers: high availability takes a ZooKeeper".into(),
            remedy: another(),
        })
    })
}

/// Whether a fault may strike a JobManager.
fn strikes_a_job_manager(fault: &FaultPlan) -> bool {
    let targets = match &fault.action {
        FaultAction::Kill { targets, .. } => targets.clone(),
        FaultAction::CrashLoop { target, .. } | FaultAction::Pause { target, .. } => vec![target.clone()],
        _ => Vec::new(),
    };
    let emitter = fault.trigger.event().and_then(Event::row).map(|row| row.emitter);
    targets.iter().any(|target| match target {
        NodeTarget::Leader | NodeTarget::Standby => true,
        NodeTarget::Node(name) => name.starts_with("jm-"),
        NodeTarget::Emitter => emitter != Some(Emitter::TaskManager),
        NodeTarget::TaskManager | NodeTarget::Peer => false,
    })
}
