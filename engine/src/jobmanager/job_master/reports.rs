//! What TaskManagers report: events of their tasks, and heartbeats, which carry the status of all tasks.
//!
//! A report or an order can be lost while the connection stands (a bug, a proxy, a queue that drops messages). So each
//! heartbeat names the tasks that its TaskManager has, and [`JobMaster::reconcile`] compares them with the tasks that
//! it should have.
//! A report about a subtask counts only from the TaskManager that this attempt placed it on (J5): an acknowledgement
//! from another TaskManager would complete a checkpoint with state that is not the subtask's.
//! Source: apache/flink `DefaultExecutionDeploymentReconciler`.

use super::*;
use crate::config::CheckpointConfig;
use crate::env::{draw, draw_between};

/// The time from the moment that all tasks of an attempt run to its first checkpoint: a random time from `min_pause`
/// to the interval (as in Flink), so that the jobs of a cluster do not all checkpoint at once.
pub(in crate::jobmanager) fn first_delay(seed: u64, attempt: Attempt, config: &CheckpointConfig) -> Duration {
    let drawn = draw(seed, "first trigger", u64::from(attempt.0), 0);
    Duration::from_nanos(draw_between(drawn, nanos(config.min_pause), nanos(config.interval.max(config.min_pause))))
}

impl JobMaster {
    pub(super) fn on_message(
        &mut self,
        node: &NodeName,
        connection: u64,
        message: ToJobManager,
        now: Time,
        out: &mut Vec<Command>,
    ) {
        let Some(tm) = self.task_managers.get_mut(node).filter(|tm| tm.connection == connection) else { return };
        tm.heard_at = now;
        match message {
            ToJobManager::Register { .. } => {}
            ToJobManager::Heartbeat(tasks) => self.reconcile(node, tasks, now, out),
            ToJobManager::Canceled(attempt) => {
                if let Phase::Canceling { waiting, .. } = &mut self.phase
                    && attempt == self.attempt
                {
                    waiting.remove(node);
                }
            }
            ToJobManager::Task(attempt, report) => {
                let holds = self.placement.get(&report.subtask()) == Some(node);
                if attempt == self.attempt && holds {
                    self.on_report(report, now, out);
                }
            }
        }
    }

    fn on_report(&mut self, report: TaskReport, now: Time, out: &mut Vec<Command>) {
        let attempt = self.attempt;
        if !matches!(self.phase, Phase::Starting(_) | Phase::Running) {
            return;
        }
        match report {
            TaskReport::Running(subtask) => {
                if let Phase::Starting(waiting) = &mut self.phase {
                    waiting.remove(&subtask);
                    if waiting.is_empty() {
                        self.phase = Phase::Running;
                        out.push(Command::Emit(Event::JobRunning { attempt }));
                        let first = first_delay(self.seed, attempt, &self.config.checkpoints);
                        let tasks = self.subtasks.iter().copied().collect();
                        let commands = self.coordinator.on_running(now, tasks, self.restored, first);
                        self.checkpoints(commands, now, out);
                    }
                }
            }
            TaskReport::Failed(subtask, TaskFailure::Failed(cause)) => {
                self.fail_over(FailoverCause::TaskFailed { subtask, cause }, now, out);
            }
            TaskReport::Failed(subtask, TaskFailure::Fatal(cause)) => {
                self.fail(EndCause::OutputLost { subtask, cause }, now, out);
            }
            TaskReport::Failed(subtask, TaskFailure::Damaged(id, file)) => {
                let cause = FailoverCause::CheckpointDamaged { checkpoint: id, subtask, path: file.path.clone() };
                self.note_damage(id, file.into(), out);
                self.fail_over(cause, now, out);
            }
            TaskReport::EndOfInput(subtask) => {
                let commands = self.coordinator.on_end_of_input(subtask, now);
                self.checkpoints(commands, now, out);
            }
            TaskReport::Acknowledge { checkpoint, subtask, state } => {
                let (counted, commands) = self.coordinator.on_acknowledged(checkpoint, subtask, state);
                if counted {
                    out.push(Command::Emit(Event::CheckpointAcknowledged { attempt, checkpoint, subtask }));
                }
                self.checkpoints(commands, now, out);
            }
            TaskReport::Decline { checkpoint, subtask, reason } => {
                let _ = subtask;
                let commands = self.coordinator.on_declined(checkpoint, reason, now);
                self.checkpoints(commands, now, out);
            }
            TaskReport::Committed { checkpoint, subtask } => {
                let (counted, commands) = self.coordinator.on_commit_acknowledged(checkpoint, subtask);
                if counted {
                    out.push(Command::Emit(Event::CommitAcknowledged { attempt, checkpoint, subtask }));
                }
                self.checkpoints(commands, now, out);
            }
        }
    }

    /// Compares the tasks that a heartbeat names with the tasks that should be there.
    fn reconcile(&mut self, node: &NodeName, tasks: Option<Tasks>, now: Time, out: &mut Vec<Command>) {
        let attempt = self.attempt;
        let found = tasks.filter(|tasks| tasks.attempt == attempt).map(|tasks| tasks.status).unwrap_or_default();
        match &mut self.phase {
            Phase::Starting(_) | Phase::Running => {
                let placed = |(subtask, at): (&SubtaskId, &NodeName)| (at == node).then_some(*subtask);
                let mine: Vec<SubtaskId> = self.placement.iter().filter_map(placed).collect();
                // The heartbeat may have been sent before the order to deploy arrived. After `rpc_timeout` that
                // explanation no longer holds.
                let due = now >= self.deployed_at + self.config.rpc_timeout;
                if due && mine.iter().any(|subtask| !found.contains_key(subtask)) {
                    let task_manager = node.clone();
                    out.push(Command::Emit(Event::DeploymentLost { attempt, task_manager: task_manager.clone() }));
                    return self.fail_over(FailoverCause::DeploymentLost { task_manager }, now, out);
                }
                for subtask in mine {
                    // Repeats what the subtask should have reported. If the report had arrived, this changes nothing.
                    let status = found.get(&subtask).copied();
                    if matches!(status, Some(TaskStatus::Running | TaskStatus::AtEnd)) {
                        self.on_report(TaskReport::Running(subtask), now, out);
                    }
                    if status == Some(TaskStatus::AtEnd) {
                        self.on_report(TaskReport::EndOfInput(subtask), now, out);
                    }
                }
            }
            Phase::Canceling { waiting, since, .. } if waiting.contains(node) => {
                if now < *since + self.config.rpc_timeout {
                    return;
                }
                if found.is_empty() {
                    waiting.remove(node);
                } else {
                    out.push(Command::Send(node.clone(), Order::Cancel(attempt)));
                }
            }
            _ => {}
        }
    }
}
