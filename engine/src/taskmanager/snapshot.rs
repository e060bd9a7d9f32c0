//! The asynchronous part of a snapshot: upload, then acknowledge. Runs beside the processing of records.

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt};

use super::Reporter;
use super::sink::PreCommit;
use crate::checkpoint::manifest::{StateFile, StateFileOwner, StatePlace, SubtaskState, Transaction, state_file};
use crate::config::BackendKind;
use crate::env::{Checksum, Env, Store, StoreError, StoreKind};
use crate::event::{AbortReason, Event};
use crate::graph::source::SplitPosition;
use crate::ids::{Attempt, CheckpointId, SubtaskId, Term};
use crate::mutation::Mutation;
use crate::state::{HEAP_FILE, LocalSnapshot};
use crate::wire::TaskReport;

/// Files under way at once (Flink: `state.backend.rocksdb.checkpoint.transfer.thread.num`).
pub(super) const TRANSFERS: usize = 4;

/// Everything that the synchronous part took.
pub(super) struct Snapshot {
    pub(super) subtask: SubtaskId,
    pub(super) term: Term,
    pub(super) attempt: Attempt,
    pub(super) checkpoint: CheckpointId,
    pub(super) backend: BackendKind,
    pub(super) positions: Vec<SplitPosition>,
    /// Keyed state, if the chain holds any.
    pub(super) state: Option<LocalSnapshot>,
    pub(super) transactions: Vec<Transaction>,
    pub(super) pre_commit: Option<PreCommit>,
}

impl Snapshot {
    /// Makes everything durable, then acknowledges; declines if the store refuses.
    pub(super) async fn finish(self, env: Env, reporter: Reporter) {
        let (checkpoint, subtask, attempt) = (self.checkpoint, self.subtask, self.attempt);
        let report = match self.upload(&env).await {
            Ok(state) => {
                let bytes = state.bytes();
                env.emit(Event::SnapshotAsyncEnded { attempt, checkpoint, subtask, bytes }).await;
                TaskReport::Acknowledge { checkpoint, subtask, state }
            }
            Err(error) => {
                env.warn(format_args!("checkpoint {checkpoint} of subtask {subtask}, {attempt}: {error}"));
                TaskReport::Decline { checkpoint, subtask, reason: AbortReason::AsyncException }
            }
        };
        reporter.report(report);
    }

    async fn upload(self, env: &Env) -> Result<SubtaskState, StoreError> {
        let (checkpoint, subtask, attempt) = (self.checkpoint, self.subtask, self.attempt);
        let store = env.store(StoreKind::Checkpoints);
        let owner = StateFileOwner { checkpoint, subtask, term: self.term, attempt };
        let mut files = Vec::new();
        match self.state {
            None => {}
            Some(LocalSnapshot::Bytes(bytes)) if self.backend == BackendKind::Memory => {
                let checksum = Checksum::of(&bytes);
                files.push(StateFile { name: HEAP_FILE.into(), place: StatePlace::Inline(bytes), checksum });
            }
            Some(LocalSnapshot::Bytes(bytes)) => {
                let path = state_file(owner, HEAP_FILE);
                let checksum = put(env, &store, &path, bytes, self.attempt, checkpoint, subtask).await?;
                files.push(StateFile { name: HEAP_FILE.into(), place: StatePlace::Stored(path), checksum });
            }
            Some(LocalSnapshot::Files { files: local, folder }) => {
                // Boxed, since the compiler cannot see through closures over borrowed futures that all this is `Send`.
                let uploads: Vec<_> = local
                    .into_iter()
                    .map(|(name, local)| {
                        let (store, path) = (&store, state_file(owner, &name));
                        async move {
                            let read = env.blocking(move || std::fs::read(&local)).await;
                            let failed = |cause: std::io::Error| StoreError::Failed {
                                path: path.clone(),
                                cause: cause.to_string(),
                            };
                            let bytes = Bytes::from(read.map_err(failed)?);
                            let checksum = put(env, store, &path, bytes, attempt, checkpoint, subtask).await?;
                            Ok::<_, StoreError>(StateFile { name, place: StatePlace::Stored(path), checksum })
                        }
                        .boxed()
                    })
                    .collect();
                // `buffered` keeps the order of the files, whichever is done first.
                files = futures::stream::iter(uploads).buffered(TRANSFERS).try_collect().await?;
                let removed = env.blocking(move || std::fs::remove_dir_all(folder)).await;
                if let Err(error) = removed {
                    env.warn(format_args!("local snapshot of checkpoint {checkpoint} stays behind: {error}"));
                }
            }
        }
        if let Some(pre_commit) = self.pre_commit {
            let bytes = pre_commit.durable().await?;
            env.emit(Event::SinkPreCommitted { attempt, checkpoint, subtask, bytes }).await;
        }
        let transactions = match env.mutated(Mutation::ForgetPendingTransactions) {
            true => Vec::new(),
            false => self.transactions,
        };
        Ok(SubtaskState { positions: self.positions, files, transactions })
    }
}

async fn put(
    env: &Env,
    store: &Store,
    path: &str,
    bytes: Bytes,
    attempt: Attempt,
    checkpoint: CheckpointId,
    subtask: SubtaskId,
) -> Result<Checksum, StoreError> {
    let checksum = Checksum::of(&bytes);
    if !store.create(path, bytes).await? {
        return Err(StoreError::Failed { path: path.into(), cause: "a file of this name is there already".into() });
    }
    let event = Event::StateUploaded { attempt, checkpoint, subtask, path: path.into(), bytes: checksum.length };
    env.emit(event).await;
    Ok(checksum)
}
