//! What a snapshot contains: bytes and files, by backend.
//!
//! On the heap a snapshot is all state in one object. RocksDB writes a table at each flush, which happens at each
//! checkpoint, with the keys that changed since the one before, and merges the tables at every fourth flush. So the
//! sizes of its snapshots follow a saw-tooth.

use flowquake_engine::config::BackendKind;
use flowquake_engine::state::{COMPACT_FLUSHES, TABLE_OVERHEAD};

use super::Known;
use crate::jobs::StateSize;

/// Files of a RocksDB snapshot that are not tables: `CURRENT`, `MANIFEST`.
const OTHER_FILES: u64 = 2;
/// Bytes that an entry needs in a table beyond those in a heap snapshot: its sequence number, its lengths and its share
/// of index and filter, less what neighbouring keys have in common.
const TABLE_ENTRY: f64 = 5.0;
/// Files of one subtask that are transferred at the same time.
const TRANSFERS: u64 = 4;

/// A snapshot of all subtasks together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Snapshot {
    /// Bytes in the store, with weights.
    pub(super) bytes: f64,
    /// What the synchronous part writes, with weights.
    pub(super) written: StateSize,
    /// What a restore opens, with weights.
    pub(super) loaded: StateSize,
    /// Bytes that are read from the backend's own files before they are uploaded, with weights.
    pub(super) read_back: f64,
    /// Sequential rounds of requests that each subtask makes for its files.
    pub(super) rounds: usize,
}

/// The `nth` snapshot of an attempt (from 1), `at_ns` after the start of the job, `period_ns` after the one before.
pub(super) fn snapshot(known: &Known, nth: u64, at_ns: u64, period_ns: u64) -> Snapshot {
    let all = known.state(at_ns);
    let on_heap = Snapshot { bytes: all.bytes, written: all, loaded: all, read_back: 0.0, rounds: 0 };
    match known.plan.job.config.backend {
        BackendKind::Memory => on_heap,
        BackendKind::Fs => Snapshot { rounds: 1, ..on_heap },
        BackendKind::RocksDb => {
            let tables = (nth.max(1) - 1) % COMPACT_FLUSHES + 1;
            let compacted = tables == COMPACT_FLUSHES;
            let count = if compacted { 1 } else { tables };
            let before = match nth > COMPACT_FLUSHES {
                true => known.state(at_ns.saturating_sub(tables.saturating_mul(period_ns))),
                false => StateSize::default(),
            };
            let flushed = |ago: u64| known.written(at_ns.saturating_sub(ago.saturating_mul(period_ns)), period_ns);
            let held = if compacted { all } else { (0..tables).fold(before, |held, ago| held + flushed(ago)) };
            let entries = held.bytes + TABLE_ENTRY * held.entries;
            let overhead = (TABLE_OVERHEAD * count) as f64 * f64::from(known.parallelism());
            Snapshot {
                bytes: entries + overhead,
                written: flushed(0),
                // RocksDB does not know how many entries there are.
                loaded: StateSize { entries: 0.0, bytes: entries },
                read_back: entries,
                rounds: (count + OTHER_FILES).div_ceil(TRANSFERS) as usize,
            }
        }
    }
}

/// The largest snapshot of the cycle from one compaction to the next: the last one before the compaction.
pub(super) fn largest(known: &Known, at_ns: u64, period_ns: u64) -> Snapshot {
    snapshot(known, 2 * COMPACT_FLUSHES - 1, at_ns, period_ns)
}

/// The snapshot with the median size in the cycle from one compaction to the next; of two in the middle the smaller
/// one, as for medians. The compacted snapshot is the smallest.
pub(super) fn typical(known: &Known, at_ns: u64, period_ns: u64) -> Snapshot {
    snapshot(known, COMPACT_FLUSHES + COMPACT_FLUSHES / 2 - 1, at_ns, period_ns)
}
