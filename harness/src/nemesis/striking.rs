//! One strike: which nodes it may hit, what it notes, and what it leaves in force.
//!
//! Start at [`Striking`]. The action of a fault gets a `Striking`, resolves its victims (`target`), changes the world,
//! notes a hit for each victim, and says which effects last (`effect`). A strike in vain says why. What each kind of
//! fault does stands in the kind's own file ([`crate::faults`]). The nemesis knows no kind; its maker tells it how
//! actions strike ([`Act`]).

use std::time::Duration;

use flowquake_engine::env::draw;
use flowquake_engine::env::sim::Gauge;
use flowquake_engine::time::Time;

use super::effect::Effect;
use super::{Cluster, Harm, Hit, Nemesis, Origin, Receipt};
use crate::plan::FaultAction;

/// One strike of one fault.
pub(crate) struct Blow {
    /// Index of the fault in the plan.
    pub(super) fault: usize,
    /// How often the fault was tried before.
    pub(super) number: u32,
    pub(super) now: Time,
    pub(super) origin: Origin,
}

/// `Err`: the strike was in vain, and why.
pub type Struck = Result<(), String>;

/// How an action strikes.
pub type Act = fn(&mut Striking, &FaultAction) -> Struck;

/// A strike in progress.
pub struct Striking<'s> {
    pub(crate) nemesis: &'s mut Nemesis,
    /// The cluster that is struck.
    pub(crate) world: &'s dyn Cluster,
    pub(crate) blow: &'s Blow,
}

impl Nemesis {
    /// Strikes. If the strike was in vain, the reason is kept.
    pub(super) fn execute(&mut self, world: &dyn Cluster, blow: &Blow) {
        let (act, action) = (self.act, self.faults[blow.fault].action.clone());
        if let Err(missed) = act(&mut Striking { nemesis: self, world, blow }, &action) {
            self.strikes[blow.fault].missed = missed;
        }
    }
}

impl Striking<'_> {
    /// Puts effects in force as they are made; they end after `after`, if that is given.
    pub(crate) fn lasts(&mut self, hits: Vec<usize>, effects: Vec<Box<dyn Effect>>, after: Option<Duration>) {
        self.nemesis.lasts(self.world, self.blow, hits, effects, after);
    }

    /// Notes a hit at a node, and returns its index.
    pub(crate) fn hit_node(&mut self, node: &str, detail: impl Into<String>) -> usize {
        self.hit(self.role(node), node.into(), detail.into())
    }

    /// Notes a hit, and returns its index.
    pub(crate) fn hit(&mut self, role: &'static str, target: String, detail: String) -> usize {
        let hits = &mut self.nemesis.strikes[self.blow.fault].hits;
        let position = self.blow.origin.position.clone();
        hits.push(Hit {
            at: self.blow.now,
            position,
            role,
            target,
            detail,
            healed_at: None,
            receipt: String::new(),
            doubt: None,
        });
        hits.len() - 1
    }

    /// Notes a hit at a node according to the receipt, and returns the hit's index. `harm` is what a proved hit has
    /// hurt. `Err`: the strike was in vain, and why.
    pub(crate) fn hit_by(
        &mut self,
        receipt: Receipt,
        node: &str,
        detail: &str,
        harm: Option<Harm>,
        in_vain: &str,
    ) -> Result<usize, String> {
        let (receipt, doubt) = match receipt {
            Receipt::InVain => return Err(format!("{node} {in_vain}")),
            Receipt::Proved(how) => (how, None),
            Receipt::Unproved(why) => (String::new(), Some(why)),
        };
        if let (Some(harm), None) = (harm, &doubt) {
            self.harmed(harm, 1);
        }
        let index = self.hit_node(node, detail);
        let hit = &mut self.nemesis.strikes[self.blow.fault].hits[index];
        (hit.receipt, hit.doubt) = (receipt, doubt);
        Ok(index)
    }

    /// Notes what shows the effect of a hit, or that nothing does.
    pub(crate) fn prove(&mut self, hit: usize, receipt: Receipt) {
        let hit = &mut self.nemesis.strikes[self.blow.fault].hits[hit];
        match receipt {
            Receipt::Proved(how) => hit.receipt = how,
            Receipt::Unproved(why) => hit.doubt = Some(why),
            Receipt::InVain => {}
        }
    }

    /// Notes a hit that is over at once, so that it has no end, and returns its index.
    pub(crate) fn over_at_once(&mut self, role: &'static str, target: String, detail: String) -> usize {
        let hit = self.hit(role, target, detail);
        self.nemesis.strikes[self.blow.fault].hits[hit].healed_at = Some(self.blow.now);
        hit
    }

    /// Notes that this many were hurt, at once.
    pub(crate) fn harmed(&mut self, harm: Harm, count: u64) {
        self.nemesis.harmed(self.blow.fault, harm, count);
    }

    /// Attributes to this fault what the gauge counts from now on, to the end of the run.
    pub(crate) fn claim(&mut self, gauge: Gauge, harm: Harm) {
        self.nemesis.claim(self.world, self.blow.fault, None, gauge, harm);
    }

    /// A random number named by purpose, fault and number of the strike (NEMESIS-N3).
    pub(crate) fn draw(&self, purpose: &str) -> u64 {
        draw(self.nemesis.seed, purpose, self.nemesis.faults[self.blow.fault].id.into(), self.blow.number.into())
    }
}
