//! Properties of the simulated world, each tried inside a simulation of its own.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;

use bytes::Bytes;
use futures::future::{FutureExt, join, join_all};

use super::super::{Connection, First, Frame, Receiver, Sender, Store, first_of_2};
use super::*;
use crate::env::StoreError;
use crate::event::Event;
use crate::ids::Attempt;

mod connections;
mod links;
mod messages;
mod node;
mod scripts;
mod store_faults;

/// Between a deadline and the waiter's next instruction: madsim adds 50 ns to a timer and 50 to 100 ns per poll.
const SLACK: Duration = Duration::from_micros(2);
const LATENCY: Duration = Duration::from_millis(2);

pub(in crate::env) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Fixed latency, a megabyte per second everywhere, so that a thousand bytes take a millisecond.
pub(in crate::env) fn config() -> SimConfig {
    SimConfig {
        seed: 7,
        link: LinkConfig { latency: (LATENCY, LATENCY), bandwidth: 1_000_000, send_buffer: 64 * 1024 },
        store: StoreConfig {
            latency: (LATENCY, LATENCY),
            streams: 1,
            write_throughput: 1_000_000,
            read_throughput: 1_000_000,
        },
        rates: Rates::free(),
        weights: Weights::default(),
        cores: 2,
        local_root: std::env::temp_dir(),
        mutations: Vec::new(),
    }
}

/// Runs `script` in a simulation of its own; at its end all nodes are killed, and nothing of theirs may be left.
pub(in crate::env) fn simulate<T, F>(
    seed: u64,
    config: SimConfig,
    script: impl FnOnce(Arc<SimWorld>) -> F + Send + 'static,
) -> T
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let run = move || {
        let mut runtime = Runtime::with_seed_and_config(seed, madsim::Config::default());
        runtime.set_time_limit(Duration::from_secs(3600));
        SimWorld::install(&runtime, config);
        runtime.block_on(async {
            let world = SimWorld::current();
            let result = script(world.clone()).await;
            world.take_observer();
            let names: Vec<_> = world.lock().nodes.iter().map(|node| node.name.clone()).collect();
            for name in names {
                world.kill(name.as_str(), Death::Crash);
            }
            pause(ms(1)).await;
            assert_eq!(world.lock().network.open_connections(), 0, "connections are left open");
            result
        })
    };
    // madsim seeds a thread's hash order once.
    std::thread::spawn(run).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

pub(in crate::env) async fn pause(duration: Duration) {
    timer::sleep_until(now() + duration).await;
}

async fn within<T>(duration: Duration, work: impl Future<Output = T>) -> Option<T> {
    match first_of_2(work, pause(duration)).await {
        First::A(done) => Some(done),
        First::B(()) => None,
    }
}

#[track_caller]
fn assert_at(at: Time, expected: Time) {
    assert!(at >= expected && at.since(expected) < SLACK, "{} ns is not {} ns", at.0, expected.0);
}

/// A node that does nothing by itself: the test acts through the `Env` of its present life.
pub(in crate::env) struct Idle(Arc<Mutex<Option<Env>>>);

impl Idle {
    pub(in crate::env) fn add(world: &Arc<SimWorld>, name: &str) -> Self {
        let slot = Arc::new(Mutex::new(None));
        let lives = slot.clone();
        let main = move |env| {
            *lives.lock().unwrap() = Some(env);
            Box::pin(std::future::pending()) as BoxFuture
        };
        world.add_node(name, Arc::new(main));
        Self(slot)
    }

    pub(in crate::env) fn env(&self) -> Env {
        self.0.lock().unwrap().clone().expect("started")
    }
}

/// A node that runs `script` in each of its lives.
fn add_script<F>(world: &Arc<SimWorld>, name: &str, script: impl Fn(Env) -> F + Send + Sync + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let main = move |env| {
        let running = script(env);
        Box::pin(async move {
            running.await;
            std::future::pending().await
        }) as BoxFuture
    };
    world.add_node(name, Arc::new(main));
}

fn address(node: &str) -> Address {
    Address(format!("{node}:data"))
}

/// A connection from `a` to `b`: both its ends; `b`'s port is free again.
async fn connected(a: &Env, b: &Env) -> (Connection, Connection) {
    let mut listener = b.listen(Port::Data).await.unwrap();
    let to = listener.address();
    let (near, far) = join(a.connect(&to, ms(10_000)), listener.accept()).await;
    (near.unwrap(), far.unwrap())
}

fn frame(number: u32, length: usize) -> Frame {
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.resize(length, 0);
    Frame::from(Bytes::from(bytes))
}

async fn send(sender: &mut Sender, number: u32, length: usize) {
    within(Duration::ZERO, sender.send(frame(number, length))).await.expect("there is room").unwrap();
}

async fn receive(receiver: &mut Receiver) -> Result<u32, NetError> {
    let frame = receiver.receive().await?;
    Ok(u32::from_le_bytes(frame.body[..4].try_into().unwrap()))
}

async fn two(world: &Arc<SimWorld>) -> (Idle, Idle, Connection, Connection) {
    let (a, b) = (Idle::add(world, "a"), Idle::add(world, "b"));
    let (near, far) = connected(&a.env(), &b.env()).await;
    (a, b, near, far)
}

// The network.

#[test]
fn frames_arrive_in_order_and_the_link_takes_its_time_for_each_to_the_nanosecond() {
    simulate(1, config(), |world| async move {
        let (_a, _b, mut near, mut far) = two(&world).await;
        let start = now();
        for number in 0..50 {
            send(&mut near.sender, number, 1000).await;
        }
        for number in 0..50 {
            assert_eq!(world.unread_records(), [0, 50_000 - 1_000 * u64::from(number)]);
            assert_eq!(receive(&mut far.receiver).await, Ok(number));
            assert_at(now(), start + ms(1 + u64::from(number)) + LATENCY);
        }
        assert_eq!(world.network_totals().bytes, 50_000);
    });
}

