//! Ten kinds, from `store-unavailable` to `lagging-list`: a durable store misbehaves towards one node or all of them.

use std::time::Duration;

use flowquake_engine::env::StoreKind;
use flowquake_engine::env::sim::Gauge;
use flowquake_engine::fault::StoreRule;
use flowquake_engine::time::Time;
use toml::de::DeValue;

use crate::checker::{Length, Rules};
use crate::draws::{ANYBODY, Action, Drawn, Need, TASKS};
use crate::faults::canonical::{Canon, Canonical, Place};
use crate::faults::spec::{BY, COUNT, Class, Family, HEAL_AFTER, NODE, Param, STORES, Spec, foreign, may, must};
use crate::nemesis::{
    Armed, CHECKPOINT_STORE, Cluster, Effect, Harm, Nemesis, OUTPUT_STORE, Receipt, Striking, Struck, TASK_MANAGER,
    Watched, offered,
};
use crate::plan::{FaultAction, StoreFault, StoreName};
use crate::reader::{FaultKeys, Refusal, node, value};
use crate::writer::{heal_after, node_name, pair, speed, text, time};

const STORE: Param = may("store", "checkpoints|output");
const AGE: Param = must("age", "duration");
/// What can follow from a store that has lied.
const SPOILS: &[Class] = &[Class::Masked, Class::FellBack, Class::FailedLoudly];

pub(crate) const STORE_UNAVAILABLE: Spec = Spec {
    name: "store-unavailable",
    family: Family::Storage,
    effect: "requests are not answered; at the end they fail",
    classes: &[Class::Masked],
    roles: STORES,
    params: &[STORE, NODE, COUNT, HEAL_AFTER],
    read: |keys| read(keys, Some(StoreFault::Unavailable)),
    write,
    rules,
    lengths,
    canonical: |c| windows(c, "", StoreFault::Unavailable),
    drawn: Drawn::new(Need::Nothing, ANYBODY, |a| drawn(a, StoreFault::Unavailable, false)),
    strike: |s, action| strike(s, action, None),
};

pub(crate) const FAILED_WRITE: Spec = Spec {
    name: "failed-write",
    effect: "writes fail and write nothing",
    read: |keys| read(keys, Some(StoreFault::FailedWrite)),
    canonical: |c| writes(c, StoreFault::FailedWrite),
    drawn: Drawn::new(Need::Nothing, ANYBODY, |a| drawn(a, StoreFault::FailedWrite, true)),
    ..STORE_UNAVAILABLE
};

pub(crate) const AMBIGUOUS_WRITE: Spec = Spec {
    name: "ambiguous-write",
    effect: "writes take effect and are answered with an error",
    read: |keys| read(keys, Some(StoreFault::AmbiguousWrite)),
    canonical: |c| writes(c, StoreFault::AmbiguousWrite),
    drawn: Drawn::new(Need::Nothing, ANYBODY, |a| drawn(a, StoreFault::AmbiguousWrite, true)),
    ..STORE_UNAVAILABLE
};

pub(crate) const TORN_WRITE: Spec = Spec {
    name: "torn-write",
    effect: "writes are acknowledged, but only half of the bytes is there",
    classes: SPOILS,
    read: |keys| read(keys, Some(StoreFault::TornWrite)),
    canonical: |c| spoilt(c, StoreFault::TornWrite),
    drawn: Drawn::new(Need::StateFiles, TASKS, |a| spoilt_write(a, StoreFault::TornWrite)),
    ..STORE_UNAVAILABLE
};

pub(crate) const LOST_WRITE: Spec = Spec {
    name: "lost-write",
    effect: "writes are acknowledged, and gone when the fault ends (a missing fsync)",
    classes: SPOILS,
    read: |keys| read(keys, Some(StoreFault::LostWrite)),
    canonical: |c| spoilt(c, StoreFault::LostWrite),
    drawn: Drawn::new(Need::StateFiles, TASKS, |a| spoilt_write(a, StoreFault::LostWrite)),
    ..STORE_UNAVAILABLE
};

pub(crate) const NO_SPACE: Spec = Spec {
    name: "no-space",
    effect: "writes fail for lack of space; reads and deletions work",
    read: |keys| read(keys, Some(StoreFault::NoSpace)),
    canonical: |c| windows(c, "", StoreFault::NoSpace),
    drawn: Drawn::new(Need::Nothing, ANYBODY, |a| drawn(a, StoreFault::NoSpace, false)),
    ..STORE_UNAVAILABLE
};

