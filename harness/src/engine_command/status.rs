//! What is known of a run, from the events of its JobManager. Pure.

use std::time::Duration;

use flowquake_engine::event::{Event, EventRecord};
use flowquake_engine::ids::CheckpointId;
use flowquake_engine::time::Time;

/// Where a run stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Status {
    /// In a few words.
    pub(super) state: String,
    /// Checkpoints completed.
    pub(super) checkpoints: u64,
    /// Checkpoints given up.
    pub(super) aborted: u64,
    /// From trigger to completion of the newest completed checkpoint.
    pub(super) last_checkpoint: Option<Duration>,
    /// Failovers of the job, whatever died.
    pub(super) failovers: u64,
    terms: u64,
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
            terms: 0,
            triggered: None,
        }
    }
}

impl Status {
    /// Takes an event; returns a line about it if people should read one.
    pub(super) fn on_event(&mut self, record: &EventRecord) -> Option<String> {
        match &record.event {
            Event::LeadershipGranted { term } => {
                self.terms += 1;
                // A JobManager that follows another takes the job over.
                self.failovers += u64::from(self.terms > 1);
                self.state = "starting".into();
                (term.0 > 1).then(|| format!("JobManager leads in {term}"))
            }
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
        assert_eq!(lines, ["failover 1: tm-1 died", "JobManager leads in term 2"]);
        assert_eq!((status.checkpoints, status.failovers), (1, 2));
        assert_eq!(status.last_checkpoint, Some(Duration::from_millis(1)));
    }
}
