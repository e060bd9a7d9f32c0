//! The two-phase-commit file sink: output becomes visible with the checkpoint that covers it, exactly once.
//!
//! Layout of the output store, for subtask `i` of vertex `v`:
//! ```text
//! .pending/v-i/term-attempt-number      chunks of transactions that are not committed
//! .decisions/v-i/epoch                  `commit term-attempt` or `abort`, written once: the first writer wins
//! part-v-i-epoch-chunk.txt              committed output; whoever reads only these sees only committed data
//! ```
//! A transaction is closed by the checkpoint whose barrier ends its epoch (pre-commit). It is committed when that checkpoint
//! *or any later one* is complete: a failed checkpoint aborts nothing, its output is carried on. A transaction is given up
//! only on restore, and only if the restored checkpoint does not name it. Start at [`OpenTransaction`] (pure) and
//! [`commit`].
//!
//! The store's answers may be wrong. A name that is taken, a chunk that is gone, an error: none of them says whether *this*
//! chunk is visible. Its contents do, by the checksum that the transaction records; `judge` (pure) decides.
//!
//! A decision `abort` is never removed: it holds back a sink that was cut off for however long. Of the decisions `commit` each
//! subtask keeps those that lie above a checkpoint to which the job may fall back, and the newest one below: it refuses
//! every other fallback.
//!
//! Invariants: (K1) a chunk gets its visible name only after the decision `commit` is durable; (K2) committing twice is the
//! same as once; (K3) nothing visible is ever taken back; (K4) a pending chunk is removed only when it is known to be visible,
//! or named by nobody; (K5) a decision is removed only if it is `commit`, lies below every retained checkpoint, and a later
//! `commit` of the same subtask stays.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

use crate::checkpoint::manifest::{Chunk, Transaction};
use crate::env::{Checksum, Env, Patience, Put, ReadFault, Store, StoreError, look, put_durably};
use crate::ids::{Attempt, CheckpointId, Execution, SubtaskId, Term, VertexId};

pub use crate::paths::PENDING;

/// Folder of the commit decisions.
pub const DECISIONS: &str = ".decisions";

/// What was decided about a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    /// By whom is for people to read: whoever holds the transaction may commit it.
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

    /// Reads a decision, torn ones, too: it cannot be written again, and three bytes say what it was. `None`: neither.
    fn read(bytes: &[u8]) -> Option<Self> {
        let begins = |word: &[u8]| bytes.len() >= 3 && bytes.iter().zip(word).all(|(a, b)| a == b);
        match (begins(b"commit "), begins(Self::ABORT)) {
            (true, _) => Some(Self::Commit),
            (_, true) => Some(Self::Abort),
            _ => None,
        }
    }
}

/// The decision that stands at `path`.
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
    /// Something else stands where this output, or the decision about it, belongs. Nobody but a person can say which is right.
    #[error("transaction {epoch} of subtask {subtask}: {object} should be {expected}, and is {found}")]
    Conflict {
        /// What is in the way.
        object: String,
        /// The transaction.
        epoch: CheckpointId,
        /// Whose.
        subtask: SubtaskId,
        /// What should be there.
        expected: String,
        /// What is.
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
    Decision::read(decision) == Some(Decision::Commit)
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

/// The output of the current epoch, in chunks; `C` is what is known of a chunk, which may be under way to the store. Pure.
#[derive(Debug)]
pub struct OpenTransaction<C> {
    prefix: String,
    chunks: Vec<C>,
    next_chunk: u64,
    records: u64,
}

/// A transaction whose chunks may be under way to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedTransaction<C> {
    /// The checkpoint that closed it.
    pub epoch: CheckpointId,
    /// Its chunks, in order.
    pub chunks: Vec<C>,
    /// Records in it.
    pub records: u64,
}

impl<C> OpenTransaction<C> {
    /// Chunk names contain term and attempt, so that no two executions share one.
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

