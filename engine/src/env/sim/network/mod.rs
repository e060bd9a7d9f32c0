//! The simulated network: connections with latency, bandwidth, bounded buffers, cuts, resets, silence and other faults.
//!
//! A frame is queued with its arrival time, and the receiver's task is woken then, so the network needs no tasks of
//! its own. A writer waits while its connection holds more than the send buffer. The buffer is freed when the receiver
//! *reads*, which gives real back-pressure. A killed process resets its connections, a lost machine is silent, and a
//! cut link is silent until it heals and then continues. Start at [`Network::poll_send`] and [`Network::poll_receive`]
//! in `connection.rs`. `ends.rs` has the ends that the engine holds, `handshake.rs` opens connections, `link.rs` is
//! the link between two nodes, `faults.rs` has the faults.
//!
//! Invariants: (NET-N1) frames of one direction arrive in order, each at most once, except those that a rule about
//! control messages hurt: delayed ones are overtaken, duplicated ones arrive twice; (NET-N2) nothing crosses a cut
//! link that had not arrived before the cut, resets and handshakes included; (NET-N3) what a node had not got onto the
//! wire when it died, or lost its end of the connection, never arrives, and nothing arrives behind a reset.
//! Simplified: the news that a receiver has read travels at once, unless its way is cut; connections that send again
//! after a heal do not compete for the link's bandwidth.

use std::collections::btree_map::BTreeMap;
use std::time::Duration;

use super::super::Port;
use super::harm::LinkHarm;
use super::{Contents, Weights};
use crate::fault::Death;
use crate::time::Time;

mod connection;
mod ends;
mod faults;
mod handshake;
mod link;
mod message;
mod pipe;

pub(crate) use ends::{SimReceiver, SimSender};
pub(crate) use handshake::SimListener;
pub(super) use handshake::connect;
pub use link::LinkConfig;

use connection::{Conn, SideState};
use handshake::ListenerState;
use link::Link;
use message::MessageRules;

/// One-way latency of a node to itself.
const LOOPBACK_LATENCY: Duration = Duration::from_micros(10);
/// Longest pause before a sender whose peer was unreachable tries again (TCP's retransmission back-off).
const RETRANSMIT_MAX: Duration = Duration::from_secs(3);
/// First pause of a connection attempt that got no answer; later pauses double (TCP's SYN retries).
const SYN_RETRY: Duration = Duration::from_secs(1);

/// Totals of what the network has delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NetworkTotals {
    /// Number of frames that receivers have read.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Hash over every frame's connection, time and length, and over the contents of frames with records. Of control
    /// frames only the length counts: they carry hashes of RocksDB files, whose bytes differ between runs.
    pub digest: u64,
}

pub(super) struct Network {
    seed: u64,
    config: LinkConfig,
    weights: Weights,
    contents: &'static dyn Contents,
    nodes: Vec<NodeState>,
    /// `links[from][to]`.
    links: Vec<Vec<Link>>,
    connections: Vec<Option<Conn>>,
    free: Vec<usize>,
    listeners: BTreeMap<(usize, Port), ListenerState>,
    messages: MessageRules,
    totals: NetworkTotals,
}

struct NodeState {
    name: String,
    up: bool,
    /// Whether the machine is gone, so that nothing answers for the node.
    silent: bool,
    /// While this is not zero, connection requests of other nodes are refused.
    refusals: u32,
    /// Number of requests that were refused because of `refusals`.
    refused: u64,
    /// Bytes per second that the node reads from each data connection; `None`: everything that has arrived, at once.
    read_rate: Option<u64>,
    /// Number of frames that were read late because of `read_rate`.
    read_late: u64,
}

