//! The stage: the cluster that a run plays on, as the director sees it. It can be hurt ([`Cluster`]) and looked at.

use bytes::Bytes;
use flowquake_engine::env::StoreKind;
use flowquake_engine::env::sim::{NetworkTotals, SimWorld};

use crate::nemesis::Cluster;

/// What the director sees of a cluster, besides what it can do to it.
pub trait Stage: Cluster {
    /// Records of the input that are due and that nobody has read yet, by split.
    fn unread_records(&self) -> Vec<u64>;
    /// Messages delivered so far.
    fn network_totals(&self) -> NetworkTotals;
    /// An object of a store, as its readers find it now.
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
