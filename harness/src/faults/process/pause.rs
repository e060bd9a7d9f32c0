//! `pause`: a process stands still (garbage collection, SIGSTOP); the network goes on delivering to it.

use flowquake_engine::env::sim::Gauge;
use flowquake_engine::time::Time;

use crate::checker::{Length, Rules};
use crate::draws::{ANYBODY, Drawn, Need};
use crate::faults::canonical::{Canon, Canonical};
use crate::faults::spec::{Class, Family, NODES, Spec, TARGET, foreign, may};
use crate::nemesis::{Cluster, Effect, Harm, Nemesis, Receipt, Striking, Struck, offered};
use crate::plan::FaultAction;
use crate::reader::{FaultKeys, value};
use crate::writer::{pair, target, time};

pub(crate) const PAUSE: Spec = Spec {
    name: "pause",
    family: Family::Process,
    effect: "the process stands still, then goes on as if nothing had happened",
    classes: &[Class::Masked],
    roles: NODES,
    params: &[TARGET, may("resume_after", "duration")],
    read,
    write,
    rules,
    lengths,
    canonical,
    drawn: Drawn::new(Need::Nothing, ANYBODY, |a| FaultAction::Pause {
        target: a.target(),
        resume_after: Some(a.lasts("resume after")),
    })
    .biting(),
    strike,
};

fn read(keys: &mut FaultKeys) -> Option<FaultAction> {
    let target = keys.target("pause.target");
    let resume_after = keys.may("resume_after", "pause.resume_after", value::duration);
    Some(FaultAction::Pause { target: target?, resume_after })
}

fn write(action: &FaultAction) -> Vec<Option<String>> {
    let FaultAction::Pause { target: node, resume_after } = action else { foreign(action) };
    vec![Some(target(node)), resume_after.map(|after| pair("resume_after", time(after)))]
}

fn rules(rules: &mut Rules, action: &FaultAction) {
    let FaultAction::Pause { target, .. } = action else { foreign(action) };
    rules.target_exists(target, "pause.target");
}

fn lengths(action: &FaultAction) -> Vec<Length> {
    let FaultAction::Pause { resume_after, .. } = action else { foreign(action) };
    Length::until_end("action.pause.resume_after", *resume_after)
}

fn canonical(c: &Canon) -> Vec<Canonical> {
    let each = c.everybody().flat_map(|victim| c.lengths().map(|length| (victim, length)));
    each.map(|(victim, (label, length))| {
        let action = FaultAction::Pause { target: victim.target(), resume_after: Some(length) };
        Canonical::at(victim, label, action)
    })
    .collect()
}

fn strike(s: &mut Striking, action: &FaultAction) -> Struck {
    let FaultAction::Pause { target, resume_after } = action else { foreign(action) };
    let node = s.node(target)?;
    let receipt = offered(s.world.processes()).pause(&node);
    let hit = s.hit_by(receipt, &node, "the process stands still", None, "is down or stands still already")?;
    s.lasts(vec![hit], vec![Box::new(Paused(node))], *resume_after);
    Ok(())
}

/// A node stands still.
#[derive(Debug, PartialEq, Eq)]
struct Paused(String);

impl Effect for Paused {
    /// What had to wait is seen only when the node goes on, which is after the end of the pause. So the claim lasts
    /// until the node stands still the next time.
    fn claim(&self, nemesis: &mut Nemesis, world: &dyn Cluster, fault: usize, _: u64) {
        nemesis.own(world, &Gauge::StoodStill(self.0.clone()), Some(fault), Harm::StepsHeldBack);
    }

    fn end(&self, nemesis: &mut Nemesis, world: &dyn Cluster, _: Time) -> Receipt {
        // Another fault may have paused a later life of the node.
        if nemesis.newest::<Self>().any(|(_, other)| other == self) {
            return Receipt::InVain;
        }
        offered(world.processes()).resume(&self.0)
    }

    /// If a node never goes on, nothing shows what it would have done.
    fn harm_without_end(&self) -> Option<Harm> {
        Some(Harm::NodesStopped)
    }
}
