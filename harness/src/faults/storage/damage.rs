//! `damage`: a file of a checkpoint is damaged in the store.

use bytes::Bytes;
use flowquake_engine::checkpoint::manifest::{checkpoint_at, folder, path};
use flowquake_engine::config::BackendKind;
use flowquake_engine::env::draw_between;
use flowquake_engine::env::sim::Gauge;
use flowquake_engine::ids::CheckpointId;
use toml::de::DeValue;

use crate::checker::{Finding, Rules};
use crate::draws::{Action, Drawn, Need, TASKS};
use crate::faults::canonical::{Canon, Canonical};
use crate::faults::spec::{Class, Family, Spec, foreign, may, must, no_lengths};
use crate::nemesis::{CHECKPOINT_STORE, Cluster, Harm, Receipt, Striking, Struck, offered};
use crate::plan::{DamageKind, FaultAction, FileKind, FileTarget};
use crate::reader::{FaultKeys, Refusal, value};
use crate::writer::{pair, text};

pub(crate) const DAMAGE: Spec = Spec {
    name: "damage",
    family: Family::Storage,
    effect: "a file of a checkpoint is damaged in the store",
    classes: &[Class::Masked, Class::FellBack, Class::FailedLoudly],
    roles: &[CHECKPOINT_STORE],
    params: &[may("file", "table"), must("how", "flip-byte|truncate|delete|swap")],
    read,
    write,
    rules,
    lengths: no_lengths,
    canonical,
    drawn: Drawn::new(Need::TwoCheckpoints, TASKS, drawn),
    strike,
};

fn read(keys: &mut FaultKeys) -> Option<FaultAction> {
    let help = "say what happens to the file: how = \"flip-byte\", \"truncate\", \"delete\" or \"swap\"";
    let how = keys.must("how", "damage.how", help, damage_kind);
    Some(FaultAction::Damage { file: file(keys), how: how? })
}

fn file(keys: &mut FaultKeys) -> FileTarget {
    let default = newest_state();
    let Some(value) = keys.table.get("file") else { return default };
    let path = keys.at("damage.file");
    let Some(table) = keys.reader.table("file", value, &path) else { return default };
    let reader = &mut *keys.reader;
    FileTarget {
        checkpoint: reader.read(&table, "checkpoint", &format!("{path}.checkpoint"), value::whole_u64),
        kind: reader.read(&table, "kind", &format!("{path}.kind"), file_kind).unwrap_or(default.kind),
        index: reader.read(&table, "index", &format!("{path}.index"), value::whole_u32).unwrap_or(default.index),
    }
}

/// The file that is damaged if the scenario names none.
pub(crate) fn newest_state() -> FileTarget {
    FileTarget { checkpoint: None, kind: FileKind::State, index: 0 }
}

fn damage_kind(value: &DeValue) -> Result<DamageKind, Refusal> {
    value::word(value, &["flip-byte", "truncate", "delete", "swap"], |word| match word {
        "flip-byte" => Some(DamageKind::FlipByte),
        "truncate" => Some(DamageKind::Truncate),
        "delete" => Some(DamageKind::Delete),
        "swap" => Some(DamageKind::Swap),
        _ => None,
    })
}

/// Files of a checkpoint.
pub(crate) const FILE_KINDS: [&str; 2] = ["state", "manifest"];

fn file_kind(value: &DeValue) -> Result<FileKind, Refusal> {
    value::word(value, &FILE_KINDS, |word| match word {
        "state" => Some(FileKind::State),
        "manifest" => Some(FileKind::Manifest),
        _ => None,
    })
}

fn write(action: &FaultAction) -> Vec<Option<String>> {
    let FaultAction::Damage { file, how } = action else { foreign(action) };
    let kind = if file.kind == FileKind::State { "state" } else { "manifest" };
    let checkpoint = file.checkpoint.map(|id| pair("checkpoint", id));
    let parts = [checkpoint, Some(pair("kind", text(kind))), Some(pair("index", file.index))];
    let file = format!("file = {{ {} }}", parts.into_iter().flatten().collect::<Vec<_>>().join(", "));
    vec![Some(file), Some(pair("how", text(name(*how))))]
}