pub(crate) const SLOW_STORE: Spec = Spec {
    name: "slow-store",
    effect: "each request takes longer",
    params: &[BY, STORE, NODE, COUNT, HEAL_AFTER],
    read: |keys| {
        let help = "say how much longer a request takes: by = \"500ms\"";
        let by = keys.must("by", "store.how.slow", help, value::duration);
        read(keys, by.map(StoreFault::Slow))
    },
    canonical: |c| windows(c, "by 0.2 s", StoreFault::Slow(Duration::from_millis(200))),
    drawn: Drawn::new(Need::Nothing, ANYBODY, |a| {
        drawn(a, StoreFault::Slow(a.draws.millis("slower by", 5, 500)), false)
    }),
    ..STORE_UNAVAILABLE
};

pub(crate) const THROTTLED_STORE: Spec = Spec {
    name: "throttled-store",
    effect: "transfers to and from the store are slow",
    params: &[must("rate", "bandwidth"), STORE, NODE, COUNT, HEAL_AFTER],
    read: |keys| {
        let help = "say how much passes: rate = \"100kB/s\"";
        let rate = keys.must("rate", "store.how.throttled", help, value::bandwidth);
        read(keys, rate.map(StoreFault::Throttled))
    },
    canonical: |c| windows(c, "to 50 kB/s", StoreFault::Throttled(50_000)),
    drawn: Drawn::new(Need::Nothing, ANYBODY, |a| {
        drawn(a, StoreFault::Throttled(a.draws.number("throughput", 10, 1_000) * 1_000), false)
    }),
    ..STORE_UNAVAILABLE
};

pub(crate) const STALE_READ: Spec = Spec {
    name: "stale-read",
    effect: "reads see the store as it was a while ago",
    classes: SPOILS,
    params: &[AGE, STORE, NODE, COUNT, HEAL_AFTER],
    read: |keys| read_old(keys, "store.how.stale-read", StoreFault::StaleRead),
    canonical: |c| past(c, StoreFault::StaleRead(PAST)),
    drawn: Drawn::new(Need::TwoCheckpoints, ANYBODY, |a| {
        drawn(a, StoreFault::StaleRead(a.draws.millis("stale by", 5, 300)), false)
    }),
    ..STORE_UNAVAILABLE
};

pub(crate) const LAGGING_LIST: Spec = Spec {
    name: "lagging-list",
    effect: "listings see the store as it was a while ago",
    classes: SPOILS,
    params: &[AGE, STORE, NODE, COUNT, HEAL_AFTER],
    read: |keys| read_old(keys, "store.how.lagging-list", StoreFault::LaggingList),
    canonical: |c| past(c, StoreFault::LaggingList(PAST)),
    drawn: Drawn::new(Need::Nothing, ANYBODY, |a| {
        drawn(a, StoreFault::LaggingList(a.draws.millis("lag", 5, 1_000)), false)
    }),
    ..STORE_UNAVAILABLE
};

/// `how` is `None` if it was refused; the other keys are still read.
fn read(keys: &mut FaultKeys, how: Option<StoreFault>) -> Option<FaultAction> {
    let store = keys.may("store", "store.store", store_name);
    let node = keys.may("node", "store.node", node::node);
    let count = keys.may("count", "store.count", value::whole_u32);
    let heal_after = keys.heal_after("store.heal_after");
    Some(FaultAction::Store { store, node, how: how?, count, heal_after })
}

/// Reads a store fault whose readers see an old state. The age ends up at `below`.
fn read_old(keys: &mut FaultKeys, below: &str, how: fn(Duration) -> StoreFault) -> Option<FaultAction> {
    let age = keys.must("age", below, "say how old what is seen is: age = \"5s\"", value::duration);
    read(keys, age.map(how))
}

fn store_name(value: &DeValue) -> Result<StoreName, Refusal> {
    value::word(value, &["checkpoints", "output"], |word| match word {
        "checkpoints" => Some(StoreName::Checkpoints),
        "output" => Some(StoreName::Output),
        _ => None,
    })
}

fn write(action: &FaultAction) -> Vec<Option<String>> {
    let FaultAction::Store { store, node, how, count, heal_after: after } = action else { foreign(action) };
    vec![
        match how {
            StoreFault::Slow(by) => Some(pair("by", time(*by))),
            StoreFault::Throttled(rate) => Some(pair("rate", speed(*rate))),
            StoreFault::StaleRead(age) | StoreFault::LaggingList(age) => Some(pair("age", time(*age))),
            _ => None,
        },
        store.map(|store| pair("store", text(if store == StoreName::Checkpoints { "checkpoints" } else { "output" }))),
        node.as_ref().map(|node| pair("node", text(node_name(node)))),
        count.map(|count| pair("count", count)),
        heal_after(*after),
    ]
}

