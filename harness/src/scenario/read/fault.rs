//! `[[fault]]`: when something goes wrong, what, and to whom.
//!
//! Every fault of the file becomes a fault of the plan, even a refused one: a stand-in keeps the numbers that `after_fault`
//! refers to, and its path is tainted so that no rule looks at it.

use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::value::{self, Refusal};
use super::{Reader, Table, keys};
use crate::plan::{
    DamageKind, EventTrigger, FaultAction, FaultPlan, FileKind, FileTarget, KillMode, NodeTarget, Trigger,
};
use crate::scenario::error::Problem;
use crate::scenario::suggest;

/// The keys that each kind of fault takes besides `on`, `at` and `do`.
const ACTIONS: &[(&str, &[&str])] = &[
    ("kill", &["target", "restart_after"]),
    ("machine-loss", &["target", "restart_after"]),
    ("cut", &["link", "heal_after"]),
    ("cut-one-way", &["link", "heal_after"]),
    ("damage", &["file", "how"]),
];

/// Reads all `[[fault]]` tables, in the order of the file.
pub(in crate::scenario) fn faults(reader: &mut Reader, value: Option<&Spanned<DeValue>>) -> Vec<FaultPlan> {
    let Some(value) = value else { return Vec::new() };
    let DeValue::Array(tables) = value.get_ref() else {
        let problem = Problem::new("wrong-type", "faults are a list of tables", "write [[fault]], with two brackets");
        reader.refuse("faults", problem.at(value.span(), "a single table or value"));
        return Vec::new();
    };
    (1..).zip(tables.iter()).map(|(id, table)| fault(reader, table, id)).collect()
}

fn fault(reader: &mut Reader, value: &Spanned<DeValue>, id: u32) -> FaultPlan {
    let path = format!("faults[{}]", id - 1);
    let stand_in =
        (Trigger::At(Duration::ZERO), FaultAction::Damage { file: newest_state(), how: DamageKind::FlipByte });
    let (trigger, action) = match reader.table("[[fault]]", value, &path) {
        None => stand_in,
        Some(table) => {
            let trigger = trigger(reader, &table, &format!("{path}.trigger"));
            let action = action(reader, &table, &format!("{path}.action")).or_else(|| {
                reader.tainted.push(format!("{path}.action"));
                None
            });
            (trigger.unwrap_or(stand_in.0), action.unwrap_or(stand_in.1))
        }
    };
    FaultPlan { id, trigger, delay: Duration::ZERO, repeat: 1, action }
}

fn trigger(reader: &mut Reader, table: &Table, path: &str) -> Option<Trigger> {
    match (table.get("on"), table.get("at")) {
        (Some(on), Some(at)) => {
            let help = "keep one of them: a fault strikes at an event or at a time";
            let problem = Problem::new("two-triggers", "both `on` and `at` are given", help);
            reader.refuse(path, problem.at(on.span(), "at this event").at(at.span(), "or at this time"));
            None
        }
        (None, None) => {
            let help = "say when it strikes: on = { event = \"checkpoint-completed\" } or at = \"2.5s\"";
            reader.missing(table, &["on", "at"], path, help);
            None
        }
        (None, Some(_)) => reader.read(table, "at", &format!("{path}.at"), value::duration).map(Trigger::At),
        (Some(on), None) => {
            let path = format!("{path}.on");
            let table = reader.table("on", on, &path)?;
            let at = |key: &str| format!("{path}.{key}");
            let help = "name the event: event = \"checkpoint-completed\"";
            Some(Trigger::On(EventTrigger {
                event: reader.required(&table, "event", &at("event"), help, value::text).unwrap_or_default(),
                checkpoint: reader.read(&table, "checkpoint", &at("checkpoint"), value::whole_u64),
                vertex: reader.read(&table, "vertex", &at("vertex"), value::whole_u16),
                subtask: reader.read(&table, "subtask", &at("subtask"), value::whole_u16),
                node: reader.read(&table, "node", &at("node"), value::text),
                attempt: reader.read(&table, "attempt", &at("attempt"), value::whole_u32),
                nth: reader.read(&table, "nth", &at("nth"), value::whole_u32).unwrap_or(1),
                after_fault: reader.read(&table, "after_fault", &at("after_fault"), value::whole_u32),
                after: None,
            }))
        }
    }
}

fn action(reader: &mut Reader, table: &Table, path: &str) -> Option<FaultAction> {
    let names: Vec<&str> = ACTIONS.iter().map(|(name, _)| *name).collect();
    let help = format!("say what happens: do = \"kill\"; accepted: {}", suggest::quoted(&names));
    let what = reader.required(table, "do", path, &help, kind)?;
    misplaced_keys(reader, table, what);
    let node = |reader: &mut Reader, path: &str| {
        let help = "say who is struck: target = \"emitter\", \"leader\" or a node such as \"tm-2\"";
        reader.required(table, "target", path, help, value::text).map(|name| node_target(&name))
    };
    match what {
        "kill" | "machine-loss" => {
            let path = format!("{path}.kill");
            let mode = if what == "kill" { KillMode::Crash } else { KillMode::MachineLoss };
            let restart_after = reader.read(table, "restart_after", &format!("{path}.restart_after"), value::duration);
            Some(FaultAction::Kill {
                targets: vec![node(reader, &format!("{path}.target"))?],
                mode,
                restart_after,
                disk: crate::plan::Disk::Wiped,
            })
        }
        "cut" | "cut-one-way" => {
            let both_ways = what == "cut";
            let path = format!("{path}.cut");
            let (help, parse): (_, value::Parse<_>) = match both_ways {
                true => ("name both ends: link = \"tm-1 - tm-3\"", both_ends),
                false => ("name sender and receiver: link = \"tm-1 -> tm-3\"", sender_and_receiver),
            };
            let heal_after = reader.read(table, "heal_after", &format!("{path}.heal_after"), value::duration);
            let ends = reader.required(table, "link", &format!("{path}.from"), help, parse);
            if let Some(link) = table.get("link") {
                reader.place(&format!("{path}.to"), link.span());
            }
            let (from, to) = ends?;
            Some(FaultAction::Cut { from: vec![from], to: vec![to], both_ways, heal_after })
        }
        _ => {
            let path = format!("{path}.damage");
            let help = "say what happens to the file: how = \"flip-byte\", \"truncate\" or \"delete\"";
            let how = reader.required(table, "how", &format!("{path}.how"), help, how);
            Some(FaultAction::Damage { file: file(reader, table, &format!("{path}.file")), how: how? })
        }
    }
}

