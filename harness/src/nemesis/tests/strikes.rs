//! What strikes do, to which victims, and what is reported of them.

use super::*;

#[test]
fn several_nodes_die_at_one_instant_and_come_back_with_what_was_left_to_them() {
    let action = FaultAction::Kill {
        targets: vec![NodeTarget::Leader, node("tm-2"), node("jm-1"), NodeTarget::Standby],
        mode: KillMode::MachineLoss,
        restart_after: Some(Duration::ZERO),
        disk: Disk::Kept,
    };
    let (mut nemesis, fake) = (nemesis(vec![fault(1, action)]), Fake::default());
    nemesis.on_time(&fake, ms(1_000));
    assert_eq!(fake.done(), ["kill jm-1 MachineLoss", "kill tm-2 MachineLoss", "kill jm-2 MachineLoss"]);
    let roles: Vec<_> = nemesis.strikes()[0].hits.iter().map(|hit| hit.role).collect();
    assert_eq!(roles, [LEADER, TASK_MANAGER, STANDBY]);
    // Not before the old tasks are dropped.
    assert_eq!(nemesis.next_time(), Some(ms(1_001)));
    assert_eq!(run_to(&mut nemesis, &fake, 2_000).len(), 3);
    assert_eq!(nemesis.strikes()[0].healed_at(), Some(ms(1_001)));
}

#[test]
fn the_leader_is_who_opened_a_term_last() {
    let pause = |id, target| fault(id, FaultAction::Pause { target, resume_after: None });
    let (mut nemesis, fake) =
        (nemesis(vec![pause(1, NodeTarget::Leader), pause(2, NodeTarget::Standby)]), Fake::default());
    nemesis.due(&fake, &at(10, "jm-2", Event::LeadershipGranted { term: Term(2) }));
    nemesis.on_time(&fake, ms(1_000));
    assert_eq!(fake.done(), ["pause jm-2", "pause jm-1"]);
    let roles: Vec<_> = nemesis.strikes().iter().map(|strike| strike.hits[0].role).collect();
    assert_eq!(roles, [LEADER, STANDBY]);
}

#[test]
fn a_drawn_task_manager_is_up_and_its_peer_is_another() {
    let pause = |id, target| fault(id, FaultAction::Pause { target, resume_after: None });
    for id in 1..=30 {
        let faults = vec![pause(id, NodeTarget::TaskManager), pause(id, NodeTarget::Peer)];
        let (mut nemesis, fake) = (nemesis(faults), Fake::default());
        fake.down.borrow_mut().insert("tm-1".into());
        nemesis.on_time(&fake, ms(1_000));
        let targets: BTreeSet<_> = nemesis.strikes().iter().map(Strike::target).collect();
        assert_eq!(targets, ["tm-2".to_owned(), "tm-3".to_owned()].into());
    }
    // If the emitter is a TaskManager, the emitter is the victim.
    let at_event = |id, target| FaultPlan { trigger: Trigger::On(on("snapshot-sync-begun")), ..pause(id, target) };
    let (mut nemesis, fake) =
        (nemesis(vec![at_event(1, NodeTarget::TaskManager), at_event(2, NodeTarget::Peer)]), Fake::default());
    (0..2).for_each(|fault| nemesis.strike(fault, &fake, &events()[2]));
    assert_eq!(nemesis.strikes()[0].target(), "tm-2");
    assert_ne!(nemesis.strikes()[1].target(), "tm-2");
}

#[test]
fn an_isolated_node_loses_every_link_and_the_stores() {
    let action = FaultAction::Isolate { target: node("tm-1"), stores: true, heal_after: Some(secs(2)) };
    let (mut nemesis, fake) = (nemesis(vec![fault(1, action)]), Fake::default());
    nemesis.on_time(&fake, ms(1_000));
    assert_eq!(fake.cut_links().len(), 8, "two directions to each of four nodes");
    let rule = |store: &str| format!("requests Some({store}) Some(\"tm-1\") Unavailable None");
    assert_eq!(fake.done(), [rule("Checkpoints"), rule("Output")]);
    assert_eq!(run_to(&mut nemesis, &fake, 5_000), ["end rule 1", "end rule 2"]);
    assert_eq!(fake.cut_links(), [""; 0]);
    assert_eq!(nemesis.strikes()[0].healed_at(), Some(ms(3_000)));
}

