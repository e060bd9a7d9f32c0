//! Random scripts of sends, deaths and network faults between three nodes, each played twice.
//!
//! Connections that node `c` opens are control connections, on which rules about messages act; all others carry data.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::*;
use crate::codec::{decode, encoded};
use crate::ids::{SubtaskId, Term, VertexId};
use crate::message_kind::MessageKind;
use crate::wire::{Order, TaskFailure, TaskReport, ToJobManager, ToTaskManager};

const NODES: [&str; 3] = ["a", "b", "c"];
const LATENCY_MIN: Duration = Duration::from_micros(200);

#[derive(Debug, Clone, Copy)]
enum Step {
    /// On the connection that node `.0` opened to node `.1`, the opener (if `.2`) or the accepter sends `.3` bytes.
    Send(usize, usize, bool, usize),
    Pause(u64),
    Cut(usize, usize),
    Heal(usize, usize),
    Kill(usize, Death),
    Restart(usize),
    /// Opens one more connection, sends one frame, and closes it.
    Call(usize, usize),
    Link(usize, usize, Option<(Duration, Duration)>, Option<u64>),
    Reset(usize, Option<usize>, bool),
    Refuse(usize, bool),
    HalfOpen(usize, usize),
    Limit(usize, Option<u64>),
    Rule(MessageKind, Option<usize>, MessageFault, u32),
}

fn step() -> impl Strategy<Value = Step> {
    let pair = || (0..3usize, 1..3usize).prop_map(|(from, by)| (from, (from + by) % 3));
    let latency = prop::option::of(prop_oneof![Just((LATENCY_MIN, LATENCY_MIN)), Just((ms(50), ms(300)))]);
    // The kinds that `message` below sends, and one that nothing sends.
    let kind = prop_oneof![Just(MessageKind::Failed), Just(MessageKind::Registered), Just(MessageKind::Trigger)];
    let delay = prop_oneof![0..4u64, 0..5000u64].prop_map(|millis| MessageFault::Delay(ms(millis)));
    let fault = prop_oneof![Just(MessageFault::Lose), Just(MessageFault::Duplicate), delay];
    prop_oneof![
        12 => (pair(), any::<bool>(), 12..2000usize).prop_map(|((a, b), opener, length)| Step::Send(a, b, opener, length)),
        4 => prop_oneof![0..4u64, 0..100u64, 0..8000u64].prop_map(Step::Pause),
        2 => pair().prop_map(|(a, b)| Step::Cut(a, b)),
        2 => pair().prop_map(|(a, b)| Step::Heal(a, b)),
        1 => (0..3usize, prop_oneof![Just(Death::Crash), Just(Death::MachineLoss)]).prop_map(|(n, death)| Step::Kill(n, death)),
        1 => (0..3usize).prop_map(Step::Restart),
        1 => pair().prop_map(|(a, b)| Step::Call(a, b)),
        1 => (pair(), latency, prop::option::of(1000..10_000_000u64))
            .prop_map(|((a, b), latency, bandwidth)| Step::Link(a, b, latency, bandwidth)),
        1 => (pair(), any::<bool>(), any::<bool>())
            .prop_map(|((a, b), any_peer, one)| Step::Reset(a, (!any_peer).then_some(b), one)),
        1 => (0..3usize, any::<bool>()).prop_map(|(node, refused)| Step::Refuse(node, refused)),
        1 => pair().prop_map(|(a, b)| Step::HalfOpen(a, b)),
        1 => (0..3usize, prop::option::of(1000..1_000_000u64)).prop_map(|(node, rate)| Step::Limit(node, rate)),
        2 => (kind, prop::option::of(0..3usize), fault, 0..4u32)
            .prop_map(|(kind, node, fault, count)| Step::Rule(kind, node, fault, count)),
    ]
}

/// A direction of a connection: opener, accepter, and whether the opener writes.
type Direction = (usize, usize, bool);

fn port(opener: usize) -> Port {
    if opener == 2 { Port::Control } else { Port::Data }
}