#[test]
fn latency_is_drawn_from_its_range_and_never_overtakes() {
    let mut config = config();
    config.link.latency = (ms(1), ms(30));
    simulate(1, config, |world| async move {
        let (_a, _b, mut near, mut far) = two(&world).await;
        let start = now();
        for number in 0..50 {
            send(&mut near.sender, number, 1000).await;
        }
        let mut latencies = Vec::new();
        for number in 0..50 {
            assert_eq!(receive(&mut far.receiver).await, Ok(number), "N1");
            latencies.push(now().since(start + ms(1 + u64::from(number))));
        }
        assert!(latencies.iter().all(|latency| *latency >= ms(1) && *latency < ms(30) + SLACK), "{latencies:?}");
        assert!(latencies.iter().max() > latencies.iter().min().map(|least| *least + ms(10)).as_ref());
    });
}

#[test]
fn connections_of_one_link_share_its_bandwidth() {
    simulate(1, config(), |world| async move {
        let (a, b) = (Idle::add(&world, "a"), Idle::add(&world, "b"));
        let (mut first, mut first_far) = connected(&a.env(), &b.env()).await;
        let (mut second, mut second_far) = connected(&a.env(), &b.env()).await;
        let start = now();
        send(&mut first.sender, 1, 10_000).await;
        send(&mut second.sender, 2, 1000).await;
        assert_eq!(receive(&mut second_far.receiver).await, Ok(2));
        assert_at(now(), start + ms(11) + LATENCY);
        assert_eq!(receive(&mut first_far.receiver).await, Ok(1));
    });
}

#[test]
fn a_writer_waits_while_the_buffer_is_full_and_goes_on_when_the_reader_reads() {
    let mut config = config();
    config.link.send_buffer = 1000;
    simulate(1, config, |world| async move {
        let (_a, _b, mut near, mut far) = two(&world).await;
        send(&mut near.sender, 0, 5000).await;
        assert_eq!(within(ms(60_000), near.sender.send(frame(9, 4))).await, None, "arrived is not read");
        let read_at = now() + ms(500);
        let reading = async {
            timer::sleep_until(read_at).await;
            receive(&mut far.receiver).await
        };
        let (sent, read) = join(near.sender.send(frame(1, 600)).map(|sent| (sent, now())), reading).await;
        assert_eq!(read, Ok(0), "one frame always fits, however long; a send that was dropped never happened");
        assert_eq!(sent.0, Ok(()));
        assert_at(sent.1, read_at);
        send(&mut near.sender, 2, 400).await;
        assert_eq!(within(ms(1000), near.sender.send(frame(9, 4))).await, None);
        assert_eq!(receive(&mut far.receiver).await, Ok(1));
        assert_eq!(receive(&mut far.receiver).await, Ok(2));
    });
}

#[test]
fn a_dropped_sender_ends_the_stream_behind_its_last_frame() {
    simulate(1, config(), |world| async move {
        let (_a, _b, mut near, mut far) = two(&world).await;
        send(&mut near.sender, 0, 1000).await;
        let start = now();
        drop(near.sender);
        assert_eq!(receive(&mut far.receiver).await, Ok(0));
        assert_eq!(receive(&mut far.receiver).await, Err(NetError::Closed));
        assert_at(now(), start + ms(1) + LATENCY);
        send(&mut far.sender, 1, 10).await;
        assert_eq!(receive(&mut near.receiver).await, Ok(1), "the other direction lives on");
    });
}

#[test]
fn closing_with_unread_data_resets_a_writer_that_waits_but_only_behind_the_last_words() {
    let mut config = config();
    config.link.send_buffer = 1000;
    simulate(1, config, |world| async move {
        let (_a, _b, mut near, mut far) = two(&world).await;
        send(&mut near.sender, 0, 1000).await;
        let closing = async {
            pause(ms(100)).await;
            send(&mut far.sender, 7, 1000).await;
            drop(far);
        };
        let Connection { mut sender, mut receiver } = near;
        let reading = async { (receive(&mut receiver).await, receive(&mut receiver).await, now()) };
        let ((), sent, (word, end, ended_at)) =
            tokio::join!(closing, within(ms(10_000), sender.send(frame(1, 1))), reading);
        assert_eq!(sent, Some(Err(NetError::Reset)));
        assert_eq!((word, end), (Ok(7), Err(NetError::Closed)));
        assert!(ended_at < Time::ZERO + ms(200));
    });
}

#[test]
fn dropping_a_listener_resets_who_was_not_accepted() {
    simulate(1, config(), |world| async move {
        let (a, b) = (Idle::add(&world, "a"), Idle::add(&world, "b"));
        let listener = b.env().listen(Port::Data).await.unwrap();
        let mut near = a.env().connect(&listener.address(), ms(1000)).await.unwrap();
        let dropped = now();
        drop(listener);
        assert_eq!(receive(&mut near.receiver).await, Err(NetError::Reset));
        assert_at(now(), dropped + LATENCY);
    });
}

#[test]
fn a_port_has_one_listener_and_a_refused_second_does_not_harm_it() {
    simulate(1, config(), |world| async move {
        let (a, b) = (Idle::add(&world, "a"), Idle::add(&world, "b"));
        let mut listener = b.env().listen(Port::Data).await.unwrap();
        let near = a.env().connect(&listener.address(), ms(1000)).await.unwrap();
        assert!(b.env().listen(Port::Data).await.is_err());
        assert!(within(ms(10), listener.accept()).await.is_some());
        assert!(b.env().listen(Port::Control).await.is_ok(), "the other port is free");
        drop(near);
    });
}

