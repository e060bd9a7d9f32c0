//! The sink of one subtask: collects output, hands it to transactions, and commits them in a task of its own.
//!
//! [`crate::connectors::file_sink`] decides about transactions; this file carries the decisions out. Commits run
//! beside the processing of records, in order of their epochs.

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared, ready};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::checkpoint::manifest::{Chunk, Transaction};
use crate::connectors::file_sink::{ClosedTransaction, CommitError, OpenTransaction, commit};
use crate::env::{Checksum, Env, StoreError, StoreKind, TaskHandle, upload};
use crate::event::Event;
use crate::graph::chain::SinkBuffer;
use crate::ids::{CheckpointId, Execution, SubtaskId};
use crate::paths::PendingPath;

use super::error::EngineError;
use super::mail::Mail;

#[cfg(feature = "mutations")]
mod planted;

/// Resolves to the chunk, with its final name, once it is durable; to an error if it cannot become durable.
type Upload = Shared<BoxFuture<'static, Result<Chunk, StoreError>>>;
/// A closed transaction whose chunks may still be uploading.
type Closed = ClosedTransaction<Upload>;

/// Output of one sink subtask.
pub(super) struct Sink {
    env: Env,
    subtask: SubtaskId,
    mailbox: UnboundedSender<Mail>,
    verify: bool,
    open: OpenTransaction<Upload>,
    /// Transactions that are closed and not known to be committed, in order of their epochs. If a checkpoint is
    /// aborted, the next one names the same chunks and has to wait for them, too.
    pending: Vec<Closed>,
    to_committer: UnboundedSender<(CheckpointId, Vec<Closed>)>,
    _committer: TaskHandle,
}

/// The transactions that a pre-commit names, and the uploads that it has to wait for.
pub(super) struct PreCommit {
    transactions: Vec<Closed>,
    under_way: Vec<Upload>,
}

impl PreCommit {
    /// Waits until all output is durable. Returns the transactions that the snapshot has to name, and the bytes that
    /// were not durable before.
    pub(super) async fn durable(self) -> Result<(Vec<Transaction>, u64), StoreError> {
        let mut bytes = 0;
        for upload in self.under_way {
            bytes += upload.await?.checksum.length;
        }
        let mut transactions = Vec::new();
        for closed in self.transactions {
            transactions.push(durable(closed).await?);
        }
        Ok((transactions, bytes))
    }
}

/// Waits until every chunk of a transaction is durable.
async fn durable(closed: Closed) -> Result<Transaction, StoreError> {
    let ClosedTransaction { epoch, chunks: uploads, records } = closed;
    let mut chunks = Vec::new();
    for upload in uploads {
        chunks.push(upload.await?);
    }
    Ok(Transaction { epoch, chunks, records })
}

/// An upload whose chunk is already durable.
fn at_once(chunk: Chunk) -> Upload {
    let upload = ready(Ok(chunk)).boxed().shared();
    // Polled once, because `Shared::peek` shows the result only after the first poll.
    let _ = upload.clone().now_or_never();
    upload
}

impl Sink {
    /// `pending` are restored transactions: durable, and to be committed once every task of the job has its state. The
    /// committer reports committed epochs as [`Mail::Committed`]. With `verify`, chunks are read back before they
    /// count as durable.
    pub(super) fn new(
        env: &Env,
        subtask: SubtaskId,
        by: Execution,
        pending: Vec<Transaction>,
        mailbox: UnboundedSender<Mail>,
        verify: bool,
    ) -> Self {
        let (to_committer, orders) = unbounded_channel();
        let committer = Committer { env: env.clone(), subtask, by };
        let _committer = env.spawn(committer.run(orders, mailbox.clone()));
        let open = OpenTransaction::new(subtask, by.term, by.attempt);
        let pending = pending.into_iter().map(|Transaction { epoch, chunks, records }| {
            let chunks = chunks.into_iter().map(at_once).collect();
            ClosedTransaction { epoch, chunks, records }
        });
        let (env, pending) = (env.clone(), pending.collect());
        Self { env, subtask, mailbox, verify, open, pending, to_committer, _committer }
    }

