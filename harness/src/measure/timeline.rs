//! The timeline: the state changes that a reader of a run wants to see, with the faults among them.

use flowquake_engine::event::Event;
use flowquake_engine::ids::CheckpointId;
use flowquake_reports::record::{TimelineEntry, TimelineKind};

use super::words;
use crate::faults::kind;
use crate::outcome::Outcome;
use crate::plan::RunPlan;

/// One entry per state change, ordered by time.
pub(super) fn entries(plan: &RunPlan, outcome: &Outcome) -> Vec<TimelineEntry> {
    let mut entries = Vec::new();
    for (fault, strike) in plan.faults.iter().zip(&outcome.strikes) {
        for hit in &strike.hits {
            let what = format!("fault {}: {} {}", fault.id, kind(&fault.action), hit.target);
            let text = format!("{what} ({})", hit.detail);
            let (node, at_ns) = (nodes(&hit.target, outcome), hit.at.0);
            entries.push(TimelineEntry { at_ns, node: node.clone(), kind: TimelineKind::Fault, text });
            if let Some(at) = hit.healed_at.filter(|at| hit.at != *at) {
                let text = format!("{what} is over");
                entries.push(TimelineEntry { at_ns: at.0, node, kind: TimelineKind::Heal, text });
            }
        }
    }
    let mut committed: Option<CheckpointId> = None;
    for record in &outcome.trace.events {
        if let Some((kind, text)) = describe(&record.event, &mut committed) {
            entries.push(TimelineEntry { at_ns: record.at.0, node: record.node.to_string(), kind, text });
        }
    }
    entries.sort_by_key(|entry| entry.at_ns);
    entries
}

/// The nodes that a target names, each once: one node, both ends of a link, or all of a set. Files are in a store.
fn nodes(target: &str, outcome: &Outcome) -> String {
    let mut nodes: Vec<&str> = Vec::new();
    for word in words(target) {
        if !nodes.contains(&word) && outcome.lives.iter().any(|(node, ..)| node == word) {
            nodes.push(word);
        }
    }
    if nodes.is_empty() && (target.contains('/') || target.contains("store")) {
        "store".into()
    } else {
        nodes.join(" ")
    }
}

fn describe(event: &Event, committed: &mut Option<CheckpointId>) -> Option<(TimelineKind, String)> {
    use TimelineKind::*;
    Some(match event {
        Event::LeadershipGranted { term } => (Job, format!("leads the job, {term}")),
        Event::TaskManagerRegistered { task_manager, slots } => (Job, format!("{task_manager} offers {slots} slots")),
        Event::TaskManagerLost { task_manager, cause } => (Failover, format!("{task_manager} is lost: {cause}")),
        Event::JobManagerLost { cause, .. } => (Failover, format!("JobManager is lost: {cause}")),
        Event::HeartbeatMissed { peer } => (Failover, format!("no heartbeat of {peer}")),
        Event::WaitingForSlots { needed, offered, .. } => {
            (Job, format!("waits for slots: {needed} needed, {offered} offered"))
        }
        Event::DeploymentBegun { attempt, restored, .. } => {
            let from = restored.map_or("nothing".to_owned(), |id| format!("checkpoint {id}"));
            (Restore, format!("deploys {attempt} from {from}"))
        }
        Event::JobRunning { attempt } => (Job, format!("{attempt} runs")),
        Event::TaskFailed { subtask, cause, .. } => (Failover, format!("subtask {subtask} failed: {cause}")),
        Event::FailoverBegun { attempt, cause, .. } => (Failover, format!("{attempt} fails over: {cause}")),
        Event::TasksCanceled { attempt } => (Failover, format!("tasks of {attempt} are gone")),
        Event::JobFinished { .. } => (Job, "job finished".into()),
        Event::JobFailed { cause, .. } => (Failover, format!("job failed: {cause}")),
        Event::CheckpointTriggered { checkpoint, last, .. } => {
            (Checkpoint, format!("triggers {}checkpoint {checkpoint}", if *last { "final " } else { "" }))
        }
        Event::CheckpointCompleted { checkpoint, bytes, .. } => {
            (Checkpoint, format!("checkpoint {checkpoint} is complete, {bytes} bytes of state"))
        }
        Event::CheckpointAborted { checkpoint, reason, .. } => {
            (Abort, format!("checkpoint {checkpoint} is given up: {}", reason.name()))
        }
        Event::SnapshotDeclined { checkpoint, subtask, .. } => {
            (Abort, format!("subtask {subtask} declines checkpoint {checkpoint}"))
        }
        Event::CheckpointDamaged { checkpoint, file, expected, found } => {
            (Abort, format!("checkpoint {checkpoint}: {file} is damaged: expected {expected}, found {found}"))
        }
        // One line per checkpoint, not one per sink.
        Event::SinkCommitted { checkpoint, .. } if *committed != Some(*checkpoint) => {
            *committed = Some(*checkpoint);
            (Commit, format!("commits checkpoint {checkpoint}"))
        }
        Event::SinkAborted { epoch, subtask } => (Commit, format!("epoch {epoch} of subtask {subtask} is aborted")),
        Event::FellBack { from, to } => {
            let to = to.map_or("the beginning".to_owned(), |id| format!("checkpoint {id}"));
            (Restore, format!("falls back from checkpoint {from} to {to}"))
        }
        _ => return None,
    })
}
