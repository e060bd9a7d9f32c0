//! Why state cannot be read or written. Each fails the task, and the job recovers from the last checkpoint.
//!
//! Start at [`StateError`]. What the operating system or RocksDB said is kept in words, since only a person can act upon it.

#[cfg(feature = "rocksdb")]
use std::fmt;
use std::io;

use crate::config::BackendKind;
use crate::paths::BadName;

/// Why state cannot be read or written. Fails the task; the job recovers from the last checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// States are told apart by the order in which they are opened, and the snapshot has another one in this place.
    #[error("state: snapshot holds the state `{found}` where `{declared}` is declared")]
    OtherState {
        /// The name in the snapshot.
        found: String,
        /// The name that the function opens.
        declared: String,
    },
    /// The snapshot holds keys of another subtask.
    #[error("state: snapshot holds key group {group}, which this subtask does not own")]
    ForeignKeyGroup {
        /// The group.
        group: u16,
    },
    /// Bytes of a snapshot are no key, value or name of the declared types.
    #[error("state: snapshot cannot be read: {0}")]
    Unreadable(postcard::Error),
    /// A snapshot has fewer entries than it says.
    #[error("state: snapshot ends too early")]
    EndsTooEarly,
    /// The state to restore was written by another backend.
    #[error("state: the restored state was not written by the `{}` backend", backend.name())]
    OtherBackend {
        /// The backend that was to restore it.
        backend: BackendKind,
    },
    /// The local folder of the attempt could not be made.
    #[error("state: no local folder: {0}")]
    NoFolder(SystemError),
    /// The backend was left out of this build.
    #[error("state: this build has no RocksDB: build with the feature `rocksdb`")]
    NotBuilt,
    /// A local file is not what it was when it was first looked at (L1).
    #[error("state: local file {file} is damaged: {damage}")]
    Damaged {
        /// Its name.
        file: String,
        /// What differs.
        damage: LocalDamage,
    },
    /// A list of a database's files does not consist of whole records (LIST-W1).
    #[error("state: local file {file} is damaged at byte {at}")]
    Torn {
        /// Its name.
        file: String,
        /// Where the first record begins that is not whole.
        at: usize,
    },
    /// `CURRENT` does not name the list of files that the snapshot holds (LIST-W1).
    #[error("state: CURRENT is damaged: it does not name {list}")]
    WrongCurrent {
        /// The list.
        list: String,
    },
    /// RocksDB wrote a checkpoint without a list of its files.
    #[error("state: RocksDB wrote a checkpoint without a list of its files")]
    NoFileList,
    /// A local file cannot be read or written.
    #[error("state: {file}: {error}")]
    File {
        /// Its name, or its path.
        file: String,
        /// What the operating system said.
        error: SystemError,
    },
    /// RocksDB made a file whose name no checkpoint can hold.
    #[error("state: {0}")]
    FileName(#[from] BadName),
    /// RocksDB refused. Its own words name its folder and a random session id, and stand in the log only.
    #[cfg(feature = "rocksdb")]
    #[error("state: RocksDB cannot {action}: {kind:?}{}{}", InFile(file), Said(machine))]
    RocksDb {
        /// What it was to do.
        action: &'static str,
        /// Its kind of error.
        kind: rocksdb::ErrorKind,
        /// The file that it names.
        file: Option<String>,
        /// What the operating system told it, where that is known.
        machine: Option<&'static str>,
    },
    /// A value in the database is not of the declared type.
    #[error("state: RocksDB holds a value of another type: {0}")]
    OtherType(postcard::Error),
}

impl StateError {
    /// For an error of the operating system with a file.
    pub fn file(file: impl Into<String>, error: &io::Error) -> Self {
        Self::File { file: file.into(), error: error.into() }
    }
}

/// What differs in a local file from the first look at it. Of contents nothing more is told: RocksDB writes a random session id
/// into every file, and an event must not depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LocalDamage {
    /// Its bytes, but not their number.
    #[error("its contents have changed")]
    Contents,
    /// The number of its bytes.
    #[error("it had {before} bytes, and has {now}")]
    Length {
        /// At the first look.
        before: u64,
        /// Now.
        now: u64,
    },
}

/// An error of the operating system that can be compared and passed on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{said}")]
pub struct SystemError {
    /// Its kind.
    pub kind: io::ErrorKind,
    /// The system's own words.
    pub said: String,
}

impl From<&io::Error> for SystemError {
    fn from(error: &io::Error) -> Self {
        Self { kind: error.kind(), said: error.to_string() }
    }
}

/// ` in FILE`, if there is one.
#[cfg(feature = "rocksdb")]
struct InFile<'a>(&'a Option<String>);

#[cfg(feature = "rocksdb")]
impl fmt::Display for InFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |file| write!(f, " in {file}"))
    }
}

/// ` (WORDS)`, if there are some.
#[cfg(feature = "rocksdb")]
struct Said<'a>(&'a Option<&'static str>);

#[cfg(feature = "rocksdb")]
impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |said| write!(f, " ({said})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_carry_the_values() {
        let denied = SystemError::from(&io::Error::new(io::ErrorKind::PermissionDenied, "denied"));
        let damaged = |damage| StateError::Damaged { file: "1.sst".into(), damage };
        for (error, words) in [
            (
                StateError::OtherState { found: "a".into(), declared: "b".into() },
                "state: snapshot holds the state `a` where `b` is declared",
            ),
            (
                StateError::OtherBackend { backend: BackendKind::Fs },
                "state: the restored state was not written by the `fs` backend",
            ),
            (StateError::File { file: "1.sst".into(), error: denied.clone() }, "state: 1.sst: denied"),
            (StateError::NoFolder(denied), "state: no local folder: denied"),
            (damaged(LocalDamage::Contents), "state: local file 1.sst is damaged: its contents have changed"),
            (
                damaged(LocalDamage::Length { before: 5, now: 3 }),
                "state: local file 1.sst is damaged: it had 5 bytes, and has 3",
            ),
        ] {
            assert_eq!(error.to_string(), words);
        }
    }

    #[cfg(feature = "rocksdb")]
    #[test]
    fn an_error_of_the_database_says_what_is_known_of_it() {
        let error = |file: Option<&str>, machine| StateError::RocksDb {
            action: "flush",
            kind: rocksdb::ErrorKind::IOError,
            file: file.map(str::to_owned),
            machine,
        };
        assert_eq!(error(None, None).to_string(), "state: RocksDB cannot flush: IOError");
        let whole = "state: RocksDB cannot flush: IOError in 7.sst (No space left on device)";
        assert_eq!(error(Some("7.sst"), Some("No space left on device")).to_string(), whole);
    }
}
