//! What is known about a run, from the events of the leading JobManager. Pure.

use std::time::Duration;

use flowquake_engine::event::{Event, EventRecord};
use flowquake_engine::ids::{CheckpointId, NodeName};
use flowquake_engine::time::Time;

/// The state of a run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Status {
    /// In a few words.
    pub(super) state: String,
    /// Checkpoints completed.
    pub(super) checkpoints: u64,
    /// Checkpoints given up.
    pub(super) aborted: u64,
    /// Time from trigger to completion of the newest completed checkpoint.
    pub(super) last_checkpoint: Option<Duration>,
    /// Number of failovers of the job, whatever died.
    pub(super) failovers: u64,
    leader: Option<NodeName>,
    triggered: Option<(CheckpointId, Time)>,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            state: "starting".into(),
            checkpoints: 0,
            aborted: 0,
            last_checkpoint: None,
            failovers: 0,
            leader: None,
            triggered: None,
        }
    }
}

impl Status {
    /// Takes an event. Returns a line about it if users should read one.
    pub(super) fn on_event(&mut self, record: &EventRecord) -> Option<String> {
        let led = self.leader.as_ref().is_none_or(|leader| *leader == record.node);
        match &record.event {
            Event::LeadershipGranted { term } => {
                // A JobManager takes the job over, from another JobManager or from its own former life.
                self.failovers += u64::from(self.leader.replace(record.node.clone()).is_some());
                self.state = "starting".into();
                Some(format!("{} leads in {term}", record.node))
            }
            // A former leader that does not know yet that it was replaced.
            _ if !led => None,
            Event::TaskManagerLost { task_manager, cause } => Some(format!("{task_manager} is lost: {cause}")),
            Event::WaitingForSlots { needed, offered, .. } => {
                self.state = format!("waiting for slots ({offered} of {needed})");
                None
            }
            Event::DeploymentBegun { restored, state_bytes, .. } => {
                self.state = "deploying".into();
                restored.map(|checkpoint| format!("restoring checkpoint {checkpoint}, {state_bytes} bytes of state"))
            }
            Event::JobRunning { attempt } => {
                self.state = "running".into();
                (attempt.0 > 1).then(|| format!("running again, {attempt}"))
            }
            Event::EndOfInput { .. } => {
                self.state = "finishing".into();
                None
            }
            Event::FailoverBegun { cause, .. } => {
                self.failovers += 1;
                self.state = "failing over".into();
                Some(format!("failover {}: {cause}", self.failovers))
            }
            Event::CheckpointTriggered { checkpoint, last, .. } => {
                self.triggered = Some((*checkpoint, record.at));
                if *last {
                    self.state = "taking the final checkpoint".into();
                }
                None
            }
            Event::CheckpointCompleted { checkpoint, .. } => {
                self.checkpoints += 1;
                let trigger = self.triggered.filter(|(triggered, _)| triggered == checkpoint);
                self.last_checkpoint = trigger.map(|(_, at)| record.at - at);
                None
            }
            Event::CheckpointAborted { checkpoint, reason, .. } => {
                self.aborted += 1;
                Some(format!("checkpoint {checkpoint} given up: {}", reason.name()))
            }
            Event::CheckpointDamaged { checkpoint, file, expected, found } => {
                Some(format!("checkpoint {checkpoint} is damaged: {file}: expected {expected}, found {found}"))
            }
            Event::FellBack { from, to } => {
                let to = to.map_or("the beginning".to_owned(), |to| format!("checkpoint {to}"));
                Some(format!("fell back from checkpoint {from} to {to}"))
            }
            Event::JobFinished { .. } => {
                self.state = "finished".into();
                None
            }
            Event::JobFailed { .. } => {
                self.state = "failed".into();
                None
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use flowquake_engine::ids::{Attempt, Term};

    use super::*;

    #[test]
    fn only_the_leader_counts() {
        let mut status = Status::default();
        let completed = Event::CheckpointCompleted { attempt: Attempt(1), checkpoint: CheckpointId(1), bytes: 7 };
        let events = [
            ("jm-2", Event::LeadershipGranted { term: Term(1) }),
            ("jm-1", completed.clone()),
            ("jm-2", completed.clone()),
            ("jm-1", Event::LeadershipGranted { term: Term(2) }),
            ("jm-2", completed),
        ];
        let lines = events.into_iter().filter_map(|(node, event)| {
            status.on_event(&EventRecord { at: Time(1), node: node.into(), incarnation: 1, event })
        });
        assert_eq!(lines.collect::<Vec<_>>(), ["jm-2 leads in term 1", "jm-1 leads in term 2"]);
        assert_eq!((status.checkpoints, status.failovers), (1, 1));
    }

    #[test]
    fn counts_checkpoints_and_failovers() {
        let mut status = Status::default();
        let attempt = Attempt(1);
        let checkpoint = CheckpointId(1);
        let lines: Vec<_> = [
            Event::LeadershipGranted { term: Term(1) },
            Event::JobRunning { attempt },
            Event::CheckpointTriggered { attempt, checkpoint, last: false },
            Event::CheckpointCompleted { attempt, checkpoint, bytes: 7 },
            Event::FailoverBegun {
                attempt,
                root: flowquake_engine::event::RootCause::StoreFailed,
                cause: "tm-1 died".into(),
            },
            Event::LeadershipGranted { term: Term(2) },
        ]
        .into_iter()
        .zip(0..)
        .filter_map(|(event, at)| {
            status.on_event(&EventRecord { at: Time(at * 1_000_000), node: "jm-1".into(), incarnation: 1, event })
        })
        .collect();
        assert_eq!(lines, ["jm-1 leads in term 1", "failover 1: tm-1 died", "jm-1 leads in term 2"]);
        assert_eq!((status.checkpoints, status.failovers), (1, 2));
        assert_eq!(status.last_checkpoint, Some(Duration::from_millis(1)));
    }
}
