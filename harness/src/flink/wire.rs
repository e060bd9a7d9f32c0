//! The harness's end of the line to a Flink: what is told there is told here, one thing at a time, and nothing goes on before the answer.
//!
//! Start at [`Wire::listen`]. The Java side is `harness/java/flowquake/Wire.java`: a length, so many bytes of text, and one byte back. Each
//! thread of a Flink has a connection, and here a thread of its own that passes messages on. Whoever drives the run takes them from the
//! channel, one after another, does what is due, and answers.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use super::translate::Line;

/// No line of a log is longer; what is, is no line.
const MESSAGE_MAX: usize = 1 << 20;

/// What was told, and whoever waits for the answer.
pub(super) struct Told {
    pub(super) node: String,
    pub(super) logger: String,
    pub(super) thread: String,
    pub(super) message: String,
    answer: Sender<()>,
}

impl Told {
    /// What it says, without who waits.
    pub(super) fn line(&self) -> Line<'_> {
        Line { node: &self.node, logger: &self.logger, thread: &self.thread, message: &self.message }
    }

    /// Lets the thread that told it go on. One whose process has ended hears nothing.
    pub(super) fn answer(self) {
        let _ = self.answer.send(());
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
        if told_now.is_err() || answered.recv().is_err() || connection.write_all(&[0]).is_err() {
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
