//! Links with properties of their own, and nodes that read slowly.

use super::*;

/// Reads so many frames and returns when each was read.
async fn arrivals(receiver: &mut Receiver, numbers: std::ops::Range<u32>) -> Vec<Time> {
    let mut times = Vec::new();
    for number in numbers {
        assert_eq!(receive(receiver).await, Ok(number), "NET-N1");
        times.push(now());
    }
    times
}

#[test]
fn a_link_takes_other_properties_one_way_until_it_gets_the_clusters_back() {
    simulate(1, config(), |world| async move {
        let (a, b, mut near, mut far) = two(&world).await;
        world.set_link("a", "b", Some((ms(50), ms(50))), Some(100_000));
        let start = now();
        send(&mut near.sender, 0, 1000).await;
        send(&mut far.sender, 0, 1000).await;
        assert_at(arrivals(&mut near.receiver, 0..1).await[0], start + ms(1) + LATENCY);
        assert_at(arrivals(&mut far.receiver, 0..1).await[0], start + ms(10) + ms(50));
        let start = now();
        let (mut young, mut young_far) = connected(&a.env(), &b.env()).await;
        assert!(now() >= start + ms(50) + LATENCY, "requests take their time, too");
        assert!(now() < start + ms(50) + LATENCY + 4 * SLACK);
        let start = now();
        send(&mut young.sender, 0, 1000).await;
        world.set_link("a", "b", None, None);
        send(&mut young.sender, 1, 1000).await;
        let times = arrivals(&mut young_far.receiver, 0..2).await;
        // The frame was not on the wire yet, so its bytes are sent ten times as fast; its latency was drawn before.
        assert_at(times[0], start + ms(50) + ms(1));
        assert_at(times[1], times[0]);
        let start = now();
        send(&mut near.sender, 1, 1000).await;
        assert_eq!(receive(&mut far.receiver).await, Ok(1));
        assert_at(now(), start + ms(1) + LATENCY);
    });
}

#[test]
fn what_waits_for_the_wire_goes_at_the_new_bandwidth() {
    simulate(1, config(), |world| async move {
        let (_a, _b, mut near, mut far) = two(&world).await;
        world.set_link("a", "b", None, Some(1000));
        let start = now();
        for number in 0..10 {
            send(&mut near.sender, number, 1000).await;
        }
        let healing = async {
            pause(ms(1500)).await;
            world.set_link("a", "b", None, None);
            send(&mut near.sender, 10, 1000).await;
            now()
        };
        let (healed, times) = join(healing, arrivals(&mut far.receiver, 0..11)).await;
        assert_at(times[0], start + ms(1000) + LATENCY);
        // At the slow bandwidth, frames for 8.5 seconds were left.
        for (number, at) in (2..).zip(&times[1..10]) {
            assert_at(*at, healed + LATENCY + Duration::from_micros(number * 1000 - 1500));
        }
        assert_at(times[10], healed + LATENCY + Duration::from_micros(8500 + 1000));
    });
}

#[test]
fn a_link_that_gets_slower_keeps_resets_behind_the_last_words() {
    let mut config = config();
    config.link.send_buffer = 1000;
    simulate(1, config, |world| async move {
        let (_a, _b, mut near, mut far) = two(&world).await;
        send(&mut near.sender, 0, 1000).await;
        pause(ms(100)).await;
        send(&mut far.sender, 7, 1000).await;
        let closed = now();
        drop(far);
        world.set_link("b", "a", None, Some(1000));
        assert_eq!(receive(&mut near.receiver).await, Ok(7));
        // A millisecond of transfer was left at the old bandwidth, which is a second at the new one.
        assert_at(now(), closed + LATENCY + ms(1000));
        assert_eq!(receive(&mut near.receiver).await, Err(NetError::Closed));
        assert_eq!(near.sender.send(frame(1, 1000)).await, Err(NetError::Reset));
    });
}

#[test]
fn properties_outlive_cuts_and_deaths_and_hold_for_what_is_sent_again() {
    for death in [Death::Crash, Death::MachineLoss] {
        simulate(1, config(), move |world| async move {
            let (a, b, mut near, mut far) = two(&world).await;
            world.cut("a", "b");
            send(&mut near.sender, 0, 1000).await;
            world.set_link("a", "b", Some((ms(500), ms(500))), Some(1000));
            pause(ms(10)).await;
            let healed = now();
            world.heal("a", "b");
            let at = arrivals(&mut far.receiver, 0..1).await[0];
            // The retransmission follows within half of the outage.
            assert!(at >= healed + ms(1500) && at < healed + ms(1505) + SLACK);
            world.kill("b", death);
            pause(ms(1)).await;
            world.restart("b");
            let (mut near, mut far) = connected(&a.env(), &b.env()).await;
            let start = now();
            send(&mut near.sender, 0, 1000).await;
            assert_at(arrivals(&mut far.receiver, 0..1).await[0], start + ms(1500));
        });
    }
}

#[test]
fn a_node_and_itself_have_no_link_to_set() {
    simulate(1, config(), |world| async move {
        let a = Idle::add(&world, "a");
        let (mut near, mut far) = connected(&a.env(), &a.env()).await;
        world.set_link("a", "a", Some((ms(500), ms(500))), Some(1));
        world.set_link("a", "nobody", Some((ms(500), ms(500))), Some(1));
        let start = now();
        send(&mut near.sender, 0, 1000).await;
        assert_eq!(receive(&mut far.receiver).await, Ok(0));
        assert!(now() < start + ms(2));
    });
}

