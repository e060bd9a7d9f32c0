//! `cut` and `cut-one-way`: messages between two sets of nodes vanish until it heals; connections survive.

use std::time::Duration;

use flowquake_engine::env::sim::Gauge;
use flowquake_engine::time::Time;

use crate::checker::{Finding, Length, Rules};
use crate::draws::{Action, Drawn, LINKED, Need, Role};
use crate::faults::canonical::{Canon, Canonical};
use crate::faults::spec::{Class, Family, HEAL_AFTER, LINKS, Spec, foreign, must};
use crate::nemesis::{
    Cluster, Effect, Harm, LEADER_LINK, Link, Nemesis, Receipt, Striking, Struck, TASK_LINK, offered,
};
use crate::plan::{FaultAction, NodeTarget};
use crate::reader::{FaultKeys, node};
use crate::writer::{heal_after, node_name, pair, text};

pub(crate) const CUT: Spec = Spec {
    name: "cut",
    family: Family::Network,
    effect: "what is sent between two sets of nodes stays away; connections survive",
    classes: &[Class::Masked],
    roles: LINKS,
    params: &[must("link", "\"tm-1,tm-2 - tm-3\""), HEAL_AFTER],
    read: |keys| read(keys, true),
    write,
    rules,
    lengths,
    canonical: |c| canonical(c, true),
    drawn: Drawn::new(Need::Nothing, LINKED, |a| drawn(a, true)),
    strike,
};

pub(crate) const CUT_ONE_WAY: Spec = Spec {
    name: "cut-one-way",
    effect: "what is sent from one set of nodes to another stays away",
    params: &[must("link", "\"tm-1,tm-2 -> tm-3\""), HEAL_AFTER],
    read: |keys| read(keys, false),
    canonical: |c| canonical(c, false),
    drawn: Drawn::new(Need::Nothing, LINKED, |a| drawn(a, false)),
    ..CUT
};

fn read(keys: &mut FaultKeys, both_ways: bool) -> Option<FaultAction> {
    let heal_after = keys.heal_after("cut.heal_after");
    let ends = match both_ways {
        true => keys.must("link", "cut.from", node::LINK_HELP, node::both_sides),
        false => keys.must("link", "cut.from", node::ARROW_HELP, node::senders_and_receivers),
    };
    keys.also("link", "cut.to");
    let (from, to) = ends?;
    Some(FaultAction::Cut { from, to, both_ways, heal_after })
}

fn write(action: &FaultAction) -> Vec<Option<String>> {
    let FaultAction::Cut { from, to, both_ways, heal_after: after } = action else { foreign(action) };
    let side = |nodes: &[NodeTarget]| nodes.iter().map(node_name).collect::<Vec<_>>().join(",");
    let between = if *both_ways { "-" } else { "->" };
    vec![Some(pair("link", text(&format!("{} {between} {}", side(from), side(to))))), heal_after(*after)]
}

fn rules(rules: &mut Rules, action: &FaultAction) {
    let FaultAction::Cut { from, to, .. } = action else { foreign(action) };
    for (side, name) in [(from, "from"), (to, "to")] {
        if side.is_empty() {
            let finding = Finding::new("no-effect", "one side of the cut is empty", "name at least one node");
            rules.push(finding.at(rules.at(&format!("cut.{name}")), "empty"));
            return;
        }
    }
    if let ([from], [to]) = (from.as_slice(), to.as_slice()) {
        return rules.link(from, to, "cut.from", "cut.to");
    }
    // Both sides are written in one value, so one problem about the value is enough.
    for (side, below) in [(from, "cut.from"), (to, "cut.to")] {
        if !side.iter().all(|target| rules.target_exists(target, below)) {
            return;
        }
    }
    let all: Vec<&NodeTarget> = from.iter().chain(to).collect();
    for (index, target) in all.iter().enumerate() {
        let same = |before: &&NodeTarget| *before == *target || rules.known(before).is(&rules.known(target));
        if all[..index].iter().any(same) {
            let message = format!("{} is named twice in this cut", rules.known(target).describe());
            let help = format!("name each node once, on one side; there are {}", rules.nodes());
            let finding = Finding::new("sets-overlap", message, help).at(rules.at("cut.from"), "the same node twice");
            rules.push(finding.given(rules.at("cut.to")).given(rules.trigger_path()));
            return;
        }
    }
    rules.something_passes(from, to, "cut.from", "cut.to");
}

