//! Counts what was hurt: how often the world acted differently than it would have done without a fault.
//!
//! A fault that is in force may not have hurt anything yet: a cut link may carry nothing, and a changed bandwidth may
//! be the one that the link had. So the world counts where the difference is made (a frame is held back, a charge is
//! multiplied, a wrong clock is read), and whoever strikes faults compares the counts before and after. Start at
//! [`SimWorld::harm`].
//!
//! Invariant: (HARM-1) counting draws nothing, waits for nothing, emits nothing and wakes nobody, so no trace depends
//! on it.

use std::sync::atomic::{AtomicU64, Ordering};

use super::SimWorld;
use crate::fault::SlowWork;
use crate::time::Time;

/// What is counted. The count of an unknown node, link, rule or file is 0.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gauge {
    /// Frames, connection requests and resets that a cut kept from their receiver, in one direction of a link.
    Held(String, String),
    /// Frames whose latency differed from the cluster's setting, in one direction of a link.
    Latency(String, String),
    /// Frames whose transfer took another time than at the cluster's bandwidth, in one direction of a link.
    Bandwidth(String, String),
    /// Connection requests that a node refused although it listens.
    Refused(String),
    /// Frames that a node read later than they had arrived, because it reads slowly.
    ReadLate(String),
    /// Pieces of work that took longer on a node, or hung.
    Slowed(String, SlowWork),
    /// Things that came due on a node while it stood still, and had to wait.
    StoodStill(String),
    /// Readings of a node's clock that differed from true time, including those for timers.
    WrongClock(String),
    /// Requests to a store that a rule hurt; for a rule that loses writes, accesses to lost objects.
    Requests(usize),
    /// Accesses to a damaged file of the checkpoint store.
    Damaged(String),
}

impl SimWorld {
    /// The count of `gauge` since the run began.
    pub fn harm(&self, gauge: &Gauge) -> u64 {
        let state = self.lock();
        let node = |name: &str| state.index_of(name).map(|index| &state.nodes[index]);
        let link = |from: &str, to: &str| {
            let (from, to) = (state.index_of(from)?, state.index_of(to)?);
            Some(state.network.link_harm(from, to))
        };
        let found = match gauge {
            Gauge::Held(from, to) => link(from, to).map(|harm| harm.held),
            Gauge::Latency(from, to) => link(from, to).map(|harm| harm.latency),
            Gauge::Bandwidth(from, to) => link(from, to).map(|harm| harm.bandwidth),
            Gauge::Refused(name) => state.index_of(name).map(|index| state.network.refused(index)),
            Gauge::ReadLate(name) => state.index_of(name).map(|index| state.network.read_late(index)),
            Gauge::Slowed(name, work) => node(name).map(|node| node.slowed(*work)),
            Gauge::StoodStill(name) => node(name).map(|node| node.clock.standstill.held()),
            Gauge::WrongClock(name) => node(name).map(|node| node.clock.wrong_readings()),
            Gauge::Requests(rule) => Some(self.stores.rule_harm(*rule)),
            Gauge::Damaged(path) => Some(self.stores.accesses_to_damaged(path)),
        };
        found.unwrap_or(0)
    }
}

/// What faults did to one direction of a link.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LinkHarm {
    pub(super) held: u64,
    pub(super) latency: u64,
    pub(super) bandwidth: u64,
}

/// The last time span in which a node stood still, and how many things had to wait in all such spans.
#[derive(Debug, Default)]
pub(super) struct Standstill {
    since: AtomicU64,
    /// End of the span; 0 if the node never stood still or still does.
    until: AtomicU64,
    held: AtomicU64,
}

impl Standstill {
    pub(super) fn begin(&self, now: Time) {
        self.until.store(0, Ordering::Relaxed);
        self.since.store(now.0, Ordering::Relaxed);
    }

    pub(super) fn end(&self, now: Time) {
        self.until.store(now.0, Ordering::Relaxed);
    }

    /// Something that was due at `at` continues now. Counts it if the node stood still at that time.
    pub(super) fn due(&self, at: Time) {
        let until = self.until.load(Ordering::Relaxed);
        if until != 0 && at.0 <= until && at.0 > self.since.load(Ordering::Relaxed) {
            self.hold();
        }
    }

    /// Counts something that has to wait, or that never happens because the node died while it stood still.
    pub(super) fn hold(&self) {
        self.held.fetch_add(1, Ordering::Relaxed);
    }

    fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_due_while_a_node_stood_still_had_to_wait() {
        let still = Standstill::default();
        still.due(Time(5));
        assert_eq!(still.held(), 0, "it never stood still");
        still.begin(Time(10));
        still.due(Time(12));
        assert_eq!(still.held(), 0, "nothing goes on before it does");
        still.end(Time(20));
        for at in [9, 10, 11, 20, 21] {
            still.due(Time(at));
        }
        assert_eq!(still.held(), 2, "11 and 20");
        still.hold();
        assert_eq!(still.held(), 3);
    }
}
