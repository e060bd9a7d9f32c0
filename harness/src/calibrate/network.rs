//! What a message from one process to another costs: the engine's own connections over loopback, with its own frames.
//! Small frames go there and back to measure latency; large frames go there, with a small answer, to measure
//! throughput. Small frames are sent after a pause, because most messages of a cluster find both sides asleep, and
//! waking up is most of the latency.
#![allow(clippy::disallowed_methods, reason = "what is measured is real time")]

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use flowquake_engine::env::{Frame, NetError, Port};

use super::at_once::{at_once, pooled};
use super::cluster::{RealFault, env, runtime};
use super::fit::Samples;

/// Bytes of a frame with a small message.
const SMALL: usize = 100;
/// How long the connection may take to be established.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time after which idle threads have gone to sleep.
pub(super) const PAUSE: Duration = Duration::from_millis(1);

/// Messages and transfers.
pub(super) struct NetworkSamples {
    /// One-way latency, half of the time there and back, in ns.
    pub(super) messages: Vec<f64>,
    /// Transfers in ns over KiB.
    pub(super) transfers: Vec<Samples>,
}

/// Sends `messages` small frames, and frames of each of `sizes` bytes `repetitions` times, over several connections at
/// once.
pub(super) fn measure(
    messages: usize,
    sizes: &[u64],
    repetitions: usize,
    root: &Path,
) -> Result<NetworkSamples, RealFault> {
    let nodes = at_once(|node| of_one_connection(messages, sizes, repetitions, &root.join(format!("node-{node}"))))?;
    let messages = nodes.iter().flat_map(|node| node.messages.iter().copied()).collect();
    Ok(NetworkSamples { messages, transfers: pooled(nodes.into_iter().map(|node| node.transfers)) })
}

fn of_one_connection(
    messages: usize,
    sizes: &[u64],
    repetitions: usize,
    root: &Path,
) -> Result<NetworkSamples, RealFault> {
    let (here, there) = (runtime()?, runtime()?);
    let (near, far) = (env("tm-1", root, |_| {})?, env("tm-2", root, |_| {})?);
    let mut listener = there.block_on(far.listen(Port::Data)).map_err(unusable)?;
    let address = listener.address();
    there.spawn(async move {
        let Ok(mut connection) = listener.accept().await else { return };
        // Answers every frame with a small one, until the other side is gone.
        while connection.receiver.receive().await.is_ok() {
            let answer = Frame::from(Bytes::from_static(&[7; SMALL]));
            if connection.sender.send(answer).await.is_err() {
                return;
            }
        }
    });
    let sizes = sizes.to_vec();
    // Spawned, because only tasks that the runtime schedules itself run as the engine's tasks do.
    let measured = here.spawn(async move {
        let mut connection = near.connect(&address, PATIENCE).await?;
        let mut samples = NetworkSamples { messages: Vec::new(), transfers: Vec::new() };
        let small = Bytes::from_static(&[7; SMALL]);
        for _ in 0..messages {
            near.sleep(PAUSE).await;
            let began = Instant::now();
            connection.sender.send(small.clone().into()).await?;
            connection.receiver.receive().await?;
            samples.messages.push(began.elapsed().as_nanos() as f64 / 2.0);
        }
        for size in sizes {
            let bytes = Bytes::from(vec![7; (size as usize).max(SMALL)]);
            let mut took = Vec::new();
            for _ in 0..repetitions {
                let began = Instant::now();
                connection.sender.send(bytes.clone().into()).await?;
                connection.receiver.receive().await?;
                took.push(began.elapsed().as_nanos() as f64);
            }
            samples.transfers.push(Samples { x: bytes.len() as f64 / 1024.0, y: took });
        }
        Ok::<_, NetError>(samples)
    });
    here.block_on(measured).map_err(std::io::Error::other)?.map_err(unusable)
}

fn unusable(error: NetError) -> RealFault {
    RealFault::Io(std::io::Error::other(format!("loopback: {error}")))
}
