//! The simulated network: connections with latency, bandwidth, bounded buffers, cuts, resets and silence.
//!
//! A frame is queued with its time of arrival; the receiver's task is woken then, so no task of the network's own exists.
//! A writer waits while its connection holds more than the send buffer, which frees when the receiver *reads*: real
//! back-pressure. A killed process resets its connections, a lost machine is silent, a cut link is silent and resumes on
//! heal. Start at [`Network::poll_send`] and [`Network::poll_receive`]; the types below them are the ends that the engine
//! holds.
//!
//! Invariants: (N1) frames of one direction arrive in order, each at most once; (N2) nothing crosses a cut link that had
//! not arrived before the cut, resets and handshakes included; (N3) what a node had not got onto the wire when it died never
//! arrives, and nothing arrives behind a reset.
//! Simplified: the news that a receiver has read travels at once, unless its way is cut; connections that send again after
//! a heal do not compete for the link's bandwidth.

use std::collections::VecDeque;
use std::collections::btree_map::{BTreeMap, Entry};
use std::future::poll_fn;
use std::task::{Poll, Waker};
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::super::{Address, Frame, NetError, Port, draw, draw_between};
use super::timer::{now, sleep_until, wake_at};
use super::{Death, SimNode};
use crate::time::{Time, nanos};

/// One-way latency of a node to itself.
const LOOPBACK_LATENCY: Duration = Duration::from_micros(10);
/// A sender whose peer was unreachable tries again at the latest after this long (TCP's retransmission back-off).
const RETRANSMIT_MAX: Duration = Duration::from_secs(3);
/// First and following waits of a connection attempt that got no answer (TCP's SYN retries, doubling).
const SYN_RETRY: Duration = Duration::from_secs(1);

/// Properties that every directed link has.
#[derive(Debug, Clone, Copy)]
pub struct LinkConfig {
    /// One-way latency, drawn uniformly per frame from this range.
    pub latency: (Duration, Duration),
    /// Bytes per second and direction.
    pub bandwidth: u64,
    /// Bytes that one direction of a connection holds before its writer waits; one frame always fits.
    pub send_buffer: u64,
}

/// What the network has delivered so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NetworkTotals {
    /// Frames read by receivers.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Over every frame's connection, time and length, and the contents of frames with records. Control frames count by
    /// length only: they carry hashes of RocksDB files, whose bytes differ between runs.
    pub digest: u64,
}

pub(super) struct Network {
    seed: u64,
    config: LinkConfig,
    nodes: Vec<NodeState>,
    /// `links[from][to]`.
    links: Vec<Vec<Link>>,
    connections: Vec<Option<Conn>>,
    free: Vec<usize>,
    listeners: BTreeMap<(usize, Port), ListenerState>,
    totals: NetworkTotals,
}

struct NodeState {
    name: String,
    up: bool,
    /// Down and silent: the machine is gone, so nothing answers for it.
    silent: bool,
}

#[derive(Default, Clone)]
struct Link {
    cuts: u32,
    cut_since: Time,
    busy_until: Time,
    draws: u64,
}

#[derive(Default)]
struct ListenerState {
    waiting: VecDeque<usize>,
    waker: Option<Waker>,
}

/// `Waiting` -accept-> `Open` -both halves dropped-> `Closed`; any -node died-> `Dead`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SideState {
    /// In the listener's queue.
    Waiting,
    Open,
    Closed,
    Dead,
}

struct Side {
    node: usize,
    state: SideState,
    halves: u8,
    /// When this side learns that the connection is no more.
    reset_at: Option<Time>,
}

#[derive(Default)]
struct Pipe {
    queue: VecDeque<(Time, Frame)>,
    /// Bytes sent and not known to be read.
    buffered: u64,
    /// Bytes read, but the news could not travel.
    unacknowledged: u64,
    fin: Option<Time>,
    last_arrival: Time,
    reader: Option<Waker>,
    armed: Option<Time>,
    writer: Option<Waker>,
}

impl Pipe {
    /// What would arrive later never does (N3).
    fn forget_after(&mut self, last: Time) {
        self.queue.retain(|(arrival, _)| *arrival <= last);
        self.fin = self.fin.filter(|fin| *fin <= last);
    }
}

struct Conn {
    sides: [Side; 2],
    /// `pipes[i]` carries what side `i` sends.
    pipes: [Pipe; 2],
    /// Carries records, whose contents enter the digest.
    data: bool,
}

impl Conn {
    fn wake_side(&mut self, side: usize, at: Time) {
        let reader = self.pipes[1 - side].reader.iter();
        let writer = self.pipes[side].writer.iter();
        reader.chain(writer).for_each(|waker| wake_at(at, waker));
    }