#[test]
fn a_crash_resets_its_peers_after_one_latency() {
    simulate(1, config(), |world| async move {
        let (_a, _b, mut near, mut far) = two(&world).await;
        send(&mut far.sender, 0, 1000).await;
        pause(ms(10)).await;
        let killed = now();
        assert!(world.kill("b", Death::Crash));
        assert!(!world.kill("b", Death::Crash), "nobody dies twice");
        assert_eq!(receive(&mut near.receiver).await, Ok(0), "what had arrived is read first");
        assert_eq!(receive(&mut near.receiver).await, Err(NetError::Reset));
        assert_at(now(), killed + LATENCY);
        assert_eq!(near.sender.send(frame(1, 1)).await, Err(NetError::Reset));
        assert_eq!(within(ms(1000), far.sender.send(frame(1, 1))).await, None, "the dead send nothing");
        assert_eq!(world.late_effects(), 1);
    });
}

#[test]
fn a_crash_wakes_a_writer_that_waits_for_room() {
    let mut config = config();
    config.link.send_buffer = 10;
    simulate(1, config, |world| async move {
        let (_a, _b, mut near, _far) = two(&world).await;
        send(&mut near.sender, 0, 10).await;
        let killing = async {
            pause(ms(50)).await;
            world.kill("b", Death::Crash);
            now()
        };
        let (sent, killed) = join(near.sender.send(frame(1, 10)), killing).await;
        assert_eq!(sent, Err(NetError::Reset));
        assert_at(now(), killed + LATENCY);
    });
}

#[test]
fn nothing_is_read_behind_a_reset_however_late_the_reader_looks() {
    for late in [0, 1, 1000] {
        let read = simulate(1, config(), move |world| async move {
            let (_a, _b, mut near, mut far) = two(&world).await;
            for number in 0..20 {
                send(&mut far.sender, number, 1000).await;
            }
            pause(ms(7)).await;
            world.kill("b", Death::Crash);
            pause(ms(late)).await;
            let mut read = 0;
            while receive(&mut near.receiver).await.is_ok() {
                read += 1;
            }
            read
        });
        assert_eq!(read, 7, "5 had arrived, 2 came before the reset");
    }
}

#[test]
fn a_lost_machine_is_silent_until_it_is_back_and_traffic_meets_a_reset() {
    let mut config = config();
    config.link.send_buffer = 1000;
    simulate(1, config, |world| async move {
        let (a, b) = (Idle::add(&world, "a"), Idle::add(&world, "b"));
        let (mut talking, mut talking_far) = connected(&a.env(), &b.env()).await;
        let (mut listening, _listening_far) = connected(&a.env(), &b.env()).await;
        for number in 0..2 {
            send(&mut talking_far.sender, number, 500).await;
        }
        pause(Duration::from_micros(600)).await;
        world.kill("b", Death::MachineLoss);
        assert_eq!(
            within(ms(60_000), receive(&mut talking.receiver)).await,
            Some(Ok(0)),
            "N3: only this was on the wire"
        );
        send(&mut talking.sender, 0, 1000).await;
        let (read, sent) = join(
            within(ms(60_000), receive(&mut talking.receiver)),
            within(ms(60_000), talking.sender.send(frame(1, 1))),
        )
        .await;
        assert_eq!((read, sent), (None, None), "the buffer fills and nobody says a word");
        let back = now();
        world.restart("b");
        assert_eq!(within(ms(10_000), receive(&mut talking.receiver)).await, Some(Err(NetError::Reset)));
        assert!(now().since(back) >= 2 * LATENCY && now().since(back) < ms(3000) + 2 * LATENCY + SLACK);
        assert_eq!(within(ms(60_000), receive(&mut listening.receiver)).await, None, "who says nothing hears nothing");
        let sent = now();
        send(&mut listening.sender, 0, 1).await;
        assert_eq!(receive(&mut listening.receiver).await, Err(NetError::Reset));
        assert_at(now(), sent + 2 * LATENCY);
    });
}

#[test]
fn a_cut_link_is_silent_and_resumes_in_order_and_completely() {
    simulate(1, config(), |world| async move {
        let (_a, _b, mut near, mut far) = two(&world).await;
        for number in 0..6 {
            send(&mut near.sender, number, 1000).await;
        }
        // 0 and 1 have arrived, the others are under way or not yet sent.
        pause(Duration::from_micros(4500)).await;
        for (from, to) in [("a", "b"), ("b", "a")] {
            world.cut(from, to);
        }
        for number in 6..10 {
            send(&mut near.sender, number, 1000).await;
        }
        pause(ms(1)).await;
        for number in 0..2 {
            let read = within(Duration::ZERO, receive(&mut far.receiver)).await;
            assert_eq!(read, Some(Ok(number)), "what had arrived can be read");
        }
        send(&mut far.sender, 100, 10).await;
        let silent =
            join(within(ms(20_000), receive(&mut far.receiver)), within(ms(20_000), receive(&mut near.receiver)));
        assert_eq!(silent.await, (None, None), "N2");
        let healed = now();
        for (from, to) in [("a", "b"), ("b", "a")] {
            world.heal(from, to);
        }
        for number in 2..10 {
            assert_eq!(receive(&mut far.receiver).await, Ok(number), "N1");
        }
        assert!(now().since(healed) < ms(3000) + ms(8) + LATENCY + SLACK);
        assert_eq!(receive(&mut near.receiver).await, Ok(100));
        send(&mut near.sender, 10, 1000).await;
        assert_eq!(receive(&mut far.receiver).await, Ok(10), "it goes on as if nothing had been");
    });
}

#[test]
fn cuts_of_one_link_add_up() {
    simulate(1, config(), |world| async move {
        let (_a, _b, mut near, mut far) = two(&world).await;
        world.cut("a", "b");
        world.cut("a", "b");
        send(&mut near.sender, 0, 10).await;
        world.heal("a", "b");
        assert_eq!(within(ms(10_000), receive(&mut far.receiver)).await, None);
        world.heal("a", "b");
        assert_eq!(within(ms(10_000), receive(&mut far.receiver)).await, Some(Ok(0)));
    });
}

