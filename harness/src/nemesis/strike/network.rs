//! Strikes at links, connections and control messages.

use std::time::Duration;

use flowquake_engine::env::StoreKind;
use flowquake_engine::fault::{MessageFault, MessageRule, StoreFault, StoreRule};

use super::{Blow, Struck};
use crate::faults::{LEADER_LINK, TASK_LINK};
use crate::nemesis::effect::Effect;
use crate::nemesis::watch::{Armed, Watched};
use crate::nemesis::{Cluster, Harm, Nemesis};
use crate::plan::{MessageKind, NodeTarget};

/// Two nodes.
type Link = (String, String);

impl Nemesis {
    /// Both ends of a link; roles may turn out to be played by one node.
    pub(super) fn link(
        &self,
        world: &dyn Cluster,
        blow: &Blow,
        from: &NodeTarget,
        to: &NodeTarget,
    ) -> Result<Link, String> {
        let (from, to) = (self.node(world, blow, from)?, self.node(world, blow, to)?);
        if from == to { Err(format!("both ends are {from}")) } else { Ok((from, to)) }
    }

    pub(super) fn cut(
        &mut self,
        world: &dyn Cluster,
        blow: &Blow,
        from: &[String],
        to: &[String],
        back: bool,
        after: Option<Duration>,
    ) -> Struck {
        let pairs = from.iter().flat_map(|from| to.iter().map(move |to| (from.clone(), to.clone())));
        let pairs: Vec<Link> = pairs.filter(|(from, to)| from != to).collect();
        if pairs.is_empty() {
            return Err("both ends are the same node".into());
        }
        let (arrow, detail) = if back { (" - ", "link cut both ways") } else { (" -> ", "link cut one way") };
        let links = if back { both_ways(&pairs) } else { pairs.clone() };
        // One hit for each role that is struck, so that coverage can tell them apart.
        let mut hits = Vec::new();
        for role in [TASK_LINK, LEADER_LINK] {
            let struck = pairs.iter().filter(|(from, to)| self.cast.link_role(from, to) == role);
            let named: Vec<String> = struck.map(|(from, to)| format!("{from}{arrow}{to}")).collect();
            if !named.is_empty() {
                hits.push(self.hit(blow, role, named.join(", "), detail.into()));
            }
        }
        self.lasts(world, blow, hits, vec![Effect::Cut(links.clone())], after);
        links.iter().for_each(|(from, to)| world.cut(from, to));
        Ok(())
    }

    pub(super) fn isolate(
        &mut self,
        world: &dyn Cluster,
        blow: &Blow,
        target: &NodeTarget,
        stores: bool,
        after: Option<Duration>,
    ) -> Struck {
        let node = self.node(world, blow, target)?;
        let pairs: Vec<Link> = self.cast.others(&node).into_iter().map(|other| (node.clone(), other)).collect();
        let links = both_ways(&pairs);
        let mut effects = vec![Effect::Cut(links.clone())];
        if stores {
            effects.extend([StoreKind::Checkpoints, StoreKind::Output].map(|store| {
                let (store, node, fault) = (Some(store), Some(node.clone()), StoreFault::Unavailable);
                Effect::StoreRule(world.add_store_rule(StoreRule { store, node, fault, count: None }))
            }));
        }
        let detail = if stores { "cut off from every node and from the stores" } else { "cut off from every node" };
        let hit = self.hit_node(blow, &node, detail);
        self.lasts(world, blow, vec![hit], effects, after);
        links.iter().for_each(|(from, to)| world.cut(from, to));
        Ok(())
    }

    pub(super) fn change_link(
        &mut self,
        world: &dyn Cluster,
        blow: &Blow,
        (from, to): Link,
        latency: Option<(Duration, Duration)>,
        bandwidth: Option<u64>,
        after: Option<Duration>,
    ) {
        let mut parts = Vec::new();
        if let Some((low, high)) = latency {
            let (low, high) = (humantime::format_duration(low), humantime::format_duration(high));
            parts.push(format!("latency is {low} to {high}"));
        }
        parts.extend(bandwidth.map(|rate| format!("bandwidth is {rate} bytes/s")));
        let role = self.cast.link_role(&from, &to);
        let hit = self.hit(blow, role, format!("{from} - {to}"), parts.join(", "));
        let ends = if from < to { (from, to) } else { (to, from) };
        self.set_for(world, blow, hit, Effect::Link(ends, latency, bandwidth), after);
    }

