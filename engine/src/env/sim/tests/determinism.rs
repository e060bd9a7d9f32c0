//! The same seed gives the same run.

use super::*;

/// What a run shows: the network's totals, and every event with its time.
type Shown = (NetworkTotals, Vec<(u64, String)>);

fn traffic(config: SimConfig, port: Port, altered: u8) -> Shown {
    redrawn_traffic(config, port, altered, None)
}

/// Like [`traffic`], with all timing redrawn by the given seed after so many events.
fn redrawn_traffic(config: SimConfig, port: Port, altered: u8, redraw: Option<(usize, u64)>) -> Shown {
    let seed = config.seed;
    simulate(seed, config, move |world| async move {
        let events = Arc::new(Mutex::new(Vec::new()));
        let log = events.clone();
        let watch = move |world: &Arc<SimWorld>, record: &EventRecord| {
            let mut log = log.lock().unwrap();
            log.push((record.at.0, format!("{} {}", record.node, record.event)));
            if let Some((_, seed)) = redraw.filter(|(after, _)| *after == log.len()) {
                world.redraw_timing(seed);
            }
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
fn timing_drawn_anew_leaves_all_before_as_it_was() {
    let mut config = config();
    config.link.latency = (Duration::from_micros(100), ms(3));
    let run = |redraw| redrawn_traffic(config.clone(), Port::Data, 0, redraw).1;
    let whole = run(None);
    for after in [1, 60, 120] {
        let others: Vec<_> = (1..4).map(|seed| run(Some((after, seed)))).collect();
        for other in &others {
            assert_eq!(other[..after], whole[..after]);
            assert_ne!(other[after..], whole[after..]);
        }
        assert!(others[0] != others[1] && others[1] != others[2] && others[0] != others[2]);
        assert_eq!(others[0], run(Some((after, 1))), "the same seed, the same run");
    }
    assert_eq!(run(Some((180, 1))), whole, "behind the last event nothing is left");
}

#[test]
fn a_hundred_runs_in_one_process_leave_no_connection_open() {
    let mut shown = BTreeMap::new();
    for seed in 0..100 {
        let config = SimConfig { seed, ..config() };
        // `simulate` asserts this at the end of each run.
        *shown.entry(traffic(config, Port::Data, 0).0.digest).or_insert(0) += 1;
    }
    assert_eq!(shown.len(), 100, "different seeds, different runs");
}
