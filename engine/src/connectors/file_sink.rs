//! The two-phase-commit file sink: output becomes visible with the checkpoint that covers it, exactly once.
//!
//! Layout of the output store, for subtask `i` of vertex `v`:
//! ```text
//! .pending/v-i/term-attempt-number      chunks of transactions that are not committed
//! .decisions/v-i/epoch                  `commit term-attempt` or `abort`, written once: the first writer wins
//! part-v-i-epoch-chunk.txt              committed output; a consumer that reads only these sees only committed data
//! ```
//! A transaction is closed by the checkpoint whose barrier ends its epoch (pre-commit). It is committed when that
//! checkpoint *or any later one* is complete: a failed checkpoint aborts nothing, and the next one takes over its
//! output. A transaction is aborted only on restore, and only if the restored checkpoint does not name it. Start at
//! [`OpenTransaction`] (pure) and [`commit`].
//!
//! The store's answers may be wrong. Neither a name that is taken, nor a missing chunk, nor an error says whether
//! *this* chunk is visible. Only the contents do, compared with the checksum that the transaction records; `judge`
//! (pure) decides.
//!
//! A decision `abort` is never removed, because it stops a sink that was cut off, for however long. Of the decisions
//! `commit` each subtask keeps those above a checkpoint to which the job may fall back, and the newest one below,
//! which refuses every other fallback.
//!
//! Invariants: (K1) a chunk gets its visible name only after the decision `commit` is durable; (K2) committing twice
//! is the same as once; (K3) nothing visible is ever taken back; (K4) a pending chunk is removed only when it is known
//! to be visible, or named by nobody; (K5) a decision is removed only if it is `commit`, lies below every retained
//! checkpoint, and a later `commit` of the same subtask stays.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

use crate::checkpoint::manifest::{Chunk, Transaction};
use crate::env::{Checksum, Env, Patience, Put, ReadFault, Store, StoreError, look, put_durably};
use crate::ids::{Attempt, CheckpointId, Execution, SubtaskId, Term, VertexId};

pub use crate::paths::PENDING;

/// Folder of the commit decisions.
pub const DECISIONS: &str = ".decisions";

/// The decision about a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    /// The file also names the committing execution, but only for people: any holder of the transaction may commit it.
    Commit,
    Abort,
}

impl Decision {
    const ABORT: &'static [u8] = b"abort\n";

    fn abort() -> Bytes {
        Bytes::from_static(Self::ABORT)
    }

    fn commit(by: Execution) -> Bytes {
        format!("commit {}-{}\n", by.term.0, by.attempt.0).into()
    }

    /// Reads a decision, even a torn one: it cannot be written again, and three bytes are enough to recognise it.
    /// Returns `None` if the bytes are neither decision.
    fn read(bytes: &[u8]) -> Option<Self> {
        let begins = |word: &[u8]| bytes.len() >= 3 && bytes.iter().zip(word).all(|(a, b)| a == b);
        match (begins(b"commit "), begins(Self::ABORT)) {
            (true, _) => Some(Self::Commit),
            (_, true) => Some(Self::Abort),
            _ => None,
        }
    }
}

/// Reads the decision at `path`.
async fn decided(output: &Store, path: &str) -> Result<Decision, StoreError> {
    let bytes = output.get(path).await?;
    Decision::read(&bytes).ok_or_else(|| StoreError::Failed { path: path.into(), cause: not_a_decision(&bytes) })
}

fn not_a_decision(bytes: &[u8]) -> String {
    format!("neither `commit` nor `abort`, but {:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(40)]))
}

/// Why a transaction could not be committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The store failed, but may answer later: try again.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The job fell back behind this epoch: this sink belongs to an old attempt and must stop.
    #[error("transaction {epoch} of subtask {subtask} was aborted: the job fell back to an older checkpoint")]
    Aborted {
        /// The transaction.
        epoch: CheckpointId,
        /// The subtask whose output it is.
        subtask: SubtaskId,
    },
    /// Pending output is gone: somebody else removed it, and its records are lost.
    #[error("pending output {chunk} of transaction {epoch} is gone; {records} records of subtask {subtask} are lost")]
    Lost {
        /// The missing object.
        chunk: String,
        /// The transaction.
        epoch: CheckpointId,
        /// The subtask whose output it is.
        subtask: SubtaskId,
        /// The number of records in the transaction.
        records: u64,
    },
    /// Another object stands where this output, or the decision about it, belongs. Only a person can say which one is
    /// right.
    #[error("transaction {epoch} of subtask {subtask}: {object} should be {expected}, and is {found}")]
    Conflict {
        /// The path of that object.
        object: String,
        /// The transaction.
        epoch: CheckpointId,
        /// The subtask whose output it is.
        subtask: SubtaskId,
        /// What the object should be.
        expected: String,
        /// What the object is.
        found: String,
    },
}

