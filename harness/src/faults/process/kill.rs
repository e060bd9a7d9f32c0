//! `kill` and `machine-loss`: processes die, or their machines with them.

use std::time::Duration;

use flowquake_engine::fault::Death;
use flowquake_engine::time::Time;
use toml::de::DeValue;

use crate::checker::{Finding, Known, Length, Rules};
use crate::draws::{ANYBODY, Action, Drawn, Need, Role};
use crate::faults::canonical::{Canon, Canonical};
use crate::faults::spec::{Class, Family, NODES, Param, Spec, foreign, may};
use crate::nemesis::{Cluster, Effect, Harm, Nemesis, Receipt, Striking, Struck, offered};
use crate::plan::{Disk, FaultAction, KillMode, NodeTarget, Trigger};
use crate::reader::{FaultKeys, Problem, Refusal, node, value};
use crate::writer::{node_name, pair, target, text, time};

const PARAMS: &[Param] =
    &[may("target", "node"), may("targets", "[nodes]"), may("restart_after", "duration"), may("disk", "wiped|kept")];

pub(crate) const KILL: Spec = Spec {
    name: "kill",
    family: Family::Process,
    effect: "the process dies; its connections are reset at once",
    classes: &[Class::Masked],
    roles: NODES,
    params: PARAMS,
    read: |keys| read(keys, KillMode::Crash),
    write,
    rules,
    lengths,
    canonical: |c| canonical(c, KillMode::Crash),
    drawn: Drawn::new(Need::Nothing, ANYBODY, |a| drawn(a, KillMode::Crash)).biting(),
    strike,
};

pub(crate) const MACHINE_LOSS: Spec = Spec {
    name: "machine-loss",
    effect: "the machine is gone: silence, told by missing heartbeats only",
    read: |keys| read(keys, KillMode::MachineLoss),
    canonical: |c| canonical(c, KillMode::MachineLoss),
    drawn: Drawn::new(Need::Nothing, ANYBODY, |a| drawn(a, KillMode::MachineLoss)).biting(),
    ..KILL
};

fn read(keys: &mut FaultKeys, mode: KillMode) -> Option<FaultAction> {
    let targets = targets(keys);
    let restart_after = keys.may("restart_after", "kill.restart_after", value::duration);
    let disk = keys.may("disk", "kill.disk", disk).unwrap_or_default();
    Some(FaultAction::Kill { targets: targets?, mode, restart_after, disk })
}

/// Reads `target` or `targets`, of which exactly one is needed.
fn targets(keys: &mut FaultKeys) -> Option<Vec<NodeTarget>> {
    match (keys.table.get("target"), keys.table.get("targets")) {
        (Some(one), Some(several)) => {
            let help = "keep one of them: `target` for one node, `targets` for several";
            let problem = Problem::new("two-targets", "both `target` and `targets` are given", help);
            let problem = problem.at(one.span(), "this node").at(several.span(), "or these");
            let path = keys.at("kill.targets");
            keys.reader.refuse(&path, problem);
            None
        }
        (None, Some(several)) => {
            let nodes = keys.may("targets", "kill.targets", node::nodes)?;
            if let DeValue::Array(list) = several.get_ref() {
                for (index, value) in list.iter().enumerate() {
                    let path = keys.at(&format!("kill.targets[{index}]"));
                    keys.reader.place(&path, value.span());
                }
            }
            Some(nodes)
        }
        _ => {
            keys.also("target", "kill.targets");
            keys.target("kill.targets[0]").map(|node| vec![node])
        }
    }
}

fn disk(value: &DeValue) -> Result<Disk, Refusal> {
    value::word(value, &["wiped", "kept"], |word| match word {
        "wiped" => Some(Disk::Wiped),
        "kept" => Some(Disk::Kept),
        _ => None,
    })
}

fn write(action: &FaultAction) -> Vec<Option<String>> {
    let FaultAction::Kill { targets, restart_after, disk, .. } = action else { foreign(action) };
    let victims = match targets.as_slice() {
        [one] => target(one),
        several => {
            let names: Vec<String> = several.iter().map(|node| text(node_name(node))).collect();
            pair("targets", format!("[{}]", names.join(", ")))
        }
    };
    vec![
        Some(victims),
        restart_after.map(|after| pair("restart_after", time(after))),
        (*disk == Disk::Kept).then(|| pair("disk", text("kept"))),
    ]
}

fn rules(rules: &mut Rules, action: &FaultAction) {
    let FaultAction::Kill { targets, restart_after, .. } = action else { foreign(action) };
    if targets.is_empty() {
        let help = "name at least one node, such as \"tm-1\"";
        let finding = Finding::new("no-effect", "no node is named: nobody would die", help);
        rules.push(finding.at(rules.at("kill.targets"), "empty"));
    }
    let mut all = true;
    for (index, target) in targets.iter().enumerate() {
        let below = format!("kill.targets[{index}]");
        if !rules.target_exists(target, &below) {
            all = false;
            continue;
        }
        let same = |before: &NodeTarget| before == target || rules.known(before).is(&rules.known(target));
        if targets[..index].iter().any(same) {
            let message = format!("{} is named twice", rules.known(target).describe());
            let finding = Finding::new("same-victim", message, "name each node once");
            rules.push(finding.at(rules.at(&below), "named before").given(rules.trigger_path()));
        }
    }
    if restart_after.is_none() && all {
        somebody_leads(rules, targets);
    }
}

