//! Effects that last: what strikes have put in force, and how it ends.
//!
//! Start at [`Effect`]; each kind of fault brings its own. Effects that add up in the world, such as cuts, are taken
//! back as often as they were made. Every other effect sets a property: there the newest fault in force counts
//! ([`Nemesis::newest`], [`made_by`]), and when it ends, the value of the next newest is set again (NEMESIS-N2).

use std::any::Any;
use std::fmt::Debug;
use std::time::Duration;

use flowquake_engine::time::Time;

use super::{Blow, Cluster, Harm, Nemesis, Rank, Receipt, Step};

/// A lasting effect of a strike, which is undone exactly once (NEMESIS-N1).
pub(crate) trait Effect: Any + Debug + Send {
    /// Claims what the effect will hurt, before it changes anything (HARM-2). `number` is the number under which the
    /// effect is in force, and with which the claim ends.
    fn claim(&self, _nemesis: &mut Nemesis, _world: &dyn Cluster, _fault: usize, _number: u64) {}

    /// The effect cannot end sooner than this after it was made.
    fn lasts_at_least(&self) -> Duration {
        Duration::ZERO
    }

    /// Undoes the effect, which then is no longer in force. The receipt says what shows that it ended.
    fn end(&self, nemesis: &mut Nemesis, world: &dyn Cluster, now: Time) -> Receipt;

    /// What the effect has hurt, if the run is over before the effect ends.
    fn harm_without_end(&self) -> Option<Harm> {
        None
    }
}

/// One or more effects that end together.
#[derive(Debug)]
pub(super) struct InForce {
    since: Time,
    fault: usize,
    /// Indices of the strike's hits that these effects belong to.
    hits: Vec<usize>,
    effects: Vec<Box<dyn Effect>>,
}

impl InForce {
    /// The effects cannot end before this time.
    pub(super) fn earliest_end(&self) -> Time {
        let least = self.effects.iter().map(|effect| effect.lasts_at_least()).max();
        self.since + least.unwrap_or_default()
    }

    /// What the fault has hurt, if the run is over now.
    pub(super) fn harm_without_end(&self) -> Option<(usize, Harm)> {
        self.effects.iter().find_map(|effect| Some((self.fault, effect.harm_without_end()?)))
    }
}

impl Nemesis {
    /// Puts effects in force as they are made; they end after `after`, if that is given. What they hurt is claimed
    /// first, so that nothing is missed (HARM-2).
    pub(super) fn lasts(
        &mut self,
        world: &dyn Cluster,
        blow: &Blow,
        hits: Vec<usize>,
        effects: Vec<Box<dyn Effect>>,
        after: Option<Duration>,
    ) {
        self.sequence += 1;
        let number = self.sequence;
        effects.iter().for_each(|effect| effect.claim(self, world, blow.fault, number));
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
        self.settle_effect(world, number);
        let receipts: Vec<Receipt> = ended.effects.iter().map(|effect| effect.end(self, world, now)).collect();
        for hit in ended.hits {
            let hit = &mut self.strikes[ended.fault].hits[hit];
            hit.healed_at = Some(now);
            for receipt in &receipts {
                match receipt {
                    Receipt::Proved(how) if how.is_empty() => {}
                    Receipt::Proved(how) => hit.receipt = format!("{}; healed: {how}", hit.receipt),
                    Receipt::Unproved(why) => drop(hit.doubt.get_or_insert_with(|| format!("not healed: {why}"))),
                    // There was nothing left to heal.
                    Receipt::InVain => {}
                }
            }
        }
    }

    /// All effects of one type that are in force, the newest first, each with its fault.
    pub(crate) fn newest<E: Effect>(&self) -> impl Iterator<Item = (usize, &E)> {
        self.in_force.values().rev().flat_map(|in_force| {
            in_force.effects.iter().filter_map(|effect| {
                let effect: &dyn Any = effect.as_ref();
                Some((in_force.fault, effect.downcast_ref::<E>()?))
            })
        })
    }
}

/// The value that counts, and the fault that set it. If several of the newest effects set the same value, the oldest of
/// these is the one that set it: the newer ones changed nothing.
pub(crate) fn made_by<V: PartialEq>(newest_first: impl Iterator<Item = (usize, V)>) -> Option<(usize, V)> {
    let mut all = newest_first;
    let (mut fault, value) = all.next()?;
    while let Some((older, _)) = all.next().filter(|(_, other)| *other == value) {
        fault = older;
    }
    Some((fault, value))
}
