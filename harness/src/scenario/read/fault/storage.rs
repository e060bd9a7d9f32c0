//! Faults of durable stores and of local disks.

use toml::de::DeValue;

use super::{Keys, Kind, target, value};
use crate::plan::{DamageKind, FaultAction, FileKind, FileTarget, StoreFault, StoreName};
use crate::scenario::read::value::Refusal;

pub(super) fn action(keys: &mut Keys, kind: Kind) -> Option<FaultAction> {
    const AGE_HELP: &str = "say how old what is seen is: age = \"5s\"";
    let how = match kind {
        Kind::DamageLocal => {
            let target = keys.target("damage-local.target");
            let help = "say what happens to the file: how = \"flip-byte\", \"truncate\" or \"delete\"";
            let how = keys.must("how", "damage-local.how", help, local_damage);
            return Some(FaultAction::DamageLocal { target: target?, how: how? });
        }
        Kind::StoreUnavailable => Some(StoreFault::Unavailable),
        Kind::FailedWrite => Some(StoreFault::FailedWrite),
        Kind::AmbiguousWrite => Some(StoreFault::AmbiguousWrite),
        Kind::TornWrite => Some(StoreFault::TornWrite),
        Kind::LostWrite => Some(StoreFault::LostWrite),
        Kind::NoSpace => Some(StoreFault::NoSpace),
        Kind::SlowStore => {
            let help = "say how much longer a request takes: by = \"500ms\"";
            keys.must("by", "store.how.slow", help, value::duration).map(StoreFault::Slow)
        }
        Kind::ThrottledStore => {
            let help = "say how much passes: rate = \"100kB/s\"";
            keys.must("rate", "store.how.throttled", help, value::bandwidth).map(StoreFault::Throttled)
        }
        Kind::StaleRead => {
            keys.must("age", "store.how.stale-read", AGE_HELP, value::duration).map(StoreFault::StaleRead)
        }
        Kind::LaggingList => {
            keys.must("age", "store.how.lagging-list", AGE_HELP, value::duration).map(StoreFault::LaggingList)
        }
        _ => return damage(keys),
    };
    let store = keys.may("store", "store.store", store);
    let node = keys.may("node", "store.node", target::node);
    let count = keys.may("count", "store.count", value::whole_u32);
    let heal_after = keys.heal_after("store.heal_after");
    Some(FaultAction::Store { store, node, how: how?, count, heal_after })
}

fn damage(keys: &mut Keys) -> Option<FaultAction> {
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
    value::word(value, &["flip-byte", "truncate", "delete", "swap"], |word| match word {
        "flip-byte" => Some(DamageKind::FlipByte),
        "truncate" => Some(DamageKind::Truncate),
        "delete" => Some(DamageKind::Delete),
        "swap" => Some(DamageKind::Swap),
        _ => None,
    })
}

/// As [`damage_kind`], of what can be done to a file that the backend holds open.
fn local_damage(value: &DeValue) -> Result<DamageKind, Refusal> {
    value::word(value, &["flip-byte", "truncate", "delete"], |word| match word {
        "flip-byte" => Some(DamageKind::FlipByte),
        "truncate" => Some(DamageKind::Truncate),
        "delete" => Some(DamageKind::Delete),
        _ => None,
    })
}

fn file_kind(value: &DeValue) -> Result<FileKind, Refusal> {
    value::word(value, &["state", "manifest"], |word| match word {
        "state" => Some(FileKind::State),
        "manifest" => Some(FileKind::Manifest),
        _ => None,
    })
}

fn store(value: &DeValue) -> Result<StoreName, Refusal> {
    value::word(value, &["checkpoints", "output"], |word| match word {
        "checkpoints" => Some(StoreName::Checkpoints),
        "output" => Some(StoreName::Output),
        _ => None,
    })
}
