//! Connections that faults tear, leave half open, or refuse.

use super::*;

const LONG: Duration = ms(60_000);

async fn echo(near: &mut Connection, far: &mut Connection) {
    send(&mut near.sender, 1, 10).await;
    assert_eq!(within(ms(100), receive(&mut far.receiver)).await, Some(Ok(1)));
    send(&mut far.sender, 2, 10).await;
    assert_eq!(within(ms(100), receive(&mut near.receiver)).await, Some(Ok(2)));
}

fn cut_both(world: &SimWorld) {
    world.cut("a", "b");
    world.cut("b", "a");
}

fn heal_both(world: &SimWorld) {
    world.heal("a", "b");
    world.heal("b", "a");
}

// Reset.

#[test]
fn a_reset_is_felt_at_both_ends_at_once_even_through_a_cut_and_nothing_under_way_arrives() {
    for cut in [false, true] {
        simulate(1, config(), move |world| async move {
            let (a, b, mut near, mut far) = two(&world).await;
            for number in 0..3 {
                send(&mut near.sender, number, 1000).await;
                send(&mut far.sender, number, 1000).await;
            }
            // One frame has arrived on each side; the others have not.
            pause(Duration::from_micros(3500)).await;
            if cut {
                cut_both(&world);
            }
            let torn = now();
            assert_eq!(world.reset_connections("a", None, false), 1);
            assert_eq!(world.reset_connections("a", None, false), 0, "what is torn cannot be torn again");
            for end in [&mut near, &mut far] {
                assert_eq!(end.sender.send(frame(9, 1)).await, Err(NetError::Reset));
                assert_eq!(receive(&mut end.receiver).await, Err(NetError::Reset));
            }
            assert_at(now(), torn);
            if cut {
                heal_both(&world);
            }
            let totals = world.network_totals();
            drop((near, far));
            let (mut near, mut far) = connected(&a.env(), &b.env()).await;
            echo(&mut near, &mut far).await;
            assert_eq!(world.network_totals().messages, totals.messages + 2);
        });
    }
}

#[test]
fn a_reset_wakes_who_waits_to_read_or_write() {
    let mut config = config();
    config.link.send_buffer = 10;
    simulate(1, config, |world| async move {
        let (_a, _b, near, mut far) = two(&world).await;
        let Connection { mut sender, mut receiver } = near;
        send(&mut sender, 0, 10).await;
        let tearing = async {
            pause(ms(50)).await;
            world.reset_connections("b", Some("a"), true);
            now()
        };
        let far_reading = async {
            assert_eq!(receive(&mut far.receiver).await, Ok(0));
            receive(&mut far.receiver).await
        };
        send(&mut far.sender, 0, 10).await;
        let far_writing = far.sender.send(frame(1, 10));
        let near_reading = async {
            // Reading frees the writer's buffer, so `near` reads only later.
            pause(ms(60)).await;
            receive(&mut receiver).await
        };
        let (torn, far_read, far_wrote, near_read) =
            tokio::join!(tearing, far_reading, far_writing.map(|wrote| (wrote, now())), near_reading);
        assert_eq!((far_read, near_read), (Err(NetError::Reset), Err(NetError::Reset)));
        assert_eq!(far_wrote.0, Err(NetError::Reset));
        assert_at(far_wrote.1, torn);
    });
}

#[test]
fn a_reset_tears_what_it_names_and_spares_others_and_loopback() {
    simulate(1, config(), |world| async move {
        let (a, b, c) = (Idle::add(&world, "a"), Idle::add(&world, "b"), Idle::add(&world, "c"));
        let mut itself = connected(&a.env(), &a.env()).await;
        let mut to_b = connected(&a.env(), &b.env()).await;
        let mut from_b = connected(&b.env(), &a.env()).await;
        let mut to_c = connected(&a.env(), &c.env()).await;
        let mut others = connected(&b.env(), &c.env()).await;
        assert_eq!(world.reset_connections("nobody", None, false), 0);
        assert_eq!(world.reset_connections("a", Some("nobody"), false), 0);
        assert_eq!(world.reset_connections("a", Some("a"), false), 0);
        assert_eq!(world.reset_connections("a", Some("b"), true), 1);
        assert_eq!(receive(&mut to_b.1.receiver).await, Err(NetError::Reset), "the first by number");
        echo(&mut from_b.0, &mut from_b.1).await;
        assert_eq!(world.reset_connections("a", Some("b"), false), 1);
        assert_eq!(receive(&mut from_b.0.receiver).await, Err(NetError::Reset));
        echo(&mut to_c.0, &mut to_c.1).await;
        assert_eq!(world.reset_connections("a", None, false), 1);
        assert_eq!(receive(&mut to_c.0.receiver).await, Err(NetError::Reset));
        echo(&mut others.0, &mut others.1).await;
        echo(&mut itself.0, &mut itself.1).await;
        drop(to_b.0);
    });
}

