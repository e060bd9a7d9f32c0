//! Faults that strike in rounds: crash loops and flapping links.

use flowquake_engine::time::Time;

use super::{Blow, Struck};
use crate::nemesis::target::RESTART_MIN;
use crate::nemesis::{Cluster, Nemesis, Origin, Rank, Step};
use crate::plan::{Disk, FaultAction, KillMode};

/// What is left of a fault that strikes in rounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::nemesis) struct Round {
    fault: usize,
    left: u32,
    victim: Victim,
}

/// Whom it strikes, resolved when it began.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Victim {
    Node(String),
    Link(String, String),
}

impl Round {
    pub(super) fn of_node(blow: &Blow, times: u32, node: String) -> Self {
        Self { fault: blow.fault, left: times, victim: Victim::Node(node) }
    }

    pub(super) fn of_link(blow: &Blow, times: u32, from: String, to: String) -> Self {
        Self { fault: blow.fault, left: times, victim: Victim::Link(from, to) }
    }
}

impl Nemesis {
    /// One round; the next one is put on the agenda, whatever became of this one.
    pub(super) fn round(&mut self, world: &dyn Cluster, blow: &Blow, round: Round) -> Struck {
        let (pause, struck) = match (&self.faults[round.fault].action, &round.victim) {
            (FaultAction::CrashLoop { up, down, .. }, Victim::Node(node)) => {
                let (up, down) = (*up, (*down).max(RESTART_MIN));
                let struck = self.kill(world, blow, node.clone(), KillMode::Crash, Some(down), Disk::Wiped);
                (down + up, struck)
            }
            (FaultAction::Flap { up, down, .. }, Victim::Link(from, to)) => {
                let (up, down) = (*up, *down);
                let ends = (std::slice::from_ref(from), std::slice::from_ref(to));
                (down + up, self.cut(world, blow, ends.0, ends.1, true, Some(down)))
            }
            _ => return Err("not a fault with rounds".into()),
        };
        if round.left > 1 {
            let next = Round { left: round.left - 1, ..round };
            self.put(blow.now + pause, Rank::Strike, Step::Again(next));
        }
        struck
    }

    /// The next round, by the clock.
    pub(in crate::nemesis) fn go_round(&mut self, world: &dyn Cluster, now: Time, round: Round) {
        let (fault, number) = (round.fault, self.progress[round.fault].tried);
        let blow = Blow { fault, number, now, origin: Origin::default() };
        if let Err(missed) = self.round(world, &blow, round) {
            self.strikes[fault].missed = missed;
        }
    }
}
