//! What a subtask is told, by its JobManager and by the tasks that work for it.

use super::error::TaskError;
use crate::ids::CheckpointId;

/// One message to a subtask.
#[derive(Debug)]
pub(super) enum Mail {
    /// Sources: inject the barrier.
    Trigger(CheckpointId),
    /// The checkpoint is durable.
    Completed(CheckpointId),
    /// The checkpoint was given up.
    Aborted(CheckpointId),
    /// The committer is done up to here.
    Committed(CheckpointId),
    /// A task that works for the subtask has failed, and the subtask fails with it.
    Failed(TaskError),
}