/// A frame that contains its number and the time of sending.
fn message((opener, _, by_opener): Direction, number: u32, length: usize) -> Frame {
    let sent = now().0;
    match (port(opener), by_opener) {
        (Port::Data, _) => {
            let mut body = number.to_le_bytes().to_vec();
            body.extend_from_slice(&sent.to_le_bytes());
            body.resize(length, 0);
            Frame::from(Bytes::from(body))
        }
        (Port::Control, true) => {
            let subtask = SubtaskId { vertex: VertexId(0), index: 0 };
            let failed = TaskReport::Failed(subtask, TaskFailure::Failed(format!("{sent:length$}")));
            encoded(&ToJobManager::Task(Attempt(number), failed)).into()
        }
        (Port::Control, false) => {
            let order = Order::Registered { heartbeat_timeout_ns: sent };
            encoded(&ToTaskManager { term: Term(number.into()), order }).into()
        }
    }
}

/// Reads the contents of such a frame.
fn said((opener, _, by_opener): Direction, frame: &Frame) -> (u32, Time) {
    let mut body = &frame.body[..];
    match (port(opener), by_opener) {
        (Port::Data, _) => {
            let (number, sent) = (body[..4].try_into().unwrap(), body[4..12].try_into().unwrap());
            (u32::from_le_bytes(number), Time(u64::from_le_bytes(sent)))
        }
        (Port::Control, true) => match decode(&mut body).unwrap() {
            ToJobManager::Task(number, TaskReport::Failed(_, TaskFailure::Failed(sent))) => {
                (number.0, Time(sent.trim().parse().unwrap()))
            }
            other => panic!("nobody sent {other:?}"),
        },
        (Port::Control, false) => match decode(&mut body).unwrap() {
            ToTaskManager { term, order: Order::Registered { heartbeat_timeout_ns } } => {
                (term.0 as u32, Time(heartbeat_timeout_ns))
            }
            other => panic!("nobody sent {other:?}"),
        },
    }
}

#[derive(Debug, Default, PartialEq)]
struct Seen {
    /// Numbers that were read, in order.
    read: BTreeMap<Direction, Vec<u32>>,
    /// Number of frames that the connection accepted.
    taken: BTreeMap<Direction, u32>,
    /// Directions whose writer or reader was told of the end.
    ended: BTreeSet<Direction>,
    /// Cuts in force, with the time of the first.
    cuts: BTreeMap<(usize, usize), (u32, Time)>,
    /// Nodes that read slowly at some time.
    limited: BTreeSet<usize>,
}

/// What a script did, and its outcome.
#[derive(Debug, PartialEq)]
struct Played {
    seen: Seen,
    /// Frames that each direction was asked to send.
    asked: BTreeMap<Direction, u32>,
    killed: BTreeSet<usize>,
    /// Pairs of nodes, the lower one first, with a connection that was torn or left half open.
    torn: BTreeSet<(usize, usize)>,
    /// Number of messages lost, delayed and duplicated by rules.
    hurt: [u32; 3],
    totals: NetworkTotals,
    /// What was found hurt, if somebody looked.
    harm: u64,
}

type Orders = Arc<Mutex<BTreeMap<Direction, UnboundedSender<usize>>>>;

