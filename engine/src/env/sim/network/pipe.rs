//! One direction of a connection: the frames under way, and who waits at its ends.
//!
//! Start at [`Pipe::next`]. Frames stand in order of arrival; what faults do to a direction stands apart in an
//! [`Impairment`], so that a direction without one pays no more than a look.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Duration;

use super::super::super::Frame;
use crate::time::Time;

#[derive(Default)]
pub(super) struct Pipe {
    pub(super) queue: VecDeque<(Time, Frame)>,
    /// Bytes sent and not known to be read.
    pub(super) buffered: u64,
    /// Bytes read, but the news could not travel.
    pub(super) unacknowledged: u64,
    pub(super) fin: Option<Time>,
    pub(super) last_arrival: Time,
    pub(super) reader: Option<Waker>,
    pub(super) armed: Option<Time>,
    pub(super) writer: Option<Waker>,
    pub(super) impairment: Option<Box<Impairment>>,
}

/// What the reader meets next.
pub(super) struct Next {
    /// When; `None`: nothing is in sight.
    pub(super) at: Option<Time>,
    /// It is a delayed message, not the head of the queue.
    pub(super) late: bool,
}

impl Pipe {
    /// What the reader meets next, of all that arrives by `horizon`.
    pub(super) fn next(&self, horizon: Time) -> Next {
        let at = self.queue.front().map(|(arrival, _)| *arrival).or(self.fin).filter(|at| *at <= horizon);
        match &self.impairment {
            None => Next { at, late: false },
            Some(impairment) => impairment.next(at, horizon),
        }
    }

    /// What would arrive later never does (NET-N3).
    pub(super) fn forget_after(&mut self, last: Time) {
        self.queue.retain(|(arrival, _)| *arrival <= last);
        self.fin = self.fin.filter(|fin| *fin <= last);
        if let Some(impairment) = &mut self.impairment {
            impairment.late.retain(|(arrival, _)| *arrival <= last);
        }
    }

    /// Nobody will read it, and nobody acknowledges it: the sender's buffer stays as full as it is.
    pub(super) fn forget_all(&mut self) {
        self.queue.clear();
        self.fin = None;
        self.unacknowledged = 0;
        self.impairment = None;
    }

    /// How much of what was sent has not arrived by `by`.
    pub(super) fn behind(&self, by: Time) -> u64 {
        let late = self.impairment.iter().flat_map(|impairment| &impairment.late);
        let frames = self.queue.iter().chain(late).map(|(arrival, _)| *arrival);
        frames.chain(self.fin).filter(|arrival| *arrival > by).count() as u64
    }

    /// Moves all arrivals, without changing their order; returns how many are other times than before.
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

    /// Bytes per second that the reader takes from now on; `None`: all that has arrived.
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

    /// A message arrives at `at`, whatever was sent before or is sent after it. It is the network's, not the sender's, so it
    /// fills no buffer.
    pub(super) fn add_late(&mut self, at: Time, frame: Frame) {
        let late = &mut self.impairment.get_or_insert_default().late;
        late.insert(late.partition_point(|(other, _)| *other <= at), (at, frame));
        self.look_again();
    }

    /// The frame that was sent last arrives once more, right behind itself.
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
    /// Bytes per second that the reader takes.
    rate: Option<u64>,
    /// Until then the reader is busy with what it took last.
    reads_again: Time,
}

impl Impairment {
    /// `regular` is what comes next without the impairment. Behind the end of the stream nothing comes.
    fn next(&self, regular: Option<Time>, horizon: Time) -> Next {
        let late = self.late.front().map(|(arrival, _)| *arrival).filter(|at| *at <= horizon);
        let overtakes = late.is_some_and(|late| regular.is_none_or(|regular| late < regular));
        let at = if overtakes { late } else { regular };
        Next { at: at.map(|at| at.max(self.reads_again)), late: overtakes }
    }

    /// Whether the reader could have taken at `arrival` what it takes only now.
    pub(super) fn made_wait(&self, arrival: Time) -> bool {
        self.rate.is_some() && self.reads_again > arrival
    }

    /// A frame of so many bytes was read.
    pub(super) fn on_read(&mut self, bytes: u64, now: Time) {
        if let Some(rate) = self.rate {
            let takes = u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1));
            self.reads_again = now + Duration::from_nanos(u64::try_from(takes).unwrap_or(u64::MAX));
        }
    }
}
