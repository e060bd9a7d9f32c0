//! The asynchronous part of a snapshot: upload, verify, then acknowledge. Runs beside the processing of records.
//!
//! An error of the store fails only the checkpoint, which is declined. An error in the local files fails the task:
//! those files are its working state, and only a restore from the store repairs them.
//!
//! Invariants: (P1) what is acknowledged was read back from the store (unless `verify_uploads` is off); (P2) a local
//! snapshot is gone when its upload ends, is aborted, or its subtask ends.

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt};
use tokio::sync::mpsc::UnboundedSender;

use super::error::EngineError;
use super::mail::Mail;
#[cfg(feature = "mutations")]
use super::planted;
use super::reporter::Reporter;
use super::sink::PreCommit;
use crate::checkpoint::manifest::{StateFile, StateFileOwner, StatePlace, SubtaskState, state_file};
use crate::config::BackendKind;
use crate::env::{Checksum, Env, LocalFolder, StoreError, StoreKind, Work, upload};
use crate::event::{AbortReason, Event};
use crate::graph::source::SplitPosition;
use crate::ids::{Attempt, CheckpointId, SubtaskId, Term};
use crate::paths::{StateFileName, StateFilePath};
use crate::state::{FirstLook, LocalSnapshot, StateError, entry_bytes, heap_file};
use crate::wire::TaskReport;

/// Transfers at once (Flink: `state.backend.rocksdb.checkpoint.transfer.thread.num`).
pub(super) const TRANSFERS: usize = 4;

/// Everything that the synchronous part of a snapshot took.
pub(super) struct Snapshot {
    pub(super) subtask: SubtaskId,
    pub(super) term: Term,
    pub(super) attempt: Attempt,
    pub(super) checkpoint: CheckpointId,
    pub(super) backend: BackendKind,
    pub(super) positions: Vec<SplitPosition>,
    /// Keyed state, if the chain holds any.
    pub(super) state: Option<LocalSnapshot>,
    pub(super) pre_commit: Option<PreCommit>,
    /// Whether uploads are read back.
    pub(super) verify: bool,
    /// The mailbox of the subtask.
    pub(super) mailbox: UnboundedSender<Mail>,
}

/// Why a snapshot cannot be acknowledged.
#[derive(Debug, thiserror::Error)]
enum SnapshotError {
    /// The store failed: the checkpoint is declined, and the task goes on.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The local files are wrong: the task fails, because they are its working state.
    #[error(transparent)]
    Local(#[from] StateError),
}

impl Snapshot {
    /// Makes everything durable and acknowledges; declines if the store fails.
    pub(super) async fn finish(self, env: Env, reporter: Reporter) {
        let (checkpoint, subtask, attempt) = (self.checkpoint, self.subtask, self.attempt);
        let mailbox = self.mailbox.clone();
        let report = match self.upload(&env).await {
            Ok(state) => {
                let bytes = state.bytes();
                env.emit(Event::SnapshotAsyncEnded { attempt, checkpoint, subtask, bytes }).await;
                TaskReport::Acknowledge { checkpoint, subtask, state }
            }
            Err(SnapshotError::Store(error)) => {
                env.warn(format_args!("checkpoint {checkpoint} of subtask {subtask}, {attempt}: {error}"));
                let reason = AbortReason::AsyncException;
                env.emit(Event::SnapshotDeclined { attempt, checkpoint, subtask, reason }).await;
                TaskReport::Decline { checkpoint, subtask, reason }
            }
            Err(SnapshotError::Local(error)) => {
                // If the subtask has ended, it does not need this message.
                let _ = mailbox.send(Mail::Failed(EngineError::State(error).into()));
                return;
            }
        };
        reporter.report(report);
    }

