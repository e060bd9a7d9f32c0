//! Which events a job can emit, and which processes emit them: the event that a trigger waits for must be able to come.
//! What is known about an event stands in its row of the engine's vocabulary; here it is compared with a plan.

use flowquake_engine::config::BackendKind;
use flowquake_engine::event::{Event, Occasion};

use super::JobEntry;
use crate::plan::RunPlan;

pub(crate) use flowquake_engine::event::Emitter;

/// The emitter of the event with this name.
pub(crate) fn emitter(event: &str) -> Emitter {
    Event::row(event).map_or(Emitter::TaskManager, |row| row.emitter)
}

fn comes(event: &str, occasion: Occasion) -> bool {
    Event::row(event).is_some_and(|row| row.occasion == occasion)
}

/// Whether only subtasks with inputs emit the event; subtasks of vertex 0 are sources and have none.
pub(crate) fn needs_inputs(event: &str) -> bool {
    comes(event, Occasion::Channels)
}

/// Why no run of this plan emits the event, and the setting that this depends on; `None` if a run may emit it.
pub(crate) fn never_emitted(event: &str, plan: &RunPlan, entry: Option<&JobEntry>) -> Option<(String, &'static str)> {
    let job = &plan.job.name;
    if needs_inputs(event) && entry.is_some_and(|entry| entry.vertices < 2) {
        return Some((format!("no vertex of job `{job}` has inputs"), "job.name"));
    }
    let state_files = comes(event, Occasion::StateFiles);
    if state_files && plan.job.config.backend == BackendKind::Memory {
        return Some((
            "backend `memory` keeps state in the manifest and uploads no files".into(),
            "job.config.backend",
        ));
    }
    if state_files && entry.is_some_and(|entry| !entry.keyed) {
        return Some((format!("job `{job}` keeps no keyed state"), "job.name"));
    }
    if comes(event, Occasion::Standby) && plan.cluster.job_managers < 2 {
        return Some(("the only JobManager has no rival (job_managers = 1)".into(), "cluster.job_managers"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Events of a subtask are emitted on the node where it runs, except those that the coordinator counts.
    #[test]
    fn task_managers_emit_what_belongs_to_subtasks() {
        assert_eq!(emitter("snapshot-sync-begun"), Emitter::TaskManager);
        assert_eq!(emitter("checkpoint-acknowledged"), Emitter::Leader);
        for row in Event::ROWS.iter().filter(|row| row.emitter == Emitter::TaskManager) {
            assert!(!row.name.starts_with("checkpoint-") && !row.name.starts_with("job-r"), "{}", row.name);
        }
    }

    /// A JobManager that does not lead emits only events that need a rival.
    #[test]
    fn only_rivals_make_standbys_speak() {
        for row in Event::ROWS {
            assert_eq!(row.emitter == Emitter::JobManager, row.occasion == Occasion::Standby, "{}", row.name);
        }
    }
}