impl Network {
    pub(super) fn new(seed: u64, config: LinkConfig, weights: Weights, contents: &'static dyn Contents) -> Self {
        Self {
            seed,
            config,
            weights,
            contents,
            nodes: Vec::new(),
            links: Vec::new(),
            connections: Vec::new(),
            free: Vec::new(),
            listeners: BTreeMap::new(),
            messages: MessageRules::default(),
            totals: NetworkTotals::default(),
        }
    }

    /// From now on latencies and TCP's retry pauses are drawn from other streams.
    pub(super) fn redraw_latencies(&mut self, seed: u64) {
        self.seed = seed;
    }

    pub(super) fn totals(&self) -> NetworkTotals {
        self.totals
    }

    /// For each node, in the order of addition, the bytes of records that were sent to it and not read.
    pub(super) fn unread_records(&self) -> Vec<u64> {
        let mut unread = vec![0; self.nodes.len()];
        for conn in self.connections.iter().flatten().filter(|conn| conn.data) {
            for (sender, pipe) in conn.pipes.iter().enumerate() {
                // Bytes that were read behind a cut still count as buffered, because their acknowledgement cannot
                // travel.
                unread[conn.sides[1 - sender].node] += pipe.buffered.saturating_sub(pipe.unacknowledged);
            }
        }
        unread
    }

    pub(super) fn link_harm(&self, from: usize, to: usize) -> LinkHarm {
        self.links[from][to].harm
    }

    pub(super) fn refused(&self, node: usize) -> u64 {
        self.nodes[node].refused
    }

    pub(super) fn read_late(&self, node: usize) -> u64 {
        self.nodes[node].read_late
    }

    /// Number of connections with a half that is still held.
    #[cfg(test)]
    pub(super) fn open_connections(&self) -> usize {
        self.connections.iter().flatten().count()
    }

    #[cfg(test)]
    pub(super) fn has_listener(&self, node: &str) -> bool {
        self.listeners.keys().any(|(owner, _)| self.nodes[*owner].name == node)
    }

    pub(super) fn add_node(&mut self, name: &str) {
        self.nodes.push(NodeState {
            name: name.into(),
            up: false,
            silent: false,
            refusals: 0,
            refused: 0,
            read_rate: None,
            read_late: 0,
        });
        let link = Link::new(self.config);
        self.links.iter_mut().for_each(|row| row.push(link.clone()));
        self.links.push(vec![link; self.nodes.len()]);
    }

    pub(super) fn node_started(&mut self, node: usize, now: Time) {
        self.nodes[node].up = true;
        self.nodes[node].silent = false;
        // Peers of the node's former life learn of its death when a retransmission is answered with a reset.
        for id in 0..self.connections.len() {
            let Some(side) = self.side_of(id, node, SideState::Dead) else { continue };
            self.reset_if_peer_sends(id, 1 - side, now);
        }
    }

    pub(super) fn node_died(&mut self, node: usize, death: Death, now: Time) {
        self.nodes[node].up = false;
        self.nodes[node].silent = death == Death::MachineLoss;
        self.listeners.retain(|(owner, _), _| *owner != node);
        for id in 0..self.connections.len() {
            for side in 0..2 {
                let Some(conn) = &mut self.connections[id] else { continue };
                // A side that was forgotten already stays silent.
                if conn.sides[side].node != node
                    || matches!(conn.sides[side].state, SideState::Dead | SideState::Forgotten)
                {
                    continue;
                }
                // A connection that the process had closed in good order is finished by its machine.
                if death == Death::Crash && conn.sides[side].state == SideState::Closed {
                    continue;
                }
                conn.sides[side].state = SideState::Dead;
                let peer = conn.sides[1 - side].node;
                conn.pipes[side].forget_after(self.links[node][peer].on_the_wire(now));
                if death == Death::Crash && self.is_cut(node, peer) {
                    self.links[node][peer].harm.held += 1;
                } else if death == Death::Crash {
                    let at = now + self.latency(node, peer);
                    self.connections[id].as_mut().expect("looked at above").reset(1 - side, at);
                }
            }
        }
    }
}
