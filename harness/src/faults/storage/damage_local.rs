//! `damage-local`: a file of the state backend on a node's own disk is damaged while it is in use.

use flowquake_engine::config::BackendKind;
use flowquake_engine::fault::FileDamage;
use toml::de::DeValue;

use super::damage::name;
use crate::checker::{Finding, Rules};
use crate::draws::{Action, Drawn, Need, TASKS};
use crate::faults::canonical::{Canon, Canonical};
use crate::faults::spec::{Class, Family, Spec, TARGET, foreign, must, no_lengths};
use crate::nemesis::{Harm, Striking, Struck, TASK_MANAGER, offered};
use crate::plan::{DamageKind, FaultAction};
use crate::reader::{FaultKeys, Refusal, value};
use crate::writer::{pair, target, text};

pub(crate) const DAMAGE_LOCAL: Spec = Spec {
    name: "damage-local",
    family: Family::Storage,
    effect: "a local file of the state backend is damaged while it is in use",
    classes: &[Class::Masked],
    roles: &[TASK_MANAGER],
    params: &[TARGET, must("how", "flip-byte|truncate|delete")],
    read,
    write,
    rules,
    lengths: no_lengths,
    canonical,
    drawn: Drawn::new(Need::RocksDb, TASKS, drawn),
    strike,
};

fn read(keys: &mut FaultKeys) -> Option<FaultAction> {
    let target = keys.target("damage-local.target");
    let help = "say what happens to the file: how = \"flip-byte\", \"truncate\" or \"delete\"";
    let how = keys.must("how", "damage-local.how", help, damage_kind);
    Some(FaultAction::DamageLocal { target: target?, how: how? })
}

/// The kinds of damage that are possible for a file that the backend holds open.
fn damage_kind(value: &DeValue) -> Result<DamageKind, Refusal> {
    value::word(value, &["flip-byte", "truncate", "delete"], |word| match word {
        "flip-byte" => Some(DamageKind::FlipByte),
        "truncate" => Some(DamageKind::Truncate),
        "delete" => Some(DamageKind::Delete),
        _ => None,
    })
}

fn write(action: &FaultAction) -> Vec<Option<String>> {
    let FaultAction::DamageLocal { target: node, how } = action else { foreign(action) };
    vec![Some(target(node)), Some(pair("how", text(name(*how))))]
}

fn rules(rules: &mut Rules, action: &FaultAction) {
    let FaultAction::DamageLocal { target, how } = action else { foreign(action) };
    rules.runs_tasks(target, "damage-local.target");
    if *how == DamageKind::Swap {
        let help = "write \"flip-byte\", \"truncate\" or \"delete\"";
        let finding = Finding::new("no-effect", "local files that are in use cannot be swapped", help);
        rules.push(finding.at(rules.at("damage-local.how"), "not possible"));
    }
    let backend = rules.plan.job.config.backend;
    let action = format!("{}.action", rules.path);
    if backend != BackendKind::RocksDb {
        let message = format!("backend `{}` keeps no files on the local disk", backend.name());
        let help = "write backend = \"rocksdb\" into [checkpointing]";
        let finding = Finding::new("no-local-files", message, help).at(action, "nothing to damage");
        rules.push(finding.at("job.config.backend", "keeps its state in memory"));
    } else if rules.entry.is_some_and(|entry| !entry.keyed) {
        let message = format!("job `{}` keeps no keyed state, so there are no local files", rules.plan.job.name);
        let finding = Finding::new("no-local-files", message, "choose a job with keyed state");
        rules.push(finding.at(action, "nothing to damage").given("job.name"));
    }
}

fn drawn(a: &Action) -> FaultAction {
    let how = a.draws.one_of("damage", [DamageKind::FlipByte, DamageKind::Truncate, DamageKind::Delete]);
    FaultAction::DamageLocal { target: a.target(), how }
}

fn canonical(c: &Canon) -> Vec<Canonical> {
    let busy = c.task_managers().filter(|victim| victim.busy);
    busy.flat_map(|victim| [DamageKind::FlipByte, DamageKind::Truncate, DamageKind::Delete].map(|how| (victim, how)))
        .map(|(victim, how)| {
            let action = FaultAction::DamageLocal { target: victim.target(), how };
            Canonical::at(victim, name(how), action).lasting()
        })
        .collect()
}

fn strike(s: &mut Striking, action: &FaultAction) -> Struck {
    let FaultAction::DamageLocal { target, how } = action else { foreign(action) };
    let node = s.node(target)?;
    let damage = match how {
        DamageKind::FlipByte => FileDamage::FlipByte(s.draw("nemesis local byte")),
        DamageKind::Truncate => FileDamage::Truncate,
        DamageKind::Delete => FileDamage::Delete,
        DamageKind::Swap => return Err("local files cannot be swapped".into()),
    };
    let done = offered(s.world.disks()).damage_local(&node, s.draw("nemesis local file"), damage);
    let detail = done.ok_or_else(|| format!("{node} has no files of the state backend"))?;
    s.over_at_once(s.role(&node), node, detail);
    s.harmed(Harm::LocalFilesDamaged, 1);
    Ok(())
}
