//! A connection: two sides, two pipes, and how each side learns that the connection has ended.
//!
//! Start at [`Network::poll_send`] and [`Network::poll_receive`], the hot path of a simulation. Each side has a
//! sending and a receiving half. When all four halves are dropped, the connection is removed and its number is used
//! again.

use std::task::{Poll, Waker};
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::super::super::{Frame, NetError, draw, draw_between};
use super::super::harm::Standstill;
use super::super::timer::wake_at;
use super::pipe::Pipe;
use super::{Network, RETRANSMIT_MAX};
use crate::time::{Time, nanos};

/// `Waiting` -accept-> `Open` -both halves dropped-> `Closed`; any -node died-> `Dead`; the first two -a fault removed
/// the connection from its machine's memory-> `Forgotten`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SideState {
    /// The side waits in the listener's queue.
    Waiting,
    Open,
    Closed,
    Dead,
    /// Even the side's machine does not know the connection any more, and a firewall drops what arrives for it:
    /// nothing is ever answered.
    Forgotten,
}

pub(super) struct Side {
    pub(super) node: usize,
    pub(super) state: SideState,
    pub(super) halves: u8,
    /// When this side learns that the connection has ended.
    pub(super) reset_at: Option<Time>,
}

impl Side {
    /// Whether somebody holds this side, or will accept it, and has not learned of its end.
    pub(super) fn lives(&self, now: Time) -> bool {
        matches!(self.state, SideState::Waiting | SideState::Open) && self.reset_at.is_none_or(|at| at > now)
    }
}

pub(super) struct Conn {
    pub(super) sides: [Side; 2],
    /// `pipes[i]` carries what side `i` sends.
    pub(super) pipes: [Pipe; 2],
    /// Whether the connection carries records, whose contents enter the digest.
    pub(super) data: bool,
}

impl Conn {
    /// The side that sends over the link from `from` to `to`.
    pub(super) fn sender_over(&self, from: usize, to: usize) -> Option<usize> {
        (0..2).find(|side| self.sides[*side].node == from && self.sides[1 - side].node == to)
    }

    /// How fast `side` reads, in bytes per second; only records are read slowly.
    pub(super) fn limit_reading(&mut self, side: usize, rate: Option<u64>) {
        if self.data {
            self.pipes[1 - side].set_rate(rate);
        }
    }

    fn wake_side(&mut self, side: usize, at: Time) {
        let reader = self.pipes[1 - side].reader.iter();
        let writer = self.pipes[side].writer.iter();
        reader.chain(writer).for_each(|waker| wake_at(at, waker));
    }

    pub(super) fn reset(&mut self, side: usize, at: Time) {
        let at = self.sides[side].reset_at.map_or(at, |earlier| earlier.min(at));
        self.sides[side].reset_at = Some(at);
        self.wake_side(side, at);
    }
}

impl Network {
    pub(super) fn side_of(&self, id: usize, node: usize, state: SideState) -> Option<usize> {
        let conn = self.connections[id].as_ref()?;
        (0..2).find(|side| conn.sides[*side].node == node && conn.sides[*side].state == state)
    }

    /// The peer of `side` is gone, but the peer's machine answers: bytes that were not acknowledged are sent again and
    /// answered with a reset.
    pub(super) fn reset_if_peer_sends(&mut self, id: usize, side: usize, now: Time) {
        let Some(conn) = &self.connections[id] else { return };
        let (node, peer) = (conn.sides[side].node, conn.sides[1 - side].node);
        if conn.sides[side].reset_at.is_some() || conn.pipes[side].buffered == 0 || !self.reachable(node, peer) {
            return;
        }
        let wait = draw_between(draw(self.seed, "retransmit", id as u64, now.0), 0, nanos(RETRANSMIT_MAX));
        let at = now + Duration::from_nanos(wait) + self.round_trip(node, peer);
        self.connections[id].as_mut().expect("looked at above").reset(side, at);
    }

    /// Whether a frame from `side` would be answered with a reset, because the peer is gone but its machine is there.
    pub(super) fn peer_answers_with_reset(&self, id: usize, side: usize) -> bool {
        let Some(conn) = &self.connections[id] else { return false };
        let peer = &conn.sides[1 - side];
        matches!(peer.state, SideState::Closed | SideState::Dead) && !self.nodes[peer.node].silent
    }

