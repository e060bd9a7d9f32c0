//! Logs the control messages and writes of a run, for searches that hurt a single message or request. The log must be
//! switched on before the run ([`SimWorld::log_traffic`]), and does not change the run.

use serde::{Deserialize, Serialize};

use super::{SimWorld, StoreKind};
use crate::ids::NodeName;
use crate::message_kind::MessageKind;
use crate::time::Time;

/// A control message that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentMessage {
    /// When it was sent.
    pub at: Time,
    /// Its kind.
    pub kind: MessageKind,
    /// The sender.
    pub from: NodeName,
    /// The receiver.
    pub to: NodeName,
}

/// A write, or a rename, that reached a durable store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentWrite {
    /// When it reached the store.
    pub at: Time,
    /// The store.
    pub store: StoreKind,
    /// The node that wrote.
    pub node: NodeName,
}

/// The log of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Control messages, in the order in which they were sent.
    pub messages: Vec<SentMessage>,
    /// Writes, in the order in which they took effect.
    pub writes: Vec<SentWrite>,
}

impl SimWorld {
    /// Starts logging messages and writes.
    pub fn log_traffic(&self) {
        self.lock().network.log_messages();
        self.stores.log_writes();
    }

    /// Returns what was logged.
    pub fn take_traffic(&self) -> Traffic {
        let messages = self.lock().network.take_messages();
        Traffic { messages, writes: self.stores.take_writes() }
    }
}
