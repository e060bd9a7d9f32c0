//! `isolate`: a node is cut off from every other node, both ways.

use flowquake_engine::env::StoreKind;
use flowquake_engine::fault::{StoreFault, StoreRule};

use super::cut::{Links, both_ways};
use crate::checker::{Length, Rules};
use crate::draws::{ANYBODY, Drawn, Need, Role};
use crate::faults::canonical::{Canon, Canonical};
use crate::faults::spec::{Class, Family, HEAL_AFTER, NODES, Spec, TARGET, foreign, may};
use crate::faults::storage::store::Requests;
use crate::nemesis::{Effect, Harm, Link, STANDBY, Striking, Struck, TASK_MANAGER, offered};
use crate::plan::FaultAction;
use crate::reader::{FaultKeys, value};
use crate::writer::{heal_after, pair, target};

pub(crate) const ISOLATE: Spec = Spec {
    name: "isolate",
    family: Family::Network,
    effect: "a node is cut off from every other node",
    classes: &[Class::Masked],
    roles: NODES,
    params: &[TARGET, may("stores", "true|false"), HEAL_AFTER],
    read,
    write,
    rules,
    lengths,
    canonical,
    drawn: Drawn::new(Need::Nothing, ANYBODY, |a| FaultAction::Isolate {
        target: a.target(),
        // A standby talks only to the stores, so isolating it must include them.
        stores: a.role == Role::Standby || a.draws.one_in("from the stores", 2),
        heal_after: a.heals(),
    })
    .biting(),
    strike,
};

fn read(keys: &mut FaultKeys) -> Option<FaultAction> {
    let target = keys.target("isolate.target");
    let stores = keys.may("stores", "isolate.stores", value::boolean).unwrap_or(false);
    let heal_after = keys.heal_after("isolate.heal_after");
    Some(FaultAction::Isolate { target: target?, stores, heal_after })
}

fn write(action: &FaultAction) -> Vec<Option<String>> {
    let FaultAction::Isolate { target: node, stores, heal_after: after } = action else { foreign(action) };
    vec![Some(target(node)), stores.then(|| pair("stores", true)), heal_after(*after)]
}

fn rules(rules: &mut Rules, action: &FaultAction) {
    let FaultAction::Isolate { target, .. } = action else { foreign(action) };
    rules.target_exists(target, "isolate.target");
}

fn lengths(action: &FaultAction) -> Vec<Length> {
    let FaultAction::Isolate { heal_after, .. } = action else { foreign(action) };
    Length::until_end("action.isolate.heal_after", *heal_after)
}

/// Isolated from its peers, or from the stores as well; a standby talks only to the stores.
fn canonical(c: &Canon) -> Vec<Canonical> {
    let mut strikes = Vec::new();
    for victim in c.everybody() {
        for stores in [false, true] {
            if victim.role == STANDBY && !stores {
                continue;
            }
            let whence = if stores { "from the stores, too, " } else { "" };
            let mut add = |label: &str, heal_after| {
                let action = FaultAction::Isolate { target: victim.target(), stores, heal_after };
                strikes.push(Canonical::at(victim, format!("{whence}{label}"), action).lasting());
            };
            c.lengths().into_iter().for_each(|(label, length)| add(label, Some(length)));
            // A leader that reaches the stores keeps its lease, but could reach no TaskManager.
            if c.spares(victim) && (stores || victim.role == TASK_MANAGER) {
                add("for good", None);
            }
        }
    }
    strikes
}

fn strike(s: &mut Striking, action: &FaultAction) -> Struck {
    let FaultAction::Isolate { target, stores, heal_after } = action else { foreign(action) };
    let node = s.node(target)?;
    let pairs: Vec<Link> = s.others(&node).into_iter().map(|other| (node.clone(), other)).collect();
    let links = Links(both_ways(&pairs));
    let mut effects: Vec<Box<dyn Effect>> = vec![Box::new(links.clone())];
    if *stores {
        for store in [StoreKind::Checkpoints, StoreKind::Output] {
            let (store, node, fault) = (Some(store), Some(node.clone()), StoreFault::Unavailable);
            let rule = offered(s.world.stores()).add_store_rule(StoreRule { store, node, fault, count: None });
            effects.push(Box::new(Requests { rule, harm: Harm::RequestsUnanswered }));
        }
    }
    let detail = if *stores { "cut off from every node and from the stores" } else { "cut off from every node" };
    let hit = s.hit_node(&node, detail);
    s.lasts(vec![hit], effects, *heal_after);
    links.cut(s.world);
    Ok(())
}
