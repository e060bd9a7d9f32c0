//! The engine's only door to clock, tasks, network, disk, object store, randomness and events.
//!
//! Every component gets an [`Env`] when it is built and reaches the outside world through nothing else. Behind it is
//! one of two worlds: real tokio ([`tokio`]) or the simulated cluster (`sim`, behind the feature of that name). Both
//! offer the same names with the same meaning, so engine code never chooses between them and cannot tell in which one
//! it runs. The engine uses `tokio::sync` and `bytes` directly, because they work in both.
//!
//! Invariants: (V1) after a node was struck, nothing that its old incarnation does through its `Env` has an effect;
//! (V2) [`Env::emit`] does not return to a struck emitter, nor to one that stands still before it goes on.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::backend_kind::BackendKind;
use crate::event::{Event, EventRecord};
use crate::ids::NodeName;
use crate::time::Time;

mod durable;
mod handshake;
mod input;
mod local;
mod net;
#[cfg(feature = "mutations")]
mod planted;
mod race;
#[cfg(test)]
mod scripted;
mod secret;
#[cfg(feature = "sim")]
pub mod sim;
mod store;
mod task;
pub mod tokio;
mod trouble;

pub use crate::ids::StoreKind;
pub use durable::{Patience, Put, ReadFault, look, put_durably, read_verified, upload};
pub use input::{InputError, InputFiles, Lines};
pub use local::LocalFolder;
pub use net::{Connection, FRAME_BYTES_MAX, Frame, Listener, NetError, Receiver, Sender};
pub use race::{First, first_of_2, first_of_4};
pub use secret::Secret;
pub use store::{Store, StoreError};
pub use task::{TaskHandle, Timer};
pub use trouble::{GIVE_UP_AFTER, GaveUp, Trouble};

#[cfg(all(feature = "sim", not(madsim)))]
compile_error!(
    "the simulator needs `--cfg madsim`: it stands in .cargo/config.toml, and a RUSTFLAGS variable in the environment \
     replaces it. Unset RUSTFLAGS, or add `--cfg madsim` to it."
);

/// Where a node can be reached: `tm-1:data` in simulation, `127.0.0.1:40123` in the real world.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Address(pub String);

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The two services of a node. Control messages have connections of their own, so that they never wait behind data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Port {
    /// JobManager: registration, deployment, checkpoints, heartbeats.
    Control,
    /// TaskManager: records.
    Data,
}

/// Work that costs processor time. In the real world doing the work costs the time; the simulated world charges what
/// its cost model says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Records that pass through an operator chain.
    Records {
        /// The number of records.
        records: u64,
        /// Their bytes on the wire.
        bytes: u64,
        /// The backend in which each record finds the state of its key, if the chain has state.
        state: Option<BackendKind>,
    },
    /// Synchronous part of a snapshot.
    Snapshot {
        /// The backend that holds the state.
        backend: BackendKind,
        /// The entries that the snapshot writes.
        written: Entries,
    },
    /// Reading a snapshot from the backend's own files in order to upload it.
    ReadBack {
        /// The backend.
        backend: BackendKind,
        /// Bytes of entries in the files.
        bytes: u64,
    },
    /// Opening a state backend with restored state.
    Restore {
        /// The backend.
        backend: BackendKind,
        /// The restored entries. A database does not tell how many entries it holds, so their count is 0.
        loaded: Entries,
    },
    /// Encoding or decoding state that is part of a message or manifest.
    Inline {
        /// Bytes of the state, counted once per encoding or decoding.
        bytes: u64,
    },
    /// Starting one subtask.
    Deploy,
}

/// Entries of keyed state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Entries {
    /// The number of entries.
    pub count: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
}

/// Handle to the world of one incarnation of one node. Cheap to clone.
#[derive(Clone)]
pub struct Env(Arc<Inner>);

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Env({}.{})", self.0.node, self.0.incarnation)
    }
}

struct Inner {
    node: NodeName,
    incarnation: u32,
    seed: u64,
    world: World,
    #[cfg(test)]
    scripted: Option<scripted::Scripted>,
}

enum World {
    Tokio(tokio::TokioWorld),
    #[cfg(feature = "sim")]
    Sim(sim::SimNode),
}

impl Env {
    /// The world of a real process in life `incarnation` of its node.
    pub fn real(node: NodeName, incarnation: u32, seed: u64, world: tokio::TokioWorld) -> Self {
        Self(Arc::new(Inner {
            node,
            incarnation,
            seed,
            world: World::Tokio(world),
            #[cfg(test)]
            scripted: None,
        }))
    }

    #[cfg(feature = "sim")]
    fn simulated(node: NodeName, incarnation: u32, seed: u64, world: sim::SimNode) -> Self {
        Self(Arc::new(Inner {
            node,
            incarnation,
            seed,
            world: World::Sim(world),
            #[cfg(test)]
            scripted: None,
        }))
    }

