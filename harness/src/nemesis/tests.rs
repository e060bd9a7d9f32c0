//! Triggers, strikes and ends, on a cluster that only remembers what was done to it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use flowquake_engine::env::sim::{
    ClockFault, Death, FileDamage, MessageFault, MessageRule, SlowWork, StoreFault, StoreRule,
};
use flowquake_engine::event::Event;
use flowquake_engine::ids::{Attempt, Term};

use super::*;
use crate::faults::{CHECKPOINT_STORE, LEADER, LEADER_LINK, OUTPUT_STORE, STANDBY, TASK_LINK, TASK_MANAGER};
use crate::fixtures::{at, kill, ms, on, subtask};
use crate::plan::{
    DamageKind, Disk, FaultAction, FileKind, FileTarget, KillMode, MessageKind, NodeTarget, StoreName, UserFailure,
};

/// Remembers every call in words, and the state that calls depend on.
#[derive(Default)]
struct Fake {
    down: RefCell<BTreeSet<String>>,
    calls: RefCell<Vec<String>>,
    /// Cuts less heals, by direction.
    cuts: RefCell<BTreeMap<(String, String), i32>>,
    files: RefCell<BTreeMap<String, Bytes>>,
    hurt: RefCell<BTreeMap<usize, Hurt>>,
    rules: RefCell<usize>,
    connections: usize,
}

impl Fake {
    fn note(&self, call: String) {
        self.calls.borrow_mut().push(call);
    }

    /// What was done since the last look.
    fn done(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.borrow_mut())
    }

    /// Directions that are cut.
    fn cut_links(&self) -> Vec<String> {
        let cuts = self.cuts.borrow();
        cuts.iter().filter(|(_, count)| **count != 0).map(|((from, to), n)| format!("{from}>{to}:{n}")).collect()
    }

    fn rule(&self) -> usize {
        *self.rules.borrow_mut() += 1;
        *self.rules.borrow()
    }

    /// A rule was applied.
    fn hurt(&self, rule: usize, count: u32, last: u64) {
        self.hurt.borrow_mut().insert(rule, (count, Some(ms(last))));
    }
}

impl Cluster for Fake {
    fn is_alive(&self, node: &str) -> bool {
        !self.down.borrow().contains(node)
    }
    fn kill(&self, node: &str, death: Death) -> bool {
        self.note(format!("kill {node} {death:?}"));
        self.down.borrow_mut().insert(node.into())
    }
    fn restart(&self, node: &str) {
        self.note(format!("restart {node}"));
        self.down.borrow_mut().remove(node);
    }
    fn restart_with_disk(&self, node: &str) {
        self.note(format!("restart {node} with its disk"));
        self.down.borrow_mut().remove(node);
    }
    fn pause(&self, node: &str) -> bool {
        self.note(format!("pause {node}"));
        self.is_alive(node)
    }
    fn resume(&self, node: &str) {
        self.note(format!("resume {node}"));
    }
    fn slow(&self, node: &str, work: SlowWork, factor: Option<u32>) {
        self.note(format!("slow {node} {work:?} {factor:?}"));
    }
    fn set_clock(&self, node: &str, fault: ClockFault) {
        self.note(format!("clock {node} {fault:?}"));
    }
    fn damage_local(&self, node: &str, _: u64, damage: FileDamage) -> Option<String> {
        self.note(format!("damage {node} {damage:?}"));
        (node != "tm-2").then(|| "000012.sst".to_owned())
    }
    fn cut(&self, from: &str, to: &str) {
        *self.cuts.borrow_mut().entry((from.into(), to.into())).or_default() += 1;
    }
    fn heal(&self, from: &str, to: &str) {
        *self.cuts.borrow_mut().entry((from.into(), to.into())).or_default() -= 1;
    }
    fn set_link(&self, from: &str, to: &str, latency: Option<(Duration, Duration)>, bandwidth: Option<u64>) {
        self.note(format!("link {from} {to} {:?} {bandwidth:?}", latency.map(|(low, _)| low)));
    }
    fn reset_connections(&self, node: &str, peer: Option<&str>, one: bool) -> usize {
        self.note(format!("reset {node} {peer:?} {one}"));
        self.connections
    }
    fn refuse(&self, node: &str, refused: bool) {
        self.note(format!("refuse {node} {refused}"));
    }
    fn half_open(&self, node: &str, peer: &str) -> usize {
        self.note(format!("half-open {node} {peer}"));
        self.connections
    }
    fn limit_receiver(&self, node: &str, rate: Option<u64>) {
        self.note(format!("receiver {node} {rate:?}"));
    }
    fn add_message_rule(&self, rule: MessageRule) -> usize {
        self.note(format!("messages {} {:?} {:?} {}", rule.kind.name(), rule.fault, rule.node, rule.count));
        self.rule()
    }
    fn message_rule_hits(&self, rule: usize) -> Hurt {
        self.hurt.borrow().get(&rule).copied().unwrap_or_default()
    }
    fn add_store_rule(&self, rule: StoreRule) -> usize {
        self.note(format!("requests {:?} {:?} {:?} {:?}", rule.store, rule.node, rule.fault, rule.count));
        self.rule()
    }
    fn end_store_rule(&self, rule: usize) {
        self.note(format!("end rule {rule}"));
    }
    fn store_rule_hits(&self, rule: usize) -> Hurt {
        self.message_rule_hits(rule)
    }
    fn checkpoint_files(&self, folder: &str) -> Vec<String> {
        self.files.borrow().keys().filter(|path| path.starts_with(folder)).cloned().collect()
    }
    fn read_checkpoint_file(&self, path: &str) -> Option<Bytes> {
        self.files.borrow().get(path).cloned()
    }
    fn damage_checkpoint_file(&self, path: &str, contents: Option<Bytes>) {
        match contents {
            Some(bytes) => self.files.borrow_mut().insert(path.into(), bytes),
            None => self.files.borrow_mut().remove(path),
        };
    }
}