pub(in crate::faults) fn rules(rules: &mut Rules, action: &FaultAction) {
    let FaultAction::Store { node, how, count, .. } = action else { foreign(action) };
    if let Some(node) = node {
        rules.target_exists(node, "store.node");
    }
    if let Some(count) = count {
        rules.at_least((*count).into(), 1, "store.count", "no request would be hurt");
    }
    if let StoreFault::Throttled(rate) = how {
        let meaning = "nothing would ever arrive; write `store-unavailable` instead";
        rules.at_least(*rate, 1, "store.how.throttled", meaning);
    }
}

pub(in crate::faults) fn lengths(action: &FaultAction) -> Vec<Length> {
    let FaultAction::Store { how, heal_after, .. } = action else { foreign(action) };
    let mut lengths = Length::until_end("action.store.heal_after", *heal_after);
    lengths.extend(match how {
        StoreFault::Slow(by) => {
            Some(Length::new("action.store.how.slow", *by).key("by").above_zero("nothing would be slower"))
        }
        StoreFault::StaleRead(age) => {
            Some(Length::new("action.store.how.stale-read", *age).key("age").above_zero("what is seen would be new"))
        }
        StoreFault::LaggingList(age) => {
            Some(Length::new("action.store.how.lagging-list", *age).key("age").above_zero("what is seen would be new"))
        }
        _ => None,
    });
    lengths
}

/// Requests of one node or of all of them, to either store or both.
fn drawn(a: &Action, how: StoreFault, counted: bool) -> FaultAction {
    let store = a.draws.one_of("store", [None, Some(StoreName::Checkpoints), Some(StoreName::Output)]);
    let node = (!a.draws.one_in("any node", 2)).then(|| a.target());
    // Sometimes more requests than any process repeats.
    let most = if a.draws.one_in("every try", 5) { 40 } else { 5 };
    let count = counted.then(|| a.draws.number("count", 1, most) as u32);
    FaultAction::Store { store, node, how, count, heal_after: a.heals() }
}

/// One write of a TaskManager to the checkpoint store: a state file. (Everything else there is written by the
/// JobManager as its record of what is complete. Losing that record loses the job, so it is not drawn.)
fn spoilt_write(a: &Action, how: StoreFault) -> FaultAction {
    let (store, node) = (Some(StoreName::Checkpoints), Some(a.target()));
    FaultAction::Store { store, node, how, count: Some(1), heal_after: a.heals() }
}

/// More requests than any process repeats.
const EVERY_TRY: u32 = 40;
/// All attempts of one write together take less than this; a process that gives up has used them all.
const ALL_TRIES: Duration = Duration::from_secs(10);
/// Age of the state that readers see.
const PAST: Duration = Duration::from_millis(300);

const BOTH: [(StoreName, &str, &str); 2] =
    [(StoreName::Checkpoints, CHECKPOINT_STORE, "checkpoints"), (StoreName::Output, OUTPUT_STORE, "output")];

fn everybodys(store: StoreName, how: StoreFault, heal_after: Duration) -> FaultAction {
    FaultAction::Store { store: Some(store), node: None, how, count: None, heal_after: Some(heal_after) }
}

/// One of the stores misbehaves towards all nodes for a while.
fn windows(c: &Canon, label: &str, how: StoreFault) -> Vec<Canonical> {
    let stores = BOTH.iter().filter(|_| c.is_event());
    stores
        .flat_map(|store| c.lengths().map(|length| (store, length)))
        .map(|((store, role, name), (length, lasts))| {
            let label = [name, label, length].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
            Canonical::on(role, label, everybodys(*store, how, lasts)).lasting()
        })
        .collect()
}

/// Readers see an old state, and the job restores in the meantime.
fn past(c: &Canon, how: StoreFault) -> Vec<Canonical> {
    let Some(failure) = c.failure().filter(|_| c.is_event()) else { return Vec::new() };
    let strike = |(store, role, name)| {
        Canonical::on(role, name, everybodys(store, how, c.beyond())).with(failure.clone()).lasting()
    };
    BOTH.map(strike).into()
}

/// The writes of a node, from one on: only that write, or every repetition of it as well.
fn writes(c: &Canon, how: StoreFault) -> Vec<Canonical> {
    let Place::Write(store, victim) = c.place else { return Vec::new() };
    let role = if store == StoreName::Checkpoints { CHECKPOINT_STORE } else { OUTPUT_STORE };
    let strike = |(label, count)| {
        let (node, heal_after) = (Some(victim.target()), Some(c.beyond().max(ALL_TRIES)));
        let action = FaultAction::Store { store: Some(store), node, how, count: Some(count), heal_after };
        Canonical::at(victim, label, action).with_role(role)
    };
    [("once", 1), ("with every try", EVERY_TRY)].map(strike).into()
}

