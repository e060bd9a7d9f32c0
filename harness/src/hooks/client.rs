//! The end of a process of this engine: asks, where something stands.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use flowquake_engine::env::StoreKind;

use super::words::{Access, Answer, Question, Spoilt};
use super::{flag, socket};
use crate::jobs::{AtRecord, Overseer};

/// A process that is told what to do.
#[derive(Debug)]
pub(crate) struct Overseen {
    node: String,
    flag: File,
    socket: PathBuf,
    /// Connections on which nobody waits for an answer.
    idle: Mutex<Vec<BufReader<UnixStream>>>,
}

impl Overseen {
    /// By whoever listens in this folder.
    pub(crate) fn by(folder: &Path, node: &str) -> io::Result<Self> {
        let flag = File::open(flag(folder))?;
        Ok(Self { node: node.into(), flag, socket: socket(folder), idle: Mutex::default() })
    }

    /// Whether something stands: of user code, or otherwise.
    fn stands(&self) -> [bool; 2] {
        let mut bytes = [0; 2];
        // Whoever makes the run is gone, and this process with it in a moment.
        if self.flag.read_exact_at(&mut bytes, 0).is_err() {
            return [false; 2];
        }
        bytes.map(|byte| byte != 0)
    }

    /// Asks, and waits for the answer; nobody else has the connection meanwhile.
    fn ask(&self, question: &Question) -> io::Result<Answer> {
        let idle = self.idle.lock().expect("nothing panics under this lock").pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => BufReader::new(UnixStream::connect(&self.socket)?),
        };
        let mut line = serde_json::to_vec(question)?;
        line.push(b'\n');
        connection.get_mut().write_all(&line)?;
        let mut answer = String::new();
        connection.read_line(&mut answer)?;
        let answer = serde_json::from_str(&answer)?;
        self.idle.lock().expect("nothing panics under this lock").push(connection);
        Ok(answer)
    }

    /// What becomes of a request: it waits, and is spoilt, or neither. Blocks as long as the store does not answer.
    pub(crate) fn at_request(
        &self,
        store: StoreKind,
        access: Access,
        path: &str,
        bytes: u64,
    ) -> (std::time::Duration, Option<Spoilt>) {
        let node = self.node.clone();
        match self.ask(&Question::Request { node, store, access, path: path.into(), bytes }) {
            Ok(Answer::Request(wait, spoilt)) => (wait, spoilt),
            // As in `stands`.
            _ => (std::time::Duration::ZERO, None),
        }
    }

    /// Whether requests have to ask.
    pub(crate) fn requests_ask(&self) -> bool {
        self.stands()[1]
    }
}

impl Overseer for Overseen {
    fn at_record(&self, split: u32, position: u64) -> AtRecord {
        if self.stands() == [false; 2] {
            return AtRecord::Go;
        }
        match self.ask(&Question::Record { node: self.node.clone(), split, position }) {
            Ok(Answer::Record(told)) => told,
            _ => AtRecord::Go,
        }
    }
}
