//! What a snapshot consists of: bytes and files, by backend.
//!
//! On the heap it is all state in one object. RocksDB writes a table per flush, one at each checkpoint, with the keys that
//! changed since the one before, and merges them at every eighth: so its snapshots grow and shrink in a saw-tooth.

use flowquake_engine::config::BackendKind;

use super::Known;

/// Checkpoints between two compactions, as the engine's RocksDB backend counts where it works without background threads.
const COMPACT_FLUSHES: u64 = 8;
/// Files of a RocksDB snapshot that are no tables: `CURRENT`, `MANIFEST`.
const OTHER_FILES: u64 = 2;
/// Bytes of a table that hold no entries: index, properties, footer.
const TABLE_BYTES: f64 = 1_100.0;
/// Bytes of an entry in a table, with its share of the filter, over those of an entry in a heap snapshot.
const TABLE_ENTRY: f64 = 2.0;
/// Files of one subtask that are under way at once.
const TRANSFERS: u64 = 4;

/// A snapshot of all subtasks together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Snapshot {
    /// Bytes in the store, as they count.
    pub(super) bytes: f64,
    /// Bytes that the synchronous part writes, as they count.
    pub(super) written: f64,
    /// Rounds of requests, one after the other, that each subtask makes for its files.
    pub(super) rounds: usize,
}

/// The `nth` snapshot of an attempt (from 1), `at_ns` after the start of the job, `period_ns` after the one before.
pub(super) fn snapshot(known: &Known, nth: u64, at_ns: u64, period_ns: u64) -> Snapshot {
    let all = known.state_bytes(at_ns);
    match known.plan.job.config.backend {
        BackendKind::Memory => Snapshot { bytes: all, written: all, rounds: 0 },
        BackendKind::Fs => Snapshot { bytes: all, written: all, rounds: 1 },
        BackendKind::RocksDb => {
            // The keys that a period touches are those that a job would know after one period.
            let changed = known.state_bytes(period_ns);
            let tables = (nth.max(1) - 1) % COMPACT_FLUSHES + 1;
            let compacted = tables == COMPACT_FLUSHES;
            let count = if compacted { 1 } else { tables };
            let before =
                if nth > COMPACT_FLUSHES { known.state_bytes(at_ns.saturating_sub(tables * period_ns)) } else { 0.0 };
            let entries = if compacted { all } else { before + changed * tables as f64 };
            let overhead = TABLE_BYTES * count as f64 * f64::from(known.parallelism());
            let bytes = TABLE_ENTRY * entries + overhead * known.plan.cluster.state_weight as f64;
            Snapshot { bytes, written: changed, rounds: (count + OTHER_FILES).div_ceil(TRANSFERS) as usize }
        }
    }
}

/// Of the cycle from one compaction to the next, the snapshot in the middle.
pub(super) fn typical(known: &Known, at_ns: u64, period_ns: u64) -> Snapshot {
    snapshot(known, COMPACT_FLUSHES + COMPACT_FLUSHES / 2, at_ns, period_ns)
}
