//! Keyed state: what a process function remembers per key, and how it is snapshotted and restored.
//!
//! A function declares its states in `open` ([`StateOpener`]) and works on [`ValueState`]s. A [`Backend`] decides
//! where the values live: on the heap (`memory`, `fs`) or in RocksDB. Values keep their types until they are encoded;
//! a snapshot ([`LocalSnapshot`]) is bytes (heap) or files (RocksDB).
//!
//! Invariants: (S1) a snapshot holds every update made before it and none made after; (S2) a subtask sees only keys of
//! its own groups; (S3) equal operations give equal bytes (heap) or equal file names and sizes (RocksDB).

use std::fmt::Debug;
use std::hash::Hash;
use std::ops::Range;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::BackendKind;
use crate::env::{Entries, LocalFolder};
use crate::paths::StateFileName;

#[cfg(feature = "rocksdb")]
mod cache;
mod error;
#[cfg(feature = "rocksdb")]
mod file_list;
mod first_look;
mod heap;
pub mod key_group;
#[cfg(feature = "rocksdb")]
mod rocksdb;

pub use error::{LocalDamage, StateError, SystemError};
pub use first_look::FirstLook;

use heap::HeapTable;

/// The cache in front of a database is full at this many bytes, counting encoded values and the slots themselves. In
/// tests a few values fill it, so that it is emptied again and again.
pub const CACHE_BYTES: usize = if cfg!(test) { 512 } else { 16 << 20 };

/// A type that can be a key.
pub trait Key: Serialize + DeserializeOwned + Hash + Eq + Clone + Debug + Send + 'static {}
impl<T: Serialize + DeserializeOwned + Hash + Eq + Clone + Debug + Send + 'static> Key for T {}

/// A type that can be a value.
pub trait Value: Serialize + DeserializeOwned + Clone + Debug + Send + 'static {}
impl<T: Serialize + DeserializeOwned + Clone + Debug + Send + 'static> Value for T {}

/// The key of the current record, with its group.
#[derive(Debug, Clone)]
pub struct CurrentKey<K> {
    /// The key.
    pub key: K,
    /// The key's group; see [`key_group`].
    pub group: u16,
}

/// One value per key.
pub struct ValueState<K, V>(Table<K, V>);

enum Table<K, V> {
    Heap(HeapTable<K, V>),
    #[cfg(feature = "rocksdb")]
    RocksDb(rocksdb::RocksTable<K, V>),
}

impl<K: Key, V: Value> ValueState<K, V> {
    /// The value of a key, if it has one.
    pub fn value(&mut self, key: &CurrentKey<K>) -> Result<Option<V>, StateError> {
        match &mut self.0 {
            Table::Heap(table) => Ok(table.get(key).cloned()),
            #[cfg(feature = "rocksdb")]
            Table::RocksDb(table) => table.get(key),
        }
    }

    /// Sets the value of a key.
    pub fn update(&mut self, key: &CurrentKey<K>, value: V) -> Result<(), StateError> {
        self.replace(key, |_| value).map(drop)
    }

    /// Sets the value of a key to `change(old value)`, with a single look-up if the backend can. Returns the old
    /// value.
    pub fn replace(
        &mut self,
        key: &CurrentKey<K>,
        change: impl FnOnce(Option<&V>) -> V,
    ) -> Result<Option<V>, StateError> {
        match &mut self.0 {
            Table::Heap(table) => Ok(table.replace(key, change)),
            #[cfg(feature = "rocksdb")]
            Table::RocksDb(table) => table.replace(key, change),
        }
    }

    /// Removes the value of a key.
    pub fn clear(&mut self, key: &CurrentKey<K>) -> Result<(), StateError> {
        match &mut self.0 {
            Table::Heap(table) => table.remove(key),
            #[cfg(feature = "rocksdb")]
            Table::RocksDb(table) => table.remove(key)?,
        }
        Ok(())
    }
}

/// The states that one process function declared.
pub trait StateSet: Send {
    /// All tables, in the order of their declaration.
    fn tables<'a>(&'a mut self, into: &mut Vec<&'a mut dyn StateTable>);
}

impl<K: Key, V: Value> StateSet for ValueState<K, V> {
    fn tables<'a>(&'a mut self, into: &mut Vec<&'a mut dyn StateTable>) {
        into.push(self);
    }
}