#[test]
fn a_connection_torn_before_it_was_accepted_is_never_accepted() {
    for half in [false, true] {
        simulate(1, config(), move |world| async move {
            let (a, b) = (Idle::add(&world, "a"), Idle::add(&world, "b"));
            let mut listener = b.env().listen(Port::Data).await.unwrap();
            let (env, to) = (a.env(), listener.address());
            let mut torn = env.connect(&to, ms(1000)).await.unwrap();
            let torn_connections =
                if half { world.half_open("b", "a") } else { world.reset_connections("a", None, false) };
            assert_eq!(torn_connections, 1);
            let told = within(LONG, receive(&mut torn.receiver)).await;
            assert_eq!(told, (!half).then_some(Err(NetError::Reset)));
            assert!(within(ms(100), listener.accept()).await.is_none());
            let (whole, accepted) = join(env.connect(&to, ms(1000)), listener.accept()).await;
            echo(&mut whole.unwrap(), &mut accepted.unwrap()).await;
            drop(listener);
            let told = within(LONG, receive(&mut torn.receiver)).await;
            assert_eq!(told, (!half).then_some(Err(NetError::Reset)), "nor is it told when the listener closes");
        });
    }
}

#[test]
fn a_reset_tells_who_waits_for_a_lost_machine() {
    simulate(1, config(), |world| async move {
        let (_a, _b, mut near, _far) = two(&world).await;
        world.kill("b", Death::MachineLoss);
        assert_eq!(within(LONG, receive(&mut near.receiver)).await, None);
        assert_eq!(world.reset_connections("b", None, false), 1, "a's end lives");
        assert_eq!(receive(&mut near.receiver).await, Err(NetError::Reset));
        world.restart("b");
        assert_eq!(world.reset_connections("b", None, false), 0);
    });
}

// Refusal.

#[test]
fn a_refusing_node_answers_requests_with_refused_and_keeps_what_it_has() {
    simulate(1, config(), |world| async move {
        let (a, b, mut near, mut far) = two(&world).await;
        let mut listener = b.env().listen(Port::Data).await.unwrap();
        let (env, to) = (a.env(), listener.address());
        world.refuse("b", true);
        world.refuse("b", true);
        let start = now();
        assert_eq!(env.connect(&to, ms(1000)).await.map(drop), Err(NetError::Refused));
        assert!(now() >= start + 2 * LATENCY && now() < start + 2 * LATENCY + 4 * SLACK);
        echo(&mut near, &mut far).await;
        let itself = b.env();
        assert!(
            join(itself.connect(&to, ms(1000)), listener.accept()).await.0.is_ok(),
            "loopback is no business of it"
        );
        let back = connected(&b.env(), &a.env()).await;
        drop(back);
        world.refuse("b", false);
        assert_eq!(env.connect(&to, ms(1000)).await.map(drop), Err(NetError::Refused), "refusals add up");
        world.refuse("b", false);
        world.refuse("b", false);
        assert!(join(env.connect(&to, ms(1000)), listener.accept()).await.0.is_ok());
        world.refuse("b", true);
        assert_eq!(
            env.connect(&to, ms(1000)).await.map(drop),
            Err(NetError::Refused),
            "healing twice leaves no credit"
        );
    });
}

#[test]
fn a_refusal_does_not_cross_a_cut_nor_come_from_a_lost_machine_and_waits_for_the_next_life() {
    simulate(1, config(), |world| async move {
        let (a, b) = (Idle::add(&world, "a"), Idle::add(&world, "b"));
        let (env, to) = (a.env(), address("b"));
        world.refuse("b", true);
        world.cut("b", "a");
        assert_eq!(env.connect(&to, ms(2500)).await.map(drop), Err(NetError::TimedOut), "NET-N2");
        world.heal("b", "a");
        world.kill("b", Death::MachineLoss);
        assert_eq!(env.connect(&to, ms(2500)).await.map(drop), Err(NetError::TimedOut));
        world.restart("b");
        pause(ms(1)).await;
        let mut listener = b.env().listen(Port::Data).await.unwrap();
        assert_eq!(env.connect(&to, ms(1000)).await.map(drop), Err(NetError::Refused));
        world.refuse("b", false);
        assert!(join(env.connect(&to, ms(1000)), listener.accept()).await.0.is_ok());
    });
}

// Half open.

