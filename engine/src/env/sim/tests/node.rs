//! A node as a whole stands still, is slow, or has a wrong clock.

use super::*;
use crate::config::BackendKind;
use crate::env::Entries;
use crate::fault::{ClockFault, SlowWork};

/// What a script does, each with its true time.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(Time, u32)>>>);

impl Log {
    fn add(&self, what: u32) {
        self.0.lock().unwrap().push((now(), what));
    }
    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
    fn times(&self) -> Vec<Time> {
        self.0.lock().unwrap().iter().map(|(at, _)| *at).collect()
    }
}

/// Pauses the emitter of event number `position` and records how many marks there were.
fn pause_at(position: usize, marks: Arc<AtomicUsize>, struck: Arc<Mutex<Option<usize>>>) -> Box<dyn Observer> {
    let mut seen = 0;
    let strike = move |world: &Arc<SimWorld>, record: &EventRecord| {
        if seen == position {
            assert!(world.pause(record.node.as_str()));
            assert!(!world.pause(record.node.as_str()), "nobody stands still twice");
            *struck.lock().unwrap() = Some(marks.load(Ordering::Relaxed));
        }
        seen += 1;
    };
    Box::new(Watcher(strike, |_: &Arc<SimWorld>, _: &StoreMutation| {}))
}

#[test]
fn a_paused_emitter_runs_no_further_instruction_until_it_is_resumed_and_then_all_of_them() {
    for position in 0..12 {
        simulate(position as u64, config(), move |world| async move {
            let (marks, struck) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(None)));
            world.observe(pause_at(position, marks.clone(), struck.clone()));
            let script = marks.clone();
            add_script(&world, "a", move |env| small_script(env, script.clone()));
            pause(ms(60_000)).await;
            let before = struck.lock().unwrap().expect("struck");
            assert_eq!(marks.load(Ordering::Relaxed), before, "V2");
            assert_eq!(world.stores().list(StoreKind::Output, "").len(), position.div_ceil(3));
            assert!(world.is_alive("a"), "it only stands still");
            world.resume("a");
            world.resume("a");
            pause(ms(100)).await;
            assert_eq!(marks.load(Ordering::Relaxed), 12, "it goes on where it stood");
            assert_eq!(world.stores().list(StoreKind::Output, "").len(), 4);
            assert_eq!(world.late_effects(), 0);
        });
    }
}

#[test]
fn in_the_poll_of_its_strike_a_paused_node_begins_no_other_effect() {
    simulate(1, config(), |world| async move {
        let struck = Arc::default();
        world.observe(pause_at(0, Arc::default(), struck));
        let done = Log::default();
        let log = done.clone();
        add_script(&world, "a", move |env| {
            let log = log.clone();
            async move {
                let store = env.store(StoreKind::Output);
                let emit = env.emit(Event::JobRunning { attempt: Attempt(1) });
                let others = join(store.create("x", Bytes::new()), env.listen(Port::Data));
                let _ = join(emit, others).await;
                log.add(1);
            }
        });
        pause(ms(1000)).await;
        assert!(world.stores().list(StoreKind::Output, "").is_empty(), "SIM-W4");
        assert!(!world.lock().network.has_listener("a"), "SIM-W4");
        let resumed = now();
        world.resume("a");
        pause(ms(1000)).await;
        assert_at(done.times()[0], resumed + LATENCY);
        assert_eq!(world.stores().list(StoreKind::Output, ""), ["x"]);
    });
}

#[test]
fn frames_arrive_at_a_paused_node_and_time_runs_on_without_it() {
    simulate(1, config(), |world| async move {
        let a = Idle::add(&world, "a");
        let (read, ticks) = (Log::default(), Log::default());
        let (reading, ticking) = (read.clone(), ticks.clone());
        add_script(&world, "b", move |env| {
            let (reading, ticking) = (reading.clone(), ticking.clone());
            async move {
                let mut listener = env.listen(Port::Data).await.unwrap();
                let within = env.clone();
                let tick = env.spawn(async move {
                    loop {
                        within.sleep(ms(100)).await;
                        ticking.add(0);
                    }
                });
                tick.detach();
                let mut connection = listener.accept().await.unwrap();
                while let Ok(number) = receive(&mut connection.receiver).await {
                    reading.add(number);
                }
            }
        });
        pause(ms(1)).await;
        let mut near = a.env().connect(&address("b"), ms(1000)).await.unwrap();
        pause(ms(250)).await;
        let paused = now();
        assert!(world.pause("b"));
        for number in 0..5 {
            send(&mut near.sender, number, 100).await;
        }
        let before = ticks.len();
        pause(ms(10_000)).await;
        assert_eq!((read.len(), ticks.len()), (0, before));
        world.resume("b");
        let resumed = now();
        pause(ms(99)).await;
        assert_eq!(read.len(), 5, "they had arrived");
        read.times().into_iter().for_each(|at| assert_at(at, resumed));
        assert_eq!(ticks.len(), before + 1, "the timer that was due fires once");
        assert!(ticks.times()[before] >= resumed && resumed > paused);
    });
}

