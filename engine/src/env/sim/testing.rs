//! A small world for unit tests of code that uses an [`Env`].

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use madsim::runtime::Runtime;

use super::{LinkConfig, Rates, SimConfig, SimWorld, StoreConfig, Weights, now, sleep_until};
use crate::env::Env;
use crate::fault::{Death, StoreFault, StoreRule};

/// Name of the only node.
const NODE: &str = "a";

/// Runs `script` in a simulation of its own, with the `Env` of its only node.
pub(crate) fn on_one_node<T, F>(script: impl FnOnce(Arc<SimWorld>, Env) -> F + Send + 'static) -> T
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let run = move || {
        let root = tempfile::tempdir().expect("a folder for temporary files");
        let latency = (Duration::from_millis(1), Duration::from_millis(1));
        let mut runtime = Runtime::with_seed_and_config(1, madsim::Config::default());
        runtime.set_time_limit(Duration::from_secs(3600));
        let config = SimConfig {
            seed: 1,
            link: LinkConfig { latency, bandwidth: 1_000_000, send_buffer: 1 << 16 },
            store: StoreConfig { latency, streams: 1, write_throughput: 1_000_000_000, read_throughput: 1_000_000_000 },
            rates: Rates::free(),
            weights: Weights::default(),
            cores: 1,
            local_root: root.path().to_owned(),
            contents: &crate::contents::EngineContents,
        };
        let _installed = SimWorld::install(&runtime, config);
        runtime.block_on(async {
            let world = SimWorld::current();
            let slot = Arc::new(Mutex::new(None));
            let life = slot.clone();
            let main = move |env| {
                *life.lock().expect("no panic") = Some(env);
                Box::pin(std::future::pending()) as super::BoxFuture
            };
            world.add_node(NODE, Arc::new(main));
            let env = slot.lock().expect("no panic").take().expect("a node starts when it is added");
            let result = script(world.clone(), env).await;
            world.kill(NODE, Death::Crash);
            sleep_until(now() + Duration::from_millis(1)).await;
            result
        })
    };
    // On a new thread, because madsim seeds a thread's hash order only once.
    std::thread::spawn(run).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A rule that hurts `count` requests, to either store.
pub(crate) fn hurting(count: u32, fault: StoreFault) -> StoreRule {
    StoreRule { store: None, node: None, fault, count: Some(count) }
}