    /// The name of this node.
    pub fn node(&self) -> &NodeName {
        &self.0.node
    }

    /// Which life of the node this is, from 1. A real process takes the number from whoever started it.
    pub fn incarnation(&self) -> u32 {
        self.0.incarnation
    }

    /// This node's clock. A fault may have changed it, so it is good for time-outs and pauses, but nothing correct may
    /// depend on it.
    pub fn now(&self) -> Time {
        match &self.0.world {
            World::Tokio(world) => world.now(),
            #[cfg(feature = "sim")]
            World::Sim(world) => world.now(),
        }
    }

    /// Returns after `duration`; at once if it is zero.
    pub async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.now() + duration).await;
    }

    /// Returns at `deadline`; at once if it has passed.
    pub async fn sleep_until(&self, deadline: Time) {
        #[cfg(test)]
        if self.is_scripted() {
            return;
        }
        let mut timer = self.timer();
        timer.set(Some(deadline));
        timer.wait().await;
    }

    /// A timer for loops: it can be set any number of times and waited for beside other futures.
    pub fn timer(&self) -> Timer {
        match &self.0.world {
            World::Tokio(world) => Timer::real(world.clone()),
            #[cfg(feature = "sim")]
            World::Sim(world) => Timer::simulated(sim::SimTimer::of_node(world)),
        }
    }

    /// The clock by which input arrives: that of the outside world, which is the same for every node.
    pub fn input_now(&self) -> Time {
        self.true_now()
    }

    /// A timer on the clock of [`Env::input_now`].
    pub fn input_timer(&self) -> Timer {
        match &self.0.world {
            World::Tokio(world) => Timer::real(world.clone()),
            #[cfg(feature = "sim")]
            World::Sim(_) => Timer::simulated(sim::SimTimer::of_world()),
        }
    }

    /// The time as the world knows it. A real process has only its own clock.
    fn true_now(&self) -> Time {
        match &self.0.world {
            World::Tokio(world) => world.now(),
            #[cfg(feature = "sim")]
            World::Sim(_) => sim::now(),
        }
    }

    /// Starts a task on this node. The task is aborted when its handle is dropped, unless the handle was detached.
    #[must_use = "dropping the handle aborts the task"]
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> TaskHandle {
        match &self.0.world {
            World::Tokio(_) => TaskHandle::real(future),
            #[cfg(feature = "sim")]
            World::Sim(_) => TaskHandle::simulated(future),
        }
    }

    /// Runs work that blocks its thread (files, a database) where it does not hold up other tasks.
    pub async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        match &self.0.world {
            World::Tokio(_) => tokio::blocking(work).await,
            #[cfg(feature = "sim")]
            World::Sim(_) => work(),
        }
    }

    /// Runs short blocking work under the real clock, for a library that compares its caller's clock with the clock of
    /// its own threads. In simulation the work takes no time.
    fn on_real_clock<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        match &self.0.world {
            World::Tokio(_) => work(),
            #[cfg(feature = "sim")]
            World::Sim(_) => sim::real_clock::run(work),
        }
    }

    /// Opens a service of this node.
    pub async fn listen(&self, port: Port) -> Result<Listener, NetError> {
        match &self.0.world {
            World::Tokio(world) => tokio::listen(world, port).await,
            #[cfg(feature = "sim")]
            World::Sim(world) => Ok(Listener::simulated(world.listen(port).await?)),
        }
    }

    /// Connects to another node's service within `timeout`.
    pub async fn connect(&self, to: &Address, timeout: Duration) -> Result<Connection, NetError> {
        match &self.0.world {
            World::Tokio(world) => tokio::connect(world, to, timeout).await,
            #[cfg(feature = "sim")]
            World::Sim(world) => world.connect(to, timeout).await.map(Connection::simulated),
        }
    }

    /// A durable store.
    pub fn store(&self, kind: StoreKind) -> Store {
        match &self.0.world {
            World::Tokio(world) => Store::new(world.store(kind)),
            #[cfg(feature = "sim")]
            World::Sim(world) => Store::new(world.store(kind)),
        }
    }

    /// This node's own disk. It may hold what former lives left, unlike a folder of [`Env::fresh_folder`].
    pub fn local_folder(&self) -> std::io::Result<PathBuf> {
        match &self.0.world {
            World::Tokio(world) => world.local_folder(),
            #[cfg(feature = "sim")]
            World::Sim(world) => world.local_folder(),
        }
    }

    /// Whether this incarnation was killed. Only its destructors still run then, and they must change nothing.
    fn was_struck(&self) -> bool {
        match &self.0.world {
            World::Tokio(_) => false,
            #[cfg(feature = "sim")]
            World::Sim(world) => world.was_struck(),
        }
    }

    /// The input files; all users share one copy of each.
    pub fn inputs(&self) -> &InputFiles {
        match &self.0.world {
            World::Tokio(world) => world.inputs(),
            #[cfg(feature = "sim")]
            World::Sim(world) => world.inputs(),
        }
    }

    /// Whether background threads may work for the engine (RocksDB's own flushes and compactions).
    pub fn background_threads(&self) -> bool {
        matches!(&self.0.world, World::Tokio(_))
    }

    /// Charges work that was done; returns when a core of this node would have finished it. Call it per batch, not per
    /// record.
    pub async fn charge(&self, work: Work) {
        match &self.0.world {
            World::Tokio(_) => {}
            #[cfg(feature = "sim")]
            World::Sim(world) => world.charge(work).await,
        }
    }

    /// How many records to process before their work is charged. A charge costs the simulator more than a record, but
    /// a record that stands for many must not be charged together with too many others.
    pub fn charge_every(&self) -> u64 {
        match &self.0.world {
            World::Tokio(_) => u64::MAX,
            #[cfg(feature = "sim")]
            World::Sim(world) => world.charge_every(),
        }
    }

    /// Reports that a step of the protocol took effect.
    pub async fn emit(&self, event: Event) {
        match &self.0.world {
            World::Tokio(world) => world.emit(self.record(event)).await,
            #[cfg(feature = "sim")]
            World::Sim(world) => world.emit(self.record(event)).await,
        }
    }

    /// Logs something unusual, with time and node.
    pub fn warn(&self, what: impl std::fmt::Display) {
        match &self.0.world {
            World::Tokio(world) => world.warn(&self.0.node, what),
            #[cfg(feature = "sim")]
            World::Sim(_) => {
                let node = format!("{}.{}", self.0.node, self.0.incarnation);
                tracing::warn!("{:>14} {node:<7} {what}", sim::now().to_string());
            }
        }
    }

    fn record(&self, event: Event) -> EventRecord {
        EventRecord { at: self.true_now(), node: self.0.node.clone(), incarnation: self.0.incarnation, event }
    }

    /// The `n`-th draw of the stream `(purpose, entity)`: any 64-bit number, the same in every run with the same seed.
    pub fn draw(&self, purpose: &str, entity: u64, n: u64) -> u64 {
        draw(self.0.seed, purpose, entity, n)
    }
}

