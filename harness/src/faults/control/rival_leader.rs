//! `rival-leader`: the clock of a standby jumps ahead, so the standby takes the leader for dead and opens a term while
//! the leader lives. A swarm reaches the same situation in another way: the leader stands still until another
//! JobManager leads, and then goes on in the belief that it still leads.

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
    // A fault that a swarm draws may have no effect.
    if !rules.plan.swarm {
        rules.outlasts_the_lease(*by, "clock.how.forward", "the clock jumps by");
    }
}
