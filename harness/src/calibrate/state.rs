//! What keyed state costs: access, snapshot and restore of each backend, through the engine's own state API.
//!
//! Two regimes separate the cost of entries from the cost of their bytes: [`DOCUMENTS`], like a job that keeps a
//! document per key, and [`COUNTS`]. RocksDB is measured with values that fit into the write-back cache in front of it,
//! because the price of a snapshot depends on what was written since the one before, and that is in the cache. The
//! values cannot be compressed. The least state is one entry: an empty database has nothing to flush, and no job has an
//! empty database.
#![allow(clippy::disallowed_methods, reason = "what is measured is real time")]

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use flowquake_engine::config::BackendKind;
use flowquake_engine::env::{Entries, LocalFolder, draw, draw_between};
use flowquake_engine::paths::StateFileName;
use flowquake_engine::state::key_group::group_of;
use flowquake_engine::state::{
    Backend, CurrentKey, LocalSnapshot, RestoredState, StateError, StateOpener, ValueState, entry_bytes, heap_file,
};

use super::at_once::{Meanwhile, at_once, pooled};
use super::fit::Samples;

/// The shape of entries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Regime {
    /// Bytes of a value.
    value: usize,
    /// Bytes of the requested size per entry: for a given size there are more of the small entries.
    size: u64,
    /// The unit in which a size is measured.
    x: fn(Entries) -> f64,
}

/// Long values, whose cost is mostly that of their bytes. Measured over KiB.
pub(super) const DOCUMENTS: Regime = Regime { value: 1_000, size: 1_000, x: |of| of.bytes as f64 / 1024.0 };
/// Short values, whose cost is mostly that of their number. Measured over the number of entries.
pub(super) const COUNTS: Regime = Regime { value: 8, size: 125, x: |of| of.count as f64 };

/// Key groups, as jobs have by default.
const GROUPS: u16 = 128;
/// Keys whose access is measured. With RocksDB all their values are in the cache.
const ACCESSED_KEYS: u32 = 50_000;
/// Bytes of state that RocksDB keeps in memory before a snapshot. State beyond this is written earlier, and not by the
/// snapshot.
const CACHED_BYTES: u64 = 12 << 20;

/// Snapshots and restores of one backend in one regime, in ns.
pub(super) struct StateSamples {
    pub(super) snapshots: Vec<Samples>,
    pub(super) restores: Vec<Samples>,
    /// Times to read the files of a snapshot; empty for the heap, which has no files.
    pub(super) read_backs: Vec<Samples>,
    /// Bytes of an entry, as a snapshot counts them.
    pub(super) entry_bytes: f64,
}

struct Opened {
    backend: Backend,
    table: ValueState<u32, Bytes>,
}

fn key(key: u32) -> CurrentKey<u32> {
    CurrentKey { key, group: group_of(&key, GROUPS) }
}

/// Numbers the folders of databases, so that none is used twice.
struct Disk<'a> {
    root: &'a Path,
    used: u32,
}

impl Disk<'_> {
    fn open(&mut self, kind: BackendKind, restored: Option<RestoredState>) -> Result<Opened, StateError> {
        self.used += 1;
        let path = self.root.join(format!("state-{}", self.used));
        let folder = || std::fs::create_dir_all(&path).map(|()| LocalFolder::unowned(path));
        let mut backend = Backend::open(kind, 0..GROUPS, folder, restored, true)?;
        let table = StateOpener::new(&mut backend).value_state("payload")?;
        Ok(Opened { backend, table })
    }
}

impl Opened {
    /// Writes the values of the first keys.
    fn write(&mut self, values: &[Bytes]) -> Result<(), StateError> {
        (0..).zip(values).try_for_each(|(entry, value)| self.table.update(&key(entry), value.clone()))
    }

    fn snapshot(&mut self, id: u64) -> Result<LocalSnapshot, StateError> {
        self.backend.snapshot(&mut [&mut self.table], id)
    }
}

/// The value of an entry. No part of it repeats, so it cannot be compressed.
fn value(entry: u32, length: usize) -> Bytes {
    let words = length.div_ceil(8) as u64;
    let mut bytes: Vec<u8> = (0..words).flat_map(|n| draw(1, "value", entry.into(), n).to_le_bytes()).collect();
    bytes.truncate(length);
    bytes.into()
}

/// What a restore would get after `snapshot`.
fn to_restore(snapshot: &LocalSnapshot) -> Result<RestoredState, StateError> {
    let files = match snapshot {
        LocalSnapshot::Bytes { bytes, .. } => vec![(heap_file(), bytes.clone())],
        LocalSnapshot::Files { names, folder, .. } => {
            let read = |name: &StateFileName| {
                let path = folder.path().join(name);
                let bytes = std::fs::read(&path);
                let bytes = bytes.map_err(|error| StateError::file(path.display().to_string(), &error))?;
                Ok((name.clone(), Bytes::from(bytes)))
            };
            names.iter().map(read).collect::<Result<_, StateError>>()?
        }
    };
    Ok(RestoredState { files })
}

fn ns_since(began: Instant) -> f64 {
    began.elapsed().as_nanos() as f64
}

/// Takes and restores snapshots of `sizes` bytes, each `repetitions` times, on several nodes at once. Databases are in
/// folders below `root`.
pub(super) fn snapshots_and_restores(
    kind: BackendKind,
    regime: Regime,
    sizes: &[u64],
    repetitions: usize,
    root: &Path,
) -> Result<StateSamples, StateError> {
    let within = |node: usize| root.join(format!("{}-node-{node}", regime.value));
    let nodes = at_once(|node| of_one_node(kind, regime, sizes, repetitions, &within(node)))?;
    let entry_bytes = nodes.iter().map(|node| node.entry_bytes).fold(0.0, f64::max);
    let of = |samples: fn(&StateSamples) -> &Vec<Samples>| pooled(nodes.iter().map(|node| samples(node).clone()));
    Ok(StateSamples {
        snapshots: of(|node| &node.snapshots),
        restores: of(|node| &node.restores),
        read_backs: of(|node| &node.read_backs),
        entry_bytes,
    })
}

