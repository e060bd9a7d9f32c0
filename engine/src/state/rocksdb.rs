//! Keyed state in RocksDB: the database holds the working state, and a snapshot is the database's files. A cache of
//! values in use stands in front of the database ([`super::cache`]) and is written back before every snapshot.
//!
//! Key on disk: group (big endian, so that a group is a range), table index, postcard key; value: postcard. The
//! write-ahead log is off, because whatever is not in a checkpoint is replayed from the sources anyway.
//!
//! Without background threads (simulation) the database does nothing on its own. It is flushed after a fixed number of
//! bytes and compacted after a fixed number of snapshots, so that equal operations leave files of equal names and
//! sizes (S3). The bytes of the files still differ between runs, because RocksDB writes a session id into every file.
//!
//! Damage to the files is an error that names the file, and fails the task: RocksDB checks the blocks that it reads, a snapshot
//! checks its list of files ([`super::file_list`]), and its upload holds every file against the first look at it
//! ([`super::first_look`], with its limit).

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use rocksdb::checkpoint::Checkpoint;
use rocksdb::{BlockBasedOptions, DB, FlushOptions, IteratorMode, LogLevel, Options, WriteBatch, WriteOptions};

use super::cache::Cache;
use super::file_list;
use super::{COMPACT_FLUSHES, CurrentKey, Entry, FirstLook, Key, LocalSnapshot, RestoredState, StateError, Value};
use crate::codec::encode;
use crate::env::{Entries, LocalFolder};
use crate::paths::StateFileName;

/// Bytes written between two flushes, without background threads.
const FLUSH_BYTES: u64 = 32 << 20;
/// RocksDB writes its host's name into every file. Without a fixed name the sizes of files, and with them all times,
/// would depend on the machine.
const FIXED: &str = "db_host_id=flowquake;";
/// RocksDB begins a new list of its files (`MANIFEST`) at this size, which is enough for a thousand files. The list
/// goes into every snapshot, and without a bound every flush would make it longer.
const MANIFEST_BYTES: usize = 64 << 10;
/// Name of the database's folder inside the folder of its attempt.
const DATABASE: &str = "db";

/// Turns an error of RocksDB into a text for an event. The event must not depend on where the node keeps its files,
/// but RocksDB's own text names its folder, and checksums over a random session id. So that text goes into the log,
/// and the event gets the kind of the error and the name of the file.
fn fault(action: &'static str) -> impl FnOnce(rocksdb::Error) -> StateError {
    move |error| {
        tracing::warn!("RocksDB cannot {action}: {error}");
        let (file, machine) = (file_in(error.as_ref()).map(str::to_owned), machine_in(error.as_ref()));
        StateError::RocksDb { action, kind: error.kind(), file, machine }
    }
}

/// The operating system's message, if it is one of these. They depend on neither folder nor session, and the reader of
/// an I/O error needs them.
fn machine_in(words: &str) -> Option<&'static str> {
    const SAID: [&str; 7] = [
        "No space left on device",
        "Disk quota exceeded",
        "Too many open files",
        "Read-only file system",
        "Permission denied",
        "Input/output error",
        "Cannot allocate memory",
    ];
    SAID.into_iter().find(|said| words.contains(said))
}

/// The first database file that an error of RocksDB names, without its folder.
fn file_in(words: &str) -> Option<&str> {
    let names = words.split_whitespace().filter_map(|word| word.rsplit_once('/')).map(|(_, name)| name);
    let names = names.map(|name| name.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()));
    names.into_iter().find(|name| name.ends_with(".sst") || name.starts_with("MANIFEST-"))
}

/// Turns an error of the file system into a text for an event, as [`fault`] does.
fn io_fault(path: &Path) -> impl FnOnce(std::io::Error) -> StateError + '_ {
    move |error| {
        tracing::warn!("{}: {error}", path.display());
        let name = path.file_name().unwrap_or_default();
        StateError::file(name.to_string_lossy(), &error)
    }
}

