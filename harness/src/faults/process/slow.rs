//! `slow-cpu`, `slow-operator` and `hang-snapshot`: work takes longer, or does not end before the fault does.

use flowquake_engine::env::sim::Gauge;
use flowquake_engine::time::Time;

use crate::checker::{Length, Rules};
use crate::draws::{Action, Drawn, LINKED, Need, TASKS};
use crate::faults::canonical::{Canon, Canonical};
use crate::faults::spec::{Class, Family, HEAL_AFTER, Spec, TARGET, foreign, must};
use crate::nemesis::{
    Cluster, Effect, Harm, LEADER, Nemesis, Receipt, Striking, Struck, TASK_MANAGER, made_by, offered,
};
use crate::plan::{FaultAction, SlowWork};
use crate::reader::{FaultKeys, value};
use crate::writer::{heal_after, pair, target};

pub(crate) const SLOW_CPU: Spec = Spec {
    name: "slow-cpu",
    family: Family::Process,
    effect: "all work takes longer",
    classes: &[Class::Masked],
    roles: &[LEADER, TASK_MANAGER],
    params: &[TARGET, must("factor", "number"), HEAL_AFTER],
    read: |keys| read(keys, SlowWork::Cpu),
    write,
    rules,
    lengths,
    canonical: |c| canonical(c, SlowWork::Cpu),
    drawn: Drawn::new(Need::Nothing, LINKED, |a| drawn(a, SlowWork::Cpu, Some(factor(a)))),
    strike,
};

pub(crate) const SLOW_OPERATOR: Spec = Spec {
    name: "slow-operator",
    effect: "records take longer through operator chains",
    roles: &[TASK_MANAGER],
    read: |keys| read(keys, SlowWork::Records),
    canonical: |c| canonical(c, SlowWork::Records),
    drawn: Drawn::new(Need::Nothing, TASKS, |a| drawn(a, SlowWork::Records, Some(factor(a)))),
    ..SLOW_CPU
};

pub(crate) const HANG_SNAPSHOT: Spec = Spec {
    name: "hang-snapshot",
    effect: "the synchronous part of snapshots hangs",
    roles: &[TASK_MANAGER],
    params: &[TARGET, HEAL_AFTER],
    read: hang,
    canonical: canonical_hang,
    drawn: Drawn::new(Need::Nothing, TASKS, |a| drawn(a, SlowWork::Snapshot, None)),
    ..SLOW_CPU
};

fn read(keys: &mut FaultKeys, work: SlowWork) -> Option<FaultAction> {
    let target = keys.target("slow.target");
    let help = "say how many times as long it takes: factor = 10";
    let factor = keys.must("factor", "slow.factor", help, value::whole_u32);
    let heal_after = keys.heal_after("slow.heal_after");
    Some(FaultAction::Slow { target: target?, work, factor: Some(factor?), heal_after })
}

fn hang(keys: &mut FaultKeys) -> Option<FaultAction> {
    let target = keys.target("slow.target");
    let heal_after = keys.heal_after("slow.heal_after");
    Some(FaultAction::Slow { target: target?, work: SlowWork::Snapshot, factor: None, heal_after })
}

fn write(action: &FaultAction) -> Vec<Option<String>> {
    let FaultAction::Slow { target: node, factor, heal_after: after, .. } = action else { foreign(action) };
    vec![Some(target(node)), factor.map(|factor| pair("factor", factor)), heal_after(*after)]
}

fn rules(rules: &mut Rules, action: &FaultAction) {
    let FaultAction::Slow { target, work, factor, .. } = action else { foreign(action) };
    match work {
        SlowWork::Cpu => drop(rules.target_exists(target, "slow.target")),
        SlowWork::Records | SlowWork::Snapshot => rules.runs_tasks(target, "slow.target"),
    }
    if let Some(factor) = factor {
        rules.at_least((*factor).into(), 2, "slow.factor", "nothing would take longer");
    }
}

fn lengths(action: &FaultAction) -> Vec<Length> {
    let FaultAction::Slow { heal_after, .. } = action else { foreign(action) };
    Length::until_end("action.slow.heal_after", *heal_after)
}

fn factor(a: &Action) -> u32 {
    a.draws.number("factor", 2, 50) as u32
}

fn drawn(a: &Action, work: SlowWork, factor: Option<u32>) -> FaultAction {
    FaultAction::Slow { target: a.target(), work, factor, heal_after: a.heals() }
}

const FACTOR: u32 = 10;

fn canonical(c: &Canon, work: SlowWork) -> Vec<Canonical> {
    let victims = c.connected().filter(|victim| victim.busy || (work == SlowWork::Cpu && victim.role == LEADER));
    victims
        .map(|victim| {
            let heal_after = Some(c.beyond());
            let action = FaultAction::Slow { target: victim.target(), work, factor: Some(FACTOR), heal_after };
            Canonical::at(victim, "ten times as long", action).lasting()
        })
        .collect()
}

/// Within the checkpoint timeout, and longer than it.
fn canonical_hang(c: &Canon) -> Vec<Canonical> {
    let timeout = c.plan.job.config.checkpoints.timeout;
    let lengths = [("briefly", c.brief()), ("beyond the checkpoint's timeout", timeout + c.beyond())];
    let busy = c.task_managers().filter(|victim| victim.busy);
    busy.flat_map(|victim| lengths.map(|(label, length)| (victim, label, length)))
        .map(|(victim, label, length)| {
            let (target, work, heal_after) = (victim.target(), SlowWork::Snapshot, Some(length));
            let action = FaultAction::Slow { target, work, factor: None, heal_after };
            Canonical::at(victim, label, action).lasting()
        })
        .collect()
}

fn strike(s: &mut Striking, action: &FaultAction) -> Struck {
    let FaultAction::Slow { target, work, factor, heal_after } = action else { foreign(action) };
    let node = s.node(target)?;
    let name = match work {
        SlowWork::Cpu => "all work",
        SlowWork::Records => "work on records",
        SlowWork::Snapshot => "the synchronous part of snapshots",
    };
    let detail = match factor {
        Some(factor) => format!("{name} takes {factor} times as long"),
        None => format!("{name} hangs"),
    };
    let hit = s.hit_node(&node, detail);
    let slowed = Slowed { node, work: *work, factor: *factor };
    s.lasts(vec![hit], vec![Box::new(slowed.clone())], *heal_after);
    let receipt = slowed.set(s.nemesis, s.world);
    s.prove(hit, receipt);
    Ok(())
}

/// Work takes longer, or hangs.
#[derive(Debug, Clone)]
struct Slowed {
    node: String,
    work: SlowWork,
    factor: Option<u32>,
}

impl Slowed {
    /// Sets the slowness of the newest fault in force.
    fn set(&self, nemesis: &mut Nemesis, world: &dyn Cluster) -> Receipt {
        let same = |other: &&Self| (&other.node, other.work) == (&self.node, self.work);
        let newest = nemesis.newest::<Self>().filter(|(_, other)| same(other));
        let (owner, factor) = made_by(newest.map(|(fault, slowed)| (fault, slowed.factor))).unzip();
        nemesis.own(world, &Gauge::Slowed(self.node.clone(), self.work), owner, Harm::WorkMadeLonger);
        offered(world.speeds()).slow(&self.node, self.work, factor.unwrap_or(Some(1)))
    }
}

impl Effect for Slowed {
    fn end(&self, nemesis: &mut Nemesis, world: &dyn Cluster, _: Time) -> Receipt {
        self.set(nemesis, world)
    }
}
