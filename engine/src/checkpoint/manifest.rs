//! The manifest of a checkpoint: the state of each subtask when the job is restored from the checkpoint.
//!
//! On disk (`chk-<id>/_metadata`): magic, format version, then the postcard encoding of [`Manifest`], then the length
//! and xxh3 hash of all that, little endian. Every file that a manifest names is recorded with length and hash; a
//! reader checks both before it uses the bytes. Flink has neither: there, damage is found late or never.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::envelope::{Envelope, HEAD};
use crate::env::Checksum;
use crate::graph::JobSpec;
use crate::graph::source::SplitPosition;
use crate::ids::{Attempt, CheckpointId, SubtaskId, Term, VertexId};
use crate::paths::{PendingPath, StateFileName, StateFilePath, checkpoint_of};
use crate::state::entry_bytes;
use crate::time::Time;

pub mod raw;

const ENVELOPE: Envelope =
    Envelope { magic: b"FLQMANIF", version: 2, kind: "a checkpoint manifest", readable: "a readable manifest" };

/// Everything that a job needs to continue from a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Manifest {
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// The attempt that took it.
    pub attempt: Attempt,
    /// The term of the JobManager that sealed it.
    pub term: Term,
    /// The job it belongs to.
    pub job: JobSpec,
    /// Arrival of the job's first record.
    pub start: Time,
    /// When the checkpoint was triggered.
    pub triggered_at: Time,
    /// State of every subtask.
    pub subtasks: BTreeMap<SubtaskId, SubtaskState>,
}

/// The state that one subtask begins with. Decoding refuses names that lead out of their store ([`raw`]).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "raw::RawState")]
pub struct SubtaskState {
    /// Positions of its source.
    pub positions: Vec<SplitPosition>,
    /// Its keyed state.
    pub files: Vec<StateFile>,
    /// The sink's transactions that are not known to be committed, in order of their epochs.
    pub transactions: Vec<Transaction>,
}

impl SubtaskState {
    /// Bytes of keyed state.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.checksum.length).sum()
    }

    /// Bytes of keyed entries, without the backend's own bookkeeping.
    pub fn entry_bytes(&self) -> u64 {
        self.files.iter().map(|file| entry_bytes(&file.name, file.checksum.length)).sum()
    }

    /// Bytes of keyed state that are stored in this value itself and not in files.
    pub fn inline_bytes(&self) -> u64 {
        let inline = |file: &&StateFile| matches!(file.place, StatePlace::Inline(_));
        self.files.iter().filter(inline).map(|file| file.checksum.length).sum()
    }
}

/// One file of keyed state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StateFile {
    /// Its name for the backend.
    pub name: StateFileName,
    /// Where its bytes are.
    pub place: StatePlace,
    /// Length and hash that the bytes must have.
    pub checksum: Checksum,
}

/// Where the bytes of a state file are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum StatePlace {
    /// In the checkpoint store.
    Stored(StateFilePath),
    /// In this value itself (backend `memory`).
    Inline(Bytes),
}

/// Output of one epoch: durable, and invisible until it is committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Transaction {
    /// The checkpoint that closes the epoch. Together with the subtask it identifies the transaction for ever.
    pub epoch: CheckpointId,
    /// Pending objects in the output store, in order.
    pub chunks: Vec<Chunk>,
    /// The number of records in it.
    pub records: u64,
}

/// A piece of output that waits for its commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chunk {
    /// Its path until it is committed.
    pub path: PendingPath,
    /// Length and hash of its bytes.
    pub checksum: Checksum,
}

/// The contents of a file are not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} is damaged: expected {expected}, found {found}")]
pub struct Damaged {
    /// The file.
    pub path: String,
    /// What the file should contain.
    pub expected: String,
    /// What the file contains.
    pub found: String,
}

/// A file that is whole and was written by another release of the engine. Nothing in the stores may be changed because
/// of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{path} is {kind} of format version {found}, but this engine reads version {reads}: go on with a release that reads \
     version {found}; this one has changed nothing"
)]
pub struct OtherVersion {
    /// The file.
    pub path: String,
    /// The kind of file.
    pub kind: &'static str,
    /// Its version.
    pub found: u32,
    /// The version that this engine reads.
    pub reads: u32,
}