/// Two JobManagers, three TaskManagers.
fn nemesis(faults: Vec<FaultPlan>) -> Nemesis {
    Nemesis::new(1, faults, 2, 3, UserCode::default())
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn node(name: &str) -> NodeTarget {
    NodeTarget::Node(name.into())
}

/// Strikes at 1 s.
fn fault(id: u32, action: FaultAction) -> FaultPlan {
    FaultPlan { id, trigger: Trigger::At(secs(1)), delay: Duration::ZERO, repeat: 1, action }
}

fn cut(id: u32, from: &[&str], to: &[&str], both_ways: bool, heal_after: Option<Duration>) -> FaultPlan {
    let nodes = |names: &[&str]| names.iter().map(|name| node(name)).collect();
    fault(id, FaultAction::Cut { from: nodes(from), to: nodes(to), both_ways, heal_after })
}

fn slow(id: u32, factor: u32, heal_after: u64) -> FaultPlan {
    let (target, factor, heal_after) = (node("tm-1"), Some(factor), Some(secs(heal_after)));
    fault(id, FaultAction::Slow { target, work: SlowWork::Cpu, factor, heal_after })
}

/// `snapshot-sync-begun` five times: node, attempt, checkpoint, subtask.
fn events() -> [EventRecord; 5] {
    [
        ("tm-1", 1, 1, subtask(0, 0)),
        ("tm-1", 1, 1, subtask(1, 0)),
        ("tm-2", 1, 1, subtask(1, 1)),
        ("tm-1", 1, 2, subtask(0, 0)),
        ("tm-1", 2, 3, subtask(1, 1)),
    ]
    .map(|(node, attempt, checkpoint, subtask)| {
        let (attempt, checkpoint) = (Attempt(attempt), CheckpointId(checkpoint));
        at(0, node, Event::SnapshotSyncBegun { attempt, checkpoint, subtask })
    })
}

/// Which of [`events`] a fault with this trigger strikes at.
fn due_at(trigger: Trigger, repeat: u32) -> Vec<usize> {
    let mut nemesis = nemesis(vec![FaultPlan { repeat, ..kill(1, trigger) }]);
    let fake = Fake::default();
    (0..).zip(events()).filter(|(_, record)| !nemesis.due(&fake, record).is_empty()).map(|(index, _)| index).collect()
}

fn strikes_at(trigger: EventTrigger) -> Vec<usize> {
    due_at(Trigger::On(trigger), 1)
}

/// Lets the clock run, and says what was done.
fn run_to(nemesis: &mut Nemesis, fake: &Fake, until: u64) -> Vec<String> {
    while let Some(next) = nemesis.next_time().filter(|next| *next <= ms(until)) {
        nemesis.on_time(fake, next);
    }
    fake.done()
}

#[test]
fn a_trigger_matches_every_given_field_and_strikes_once() {
    let any = || on("snapshot-sync-begun");
    assert_eq!(strikes_at(any()), [0]);
    assert_eq!(strikes_at(on("snapshot-sync-ended")), [0; 0]);
    assert_eq!(strikes_at(EventTrigger { checkpoint: Some(2), ..any() }), [3]);
    assert_eq!(strikes_at(EventTrigger { vertex: Some(1), ..any() }), [1]);
    assert_eq!(strikes_at(EventTrigger { subtask: Some(1), ..any() }), [2]);
    assert_eq!(strikes_at(EventTrigger { node: Some("tm-2".into()), ..any() }), [2]);
    assert_eq!(strikes_at(EventTrigger { attempt: Some(2), ..any() }), [4]);
    assert_eq!(strikes_at(EventTrigger { vertex: Some(1), subtask: Some(1), nth: 2, ..any() }), [4]);
    assert_eq!(strikes_at(EventTrigger { checkpoint: Some(1), attempt: Some(2), ..any() }), [0; 0]);
    assert_eq!(strikes_at(EventTrigger { nth: 3, ..any() }), [2]);
    assert_eq!(strikes_at(EventTrigger { nth: 6, ..any() }), [0; 0]);
}

#[test]
fn a_repeated_trigger_strikes_at_the_matches_that_follow() {
    let second = EventTrigger { nth: 2, ..on("snapshot-sync-begun") };
    assert_eq!(due_at(Trigger::On(second), 3), [1, 2, 3]);
}

#[test]
fn an_event_without_the_field_never_matches() {
    let trigger = Trigger::On(EventTrigger { subtask: Some(0), ..on("job-running") });
    let mut nemesis = nemesis(vec![kill(1, trigger)]);
    assert_eq!(nemesis.due(&Fake::default(), &at(0, "jm-1", Event::JobRunning { attempt: Attempt(1) })), [0; 0]);
}

#[test]
fn each_kind_of_event_is_struck_once_and_the_end_of_the_job_never() {
    let each = |nth| EventTrigger { nth, ..EventTrigger::default() };
    let running = || at(0, "jm-1", Event::JobRunning { attempt: Attempt(1) });
    let finished = || at(0, "jm-1", Event::JobFinished { attempt: Attempt(1) });
    let records: Vec<_> = events().into_iter().chain([running(), running(), finished(), finished()]).collect();
    for (nth, expected) in [(1, [0, 5]), (2, [1, 6])] {
        let mut nemesis = nemesis(vec![kill(1, Trigger::Each(each(nth)))]);
        let due = |record| !nemesis.due(&Fake::default(), record).is_empty();
        let struck: Vec<usize> =
            records.iter().map(due).enumerate().filter(|(_, due)| *due).map(|(index, _)| index).collect();
        assert_eq!(struck, expected);
    }
}

#[test]
fn matches_count_only_once_the_fault_before_has_struck() {
    let second = EventTrigger { nth: 2, after_fault: Some(1), ..on("snapshot-sync-begun") };
    let faults = vec![kill(1, Trigger::At(secs(1))), kill(2, Trigger::On(second))];
    let (mut nemesis, fake) = (nemesis(faults), Fake::default());
    let [first, second, third, ..] = events();
    assert_eq!(nemesis.due(&fake, &first), [0; 0]);
    nemesis.on_time(&fake, ms(1_000));
    assert_eq!(nemesis.due(&fake, &second), [0; 0]);
    assert_eq!(nemesis.due(&fake, &third), [1]);
}

/// Neither what came before the event, nor the event itself.
#[test]
fn matches_count_only_once_the_event_before_was_seen() {
    let after = |event: &str| EventTrigger { after: Some(event.into()), ..on("snapshot-sync-begun") };
    assert_eq!(strikes_at(after("job-running")), [0; 0]);
    assert_eq!(strikes_at(after("snapshot-sync-begun")), [1]);
    // With a fault to wait for as well, the event has to come after that.
    let trigger = EventTrigger { after_fault: Some(1), ..after("snapshot-sync-begun") };
    let (mut nemesis, fake) =
        (nemesis(vec![kill(1, Trigger::At(secs(1))), kill(2, Trigger::On(trigger))]), Fake::default());
    let [first, second, third, ..] = events();
    assert_eq!(nemesis.due(&fake, &first), [0; 0]);
    nemesis.on_time(&fake, ms(1_000));
    assert_eq!(nemesis.due(&fake, &second), [0; 0]);
    assert_eq!(nemesis.due(&fake, &third), [1]);
}

#[test]
fn a_fault_at_a_time_is_tried_once_and_says_why_it_missed() {
    let faults = [7, 3].map(|at| kill(1, Trigger::At(secs(at)))).to_vec();
    let (mut nemesis, fake) = (nemesis(faults), Fake::default());
    assert_eq!(nemesis.next_time(), Some(ms(3_000)));
    nemesis.on_time(&fake, ms(3_000));
    assert_eq!(nemesis.next_time(), Some(ms(7_000)));
    nemesis.on_time(&fake, ms(7_000));
    assert_eq!(nemesis.next_time(), None);
    let [late, early] = nemesis.strikes() else { panic!() };
    assert_eq!((early.struck_at(), early.target().as_str()), (Some(ms(3_000)), "tm-1"));
    assert_eq!((late.struck_at(), late.detail()), (None, "tm-1 was down already"));
}

#[test]
fn a_fault_by_the_clock_strikes_again_after_each_period() {
    let trigger = Trigger::Every { first: secs(2), period: secs(5) };
    let action = FaultAction::Reset { target: node("tm-1"), peer: None, one: false };
    let plan = FaultPlan { repeat: 3, trigger, delay: Duration::from_millis(500), ..fault(1, action) };
    let (mut nemesis, fake) = (nemesis(vec![plan]), Fake { connections: 2, ..Fake::default() });
    assert_eq!(run_to(&mut nemesis, &fake, 100_000).len(), 3);
    let times: Vec<_> = nemesis.strikes()[0].hits.iter().map(|hit| hit.at).collect();
    assert_eq!(times, [ms(2_500), ms(7_500), ms(12_500)]);
}

#[test]
fn a_delayed_strike_comes_by_the_clock_and_remembers_the_emitter() {
    let emitter = |delay| FaultPlan {
        delay,
        action: FaultAction::Pause { target: NodeTarget::Emitter, resume_after: Some(secs(1)) },
        ..kill(1, Trigger::On(on("snapshot-sync-begun")))
    };
    let (mut nemesis, fake) = (nemesis(vec![emitter(secs(2)), emitter(Duration::ZERO)]), Fake::default());
    let record = &events()[2];
    assert_eq!(nemesis.due(&fake, record), [0, 1]);
    nemesis.strike(0, &fake, record);
    nemesis.strike(1, &fake, record);
    assert_eq!(fake.done(), ["pause tm-2"]);
    assert_eq!(run_to(&mut nemesis, &fake, 10_000), ["resume tm-2", "pause tm-2", "resume tm-2"]);
    let [delayed, at_once] = nemesis.strikes() else { panic!() };
    assert_eq!((delayed.hits[0].at, delayed.hits[0].position.as_str()), (ms(2_000), ""));
    assert_eq!((at_once.hits[0].at, at_once.hits[0].position.as_str()), (ms(0), "snapshot-sync-begun"));
    assert_eq!((delayed.healed_at(), at_once.healed_at()), (Some(ms(3_000)), Some(ms(1_000))));
}

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
    // With an emitter that is a TaskManager, it is that one.
    let at_event = |id, target| FaultPlan { trigger: Trigger::On(on("snapshot-sync-begun")), ..pause(id, target) };
    let (mut nemesis, fake) =
        (nemesis(vec![at_event(1, NodeTarget::TaskManager), at_event(2, NodeTarget::Peer)]), Fake::default());
    (0..2).for_each(|fault| nemesis.strike(fault, &fake, &events()[2]));
    assert_eq!(nemesis.strikes()[0].target(), "tm-2");
    assert_ne!(nemesis.strikes()[1].target(), "tm-2");
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
    assert!(fake.cut_links().contains(&"tm-1>tm-3:2".to_owned()), "N1");
    let hits = |nemesis: &Nemesis, fault: usize| -> Vec<(&'static str, String)> {
        nemesis.strikes()[fault].hits.iter().map(|hit| (hit.role, hit.target.clone())).collect()
    };
    let expected = [(TASK_LINK, "tm-1 - tm-3, tm-2 - tm-3".into()), (LEADER_LINK, "tm-1 - jm-1, tm-2 - jm-1".into())];
    assert_eq!(hits(&nemesis, 0), expected);
    assert_eq!(hits(&nemesis, 1), [(TASK_LINK, "tm-1 -> tm-3".into())]);
    run_to(&mut nemesis, &fake, 3_000);
    assert!(fake.cut_links().contains(&"tm-1>tm-3:1".to_owned()), "N1");
    run_to(&mut nemesis, &fake, 9_000);
    assert_eq!(fake.cut_links(), [""; 0]);
}

