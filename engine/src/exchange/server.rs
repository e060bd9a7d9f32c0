//! The producer's end of a connection from one consuming TaskManager: sends buffers of the requested channels, each against
//! a credit.

use std::sync::{Arc, Mutex};

use super::channel::{Channel, ReadyList};
use super::client::protocol;
use super::{Buffer, Exchange, ToConsumer, ToProducer};
use crate::env::{Connection, Env, Frame, NetError, Sender};
use crate::graph::element::{decode, encoded};
use crate::ids::Execution;

struct Requested {
    channel: Arc<Channel>,
    credits: u32,
    /// It has a data buffer and no credit for it.
    starved: bool,
}

#[derive(Default)]
struct Requests {
    channels: Mutex<Vec<Requested>>,
    ready: Arc<ReadyList>,
}

/// Serves one connection until it ends. `exchange_of` finds the execution's channels, or `None` if it is over.
pub async fn serve(
    env: Env,
    connection: Connection,
    exchange_of: impl FnOnce(Execution) -> Option<Arc<Exchange>>,
) -> Result<(), NetError> {
    let Connection { sender, mut receiver } = connection;
    let hello: ToProducer = decode(&mut &receiver.receive().await?.body[..]).map_err(|_| protocol("no greeting"))?;
    let ToProducer::Hello(execution) = hello else { return Err(protocol("no greeting")) };
    // An execution that is over: closing the connection says so.
    let Some(exchange) = exchange_of(execution) else { return Ok(()) };
    let requests = Arc::new(Requests::default());
    // A task of its own: a credit must get through while data waits for the socket (X3).
    let _writing = env.spawn(write(sender, requests.clone()));
    loop {
        let frame = receiver.receive().await?;
        match decode(&mut &frame.body[..]).map_err(|_| protocol("an unreadable request"))? {
            ToProducer::Hello(_) => return Err(protocol("a second greeting")),
            ToProducer::Request { number, channel, credits } => {
                let channel = exchange.requested(channel);
                {
                    let mut channels = requests.channels.lock().expect("no panic inside");
                    if channels.len() != number as usize {
                        return Err(protocol("requests out of order"));
                    }
                    let credits = u32::from(credits);
                    channels.push(Requested { channel: channel.clone(), credits, starved: false });
                }
                channel.attach(requests.ready.clone(), number as usize);
            }
            ToProducer::Credit(grants) => {
                let mut channels = requests.channels.lock().expect("no panic inside");
                for (number, credits) in grants {
                    let requested =
                        channels.get_mut(number as usize).ok_or_else(|| protocol("credit for an unknown channel"))?;
                    requested.credits += u32::from(credits);
                    if std::mem::take(&mut requested.starved) {
                        requested.channel.release();
                    }
                }
            }
        }
    }
}

async fn write(mut sender: Sender, requests: Arc<Requests>) {
    loop {
        let number = requests.ready.next().await;
        let buffer = {
            let mut channels = requests.channels.lock().expect("no panic inside");
            let requested = &mut channels[number];
            match requested.channel.next_is_data() {
                Some(true) if requested.credits == 0 => {
                    requested.starved = true;
                    continue;
                }
                Some(true) => requested.credits -= 1,
                Some(false) | None => {}
            }
            let buffer = requested.channel.pop();
            requested.channel.release();
            buffer
        };
        let Some(buffer) = buffer else { continue };
        let number = number as u32;
        let (head, body) = match buffer {
            Buffer::Records { bytes, records } => (ToConsumer::Records { number, records }, bytes),
            Buffer::Barrier(id) => (ToConsumer::Barrier { number, id }, Default::default()),
            Buffer::EndOfInput => (ToConsumer::EndOfInput { number }, Default::default()),
        };
        if sender.send(Frame { head: encoded(&head), body }).await.is_err() {
            // The consumer's TaskManager is gone, or gave up; its side reports it.
            return;
        }
    }
}
