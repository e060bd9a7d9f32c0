//! What keyed state costs: access, snapshot and restore of each backend, through the engine's own state API.
//!
//! Regime: entries of [`ENTRY`] bytes, as a job has that keeps a document per key. Smaller entries cost more per KiB, since each
//! has a key and a place in a map. RocksDB is measured with values that fit into the write-back cache in front of it: a
//! snapshot is priced by the bytes written since the one before, and those wait there. Values are such that no compression
//! makes them smaller. The least state is one entry: an empty database has nothing to flush, and no job has such a one.
#![allow(clippy::disallowed_methods, reason = "what is measured is real time")]

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use flowquake_engine::config::BackendKind;
use flowquake_engine::env::{LocalFolder, draw, draw_between};
use flowquake_engine::state::key_group::group_of;
use flowquake_engine::state::{
    Backend, CurrentKey, HEAP_FILE, LocalSnapshot, RestoredState, StateError, StateOpener, ValueState,
};

use super::at_once::{at_once, pooled};
use super::fit::Samples;

/// Bytes of a value.
const ENTRY: usize = 1_000;
/// Key groups, as jobs have by default.
const GROUPS: u16 = 128;
/// Keys whose access is measured; with RocksDB all their values are in its cache.
const ACCESSED_KEYS: u32 = 50_000;
/// Of state that RocksDB keeps in memory before a snapshot: what does not fit is written earlier, and not by the snapshot.
const CACHED_BYTES: u64 = 12 << 20;

/// Snapshots and restores of one backend, in ns over KiB.
pub(super) struct StateSamples {
    pub(super) snapshots: Vec<Samples>,
    pub(super) restores: Vec<Samples>,
}

struct Opened {
    backend: Backend,
    table: ValueState<u32, Bytes>,
}

fn key(key: u32) -> CurrentKey<u32> {
    CurrentKey { key, group: group_of(&key, GROUPS) }
}

/// Numbers the folders of databases: none is used twice.
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

/// The value of an entry: nothing in it comes twice.
fn value(entry: u32) -> Bytes {
    let words = ENTRY.div_ceil(8) as u64;
    let mut bytes: Vec<u8> = (0..words).flat_map(|n| draw(1, "value", entry.into(), n).to_le_bytes()).collect();
    bytes.truncate(ENTRY);
    bytes.into()
}

/// What a restore would be given after `snapshot`, and its bytes.
fn to_restore(snapshot: &LocalSnapshot) -> Result<(RestoredState, u64), StateError> {
    let files = match snapshot {
        LocalSnapshot::Bytes(bytes) => vec![(HEAP_FILE.to_owned(), bytes.clone())],
        LocalSnapshot::Files { names, folder, .. } => {
            let read = |name: &String| {
                let path = folder.path().join(name);
                let bytes = std::fs::read(&path);
                let bytes = bytes.map_err(|error| StateError(format!("{}: {error}", path.display())))?;
                Ok((name.clone(), Bytes::from(bytes)))
            };
            names.iter().map(read).collect::<Result<_, StateError>>()?
        }
    };
    let bytes = files.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    Ok((RestoredState { files }, bytes))
}

fn ns_since(began: Instant) -> f64 {
    began.elapsed().as_nanos() as f64
}

/// Takes and restores snapshots of `sizes` bytes, each `repetitions` times, on several nodes at once; databases are below
/// `root`.
pub(super) fn snapshots_and_restores(
    kind: BackendKind,
    sizes: &[u64],
    repetitions: usize,
    root: &Path,
) -> Result<StateSamples, StateError> {
    let nodes = at_once(|node| of_one_node(kind, sizes, repetitions, &root.join(format!("node-{node}"))))?;
    let (snapshots, restores) =
        nodes.into_iter().map(|node| (node.snapshots, node.restores)).unzip::<_, _, Vec<_>, Vec<_>>();
    Ok(StateSamples { snapshots: pooled(snapshots), restores: pooled(restores) })
}

fn of_one_node(kind: BackendKind, sizes: &[u64], repetitions: usize, root: &Path) -> Result<StateSamples, StateError> {
    let mut disk = Disk { root, used: 0 };
    let mut samples = StateSamples { snapshots: Vec::new(), restores: Vec::new() };
    for size in sizes {
        let values: Vec<Bytes> = (0..(size / ENTRY as u64).max(1) as u32).map(value).collect();
        let (mut snapshots, mut restores) = (Vec::new(), Vec::new());
        let (mut written_kib, mut restored_kib) = (0.0, 0.0);
        let measured = kind != BackendKind::RocksDb || *size <= CACHED_BYTES;
        let mut opened = disk.open(kind, None)?;
        for repetition in 0..repetitions as u64 {
            opened.write(&values)?;
            let began = Instant::now();
            let snapshot = opened.snapshot(repetition + 1)?;
            let took = ns_since(began);
            let (restored, bytes) = to_restore(&snapshot)?;
            let charged = match &snapshot {
                LocalSnapshot::Bytes(bytes) => bytes.len() as u64,
                LocalSnapshot::Files { written, .. } => *written,
            };
            if measured {
                snapshots.push(took);
                written_kib = charged as f64 / 1024.0;
            }
            drop(snapshot);
            // Later snapshots of a database hold the same state in more files; the first is of the stated size.
            if repetition == 0 {
                restored_kib = bytes as f64 / 1024.0;
                for _ in 0..repetitions {
                    let restored = RestoredState { files: restored.files.clone() };
                    let began = Instant::now();
                    let again = disk.open(kind, Some(restored))?;
                    restores.push(ns_since(began));
                    drop(again);
                }
            }
        }
        if measured {
            samples.snapshots.push(Samples { x: written_kib, y: snapshots });
        }
        samples.restores.push(Samples { x: restored_kib, y: restores });
    }
    Ok(samples)
}

/// Processor time of one access to a key's count, ns, each of `repetitions` times; `accesses` together make one sample.
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
    // The first time all keys are new.
    count_all()?;
    (0..repetitions).map(|_| count_all()).collect()
}

/// Processor time of this thread: what others do on the machine does not count.
fn thread_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::at_once::NODES;
    use flowquake_engine::graph::element::encoded;

    /// In a snapshot, with its key group.
    fn entry_bytes() -> usize {
        2 + encoded(&(1_u32, Bytes::from(vec![0; ENTRY]))).len()
    }

    #[test]
    fn sizes_are_those_that_are_charged() {
        let root = tempfile::tempdir().unwrap();
        let sizes = [0, 64 << 10, 256 << 10];
        for kind in BackendKind::ALL.into_iter().filter(|kind| kind.is_built()) {
            let samples = snapshots_and_restores(kind, &sizes, 3, &root.path().join(kind.name())).unwrap();
            assert!(samples.snapshots.iter().chain(&samples.restores).all(|samples| samples.y.len() == 3 * NODES));
            let largest = &samples.snapshots[2];
            let expected = (sizes[2] / ENTRY as u64) as f64 * entry_bytes() as f64 / 1024.0;
            assert!((largest.x / expected - 1.0).abs() < 0.05, "{kind:?}: {} KiB, not {expected}", largest.x);
            assert!(accesses(kind, 1_000, 3, &root.path().join("a")).unwrap().iter().all(|ns| *ns > 0.0));
        }
    }
}
