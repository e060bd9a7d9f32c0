//! What each fault does to the cluster when it strikes.

use flowquake_engine::env::StoreKind;
use flowquake_engine::env::sim::{ClockFault, Death, MessageFault, MessageRule, SlowWork, StoreFault, StoreRule};
use flowquake_engine::time::Time;

use super::effect::Effect;
use super::target::RESTART_MIN;
use super::watch::{Armed, Watched};
use super::{Cluster, Hit, Nemesis, Origin, Rank, Step};
use crate::faults::{CHECKPOINT_STORE, Kind, LEADER, LEADER_LINK, OUTPUT_STORE, TASK_MANAGER};
use crate::plan::{Disk, FaultAction, KillMode, StoreName, UserFailure};

/// One strike of one fault.
pub(super) struct Blow {
    /// Index in the plan.
    pub(super) fault: usize,
    /// How often the fault was tried before.
    pub(super) number: u32,
    pub(super) now: Time,
    pub(super) origin: Origin,
}

/// What is left of a fault that strikes in rounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Round {
    fault: usize,
    left: u32,
    victim: Victim,
}

/// Whom a loop strikes, resolved when it began.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Victim {
    Node(String),
    Link(String, String),
}

impl Nemesis {
    /// Strikes; if that was in vain, the reason is kept.
    pub(super) fn execute(&mut self, world: &dyn Cluster, blow: &Blow) {
        let action = self.faults[blow.fault].action.clone();
        if let Err(missed) = self.act(world, blow, &action) {
            self.strikes[blow.fault].missed = missed;
        }
    }