#[test]
fn a_one_way_cut_lets_the_other_way_flow_until_its_buffer_waits_for_news() {
    let mut config = config();
    config.link.send_buffer = 1000;
    simulate(1, config, |world| async move {
        let (_a, _b, mut near, mut far) = two(&world).await;
        world.cut("a", "b");
        send(&mut near.sender, 0, 10).await;
        for number in 0..2 {
            send(&mut far.sender, number, 500).await;
            assert_eq!(within(ms(100), receive(&mut near.receiver)).await, Some(Ok(number)));
        }
        assert_eq!(within(ms(1000), far.sender.send(frame(2, 500))).await, None, "b does not know that a has read");
        assert_eq!(within(ms(1000), receive(&mut far.receiver)).await, None);
        world.heal("a", "b");
        send(&mut far.sender, 2, 500).await;
        assert_eq!(receive(&mut near.receiver).await, Ok(2));
        assert_eq!(receive(&mut far.receiver).await, Ok(0));
    });
}

#[test]
fn a_healed_connection_that_still_waits_does_not_occupy_the_link() {
    simulate(1, config(), |world| async move {
        let (a, b, mut old, mut old_far) = two(&world).await;
        world.cut("a", "b");
        send(&mut old.sender, 0, 1000).await;
        pause(ms(60_000)).await;
        world.heal("a", "b");
        let (mut new, mut new_far) = connected(&a.env(), &b.env()).await;
        let start = now();
        send(&mut new.sender, 1, 1000).await;
        let (early, _) =
            join(async { (receive(&mut new_far.receiver).await, now()) }, receive(&mut old_far.receiver)).await;
        assert_eq!(early.0, Ok(1));
        assert_at(early.1, start + ms(1) + LATENCY);
        assert!(now().since(start) > ms(100), "the draw leaves the old one waiting for longer than that");
    });
}

#[test]
fn what_the_dead_left_behind_a_cut_never_arrives() {
    for death in [Death::Crash, Death::MachineLoss] {
        simulate(1, config(), move |world| async move {
            let (_a, _b, mut near, mut far) = two(&world).await;
            send(&mut near.sender, 0, 1000).await;
            pause(ms(10)).await;
            world.cut("a", "b");
            send(&mut near.sender, 1, 1000).await;
            pause(ms(10)).await;
            world.kill("a", death);
            pause(ms(10)).await;
            world.heal("a", "b");
            assert_eq!(receive(&mut far.receiver).await, Ok(0), "this had arrived");
            assert_eq!(within(ms(60_000), receive(&mut far.receiver)).await, None, "N3; half open");
            world.restart("a");
            send(&mut far.sender, 0, 10).await;
            assert_eq!(receive(&mut far.receiver).await, Err(NetError::Reset));
        });
    }
}

#[test]
fn a_crash_behind_a_cut_is_heard_of_after_the_heal_and_only_by_who_speaks() {
    simulate(1, config(), |world| async move {
        let (a, b) = (Idle::add(&world, "a"), Idle::add(&world, "b"));
        let (mut talking, _talking_far) = connected(&a.env(), &b.env()).await;
        let (mut listening, _listening_far) = connected(&a.env(), &b.env()).await;
        for (from, to) in [("a", "b"), ("b", "a")] {
            world.cut(from, to);
        }
        world.kill("b", Death::Crash);
        send(&mut talking.sender, 0, 10).await;
        assert_eq!(within(ms(60_000), receive(&mut talking.receiver)).await, None);
        let healed = now();
        for (from, to) in [("a", "b"), ("b", "a")] {
            world.heal(from, to);
        }
        assert_eq!(receive(&mut talking.receiver).await, Err(NetError::Reset));
        assert!(now().since(healed) < ms(3000) + 2 * LATENCY + SLACK);
        assert_eq!(within(ms(60_000), receive(&mut listening.receiver)).await, None);
    });
}

#[test]
fn what_a_process_has_closed_in_good_order_outlives_its_crash_but_not_its_machine() {
    for (death, arrives) in [(Death::Crash, 10), (Death::MachineLoss, 4)] {
        let read = simulate(1, config(), move |world| async move {
            let (_a, _b, mut near, mut far) = two(&world).await;
            for number in 0..10 {
                send(&mut near.sender, number, 1000).await;
            }
            drop(near);
            pause(Duration::from_micros(4500)).await;
            world.kill("a", death);
            let mut read = 0;
            while let Some(Ok(_)) = within(ms(60_000), receive(&mut far.receiver)).await {
                read += 1;
            }
            read
        });
        assert_eq!(read, arrives, "{death:?}");
    }
}

#[test]
fn a_reset_under_way_does_not_cross_a_cut() {
    simulate(1, config(), |world| async move {
        let (_a, _b, mut near, _far) = two(&world).await;
        world.kill("b", Death::Crash);
        pause(ms(1)).await;
        world.cut("b", "a");
        assert_eq!(within(ms(10_000), receive(&mut near.receiver)).await, None, "N2");
        send(&mut near.sender, 0, 10).await;
        world.heal("b", "a");
        assert_eq!(within(ms(10_000), receive(&mut near.receiver)).await, Some(Err(NetError::Reset)));
    });
}

#[test]
fn connecting_is_refused_where_nobody_listens_and_times_out_where_nothing_answers() {
    simulate(1, config(), |world| async move {
        let (a, _b, _c) = (Idle::add(&world, "a"), Idle::add(&world, "b"), Idle::add(&world, "c"));
        let env = a.env();
        let connect = async |to: &str, timeout| {
            let start = now();
            (env.connect(&address(to), timeout).await.map(drop), now().since(start))
        };
        let (refused, took) = connect("b", ms(1000)).await;
        assert_eq!(refused, Err(NetError::Refused));
        assert_at(Time::ZERO + took, Time::ZERO + 2 * LATENCY);
        assert_eq!(connect("b", ms(3)).await.0, Err(NetError::TimedOut), "the answer comes too late");
        world.kill("c", Death::MachineLoss);
        world.cut("b", "a");
        for to in ["b", "c"] {
            let (silence, took) = connect(to, ms(2500)).await;
            assert_eq!(silence, Err(NetError::TimedOut), "{to}");
            assert_at(Time::ZERO + took, Time::ZERO + ms(2500));
        }
        world.kill("b", Death::Crash);
        world.heal("b", "a");
        assert_eq!(connect("b", ms(1000)).await.0, Err(NetError::Refused), "a dead process's machine answers");
        assert!(matches!(connect("nobody", ms(1)).await.0, Err(NetError::Other(_))));
    });
}