/// The `n`-th draw of a named stream: `hash(seed, purpose, entity, n)`, so that no draw depends on another.
pub fn draw(seed: u64, purpose: &str, entity: u64, n: u64) -> u64 {
    use xxhash_rust::xxh3::xxh3_64_with_seed;
    let mut key = [0u8; 16];
    key[..8].copy_from_slice(&entity.to_le_bytes());
    key[8..].copy_from_slice(&n.to_le_bytes());
    xxh3_64_with_seed(&key, xxh3_64_with_seed(purpose.as_bytes(), seed))
}

/// Maps a draw onto `low..=high` without a float.
pub fn draw_between(draw: u64, low: u64, high: u64) -> u64 {
    let span = u128::from(high.saturating_sub(low)) + 1;
    low + ((u128::from(draw) * span) >> 64) as u64
}

/// Length and hash of some bytes. A manifest records it, and every reader checks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Checksum {
    /// Length in bytes.
    pub length: u64,
    /// xxh3, 64 bits, little endian. It has a fixed size on the wire, so that its value never changes a message's
    /// length.
    pub hash: [u8; 8],
}

impl Checksum {
    /// The checksum of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self { length: bytes.len() as u64, hash: xxhash_rust::xxh3::xxh3_64(bytes).to_le_bytes() }
    }

    /// The checksum of the concatenation of `parts`.
    pub fn of_parts(parts: &[Bytes]) -> Self {
        let mut hasher = xxhash_rust::xxh3::Xxh3::new();
        let mut length = 0;
        for part in parts {
            hasher.update(part);
            length += part.len() as u64;
        }
        Self { length, hash: hasher.digest().to_le_bytes() }
    }
}

impl std::fmt::Display for Checksum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes, hash {:016x}", self.length, u64::from_le_bytes(self.hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_independent_of_each_other_and_stay_in_range() {
        assert_eq!(draw(7, "latency", 1, 2), draw(7, "latency", 1, 2));
        assert_ne!(draw(7, "latency", 1, 2), draw(7, "latency", 1, 3));
        assert_ne!(draw(7, "latency", 1, 2), draw(7, "faults", 1, 2));
        assert!((0..1000).all(|n| (5..=9).contains(&draw_between(draw(1, "x", 0, n), 5, 9))));
        assert_eq!(draw_between(u64::MAX, 3, 3), 3);
        assert_eq!(draw_between(u64::MAX, 0, u64::MAX), u64::MAX);
    }

    #[test]
    fn checksum_of_parts_equals_checksum_of_whole() {
        let whole = b"hello world";
        let parts = [Bytes::from_static(b"hello "), Bytes::from_static(b"world")];
        assert_eq!(Checksum::of(whole), Checksum::of_parts(&parts));
    }
}
