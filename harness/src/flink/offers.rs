//! What an Apache Flink offers as a target, and what of a plan it lacks.

use flowquake_engine::event::{Emitter, Event};

use super::translate::TOLD;
use crate::jobs::Jobs;
use crate::live;
use crate::outcome::Section;
use crate::plan::{FaultAction, FaultPlan, NodeTarget, RunPlan};
use crate::target::{Missing, Offers};

/// What every Flink offers.
pub fn offered() -> Offers {
    let untold = Event::CATALOGUE.iter().map(|(name, _)| *name).filter(|name| !TOLD.contains(name));
    Offers {
        faults: live::FAULTS.iter().copied().collect(),
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
    if jobs.get(&plan.job.name).is_ok_and(|job| job.texts.is_none()) {
        return Some(Missing {
            path: "job.name".into(),
            what: format!("job `{}`: it has no twin that Flink can run", plan.job.name),
            remedy: "take keyed-count or string-length-count, or another target".into(),
        });
    }
    let fault = plan.faults.iter().find(|fault| strikes_a_job_manager(fault));
    fault.map(|fault| Missing {
        path: format!("fault[{}].target", fault.id),
        what: format!("fault {}: to strike a JobManager: without high availability, which takes a ZooKeeper, the job is lost with it", fault.id),
        remedy: "strike a TaskManager, or take another target".into(),
    })
}

/// What of a plan is otherwise here: no fault strikes a JobManager, so its standbys would only look on.
pub(super) fn departures(plan: &RunPlan) -> Vec<(String, String)> {
    let standbys = plan.cluster.job_managers.saturating_sub(1);
    let what = format!("1, without the {standbys} that stand by: they take over with a ZooKeeper only");
    (standbys > 0).then(|| ("job_managers".to_owned(), what)).into_iter().collect()
}

/// Whether a fault may strike a JobManager.
fn strikes_a_job_manager(fault: &FaultPlan) -> bool {
    let targets = match &fault.action {
        FaultAction::Kill { targets, .. } => targets.clone(),
        FaultAction::CrashLoop { target, .. } | FaultAction::Pause { target, .. } => vec![target.clone()],
        // User code runs where tasks do.
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scenario::Scenario;

    fn plan(job_managers: u32, fault: &str) -> RunPlan {
        let text = format!(
            "name = \"s\"\nwhy = \"standbys\"\n[job]\nname = \"keyed-count\"\ninput = {{ generator = \"orders\", records = 10 }}\n\
             [cluster]\njob_managers = {job_managers}\ntask_managers = 2\n[[fault]]\n{fault}\n"
        );
        let catalogue = crate::cli::catalogue(&Jobs::builtin());
        Scenario::parse(&text, Path::new("s.toml"), &catalogue).expect("it is a scenario").plan(1)
    }

    #[test]
    fn standbys_are_left_out_and_the_record_says_so_unless_a_fault_needs_them() {
        let jobs = Jobs::builtin();
        let calm = plan(3, "at = \"1s\"\ndo = \"user-error\"\ntarget = \"tm-1\"");
        assert_eq!(lacking(&calm, &jobs), None);
        assert_eq!(offered().missing(&calm), None);
        let departures = departures(&calm);
        assert_eq!(departures.len(), 1);
        assert!(departures[0].1.starts_with("1, without the 2 that stand by"), "{departures:?}");
        let takeover = plan(2, "at = \"1s\"\ndo = \"machine-loss\"\ntarget = \"leader\"");
        assert_eq!(lacking(&takeover, &jobs).unwrap().path, "fault[1].target");
        assert_eq!(super::departures(&plan(1, "at = \"1s\"\ndo = \"kill\"\ntarget = \"tm-1\"")), []);
    }
}
