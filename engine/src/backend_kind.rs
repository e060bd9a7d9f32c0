//! The state backends, by name.

use serde::{Deserialize, Serialize};

/// Where keyed state lives while a subtask works on it, and where its snapshots go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackendKind {
    /// State on the heap; snapshots travel in the acknowledgement and lie inside the manifest. For small state.
    Memory,
    /// State on the heap; snapshots are files in the checkpoint store.
    Fs,
    /// State in RocksDB on local disk; snapshots are its files, copied to the checkpoint store.
    RocksDb,
}

impl BackendKind {
    /// All backends, in the order in which they are listed to users.
    pub const ALL: [BackendKind; 3] = [BackendKind::Memory, BackendKind::Fs, BackendKind::RocksDb];

    /// The name used in scenario files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            BackendKind::Memory => "memory",
            BackendKind::Fs => "fs",
            BackendKind::RocksDb => "rocksdb",
        }
    }

    /// The backend of that name.
    pub fn from_name(name: &str) -> Option<BackendKind> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether this build contains the backend.
    pub fn is_built(self) -> bool {
        self != BackendKind::RocksDb || cfg!(feature = "rocksdb")
    }
}
