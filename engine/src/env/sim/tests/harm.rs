//! What counts as harm: nothing where a fault changes nothing, and everything that it does change.

use super::*;
use crate::config::BackendKind;
use crate::env::Entries;
use crate::fault::{ClockFault, SlowWork};

fn link(world: &SimWorld, gauge: fn(String, String) -> Gauge) -> u64 {
    world.harm(&gauge("a".into(), "b".into()))
}

fn node(world: &SimWorld, gauge: fn(String) -> Gauge) -> u64 {
    world.harm(&gauge("a".into()))
}

#[test]
fn a_cut_holds_back_what_is_under_way_what_is_sent_and_who_knocks() {
    simulate(1, config(), |world| async move {
        let (a, b, mut near, mut far) = two(&world).await;
        world.cut("a", "b");
        pause(ms(100)).await;
        world.heal("a", "b");
        assert_eq!(link(&world, Gauge::Held), 0, "nothing was sent");

        send(&mut near.sender, 0, 1000).await;
        world.cut("a", "b");
        send(&mut near.sender, 1, 1000).await;
        assert_eq!(link(&world, Gauge::Held), 2, "one was under way");
        world.cut("a", "b");
        assert_eq!(link(&world, Gauge::Held), 4, "another cut holds the same frames");
        let mut listener = b.env().listen(Port::Data).await.unwrap();
        let to = listener.address();
        assert_eq!(a.env().connect(&to, ms(500)).await.map(drop), Err(NetError::TimedOut));
        assert_eq!(link(&world, Gauge::Held), 5, "a request was lost");
        for _cut in 0..2 {
            world.heal("a", "b");
        }
        for number in 0..2 {
            assert_eq!(receive(&mut far.receiver).await, Ok(number));
        }
        assert_eq!(world.harm(&Gauge::Held("b".into(), "a".into())), 0, "the other way was whole");
        assert_eq!(world.harm(&Gauge::Held("a".into(), "nobody".into())), 0);
        drop(listener.accept().now_or_never());
    });
}

#[test]
fn a_link_is_hurt_by_what_differs_from_the_clusters_own_and_by_nothing_else() {
    simulate(1, config(), |world| async move {
        let (_a, _b, mut near, mut far) = two(&world).await;
        world.set_link("a", "b", Some((LATENCY, LATENCY)), Some(1_000_000));
        send(&mut near.sender, 0, 1000).await;
        assert_eq!(receive(&mut far.receiver).await, Ok(0));
        let both = |world: &SimWorld| (link(world, Gauge::Latency), link(world, Gauge::Bandwidth));
        assert_eq!(both(&world), (0, 0), "it was so before");
        world.set_link("a", "b", Some((ms(9), ms(9))), None);
        send(&mut near.sender, 1, 1000).await;
        assert_eq!(both(&world), (1, 0));
        pause(ms(2)).await;
        world.set_link("a", "b", None, Some(1_000));
        assert_eq!(both(&world).1, 0, "it was on the wire");
        send(&mut near.sender, 2, 1000).await;
        send(&mut near.sender, 3, 1000).await;
        assert_eq!(both(&world), (1, 2));
        // Healing moves frames, too, but does not count as harm.
        world.set_link("a", "b", None, None);
        assert_eq!(both(&world), (1, 2));
        for number in 1..4 {
            assert_eq!(receive(&mut far.receiver).await, Ok(number));
        }
    });
}

#[test]
fn who_refuses_hurts_only_where_somebody_listens() {
    simulate(1, config(), |world| async move {
        let (a, b) = (Idle::add(&world, "a"), Idle::add(&world, "b"));
        world.refuse("a", true);
        assert_eq!(b.env().connect(&address("a"), ms(1000)).await.map(drop), Err(NetError::Refused));
        assert_eq!(node(&world, Gauge::Refused), 0, "nobody listens");
        let _listener = a.env().listen(Port::Data).await.unwrap();
        assert_eq!(b.env().connect(&address("a"), ms(1000)).await.map(drop), Err(NetError::Refused));
        assert_eq!(node(&world, Gauge::Refused), 1);
    });
}

#[test]
fn a_reader_is_slow_once_a_frame_waits_for_it() {
    simulate(1, config(), |world| async move {
        let (_a, _b, mut near, mut far) = two(&world).await;
        world.limit_receiver("a", Some(10_000));
        send(&mut far.sender, 0, 1000).await;
        assert_eq!(receive(&mut near.receiver).await, Ok(0));
        assert_eq!(node(&world, Gauge::ReadLate), 0, "it takes its time behind a frame, and nothing came");
        pause(ms(500)).await;
        for number in 1..3 {
            send(&mut far.sender, number, 1000).await;
        }
        for number in 1..3 {
            assert_eq!(receive(&mut near.receiver).await, Ok(number));
        }
        assert_eq!(node(&world, Gauge::ReadLate), 1);
    });
}

