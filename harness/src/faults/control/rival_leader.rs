//! `rival-leader`: a standby takes the leader for dead, since its clock jumps ahead, and opens a term while the leader lives.
//! A swarm comes to the same by another way: the leader stands still until another leads, and goes on believing that it does.

use crate::checker::Rules;
use crate::draws::{Drawn, LEADING, Need};
use crate::faults::canonical::{Canon, Canonical};
use crate::faults::spec::{BY, Class, Family, Spec, foreign};
use crate::faults::time::clock;
use crate::nemesis::STANDBY;
use crate::plan::{ClockFault, FaultAction, NodeTarget};
use crate::reader::{FaultKeys, value};

pub(crate) const RIVAL_LEADER: Spec = Spec {
    name: "rival-leader",
    family: Family::Control,
    effect: "a standby's clock jumps ahead: it opens a term while the leader lives",
    classes: &[Class::Masked],
    roles: &[STANDBY],
    params: &[BY],
    read,
    write: clock::write_change,
    rules,
    lengths: clock::lengths,
    canonical,
    drawn: Drawn::new(Need::Standby, LEADING, |a| FaultAction::Pause {
        target: a.target(),
        resume_after: Some(a.beyond_the_lease()),
    })
    .biting(),
    strike: clock::strike,
};

fn canonical(c: &Canon) -> Vec<Canonical> {
    let standby = c.standby().into_iter();
    standby
        .map(|standby| {
            let how = ClockFault::Forward(c.beyond() * 2);
            let action = FaultAction::Clock { target: NodeTarget::Standby, how, heal_after: None };
            Canonical::at(standby, "beyond the lease", action).lasting()
        })
        .collect()
}

fn read(keys: &mut FaultKeys) -> Option<FaultAction> {
    let by = keys.must("by", "clock.how.forward", clock::BY_HELP, value::duration)?;
    Some(FaultAction::Clock { target: NodeTarget::Standby, how: ClockFault::Forward(by), heal_after: None })
}

fn rules(rules: &mut Rules, action: &FaultAction) {
    let FaultAction::Clock { how: ClockFault::Forward(by), .. } = action else { foreign(action) };
    clock::rules(rules, action);
    // What a swarm draws need not have an effect each time.
    if !rules.plan.swarm {
        rules.outlasts_the_lease(*by, "clock.how.forward", "the clock jumps by");
    }
}
