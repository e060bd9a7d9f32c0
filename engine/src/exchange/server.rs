//! The producer's end of a connection from one consuming TaskManager: sends buffers of the requested channels, each
//! against a credit.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::channel::{Channel, ReadyList};
use super::{Breach, Buffer, DataError, Exchange, ToConsumer, ToProducer};
use crate::codec::{encoded, whole};
use crate::env::{Connection, Env, Frame, Sender};
use crate::ids::Execution;

/// Longest first message, in bytes.
const GREETING_BYTES_MAX: u32 = 1 << 10;
/// Most channels of one connection.
const CHANNELS_MAX: usize = 1 << 20;
/// Longest later message, in bytes: credit for every channel at once.
const REQUEST_BYTES_MAX: u32 = 16 << 20;

struct Requested {
    channel: Arc<Channel>,
    credits: u32,
    /// Most credits that can be outstanding: the number of buffers that the consumer has room for.
    credits_max: u32,
    /// Whether it has a data buffer but no credit for it.
    starved: bool,
}

#[derive(Default)]
struct Requests {
    channels: Mutex<Vec<Requested>>,
    ready: Arc<ReadyList>,
}

/// Serves one connection until it ends. `exchange_of` returns the execution's channels, or `None` if the execution is
/// over. The connection is dropped if the consumer's first message does not arrive within `patience`.
pub async fn serve(
    env: Env,
    connection: Connection,
    patience: Duration,
    exchange_of: impl FnOnce(Execution) -> Option<Arc<Exchange>>,
) -> Result<(), DataError> {
    let Connection { sender, mut receiver } = connection;
    receiver.limit(GREETING_BYTES_MAX);
    let hello = receiver.greeting(patience).await?;
    let Some(ToProducer::Hello(execution)) = whole(&hello.body) else { return Err(Breach::NoGreeting.into()) };
    receiver.limit(REQUEST_BYTES_MAX);
    // The execution is over. Closing the connection tells the consumer so.
    let Some(exchange) = exchange_of(execution) else { return Ok(()) };
    let requests = Arc::new(Requests::default());
    // Writing has a task of its own, because a credit must be received while data waits for the socket (X3).
    let _writing = env.spawn(write(sender, requests.clone()));
    loop {
        let frame = receiver.receive().await?;
        match whole(&frame.body).ok_or(Breach::UnreadableRequest)? {
            ToProducer::Hello(_) => return Err(Breach::SecondGreeting.into()),
            ToProducer::Request { number, channel, credits } => {
                let channel = exchange.requested(channel);
                {
                    let mut channels = requests.channels.lock().expect("no panic inside");
                    if channels.len() != number as usize || channels.len() >= CHANNELS_MAX {
                        return Err(Breach::RequestOrder.into());
                    }
                    let credits = u32::from(credits);
                    let channel = channel.clone();
                    channels.push(Requested { channel, credits, credits_max: credits, starved: false });
                }
                channel.attach(requests.ready.clone(), number as usize);
            }
            ToProducer::Credit(grants) => {
                let mut channels = requests.channels.lock().expect("no panic inside");
                for (number, credits) in grants {
                    let requested = channels.get_mut(number as usize).ok_or(Breach::CreditForUnknown)?;
                    // Both fit into a `u16`, so the sum does not overflow.
                    requested.credits += u32::from(credits);
                    if requested.credits > requested.credits_max {
                        return Err(Breach::TooMuchCredit.into());
                    }
                    let starved = std::mem::take(&mut requested.starved);
                    #[cfg(feature = "mutations")]
                    let starved = super::planted::wakes(&env, starved);
                    if starved {
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
            // The consumer's TaskManager is gone or gave the connection up; its own side reports that.
            return;
        }
    }
}