#[test]
fn an_isolated_node_loses_every_link_and_the_stores() {
    let action = FaultAction::Isolate { target: node("tm-1"), stores: true, heal_after: Some(secs(2)) };
    let (mut nemesis, fake) = (nemesis(vec![fault(1, action)]), Fake::default());
    nemesis.on_time(&fake, ms(1_000));
    assert_eq!(fake.cut_links().len(), 8, "two directions to each of four nodes");
    assert_eq!(fake.done(), ["requests None Some(\"tm-1\") Unavailable None"]);
    assert_eq!(run_to(&mut nemesis, &fake, 5_000), ["end rule 1"]);
    assert_eq!(fake.cut_links(), [""; 0]);
    assert_eq!(nemesis.strikes()[0].healed_at(), Some(ms(3_000)));
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
    assert_eq!(fake.done(), expected, "N2");
    assert_eq!(run_to(&mut nemesis, &fake, 3_000), ["slow tm-1 Cpu Some(10)"], "N2");
    assert_eq!(run_to(&mut nemesis, &fake, 6_000), ["slow tm-1 Cpu Some(1)"]);
    assert_eq!(run_to(&mut nemesis, &fake, 9_000), links("Some(7s)", "None"));
    assert_eq!(run_to(&mut nemesis, &fake, 10_000), links("None", "None"));
}

