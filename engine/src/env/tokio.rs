//! The real world: tokio's clock, tasks and sockets, local files, any `object_store`.
//!
//! A process is one node with one incarnation. A frame is a little-endian `u32` length, a `u8` with the length of the
//! head, then head and body. Other users of the machine can reach the ports. So a connection is handed to the engine
//! only after the `handshake`, and connections that have not passed it are few and short-lived (`GREETING_MAX`).
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the one place where the engine meets tokio's clock, tasks and sockets"
)]

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::{Buf, BytesMut};
use object_store::ObjectStore;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use self::stream::EventStream;
use super::handshake::{self, Ends};
use super::input::InputFiles;
use super::net::{FRAME_BYTES_MAX, too_long};
use super::secret::{self, Secret};
use super::{Address, Connection, Frame, Listener, NetError, Port, StoreKind};
use crate::event::EventRecord;
use crate::ids::NodeName;
use crate::time::{Time, nanos};

pub mod stream;

/// Most connections of a listener that have not passed the handshake yet. If one more arrives, the oldest is dropped:
/// a process of the run needs only a millisecond for the handshake, and strangers that just wait must not keep it out.
const GREETING_MAX: usize = 64;
/// Time allowed for the handshake.
const GREETING_TIMEOUT: Duration = Duration::from_secs(5);
/// Most connections that are accepted before handshakes that are under way get a turn.
const ACCEPT_AT_ONCE: usize = 16;
/// Bytes of memory reserved for a frame before its bytes arrive.
const FRAME_BYTES_AHEAD: usize = 1 << 20;

/// What a process offers to the engine that runs in it.
#[derive(Clone)]
pub struct TokioWorld(Arc<Shared>);

struct Shared {
    started: Instant,
    /// The Unix time of `started`. With it all processes of one machine share a clock, and this clock never goes back.
    epoch: Duration,
    control: SocketAddr,
    checkpoints: Arc<dyn ObjectStore>,
    output: Arc<dyn ObjectStore>,
    local: PathBuf,
    inputs: InputFiles,
    secret: Secret,
    /// Number of peers that did not know the secret.
    strangers: AtomicU64,
    observer: Box<dyn Fn(&EventRecord) + Send + Sync>,
    /// The stream that has to answer each event before its emitter goes on.
    stream: Option<EventStream>,
}

impl TokioWorld {
    /// `control` is where a JobManager listens. Every process of the run knows `secret`, and nobody else does. `local`
    /// is a folder for this process alone, unused so far. `observer` sees every event after it was written to
    /// `tracing`.
    pub fn new(
        control: SocketAddr,
        secret: Secret,
        checkpoints: Arc<dyn ObjectStore>,
        output: Arc<dyn ObjectStore>,
        local: PathBuf,
        observer: impl Fn(&EventRecord) + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Shared {
            started: Instant::now(),
            epoch: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            control,
            checkpoints,
            output,
            local,
            inputs: InputFiles::default(),
            secret,
            strangers: AtomicU64::new(0),
            observer: Box::new(observer),
            stream: None,
        }))
    }

    /// Makes this world send its events to `stream` as well, each before its emitter goes on.
    ///
    /// # Panics
    /// If a part of the engine holds this world already.
    pub fn telling(mut self, stream: EventStream) -> Self {
        let shared = Arc::get_mut(&mut self.0).expect("the stream is given before the world is");
        shared.stream = Some(stream);
        self
    }

    pub(super) fn now(&self) -> Time {
        Time(nanos(self.0.epoch + self.0.started.elapsed()))
    }

    fn instant(&self, at: Time) -> Instant {
        self.0.started + Duration::from_nanos(at.0.saturating_sub(nanos(self.0.epoch)).min(1 << 60))
    }

    pub(super) fn store(&self, kind: StoreKind) -> Arc<dyn ObjectStore> {
        match kind {
            StoreKind::Checkpoints => self.0.checkpoints.clone(),
            StoreKind::Output => self.0.output.clone(),
        }
    }

    pub(super) fn local_folder(&self) -> std::io::Result<PathBuf> {
        std::fs::create_dir_all(&self.0.local)?;
        Ok(self.0.local.clone())
    }

    pub(super) fn inputs(&self) -> &InputFiles {
        &self.0.inputs
    }

    /// Writes a log line of this process, with the calendar time that other logs use, too.
    pub(super) fn warn(&self, node: &NodeName, what: impl std::fmt::Display) {
        tracing::warn!("{} {node} {what}", calendar(self.now()));
    }

    /// Logs that a stranger connected: the first time, and then ever more rarely.
    fn note_stranger(&self, what: impl FnOnce() -> String) {
        let count = self.0.strangers.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_power_of_two() {
            tracing::warn!("{} ({count} such peers so far)", what());
        }
    }

    pub(super) async fn emit(&self, record: EventRecord) {
        tracing::debug!("{} {} {}", calendar(record.at), record.node, record.event);
        (self.0.observer)(&record);
        if let Some(stream) = &self.0.stream {
            stream.tell(&record).await;
        }
    }
}