fn start_ends(
    env: &Env,
    (opener, accepter): (usize, usize),
    is_opener: bool,
    connection: Connection,
    seen: &Arc<Mutex<Seen>>,
    orders: &Orders,
) {
    let Connection { mut sender, mut receiver } = connection;
    let (queue, mut lengths) = unbounded_channel::<usize>();
    let writes = (opener, accepter, is_opener);
    orders.lock().unwrap().insert(writes, queue);
    let log = seen.clone();
    let writing = env.spawn(async move {
        let mut number = 0u32;
        while let Some(length) = lengths.recv().await {
            if sender.send(message(writes, number, length)).await.is_err() {
                log.lock().unwrap().ended.insert(writes);
                return;
            }
            number += 1;
            log.lock().unwrap().taken.insert(writes, number);
        }
    });
    writing.detach();
    let log = seen.clone();
    let reads = (opener, accepter, !is_opener);
    let link = if is_opener { (accepter, opener) } else { (opener, accepter) };
    let reading = env.spawn(async move {
        loop {
            let Ok(frame) = receiver.receive().await else {
                log.lock().unwrap().ended.insert(reads);
                return;
            };
            let (number, asked_at) = said(reads, &frame);
            let mut seen = log.lock().unwrap();
            assert!(now() >= asked_at + LATENCY_MIN);
            if let Some((1.., since)) = seen.cuts.get(&link)
                && !seen.limited.contains(&link.1)
            {
                // This reader always waits, so whatever had arrived before the cut was read then.
                assert!(now() <= *since + 10 * SLACK, "NET-N2: it left at {asked_at}, the cut is from {since}");
            }
            seen.read.entry(reads).or_default().push(number);
        }
    });
    reading.detach();
}

fn address_of(node: &str, port: Port) -> Address {
    match port {
        Port::Data => address(node),
        Port::Control => Address(format!("{node}:control")),
    }
}

/// Listens; in its first life also opens a connection to every other node.
async fn node(env: Env, me: usize, seen: Arc<Mutex<Seen>>, orders: Orders) {
    if env.incarnation() == 1 {
        let (env, seen, orders) = (env.clone(), seen.clone(), orders.clone());
        let within = env.clone();
        let opening = env.spawn(async move {
            within.sleep(ms(1)).await;
            for peer in (0..3).filter(|peer| *peer != me) {
                let mut made = within.connect(&address_of(NODES[peer], port(me)), ms(1000)).await.unwrap();
                made.sender.send(Frame::from(Bytes::from(vec![me as u8]))).await.unwrap();
                start_ends(&within, (me, peer), true, made, &seen, &orders);
            }
        });
        opening.detach();
    }
    join(accept_all(&env, Port::Data, me, &seen, &orders), accept_all(&env, Port::Control, me, &seen, &orders)).await;
}

async fn accept_all(env: &Env, port: Port, me: usize, seen: &Arc<Mutex<Seen>>, orders: &Orders) {
    let mut listener = env.listen(port).await.expect("the former life's port is free");
    while let Ok(mut accepted) = listener.accept().await {
        let (within, seen, orders) = (env.clone(), seen.clone(), orders.clone());
        let greeting = env.spawn(async move {
            match accepted.receiver.receive().await {
                Ok(frame) if frame.len() == 1 => {
                    let opener = usize::from(frame.body[0]);
                    start_ends(&within, (opener, me), false, accepted, &seen, &orders);
                }
                _ => {}
            }
        });
        greeting.detach();
    }
}

/// Asks for all that may have been hurt between these nodes.
fn look_at_harm(world: &SimWorld) -> u64 {
    let name = |node: &str| node.to_owned();
    let links = NODES.iter().flat_map(|from| NODES.iter().map(move |to| (name(from), name(to))));
    let of_links = links.flat_map(|(from, to)| {
        [Gauge::Held, Gauge::Latency, Gauge::Bandwidth].map(|gauge| gauge(from.clone(), to.clone()))
    });
    let of_nodes = NODES.iter().flat_map(|node| {
        [Gauge::Refused, Gauge::ReadLate, Gauge::StoodStill, Gauge::WrongClock].map(|gauge| gauge(name(node)))
    });
    of_links.chain(of_nodes).map(|gauge| world.harm(&gauge)).sum()
}