    async fn upload(self, env: &Env) -> Result<SubtaskState, SnapshotError> {
        let (checkpoint, subtask, attempt) = (self.checkpoint, self.subtask, self.attempt);
        let owner = StateFileOwner { checkpoint, subtask, term: self.term, attempt };
        let uploader = Uploader { env, backend: self.backend, owner, verify: self.verify };
        let files = match self.state {
            None => Vec::new(),
            Some(LocalSnapshot::Bytes { bytes, .. }) if self.backend == BackendKind::Memory => {
                let checksum = Checksum::of(&bytes);
                // The bytes are encoded into the acknowledgement; this charges for it.
                env.charge(Work::Inline { bytes: checksum.length }).await;
                vec![StateFile { name: heap_file(), place: StatePlace::Inline(bytes), checksum }]
            }
            Some(LocalSnapshot::Bytes { bytes, .. }) => {
                vec![uploader.put(&heap_file(), Checksum::of(&bytes), bytes).await?]
            }
            Some(LocalSnapshot::Files { names, folder, first_look, .. }) => {
                let files = uploader.put_all(names, &folder, &first_look).await?;
                env.blocking(move || drop(folder)).await;
                files
            }
        };
        let mut transactions = Vec::new();
        if let Some(pre_commit) = self.pre_commit {
            let bytes;
            (transactions, bytes) = pre_commit.durable().await?;
            env.emit(Event::SinkPreCommitted { attempt, checkpoint, subtask, bytes }).await;
        }
        #[cfg(feature = "mutations")]
        let transactions = planted::named_transactions(env, transactions);
        Ok(SubtaskState { positions: self.positions, files, transactions })
    }
}

/// Uploads the files of one subtask's snapshot.
struct Uploader<'a> {
    env: &'a Env,
    backend: BackendKind,
    owner: StateFileOwner,
    verify: bool,
}

