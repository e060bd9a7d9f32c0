//! Loading a subtask's state: every file is verified before a byte of it is used.

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt};

use super::snapshot::TRANSFERS;
use crate::checkpoint::manifest::{Damaged, StatePlace, SubtaskState};
use crate::env::{Checksum, Env, StoreError, StoreKind};
use crate::state::RestoredState;

/// Why state could not be loaded.
pub(super) enum RestoreError {
    /// The checkpoint cannot be used.
    Damaged(Damaged),
    /// The store did not answer as it should; it may later.
    Store(StoreError),
}

/// Fetches and verifies the files of a subtask's keyed state.
pub(super) async fn load(env: &Env, state: &SubtaskState) -> Result<RestoredState, RestoreError> {
    let store = env.store(StoreKind::Checkpoints);
    // Boxed, since the compiler cannot see through closures over borrowed futures that all this is `Send`.
    let loads: Vec<_> = state
        .files
        .iter()
        .map(|file| {
            let store = &store;
            async move {
                let (path, bytes) = match &file.place {
                    StatePlace::Inline(bytes) => (file.name.as_str(), bytes.clone()),
                    StatePlace::Stored(path) => match store.get(path).await {
                        Ok(bytes) => (path.as_str(), bytes),
                        Err(StoreError::NotFound { path }) => {
                            let (expected, found) = (file.checksum.to_string(), "no such file".into());
                            return Err(RestoreError::Damaged(Damaged { path, expected, found }));
                        }
                        Err(error) => return Err(RestoreError::Store(error)),
                    },
                };
                verify(path, &bytes, file.checksum).map_err(RestoreError::Damaged)?;
                Ok((file.name.clone(), bytes))
            }
            .boxed()
        })
        .collect();
    let files = futures::stream::iter(loads).buffered(TRANSFERS).try_collect().await?;
    Ok(RestoredState { files })
}

fn verify(path: &str, bytes: &Bytes, expected: Checksum) -> Result<(), Damaged> {
    let found = Checksum::of(bytes);
    if found == expected {
        return Ok(());
    }
    Err(Damaged { path: path.into(), expected: expected.to_string(), found: found.to_string() })
}
