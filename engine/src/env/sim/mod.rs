//! The simulated world: nodes, network, stores, local disks and the price of work, on madsim's executor and virtual
//! clock.
//!
//! [`SimWorld`] is the only madsim plug-in of a run (several would be reset in an order that differs between builds).
//! A harness configures it, adds nodes, sets an [`Observer`], and hurts the cluster through its methods; the engine
//! sees it only as an [`Env`]. Start at [`SimWorld::add_node`] and [`SimWorld::kill`]; `node` and `clock` have the
//! other faults of a node.
//!
//! Invariants: (SIM-W1) the network learns how a node dies before the node's tasks are dropped; (SIM-W2) a dead
//! incarnation's calls have no effect and are counted in [`SimWorld::late_effects`]; (SIM-W3) no lock is held while an
//! observer runs.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use madsim::plugin::Simulator;
use madsim::rand::RngCore;
use madsim::runtime::{Handle, Runtime};
use madsim::time::TimeHandle;

use super::input::{InputFiles, Lines};
use super::{Address, Env, NetError, Port, StoreKind, Work, draw};
use crate::event::EventRecord;
use crate::ids::NodeName;
use crate::time::Time;

mod clock;
mod contents;
mod cost;
mod harm;
mod network;
mod node;
#[cfg(feature = "mutations")]
mod planted;
pub(crate) mod real_clock;
mod store;
mod timer;
mod traffic;

use crate::fault::Death;
pub(crate) use clock::SimTimer;
pub use contents::Contents;
pub use cost::{HEAP_NAMES, ROCKSDB_NAMES, Rates, StateRates, Weights};
pub use harm::Gauge;
pub use network::{LinkConfig, NetworkTotals};
pub(crate) use network::{SimListener, SimReceiver, SimSender};
pub use store::{SimStores, StoreConfig, StoreMutation, damage_below};
pub use timer::{Installed, now, sleep_until};
pub use traffic::{SentMessage, SentWrite, Traffic};

use clock::NodeClock;
use network::Network;
use node::{Held, Pace};

/// Everything about a simulated cluster except its nodes.
#[derive(Debug, Clone)]
pub struct SimConfig {
    /// Seed of every counter-based stream of draws.
    pub seed: u64,
    /// Properties of every link of the cluster.
    pub link: LinkConfig,
    /// The durable stores.
    pub store: StoreConfig,
    /// Prices of work.
    pub rates: Rates,
    /// How many records and entries of state each simulated one stands for.
    pub weights: Weights,
    /// Cores of each node.
    pub cores: u32,
    /// How to read what the program in this world sends and stores.
    pub contents: &'static dyn Contents,
    /// Folder in which each local disk gets a folder of its own.
    pub local_root: PathBuf,
}

/// Sees each event and each store change the moment it happens, before the code that caused it continues.
pub trait Observer: Send {
    /// An event was emitted. The observer may kill, cut and damage through `world`.
    fn on_event(&mut self, world: &Arc<SimWorld>, record: &EventRecord);
    /// A durable store changed.
    fn on_store(&mut self, world: &Arc<SimWorld>, mutation: &StoreMutation);
}

/// Number of different continuations of the scheduler's stream that [`SimWorld::redraw_timing`] can choose from.
const REDRAWS: u64 = 1 << 16;

type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;
/// The program that a node runs from the start in each of its lives.
pub type NodeMain = Arc<dyn Fn(Env) -> BoxFuture + Send + Sync>;

/// The simulated world of one run.
#[derive(Default)]
pub struct SimWorld {
    state: Mutex<Option<State>>,
    observer: Mutex<Option<Box<dyn Observer>>>,
    stores: SimStores,
    inputs: Arc<InputFiles>,
    late_effects: AtomicU64,
    #[cfg(feature = "mutations")]
    planted: planted::Planted,
}

struct State {
    config: SimConfig,
    /// Seed of the streams of the stores' latencies: the seed of the run until [`SimWorld::redraw_timing`].
    timing_seed: u64,
    nodes: Vec<Node>,
    network: Network,
}