    fn act(&mut self, world: &dyn Cluster, blow: &Blow, action: &FaultAction) -> Result<(), String> {
        match action {
            FaultAction::Kill { targets, mode, restart_after, disk } => {
                let mut missed = Ok(());
                for node in self.nodes(world, blow, targets)? {
                    missed = self.kill(world, blow, node, *mode, *restart_after, *disk).and(missed);
                }
                missed
            }
            FaultAction::CrashLoop { target, times, .. } => {
                let victim = Victim::Node(self.node(world, blow, target)?);
                self.round(world, blow, Round { fault: blow.fault, left: *times, victim })
            }
            FaultAction::Flap { from, to, times, .. } => {
                let (from, to) = (self.node(world, blow, from)?, self.node(world, blow, to)?);
                let victim = Victim::Link(from, to);
                self.round(world, blow, Round { fault: blow.fault, left: *times, victim })
            }
            FaultAction::Pause { target, resume_after } => {
                let node = self.node(world, blow, target)?;
                if !world.pause(&node) {
                    return Err(format!("{node} is down or stands still already"));
                }
                let hit = self.hit_node(blow, &node, "the process stands still");
                self.lasts(blow, vec![hit], vec![Effect::Paused(node)], *resume_after);
                Ok(())
            }
            FaultAction::Slow { target, work, factor, heal_after } => {
                let node = self.node(world, blow, target)?;
                let work_name = match work {
                    SlowWork::Cpu => "all work",
                    SlowWork::Records => "work on records",
                    SlowWork::Snapshot => "the synchronous part of snapshots",
                };
                let detail = match factor {
                    Some(factor) => format!("{work_name} takes {factor} times as long"),
                    None => format!("{work_name} hangs"),
                };
                let hit = self.hit_node(blow, &node, detail);
                self.set_for(world, blow, hit, Effect::Slow(node, *work, *factor), *heal_after);
                Ok(())
            }
            FaultAction::UserCode { target, how } => {
                let node = self.node(world, blow, target)?;
                self.user_code.arm(&node, *how);
                let detail = match how {
                    UserFailure::Panic => "user code panicked",
                    UserFailure::Error => "user code returned an error",
                };
                let armed = Armed::UserCode(Some(node.clone()));
                self.watch(Watched::new(blow, armed, TASK_MANAGER, node, detail.into()).at_most(Some(1)));
                Ok(())
            }
            FaultAction::Poison { split, position, times } => {
                self.user_code.poison(*split, *position, *times);
                let target = format!("record {position} of split {split}");
                let armed = Armed::UserCode(None);
                let detail = "user code failed on it".to_owned();
                self.watch(Watched::new(blow, armed, TASK_MANAGER, target, detail).at_most(*times));
                Ok(())
            }
            FaultAction::Cut { from, to, both_ways, heal_after } => {
                let (from, to) = (self.nodes(world, blow, from)?, self.nodes(world, blow, to)?);
                let pairs = from.iter().flat_map(|from| to.iter().map(move |to| (from.clone(), to.clone())));
                let pairs = pairs.filter(|(from, to)| from != to).collect();
                self.cut(world, blow, pairs, *both_ways, *heal_after)
            }
            FaultAction::Isolate { target, stores, heal_after } => {
                let node = self.node(world, blow, target)?;
                let mut effects =
                    vec![Effect::Cut(both_ways(self.cast.others(&node).iter().map(|other| (&node, other))))];
                if let [Effect::Cut(links)] = effects.as_slice() {
                    links.iter().for_each(|(from, to)| world.cut(from, to));
                }
                let detail =
                    if *stores { "cut off from every node and from the stores" } else { "cut off from every node" };
                if *stores {
                    let rule = StoreRule {
                        store: None,
                        node: Some(node.clone()),
                        fault: StoreFault::Unavailable,
                        count: None,
                    };
                    effects.push(Effect::StoreRule(world.add_store_rule(rule)));
                }
                let hit = self.hit_node(blow, &node, detail);
                self.lasts(blow, vec![hit], effects, *heal_after);
                Ok(())
            }
            FaultAction::Link { from, to, latency, bandwidth, heal_after } => {
                let (from, to) = (self.node(world, blow, from)?, self.node(world, blow, to)?);
                let link = distinct(from, to)?;
                let mut parts = Vec::new();
                if let Some((low, high)) = latency {
                    let time = humantime::format_duration;
                    parts.push(match low == high {
                        true => format!("latency is {}", time(*low)),
                        false => format!("latency is {} to {}", time(*low), time(*high)),
                    });
                }
                parts.extend(bandwidth.map(|rate| format!("bandwidth is {rate} bytes/s")));
                let hit = self.hit_link(blow, &link, " - ", parts.join(", "));
                let link = if link.0 < link.1 { link } else { (link.1, link.0) };
                self.set_for(world, blow, hit, Effect::Link(link, *latency, *bandwidth), *heal_after);
                Ok(())
            }
            FaultAction::Reset { target, peer: None, one } => {
                let node = self.node(world, blow, target)?;
                let count = world.reset_connections(&node, None, *one);
                if count == 0 {
                    return Err(format!("{node} has no connections"));
                }
                let role = self.cast.role(&node);
                self.over_at_once(blow, role, node, reset(count));
                Ok(())
            }
            FaultAction::Reset { target, peer: Some(peer), one } => {
                let (from, to) = (self.node(world, blow, target)?, self.node(world, blow, peer)?);
                let (from, to) = distinct(from, to)?;
                let count = world.reset_connections(&from, Some(&to), *one);
                if count == 0 {
                    return Err(format!("{from} and {to} have no connection"));
                }
                let role = self.cast.link_role(&from, &to);
                self.over_at_once(blow, role, format!("{from} - {to}"), reset(count));
                Ok(())
            }
            FaultAction::Refuse { target, heal_after } => {
                let node = self.node(world, blow, target)?;
                world.refuse(&node, true);
                let hit = self.hit_node(blow, &node, "new connections are refused");
                self.lasts(blow, vec![hit], vec![Effect::Refusing(node)], *heal_after);
                Ok(())
            }
            FaultAction::HalfOpen { target, peer } => {
                let (from, to) = (self.node(world, blow, target)?, self.node(world, blow, peer)?);
                let (from, to) = distinct(from, to)?;
                let count = world.half_open(&from, &to);
                if count == 0 {
                    return Err(format!("{from} and {to} have no connection"));
                }
                let role = self.cast.link_role(&from, &to);
                let detail = format!("{from} has lost its end of {count} connections, {to} is not told");
                self.over_at_once(blow, role, format!("{from} -> {to}"), detail);
                Ok(())
            }
            FaultAction::Message { kind, how, node, count } => {
                let node = node.as_ref().map(|node| self.node(world, blow, node)).transpose()?;
                let done = match how {
                    MessageFault::Lose => "lost".to_owned(),
                    MessageFault::Delay(by) => format!("late by {}", humantime::format_duration(*by)),
                    MessageFault::Duplicate => "doubled".to_owned(),
                };
                let detail = format!("message `{}` {done}", kind.name());
                let target = node.clone().unwrap_or_else(|| self.cast.leader.clone());
                let rule = MessageRule { kind: *kind, node, fault: *how, count: *count };
                let armed = Armed::Messages(world.add_message_rule(rule));
                self.watch(Watched::new(blow, armed, LEADER_LINK, target, detail).at_most(Some(*count)));
                Ok(())
            }
            FaultAction::SlowReceiver { target, rate, heal_after } => {
                let node = self.node(world, blow, target)?;
                let hit = self.hit_node(blow, &node, format!("reads {rate} bytes/s"));
                self.set_for(world, blow, hit, Effect::Reading(node, *rate), *heal_after);
                Ok(())
            }
            FaultAction::Damage { file, how } => self.damage(world, blow, file, *how),
            FaultAction::DamageLocal { target, how } => {
                let node = self.node(world, blow, target)?;
                self.damage_local(world, blow, node, *how)
            }
            FaultAction::Store { store, node, how, count, heal_after } => {
                let node = node.as_ref().map(|node| self.node(world, blow, node)).transpose()?;
                let stores = match store {
                    Some(store) => vec![*store],
                    // Each with a count of its own, so that it can be told which of them was hurt.
                    None => vec![StoreName::Checkpoints, StoreName::Output],
                };
                for store in stores {
                    let (name, role, kind) = match store {
                        StoreName::Checkpoints => ("checkpoint store", CHECKPOINT_STORE, StoreKind::Checkpoints),
                        StoreName::Output => ("output store", OUTPUT_STORE, StoreKind::Output),
                    };
                    let role = if Kind::of(action) == Kind::LoseLeadership { LEADER } else { role };
                    let target = node.as_ref().map_or(name.to_owned(), |node| format!("{name} of {node}"));
                    let rule = StoreRule { store: Some(kind), node: node.clone(), fault: *how, count: *count };
                    let rule = world.add_store_rule(rule);
                    // What was acknowledged and is not there goes missing only at the end.
                    let limit = count.filter(|_| !matches!(how, StoreFault::LostWrite));
                    let watched = Watched::new(blow, Armed::Requests(rule), role, target, describe(how));
                    self.watch(watched.at_most(limit));
                    self.lasts(blow, Vec::new(), vec![Effect::StoreRule(rule)], *heal_after);
                }
                Ok(())
            }
            FaultAction::Clock { target, how, heal_after } => {
                let node = self.node(world, blow, target)?;
                match how {
                    ClockFault::Drift(drift) => {
                        let gains = if *drift < 0 { "loses" } else { "gains" };
                        let detail = format!("the clock {gains} {} us in a second", drift.unsigned_abs());
                        let hit = self.hit_node(blow, &node, detail);
                        self.set_for(world, blow, hit, Effect::Drifting(node, *drift), *heal_after);
                    }
                    ClockFault::Forward(by) | ClockFault::Back(by) => {
                        world.set_clock(&node, *how);
                        let way = if matches!(how, ClockFault::Forward(_)) { "ahead" } else { "back" };
                        let detail = format!("the clock jumped {way} by {}", humantime::format_duration(*by));
                        let role = self.cast.role(&node);
                        self.over_at_once(blow, role, node, detail);
                    }
                }
                Ok(())
            }
        }
    }

