//! Effects that last, and how they end.

use proptest::prelude::*;

use super::*;

fn slow(id: u32, factor: u32, heal_after: u64) -> FaultPlan {
    let (target, factor, heal_after) = (node("tm-1"), Some(factor), Some(secs(heal_after)));
    fault(id, FaultAction::Slow { target, work: SlowWork::Cpu, factor, heal_after })
}

#[test]
fn cuts_of_sets_add_up_and_each_is_healed_once() {
    let faults = vec![
        cut(1, &["tm-1", "tm-2"], &["tm-3", "jm-1"], true, Some(secs(4))),
        cut(2, &["tm-1"], &["tm-3"], false, Some(secs(2))),
    ];
    let (mut nemesis, fake) = (nemesis(faults), Fake::default());
    nemesis.on_time(&fake, ms(1_000));
    assert_eq!(fake.cut_links().len(), 8);
    assert!(fake.cut_links().contains(&"tm-1>tm-3:2".to_owned()), "NEMESIS-N1");
    let hits = |nemesis: &Nemesis, fault: usize| -> Vec<(&'static str, String)> {
        nemesis.strikes()[fault].hits.iter().map(|hit| (hit.role, hit.target.clone())).collect()
    };
    let expected = [(TASK_LINK, "tm-1 - tm-3, tm-2 - tm-3".into()), (LEADER_LINK, "tm-1 - jm-1, tm-2 - jm-1".into())];
    assert_eq!(hits(&nemesis, 0), expected);
    assert_eq!(hits(&nemesis, 1), [(TASK_LINK, "tm-1 -> tm-3".into())]);
    run_to(&mut nemesis, &fake, 3_000);
    assert!(fake.cut_links().contains(&"tm-1>tm-3:1".to_owned()), "NEMESIS-N1");
    run_to(&mut nemesis, &fake, 9_000);
    assert_eq!(fake.cut_links(), [""; 0]);
}

#[test]
fn loops_strike_in_rounds() {
    let flap = FaultAction::Flap { from: node("tm-1"), to: node("tm-2"), times: 3, up: secs(2), down: secs(1) };
    let crash = FaultAction::CrashLoop { target: node("tm-3"), times: 2, up: secs(3), down: secs(1) };
    let (mut nemesis, fake) = (nemesis(vec![fault(1, flap), fault(2, crash)]), Fake::default());
    let kills = ["kill tm-3 Crash", "restart tm-3", "kill tm-3 Crash", "restart tm-3"];
    assert_eq!(run_to(&mut nemesis, &fake, 60_000), kills);
    assert_eq!(fake.cut_links(), [""; 0]);
    let spans =
        |strike: &Strike| -> Vec<_> { strike.hits.iter().map(|hit| (hit.at, hit.healed_at.unwrap())).collect() };
    let expected = [(ms(1_000), ms(2_000)), (ms(4_000), ms(5_000)), (ms(7_000), ms(8_000))];
    assert_eq!(spans(&nemesis.strikes()[0]), expected);
    assert_eq!(spans(&nemesis.strikes()[1]), [(ms(1_000), ms(2_000)), (ms(5_000), ms(6_000))]);
}

#[test]
fn the_end_of_one_fault_leaves_another_in_force() {
    let link = |id, latency: Option<u64>, bandwidth, heal| {
        let (from, to) = if id == 3 { (node("tm-2"), node("tm-1")) } else { (node("tm-1"), node("tm-2")) };
        let latency = latency.map(|s| (secs(s), secs(s)));
        fault(id, FaultAction::Link { from, to, latency, bandwidth, heal_after: Some(secs(heal)) })
    };
    let faults = vec![slow(1, 10, 5), slow(2, 4, 2), link(3, Some(7), None, 9), link(4, None, Some(99), 8)];
    let (mut nemesis, fake) = (nemesis(faults), Fake::default());
    nemesis.on_time(&fake, ms(1_000));
    let links = |latency: &str, bandwidth: &str| {
        [("tm-1", "tm-2"), ("tm-2", "tm-1")].map(|(from, to)| format!("link {from} {to} {latency} {bandwidth}"))
    };
    let mut expected = vec!["slow tm-1 Cpu Some(10)".to_owned(), "slow tm-1 Cpu Some(4)".to_owned()];
    expected.extend(links("Some(7s)", "None"));
    expected.extend(links("Some(7s)", "Some(99)"));
    assert_eq!(fake.done(), expected, "NEMESIS-N2");
    assert_eq!(run_to(&mut nemesis, &fake, 3_000), ["slow tm-1 Cpu Some(10)"], "NEMESIS-N2");
    assert_eq!(run_to(&mut nemesis, &fake, 6_000), ["slow tm-1 Cpu Some(1)"]);
    assert_eq!(run_to(&mut nemesis, &fake, 9_000), links("Some(7s)", "None"));
    assert_eq!(run_to(&mut nemesis, &fake, 10_000), links("None", "None"));
}