impl StateSet for () {
    fn tables<'a>(&'a mut self, _: &mut Vec<&'a mut dyn StateTable>) {}
}

/// A state that only some configurations of a function have. It must be declared last, because states are told apart
/// by their order.
impl<A: StateSet> StateSet for Option<A> {
    fn tables<'a>(&'a mut self, into: &mut Vec<&'a mut dyn StateTable>) {
        if let Some(state) = self {
            state.tables(into);
        }
    }
}

impl<A: StateSet, B: StateSet> StateSet for (A, B) {
    fn tables<'a>(&'a mut self, into: &mut Vec<&'a mut dyn StateTable>) {
        self.0.tables(into);
        self.1.tables(into);
    }
}

/// One entry of keyed state, in a form for people to read.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    /// Name of the state.
    pub state: &'a str,
    /// Key group.
    pub group: u16,
    /// The key.
    pub key: &'a dyn Debug,
    /// The value.
    pub value: &'a dyn Debug,
}

/// A table without its types, as snapshots need it.
pub trait StateTable: Send {
    /// Writes the table's contents to where the backend's snapshot takes them from: to the end of `out` in the
    /// snapshot format (heap), or into the database (RocksDB). Returns the number of entries appended to `out`.
    fn write_snapshot(&mut self, out: &mut Vec<u8>) -> Result<u64, StateError>;
    /// Shows every entry, in the backend's own order.
    fn for_each(&mut self, each: &mut dyn FnMut(Entry<'_>)) -> Result<(), StateError>;
}

impl<K: Key, V: Value> StateTable for ValueState<K, V> {
    fn write_snapshot(&mut self, out: &mut Vec<u8>) -> Result<u64, StateError> {
        match &mut self.0 {
            Table::Heap(table) => Ok(table.write_snapshot(out)),
            #[cfg(feature = "rocksdb")]
            Table::RocksDb(table) => table.write_back().map(|()| 0),
        }
    }

    fn for_each(&mut self, each: &mut dyn FnMut(Entry<'_>)) -> Result<(), StateError> {
        match &mut self.0 {
            Table::Heap(table) => {
                table.for_each(each);
                Ok(())
            }
            #[cfg(feature = "rocksdb")]
            Table::RocksDb(table) => table.for_each(each),
        }
    }
}

/// A snapshot after the synchronous part, not durable yet.
#[derive(Debug)]
pub enum LocalSnapshot {
    /// Heap state, serialised.
    Bytes {
        /// The whole snapshot.
        bytes: Bytes,
        /// The number of entries in it.
        entries: u64,
    },
    /// RocksDB's files.
    Files {
        /// Their names within the database, in order.
        names: Vec<StateFileName>,
        /// Holds all the files, and is removed with the snapshot.
        folder: LocalFolder,
        /// What the files must contain.
        first_look: FirstLook,
        /// Entries written to the database since the previous snapshot.
        written: Entries,
    },
}

impl LocalSnapshot {
    /// The entries that the snapshot wrote. RocksDB's files are hard links, so entries that were written before cost
    /// nothing.
    pub fn written(&self) -> Entries {
        match self {
            Self::Bytes { bytes, entries } => Entries { count: *entries, bytes: bytes.len() as u64 },
            Self::Files { written, .. } => *written,
        }
    }
}

/// The state that a subtask begins with, loaded and verified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestoredState {
    /// Name and contents of each file; heap snapshots have one, called [`HEAP_FILE`].
    pub files: Vec<(StateFileName, Bytes)>,
}

/// Name of the only file of a heap snapshot.
pub const HEAP_FILE: &str = "heap";

/// [`HEAP_FILE`] as the name of a state file.
pub fn heap_file() -> StateFileName {
    StateFileName::new(HEAP_FILE).expect("one component")
}

/// Bytes that a RocksDB table needs however few entries it holds: properties, footer, the head of its index.
pub const TABLE_OVERHEAD: u64 = 1_380;

/// Without background threads the database is compacted at every snapshot of this number: at as many tables as make
/// RocksDB compact by default.
pub const COMPACT_FLUSHES: u64 = 4;

/// How many of a snapshot file's `bytes` are entries. Only this share grows with the state; RocksDB's bookkeeping
/// grows with the number of its files.
pub fn entry_bytes(file: &str, bytes: u64) -> u64 {
    // A file that was uploaded again has a suffix after its name.
    if file.starts_with(HEAP_FILE) {
        bytes
    } else if file.contains(".sst") {
        bytes.saturating_sub(TABLE_OVERHEAD)
    } else {
        0
    }
}

/// The keyed state of one subtask.
pub struct Backend {
    groups: Range<u16>,
    heap_restored: Option<Bytes>,
    restored_entries: u64,
    #[cfg(feature = "rocksdb")]
    rocksdb: Option<rocksdb::RocksStore>,
}

impl Backend {
    /// Opens a backend with restored state. Only RocksDB uses `folder`, which is removed with the backend. With
    /// `background` RocksDB flushes and compacts in threads of its own.
    pub fn open(
        kind: BackendKind,
        groups: Range<u16>,
        folder: impl FnOnce() -> std::io::Result<LocalFolder>,
        restored: Option<RestoredState>,
        background: bool,
    ) -> Result<Self, StateError> {
        let mut restored = restored.unwrap_or_default();
        match kind {
            BackendKind::Memory | BackendKind::Fs => {
                if restored.files.iter().any(|(name, _)| &**name != HEAP_FILE) {
                    return Err(StateError::OtherBackend { backend: kind });
                }
                Ok(Self {
                    groups,
                    heap_restored: restored.files.pop().map(|(_, bytes)| bytes),
                    restored_entries: 0,
                    #[cfg(feature = "rocksdb")]
                    rocksdb: None,
                })
            }
            #[cfg(feature = "rocksdb")]
            BackendKind::RocksDb => {
                let folder = folder().map_err(|error| StateError::NoFolder((&error).into()))?;
                let store = rocksdb::RocksStore::open(folder, restored, background)?;
                Ok(Self { groups, heap_restored: None, restored_entries: 0, rocksdb: Some(store) })
            }
            #[cfg(not(feature = "rocksdb"))]
            BackendKind::RocksDb => {
                let _ = (folder, background);
                Err(StateError::NotBuilt)
            }
        }
    }

    /// Takes a snapshot of `tables`, which must be all tables that were opened with this backend (S1).
    pub fn snapshot(&mut self, tables: &mut [&mut dyn StateTable], id: u64) -> Result<LocalSnapshot, StateError> {
        let _ = id;
        let mut out = Vec::new();
        let mut entries = 0;
        for table in tables {
            entries += table.write_snapshot(&mut out)?;
        }
        #[cfg(feature = "rocksdb")]
        if let Some(store) = &mut self.rocksdb {
            return store.snapshot(id);
        }
        Ok(LocalSnapshot::Bytes { bytes: out.into(), entries })
    }

    /// Number of restored entries in the tables opened so far; always 0 with a database, which does not count them.
    pub fn restored_entries(&self) -> u64 {
        self.restored_entries
    }
}

/// Opens the states of one function; passed to the function's `open`.
pub struct StateOpener<'a> {
    backend: &'a mut Backend,
    opened: u8,
}

impl<'a> StateOpener<'a> {
    /// The opener for the one stateful function of a chain.
    pub fn new(backend: &'a mut Backend) -> Self {
        Self { backend, opened: 0 }
    }

    /// A state with one value per key. States are told apart by the order in which they are opened.
    pub fn value_state<K: Key, V: Value>(&mut self, name: &str) -> Result<ValueState<K, V>, StateError> {
        let index = self.opened;
        self.opened += 1;
        #[cfg(feature = "rocksdb")]
        if let Some(store) = &self.backend.rocksdb {
            return Ok(ValueState(Table::RocksDb(store.table(name, index))));
        }
        let _ = index;
        let mut table = HeapTable::new(name, self.backend.groups.clone());
        if let Some(bytes) = &mut self.backend.heap_restored {
            let mut input = &bytes[..];
            self.backend.restored_entries += table.read_snapshot(&mut input)?;
            let rest = bytes.len() - input.len();
            bytes::Buf::advance(bytes, rest);
        }
        Ok(ValueState(Table::Heap(table)))
    }
}

#[cfg(test)]
mod tests;
