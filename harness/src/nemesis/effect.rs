//! What lasts: the effects of strikes that are in force, and how each ends.
//!
//! Cuts and refusals add up in the world, so each is taken back as often as it was made. Everything else is a property that is
//! set: there the newest fault in force counts, and when one ends the next newest is set again (N2).

use std::time::Duration;

use flowquake_engine::env::sim::{ClockFault, SlowWork};
use flowquake_engine::time::Time;

use super::target::RESTART_MIN;
use super::watch::Armed;
use super::{Blow, Cluster, Nemesis, Rank, Step};
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
        let down = self.effects.iter().any(|effect| matches!(effect, Effect::Down(..)));
        if down { self.since + RESTART_MIN } else { self.since }
    }
}

impl Nemesis {
    /// Effects that were just made are in force, until they end by the clock, if they do.
    pub(super) fn lasts(&mut self, blow: &Blow, hits: Vec<usize>, effects: Vec<Effect>, after: Option<Duration>) {
        self.sequence += 1;
        let number = self.sequence;
        let in_force = InForce { since: blow.now, fault: blow.fault, hits, effects };
        if let Some(after) = after {
            let at = (blow.now + after).max(in_force.earliest_end());
            self.put(at, Rank::End, Step::End(number));
        }
        self.in_force.insert(number, in_force);
    }

    /// Undoes what is in force under this number.
    pub(super) fn end(&mut self, number: u64, world: &dyn Cluster, now: Time) {
        let Some(ended) = self.in_force.remove(&number) else { return };
        for effect in &ended.effects {
            match effect {
                Effect::Down(node, Disk::Wiped) => world.restart(node),
                Effect::Down(node, Disk::Kept) => world.restart_with_disk(node),
                // Another one may have paused a later life of the node.
                Effect::Paused(_) if self.newest().any(|other| other == effect) => {}
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

    /// Everything in force, the newest first.
    fn newest(&self) -> impl Iterator<Item = &Effect> {
        self.in_force.values().rev().flat_map(|in_force| &in_force.effects)
    }

    /// Sets the property that `effect` is about to what the newest faults in force say, else to what it was.
    pub(super) fn set(&self, effect: &Effect, world: &dyn Cluster) {
        match effect {
            Effect::Slow(node, work, _) => {
                let found = self.newest().find_map(|other| match other {
                    Effect::Slow(at, of, factor) if (at, of) == (node, work) => Some(*factor),
                    _ => None,
                });
                world.slow(node, *work, found.unwrap_or(Some(1)));
            }
            Effect::Link(link, ..) => {
                let of_link = || {
                    self.newest().filter_map(|other| match other {
                        Effect::Link(at, latency, bandwidth) if at == link => Some((*latency, *bandwidth)),
                        _ => None,
                    })
                };
                let latency = of_link().find_map(|(latency, _)| latency);
                let bandwidth = of_link().find_map(|(_, bandwidth)| bandwidth);
                world.set_link(&link.0, &link.1, latency, bandwidth);
                world.set_link(&link.1, &link.0, latency, bandwidth);
            }
            Effect::Reading(node, _) => {
                let found = self.newest().find_map(|other| match other {
                    Effect::Reading(at, rate) if at == node => Some(*rate),
                    _ => None,
                });
                world.limit_receiver(node, found);
            }
            Effect::Drifting(node, _) => {
                let found = self.newest().find_map(|other| match other {
                    Effect::Drifting(at, drift) if at == node => Some(*drift),
                    _ => None,
                });
                world.set_clock(node, ClockFault::Drift(found.unwrap_or(0)));
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