fn lengths(action: &FaultAction) -> Vec<Length> {
    let FaultAction::Cut { heal_after, .. } = action else { foreign(action) };
    Length::until_end("action.cut.heal_after", *heal_after)
}

fn drawn(a: &Action, both_ways: bool) -> FaultAction {
    let mut to = vec![a.peer()];
    if a.role == Role::TaskManager && a.draws.one_in("wide", 3) {
        to = a.other_task_managers().into_iter().map(NodeTarget::Node).collect();
        if to.is_empty() || a.draws.one_in("leader as well", 2) {
            to.push(NodeTarget::Leader);
        }
    }
    let mut from = vec![a.target()];
    if !both_ways && a.draws.one_in("towards", 2) {
        std::mem::swap(&mut from, &mut to);
    }
    FaultAction::Cut { from, to, both_ways, heal_after: a.heals() }
}

fn canonical(c: &Canon, both_ways: bool) -> Vec<Canonical> {
    let mut strikes = Vec::new();
    for (one, other) in c.links() {
        let ways: &[_] =
            if both_ways { &[(one, other, "")] } else { &[(one, other, "to its peer"), (other, one, "from its peer")] };
        for ((from, to, way), (label, length)) in ways.iter().flat_map(|way| c.lengths().map(|length| (way, length))) {
            let (from, to, heal_after) = (vec![from.target()], vec![to.target()], Some(length));
            let action = FaultAction::Cut { from, to, both_ways, heal_after };
            strikes.push(Canonical::at(one, format!("{way} {label}").trim(), action).towards(other).lasting());
        }
    }
    strikes
}

fn strike(s: &mut Striking, action: &FaultAction) -> Struck {
    let FaultAction::Cut { from, to, both_ways, heal_after } = action else { foreign(action) };
    let (from, to) = (s.nodes(from)?, s.nodes(to)?);
    cut(s, &from, &to, *both_ways, *heal_after)
}

/// Cuts all links between two sets of nodes.
pub(super) fn cut(s: &mut Striking, from: &[String], to: &[String], back: bool, after: Option<Duration>) -> Struck {
    let pairs = from.iter().flat_map(|from| to.iter().map(move |to| (from.clone(), to.clone())));
    let pairs: Vec<Link> = pairs.filter(|(from, to)| from != to).collect();
    if pairs.is_empty() {
        return Err("both ends are the same node".into());
    }
    let (arrow, detail) = if back { (" - ", "link cut both ways") } else { (" -> ", "link cut one way") };
    let links = if back { both_ways(&pairs) } else { pairs.clone() };
    // Notes one hit for each role that is struck, so that coverage can distinguish them.
    let mut hits = Vec::new();
    for role in [TASK_LINK, LEADER_LINK] {
        let struck = pairs.iter().filter(|(from, to)| s.link_role(from, to) == role);
        let named: Vec<String> = struck.map(|(from, to)| format!("{from}{arrow}{to}")).collect();
        if !named.is_empty() {
            hits.push(s.hit(role, named.join(", "), detail.into()));
        }
    }
    let links = Links(links);
    s.lasts(hits, vec![Box::new(links.clone())], after);
    links.cut(s.world);
    Ok(())
}

pub(super) fn both_ways(pairs: &[Link]) -> Vec<Link> {
    pairs.iter().flat_map(|(from, to)| [(from.clone(), to.clone()), (to.clone(), from.clone())]).collect()
}

/// Links that are cut in these directions. Cuts add up in the world, so each is healed as often as it was made.
#[derive(Debug, Clone)]
pub(super) struct Links(pub(super) Vec<Link>);

impl Links {
    pub(super) fn cut(&self, world: &dyn Cluster) {
        self.0.iter().for_each(|(from, to)| offered(world.network()).cut(from, to));
    }
}

impl Effect for Links {
    fn claim(&self, nemesis: &mut Nemesis, world: &dyn Cluster, fault: usize, number: u64) {
        for (from, to) in self.0.iter().cloned() {
            nemesis.claim(world, fault, Some(number), Gauge::Held(from, to), Harm::FramesHeldBack);
        }
    }

    fn end(&self, _: &mut Nemesis, world: &dyn Cluster, _: Time) -> Receipt {
        self.0.iter().for_each(|(from, to)| offered(world.network()).heal(from, to));
        Receipt::certain()
    }
}
