//! The price of work in virtual time. Processor and disk are free in a simulator, so every duration that matters is
//! charged.
//!
//! [`Rates`] is the whole price list: one row per kind of work, each with its unit. The harness decides where the
//! rates come from (a round guess, a measurement of this engine, figures of another one). [`Weights`] says how many
//! records, or entries of state, each simulated one stands for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::{Entries, Frame};
use super::{StoreKind, Work};
use crate::backend_kind::BackendKind;

/// Prices of work in nanoseconds on one core; each charge is rounded down to a whole nanosecond.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// One record through one operator chain; ns.
    pub record_ns: f64,
    /// 1,024 bytes of records read and written; ns.
    pub record_kib_ns: f64,
    /// Starting one subtask; ns.
    pub deploy_ns: f64,
    /// 1,024 bytes of state in messages and manifests (backend `memory`), each time they are encoded or decoded; ns.
    pub inline_kib_ns: f64,
    /// Keyed state on the heap: backends `memory` and `fs`.
    pub heap: StateRates,
    /// Keyed state in RocksDB.
    pub rocksdb: StateRates,
}

/// Prices of keyed state in one kind of backend.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateRates {
    /// One record's access to the state of its key; ns.
    pub access_ns: f64,
    /// Synchronous part of a snapshot, fixed price; ns.
    pub snapshot_ns: f64,
    /// Synchronous part of a snapshot, per entry that it writes; ns. On the heap these are all entries, in RocksDB
    /// those that changed since the previous snapshot.
    pub snapshot_entry_ns: f64,
    /// Synchronous part of a snapshot, per 1,024 bytes of those entries; ns.
    pub snapshot_kib_ns: f64,
    /// Reading 1,024 bytes of a snapshot from the backend's files in order to upload them; ns. Free on the heap.
    pub read_back_kib_ns: f64,
    /// Opening the backend on restore, fixed price; ns.
    pub restore_ns: f64,
    /// Opening the backend on restore, per entry; ns. Free in RocksDB, which opens files without reading their
    /// entries.
    pub restore_entry_ns: f64,
    /// Opening the backend on restore, per 1,024 bytes of restored state; ns.
    pub restore_kib_ns: f64,
}

/// Names of [`StateRates::values`].
macro_rules! state_names {
    ($backend:literal) => {
        [
            concat!($backend, ".access_ns"),
            concat!($backend, ".snapshot_ns"),
            concat!($backend, ".snapshot_entry_ns"),
            concat!($backend, ".snapshot_kib_ns"),
            concat!($backend, ".read_back_kib_ns"),
            concat!($backend, ".restore_ns"),
            concat!($backend, ".restore_entry_ns"),
            concat!($backend, ".restore_kib_ns"),
        ]
    };
}

/// Names of the rates of keyed state on the heap, in the order of the price list.
pub const HEAP_NAMES: [&str; 8] = state_names!("heap");
/// Names of the rates of keyed state in RocksDB, in the order of the price list.
pub const ROCKSDB_NAMES: [&str; 8] = state_names!("rocksdb");

impl StateRates {
    /// Rates given in the order of the price list.
    pub fn from_values(values: [f64; 8]) -> Self {
        let [
            access_ns,
            snapshot_ns,
            snapshot_entry_ns,
            snapshot_kib_ns,
            read_back_kib_ns,
            restore_ns,
            restore_entry_ns,
            restore_kib_ns,
        ] = values;
        Self {
            access_ns,
            snapshot_ns,
            snapshot_entry_ns,
            snapshot_kib_ns,
            read_back_kib_ns,
            restore_ns,
            restore_entry_ns,
            restore_kib_ns,
        }
    }

    /// Every rate, in the order of the price list.
    pub fn values(&self) -> [f64; 8] {
        [
            self.access_ns,
            self.snapshot_ns,
            self.snapshot_entry_ns,
            self.snapshot_kib_ns,
            self.read_back_kib_ns,
            self.restore_ns,
            self.restore_entry_ns,
            self.restore_kib_ns,
        ]
    }
}

impl Rates {
    /// Rates under which all work is free, for measuring the speed of the simulator itself.
    pub fn free() -> Self {
        let none = StateRates::from_values([0.0; 8]);
        Self {
            record_ns: 0.0,
            record_kib_ns: 0.0,
            deploy_ns: 0.0,
            inline_kib_ns: 0.0,
            heap: none.clone(),
            rocksdb: none,
        }
    }

    /// The prices of one backend.
    pub fn of(&self, backend: BackendKind) -> &StateRates {
        match backend {
            BackendKind::Memory | BackendKind::Fs => &self.heap,
            BackendKind::RocksDb => &self.rocksdb,
        }
    }