#[test]
fn a_paused_node_can_be_killed_and_its_next_life_is_awake_and_quick() {
    for death in [Death::Crash, Death::MachineLoss] {
        simulate(1, config(), move |world| async move {
            struct Dropped(Log, Env);
            impl Drop for Dropped {
                fn drop(&mut self) {
                    self.0.add(self.1.incarnation());
                    let _task = self.1.spawn(async {});
                }
            }
            let (dropped, lives) = (Log::default(), Log::default());
            let (guards, log) = (dropped.clone(), lives.clone());
            add_script(&world, "a", move |env| {
                let (log, guard) = (log.clone(), Dropped(guards.clone(), env.clone()));
                async move {
                    env.sleep(ms(10)).await;
                    log.add(env.incarnation());
                    env.charge(Work::Deploy).await;
                    log.add(env.incarnation());
                    drop(guard);
                }
            });
            pause(ms(5)).await;
            world.slow("a", SlowWork::Cpu, None);
            assert!(world.pause("a"));
            pause(ms(100)).await;
            assert!(world.kill("a", death));
            assert!(!world.pause("a"), "the dead do not stand still");
            pause(ms(1)).await;
            assert_eq!((dropped.len(), lives.len()), (1, 0));
            world.resume("a");
            world.restart("a");
            pause(ms(11)).await;
            assert_eq!(lives.0.lock().unwrap().iter().map(|(_, life)| *life).collect::<Vec<_>>(), [2, 2], "SIM-W5");
        });
    }
}

fn priced() -> SimConfig {
    let mut config = config();
    let rates = &mut config.rates;
    (rates.record_ns, rates.heap.snapshot_ns, rates.deploy_ns) = (1e6, 1e6, 1e6);
    config
}

const RECORD: Work = Work::Records { records: 1, bytes: 0, state: None };
const SNAPSHOT: Work = Work::Snapshot { backend: BackendKind::Fs, written: Entries { count: 0, bytes: 0 } };

#[test]
fn slow_work_takes_its_factor_and_factors_of_both_kinds_multiply() {
    simulate(1, priced(), |world| async move {
        let (a, b) = (Idle::add(&world, "a"), Idle::add(&world, "b"));
        let took = async |node: &Idle| {
            let mut all = Vec::new();
            for work in [RECORD, SNAPSHOT, Work::Deploy] {
                all.push(timed(node.env().charge(work)).await.1.as_millis());
            }
            all
        };
        world.slow("a", SlowWork::Records, Some(5));
        assert_eq!(took(&a).await, [5, 1, 1]);
        world.slow("a", SlowWork::Cpu, Some(3));
        assert_eq!(took(&a).await, [15, 3, 3]);
        world.slow("a", SlowWork::Snapshot, Some(2));
        assert_eq!(took(&a).await, [15, 6, 3]);
        assert_eq!(took(&b).await, [1, 1, 1], "the others are as they were");
        for work in [SlowWork::Cpu, SlowWork::Records, SlowWork::Snapshot] {
            world.slow("a", work, Some(1));
        }
        assert_eq!(took(&a).await, [1, 1, 1]);
    });
}

