//! Which events a job can emit at all, and who emits them: what a trigger waits for must be able to come.

use flowquake_engine::config::BackendKind;

use super::JobEntry;
use crate::plan::RunPlan;

/// Events that only a JobManager emits.
const JOB_MANAGER_EVENTS: &[&str] = &[
    "leadership-granted",
    "lease-renewed",
    "leadership-lost",
    "lease-expired",
    "sweep-ended",
    "task-manager-registered",
    "deployment-lost",
    "store-failed",
    "task-manager-lost",
    "heartbeat-sent",
    "waiting-for-slots",
    "deployment-begun",
    "job-running",
    "failover-begun",
    "tasks-canceled",
    "restart-ready",
    "job-finished",
    "job-failed",
    "checkpoint-triggered",
    "checkpoint-acknowledged",
    "manifest-written",
    "checkpoint-completed",
    "checkpoint-aborted",
    "checkpoint-subsumed",
    "checkpoint-damaged",
    "completion-notified",
    "sink-aborted",
    "commit-acknowledged",
    "fell-back",
];
/// Events that JobManagers and TaskManagers emit.
const COMMON_EVENTS: &[&str] = &["heartbeat-missed"];
/// Events of JobManagers other than the leader.
const STANDBY_EVENTS: &[&str] = &["lease-expired", "leadership-lost"];
/// Events of subtasks with inputs.
const INPUT_EVENTS: &[&str] = &["barrier-received", "alignment-opened", "alignment-closed"];

/// Who emits an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Emitter {
    /// The leading JobManager.
    Leader,
    /// A JobManager, not necessarily the leading one.
    JobManager,
    /// A TaskManager.
    TaskManager,
    /// Any node.
    Any,
}

/// Who emits the event of that name.
pub(crate) fn emitter(event: &str) -> Emitter {
    if STANDBY_EVENTS.contains(&event) {
        Emitter::JobManager
    } else if JOB_MANAGER_EVENTS.contains(&event) {
        Emitter::Leader
    } else if COMMON_EVENTS.contains(&event) {
        Emitter::Any
    } else {
        Emitter::TaskManager
    }
}

/// Whether only subtasks with inputs emit it; those of vertex 0 are sources.
pub(crate) fn needs_inputs(event: &str) -> bool {
    INPUT_EVENTS.contains(&event)
}

/// Why no run of this plan emits the event, and what that leans on; `None` if one may.
pub(crate) fn never_emitted(event: &str, plan: &RunPlan, entry: Option<&JobEntry>) -> Option<(String, &'static str)> {
    let job = &plan.job.name;
    if needs_inputs(event) && entry.is_some_and(|entry| entry.vertices < 2) {
        return Some((format!("no vertex of job `{job}` has inputs"), "job.name"));
    }
    if event == "state-uploaded" && plan.job.config.backend == BackendKind::Memory {
        return Some((
            "backend `memory` keeps state in the manifest and uploads no files".into(),
            "job.config.backend",
        ));
    }
    if event == "state-uploaded" && entry.is_some_and(|entry| !entry.keyed) {
        return Some((format!("job `{job}` keeps no keyed state"), "job.name"));
    }
    if STANDBY_EVENTS.contains(&event) && plan.cluster.job_managers < 2 {
        return Some(("the only JobManager has no rival (job_managers = 1)".into(), "cluster.job_managers"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowquake_engine::event::Event;

    #[test]
    fn every_listed_event_is_in_the_vocabulary() {
        let known = |name: &&str| Event::CATALOGUE.iter().any(|(event, _)| event == name);
        for list in [JOB_MANAGER_EVENTS, COMMON_EVENTS, STANDBY_EVENTS, INPUT_EVENTS] {
            assert_eq!(list.iter().find(|name| !known(name)), None);
        }
        assert!(STANDBY_EVENTS.iter().all(|name| JOB_MANAGER_EVENTS.contains(name)));
    }

    /// What belongs to a subtask is emitted where the subtask runs, but for what the coordinator counts.
    #[test]
    fn task_managers_emit_the_rest() {
        let emitted_by = |who| Event::CATALOGUE.iter().map(|(name, _)| *name).filter(move |name| emitter(name) == who);
        assert!(emitted_by(Emitter::TaskManager).any(|name| name == "snapshot-sync-begun"));
        assert!(
            emitted_by(Emitter::TaskManager).all(|name| !name.starts_with("checkpoint-") && !name.starts_with("job-r"))
        );
        assert_eq!(emitted_by(Emitter::JobManager).count(), STANDBY_EVENTS.len());
    }
}