    /// Every rate with its name, for checks and tables, in the order of the price list.
    pub fn named(&self) -> Vec<(&'static str, f64)> {
        let common = [
            ("record_ns", self.record_ns),
            ("record_kib_ns", self.record_kib_ns),
            ("deploy_ns", self.deploy_ns),
            ("inline_kib_ns", self.inline_kib_ns),
        ];
        let state = [(HEAP_NAMES, &self.heap), (ROCKSDB_NAMES, &self.rocksdb)];
        let state = state.into_iter().flat_map(|(names, rates)| names.into_iter().zip(rates.values()));
        common.into_iter().chain(state).collect()
    }

    /// The price of `work` on one core.
    pub fn price(&self, work: Work) -> Duration {
        let kib = |bytes: u64, rate: f64| bytes as f64 / 1024.0 * rate;
        let ns = match work {
            Work::Records { records, bytes, state } => {
                let access = state.map_or(0.0, |backend| self.of(backend).access_ns);
                records as f64 * (self.record_ns + access) + kib(bytes, self.record_kib_ns)
            }
            Work::Snapshot { backend, written } => {
                let rates = self.of(backend);
                let entries = written.count as f64 * rates.snapshot_entry_ns;
                rates.snapshot_ns + entries + kib(written.bytes, rates.snapshot_kib_ns)
            }
            Work::ReadBack { backend, bytes } => kib(bytes, self.of(backend).read_back_kib_ns),
            Work::Restore { backend, loaded } => {
                let rates = self.of(backend);
                let entries = loaded.count as f64 * rates.restore_entry_ns;
                rates.restore_ns + entries + kib(loaded.bytes, rates.restore_kib_ns)
            }
            Work::Inline { bytes } => kib(bytes, self.inline_kib_ns),
            Work::Deploy => self.deploy_ns,
        };
        // The cast saturates and is exact below 2^53 ns. Sums and products of floats are the same on every machine.
        Duration::from_nanos(ns as u64)
    }
}

/// How many records, or entries of state, one simulated one stands for in price, transfer and waiting; 1 means only
/// itself. With higher weights, hours of high load and gigabytes of state can be simulated with few records and little
/// memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weights {
    /// Weight of a record on the wire, in an operator chain and in output.
    pub records: u64,
    /// Weight of an entry of keyed state and of each of its bytes, in a snapshot, during transfer and at restore. A
    /// database's bookkeeping always counts once.
    pub state: u64,
    /// Whether state travels in control messages and is stored in manifests (backend `memory`), so that long ones
    /// count as state, too.
    pub inline_state: bool,
}

impl Default for Weights {
    fn default() -> Self {
        Self { records: 1, state: 1, inline_state: false }
    }
}

/// Control messages and manifests longer than this hold inline state. In a small cluster, messages without state are
/// shorter.
const INLINE_STATE: u64 = 4 << 10;

impl Weights {
    /// `work` multiplied by the weights.
    pub(super) fn work(&self, work: Work) -> Work {
        let state = |bytes: u64| bytes.saturating_mul(self.state);
        let entries = |of: Entries| Entries { count: state(of.count), bytes: state(of.bytes) };
        match work {
            Work::Records { records, bytes, state } => {
                let [records, bytes] = [records, bytes].map(|count| count.saturating_mul(self.records));
                Work::Records { records, bytes, state }
            }
            Work::Snapshot { backend, written } => Work::Snapshot { backend, written: entries(written) },
            Work::ReadBack { backend, bytes } => Work::ReadBack { backend, bytes: state(bytes) },
            Work::Restore { backend, loaded } => Work::Restore { backend, loaded: entries(loaded) },
            Work::Inline { bytes } => Work::Inline { bytes: state(bytes) },
            Work::Deploy => Work::Deploy,
        }
    }

    /// Weighted bytes of a frame; `data` says that its body is records. The head always counts once, so that buffers
    /// of one record each do not weigh more because of their heads.
    pub(super) fn frame(&self, data: bool, frame: &Frame) -> u64 {
        let (head, body) = (frame.head.len() as u64, frame.body.len() as u64);
        match data {
            true => head + body.saturating_mul(self.records),
            false if self.inline_state && body > INLINE_STATE => head + body.saturating_mul(self.state),
            false => head + body,
        }
    }