    /// Starts the upload of collected output as a chunk of the open transaction.
    pub(super) fn flush(&mut self, buffer: &mut SinkBuffer) {
        if buffer.bytes.is_empty() {
            return;
        }
        let bytes = Bytes::from(std::mem::take(&mut buffer.bytes));
        let path = self.open.next_path();
        let (done, chunk) = oneshot::channel();
        let (env, mailbox, verify) = (self.env.clone(), self.mailbox.clone(), self.verify);
        let (at, subtask) = (path.clone(), self.subtask);
        let task = self.env.spawn(async move {
            let checksum = Checksum::of(&bytes);
            let result = upload(&env, &env.store(StoreKind::Output), &path, bytes, verify).await;
            let result = result.and_then(|path| Ok(Chunk { path: PendingPath::new(path)?, checksum }));
            #[cfg(feature = "mutations")]
            let result = planted::uploaded(&env, &path, checksum, result);
            if let Err(error) = &result {
                // This attempt has no other copy of the records, so only a restart brings them back.
                let error = EngineError::Output { subtask, error: error.clone() };
                let _ = mailbox.send(Mail::Failed(error.into()));
            }
            let _ = done.send(result);
        });
        // The upload may outlive its attempt. A chunk that no snapshot names stays invisible, and a later restore
        // removes it.
        task.detach();
        let cancelled = move |_| Err(StoreError::Failed { path: at, cause: "upload was cancelled".into() });
        let upload = chunk.map(move |result| result.unwrap_or_else(cancelled)).boxed().shared();
        self.open.add_chunk(upload, std::mem::take(&mut buffer.records));
    }

    /// Closes the transaction of `epoch`: all output collected so far belongs to it.
    pub(super) fn pre_commit(&mut self, epoch: CheckpointId, buffer: &mut SinkBuffer) -> PreCommit {
        self.flush(buffer);
        self.pending.extend(self.open.close(epoch));
        let transactions = self.pending.clone();
        let uploads = transactions.iter().flat_map(|transaction| &transaction.chunks);
        let under_way = uploads.filter(|upload| !matches!(upload.peek(), Some(Ok(_)))).cloned().collect();
        PreCommit { transactions, under_way }
    }

    /// A checkpoint is complete: commits its epoch and all earlier ones.
    pub(super) fn commit_up_to(&mut self, checkpoint: CheckpointId) {
        let due = self.pending.iter().filter(|transaction| transaction.epoch <= checkpoint).cloned().collect();
        // Sending fails only after the committer failed, which fails the subtask.
        let _ = self.to_committer.send((checkpoint, due));
    }

    /// The committer has committed everything up to `checkpoint`.
    pub(super) fn on_committed(&mut self, checkpoint: CheckpointId) {
        self.pending.retain(|transaction| transaction.epoch > checkpoint);
    }
}

/// Commits in the background.
struct Committer {
    env: Env,
    subtask: SubtaskId,
    by: Execution,
}

impl Committer {
    async fn run(self, mut orders: UnboundedReceiver<(CheckpointId, Vec<Closed>)>, mailbox: UnboundedSender<Mail>) {
        let mut done = CheckpointId(0);
        while let Some((checkpoint, transactions)) = orders.recv().await {
            for transaction in transactions.into_iter().filter(|transaction| transaction.epoch > done) {
                let committed = self.commit(transaction, checkpoint).await;
                #[cfg(feature = "mutations")]
                let committed = planted::committed(&self.env, committed);
                if let Err(error) = committed {
                    let _ = mailbox.send(Mail::Failed(error.into()));
                    return;
                }
            }
            done = done.max(checkpoint);
            let _ = mailbox.send(Mail::Committed(checkpoint));
        }
    }

    async fn commit(&self, transaction: Closed, checkpoint: CheckpointId) -> Result<(), CommitError> {
        // This does not wait: a checkpoint completes only after its output is durable.
        let transaction = durable(transaction).await?;
        let Self { env, subtask, by } = self;
        commit(env, &env.store(StoreKind::Output), *by, *subtask, &transaction).await?;
        let (attempt, epoch) = (by.attempt, transaction.epoch);
        env.emit(Event::SinkCommitted { attempt, epoch, subtask: *subtask, checkpoint }).await;
        Ok(())
    }
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    use super::super::error::TaskError;
    use super::*;
    use crate::connectors::file_sink::{PENDING, part_name};
    use crate::env::sim::testing::{hurting, on_one_node};
    use crate::fault::StoreFault;
    use crate::ids::{Attempt, Term, VertexId};

    const SUBTASK: SubtaskId = SubtaskId { vertex: VertexId(1), index: 0 };
    const BY: Execution = Execution { term: Term(1), attempt: Attempt(1) };

    fn collected(text: &str) -> SinkBuffer {
        SinkBuffer { bytes: text.into(), records: 1 }
    }