#[test]
fn what_hurts_nothing_has_not_struck() {
    let message = FaultAction::Message { kind: MessageKind::Trigger, how: MessageFault::Lose, node: None, count: 2 };
    let second = EventTrigger { after_fault: Some(1), ..on("snapshot-sync-begun") };
    let (mut nemesis, fake) = (nemesis(vec![fault(1, message), kill(2, Trigger::On(second))]), Fake::default());
    nemesis.on_time(&fake, ms(1_000));
    assert_eq!(fake.done(), ["messages trigger Lose None 2"]);
    assert_eq!(nemesis.due(&fake, &events()[0]), [0; 0]);
    assert_eq!(nemesis.strikes()[0].struck_at(), None, "NEMESIS-N4");
    assert_eq!(nemesis.strikes()[0].detail(), "nothing came that it could hurt");

    fake.hurt(1, 1, 1_700);
    assert_eq!(nemesis.due(&fake, &events()[1]), [1], "the fault before has struck");
    let strike = &nemesis.strikes()[0];
    assert_eq!((strike.struck_at(), strike.healed_at()), (Some(ms(1_700)), None));
    assert_eq!(strike.detail(), "message `trigger` lost, once");
    fake.hurt(1, 2, 2_500);
    nemesis.finish(&fake, ms(9_000));
    let strike = &nemesis.strikes()[0];
    assert_eq!((strike.struck_at(), strike.healed_at()), (Some(ms(1_700)), Some(ms(2_500))));
    assert_eq!((strike.detail(), strike.hits.len()), ("message `trigger` lost, 2 times", 1));
    assert_eq!(strike.hits[0].role, LEADER_LINK);
}

#[test]
fn a_store_fault_strikes_each_store_by_itself_and_is_taken_back() {
    let action = |store, node| FaultAction::Store {
        store,
        node,
        how: StoreFault::Unavailable,
        count: None,
        heal_after: Some(secs(3)),
    };
    let leader = action(Some(StoreName::Checkpoints), Some(NodeTarget::Leader));
    let (mut nemesis, fake) = (nemesis(vec![fault(1, action(None, None)), fault(2, leader)]), Fake::default());
    nemesis.on_time(&fake, ms(1_000));
    assert_eq!(fake.done().len(), 3);
    [1, 2, 3].iter().for_each(|rule| fake.hurt(*rule, 5, 1_100 + *rule as u64));
    assert_eq!(run_to(&mut nemesis, &fake, 9_000), ["end rule 1", "end rule 2", "end rule 3"]);
    let [both, leader] = nemesis.strikes() else { panic!() };
    let roles: Vec<_> = both.hits.iter().map(|hit| hit.role).collect();
    assert_eq!(roles, [CHECKPOINT_STORE, OUTPUT_STORE]);
    assert_eq!((both.struck_at(), both.healed_at()), (Some(ms(1_101)), Some(ms(4_000))));
    assert_eq!((leader.hits[0].role, leader.target().as_str()), (LEADER, "checkpoint store of jm-1"));
    assert!(!leader.hits[0].damages_file());
}

#[test]
fn strikes_in_vain_say_why() {
    let actions = [
        (FaultAction::Reset { target: node("tm-1"), peer: None, one: false }, "tm-1 has no connections"),
        (FaultAction::HalfOpen { target: node("tm-1"), peer: node("tm-2") }, "tm-1 and tm-2 have no connection"),
        (FaultAction::HalfOpen { target: node("jm-1"), peer: NodeTarget::Leader }, "both ends are jm-1"),
        (FaultAction::Pause { target: NodeTarget::Emitter, resume_after: None }, "no event has triggered it"),
        (FaultAction::Pause { target: NodeTarget::Standby, resume_after: None }, "no standby is up"),
        (
            FaultAction::DamageLocal { target: node("tm-2"), how: DamageKind::Delete },
            "tm-2 has no files of the state backend",
        ),
    ];
    for (action, missed) in actions {
        let (mut nemesis, fake) = (nemesis(vec![fault(1, action)]), Fake::default());
        fake.down.borrow_mut().insert("jm-2".into());
        nemesis.on_time(&fake, ms(1_000));
        assert_eq!((nemesis.strikes()[0].hits.len(), nemesis.strikes()[0].detail()), (0, missed));
    }
}

