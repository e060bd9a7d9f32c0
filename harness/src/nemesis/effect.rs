//! What lasts: the effects of strikes that are in force, and how each ends.
//!
//! Cuts and refusals add up in the world, so each is taken back as often as it was made. Everything else is a property that is
//! set: there the newest fault in force counts, and when one ends the next newest is set again (NEMESIS-N2).

use std::time::Duration;

use flowquake_engine::env::sim::Gauge;
use flowquake_engine::fault::{ClockFault, SlowWork};
use flowquake_engine::time::Time;

use super::target::RESTART_MIN;
use super::watch::Armed;
use super::{Blow, Cluster, Harm, Nemesis, Rank, Step};
use crate::plan::Disk;

/// Something that a strike has done and that can be undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// A node is down, and will find this on its disk.
    Down(String, Disk),
    /// A node stands still.
    Paused(String),
    /// Links are cut in these directions.
    Cut(Vec<(String, String)>),
    /// Work takes longer, or hangs.
    Slow(String, SlowWork, Option<u32>),
    /// A link has other properties, both ways; its ends are in order.
    Link((String, String), Option<(Duration, Duration)>, Option<u64>),
    /// New connections are refused.
    Refusing(String),
    /// A node reads slowly.
    Reading(String, u64),
    /// A clock drifts.
    Drifting(String, i32),
    /// A rule about control messages, which its count may end before.
    MessageRule(usize),
    /// A rule about requests to a store.
    StoreRule(usize),
}

/// One or more effects that end together.
#[derive(Debug)]
pub(super) struct InForce {
    since: Time,
    fault: usize,
    /// Of the fault's strike.
    hits: Vec<usize>,
    effects: Vec<Effect>,
}

impl InForce {
    /// Before this time it cannot end.
    pub(super) fn earliest_end(&self) -> Time {
        let down = self.any(|effect| matches!(effect, Effect::Down(..)));
        if down { self.since + RESTART_MIN } else { self.since }
    }

    pub(super) fn any(&self, which: impl Fn(&Effect) -> bool) -> bool {
        self.effects.iter().any(which)
    }

    pub(super) fn fault(&self) -> usize {
        self.fault
    }
}

impl Nemesis {
    /// Effects that are being made are in force, until they end by the clock, if they do. What they hurt is claimed first, so
    /// that nothing is missed (HARM-2).
    pub(super) fn lasts(
        &mut self,
        world: &dyn Cluster,
        blow: &Blow,
        hits: Vec<usize>,
        effects: Vec<Effect>,
        after: Option<Duration>,
    ) {
        self.sequence += 1;
        let number = self.sequence;
        effects.iter().for_each(|effect| self.claim_effect(world, blow.fault, number, effect));
        let in_force = InForce { since: blow.now, fault: blow.fault, hits, effects };
        if let Some(after) = after {
            let at = (blow.now + after).max(in_force.earliest_end());
            self.put(at, Rank::End, Step::End(number));
        }
        self.in_force.insert(number, in_force);
    }

    fn claim_effect(&mut self, world: &dyn Cluster, fault: usize, number: u64, effect: &Effect) {
        match effect {
            Effect::Cut(links) => {
                for (from, to) in links.iter().cloned() {
                    self.claim(world, fault, Some(number), Gauge::Held(from, to), Harm::FramesHeldBack);
                }
            }
            Effect::Refusing(node) => {
                self.claim(world, fault, Some(number), Gauge::Refused(node.clone()), Harm::ConnectionsRefused);
            }
            // What had to wait is seen when it goes on, which is after the end: so up to the next time that it stands still.
            Effect::Paused(node) => {
                self.own(world, &Gauge::StoodStill(node.clone()), Some(fault), Harm::StepsHeldBack);
            }
            Effect::StoreRule(rule) => self.claim_requests(world, fault, *rule),
            // Noted at once, when watched for, or owned by the newest.
            Effect::Down(..)
            | Effect::MessageRule(_)
            | Effect::Slow(..)
            | Effect::Link(..)
            | Effect::Reading(..)
            | Effect::Drifting(..) => {}
        }
    }