/// The word for this damage in scenario files.
pub(super) fn name(how: DamageKind) -> &'static str {
    match how {
        DamageKind::FlipByte => "flip-byte",
        DamageKind::Truncate => "truncate",
        DamageKind::Delete => "delete",
        DamageKind::Swap => "swap",
    }
}

fn rules(rules: &mut Rules, action: &FaultAction) {
    let FaultAction::Damage { file, .. } = action else { foreign(action) };
    let action = format!("{}.action", rules.path);
    if file.checkpoint == Some(0) {
        let finding = Finding::new("counts-from-one", "`checkpoint` cannot be 0", "checkpoints are numbered from 1");
        rules.push(finding.at(rules.at("damage.file.checkpoint"), "counts from 1"));
    }
    if file.kind != FileKind::State {
        if file.index > 0 {
            let help = "write index = 0, or leave it out; state files may be several";
            let finding = Finding::new("no-such-file", "a checkpoint has one manifest only", help);
            rules.push(finding.at(rules.at("damage.file.index"), "must be 0"));
        }
        return;
    }
    let kind = rules.at("damage.file.kind");
    if rules.plan.job.config.backend == BackendKind::Memory {
        let message = "with backend `memory` a checkpoint has no state files: its state lies in the manifest";
        let help = "damage the manifest (kind = \"manifest\"), or write backend = \"fs\" or \"rocksdb\"";
        let finding = Finding::new("no-state-files", message, help).at(kind, "a state file is to be damaged");
        rules.push(finding.at("job.config.backend", "keeps state in the manifest").given(action));
    } else if rules.entry.is_some_and(|entry| !entry.keyed) {
        let job = &rules.plan.job.name;
        let message = format!("job `{job}` keeps no keyed state, so its checkpoints have no state files");
        let help = "damage the manifest (kind = \"manifest\"), or choose a job with keyed state";
        let finding = Finding::new("no-state-files", message, help).at(kind, "a state file is to be damaged");
        rules.push(finding.given("job.name").given(action));
    }
}

fn drawn(a: &Action) -> FaultAction {
    let plan = a.scene.plan;
    let files = a.scene.swarm.keyed && plan.job.config.backend != BackendKind::Memory;
    let kind = if files && !a.draws.one_in("manifest", 3) { FileKind::State } else { FileKind::Manifest };
    let last = u64::from(plan.job.config.parallelism.max(1)) - 1;
    let index = if kind == FileKind::State { a.draws.number("file", 0, last) as u32 } else { 0 };
    let how =
        a.draws.one_of("damage", [DamageKind::FlipByte, DamageKind::Truncate, DamageKind::Delete, DamageKind::Swap]);
    FaultAction::Damage { file: FileTarget { checkpoint: None, kind, index }, how }
}

/// Each kind of file with each kind of damage, followed by a failure, so that the file is read.
fn canonical(c: &Canon) -> Vec<Canonical> {
    let Some(failure) = c.failure().filter(|_| c.is_event()) else { return Vec::new() };
    let hows = [DamageKind::FlipByte, DamageKind::Truncate, DamageKind::Delete, DamageKind::Swap];
    let state = if c.meets(Need::StateFiles) { &[FileKind::State][..] } else { &[] };
    let kinds = [FileKind::Manifest].iter().chain(state);
    kinds
        .flat_map(|kind| hows.map(|how| (*kind, how)))
        .map(|(kind, how)| {
            let word = if kind == FileKind::State { "state" } else { "manifest" };
            let action = FaultAction::Damage { file: FileTarget { checkpoint: None, kind, index: 0 }, how };
            let label = format!("{word}, {}", name(how));
            Canonical::on(CHECKPOINT_STORE, label, action).with(failure.clone()).lasting()
        })
        .collect()
}

