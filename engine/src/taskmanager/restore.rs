//! Loads a subtask's state. Every file is verified before any of its bytes is used. A file that looks damaged is read
//! again, because one bad answer of the store must not condemn a good checkpoint.

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt};

use super::error::{EngineError, TaskError};
use super::snapshot::TRANSFERS;
use crate::checkpoint::manifest::{Damaged, StateFile, StatePlace, SubtaskState};
use crate::env::{Checksum, Env, ReadFault, Store, StoreError, StoreKind, Work, read_verified};
use crate::ids::CheckpointId;
use crate::state::RestoredState;

/// Why state could not be loaded.
#[derive(Debug, thiserror::Error)]
pub(super) enum RestoreError {
    /// The checkpoint cannot be used.
    #[error(transparent)]
    Damaged(Damaged),
    /// The store did not answer as it should, but may do so later.
    #[error(transparent)]
    Store(StoreError),
}

impl RestoreError {
    /// The error of a task that was to begin with `checkpoint`.
    pub(super) fn of(self, checkpoint: Option<CheckpointId>) -> TaskError {
        match (self, checkpoint) {
            (Self::Damaged(file), Some(checkpoint)) => TaskError::CheckpointDamaged { checkpoint, file },
            (Self::Damaged(file), None) => EngineError::StateOfNoCheckpoint(file).into(),
            (Self::Store(error), _) => EngineError::Store(error).into(),
        }
    }
}

/// Fetches and verifies the files of a subtask's keyed state.
pub(super) async fn load(env: &Env, state: &SubtaskState) -> Result<RestoredState, RestoreError> {
    let store = env.store(StoreKind::Checkpoints);
    // Boxed, because the compiler cannot prove that closures over borrowed futures are `Send`.
    let loads: Vec<_> = state
        .files
        .iter()
        .map(|file| {
            let store = &store;
            async move { fetch(env, store, file).await.map(|bytes| (file.name.clone(), bytes)) }.boxed()
        })
        .collect();
    let files = futures::stream::iter(loads).buffered(TRANSFERS).try_collect().await?;
    Ok(RestoredState { files })
}

async fn fetch(env: &Env, store: &Store, file: &StateFile) -> Result<Bytes, RestoreError> {
    let damaged = |path: &str, found: String| {
        RestoreError::Damaged(Damaged { path: path.into(), expected: file.checksum.to_string(), found })
    };
    match &file.place {
        StatePlace::Inline(bytes) => {
            // The bytes were decoded from the order to deploy; this charges for it.
            env.charge(Work::Inline { bytes: file.checksum.length }).await;
            match Checksum::of(bytes) {
                found if found == file.checksum => Ok(bytes.clone()),
                found => Err(damaged(&file.name, found.to_string())),
            }
        }
        StatePlace::Stored(path) => match read_verified(env, store, path, file.checksum).await {
            Ok(bytes) => Ok(bytes),
            Err(ReadFault::Missing) => Err(damaged(path, "no such file".into())),
            Err(ReadFault::Differs(found)) => Err(damaged(path, found.to_string())),
            Err(ReadFault::Store(error)) => Err(RestoreError::Store(error)),
        },
    }
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::env::sim::testing::{hurting, on_one_node};
    use crate::fault::StoreFault;
    use crate::paths::StateFilePath;
    use crate::state::heap_file;

    #[test]
    fn damage_is_believed_only_when_it_is_seen_again() {
        on_one_node(|world, env| async move {
            let (kind, path) = (StoreKind::Checkpoints, "chk-1/x");
            let place = StatePlace::Stored(StateFilePath::new(path).unwrap());
            let file = StateFile { name: heap_file(), place, checksum: Checksum::of(b"state") };
            let state = SubtaskState { files: vec![file], ..SubtaskState::default() };
            let good = Bytes::from_static(b"state");
            env.store(kind).create(path, good.clone()).await.unwrap();
            world.add_store_rule(hurting(1, StoreFault::StaleRead(Duration::from_secs(60))));
            assert_eq!(load(&env, &state).await.ok().unwrap().files, [(heap_file(), good)]);

            let found = |loaded: Result<RestoredState, RestoreError>| match loaded {
                Err(RestoreError::Damaged(damaged)) => (damaged.path, damaged.found),
                _ => panic!("not damaged"),
            };
            world.stores().damage(kind, path, Some(Bytes::from_static(b"rot")));
            assert_eq!(found(load(&env, &state).await), (path.into(), Checksum::of(b"rot").to_string()));
            world.stores().damage(kind, path, None);
            assert_eq!(found(load(&env, &state).await), (path.into(), "no such file".into()));
            world.add_store_rule(hurting(3, StoreFault::Unavailable));
            assert!(matches!(load(&env, &state).await, Err(RestoreError::Store(_))), "it may be there");
        });
    }
}
