//! An entry of the log. Each holds the whole state, so a reader needs the newest one only.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::checkpoint::envelope::Envelope;
use crate::checkpoint::manifest::{Damaged, DecodeError};
use crate::env::Address;
use crate::ids::{Attempt, CheckpointId, NodeName, Term};
use crate::time::Time;

const ENVELOPE: Envelope =
    Envelope { magic: b"FLQHALOG", version: 1, kind: "an entry of the leadership log", readable: "a readable entry" };

/// Folder of the log in the checkpoint store.
pub const FOLDER: &str = "ha";

/// Path of an entry.
pub fn path(sequence: u64) -> String {
    format!("{FOLDER}/{sequence:08}")
}

/// The highest number of an entry that a reader believes: far above what a job can write, far below where sums overflow.
const SEQUENCE_MAX: u64 = 1 << 48;

/// The sequence number that a path of the log names.
pub fn sequence_at(path: &str) -> Option<u64> {
    let number = path.strip_prefix(FOLDER)?.strip_prefix('/')?.parse().ok();
    number.filter(|sequence| *sequence <= SEQUENCE_MAX)
}

/// What an entry changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// A JobManager opened its term: the first entry of a leader.
    Opened,
    /// The leader is still there, or needs more checkpoint ids.
    Renewed,
    /// An execution attempt begins.
    AttemptBegun(Attempt),
    /// A checkpoint is complete.
    Completed(CheckpointId),
    /// The job falls back to this checkpoint (`None`: to the beginning); those above are given up.
    FallingBack(Option<CheckpointId>),
    /// The job is over.
    Ended,
}

/// How a job ended, as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// All input processed, all output committed.
    Finished,
    /// Given up, for this reason.
    Failed(String),
}

/// All that outlives a leader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaState {
    /// Name of the program.
    pub program: String,
    /// Arrival of the job's first record.
    pub start: Time,
    /// The last execution attempt begun.
    pub attempt: Attempt,
    /// Completed checkpoints that are retained, oldest first.
    pub completed: Vec<CheckpointId>,
    /// The job fell back, and commit decisions up to this epoch may not be made yet: whoever deploys makes them first.
    pub undecided: Option<CheckpointId>,
    /// No checkpoint above this id was triggered by this leader or any before.
    pub reserved: CheckpointId,
    /// The result, once there is one.
    pub ended: Option<Ending>,
}

impl HaState {
    /// The state after `change`; of completed checkpoints the newest `retained` stay.
    pub fn apply(&mut self, change: &Change, retained: usize) {
        match change {
            Change::Opened | Change::Renewed | Change::Ended => {}
            Change::AttemptBegun(attempt) => self.attempt = *attempt,
            Change::Completed(id) => {
                // It was deployed, so all was decided.
                self.undecided = None;
                self.completed.push(*id);
                let gone = self.completed.len().saturating_sub(retained.max(1));
                self.completed.drain(..gone);
            }
            Change::FallingBack(to) => {
                self.undecided = self.undecided.max(self.completed.last().copied());
                self.completed.retain(|id| Some(*id) <= *to);
            }
        }
    }
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaEntry {
    /// Its number, from 1 without a gap.
    pub sequence: u64,
    /// The leader's term.
    pub term: Term,
    /// The leader.
    pub leader: NodeName,
    /// Which life of it: makes entries of two writers differ, so that each knows its own again.
    pub incarnation: u32,
    /// Where the leader listens.
    pub address: Address,
    /// What changed with this entry.
    pub change: Change,
    /// The state after it.
    pub state: HaState,
}

impl HaEntry {
    /// Its bytes in the store.
    pub fn encode(&self) -> Bytes {
        ENVELOPE.wrap(self)
    }

    /// Reads and verifies what [`HaEntry::encode`] wrote; `path` is for messages.
    pub fn decode(bytes: &[u8], path: &str) -> Result<Self, DecodeError> {
        let entry: Self = ENVELOPE.unwrap(bytes, path)?;
        match entry.implausible() {
            None => Ok(entry),
            Some(what) => Err(DecodeError::from(Damaged {
                path: path.into(),
                expected: ENVELOPE.readable.into(),
                found: format!("one that no leader writes: {what}"),
            })),
        }
    }