#[test]
fn a_slow_receiver_reads_each_data_connection_at_its_rate_and_the_writer_feels_it() {
    let mut config = config();
    config.link.send_buffer = 2000;
    simulate(1, config, |world| async move {
        let (a, b, mut near, mut far) = two(&world).await;
        world.limit_receiver("b", Some(10_000));
        let (mut second, mut second_far) = connected(&a.env(), &b.env()).await;
        let start = now();
        let writing = async |sender: &mut Sender| {
            let mut sent = Vec::new();
            for number in 0..6 {
                sender.send(frame(number, 1000)).await.unwrap();
                sent.push(now());
            }
            sent
        };
        let (sent, read, _, second_read) = tokio::join!(
            writing(&mut near.sender),
            arrivals(&mut far.receiver, 0..6),
            writing(&mut second.sender),
            arrivals(&mut second_far.receiver, 0..6),
        );
        let first = start + ms(1) + LATENCY;
        for number in 0..6 {
            // The slack of each read carries over to the next.
            let slack = SLACK * (number + 1);
            let due = first + ms(100) * number;
            for read in [&read, &second_read] {
                let at = read[number as usize];
                assert!(at >= due && at < due + slack + ms(3), "{number}: {at} is not {due}");
            }
        }
        assert_at(sent[1], start);
        for (sent, read) in sent[2..].iter().zip(&read) {
            assert_at(*sent, *read);
        }
        // Only frames that arrive at `b` are delayed, and only until the limit is removed.
        for number in 0..2 {
            send(&mut far.sender, number, 1000).await;
        }
        let start = now();
        let times = arrivals(&mut near.receiver, 0..2).await;
        assert!(times[1] < start + ms(3) + LATENCY);
        world.limit_receiver("b", Some(1));
        send(&mut near.sender, 6, 1000).await;
        assert_eq!(receive(&mut far.receiver).await, Ok(6));
        send(&mut near.sender, 7, 1000).await;
        let lifting = async {
            assert_eq!(within(ms(60_000), receive(&mut far.receiver)).await, None);
            let reading = async { (receive(&mut far.receiver).await, now()) };
            let lift = async {
                pause(ms(10)).await;
                world.limit_receiver("b", None);
                now()
            };
            join(reading, lift).await
        };
        let ((read, at), lifted) = lifting.await;
        assert_eq!(read, Ok(7));
        assert_at(at, lifted);
    });
}

#[test]
fn a_slow_receiver_hears_control_messages_at_once() {
    simulate(1, config(), |world| async move {
        let (a, b) = (Idle::add(&world, "a"), Idle::add(&world, "b"));
        world.limit_receiver("b", Some(1));
        let mut listener = b.env().listen(Port::Control).await.unwrap();
        let (env, to) = (a.env(), listener.address());
        let (near, far) = join(env.connect(&to, ms(1000)), listener.accept()).await;
        let (mut near, mut far) = (near.unwrap(), far.unwrap());
        let start = now();
        for number in 0..3 {
            send(&mut near.sender, number, 1000).await;
        }
        let times = arrivals(&mut far.receiver, 0..3).await;
        assert_at(times[2], start + ms(3) + LATENCY);
    });
}

#[test]
fn a_slow_receiver_reads_what_had_arrived_before_it_hears_of_a_crash_or_feels_a_cut() {
    simulate(1, config(), |world| async move {
        let (_a, _b, mut near, mut far) = two(&world).await;
        world.limit_receiver("b", Some(1000));
        for number in 0..4 {
            send(&mut near.sender, number, 1000).await;
        }
        pause(Duration::from_micros(4500)).await;
        let start = now();
        world.cut("a", "b");
        let times = arrivals(&mut far.receiver, 0..2).await;
        assert_at(times[1], start + ms(1000));
        assert_eq!(within(ms(5000), receive(&mut far.receiver)).await, None, "NET-N2");
        world.heal("a", "b");
        pause(ms(4000)).await;
        world.kill("a", Death::Crash);
        let start = now();
        let times = arrivals(&mut far.receiver, 2..4).await;
        assert_at(times[0], start);
        assert_at(times[1], start + ms(1000));
        assert_eq!(receive(&mut far.receiver).await, Err(NetError::Reset));
        assert_at(now(), times[1]);
        assert_eq!(far.sender.send(frame(0, 1)).await, Err(NetError::Reset));
    });
}

#[test]
fn a_slow_receiver_is_slow_in_its_next_life_too() {
    simulate(1, config(), |world| async move {
        let (a, b) = (Idle::add(&world, "a"), Idle::add(&world, "b"));
        world.limit_receiver("b", Some(1000));
        world.kill("b", Death::Crash);
        pause(ms(1)).await;
        world.restart("b");
        let (mut near, mut far) = connected(&a.env(), &b.env()).await;
        for number in 0..2 {
            send(&mut near.sender, number, 1000).await;
        }
        drop(near.sender);
        let times = arrivals(&mut far.receiver, 0..2).await;
        assert_at(times[1], times[0] + ms(1000));
        assert_eq!(
            receive(&mut far.receiver).await,
            Err(NetError::Closed),
            "the end comes behind what was read slowly"
        );
        assert_at(now(), times[1] + ms(1000));
    });
}
