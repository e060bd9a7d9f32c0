//! Lives and deaths of nodes: dead nodes have no effects; observers and faults strike at an event.

use super::*;

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
        assert_eq!(world.late_effects(), 7, "SIM-W2");
        assert_eq!(world.network_totals(), before);
        assert!(world.stores().list(StoreKind::Output, "").is_empty());
        // Destructors of a dead node have no effects either.
        drop((listener, far, near));
        let (near, far) =
            join(a.env().connect(&address("b"), ms(1000)).map(Result::unwrap), new_listener.accept()).await;
        let (mut near, mut far) = (near, far.unwrap());
        send(&mut near.sender, 5, 10).await;
        assert_eq!(receive(&mut far.receiver).await, Ok(5));
    });
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
                // Of two emits polled together, the second is refused, and so is the destructor's attempt to listen.
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
        assert!(world.take_observer().is_some(), "SIM-W3: it is back in its place");
    });
}
