//! The consumer's end of a connection to one producing TaskManager: requests channels, fills them, grants credit.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::channel::Channel;
use super::{Breach, Buffer, DataError, ToConsumer, ToProducer};
use crate::codec::{encoded, whole};
use crate::env::{Address, Connection, Env, Frame, TaskHandle};
use crate::ids::{ChannelId, Execution};

/// Collects the credits of consumed buffers until the granting task takes them.
pub struct CreditReturn {
    /// Credits of a channel are granted once this many are collected: half of all credits, so that grants are few and
    /// no channel stalls.
    batch: u16,
    state: Mutex<Returned>,
}

#[derive(Default)]
struct Returned {
    credits: BTreeMap<u32, u16>,
    due: bool,
    waker: Option<Waker>,
}

impl CreditReturn {
    fn new(credits: u16) -> Self {
        Self { batch: (credits / 2).max(1), state: Mutex::default() }
    }

    /// A data buffer of channel `number` was consumed.
    pub fn give_back(&self, number: u32) {
        let mut state = self.state.lock().expect("no panic inside");
        let credits = state.credits.entry(number).or_default();
        *credits += 1;
        if *credits >= self.batch {
            state.due = true;
            if let Some(waker) = state.waker.take() {
                waker.wake();
            }
        }
    }

    async fn take(&self) -> Vec<(u32, u16)> {
        poll_fn(|cx| {
            let mut state = self.state.lock().expect("no panic inside");
            if !std::mem::take(&mut state.due) {
                state.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(std::mem::take(&mut state.credits).into_iter().collect())
        })
        .await
    }
}

/// The channels that are read from one producing TaskManager, and the task that fills them.
pub struct DataClient {
    channels: Vec<(ChannelId, Arc<Channel>)>,
    credits: u16,
    credit_return: Arc<CreditReturn>,
}

impl DataClient {
    /// A client whose channels have `credits` buffers each.
    pub fn new(credits: u16) -> Self {
        Self { channels: Vec::new(), credits, credit_return: Arc::new(CreditReturn::new(credits)) }
    }

    /// Requests a channel. Returns the channel that will be filled, and the collector and number to return its credits
    /// with.
    pub fn request(&mut self, id: ChannelId) -> (Arc<Channel>, Arc<CreditReturn>, u32) {
        let number = self.channels.len() as u32;
        let channel = Arc::new(Channel::new(usize::from(self.credits)));
        self.channels.push((id, channel.clone()));
        (channel, self.credit_return.clone(), number)
    }

    /// Connects and fills the channels until the task is aborted. Calls `lost` with the error if the connection fails.
    pub fn start<Said: Future<Output = ()> + Send>(
        self,
        env: &Env,
        execution: Execution,
        peer: Address,
        connect_timeout: Duration,
        lost: impl FnOnce(DataError) -> Said + Send + 'static,
    ) -> TaskHandle {
        let within = env.clone();
        env.spawn(async move {
            if let Err(error) = self.run(&within, execution, &peer, connect_timeout).await {
                lost(error).await;
            }
        })
    }

    async fn run(
        self,
        env: &Env,
        execution: Execution,
        peer: &Address,
        connect_timeout: Duration,
    ) -> Result<(), DataError> {
        let Connection { mut sender, mut receiver } = env.connect(peer, connect_timeout).await?;
        sender.send(encoded(&ToProducer::Hello(execution)).into()).await?;
        for (number, (channel, _)) in (0..).zip(&self.channels) {
            let request = ToProducer::Request { number, channel: *channel, credits: self.credits };
            sender.send(encoded(&request).into()).await?;
        }
        let credits = self.credit_return.clone();
        // Granting has a task of its own, because a grant must not wait until data arrives (X3).
        let _granting = env.spawn(async move {
            loop {
                let grant = ToProducer::Credit(credits.take().await);
                if sender.send(encoded(&grant).into()).await.is_err() {
                    // The reading side sees the same failure and reports it.
                    return;
                }
            }
        });
        loop {
            let frame = receiver.receive().await?;
            let (number, buffer) = read(frame)?;
            let (_, channel) = self.channels.get(number as usize).ok_or(Breach::UnknownChannel)?;
            if !channel.push_credited(buffer) {
                return Err(Breach::DataWithoutCredit.into());
            }
        }
    }
}

fn read(frame: Frame) -> Result<(u32, Buffer), DataError> {
    let message = whole(&frame.head).ok_or(Breach::UnreadableHead)?;
    Ok(match message {
        ToConsumer::Records { number, records } => (number, Buffer::Records { bytes: frame.body, records }),
        ToConsumer::Barrier { number, id } => (number, Buffer::Barrier(id)),
        ToConsumer::EndOfInput { number } => (number, Buffer::EndOfInput),
    })
}
