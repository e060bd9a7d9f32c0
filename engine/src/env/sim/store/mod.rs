//! The simulated durable stores: `object_store` with latency, throughput, faults, and files that can be damaged.
//!
//! [`SimStores`] gives access to them from outside the cluster, for inspection and damage. A node's requests go
//! through `node.rs`; the rules that hurt requests are in `faults.rs`; `past.rs` knows what the stores held a while
//! ago; `spoilt.rs` counts accesses to damaged objects; `local.rs` damages files on the nodes' own disks.
//!
//! Invariant: (STORE-D1) an observer is told of every change that a request of the engine makes, as it was made (torn,
//! if it was); never of damage, nor of what vanishes when a fault ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::FutureExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::super::StoreKind;
use super::timer::now;
use super::{SentWrite, SimNode, SimWorld};
use crate::fault::StoreRule;
use crate::time::Time;

mod faults;
mod local;
mod node;
mod past;
mod spoilt;

pub use local::damage_below;

use faults::Faults;
use past::Past;
use spoilt::Spoilt;

/// Speed of the durable stores.
#[derive(Debug, Clone, Copy)]
pub struct StoreConfig {
    /// Time from request to answer without the transfer, drawn uniformly from this range for each request.
    pub latency: (Duration, Duration),
    /// Transfers that one node can have under way at once, each with the whole throughput; further ones wait.
    pub streams: u32,
    /// Bytes per second of a transfer from one node to the stores.
    pub write_throughput: u64,
    /// Bytes per second of a transfer from the stores to one node.
    pub read_throughput: u64,
}

/// A change of a durable store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreMutation {
    /// An object appeared or was replaced.
    Put {
        /// The store.
        kind: StoreKind,
        /// Its path.
        path: String,
        /// Its contents.
        bytes: Bytes,
    },
    /// An object was renamed.
    Renamed {
        /// The store.
        kind: StoreKind,
        /// Its old path.
        from: String,
        /// Its new path.
        to: String,
    },
    /// An object was deleted.
    Deleted {
        /// The store.
        kind: StoreKind,
        /// Its path.
        path: String,
    },
}

/// Both durable stores, seen from outside the cluster: accesses take no time, and objects can be damaged.
#[derive(Debug, Default)]
pub struct SimStores {
    checkpoints: Arc<InMemory>,
    output: Arc<InMemory>,
    past: Mutex<Past>,
    faults: Mutex<Faults>,
    spoilt: Mutex<Spoilt>,
    /// Whether there ever was a rule, damage or a log. While there was none, requests skip all checks.
    faulty: AtomicBool,
}

impl SimStores {
    fn of(&self, kind: StoreKind) -> &Arc<InMemory> {
        match kind {
            StoreKind::Checkpoints => &self.checkpoints,
            StoreKind::Output => &self.output,
        }
    }

    /// An object's contents.
    pub fn read(&self, kind: StoreKind, path: &str) -> Option<Bytes> {
        self.contents(kind, &Path::from(path))
    }

    fn contents(&self, kind: StoreKind, path: &Path) -> Option<Bytes> {
        let result = self.of(kind).get(path).now_or_never()?.ok()?;
        result.bytes().now_or_never()?.ok()
    }

    /// Paths of all objects below a folder, in order.
    pub fn list(&self, kind: StoreKind, folder: &str) -> Vec<String> {
        let prefix = Path::from(folder);
        let objects = self.of(kind).list(Some(&prefix)).collect::<Vec<_>>().now_or_never().unwrap_or_default();
        let mut paths: Vec<_> = objects.into_iter().flatten().map(|meta| meta.location.to_string()).collect();
        paths.sort();
        paths
    }

    /// Replaces an object's contents (`None` removes the object), as bit rot or a careless operator would.
    pub fn damage(&self, kind: StoreKind, path: &str, contents: Option<Bytes>) {
        self.damage_by(kind, path, contents, None);
    }

    fn damage_by(&self, kind: StoreKind, path: &str, contents: Option<Bytes>, rule: Option<usize>) {
        let after = contents.clone();
        let before = self.replace(kind, path, contents);
        if before != after {
            self.faulty.store(true, Ordering::Relaxed);
            self.spoilt().spoil(kind, path, before.is_some() != after.is_some(), rule);
        }
    }

