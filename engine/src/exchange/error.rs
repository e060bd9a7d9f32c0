//! Why records cannot come, or go, over a connection between two TaskManagers.

use crate::env::NetError;

/// Why a data connection ended. A consumer's task fails of it; a producer waits for the consumer's next connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// The connection broke.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The peer does not keep to the protocol.
    #[error("the peer sent {0}")]
    Protocol(#[from] Breach),
}

/// What a peer sent that no TaskManager of this engine sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Breach {
    /// The first frame names no execution.
    #[error("no greeting")]
    NoGreeting,
    /// It names one again.
    #[error("a second greeting")]
    SecondGreeting,
    /// A request that cannot be decoded.
    #[error("an unreadable request")]
    UnreadableRequest,
    /// Requests number their channels from 0, without a gap.
    #[error("requests out of order")]
    RequestOrder,
    /// Credit for a channel that was not requested.
    #[error("credit for an unknown channel")]
    CreditForUnknown,
    /// Credit beyond the buffers of a channel.
    #[error("more credit than it has room for")]
    TooMuchCredit,
    /// The head of a frame cannot be decoded.
    #[error("an unreadable head")]
    UnreadableHead,
    /// Data of a channel that was not requested.
    #[error("an unknown channel")]
    UnknownChannel,
    /// Data without a credit for it (X2).
    #[error("more data than it had credit for (X2)")]
    DataWithoutCredit,
}
