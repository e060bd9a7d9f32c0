//! What can be done to a cluster, as plain data: the words of faults. Who does it is for a world to say.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::StoreKind;
use crate::message_kind::MessageKind;
use crate::time::readable;

/// How a node dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// The process dies, the machine lives: connections are reset at once.
    Crash,
    /// The machine is gone: silence; peers hear of it only when it is back.
    MachineLoss,
}

/// Work whose speed can be changed on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SlowWork {
    /// All that is charged.
    Cpu,
    /// Records through operator chains.
    Records,
    /// The synchronous part of snapshots.
    Snapshot,
}

/// What happens to a node's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ClockFault {
    /// It jumps ahead.
    Forward(#[serde(with = "readable")] Duration),
    /// It jumps back; never before its zero.
    Back(#[serde(with = "readable")] Duration),
    /// It gains (loses, if negative) this many microseconds per second, until healed.
    Drift(i32),
}

/// What happens to control messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum MessageFault {
    /// They never arrive.
    Lose,
    /// They arrive this much later; what is sent after them overtakes them.
    Delay(#[serde(with = "readable")] Duration),
    /// They arrive twice, the second time right behind the first.
    Duplicate,
    /// They arrive, and a second time this much later; what is sent meanwhile comes between.
    DuplicateLate(#[serde(with = "readable")] Duration),
}

/// A rule about control messages; ends when it has been applied `count` times, or is taken back before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRule {
    /// Kind of the messages.
    pub kind: MessageKind,
    /// Only those from or to this node.
    pub node: Option<String>,
    /// What happens to them.
    pub fault: MessageFault,
    /// How many are hurt at most.
    pub count: u32,
}

/// How a durable store misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum StoreFault {
    /// Requests are not answered before it is healed; then they fail.
    Unavailable,
    /// Writes fail and write nothing.
    FailedWrite,
    /// Writes take effect and are answered with an error.
    AmbiguousWrite,
    /// Writes are acknowledged, but only the first half of the bytes is there.
    TornWrite,
    /// Writes are acknowledged, and gone when the fault ends (a missing fsync).
    LostWrite,
    /// Writes fail with "no space left"; reads and deletions work.
    NoSpace,
    /// Each request takes this much longer.
    Slow(#[serde(with = "readable")] Duration),
    /// Bytes per second between a node and the store.
    Throttled(u64),
    /// Reads see the store as it was this long ago.
    StaleRead(#[serde(with = "readable")] Duration),
    /// Listings see the store as it was this long ago.
    LaggingList(#[serde(with = "readable")] Duration),
}

/// A rule about requests to a store; ends when it has been applied `count` times, if that is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreRule {
    /// Which store; `None`: both.
    pub store: Option<StoreKind>,
    /// Only requests of this node.
    pub node: Option<String>,
    /// What happens to them.
    pub fault: StoreFault,
    /// How many are hurt; `None`: all, until the rule is taken back.
    pub count: Option<u32>,
}

/// What is done to the contents of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileDamage {
    /// The byte at this fraction of the length (of 2^64) is flipped.
    FlipByte(u64),
    /// The last half is gone.
    Truncate,
    /// The file is gone.
    Delete,
}
