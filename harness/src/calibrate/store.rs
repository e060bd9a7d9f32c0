//! What a folder costs as a durable store, used as the engine uses it: small objects for the latency of a request,
//! large ones for throughput, always after a pause in which threads go to sleep. Writing includes the checksum that is
//! computed before, and reading the check afterwards.
#![allow(clippy::disallowed_methods, reason = "what is measured is real time")]

use std::collections::VecDeque;
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use flowquake_engine::env::{Checksum, ReadFault, StoreError, StoreKind, look};

use super::at_once::{Meanwhile, at_once, pooled};
use super::cluster::{RealFault, env, runtime};
use super::fit::Samples;
use super::network::PAUSE;

/// Bytes of an object whose cost is only that of a request.
const SMALL: usize = 100;

/// Number of objects that stay in the store.
const RETAINED: usize = 2;

/// Requests and transfers.
pub(super) struct StoreSamples {
    /// Times of single requests, half of them writes and half reads, in ns.
    pub(super) requests: Vec<f64>,
    /// Writes in ns over KiB.
    pub(super) writes: Vec<Samples>,
    /// Reads in ns over KiB.
    pub(super) reads: Vec<Samples>,
}

/// Writes and reads objects below `root`, from several nodes at once: `requests` small ones, and each of `sizes` bytes
/// `repetitions` times.
pub(super) fn measure(
    requests: usize,
    sizes: &[u64],
    repetitions: usize,
    root: &Path,
) -> Result<StoreSamples, RealFault> {
    let nodes = at_once(|node| of_one_node(requests, sizes, repetitions, &root.join(format!("node-{node}"))))?;
    let requests = nodes.iter().flat_map(|node| node.requests.iter().copied()).collect();
    let (writes, reads) = nodes.into_iter().map(|node| (node.writes, node.reads)).unzip::<_, _, Vec<_>, Vec<_>>();
    Ok(StoreSamples { requests, writes: pooled(writes), reads: pooled(reads) })
}

fn of_one_node(requests: usize, sizes: &[u64], repetitions: usize, root: &Path) -> Result<StoreSamples, RealFault> {
    let (node, env) = (runtime()?, env("tm-1", root, |_| {})?);
    let store = env.store(StoreKind::Checkpoints);
    let small = Bytes::from(vec![7; SMALL]);
    let sizes = sizes.to_vec();
    // Spawned, because only tasks that the runtime schedules itself run as the engine's tasks do.
    let measured = node.spawn(async move {
        let mut samples = StoreSamples { requests: Vec::new(), writes: Vec::new(), reads: Vec::new() };
        for request in 0..requests.div_ceil(2) {
            env.sleep(PAUSE).await;
            let path = format!("small/{request}");
            let began = Instant::now();
            store.create(&path, small.clone()).await?;
            let written = Instant::now();
            store.get(&path).await?;
            samples.requests.push((written - began).as_nanos() as f64);
            samples.requests.push(written.elapsed().as_nanos() as f64);
        }
        let (mut meanwhile, mut kept) = (Meanwhile::new(), VecDeque::new());
        for size in sizes {
            let bytes = Bytes::from(vec![7; size as usize]);
            let (mut writes, mut reads) = (Vec::new(), Vec::new());
            for repetition in 0..repetitions {
                let path = format!("large/{size}-{repetition}");
                meanwhile.pass();
                let began = Instant::now();
                let checksum = Checksum::of(&bytes);
                store.create(&path, bytes.clone()).await?;
                let written = Instant::now();
                let found = look(&store, &path, checksum).await;
                reads.push(written.elapsed().as_nanos() as f64);
                writes.push((written - began).as_nanos() as f64);
                drop(found.map_err(|fault| of_read(&path, fault))?);
                // Removed as checkpoints are removed once there are newer ones: the last two stay.
                kept.push_back(path);
                if kept.len() > RETAINED {
                    store.delete(&kept.pop_front().expect("more than none")).await?;
                }
            }
            for path in kept.drain(..) {
                store.delete(&path).await?;
            }
            let x = size as f64 / 1024.0;
            samples.writes.push(Samples { x, y: writes });
            samples.reads.push(Samples { x, y: reads });
        }
        Ok::<_, StoreError>(samples)
    });
    let measured = node.block_on(measured).map_err(std::io::Error::other)?;
    measured.map_err(|error| RealFault::Io(std::io::Error::other(error)))
}

fn of_read(path: &str, fault: ReadFault) -> StoreError {
    let cause = match fault {
        ReadFault::Store(error) => return error,
        ReadFault::Missing => "it was written, and is not there".to_owned(),
        ReadFault::Differs(found) => format!("it holds something else than was written: {found}"),
    };
    StoreError::Failed { path: path.into(), cause }
}