    fn reset(&mut self, side: usize, at: Time) {
        let at = self.sides[side].reset_at.map_or(at, |earlier| earlier.min(at));
        self.sides[side].reset_at = Some(at);
        self.wake_side(side, at);
    }
}

impl Network {
    pub(super) fn new(seed: u64, config: LinkConfig) -> Self {
        Self {
            seed,
            config,
            nodes: Vec::new(),
            links: Vec::new(),
            connections: Vec::new(),
            free: Vec::new(),
            listeners: BTreeMap::new(),
            totals: NetworkTotals::default(),
        }
    }

    pub(super) fn totals(&self) -> NetworkTotals {
        self.totals
    }

    /// Connections of which some half is still held.
    #[cfg(test)]
    pub(super) fn open_connections(&self) -> usize {
        self.connections.iter().flatten().count()
    }

    #[cfg(test)]
    pub(super) fn has_listener(&self, node: &str) -> bool {
        self.listeners.keys().any(|(owner, _)| self.nodes[*owner].name == node)
    }

    pub(super) fn add_node(&mut self, name: &str) {
        self.nodes.push(NodeState { name: name.into(), up: false, silent: false });
        self.links.iter_mut().for_each(|row| row.push(Link::default()));
        self.links.push(vec![Link::default(); self.nodes.len()]);
    }

    fn latency(&mut self, from: usize, to: usize) -> Duration {
        if from == to {
            return LOOPBACK_LATENCY;
        }
        let link = &mut self.links[from][to];
        link.draws += 1;
        let drawn = draw(self.seed, "latency", (from as u64) << 32 | to as u64, link.draws);
        let (low, high) = self.config.latency;
        Duration::from_nanos(draw_between(drawn, nanos(low), nanos(high)))
    }

    fn round_trip(&mut self, a: usize, b: usize) -> Duration {
        self.latency(a, b) + self.latency(b, a)
    }

    fn is_cut(&self, from: usize, to: usize) -> bool {
        self.links[from][to].cuts > 0
    }

    fn reachable(&self, a: usize, b: usize) -> bool {
        !self.is_cut(a, b) && !self.is_cut(b, a)
    }

    /// When `bytes` sent now arrive; keeps the link's bandwidth and the connection's order (N1).
    fn arrival(&mut self, from: usize, to: usize, bytes: usize, last: Time, now: Time) -> Time {
        let latency = self.latency(from, to);
        let transfer = u128::from(bytes as u64) * 1_000_000_000 / u128::from(self.config.bandwidth.max(1));
        let link = &mut self.links[from][to];
        link.busy_until = link.busy_until.max(now) + Duration::from_nanos(transfer as u64);
        (link.busy_until + latency).max(last)
    }

    /// A reset that `side` has not felt yet is lost if it must still cross the link, or if a frame that would provoke it must.
    fn lose_resets(&mut self, from: usize, to: usize, now: Time) {
        let on_its_way = now + self.config.latency.1;
        for conn in self.connections.iter_mut().flatten() {
            let nodes = [conn.sides[0].node, conn.sides[1].node];
            for (side, own) in conn.sides.iter_mut().enumerate() {
                let peer = nodes[1 - side];
                let crosses = own.reset_at.is_some_and(|at| at > now) && (peer, own.node) == (from, to);
                let unprovoked = own.reset_at.is_some_and(|at| at > on_its_way) && (own.node, peer) == (from, to);
                if crosses || unprovoked {
                    own.reset_at = None;
                }
            }
        }
    }