pub(super) struct RocksStore {
    shared: Arc<Shared>,
    flushes: u64,
}

struct Shared {
    db: DB,
    unlogged: WriteOptions,
    /// Bytes written since the last flush.
    unflushed: AtomicU64,
    /// Entries, and their bytes, written since the last snapshot.
    written: [AtomicU64; 2],
    first_look: FirstLook,
    /// Whether RocksDB flushes and compacts in threads of its own.
    background: bool,
    /// Declared after the database, so that the database is closed first. The folder is removed with its attempt; the
    /// next attempt begins in another folder, from a checkpoint.
    folder: LocalFolder,
}

impl RocksStore {
    pub(super) fn open(folder: LocalFolder, restored: RestoredState, background: bool) -> Result<Self, StateError> {
        let place = folder.path().join(DATABASE);
        let first_look = FirstLook::default();
        std::fs::create_dir_all(&place).map_err(io_fault(&place))?;
        for (name, bytes) in &restored.files {
            first_look.check(name, bytes)?;
            let path = place.join(name);
            std::fs::write(&path, bytes).map_err(io_fault(&path))?;
        }
        let options = if background { working(true)? } else { SIMULATED.clone()? };
        // Only opening compares clocks, because it adds tasks to a timer that all databases of the process share.
        let db = folder.on_real_clock(move || DB::open(&options, &place)).map_err(fault("open its files"))?;
        let mut unlogged = WriteOptions::default();
        unlogged.disable_wal(true);
        let (unflushed, written) = (AtomicU64::new(0), [AtomicU64::new(0), AtomicU64::new(0)]);
        let shared = Arc::new(Shared { db, unlogged, unflushed, written, first_look, background, folder });
        Ok(Self { shared, flushes: 0 })
    }

    pub(super) fn table<K: Key, V: Value>(&self, name: &str, index: u8) -> RocksTable<K, V> {
        RocksTable { name: name.into(), index, shared: self.shared.clone(), cache: Cache::new(), key: Vec::new() }
    }

    pub(super) fn snapshot(&mut self, id: u64) -> Result<LocalSnapshot, StateError> {
        let Shared { db, first_look, background, .. } = &*self.shared;
        self.shared.flush()?;
        self.flushes += 1;
        if !background && self.flushes.is_multiple_of(COMPACT_FLUSHES) {
            db.compact_range::<&[u8], &[u8]>(None, None);
            self.shared.look_at_new_tables()?;
        }
        // From here on the folder is removed whenever the snapshot is no longer needed.
        let folder = self.shared.folder.child(&format!("snapshot-{id}"));
        let checkpoint = Checkpoint::new(db).map_err(fault("prepare a checkpoint"))?;
        checkpoint.create_checkpoint(folder.path()).map_err(fault("write a checkpoint"))?;
        let mut names = Vec::new();
        for file in std::fs::read_dir(folder.path()).map_err(io_fault(folder.path()))? {
            let name = file.map_err(io_fault(folder.path()))?.file_name().to_string_lossy().into_owned();
            // `OPTIONS` are left out, because the restored database has its own; logs are left out, because there is
            // no write-ahead log.
            if !name.starts_with("OPTIONS") && !name.ends_with(".log") {
                names.push(StateFileName::new(name)?);
            }
        }
        names.sort();
        // The tables are checked by their hashes, once they are uploaded.
        let read = |name: &str| {
            let path = folder.path().join(name);
            std::fs::read(&path).map_err(io_fault(&path))
        };
        let list = names.iter().find(|name| name.starts_with("MANIFEST-"));
        let list = list.ok_or(StateError::NoFileList)?;
        file_list::check(list, &read(list)?, &read("CURRENT")?)?;
        first_look.forget_all_but(|name| names.binary_search_by(|other| (**other).cmp(name)).is_ok());
        let [count, bytes] = [0, 1].map(|of: usize| self.shared.written[of].swap(0, Ordering::Relaxed));
        let written = Entries { count, bytes };
        Ok(LocalSnapshot::Files { names, folder, first_look: first_look.clone(), written })
    }
}

