//! The real world: tokio's clock, tasks and sockets, local files, any `object_store`.
//!
//! A process is one node with one incarnation. A frame is a little-endian `u32`
//! length, a `u8` saying how much of that is the head, then head and body.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the one place where the engine meets tokio's clock, tasks and sockets"
)]

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::{Buf, BytesMut};
use object_store::ObjectStore;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use super::input::InputFiles;
use super::{Address, Connection, Frame, Listener, NetError, Port, StoreKind};
use crate::event::EventRecord;
use crate::ids::NodeName;
use crate::time::{Time, nanos};

/// Longest frame accepted: a longer length prefix means that the peer does not speak this protocol.
const FRAME_BYTES_MAX: u32 = 1 << 30;

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
    observer: Box<dyn Fn(&EventRecord) + Send + Sync>,
}

impl TokioWorld {
    /// `control` is where a JobManager listens; `local` is this process's own folder, which nobody used before;
    /// `observer` sees every event, after it went to `tracing`.
    pub fn new(
        control: SocketAddr,
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
            observer: Box::new(observer),
        }))
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

    pub(super) fn emit(&self, record: EventRecord) {
        tracing::debug!("{} {} {}", calendar(record.at), record.node, record.event);
        (self.0.observer)(&record);
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

/// A bound TCP socket.
pub(super) struct RealListener {
    listener: TcpListener,
    address: SocketAddr,
}

impl RealListener {
    pub(super) fn address(&self) -> Address {
        Address(self.address.to_string())
    }

    pub(super) async fn accept(&mut self) -> Result<Connection, NetError> {
        let (stream, _) = self.listener.accept().await.map_err(translate)?;
        split(stream)
    }
}

pub(super) async fn listen(world: &TokioWorld, port: Port) -> Result<Listener, NetError> {
    let wanted = match port {
        Port::Control => world.0.control,
        Port::Data => SocketAddr::new(world.0.control.ip(), 0),
    };
    let listener = TcpListener::bind(wanted).await.map_err(translate)?;
    let address = listener.local_addr().map_err(translate)?;
    Ok(Listener::real(RealListener { listener, address }))
}

pub(super) async fn connect(to: &Address, timeout: Duration) -> Result<Connection, NetError> {
    let stream = tokio::time::timeout(timeout, TcpStream::connect(&to.0)).await.map_err(|_| NetError::TimedOut)?;
    split(stream.map_err(translate)?)
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
        let length = length.ok_or_else(|| NetError::Other(format!("frame of {} bytes is too long", frame.len())))?;
        let head = u8::try_from(frame.head.len()).map_err(|_| NetError::Other("frame head is too long".into()))?;
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
    pub(super) async fn receive(&mut self) -> Result<Frame, NetError> {
        let length = self.0.read_u32_le().await.map_err(translate)?;
        if length > FRAME_BYTES_MAX {
            return Err(NetError::Other(format!("peer announced a frame of {length} bytes")));
        }
        let head = self.0.read_u8().await.map_err(translate)?;
        if u32::from(head) > length {
            return Err(NetError::Other(format!("peer announced a head of {head} bytes in a frame of {length}")));
        }
        let mut frame = BytesMut::with_capacity(length as usize);
        let mut limited = (&mut self.0).take(u64::from(length));
        while frame.len() < length as usize {
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
        _ => NetError::Other(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_tell_the_time_as_people_do() {
        assert_eq!(calendar(Time(1_796_000_000_123_456_789)).to_string(), "2026-11-30T00:53:20.123456Z");
    }
}