#[test]
fn healing_everything_undoes_what_is_in_force_once_and_lets_nothing_strike_again() {
    let kill_at = |id, at, after| {
        let FaultAction::Kill { targets, mode, disk, .. } = kill(id, Trigger::At(secs(at))).action else { panic!() };
        let targets = if id == 2 { vec![node("tm-3")] } else { targets };
        let action = FaultAction::Kill { targets, mode, restart_after: after, disk };
        FaultPlan { trigger: Trigger::At(Duration::from_millis(at)), ..fault(id, action) }
    };
    let faults = vec![
        kill_at(1, 1_000, None),
        kill_at(2, 2_000, Some(secs(60))),
        cut(3, &["tm-1"], &["tm-2"], true, None),
        cut(4, &["tm-1"], &["tm-2"], true, Some(secs(60))),
        fault(5, FaultAction::Pause { target: node("tm-2"), resume_after: None }),
        fault(6, FaultAction::Slow { target: node("tm-2"), work: SlowWork::Snapshot, factor: None, heal_after: None }),
        fault(7, FaultAction::Clock { target: node("jm-1"), how: ClockFault::Drift(-5), heal_after: None }),
        fault(8, FaultAction::Refuse { target: node("jm-1"), heal_after: None }),
        fault(
            9,
            FaultAction::Store {
                store: Some(StoreName::Output),
                node: None,
                how: StoreFault::NoSpace,
                count: None,
                heal_after: None,
            },
        ),
        fault(10, FaultAction::Flap { from: node("tm-2"), to: node("tm-3"), times: 9, up: secs(1), down: secs(9) }),
        FaultPlan { trigger: Trigger::On(on("snapshot-sync-begun")), ..cut(11, &["tm-1"], &["jm-1"], true, None) },
    ];
    let (mut nemesis, fake) = (nemesis(faults), Fake::default());
    run_to(&mut nemesis, &fake, 2_000);
    nemesis.heal_all(&fake, ms(2_000));
    let mut healed = fake.done();
    healed.sort();
    let expected = [
        "clock jm-1 Drift(0)",
        "end rule 1",
        "refuse jm-1 false",
        "restart tm-1",
        "resume tm-2",
        "slow tm-2 Snapshot Some(1)",
    ];
    assert_eq!(healed, expected);
    assert_eq!(fake.cut_links(), [""; 0]);
    // The node was killed at this very instant, and its old tasks must be dropped first.
    assert_eq!(nemesis.next_time(), Some(ms(2_001)));
    assert_eq!(run_to(&mut nemesis, &fake, 600_000), ["restart tm-3"], "NEMESIS-N1");
    assert_eq!(fake.cut_links(), [""; 0]);
    assert_eq!(nemesis.due(&fake, &events()[0]), [0; 0]);
    assert!(nemesis.strikes()[..8].iter().all(|strike| strike.healed_at().is_some()));
}

/// One rule about messages has hurt a message, one has used up its count, and one has hurt nothing.
#[test]
fn healing_everything_ends_rules_about_messages() {
    let message = |id, count| {
        let how = MessageFault::Delay(secs(1));
        fault(id, FaultAction::Message { kind: MessageKind::Acknowledge, how, node: None, count })
    };
    let (mut nemesis, fake) = (nemesis(vec![message(1, 9), message(2, 2), message(3, 1)]), Fake::default());
    run_to(&mut nemesis, &fake, 1_000);
    fake.hurt(1, 1, 1_200);
    fake.hurt(2, 2, 1_400);
    nemesis.due(&fake, &at(1_500, "tm-1", events()[0].event.clone()));
    assert_eq!(nemesis.strikes()[0].healed_at(), None);
    nemesis.heal_all(&fake, ms(2_000));
    assert_eq!(fake.done(), ["end messages 1", "end messages 2", "end messages 3"], "NEMESIS-N1");
    assert_eq!(fake.changed(), [""; 0]);
    assert_eq!(nemesis.strikes()[0].healed_at(), Some(ms(2_000)));
    assert_eq!(nemesis.strikes()[1].healed_at(), Some(ms(1_400)), "its count had ended it");
    let (hits, missed) = (&nemesis.strikes()[2].hits, &nemesis.strikes()[2].missed);
    assert_eq!((hits.len(), missed.as_str()), (0, "nothing came that it could hurt"), "NEMESIS-N4");
}