#[test]
fn connecting_succeeds_when_the_link_heals_in_time() {
    simulate(1, config(), |world| async move {
        let (a, b) = (Idle::add(&world, "a"), Idle::add(&world, "b"));
        let _listener = b.env().listen(Port::Data).await.unwrap();
        world.cut("a", "b");
        let start = now();
        let healing = async {
            pause(ms(1500)).await;
            world.heal("a", "b");
        };
        let env = a.env();
        let to = address("b");
        let (made, ()) = join(env.connect(&to, ms(5000)), healing).await;
        assert!(made.is_ok());
        // Tries at 0, 1 and 3 s.
        let took = now().since(start);
        assert!(took >= ms(3000) + 2 * LATENCY && took < ms(3000) + 2 * LATENCY + 4 * SLACK, "{took:?}");
    });
}

#[test]
fn a_cut_during_the_handshake_is_waited_for() {
    for cut_after in [1, 3] {
        simulate(1, config(), move |world| async move {
            let (a, b) = (Idle::add(&world, "a"), Idle::add(&world, "b"));
            let _listener = b.env().listen(Port::Data).await.unwrap();
            let env = a.env();
            let to = address("b");
            let cutting = async {
                pause(ms(cut_after)).await;
                world.cut("b", "a");
                pause(ms(400)).await;
                world.heal("b", "a");
            };
            let (made, ()) = join(env.connect(&to, ms(5000)).map(|made| (made.is_ok(), now())), cutting).await;
            assert!(made.0 && made.1 > Time::ZERO + ms(1000), "N2: the next try succeeds ({})", made.1);
            world.cut("a", "b");
            assert_eq!(env.connect(&to, ms(500)).await.map(drop), Err(NetError::TimedOut));
        });
    }
}

#[test]
fn a_machine_that_is_lost_during_the_handshake_does_not_refuse() {
    simulate(1, config(), |world| async move {
        let (a, b) = (Idle::add(&world, "a"), Idle::add(&world, "b"));
        let _listener = b.env().listen(Port::Data).await.unwrap();
        let dying = async {
            pause(ms(1)).await;
            world.kill("b", Death::MachineLoss);
        };
        let env = a.env();
        let to = address("b");
        let (made, ()) = join(env.connect(&to, ms(2000)), dying).await;
        assert_eq!(made.map(drop), Err(NetError::TimedOut));
    });
}

// Lives and deaths.

#[test]
fn the_dead_have_no_effects_and_the_next_life_has_the_same_ports() {
    simulate(1, config(), |world| async move {
        let (a, b) = (Idle::add(&world, "a"), Idle::add(&world, "b"));
        let old = b.env();
        let mut listener = old.listen(Port::Data).await.unwrap();
        let (near, far) = join(a.env().connect(&address("b"), ms(1000)).map(Result::unwrap), listener.accept()).await;
        let mut far = far.unwrap();
        let before = world.network_totals();
        world.kill("b", Death::Crash);
        assert!(!world.is_alive("b"));
        assert_eq!(a.env().connect(&address("b"), ms(1000)).await.map(drop), Err(NetError::Refused));
        pause(ms(1)).await;
        world.restart("b");
        let new = b.env();
        assert_eq!((old.incarnation(), new.incarnation()), (1, 2));
        world.restart("b");
        assert_eq!(b.env().incarnation(), 2, "who lives is not started again");
        let mut new_listener = new.listen(Port::Data).await.unwrap();

        let event = Event::JobRunning { attempt: Attempt(1) };
        let (to, store) = (address("a"), old.store(StoreKind::Output));
        let outcomes = tokio::join!(
            within(ms(100), far.sender.send(frame(1, 1))).map(|done| done.is_none()),
            within(ms(100), far.receiver.receive()).map(|done| done.is_none()),
            within(ms(100), listener.accept()).map(|done| done.is_none()),
            within(ms(100), old.connect(&to, ms(50))).map(|done| done.is_none()),
            within(ms(100), store.create("x", Bytes::new())).map(|done| done.is_none()),
            within(ms(100), old.emit(event)).map(|done| done.is_none()),
            old.listen(Port::Control).map(|done| done.is_err()),
        );
        assert_eq!(outcomes, (true, true, true, true, true, true, true), "V1");
        assert_eq!(world.late_effects(), 7, "W2");
        assert_eq!(world.network_totals(), before);
        assert!(world.stores().list(StoreKind::Output, "").is_empty());
        // Its destructors, too.
        drop((listener, far, near));
        let (near, far) =
            join(a.env().connect(&address("b"), ms(1000)).map(Result::unwrap), new_listener.accept()).await;
        let (mut near, mut far) = (near, far.unwrap());
        send(&mut near.sender, 5, 10).await;
        assert_eq!(receive(&mut far.receiver).await, Ok(5));
    });
}

struct Watcher<E, S>(E, S);

impl<E, S> Observer for Watcher<E, S>
where
    E: FnMut(&Arc<SimWorld>, &EventRecord) + Send,
    S: FnMut(&Arc<SimWorld>, &StoreMutation) + Send,
{
    fn on_event(&mut self, world: &Arc<SimWorld>, record: &EventRecord) {
        (self.0)(world, record);
    }
    fn on_store(&mut self, world: &Arc<SimWorld>, mutation: &StoreMutation) {
        (self.1)(world, mutation);
    }
}

