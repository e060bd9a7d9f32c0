//! What each fault hurt: the counts of the world, divided among the faults that caused them.
//!
//! Start at [`Nemesis::claim`]. From then on, what a gauge of the world counts is attributed to the fault, until the
//! claim is settled when its effect ends, or at the end of the run. A property that is set (a speed, a bandwidth) has
//! one owner at a time ([`Nemesis::own`]): the fault that gave it its present value. A fault that sets the value that
//! another fault has already set hurts nothing. What is over at once, such as a kill, is noted at once
//! ([`Nemesis::harmed`]).
//!
//! Invariants: (HARM-2) a claim begins before its fault changes anything, so nothing that the fault hurts is missed;
//! (HARM-3) a gauge never has two owners at a time.

use std::collections::BTreeMap;

use flowquake_engine::env::sim::Gauge;

use super::{Cluster, Nemesis};

/// What can be hurt, in the order in which reports list it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the words say what each of them is")]
pub enum Harm {
    NodesKilled,
    NodesLost,
    StepsHeldBack,
    NodesStopped,
    WorkMadeLonger,
    RecordsRefused,
    FramesHeldBack,
    FramesOfOtherLatency,
    FramesOfOtherSpeed,
    FramesReadLate,
    ConnectionsReset,
    ConnectionsRefused,
    ConnectionsHalfOpen,
    MessagesLost,
    MessagesDelayed,
    MessagesDoubled,
    RequestsUnanswered,
    RequestsDelayed,
    RequestsThrottled,
    WritesFailed,
    WritesAnsweredWithErrors,
    WritesTorn,
    LostFilesMissed,
    ReadsOfThePast,
    ListingsOfThePast,
    DamagedFilesMet,
    LocalFilesDamaged,
    WrongClockReadings,
}

impl Harm {
    /// What was hurt and how, to be put after a number of two or more. The first word is a plural that ends in `s`.
    pub fn words(self) -> &'static str {
        match self {
            Harm::NodesKilled => "nodes killed",
            Harm::NodesLost => "nodes lost with their machine",
            Harm::StepsHeldBack => "steps held back",
            Harm::NodesStopped => "nodes stopped for good",
            Harm::WorkMadeLonger => "charges made longer",
            Harm::RecordsRefused => "records failed by user code",
            Harm::FramesHeldBack => "frames held back",
            Harm::FramesOfOtherLatency => "frames given another latency",
            Harm::FramesOfOtherSpeed => "frames sent at another speed",
            Harm::FramesReadLate => "frames read late",
            Harm::ConnectionsReset => "connections reset",
            Harm::ConnectionsRefused => "connections refused",
            Harm::ConnectionsHalfOpen => "connections left half open",
            Harm::MessagesLost => "messages lost",
            Harm::MessagesDelayed => "messages delayed",
            Harm::MessagesDoubled => "messages doubled",
            Harm::RequestsUnanswered => "requests not answered",
            Harm::RequestsDelayed => "requests delayed",
            Harm::RequestsThrottled => "requests throttled",
            Harm::WritesFailed => "writes failed",
            Harm::WritesAnsweredWithErrors => "writes answered with an error",
            Harm::WritesTorn => "writes torn",
            Harm::LostFilesMissed => "reads of lost files",
            Harm::ReadsOfThePast => "reads of the past",
            Harm::ListingsOfThePast => "listings of the past",
            Harm::DamagedFilesMet => "reads of damaged files",
            Harm::LocalFilesDamaged => "files damaged on a local disk",
            Harm::WrongClockReadings => "readings of a wrong clock",
        }
    }
}

/// How often each thing was hurt.
pub type Harms = BTreeMap<Harm, u64>;

/// Attributes to a fault what a gauge counts from now on.
#[derive(Debug)]
pub(super) struct Claim {
    fault: usize,
    /// The effect with which the claim ends; `None`: it ends with the run.
    effect: Option<u64>,
    gauge: Gauge,
    harm: Harm,
    /// What the gauge showed at the beginning.
    from: u64,
    owned: bool,
}

impl Nemesis {
    /// Attributes what `gauge` counts to `fault`, until `effect` ends, or until the end of the run.
    pub(crate) fn claim(&mut self, world: &dyn Cluster, fault: usize, effect: Option<u64>, gauge: Gauge, harm: Harm) {
        let from = world.harm(&gauge);
        self.claims.push(Claim { fault, effect, gauge, harm, from, owned: false });
    }

    /// Attributes what `gauge` counts to `owner` alone; `None`: to no fault.
    pub(crate) fn own(&mut self, world: &dyn Cluster, gauge: &Gauge, owner: Option<usize>, harm: Harm) {
        let same = |claim: &Claim| claim.owned && claim.gauge == *gauge;
        if let Some(claim) = self.claims.iter().find(|claim| same(claim))
            && Some(claim.fault) == owner
        {
            return;
        }
        self.settle(world, same);
        if let Some(fault) = owner {
            let from = world.harm(gauge);
            self.claims.push(Claim { fault, effect: None, gauge: gauge.clone(), harm, from, owned: true });
        }
    }

    /// Settles the claims that end with this effect.
    pub(super) fn settle_effect(&mut self, world: &dyn Cluster, effect: u64) {
        self.settle(world, |claim| claim.effect == Some(effect));
    }

    /// Settles all claims, because the run is over.
    pub(super) fn settle_all(&mut self, world: &dyn Cluster) {
        self.settle(world, |_| true);
    }

    fn settle(&mut self, world: &dyn Cluster, which: impl Fn(&Claim) -> bool) {
        let settled: Vec<Claim> = self.claims.extract_if(.., |claim| which(claim)).collect();
        for claim in settled {
            let count = world.harm(&claim.gauge).saturating_sub(claim.from);
            self.harmed(claim.fault, claim.harm, count);
        }
    }

    /// Notes that a fault has hurt this many more.
    pub(super) fn harmed(&mut self, fault: usize, harm: Harm, count: u64) {
        if count > 0 {
            *self.strikes[fault].harms.entry(harm).or_default() += count;
        }
    }
}
