//! The manifest of a checkpoint: which state each subtask begins with when the job is restored from it.
//!
//! On disk (`chk-<id>/_metadata`): magic, format version, then the postcard encoding of [`Manifest`], then the length and
//! xxh3 hash of all that, little endian. Every file that a manifest names is recorded with length and hash; a reader checks
//! both before it uses the bytes. Flink has neither: there, damage is found late or never.

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

/// Everything a job needs to go on from a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Manifest {
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// Attempt of the job that took it.
    pub attempt: Attempt,
    /// Term of the JobManager that sealed it.
    pub term: Term,
    /// The job it belongs to.
    pub job: JobSpec,
    /// Arrival of the job's first record.
    pub start: Time,
    /// Trigger of the checkpoint.
    pub triggered_at: Time,
    /// State of every subtask.
    pub subtasks: BTreeMap<SubtaskId, SubtaskState>,
}

/// What one subtask begins with. Its decoding refuses names that leave their stores ([`raw`]).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "raw::RawState")]
pub struct SubtaskState {
    /// Positions of its source.
    pub positions: Vec<SplitPosition>,
    /// Its keyed state.
    pub files: Vec<StateFile>,
    /// Its sink's transactions that are not known to be committed, in order of their epochs.
    pub transactions: Vec<Transaction>,
}

impl SubtaskState {
    /// Bytes of keyed state.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.checksum.length).sum()
    }

    /// Those of them that are entries.
    pub fn entry_bytes(&self) -> u64 {
        self.files.iter().map(|file| entry_bytes(&file.name, file.checksum.length)).sum()
    }

    /// Those of them that lie in here, and not in files.
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
    /// Where it is.
    pub place: StatePlace,
    /// What it must contain.
    pub checksum: Checksum,
}

/// Where a state file is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum StatePlace {
    /// In the checkpoint store.
    Stored(StateFilePath),
    /// Here (backend `memory`).
    Inline(Bytes),
}

/// Output of one epoch: durable, invisible until committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Transaction {
    /// The checkpoint that closed it. With the subtask it identifies the transaction for ever.
    pub epoch: CheckpointId,
    /// Pending objects in the output store, in order.
    pub chunks: Vec<Chunk>,
    /// Records in it.
    pub records: u64,
}

/// A piece of output that waits for its commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chunk {
    /// Where it is until it is committed.
    pub path: PendingPath,
    /// What it contains.
    pub checksum: Checksum,
}

/// Why a manifest cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} is damaged: expected {expected}, found {found}")]
pub struct Damaged {
    /// The file.
    pub path: String,
    /// What should be there.
    pub expected: String,
    /// What is.
    pub found: String,
}

/// A file that is whole, and that another release of the engine wrote. Nothing may be done to the stores because of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{path} is {kind} of format version {found}, but this engine reads version {reads}: go on with a release that reads \
     version {found}; this one has changed nothing"
)]
pub struct OtherVersion {
    /// The file.
    pub path: String,
    /// What it is.
    pub kind: &'static str,
    /// Its version.
    pub found: u32,
    /// The version that this engine reads.
    pub reads: u32,
}

/// Why a wrapped file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It is not what was written: another copy, or an older file, has to do.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// It is what was written, by another release: stop, and leave everything as it is.
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

/// The checkpoint whose manifest stands at `path`.
pub fn checkpoint_at(path: &str) -> Option<CheckpointId> {
    path.strip_suffix("/_metadata")?.rsplit('/').next().and_then(checkpoint_of_folder)
}

/// The checkpoint that a folder `chk-N` belongs to.
pub fn checkpoint_of_folder(folder: &str) -> Option<CheckpointId> {
    checkpoint_of(folder)
}

/// Whose a state file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateFileOwner {
    /// The checkpoint in whose folder it lies.
    pub checkpoint: CheckpointId,
    /// The subtask that wrote it.
    pub subtask: SubtaskId,
    /// In which term.
    pub term: Term,
    /// In which attempt.
    pub attempt: Attempt,
}

/// Path of a state file. Unique per execution: a late writer of an older one must not meet the file of a newer.
pub fn state_file(owner: StateFileOwner, name: &str) -> String {
    let StateFileOwner { checkpoint, subtask, term, attempt } = owner;
    format!("{}/{}-{}-{}-{}-{name}", folder(checkpoint), subtask.vertex.0, subtask.index, term.0, attempt.0)
}

/// Whose the state file at `path` is, and its name in the backend; `None`: it is none.
pub fn state_file_at(path: &str) -> Option<(StateFileOwner, &str)> {
    let (folder, file) = path.split_once('/')?;
    let checkpoint = checkpoint_of_folder(folder)?;
    let mut fields = file.splitn(5, '-');
    let subtask = SubtaskId { vertex: VertexId(fields.next()?.parse().ok()?), index: fields.next()?.parse().ok()? };
    let term = Term(fields.next()?.parse().ok()?);
    let attempt = Attempt(fields.next()?.parse().ok()?);
    fields.next().map(|name| (StateFileOwner { checkpoint, subtask, term, attempt }, name))
}

/// Whether a manifest that begins with these bytes claims another format version; if so, [`Manifest::decode`] says whether it
/// is whole.
pub(crate) fn claims_other_version(head: &[u8; HEAD]) -> bool {
    ENVELOPE.claims_other_version(head)
}

impl Manifest {
    /// Its bytes on disk.
    pub fn encode(&self) -> Bytes {
        ENVELOPE.wrap(self)
    }

    /// Reads and verifies what [`Manifest::encode`] wrote; `path` is for messages.
    pub fn decode(bytes: &[u8], path: &str) -> Result<Self, DecodeError> {
        let raw: raw::Raw = ENVELOPE.unwrap(bytes, path)?;
        let refused = |found: raw::Implausible| Damaged {
            path: path.into(),
            expected: ENVELOPE.readable.into(),
            found: format!("one that no job writes: {found}"),
        };
        raw.checked().map_err(|found| refused(found).into())
    }

    /// Its bytes in the format version after this one.
    #[cfg(test)]
    pub(crate) fn encode_as_next_version(&self) -> Bytes {
        Envelope { version: ENVELOPE.version + 1, ..ENVELOPE }.wrap(self)
    }

    /// Bytes of keyed state in all subtasks.
    pub fn state_bytes(&self) -> u64 {
        self.subtasks.values().map(SubtaskState::bytes).sum()
    }

    /// Those of them that lie in the manifest itself.
    pub fn inline_bytes(&self) -> u64 {
        self.subtasks.values().map(SubtaskState::inline_bytes).sum()
    }
}

#[cfg(test)]
mod tests;
