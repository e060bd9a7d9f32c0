//! Faults of the network, as methods of the world; cuts are beside deaths in `sim/mod.rs`.
//!
//! A node's connections to itself are not affected, except that a node that reads slowly reads everything slowly. An
//! unknown node has no links and no connections, so faults do nothing to it.
//!
//! Links, refusals and limits belong to machines: they outlive the death of a process and apply to its next life.
//! Tearing concerns only existing connections: connections that are opened later work.

use std::time::Duration;

use super::super::timer::now;
use super::super::{SimWorld, State};
use super::Network;
use crate::fault::MessageRule;
use crate::time::Time;

impl SimWorld {
    /// Sets other properties of a link in one direction; `None` means the cluster's own value, so two `None`s heal the
    /// link. Frames that are on the wire keep their arrival time, frames in a send buffer are sent at the new
    /// bandwidth. Frames stay in order.
    pub fn set_link(&self, from: &str, to: &str, latency: Option<(Duration, Duration)>, bandwidth: Option<u64>) {
        let now = now();
        let mut state = self.lock();
        if let Some((from, to)) = state.link(from, to) {
            state.network.set_link(from, to, latency, bandwidth, now);
        }
    }

    /// Tears down connections of `node` at both ends, at once and through every cut, as if both machines had done it.
    /// With `peer` only connections with that node are torn; with `one` only the first by number. Returns how many
    /// were torn.
    pub fn reset_connections(&self, node: &str, peer: Option<&str>, one: bool) -> usize {
        let now = now();
        let mut state = self.lock();
        let Some(node) = state.index_of(node) else { return 0 };
        let peer = peer.map(|peer| state.index_of(peer));
        if peer == Some(None) {
            return 0;
        }
        state.network.reset_connections(node, peer.flatten(), one, now)
    }

    /// Sets whether new connections to `node` are refused. Refusals add up, as cuts do.
    pub fn refuse(&self, node: &str, refused: bool) {
        let mut state = self.lock();
        if let Some(node) = state.index_of(node) {
            let refusals = &mut state.network.nodes[node].refusals;
            *refusals = if refused { *refusals + 1 } else { refusals.saturating_sub(1) };
        }
    }

    /// Makes `node` lose its end of all connections with `peer`, without telling `peer`: the peer's reads hang, and
    /// its writes vanish until its send buffer is full. Returns how many connections were affected.
    pub fn half_open(&self, node: &str, peer: &str) -> usize {
        let now = now();
        let mut state = self.lock();
        let Some((node, peer)) = state.link(node, peer) else { return 0 };
        state.network.half_open(node, peer, now)
    }

    /// From now on the rule hurts control messages, at most `count` of them. Returns the rule's number.
    pub fn add_message_rule(&self, rule: MessageRule) -> usize {
        self.lock().network.messages.add(rule)
    }

    /// Withdraws a rule about control messages, unless its count has ended it. Messages that it has delayed still
    /// arrive when they are due.
    pub fn end_message_rule(&self, rule: usize) {
        self.lock().network.messages.end(rule);
    }

    /// How often a rule was applied, and the last time.
    pub fn message_rule_hits(&self, rule: usize) -> (u32, Option<Time>) {
        self.lock().network.messages.hits(rule)
    }

    /// Limits how fast a node reads from each of its data connections, in bytes per second; `None` removes the limit.
    /// After each frame the node reads nothing for as long as the frame's bytes take at that rate.
    pub fn limit_receiver(&self, node: &str, rate: Option<u64>) {
        let mut state = self.lock();
        if let Some(node) = state.index_of(node) {
            state.network.limit_receiver(node, rate);
        }
    }
}

impl State {
    /// The indices of two different nodes.
    fn link(&self, from: &str, to: &str) -> Option<(usize, usize)> {
        let (from, to) = (self.index_of(from)?, self.index_of(to)?);
        (from != to).then_some((from, to))
    }
}

impl Network {
    fn reset_connections(&mut self, node: usize, peer: Option<usize>, one: bool, now: Time) -> usize {
        let mut torn = 0;
        for id in 0..self.connections.len() {
            let Some(conn) = &self.connections[id] else { continue };
            let nodes = [conn.sides[0].node, conn.sides[1].node];
            let concerned = nodes[0] != nodes[1]
                && nodes.contains(&node)
                && peer.is_none_or(|peer| peer != node && nodes.contains(&peer));
            let living = [0, 1].map(|side: usize| concerned && conn.sides[side].lives(now));
            (0..2).filter(|side| living[*side]).for_each(|side| self.forget_side(id, side, now));
            torn += usize::from(living.contains(&true));
            if one && torn == 1 {
                break;
            }
        }
        torn
    }

    fn half_open(&mut self, node: usize, peer: usize, now: Time) -> usize {
        let mut torn = 0;
        for id in 0..self.connections.len() {
            let Some(conn) = &self.connections[id] else { continue };
            let Some(side) = conn.sender_over(node, peer) else { continue };
            if conn.sides[side].lives(now) {
                self.forget_side(id, side, now);
                torn += 1;
            }
        }
        torn
    }

    fn limit_receiver(&mut self, node: usize, rate: Option<u64>) {
        self.nodes[node].read_rate = rate;
        for conn in self.connections.iter_mut().flatten() {
            for side in 0..2 {
                if conn.sides[side].node == node {
                    conn.limit_reading(side, rate);
                }
            }
        }
    }
}
