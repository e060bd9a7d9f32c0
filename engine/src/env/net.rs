//! Framed, ordered, reliable connections of either world: TCP as the engine uses it.
//!
//! A [`Connection`] splits into a [`Sender`] and a [`Receiver`], so that reading and writing can run in separate
//! tasks. Sending waits while the connection's buffers are full; the engine relies on this back-pressure.

use std::io;
use std::time::Duration;

use bytes::Bytes;

use super::Address;
use super::tokio::{RealListener, RealReceiver, RealSender, within};

/// One message. Head and body travel together; the body is separate so that records need not be copied to put a head
/// before them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// At most 255 bytes long if there is a body.
    pub head: Bytes,
    /// The body, which may be empty.
    pub body: Bytes,
}

impl Frame {
    /// Bytes on the wire, without those that the transport adds.
    pub fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// Whether the frame holds no bytes.
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

/// Why a connection cannot be used, or not any longer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// The peer closed the connection in good order.
    #[error("connection closed by peer")]
    Closed,
    /// The peer is gone or dropped the connection.
    #[error("connection reset by peer")]
    Reset,
    /// The peer's machine answers, but nothing listens at this port.
    #[error("connection refused")]
    Refused,
    /// No answer in time.
    #[error("connection timed out")]
    TimedOut,
    /// The peer does not belong to this run.
    #[error("the peer does not know the secret of this run")]
    Stranger,
    /// The peer sends more at once than it may.
    #[error("the peer sent a frame of {bytes} bytes where {most} are the most")]
    TooLong {
        /// Of the frame that it sends, or announces.
        bytes: u64,
        /// What it may send.
        most: u32,
    },
    /// The peer announces a head that is longer than its frame.
    #[error("peer announced a head of {head} bytes in a frame of {length}")]
    BadHead {
        /// Bytes of the head.
        head: u8,
        /// Bytes of the frame.
        length: u32,
    },
    /// What was to be sent is longer than any receiver takes.
    #[error("frame of {bytes} bytes is too long")]
    FrameTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The head of what was to be sent is longer than 255 bytes.
    #[error("frame head is too long")]
    HeadTooLong,
    /// A port that somebody else listens on.
    #[error("address already in use")]
    InUse,
    /// An address that none of the simulated cluster's nodes can have.
    #[error("`{0}` is no address of the simulated cluster")]
    NoAddress(Address),
    /// An address of a node that the simulated cluster does not have.
    #[error("no node is called `{0}`")]
    NoNode(String),
    /// The node on which this was to happen is dead.
    #[error("the node is dead")]
    Dead,
    /// Anything else that the operating system says.
    #[error("{said}")]
    System {
        /// Its kind.
        kind: io::ErrorKind,
        /// The system's own words.
        said: String,
    },
}

/// A service that waits for connections.
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

    /// The address to connect to.
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
        Self { sender: Sender(SenderKind::Sim(sender)), receiver: Receiver::new(ReceiverKind::Sim(receiver)) }
    }

    pub(super) fn real(sender: RealSender, receiver: RealReceiver) -> Self {
        Self { sender: Sender(SenderKind::Real(sender)), receiver: Receiver::new(ReceiverKind::Real(receiver)) }
    }
}

/// The writing half; dropping it closes the stream in good order.
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

/// Longest frame in bytes that a connection accepts unless a narrower bound is set. The bound is wide because messages
/// carry the state of backend `memory`. Memory is reserved only as the bytes arrive, not when a length is announced.
pub const FRAME_BYTES_MAX: u32 = 1 << 30;

/// The reading half.
pub struct Receiver {
    kind: ReceiverKind,
    frame_bytes_max: u32,
}

enum ReceiverKind {
    Real(RealReceiver),
    #[cfg(feature = "sim")]
    Sim(super::sim::SimReceiver),
}

impl Receiver {
    fn new(kind: ReceiverKind) -> Self {
        Self { kind, frame_bytes_max: FRAME_BYTES_MAX }
    }

    /// Sets the longest frame, in bytes, that is accepted from now on. A caller sets it to what its peer may send
    /// next.
    pub fn limit(&mut self, frame_bytes_max: u32) {
        self.frame_bytes_max = frame_bytes_max;
    }

    /// The first frame of the peer. In the real world it must arrive within `patience`; after an error the connection
    /// is of no use. In simulation there is no such limit: only nodes connect, and the connection of a node that died
    /// is reset.
    pub async fn greeting(&mut self, patience: Duration) -> Result<Frame, NetError> {
        match &mut self.kind {
            ReceiverKind::Real(receiver) => within(patience, receiver.receive(self.frame_bytes_max)).await,
            #[cfg(feature = "sim")]
            ReceiverKind::Sim(_) => self.receive().await,
        }
    }

    /// The next frame. In the real world this is not cancellation-safe: let one task do nothing else.
    pub async fn receive(&mut self) -> Result<Frame, NetError> {
        let most = self.frame_bytes_max;
        match &mut self.kind {
            ReceiverKind::Real(receiver) => receiver.receive(most).await,
            #[cfg(feature = "sim")]
            ReceiverKind::Sim(receiver) => match receiver.receive().await {
                Ok(frame) if frame.len() > most as usize => Err(too_long(frame.len() as u64, most)),
                received => received,
            },
        }
    }
}

/// The error for a peer that sends a longer frame than it may.
pub(super) fn too_long(bytes: u64, most: u32) -> NetError {
    NetError::TooLong { bytes, most }
}