fn owner(subtask: SubtaskId) -> String {
    format!("{}-{}", subtask.vertex.0, subtask.index)
}

/// Folder of a subtask's pending chunks.
pub fn pending_folder(subtask: SubtaskId) -> String {
    format!("{PENDING}/{}", owner(subtask))
}

/// Common beginning of the paths of an execution's chunks. These beginnings sort in the order of the executions.
fn chunk_prefix(subtask: SubtaskId, term: Term, attempt: Attempt) -> String {
    format!("{}/{:06}-{:06}", pending_folder(subtask), term.0, attempt.0)
}

/// Path of the decision about a transaction.
pub fn decision_path(subtask: SubtaskId, epoch: CheckpointId) -> String {
    format!("{DECISIONS}/{}/{:08}", owner(subtask), epoch.0)
}

/// The transaction that the decision at `path` is about; `None` if this is not the path of a decision.
pub fn decision_at(path: &str) -> Option<(SubtaskId, CheckpointId)> {
    let (owner, epoch) = path.strip_prefix(DECISIONS)?.strip_prefix('/')?.split_once('/')?;
    let (vertex, index) = owner.split_once('-')?;
    let subtask = SubtaskId { vertex: VertexId(vertex.parse().ok()?), index: index.parse().ok()? };
    Some((subtask, CheckpointId(epoch.parse().ok()?)))
}

/// Whether a decision with these contents is `commit`.
pub fn is_commit(decision: &[u8]) -> bool {
    Decision::read(decision) == Some(Decision::Commit)
}

/// The visible name of a chunk.
pub fn part_name(subtask: SubtaskId, epoch: CheckpointId, chunk: usize) -> String {
    format!("part-{}-{:08}-{chunk:04}.txt", owner(subtask), epoch.0)
}

/// Subtask, epoch and chunk of a visible name; `None` if this engine does not write such names.
pub fn parse_part_name(name: &str) -> Option<(SubtaskId, CheckpointId, usize)> {
    let mut fields = name.strip_prefix("part-")?.strip_suffix(".txt")?.split('-');
    let subtask = SubtaskId { vertex: VertexId(fields.next()?.parse().ok()?), index: fields.next()?.parse().ok()? };
    let epoch = CheckpointId(fields.next()?.parse().ok()?);
    let chunk = fields.next()?.parse().ok()?;
    fields.next().is_none().then_some((subtask, epoch, chunk))
}

/// The output of the current epoch, in chunks. `C` describes a chunk, which may still be uploading. Pure.
#[derive(Debug)]
pub struct OpenTransaction<C> {
    prefix: String,
    chunks: Vec<C>,
    next_chunk: u64,
    records: u64,
}

/// A transaction whose chunks may still be uploading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedTransaction<C> {
    /// The checkpoint that closed it.
    pub epoch: CheckpointId,
    /// Its chunks, in order.
    pub chunks: Vec<C>,
    /// The number of records in it.
    pub records: u64,
}

impl<C> OpenTransaction<C> {
    /// An empty transaction. Chunk names contain term and attempt, so that no two executions use the same name.
    pub fn new(subtask: SubtaskId, term: Term, attempt: Attempt) -> Self {
        let prefix = chunk_prefix(subtask, term, attempt);
        Self { prefix, chunks: Vec::new(), next_chunk: 0, records: 0 }
    }

    /// A name that no other chunk has.
    pub fn next_path(&mut self) -> String {
        let path = format!("{}-{:08}", self.prefix, self.next_chunk);
        self.next_chunk += 1;
        path
    }

    /// Adds a chunk of output, which leaves the sink's memory now.
    pub fn add_chunk(&mut self, chunk: C, records: u64) {
        self.records += records;
        self.chunks.push(chunk);
    }

    /// Closes the transaction; `None` if nothing was written in the epoch.
    pub fn close(&mut self, epoch: CheckpointId) -> Option<ClosedTransaction<C>> {
        let chunks = std::mem::take(&mut self.chunks);
        let records = std::mem::take(&mut self.records);
        (!chunks.is_empty()).then_some(ClosedTransaction { epoch, chunks, records })
    }
}

/// The store's answer to the request to give a chunk its visible name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Publish {
    Done,
    /// The visible name is taken.
    Taken,
    /// The chunk is gone.
    Gone,
    /// The request failed, according to the store.
    Failed(StoreError),
}