/// A restart begins a life that does not stand still, and another fault may pause that life.
#[test]
fn the_end_of_a_pause_leaves_that_of_a_later_life() {
    let pause = |id, at, after| FaultPlan {
        trigger: Trigger::At(secs(at)),
        ..fault(id, FaultAction::Pause { target: node("tm-1"), resume_after: Some(secs(after)) })
    };
    let (mut nemesis, fake) = (nemesis(vec![pause(1, 1, 5), pause(2, 3, 9)]), Fake::default());
    run_to(&mut nemesis, &fake, 2_000);
    fake.differs.borrow_mut().clear();
    assert_eq!(run_to(&mut nemesis, &fake, 11_000), ["pause tm-1"], "NEMESIS-N2");
    assert_eq!(run_to(&mut nemesis, &fake, 12_000), ["resume tm-1"]);
}

/// One of the faults that last, with victims that often overlap.
fn lasting() -> impl Strategy<Value = FaultAction> {
    let some = || prop::sample::select(vec![node("tm-1"), node("tm-2"), NodeTarget::Leader, NodeTarget::Peer]);
    let after = || prop::option::of((1..5_000u64).prop_map(Duration::from_millis));
    let millis = || (1..500u64).prop_map(Duration::from_millis);
    let work = prop::sample::select(vec![SlowWork::Cpu, SlowWork::Records]);
    let third = || node("tm-3");
    prop_oneof![
        (some(), after()).prop_map(|(target, restart_after)| FaultAction::Kill {
            targets: vec![target, node("tm-1")],
            mode: KillMode::Crash,
            restart_after,
            disk: Disk::Wiped
        }),
        (some(), 1..5u32, millis(), millis()).prop_map(|(target, times, up, down)| FaultAction::CrashLoop {
            target,
            times,
            up,
            down
        }),
        (some(), after()).prop_map(|(target, resume_after)| FaultAction::Pause { target, resume_after }),
        (some(), work, after()).prop_map(|(target, work, heal_after)| FaultAction::Slow {
            target,
            work,
            factor: Some(9),
            heal_after
        }),
        (some(), some(), any::<bool>(), after()).prop_map(move |(from, to, both_ways, heal_after)| FaultAction::Cut {
            from: vec![from, third()],
            to: vec![to],
            both_ways,
            heal_after
        }),
        (some(), any::<bool>(), after()).prop_map(|(target, stores, heal_after)| FaultAction::Isolate {
            target,
            stores,
            heal_after
        }),
        (some(), 1..5u32, millis(), millis()).prop_map(move |(to, times, up, down)| FaultAction::Flap {
            from: third(),
            to,
            times,
            up,
            down
        }),
        (some(), after()).prop_map(move |(to, heal_after)| FaultAction::Link {
            from: third(),
            to,
            latency: None,
            bandwidth: Some(7),
            heal_after
        }),
        (some(), after()).prop_map(|(target, heal_after)| FaultAction::Refuse { target, heal_after }),
        (some(), after()).prop_map(|(target, heal_after)| FaultAction::SlowReceiver { target, rate: 7, heal_after }),
        (some(), after())
            .prop_map(|(target, heal_after)| { FaultAction::Clock { target, how: ClockFault::Drift(7), heal_after } }),
        (1..5u32).prop_map(|count| FaultAction::Message {
            kind: MessageKind::Notify,
            how: MessageFault::Lose,
            node: None,
            count
        }),
        after().prop_map(|heal_after| FaultAction::Store {
            store: None,
            node: None,
            how: StoreFault::NoSpace,
            count: None,
            heal_after
        }),
    ]
}

proptest! {
    /// Whatever was struck, however strikes overlapped, and at whatever point: after healing, the cluster is as it was
    /// (NEMESIS-N1, NEMESIS-N2).
    #[test]
    fn healing_everything_leaves_no_trace(
        faults in prop::collection::vec((0..4_000u64, lasting()), 1..12),
        until in 0..6_000u64,
    ) {
        let faults = (1..).zip(faults).map(|(id, (at, action))| {
            FaultPlan { trigger: Trigger::At(Duration::from_millis(at)), ..fault(id, action) }
        });
        let (mut nemesis, fake) = (nemesis(faults.collect()), Fake::default());
        run_to(&mut nemesis, &fake, until);
        nemesis.heal_all(&fake, ms(until));
        run_to(&mut nemesis, &fake, 1_000_000);
        prop_assert_eq!(fake.changed(), [""; 0]);
        prop_assert_eq!(nemesis.next_time(), None);
        // Every hit has ended.
        let ended = nemesis.strikes().iter().flat_map(|strike| &strike.hits).all(|hit| hit.healed_at >= Some(hit.at));
        prop_assert!(ended);
    }
}