struct Node {
    name: NodeName,
    id: Option<madsim::task::NodeId>,
    incarnation: u32,
    alive: Arc<AtomicBool>,
    paused: Arc<AtomicBool>,
    pace: Pace,
    held: Held,
    /// Number of pieces of work that faults made longer, by [`SlowWork`].
    slowed: [u64; 3],
    clock: Arc<NodeClock>,
    /// The life of the node in which its local disk was new.
    disk: u32,
    /// Whether the next life keeps the disk of this one.
    keeps_disk: bool,
    /// For each core, when it has finished the work that was charged to it.
    cores: Vec<Time>,
    /// For each transfer stream to and from the stores, when its last transfer ends.
    store_streams: Vec<Time>,
}

impl Simulator for SimWorld {
    fn new(_: &madsim::rand::GlobalRng, _: &madsim::time::TimeHandle, _: &madsim::Config) -> Self {
        Self::default()
    }
    // `reset_node` does nothing: [`SimWorld::kill`] tells the network how the node died before madsim drops its tasks
    // (SIM-W1).
}

impl SimWorld {
    /// Makes the world of a run; the runtime must be new. The returned value must be dropped before the runtime.
    pub fn install(runtime: &Runtime, config: SimConfig) -> Installed {
        real_clock::prepare();
        runtime.add_simulator::<SimWorld>();
        runtime.block_on(async {
            let world = madsim::plugin::simulator::<SimWorld>();
            let network = Network::new(config.seed, config.link, config.weights, config.contents);
            let timing_seed = config.seed;
            *world.state.lock().expect("fresh") = Some(State { config, timing_seed, nodes: Vec::new(), network });
            Installed::new(&TimeHandle::current())
        })
    }

    /// The world of the run in this thread.
    pub fn current() -> Arc<SimWorld> {
        madsim::plugin::simulator::<SimWorld>()
    }

    /// Sets the observer.
    pub fn observe(&self, observer: Box<dyn Observer>) {
        *self.observer.lock().expect("observers do not panic while swapped") = Some(observer);
    }

    /// Removes the observer and returns it.
    pub fn take_observer(&self) -> Option<Box<dyn Observer>> {
        self.observer.lock().expect("observers do not panic while swapped").take()
    }

    /// Adds an input file's lines, so that all runs of a process share one copy.
    pub fn add_input(&self, path: String, lines: Arc<Lines>) {
        self.inputs.insert(path, lines);
    }

    /// Adds a node and starts it.
    pub fn add_node(self: &Arc<Self>, name: &str, main: NodeMain) {
        let index = {
            let mut state = self.lock();
            let (cores, streams) = (state.config.cores, state.config.store.streams);
            state.nodes.push(Node {
                name: name.into(),
                id: None,
                incarnation: 0,
                alive: Arc::default(),
                paused: Arc::default(),
                pace: Pace::default(),
                held: Held::default(),
                slowed: [0; 3],
                clock: Arc::default(),
                disk: 0,
                keeps_disk: false,
                cores: vec![Time::ZERO; cores as usize],
                store_streams: vec![Time::ZERO; streams as usize],
            });
            state.network.add_node(name);
            state.nodes.len() - 1
        };
        let world = self.clone();
        let init = move || {
            let env = world.boot(index);
            main(env)
        };
        let node = Handle::current().create_node().name(name).init(init).build();
        self.lock().nodes[index].id = Some(node.id());
    }

    /// Begins a new life of a node.
    fn boot(self: &Arc<Self>, index: usize) -> Env {
        let now = now();
        let mut state = self.lock();
        state.network.node_started(index, now);
        let seed = state.config.seed;
        let node = &mut state.nodes[index];
        node.incarnation += 1;
        node.alive = Arc::new(AtomicBool::new(true));
        node.begin_awake();
        if !std::mem::take(&mut node.keeps_disk) {
            node.disk = node.incarnation;
        }
        node.cores.fill(now);
        node.store_streams.fill(now);
        let handle = SimNode {
            world: self.clone(),
            index,
            alive: node.alive.clone(),
            paused: node.paused.clone(),
            clock: node.clock.clone(),
            disk: node.disk,
        };
        Env::simulated(node.name.clone(), node.incarnation, seed, handle)
    }