    fn kill(
        &mut self,
        world: &dyn Cluster,
        blow: &Blow,
        node: String,
        mode: KillMode,
        restart_after: Option<std::time::Duration>,
        disk: Disk,
    ) -> Result<(), String> {
        let (death, detail) = match mode {
            KillMode::Crash => (Death::Crash, "process killed, connections reset"),
            KillMode::MachineLoss => (Death::MachineLoss, "machine lost, silence"),
        };
        if !world.kill(&node, death) {
            return Err(format!("{node} was down already"));
        }
        let hit = self.hit_node(blow, &node, detail);
        self.lasts(blow, vec![hit], vec![Effect::Down(node, disk)], restart_after);
        Ok(())
    }

    fn cut(
        &mut self,
        world: &dyn Cluster,
        blow: &Blow,
        pairs: Vec<(String, String)>,
        back: bool,
        heal_after: Option<std::time::Duration>,
    ) -> Result<(), String> {
        if pairs.is_empty() {
            return Err("both ends are the same node".into());
        }
        let (arrow, detail) = if back { (" - ", "link cut both ways") } else { (" -> ", "link cut one way") };
        let links = if back { both_ways(pairs.iter().map(|(from, to)| (from, to))) } else { pairs.clone() };
        links.iter().for_each(|(from, to)| world.cut(from, to));
        // One hit for each role that is struck, so that coverage can tell them apart.
        let mut hits = Vec::new();
        let role = |(from, to): &(String, String)| self.cast.link_role(from, to);
        for wanted in [crate::faults::TASK_LINK, LEADER_LINK] {
            let named: Vec<String> = pairs
                .iter()
                .filter(|pair| role(pair) == wanted)
                .map(|(from, to)| format!("{from}{arrow}{to}"))
                .collect();
            if !named.is_empty() {
                hits.push((wanted, named.join(", ")));
            }
        }
        let hits = hits.into_iter().map(|(role, target)| self.hit(blow, role, target, detail.into())).collect();
        self.lasts(blow, hits, vec![Effect::Cut(links)], heal_after);
        Ok(())
    }