    /// What no leader writes: a right hash does not say who wrote the bytes, and readers count on from these numbers.
    fn implausible(&self) -> Option<String> {
        let HaState { attempt, completed, undecided, reserved, .. } = &self.state;
        let highest = completed.iter().copied().max().max(*undecided);
        if !(1..=SEQUENCE_MAX).contains(&self.sequence) || self.term > Term::MAX || *attempt > Attempt::MAX {
            Some(format!("entry {} of {}, {attempt}", self.sequence, self.term))
        } else if *reserved > CheckpointId::MAX || highest > Some(*reserved) {
            Some(format!("checkpoint {} of ids up to {reserved}", highest.unwrap_or_default()))
        } else if !completed.is_sorted() {
            Some("completed checkpoints that do not grow".into())
        } else {
            None
        }
    }

    /// Its bytes in the format version after this one.
    #[cfg(test)]
    pub(crate) fn encode_as_next_version(&self) -> Bytes {
        Envelope { version: ENVELOPE.version + 1, ..ENVELOPE }.wrap(self)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn entry(sequence: u64) -> HaEntry {
        let state = HaState {
            program: "p".into(),
            start: Time(5),
            attempt: Attempt(1),
            completed: vec![CheckpointId(4)],
            undecided: None,
            reserved: CheckpointId(8),
            ended: None,
        };
        HaEntry {
            sequence,
            term: Term(1),
            leader: "jm-1".into(),
            incarnation: 1,
            address: Address("jm-1:control".into()),
            change: Change::Opened,
            state,
        }
    }

    #[test]
    fn entries_are_read_back_and_every_truncation_and_flip_is_found() {
        let bytes = entry(7).encode();
        assert_eq!(HaEntry::decode(&bytes, "e"), Ok(entry(7)));
        for at in 0..bytes.len() {
            let mut flipped = bytes.to_vec();
            flipped[at] ^= 0x10;
            assert!(HaEntry::decode(&flipped, "e").is_err(), "flip at {at}");
            assert!(HaEntry::decode(&bytes[..at], "e").is_err(), "cut at {at}");
        }
    }

    #[test]
    fn numbers_at_the_end_of_their_range_are_damage() {
        let refused = |change: &dyn Fn(&mut HaEntry)| {
            let mut entry = entry(7);
            change(&mut entry);
            match HaEntry::decode(&entry.encode(), "e") {
                Err(DecodeError::Damaged(Damaged { found, .. })) => {
                    assert!(found.starts_with("one that no leader writes"), "{found}");
                }
                other => panic!("{other:?}"),
            }
        };
        refused(&|entry| entry.sequence = u64::MAX);
        refused(&|entry| entry.sequence = 0);
        refused(&|entry| entry.term = Term(u64::MAX));
        refused(&|entry| entry.state.attempt = Attempt(u32::MAX));
        refused(&|entry| entry.state.reserved = CheckpointId(u64::MAX));
        refused(&|entry| entry.state.undecided = Some(CheckpointId(u64::MAX)));
        refused(&|entry| entry.state.completed = vec![CheckpointId(9)]);
        refused(&|entry| entry.state.completed = vec![CheckpointId(4), CheckpointId(3)]);
        assert_eq!(sequence_at("ha/18446744073709551615"), None);
    }

    #[test]
    fn changes_apply_to_the_state() {
        let mut state = HaState { completed: vec![CheckpointId(4), CheckpointId(6)], ..entry(1).state };
        state.apply(&Change::Completed(CheckpointId(7)), 2);
        assert_eq!(state.completed, [CheckpointId(6), CheckpointId(7)]);
        state.apply(&Change::FallingBack(Some(CheckpointId(6))), 2);
        assert_eq!((&state.completed[..], state.undecided), (&[CheckpointId(6)][..], Some(CheckpointId(7))));
        state.apply(&Change::FallingBack(None), 2);
        assert_eq!((&state.completed[..], state.undecided), (&[][..], Some(CheckpointId(7))));
        state.apply(&Change::Completed(CheckpointId(9)), 2);
        assert_eq!((&state.completed[..], state.undecided), (&[CheckpointId(9)][..], None));
        state.apply(&Change::AttemptBegun(Attempt(3)), 2);
        assert_eq!(state.attempt, Attempt(3));
    }

    #[test]
    fn paths_are_read_back() {
        assert_eq!(path(42), "ha/00000042");
        assert_eq!(sequence_at("ha/00000042"), Some(42));
        assert_eq!(sequence_at("chk-00000042/_metadata"), None);
    }
}
