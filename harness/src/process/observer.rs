//! Hears the events of all processes: one Unix socket, a connection for each process, a line for each event, a byte for each answer
//! ([`flowquake_engine::env::tokio::stream`]).
//!
//! A thread for each connection reads lines; whoever calls [`Observer::next`] gets them one after another. Between its event and the
//! answer to it a process waits, so there is at most one event of each process under way.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use flowquake_engine::event::EventRecord;

/// What was heard.
pub(super) enum Heard {
    /// An event, and where its emitter waits for the answer.
    Event(EventRecord, Answer),
    /// Something that is no event.
    Garbled(String),
}

/// The answer to an event, to be given once.
pub(super) struct Answer(UnixStream);

impl Answer {
    /// Lets the emitter go on. One that is dead does not hear it.
    pub(super) fn give(mut self) {
        let _ = self.0.write_all(&[0]);
    }
}

/// Listens to processes until it is dropped.
pub(super) struct Observer {
    socket: PathBuf,
    heard: Receiver<Heard>,
    over: Arc<AtomicBool>,
    listens: Option<JoinHandle<()>>,
}

impl Observer {
    /// Listens at a path where nothing is yet.
    pub(super) fn listen(socket: &Path) -> io::Result<Self> {
        let listener = UnixListener::bind(socket)?;
        let (hears, heard) = channel();
        let over = Arc::new(AtomicBool::new(false));
        let ends = over.clone();
        let listens = std::thread::Builder::new().name("observer".into()).spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                let hears = hears.clone();
                // Ends with its process.
                std::thread::spawn(move || {
                    let lost = hears.clone();
                    if let Err(error) = hear(stream, &hears) {
                        let _ = lost.send(Heard::Garbled(error.to_string()));
                    }
                });
            }
        })?;
        Ok(Self { socket: socket.to_owned(), heard, over, listens: Some(listens) })
    }

    /// Where processes reach it.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// What comes next, if something comes in time.
    pub(super) fn next(&self, patience: Duration) -> Option<Heard> {
        self.heard.recv_timeout(patience).ok()
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // It waits for a connection.
        if UnixStream::connect(&self.socket).is_ok()
            && let Some(listens) = self.listens.take()
        {
            let _ = listens.join();
        }
    }
}

/// Reads events until the process is gone.
fn hear(stream: UnixStream, hears: &Sender<Heard>) -> io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?);
    let mut line = Vec::new();
    loop {
        line.clear();
        match lines.read_until(b'\n', &mut line) {
            // A process that is killed while it writes leaves the beginning of a line: that event was not told.
            Ok(_) if !line.ends_with(b"\n") => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error),
        }
        let heard = match serde_json::from_slice(&line) {
            Ok(record) => Heard::Event(record, Answer(stream.try_clone()?)),
            Err(error) => Heard::Garbled(error.to_string()),
        };
        // The run is over.
        if hears.send(heard).is_err() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flowquake_engine::event::Event;
    use flowquake_engine::ids::Attempt;
    use flowquake_engine::time::Time;

    use super::*;

    #[test]
    fn events_are_answered_one_by_one_and_half_a_line_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let observer = Observer::listen(&folder.path().join("observer")).unwrap();
        let mut process = UnixStream::connect(observer.socket()).unwrap();
        let event = Event::JobRunning { attempt: Attempt(1) };
        let record = EventRecord { at: Time(7), node: "jm-1".into(), incarnation: 2, event };
        let mut line = serde_json::to_vec(&record).unwrap();
        line.push(b'\n');
        process.write_all(&line).unwrap();
        let patience = Duration::from_secs(20);
        let Some(Heard::Event(heard, answer)) = observer.next(patience) else { panic!("an event was told") };
        assert_eq!(heard, record);
        process.set_nonblocking(true).unwrap();
        assert_eq!(process.read(&mut [0; 1]).unwrap_err().kind(), io::ErrorKind::WouldBlock, "not answered yet");
        answer.give();
        process.set_nonblocking(false).unwrap();
        process.read_exact(&mut [0; 1]).unwrap();

        process.write_all(b"{}\n").unwrap();
        assert!(matches!(observer.next(patience), Some(Heard::Garbled(_))));
        process.write_all(&line[..9]).unwrap();
        drop(process);
        assert!(observer.next(Duration::from_millis(100)).is_none());
    }
}