#[test]
fn files_are_damaged_as_asked() {
    let files = [
        ("chk-00000001/_metadata", "older"),
        ("chk-00000002/_metadata", "manifest"),
        ("chk-00000002/a", "aaaa"),
        ("chk-00000002/b", "aaaa"),
        ("chk-00000002/c", "cccccc"),
    ];
    let damaged = |kind, index, how| {
        let file = FileTarget { checkpoint: None, kind, index };
        let (mut nemesis, fake) = (nemesis(vec![fault(1, FaultAction::Damage { file, how })]), Fake::default());
        fake.files.replace(files.map(|(path, text)| (path.to_owned(), Bytes::from(text))).into());
        nemesis.on_sealed(CheckpointId(2));
        nemesis.on_time(&fake, ms(1_000));
        let changed = |(path, text): &(&str, &str)| match fake.files.borrow().get(*path) {
            Some(bytes) if bytes == text.as_bytes() => None,
            Some(bytes) => Some((path.to_string(), String::from_utf8_lossy(bytes).into_owned())),
            None => Some((path.to_string(), "gone".to_owned())),
        };
        let strike = nemesis.strikes()[0].clone();
        assert!(strike.hits.iter().all(Hit::damages_file));
        (files.iter().filter_map(changed).collect::<Vec<_>>(), strike)
    };
    let is = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let state = |index, how| damaged(FileKind::State, index, how);
    assert_eq!(state(0, DamageKind::Delete).0, [is("chk-00000002/a", "gone")]);
    assert_eq!(state(2, DamageKind::Truncate).0, [is("chk-00000002/c", "ccc")]);
    let (flipped, strike) = state(1, DamageKind::FlipByte);
    assert_eq!((flipped.len(), flipped[0].1.len()), (1, 4));
    assert!(strike.detail().ends_with(" of 4 flipped"), "{}", strike.detail());
    // Not swapped with the file that has equal content: that would change nothing.
    let (swapped, strike) = state(0, DamageKind::Swap);
    assert_eq!(swapped, [is("chk-00000002/a", "cccccc"), is("chk-00000002/c", "aaaa")]);
    assert_eq!(strike.target(), "chk-00000002/a, chk-00000002/c");
    let (swapped, _) = damaged(FileKind::Manifest, 0, DamageKind::Swap);
    assert_eq!(swapped, [is("chk-00000001/_metadata", "manifest"), is("chk-00000002/_metadata", "older")]);
    assert_eq!(state(9, DamageKind::Delete).1.missed, "checkpoint 2 has no state file 9");
}

#[test]
fn equal_plans_strike_equally_and_a_fault_less_changes_no_draw_of_the_others() {
    let drawn = |id| fault(id, FaultAction::Reset { target: NodeTarget::TaskManager, peer: None, one: false });
    let targets = |faults: Vec<FaultPlan>| {
        let (mut nemesis, fake) = (nemesis(faults), Fake { connections: 1, ..Fake::default() });
        nemesis.on_time(&fake, ms(1_000));
        nemesis.strikes().iter().map(Strike::target).collect::<Vec<_>>()
    };
    let all = targets((1..=9).map(drawn).collect());
    assert_eq!(targets((1..=9).map(drawn).collect()), all);
    assert_eq!(targets((4..=9).map(drawn).collect()), all[3..], "NEMESIS-N3");
    assert!(all.iter().collect::<BTreeSet<_>>().len() > 1, "{all:?}");
}
