//! Progress of credit-based flow control on real tokio: random graphs, few credits, one-frame buffers, a slow receiver.
#![allow(clippy::disallowed_methods, reason = "tests of the real world drive tokio themselves")]

use std::time::Duration;

use futures::FutureExt;
use proptest::prelude::*;

use super::gate::InputGate;
use super::*;
use crate::env::Env;
use crate::ids::{SubtaskId, VertexId};

fn node(index: u16) -> SubtaskId {
    SubtaskId { vertex: VertexId(index), index: 0 }
}

fn record(buffer: u32) -> Buffer {
    Buffer::Records { bytes: Bytes::copy_from_slice(&buffer.to_le_bytes()), records: 1 }
}

/// Sources send `buffers` each to all their successors, and inner nodes forward to all of theirs. Returns what the
/// sinks received, and what they should have.
async fn run(layers: Vec<u16>, edges: Vec<bool>, credits: u16, buffers: u32, slow: u16) -> (u64, u64) {
    let nodes: Vec<(usize, u16)> =
        layers.iter().enumerate().flat_map(|(layer, width)| (0..*width).map(move |_| layer)).zip(0..).collect();
    let mut bits = edges.into_iter().cycle();
    let mut channels = Vec::new();
    for (layer, from) in &nodes {
        let next: Vec<_> = nodes.iter().filter(|(other, _)| *other == layer + 1).map(|(_, to)| *to).collect();
        for (position, to) in next.iter().enumerate() {
            // Every node has one successor for sure; further ones are drawn.
            if position == usize::from(*from) % next.len() || bits.next().unwrap_or(true) {
                channels.push(ChannelId { from: node(*from), to: node(*to) });
            }
        }
    }
    let exchange = Exchange::default();
    let mut expected = vec![0u64; nodes.len()];
    let mut tasks = Vec::new();
    let (done, mut results) = tokio::sync::mpsc::unbounded_channel();
    for (layer, index) in nodes.clone() {
        let outputs: Vec<_> =
            channels.iter().filter(|c| c.from == node(index)).map(|c| exchange.deployed(*c, credits)).collect();
        let inputs: Vec<_> = channels.iter().filter(|c| c.to == node(index)).copied().collect();
        expected[usize::from(index)] = match layer {
            0 => u64::from(buffers),
            _ => inputs.iter().map(|c| expected[usize::from(c.from.vertex.0)]).sum(),
        };
        let mut gate = InputGate::default();
        inputs.iter().for_each(|c| gate.add_local(*c, exchange.deployed(*c, credits)));
        let done = done.clone();
        tasks.push(tokio::spawn(async move {
            let mut seen = 0u64;
            let mut ended = 0;
            if layer == 0 {
                for buffer in 0..buffers {
                    for output in &outputs {
                        output.push(record(buffer)).await;
                    }
                }
            }
            while ended < inputs.len() {
                match gate.next().await.1 {
                    Buffer::EndOfInput => ended += 1,
                    buffer => {
                        seen += 1;
                        if index == slow {
                            tokio::task::yield_now().await;
                        }
                        for output in &outputs {
                            output.push(buffer.clone()).await;
                        }
                    }
                }
            }
            for output in &outputs {
                output.push(Buffer::EndOfInput).await;
            }
            if outputs.is_empty() {
                done.send(seen).expect("the test listens");
            }
        }));
    }
    drop(done);
    let mut total = 0;
    while let Some(seen) = results.recv().await {
        total += seen;
    }
    let sinks = nodes.iter().filter(|(_, index)| !channels.iter().any(|c| c.from == node(*index)));
    let wanted = sinks.filter(|(layer, _)| *layer > 0).map(|(_, index)| expected[usize::from(*index)]).sum();
    (total, wanted)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn random_graphs_make_progress(
        layers in prop::collection::vec(1u16..4, 2..5),
        edges in prop::collection::vec(any::<bool>(), 1..20),
        credits in 1u16..5,
        buffers in 1u32..40,
        slow in 0u16..8,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (total, wanted) = runtime.block_on(async {
            let run = run(layers, edges, credits, buffers, slow);
            tokio::time::timeout(Duration::from_secs(20), run).await.expect("no progress")
        });
        prop_assert_eq!(total, wanted);
    }

    /// The same over a connection: several channels share one socket, one receiver is blocked for a while, and the
    /// others must not wait for it.
    #[test]
    fn a_blocked_channel_does_not_stop_its_neighbours(credits in 1u16..5, channels in 2u16..5, buffers in 1u32..40) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let all = over_the_network(credits, channels, buffers);
            tokio::time::timeout(Duration::from_secs(20), all).await.expect("no progress");
        });
    }
}

