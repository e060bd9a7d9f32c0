//! `reset-connection` and `reset-connections`: connections are torn down at both ends.

use crate::checker::Rules;
use crate::draws::{Drawn, LINKED, Need};
use crate::faults::canonical::{Canon, Canonical};
use crate::faults::spec::{Class, Family, LINK, LINKS, Spec, TARGET, foreign, no_lengths};
use crate::nemesis::{Harm, LEADER, Striking, Struck, TASK_MANAGER, offered};
use crate::plan::FaultAction;
use crate::reader::{FaultKeys, node};
use crate::writer::{link, target};

pub(crate) const RESET_CONNECTION: Spec = Spec {
    name: "reset-connection",
    family: Family::Network,
    effect: "one connection of a link is torn down at both ends",
    classes: &[Class::Masked],
    roles: LINKS,
    params: &[LINK],
    read: read_one,
    write,
    rules,
    lengths: no_lengths,
    canonical: canonical_one,
    drawn: Drawn::new(Need::Nothing, LINKED, |a| FaultAction::Reset {
        target: a.target(),
        peer: Some(a.peer()),
        one: true,
    })
    .again(),
    strike,
};

pub(crate) const RESET_CONNECTIONS: Spec = Spec {
    name: "reset-connections",
    effect: "all connections of a node are torn down at both ends",
    roles: &[LEADER, TASK_MANAGER],
    params: &[TARGET],
    read: read_all,
    canonical: canonical_all,
    drawn: Drawn::new(Need::Nothing, LINKED, |a| FaultAction::Reset {
        target: a.target(),
        peer: (!a.draws.one_in("of all", 2)).then(|| a.peer()),
        one: false,
    })
    .again()
    .biting(),
    ..RESET_CONNECTION
};

fn read_one(keys: &mut FaultKeys) -> Option<FaultAction> {
    let ends = keys.must("link", "reset.target", node::LINK_HELP, node::link);
    keys.also("link", "reset.peer");
    let (target, peer) = ends?;
    Some(FaultAction::Reset { target, peer: Some(peer), one: true })
}

fn read_all(keys: &mut FaultKeys) -> Option<FaultAction> {
    Some(FaultAction::Reset { target: keys.target("reset.target")?, peer: None, one: false })
}

fn write(action: &FaultAction) -> Vec<Option<String>> {
    let FaultAction::Reset { target: node, peer, .. } = action else { foreign(action) };
    vec![Some(peer.as_ref().map_or_else(|| target(node), |peer| link(node, "-", peer)))]
}

fn rules(rules: &mut Rules, action: &FaultAction) {
    let FaultAction::Reset { target, peer, .. } = action else { foreign(action) };
    match peer {
        Some(peer) => rules.link(target, peer, "reset.target", "reset.peer"),
        None => drop(rules.target_exists(target, "reset.target")),
    }
}

fn canonical_one(c: &Canon) -> Vec<Canonical> {
    let links = c.links().into_iter();
    links
        .map(|(one, other)| {
            let action = FaultAction::Reset { target: one.target(), peer: Some(other.target()), one: true };
            Canonical::at(one, "one of them", action).towards(other)
        })
        .collect()
}

fn canonical_all(c: &Canon) -> Vec<Canonical> {
    c.connected()
        .map(|victim| {
            let action = FaultAction::Reset { target: victim.target(), peer: None, one: false };
            Canonical::at(victim, "all of them", action)
        })
        .collect()
}

fn strike(s: &mut Striking, action: &FaultAction) -> Struck {
    let FaultAction::Reset { target, peer, one } = action else { foreign(action) };
    let (role, victim, whose, count) = match peer {
        None => {
            let node = s.node(target)?;
            let count = offered(s.world.network()).reset_connections(&node, None, *one);
            (s.role(&node), node.clone(), format!("{node} has no connections"), count)
        }
        Some(peer) => {
            let (from, to) = s.link(target, peer)?;
            let count = offered(s.world.network()).reset_connections(&from, Some(&to), *one);
            (s.link_role(&from, &to), format!("{from} - {to}"), format!("{from} and {to} have no connection"), count)
        }
    };
    let detail = match count {
        0 => return Err(whose),
        1 => "one connection reset".into(),
        count => format!("{count} connections reset"),
    };
    s.over_at_once(role, victim, detail);
    s.harmed(Harm::ConnectionsReset, count as u64);
    Ok(())
}
