//! What work costs in virtual time. Processor and disk are free in a simulator, so every duration that matters is charged.
//!
//! [`Rates`] is the whole price list: one row per kind of work, each with its unit. Where the rates come from (a round guess,
//! a measurement of this engine, figures of another one) is the harness's business; [`Weights`] says how much each record and
//! each byte of state stands for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::Frame;
use super::{StoreKind, Work};
use crate::config::BackendKind;

/// Prices of work on one core. Nanoseconds of a core, each rounded down to a whole one per charge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// One record through one operator chain; ns.
    pub record_ns: f64,
    /// 1,024 bytes of records read and written; ns.
    pub record_kib_ns: f64,
    /// Starting one subtask; ns.
    pub deploy_ns: f64,
    /// Keyed state on the heap: backends `memory` and `fs`.
    pub heap: StateRates,
    /// Keyed state in RocksDB.
    pub rocksdb: StateRates,
}

/// Prices of keyed state in one kind of backend.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateRates {
    /// One record's access to its key's state; ns.
    pub access_ns: f64,
    /// A snapshot's synchronous part, fixed; ns.
    pub snapshot_ns: f64,
    /// A snapshot's synchronous part, per 1,024 bytes that it writes: on the heap all state, in RocksDB what has changed
    /// since the snapshot before; ns.
    pub snapshot_kib_ns: f64,
    /// Opening the backend on restore, fixed; ns.
    pub restore_ns: f64,
    /// Opening the backend on restore, per 1,024 bytes of restored state; ns.
    pub restore_kib_ns: f64,
}

impl Rates {
    /// Nothing costs anything: for speed measurements of the simulator itself.
    pub fn free() -> Self {
        let none =
            StateRates { access_ns: 0.0, snapshot_ns: 0.0, snapshot_kib_ns: 0.0, restore_ns: 0.0, restore_kib_ns: 0.0 };
        Self { record_ns: 0.0, record_kib_ns: 0.0, deploy_ns: 0.0, heap: none.clone(), rocksdb: none }
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
        let state = |names: [&'static str; 5], rates: &StateRates| {
            let StateRates { access_ns, snapshot_ns, snapshot_kib_ns, restore_ns, restore_kib_ns } = *rates;
            names.into_iter().zip([access_ns, snapshot_ns, snapshot_kib_ns, restore_ns, restore_kib_ns])
        };
        let heap =
            ["heap.access_ns", "heap.snapshot_ns", "heap.snapshot_kib_ns", "heap.restore_ns", "heap.restore_kib_ns"];
        let rocksdb = [
            "rocksdb.access_ns",
            "rocksdb.snapshot_ns",
            "rocksdb.snapshot_kib_ns",
            "rocksdb.restore_ns",
            "rocksdb.restore_kib_ns",
        ];
        let common =
            [("record_ns", self.record_ns), ("record_kib_ns", self.record_kib_ns), ("deploy_ns", self.deploy_ns)];
        common.into_iter().chain(state(heap, &self.heap)).chain(state(rocksdb, &self.rocksdb)).collect()
    }

    /// What `work` costs on one core.
    pub fn price(&self, work: Work) -> Duration {
        let kib = |bytes: u64, rate: f64| bytes as f64 / 1024.0 * rate;
        let ns = match work {
            Work::Records { records, bytes, state } => {
                let access = state.map_or(0.0, |backend| self.of(backend).access_ns);
                records as f64 * (self.record_ns + access) + kib(bytes, self.record_kib_ns)
            }
            Work::Snapshot { backend, bytes } => {
                let rates = self.of(backend);
                rates.snapshot_ns + kib(bytes, rates.snapshot_kib_ns)
            }
            Work::Restore { backend, bytes } => {
                let rates = self.of(backend);
                rates.restore_ns + kib(bytes, rates.restore_kib_ns)
            }
            Work::Deploy => self.deploy_ns,
        };
        // Saturates, and is exact below 2^53 ns: sums and products of floats are the same on every machine.
        Duration::from_nanos(ns as u64)
    }
}

/// How much one of the things that really move stands for, in price, transfer and waiting; 1 is itself. So that hours of
/// high load and gigabytes of state can be simulated with few records and little memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weights {
    /// One record, on the wire, in an operator chain, and in output.
    pub records: u64,
    /// One byte of keyed state, in a snapshot, on its way, and at its restore.
    pub state: u64,
    /// State travels in control messages and lies in manifests (backend `memory`): long ones count as state, too.
    pub inline_state: bool,
}