#[test]
fn work_that_hangs_waits_for_the_factor_even_where_it_is_free() {
    for config in [config(), priced()] {
        simulate(1, config, |world| async move {
            let env = Idle::add(&world, "a").env();
            world.slow("a", SlowWork::Snapshot, None);
            assert!(within(ms(1000), env.charge(RECORD)).await.is_some());
            let healing = async {
                pause(ms(5000)).await;
                world.slow("a", SlowWork::Records, Some(1));
                pause(ms(5000)).await;
                world.slow("a", SlowWork::Snapshot, Some(1));
                now()
            };
            let charges = join_all([(); 3].map(|()| env.charge(SNAPSHOT))).map(|_| now());
            let (done, healed) = join(charges, healing).await;
            assert!(done >= healed && done.since(healed) < ms(2) + SLACK, "{done} is not soon after {healed}");
        });
    }
}

// Clocks.

#[test]
fn a_timer_fires_when_its_own_clock_says_so_and_events_carry_true_time() {
    let cases: [(Vec<(u64, ClockFault)>, u64); 6] = [
        (vec![], 1000),
        (vec![(400, ClockFault::Forward(ms(100)))], 900),
        (vec![(400, ClockFault::Forward(ms(5000)))], 400),
        (vec![(400, ClockFault::Back(ms(300))), (500, ClockFault::Forward(ms(50)))], 1250),
        (vec![(500, ClockFault::Drift(250_000))], 900),
        (vec![(200, ClockFault::Drift(-500_000)), (600, ClockFault::Drift(0))], 1200),
    ];
    for (changes, expected) in cases {
        simulate(1, config(), move |world| async move {
            let events: Arc<Mutex<Vec<Time>>> = Arc::default();
            let log = events.clone();
            let watch = move |_: &Arc<SimWorld>, record: &EventRecord| log.lock().unwrap().push(record.at);
            world.observe(Box::new(Watcher(watch, |_: &Arc<SimWorld>, _: &StoreMutation| {})));
            let (ticks, others) = (Log::default(), Log::default());
            for (name, log) in [("a", ticks.clone()), ("b", others.clone())] {
                add_script(&world, name, move |env| {
                    let log = log.clone();
                    async move {
                        env.sleep_until(Time::ZERO + ms(1000)).await;
                        log.add(0);
                        assert!(env.now() >= Time::ZERO + ms(1000), "CLOCK-K1");
                        env.emit(Event::JobRunning { attempt: Attempt(1) }).await;
                    }
                });
            }
            for (at, fault) in changes {
                timer::sleep_until(Time::ZERO + ms(at)).await;
                world.set_clock("a", fault);
            }
            pause(ms(5000)).await;
            assert_at(ticks.times()[0], Time::ZERO + ms(expected));
            assert_at(others.times()[0], Time::ZERO + ms(1000));
            let (mut expected, mut at) = ([expected, 1000], events.lock().unwrap().clone());
            expected.sort_unstable();
            at.sort_unstable();
            at.into_iter().zip(expected).for_each(|(at, expected)| assert_at(at, Time::ZERO + ms(expected)));
        });
    }
}

#[test]
fn a_clock_belongs_to_the_machine_and_the_input_has_one_of_its_own() {
    simulate(1, config(), |world| async move {
        let a = Idle::add(&world, "a");
        pause(ms(1000)).await;
        world.set_clock("a", ClockFault::Forward(ms(500)));
        world.kill("a", Death::MachineLoss);
        pause(ms(1)).await;
        world.restart("a");
        let env = a.env();
        assert_eq!(env.now(), now() + ms(500));
        assert_eq!(env.input_now(), now());
        let mut input = env.input_timer();
        input.set(Some(now() + ms(100)));
        let changing = async {
            pause(ms(50)).await;
            world.set_clock("a", ClockFault::Forward(ms(60_000)));
        };
        let (((), took), ()) = join(timed(input.wait()), changing).await;
        assert_took(took, ms(100));
        world.set_clock("a", ClockFault::Back(ms(600_000)));
        assert_eq!(env.now(), Time::ZERO, "never before its zero");
        assert_eq!(env.now().since(Time(5)), Duration::ZERO);
    });
}

#[test]
fn timers_that_are_gone_leave_no_place_taken() {
    simulate(1, config(), |world| async move {
        let env = Idle::add(&world, "a").env();
        for _ in 0..100 {
            assert_eq!(within(ms(1), env.sleep(ms(10))).await, None);
        }
        join_all([(); 3].map(|()| env.sleep(ms(1)))).await;
        assert_eq!(world.lock().nodes[0].clock.places(), (3, 0), "most at once, and now");
    });
}
