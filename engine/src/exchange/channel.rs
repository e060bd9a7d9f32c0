//! A bounded queue of buffers between one producer and one consumer, and the list that tells a consumer of many
//! channels which of them have buffers.
//!
//! `announced` is true while the channel's number is in its consumer's [`ReadyList`] or the consumer is working on the
//! channel. So each channel is in the list at most once, and none is forgotten.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Poll, Waker};

use super::Buffer;

/// Numbers of channels that have buffers, in the order in which they got them. One consumer waits for the list.
#[derive(Default)]
pub struct ReadyList(Mutex<Ready>);

#[derive(Default)]
struct Ready {
    numbers: VecDeque<usize>,
    waker: Option<Waker>,
}

impl ReadyList {
    /// Adds a channel.
    pub fn push(&self, number: usize) {
        let mut ready = self.0.lock().expect("no panic inside");
        ready.numbers.push_back(number);
        if let Some(waker) = ready.waker.take() {
            waker.wake();
        }
    }

    /// The next channel that has a buffer. The future may be dropped without losing a channel.
    pub async fn next(&self) -> usize {
        poll_fn(|cx| {
            let mut ready = self.0.lock().expect("no panic inside");
            match ready.numbers.pop_front() {
                Some(number) => Poll::Ready(number),
                None => {
                    if !ready.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                        ready.waker = Some(cx.waker().clone());
                    }
                    Poll::Pending
                }
            }
        })
        .await
    }
}

/// A bounded queue of buffers. Control buffers do not count towards the bound, because there are few of them and they
/// must get through.
pub struct Channel(Mutex<State>);

#[derive(Default)]
struct State {
    /// How many data buffers the channel holds; 0 until its producer is deployed.
    capacity: usize,
    queue: VecDeque<Buffer>,
    data: usize,
    consumer: Option<(Arc<ReadyList>, usize)>,
    announced: bool,
    producer: Option<Waker>,
}

impl Channel {
    /// A channel for `capacity` data buffers, at least one.
    pub fn new(capacity: usize) -> Self {
        let channel = Self::requested();
        channel.set_capacity(capacity);
        channel
    }

    /// A channel whose consumer came before its producer. It has no room until [`Channel::set_capacity`] is called,
    /// because only the producer's deployment knows how much.
    pub fn requested() -> Self {
        Self(Mutex::default())
    }

    /// The producer is deployed: sets the capacity to `capacity` data buffers, at least one.
    pub fn set_capacity(&self, capacity: usize) {
        assert!(capacity > 0, "a channel without room blocks for ever");
        let mut state = self.lock();
        state.capacity = capacity;
        if let Some(producer) = state.producer.take() {
            producer.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic inside")
    }

    /// Sets the consumer: its list, and the channel's number in that list. Replaces the previous consumer.
    pub fn attach(&self, list: Arc<ReadyList>, number: usize) {
        let mut state = self.lock();
        state.consumer = Some((list, number));
        state.announced = false;
        state.announce();
    }

    /// Adds a buffer; returns it if the channel is full of data.
    pub fn try_push(&self, buffer: Buffer) -> Result<(), Buffer> {
        self.lock().try_add(buffer)
    }

    /// Adds a buffer; waits while the channel is full of data.
    pub async fn push(&self, buffer: Buffer) {
        let mut buffer = Some(buffer);
        poll_fn(|cx| {
            let mut state = self.lock();
            match state.try_add(buffer.take().expect("not polled after completion")) {
                Ok(()) => Poll::Ready(()),
                Err(back) => {
                    buffer = Some(back);
                    state.producer = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await;
    }

    /// Adds a buffer that a credit allows. Returns false if there is no credit for it, because then the peer sent more
    /// than it was granted (X2).
    #[must_use]
    pub fn push_credited(&self, buffer: Buffer) -> bool {
        let mut state = self.lock();
        let vouched = !buffer.is_data() || state.data < state.capacity;
        if vouched {
            state.add(buffer);
        }
        vouched
    }

    /// Whether the next buffer needs a credit; `None` if there is no buffer.
    pub fn next_is_data(&self) -> Option<bool> {
        self.lock().queue.front().map(Buffer::is_data)
    }

    /// Takes the next buffer and makes room for its producer.
    pub fn pop(&self) -> Option<Buffer> {
        let mut state = self.lock();
        let buffer = state.queue.pop_front()?;
        if buffer.is_data() {
            state.data -= 1;
            if let Some(producer) = state.producer.take() {
                producer.wake();
            }
        }
        Some(buffer)
    }

    /// The consumer is done with the channel for now. The channel is announced again at once if it has more buffers,
    /// otherwise with its next buffer.
    pub fn release(&self) {
        let mut state = self.lock();
        state.announced = false;
        state.announce();
    }
}

impl State {
    fn try_add(&mut self, buffer: Buffer) -> Result<(), Buffer> {
        if buffer.is_data() && self.data >= self.capacity {
            return Err(buffer);
        }
        self.add(buffer);
        Ok(())
    }

    fn add(&mut self, buffer: Buffer) {
        self.data += usize::from(buffer.is_data());
        self.queue.push_back(buffer);
        self.announce();
    }

    fn announce(&mut self) {
        if self.announced || self.queue.is_empty() {
            return;
        }
        if let Some((list, number)) = &self.consumer {
            self.announced = true;
            list.push(*number);
        }
    }
}