impl Default for Weights {
    fn default() -> Self {
        Self { records: 1, state: 1, inline_state: false }
    }
}

/// Control messages and manifests longer than this hold inline state; without any, those of a small cluster are shorter.
const INLINE_STATE: u64 = 4 << 10;

impl Weights {
    /// `work` as it counts.
    pub(super) fn work(&self, work: Work) -> Work {
        let state = |bytes: u64| bytes.saturating_mul(self.state);
        match work {
            Work::Records { records, bytes, state } => {
                let [records, bytes] = [records, bytes].map(|count| count.saturating_mul(self.records));
                Work::Records { records, bytes, state }
            }
            Work::Snapshot { backend, bytes } => Work::Snapshot { backend, bytes: state(bytes) },
            Work::Restore { backend, bytes } => Work::Restore { backend, bytes: state(bytes) },
            Work::Deploy => Work::Deploy,
        }
    }

    /// Bytes of a frame as they count; `data`: its body is records. Buffers that hold one record each must not make the
    /// heads count for more.
    pub(super) fn frame(&self, data: bool, frame: &Frame) -> u64 {
        let (head, body) = (frame.head.len() as u64, frame.body.len() as u64);
        match data {
            true => head + body.saturating_mul(self.records),
            false if self.inline_state && body > INLINE_STATE => head + body.saturating_mul(self.state),
            false => head + body,
        }
    }

    /// Bytes of an object as they count. `holds_state`: its path is that of a state file.
    pub(super) fn object(&self, kind: StoreKind, holds_state: bool, bytes: u64) -> u64 {
        match kind {
            StoreKind::Output => bytes.saturating_mul(self.records),
            StoreKind::Checkpoints if holds_state || self.inline_state && bytes > INLINE_STATE => {
                bytes.saturating_mul(self.state)
            }
            StoreKind::Checkpoints => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates() -> Rates {
        let mut rates = Rates::free();
        (rates.record_ns, rates.record_kib_ns, rates.heap.access_ns) = (250.0, 400.0, 2.5);
        (rates.rocksdb.snapshot_ns, rates.rocksdb.snapshot_kib_ns) = (1_000.0, 10.0);
        rates
    }

    #[test]
    fn prices_add_up_in_whole_nanoseconds() {
        let work = |state| Work::Records { records: 10, bytes: 2048, state };
        assert_eq!(rates().price(work(None)), Duration::from_nanos(2_500 + 800));
        assert_eq!(rates().price(work(Some(BackendKind::Fs))), Duration::from_nanos(2_500 + 800 + 25));
        let snapshot = |backend| Work::Snapshot { backend, bytes: 4096 };
        assert_eq!(rates().price(snapshot(BackendKind::RocksDb)), Duration::from_nanos(1_040));
        assert_eq!(rates().price(snapshot(BackendKind::Memory)), Duration::ZERO);
        assert_eq!(Rates::free().price(Work::Deploy), Duration::ZERO);
        assert_eq!(rates().named().len(), 13);
    }

    #[test]
    fn a_weight_multiplies_what_it_stands_for_and_nothing_else() {
        let weights = Weights { records: 10, state: 1_000, inline_state: true };
        let records = Work::Records { records: 3, bytes: 50, state: None };
        assert_eq!(weights.work(records), Work::Records { records: 30, bytes: 500, state: None });
        let restore = |bytes| Work::Restore { backend: BackendKind::Fs, bytes };
        assert_eq!(weights.work(restore(7)), restore(7_000));
        assert_eq!(weights.work(Work::Deploy), Work::Deploy);
        let frame = |head: usize, body: usize| Frame { head: vec![0; head].into(), body: vec![0; body].into() };
        assert_eq!(weights.frame(true, &frame(4, 9)), 94);
        assert_eq!([9, 5_000].map(|body| weights.frame(false, &frame(0, body))), [9, 5_000_000]);
        let object = |kind, state, bytes| weights.object(kind, state, bytes);
        assert_eq!(object(StoreKind::Output, false, 8), 80);
        assert_eq!(object(StoreKind::Checkpoints, true, 8), 8_000);
        assert_eq!(object(StoreKind::Checkpoints, false, 900), 900);
        assert_eq!(object(StoreKind::Checkpoints, false, 9_000), 9_000_000, "a manifest with state inside");
        let elsewhere = Weights { inline_state: false, ..weights };
        assert_eq!(elsewhere.object(StoreKind::Checkpoints, false, 9_000), 9_000);
        assert_eq!(elsewhere.frame(false, &frame(0, 9_000)), 9_000);
    }
}