    /// Puts an object into a store from outside, without counting as damage.
    pub fn put(&self, kind: StoreKind, path: &str, bytes: Bytes) {
        self.replace(kind, path, Some(bytes));
    }

    /// Replaces an object's contents; returns the previous ones.
    fn replace(&self, kind: StoreKind, path: &str, contents: Option<Bytes>) -> Option<Bytes> {
        let store = self.of(kind);
        let path = Path::from(path);
        // Tools and tests use stores outside of any run, where there is no clock.
        let now = madsim::time::TimeHandle::try_current().map_or(Time::ZERO, |_| now());
        let before = self.contents(kind, &path);
        self.past().changes(now, kind, path.as_ref(), before.clone());
        match contents {
            Some(bytes) => drop(store.put(&path, bytes.into()).now_or_never()),
            None => drop(store.delete(&path).now_or_never()),
        }
        before
    }

    /// Swaps the contents of two objects. Returns false and does nothing if one of them does not exist.
    pub fn swap(&self, kind: StoreKind, a: &str, b: &str) -> bool {
        let (Some(at_a), Some(at_b)) = (self.read(kind, a), self.read(kind, b)) else { return false };
        self.damage(kind, a, Some(at_b));
        self.damage(kind, b, Some(at_a));
        true
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().expect("the past does not panic")
    }

    fn spoilt(&self) -> MutexGuard<'_, Spoilt> {
        self.spoilt.lock().expect("what is spoilt does not panic")
    }

    /// Number of requests that a rule has hurt.
    pub(super) fn rule_harm(&self, rule: usize) -> u64 {
        self.faults().harm(rule)
    }

    /// How often the engine accessed a file of the checkpoint store while it was damaged.
    pub(super) fn accesses_to_damaged(&self, path: &str) -> u64 {
        self.spoilt().met(StoreKind::Checkpoints, path)
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().expect("rules do not panic")
    }

    /// Starts logging writes. `faulty` is set, because only then do requests check for the log.
    pub(super) fn log_writes(&self) {
        self.faulty.store(true, Ordering::Relaxed);
        self.faults().log_writes();
    }

    /// Returns what was logged, and stops logging.
    pub(super) fn take_writes(&self) -> Vec<SentWrite> {
        self.faults().take_writes()
    }

    fn is_faulty(&self) -> bool {
        self.faulty.load(Ordering::Relaxed)
    }

    /// A store as it was at `time`.
    async fn as_of(&self, kind: StoreKind, time: Time) -> object_store::Result<InMemory> {
        let changed = self.past().changed_since(kind, time);
        let then = InMemory::new();
        for path in self.list(kind, "") {
            if let (false, Some(bytes)) = (changed.contains_key(&path), self.read(kind, &path)) {
                then.put(&Path::from(path), bytes.into()).await?;
            }
        }
        for (path, before) in changed {
            if let Some(bytes) = before {
                then.put(&Path::from(path), bytes.into()).await?;
            }
        }
        Ok(then)
    }
}

impl SimWorld {
    /// From now on the rule hurts requests to the stores. Returns the rule's number.
    pub fn add_store_rule(&self, rule: StoreRule) -> usize {
        self.stores.faulty.store(true, Ordering::Relaxed);
        self.stores.faults().add(rule)
    }

    /// Withdraws a rule: waiting requests fail, lost writes vanish, lost renames are undone.
    pub fn end_store_rule(&self, rule: usize) {
        let lost = self.stores.faults().end(rule);
        for loss in lost {
            let Some(bytes) = self.stores.read(loss.kind, &loss.path) else { continue };
            self.stores.damage_by(loss.kind, &loss.path, None, Some(rule));
            if let Some(old) = loss.back_at.filter(|old| self.stores.read(loss.kind, old).is_none()) {
                self.stores.damage_by(loss.kind, &old, Some(bytes), Some(rule));
            }
        }
    }

    /// How many requests a rule has hit, and the last time.
    pub fn store_rule_hits(&self, rule: usize) -> (u32, Option<Time>) {
        self.stores.faults().hits(rule)
    }

    /// Objects that a rule tore or will lose, in order; they differ from what their writer was told.
    pub fn store_rule_objects(&self, rule: usize) -> Vec<(StoreKind, String)> {
        self.stores.faults().hurt(rule)
    }
}

pub(super) fn node_store(node: SimNode, kind: StoreKind) -> Arc<dyn ObjectStore> {
    Arc::new(node::NodeStore::new(node, kind))
}