#[test]
fn work_is_hurt_if_it_takes_longer_and_counts_for_each_fault_behind_that() {
    let mut config = config();
    (config.rates.record_ns, config.rates.deploy_ns) = (1e6, 1e6);
    simulate(1, config, |world| async move {
        let a = Idle::add(&world, "a");
        let slowed = |world: &SimWorld| {
            [SlowWork::Cpu, SlowWork::Records, SlowWork::Snapshot]
                .map(|work| world.harm(&Gauge::Slowed("a".into(), work)))
        };
        let records = Work::Records { records: 1, bytes: 0, state: None };
        let free = Work::Snapshot { backend: BackendKind::Fs, written: Entries { count: 0, bytes: 0 } };
        world.slow("a", SlowWork::Cpu, Some(1));
        a.env().charge(records).await;
        world.slow("a", SlowWork::Records, Some(3));
        a.env().charge(Work::Deploy).await;
        assert_eq!(slowed(&world), [0, 0, 0], "other work, at its own speed");
        a.env().charge(records).await;
        world.slow("a", SlowWork::Cpu, Some(2));
        a.env().charge(records).await;
        a.env().charge(Work::Deploy).await;
        a.env().charge(free).await;
        assert_eq!(slowed(&world), [2, 2, 0], "what costs nothing cannot take longer");
        world.slow("a", SlowWork::Snapshot, None);
        assert_eq!(within(ms(100), a.env().charge(free)).await, None);
        assert_eq!(slowed(&world), [3, 2, 1], "what hangs is counted once");
    });
}

#[test]
fn a_node_that_stood_still_is_hurt_by_what_came_due_meanwhile() {
    simulate(1, config(), |world| async move {
        add_script(&world, "a", |env| async move {
            loop {
                env.sleep(ms(100)).await;
            }
        });
        pause(ms(10)).await;
        assert!(world.pause("a"));
        pause(ms(20)).await;
        world.resume("a");
        pause(ms(200)).await;
        assert_eq!(node(&world, Gauge::StoodStill), 0, "nothing was due in these 20 ms");
        assert!(world.pause("a"));
        pause(ms(150)).await;
        world.resume("a");
        pause(ms(200)).await;
        assert_eq!(node(&world, Gauge::StoodStill), 1, "one timer was late");
        assert!(world.pause("a"));
        assert!(world.kill("a", Death::Crash));
        assert_eq!(node(&world, Gauge::StoodStill), 2, "it never went on");
    });
}

#[test]
fn a_clock_is_hurt_when_somebody_reads_it_while_it_is_wrong() {
    simulate(1, config(), |world| async move {
        let a = Idle::add(&world, "a");
        let wrong = |world: &SimWorld| node(world, Gauge::WrongClock);
        assert!(!world.set_clock("a", ClockFault::Forward(Duration::ZERO)));
        assert!(!world.set_clock("a", ClockFault::Drift(0)));
        a.env().now();
        assert_eq!(wrong(&world), 0, "it is right");
        assert!(world.set_clock("a", ClockFault::Forward(ms(50))));
        assert_eq!(wrong(&world), 0, "nobody has read it");
        a.env().now();
        a.env().sleep(ms(10)).await;
        assert!(wrong(&world) >= 2, "a timer reads it, too");
        let before = wrong(&world);
        assert!(world.set_clock("a", ClockFault::Back(ms(50))));
        a.env().now();
        assert_eq!(wrong(&world), before, "right again");
        assert!(world.set_clock("a", ClockFault::Drift(100_000)));
        assert!(!world.set_clock("a", ClockFault::Drift(100_000)), "it drifts already");
        pause(ms(10)).await;
        a.env().now();
        assert_eq!(wrong(&world), before + 1);
    });
}

fn rule(fault: StoreFault) -> StoreRule {
    StoreRule { store: None, node: None, fault, count: None }
}

/// The harm of a rule after the requests of `work` to the store `a`, and after those of `later` once the rule was
/// withdrawn.
fn rule_harm<W, L>(
    fault: StoreFault,
    work: impl FnOnce(Store) -> W + Send + 'static,
    later: impl FnOnce(Store) -> L + Send + 'static,
) -> u64
where
    W: Future<Output = ()>,
    L: Future<Output = ()>,
{
    simulate(1, config(), move |world| async move {
        let store = Idle::add(&world, "a").env().store(StoreKind::Checkpoints);
        store.create("old", Bytes::from_static(b"contents")).await.unwrap();
        pause(ms(10)).await;
        let number = world.add_store_rule(rule(fault));
        work(store.clone()).await;
        world.end_store_rule(number);
        later(store).await;
        world.harm(&Gauge::Requests(number))
    })
}

