//! Messages to a subtask, from its JobManager and from the tasks that work for it.

use super::error::TaskError;
use crate::ids::CheckpointId;

/// One message to a subtask.
#[derive(Debug)]
pub(super) enum Mail {
    /// To sources: inject the barrier.
    Trigger(CheckpointId),
    /// The checkpoint is complete.
    Completed(CheckpointId),
    /// The checkpoint was given up.
    Aborted(CheckpointId),
    /// The committer has committed everything up to this checkpoint.
    Committed(CheckpointId),
    /// A task that works for the subtask has failed, and the subtask fails with it.
    Failed(TaskError),
}
