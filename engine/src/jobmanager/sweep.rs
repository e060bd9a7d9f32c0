//! Removes files that no later leader and no restore will ask for.

use crate::checkpoint::manifest::{checkpoint_of_folder, folder};
use crate::connectors::file_sink::{PENDING, forget_commits};
use crate::env::{Env, Store, StoreError, StoreKind};
use crate::ha::entry::HaEntry;
use crate::ha::log::{LogError, remove_segments_before};
use crate::ids::CheckpointId;

/// A leader trims the log and the decisions each time it has written this many entries.
pub(super) const TRIM_PERIOD: u64 = 16;

/// Removes in the background what neither `newest` nor any later entry needs: entries of log segments that are over,
/// and commit decisions below every retained checkpoint. What cannot be removed now is removed at the next trim.
pub(super) fn trim(env: &Env, newest: &HaEntry) {
    let (segment, oldest) = (newest.position.segment, newest.state.completed.first().copied());
    let (own, begins) = (env.clone(), newest.position.number == 0);
    let trimming = async move {
        if begins {
            remove_segments_before(&own.store(StoreKind::Checkpoints), segment).await?;
        }
        if let Some(oldest) = oldest {
            forget_commits(&own.store(StoreKind::Output), oldest).await?;
        }
        #[cfg(feature = "mutations")]
        super::planted::trim(&own, begins.then_some(segment), oldest).await?;
        Ok(())
    };
    let own = env.clone();
    let task = env.spawn(async move {
        if let Err::<(), LogError>(error) = trimming.await {
            own.warn(format_args!("log entries and commit decisions that are over stay for now: {error}"));
        }
    });
    task.detach();
}

/// Removes all files of a checkpoint.
pub(super) async fn delete_checkpoint(store: &Store, id: CheckpointId) -> Result<(), StoreError> {
    let mut files = store.list(&folder(id)).await?;
    // The manifest goes first, so that a half deleted checkpoint does not look complete.
    files.sort_by_key(|(name, _)| !name.ends_with("/_metadata"));
    for (file, _) in files {
        store.delete(&file).await?;
    }
    Ok(())
}

/// Removes files of checkpoints that are not in `keep` and whose id is at most `up_to`. If nothing will be committed
/// any more (`last`), removes pending output, too. Returns how many files were removed. Several leaders may sweep at
/// once, because none of them removes what the log names.
pub(super) async fn sweep(
    env: &Env,
    keep: &[CheckpointId],
    up_to: CheckpointId,
    last: bool,
) -> Result<u64, StoreError> {
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