    /// Kills a node before its next instruction. Returns false if it was not alive.
    pub fn kill(&self, name: &str, death: Death) -> bool {
        let (id, was_paused) = {
            let now = now();
            let mut state = self.lock();
            let Some(index) = state.index_of(name) else { return false };
            if !state.nodes[index].alive.swap(false, Ordering::Relaxed) {
                return false;
            }
            state.network.node_died(index, death, now);
            let node = &state.nodes[index];
            let was_paused = node.paused.swap(false, Ordering::Relaxed);
            if was_paused {
                node.clock.standstill.hold();
            }
            (node.id.expect("set when built"), was_paused)
        };
        if was_paused {
            // madsim would drop the tasks of a paused node immediately, under a lock of its own. Resuming the node
            // first lets them be dropped like those of any other node.
            Handle::current().resume(id);
        }
        Handle::current().kill(id);
        true
    }

    /// Starts a dead node again with an empty local disk; does nothing if the node is alive. At least a millisecond
    /// must pass after the death, because the old tasks are dropped in that time.
    pub fn restart(&self, name: &str) {
        self.start_again(name, false);
    }

    fn start_again(&self, name: &str, keeps_disk: bool) {
        let id = {
            let mut state = self.lock();
            let Some(index) = state.index_of(name) else { return };
            let node = &mut state.nodes[index];
            if node.alive.load(Ordering::Relaxed) {
                return;
            }
            node.keeps_disk = keeps_disk;
            node.id
        };
        if let Some(id) = id {
            Handle::current().restart(id);
        }
    }

    /// Cuts a link in one direction: frames that are sent or under way do not arrive until the link heals. Cuts add
    /// up.
    pub fn cut(&self, from: &str, to: &str) {
        let now = now();
        let mut state = self.lock();
        if let (Some(from), Some(to)) = (state.index_of(from), state.index_of(to)) {
            state.network.cut(from, to, now);
        }
    }

    /// Heals one cut of a link; connections continue where they stopped, after TCP's own delay.
    pub fn heal(&self, from: &str, to: &str) {
        let now = now();
        let mut state = self.lock();
        if let (Some(from), Some(to)) = (state.index_of(from), state.index_of(to)) {
            state.network.heal(from, to, now);
        }
    }

    /// From now on all timing is drawn anew by `seed`: the order of runnable tasks, the time of each poll, and the
    /// latencies of network and stores. What the engine and its job draw stays the same, and so does everything that
    /// is under way.
    ///
    /// madsim's generator cannot be seeded in mid-run, but draws can be thrown away: `seed` says how many, out of
    /// `REDRAWS` different numbers. Two seeds that give the same number share the order of tasks, but no latency.
    pub fn redraw_timing(&self, seed: u64) {
        {
            let mut state = self.lock();
            state.timing_seed = seed;
            state.network.redraw_latencies(seed);
        }
        let mut left = 8 * (1 + draw(seed, "thrown away", 0, 0) % REDRAWS) as usize;
        let mut bytes = [0; 8 << 10];
        while left > 0 {
            let part = left.min(bytes.len());
            madsim::rand::thread_rng().fill_bytes(&mut bytes[..part]);
            left -= part;
        }
    }

    /// The durable stores, for damage and inspection.
    pub fn stores(&self) -> &SimStores {
        &self.stores
    }

    /// Whether a node is alive.
    pub fn is_alive(&self, name: &str) -> bool {
        let state = self.lock();
        state.index_of(name).is_some_and(|index| state.nodes[index].alive.load(Ordering::Relaxed))
    }

    /// Numbers of messages and bytes delivered, and the digest over all of them.
    pub fn network_totals(&self) -> NetworkTotals {
        self.lock().network.totals()
    }