    /// One round of a loop; the next one is put on the agenda, whatever became of this one.
    fn round(&mut self, world: &dyn Cluster, blow: &Blow, round: Round) -> Result<(), String> {
        let (up, down, struck) = match (&self.faults[round.fault].action, &round.victim) {
            (FaultAction::CrashLoop { up, down, .. }, Victim::Node(node)) => {
                let (up, down) = (*up, (*down).max(RESTART_MIN));
                (up, down, self.kill(world, blow, node.clone(), KillMode::Crash, Some(down), Disk::Wiped))
            }
            (FaultAction::Flap { up, down, .. }, Victim::Link(from, to)) => {
                let (up, down) = (*up, *down);
                let pairs = if from == to { Vec::new() } else { vec![(from.clone(), to.clone())] };
                (up, down, self.cut(world, blow, pairs, true, Some(down)))
            }
            _ => return Err("not a fault with rounds".into()),
        };
        if round.left > 1 {
            let next = Round { left: round.left - 1, ..round };
            self.put(blow.now + down + up, Rank::Strike, Step::Again(next));
        }
        struck
    }

    /// The next round of a loop, by the clock.
    pub(super) fn go_round(&mut self, world: &dyn Cluster, now: Time, round: Round) {
        let (fault, number) = (round.fault, self.progress[round.fault].tried);
        let blow = Blow { fault, number, now, origin: Origin::default() };
        if let Err(missed) = self.round(world, &blow, round) {
            self.strikes[fault].missed = missed;
        }
    }

    /// A property is set while the fault is in force.
    fn set_for(
        &mut self,
        world: &dyn Cluster,
        blow: &Blow,
        hit: usize,
        effect: Effect,
        after: Option<std::time::Duration>,
    ) {
        self.lasts(blow, vec![hit], vec![effect.clone()], after);
        self.set(&effect, world);
    }

    fn hit_node(&mut self, blow: &Blow, node: &str, detail: impl Into<String>) -> usize {
        let role = self.cast.role(node);
        self.hit(blow, role, node.into(), detail.into())
    }

    fn hit_link(&mut self, blow: &Blow, (from, to): &(String, String), arrow: &str, detail: String) -> usize {
        let role = self.cast.link_role(from, to);
        self.hit(blow, role, format!("{from}{arrow}{to}"), detail)
    }

    /// Notes a hit, and returns its index.
    fn hit(&mut self, blow: &Blow, role: &'static str, target: String, detail: String) -> usize {
        let hits = &mut self.strikes[blow.fault].hits;
        let position = blow.origin.position.clone();
        hits.push(Hit { at: blow.now, position, role, target, detail, healed_at: None });
        hits.len() - 1
    }

    /// Notes a hit that has no end: it is over when it is done.
    pub(super) fn over_at_once(&mut self, blow: &Blow, role: &'static str, target: String, detail: String) {
        let hit = self.hit(blow, role, target, detail);
        self.strikes[blow.fault].hits[hit].healed_at = Some(blow.now);
    }
}

fn both_ways<'n>(pairs: impl Iterator<Item = (&'n String, &'n String)>) -> Vec<(String, String)> {
    pairs.flat_map(|(from, to)| [(from.clone(), to.clone()), (to.clone(), from.clone())]).collect()
}

/// Roles may turn out to be played by one node.
fn distinct(from: String, to: String) -> Result<(String, String), String> {
    if from == to { Err(format!("both ends are {from}")) } else { Ok((from, to)) }
}

fn reset(count: usize) -> String {
    match count {
        1 => "one connection reset".into(),
        count => format!("{count} connections reset"),
    }
}

/// What a store does, as what was done to a request.
fn describe(fault: &StoreFault) -> String {
    let time = humantime::format_duration;
    match fault {
        StoreFault::Unavailable => "requests were not answered".into(),
        StoreFault::FailedWrite => "a write failed".into(),
        StoreFault::AmbiguousWrite => "a write took effect and was answered with an error".into(),
        StoreFault::TornWrite => "half of a write was acknowledged as the whole".into(),
        StoreFault::LostWrite => "a write was acknowledged and not made durable".into(),
        StoreFault::NoSpace => "a write failed for lack of space".into(),
        StoreFault::Slow(by) => format!("a request took {} longer", time(*by)),
        StoreFault::Throttled(rate) => format!("a request was throttled to {rate} bytes/s"),
        StoreFault::StaleRead(age) => format!("a read saw the store as it was {} before", time(*age)),
        StoreFault::LaggingList(age) => format!("a listing saw the store as it was {} before", time(*age)),
    }
}
