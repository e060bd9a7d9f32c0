//! What each fault does to the cluster when it strikes.
//!
//! Start at [`Nemesis::execute`]. Each kind has a method in the file of its family; it resolves whom it strikes, does it, notes
//! a hit for each victim, and says what lasts. A strike in vain says why.

use std::time::Duration;

use flowquake_engine::time::Time;

use super::effect::Effect;
use super::{Cluster, Hit, Nemesis, Origin};
use crate::plan::FaultAction;

mod network;
mod process;
mod rounds;
mod storage;

pub(super) use rounds::Round;

/// One strike of one fault.
pub(super) struct Blow {
    /// Index in the plan.
    pub(super) fault: usize,
    /// How often the fault was tried before.
    pub(super) number: u32,
    pub(super) now: Time,
    pub(super) origin: Origin,
}

/// Why a strike was in vain, if it was.
type Struck = Result<(), String>;

impl Nemesis {
    /// Strikes; if that was in vain, the reason is kept.
    pub(super) fn execute(&mut self, world: &dyn Cluster, blow: &Blow) {
        let action = self.faults[blow.fault].action.clone();
        if let Err(missed) = self.act(world, blow, &action) {
            self.strikes[blow.fault].missed = missed;
        }
    }

    fn act(&mut self, world: &dyn Cluster, blow: &Blow, action: &FaultAction) -> Struck {
        match action {
            FaultAction::Kill { targets, mode, restart_after, disk } => {
                let mut struck = Ok(());
                for node in self.nodes(world, blow, targets)? {
                    struck = self.kill(world, blow, node, *mode, *restart_after, *disk).and(struck);
                }
                struck
            }
            FaultAction::CrashLoop { target, times, .. } => {
                let node = self.node(world, blow, target)?;
                self.round(world, blow, Round::of_node(blow, *times, node))
            }
            FaultAction::Pause { target, resume_after } => self.pause(world, blow, target, *resume_after),
            FaultAction::Slow { target, work, factor, heal_after } => {
                self.slow(world, blow, target, *work, *factor, *heal_after)
            }
            FaultAction::UserCode { target, how } => self.user_code(world, blow, target, *how),
            FaultAction::Poison { split, position, times } => {
                self.poison(blow, *split, *position, *times);
                Ok(())
            }
            FaultAction::Clock { target, how, heal_after } => self.clock(world, blow, target, *how, *heal_after),
            FaultAction::Cut { from, to, both_ways, heal_after } => {
                let (from, to) = (self.nodes(world, blow, from)?, self.nodes(world, blow, to)?);
                self.cut(world, blow, &from, &to, *both_ways, *heal_after)
            }
            FaultAction::Isolate { target, stores, heal_after } => {
                self.isolate(world, blow, target, *stores, *heal_after)
            }
            FaultAction::Flap { from, to, times, .. } => {
                let (from, to) = self.link(world, blow, from, to)?;
                self.round(world, blow, Round::of_link(blow, *times, from, to))
            }
            FaultAction::Link { from, to, latency, bandwidth, heal_after } => {
                let link = self.link(world, blow, from, to)?;
                self.change_link(world, blow, link, *latency, *bandwidth, *heal_after);
                Ok(())
            }
            FaultAction::Reset { target, peer: None, one } => self.reset_node(world, blow, target, *one),
            FaultAction::Reset { target, peer: Some(peer), one } => {
                let link = self.link(world, blow, target, peer)?;
                self.reset_link(world, blow, link, *one)
            }
            FaultAction::Refuse { target, heal_after } => self.refuse(world, blow, target, *heal_after),
            FaultAction::HalfOpen { target, peer } => {
                let link = self.link(world, blow, target, peer)?;
                self.half_open(world, blow, link)
            }
            FaultAction::Message { kind, how, node, count } => {
                self.message(world, blow, *kind, *how, node.as_ref(), *count)
            }
            FaultAction::SlowReceiver { target, rate, heal_after } => {
                self.slow_receiver(world, blow, target, *rate, *heal_after)
            }
            FaultAction::Damage { file, how } => self.damage(world, blow, file, *how),
            FaultAction::DamageLocal { target, how } => {
                let node = self.node(world, blow, target)?;
                self.damage_local(world, blow, node, *how)
            }
            FaultAction::Store { .. } => self.store(world, blow, action),
        }
    }

    /// A property is set while the fault is in force.
    fn set_for(&mut self, world: &dyn Cluster, blow: &Blow, hit: usize, effect: Effect, after: Option<Duration>) {
        self.lasts(world, blow, vec![hit], vec![effect.clone()], after);
        self.set(&effect, world);
    }

    fn hit_node(&mut self, blow: &Blow, node: &str, detail: impl Into<String>) -> usize {
        let role = self.cast.role(node);
        self.hit(blow, role, node.into(), detail.into())
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
