//! `lose-leadership`: the leader cannot renew its lease, and loses it, while it lives and talks to its TaskManagers.
//! The action is that of a store which no longer answers the leader; this kind gives it the name of its purpose.

use crate::checker::{Finding, Rules};
use crate::draws::{Drawn, LEADING, Need};
use crate::faults::canonical::{Canon, Canonical};
use crate::faults::spec::{Class, Family, Spec, foreign, must};
use crate::faults::storage::store;
use crate::nemesis::LEADER;
use crate::plan::{FaultAction, NodeTarget, StoreFault, StoreName};
use crate::reader::{FaultKeys, value};
use crate::writer::heal_after;

pub(crate) const LOSE_LEADERSHIP: Spec = Spec {
    name: "lose-leadership",
    family: Family::Control,
    effect: "the leader cannot reach the checkpoint store while a standby takes over",
    classes: &[Class::Masked],
    roles: &[LEADER],
    params: &[must("heal_after", "duration")],
    read,
    write,
    rules,
    lengths: store::lengths,
    canonical,
    drawn: Drawn::new(Need::Standby, LEADING, |a| FaultAction::Store {
        store: Some(StoreName::Checkpoints),
        node: Some(a.target()),
        how: StoreFault::Unavailable,
        count: None,
        heal_after: Some(a.beyond_the_lease()),
    })
    .biting(),
    strike: |s, action| store::strike(s, action, Some(LEADER)),
};

fn canonical(c: &Canon) -> Vec<Canonical> {
    let leader = c.leader().filter(|_| c.is_event()).into_iter();
    leader
        .map(|leader| {
            // The target must be the role `leader`: that makes the action this kind (FAULTS-K1).
            let action = FaultAction::Store {
                store: Some(StoreName::Checkpoints),
                node: Some(NodeTarget::Leader),
                how: StoreFault::Unavailable,
                count: None,
                heal_after: Some(c.beyond() * 2),
            };
            Canonical::at(leader, "beyond the lease", action).lasting()
        })
        .collect()
}

fn read(keys: &mut FaultKeys) -> Option<FaultAction> {
    let help = "say for how long the leader is cut off from the store, longer than the lease: heal_after = \"10s\"";
    let heal_after = keys.must("heal_after", "store.heal_after", help, value::duration)?;
    Some(FaultAction::Store {
        store: Some(StoreName::Checkpoints),
        node: Some(NodeTarget::Leader),
        how: StoreFault::Unavailable,
        count: None,
        heal_after: Some(heal_after),
    })
}

fn write(action: &FaultAction) -> Vec<Option<String>> {
    let FaultAction::Store { heal_after: after, .. } = action else { foreign(action) };
    vec![heal_after(*after)]
}

fn rules(rules: &mut Rules, action: &FaultAction) {
    let FaultAction::Store { heal_after, .. } = action else { foreign(action) };
    store::rules(rules, action);
    // A fault that a swarm draws may have no effect.
    if rules.plan.swarm {
        return;
    }
    if rules.plan.cluster.job_managers < 2 {
        let message = "leadership cannot be lost to anybody: this cluster has one JobManager";
        let help = "write job_managers = 2 into [cluster]; or only cut the store off: \
                    do = \"store-unavailable\", node = \"jm-1\"";
        let finding = Finding::new("no-standby", message, help).at(format!("{}.action", rules.path), "to whom?");
        rules.push(finding.at("cluster.job_managers", "one JobManager"));
    }
    if let Some(length) = heal_after {
        rules.outlasts_the_lease(*length, "store.heal_after", "the leader is cut off for");
    }
}