/// Emits, computes, writes and sends in turn; every instruction leaves a mark.
async fn small_script(env: Env, marks: Arc<AtomicUsize>) {
    struct Last(Env);
    impl Drop for Last {
        fn drop(&mut self) {
            let _ = self.0.listen(Port::Data).now_or_never();
        }
    }
    let last = Last(env.clone());
    let store = env.store(StoreKind::Output);
    let mark = || marks.fetch_add(1, Ordering::Relaxed);
    for step in 0..4u32 {
        env.emit(Event::JobRunning { attempt: Attempt(step) }).await;
        mark();
        store.create(&format!("{step}"), Bytes::from_static(b"x")).await.unwrap();
        mark();
        let both = [env.clone(), env.clone()]
            .map(|env| async move { env.emit(Event::LeadershipGranted { term: crate::ids::Term(1) }).await });
        join_all(both).await;
        mark();
    }
    std::future::pending::<()>().await;
    drop(last);
}

#[test]
fn a_struck_emitter_does_not_run_another_instruction() {
    let mut config = config();
    config.store.latency = (Duration::ZERO, Duration::ZERO);
    for death in [Death::Crash, Death::MachineLoss] {
        for position in 0..12 {
            let config = config.clone();
            simulate(position, config, move |world| async move {
                let marks = Arc::new(AtomicUsize::new(0));
                let events = Arc::new(AtomicUsize::new(0));
                let at_strike = Arc::new(Mutex::new(None));
                let (counting, struck, script) = (events.clone(), at_strike.clone(), marks.clone());
                let seen = marks.clone();
                let strike = move |world: &Arc<SimWorld>, record: &EventRecord| {
                    if counting.fetch_add(1, Ordering::Relaxed) == position as usize {
                        assert!(world.kill(record.node.as_str(), death));
                        *struck.lock().unwrap() = Some((now(), seen.load(Ordering::Relaxed)));
                    }
                };
                world.observe(Box::new(Watcher(strike, |_: &Arc<SimWorld>, _: &StoreMutation| {})));
                add_script(&world, "a", move |env| small_script(env, script.clone()));
                pause(ms(100)).await;
                let (_, before) = at_strike.lock().unwrap().expect("struck");
                assert_eq!(marks.load(Ordering::Relaxed), before, "V2");
                // Of two emits polled together the second is refused, and the destructor's attempt to listen.
                let together = usize::from(position % 3 == 1);
                assert_eq!(events.load(Ordering::Relaxed), position as usize + 1);
                assert_eq!(world.late_effects(), together as u64 + 1, "position {position}");
                assert_eq!(world.stores().list(StoreKind::Output, "").len(), (position as usize).div_ceil(3).min(4));
            });
        }
    }
}

#[test]
fn who_is_struck_by_the_effect_of_its_own_write_never_hears_of_it() {
    let mut config = config();
    config.store.latency = (Duration::ZERO, Duration::ZERO);
    simulate(1, config, |world| async move {
        let marks = Arc::new(AtomicUsize::new(0));
        let script = marks.clone();
        let strike = |world: &Arc<SimWorld>, _: &StoreMutation| assert!(world.kill("a", Death::Crash));
        world.observe(Box::new(Watcher(|_: &Arc<SimWorld>, _: &EventRecord| {}, strike)));
        add_script(&world, "a", move |env| small_script(env, script.clone()));
        pause(ms(100)).await;
        assert_eq!(marks.load(Ordering::Relaxed), 1, "V2");
        assert_eq!(world.stores().list(StoreKind::Output, ""), ["0"]);
    });
}

#[test]
fn observers_may_do_to_the_world_whatever_they_like() {
    simulate(1, config(), |world| async move {
        let (_a, b, mut near, _far) = two(&world).await;
        let strike = |world: &Arc<SimWorld>, _: &EventRecord| {
            world.cut("a", "c");
            world.heal("a", "c");
            world.stores().damage(StoreKind::Output, "x", Some(Bytes::from_static(b"rot")));
            assert!(world.is_alive("b"));
            assert!(world.kill("b", Death::Crash));
            world.cut("b", "c");
            let _ = (world.network_totals(), world.late_effects());
        };
        world.observe(Box::new(Watcher(strike, |_: &Arc<SimWorld>, _: &StoreMutation| {})));
        let marks = Arc::new(AtomicUsize::new(0));
        let script = marks.clone();
        add_script(&world, "c", move |env| {
            let script = script.clone();
            async move {
                env.emit(Event::JobRunning { attempt: Attempt(1) }).await;
                script.fetch_add(1, Ordering::Relaxed);
            }
        });
        assert_eq!(receive(&mut near.receiver).await, Err(NetError::Reset));
        assert_eq!(marks.load(Ordering::Relaxed), 1, "whoever was not struck goes on");
        assert_eq!(world.stores().read(StoreKind::Output, "x"), Some(Bytes::from_static(b"rot")));
        let _ = b;
        assert!(world.take_observer().is_some(), "W3: it is back in its place");
    });
}

// The stores.

async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let start = now();
    let done = work.await;
    (done, now().since(start))
}

#[track_caller]
fn assert_took(took: Duration, expected: Duration) {
    assert!(took >= expected && took < expected + SLACK, "{took:?} is not {expected:?}");
}

