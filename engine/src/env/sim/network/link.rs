//! The link between two nodes, in one direction: latency, bandwidth, and whether it is cut.
//!
//! Start at [`Network::arrival`], which computes every frame's arrival time. A cut removes nothing from the queues;
//! what had not arrived is not readable while the cut lasts (NET-N2), and [`Network::heal`] sets new arrival times.

use std::time::Duration;

use super::super::super::{draw, draw_between};
use super::super::harm::LinkHarm;
use super::super::timer::wake_at;
use super::connection::SideState;
use super::{LOOPBACK_LATENCY, Network, RETRANSMIT_MAX};
use crate::time::{Time, nanos};

/// Properties of every directed link, unless a fault changes them.
#[derive(Debug, Clone, Copy)]
pub struct LinkConfig {
    /// One-way latency, drawn uniformly per frame from this range.
    pub latency: (Duration, Duration),
    /// Bandwidth in bytes per second, for each direction.
    pub bandwidth: u64,
    /// Bytes that one direction of a connection holds before its writer waits; a single frame always fits.
    pub send_buffer: u64,
}

#[derive(Clone)]
pub(super) struct Link {
    /// Range of the one-way latency.
    latency: (Duration, Duration),
    /// Bytes per second.
    bandwidth: u64,
    pub(super) cuts: u32,
    pub(super) cut_since: Time,
    busy_until: Time,
    draws: u64,
    pub(super) harm: LinkHarm,
}

impl Link {
    pub(super) fn new(config: LinkConfig) -> Self {
        Self {
            latency: config.latency,
            bandwidth: config.bandwidth,
            cuts: 0,
            cut_since: Time::ZERO,
            busy_until: Time::ZERO,
            draws: 0,
            harm: LinkHarm::default(),
        }
    }

    /// The latest possible arrival of a frame that is on the wire at `now`; a frame with a later arrival is not on the
    /// wire, or is lost on it.
    pub(super) fn on_the_wire(&self, now: Time) -> Time {
        if self.cuts > 0 { self.cut_since } else { now + self.latency.1.max(LOOPBACK_LATENCY) }
    }
}

impl Network {
    pub(super) fn latency(&mut self, from: usize, to: usize) -> Duration {
        if from == to {
            return LOOPBACK_LATENCY;
        }
        let link = &mut self.links[from][to];
        link.draws += 1;
        let drawn = draw(self.seed, "latency", (from as u64) << 32 | to as u64, link.draws);
        let between = |(low, high): (Duration, Duration)| draw_between(drawn, nanos(low), nanos(high));
        let latency = between(link.latency);
        if link.latency != self.config.latency && latency != between(self.config.latency) {
            link.harm.latency += 1;
        }
        Duration::from_nanos(latency)
    }

    pub(super) fn round_trip(&mut self, a: usize, b: usize) -> Duration {
        self.latency(a, b) + self.latency(b, a)
    }

    pub(super) fn is_cut(&self, from: usize, to: usize) -> bool {
        self.links[from][to].cuts > 0
    }

    pub(super) fn reachable(&self, a: usize, b: usize) -> bool {
        !self.is_cut(a, b) && !self.is_cut(b, a)
    }

    /// The arrival time of `bytes` that are sent now; respects the link's bandwidth and the connection's order
    /// (NET-N1).
    pub(super) fn arrival(&mut self, from: usize, to: usize, bytes: u64, last: Time, now: Time) -> Time {
        let latency = self.latency(from, to);
        let link = &mut self.links[from][to];
        let transfer = |bandwidth: u64| u128::from(bytes) * 1_000_000_000 / u128::from(bandwidth.max(1));
        let takes = transfer(link.bandwidth);
        if link.bandwidth != self.config.bandwidth && takes != transfer(self.config.bandwidth) {
            link.harm.bandwidth += 1;
        }
        link.busy_until = link.busy_until.max(now) + Duration::from_nanos(takes as u64);
        (link.busy_until + latency).max(last)
    }

