//! An event stream with acknowledgements: an observer outside of the process learns of every step before the next one
//! is taken.
//!
//! The observer listens on a Unix socket. Each event is sent there as a line of JSON, and the observer answers each
//! line with one byte of any value. The task that emits the event waits for that byte. Start at
//! [`EventStream::connect`].
//!
//! Invariants: (STREAM-1) events are written and answered one after another, in the order in which they were emitted;
//! (STREAM-2) an observer that is gone holds up no emitter: from then on nothing is written and no emitter waits.

use std::io;
use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::event::EventRecord;

/// The connection to an observer. It costs little while no events are emitted: one task that waits.
#[derive(Debug)]
pub struct EventStream(UnboundedSender<Unanswered>);

/// An event that was not answered yet.
#[derive(Debug)]
struct Unanswered {
    line: Vec<u8>,
    answered: oneshot::Sender<()>,
}

impl EventStream {
    /// Connects to the observer that listens at `socket`. Must be called within the runtime of the process.
    pub async fn connect(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket).await?;
        let (events, unanswered) = unbounded_channel();
        tokio::spawn(async move {
            if let Err(error) = write_all(stream, unanswered).await {
                tracing::warn!("the observer of events is gone: {error}");
            }
        });
        Ok(Self(events))
    }

    /// Sends an event; returns once the observer has answered or is gone.
    pub(super) async fn tell(&self, record: &EventRecord) {
        let mut line = serde_json::to_vec(record).expect("events are plain data");
        line.push(b'\n');
        let (answered, answer) = oneshot::channel();
        // If the emitter is dropped while it waits, its event is sent all the same, because the step has taken effect.
        if self.0.send(Unanswered { line, answered }).is_ok() {
            let _ = answer.await;
        }
    }
}

/// Writes events one after another, each when the previous one is answered (STREAM-1). When this function ends, the
/// senders of all unanswered events are dropped, which lets their emitters go on (STREAM-2).
async fn write_all(mut stream: UnixStream, mut unanswered: UnboundedReceiver<Unanswered>) -> io::Result<()> {
    while let Some(Unanswered { line, answered }) = unanswered.recv().await {
        stream.write_all(&line).await?;
        stream.read_u8().await?;
        // Sending fails if the emitter was dropped; then it does not wait any more.
        let _ = answered.send(());
    }
    Ok(())
}
