//! Why a TaskManager is given up, why a job fails over, and why it ends. Causes stay typed as long as code decides by
//! them; events, the leadership log and [`JobResult`](super::JobResult) carry them as text.

use std::time::Duration;

use super::super::restart::Exhausted;
use crate::checkpoint::coordinator::TooManyFailures;
use crate::checkpoint::manifest::Damaged;
use crate::env::StoreError;
use crate::event::RootCause;
use crate::ids::{CheckpointId, NodeName, SubtaskId};
use crate::wire::PeerError;

/// Why a TaskManager is given up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LossCause {
    /// It registered again: a new life of the TaskManager, or the same one over another connection.
    #[error("it registered again")]
    RegisteredAgain,
    /// The connection ended.
    #[error(transparent)]
    Disconnected(PeerError),
    /// The TaskManager sent nothing for the heartbeat timeout.
    #[error("no heartbeat for {0:?}")]
    Silent(Duration),
}

/// A request to a store without which the leader cannot continue failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreFailure {
    /// The manifest to restore from could not be read.
    #[error("manifest of checkpoint {checkpoint}: {error}")]
    Manifest {
        /// The checkpoint whose manifest it is.
        checkpoint: CheckpointId,
        /// The answer of the store.
        error: StoreError,
    },
    /// The decisions about epochs above the checkpoint to fall back to could not be made.
    #[error("commit decisions: {0}")]
    Decisions(StoreError),
}

/// Why the running attempt is given up for the next one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FailoverCause {
    /// A task failed, with the cause that it reported.
    #[error("subtask {subtask}: {cause}")]
    TaskFailed {
        /// The subtask.
        subtask: SubtaskId,
        /// The cause in the task's own words.
        cause: String,
    },
    /// A TaskManager with tasks of the job was given up.
    #[error("TaskManager {task_manager} lost: {cause}")]
    TaskManagerLost {
        /// The TaskManager.
        task_manager: NodeName,
        /// Why it was given up.
        cause: LossCause,
    },
    /// More checkpoints failed in a row than are tolerated.
    #[error(transparent)]
    CheckpointsFailed(TooManyFailures),
    /// A task found a file of its state damaged.
    #[error("subtask {subtask}: {path} of checkpoint {checkpoint} is damaged")]
    CheckpointDamaged {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The subtask that found the damage.
        subtask: SubtaskId,
        /// The damaged file.
        path: String,
    },
    /// A TaskManager does not have the tasks that it was told to run.
    #[error("TaskManager {task_manager} does not have the tasks that it was told to run")]
    DeploymentLost {
        /// The TaskManager.
        task_manager: NodeName,
    },
    /// The leader cannot continue without an answer of the store.
    #[error(transparent)]
    StoreFailed(StoreFailure),
}

impl FailoverCause {
    /// The event that caused the failover.
    pub fn root(&self) -> RootCause {
        match self {
            Self::TaskFailed { subtask, .. } => RootCause::TaskFailed { subtask: *subtask },
            Self::TaskManagerLost { task_manager, .. } => {
                RootCause::TaskManagerLost { task_manager: task_manager.clone() }
            }
            Self::CheckpointsFailed(failures) => RootCause::CheckpointsFailed { checkpoint: failures.last },
            Self::CheckpointDamaged { checkpoint, .. } => RootCause::CheckpointDamaged { checkpoint: *checkpoint },
            Self::DeploymentLost { task_manager } => RootCause::DeploymentLost { task_manager: task_manager.clone() },
            Self::StoreFailed(_) => RootCause::StoreFailed,
        }
    }
}

/// A checkpoint that cannot be restored from, with its damaged file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("checkpoint {checkpoint} is damaged ({}: expected {}, found {})", file.path, file.expected, file.found)]
pub struct CheckpointDamage {
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// The damaged file and what is wrong with it.
    pub file: Damaged,
}

/// Output is committed that no checkpoint in the leadership log covers, so the store has lost entries.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{decision} says that output above checkpoint {newest} is committed")]
pub struct CommittedBeyond {
    /// The path of the decision `commit`.
    pub decision: String,
    /// The newest checkpoint that the log names.
    pub newest: CheckpointId,
}

/// Why a job fails for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndCause {
    /// The newest checkpoint in the log is older than committed output.
    #[error("{0}; going on from an older one would write it again")]
    LogLost(CommittedBeyond),
    /// A task found that committed output is gone, and reported it.
    #[error("subtask {subtask}: {cause}")]
    OutputLost {
        /// The subtask.
        subtask: SubtaskId,
        /// The cause in the task's own words.
        cause: String,
    },
    /// The restart strategy allows no further attempt.
    #[error("{cause}; {exhausted}")]
    RestartsExhausted {
        /// The failure that was not followed by a restart.
        cause: FailoverCause,
        /// The limit that is used up.
        exhausted: Exhausted,
    },
    /// The checkpoint was taken by a job with other subtasks or other state.
    #[error("checkpoint {0} was taken by a job of another shape; it cannot be restored")]
    OtherShape(CheckpointId),
    /// The job would have to fall back behind output that is committed.
    #[error("{}; falling back is not possible: subtask {subtask} has committed output of epoch {epoch}", uncovered(.damage.as_ref(), *.epoch))]
    CommittedAbove {
        /// The damage that makes falling back necessary, if this leader found it.
        damage: Option<CheckpointDamage>,
        /// The subtask whose output is committed.
        subtask: SubtaskId,
        /// The committed epoch.
        epoch: CheckpointId,
    },
}

fn uncovered(damage: Option<&CheckpointDamage>, epoch: CheckpointId) -> String {
    damage.map_or_else(|| format!("no usable checkpoint covers epoch {epoch}"), CheckpointDamage::to_string)
}
