//! Says in words what a stuck job waits for: which subtask or node, and what, by the names that the trace uses.

use std::fmt;

use flowquake_engine::ids::SubtaskId;
use flowquake_reports::units::counted;

use super::{Stall, Waits};

fn names(subtasks: &[SubtaskId]) -> String {
    subtasks.iter().map(SubtaskId::to_string).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.waits.fmt(f)?;
        match (&self.waits, self.failovers) {
            // A loop states the number of failovers itself.
            (Waits::Loop(_), _) | (_, 0) => Ok(()),
            (_, failovers) => write!(f, " ({} before)", counted(failovers, "failover")),
        }
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Waits::NoLeader(why) => write!(f, "no leader: {why}")?,
            Waits::NoSlots { needed, offered } => write!(f, "no slots: {needed} needed, {offered} offered")?,
            Waits::Cancelation(attempt) => write!(f, "tasks of {attempt}, which failed, are not cancelled")?,
            Waits::Deployment => f.write_str("nothing is deployed: the leader waits for the checkpoint store")?,
            Waits::Running(attempt, tasks) => {
                let text = |(task, restoring): &(SubtaskId, bool)| match restoring {
                    true => format!("{task} (loads its state)"),
                    false => format!("{task} (not started)"),
                };
                let tasks: Vec<_> = tasks.iter().map(text).collect();
                write!(f, "{attempt} is deployed, but not running: {}", tasks.join(", "))?;
            }
            Waits::Injection(id, sources) => {
                let sources = names(sources);
                write!(f, "checkpoint {id}: no barrier from {sources}: no credit for its output, or never asked")?;
            }
            Waits::Barriers { checkpoint, subtask, arrived, missing } => {
                let text = |(from, sent): &(SubtaskId, bool)| match sent {
                    true => format!("{from} (sent; no credit for what is before it, or no connection)"),
                    false => format!("{from} (not sent)"),
                };
                let missing: Vec<_> = missing.iter().map(text).collect();
                write!(
                    f,
                    "checkpoint {checkpoint}: subtask {subtask} waits for the barrier from {}",
                    missing.join(", ")
                )?;
                if !arrived.is_empty() {
                    write!(f, "; arrived from {}", names(arrived))?;
                }
            }
            Waits::SyncPart(id, tasks) => write!(f, "checkpoint {id}: no snapshot was taken by {}", names(tasks))?,
            Waits::AsyncPart(id, tasks) => {
                write!(f, "checkpoint {id}: a store has not taken the snapshot or the output of {}", names(tasks))?;
            }
            Waits::Acknowledgements(id, tasks) => {
                write!(f, "checkpoint {id} waits for acknowledgements of {}", names(tasks))?;
            }
            Waits::Sealing(id, what) => {
                write!(f, "checkpoint {id}: the checkpoint store has not taken its {what}")?;
            }
            Waits::Commits(id, sinks) => {
                write!(f, "commits of checkpoint {id} are not acknowledged by {}", names(sinks))?;
            }
            Waits::Backlog(sources) => {
                write!(f, "no checkpoint is pending, and the input of {} has not ended", names(sources))?;
            }
            Waits::Loop(restarts) => restarts.fmt(f)?,
            Waits::Takeovers(takeovers) => takeovers.fmt(f)?,
            Waits::Nothing => f.write_str("no checkpoint is pending and the job does not end")?,
        }
        Ok(())
    }
}
