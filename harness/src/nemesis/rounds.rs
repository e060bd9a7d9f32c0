//! Faults that strike in rounds: crash loops and flapping links.

use std::time::Duration;

use flowquake_engine::time::Time;

use super::{Blow, Cluster, Nemesis, Origin, Rank, Step, Striking, Struck};
use crate::plan::FaultAction;

/// What one round does to the nodes, which are resolved when the first round begins.
pub(crate) type Strikes = fn(&mut Striking, &FaultAction, &[String]) -> Struck;

/// The rounds that are left of a fault.
#[derive(Debug, Clone)]
pub(super) struct Round {
    fault: usize,
    left: u32,
    /// Time from one round to the next.
    every: Duration,
    nodes: Vec<String>,
    strikes: Strikes,
}

impl Striking<'_> {
    /// Strikes these nodes `times` times: now, and then again every `every`.
    pub(crate) fn in_rounds(&mut self, times: u32, every: Duration, nodes: Vec<String>, strikes: Strikes) -> Struck {
        self.round(Round { fault: self.blow.fault, left: times, every, nodes, strikes })
    }

    /// Makes one round, and puts the next one on the agenda, even if this one was in vain.
    fn round(&mut self, round: Round) -> Struck {
        let action = self.nemesis.faults[round.fault].action.clone();
        let struck = (round.strikes)(self, &action, &round.nodes);
        if round.left > 1 {
            let next = Round { left: round.left - 1, ..round };
            self.nemesis.put(self.blow.now + next.every, Rank::Strike, Step::Again(next));
        }
        struck
    }
}

impl Nemesis {
    /// Makes the next round, by the clock.
    pub(super) fn go_round(&mut self, world: &dyn Cluster, now: Time, round: Round) {
        let (fault, number) = (round.fault, self.progress[round.fault].tried);
        let blow = Blow { fault, number, now, origin: Origin::default() };
        if let Err(missed) = (Striking { nemesis: self, world, blow: &blow }).round(round) {
            self.strikes[fault].missed = missed;
        }
    }
}
