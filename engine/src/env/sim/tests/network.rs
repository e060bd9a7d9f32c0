//! Frames, links, cuts, resets and connecting, with the settings of the whole cluster.

use super::*;

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
            assert_eq!(receive(&mut far.receiver).await, Ok(number), "NET-N1");
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
            "NET-N3: only this was on the wire"
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
        // Frames 0 and 1 have arrived; the others are under way or not sent yet.
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
        assert_eq!(silent.await, (None, None), "NET-N2");
        let healed = now();
        for (from, to) in [("a", "b"), ("b", "a")] {
            world.heal(from, to);
        }
        for number in 2..10 {
            assert_eq!(receive(&mut far.receiver).await, Ok(number), "NET-N1");
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
            assert_eq!(within(ms(60_000), receive(&mut far.receiver)).await, None, "NET-N3; half open");
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
        assert_eq!(within(ms(10_000), receive(&mut near.receiver)).await, None, "NET-N2");
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
        assert!(matches!(connect("nobody", ms(1)).await.0, Err(NetError::NoNode(_))));
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
        // The attempts are at 0, 1 and 3 s.
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
            assert!(made.0 && made.1 > Time::ZERO + ms(1000), "NET-N2: the next try succeeds ({})", made.1);
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
