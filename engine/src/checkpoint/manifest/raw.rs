//! The decoded bytes of a manifest, before any of them is trusted.
//!
//! A hash shows that the bytes are as they were written, not who wrote them. So decoding has two steps: first into the
//! shapes here, which accept any values, then through `Raw::checked`, the only way from them to a [`Manifest`].
//! Whatever a reader of a manifest relies on is checked there and nowhere else.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;

use super::{Chunk, Manifest, StateFile, StatePlace, SubtaskState, Transaction, state_file_at};
use crate::env::Checksum;
use crate::graph::source::SplitPosition;
use crate::graph::{JobSpec, SPLITS_MAX};
use crate::ids::{Attempt, CheckpointId, SubtaskId, Term};
use crate::paths::{BadName, PendingPath, StateFileName, StateFilePath};
use crate::time::Time;

/// Greatest plausible number of bytes or records: an exbibyte.
const COUNT_MAX: u64 = 1 << 60;
/// Greatest plausible number of records in one split, so that the sum over all splits does not overflow.
const EMITTED_MAX: u64 = COUNT_MAX / SPLITS_MAX as u64;

#[derive(Deserialize)]
pub(super) struct Raw {
    checkpoint: CheckpointId,
    attempt: Attempt,
    term: Term,
    job: JobSpec,
    start: Time,
    triggered_at: Time,
    subtasks: BTreeMap<SubtaskId, RawState>,
}

/// Also the encoding of a [`SubtaskState`] in a message.
#[derive(Deserialize)]
pub(super) struct RawState {
    positions: Vec<SplitPosition>,
    files: Vec<RawFile>,
    transactions: Vec<RawTransaction>,
}

#[derive(Deserialize)]
struct RawFile {
    name: String,
    place: RawPlace,
    checksum: Checksum,
}

#[derive(Deserialize)]
enum RawPlace {
    Stored(String),
    Inline(Bytes),
}

#[derive(Deserialize)]
struct RawTransaction {
    epoch: CheckpointId,
    chunks: Vec<RawChunk>,
    records: u64,
}

#[derive(Deserialize)]
struct RawChunk {
    path: String,
    checksum: Checksum,
}

/// Something that neither a manifest nor a part of one may say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Implausible {
    /// A name that leads out of its store.
    #[error(transparent)]
    Name(#[from] BadName),
    /// A name that belongs to another subtask or another checkpoint.
    #[error("{path} belongs to another {whose}")]
    NotOwn {
        /// The file.
        path: String,
        /// What kind of owner the file should have.
        whose: &'static str,
    },
    /// A value out of its range.
    #[error("{what} is {found}: {accepted}")]
    OutOfRange {
        /// What is out of range.
        what: &'static str,
        /// The value.
        found: String,
        /// The accepted values.
        accepted: String,
    },
}

fn out_of_range(what: &'static str, found: impl ToString, accepted: impl Into<String>) -> Implausible {
    Implausible::OutOfRange { what, found: found.to_string(), accepted: accepted.into() }
}

/// The sum of lengths. No writer of this engine produces lengths whose sum comes near to an overflow.
fn total(what: &'static str, lengths: impl IntoIterator<Item = u64>) -> Result<u64, Implausible> {
    let sum = lengths.into_iter().try_fold(0_u64, |sum, length| sum.checked_add(length));
    sum.filter(|sum| *sum <= COUNT_MAX).ok_or_else(|| out_of_range(what, "endless", format!("at most {COUNT_MAX}")))
}

impl Raw {
    /// The manifest, if a job could have written it.
    pub(super) fn checked(self) -> Result<Manifest, Implausible> {
        let Self { checkpoint, attempt, term, job, start, triggered_at, subtasks } = self;
        in_range("the checkpoint", checkpoint.0, 1, CheckpointId::MAX.0)?;
        in_range("the attempt", attempt.0.into(), 1, Attempt::MAX.0.into())?;
        in_range("the term", term.0, 1, Term::MAX.0)?;
        job.validate().map_err(|error| out_of_range("a setting of its job", error.field, error.to_string()))?;
        let mut checked = BTreeMap::new();
        for (subtask, state) in subtasks {
            in_range("the index of a subtask", subtask.index.into(), 0, u64::from(job.config.parallelism) - 1)?;
            let state = state.checked()?;
            state.belongs_to(subtask, checkpoint)?;
            checked.insert(subtask, state);
        }
        total("its state", checked.values().map(SubtaskState::bytes))?;
        Ok(Manifest { checkpoint, attempt, term, job, start, triggered_at, subtasks: checked })
    }
}