/// Options of all databases of a simulation. `Options::default()` maps and clears a block cache of
/// 32 MiB, which costs more than opening a small database, so a process does it once for all its runs. What the databases
/// then share is only this cache, in which none finds a block of another.
static SIMULATED: LazyLock<Result<Options, StateError>> = LazyLock::new(|| working(false));

/// Options of a database that holds working state.
fn working(background: bool) -> Result<Options, StateError> {
    let mut table = BlockBasedOptions::default();
    table.set_bloom_filter(10.0, false);
    table.set_format_version(5);
    let mut options = Options::default().get_options_from_string(FIXED).map_err(fault("take its options"))?;
    options.create_if_missing(true);
    options.set_block_based_table_factory(&table);
    options.set_paranoid_checks(true);
    options.set_max_manifest_file_size(MANIFEST_BYTES);
    options.set_manifest_preallocation_size(MANIFEST_BYTES);
    options.set_keep_log_file_num(1);
    without_statistics(&mut options);
    if background {
        options.set_write_buffer_size(64 << 20);
    } else {
        // RocksDB's log has no reader in simulation, and threads to open files in parallel cost more than they
        // save for so few files.
        options.set_log_level(LogLevel::Fatal);
        options.set_max_file_opening_threads(1);
        options.set_disable_auto_compactions(true);
        options.set_write_buffer_size(2 * FLUSH_BYTES as usize);
    }
    Ok(options)
}

/// Switches off statistics, which threads of RocksDB would write from time to time.
fn without_statistics(options: &mut Options) {
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
}

impl Shared {
    fn flush(&self) -> Result<(), StateError> {
        self.unflushed.store(0, Ordering::Relaxed);
        let mut wait = FlushOptions::default();
        wait.set_wait(true);
        self.db.flush_opt(&wait).map_err(fault("flush"))?;
        self.look_at_new_tables()
    }

    /// Without background threads a new table appears only by a flush or compaction, so this is the moment for the
    /// first look. With them tables appear at any time, and their upload takes the first look, away from the
    /// processing of records.
    fn look_at_new_tables(&self) -> Result<(), StateError> {
        if self.background {
            return Ok(());
        }
        for table in self.db.live_files().map_err(fault("list its files"))? {
            let name = table.name.trim_start_matches('/');
            if self.first_look.knows(name) {
                continue;
            }
            let path = self.folder.path().join(DATABASE).join(name);
            let bytes = std::fs::read(&path).map_err(io_fault(&path))?;
            self.first_look.check(name, &bytes)?;
        }
        Ok(())
    }
}

pub(super) struct RocksTable<K, V> {
    name: String,
    index: u8,
    shared: Arc<Shared>,
    cache: Cache<K, V>,
    /// Buffer for an encoded key, kept between calls so that no record allocates.
    key: Vec<u8>,
}

impl<K: Key, V: Value> RocksTable<K, V> {
    pub(super) fn get(&mut self, key: &CurrentKey<K>) -> Result<Option<V>, StateError> {
        if let Some(slot) = self.cache.get_mut(&key.key) {
            return Ok(slot.value.clone());
        }
        let (value, bytes) = self.read(key)?;
        self.keep(key, value.clone(), false, bytes)?;
        Ok(value)
    }

    pub(super) fn replace(
        &mut self,
        key: &CurrentKey<K>,
        change: impl FnOnce(Option<&V>) -> V,
    ) -> Result<Option<V>, StateError> {
        if let Some(slot) = self.cache.get_mut(&key.key) {
            let new = change(slot.value.as_ref());
            slot.changed = true;
            return Ok(slot.value.replace(new));
        }
        let (old, bytes) = self.read(key)?;
        self.keep(key, Some(change(old.as_ref())), true, bytes)?;
        Ok(old)
    }

