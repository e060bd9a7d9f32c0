//! Triggers, strikes and ends, on a fake cluster that only records what is done to it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use flowquake_engine::env::sim::Gauge;
use flowquake_engine::event::Event;
use flowquake_engine::fault::{
    ClockFault, Death, FileDamage, MessageFault, MessageRule, SlowWork, StoreFault, StoreRule,
};
use flowquake_engine::ids::{Attempt, Term};

use super::*;
use crate::fixtures::{at, kill, ms, on, subtask};
use crate::plan::{DamageKind, Disk, FaultAction, FileKind, FileTarget, KillMode, MessageKind, NodeTarget, StoreName};

mod ends;
mod harm;
mod strikes;
mod triggers;

/// Records every call in words, and the state that calls depend on.
#[derive(Default)]
struct Fake {
    down: RefCell<BTreeSet<String>>,
    calls: RefCell<Vec<String>>,
    /// Number of cuts minus number of heals, by direction.
    cuts: RefCell<BTreeMap<(String, String), i32>>,
    /// Other differences from a healthy cluster, by subject.
    differs: RefCell<BTreeMap<String, i32>>,
    files: RefCell<BTreeMap<String, Bytes>>,
    hurt: RefCell<BTreeMap<usize, Hurt>>,
    rules: RefCell<usize>,
    /// The counts of all gauges.
    harms: RefCell<BTreeMap<Gauge, u64>>,
    connections: usize,
}

impl Fake {
    fn note(&self, call: String) {
        self.calls.borrow_mut().push(call);
    }

    /// What was done since the last call.
    fn done(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.borrow_mut())
    }

    /// Directions that are cut.
    fn cut_links(&self) -> Vec<String> {
        let cuts = self.cuts.borrow();
        cuts.iter().filter(|(_, count)| **count != 0).map(|((from, to), n)| format!("{from}>{to}:{n}")).collect()
    }

    /// Counts up when something is done, and down when it is undone.
    fn count(&self, what: String, by: i32) {
        *self.differs.borrow_mut().entry(what).or_default() += by;
    }

    /// Notes whether a property differs from its healthy value.
    fn set(&self, what: String, changed: bool) {
        self.differs.borrow_mut().insert(what, changed.into());
    }

    /// Everything in which the cluster differs from a healthy one.
    fn changed(&self) -> Vec<String> {
        let differs = self.differs.borrow();
        let differs = differs.iter().filter(|(_, count)| **count != 0).map(|(what, count)| format!("{what}:{count}"));
        let down = self.down.borrow().iter().map(|node| format!("{node} is down")).collect::<Vec<_>>();
        differs.chain(self.cut_links()).chain(down).collect()
    }

    fn rule(&self) -> usize {
        *self.rules.borrow_mut() += 1;
        *self.rules.borrow()
    }

    /// Says that a rule was applied.
    fn hurt(&self, rule: usize, count: u32, last: u64) {
        self.hurt.borrow_mut().insert(rule, (count, Some(ms(last))));
    }
}

impl Cluster for Fake {
    fn is_alive(&self, node: &str) -> bool {
        !self.down.borrow().contains(node)
    }
    fn harm(&self, gauge: &Gauge) -> u64 {
        self.harms.borrow().get(gauge).copied().unwrap_or(0)
    }
    fn processes(&self) -> Option<&dyn Processes> {
        Some(self)
    }
    fn speeds(&self) -> Option<&dyn Speeds> {
        Some(self)
    }
    fn clocks(&self) -> Option<&dyn Clocks> {
        Some(self)
    }
    fn disks(&self) -> Option<&dyn Disks> {
        Some(self)
    }
    fn network(&self) -> Option<&dyn Network> {
        Some(self)
    }
    fn messages(&self) -> Option<&dyn Messages> {
        Some(self)
    }
    fn stores(&self) -> Option<&dyn Stores> {
        Some(self)
    }
}

impl Processes for Fake {
    fn kill(&self, node: &str, death: Death) -> Receipt {
        self.note(format!("kill {node} {death:?}"));
        Receipt::when(self.down.borrow_mut().insert(node.into()))
    }
    fn restart(&self, node: &str, disk: Disk) -> Receipt {
        self.note(format!("restart {node}{}", if disk == Disk::Kept { " with its disk" } else { "" }));
        self.down.borrow_mut().remove(node);
        Receipt::certain()
    }
    fn pause(&self, node: &str) -> Receipt {
        self.note(format!("pause {node}"));
        let stands = self.differs.borrow().get(&format!("pause {node}")).is_some_and(|count| *count != 0);
        let paused = self.is_alive(node) && !stands;
        self.count(format!("pause {node}"), paused.into());
        Receipt::when(paused)
    }
    fn resume(&self, node: &str) -> Receipt {
        self.note(format!("resume {node}"));
        self.count(format!("pause {node}"), -1);
        Receipt::certain()
    }
}