fn of_one_node(
    kind: BackendKind,
    regime: Regime,
    sizes: &[u64],
    repetitions: usize,
    root: &Path,
) -> Result<StateSamples, StateError> {
    let (mut disk, mut meanwhile) = (Disk { root, used: 0 }, Meanwhile::new());
    let mut samples =
        StateSamples { snapshots: Vec::new(), restores: Vec::new(), read_backs: Vec::new(), entry_bytes: 0.0 };
    for size in sizes {
        let entries = (size / regime.size).max(1) as u32;
        let values: Vec<Bytes> = (0..entries).map(|entry| value(entry, regime.value)).collect();
        let (mut snapshots, mut read_backs, mut restores) = (Vec::new(), Vec::new(), Vec::new());
        let (mut written, mut restored) = (Entries::default(), Entries::default());
        let measured = kind != BackendKind::RocksDb || *size <= CACHED_BYTES;
        let mut opened = disk.open(kind, None)?;
        for repetition in 0..repetitions as u64 {
            opened.write(&values)?;
            meanwhile.pass();
            let began = Instant::now();
            let snapshot = opened.snapshot(repetition + 1)?;
            let took = ns_since(began);
            if measured {
                snapshots.push(took);
                written = snapshot.written();
            }
            // Later snapshots of a database hold the same state in more files, so only the first has the stated size.
            if repetition == 0 {
                for _ in 0..repetitions {
                    meanwhile.pass();
                    let began = Instant::now();
                    let loaded = to_restore(&snapshot)?;
                    read_backs.push(ns_since(began));
                    let bytes = loaded.files.iter().map(|(name, bytes)| entry_bytes(name, bytes.len() as u64)).sum();
                    restored = Entries { count: entries.into(), bytes };
                    let began = Instant::now();
                    let again = disk.open(kind, Some(loaded))?;
                    restores.push(ns_since(began));
                    drop(again);
                }
            }
        }
        if measured {
            samples.snapshots.push(Samples { x: (regime.x)(written), y: snapshots });
            samples.entry_bytes = written.bytes as f64 / written.count.max(1) as f64;
        }
        samples.restores.push(Samples { x: (regime.x)(restored), y: restores });
        if kind == BackendKind::RocksDb {
            samples.read_backs.push(Samples { x: (regime.x)(restored), y: read_backs });
        }
    }
    Ok(samples)
}

/// Processor time in ns of one access to a key's count, measured `repetitions` times; `accesses` accesses make one
/// sample.
pub(super) fn accesses(
    kind: BackendKind,
    accesses: u64,
    repetitions: usize,
    root: &Path,
) -> Result<Vec<f64>, StateError> {
    let folder = || std::fs::create_dir_all(root).map(|()| LocalFolder::unowned(root.join("access")));
    let mut backend = Backend::open(kind, 0..GROUPS, folder, None, true)?;
    let mut counts: ValueState<u32, u64> = StateOpener::new(&mut backend).value_state("count")?;
    let drawn: Vec<CurrentKey<u32>> = (0..accesses)
        .map(|n| key(draw_between(draw(1, "calibrate", 1, n), 0, u64::from(ACCESSED_KEYS) - 1) as u32))
        .collect();
    let mut count_all = || -> Result<f64, StateError> {
        let began = thread_ns();
        for key in &drawn {
            black_box(counts.replace(key, |old| old.copied().unwrap_or(0) + 1)?);
        }
        Ok((thread_ns() - began) as f64 / accesses as f64)
    };
    // The first time, all keys are new.
    count_all()?;
    (0..repetitions).map(|_| count_all()).collect()
}

/// Processor time of this thread, so that other work on the machine does not count.
fn thread_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::at_once::NODES;
    use flowquake_engine::codec::encoded;

    /// Bytes of an entry in a snapshot, with its key group.
    fn bytes_of(regime: Regime) -> f64 {
        2.0 + encoded(&(1_u32, Bytes::from(vec![0; regime.value]))).len() as f64
    }

    #[test]
    fn sizes_are_those_that_are_charged() {
        let root = tempfile::tempdir().unwrap();
        let sizes = [0, 64 << 10, 256 << 10];
        for kind in BackendKind::ALL.into_iter().filter(|kind| kind.is_built()) {
            for regime in [DOCUMENTS, COUNTS] {
                let folder = root.path().join(kind.name());
                let samples = snapshots_and_restores(kind, regime, &sizes, 3, &folder).unwrap();
                let all = samples.snapshots.iter().chain(&samples.restores).chain(&samples.read_backs);
                assert!(all.clone().all(|samples| samples.y.len() == 3 * NODES));
                let count = sizes[2] / regime.size;
                let entries = Entries { count, bytes: (count as f64 * bytes_of(regime)) as u64 };
                let (largest, expected) = (&samples.snapshots[2], (regime.x)(entries));
                assert!((largest.x / expected - 1.0).abs() < 0.05, "{kind:?}: {}, not {expected}", largest.x);
                assert!((samples.entry_bytes / bytes_of(regime) - 1.0).abs() < 0.25, "{}", samples.entry_bytes);
            }
            assert!(accesses(kind, 1_000, 3, &root.path().join("a")).unwrap().iter().all(|ns| *ns > 0.0));
        }
    }
}
