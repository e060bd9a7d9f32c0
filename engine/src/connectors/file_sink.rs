//! The two-phase-commit file sink: output becomes visible with the checkpoint that covers it, exactly once.
//!
//! Layout of the output store, for subtask `i` of vertex `v`:
//! ```text
//! .pending/v-i/term-attempt-number      chunks of transactions that are not committed
//! .decisions/v-i/epoch                  `commit` or `abort`, written once: the first writer wins
//! part-v-i-epoch-chunk.txt              committed output; whoever reads only these sees only committed data
//! ```
//! A transaction is closed by the checkpoint whose barrier ends its epoch (pre-commit). It is committed when that checkpoint
//! *or any later one* is complete: a failed checkpoint aborts nothing, its output is carried on. A transaction is given up
//! only on restore, and only if the restored checkpoint does not name it. Start at [`OpenTransaction`] (pure) and
//! [`commit`].
//!
//! Invariants: (K1) a chunk gets its visible name only after the decision `commit` is durable; (K2) committing twice is the
//! same as once; (K3) nothing visible is ever taken back.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::checkpoint::manifest::Transaction;
use crate::env::{Store, StoreError};
use crate::ids::{Attempt, CheckpointId, SubtaskId, Term, VertexId};

/// Folder of everything that consumers must not read.
pub const PENDING: &str = ".pending";
/// Folder of the commit decisions.
pub const DECISIONS: &str = ".decisions";

const COMMIT: &[u8] = b"commit\n";
const ABORT: &[u8] = b"abort\n";

/// Why a transaction could not be committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Try again: the store may answer later.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The job fell back behind this epoch: this sink is a leftover and must stop.
    #[error("transaction {epoch} of subtask {subtask} was aborted: the job fell back to an older checkpoint")]
    Aborted {
        /// The transaction.
        epoch: CheckpointId,
        /// Whose.
        subtask: SubtaskId,
    },
    /// Pending output is gone: somebody else removed it, and the records in it are lost.
    #[error("pending output {chunk} of transaction {epoch} is gone; {records} records of subtask {subtask} are lost")]
    Lost {
        /// The missing object.
        chunk: String,
        /// The transaction.
        epoch: CheckpointId,
        /// Whose.
        subtask: SubtaskId,
        /// Records in the transaction.
        records: u64,
    },
}

fn owner(subtask: SubtaskId) -> String {
    format!("{}-{}", subtask.vertex.0, subtask.index)
}

/// Folder of a subtask's pending chunks.
pub fn pending_folder(subtask: SubtaskId) -> String {
    format!("{PENDING}/{}", owner(subtask))
}

/// How the paths of an execution's chunks begin; in order of the executions.
fn chunk_prefix(subtask: SubtaskId, term: Term, attempt: Attempt) -> String {
    format!("{}/{:06}-{:06}", pending_folder(subtask), term.0, attempt.0)
}

/// Path of the decision about a transaction.
pub fn decision_path(subtask: SubtaskId, epoch: CheckpointId) -> String {
    format!("{DECISIONS}/{}/{:08}", owner(subtask), epoch.0)
}

/// The transaction that the decision at `path` is about; `None`: it is no decision.
pub fn decision_at(path: &str) -> Option<(SubtaskId, CheckpointId)> {
    let (owner, epoch) = path.strip_prefix(DECISIONS)?.strip_prefix('/')?.split_once('/')?;
    let (vertex, index) = owner.split_once('-')?;
    let subtask = SubtaskId { vertex: VertexId(vertex.parse().ok()?), index: index.parse().ok()? };
    Some((subtask, CheckpointId(epoch.parse().ok()?)))
}

/// Whether a decision with these contents is `commit`.
pub fn is_commit(decision: &[u8]) -> bool {
    decision == COMMIT
}

/// Visible name of a chunk.
pub fn part_name(subtask: SubtaskId, epoch: CheckpointId, chunk: usize) -> String {
    format!("part-{}-{:08}-{chunk:04}.txt", owner(subtask), epoch.0)
}

/// What a visible name says: subtask, epoch, chunk. `None`: not ours.
pub fn parse_part_name(name: &str) -> Option<(SubtaskId, CheckpointId, usize)> {
    let mut fields = name.strip_prefix("part-")?.strip_suffix(".txt")?.split('-');
    let subtask = SubtaskId { vertex: VertexId(fields.next()?.parse().ok()?), index: fields.next()?.parse().ok()? };
    let epoch = CheckpointId(fields.next()?.parse().ok()?);
    let chunk = fields.next()?.parse().ok()?;
    fields.next().is_none().then_some((subtask, epoch, chunk))
}

