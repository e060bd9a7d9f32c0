//! One strike: whom it may hit, what it notes, and what it leaves in force.
//!
//! Start at [`Striking`]: the action of a fault is given one, resolves whom it strikes (`target`), does it to the world, notes a
//! hit for each victim, and says what lasts (`effect`). A strike in vain says why. What each kind of fault does stands in
//! its own file ([`crate::faults`]); the nemesis knows none of them, and is told how an action strikes by whoever makes it ([`Act`]).

use std::time::Duration;

use flowquake_engine::env::draw;
use flowquake_engine::env::sim::Gauge;
use flowquake_engine::time::Time;

use super::effect::Effect;
use super::{Cluster, Harm, Hit, Nemesis, Origin, Receipt};
use crate::plan::FaultAction;

/// One strike of one fault.
pub(crate) struct Blow {
    /// Index in the plan.
    pub(super) fault: usize,
    /// How often the fault was tried before.
    pub(super) number: u32,
    pub(super) now: Time,
    pub(super) origin: Origin,
}

/// Why a strike was in vain, if it was.
pub type Struck = Result<(), String>;

/// How an action strikes.
pub type Act = fn(&mut Striking, &FaultAction) -> Struck;

/// A strike that is under way.
pub struct Striking<'s> {
    pub(crate) nemesis: &'s mut Nemesis,
    /// Where it strikes.
    pub(crate) world: &'s dyn Cluster,
    pub(crate) blow: &'s Blow,
}

impl Nemesis {
    /// Strikes; if that was in vain, the reason is kept.
    pub(super) fn execute(&mut self, world: &dyn Cluster, blow: &Blow) {
        let (act, action) = (self.act, self.faults[blow.fault].action.clone());
        if let Err(missed) = act(&mut Striking { nemesis: self, world, blow }, &action) {
            self.strikes[blow.fault].missed = missed;
        }
    }
}

impl Striking<'_> {
    /// Effects that are being made are in force, until they end by the clock, if they do.
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

    /// Notes a hit at a node that is proved or not, and returns its index; `harm` is what a proved one hurt. `Err`: in vain, and why.
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

    /// Notes a hit that has no end, since it is over when it is done, and returns its index.
    pub(crate) fn over_at_once(&mut self, role: &'static str, target: String, detail: String) -> usize {
        let hit = self.hit(role, target, detail);
        self.nemesis.strikes[self.blow.fault].hits[hit].healed_at = Some(self.blow.now);
        hit
    }

    /// So many were hurt, at once.
    pub(crate) fn harmed(&mut self, harm: Harm, count: u64) {
        self.nemesis.harmed(self.blow.fault, harm, count);
    }

    /// What the gauge counts from now on, to the end of the run, is the doing of this fault.
    pub(crate) fn claim(&mut self, gauge: Gauge, harm: Harm) {
        self.nemesis.claim(self.world, self.blow.fault, None, gauge, harm);
    }

    /// A number named by purpose, fault and number of the strike (NEMESIS-N3).
    pub(crate) fn draw(&self, purpose: &str) -> u64 {
        draw(self.nemesis.seed, purpose, self.nemesis.faults[self.blow.fault].id.into(), self.blow.number.into())
    }
}
