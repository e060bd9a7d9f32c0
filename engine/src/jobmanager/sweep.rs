//! Removing files that nobody will ask for again.

use crate::checkpoint::manifest::{checkpoint_of_folder, folder};
use crate::connectors::file_sink::PENDING;
use crate::env::{Env, Store, StoreError, StoreKind};
use crate::ids::CheckpointId;
use crate::mutation::Mutation;

/// Removes all files of a checkpoint.
pub(super) async fn delete_checkpoint(store: &Store, id: CheckpointId) -> Result<(), StoreError> {
    let mut files = store.list(&folder(id)).await?;
    // The manifest goes first: what is half deleted must not look complete.
    files.sort_by_key(|(name, _)| !name.ends_with("/_metadata"));
    for (file, _) in files {
        store.delete(&file).await?;
    }
    Ok(())
}

/// Removes files of checkpoints that are not in `keep`, of ids up to `up_to`, and, if nothing will be committed any more
/// (`last`), pending output. Returns how many. Several leaders may sweep at once: none removes what the log names.
pub(super) async fn sweep(
    env: &Env,
    keep: &[CheckpointId],
    up_to: CheckpointId,
    last: bool,
) -> Result<u64, StoreError> {
    if env.mutated(Mutation::SkipSweep) {
        return Ok(0);
    }
    let checkpoints = env.store(StoreKind::Checkpoints);
    let mut removed = 0;
    let goes = |id: CheckpointId| id <= up_to && !keep.contains(&id);
    let mut files = checkpoints.list_in(|folder| checkpoint_of_folder(folder).is_some_and(goes)).await?;
    files.sort_by_key(|(name, _)| !name.ends_with("/_metadata"));
    for (file, _) in files {
        checkpoints.delete(&file).await?;
        removed += 1;
    }
    if last {
        let output = env.store(StoreKind::Output);
        for (file, _) in output.list(PENDING).await? {
            output.delete(&file).await?;
            removed += 1;
        }
    }
    Ok(removed)
}