    /// Undoes what is in force under this number.
    pub(super) fn end(&mut self, number: u64, world: &dyn Cluster, now: Time) {
        let Some(ended) = self.in_force.remove(&number) else { return };
        self.settle_effect(world, number);
        for effect in &ended.effects {
            match effect {
                Effect::Down(node, Disk::Wiped) => world.restart(node),
                Effect::Down(node, Disk::Kept) => world.restart_with_disk(node),
                // Another one may have paused a later life of the node.
                Effect::Paused(_) if self.newest().any(|(_, other)| other == effect) => {}
                Effect::Paused(node) => world.resume(node),
                Effect::Cut(links) => links.iter().for_each(|(from, to)| world.heal(from, to)),
                Effect::Refusing(node) => world.refuse(node, false),
                Effect::MessageRule(rule) => {
                    world.end_message_rule(*rule);
                    self.stop_looking(Armed::Messages(*rule), now);
                }
                Effect::StoreRule(rule) => {
                    world.end_store_rule(*rule);
                    self.stop_looking(Armed::Requests(*rule), now);
                }
                set => self.set(set, world),
            }
        }
        for hit in ended.hits {
            self.strikes[ended.fault].hits[hit].healed_at = Some(now);
        }
    }

    /// Everything in force with its fault, the newest first.
    fn newest(&self) -> impl Iterator<Item = (usize, &Effect)> {
        self.in_force.values().rev().flat_map(|in_force| in_force.effects.iter().map(|effect| (in_force.fault, effect)))
    }

    /// How far a node's clock drifts now.
    pub(super) fn drift(&self, node: &str) -> i32 {
        let drift = self.newest().find_map(|(_, effect)| match effect {
            Effect::Drifting(at, drift) if at == node => Some(*drift),
            _ => None,
        });
        drift.unwrap_or(0)
    }

    /// Sets the property that `effect` is about to what the newest faults in force say, else to what it was. What it hurts
    /// from now on is the doing of the fault that made it so.
    pub(super) fn set(&mut self, effect: &Effect, world: &dyn Cluster) {
        match effect {
            Effect::Slow(node, work, _) => {
                let found = made_by(self.newest().filter_map(|(fault, other)| match other {
                    Effect::Slow(at, of, factor) if (at, of) == (node, work) => Some((fault, *factor)),
                    _ => None,
                }));
                let (owner, factor) = found.unzip();
                self.own(world, &Gauge::Slowed(node.clone(), *work), owner, Harm::WorkMadeLonger);
                world.slow(node, *work, factor.unwrap_or(Some(1)));
            }
            Effect::Link(link, ..) => {
                let of_link = || {
                    self.newest().filter_map(|(fault, other)| match other {
                        Effect::Link(at, latency, bandwidth) if at == link => Some((fault, *latency, *bandwidth)),
                        _ => None,
                    })
                };
                let latency = made_by(of_link().filter_map(|(fault, latency, _)| Some((fault, latency?)))).unzip();
                let bandwidth = made_by(of_link().filter_map(|(fault, _, rate)| Some((fault, rate?)))).unzip();
                let (one, other) = link;
                for (from, to) in [(one, other), (other, one)] {
                    let ends = || (from.clone(), to.clone());
                    let gauge = Gauge::Latency(ends().0, ends().1);
                    self.own(world, &gauge, latency.0, Harm::FramesOfOtherLatency);
                    let gauge = Gauge::Bandwidth(ends().0, ends().1);
                    self.own(world, &gauge, bandwidth.0, Harm::FramesOfOtherSpeed);
                    world.set_link(from, to, latency.1, bandwidth.1);
                }
            }
            Effect::Reading(node, _) => {
                let found = made_by(self.newest().filter_map(|(fault, other)| match other {
                    Effect::Reading(at, rate) if at == node => Some((fault, *rate)),
                    _ => None,
                }));
                let (owner, rate) = found.unzip();
                self.own(world, &Gauge::ReadLate(node.clone()), owner, Harm::FramesReadLate);
                world.limit_receiver(node, rate);
            }
            Effect::Drifting(node, _) => {
                world.set_clock(node, ClockFault::Drift(self.drift(node)));
            }
            Effect::Down(..)
            | Effect::Paused(_)
            | Effect::Cut(_)
            | Effect::Refusing(_)
            | Effect::MessageRule(_)
            | Effect::StoreRule(_) => {}
        }
    }
}

/// The value that counts, of those in force with the newest first, and the fault that made it so: newer ones that set the same
/// have changed nothing.
fn made_by<V: PartialEq>(newest_first: impl Iterator<Item = (usize, V)>) -> Option<(usize, V)> {
    let mut all = newest_first;
    let (mut fault, value) = all.next()?;
    while let Some((older, _)) = all.next().filter(|(_, other)| *other == value) {
        fault = older;
    }
    Some((fault, value))
}
