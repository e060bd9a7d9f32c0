//! How connections are opened: requests, answers, and listeners with connections that wait to be accepted.
//!
//! Start at [`connect`]. A request and its answer travel like frames, except that a cut loses them for good (NET-N2),
//! and the caller tries again.

use std::collections::VecDeque;
use std::collections::btree_map::Entry;
use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::super::super::{Address, NetError, Port};
use super::super::SimNode;
use super::super::timer::{now, sleep_until};
use super::connection::{Conn, Side, SideState};
use super::ends::{SimReceiver, SimSender, ends};
use super::pipe::Pipe;
use super::{Network, SYN_RETRY};

#[derive(Default)]
pub(super) struct ListenerState {
    pub(super) waiting: VecDeque<usize>,
    waker: Option<Waker>,
}

impl Network {
    /// Whether a connection request gets through; with `back`, whether the answer to one does.
    fn answers(&self, from: usize, to: usize, back: bool) -> bool {
        // A request whose answer cannot come back counts as lost.
        let way = if back { !self.is_cut(to, from) } else { self.reachable(from, to) };
        way && !self.nodes[to].silent
    }

    /// Like [`Network::answers`]; also counts what a cut keeps away, for each cut link.
    fn gets_through(&mut self, from: usize, to: usize, back: bool) -> bool {
        let through = self.answers(from, to, back);
        if !through {
            let ways = if back { vec![(to, from)] } else { vec![(from, to), (to, from)] };
            for (from, to) in ways.into_iter().filter(|(from, to)| self.is_cut(*from, *to)).collect::<Vec<_>>() {
                self.links[from][to].harm.held += 1;
            }
        }
        through
    }

    /// The travel time of a request or answer; `None` if it is lost.
    fn handshake(&mut self, from: usize, to: usize, back: bool) -> Option<Duration> {
        let (sender, receiver) = if back { (to, from) } else { (from, to) };
        self.gets_through(from, to, back).then(|| self.latency(sender, receiver))
    }

    /// A connection request has arrived. Returns `None` if no listener is there, or if requests from other nodes are
    /// refused.
    fn knock(&mut self, from: usize, to: usize, port: Port) -> Option<usize> {
        let refused = self.nodes[to].refusals > 0 && from != to;
        let listens = self.listeners.contains_key(&(to, port));
        self.nodes[to].refused += u64::from(refused && listens);
        if refused || !listens {
            return None;
        }
        let id = self.open(from, to, port);
        let listener = self.listeners.get_mut(&(to, port)).expect("looked at above");
        listener.waiting.push_back(id);
        if let Some(waker) = listener.waker.take() {
            waker.wake();
        }
        Some(id)
    }

    fn open(&mut self, from: usize, to: usize, port: Port) -> usize {
        let side = |node, state, halves| Side { node, state, halves, reset_at: None };
        let mut conn = Conn {
            sides: [side(from, SideState::Open, 2), side(to, SideState::Waiting, 0)],
            pipes: [Pipe::default(), Pipe::default()],
            data: port == Port::Data,
        };
        for side in 0..2 {
            let reader = conn.sides[side].node;
            conn.limit_reading(side, self.nodes[reader].read_rate);
        }
        match self.free.pop() {
            Some(id) => {
                self.connections[id] = Some(conn);
                id
            }
            None => {
                self.connections.push(Some(conn));
                self.connections.len() - 1
            }
        }
    }
}

/// Opens a connection as TCP does: one round trip, tried again while nothing answers, refused if there is no listener.
pub(in super::super) async fn connect(
    node: &SimNode,
    to: &Address,
    timeout: Duration,
) -> Result<(SimSender, SimReceiver), NetError> {
    let (name, port) = match to.0.split_once(':') {
        Some((name, "control")) => (name, Port::Control),
        Some((name, "data")) => (name, Port::Data),
        _ => return Err(NetError::NoAddress(to.clone())),
    };
    let me = node.index;
    let peer = {
        let state = node.world.lock();
        state.network.nodes.iter().position(|n| n.name == name)
    };
    let Some(peer) = peer else { return Err(NetError::NoNode(name.to_owned())) };
    let deadline = now() + timeout;
    let mut retry = SYN_RETRY;
    // What the request has met: a connection, or no listener. The connection is held here, so that a task that is
    // dropped while it waits closes it.
    let mut answer: Option<Option<(SimSender, SimReceiver)>> = None;
    loop {
        let travel = node.world.lock().network.handshake(me, peer, answer.is_some());
        if let Some(travel) = travel {
            sleep_until(deadline.min(now() + travel)).await;
            // NET-N2: the request arrives only if the link is still up.
            let mut state = node.world.lock();
            if now() < deadline && state.network.gets_through(me, peer, answer.is_some()) {
                if let Some(answer) = answer {
                    return answer.ok_or(NetError::Refused);
                }
                let opened = state.network.knock(me, peer, port);
                drop(state);
                answer = Some(opened.map(|id| ends(node.clone(), id, 0)));
                continue;
            }
        }
        if now() + retry >= deadline {
            sleep_until(deadline).await;
            return Err(NetError::TimedOut);
        }
        sleep_until(now() + retry).await;
        retry *= 2;
    }
}

/// An open port of a node.
pub(crate) struct SimListener {
    node: SimNode,
    port: Port,
}

impl SimListener {
    pub(in super::super) fn open(node: SimNode, port: Port) -> Result<Self, NetError> {
        {
            let mut state = node.world.lock();
            let Entry::Vacant(free) = state.network.listeners.entry((node.index, port)) else {
                return Err(NetError::InUse);
            };
            free.insert(ListenerState::default());
        }
        Ok(Self { node, port })
    }

    pub(crate) fn address(&self) -> Address {
        let port = match self.port {
            Port::Control => "control",
            Port::Data => "data",
        };
        let state = self.node.world.lock();
        Address(format!("{}:{port}", state.network.nodes[self.node.index].name))
    }

    pub(crate) async fn accept(&mut self) -> (SimSender, SimReceiver) {
        self.node.only_alive().await;
        let id = poll_fn(|cx| {
            let mut state = self.node.world.lock();
            let network = &mut state.network;
            let Some(listener) = network.listeners.get_mut(&(self.node.index, self.port)) else {
                return Poll::Pending;
            };
            let Some(id) = listener.waiting.pop_front() else {
                listener.waker = Some(cx.waker().clone());
                return Poll::Pending;
            };
            let side =
                &mut network.connections[id].as_mut().expect("removed from the queue with its connection").sides[1];
            side.state = SideState::Open;
            side.halves = 2;
            Poll::Ready(id)
        })
        .await;
        ends(self.node.clone(), id, 1)
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        if self.node.alive.load(Ordering::Relaxed) {
            let mut state = self.node.world.lock();
            let network = &mut state.network;
            let waiting = network.listeners.remove(&(self.node.index, self.port)).unwrap_or_default().waiting;
            for id in waiting {
                if let Some(conn) = &mut network.connections[id] {
                    conn.sides[1].state = SideState::Closed;
                    let (node, peer) = (conn.sides[1].node, conn.sides[0].node);
                    if !network.is_cut(node, peer) && madsim::time::TimeHandle::try_current().is_some() {
                        let at = now() + network.latency(node, peer);
                        network.connections[id].as_mut().expect("looked at above").reset(0, at);
                    }
                }
            }
        }
    }
}
