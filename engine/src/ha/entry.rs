//! An entry of the log. Each holds the whole state, so a reader needs the newest one only.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::checkpoint::manifest::Damaged;
use crate::env::{Address, Checksum};
use crate::graph::element::encode;
use crate::ids::{Attempt, CheckpointId, NodeName, Term};
use crate::time::Time;

const MAGIC: &[u8; 8] = b"FLQHALOG";
const VERSION: u32 = 1;

/// Folder of the log in the checkpoint store.
pub const FOLDER: &str = "ha";

/// Path of an entry.
pub fn path(sequence: u64) -> String {
    format!("{FOLDER}/{sequence:08}")
}

/// The sequence number that a path of the log names.
pub fn sequence_at(path: &str) -> Option<u64> {
    path.strip_prefix(FOLDER)?.strip_prefix('/')?.parse().ok()
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
    /// No checkpoint above this id was triggered by this leader or any before.
    pub reserved: CheckpointId,
    /// The result, once there is one.
    pub ended: Option<Ending>,
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
    /// Its bytes in the store: magic, version, postcard, then length and hash of all that.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::new();
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        encode(self, &mut out);
        let checksum = Checksum::of(&out);
        out.extend_from_slice(&checksum.length.to_le_bytes());
        out.extend_from_slice(&checksum.hash);
        out.into()
    }

    /// Reads and verifies what [`HaEntry::encode`] wrote; `path` is for messages.
    pub fn decode(bytes: &[u8], path: &str) -> Result<Self, Damaged> {
        let damaged = |expected: String, found: String| Damaged { path: path.into(), expected, found };
        let Some((body, trailer)) = bytes.split_last_chunk::<16>().filter(|(body, _)| body.len() >= 12) else {
            return Err(damaged("at least 28 bytes".into(), format!("{} bytes", bytes.len())));
        };
        if &body[..8] != MAGIC {
            return Err(damaged("an entry of the leadership log".into(), "another kind of file".into()));
        }
        let (length, hash) = trailer.split_at(8);
        let expected = Checksum {
            length: u64::from_le_bytes(length.try_into().expect("8 of 16")),
            hash: hash.try_into().expect("8 of 16"),
        };
        let found = Checksum::of(body);
        if expected != found {
            return Err(damaged(expected.to_string(), found.to_string()));
        }
        let version = u32::from_le_bytes(body[8..12].try_into().expect("4 bytes"));
        if version != VERSION {
            return Err(damaged(format!("format version {VERSION}"), format!("format version {version}")));
        }
        postcard::from_bytes(&body[12..]).map_err(|error| damaged("a readable entry".into(), error.to_string()))
    }
}