    /// Sets other properties of a link; `None` means the cluster's own value. Frames on the wire keep their arrival
    /// time, frames that wait for the wire are sent at the new bandwidth.
    pub(super) fn set_link(
        &mut self,
        from: usize,
        to: usize,
        latency: Option<(Duration, Duration)>,
        bandwidth: Option<u64>,
        now: Time,
    ) {
        let link = &mut self.links[from][to];
        let (before, wire) = (link.bandwidth.max(1), now + link.latency.1);
        link.latency = latency.unwrap_or(self.config.latency);
        link.bandwidth = bandwidth.unwrap_or(self.config.bandwidth);
        let after = link.bandwidth.max(1);
        if before == after {
            return;
        }
        let scaled = |at: Time, from: Time| match at {
            Time::NEVER => at,
            _ if at <= from => at,
            _ => {
                let wait = u128::from(nanos(at.since(from))) * u128::from(before) / u128::from(after);
                from + Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX))
            }
        };
        link.busy_until = scaled(link.busy_until, now);
        let mut moved = 0;
        for conn in self.connections.iter_mut().flatten() {
            let Some(sender) = conn.sender_over(from, to) else { continue };
            let fin = conn.pipes[sender].fin;
            moved += conn.pipes[sender].retime(|at| scaled(at, wire));
            // A reset behind the last frames must stay behind them, or they would be lost (NET-N3).
            let reset_at = &mut conn.sides[1 - sender].reset_at;
            if let (Some(reset), Some(fin)) = (*reset_at, fin.filter(|fin| reset_at.is_some_and(|reset| reset >= *fin)))
            {
                *reset_at = Some(reset.max(scaled(fin, wire)));
            }
        }
        // Healing does not count as harm.
        if bandwidth.is_some() {
            self.links[from][to].harm.bandwidth += moved;
        }
    }

    /// A reset that a side has not seen yet is lost if the reset, or the frame that provokes it, still has to cross
    /// the link.
    fn lose_resets(&mut self, from: usize, to: usize, now: Time) {
        let on_its_way = now + self.links[to][from].latency.1;
        let mut lost = 0;
        for conn in self.connections.iter_mut().flatten() {
            let nodes = [conn.sides[0].node, conn.sides[1].node];
            for (side, own) in conn.sides.iter_mut().enumerate() {
                let peer = nodes[1 - side];
                let crosses = own.reset_at.is_some_and(|at| at > now) && (peer, own.node) == (from, to);
                let unprovoked = own.reset_at.is_some_and(|at| at > on_its_way) && (own.node, peer) == (from, to);
                if crosses || unprovoked {
                    own.reset_at = None;
                    lost += 1;
                }
            }
        }
        self.links[from][to].harm.held += lost;
    }

    /// Number of frames that have not arrived over a link by `by`.
    fn under_way(&self, from: usize, to: usize, by: Time) -> u64 {
        let connections = self.connections.iter().flatten();
        let pipes = connections.filter_map(|conn| Some(&conn.pipes[conn.sender_over(from, to)?]));
        pipes.map(|pipe| pipe.behind(by)).sum()
    }

    pub(in super::super) fn cut(&mut self, from: usize, to: usize, now: Time) {
        let link = &self.links[from][to];
        let arrived_by = if link.cuts > 0 { link.cut_since } else { now };
        let held = self.under_way(from, to, arrived_by);
        let link = &mut self.links[from][to];
        link.harm.held += held;
        link.cuts += 1;
        if link.cuts == 1 {
            link.cut_since = now;
            self.lose_resets(from, to, now);
        }
    }

    pub(in super::super) fn heal(&mut self, from: usize, to: usize, now: Time) {
        let link = &mut self.links[from][to];
        link.cuts = link.cuts.saturating_sub(1);
        if link.cuts > 0 {
            return;
        }
        let since = link.cut_since;
        let outage = nanos(now.since(since));
        for id in 0..self.connections.len() {
            let Some(conn) = &self.connections[id] else { continue };
            let Some(sender) = conn.sender_over(from, to) else { continue };
            // The longer the outage, the longer are TCP's pauses between retransmissions.
            let most = (outage / 2).min(nanos(RETRANSMIT_MAX));
            let wait = draw_between(draw(self.seed, "retransmit", id as u64, now.0), 0, most);
            self.resume(id, sender, since, now + Duration::from_nanos(wait));
            // Bytes that were read, but whose acknowledgement could not cross this link.
            let conn = self.connections[id].as_mut().expect("looked at above");
            let back = &mut conn.pipes[1 - sender];
            back.buffered -= std::mem::take(&mut back.unacknowledged);
            if let Some(writer) = back.writer.take() {
                writer.wake();
            }
            for side in 0..2 {
                if self.peer_answers_with_reset(id, side) {
                    self.reset_if_peer_sends(id, side, now);
                }
            }
        }
    }

    /// Sends again, from `at` on, what had not arrived when the link was cut at `since`.
    fn resume(&mut self, id: usize, sender: usize, since: Time, at: Time) {
        let Some(conn) = &mut self.connections[id] else { return };
        let (from, to) = (conn.sides[sender].node, conn.sides[1 - sender].node);
        let (weights, data) = (self.weights, conn.data);
        let pipe = &mut conn.pipes[sender];
        if matches!(conn.sides[sender].state, SideState::Dead | SideState::Forgotten) {
            // The sender is gone, so nobody sends it again (NET-N3).
            return pipe.forget_after(since);
        }
        // The link's queue is restored afterwards: while this connection waits and retransmits, others may use the
        // link.
        let busy_until = self.links[from][to].busy_until;
        let mut queue = std::mem::take(&mut pipe.queue);
        let mut last = queue.iter().map(|(arrival, _)| *arrival).filter(|a| *a <= since).max().unwrap_or(Time::ZERO);
        let fin = pipe.fin.filter(|fin| *fin > since);
        let delayed = pipe.impairment.as_ref().is_some_and(|impairment| !impairment.late.is_empty());
        for (arrival, bytes) in &mut queue {
            if *arrival > since {
                *arrival = self.arrival(from, to, weights.frame(data, bytes), last, at);
                last = *arrival;
            }
        }
        let fin = fin.map(|_| self.arrival(from, to, 0, last, at));
        let earliest = if delayed { at + self.latency(from, to) } else { at };
        self.links[from][to].busy_until = busy_until;
        let pipe = &mut self.connections[id].as_mut().expect("looked at above").pipes[sender];
        pipe.queue = queue;
        pipe.last_arrival = pipe.last_arrival.max(last);
        pipe.fin = fin.or(pipe.fin);
        pipe.armed = None;
        if let Some(impairment) = &mut pipe.impairment {
            impairment.late.iter_mut().filter(|(at, _)| *at > since).for_each(|(at, _)| *at = (*at).max(earliest));
        }
        if let (Some(next), Some(reader)) = (pipe.next(Time::NEVER).at, &pipe.reader) {
            wake_at(next, reader);
        }
    }
}
