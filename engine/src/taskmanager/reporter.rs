//! Reports of one attempt's tasks to the JobManager, and the status that heartbeats repeat.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc::UnboundedSender;

use super::error::TaskError;
use crate::env::Env;
use crate::event::Event;
use crate::ids::{Attempt, SubtaskId};
use crate::wire::{TaskReport, TaskStatus, ToJobManager};

/// Sends reports of one attempt's tasks to the JobManager.
#[derive(Clone)]
pub(crate) struct Reporter {
    pub(super) attempt: Attempt,
    pub(super) status: Arc<Mutex<BTreeMap<SubtaskId, TaskStatus>>>,
    pub(super) to: UnboundedSender<ToJobManager>,
}

impl Reporter {
    pub(super) fn report(&self, report: TaskReport) {
        self.note(&report);
        // Sending fails when the connection has ended; then the tasks end, too.
        let _ = self.to.send(ToJobManager::Task(self.attempt, report));
    }

    /// Reports that a task failed: as an event, then to the JobManager.
    pub(super) async fn failed(&self, env: &Env, subtask: SubtaskId, error: TaskError) {
        let (attempt, in_program, cause) = (self.attempt, error.in_program(), error.to_string());
        env.emit(Event::TaskFailed { attempt, subtask, in_program, cause }).await;
        self.report(TaskReport::Failed(subtask, error.into()));
    }

    /// Updates the status that heartbeats carry.
    fn note(&self, report: &TaskReport) {
        let mut status = self.status.lock().expect("no panic inside");
        match report {
            TaskReport::Running(subtask) => drop(status.insert(*subtask, TaskStatus::Running)),
            TaskReport::EndOfInput(subtask) => drop(status.insert(*subtask, TaskStatus::AtEnd)),
            TaskReport::Failed(subtask, _) => drop(status.remove(subtask)),
            TaskReport::Acknowledge { .. } | TaskReport::Decline { .. } | TaskReport::Committed { .. } => {}
        }
    }
}