#[test]
fn one_end_is_gone_and_the_other_writes_into_the_void_until_its_buffer_is_full() {
    let mut config = config();
    config.link.send_buffer = 1000;
    simulate(1, config, |world| async move {
        let (a, b, mut near, mut far) = two(&world).await;
        send(&mut near.sender, 0, 400).await;
        let torn = now();
        assert_eq!(world.half_open("b", "a"), 1);
        assert_eq!(world.half_open("b", "a"), 0, "it is half open already");
        assert_eq!(receive(&mut far.receiver).await, Err(NetError::Reset), "what was under way vanished");
        assert_eq!(far.sender.send(frame(0, 1)).await, Err(NetError::Reset));
        assert_at(now(), torn);
        send(&mut near.sender, 1, 600).await;
        let Connection { mut sender, mut receiver } = near;
        let waiting = join(within(LONG, sender.send(frame(2, 1))), within(LONG, receive(&mut receiver)));
        assert_eq!(waiting.await, (None, None), "nobody acknowledges, nobody resets");
        drop(far);
        assert_eq!(within(LONG, receive(&mut receiver)).await, None, "nor says goodbye");
        let (mut near, mut far) = connected(&a.env(), &b.env()).await;
        echo(&mut near, &mut far).await;
        assert_eq!(world.half_open("a", "nobody") + world.half_open("a", "a"), 0);
    });
}

#[test]
fn what_the_lost_end_had_on_the_wire_arrives_and_nothing_else() {
    simulate(1, config(), |world| async move {
        let (_a, _b, mut near, mut far) = two(&world).await;
        for number in 0..20 {
            send(&mut far.sender, number, 1000).await;
        }
        pause(Duration::from_micros(4500)).await;
        world.half_open("b", "a");
        for number in 0..4 {
            assert_eq!(within(LONG, receive(&mut near.receiver)).await, Some(Ok(number)), "sent within a latency");
        }
        assert_eq!(within(LONG, receive(&mut near.receiver)).await, None, "NET-N3");
    });
}

#[test]
fn what_a_cut_takes_from_the_wire_after_the_end_was_lost_is_not_sent_again() {
    simulate(1, config(), |world| async move {
        let (_a, _b, mut near, mut far) = two(&world).await;
        send(&mut far.sender, 0, 1000).await;
        pause(ms(2)).await;
        world.half_open("b", "a");
        world.cut("b", "a");
        pause(ms(10)).await;
        world.heal("b", "a");
        assert_eq!(within(LONG, receive(&mut near.receiver)).await, None, "NET-N3");
    });
}

#[test]
fn no_death_no_restart_and_no_heal_tells_who_was_not_told() {
    for death in [Death::Crash, Death::MachineLoss] {
        simulate(1, config(), move |world| async move {
            let (a, b, mut near, mut far) = two(&world).await;
            let mut other = connected(&a.env(), &b.env()).await;
            // `b` has read the frame and cannot acknowledge it; then it forgets the connection.
            world.cut("b", "a");
            send(&mut near.sender, 0, 60_000).await;
            assert_eq!(receive(&mut far.receiver).await, Ok(0));
            assert_eq!(world.reset_connections("a", Some("b"), true), 1);
            assert_eq!(receive(&mut near.receiver).await, Err(NetError::Reset));
            send(&mut other.0.sender, 0, 60_000).await;
            assert_eq!(receive(&mut other.1.receiver).await, Ok(0));
            send(&mut other.1.sender, 0, 10).await;
            assert_eq!(world.half_open("b", "a"), 1);
            world.heal("b", "a");
            let Connection { mut sender, mut receiver } = other.0;
            let silent = async |sender: &mut Sender, receiver: &mut Receiver| {
                let waiting = join(within(LONG, sender.send(frame(1, 10_000))), within(LONG, receive(receiver)));
                assert_eq!(waiting.await, (None, None));
            };
            silent(&mut sender, &mut receiver).await;
            world.kill("b", death);
            silent(&mut sender, &mut receiver).await;
            world.restart("b");
            silent(&mut sender, &mut receiver).await;
            cut_both(&world);
            pause(ms(10)).await;
            heal_both(&world);
            silent(&mut sender, &mut receiver).await;
            let (mut young, mut young_far) = connected(&a.env(), &b.env()).await;
            echo(&mut young, &mut young_far).await;
            assert_eq!(world.reset_connections("a", None, false), 2, "only a fault can");
            assert_eq!(receive(&mut receiver).await, Err(NetError::Reset));
        });
    }
}

#[test]
fn a_half_open_connection_ends_with_the_life_that_did_not_know() {
    for death in [Death::Crash, Death::MachineLoss] {
        simulate(1, config(), move |world| async move {
            let (a, b, near, mut far) = two(&world).await;
            assert_eq!(world.half_open("b", "a"), 1);
            world.kill("a", death);
            assert_eq!(receive(&mut far.receiver).await, Err(NetError::Reset));
            drop((near, far));
            pause(ms(1)).await;
            world.restart("a");
            let (mut near, mut far) = connected(&a.env(), &b.env()).await;
            echo(&mut near, &mut far).await;
        });
    }
}

#[test]
fn closing_what_is_half_open_closes_one_end() {
    simulate(1, config(), |world| async move {
        let (_a, _b, near, mut far) = two(&world).await;
        world.half_open("a", "b");
        drop(near);
        send(&mut far.sender, 0, 10).await;
        assert_eq!(within(LONG, receive(&mut far.receiver)).await, None);
        drop(far);
        pause(ms(100)).await;
        assert_eq!(world.lock().network.open_connections(), 0);
    });
}
