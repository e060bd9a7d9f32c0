//! The stage: the cluster of a run as the director sees it. The director can hurt it ([`Cluster`]) and look at it.

use bytes::Bytes;
use flowquake_engine::env::StoreKind;
use flowquake_engine::env::sim::{NetworkTotals, SimWorld};

use crate::nemesis::Cluster;

/// What the director can see of a cluster.
pub trait Stage: Cluster {
    /// Records of the input that have arrived and were not read yet, by split.
    fn unread_records(&self) -> Vec<u64>;
    /// Messages delivered so far.
    fn network_totals(&self) -> NetworkTotals;
    /// The content of an object in a store, as a reader would get it now.
    fn read(&self, kind: StoreKind, path: &str) -> Option<Bytes>;
    /// Paths in a folder of a store, in order.
    fn list(&self, kind: StoreKind, folder: &str) -> Vec<String>;
}

impl Stage for SimWorld {
    fn unread_records(&self) -> Vec<u64> {
        SimWorld::unread_records(self)
    }

    fn network_totals(&self) -> NetworkTotals {
        SimWorld::network_totals(self)
    }

    fn read(&self, kind: StoreKind, path: &str) -> Option<Bytes> {
        self.stores().read(kind, path)
    }

    fn list(&self, kind: StoreKind, folder: &str) -> Vec<String> {
        self.stores().list(kind, folder)
    }
}