/// What is known about a chunk after the request.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// The chunk is visible.
    Visible,
    /// The chunk is visible, and its pending copy may still exist.
    VisibleTwice,
    /// Another object has the visible name.
    Conflict(Checksum),
    /// The chunk is neither pending nor visible.
    Lost,
    /// Nothing is known for sure.
    Unclear(StoreError),
}

/// Judges a publication. `visible` is the result of looking at the visible name; it is `None` if the store reported
/// success.
fn judge(publish: Publish, visible: Option<Result<(), ReadFault>>, part: &str) -> Verdict {
    let lagging = || StoreError::Failed { path: part.into(), cause: "taken, and not there".into() };
    match (publish, visible) {
        (Publish::Done, _) => Verdict::Visible,
        (Publish::Gone, Some(Ok(()))) => Verdict::Visible,
        // The sink that published the chunk may have died before the pending copy was deleted: stores rename by
        // copying and deleting.
        (Publish::Taken | Publish::Failed(_), Some(Ok(()))) => Verdict::VisibleTwice,
        (_, Some(Err(ReadFault::Differs(found)))) => Verdict::Conflict(found),
        (Publish::Gone, Some(Err(ReadFault::Missing))) => Verdict::Lost,
        (Publish::Failed(error), _) | (_, Some(Err(ReadFault::Store(error)))) => Verdict::Unclear(error),
        (Publish::Taken | Publish::Gone, Some(Err(ReadFault::Missing)) | None) => Verdict::Unclear(lagging()),
    }
}

/// Chunks of one subtask that are published or deleted at the same time. After a long interval there are hundreds.
pub const CHUNKS_AT_ONCE: usize = 8;

/// Writes the decision `commit` and makes the output visible. Any holder of the transaction may do so, any number of
/// times (K2).
pub async fn commit(
    env: &Env,
    output: &Store,
    by: Execution,
    subtask: SubtaskId,
    transaction: &Transaction,
) -> Result<(), CommitError> {
    let epoch = transaction.epoch;
    let path = decision_path(subtask, epoch);
    let put = put_durably(env, output, &path, Decision::commit(by), true).await?;
    #[cfg(feature = "mutations")]
    let put = super::planted::decision(env, put);
    if let Put::Differs(found) = put {
        match Decision::read(&found) {
            Some(Decision::Commit) => {}
            Some(Decision::Abort) => return Err(CommitError::Aborted { epoch, subtask }),
            None => {
                let (expected, found) = ("a decision".into(), not_a_decision(&found));
                return Err(CommitError::Conflict { object: path, epoch, subtask, expected, found });
            }
        }
    }
    let publish = |(index, chunk)| async move {
        publish(env, output, subtask, transaction, chunk, &part_name(subtask, epoch, index)).await
    };
    let mut chunks = transaction.chunks.iter().enumerate();
    // The first chunk is published first: once it is visible, nobody aborts the transaction any more, even if the
    // store loses the decision.
    if let Some(first) = chunks.next() {
        publish(first).await?;
    }
    stream::iter(chunks).map(Ok).try_for_each_concurrent(CHUNKS_AT_ONCE, publish).await
}

/// Makes one chunk visible. Repeats request and look before it reports an error.
async fn publish(
    env: &Env,
    output: &Store,
    subtask: SubtaskId,
    transaction: &Transaction,
    chunk: &Chunk,
    part: &str,
) -> Result<(), CommitError> {
    let epoch = transaction.epoch;
    let mut tried = 0;
    loop {
        let publish = match output.publish(&chunk.path, part).await {
            Ok(true) => Publish::Done,
            Ok(false) => Publish::Taken,
            Err(StoreError::NotFound { .. }) => Publish::Gone,
            Err(error) => Publish::Failed(error),
        };
        let visible = match publish {
            Publish::Done => None,
            _ => Some(look(output, part, chunk.checksum).await.map(drop)),
        };
        let error = match judge(publish, visible, part) {
            Verdict::Visible => return Ok(()),
            Verdict::VisibleTwice => match output.delete(&chunk.path).await {
                Ok(()) => return Ok(()),
                Err(error) => error.into(),
            },
            Verdict::Conflict(found) => {
                let (expected, found) = (chunk.checksum.to_string(), found.to_string());
                CommitError::Conflict { object: part.into(), epoch, subtask, expected, found }
            }
            Verdict::Lost => {
                let (chunk, records) = (chunk.path.to_string(), transaction.records);
                CommitError::Lost { chunk, epoch, subtask, records }
            }
            Verdict::Unclear(error) => error.into(),
        };
        tried += 1;
        // A read may be wrong or lag behind, too, so a single look is not enough for an error.
        match Patience::LOSS.pause_after(tried) {
            Some(pause) => env.sleep(pause).await,
            None => return Err(error),
        }
    }
}

