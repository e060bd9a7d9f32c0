//! Random scripts of sends, cuts, heals, kills and restarts between three nodes.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::*;

const NODES: [&str; 3] = ["a", "b", "c"];
const LATENCY_MIN: Duration = Duration::from_micros(200);

#[derive(Debug, Clone, Copy)]
enum Step {
    /// On the connection that `0` opened to `1`, by its opener or its accepter, so many bytes.
    Send(usize, usize, bool, usize),
    Pause(u64),
    Cut(usize, usize),
    Heal(usize, usize),
    Kill(usize, Death),
    Restart(usize),
    /// Opens one more connection, says a word, and closes it.
    Call(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let pair = || (0..3usize, 1..3usize).prop_map(|(from, by)| (from, (from + by) % 3));
    prop_oneof![
        8 => (pair(), any::<bool>(), 12..2000usize).prop_map(|((a, b), opener, length)| Step::Send(a, b, opener, length)),
        4 => prop_oneof![0..4u64, 0..100u64, 0..8000u64].prop_map(Step::Pause),
        2 => pair().prop_map(|(a, b)| Step::Cut(a, b)),
        2 => pair().prop_map(|(a, b)| Step::Heal(a, b)),
        1 => (0..3usize, prop_oneof![Just(Death::Crash), Just(Death::MachineLoss)]).prop_map(|(n, death)| Step::Kill(n, death)),
        1 => (0..3usize).prop_map(Step::Restart),
        1 => pair().prop_map(|(a, b)| Step::Call(a, b)),
    ]
}

/// A direction of a connection: opener, accepter, and whether the opener writes.
type Direction = (usize, usize, bool);

#[derive(Default)]
struct Seen {
    /// Numbers read, in order.
    read: BTreeMap<Direction, Vec<u32>>,
    /// Frames that the connection took.
    taken: BTreeMap<Direction, u32>,
    /// Directions whose writer or reader was told of an end.
    ended: BTreeSet<Direction>,
    /// Cuts in force, with the time since when.
    cuts: BTreeMap<(usize, usize), (u32, Time)>,
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
            let mut body = number.to_le_bytes().to_vec();
            body.extend_from_slice(&now().0.to_le_bytes());
            body.resize(length, 0);
            if sender.send(Frame::from(Bytes::from(body))).await.is_err() {
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
            let number = u32::from_le_bytes(frame.body[..4].try_into().unwrap());
            let mut seen = log.lock().unwrap();
            let asked_at = Time(u64::from_le_bytes(frame.body[4..12].try_into().unwrap()));
            assert!(now() >= asked_at + LATENCY_MIN);
            if let Some((1.., since)) = seen.cuts.get(&link) {
                // This reader always waits, so what had arrived before the cut was read then.
                assert!(now() <= *since + 10 * SLACK, "N2: it left at {asked_at}, the cut is from {since}");
            }
            seen.read.entry(reads).or_default().push(number);
        }
    });
    reading.detach();
}

/// Listens, and in its first life opens a connection to every other node.
async fn node(env: Env, me: usize, seen: Arc<Mutex<Seen>>, orders: Orders) {
    let mut listener = env.listen(Port::Data).await.expect("the former life's port is free");
    if env.incarnation() == 1 {
        let (env, seen, orders) = (env.clone(), seen.clone(), orders.clone());
        let within = env.clone();
        let opening = env.spawn(async move {
            within.sleep(ms(1)).await;
            for peer in (0..3).filter(|peer| *peer != me) {
                let mut made = within.connect(&address(NODES[peer]), ms(1000)).await.unwrap();
                made.sender.send(Frame::from(Bytes::from(vec![me as u8]))).await.unwrap();
                start_ends(&within, (me, peer), true, made, &seen, &orders);
            }
        });
        opening.detach();
    }
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

async fn play(
    world: Arc<SimWorld>,
    script: Vec<Step>,
) -> (Arc<Mutex<Seen>>, BTreeSet<usize>, BTreeMap<Direction, u32>) {
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
    for step in script {
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
                // Only what was cut: a heal without a cut is not in the vocabulary of faults.
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
        }
    }
    let cuts: Vec<_> = seen.lock().unwrap().cuts.iter().map(|(link, (cuts, _))| (*link, *cuts)).collect();
    for ((from, to), cuts) in cuts {
        (0..cuts).for_each(|_| world.heal(NODES[from], NODES[to]));
        seen.lock().unwrap().cuts.remove(&(from, to));
    }
    pause(ms(1)).await;
    NODES.iter().for_each(|node| world.restart(node));
    pause(ms(60_000)).await;
    (seen, killed, asked)
}

/// A node of its own calls `to` beside everything else; `from` only names it.
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
    fn whatever_happens_frames_arrive_in_order_at_most_once_and_all_of_them_where_nobody_died(
        script in prop::collection::vec(step(), 1..60),
        seed in 0..1000u64,
        send_buffer in prop_oneof![Just(1u64), Just(3000), Just(1 << 20)],
    ) {
        let mut config = SimConfig { seed, ..config() };
        config.link = LinkConfig { latency: (LATENCY_MIN, ms(4)), bandwidth: 2_000_000, send_buffer };
        let (seen, killed, asked) = simulate(seed, config, |world| play(world, script));
        let seen = seen.lock().unwrap();
        for (direction, numbers) in &seen.read {
            let expected: Vec<_> = (0..numbers.len() as u32).collect();
            prop_assert_eq!(numbers, &expected, "N1: {:?}", direction);
            prop_assert!(numbers.len() as u32 <= asked.get(direction).copied().unwrap_or(0));
        }
        for ((opener, accepter, by_opener), asked) in asked {
            let direction = (opener, accepter, by_opener);
            if killed.contains(&opener) || killed.contains(&accepter) {
                continue;
            }
            prop_assert!(!seen.ended.contains(&direction), "nobody died, so nothing ends: {:?}", direction);
            prop_assert_eq!(seen.taken.get(&direction), Some(&asked), "every writer got through: {:?}", direction);
            prop_assert_eq!(seen.read.get(&direction).map(Vec::len), Some(asked as usize), "{:?}", direction);
        }
    }
}
