//! Faults of durable stores and of local disks.

use std::time::Duration;

use toml::de::DeValue;

use crate::plan::{DamageKind, FaultAction, FileKind, FileTarget, StoreFault, StoreName};
use crate::reader::Refusal;
use crate::reader::node;
use crate::reader::{FaultKeys as Keys, value};

/// `how` is none if it was refused: the other keys are still read.
pub(super) fn store(keys: &mut Keys, how: Option<StoreFault>) -> Option<FaultAction> {
    let store = keys.may("store", "store.store", store_name);
    let node = keys.may("node", "store.node", node::node);
    let count = keys.may("count", "store.count", value::whole_u32);
    let heal_after = keys.heal_after("store.heal_after");
    Some(FaultAction::Store { store, node, how: how?, count, heal_after })
}

pub(super) fn slow(keys: &mut Keys) -> Option<FaultAction> {
    let help = "say how much longer a request takes: by = \"500ms\"";
    let by = keys.must("by", "store.how.slow", help, value::duration);
    store(keys, by.map(StoreFault::Slow))
}

pub(super) fn throttled(keys: &mut Keys) -> Option<FaultAction> {
    let help = "say how much passes: rate = \"100kB/s\"";
    let rate = keys.must("rate", "store.how.throttled", help, value::bandwidth);
    store(keys, rate.map(StoreFault::Throttled))
}

/// What is seen is of some age, which ends up at `below`.
pub(super) fn old(keys: &mut Keys, below: &str, how: fn(Duration) -> StoreFault) -> Option<FaultAction> {
    let age = keys.must("age", below, "say how old what is seen is: age = \"5s\"", value::duration);
    store(keys, age.map(how))
}

pub(super) fn damage_local(keys: &mut Keys) -> Option<FaultAction> {
    let target = keys.target("damage-local.target");
    let help = "say what happens to the file: how = \"flip-byte\", \"truncate\" or \"delete\"";
    let how = keys.must("how", "damage-local.how", help, local_damage);
    Some(FaultAction::DamageLocal { target: target?, how: how? })
}

pub(super) fn damage(keys: &mut Keys) -> Option<FaultAction> {
    let help = "say what happens to the file: how = \"flip-byte\", \"truncate\", \"delete\" or \"swap\"";
    let how = keys.must("how", "damage.how", help, damage_kind);
    Some(FaultAction::Damage { file: file(keys), how: how? })
}

fn file(keys: &mut Keys) -> FileTarget {
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

/// The file that is damaged where the scenario names none.
pub(super) fn newest_state() -> FileTarget {
    FileTarget { checkpoint: None, kind: FileKind::State, index: 0 }
}

fn damage_kind(value: &DeValue) -> Result<DamageKind, Refusal> {
    value::word(value, &value::DAMAGES, |word| match word {
        "flip-byte" => Some(DamageKind::FlipByte),
        "truncate" => Some(DamageKind::Truncate),
        "delete" => Some(DamageKind::Delete),
        "swap" => Some(DamageKind::Swap),
        _ => None,
    })
}

/// As [`damage_kind`], of what can be done to a file that the backend holds open.
fn local_damage(value: &DeValue) -> Result<DamageKind, Refusal> {
    value::word(value, &value::LOCAL_DAMAGES, |word| match word {
        "flip-byte" => Some(DamageKind::FlipByte),
        "truncate" => Some(DamageKind::Truncate),
        "delete" => Some(DamageKind::Delete),
        _ => None,
    })
}

fn file_kind(value: &DeValue) -> Result<FileKind, Refusal> {
    value::word(value, &value::FILE_KINDS, |word| match word {
        "state" => Some(FileKind::State),
        "manifest" => Some(FileKind::Manifest),
        _ => None,
    })
}

fn store_name(value: &DeValue) -> Result<StoreName, Refusal> {
    value::word(value, &value::STORES, |word| match word {
        "checkpoints" => Some(StoreName::Checkpoints),
        "output" => Some(StoreName::Output),
        _ => None,
    })
}
