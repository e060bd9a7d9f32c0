//! The sink of one subtask: collects output, hands it to transactions, and commits them in a task of its own.
//!
//! What is decided about transactions is in [`crate::connectors::file_sink`]; here is only who does it when. Commits run
//! beside the processing of records, in order of their epochs.

use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::checkpoint::manifest::Transaction;
use crate::connectors::file_sink::{CommitError, OpenTransaction, commit};
use crate::env::{Env, StoreError, StoreKind, TaskHandle};
use crate::event::Event;
use crate::graph::chain::SinkBuffer;
use crate::ids::{Attempt, CheckpointId, SubtaskId, Term};

use super::subtask::Mail;

/// How often a commit is tried while the store fails.
const COMMIT_TRIES: u32 = 5;
/// Pause before the second try; doubles.
const COMMIT_RETRY: Duration = Duration::from_millis(100);

/// Resolves to the bytes written once a chunk is durable; an error if it never will be.
type Upload = Shared<BoxFuture<'static, Result<u64, StoreError>>>;

/// Output of one sink subtask.
pub(super) struct Sink {
    env: Env,
    subtask: SubtaskId,
    mailbox: UnboundedSender<Mail>,
    open: OpenTransaction,
    /// Chunks not known to be durable. Kept beyond their own pre-commit: if that checkpoint is given up, the next one names
    /// the same chunks, and must wait for them, too.
    uploads: Vec<Upload>,
    /// Closed and not known to be committed, in order of their epochs.
    pending: Vec<Transaction>,
    to_committer: UnboundedSender<(CheckpointId, Vec<Transaction>)>,
    _committer: TaskHandle,
}

/// What a pre-commit still waits for.
pub(super) struct PreCommit {
    uploads: Vec<Upload>,
}

impl PreCommit {
    /// Returns the bytes written once all of the epoch's output is durable.
    pub(super) async fn durable(self) -> Result<u64, StoreError> {
        let mut bytes = 0;
        for upload in self.uploads {
            bytes += upload.await?;
        }
        Ok(bytes)
    }
}

impl Sink {
    /// `pending` transactions were restored: durable, and to be committed once every task of the job has its state. Committed
    /// epochs come back as [`Mail::Committed`].
    pub(super) fn new(
        env: &Env,
        subtask: SubtaskId,
        term: Term,
        attempt: Attempt,
        pending: Vec<Transaction>,
        mailbox: UnboundedSender<Mail>,
    ) -> Self {
        let (to_committer, orders) = unbounded_channel();
        let committer = Committer { env: env.clone(), subtask, attempt };
        let _committer = env.spawn(committer.run(orders, mailbox.clone()));
        let open = OpenTransaction::new(subtask, term, attempt);
        let (env, uploads) = (env.clone(), Vec::new());
        Self { env, subtask, mailbox, open, uploads, pending, to_committer, _committer }
    }

    /// Sends collected output on its way to the store, as a chunk of the open transaction.
    pub(super) fn flush(&mut self, buffer: &mut SinkBuffer) {
        if buffer.bytes.is_empty() {
            return;
        }
        let bytes = Bytes::from(std::mem::take(&mut buffer.bytes));
        let path = self.open.add_chunk(std::mem::take(&mut buffer.records));
        let (done, upload) = oneshot::channel();
        let (store, mailbox) = (self.env.store(StoreKind::Output), self.mailbox.clone());
        let (at, subtask) = (path.clone(), self.subtask);
        let task = self.env.spawn(async move {
            let length = bytes.len() as u64;
            // False: this very chunk is there already, after an answer that was lost.
            let result = store.create(&path, bytes).await.map(|_| length);
            if let Err(error) = &result {
                // The records are in no other place of this attempt: only a restart brings them back.
                let _ =
                    mailbox.send(Mail::OutputFailed(format!("output of subtask {subtask} is not durable: {error}")));
            }
            let _ = done.send(result);
        });
        // It may outlive its attempt: a chunk that nobody names stays invisible, and a later restore removes it.
        task.detach();
        let cancelled = move |_| Err(StoreError::Failed { path: at, cause: "upload was cancelled".into() });
        self.uploads.push(upload.map(move |result| result.unwrap_or_else(cancelled)).boxed().shared());
    }

    /// Closes the epoch: everything collected so far belongs to `epoch`.
    pub(super) fn pre_commit(&mut self, epoch: CheckpointId, buffer: &mut SinkBuffer) -> PreCommit {
        self.flush(buffer);
        self.pending.extend(self.open.close(epoch));
        self.uploads.retain(|upload| !matches!(upload.peek(), Some(Ok(_))));
        PreCommit { uploads: self.uploads.clone() }
    }

    /// Transactions that a snapshot taken now has to name.
    pub(super) fn pending(&self) -> &[Transaction] {
        &self.pending
    }

    /// A checkpoint is complete: commit its epoch and all before.
    pub(super) fn commit_up_to(&mut self, checkpoint: CheckpointId) {
        let due = self.pending.iter().filter(|transaction| transaction.epoch <= checkpoint).cloned().collect();
        // The committer ends only with this subtask.
        let _ = self.to_committer.send((checkpoint, due));
    }

    /// The committer is done with everything up to `checkpoint`.
    pub(super) fn on_committed(&mut self, checkpoint: CheckpointId) {
        self.pending.retain(|transaction| transaction.epoch > checkpoint);
    }

    /// Only for a planted bug: forgets the transaction of a checkpoint that was given up.
    pub(super) fn throw_away(&mut self, epoch: CheckpointId) {
        self.pending.retain(|transaction| transaction.epoch != epoch);
    }
}

/// Commits in the background.
struct Committer {
    env: Env,
    subtask: SubtaskId,
    attempt: Attempt,
}

impl Committer {
    async fn run(
        self,
        mut orders: UnboundedReceiver<(CheckpointId, Vec<Transaction>)>,
        mailbox: UnboundedSender<Mail>,
    ) {
        let mut done = CheckpointId(0);
        while let Some((checkpoint, transactions)) = orders.recv().await {
            for transaction in transactions.iter().filter(|transaction| transaction.epoch > done) {
                let result = commit_one(&self.env, self.attempt, self.subtask, transaction, checkpoint).await;
                if let Err(error) = result {
                    let mail = match error {
                        CommitError::Lost { .. } => Mail::OutputLost(error.to_string()),
                        _ => Mail::OutputFailed(error.to_string()),
                    };
                    let _ = mailbox.send(mail);
                    return;
                }
            }
            done = done.max(checkpoint);
            let _ = mailbox.send(Mail::Committed(checkpoint));
        }
    }
}

/// Commits one transaction; tries again while only the store fails.
async fn commit_one(
    env: &Env,
    attempt: Attempt,
    subtask: SubtaskId,
    transaction: &Transaction,
    checkpoint: CheckpointId,
) -> Result<(), CommitError> {
    let output = env.store(StoreKind::Output);
    let mut pause = COMMIT_RETRY;
    let mut tries = 1;
    loop {
        match commit(&output, subtask, transaction).await {
            Ok(()) => break,
            Err(CommitError::Store(_)) if tries < COMMIT_TRIES => {
                env.sleep(pause).await;
                pause *= 2;
                tries += 1;
            }
            Err(error) => return Err(error),
        }
    }
    env.emit(Event::SinkCommitted { attempt, epoch: transaction.epoch, subtask, checkpoint }).await;
    Ok(())
}