fn strike(s: &mut Striking, action: &FaultAction) -> Struck {
    let FaultAction::Damage { file, how } = action else { foreign(action) };
    let checkpoint = file.checkpoint.map(CheckpointId).or(s.nemesis.newest_completed);
    let checkpoint = checkpoint.ok_or("no checkpoint was complete")?;
    let target = match file.kind {
        FileKind::Manifest => path(checkpoint),
        FileKind::State => state_files(s.world, checkpoint)
            .into_iter()
            .nth(file.index as usize)
            .ok_or_else(|| format!("checkpoint {checkpoint} has no state file {}", file.index))?,
    };
    let bytes =
        offered(s.world.stores()).read_checkpoint_file(&target).ok_or_else(|| format!("{target} does not exist"))?;
    let length = bytes.len();
    let (contents, detail) = match how {
        DamageKind::Delete => (None, "deleted".to_owned()),
        DamageKind::Swap => return swap(s, checkpoint, file.kind, target, bytes),
        // An empty file cannot be truncated and has no byte to flip, so the strike is in vain.
        _ if length == 0 => return Err(format!("{target} is empty")),
        DamageKind::Truncate => (Some(bytes.slice(..length / 2)), format!("cut from {length} to {} bytes", length / 2)),
        DamageKind::FlipByte => {
            let at = draw_between(s.draw("damage"), 0, length as u64 - 1);
            let mut bytes = bytes.to_vec();
            bytes[at as usize] ^= 0x55;
            (Some(Bytes::from(bytes)), format!("byte {at} of {length} flipped"))
        }
    };
    let receipt = damage_file(s, &target, contents);
    let hit = s.over_at_once(CHECKPOINT_STORE, target, detail);
    s.prove(hit, receipt);
    Ok(())
}

fn damage_file(s: &mut Striking, path: &str, contents: Option<Bytes>) -> Receipt {
    s.claim(Gauge::Damaged(path.into()), Harm::DamagedFilesMet);
    offered(s.world.stores()).damage_checkpoint_file(path, contents)
}

/// Exchanges the file with another one of its kind and checkpoint; if there is none, with one of another checkpoint. A
/// file with equal content is not used, because the exchange would change nothing.
fn swap(s: &mut Striking, checkpoint: CheckpointId, kind: FileKind, target: String, bytes: Bytes) -> Struck {
    let all = offered(s.world.stores()).checkpoint_files("");
    let of_kind = |file: &String| match kind {
        FileKind::Manifest => checkpoint_at(file).is_some(),
        FileKind::State => file.starts_with("chk-") && checkpoint_at(file).is_none(),
    };
    let here = format!("{}/", folder(checkpoint));
    let (near, far): (Vec<String>, Vec<String>) =
        all.into_iter().filter(of_kind).partition(|file| file.starts_with(&here));
    let differs = |file: String| {
        let contents = offered(s.world.stores()).read_checkpoint_file(&file)?;
        (file != target && contents != bytes).then_some((file, contents))
    };
    let other = near.into_iter().chain(far).find_map(differs);
    let (other, contents) = other.ok_or_else(|| format!("{target} has no counterpart to change places with"))?;
    for (one, contents, with) in [(&target, contents, &other), (&other, bytes, &target)] {
        let receipt = damage_file(s, one, Some(contents));
        let hit = s.over_at_once(CHECKPOINT_STORE, one.clone(), format!("changed places with {with}"));
        s.prove(hit, receipt);
    }
    Ok(())
}

/// State files of a checkpoint, by path.
fn state_files(world: &dyn Cluster, checkpoint: CheckpointId) -> Vec<String> {
    let mut files = offered(world.stores()).checkpoint_files(&folder(checkpoint));
    files.retain(|name| checkpoint_at(name).is_none());
    files
}
