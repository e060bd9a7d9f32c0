//! An entry of the log. Each entry holds the whole state, so a reader needs only the newest one.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::position::Position;
use crate::checkpoint::envelope::Envelope;
use crate::checkpoint::manifest::{Damaged, DecodeError};
use crate::env::Address;
use crate::ids::{Attempt, CheckpointId, NodeName, Term};
use crate::time::Time;

const ENVELOPE: Envelope =
    Envelope { magic: b"FLQHALOG", version: 2, kind: "an entry of the leadership log", readable: "a readable entry" };

/// What an entry changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// A JobManager opened its term: the first entry of a leader.
    Opened,
    /// The leader renews its lease, or reserves more checkpoint ids.
    Renewed,
    /// An execution attempt begins.
    AttemptBegun(Attempt),
    /// A checkpoint is complete.
    Completed(CheckpointId),
    /// The job falls back to this checkpoint (`None`: to the beginning); newer checkpoints are given up.
    FallingBack(Option<CheckpointId>),
    /// The job is over.
    Ended,
    /// The segment ends here, and the log continues in the next one. Written by a leader whose segment is long enough,
    /// or by a JobManager that is about to open a term.
    Closed,
}

/// How a job ended, as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// All input was processed and all output is committed.
    Finished,
    /// The job was given up, for this reason.
    Failed(String),
}

/// All state that outlives a leader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaState {
    /// Name of the program.
    pub program: String,
    /// Arrival of the job's first record.
    pub start: Time,
    /// The last execution attempt that was begun.
    pub attempt: Attempt,
    /// Completed checkpoints that are retained, oldest first.
    pub completed: Vec<CheckpointId>,
    /// The job fell back, and some commit decisions up to this epoch may be missing. The next deployment waits until
    /// they are made.
    pub undecided: Option<CheckpointId>,
    /// The highest id reserved by this leader or one before it; no checkpoint above it was triggered.
    pub reserved: CheckpointId,
    /// The result, once there is one.
    pub ended: Option<Ending>,
}

impl HaState {
    /// Changes the state by `change`; keeps the newest `retained` completed checkpoints.
    pub fn apply(&mut self, change: &Change, retained: usize) {
        match change {
            Change::Opened | Change::Renewed | Change::Ended | Change::Closed => {}
            Change::AttemptBegun(attempt) => self.attempt = *attempt,
            Change::Completed(id) => {
                // The attempt was deployed, so all decisions of the fallback were made before.
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
    /// The entry's place in the log.
    pub position: Position,
    /// The leader's term.
    pub term: Term,
    /// The leader.
    pub leader: NodeName,
    /// Which life of the leader. Entries of two writers differ in it or in the name, so each writer recognises its
    /// own.
    pub incarnation: u32,
    /// Where the leader listens.
    pub address: Address,
    /// What changed with this entry.
    pub change: Change,
    /// The state after it.
    pub state: HaState,
}

impl HaEntry {
    /// The place of the next entry.
    pub fn next_position(&self) -> Position {
        if self.change == Change::Closed { self.position.next_segment() } else { self.position.next() }
    }

    /// The bytes of the entry's file.
    pub fn encode(&self) -> Bytes {
        ENVELOPE.wrap(self)
    }

    /// Verifies and decodes what [`HaEntry::encode`] wrote; `path` is for messages.
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

    /// Says what is wrong with an entry that no leader writes. A correct hash does not say who wrote the bytes, and
    /// readers count on from these numbers.
    fn implausible(&self) -> Option<String> {
        let HaState { attempt, completed, undecided, reserved, .. } = &self.state;
        let highest = completed.iter().copied().max().max(*undecided);
        if !self.position.is_plausible() || self.term > Term::MAX || *attempt > Attempt::MAX {
            Some(format!("entry {} of {}, {attempt}", self.position, self.term))
        } else if *reserved > CheckpointId::MAX || highest > Some(*reserved) {
            Some(format!("checkpoint {} of ids up to {reserved}", highest.unwrap_or_default()))
        } else if !completed.is_sorted() {
            Some("completed checkpoints that do not grow".into())
        } else {
            None
        }
    }

    /// The bytes of the file in the next format version.
    #[cfg(test)]
    pub(crate) fn encode_as_next_version(&self) -> Bytes {
        self.encode_as_version(ENVELOPE.version + 1)
    }

    #[cfg(test)]
    pub(crate) fn encode_as_version(&self, version: u32) -> Bytes {
        Envelope { version, ..ENVELOPE }.wrap(self)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn entry(number: u64) -> HaEntry {
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
            position: Position { segment: 1, number },
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
        refused(&|entry| entry.position.number = u64::MAX);
        refused(&|entry| entry.position.segment = u64::MAX);
        refused(&|entry| entry.position.segment = 0);
        refused(&|entry| entry.term = Term(u64::MAX));
        refused(&|entry| entry.state.attempt = Attempt(u32::MAX));
        refused(&|entry| entry.state.reserved = CheckpointId(u64::MAX));
        refused(&|entry| entry.state.undecided = Some(CheckpointId(u64::MAX)));
        refused(&|entry| entry.state.completed = vec![CheckpointId(9)]);
        refused(&|entry| entry.state.completed = vec![CheckpointId(4), CheckpointId(3)]);
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
    fn behind_a_closed_segment_comes_the_next_one() {
        assert_eq!(entry(7).next_position(), Position { segment: 1, number: 8 });
        let closed = HaEntry { change: Change::Closed, ..entry(7) };
        assert_eq!(closed.next_position(), Position { segment: 2, number: 0 });
    }
}