/// The output of the current epoch, in memory and in chunks already under way to the store. Pure.
#[derive(Debug)]
pub struct OpenTransaction {
    prefix: String,
    chunks: Vec<String>,
    next_chunk: u64,
    records: u64,
}

impl OpenTransaction {
    /// Chunk names contain term and attempt, so that no two executions share one.
    pub fn new(subtask: SubtaskId, term: Term, attempt: Attempt) -> Self {
        let prefix = chunk_prefix(subtask, term, attempt);
        Self { prefix, chunks: Vec::new(), next_chunk: 0, records: 0 }
    }

    /// Adds output that leaves memory now; returns the path to write it to.
    pub fn add_chunk(&mut self, records: u64) -> String {
        let path = format!("{}-{:08}", self.prefix, self.next_chunk);
        self.next_chunk += 1;
        self.records += records;
        self.chunks.push(path.clone());
        path
    }

    /// Closes the transaction; `None` if nothing was written in the epoch.
    pub fn close(&mut self, epoch: CheckpointId) -> Option<Transaction> {
        let chunks = std::mem::take(&mut self.chunks);
        let records = std::mem::take(&mut self.records);
        (!chunks.is_empty()).then_some(Transaction { epoch, chunks, records })
    }
}

/// Writes the decision `commit` and makes the output visible. Any number of times, by anyone who holds the transaction (K2).
pub async fn commit(output: &Store, subtask: SubtaskId, transaction: &Transaction) -> Result<(), CommitError> {
    let epoch = transaction.epoch;
    let path = decision_path(subtask, epoch);
    if !output.create(&path, Bytes::from_static(COMMIT)).await? && output.get(&path).await? != COMMIT {
        return Err(CommitError::Aborted { epoch, subtask });
    }
    for (index, chunk) in transaction.chunks.iter().enumerate() {
        let part = part_name(subtask, epoch, index);
        match output.publish(chunk, &part).await {
            // Taken: an earlier commit published it.
            Ok(true | false) => {}
            // Gone: published by an earlier commit, or lost. Only a clear answer decides which.
            Err(StoreError::NotFound { .. }) => match output.get(&part).await {
                Ok(_) => {}
                Err(StoreError::NotFound { .. }) => {
                    let records = transaction.records;
                    return Err(CommitError::Lost { chunk: chunk.clone(), epoch, subtask, records });
                }
                Err(error) => return Err(error.into()),
            },
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Decides `abort` for every epoch above `restored` up to `highest`, for every sink. Returns the first one that is committed
/// already: then the job must not fall back, since its output cannot be taken back (K3).
pub async fn abort_above(
    output: &Store,
    sinks: &[SubtaskId],
    restored: CheckpointId,
    highest: CheckpointId,
) -> Result<Result<Vec<(SubtaskId, CheckpointId)>, (SubtaskId, CheckpointId)>, StoreError> {
    let mut aborted = Vec::new();
    for subtask in sinks {
        for epoch in (restored.0 + 1..=highest.0).map(CheckpointId) {
            let path = decision_path(*subtask, epoch);
            if !output.create(&path, Bytes::from_static(ABORT)).await? && output.get(&path).await? == COMMIT {
                return Ok(Err((*subtask, epoch)));
            }
            aborted.push((*subtask, epoch));
        }
    }
    Ok(Ok(aborted))
}

/// Path of a decision `commit` about an epoch above `newest`, if there is one.
pub async fn committed_above(output: &Store, newest: CheckpointId) -> Result<Option<String>, StoreError> {
    for (path, _) in output.list(DECISIONS).await? {
        let epoch = path.rsplit('/').next().and_then(|name| name.parse().ok()).map(CheckpointId);
        if epoch.is_some_and(|epoch| epoch > newest) && output.get(&path).await?.starts_with(COMMIT) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Removes pending chunks of earlier attempts that the restored state does not name. Chunks of later attempts are none of
/// ours: whoever asks may have been replaced already without knowing it.
pub async fn remove_leftovers(
    output: &Store,
    subtask: SubtaskId,
    term: Term,
    attempt: Attempt,
    transactions: &[Transaction],
) -> Result<(), StoreError> {
    let named: BTreeSet<&str> =
        transactions.iter().flat_map(|transaction| transaction.chunks.iter().map(String::as_str)).collect();
    for (path, _) in output.list(&pending_folder(subtask)).await? {
        if path < chunk_prefix(subtask, term, attempt) && !named.contains(path.as_str()) {
            output.delete(&path).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::executor::block_on;
    use object_store::memory::InMemory;

    use super::*;

    const SINK: SubtaskId = SubtaskId { vertex: VertexId(1), index: 2 };

    fn pending(store: &Store, open: &mut OpenTransaction, text: &'static str) {
        let path = open.add_chunk(1);
        block_on(store.create(&path, Bytes::from_static(text.as_bytes()))).unwrap();
    }

    fn visible(store: &Store) -> Vec<String> {
        let all = block_on(store.list("")).unwrap();
        all.into_iter().map(|(path, _)| path).filter(|path| !path.starts_with('.')).collect()
    }

    #[test]
    fn committing_twice_is_committing_once() {
        let store = Store::new(Arc::new(InMemory::new()));
        let mut open = OpenTransaction::new(SINK, Term(1), Attempt(1));
        pending(&store, &mut open, "a\n");
        pending(&store, &mut open, "b\n");
        let transaction = open.close(CheckpointId(4)).unwrap();
        assert!(visible(&store).is_empty(), "K1");
        for _ in 0..2 {
            block_on(commit(&store, SINK, &transaction)).unwrap();
            assert_eq!(visible(&store), [part_name(SINK, CheckpointId(4), 0), part_name(SINK, CheckpointId(4), 1)]);
        }
        assert_eq!(open.close(CheckpointId(5)), None);
    }

    #[test]
    fn first_decision_wins() {
        let store = Store::new(Arc::new(InMemory::new()));
        let mut open = OpenTransaction::new(SINK, Term(1), Attempt(1));
        pending(&store, &mut open, "a\n");
        let four = open.close(CheckpointId(4)).unwrap();
        pending(&store, &mut open, "b\n");
        let five = open.close(CheckpointId(5)).unwrap();
        block_on(commit(&store, SINK, &four)).unwrap();
        // Falling back behind a committed epoch is refused and names it.
        let refused = block_on(abort_above(&store, &[SINK], CheckpointId(3), CheckpointId(5))).unwrap();
        assert_eq!(refused, Err((SINK, CheckpointId(4))));
        // Behind an uncommitted one it is allowed, and a late commit of it is fenced.
        let allowed = block_on(abort_above(&store, &[SINK], CheckpointId(4), CheckpointId(5))).unwrap();
        assert_eq!(allowed, Ok(vec![(SINK, CheckpointId(5))]));
        let late = block_on(commit(&store, SINK, &five));
        assert_eq!(late, Err(CommitError::Aborted { epoch: CheckpointId(5), subtask: SINK }));
        assert_eq!(visible(&store).len(), 1);
    }

    #[test]
    fn lost_pending_output_is_said_not_skipped() {
        let store = Store::new(Arc::new(InMemory::new()));
        let mut open = OpenTransaction::new(SINK, Term(1), Attempt(1));
        let path = open.add_chunk(3);
        let transaction = open.close(CheckpointId(1)).unwrap();
        let lost = CommitError::Lost { chunk: path, epoch: CheckpointId(1), subtask: SINK, records: 3 };
        assert_eq!(block_on(commit(&store, SINK, &transaction)), Err(lost));
    }

    #[test]
    fn leftovers_go_and_named_chunks_stay() {
        let store = Store::new(Arc::new(InMemory::new()));
        let mut open = OpenTransaction::new(SINK, Term(1), Attempt(1));
        pending(&store, &mut open, "a\n");
        let kept = open.close(CheckpointId(1)).unwrap();
        pending(&store, &mut open, "b\n");
        block_on(remove_leftovers(&store, SINK, Term(1), Attempt(2), std::slice::from_ref(&kept))).unwrap();
        assert_eq!(block_on(store.list(PENDING)).unwrap().into_iter().map(|(p, _)| p).collect::<Vec<_>>(), kept.chunks);
    }

    #[test]
    fn part_names_are_read_back() {
        let name = part_name(SINK, CheckpointId(12), 3);
        assert_eq!(parse_part_name(&name), Some((SINK, CheckpointId(12), 3)));
        assert_eq!(parse_part_name("part-1-x.txt"), None);
    }

    #[test]
    fn decisions_name_their_transaction() {
        assert_eq!(decision_at(&decision_path(SINK, CheckpointId(12))), Some((SINK, CheckpointId(12))));
        assert_eq!(decision_at(&part_name(SINK, CheckpointId(12), 3)), None);
        assert!(is_commit(COMMIT) && !is_commit(ABORT));
    }
}