/// Plays a script; `looks`: and asks before every step what was hurt.
async fn play(world: Arc<SimWorld>, script: Vec<Step>, looks: bool) -> Played {
    let seen: Arc<Mutex<Seen>> = Arc::default();
    let orders: Orders = Arc::default();
    for (me, name) in NODES.into_iter().enumerate() {
        let (seen, orders) = (seen.clone(), orders.clone());
        add_script(&world, name, move |env| node(env, me, seen.clone(), orders.clone()));
    }
    pause(ms(100)).await;
    assert_eq!(orders.lock().unwrap().len(), 12, "six connections, two directions each");
    let mut asked: BTreeMap<Direction, u32> = BTreeMap::new();
    let mut killed = BTreeSet::new();
    let mut torn = BTreeSet::new();
    let mut rules = Vec::new();
    let mut refusals = [0; 3];
    let mut harm = 0;
    for step in script {
        if looks {
            harm += look_at_harm(&world);
        }
        match step {
            Step::Send(opener, accepter, by_opener, length) => {
                let direction = (opener, accepter, by_opener);
                if orders.lock().unwrap()[&direction].send(length).is_ok() {
                    *asked.entry(direction).or_default() += 1;
                }
            }
            Step::Pause(millis) => pause(ms(millis)).await,
            Step::Cut(from, to) => {
                world.cut(NODES[from], NODES[to]);
                let mut seen = seen.lock().unwrap();
                let (cuts, since) = seen.cuts.entry((from, to)).or_default();
                *cuts += 1;
                if *cuts == 1 {
                    *since = now();
                }
            }
            Step::Heal(from, to) => {
                // Heals only links that were cut: a heal without a cut does not occur as a fault.
                let mut seen = seen.lock().unwrap();
                if let Some((cuts @ 1.., _)) = seen.cuts.get_mut(&(from, to)) {
                    *cuts -= 1;
                    world.heal(NODES[from], NODES[to]);
                }
            }
            Step::Kill(node, death) => {
                if world.kill(NODES[node], death) {
                    killed.insert(node);
                }
                pause(ms(1)).await;
            }
            Step::Restart(node) => world.restart(NODES[node]),
            Step::Call(from, to) => {
                add_call(&world, from, to);
            }
            Step::Link(from, to, latency, bandwidth) => {
                world.set_link(NODES[from], NODES[to], latency, bandwidth);
            }
            Step::Reset(node, peer, one) => {
                if world.reset_connections(NODES[node], peer.map(|peer| NODES[peer]), one) > 0 {
                    let peers = (0..3).filter(|other| *other != node && peer.is_none_or(|peer| peer == *other));
                    torn.extend(peers.map(|peer| (node.min(peer), node.max(peer))));
                }
            }
            Step::Refuse(node, refused) => {
                if refused || refusals[node] > 0 {
                    refusals[node] = if refused { refusals[node] + 1 } else { refusals[node] - 1 };
                    world.refuse(NODES[node], refused);
                }
            }
            Step::HalfOpen(node, peer) => {
                if world.half_open(NODES[node], NODES[peer]) > 0 {
                    torn.insert((node.min(peer), node.max(peer)));
                }
            }
            Step::Limit(node, rate) => {
                seen.lock().unwrap().limited.insert(node);
                world.limit_receiver(NODES[node], rate);
            }
            Step::Rule(kind, node, fault, count) => {
                let node = node.map(|node| NODES[node].to_owned());
                rules.push((fault, world.add_message_rule(MessageRule { kind, node, fault, count })));
            }
        }
    }
    for (node, refusals) in NODES.into_iter().zip(refusals) {
        (0..refusals).for_each(|_| world.refuse(node, false));
        world.limit_receiver(node, None);
        NODES.into_iter().for_each(|peer| world.set_link(node, peer, None, None));
    }
    let cuts: Vec<_> = seen.lock().unwrap().cuts.iter().map(|(link, (cuts, _))| (*link, *cuts)).collect();
    for ((from, to), cuts) in cuts {
        (0..cuts).for_each(|_| world.heal(NODES[from], NODES[to]));
        seen.lock().unwrap().cuts.remove(&(from, to));
    }
    pause(ms(1)).await;
    NODES.iter().for_each(|node| world.restart(node));
    pause(ms(60_000)).await;
    let mut hurt = [0; 3];
    for (fault, rule) in rules {
        let slot = match fault {
            MessageFault::Lose => 0,
            MessageFault::Delay(_) => 1,
            MessageFault::Duplicate | MessageFault::DuplicateLate(_) => 2,
        };
        hurt[slot] += world.message_rule_hits(rule).0;
    }
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    Played { seen, asked, killed, torn, hurt, totals: world.network_totals(), harm }
}