    /// Weighted bytes of an object. If the object is a file of keyed state, `entries` says how many of its bytes are
    /// entries.
    pub(super) fn object(&self, kind: StoreKind, entries: Option<u64>, bytes: u64) -> u64 {
        match (kind, entries) {
            (StoreKind::Output, _) => bytes.saturating_mul(self.records),
            (StoreKind::Checkpoints, Some(entries)) => bytes - entries + entries.saturating_mul(self.state),
            (StoreKind::Checkpoints, None) if self.inline_state && bytes > INLINE_STATE => {
                bytes.saturating_mul(self.state)
            }
            (StoreKind::Checkpoints, None) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::TABLE_OVERHEAD;

    fn rates() -> Rates {
        let mut rates = Rates::free();
        (rates.record_ns, rates.record_kib_ns, rates.heap.access_ns) = (250.0, 400.0, 2.5);
        rates.rocksdb = StateRates { snapshot_ns: 1_000.0, snapshot_kib_ns: 10.0, ..rates.rocksdb };
        (rates.rocksdb.snapshot_entry_ns, rates.rocksdb.read_back_kib_ns) = (7.0, 8.0);
        (rates.heap.restore_entry_ns, rates.inline_kib_ns) = (5.0, 9.0);
        rates
    }

    #[test]
    fn prices_add_up_in_whole_nanoseconds() {
        let work = |state| Work::Records { records: 10, bytes: 2048, state };
        assert_eq!(rates().price(work(None)), Duration::from_nanos(2_500 + 800));
        assert_eq!(rates().price(work(Some(BackendKind::Fs))), Duration::from_nanos(2_500 + 800 + 25));
        let entries = Entries { count: 3, bytes: 4096 };
        let snapshot = |backend| Work::Snapshot { backend, written: entries };
        assert_eq!(rates().price(snapshot(BackendKind::RocksDb)), Duration::from_nanos(1_000 + 3 * 7 + 40));
        assert_eq!(rates().price(snapshot(BackendKind::Memory)), Duration::ZERO);
        let read = |backend| Work::ReadBack { backend, bytes: 4096 };
        assert_eq!(rates().price(read(BackendKind::RocksDb)), Duration::from_nanos(32));
        let restore = Work::Restore { backend: BackendKind::Fs, loaded: entries };
        assert_eq!(rates().price(restore), Duration::from_nanos(3 * 5));
        assert_eq!(rates().price(Work::Inline { bytes: 2048 }), Duration::from_nanos(18));
        assert_eq!(Rates::free().price(Work::Deploy), Duration::ZERO);
    }

    #[test]
    fn rates_and_their_names_are_in_one_order() {
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        let rates = Rates { rocksdb: StateRates::from_values(values), ..rates() };
        assert_eq!(rates.rocksdb.values(), values);
        let named = rates.named();
        assert_eq!((named.len(), named[0], named[19]), (20, ("record_ns", 250.0), ("rocksdb.restore_kib_ns", 8.0)));
        assert_eq!(named[14], ("rocksdb.snapshot_entry_ns", rates.rocksdb.snapshot_entry_ns));
    }

    #[test]
    fn a_weight_multiplies_what_it_stands_for_and_nothing_else() {
        let weights = Weights { records: 10, state: 1_000, inline_state: true };
        let records = Work::Records { records: 3, bytes: 50, state: None };
        assert_eq!(weights.work(records), Work::Records { records: 30, bytes: 500, state: None });
        let restore = |count, bytes| Work::Restore { backend: BackendKind::Fs, loaded: Entries { count, bytes } };
        assert_eq!(weights.work(restore(2, 7)), restore(2_000, 7_000));
        assert_eq!(weights.work(Work::Inline { bytes: 7 }), Work::Inline { bytes: 7_000 });
        assert_eq!(weights.work(Work::Deploy), Work::Deploy);
        let frame = |head: usize, body: usize| Frame { head: vec![0; head].into(), body: vec![0; body].into() };
        assert_eq!(weights.frame(true, &frame(4, 9)), 94);
        assert_eq!([9, 5_000].map(|body| weights.frame(false, &frame(0, body))), [9, 5_000_000]);
        let object = |kind, state, bytes| weights.object(kind, state, bytes);
        assert_eq!(object(StoreKind::Output, None, 8), 80);
        assert_eq!(object(StoreKind::Checkpoints, Some(8), 8), 8_000);
        assert_eq!(object(StoreKind::Checkpoints, Some(0), 800), 800);
        let table = object(StoreKind::Checkpoints, Some(8), TABLE_OVERHEAD + 8);
        assert_eq!(table, TABLE_OVERHEAD + 8_000, "its entries, and not what is beside them");
        assert_eq!(object(StoreKind::Checkpoints, None, 900), 900);
        assert_eq!(object(StoreKind::Checkpoints, None, 9_000), 9_000_000, "a manifest with state inside");
        let elsewhere = Weights { inline_state: false, ..weights };
        assert_eq!(elsewhere.object(StoreKind::Checkpoints, None, 9_000), 9_000);
        assert_eq!(elsewhere.frame(false, &frame(0, 9_000)), 9_000);
    }
}