impl Speeds for Fake {
    fn slow(&self, node: &str, work: SlowWork, factor: Option<u32>) -> Receipt {
        self.note(format!("slow {node} {work:?} {factor:?}"));
        self.set(format!("slow {node} {work:?}"), factor != Some(1));
        Receipt::certain()
    }
}

impl Clocks for Fake {
    fn set_clock(&self, node: &str, fault: ClockFault) -> bool {
        self.note(format!("clock {node} {fault:?}"));
        self.set(format!("clock {node}"), fault != ClockFault::Drift(0));
        !matches!(fault, ClockFault::Forward(Duration::ZERO))
    }
}

impl Disks for Fake {
    fn damage_local(&self, node: &str, _: u64, damage: FileDamage) -> Option<String> {
        self.note(format!("damage {node} {damage:?}"));
        (node != "tm-2").then(|| "000012.sst".to_owned())
    }
}

impl Network for Fake {
    fn cut(&self, from: &str, to: &str) {
        *self.cuts.borrow_mut().entry((from.into(), to.into())).or_default() += 1;
    }
    fn heal(&self, from: &str, to: &str) {
        *self.cuts.borrow_mut().entry((from.into(), to.into())).or_default() -= 1;
    }
    fn set_link(&self, from: &str, to: &str, latency: Option<(Duration, Duration)>, bandwidth: Option<u64>) {
        self.note(format!("link {from} {to} {:?} {bandwidth:?}", latency.map(|(low, _)| low)));
        self.set(format!("link {from} {to}"), latency.is_some() || bandwidth.is_some());
    }
    fn reset_connections(&self, node: &str, peer: Option<&str>, one: bool) -> usize {
        self.note(format!("reset {node} {peer:?} {one}"));
        self.connections
    }
    fn refuse(&self, node: &str, refused: bool) {
        self.note(format!("refuse {node} {refused}"));
        self.count(format!("refuse {node}"), if refused { 1 } else { -1 });
    }
    fn half_open(&self, node: &str, peer: &str) -> usize {
        self.note(format!("half-open {node} {peer}"));
        self.connections
    }
    fn limit_receiver(&self, node: &str, rate: Option<u64>) {
        self.note(format!("receiver {node} {rate:?}"));
        self.set(format!("receiver {node}"), rate.is_some());
    }
}

impl Messages for Fake {
    fn add_message_rule(&self, rule: MessageRule) -> usize {
        self.note(format!("messages {} {:?} {:?} {}", rule.kind.name(), rule.fault, rule.node, rule.count));
        let number = self.rule();
        self.count(format!("rule {number}"), 1);
        number
    }
    fn end_message_rule(&self, rule: usize) {
        self.note(format!("end messages {rule}"));
        self.count(format!("rule {rule}"), -1);
    }
    fn message_rule_hits(&self, rule: usize) -> Hurt {
        self.hurt.borrow().get(&rule).copied().unwrap_or_default()
    }
}

impl Stores for Fake {
    fn add_store_rule(&self, rule: StoreRule) -> usize {
        self.note(format!("requests {:?} {:?} {:?} {:?}", rule.store, rule.node, rule.fault, rule.count));
        let number = self.rule();
        self.count(format!("rule {number}"), 1);
        number
    }
    fn end_store_rule(&self, rule: usize) {
        self.note(format!("end rule {rule}"));
        self.count(format!("rule {rule}"), -1);
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
    fn damage_checkpoint_file(&self, path: &str, contents: Option<Bytes>) -> Receipt {
        match contents {
            Some(bytes) => self.files.borrow_mut().insert(path.into(), bytes),
            None => self.files.borrow_mut().remove(path),
        };
        Receipt::certain()
    }
}

/// A nemesis for two JobManagers and three TaskManagers.
fn nemesis(faults: Vec<FaultPlan>) -> Nemesis {
    Nemesis::new(1, faults, 2, 3, UserCode::default(), crate::faults::strike)
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn node(name: &str) -> NodeTarget {
    NodeTarget::Node(name.into())
}

/// A fault that strikes at 1 s.
fn fault(id: u32, action: FaultAction) -> FaultPlan {
    FaultPlan { id, trigger: Trigger::At(secs(1)), delay: Duration::ZERO, repeat: 1, action }
}

fn cut(id: u32, from: &[&str], to: &[&str], both_ways: bool, heal_after: Option<Duration>) -> FaultPlan {
    let nodes = |names: &[&str]| names.iter().map(|name| node(name)).collect();
    fault(id, FaultAction::Cut { from: nodes(from), to: nodes(to), both_ways, heal_after })
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

/// Lets the clock run, and returns what was done.
fn run_to(nemesis: &mut Nemesis, fake: &Fake, until: u64) -> Vec<String> {
    while let Some(next) = nemesis.next_time().filter(|next| *next <= ms(until)) {
        nemesis.on_time(fake, next);
    }
    fake.done()
}