/// Reports keys that belong to another kind of fault, with the key that does the same for this kind.
fn misplaced_keys(reader: &mut Reader, table: &Table, what: &str) {
    let own = ACTIONS.iter().find(|(name, _)| *name == what).map_or(&[][..], |(_, keys)| keys);
    for key in table.entries.keys() {
        let name = key.get_ref().as_ref();
        let common = ["on", "at", "do"].contains(&name);
        if common || own.contains(&name) || !keys("[[fault]]").contains(&name) {
            continue;
        }
        let owners: Vec<&str> =
            ACTIONS.iter().filter(|(_, keys)| keys.contains(&name)).map(|(owner, _)| *owner).collect();
        let help = match (name, what) {
            ("restart_after", "cut" | "cut-one-way") => "a link heals: write heal_after instead".to_owned(),
            ("heal_after", "kill" | "machine-loss") => "a node restarts: write restart_after instead".to_owned(),
            ("target", "cut" | "cut-one-way") => "a cut needs two ends: write link = \"tm-1 - tm-2\"".to_owned(),
            ("link", "kill" | "machine-loss") => "a node is killed: write target = \"tm-1\"".to_owned(),
            _ => format!("`{what}` takes {}; remove `{name}`", suggest::quoted(own)),
        };
        let message = format!("`{name}` does not go with do = \"{what}\"");
        let label = format!("belongs to {}", suggest::quoted(&owners));
        reader.problems.push(Problem::new("misplaced-key", message, help).at(key.span(), label));
    }
}

fn file(reader: &mut Reader, fault: &Table, path: &str) -> FileTarget {
    let default = newest_state();
    let Some(value) = fault.get("file") else { return default };
    let Some(table) = reader.table("file", value, path) else { return default };
    FileTarget {
        checkpoint: reader.read(&table, "checkpoint", &format!("{path}.checkpoint"), value::whole_u64),
        kind: reader.read(&table, "kind", &format!("{path}.kind"), file_kind).unwrap_or(default.kind),
        index: reader.read(&table, "index", &format!("{path}.index"), value::whole_u32).unwrap_or(default.index),
    }
}

/// The file that is damaged where the scenario names none.
fn newest_state() -> FileTarget {
    FileTarget { checkpoint: None, kind: FileKind::State, index: 0 }
}

fn kind(value: &DeValue) -> Result<&'static str, Refusal> {
    let names: Vec<&str> = ACTIONS.iter().map(|(name, _)| *name).collect();
    value::word(value, &names, |word| ACTIONS.iter().map(|(name, _)| *name).find(|name| *name == word))
}

fn how(value: &DeValue) -> Result<DamageKind, Refusal> {
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

/// A node by role or by name; whether it exists is a matter of the rules.
fn node_target(name: &str) -> NodeTarget {
    match name.trim() {
        "emitter" => NodeTarget::Emitter,
        "leader" => NodeTarget::Leader,
        name => NodeTarget::Node(name.to_owned()),
    }
}

/// `"tm-1 - tm-3"`. The blanks matter: names contain hyphens.
fn both_ends(value: &DeValue) -> Result<(NodeTarget, NodeTarget), Refusal> {
    let link = value::text(value)?;
    if let Some((from, to)) = link.split_once("->") {
        let help = format!("write {{key}} = \"{} - {}\", or do = \"cut-one-way\"", from.trim(), to.trim());
        return Err(Refusal::new("bad-link", "has one direction, but a cut has both", "an arrow", help));
    }
    ends(&link, " - ", "write both ends with a hyphen between blanks: {key} = \"tm-1 - tm-3\"")
}

/// `"tm-1 -> tm-3"`.
fn sender_and_receiver(value: &DeValue) -> Result<(NodeTarget, NodeTarget), Refusal> {
    let link = value::text(value)?;
    if let (false, Some((from, to))) = (link.contains("->"), link.split_once(" - ")) {
        let help = format!("write {{key}} = \"{} -> {}\", or do = \"cut\"", from.trim(), to.trim());
        return Err(Refusal::new("bad-link", "must say in which direction messages vanish", "no arrow", help));
    }
    ends(&link, "->", "write sender and receiver with an arrow between: {key} = \"tm-1 -> tm-3\"")
}

fn ends(link: &str, between: &str, help: &str) -> Result<(NodeTarget, NodeTarget), Refusal> {
    match link.split(between).map(str::trim).collect::<Vec<_>>().as_slice() {
        [from, to] if !from.is_empty() && !to.is_empty() => Ok((node_target(from), node_target(to))),
        _ => Err(Refusal::new("bad-link", "must name two ends", "not two ends", help.to_owned())),
    }
}
