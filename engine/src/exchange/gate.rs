//! The input of one subtask: all its channels, local and remote, read in the order in which buffers arrived.

use std::sync::Arc;

use super::Buffer;
use super::channel::{Channel, ReadyList};
use super::client::CreditReturn;
use crate::ids::ChannelId;

struct Input {
    id: ChannelId,
    channel: Arc<Channel>,
    /// Where the credit of a consumed buffer is returned; local channels have none.
    credit: Option<(Arc<CreditReturn>, u32)>,
    blocked: bool,
    /// Whether it got a buffer while it was blocked.
    parked: bool,
}

/// Reads from all input channels of a subtask.
#[derive(Default)]
pub struct InputGate {
    inputs: Vec<Input>,
    ready: Arc<ReadyList>,
}

impl InputGate {
    /// Adds a channel of a producer in the same TaskManager.
    pub fn add_local(&mut self, id: ChannelId, channel: Arc<Channel>) {
        self.add(id, channel, None);
    }

    /// Adds a channel that is filled by a connection.
    pub fn add_remote(&mut self, id: ChannelId, channel: Arc<Channel>, credit: Arc<CreditReturn>, number: u32) {
        self.add(id, channel, Some((credit, number)));
    }

    fn add(&mut self, id: ChannelId, channel: Arc<Channel>, credit: Option<(Arc<CreditReturn>, u32)>) {
        channel.attach(self.ready.clone(), self.inputs.len());
        self.inputs.push(Input { id, channel, credit, blocked: false, parked: false });
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.inputs.len()
    }

    /// The channel at an index.
    pub fn channel_id(&self, index: usize) -> ChannelId {
        self.inputs[index].id
    }

    /// Stops reading a channel (alignment).
    pub fn block(&mut self, index: usize) {
        self.inputs[index].blocked = true;
    }

    /// Reads all channels again.
    pub fn unblock_all(&mut self) {
        for input in &mut self.inputs {
            input.blocked = false;
            if std::mem::take(&mut input.parked) {
                input.channel.release();
            }
        }
    }

    /// The next buffer of any channel that is not blocked, with the index of the channel. The future may be dropped
    /// without losing a buffer.
    pub async fn next(&mut self) -> (usize, Buffer) {
        loop {
            let index = self.ready.next().await;
            let input = &mut self.inputs[index];
            if input.blocked {
                input.parked = true;
                continue;
            }
            let buffer = input.channel.pop();
            input.channel.release();
            let Some(buffer) = buffer else { continue };
            if let (true, Some((credit, number))) = (buffer.is_data(), &input.credit) {
                credit.give_back(*number);
            }
            return (index, buffer);
        }
    }
}