    pub(super) fn reset_node(&mut self, world: &dyn Cluster, blow: &Blow, target: &NodeTarget, one: bool) -> Struck {
        let node = self.node(world, blow, target)?;
        let count = world.reset_connections(&node, None, one);
        if count == 0 {
            return Err(format!("{node} has no connections"));
        }
        let role = self.cast.role(&node);
        self.over_at_once(blow, role, node, reset(count));
        self.harmed(blow.fault, Harm::ConnectionsReset, count as u64);
        Ok(())
    }

    pub(super) fn reset_link(&mut self, world: &dyn Cluster, blow: &Blow, (from, to): Link, one: bool) -> Struck {
        let count = world.reset_connections(&from, Some(&to), one);
        if count == 0 {
            return Err(format!("{from} and {to} have no connection"));
        }
        let role = self.cast.link_role(&from, &to);
        self.over_at_once(blow, role, format!("{from} - {to}"), reset(count));
        self.harmed(blow.fault, Harm::ConnectionsReset, count as u64);
        Ok(())
    }

    pub(super) fn refuse(
        &mut self,
        world: &dyn Cluster,
        blow: &Blow,
        target: &NodeTarget,
        after: Option<Duration>,
    ) -> Struck {
        let node = self.node(world, blow, target)?;
        let hit = self.hit_node(blow, &node, "new connections are refused");
        self.lasts(world, blow, vec![hit], vec![Effect::Refusing(node.clone())], after);
        world.refuse(&node, true);
        Ok(())
    }

    pub(super) fn half_open(&mut self, world: &dyn Cluster, blow: &Blow, (from, to): Link) -> Struck {
        let count = world.half_open(&from, &to);
        if count == 0 {
            return Err(format!("{from} and {to} have no connection"));
        }
        let role = self.cast.link_role(&from, &to);
        let detail = format!("{from} has lost its end of {count} connections, {to} is not told");
        self.over_at_once(blow, role, format!("{from} -> {to}"), detail);
        self.harmed(blow.fault, Harm::ConnectionsHalfOpen, count as u64);
        Ok(())
    }

    pub(super) fn message(
        &mut self,
        world: &dyn Cluster,
        blow: &Blow,
        kind: MessageKind,
        how: MessageFault,
        node: Option<&NodeTarget>,
        count: u32,
    ) -> Struck {
        let node = node.map(|node| self.node(world, blow, node)).transpose()?;
        let done = match how {
            MessageFault::Lose => "lost".to_owned(),
            MessageFault::Delay(by) => format!("late by {}", humantime::format_duration(by)),
            MessageFault::Duplicate => "doubled".to_owned(),
            MessageFault::DuplicateLate(by) => format!("doubled, late by {}", humantime::format_duration(by)),
        };
        let detail = format!("message `{}` {done}", kind.name());
        let target = node.clone().unwrap_or_else(|| self.cast.leader.clone());
        let rule = world.add_message_rule(MessageRule { kind, node, fault: how, count });
        let watched = Watched::new(blow, Armed::Messages(rule), LEADER_LINK, target, detail);
        self.watch(watched.at_most(Some(count)));
        self.lasts(world, blow, Vec::new(), vec![Effect::MessageRule(rule)], None);
        Ok(())
    }

    pub(super) fn slow_receiver(
        &mut self,
        world: &dyn Cluster,
        blow: &Blow,
        target: &NodeTarget,
        rate: u64,
        after: Option<Duration>,
    ) -> Struck {
        let node = self.node(world, blow, target)?;
        let hit = self.hit_node(blow, &node, format!("reads {rate} bytes/s"));
        self.set_for(world, blow, hit, Effect::Reading(node, rate), after);
        Ok(())
    }
}

fn both_ways(pairs: &[Link]) -> Vec<Link> {
    pairs.iter().flat_map(|(from, to)| [(from.clone(), to.clone()), (to.clone(), from.clone())]).collect()
}

fn reset(count: usize) -> String {
    match count {
        1 => "one connection reset".into(),
        count => format!("{count} connections reset"),
    }
}