/// One write of state is not stored as it was acknowledged, and the job restores later. (A JobManager writes its record
/// of what is complete there. Losing that record loses the job, so it is not struck.)
fn spoilt(c: &Canon, how: StoreFault) -> Vec<Canonical> {
    let Place::Write(StoreName::Checkpoints, victim) = c.place else { return Vec::new() };
    let Some(failure) = c.failure().filter(|_| victim.role == TASK_MANAGER) else { return Vec::new() };
    let (store, node, heal_after) = (Some(StoreName::Checkpoints), Some(victim.target()), Some(c.brief()));
    let action = FaultAction::Store { store, node, how, count: Some(1), heal_after };
    let strike = Canonical::at(victim, "once", action).with_role(CHECKPOINT_STORE);
    vec![strike.later("checkpoint-completed", c.brief() * 2, failure)]
}

/// If no store is named, each store gets a rule of its own, so that it can be said which store was hurt. `victim` is
/// the role to note, if it is not the store's.
pub(in crate::faults) fn strike(s: &mut Striking, action: &FaultAction, victim: Option<&'static str>) -> Struck {
    let FaultAction::Store { store, node, how, count, heal_after } = action else { foreign(action) };
    let node = node.as_ref().map(|node| s.node(node)).transpose()?;
    let stores = store.map_or(vec![StoreName::Checkpoints, StoreName::Output], |store| vec![store]);
    for store in stores {
        let (name, role, kind) = match store {
            StoreName::Checkpoints => ("checkpoint store", CHECKPOINT_STORE, StoreKind::Checkpoints),
            StoreName::Output => ("output store", OUTPUT_STORE, StoreKind::Output),
        };
        let role = victim.unwrap_or(role);
        let target = node.as_ref().map_or(name.to_owned(), |node| format!("{name} of {node}"));
        let rule = StoreRule { store: Some(kind), node: node.clone(), fault: *how, count: *count };
        let rule = offered(s.world.stores()).add_store_rule(rule);
        // A lost write is acknowledged, and its loss shows only at the end.
        let limit = count.filter(|_| !matches!(how, StoreFault::LostWrite));
        let (done, harm) = hurts(how);
        s.nemesis.watch(Watched::new(s.blow, Armed::Requests(rule), role, target, done).at_most(limit));
        s.lasts(Vec::new(), vec![Box::new(Requests { rule, harm })], *heal_after);
    }
    Ok(())
}

/// What the fault does to a request, in words, and what that hurts.
fn hurts(fault: &StoreFault) -> (String, Harm) {
    let time = humantime::format_duration;
    match fault {
        StoreFault::Unavailable => ("requests were not answered".into(), Harm::RequestsUnanswered),
        StoreFault::FailedWrite => ("a write failed".into(), Harm::WritesFailed),
        StoreFault::AmbiguousWrite => {
            ("a write took effect and was answered with an error".into(), Harm::WritesAnsweredWithErrors)
        }
        StoreFault::TornWrite => ("half of a write was acknowledged as the whole".into(), Harm::WritesTorn),
        StoreFault::LostWrite => ("a write was acknowledged and not made durable".into(), Harm::LostFilesMissed),
        StoreFault::NoSpace => ("a write failed for lack of space".into(), Harm::WritesFailed),
        StoreFault::Slow(by) => (format!("a request took {} longer", time(*by)), Harm::RequestsDelayed),
        StoreFault::Throttled(rate) => (format!("a request was throttled to {rate} bytes/s"), Harm::RequestsThrottled),
        StoreFault::StaleRead(age) => {
            (format!("a read saw the store as it was {} before", time(*age)), Harm::ReadsOfThePast)
        }
        StoreFault::LaggingList(age) => {
            (format!("a listing saw the store as it was {} before", time(*age)), Harm::ListingsOfThePast)
        }
    }
}

/// A rule about requests to a store.
#[derive(Debug)]
pub(in crate::faults) struct Requests {
    pub(in crate::faults) rule: usize,
    pub(in crate::faults) harm: Harm,
}

impl Effect for Requests {
    /// The claim lasts until the end of the run, because what the rule made vanish is missed only after the rule has
    /// ended.
    fn claim(&self, nemesis: &mut Nemesis, world: &dyn Cluster, fault: usize, _: u64) {
        nemesis.claim(world, fault, None, Gauge::Requests(self.rule), self.harm);
    }

    fn end(&self, nemesis: &mut Nemesis, world: &dyn Cluster, now: Time) -> Receipt {
        offered(world.stores()).end_store_rule(self.rule);
        nemesis.stop_looking(Armed::Requests(self.rule), now);
        Receipt::certain()
    }
}
