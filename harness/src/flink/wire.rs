//! The harness's end of the line to a Flink: what is told there is told here, one thing at a time, and nothing goes on before the answer.
//!
//! Start at [`Wire::listen`]. The Java side is `harness/java/flowquake/Wire.java`: a length, so many bytes of text, and one byte back, or nine where user
//! code asks about a record. Each
//! thread of a Flink has a connection, and here a thread of its own that passes messages on. Whoever drives the run takes them from the
//! channel, one after another, does what is due, and answers.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use super::translate::Line;
use crate::jobs::AtRecord;
use crate::plan::UserFailure;

/// No line of a log is longer; what is, is no line.
const MESSAGE_MAX: usize = 1 << 20;

/// What was told, and whoever waits for the answer.
pub(super) struct Told {
    pub(super) node: String,
    pub(super) logger: String,
    pub(super) thread: String,
    pub(super) message: String,
    answer: Sender<Vec<u8>>,
}

impl Told {
    /// What it says, without who waits.
    pub(super) fn line(&self) -> Line<'_> {
        Line { node: &self.node, logger: &self.logger, thread: &self.thread, message: &self.message }
    }

    /// Lets the thread that told it go on. One whose process has ended hears nothing.
    pub(super) fn answer(self) {
        self.answer_with(vec![0]);
    }

    /// The same, with what it asked for.
    fn answer_with(self, answer: Vec<u8>) {
        let _ = self.answer.send(answer);
    }

    /// The record that user code asks about: split and position.
    pub(super) fn record(&self) -> Option<(u32, u64)> {
        let (split, position) =
            self.message.strip_prefix("record ").filter(|_| self.logger == "user")?.split_once(' ')?;
        split.parse().ok().zip(position.parse().ok())
    }

    /// Lets user code take the record, or not: nine bytes, as `harness/java/flowquake/Hook.java` reads them.
    pub(super) fn answer_record(self, told: &AtRecord) {
        let (what, wait) = match told {
            AtRecord::Go => (0, Duration::ZERO),
            AtRecord::Fail { how: UserFailure::Error, .. } => (1, Duration::ZERO),
            AtRecord::Fail { how: UserFailure::Panic, .. } => (2, Duration::ZERO),
            AtRecord::Wait(wait) => (3, *wait),
        };
        let nanos = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        self.answer_with(std::iter::once(what).chain(nanos.to_be_bytes()).collect());
    }
}

/// A socket on which a cluster tells what happens.
pub(super) struct Wire {
    told: Receiver<Told>,
}

impl Wire {
    /// Listens at a path that does not exist yet.
    pub(super) fn listen(path: &Path) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        let (sender, told) = mpsc::channel();
        std::thread::Builder::new().name("flink-wire".into()).spawn(move || accept(&listener, &sender))?;
        Ok(Self { told })
    }

    /// The next that is told within this time.
    pub(super) fn next(&self, within: Duration) -> Option<Told> {
        self.told.recv_timeout(within).ok()
    }
}

/// Until nobody takes what is told any more.
fn accept(listener: &UnixListener, told: &Sender<Told>) {
    for connection in listener.incoming() {
        let Ok(connection) = connection else { return };
        let told = told.clone();
        let served = std::thread::Builder::new().name("flink-wire".into()).spawn(move || serve(connection, &told));
        if served.is_err() {
            return;
        }
    }
}

fn serve(mut connection: UnixStream, told: &Sender<Told>) {
    let (answer, answered) = mpsc::channel();
    // A connection ends with the process that made it.
    while let Ok(text) = read(&mut connection) {
        let mut parts = text.splitn(5, '\t').map(str::to_owned);
        let (Some(kind), Some(node), Some(source), Some(thread), Some(message)) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return;
        };
        let logger = if kind == "user" { kind } else { source };
        let told_now = told.send(Told { node, logger, thread, message, answer: answer.clone() });
        let answered = told_now.ok().and_then(|()| answered.recv().ok());
        if answered.is_none_or(|answer| connection.write_all(&answer).is_err()) {
            return;
        }
    }
}

fn read(connection: &mut UnixStream) -> io::Result<String> {
    let mut length = [0; 4];
    connection.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > MESSAGE_MAX {
        return Err(io::Error::other("too long for a line"));
    }
    let mut text = vec![0; length];
    connection.read_exact(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_tells_waits_for_the_answer() {
        let folder = tempfile::tempdir().unwrap();
        let wire = Wire::listen(&folder.path().join("wire")).unwrap();
        let mut teller = UnixStream::connect(folder.path().join("wire")).unwrap();
        let text = b"log\ttm-1\tTask\tcount (1/2)#0\tit ran";
        teller.write_all(&(text.len() as u32).to_be_bytes()).unwrap();
        teller.write_all(text).unwrap();
        let told = wire.next(Duration::from_secs(10)).unwrap();
        assert_eq!((told.node.as_str(), told.logger.as_str(), told.message.as_str()), ("tm-1", "Task", "it ran"));
        teller.set_nonblocking(true).unwrap();
        assert_eq!(teller.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        told.answer();
        teller.set_nonblocking(false).unwrap();
        assert_eq!(teller.read(&mut [0]).unwrap(), 1);
    }

    #[test]
    fn user_code_that_asks_gets_nine_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let wire = Wire::listen(&folder.path().join("wire")).unwrap();
        let mut teller = UnixStream::connect(folder.path().join("wire")).unwrap();
        let text = b"user\ttm-1\tsource.0\tsource (1/2)#0\trecord 3 17";
        teller.write_all(&(text.len() as u32).to_be_bytes()).unwrap();
        teller.write_all(text).unwrap();
        let told = wire.next(Duration::from_secs(10)).unwrap();
        assert_eq!(told.record(), Some((3, 17)));
        told.answer_record(&AtRecord::Wait(Duration::from_nanos(258)));
        let mut answer = [0; 9];
        teller.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [3, 0, 0, 0, 0, 0, 0, 1, 2]);
    }

    #[test]
    fn what_is_no_message_ends_the_connection() {
        let folder = tempfile::tempdir().unwrap();
        let wire = Wire::listen(&folder.path().join("wire")).unwrap();
        for wrong in [&b"\xff\xff\xff\xff"[..], b"\0\0\0\x03a\tb"] {
            let mut teller = UnixStream::connect(folder.path().join("wire")).unwrap();
            teller.write_all(wrong).unwrap();
            assert_eq!(teller.read(&mut [0]).unwrap(), 0);
        }
        assert!(wire.next(Duration::from_millis(1)).is_none());
    }
}
