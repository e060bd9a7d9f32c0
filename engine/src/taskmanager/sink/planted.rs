//! What planted bugs make of a sink. Exists only under the feature `mutations`; a bug changes nothing unless it is switched on.

use super::*;
use crate::mutation::Mutation;

impl Sink {
    /// Whether something is pending that this checkpoint commits.
    pub(in crate::taskmanager) fn has_pending(&self, checkpoint: CheckpointId) -> bool {
        self.pending.iter().any(|transaction| transaction.epoch <= checkpoint)
    }

    /// The newest checkpoint of which something is pending.
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

/// [`Mutation::CommitErrorIsDone`]: a commit that failed to the last try is forgotten.
pub(super) fn committed(env: &Env, result: Result<(), CommitError>) -> Result<(), CommitError> {
    match result {
        Err(CommitError::Store(_)) if env.mutated(Mutation::CommitErrorIsDone) => Ok(()),
        result => result,
    }
}