fn real_env() -> Env {
    let memory = || Arc::new(object_store::memory::InMemory::new());
    let nowhere = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let secret = crate::env::Secret::random().unwrap();
    let world = crate::env::tokio::TokioWorld::new(nowhere, secret, memory(), memory(), std::env::temp_dir(), |_| {});
    Env::real("tm-1".into(), 1, 0, world)
}

async fn over_the_network(credits: u16, channels: u16, buffers: u32) {
    let env = real_env();
    let exchange = Arc::new(Exchange::default());
    let mut listener = env.listen(crate::env::Port::Data).await.unwrap();
    let address = listener.address();
    let serving = (env.clone(), exchange.clone());
    let _server = env.spawn(async move {
        let connection = listener.accept().await.unwrap();
        let (env, exchange) = serving;
        let _ = server::serve(env, connection, Duration::from_secs(5), |_| Some(exchange)).await;
    });
    let ids: Vec<_> = (0..channels).map(|from| ChannelId { from: node(from), to: node(99) }).collect();
    let mut client = client::DataClient::new(credits);
    let mut gate = InputGate::default();
    for id in &ids {
        let (channel, credit, number) = client.request(*id);
        gate.add_remote(*id, channel, credit, number);
    }
    let _client =
        client.start(&env, Execution::default(), address, Duration::from_secs(5), async |error| panic!("{error}"));
    let mut producers = Vec::new();
    for id in &ids {
        let channel = exchange.deployed(*id, credits);
        producers.push(env.spawn(async move {
            for buffer in 0..buffers {
                channel.push(record(buffer)).await;
            }
            channel.push(Buffer::Barrier(CheckpointId(1))).await;
        }));
    }
    // Channel 0 is blocked until all others have delivered their barrier.
    gate.block(0);
    let mut barriers = 0;
    let mut next = vec![0u32; usize::from(channels)];
    while barriers < usize::from(channels) {
        let (index, buffer) = gate.next().await;
        match buffer {
            Buffer::Records { bytes, .. } => {
                assert_eq!(bytes[..], next[index].to_le_bytes(), "X1");
                next[index] += 1;
            }
            _ => {
                barriers += 1;
                if barriers == usize::from(channels) - 1 {
                    gate.unblock_all();
                }
            }
        }
    }
    assert!(next.iter().all(|count| *count == buffers));
}

/// The consumer's TaskManager may get its orders long before the producer's. A channel that it requests early must
/// hold as many buffers as the job's settings say, not a default.
#[test]
fn a_channel_that_is_asked_for_before_its_deployment_holds_as_many_buffers_as_the_job_says() {
    let id = ChannelId { from: node(0), to: node(1) };
    let holds = |channel: &Channel| {
        std::iter::repeat_with(|| channel.push(record(0)).now_or_never()).take(100).take_while(Option::is_some).count()
    };
    for credits in [1, 3, 4, 5, 64] {
        let exchange = Exchange::default();
        let asked_for = exchange.requested(id);
        assert_eq!(holds(&asked_for), 0, "nobody produces yet");
        let deployed = exchange.deployed(id, credits);
        assert_eq!(holds(&deployed), usize::from(credits));
        assert!(Arc::ptr_eq(&asked_for, &deployed) && Arc::ptr_eq(&asked_for, &exchange.requested(id)));
        assert_eq!(holds(&Exchange::default().deployed(id, credits)), usize::from(credits), "in the other order");
    }
}