/// Date and time of day, UTC, to the microsecond.
fn calendar(at: Time) -> humantime::Rfc3339Timestamp {
    humantime::format_rfc3339_micros(UNIX_EPOCH + Duration::from_nanos(at.0))
}

/// Runs blocking work on tokio's pool.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is shutting down, and this task ends with it, like all others, where it waits.
        Err(_) => std::future::pending().await,
    }
}

/// A spawned task.
pub(super) struct RealTask(tokio::task::AbortHandle);

impl RealTask {
    pub(super) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(future).abort_handle())
    }

    pub(super) fn abort(&self) {
        self.0.abort();
    }
}

/// A tokio sleep that is reset instead of created anew.
pub(super) struct RealTimer {
    world: TokioWorld,
    sleep: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl RealTimer {
    pub(super) fn new(world: TokioWorld) -> Self {
        Self { world, sleep: None }
    }

    pub(super) fn set(&mut self, at: Time) {
        let instant = self.world.instant(at).into();
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().reset(instant),
            None => self.sleep = Some(Box::pin(tokio::time::sleep_until(instant))),
        }
    }

    pub(super) fn poll(&mut self, deadline: Time, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.sleep {
            // A tokio timer has a resolution of a millisecond, and fires only when its driver runs. A source with more
            // input must not wait for either, so a passed deadline fires at once.
            Some(_) if self.world.now() >= deadline => Poll::Ready(()),
            Some(sleep) => sleep.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

/// Resolves to a connection once its peer has proved that it belongs to the run.
type Greeting = Pin<Box<dyn Future<Output = Result<Connection, NetError>> + Send>>;

/// A bound TCP socket, with the connections that have not passed the handshake yet, oldest first.
pub(super) struct RealListener {
    listener: TcpListener,
    address: SocketAddr,
    world: TokioWorld,
    greeting: VecDeque<Greeting>,
}

impl RealListener {
    pub(super) fn address(&self) -> Address {
        Address(self.address.to_string())
    }

    /// The next connection from a process of this run (AUTH-1).
    pub(super) async fn accept(&mut self) -> Result<Connection, NetError> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Result<Connection, NetError>> {
        for accepted in 1..=ACCEPT_AT_ONCE {
            let Poll::Ready(next) = self.listener.poll_accept(cx) else { break };
            let (stream, _) = next.map_err(translate)?;
            if self.greeting.len() == GREETING_MAX {
                drop(self.greeting.pop_front());
                self.world.note_stranger(|| format!("{} unproved connections at once", GREETING_MAX + 1));
            }
            self.greeting.push_back(Box::pin(greet(self.world.clone(), stream)));
            if accepted == ACCEPT_AT_ONCE {
                // More connections may be waiting, but the handshakes that are under way get a turn first.
                cx.waker().wake_by_ref();
            }
        }
        let mut number = 0;
        while let Some(greeting) = self.greeting.get_mut(number) {
            let Poll::Ready(proved) = greeting.as_mut().poll(cx) else {
                number += 1;
                continue;
            };
            drop(self.greeting.remove(number));
            match proved {
                Ok(connection) => return Poll::Ready(Ok(connection)),
                Err(error) => {
                    let address = self.address;
                    self.world.note_stranger(|| format!("a connection to {address} was refused: {error}"));
                }
            }
        }
        Poll::Pending
    }
}

/// The listener's side of a new connection.
async fn greet(world: TokioWorld, stream: TcpStream) -> Result<Connection, NetError> {
    let (opener, listener) = (stream.peer_addr().map_err(translate)?, stream.local_addr().map_err(translate)?);
    let ends = Ends { opener: opener.to_string(), listener: listener.to_string() };
    let nonce = secret::random().map_err(translate)?;
    let mut connection = split(stream)?;
    within(GREETING_TIMEOUT, handshake::accept(&mut connection, &world.0.secret, &ends, nonce)).await?;
    Ok(connection)
}

pub(super) async fn listen(world: &TokioWorld, port: Port) -> Result<Listener, NetError> {
    let wanted = match port {
        Port::Control => world.0.control,
        Port::Data => SocketAddr::new(world.0.control.ip(), 0),
    };
    let listener = TcpListener::bind(wanted).await.map_err(translate)?;
    let address = listener.local_addr().map_err(translate)?;
    Ok(Listener::real(RealListener { listener, address, world: world.clone(), greeting: VecDeque::new() }))
}

pub(super) async fn connect(world: &TokioWorld, to: &Address, timeout: Duration) -> Result<Connection, NetError> {
    let connected = within(timeout, open(world, to)).await;
    if connected.as_ref().is_err_and(|error| *error == NetError::Stranger) {
        world.note_stranger(|| format!("whoever listens at {to} does not know the secret of this run"));
    }
    connected
}

/// The outcome of a network operation, or a time-out.
pub(super) async fn within<T>(
    patience: Duration,
    outcome: impl Future<Output = Result<T, NetError>>,
) -> Result<T, NetError> {
    tokio::time::timeout(patience, outcome).await.unwrap_or(Err(NetError::TimedOut))
}

/// The opener's side of a new connection.
async fn open(world: &TokioWorld, to: &Address) -> Result<Connection, NetError> {
    let stream = TcpStream::connect(&to.0).await.map_err(translate)?;
    let (opener, listener) = (stream.local_addr().map_err(translate)?, stream.peer_addr().map_err(translate)?);
    let ends = Ends { opener: opener.to_string(), listener: listener.to_string() };
    let nonce = secret::random().map_err(translate)?;
    let mut connection = split(stream)?;
    handshake::open(&mut connection, &world.0.secret, &ends, nonce).await?;
    Ok(connection)
}

fn split(stream: TcpStream) -> Result<Connection, NetError> {
    stream.set_nodelay(true).map_err(translate)?;
    let (read, write) = stream.into_split();
    let receiver = RealReceiver(BufReader::with_capacity(64 * 1024, read));
    Ok(Connection::real(RealSender(write), receiver))
}

/// Writes frames to a socket.
pub(super) struct RealSender(OwnedWriteHalf);

impl RealSender {
    pub(super) async fn send(&mut self, frame: Frame) -> Result<(), NetError> {
        let length = u32::try_from(frame.len()).ok().filter(|length| *length <= FRAME_BYTES_MAX);
        let length = length.ok_or(NetError::FrameTooLong { bytes: frame.len() })?;
        let head = u8::try_from(frame.head.len()).map_err(|_| NetError::HeadTooLong)?;
        let mut prefix = Vec::with_capacity(5 + frame.head.len());
        prefix.extend_from_slice(&length.to_le_bytes());
        prefix.push(head);
        prefix.extend_from_slice(&frame.head);
        self.0.write_all_buf(&mut Buf::chain(&prefix[..], frame.body)).await.map_err(translate)
    }
}

/// Reads frames from a socket.
pub(super) struct RealReceiver(BufReader<OwnedReadHalf>);

impl RealReceiver {
    /// `most` is the longest frame, in bytes, that the peer may send.
    pub(super) async fn receive(&mut self, most: u32) -> Result<Frame, NetError> {
        let length = self.0.read_u32_le().await.map_err(translate)?;
        if length > most {
            return Err(too_long(length.into(), most));
        }
        let head = self.0.read_u8().await.map_err(translate)?;
        if u32::from(head) > length {
            return Err(NetError::BadHead { head, length });
        }
        let length = length as usize;
        let mut frame = BytesMut::new();
        let mut limited = (&mut self.0).take(length as u64);
        while frame.len() < length {
            if frame.len() == frame.capacity() {
                // At most as much again as has arrived, so that announcing a long frame takes no memory.
                frame.reserve((length - frame.len()).min(frame.len().max(FRAME_BYTES_AHEAD)));
            }
            if limited.read_buf(&mut frame).await.map_err(translate)? == 0 {
                return Err(NetError::Reset);
            }
        }
        let mut body = frame.freeze();
        let head = body.split_to(usize::from(head));
        Ok(Frame { head, body })
    }
}

fn translate(error: std::io::Error) -> NetError {
    use std::io::ErrorKind::*;
    match error.kind() {
        UnexpectedEof => NetError::Closed,
        ConnectionReset | ConnectionAborted | BrokenPipe | NotConnected => NetError::Reset,
        ConnectionRefused => NetError::Refused,
        TimedOut => NetError::TimedOut,
        kind => NetError::System { kind, said: error.to_string() },
    }
}

#[cfg(test)]
mod tests;
