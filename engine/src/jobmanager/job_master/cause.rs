//! Why a TaskManager is given up, why a job fails over, and why it ends. Typed for as long as somebody decides by them; events,
//! the leadership log and [`JobResult`](super::JobResult) carry their words.

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
    /// Its next life, or the same one over another connection.
    #[error("it registered again")]
    RegisteredAgain,
    /// Its connection ended.
    #[error(transparent)]
    Disconnected(PeerError),
    /// It said nothing for the heartbeat timeout.
    #[error("no heartbeat for {0:?}")]
    Silent(Duration),
}

/// What the leader needed from a store and did not get.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreFailure {
    /// The manifest to restore from.
    #[error("manifest of checkpoint {checkpoint}: {error}")]
    Manifest {
        /// Whose manifest.
        checkpoint: CheckpointId,
        /// What the store said.
        error: StoreError,
    },
    /// The decisions about epochs to fall back behind.
    #[error("commit decisions: {0}")]
    Decisions(StoreError),
}

/// Why the running attempt is given up for the next one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FailoverCause {
    /// A task failed, for the reason that it told.
    #[error("subtask {subtask}: {cause}")]
    TaskFailed {
        /// Which.
        subtask: SubtaskId,
        /// In its own words.
        cause: String,
    },
    /// A TaskManager with tasks of the job was given up.
    #[error("TaskManager {task_manager} lost: {cause}")]
    TaskManagerLost {
        /// Which.
        task_manager: NodeName,
        /// Why.
        cause: LossCause,
    },
    /// More checkpoints failed in a row than are tolerated.
    #[error(transparent)]
    CheckpointsFailed(TooManyFailures),
    /// A task found its state damaged.
    #[error("subtask {subtask}: {path} of checkpoint {checkpoint} is damaged")]
    CheckpointDamaged {
        /// Which checkpoint.
        checkpoint: CheckpointId,
        /// Who found it.
        subtask: SubtaskId,
        /// The damaged file.
        path: String,
    },
    /// A TaskManager never got its order to deploy.
    #[error("TaskManager {task_manager} does not have the tasks that it was told to run")]
    DeploymentLost {
        /// Which.
        task_manager: NodeName,
    },
    /// The leader cannot go on without the store.
    #[error(transparent)]
    StoreFailed(StoreFailure),
}

impl FailoverCause {
    /// The event behind it.
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

/// A checkpoint that cannot be restored from, and the file to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("checkpoint {checkpoint} is damaged ({}: expected {}, found {})", file.path, file.expected, file.found)]
pub struct CheckpointDamage {
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// What is wrong with it.
    pub file: Damaged,
}

/// Output is committed that no checkpoint of the leadership log covers: the store has lost entries.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{decision} says that output above checkpoint {newest} is committed")]
pub struct CommittedBeyond {
    /// The decision `commit`, by its path.
    pub decision: String,
    /// The newest checkpoint that the log names.
    pub newest: CheckpointId,
}

/// Why a job fails for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndCause {
    /// What the log names is older than what is committed.
    #[error("{0}; going on from an older one would write it again")]
    LogLost(CommittedBeyond),
    /// A task found committed output gone, and told so.
    #[error("subtask {subtask}: {cause}")]
    OutputLost {
        /// Which.
        subtask: SubtaskId,
        /// In its own words.
        cause: String,
    },
    /// The restart strategy allows no further attempt.
    #[error("{cause}; {exhausted}")]
    RestartsExhausted {
        /// What failed last.
        cause: FailoverCause,
        /// Which limit.
        exhausted: Exhausted,
    },
    /// The checkpoint belongs to a job with other subtasks or other state.
    #[error("checkpoint {0} was taken by a job of another shape; it cannot be restored")]
    OtherShape(CheckpointId),
    /// The job would have to fall back behind output that is committed.
    #[error("{}; falling back is not possible: subtask {subtask} has committed output of epoch {epoch}", uncovered(.damage.as_ref(), *.epoch))]
    CommittedAbove {
        /// Why it would have to, if this leader found the damage.
        damage: Option<CheckpointDamage>,
        /// Whose output.
        subtask: SubtaskId,
        /// Of which epoch.
        epoch: CheckpointId,
    },
}

fn uncovered(damage: Option<&CheckpointDamage>, epoch: CheckpointId) -> String {
    damage.map_or_else(|| format!("no usable checkpoint covers epoch {epoch}"), CheckpointDamage::to_string)
}