/// Connects to a server of one channel; `script` acts as the consumer and writes its own messages.
async fn served(script: impl AsyncFnOnce(crate::env::Connection)) -> Result<(), DataError> {
    let env = real_env();
    let exchange = Arc::new(Exchange::default());
    let mut listener = env.listen(crate::env::Port::Data).await.unwrap();
    let address = listener.address();
    let within = env.clone();
    let (said, ended) = tokio::sync::oneshot::channel();
    let _server = env.spawn(async move {
        let connection = listener.accept().await.unwrap();
        let _ = said.send(server::serve(within, connection, Duration::from_millis(200), |_| Some(exchange)).await);
    });
    script(env.connect(&address, Duration::from_secs(5)).await.unwrap()).await;
    ended.await.unwrap()
}

async fn say(connection: &mut crate::env::Connection, message: &ToProducer) {
    // Sending fails if the server has already closed the connection.
    let _ = connection.sender.send(crate::codec::encoded(message).into()).await;
}

#[tokio::test]
async fn credit_beyond_the_room_of_a_channel_ends_the_connection_and_nothing_else() {
    let ended = served(async |mut connection| {
        say(&mut connection, &ToProducer::Hello(Execution::default())).await;
        let channel = ChannelId { from: node(0), to: node(1) };
        say(&mut connection, &ToProducer::Request { number: 0, channel, credits: u16::MAX }).await;
        for _ in 0..70_000 {
            say(&mut connection, &ToProducer::Credit(vec![(0, u16::MAX)])).await;
        }
    })
    .await;
    assert_eq!(ended.unwrap_err().to_string(), "the peer sent more credit than it has room for");
}

#[tokio::test]
async fn a_consumer_that_says_nothing_or_too_much_is_not_waited_for() {
    let silent = served(async |mut connection| drop(connection.receiver.receive().await)).await;
    assert_eq!(silent, Err(crate::env::NetError::TimedOut.into()));
    let long = served(async |mut connection| {
        let _ = connection.sender.send(Bytes::from(vec![0; 5_000]).into()).await;
        let _ = connection.receiver.receive().await;
    })
    .await;
    assert!(long.unwrap_err().to_string().contains("a frame of 5000 bytes where 1024 are the most"));
}

#[test]
fn a_producer_that_sends_without_credit_is_found_out() {
    let channel = Channel::new(2);
    assert!(channel.push_credited(record(0)) && channel.push_credited(record(1)));
    assert!(!channel.push_credited(record(2)), "X2");
    assert!(channel.push_credited(Buffer::Barrier(CheckpointId(1))), "needs no credit");
    assert_eq!(channel.pop(), Some(record(0)));
    assert!(channel.push_credited(record(3)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    /// Whatever a consumer sends, the server answers with a buffer or closes the connection.
    #[test]
    fn mutated_requests_are_read_or_refused(
        garbage in prop::collection::vec(any::<u8>(), 0..40), at in any::<prop::sample::Index>(), value in any::<u8>()
    ) {
        use crate::codec::{encoded, whole};
        let channel = ChannelId { from: node(0), to: node(1) };
        let requests = [
            ToProducer::Hello(Execution::default()),
            ToProducer::Request { number: 0, channel, credits: 4 },
            ToProducer::Credit(vec![(0, 2), (1, 1)]),
        ];
        let mut inputs: Vec<Vec<u8>> = requests.iter().map(|request| encoded(request).to_vec()).collect();
        for bytes in &mut inputs {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        inputs.push(garbage);
        for bytes in inputs {
            let _ = whole::<ToProducer>(&bytes);
            let _ = whole::<ToConsumer>(&bytes);
        }
    }
}