    pub(super) fn poll_send(
        &mut self,
        id: usize,
        side: usize,
        frame: &Frame,
        now: Time,
        waker: &Waker,
    ) -> Poll<Result<(), NetError>> {
        let conn = self.connections[id].as_mut().expect("held by its sender");
        if conn.sides[side].reset_at.is_some_and(|at| at <= now) {
            return Poll::Ready(Err(NetError::Reset));
        }
        let length = self.weights.frame(conn.data, frame);
        let pipe = &mut conn.pipes[side];
        if pipe.buffered > 0 && pipe.buffered + length > self.config.send_buffer {
            pipe.writer = Some(waker.clone());
            if let Some(at) = conn.sides[side].reset_at {
                wake_at(at, waker);
            }
            return Poll::Pending;
        }
        if matches!(conn.sides[1 - side].state, SideState::Closed | SideState::Dead | SideState::Forgotten) {
            pipe.buffered += length;
            let (from, to) = (conn.sides[side].node, conn.sides[1 - side].node);
            if self.peer_answers_with_reset(id, side) && self.reachable(from, to) {
                let at = now + self.round_trip(from, to);
                self.connections[id].as_mut().expect("held by its sender").reset(side, at);
            }
            return Poll::Ready(Ok(()));
        }
        if self.messages.any_active() && !conn.data {
            self.transmit_by_rules(id, side, frame, now);
        } else {
            self.transmit(id, side, frame.clone(), now);
        }
        Poll::Ready(Ok(()))
    }

    /// Appends a frame to what `side` has sent.
    pub(super) fn transmit(&mut self, id: usize, side: usize, frame: Frame, now: Time) {
        let conn = self.connections[id].as_ref().expect("held by its sender");
        let length = self.weights.frame(conn.data, &frame);
        let last = conn.pipes[side].last_arrival;
        let (from, to) = (conn.sides[side].node, conn.sides[1 - side].node);
        // Behind a cut a frame has no arrival time yet; the heal sets one.
        let arrival = if self.is_cut(from, to) {
            self.links[from][to].harm.held += 1;
            Time::NEVER
        } else {
            self.arrival(from, to, length, last, now)
        };
        let pipe = &mut self.connections[id].as_mut().expect("held by its sender").pipes[side];
        pipe.buffered += length;
        if arrival != Time::NEVER {
            pipe.last_arrival = arrival;
        }
        pipe.queue.push_back((arrival, frame));
        if pipe.queue.len() == 1
            && arrival != Time::NEVER
            && let Some(reader) = &pipe.reader
        {
            wake_at(arrival, reader);
            pipe.armed = Some(arrival);
        }
    }

    pub(super) fn poll_receive(
        &mut self,
        id: usize,
        side: usize,
        now: Time,
        waker: &Waker,
        still: &Standstill,
    ) -> Poll<Result<Frame, NetError>> {
        let conn = self.connections[id].as_mut().expect("held by its receiver");
        let (from, to) = (conn.sides[1 - side].node, conn.sides[side].node);
        let link = &self.links[from][to];
        // Behind a cut only frames that had arrived before it can be read (NET-N2).
        let horizon = if link.cuts > 0 { link.cut_since } else { Time::NEVER };
        let reset_at = conn.sides[side].reset_at;
        let horizon = horizon.min(reset_at.unwrap_or(Time::NEVER));
        let pipe = &mut conn.pipes[1 - side];
        let next = pipe.next(horizon);
        if next.at.is_some_and(|at| at <= now) {
            let source = match &mut pipe.impairment {
                Some(impairment) if next.late => &mut impairment.late,
                _ => &mut pipe.queue,
            };
            still.due(next.at.unwrap_or(now));
            let Some((arrival, frame)) = source.pop_front() else { return Poll::Ready(Err(NetError::Closed)) };
            let (length, weighed) = (frame.len() as u64, self.weights.frame(conn.data, &frame));
            if let Some(impairment) = &mut pipe.impairment {
                self.nodes[to].read_late += u64::from(impairment.made_wait(arrival));
                impairment.on_read(weighed, now);
            }
            if next.late {
                // A late message was never in the sender's buffer, so nothing is freed.
            } else if self.links[to][from].cuts > 0 {
                pipe.unacknowledged += weighed;
                self.links[to][from].harm.held += 1;
            } else {
                pipe.buffered -= weighed;
                if let Some(writer) = pipe.writer.take() {
                    writer.wake();
                }
            }
            let content = match conn.data {
                true => xxh3_64_with_seed(&frame.body, xxh3_64_with_seed(&frame.head, 0)),
                false => 0,
            };
            let facts = [id as u64, side as u64, now.0, length, content];
            self.totals.digest = facts.iter().fold(self.totals.digest, |digest, fact| {
                (digest ^ fact).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
            });
            self.totals.messages += 1;
            self.totals.bytes += length;
            return Poll::Ready(Ok(frame));
        }
        // What arrived before a reset is read first, so a slow reader may learn of the reset long after it.
        if let (None, Some(reset_at)) = (next.at, reset_at.filter(|at| *at <= now)) {
            still.due(reset_at);
            return Poll::Ready(Err(NetError::Reset));
        }
        let same = pipe.reader.as_ref().is_some_and(|reader| reader.will_wake(waker));
        if !same {
            pipe.reader = Some(waker.clone());
        }
        // `next` never lies behind the reset.
        if let Some(at) = next.at.or(reset_at).filter(|at| *at != Time::NEVER)
            && !(same && pipe.armed == Some(at))
        {
            wake_at(at, waker);
            pipe.armed = Some(at);
        }
        Poll::Pending
    }

