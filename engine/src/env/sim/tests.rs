//! Properties of the simulated world, each tested inside a simulation of its own.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;

use bytes::Bytes;
use futures::future::{FutureExt, join, join_all};

use super::super::{Connection, First, Frame, Receiver, Sender, Store, first_of_2};
use super::*;
use crate::env::StoreError;
use crate::event::Event;
use crate::fault::{FileDamage, MessageFault, MessageRule, StoreFault, StoreRule};
use crate::ids::Attempt;

mod connections;
mod determinism;
mod harm;
mod links;
mod lives;
mod messages;
mod network;
mod node;
mod scripts;
mod store_faults;
mod stores;
mod time;

/// Longest time between a deadline and the waiter's next instruction: madsim adds 50 ns to a timer and 50 to 100 ns
/// per poll.
const SLACK: Duration = Duration::from_micros(2);
const LATENCY: Duration = Duration::from_millis(2);

pub(in crate::env) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A fixed latency, and a megabyte per second everywhere, so that a thousand bytes take a millisecond.
pub(in crate::env) fn config() -> SimConfig {
    SimConfig {
        seed: 7,
        link: LinkConfig { latency: (LATENCY, LATENCY), bandwidth: 1_000_000, send_buffer: 64 * 1024 },
        store: StoreConfig {
            latency: (LATENCY, LATENCY),
            streams: 1,
            write_throughput: 1_000_000,
            read_throughput: 1_000_000,
        },
        rates: Rates::free(),
        weights: Weights::default(),
        cores: 2,
        local_root: std::env::temp_dir(),
        contents: &crate::contents::EngineContents,
    }
}

/// Runs `script` in a simulation of its own. At its end kills all nodes and asserts that nothing of theirs is left.
pub(in crate::env) fn simulate<T, F>(
    seed: u64,
    config: SimConfig,
    script: impl FnOnce(Arc<SimWorld>) -> F + Send + 'static,
) -> T
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let run = move || {
        let mut runtime = Runtime::with_seed_and_config(seed, madsim::Config::default());
        runtime.set_time_limit(Duration::from_secs(3600));
        let _installed = SimWorld::install(&runtime, config);
        runtime.block_on(async {
            let world = SimWorld::current();
            let result = script(world.clone()).await;
            world.take_observer();
            let names: Vec<_> = world.lock().nodes.iter().map(|node| node.name.clone()).collect();
            for name in names {
                world.kill(name.as_str(), Death::Crash);
            }
            pause(ms(1)).await;
            assert_eq!(world.lock().network.open_connections(), 0, "connections are left open");
            result
        })
    };
    // On a new thread, because madsim seeds a thread's hash order only once.
    std::thread::spawn(run).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

pub(in crate::env) async fn pause(duration: Duration) {
    timer::sleep_until(now() + duration).await;
}

async fn within<T>(duration: Duration, work: impl Future<Output = T>) -> Option<T> {
    match first_of_2(work, pause(duration)).await {
        First::A(done) => Some(done),
        First::B(()) => None,
    }
}

#[track_caller]
fn assert_at(at: Time, expected: Time) {
    assert!(at >= expected && at.since(expected) < SLACK, "{} ns is not {} ns", at.0, expected.0);
}

/// A node that does nothing by itself: the test acts through the `Env` of the node's current life.
pub(in crate::env) struct Idle(Arc<Mutex<Option<Env>>>);

impl Idle {
    pub(in crate::env) fn add(world: &Arc<SimWorld>, name: &str) -> Self {
        let slot = Arc::new(Mutex::new(None));
        let lives = slot.clone();
        let main = move |env| {
            *lives.lock().unwrap() = Some(env);
            Box::pin(std::future::pending()) as BoxFuture
        };
        world.add_node(name, Arc::new(main));
        Self(slot)
    }

    pub(in crate::env) fn env(&self) -> Env {
        self.0.lock().unwrap().clone().expect("started")
    }
}

/// A node that runs `script` in each of its lives.
fn add_script<F>(world: &Arc<SimWorld>, name: &str, script: impl Fn(Env) -> F + Send + Sync + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let main = move |env| {
        let running = script(env);
        Box::pin(async move {
            running.await;
            std::future::pending().await
        }) as BoxFuture
    };
    world.add_node(name, Arc::new(main));
}

fn address(node: &str) -> Address {
    Address(format!("{node}:data"))
}

/// Opens a connection from `a` to `b` and returns both ends; `b`'s port is free again afterwards.
async fn connected(a: &Env, b: &Env) -> (Connection, Connection) {
    let mut listener = b.listen(Port::Data).await.unwrap();
    let to = listener.address();
    let (near, far) = join(a.connect(&to, ms(10_000)), listener.accept()).await;
    (near.unwrap(), far.unwrap())
}

fn frame(number: u32, length: usize) -> Frame {
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.resize(length, 0);
    Frame::from(Bytes::from(bytes))
}

async fn send(sender: &mut Sender, number: u32, length: usize) {
    within(Duration::ZERO, sender.send(frame(number, length))).await.expect("there is room").unwrap();
}

async fn receive(receiver: &mut Receiver) -> Result<u32, NetError> {
    let frame = receiver.receive().await?;
    Ok(u32::from_le_bytes(frame.body[..4].try_into().unwrap()))
}

async fn two(world: &Arc<SimWorld>) -> (Idle, Idle, Connection, Connection) {
    let (a, b) = (Idle::add(world, "a"), Idle::add(world, "b"));
    let (near, far) = connected(&a.env(), &b.env()).await;
    (a, b, near, far)
}

struct Watcher<E, S>(E, S);

impl<E, S> Observer for Watcher<E, S>
where
    E: FnMut(&Arc<SimWorld>, &EventRecord) + Send,
    S: FnMut(&Arc<SimWorld>, &StoreMutation) + Send,
{
    fn on_event(&mut self, world: &Arc<SimWorld>, record: &EventRecord) {
        (self.0)(world, record);
    }
    fn on_store(&mut self, world: &Arc<SimWorld>, mutation: &StoreMutation) {
        (self.1)(world, mutation);
    }
}

/// Emits, computes, writes and sends in turn, and counts a mark after every instruction.
async fn small_script(env: Env, marks: Arc<AtomicUsize>) {
    struct Last(Env);
    impl Drop for Last {
        fn drop(&mut self) {
            let _ = self.0.listen(Port::Data).now_or_never();
        }
    }
    let last = Last(env.clone());
    let store = env.store(StoreKind::Output);
    let mark = || marks.fetch_add(1, Ordering::Relaxed);
    for step in 0..4u32 {
        env.emit(Event::JobRunning { attempt: Attempt(step) }).await;
        mark();
        store.create(&format!("{step}"), Bytes::from_static(b"x")).await.unwrap();
        mark();
        let both = [env.clone(), env.clone()]
            .map(|env| async move { env.emit(Event::LeadershipGranted { term: crate::ids::Term(1) }).await });
        join_all(both).await;
        mark();
    }
    std::future::pending::<()>().await;
    drop(last);
}

async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let start = now();
    let done = work.await;
    (done, now().since(start))
}

#[track_caller]
fn assert_took(took: Duration, expected: Duration) {
    assert!(took >= expected && took < expected + SLACK, "{took:?} is not {expected:?}");
}
