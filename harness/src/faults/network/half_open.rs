//! `half-open`: one end of the connections between two nodes is gone; the other end is not told, and what it sends vanishes.

use crate::checker::Rules;
use crate::draws::{Drawn, LINKED, Need};
use crate::faults::canonical::{Canon, Canonical, Victim};
use crate::faults::spec::{Class, Family, LINKS, Spec, foreign, must, no_lengths};
use crate::nemesis::{Harm, Striking, Struck, offered};
use crate::plan::FaultAction;
use crate::reader::{FaultKeys, node};
use crate::writer::link;

pub(crate) const HALF_OPEN: Spec = Spec {
    name: "half-open",
    family: Family::Network,
    effect: "the first node loses its end of their connections, the second is not told",
    classes: &[Class::Masked],
    roles: LINKS,
    params: &[must("link", "\"tm-1 -> tm-2\"")],
    read,
    write,
    rules,
    lengths: no_lengths,
    canonical,
    drawn: Drawn::new(Need::Nothing, LINKED, |a| FaultAction::HalfOpen { target: a.target(), peer: a.peer() })
        .again()
        .biting(),
    strike,
};

fn read(keys: &mut FaultKeys) -> Option<FaultAction> {
    let ends = keys.must("link", "half-open.target", node::ARROW_HELP, node::arrow);
    keys.also("link", "half-open.peer");
    let (target, peer) = ends?;
    Some(FaultAction::HalfOpen { target, peer })
}

fn write(action: &FaultAction) -> Vec<Option<String>> {
    let FaultAction::HalfOpen { target, peer } = action else { foreign(action) };
    vec![Some(link(target, "->", peer))]
}

fn rules(rules: &mut Rules, action: &FaultAction) {
    let FaultAction::HalfOpen { target, peer } = action else { foreign(action) };
    rules.link(target, peer, "half-open.target", "half-open.peer");
}

fn canonical(c: &Canon) -> Vec<Canonical> {
    let ends = |(one, other)| [(one, other, "its own end"), (other, one, "the end of its peer")];
    let lost = |(one, (target, peer, label)): (&Victim, (&Victim, &Victim, &str))| {
        let other = if target == one { peer } else { target };
        let action = FaultAction::HalfOpen { target: target.target(), peer: peer.target() };
        Canonical::at(one, label, action).towards(other)
    };
    c.links().into_iter().flat_map(|link| ends(link).map(|end| (link.0, end))).map(lost).collect()
}

fn strike(s: &mut Striking, action: &FaultAction) -> Struck {
    let FaultAction::HalfOpen { target, peer } = action else { foreign(action) };
    let (from, to) = s.link(target, peer)?;
    let count = offered(s.world.network()).half_open(&from, &to);
    if count == 0 {
        return Err(format!("{from} and {to} have no connection"));
    }
    let detail = format!("{from} has lost its end of {count} connections, {to} is not told");
    s.over_at_once(s.link_role(&from, &to), format!("{from} -> {to}"), detail);
    s.harmed(Harm::ConnectionsHalfOpen, count as u64);
    Ok(())
}
