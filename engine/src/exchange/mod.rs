//! Records on their way between subtasks: bounded channels, credit-based flow control, and the network beneath.
//!
//! A producer pushes buffers into a [`channel::Channel`] and waits while it is full. Where the consumer runs in the same
//! TaskManager, its gate reads that very channel; otherwise the producer's [`server`] sends a buffer only against a credit of
//! the consumer's [`client`], which fills a channel on the other side. So a slow receiver stops its senders one by one, and
//! memory is bounded by credits, while the socket, shared by all channels between two TaskManagers, never blocks.
//!
//! Invariants: (X1) a channel delivers its buffers in order; (X2) a data buffer crosses the network only against a credit;
//! barriers and the end of input need none; (X3) a receiver always drains its socket; reading, writing and granting are
//! tasks of their own, so that no grant waits behind data.
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

/// What travels along a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Buffer {
    /// Encoded records.
    Records {
        /// One after the other.
        bytes: Bytes,
        /// How many.
        records: u32,
    },
    /// Everything before belongs to the checkpoint, everything after to the next.
    Barrier(CheckpointId),
    /// No record follows; barriers still may.
    EndOfInput,
}

impl Buffer {
    /// Whether it needs a credit.
    pub fn is_data(&self) -> bool {
        matches!(self, Buffer::Records { .. })
    }
}

/// From consumer to producer, over a connection that the consumer opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum ToProducer {
    /// First message: which execution the connection is for.
    Hello(Execution),
    /// Send me this channel under this number.
    Request { number: u32, channel: ChannelId, credits: u16 },
    /// That many more buffers, by number.
    Credit(Vec<(u32, u16)>),
}

/// From producer to consumer; the records themselves are the frame's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum ToConsumer {
    Records { number: u32, records: u32 },
    Barrier { number: u32, id: CheckpointId },
    EndOfInput { number: u32 },
}

/// The outgoing channels of one execution in one TaskManager. A channel exists from the moment either side asks for it.
#[derive(Default)]
pub struct Exchange {
    channels: Mutex<BTreeMap<ChannelId, Arc<Channel>>>,
}

impl Exchange {
    /// The channel as its consumer on another TaskManager asks for it, perhaps before the deployment arrives here.
    pub fn requested(&self, id: ChannelId) -> Arc<Channel> {
        let mut channels = self.channels.lock().expect("no panic inside");
        channels.entry(id).or_insert_with(|| Arc::new(Channel::requested())).clone()
    }

    /// The channel as the deployment wants it: it holds `credits` data buffers before its producer waits.
    pub fn deployed(&self, id: ChannelId, credits: u16) -> Arc<Channel> {
        let channel = self.requested(id);
        channel.set_capacity(usize::from(credits));
        channel
    }
}

#[cfg(test)]
mod tests;
