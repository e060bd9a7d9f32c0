//! The way of records between subtasks: bounded channels, credit-based flow control, and the network below them.
//!
//! A producer pushes buffers into a [`channel::Channel`] and waits while the channel is full. If the consumer runs in
//! the same TaskManager, its gate reads the same channel. Otherwise the producer's [`server`] sends a buffer only
//! against a credit of the consumer's [`client`], which fills a channel on the other side. So a slow receiver stops
//! its senders one after another, and credits bound the memory. The socket, which all channels between two
//! TaskManagers share, never blocks.
//! Invariants: (X1) a channel delivers its buffers in order; (X2) a data buffer crosses the network only against a
//! credit; barriers and the end of input need none; (X3) a receiver always drains its socket; reading, writing and
//! granting are tasks of their own, so that no grant waits behind data.
//! Source: apache/flink `CreditBasedPartitionRequestClientHandler`, `PartitionRequestQueue`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::ids::{ChannelId, CheckpointId, Execution};

pub mod channel;
pub mod client;
mod error;
pub mod gate;
#[cfg(feature = "mutations")]
mod planted;
pub mod server;

pub use error::{Breach, DataError};

use channel::Channel;

/// An element of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Buffer {
    /// Encoded records.
    Records {
        /// The records, one after the other.
        bytes: Bytes,
        /// The number of records.
        records: u32,
    },
    /// Everything before it belongs to this checkpoint, everything after it to the next one.
    Barrier(CheckpointId),
    /// No record follows, but barriers may.
    EndOfInput,
}

impl Buffer {
    /// Whether the buffer needs a credit.
    pub fn is_data(&self) -> bool {
        matches!(self, Buffer::Records { .. })
    }
}

/// Messages from consumer to producer, over a connection that the consumer opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum ToProducer {
    /// The first message: the execution that the connection is for.
    Hello(Execution),
    /// Send this channel under this number, with so many initial credits.
    Request { number: u32, channel: ChannelId, credits: u16 },
    /// So many more buffers, per channel number.
    Credit(Vec<(u32, u16)>),
}

/// Messages from producer to consumer; the records themselves are the frame's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum ToConsumer {
    Records { number: u32, records: u32 },
    Barrier { number: u32, id: CheckpointId },
    EndOfInput { number: u32 },
}

/// The outgoing channels of one execution in one TaskManager. A channel is created when either side first asks for it.
#[derive(Default)]
pub struct Exchange {
    channels: Mutex<BTreeMap<ChannelId, Arc<Channel>>>,
}

impl Exchange {
    /// The channel for its consumer on another TaskManager, which may ask before the deployment arrives here.
    pub fn requested(&self, id: ChannelId) -> Arc<Channel> {
        let mut channels = self.channels.lock().expect("no panic inside");
        channels.entry(id).or_insert_with(|| Arc::new(Channel::requested())).clone()
    }

    /// The channel for its deployed producer, which waits once the channel holds `credits` data buffers.
    pub fn deployed(&self, id: ChannelId, credits: u16) -> Arc<Channel> {
        let channel = self.requested(id);
        channel.set_capacity(usize::from(credits));
        channel
    }
}

#[cfg(test)]
mod tests;
