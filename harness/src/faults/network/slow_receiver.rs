//! `slow-receiver`: a node reads what it receives at a limited rate.

use flowquake_engine::env::sim::Gauge;
use flowquake_engine::time::Time;

use crate::checker::{Length, Rules};
use crate::draws::{Drawn, LINKED, Need};
use crate::faults::canonical::{Canon, Canonical};
use crate::faults::spec::{Class, Family, HEAL_AFTER, Spec, TARGET, foreign, must};
use crate::nemesis::{Cluster, Effect, Harm, Nemesis, Receipt, Striking, Struck, TASK_MANAGER, made_by, offered};
use crate::plan::FaultAction;
use crate::reader::{FaultKeys, value};
use crate::writer::{heal_after, pair, speed, target};

pub(crate) const SLOW_RECEIVER: Spec = Spec {
    name: "slow-receiver",
    family: Family::Network,
    effect: "a node reads the records that it receives slowly",
    classes: &[Class::Masked],
    roles: &[TASK_MANAGER],
    params: &[TARGET, must("rate", "bandwidth"), HEAL_AFTER],
    read,
    write,
    rules,
    lengths,
    canonical,
    drawn: Drawn::new(Need::Nothing, LINKED, |a| FaultAction::SlowReceiver {
        target: a.target(),
        rate: a.draws.number("rate", 10, 500) * 1_000,
        heal_after: a.heals(),
    }),
    strike,
};

fn read(keys: &mut FaultKeys) -> Option<FaultAction> {
    let target = keys.target("slow-receiver.target");
    let rate = keys.must("rate", "slow-receiver.rate", "say how fast it reads: rate = \"10kB/s\"", value::bandwidth);
    let heal_after = keys.heal_after("slow-receiver.heal_after");
    Some(FaultAction::SlowReceiver { target: target?, rate: rate?, heal_after })
}

fn write(action: &FaultAction) -> Vec<Option<String>> {
    let FaultAction::SlowReceiver { target: node, rate, heal_after: after } = action else { foreign(action) };
    vec![Some(target(node)), Some(pair("rate", speed(*rate))), heal_after(*after)]
}

fn rules(rules: &mut Rules, action: &FaultAction) {
    let FaultAction::SlowReceiver { target, rate, .. } = action else { foreign(action) };
    rules.target_exists(target, "slow-receiver.target");
    rules.at_least(*rate, 1, "slow-receiver.rate", "cut the node off instead, with `isolate`");
}

fn lengths(action: &FaultAction) -> Vec<Length> {
    let FaultAction::SlowReceiver { heal_after, .. } = action else { foreign(action) };
    Length::until_end("action.slow-receiver.heal_after", *heal_after)
}

fn canonical(c: &Canon) -> Vec<Canonical> {
    const RATE: u64 = 10_000;
    let busy = c.task_managers().filter(|victim| victim.busy);
    busy.map(|victim| {
        let action = FaultAction::SlowReceiver { target: victim.target(), rate: RATE, heal_after: Some(c.beyond()) };
        Canonical::at(victim, "10 kB/s", action).lasting()
    })
    .collect()
}

fn strike(s: &mut Striking, action: &FaultAction) -> Struck {
    let FaultAction::SlowReceiver { target, rate, heal_after } = action else { foreign(action) };
    let node = s.node(target)?;
    let hit = s.hit_node(&node, format!("reads {rate} bytes/s"));
    let reading = Reading { node, rate: *rate };
    s.lasts(vec![hit], vec![Box::new(reading.clone())], *heal_after);
    reading.set(s.nemesis, s.world);
    Ok(())
}

/// A node reads slowly.
#[derive(Debug, Clone)]
struct Reading {
    node: String,
    rate: u64,
}

impl Reading {
    /// Sets the rate of the newest fault in force.
    fn set(&self, nemesis: &mut Nemesis, world: &dyn Cluster) {
        let newest = nemesis.newest::<Self>().filter(|(_, other)| other.node == self.node);
        let (owner, rate) = made_by(newest.map(|(fault, reading)| (fault, reading.rate))).unzip();
        nemesis.own(world, &Gauge::ReadLate(self.node.clone()), owner, Harm::FramesReadLate);
        offered(world.network()).limit_receiver(&self.node, rate);
    }
}

impl Effect for Reading {
    fn end(&self, nemesis: &mut Nemesis, world: &dyn Cluster, _: Time) -> Receipt {
        self.set(nemesis, world);
        Receipt::certain()
    }
}
