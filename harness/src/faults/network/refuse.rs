//! `refuse-connections`: new connections to a node are refused.

use flowquake_engine::env::sim::Gauge;
use flowquake_engine::time::Time;

use crate::checker::{Length, Rules};
use crate::draws::{Drawn, LINKED, Need};
use crate::faults::canonical::{Canon, Canonical};
use crate::faults::spec::{Class, Family, HEAL_AFTER, Spec, TARGET, foreign};
use crate::nemesis::{Cluster, Effect, Harm, LEADER, Nemesis, Receipt, Striking, Struck, TASK_MANAGER, offered};
use crate::plan::FaultAction;
use crate::reader::FaultKeys;
use crate::writer::{heal_after, target};

pub(crate) const REFUSE_CONNECTIONS: Spec = Spec {
    name: "refuse-connections",
    family: Family::Network,
    effect: "new connections to a node are refused",
    classes: &[Class::Masked],
    roles: &[LEADER, TASK_MANAGER],
    params: &[TARGET, HEAL_AFTER],
    read,
    write,
    rules,
    lengths,
    canonical,
    drawn: Drawn::new(Need::Nothing, LINKED, |a| FaultAction::Refuse { target: a.target(), heal_after: a.heals() }),
    strike,
};

fn read(keys: &mut FaultKeys) -> Option<FaultAction> {
    let target = keys.target("refuse.target");
    let heal_after = keys.heal_after("refuse.heal_after");
    Some(FaultAction::Refuse { target: target?, heal_after })
}

fn write(action: &FaultAction) -> Vec<Option<String>> {
    let FaultAction::Refuse { target: node, heal_after: after } = action else { foreign(action) };
    vec![Some(target(node)), heal_after(*after)]
}

fn rules(rules: &mut Rules, action: &FaultAction) {
    let FaultAction::Refuse { target, .. } = action else { foreign(action) };
    rules.target_exists(target, "refuse.target");
}

fn lengths(action: &FaultAction) -> Vec<Length> {
    let FaultAction::Refuse { heal_after, .. } = action else { foreign(action) };
    Length::until_end("action.refuse.heal_after", *heal_after)
}

/// Combined with a reset, because only a node that connects again can be refused.
fn canonical(c: &Canon) -> Vec<Canonical> {
    let each = c.connected().flat_map(|victim| c.lengths().map(|length| (victim, length)));
    each.map(|(victim, (label, length))| {
        let action = FaultAction::Refuse { target: victim.target(), heal_after: Some(length) };
        let reset = FaultAction::Reset { target: victim.target(), peer: None, one: false };
        Canonical::at(victim, label, action).with(reset).lasting()
    })
    .collect()
}

fn strike(s: &mut Striking, action: &FaultAction) -> Struck {
    let FaultAction::Refuse { target, heal_after } = action else { foreign(action) };
    let node = s.node(target)?;
    let hit = s.hit_node(&node, "new connections are refused");
    s.lasts(vec![hit], vec![Box::new(Refusing(node.clone()))], *heal_after);
    offered(s.world.network()).refuse(&node, true);
    Ok(())
}

/// A node whose new connections are refused. Refusals add up in the world, so each is taken back once.
#[derive(Debug)]
struct Refusing(String);

impl Effect for Refusing {
    fn claim(&self, nemesis: &mut Nemesis, world: &dyn Cluster, fault: usize, number: u64) {
        nemesis.claim(world, fault, Some(number), Gauge::Refused(self.0.clone()), Harm::ConnectionsRefused);
    }

    fn end(&self, _: &mut Nemesis, world: &dyn Cluster, _: Time) -> Receipt {
        offered(world.network()).refuse(&self.0, false);
        Receipt::certain()
    }
}