    pub(super) fn remove(&mut self, key: &CurrentKey<K>) -> Result<(), StateError> {
        match self.cache.get_mut(&key.key) {
            Some(slot) => {
                (slot.value, slot.changed) = (None, true);
                Ok(())
            }
            None => self.keep(key, None, true, 0),
        }
    }

    /// The value in the database, with the length of its encoding.
    fn read(&mut self, key: &CurrentKey<K>) -> Result<(Option<V>, u32), StateError> {
        self.key.clear();
        encode_key(key.group, self.index, &key.key, &mut self.key);
        match self.shared.db.get_pinned(&self.key).map_err(fault("read"))? {
            None => Ok((None, 0)),
            Some(bytes) => Ok((Some(decode(&bytes)?), bytes.len() as u32)),
        }
    }

    fn keep(&mut self, key: &CurrentKey<K>, value: Option<V>, changed: bool, bytes: u32) -> Result<(), StateError> {
        if self.cache.is_full() {
            self.write_back()?;
        }
        self.cache.insert(key, value, changed, bytes);
        Ok(())
    }

    /// Writes all changes to the database, and clears the cache if it is full.
    pub(super) fn write_back(&mut self) -> Result<(), StateError> {
        let Self { cache, index, .. } = self;
        let mut encoded = Vec::new();
        // Per change: the beginning and the end of its key, and the end of the new value if there is one.
        let mut changes: Vec<(usize, usize, Option<usize>)> = Vec::new();
        cache.write_back(|key, slot| {
            let begin = encoded.len();
            encode_key(slot.group, *index, key, &mut encoded);
            let end = encoded.len();
            slot.value.iter().for_each(|value| encode(value, &mut encoded));
            changes.push((begin, end, slot.value.is_some().then_some(encoded.len())));
            (encoded.len() - end) as u32
        });
        // Sorted, because each key then finds its place in the memtable next to the previous one.
        changes.sort_unstable_by_key(|(begin, end, _)| &encoded[*begin..*end]);
        let (mut batch, count) = (WriteBatch::default(), changes.len() as u64);
        for (begin, end, value_end) in changes {
            match value_end {
                Some(value_end) => batch.put(&encoded[begin..end], &encoded[end..value_end]),
                None => batch.delete(&encoded[begin..end]),
            }
        }
        let written = encoded.len() as u64;
        self.shared.db.write_opt(batch, &self.shared.unlogged).map_err(fault("write"))?;
        self.shared.written[0].fetch_add(count, Ordering::Relaxed);
        self.shared.written[1].fetch_add(written, Ordering::Relaxed);
        let unflushed = self.shared.unflushed.fetch_add(written, Ordering::Relaxed) + written;
        if !self.shared.background && unflushed >= FLUSH_BYTES {
            self.shared.flush()?;
        }
        if self.cache.is_full() {
            self.cache.clear();
        }
        Ok(())
    }

    pub(super) fn for_each(&mut self, each: &mut dyn FnMut(Entry<'_>)) -> Result<(), StateError> {
        self.write_back()?;
        for item in self.shared.db.iterator(IteratorMode::Start) {
            let (key, value) = item.map_err(fault("scan"))?;
            let (Some((group, rest)), true) = (key.split_first_chunk::<2>(), key.get(2) == Some(&self.index)) else {
                continue;
            };
            let (group, key, value) = (u16::from_be_bytes(*group), decode::<K>(&rest[1..])?, decode::<V>(&value)?);
            each(Entry { state: &self.name, group, key: &key, value: &value });
        }
        Ok(())
    }
}

fn encode_key<K: Key>(group: u16, table: u8, key: &K, out: &mut Vec<u8>) {
    out.extend_from_slice(&group.to_be_bytes());
    out.push(table);
    encode(key, out);
}

fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, StateError> {
    postcard::from_bytes(bytes).map_err(StateError::OtherType)
}