async fn nothing(_: Store) {}

async fn read(store: Store) {
    let _ = store.get("old").await;
}

async fn write(store: Store) {
    let _ = store.create("new", Bytes::from_static(b"contents")).await;
}

async fn list(store: Store) {
    store.list("").await.unwrap();
}

async fn write_nothing(store: Store) {
    let _ = store.create("new", Bytes::new()).await;
}

async fn write_and_list(store: Store) {
    write(store.clone()).await;
    list(store).await;
}

async fn write_and_read(store: Store) {
    write(store.clone()).await;
    let _ = store.get("new").await;
}

#[test]
fn a_rule_of_a_store_hurts_what_it_answers_otherwise() {
    let (ages, moment) = (ms(5_000), Duration::from_nanos(1));
    assert_eq!(rule_harm(StoreFault::Slow(Duration::ZERO), read, nothing), 0);
    assert_eq!(rule_harm(StoreFault::Slow(ms(5)), read, nothing), 1);
    assert_eq!(rule_harm(StoreFault::Throttled(1_000_000), write, nothing), 0, "that fast is the store itself");
    assert_eq!(rule_harm(StoreFault::Throttled(1_000), write, nothing), 1);
    assert_eq!(rule_harm(StoreFault::Throttled(1_000), read, nothing), 1);
    assert_eq!(rule_harm(StoreFault::Unavailable, read, nothing), 1);
    assert_eq!(rule_harm(StoreFault::FailedWrite, read, nothing), 0);
    assert_eq!(rule_harm(StoreFault::FailedWrite, write, nothing), 1);
    assert_eq!(rule_harm(StoreFault::NoSpace, write, nothing), 1);
    assert_eq!(rule_harm(StoreFault::AmbiguousWrite, write, nothing), 1);
    assert_eq!(rule_harm(StoreFault::TornWrite, write_nothing, nothing), 0, "half of nothing");
    assert_eq!(rule_harm(StoreFault::TornWrite, write, nothing), 1);
    assert_eq!(rule_harm(StoreFault::StaleRead(moment), read, nothing), 0, "it was the same then");
    assert_eq!(rule_harm(StoreFault::StaleRead(ages), read, nothing), 1, "it was not there then");
    assert_eq!(rule_harm(StoreFault::LaggingList(moment), list, nothing), 0);
    assert_eq!(rule_harm(StoreFault::LaggingList(ages), write_and_list, nothing), 1);
}

#[test]
fn a_lost_write_hurts_who_misses_it() {
    assert_eq!(rule_harm(StoreFault::LostWrite, write_and_read, nothing), 0, "it was there while they looked");
    assert_eq!(rule_harm(StoreFault::LostWrite, write, read), 0, "another object");
    assert_eq!(rule_harm(StoreFault::LostWrite, write, list), 1);
    assert_eq!(rule_harm(StoreFault::LostWrite, write, write_and_read), 1, "written anew, it is there again");
}

#[test]
fn damage_hurts_who_meets_it() {
    simulate(1, config(), |world| async move {
        let store = Idle::add(&world, "a").env().store(StoreKind::Checkpoints);
        let met = |world: &SimWorld| world.harm(&Gauge::Damaged("x".into()));
        store.create("x", Bytes::from_static(b"contents")).await.unwrap();
        store.create("y", Bytes::from_static(b"contents")).await.unwrap();
        world.stores().damage(StoreKind::Checkpoints, "x", Some(Bytes::from_static(b"contents")));
        store.get("x").await.unwrap();
        assert_eq!(met(&world), 0, "it is as it was");
        world.stores().damage(StoreKind::Checkpoints, "x", Some(Bytes::from_static(b"rot")));
        store.get("y").await.unwrap();
        store.list("").await.unwrap();
        assert_eq!(met(&world), 0, "nobody has looked into it");
        store.get("x").await.unwrap();
        assert_eq!(met(&world), 1);
        world.stores().damage(StoreKind::Checkpoints, "x", None);
        store.list("").await.unwrap();
        assert_eq!(met(&world), 2, "it is missing from the listing");
        store.create("x", Bytes::from_static(b"contents")).await.unwrap();
        store.get("x").await.unwrap();
        assert_eq!(met(&world), 3, "a writer met the gap, and it is there again");
    });
}