/// Length of the longest growing subsequence.
fn longest_growing(numbers: &[u32]) -> usize {
    // `least[n]` is the smallest last number of a growing subsequence of length n + 1.
    let mut least: Vec<u32> = Vec::new();
    for number in numbers {
        let place = least.partition_point(|last| last < number);
        match least.get_mut(place) {
            Some(last) => *last = *number,
            None => least.push(*number),
        }
    }
    least.len()
}

/// A separate node calls `to` beside everything else; `from` is only part of its name.
fn add_call(world: &Arc<SimWorld>, from: usize, to: usize) {
    let name = format!("caller-{from}-{to}-{}", now().0);
    add_script(world, &name, move |env| async move {
        let Ok(mut made) = env.connect(&address(NODES[to]), ms(4000)).await else { return };
        let _ = made.sender.send(frame(0, 100)).await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn whatever_happens_frames_arrive_in_order_at_most_once_and_all_of_them_where_nothing_ended(
        script in prop::collection::vec(step(), 1..60),
        seed in 0..1000u64,
        send_buffer in prop_oneof![Just(1u64), Just(3000), Just(1 << 20)],
    ) {
        let mut config = SimConfig { seed, ..config() };
        config.link = LinkConfig { latency: (LATENCY_MIN, ms(4)), bandwidth: 2_000_000, send_buffer };
        let run = |looks| {
            let (config, script) = (config.clone(), script.clone());
            simulate(seed, config, move |world| play(world, script, looks))
        };
        let played = run(false);
        // The same world once more, and somebody asks all the time what was hurt: one seed, one run.
        prop_assert_eq!(&played, &Played { harm: 0, ..run(true) }, "HARM-1");

        let Played { seen, asked, killed, torn, hurt: [lost, delayed, duplicated], .. } = played;
        let (mut late, mut twice, mut missing) = (0, 0, 0);
        for (direction, numbers) in &seen.read {
            let asked = asked.get(direction).copied().unwrap_or(0);
            prop_assert!(numbers.iter().all(|number| *number < asked));
            let mut read = BTreeMap::new();
            let mut once = numbers.clone();
            once.retain(|number| *read.entry(*number).and_modify(|times| *times += 1).or_insert(1) == 1);
            prop_assert!(read.values().all(|times| *times <= 2), "NET-N1: {:?}", direction);
            if port(direction.0) == Port::Data {
                let expected: Vec<_> = (0..numbers.len() as u32).collect();
                prop_assert_eq!(numbers, &expected, "NET-N1: {:?}", direction);
            }
            late += once.len() - longest_growing(&once);
            twice += numbers.len() - once.len();
        }
        prop_assert!(late <= delayed as usize, "NET-N1: only delayed messages are overtaken");
        prop_assert!(twice <= duplicated as usize, "NET-N1: only duplicated messages arrive twice");
        for (direction, asked) in &asked {
            let (opener, accepter, _) = *direction;
            let pair = (opener.min(accepter), opener.max(accepter));
            if killed.contains(&opener) || killed.contains(&accepter) || torn.contains(&pair) {
                continue;
            }
            prop_assert!(!seen.ended.contains(direction), "nobody died, so nothing ends: {:?}", direction);
            prop_assert_eq!(seen.taken.get(direction), Some(asked), "every writer got through: {:?}", direction);
            let read: BTreeSet<_> = seen.read.get(direction).into_iter().flatten().collect();
            if port(opener) == Port::Data {
                prop_assert_eq!(read.len(), *asked as usize, "{:?}", direction);
            }
            missing += *asked as usize - read.len();
        }
        prop_assert!(missing <= lost as usize, "only lost messages do not arrive");
        if killed.is_empty() && torn.is_empty() {
            prop_assert_eq!((missing, twice), (lost as usize, duplicated as usize), "every rule had its effect");
        }
    }
}
