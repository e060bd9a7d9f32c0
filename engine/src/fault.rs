//! What can be done to a cluster, as plain data: the vocabulary of faults. Each world implements the faults that it
//! offers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::StoreKind;
use crate::message_kind::MessageKind;
use crate::time::readable;

/// How a node dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// The process dies and the machine lives: connections are reset at once.
    Crash,
    /// The machine is gone: peers see silence, and learn of the death only when the machine is back.
    MachineLoss,
}

/// Work whose speed can be changed on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SlowWork {
    /// Everything that is charged as work.
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
    /// The clock jumps ahead.
    Forward(#[serde(with = "readable")] Duration),
    /// The clock jumps back, but never before its zero.
    Back(#[serde(with = "readable")] Duration),
    /// The clock gains (if negative: loses) this many microseconds per second, until healed.
    Drift(i32),
}

/// What happens to control messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum MessageFault {
    /// The messages never arrive.
    Lose,
    /// The messages arrive this much later; messages sent after them overtake them.
    Delay(#[serde(with = "readable")] Duration),
    /// The messages arrive twice, the second time right behind the first.
    Duplicate,
    /// The messages arrive, and a second time this much later; messages sent meanwhile come between.
    DuplicateLate(#[serde(with = "readable")] Duration),
}

/// A rule about control messages; ends when it has been applied `count` times or is withdrawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRule {
    /// Kind of the messages.
    pub kind: MessageKind,
    /// Only messages from or to this node.
    pub node: Option<String>,
    /// What happens to the messages.
    pub fault: MessageFault,
    /// How many messages are hurt at most.
    pub count: u32,
}

/// How a durable store misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum StoreFault {
    /// Requests get no answer until the fault is healed; then they fail.
    Unavailable,
    /// Writes fail and write nothing.
    FailedWrite,
    /// Writes take effect and are answered with an error.
    AmbiguousWrite,
    /// Writes are acknowledged, but only the first half of the bytes is there.
    TornWrite,
    /// Writes are acknowledged, but the object is gone when the fault ends (a missing fsync).
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

/// A rule about requests to a store; ends when it has been applied `count` times, if there is a count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreRule {
    /// The store; `None`: both.
    pub store: Option<StoreKind>,
    /// Only requests of this node.
    pub node: Option<String>,
    /// What happens to the requests.
    pub fault: StoreFault,
    /// How many requests are hurt; `None`: all, until the rule is withdrawn.
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