    pub(super) fn node_started(&mut self, node: usize, now: Time) {
        self.nodes[node].up = true;
        self.nodes[node].silent = false;
        // Peers of its former life learn the truth when a retransmission of theirs is answered with a reset.
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
                if conn.sides[side].node != node || conn.sides[side].state == SideState::Dead {
                    continue;
                }
                // What a process closed in good order is its machine's business.
                if death == Death::Crash && conn.sides[side].state == SideState::Closed {
                    continue;
                }
                conn.sides[side].state = SideState::Dead;
                let peer = conn.sides[1 - side].node;
                let link = &self.links[node][peer];
                let wire =
                    if link.cuts > 0 { link.cut_since } else { now + self.config.latency.1.max(LOOPBACK_LATENCY) };
                conn.pipes[side].forget_after(wire);
                if death == Death::Crash && !self.is_cut(node, peer) {
                    let at = now + self.latency(node, peer);
                    self.connections[id].as_mut().expect("looked at above").reset(1 - side, at);
                }
            }
        }
    }

    fn side_of(&self, id: usize, node: usize, state: SideState) -> Option<usize> {
        let conn = self.connections[id].as_ref()?;
        (0..2).find(|side| conn.sides[*side].node == node && conn.sides[*side].state == state)
    }

    /// The peer of `side` is gone, but its machine answers: unacknowledged bytes are sent again and meet a reset.
    fn reset_if_peer_sends(&mut self, id: usize, side: usize, now: Time) {
        let Some(conn) = &self.connections[id] else { return };
        let (node, peer) = (conn.sides[side].node, conn.sides[1 - side].node);
        if conn.sides[side].reset_at.is_some() || conn.pipes[side].buffered == 0 || !self.reachable(node, peer) {
            return;
        }
        let wait = draw_between(draw(self.seed, "retransmit", id as u64, now.0), 0, nanos(RETRANSMIT_MAX));
        let at = now + Duration::from_nanos(wait) + self.round_trip(node, peer);
        self.connections[id].as_mut().expect("looked at above").reset(side, at);
    }

    pub(super) fn cut(&mut self, from: usize, to: usize, now: Time) {
        let link = &mut self.links[from][to];
        link.cuts += 1;
        if link.cuts == 1 {
            link.cut_since = now;
            self.lose_resets(from, to, now);
        }
    }

    pub(super) fn heal(&mut self, from: usize, to: usize, now: Time) {
        let link = &mut self.links[from][to];
        link.cuts = link.cuts.saturating_sub(1);
        if link.cuts > 0 {
            return;
        }
        let since = link.cut_since;
        let outage = nanos(now.since(since));
        for id in 0..self.connections.len() {
            let Some(conn) = &self.connections[id] else { continue };
            let Some(sender) = (0..2).find(|s| conn.sides[*s].node == from && conn.sides[1 - *s].node == to) else {
                continue;
            };
            // The longer the outage, the longer TCP has learnt to wait between its attempts.
            let most = (outage / 2).min(nanos(RETRANSMIT_MAX));
            let wait = draw_between(draw(self.seed, "retransmit", id as u64, now.0), 0, most);
            self.resume(id, sender, since, now + Duration::from_nanos(wait));
            // Reads whose news could not travel back over this link.
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

    /// Whether a frame from `side` would be answered with a reset: nobody is there, but the machine is.
    fn peer_answers_with_reset(&self, id: usize, side: usize) -> bool {
        let Some(conn) = &self.connections[id] else { return false };
        let peer = &conn.sides[1 - side];
        matches!(peer.state, SideState::Closed | SideState::Dead) && !self.nodes[peer.node].silent
    }

    /// Sends again, from `at` on, what had not arrived when the link was cut at `since`.
    fn resume(&mut self, id: usize, sender: usize, since: Time, at: Time) {
        let Some(conn) = &mut self.connections[id] else { return };
        let (from, to) = (conn.sides[sender].node, conn.sides[1 - sender].node);
        let pipe = &mut conn.pipes[sender];
        if conn.sides[sender].state == SideState::Dead {
            // Nobody is left to send it again (N3).
            return pipe.forget_after(since);
        }
        // While this connection waits and sends again, others may use the link.
        let busy_until = self.links[from][to].busy_until;
        let mut queue = std::mem::take(&mut pipe.queue);
        let mut last = queue.iter().map(|(arrival, _)| *arrival).filter(|a| *a <= since).max().unwrap_or(Time::ZERO);
        let fin = pipe.fin.filter(|fin| *fin > since);
        for (arrival, bytes) in &mut queue {
            if *arrival > since {
                *arrival = self.arrival(from, to, bytes.len(), last, at);
                last = *arrival;
            }
        }
        let fin = fin.map(|_| self.arrival(from, to, 0, last, at));
        self.links[from][to].busy_until = busy_until;
        let pipe = &mut self.connections[id].as_mut().expect("looked at above").pipes[sender];
        pipe.queue = queue;
        pipe.last_arrival = pipe.last_arrival.max(last);
        pipe.fin = fin.or(pipe.fin);
        pipe.armed = None;
        if let (Some(next), Some(reader)) = (pipe.queue.front().map(|(a, _)| *a).or(pipe.fin), &pipe.reader) {
            wake_at(next, reader);
        }
    }

    fn poll_send(
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
        let pipe = &mut conn.pipes[side];
        let length = frame.len() as u64;
        if pipe.buffered > 0 && pipe.buffered + length > self.config.send_buffer {
            pipe.writer = Some(waker.clone());
            if let Some(at) = conn.sides[side].reset_at {
                wake_at(at, waker);
            }
            return Poll::Pending;
        }
        pipe.buffered += length;
        let last = pipe.last_arrival;
        let (from, to) = (conn.sides[side].node, conn.sides[1 - side].node);
        if matches!(conn.sides[1 - side].state, SideState::Closed | SideState::Dead) {
            if self.peer_answers_with_reset(id, side) && self.reachable(from, to) {
                let at = now + self.round_trip(from, to);
                self.connections[id].as_mut().expect("held by its sender").reset(side, at);
            }
            return Poll::Ready(Ok(()));
        }
        // Behind a cut nothing has a time of arrival yet; healing gives it one.
        let arrival = if self.is_cut(from, to) { Time::NEVER } else { self.arrival(from, to, frame.len(), last, now) };
        let pipe = &mut self.connections[id].as_mut().expect("held by its sender").pipes[side];
        if arrival != Time::NEVER {
            pipe.last_arrival = arrival;
        }
        pipe.queue.push_back((arrival, frame.clone()));
        if pipe.queue.len() == 1
            && arrival != Time::NEVER
            && let Some(reader) = &pipe.reader
        {
            wake_at(arrival, reader);
            pipe.armed = Some(arrival);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_receive(&mut self, id: usize, side: usize, now: Time, waker: &Waker) -> Poll<Result<Frame, NetError>> {
        let conn = self.connections[id].as_mut().expect("held by its receiver");
        let (from, to) = (conn.sides[1 - side].node, conn.sides[side].node);
        let link = &self.links[from][to];
        // Behind a cut only what had arrived before it can be read (N2).
        let horizon = if link.cuts > 0 { link.cut_since } else { Time::NEVER };
        let reset_at = conn.sides[side].reset_at;
        let horizon = horizon.min(reset_at.unwrap_or(Time::NEVER));
        let pipe = &mut conn.pipes[1 - side];
        let mut next = pipe.queue.front().map(|(arrival, _)| *arrival).or(pipe.fin).filter(|at| *at <= horizon);
        if next.is_some_and(|at| at <= now) {
            let Some((_, frame)) = pipe.queue.pop_front() else { return Poll::Ready(Err(NetError::Closed)) };
            if self.links[to][from].cuts > 0 {
                pipe.unacknowledged += frame.len() as u64;
            } else {
                pipe.buffered -= frame.len() as u64;
                if let Some(writer) = pipe.writer.take() {
                    writer.wake();
                }
            }
            let content = match conn.data {
                true => xxh3_64_with_seed(&frame.body, xxh3_64_with_seed(&frame.head, 0)),
                false => 0,
            };
            let facts = [id as u64, side as u64, now.0, frame.len() as u64, content];
            self.totals.digest = facts.iter().fold(self.totals.digest, |digest, fact| {
                (digest ^ fact).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
            });
            self.totals.messages += 1;
            self.totals.bytes += frame.len() as u64;
            return Poll::Ready(Ok(frame));
        }
        if reset_at.is_some_and(|at| at <= now) {
            return Poll::Ready(Err(NetError::Reset));
        }
        next = next.into_iter().chain(reset_at).min().filter(|at| *at != Time::NEVER);
        let same = pipe.reader.as_ref().is_some_and(|reader| reader.will_wake(waker));
        if !same {
            pipe.reader = Some(waker.clone());
        }
        if let Some(at) = next
            && !(same && pipe.armed == Some(at))
        {
            wake_at(at, waker);
            pipe.armed = Some(at);
        }
        Poll::Pending
    }

    /// Whether a connection request (`back`: the answer to it) gets through.
    fn answers(&self, from: usize, to: usize, back: bool) -> bool {
        // A request whose answer cannot come back has established nothing.
        let way = if back { !self.is_cut(to, from) } else { self.reachable(from, to) };
        way && !self.nodes[to].silent
    }

    /// How long it travels; `None` if it is lost.
    fn handshake(&mut self, from: usize, to: usize, back: bool) -> Option<Duration> {
        let (sender, receiver) = if back { (to, from) } else { (from, to) };
        self.answers(from, to, back).then(|| self.latency(sender, receiver))
    }

    /// A connection request has arrived; `None` if nobody listens.
    fn knock(&mut self, from: usize, to: usize, port: Port) -> Option<usize> {
        if !self.listeners.contains_key(&(to, port)) {
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
        let conn = Conn {
            sides: [side(from, SideState::Open, 2), side(to, SideState::Waiting, 0)],
            pipes: [Pipe::default(), Pipe::default()],
            data: port == Port::Data,
        };
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

    /// `side` was closed: what its peer has sent and nobody will read is answered with a reset, or its writer might wait for
    /// ever. It comes behind what `side` itself has sent.
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

    /// One half of a side was dropped; `graceful` unless its node is dead.
    fn drop_half(&mut self, id: usize, side: usize, sender: bool, graceful: Option<Time>) {
        let conn = self.connections[id].as_mut().expect("its half existed");
        conn.sides[side].halves -= 1;
        let closed = conn.sides[side].halves == 0 && conn.sides[side].state == SideState::Open;
        if closed {
            conn.sides[side].state = SideState::Closed;
        }
        if let (true, Some(now)) = (sender, graceful) {
            let (from, to) = (conn.sides[side].node, conn.sides[1 - side].node);
            let last = conn.pipes[side].last_arrival;
            let fin = if self.is_cut(from, to) { Time::NEVER } else { self.arrival(from, to, 0, last, now) };
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
            // Its number is used again, so no listener may still hold it.
            self.listeners.values_mut().for_each(|listener| listener.waiting.retain(|waiting| *waiting != id));
            self.free.push(id);
        }
    }
}

/// Makes a connection as TCP does: one round trip, retried while nothing answers, refused where nobody listens.
pub(super) async fn connect(
    node: &SimNode,
    to: &Address,
    timeout: Duration,
) -> Result<(SimSender, SimReceiver), NetError> {
    let (name, port) = match to.0.split_once(':') {
        Some((name, "control")) => (name, Port::Control),
        Some((name, "data")) => (name, Port::Data),
        _ => return Err(NetError::Other(format!("`{to}` is no address of the simulated cluster"))),
    };
    let me = node.index;
    let peer = {
        let state = node.world.lock();
        state.network.nodes.iter().position(|n| n.name == name)
    };
    let Some(peer) = peer else { return Err(NetError::Other(format!("no node is called `{name}`"))) };
    let deadline = now() + timeout;
    let mut retry = SYN_RETRY;
    // What the request met: a connection, held so that a task dropped while it waits closes it, or nobody listening.
    let mut answer: Option<Option<(SimSender, SimReceiver)>> = None;
    loop {
        let travel = node.world.lock().network.handshake(me, peer, answer.is_some());
        if let Some(travel) = travel {
            sleep_until(deadline.min(now() + travel)).await;
            // N2: it arrives only if the link still stands.
            let mut state = node.world.lock();
            if now() < deadline && state.network.answers(me, peer, answer.is_some()) {
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

fn ends(node: SimNode, id: usize, side: usize) -> (SimSender, SimReceiver) {
    let half = |sender| Half { node: node.clone(), id, side, sender };
    (SimSender(half(true)), SimReceiver(half(false)))
}

/// One half of one side of a connection.
struct Half {
    node: SimNode,
    id: usize,
    side: usize,
    sender: bool,
}

impl Drop for Half {
    fn drop(&mut self) {
        // A dead incarnation's destructors change no more than the book-keeping.
        let alive = self.node.alive.load(std::sync::atomic::Ordering::Relaxed);
        let graceful = if alive && madsim::time::TimeHandle::try_current().is_some() { Some(now()) } else { None };
        self.node.world.lock().network.drop_half(self.id, self.side, self.sender, graceful);
    }
}

pub(crate) struct SimSender(Half);

impl SimSender {
    pub(crate) async fn send(&mut self, frame: Frame) -> Result<(), NetError> {
        self.0.node.only_alive().await;
        let Half { node, id, side, .. } = &self.0;
        poll_fn(|cx| node.world.lock().network.poll_send(*id, *side, &frame, now(), cx.waker())).await
    }
}

pub(crate) struct SimReceiver(Half);

impl SimReceiver {
    pub(crate) async fn receive(&mut self) -> Result<Frame, NetError> {
        self.0.node.only_alive().await;
        let Half { node, id, side, .. } = &self.0;
        poll_fn(|cx| node.world.lock().network.poll_receive(*id, *side, now(), cx.waker())).await
    }
}

/// An open port of a node.
pub(crate) struct SimListener {
    node: SimNode,
    port: Port,
}

impl SimListener {
    pub(super) fn open(node: SimNode, port: Port) -> Result<Self, NetError> {
        {
            let mut state = node.world.lock();
            let Entry::Vacant(free) = state.network.listeners.entry((node.index, port)) else {
                return Err(NetError::Other("address already in use".into()));
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
        if self.node.alive.load(std::sync::atomic::Ordering::Relaxed) {
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