/// If JobManagers never come back, at least one must be left.
fn somebody_leads(rules: &mut Rules, targets: &[NodeTarget]) {
    let managers = rules.plan.cluster.job_managers;
    let repeat = match rules.fault.trigger {
        // A leader may emit events of many kinds.
        Trigger::Each(_) => managers,
        _ => rules.fault.repeat,
    };
    let mut killed = 0u32;
    let mut first = None;
    for (index, target) in targets.iter().enumerate() {
        let known = rules.known(target);
        let by_each = matches!((target, &rules.fault.trigger), (NodeTarget::Emitter, Trigger::Each(_)));
        let may_lead = known.is_job_manager() == Some(true) || (known == Known::Unknown && by_each);
        if may_lead {
            // A node given by name dies once; a role is taken by another node each time.
            killed = killed.saturating_add(if matches!(known, Known::Node(_)) { 1 } else { repeat });
            first = first.or(Some((index, target, known)));
        }
    }
    let Some((index, target, known)) = first.filter(|_| killed >= managers) else { return };
    let message = match (managers, target) {
        (1, NodeTarget::Leader) => "the leader is the only JobManager, `jm-1`: nobody would lead the job".to_owned(),
        (1, NodeTarget::Emitter) => match &rules.fault.trigger {
            Trigger::On(on) => {
                format!("the emitter of `{}` is the only JobManager, `jm-1`: nobody would lead the job", on.event)
            }
            _ => "some events are emitted by the only JobManager, `jm-1`: nobody would lead the job".to_owned(),
        },
        (1, _) => format!("`{}` is the only JobManager: nobody would lead the job", known.describe()),
        (n, _) => format!("all {n} JobManagers would die for good: nobody would lead the job"),
    };
    let help = match managers {
        1 => format!(
            "write restart_after = \"3s\", or job_managers = 2 into [cluster], or strike a TaskManager: {}",
            rules.task_managers()
        ),
        _ => "write restart_after = \"3s\", or strike fewer of them".to_owned(),
    };
    let label = if managers == 1 { "the only JobManager" } else { "a JobManager" };
    let finding =
        Finding::new("kills-job-manager", message, help).at(rules.at(&format!("kill.targets[{index}]")), label);
    let given = format!("{}.repeat", rules.path);
    let finding = finding.given(rules.trigger_path()).given(given).given(rules.at("kill.restart_after"));
    rules.push(finding.given("cluster.task_managers").given("cluster.job_managers"));
}

fn lengths(action: &FaultAction) -> Vec<Length> {
    let FaultAction::Kill { restart_after, .. } = action else { foreign(action) };
    // An immediate restart counts as a restart after a millisecond.
    vec![Length::new("action.kill.restart_after", restart_after.unwrap_or_default())]
}

fn drawn(a: &Action, mode: KillMode) -> FaultAction {
    let kept = mode == KillMode::Crash && a.draws.one_in("disk", 2);
    let disk = if kept { Disk::Kept } else { Disk::Wiped };
    let for_good = a.role == Role::TaskManager && a.scene.bears_losses() && a.draws.one_in("for good", 3);
    let restart_after = (!for_good).then(|| a.lasts("restart after"));
    FaultAction::Kill { targets: a.one_or_all(), mode, restart_after, disk }
}

/// Back before any detector has noticed, back with its disk after all have, and gone for good.
fn canonical(c: &Canon, mode: KillMode) -> Vec<Canonical> {
    let mut strikes = Vec::new();
    for victim in c.everybody() {
        let mut add = |label, restart_after, disk| {
            let action = FaultAction::Kill { targets: vec![victim.target()], mode, restart_after, disk };
            strikes.push(Canonical::at(victim, label, action));
        };
        add("back briefly after", Some(c.brief()), Disk::Wiped);
        add("back beyond every detector, disk kept", Some(c.beyond()), Disk::Kept);
        if c.spares(victim) {
            add("for good", None, Disk::Wiped);
        }
    }
    strikes
}

fn strike(s: &mut Striking, action: &FaultAction) -> Struck {
    let FaultAction::Kill { targets, mode, restart_after, disk } = action else { foreign(action) };
    let mut struck = Ok(());
    for node in s.nodes(targets)? {
        struck = kill(s, node, *mode, *restart_after, *disk).and(struck);
    }
    struck
}

/// One node dies, and comes back after a while.
pub(super) fn kill(
    s: &mut Striking,
    node: String,
    mode: KillMode,
    restart_after: Option<Duration>,
    disk: Disk,
) -> Struck {
    let (death, harm, detail) = match mode {
        KillMode::Crash => (Death::Crash, Harm::NodesKilled, "process killed, connections reset"),
        KillMode::MachineLoss => (Death::MachineLoss, Harm::NodesLost, "machine lost, silence"),
    };
    let receipt = offered(s.world.processes()).kill(&node, death);
    let hit = s.hit_by(receipt, &node, detail, Some(harm), "was down already")?;
    s.lasts(vec![hit], vec![Box::new(Down(node, disk))], restart_after);
    Ok(())
}

/// Madsim drops a killed node's tasks one by one, and the node's next life may begin only after that.
pub(super) const RESTART_MIN: Duration = Duration::from_millis(1);

/// A node that is down, and what it will find on its disk. The harm was noted when the node died.
#[derive(Debug)]
struct Down(String, Disk);

impl Effect for Down {
    fn lasts_at_least(&self) -> Duration {
        RESTART_MIN
    }

    fn end(&self, _: &mut Nemesis, world: &dyn Cluster, _: Time) -> Receipt {
        let Self(node, disk) = self;
        offered(world.processes()).restart(node, *disk)
    }
}
