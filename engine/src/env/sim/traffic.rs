//! What was said and written in a run, for whoever wants to hurt a single message or request: a log of both, if it was asked
//! for before the run ([`SimWorld::log_traffic`]). It changes nothing of the run.

use serde::{Deserialize, Serialize};

use super::{SimWorld, StoreKind};
use crate::ids::NodeName;
use crate::message_kind::MessageKind;
use crate::time::Time;

/// A control message that was handed to the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentMessage {
    /// When it was sent.
    pub at: Time,
    /// Its kind.
    pub kind: MessageKind,
    /// Who sent it.
    pub from: NodeName,
    /// To whom.
    pub to: NodeName,
}

/// A write, or a rename, that reached a durable store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentWrite {
    /// When it was there.
    pub at: Time,
    /// Which store.
    pub store: StoreKind,
    /// Whose.
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
    /// From now on messages and writes are noted.
    pub fn log_traffic(&self) {
        self.lock().network.log_messages();
        self.stores.log_writes();
    }

    /// What was noted.
    pub fn take_traffic(&self) -> Traffic {
        let messages = self.lock().network.take_messages();
        Traffic { messages, writes: self.stores.take_writes() }
    }
}