    #[test]
    fn a_pre_commit_names_the_chunks_as_they_are_in_the_store_and_they_are_committed_from_there() {
        on_one_node(|world, env| async move {
            let (mailbox, mut mail) = unbounded_channel();
            let mut sink = Sink::new(&env, SUBTASK, BY, Vec::new(), mailbox, true);
            world.add_store_rule(hurting(1, StoreFault::TornWrite));
            sink.flush(&mut collected("a\n"));
            let first = sink.pre_commit(CheckpointId(1), &mut collected("b\n"));
            // The checkpoint is aborted, so the next one names its output, too.
            drop(first);
            let second = sink.pre_commit(CheckpointId(2), &mut collected("c\n"));
            let (transactions, bytes) = second.durable().await.unwrap();
            assert_eq!(bytes, 6);
            let mut named: Vec<String> = Vec::new();
            for chunk in transactions.iter().flat_map(|transaction| &transaction.chunks) {
                let stored = env.store(StoreKind::Output).get(&chunk.path).await.unwrap();
                assert_eq!(Checksum::of(&stored), chunk.checksum);
                named.push(chunk.path.to_string());
            }
            assert!(named[0].ends_with(".2"), "one was torn: {named:?}");
            assert_eq!(world.stores().list(StoreKind::Output, PENDING), named, "nothing else is pending");
            let (_, bytes) = sink.pre_commit(CheckpointId(3), &mut collected("")).durable().await.unwrap();
            assert_eq!(bytes, 0, "all of it was durable already");

            // The transactions are restored by another sink, which commits them.
            let restored = sink.pre_commit(CheckpointId(4), &mut collected("")).durable().await.unwrap().0;
            assert_eq!(restored, transactions);
            drop(sink);
            let (mailbox, mut elsewhere) = unbounded_channel();
            let later = Execution { attempt: Attempt(2), ..BY };
            let mut sink = Sink::new(&env, SUBTASK, later, restored, mailbox, true);
            sink.commit_up_to(CheckpointId(4));
            assert!(matches!(elsewhere.recv().await, Some(Mail::Committed(CheckpointId(4)))));
            let visible = [(1, 0), (1, 1), (2, 0)].map(|(epoch, chunk)| part_name(SUBTASK, CheckpointId(epoch), chunk));
            let mut parts = world.stores().list(StoreKind::Output, "");
            parts.retain(|path| !path.starts_with('.'));
            assert_eq!(parts, visible);
            assert!(mail.try_recv().is_err(), "nothing failed");
        });
    }

    #[test]
    fn output_that_is_lost_or_not_its_own_ends_the_job_and_output_that_cannot_be_written_the_task() {
        on_one_node(|world, env| async move {
            let (mailbox, mut mail) = unbounded_channel();
            let mut sink = Sink::new(&env, SUBTASK, BY, Vec::new(), mailbox.clone(), true);
            let (lost, _) = sink.pre_commit(CheckpointId(1), &mut collected("a\n")).durable().await.unwrap();
            world.stores().damage(StoreKind::Output, &lost[0].chunks[0].path, None);
            sink.commit_up_to(CheckpointId(1));
            let failed = async |mail: &mut UnboundedReceiver<Mail>| match mail.recv().await {
                Some(Mail::Failed(error)) => error,
                other => panic!("the sink fails, and says {other:?}"),
            };
            let gone = failed(&mut mail).await;
            assert!(matches!(&gone, TaskError::OutputLost(CommitError::Lost { .. })), "{gone:?}");

            let mut sink = Sink::new(&env, SUBTASK, BY, lost, mailbox.clone(), true);
            let part = part_name(SUBTASK, CheckpointId(1), 0);
            world.stores().damage(StoreKind::Output, &part, Some(Bytes::from_static(b"other\n")));
            sink.commit_up_to(CheckpointId(1));
            let taken = failed(&mut mail).await;
            assert!(
                matches!(&taken, TaskError::OutputLost(CommitError::Conflict { object, .. }) if object.contains(&part)),
                "{taken:?}"
            );

            world.add_store_rule(hurting(99, StoreFault::NoSpace));
            let by = Execution { attempt: Attempt(2), ..BY };
            let mut sink = Sink::new(&env, SUBTASK, by, Vec::new(), mailbox, true);
            assert!(sink.pre_commit(CheckpointId(2), &mut collected("a\n")).durable().await.is_err());
            let full = failed(&mut mail).await;
            assert!(matches!(full, TaskError::Engine(EngineError::Output { .. })), "{full:?}");
            assert!(full.to_string().contains("no space"), "{full}");
        });
    }
}
