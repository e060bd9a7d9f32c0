//! What the engine has written to the durable stores: the stores as they would be without the nemesis.

use std::collections::BTreeMap;

use bytes::Bytes;
use flowquake_engine::env::StoreKind;
use flowquake_engine::env::sim::SimStores;
use flowquake_engine::ids::CheckpointId;
use flowquake_engine::time::Time;

/// Objects of both stores by path, each with its position among all changes of the stores. Contents are shared, not
/// copied.
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

    /// Removes an object, and returns its content if it existed.
    pub fn remove(&mut self, kind: StoreKind, path: &str) -> Option<Bytes> {
        self.of_mut(kind).remove(path).map(|(_, bytes)| bytes)
    }

    /// Content of an object.
    pub fn get(&self, kind: StoreKind, path: &str) -> Option<&Bytes> {
        self.of(kind).get(path).map(|(_, bytes)| bytes)
    }

    /// The number of the change that wrote an object.
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

/// The stores at the instant when a checkpoint became complete, and how much was recorded by then.
#[derive(Debug, Clone)]
pub struct StoreCopy {
    /// The instant of the copy.
    pub at: Time,
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// The stores, as the engine wrote them.
    pub written: Written,
    /// Number of events in the trace by then.
    pub events: usize,
    /// Number of entries in the leadership log by then.
    pub log: usize,
    /// Number of visible parts of output by then.
    pub visible: usize,
}