    /// Adds output that leaves memory now.
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

/// What the store said when a chunk was to get its visible name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Publish {
    Done,
    /// The visible name is taken.
    Taken,
    /// The chunk is gone.
    Gone,
    /// It failed, or so it says.
    Failed(StoreError),
}

/// What is to be done about a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// It is visible.
    Visible,
    /// It is visible, and may be pending, too.
    VisibleTwice,
    /// Its name belongs to something else.
    Conflict(Checksum),
    /// It is neither pending nor visible.
    Lost,
    /// Nothing is known for sure.
    Unclear(StoreError),
}

/// What a publication came to; `visible` is what was found under the visible name, looked at if it was not plainly done.
fn judge(publish: Publish, visible: Option<Result<(), ReadFault>>, part: &str) -> Verdict {
    let lagging = || StoreError::Failed { path: part.into(), cause: "taken, and not there".into() };
    match (publish, visible) {
        (Publish::Done, _) => Verdict::Visible,
        (Publish::Gone, Some(Ok(()))) => Verdict::Visible,
        // Who published it may have died before the old name was gone: stores rename by copying, then deleting.
        (Publish::Taken | Publish::Failed(_), Some(Ok(()))) => Verdict::VisibleTwice,
        (_, Some(Err(ReadFault::Differs(found)))) => Verdict::Conflict(found),
        (Publish::Gone, Some(Err(ReadFault::Missing))) => Verdict::Lost,
        (Publish::Failed(error), _) | (_, Some(Err(ReadFault::Store(error)))) => Verdict::Unclear(error),
        (Publish::Taken | Publish::Gone, Some(Err(ReadFault::Missing)) | None) => Verdict::Unclear(lagging()),
    }
}

/// Chunks of one subtask that are made visible, or deleted, at the same time: after a long interval there are hundreds.
pub const CHUNKS_AT_ONCE: usize = 8;

/// Writes the decision `commit` and makes the output visible. Any number of times, by anyone who holds the transaction (K2).
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
    // The first part comes first: where it stands, nobody aborts any more, whatever became of the decision.
    if let Some(first) = chunks.next() {
        publish(first).await?;
    }
    stream::iter(chunks).map(Ok).try_for_each_concurrent(CHUNKS_AT_ONCE, publish).await
}

/// Makes one chunk visible; tries and looks again before it gives bad news.
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
        // A read may be wrong, too, or lag behind: no bad news after the first look.
        match Patience::LOSS.pause_after(tried) {
            Some(pause) => env.sleep(pause).await,
            None => return Err(error),
        }
    }
}

/// Decides `abort` for every epoch above `restored` up to `highest`, for every sink. Returns one that is committed
/// already, by its decision or by its output: then the job must not fall back, since that cannot be taken back (K3). The newest
/// epoch comes first, since a `commit` may be missing only where a later one stands (K5).
///
/// To be tried again after an error: what was decided stays decided.
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
            // A store may forget a decision that it acknowledged; whoever acted on it left traces.
            if committed || output.exists(&part_name(*subtask, epoch, 0)).await? {
                return Ok(Err((*subtask, epoch)));
            }
            aborted.push((*subtask, epoch));
        }
    }
    Ok(Ok(aborted))
}

/// Removes the decisions `commit` about epochs below `oldest`, the oldest checkpoint to which the job may fall back, but the
/// newest of each subtask (K5). Several may do so at once: a listing that lags names fewer, never others.
///
/// The newest is read. Before that, what is longer than an `abort` can be is a `commit` without being read.
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
                // Somebody else was here first.
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

/// Path of a decision `commit` about an epoch above `newest`, if there is one.
pub async fn committed_above(output: &Store, newest: CheckpointId) -> Result<Option<String>, StoreError> {
    for (path, _) in output.list(DECISIONS).await? {
        let above = decision_at(&path).is_some_and(|(_, epoch)| epoch > newest);
        if above && decided(output, &path).await? == Decision::Commit {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Removes pending chunks of earlier attempts that the restored state does not name. Chunks of later attempts are none of
/// ours: whoever asks may have been replaced already without knowing it.
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
