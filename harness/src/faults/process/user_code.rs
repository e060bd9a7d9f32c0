//! `user-panic` and `user-error`: user code fails once, at the next record that it is given on a node.

use crate::checker::Rules;
use crate::draws::{Action, Drawn, Need, TASKS};
use crate::faults::canonical::{Canon, Canonical};
use crate::faults::spec::{Class, Family, Spec, TARGET, foreign, no_lengths};
use crate::nemesis::{Armed, Harm, Striking, Struck, TASK_MANAGER, Watched};
use crate::plan::{FaultAction, UserFailure};
use crate::reader::FaultKeys;
use crate::writer::target;

pub(crate) const USER_PANIC: Spec = Spec {
    name: "user-panic",
    family: Family::Process,
    effect: "user code panics at the next record",
    classes: &[Class::Masked, Class::FailedLoudly],
    roles: &[TASK_MANAGER],
    params: &[TARGET],
    read: |keys| read(keys, UserFailure::Panic),
    write,
    rules,
    lengths: no_lengths,
    canonical: |c| canonical(c, UserFailure::Panic),
    drawn: Drawn::new(Need::Nothing, TASKS, |a| drawn(a, UserFailure::Panic)).again().biting(),
    strike,
};

pub(crate) const USER_ERROR: Spec = Spec {
    name: "user-error",
    effect: "user code returns an error at the next record",
    read: |keys| read(keys, UserFailure::Error),
    canonical: |c| canonical(c, UserFailure::Error),
    drawn: Drawn::new(Need::Nothing, TASKS, |a| drawn(a, UserFailure::Error)).again().biting(),
    ..USER_PANIC
};

fn read(keys: &mut FaultKeys, how: UserFailure) -> Option<FaultAction> {
    Some(FaultAction::UserCode { target: keys.target("user-code.target")?, how })
}

fn write(action: &FaultAction) -> Vec<Option<String>> {
    let FaultAction::UserCode { target: node, .. } = action else { foreign(action) };
    vec![Some(target(node))]
}

fn rules(rules: &mut Rules, action: &FaultAction) {
    let FaultAction::UserCode { target, .. } = action else { foreign(action) };
    rules.runs_tasks(target, "user-code.target");
}

fn drawn(a: &Action, how: UserFailure) -> FaultAction {
    FaultAction::UserCode { target: a.target(), how }
}

/// The fault strikes at the next record, which comes whatever the protocol does. So one strike per phase is enough.
fn canonical(c: &Canon, how: UserFailure) -> Vec<Canonical> {
    let busy = c.task_managers().filter(|victim| victim.busy);
    busy.map(|victim| {
        let action = FaultAction::UserCode { target: victim.target(), how };
        Canonical::at(victim, "at the next record", action).lasting()
    })
    .collect()
}

fn strike(s: &mut Striking, action: &FaultAction) -> Struck {
    let FaultAction::UserCode { target, how } = action else { foreign(action) };
    let node = s.node(target)?;
    let detail = match how {
        UserFailure::Panic => "user code panicked",
        UserFailure::Error => "user code returned an error",
    };
    let armed = Armed::OnNode(node.clone());
    let watched = Watched::new(s.blow, armed, TASK_MANAGER, node.clone(), detail.into());
    s.nemesis.watch(watched.harming(Harm::RecordsRefused).at_most(Some(1)));
    s.nemesis.user_code.arm(&node, *how);
    Ok(())
}