pub(crate) fn in_range(what: &'static str, found: u64, least: u64, most: u64) -> Result<(), Implausible> {
    if (least..=most).contains(&found) { Ok(()) } else { Err(out_of_range(what, found, format!("{least} to {most}"))) }
}

impl RawState {
    /// Checks that all names stay in their stores, and that counts can be added up.
    fn checked(self) -> Result<SubtaskState, Implausible> {
        for position in &self.positions {
            in_range("the position in a split", position.emitted, 0, EMITTED_MAX)?;
        }
        let files = self.files.into_iter().map(RawFile::checked).collect::<Result<Vec<_>, _>>()?;
        total("its state", files.iter().map(|file| file.checksum.length))?;
        let transactions = self.transactions.into_iter().map(RawTransaction::checked).collect::<Result<Vec<_>, _>>()?;
        total("its records", transactions.iter().map(|transaction| transaction.records))?;
        let chunks = transactions.iter().flat_map(|transaction| &transaction.chunks);
        total("its output", chunks.map(|chunk| chunk.checksum.length))?;
        if !transactions.is_sorted_by(|one, next| one.epoch < next.epoch) {
            let epochs = transactions.iter().map(|transaction| transaction.epoch.to_string()).collect::<Vec<_>>();
            return Err(out_of_range("the order of its transactions", epochs.join(", "), "epochs only grow"));
        }
        Ok(SubtaskState { positions: self.positions, files, transactions })
    }
}

impl TryFrom<RawState> for SubtaskState {
    type Error = Implausible;

    fn try_from(raw: RawState) -> Result<Self, Implausible> {
        raw.checked()
    }
}

impl RawFile {
    fn checked(self) -> Result<StateFile, Implausible> {
        let place = match self.place {
            RawPlace::Stored(path) => StatePlace::Stored(StateFilePath::new(path)?),
            RawPlace::Inline(bytes) => StatePlace::Inline(bytes),
        };
        Ok(StateFile { name: StateFileName::new(self.name)?, place, checksum: self.checksum })
    }
}

impl RawTransaction {
    fn checked(self) -> Result<Transaction, Implausible> {
        in_range("an epoch", self.epoch.0, 1, CheckpointId::MAX.0)?;
        let chunk = |chunk: RawChunk| Ok(Chunk { path: PendingPath::new(chunk.path)?, checksum: chunk.checksum });
        let chunks = self.chunks.into_iter().map(chunk).collect::<Result<_, BadName>>()?;
        Ok(Transaction { epoch: self.epoch, chunks, records: self.records })
    }
}

impl SubtaskState {
    /// Checks that a subtask may acknowledge a checkpoint with this state: files of this subtask and this checkpoint,
    /// and output of this subtask up to this checkpoint.
    pub fn belongs_to(&self, subtask: SubtaskId, checkpoint: CheckpointId) -> Result<(), Implausible> {
        let not_own = |path: &str, whose| Implausible::NotOwn { path: path.into(), whose };
        for file in &self.files {
            let StatePlace::Stored(path) = &file.place else { continue };
            match state_file_at(path) {
                Some((owner, _)) if owner.checkpoint != checkpoint => return Err(not_own(path, "checkpoint")),
                Some((owner, _)) if owner.subtask == subtask => {}
                _ => return Err(not_own(path, "subtask")),
            }
        }
        for transaction in &self.transactions {
            in_range("the epoch of a transaction", transaction.epoch.0, 1, checkpoint.0)?;
            if let Some(chunk) = transaction.chunks.iter().find(|chunk| chunk.path.owner() != subtask) {
                return Err(not_own(&chunk.path, "subtask"));
            }
        }
        Ok(())
    }
}
