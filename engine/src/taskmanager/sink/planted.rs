//! What planted bugs change in a sink. Compiled only under the feature `mutations`; a bug that is not switched on
//! changes nothing.

use super::*;
use crate::mutation::Mutation;

impl Sink {
    /// Whether a transaction is pending that this checkpoint commits.
    pub(in crate::taskmanager) fn has_pending(&self, checkpoint: CheckpointId) -> bool {
        self.pending.iter().any(|transaction| transaction.epoch <= checkpoint)
    }

    /// The newest epoch with a pending transaction.
    pub(in crate::taskmanager) fn newest_pending(&self) -> Option<CheckpointId> {
        self.pending.iter().map(|transaction| transaction.epoch).max()
    }
}

/// [`Mutation::IgnoreUploadErrors`]: a chunk that could not be written counts as written.
pub(super) fn uploaded(
    env: &Env,
    path: &str,
    checksum: Checksum,
    result: Result<Chunk, StoreError>,
) -> Result<Chunk, StoreError> {
    match result {
        Err(_) if env.mutated(Mutation::IgnoreUploadErrors) => Ok(Chunk { path: PendingPath::new(path)?, checksum }),
        result => result,
    }
}

/// [`Mutation::CommitErrorIsDone`]: a commit whose last try failed counts as done.
pub(super) fn committed(env: &Env, result: Result<(), CommitError>) -> Result<(), CommitError> {
    match result {
        Err(CommitError::Store(_)) if env.mutated(Mutation::CommitErrorIsDone) => Ok(()),
        result => result,
    }
}