    /// For each node, in the order of addition, the bytes of records that were sent to it and that it has not read
    /// yet. Empty before [`SimWorld::install`].
    pub fn unread_records(&self) -> Vec<u64> {
        self.lock().0.as_ref().map_or_else(Vec::new, |state| state.network.unread_records())
    }

    /// Number of calls of dead incarnations that had no effect (SIM-W2).
    pub fn late_effects(&self) -> u64 {
        self.late_effects.load(Ordering::Relaxed)
    }

    fn lock(&self) -> Locked<'_> {
        Locked(self.state.lock().expect("the simulated world does not panic"))
    }

    fn notify(self: &Arc<Self>, tell: impl FnOnce(&mut dyn Observer, &Arc<SimWorld>)) {
        // The observer is taken out while it runs, so that it may call methods of the world, which come back here
        // (SIM-W3).
        let Some(mut observer) = self.take_observer() else { return };
        tell(observer.as_mut(), self);
        self.observe(observer);
    }
}

struct Locked<'a>(MutexGuard<'a, Option<State>>);

impl std::ops::Deref for Locked<'_> {
    type Target = State;
    fn deref(&self) -> &State {
        self.0.as_ref().expect("SimWorld::install came first")
    }
}

impl std::ops::DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        self.0.as_mut().expect("SimWorld::install came first")
    }
}

impl State {
    fn index_of(&self, name: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.name.as_str() == name)
    }
}

/// The access of one incarnation to the simulated world.
#[derive(Clone)]
pub(super) struct SimNode {
    world: Arc<SimWorld>,
    index: usize,
    alive: Arc<AtomicBool>,
    paused: Arc<AtomicBool>,
    clock: Arc<NodeClock>,
    disk: u32,
}

impl SimNode {
    /// What the node's clock shows.
    pub(super) fn now(&self) -> Time {
        self.clock.read(now())
    }

    /// Whether this incarnation may still have effects; a call of a dead one is counted.
    fn alive(&self) -> bool {
        let alive = self.alive.load(Ordering::Relaxed);
        if !alive {
            self.world.late_effects.fetch_add(1, Ordering::Relaxed);
        }
        alive
    }

    pub(super) fn was_struck(&self) -> bool {
        !self.alive.load(Ordering::Relaxed)
    }

    /// Never returns to a dead caller, whose task the executor drops. If the node stands still, returns when it
    /// continues (SIM-W4).
    async fn only_alive(&self) {
        self.until_resumed().await;
        if !self.alive() {
            std::future::pending::<()>().await;
        }
    }

    pub(super) async fn listen(&self, port: Port) -> Result<SimListener, NetError> {
        self.until_resumed().await;
        if !self.alive() {
            return Err(NetError::Dead);
        }
        SimListener::open(self.clone(), port)
    }

    pub(super) async fn connect(&self, to: &Address, timeout: Duration) -> Result<(SimSender, SimReceiver), NetError> {
        self.only_alive().await;
        network::connect(self, to, timeout).await
    }

    pub(super) fn store(&self, kind: StoreKind) -> Arc<dyn object_store::ObjectStore> {
        store::node_store(self.clone(), kind)
    }

    pub(super) fn local_folder(&self) -> std::io::Result<PathBuf> {
        let path = {
            let state = self.world.lock();
            state.config.local_root.join(format!("{}.{}", state.nodes[self.index].name, self.disk))
        };
        std::fs::create_dir_all(&path)?;
        Ok(path)
    }

    pub(super) fn inputs(&self) -> &InputFiles {
        &self.world.inputs
    }

    pub(super) async fn emit(&self, record: EventRecord) {
        self.only_alive().await;
        tracing::debug!("{record}");
        self.world.notify(|observer, world| observer.on_event(world, &record));
        self.halt_if_struck().await;
    }

    /// If an observer has just struck this node, the executor drops or parks this task before its next instruction
    /// (V2).
    async fn halt_if_struck(&self) {
        if !self.alive.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        self.until_resumed().await;
    }
}

/// Starts a task on the node that the caller runs on.
pub(super) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> madsim::task::AbortHandle {
    madsim::task::spawn(future).abort_handle()
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
pub(super) mod tests;
