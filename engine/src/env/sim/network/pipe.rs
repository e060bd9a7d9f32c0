//! One direction of a connection: the frames under way, and the tasks that wait at its ends.
//!
//! Start at [`Pipe::next`]. Frames are queued in order of arrival. The effects of faults on a direction are in a
//! separate [`Impairment`], so that a direction without faults pays only for one check.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Duration;

use super::super::super::Frame;
use crate::time::Time;

#[derive(Default)]
pub(super) struct Pipe {
    pub(super) queue: VecDeque<(Time, Frame)>,
    /// Bytes that were sent and are not known to be read.
    pub(super) buffered: u64,
    /// Bytes that were read, but whose acknowledgement could not travel.
    pub(super) unacknowledged: u64,
    pub(super) fin: Option<Time>,
    pub(super) last_arrival: Time,
    pub(super) reader: Option<Waker>,
    pub(super) armed: Option<Time>,
    pub(super) writer: Option<Waker>,
    pub(super) impairment: Option<Box<Impairment>>,
}

/// What the reader gets next.
pub(super) struct Next {
    /// Its arrival time; `None` if nothing will arrive.
    pub(super) at: Option<Time>,
    /// Whether it is a delayed message, not the head of the queue.
    pub(super) late: bool,
}

impl Pipe {
    /// What the reader gets next, of everything that arrives by `horizon`.
    pub(super) fn next(&self, horizon: Time) -> Next {
        let at = self.queue.front().map(|(arrival, _)| *arrival).or(self.fin).filter(|at| *at <= horizon);
        match &self.impairment {
            None => Next { at, late: false },
            Some(impairment) => impairment.next(at, horizon),
        }
    }

    /// Drops everything that would arrive later than `last` (NET-N3).
    pub(super) fn forget_after(&mut self, last: Time) {
        self.queue.retain(|(arrival, _)| *arrival <= last);
        self.fin = self.fin.filter(|fin| *fin <= last);
        if let Some(impairment) = &mut self.impairment {
            impairment.late.retain(|(arrival, _)| *arrival <= last);
        }
    }

    /// Drops everything, because nobody will read it. Nothing is acknowledged either, so the sender's buffer stays as
    /// full as it is.
    pub(super) fn forget_all(&mut self) {
        self.queue.clear();
        self.fin = None;
        self.unacknowledged = 0;
        self.impairment = None;
    }

    /// Number of frames that have not arrived by `by`.
    pub(super) fn behind(&self, by: Time) -> u64 {
        let late = self.impairment.iter().flat_map(|impairment| &impairment.late);
        let frames = self.queue.iter().chain(late).map(|(arrival, _)| *arrival);
        frames.chain(self.fin).filter(|arrival| *arrival > by).count() as u64
    }

    /// Moves all arrival times without changing their order; returns how many of them changed.
    pub(super) fn retime(&mut self, to: impl Fn(Time) -> Time) -> u64 {
        let mut moved = 0;
        for (arrival, _) in &mut self.queue {
            let before = std::mem::replace(arrival, to(*arrival));
            moved += u64::from(before != *arrival);
        }
        self.fin = self.fin.map(&to);
        self.last_arrival = to(self.last_arrival);
        self.look_again();
        moved
    }

    /// Limits the reader to so many bytes per second from now on; `None` removes the limit.
    pub(super) fn set_rate(&mut self, rate: Option<u64>) {
        if rate.is_none() && self.impairment.is_none() {
            return;
        }
        let impairment = self.impairment.get_or_insert_default();
        (impairment.rate, impairment.reads_again) = (rate, Time::ZERO);
        if rate.is_none() && impairment.late.is_empty() {
            self.impairment = None;
        }
        self.look_again();
    }

    /// Adds a message that arrives at `at`, independently of the order of other frames. It belongs to the network and
    /// not to the sender, so it takes no space in the send buffer.
    pub(super) fn add_late(&mut self, at: Time, frame: Frame) {
        let late = &mut self.impairment.get_or_insert_default().late;
        late.insert(late.partition_point(|(other, _)| *other <= at), (at, frame));
        self.look_again();
    }

    /// Makes the last frame arrive once more, right behind itself.
    pub(super) fn repeat_last(&mut self, weigh: impl Fn(&Frame) -> u64) {
        if let Some((arrival, frame)) = self.queue.back().cloned() {
            self.buffered += weigh(&frame);
            self.queue.push_back((arrival, frame));
        }
    }

    fn look_again(&mut self) {
        self.armed = None;
        if let Some(reader) = &self.reader {
            reader.wake_by_ref();
        }
    }
}

/// What faults do to one direction of a connection.
#[derive(Default)]
pub(super) struct Impairment {
    /// Delayed messages in order of arrival.
    pub(super) late: VecDeque<(Time, Frame)>,
    /// Bytes per second that the reader reads.
    rate: Option<u64>,
    /// Until this time the reader is busy with the frame that it read last.
    reads_again: Time,
}

impl Impairment {
    /// `regular` is what would come next without the impairment. Nothing comes after the end of the stream.
    fn next(&self, regular: Option<Time>, horizon: Time) -> Next {
        let late = self.late.front().map(|(arrival, _)| *arrival).filter(|at| *at <= horizon);
        let overtakes = late.is_some_and(|late| regular.is_none_or(|regular| late < regular));
        let at = if overtakes { late } else { regular };
        Next { at: at.map(|at| at.max(self.reads_again)), late: overtakes }
    }

    /// Whether the limit made the reader read a frame later than at its `arrival`.
    pub(super) fn made_wait(&self, arrival: Time) -> bool {
        self.rate.is_some() && self.reads_again > arrival
    }

    /// Accounts for a frame of so many bytes that was read.
    pub(super) fn on_read(&mut self, bytes: u64, now: Time) {
        if let Some(rate) = self.rate {
            let takes = u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1));
            self.reads_again = now + Duration::from_nanos(u64::try_from(takes).unwrap_or(u64::MAX));
        }
    }
}