impl Uploader<'_> {
    async fn put_all(
        &self,
        names: Vec<StateFileName>,
        folder: &LocalFolder,
        first_look: &FirstLook,
    ) -> Result<Vec<StateFile>, SnapshotError> {
        #[cfg(feature = "mutations")]
        let first_look = &planted::first_look(self.env, first_look);
        // Boxed, because the compiler cannot prove that closures over borrowed futures are `Send`.
        let uploads: Vec<_> = names
            .into_iter()
            .map(|name| {
                let (local, first_look) = (folder.path().join(&name), first_look.clone());
                async move {
                    let look = {
                        let name = name.clone();
                        move || -> Result<_, StateError> {
                            let read = std::fs::read(&local);
                            let bytes = read.map_err(|error| StateError::file(local.display().to_string(), &error))?;
                            Ok((first_look.check(&name, &bytes)?, Bytes::from(bytes)))
                        }
                    };
                    let (checksum, bytes) = self.env.blocking(look).await?;
                    let entries = entry_bytes(&name, checksum.length);
                    if entries > 0 {
                        self.env.charge(Work::ReadBack { backend: self.backend, bytes: entries }).await;
                    }
                    Ok::<_, SnapshotError>(self.put(&name, checksum, bytes).await?)
                }
                .boxed()
            })
            .collect();
        // `buffered` keeps the order of the files, whichever upload ends first.
        futures::stream::iter(uploads).buffered(TRANSFERS).try_collect().await
    }

    async fn put(&self, name: &StateFileName, checksum: Checksum, bytes: Bytes) -> Result<StateFile, StoreError> {
        let Self { env, owner, verify, .. } = self;
        let path = state_file(*owner, name);
        let path = upload(env, &env.store(StoreKind::Checkpoints), &path, bytes, *verify).await?;
        let StateFileOwner { checkpoint, subtask, attempt, .. } = *owner;
        let event = Event::StateUploaded { attempt, checkpoint, subtask, path: path.clone(), bytes: checksum.length };
        env.emit(event).await;
        Ok(StateFile { name: name.clone(), place: StatePlace::Stored(StateFilePath::new(path)?), checksum })
    }
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::super::error::TaskError;
    use super::*;
    use crate::env::Entries;
    use crate::env::sim::testing::{hurting, on_one_node};
    use crate::fault::{StoreFault, StoreRule};
    use crate::ids::VertexId;
    use crate::wire::ToJobManager;

    const SUBTASK: SubtaskId = SubtaskId { vertex: VertexId(1), index: 0 };

    /// The result for a snapshot of `state`: the report, or the error that fails the task.
    async fn finish(env: &Env, checkpoint: u64, state: LocalSnapshot) -> Result<TaskReport, TaskError> {
        let (to, mut reports) = unbounded_channel();
        let (mailbox, mut mail) = unbounded_channel();
        let snapshot = Snapshot {
            subtask: SUBTASK,
            term: Term(1),
            attempt: Attempt(1),
            checkpoint: CheckpointId(checkpoint),
            backend: BackendKind::Fs,
            positions: Vec::new(),
            state: Some(state),
            pre_commit: None,
            verify: true,
            mailbox,
        };
        snapshot.finish(env.clone(), Reporter { attempt: Attempt(1), status: Default::default(), to }).await;
        match (reports.try_recv(), mail.try_recv()) {
            (Ok(ToJobManager::Task(_, report)), Err(_)) => Ok(report),
            (Err(_), Ok(Mail::Failed(error))) => Err(error),
            other => panic!("one word is said, not {other:?}"),
        }
    }

    fn heap() -> LocalSnapshot {
        LocalSnapshot::Bytes { bytes: Bytes::from_static(b"state"), entries: 1 }
    }

    #[test]
    fn a_torn_upload_is_repeated_under_another_name_and_never_acknowledged() {
        on_one_node(|world, env| async move {
            world.add_store_rule(hurting(1, StoreFault::TornWrite));
            let Ok(TaskReport::Acknowledge { state, .. }) = finish(&env, 1, heap()).await else { panic!("declined") };
            let StatePlace::Stored(path) = &state.files[0].place else { panic!("not stored") };
            assert_eq!(env.store(StoreKind::Checkpoints).get(path).await.unwrap(), "state", "P1");
            assert_eq!(state.files[0].checksum, Checksum::of(b"state"));
            assert_eq!(world.stores().list(StoreKind::Checkpoints, ""), [path.to_string()]);
            world.add_store_rule(StoreRule { count: None, ..hurting(0, StoreFault::TornWrite) });
            let declined = finish(&env, 2, heap()).await;
            assert!(matches!(declined, Ok(TaskReport::Decline { reason: AbortReason::AsyncException, .. })));
        });
    }

    #[test]
    fn an_answer_that_says_nothing_costs_no_checkpoint_and_an_outage_costs_one() {
        on_one_node(|world, env| async move {
            world.add_store_rule(hurting(2, StoreFault::AmbiguousWrite));
            assert!(matches!(finish(&env, 1, heap()).await, Ok(TaskReport::Acknowledge { .. })));
            world.add_store_rule(StoreRule { count: None, ..hurting(0, StoreFault::Unavailable) });
            assert!(matches!(finish(&env, 2, heap()).await, Ok(TaskReport::Decline { .. })));
        });
    }

    #[test]
    fn damage_to_local_files_is_not_uploaded_but_ends_the_task() {
        on_one_node(|world, env| async move {
            let first_look = FirstLook::default();
            let take = |id: u64| {
                let folder = env.fresh_folder(&format!("snapshot-{id}")).unwrap();
                std::fs::create_dir_all(folder.path()).unwrap();
                let bytes = if id < 3 { &b"entries"[..] } else { b"entrieS" };
                std::fs::write(folder.path().join("000007.sst"), bytes).unwrap();
                let path = folder.path().to_owned();
                let names = vec![StateFileName::new("000007.sst").unwrap()];
                (
                    LocalSnapshot::Files { names, folder, first_look: first_look.clone(), written: Entries::default() },
                    path,
                )
            };
            for id in [1, 2] {
                let (state, path) = take(id);
                assert!(matches!(finish(&env, id, state).await, Ok(TaskReport::Acknowledge { .. })));
                assert!(!path.exists(), "P2");
            }
            let (state, path) = take(3);
            let error = finish(&env, 3, state).await.map(drop).unwrap_err();
            assert!(error.to_string().contains("000007.sst is damaged"), "{error}");
            assert_eq!(world.stores().list(StoreKind::Checkpoints, "chk-00000003"), [""; 0]);
            assert!(!path.exists(), "P2");
            // The snapshot is dropped before its upload begins.
            let (state, path) = take(4);
            drop(state);
            assert!(!path.exists(), "P2");
        });
    }
}
