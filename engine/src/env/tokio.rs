//! The real world: tokio's clock, tasks and sockets, local files, any `object_store`.
//!
//! A process is one node with one incarnation. A frame is a little-endian `u32`
//! length, a `u8` saying how much of that is the head, then head and body. Other users of the machine can reach the ports:
//! a connection is the engine's only after the `handshake`, and those before it are few and short (`GREETING_MAX`).
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

/// Connections of a listener that have not proved yet where they belong. One more, and the oldest goes: a process of the run
/// takes a millisecond for its proof, and strangers who only wait must not keep it out.
const GREETING_MAX: usize = 64;
/// Time for that proof.
const GREETING_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections accepted before those that are there already go on.
const ACCEPT_AT_ONCE: usize = 16;
/// Memory taken for a frame before its bytes are there.
const FRAME_BYTES_AHEAD: usize = 1 << 20;

/// What a process offers to the engine in it.
#[derive(Clone)]
pub struct TokioWorld(Arc<Shared>);

struct Shared {
    started: Instant,
    /// The Unix time of `started`, so that processes of one machine agree on the clock while it never goes back.
    epoch: Duration,
    control: SocketAddr,
    checkpoints: Arc<dyn ObjectStore>,
    output: Arc<dyn ObjectStore>,
    local: PathBuf,
    inputs: InputFiles,
    secret: Secret,
    /// Peers that did not know it.
    strangers: AtomicU64,
    observer: Box<dyn Fn(&EventRecord) + Send + Sync>,
    /// Where each event is told before its emitter goes on.
    stream: Option<EventStream>,
}

impl TokioWorld {
    /// `control` is where a JobManager listens; `secret` is what every process of the run knows, and nobody else; `local` is
    /// this process's own folder, which nobody used before; `observer` sees every event, after it went to `tracing`.
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

    /// This world, whose events are also told to `stream`, each before its emitter goes on.
    ///
    /// # Panics
    /// If a part of the engine has this world already.
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

    /// A log line of this process. It tells the time as people and other logs do.
    pub(super) fn warn(&self, node: &NodeName, what: impl std::fmt::Display) {
        tracing::warn!("{} {node} {what}", calendar(self.now()));
    }

    /// Says that somebody else was there: the first time, and ever more rarely.
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
        // The runtime is shutting down, and this task with it: it ends where it waits, as all others do.
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

/// A tokio sleep that is moved rather than made anew.
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
            // Tokio's timers tick in milliseconds and fire when its driver turns: a source that has more would wait for both.
            Some(_) if self.world.now() >= deadline => Poll::Ready(()),
            Some(sleep) => sleep.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

/// Resolves to a connection once its peer has proved that it belongs to the run.
type Greeting = Pin<Box<dyn Future<Output = Result<Connection, NetError>> + Send>>;

/// A bound TCP socket, with the connections that have not proved yet where they belong, oldest first.
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

    /// The next connection of a process of this run (AUTH-1).
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
                // There may be more, but those that are here come first.
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

/// The outcome of something on the network, if there is one in time.
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
    /// `most`: bytes that the peer may send at once.
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
                // As much again as has arrived: an announcement alone takes no memory.
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