#[test]
fn a_store_takes_its_latency_and_each_node_has_one_way_to_it() {
    simulate(1, config(), |world| async move {
        let (a, b) = (Idle::add(&world, "a"), Idle::add(&world, "b"));
        let (store, other) = (a.env().store(StoreKind::Checkpoints), b.env().store(StoreKind::Checkpoints));
        let thousand = Bytes::from(vec![7; 1000]);
        let (made, took) = timed(store.create("x", thousand.clone())).await;
        assert_eq!(made, Ok(true));
        assert_took(took, ms(1) + LATENCY);
        let (read, took) = timed(store.get("x")).await;
        assert_eq!(read, Ok(thousand.clone()));
        assert_took(took, ms(1) + LATENCY);

        let puts = [(&store, "1"), (&store, "2"), (&other, "3")]
            .map(|(store, path)| timed(store.create(path, thousand.clone())));
        let took: Vec<_> = join_all(puts).await.into_iter().map(|(_, took)| took).collect();
        for (took, expected) in took.into_iter().zip([1, 2, 1]) {
            assert_took(took, ms(expected) + LATENCY);
        }
        let gets = [(&store, "1"), (&store, "2"), (&other, "3")].map(|(store, path)| timed(store.get(path)));
        let took: Vec<_> = join_all(gets).await.into_iter().map(|(_, took)| took).collect();
        for (took, expected) in took.into_iter().zip([1, 2, 1]) {
            assert_took(took, ms(expected) + LATENCY);
        }
        assert_took(timed(store.delete("x")).await.1, LATENCY);
        assert_took(timed(store.list("")).await.1, LATENCY);
        assert!(other.get("x").await.is_err(), "all nodes see the same");
        assert!(world.stores().list(StoreKind::Output, "").is_empty(), "two stores");
    });
}

#[test]
fn as_many_transfers_run_at_once_as_a_node_has_streams() {
    let mut config = config();
    config.store.streams = 2;
    simulate(1, config, |world| async move {
        let a = Idle::add(&world, "a");
        let store = a.env().store(StoreKind::Checkpoints);
        let thousand = Bytes::from(vec![7; 1000]);
        let puts = ["1", "2", "3"].map(|path| timed(store.create(path, thousand.clone())));
        let took: Vec<_> = join_all(puts).await.into_iter().map(|(_, took)| took).collect();
        for (took, expected) in took.into_iter().zip([1, 1, 2]) {
            assert_took(took, ms(expected) + LATENCY);
        }
    });
}

#[test]
fn a_node_that_dies_while_it_writes_leaves_nothing_or_the_whole_object() {
    for killed_after in [0, 500, 1000, 1900, 1999, 2001, 2100, 2900, 3500] {
        let left = simulate(1, config(), move |world| async move {
            add_script(&world, "a", |env| async move {
                let store = env.store(StoreKind::Checkpoints);
                assert_eq!(store.create("x", Bytes::from(vec![7; 1000])).await, Ok(true));
            });
            pause(Duration::from_micros(killed_after)).await;
            world.kill("a", Death::Crash);
            pause(ms(1000)).await;
            world.stores().read(StoreKind::Checkpoints, "x").map(|bytes| bytes.len())
        });
        // A millisecond of transfer, then half the latency.
        assert_eq!(left, (killed_after > 2000).then_some(1000), "killed after {killed_after} µs");
    }
}

#[test]
fn of_many_creators_of_an_object_one_wins() {
    simulate(1, config(), |world| async move {
        let nodes: Vec<_> = ["a", "b", "c"].map(|name| Idle::add(&world, name)).into();
        let stores: Vec<Store> = nodes.iter().map(|node| node.env().store(StoreKind::Output)).collect();
        let bodies = ["0", "1", "2"].map(|body| Bytes::from_static(body.as_bytes()));
        let creating = stores.iter().zip(&bodies).map(|(store, body)| store.create("decision", body.clone()));
        let won: Vec<_> = join_all(creating).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(won.iter().filter(|won| **won).count(), 1);
        let winner = won.iter().position(|won| *won).unwrap();
        assert_eq!(stores[0].get("decision").await, Ok(bodies[winner].clone()), "the losers changed nothing");
    });
}

#[test]
fn objects_are_renamed_listed_deleted_and_damaged_and_each_change_is_told() {
    simulate(1, config(), |world| async move {
        let told = Arc::new(Mutex::new(Vec::new()));
        let telling = told.clone();
        let tell = move |_: &Arc<SimWorld>, mutation: &StoreMutation| {
            telling.lock().unwrap().push(match mutation {
                StoreMutation::Put { path, bytes, .. } => format!("put {path} {}", bytes.len()),
                StoreMutation::Renamed { from, to, .. } => format!("rename {from} {to}"),
                StoreMutation::Deleted { path, .. } => format!("delete {path}"),
            });
        };
        world.observe(Box::new(Watcher(|_: &Arc<SimWorld>, _: &EventRecord| {}, tell)));
        let a = Idle::add(&world, "a");
        let store = a.env().store(StoreKind::Output);
        for path in ["f/b", "f/a", "g/a"] {
            store.create(path, Bytes::from(path)).await.unwrap();
        }
        assert_eq!(store.list("f").await, Ok(vec![("f/a".into(), 3), ("f/b".into(), 3)]));
        assert_eq!(store.publish("f/a", "done").await, Ok(true));
        assert_eq!(store.publish("f/b", "done").await, Ok(false), "the name is taken");
        assert!(matches!(store.publish("f/a", "again").await, Err(StoreError::NotFound { .. })));
        assert_eq!(store.get("done").await, Ok(Bytes::from_static(b"f/a")));
        assert!(matches!(store.get("f/a").await, Err(StoreError::NotFound { .. })));
        assert_eq!(store.delete("f/b").await, Ok(()));
        assert_eq!(store.delete("f/b").await, Ok(()), "gone is gone");
        let expected = ["put f/b 3", "put f/a 3", "put g/a 3", "rename f/a done", "delete f/b"];
        assert_eq!(*told.lock().unwrap(), expected, "one entry per change, none for what changed nothing");

        world.stores().damage(StoreKind::Output, "done", Some(Bytes::from_static(b"rot")));
        assert_eq!(store.get("done").await, Ok(Bytes::from_static(b"rot")));
        world.stores().damage(StoreKind::Output, "done", None);
        assert!(matches!(store.get("done").await, Err(StoreError::NotFound { .. })));
        assert_eq!(told.lock().unwrap().len(), 5, "damage is not the engine's doing");
    });
}

// Time and its price.