#[test]
fn what_hurts_nothing_has_not_struck() {
    let message = FaultAction::Message { kind: MessageKind::Trigger, how: MessageFault::Lose, node: None, count: 2 };
    let second = EventTrigger { after_fault: Some(1), ..on("snapshot-sync-begun") };
    let (mut nemesis, fake) = (nemesis(vec![fault(1, message), kill(2, Trigger::On(second))]), Fake::default());
    nemesis.on_time(&fake, ms(1_000));
    assert_eq!(fake.done(), ["messages trigger Lose None 2"]);
    assert_eq!(nemesis.due(&fake, &events()[0]), [0; 0]);
    assert_eq!(nemesis.strikes()[0].struck_at(), None, "N4");
    assert_eq!(nemesis.strikes()[0].detail(), "nothing came that it could hurt");

    fake.hurt(1, 1, 1_700);
    assert_eq!(nemesis.due(&fake, &events()[1]), [1], "the fault before has struck");
    let strike = &nemesis.strikes()[0];
    assert_eq!((strike.struck_at(), strike.healed_at()), (Some(ms(1_700)), None));
    assert_eq!(strike.detail(), "message `trigger` lost, once");
    fake.hurt(1, 2, 2_500);
    nemesis.finish(&fake);
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
fn user_code_has_struck_when_its_task_has_failed() {
    let failed = |time, node: &str, attempt| {
        let cause = "user code failed".into();
        at(time, node, Event::TaskFailed { attempt: Attempt(attempt), subtask: subtask(1, 0), cause })
    };
    let armed = fault(1, FaultAction::UserCode { target: node("tm-1"), how: UserFailure::Error });
    let poison = fault(2, FaultAction::Poison { split: 0, position: 7, times: Some(2) });
    let (mut nemesis, fake) = (nemesis(vec![armed, poison]), Fake::default());
    nemesis.on_time(&fake, ms(1_000));
    let struck = |nemesis: &Nemesis| -> Vec<_> {
        nemesis.strikes().iter().map(|strike| (strike.struck_at(), strike.healed_at())).collect()
    };
    nemesis.due(&fake, &failed(1_500, "tm-2", 1));
    nemesis.due(&fake, &failed(1_600, "tm-2", 1));
    assert_eq!(struck(&nemesis), [(None, None), (Some(ms(1_500)), None)]);
    nemesis.due(&fake, &failed(2_000, "tm-1", 2));
    nemesis.due(&fake, &failed(3_000, "tm-1", 3));
    assert_eq!(struck(&nemesis), [(Some(ms(2_000)), Some(ms(2_000))), (Some(ms(1_500)), Some(ms(2_000)))]);
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
    // A file with equal contents would not do.
    let (swapped, strike) = state(0, DamageKind::Swap);
    assert_eq!(swapped, [is("chk-00000002/a", "cccccc"), is("chk-00000002/c", "aaaa")]);
    assert_eq!(strike.target(), "chk-00000002/a, chk-00000002/c");
    let (swapped, _) = damaged(FileKind::Manifest, 0, DamageKind::Swap);
    assert_eq!(swapped, [is("chk-00000001/_metadata", "manifest"), is("chk-00000002/_metadata", "older")]);
    assert_eq!(state(9, DamageKind::Delete).1.missed, "checkpoint 2 has no state file 9");
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
    // Killed this very instant: its old tasks are still to be dropped.
    assert_eq!(nemesis.next_time(), Some(ms(2_001)));
    assert_eq!(run_to(&mut nemesis, &fake, 600_000), ["restart tm-3"], "N1");
    assert_eq!(fake.cut_links(), [""; 0]);
    assert_eq!(nemesis.due(&fake, &events()[0]), [0; 0]);
    assert!(nemesis.strikes()[..8].iter().all(|strike| strike.healed_at().is_some()));
}

#[test]
fn equal_plans_strike_equally_and_a_fault_less_changes_no_draw_of_the_others() {
    let drawn = |id| fault(id, FaultAction::Pause { target: NodeTarget::TaskManager, resume_after: None });
    let targets = |faults: Vec<FaultPlan>| {
        let (mut nemesis, fake) = (nemesis(faults), Fake::default());
        nemesis.on_time(&fake, ms(1_000));
        nemesis.strikes().iter().map(Strike::target).collect::<Vec<_>>()
    };
    let all = targets((1..=9).map(drawn).collect());
    assert_eq!(targets((1..=9).map(drawn).collect()), all);
    assert_eq!(targets((4..=9).map(drawn).collect()), all[3..], "N3");
    assert!(all.iter().collect::<BTreeSet<_>>().len() > 1, "{all:?}");
}

#[test]
fn a_trigger_is_described_as_it_is_written() {
    assert_eq!(describe(&Trigger::At(Duration::from_millis(2_500))), "at 2s 500ms");
    assert_eq!(describe(&Trigger::Every { first: secs(2), period: secs(1) }), "at 2s, then every 1s");
    assert_eq!(describe(&Trigger::On(on("fell-back"))), "on fell-back");
    let each = EventTrigger { attempt: Some(2), nth: 1, ..EventTrigger::default() };
    assert_eq!(describe(&Trigger::Each(each)), "at each kind of event attempt=2");
    let full = EventTrigger {
        event: "sink-committed".into(),
        checkpoint: Some(3),
        vertex: Some(1),
        subtask: Some(0),
        node: Some("tm-2".into()),
        attempt: Some(2),
        nth: 4,
        after_fault: Some(1),
        after: Some("restore-begun".into()),
    };
    let expected = "on sink-committed checkpoint=3 vertex=1 subtask=0 node=tm-2 attempt=2 nth=4 after-fault=1 \
                    after=restore-begun";
    assert_eq!(describe(&Trigger::On(full)), expected);
}