/// Decides `abort` for every epoch above `restored` up to `highest`, for every sink. If an epoch is already committed,
/// according to its decision or to its visible output, returns it: the job must not fall back then, because the commit
/// cannot be taken back (K3). The newest epoch is decided first, because a `commit` can be missing only where a later
/// one exists (K5).
///
/// After an error call this again: decisions that were made stay.
pub async fn abort_above(
    output: &Store,
    sinks: &[SubtaskId],
    restored: CheckpointId,
    highest: CheckpointId,
) -> Result<Result<Vec<(SubtaskId, CheckpointId)>, (SubtaskId, CheckpointId)>, StoreError> {
    let mut aborted = Vec::new();
    for subtask in sinks {
        for epoch in (restored.0 + 1..=highest.0).rev().map(CheckpointId) {
            let path = decision_path(*subtask, epoch);
            let mine = output.create(&path, Decision::abort()).await?;
            let committed = !mine && decided(output, &path).await? == Decision::Commit;
            // The store may have lost a decision that it acknowledged. The sink that acted on the decision left
            // visible output.
            if committed || output.exists(&part_name(*subtask, epoch, 0)).await? {
                return Ok(Err((*subtask, epoch)));
            }
            aborted.push((*subtask, epoch));
        }
    }
    Ok(Ok(aborted))
}

/// Removes the decisions `commit` of epochs below `oldest`, the oldest checkpoint to which the job may fall back,
/// except the newest one of each subtask (K5). Several leaders may do so at once: a listing that lags only misses
/// decisions.
///
/// Only decisions down to the newest `commit` are read. Below it, a file that is longer than `abort` must be a
/// `commit`.
pub async fn forget_commits(output: &Store, oldest: CheckpointId) -> Result<(), StoreError> {
    let mut below: BTreeMap<SubtaskId, Vec<(CheckpointId, u64)>> = BTreeMap::new();
    for (path, bytes) in output.list(DECISIONS).await? {
        if let Some((subtask, epoch)) = decision_at(&path).filter(|(_, epoch)| *epoch < oldest) {
            below.entry(subtask).or_default().push((epoch, bytes));
        }
    }
    for (subtask, mut epochs) in below {
        epochs.sort_unstable();
        let mut newest_seen = false;
        for (epoch, bytes) in epochs.into_iter().rev() {
            let path = decision_path(subtask, epoch);
            if newest_seen && bytes > Decision::ABORT.len() as u64 {
                output.delete(&path).await?;
                continue;
            }
            let goes = match output.get(&path).await {
                Ok(bytes) => match Decision::read(&bytes) {
                    Some(Decision::Commit) => std::mem::replace(&mut newest_seen, true),
                    Some(Decision::Abort) | None => false,
                },
                // Another leader removed it first.
                Err(StoreError::NotFound { .. }) => false,
                Err(error) => return Err(error),
            };
            if goes {
                output.delete(&path).await?;
            }
        }
    }
    Ok(())
}

/// The path of a decision `commit` about an epoch above `newest`, if there is one.
pub async fn committed_above(output: &Store, newest: CheckpointId) -> Result<Option<String>, StoreError> {
    for (path, _) in output.list(DECISIONS).await? {
        let above = decision_at(&path).is_some_and(|(_, epoch)| epoch > newest);
        if above && decided(output, &path).await? == Decision::Commit {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Removes pending chunks of earlier executions that the restored state does not name. Chunks of later executions
/// stay: the caller may have been replaced already without knowing it.
pub async fn remove_leftovers(
    env: &Env,
    output: &Store,
    subtask: SubtaskId,
    by: Execution,
    transactions: &[Transaction],
) -> Result<(), StoreError> {
    let named: BTreeSet<&str> =
        transactions.iter().flat_map(|transaction| &transaction.chunks).map(|chunk| &*chunk.path).collect();
    let mine = chunk_prefix(subtask, by.term, by.attempt);
    #[cfg(feature = "mutations")]
    let mine = super::planted::own_chunks(env, mine);
    let mut tried = 0;
    loop {
        let removed = async {
            let listed = output.list(&pending_folder(subtask)).await?;
            let left = listed.iter().filter(|(path, _)| *path < mine && !named.contains(path.as_str()));
            let deletions = left.map(|(path, _)| Ok(output.delete(path)));
            stream::iter(deletions).try_for_each_concurrent(CHUNKS_AT_ONCE, |deletion| deletion).await
        };
        let Err(error) = removed.await else { return Ok(()) };
        tried += 1;
        match Patience::WRITE.pause_after(tried) {
            Some(pause) => env.sleep(pause).await,
            None => return Err(error),
        }
    }
}

#[cfg(all(test, feature = "sim"))]
mod tests;
