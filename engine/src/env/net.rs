//! Framed, ordered, reliable connections of either world: TCP as the engine sees it.
//!
//! A [`Connection`] splits into a [`Sender`] and a [`Receiver`] so that reading and writing live in tasks of their own.
//! Sending waits while the connection's buffers are full: that is the back-pressure the engine relies on.

use bytes::Bytes;

use super::Address;
use super::tokio::{RealListener, RealReceiver, RealSender};

/// One message. Head and body travel as one; the body is apart so that records are not copied to get a head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// At most 255 bytes where there is a body.
    pub head: Bytes,
    /// May be empty.
    pub body: Bytes,
}

impl Frame {
    /// Bytes on the wire, without the transport's own.
    pub fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Bytes> for Frame {
    /// A message without records.
    fn from(body: Bytes) -> Self {
        Self { head: Bytes::new(), body }
    }
}

/// Why a connection cannot be used (any longer).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// The peer closed in good order.
    #[error("connection closed by peer")]
    Closed,
    /// The peer is gone, or threw the connection away.
    #[error("connection reset by peer")]
    Reset,
    /// The peer's machine answers, but nobody listens there.
    #[error("connection refused")]
    Refused,
    /// No answer in time.
    #[error("connection timed out")]
    TimedOut,
    /// The operating system's own words.
    #[error("{0}")]
    Other(String),
}

/// A service waiting for connections.
pub struct Listener(ListenerKind);

enum ListenerKind {
    Real(RealListener),
    #[cfg(feature = "sim")]
    Sim(super::sim::SimListener),
}

impl Listener {
    pub(super) fn real(listener: RealListener) -> Self {
        Self(ListenerKind::Real(listener))
    }

    #[cfg(feature = "sim")]
    pub(super) fn simulated(listener: super::sim::SimListener) -> Self {
        Self(ListenerKind::Sim(listener))
    }

    /// What others connect to.
    pub fn address(&self) -> Address {
        match &self.0 {
            ListenerKind::Real(listener) => listener.address(),
            #[cfg(feature = "sim")]
            ListenerKind::Sim(listener) => listener.address(),
        }
    }

    /// The next connection.
    pub async fn accept(&mut self) -> Result<Connection, NetError> {
        match &mut self.0 {
            ListenerKind::Real(listener) => listener.accept().await,
            #[cfg(feature = "sim")]
            ListenerKind::Sim(listener) => Ok(Connection::simulated(listener.accept().await)),
        }
    }
}

/// Both directions of a connection.
pub struct Connection {
    /// Towards the peer.
    pub sender: Sender,
    /// From the peer.
    pub receiver: Receiver,
}

impl Connection {
    #[cfg(feature = "sim")]
    pub(super) fn simulated((sender, receiver): (super::sim::SimSender, super::sim::SimReceiver)) -> Self {
        Self { sender: Sender(SenderKind::Sim(sender)), receiver: Receiver(ReceiverKind::Sim(receiver)) }
    }

    pub(super) fn real(sender: RealSender, receiver: RealReceiver) -> Self {
        Self { sender: Sender(SenderKind::Real(sender)), receiver: Receiver(ReceiverKind::Real(receiver)) }
    }
}

/// The writing half; dropping it ends the stream in good order.
pub struct Sender(SenderKind);

enum SenderKind {
    Real(RealSender),
    #[cfg(feature = "sim")]
    Sim(super::sim::SimSender),
}

impl Sender {
    /// Hands one frame to the connection; waits while its buffers are full.
    pub async fn send(&mut self, frame: Frame) -> Result<(), NetError> {
        match &mut self.0 {
            SenderKind::Real(sender) => sender.send(frame).await,
            #[cfg(feature = "sim")]
            SenderKind::Sim(sender) => sender.send(frame).await,
        }
    }
}

/// The reading half.
pub struct Receiver(ReceiverKind);

enum ReceiverKind {
    Real(RealReceiver),
    #[cfg(feature = "sim")]
    Sim(super::sim::SimReceiver),
}

impl Receiver {
    /// The next frame. Not cancellation-safe for real: let one task do nothing else.
    pub async fn receive(&mut self) -> Result<Frame, NetError> {
        match &mut self.0 {
            ReceiverKind::Real(receiver) => receiver.receive().await,
            #[cfg(feature = "sim")]
            ReceiverKind::Sim(receiver) => receiver.receive().await,
        }
    }
}