/// Why a wrapped file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The file is not what was written: use another copy or an older file.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// Another release wrote the file, and it is whole: stop, and leave everything as it is.
    #[error(transparent)]
    OtherVersion(#[from] OtherVersion),
}

/// Folder of a checkpoint in the checkpoint store.
pub fn folder(checkpoint: CheckpointId) -> String {
    format!("chk-{:08}", checkpoint.0)
}

/// Path of a checkpoint's manifest.
pub fn path(checkpoint: CheckpointId) -> String {
    format!("{}/_metadata", folder(checkpoint))
}

/// The checkpoint whose manifest has this path.
pub fn checkpoint_at(path: &str) -> Option<CheckpointId> {
    path.strip_suffix("/_metadata")?.rsplit('/').next().and_then(checkpoint_of_folder)
}

/// The checkpoint that a folder `chk-N` belongs to.
pub fn checkpoint_of_folder(folder: &str) -> Option<CheckpointId> {
    checkpoint_of(folder)
}

/// Who wrote a state file, and for which checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateFileOwner {
    /// The checkpoint whose folder holds the file.
    pub checkpoint: CheckpointId,
    /// The subtask that wrote it.
    pub subtask: SubtaskId,
    /// The term in which it was written.
    pub term: Term,
    /// The attempt in which it was written.
    pub attempt: Attempt,
}

/// Path of a state file. It is unique per execution, so that a late writer of an older execution cannot meet a newer
/// file.
pub fn state_file(owner: StateFileOwner, name: &str) -> String {
    let StateFileOwner { checkpoint, subtask, term, attempt } = owner;
    format!("{}/{}-{}-{}-{}-{name}", folder(checkpoint), subtask.vertex.0, subtask.index, term.0, attempt.0)
}

/// Owner and backend name of the state file at `path`; `None` if it is not the path of a state file.
pub fn state_file_at(path: &str) -> Option<(StateFileOwner, &str)> {
    let (folder, file) = path.split_once('/')?;
    let checkpoint = checkpoint_of_folder(folder)?;
    let mut fields = file.splitn(5, '-');
    let subtask = SubtaskId { vertex: VertexId(fields.next()?.parse().ok()?), index: fields.next()?.parse().ok()? };
    let term = Term(fields.next()?.parse().ok()?);
    let attempt = Attempt(fields.next()?.parse().ok()?);
    fields.next().map(|name| (StateFileOwner { checkpoint, subtask, term, attempt }, name))
}

/// Whether a manifest that begins with these bytes claims another format version. If so, [`Manifest::decode`] tells
/// whether it is whole.
pub(crate) fn claims_other_version(head: &[u8; HEAD]) -> bool {
    ENVELOPE.claims_other_version(head)
}

impl Manifest {
    /// The bytes of the file.
    pub fn encode(&self) -> Bytes {
        ENVELOPE.wrap(self)
    }

    /// Verifies and decodes what [`Manifest::encode`] wrote; `path` is for messages.
    pub fn decode(bytes: &[u8], path: &str) -> Result<Self, DecodeError> {
        let raw: raw::Raw = ENVELOPE.unwrap(bytes, path)?;
        let refused = |found: raw::Implausible| Damaged {
            path: path.into(),
            expected: ENVELOPE.readable.into(),
            found: format!("one that no job writes: {found}"),
        };
        raw.checked().map_err(|found| refused(found).into())
    }

    /// The bytes of the file in the next format version.
    #[cfg(test)]
    pub(crate) fn encode_as_next_version(&self) -> Bytes {
        Envelope { version: ENVELOPE.version + 1, ..ENVELOPE }.wrap(self)
    }

    /// Bytes of keyed state in all subtasks.
    pub fn state_bytes(&self) -> u64 {
        self.subtasks.values().map(SubtaskState::bytes).sum()
    }

    /// Bytes of keyed state that are stored in the manifest itself.
    pub fn inline_bytes(&self) -> u64 {
        self.subtasks.values().map(SubtaskState::inline_bytes).sum()
    }
}

#[cfg(test)]
mod tests;
