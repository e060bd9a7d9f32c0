//! Faults that strike in rounds: crash loops and flapping links.

use std::time::Duration;

use flowquake_engine::time::Time;

use super::{Blow, Cluster, Nemesis, Origin, Rank, Step, Striking, Struck};
use crate::plan::FaultAction;

/// What one round does to the nodes that were resolved when the first one began.
pub(crate) type Strikes = fn(&mut Striking, &FaultAction, &[String]) -> Struck;

/// What is left of a fault that strikes in rounds.
#[derive(Debug, Clone)]
pub(super) struct Round {
    fault: usize,
    left: u32,
    /// From one round to the next.
    every: Duration,
    nodes: Vec<String>,
    strikes: Strikes,
}

impl Striking<'_> {
    /// Strikes these nodes `times` times, now and after each pause.
    pub(crate) fn in_rounds(&mut self, times: u32, every: Duration, nodes: Vec<String>, strikes: Strikes) -> Struck {
        self.round(Round { fault: self.blow.fault, left: times, every, nodes, strikes })
    }

    /// One round; the next one is put on the agenda, whatever became of this one.
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
    /// The next round, by the clock.
    pub(super) fn go_round(&mut self, world: &dyn Cluster, now: Time, round: Round) {
        let (fault, number) = (round.fault, self.progress[round.fault].tried);
        let blow = Blow { fault, number, now, origin: Origin::default() };
        if let Err(missed) = (Striking { nemesis: self, world, blow: &blow }).round(round) {
            self.strikes[fault].missed = missed;
        }
    }
}