    /// `side` was closed. What its peer has sent and nobody will read is answered with a reset, because otherwise the
    /// peer's writer might wait for ever. The reset comes after everything that `side` itself has sent.
    fn reset_unread(&mut self, id: usize, side: usize, now: Time) {
        let Some(conn) = &self.connections[id] else { return };
        let (node, peer) = (conn.sides[side].node, conn.sides[1 - side].node);
        if conn.pipes[1 - side].buffered == 0 || conn.sides[1 - side].reset_at.is_some() || !self.reachable(node, peer)
        {
            return;
        }
        let unread = conn.pipes[1 - side].queue.front().map_or(now, |(arrival, _)| (*arrival).max(now));
        let behind = conn.pipes[side].fin.unwrap_or(Time::ZERO);
        let at = (unread + self.latency(node, peer)).max(behind);
        self.connections[id].as_mut().expect("looked at above").reset(1 - side, at);
    }

    /// Makes the machine of `side` forget the connection: `side` sees a reset now, its peer never learns anything.
    pub(super) fn forget_side(&mut self, id: usize, side: usize, now: Time) {
        let Some(conn) = &mut self.connections[id] else { return };
        let (node, peer) = (conn.sides[side].node, conn.sides[1 - side].node);
        conn.sides[side].state = SideState::Forgotten;
        conn.pipes[side].forget_after(self.links[node][peer].on_the_wire(now));
        conn.pipes[1 - side].forget_all();
        conn.reset(side, now);
        self.leave_queues(id);
    }

    /// Removes the connection from the listeners' queues.
    fn leave_queues(&mut self, id: usize) {
        self.listeners.values_mut().for_each(|listener| listener.waiting.retain(|waiting| *waiting != id));
    }

    /// One half of a side was dropped. `graceful` is the time of a regular close; `None` if the node is dead.
    pub(super) fn drop_half(&mut self, id: usize, side: usize, sender: bool, graceful: Option<Time>) {
        let conn = self.connections[id].as_mut().expect("its half existed");
        conn.sides[side].halves -= 1;
        let closed = conn.sides[side].halves == 0 && conn.sides[side].state == SideState::Open;
        if closed {
            conn.sides[side].state = SideState::Closed;
        }
        // Nobody can announce the end of a forgotten side.
        let graceful = graceful.filter(|_| conn.sides[side].state != SideState::Forgotten);
        if let (true, Some(now)) = (sender, graceful) {
            let (from, to) = (conn.sides[side].node, conn.sides[1 - side].node);
            let last = conn.pipes[side].last_arrival;
            let fin = if self.is_cut(from, to) {
                self.links[from][to].harm.held += 1;
                Time::NEVER
            } else {
                self.arrival(from, to, 0, last, now)
            };
            let pipe = &mut self.connections[id].as_mut().expect("its half existed").pipes[side];
            pipe.fin = Some(fin);
            if let (Some(reader), true) = (&pipe.reader, pipe.queue.is_empty() && fin != Time::NEVER) {
                wake_at(fin, reader);
            }
        }
        if let (true, Some(now)) = (closed, graceful) {
            self.reset_unread(id, side, now);
        }
        let conn = self.connections[id].as_ref().expect("its half existed");
        if conn.sides.iter().all(|side| side.halves == 0) {
            self.connections[id] = None;
            // The number will be used again, so no listener may still hold it.
            self.leave_queues(id);
            self.free.push(id);
        }
    }
}
