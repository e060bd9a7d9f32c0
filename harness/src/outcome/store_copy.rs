//! What the engine has written to the durable stores: the stores as they would be without a nemesis.

use std::collections::BTreeMap;

use bytes::Bytes;
use flowquake_engine::env::StoreKind;
use flowquake_engine::env::sim::SimStores;
use flowquake_engine::ids::CheckpointId;
use flowquake_engine::time::Time;

/// Objects of both stores by path, each with its place among all changes of the stores. Contents are shared, not copied.
#[derive(Debug, Clone, Default)]
pub struct Written {
    checkpoints: BTreeMap<String, (u64, Bytes)>,
    output: BTreeMap<String, (u64, Bytes)>,
}

impl Written {
    fn of(&self, kind: StoreKind) -> &BTreeMap<String, (u64, Bytes)> {
        match kind {
            StoreKind::Checkpoints => &self.checkpoints,
            StoreKind::Output => &self.output,
        }
    }

    fn of_mut(&mut self, kind: StoreKind) -> &mut BTreeMap<String, (u64, Bytes)> {
        match kind {
            StoreKind::Checkpoints => &mut self.checkpoints,
            StoreKind::Output => &mut self.output,
        }
    }

    /// An object was written as the `order`-th change.
    pub fn put(&mut self, kind: StoreKind, path: &str, bytes: Bytes, order: u64) {
        self.of_mut(kind).insert(path.into(), (order, bytes));
    }

    /// An object is gone; its contents, if it was there.
    pub fn remove(&mut self, kind: StoreKind, path: &str) -> Option<Bytes> {
        self.of_mut(kind).remove(path).map(|(_, bytes)| bytes)
    }

    /// An object's contents.
    pub fn get(&self, kind: StoreKind, path: &str) -> Option<&Bytes> {
        self.of(kind).get(path).map(|(_, bytes)| bytes)
    }

    /// Which change wrote an object.
    pub fn order(&self, kind: StoreKind, path: &str) -> Option<u64> {
        self.of(kind).get(path).map(|(order, _)| *order)
    }

    /// Puts all objects into empty stores.
    pub(crate) fn fill(&self, stores: &SimStores) {
        for kind in [StoreKind::Checkpoints, StoreKind::Output] {
            for (path, (_, bytes)) in self.of(kind) {
                stores.put(kind, path, bytes.clone());
            }
        }
    }
}

/// The stores at the instant when a checkpoint became complete, and how much had been recorded by then.
#[derive(Debug, Clone)]
pub struct StoreCopy {
    /// That instant.
    pub at: Time,
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// The stores, as the engine wrote them.
    pub written: Written,
    /// Events of the trace.
    pub events: usize,
    /// Entries of the leadership log.
    pub log: usize,
    /// Visible parts of output.
    pub visible: usize,
}