#[test]
fn short_sleeps_take_their_time_and_no_more() {
    simulate(1, config(), |world| async move {
        let env = Idle::add(&world, "a").env();
        let ((), took) = timed(async {
            for _ in 0..1000 {
                env.sleep(Duration::from_micros(20)).await;
            }
        })
        .await;
        assert!(took >= ms(20) && took < Duration::from_micros(20_300), "{took:?}");
        let ((), took) = timed(env.sleep(Duration::ZERO)).await;
        assert_eq!(took, Duration::ZERO);
    });
}

#[test]
fn a_timer_can_be_set_again_while_it_is_waited_for() {
    simulate(1, config(), |world| async move {
        let env = Idle::add(&world, "a").env();
        let start = now();
        let mut timer = env.timer();
        assert_eq!(within(ms(1000), timer.wait()).await, None, "not set, it never fires");
        timer.set(Some(start + ms(5000)));
        assert_eq!(within(ms(10), timer.wait()).await, None);
        timer.set(Some(start + ms(2000)));
        timer.wait().await;
        assert_at(now(), start + ms(2000));
        assert_eq!(timer.deadline(), None);
        assert_eq!(within(ms(10_000), timer.wait()).await, None, "it fires once");
    });
}

#[test]
fn charges_queue_for_the_cores_of_their_node() {
    let mut config = config();
    config.rates.deploy_ns = 1e6;
    simulate(1, config, |world| async move {
        let (a, b) = (Idle::add(&world, "a"), Idle::add(&world, "b"));
        let charge = async |env: Env| timed(env.charge(Work::Deploy)).await.1;
        let took = join_all([&a, &a, &a, &a, &b].map(|node| charge(node.env()))).await;
        for (took, expected) in took.into_iter().zip([1, 1, 2, 2, 1]) {
            assert_took(took, ms(expected));
        }
        let (_, took) = timed(a.env().charge(Work::Records { records: 1000, bytes: 1 << 20, state: None })).await;
        assert_eq!(took, Duration::ZERO, "what is free does not even yield");
    });
}

// Determinism.

/// What a run shows to the outside: the network's totals, and every event with its time.
type Shown = (NetworkTotals, Vec<(u64, String)>);

fn traffic(config: SimConfig, port: Port, altered: u8) -> Shown {
    let seed = config.seed;
    simulate(seed, config, move |world| async move {
        let events = Arc::new(Mutex::new(Vec::new()));
        let log = events.clone();
        let watch = move |_: &Arc<SimWorld>, record: &EventRecord| {
            log.lock().unwrap().push((record.at.0, format!("{} {}", record.node, record.event)));
        };
        world.observe(Box::new(Watcher(watch, |_: &Arc<SimWorld>, _: &StoreMutation| {})));
        let names = ["a", "b", "c"];
        for name in names {
            add_script(&world, name, move |env| async move {
                let mut listener = env.listen(port).await.unwrap();
                let echoing = env.clone();
                let echo = env.spawn(async move {
                    while let Ok(Connection { mut sender, mut receiver }) = listener.accept().await {
                        let task = echoing.spawn(async move {
                            while let Ok(frame) = receiver.receive().await {
                                sender.send(frame).await.unwrap();
                            }
                        });
                        task.detach();
                    }
                });
                echo.detach();
                env.sleep(ms(1)).await;
                for peer in names {
                    let suffix = if port == Port::Data { "data" } else { "control" };
                    let to = Address(format!("{peer}:{suffix}"));
                    let mut connection = env.connect(&to, ms(1000)).await.unwrap();
                    for number in 0..20u32 {
                        let mut body = vec![0; 10 + number as usize];
                        body[0] = altered * u8::from(number == 7 && peer == "b");
                        let head = Bytes::from_static(b"head");
                        connection.sender.send(Frame { head, body: body.into() }).await.unwrap();
                        connection.receiver.receive().await.unwrap();
                        env.emit(Event::JobRunning { attempt: Attempt(number) }).await;
                    }
                }
            });
        }
        pause(ms(10_000)).await;
        let events = events.lock().unwrap().clone();
        assert_eq!(events.len(), 180);
        (world.network_totals(), events)
    })
}

#[test]
fn the_same_seed_shows_the_same_run_in_any_thread_and_the_smallest_change_shows() {
    let mut config = config();
    config.link.latency = (Duration::from_micros(100), ms(3));
    let run = |config: &SimConfig, port, altered| traffic(config.clone(), port, altered);
    let reference = run(&config, Port::Data, 1);
    let parallel: Vec<_> = (0..3)
        .map(|_| {
            let config = config.clone();
            std::thread::spawn(move || traffic(config, Port::Data, 1))
        })
        .collect();
    assert_eq!(reference, run(&config, Port::Data, 1));
    for other in parallel {
        assert_eq!(reference, other.join().unwrap());
    }
    let digest = |(totals, _): Shown| totals.digest;
    let altered = run(&config, Port::Data, 2);
    assert_eq!(altered.1, reference.1, "contents change nothing in time");
    assert_ne!(digest(altered), reference.0.digest, "one data byte");
    assert_eq!(
        digest(run(&config, Port::Control, 2)),
        digest(run(&config, Port::Control, 1)),
        "control counts by length"
    );
    let mut later = config.clone();
    later.link.latency =
        (config.link.latency.0 + Duration::from_nanos(1), config.link.latency.1 + Duration::from_nanos(1));
    assert_ne!(digest(run(&later, Port::Data, 1)), reference.0.digest, "one nanosecond of latency");
    let reseeded = SimConfig { seed: config.seed + 1, ..config };
    assert_ne!(digest(run(&reseeded, Port::Data, 1)), reference.0.digest);
}

#[test]
fn a_hundred_runs_in_one_process_leave_no_connection_open() {
    let mut shown = BTreeMap::new();
    for seed in 0..100 {
        let config = SimConfig { seed, ..config() };
        // `simulate` asserts it at the end of each.
        *shown.entry(traffic(config, Port::Data, 0).0.digest).or_insert(0) += 1;
    }
    assert_eq!(shown.len(), 100, "different seeds, different runs");
}
