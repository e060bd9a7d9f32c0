//! `[[fault]]`: when something goes wrong, what, and to whom.
//!
//! Start at [`faults`](fn@faults). Triggers are read in `trigger`. The file of each kind of fault ([`crate::faults`])
//! says which keys the kind takes, and reads them.
//!
//! Every fault of the file becomes a fault of the plan, even a refused one. A stand-in takes its place, so that the
//! numbers that `after_fault` refers to stay right, and the stand-in's path is tainted, so that no rule looks at it.

use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::{FAULT, keys};
use crate::faults::{self, Kind};
use crate::plan::{DamageKind, FaultAction, FaultPlan, Trigger};
use crate::reader::{FaultKeys, Problem, Reader, Refusal, Table, suggest, value};

mod trigger;

/// Listing all forty names would hide the message.
const LISTING: &str = "`flowquake list faults` shows every kind with its keys";

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
    let stand_in = FaultPlan {
        id,
        trigger: Trigger::At(Duration::ZERO),
        delay: Duration::ZERO,
        repeat: 1,
        action: FaultAction::Damage { file: faults::newest_state(), how: DamageKind::FlipByte },
    };
    let Some(table) = reader.table("[[fault]]", value, &path) else { return stand_in };
    let trigger = trigger::trigger(reader, &table, &path);
    let delay = reader.read(&table, "delay", &format!("{path}.delay"), value::duration);
    let repeat = trigger::repeat(reader, &table, &path);
    let action = action(reader, &table, format!("{path}.action")).or_else(|| {
        reader.tainted.push(format!("{path}.action"));
        None
    });
    FaultPlan {
        id,
        trigger: trigger.unwrap_or(stand_in.trigger),
        delay: delay.unwrap_or_default(),
        repeat: repeat.unwrap_or(1),
        action: action.unwrap_or(stand_in.action),
    }
}

fn action(reader: &mut Reader, table: &Table, path: String) -> Option<FaultAction> {
    let help = format!("say what happens: do = \"kill\"; {LISTING}");
    let kind = reader.required(table, "do", &path, &help, kind)?;
    misplaced_keys(reader, table, kind);
    let mut keys = FaultKeys { reader, table, path };
    faults::read(kind, &mut keys)
}

/// Reports keys that belong to another kind of fault, with the key that does the same for this kind.
fn misplaced_keys(reader: &mut Reader, table: &Table, kind: Kind) {
    let (what, own) = (kind.name(), kind.keys());
    for key in table.entries.keys() {
        let name = key.get_ref().as_ref();
        if FAULT.contains(&name) || own.contains(&name) || !keys("[[fault]]").contains(&name) {
            continue;
        }
        let help = match name {
            "restart_after" | "resume_after" if own.contains(&"heal_after") => {
                format!("`{what}` heals: write heal_after instead")
            }
            "heal_after" | "resume_after" if own.contains(&"restart_after") => {
                "a node restarts: write restart_after instead".to_owned()
            }
            "heal_after" | "restart_after" if own.contains(&"resume_after") => {
                "a process resumes: write resume_after instead".to_owned()
            }
            "target" | "targets" if own.contains(&"link") => {
                format!("`{what}` needs two ends: write link = \"tm-1 - tm-2\"")
            }
            "link" if own.contains(&"target") => "this strikes a node: write target = \"tm-1\"".to_owned(),
            "target" if own.contains(&"node") => {
                "to strike at the requests or messages of one node, write node = \"tm-1\"".to_owned()
            }
            _ if own.is_empty() => format!("`{what}` takes no keys of its own; remove `{name}`"),
            _ => format!("`{what}` takes {}; remove `{name}`", suggest::quoted(&own)),
        };
        let owners: Vec<&str> =
            Kind::ALL.iter().filter(|owner| owner.keys().contains(&name)).map(|owner| owner.name()).collect();
        let label = match owners.as_slice() {
            [first, second, _, rest @ ..] => {
                format!("belongs to `{first}`, `{second}` and {} more", rest.len() + 1)
            }
            few => format!("belongs to {}", suggest::quoted(few)),
        };
        let message = format!("`{name}` does not go with do = \"{what}\"");
        reader.problems.push(Problem::new("misplaced-key", message, help).at(key.span(), label));
    }
}

fn kind(value: &DeValue) -> Result<Kind, Refusal> {
    let text = value::formed_text(value, "must be a kind of fault", LISTING)?;
    Kind::from_name(&text).ok_or_else(|| {
        let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        let help = suggest::guess_then(suggest::nearest(&text, &names), LISTING);
        Refusal::new("wrong-value", format!("cannot be `{text}`"), "no such kind of fault", help)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The catalogue says which keys each kind takes, and the section says which keys exist: both must know the same
    /// keys.
    #[test]
    fn the_keys_of_the_section_are_those_of_the_catalogue() {
        let of_kinds = Kind::ALL.iter().flat_map(|kind| kind.keys());
        let expected: BTreeSet<_> = of_kinds.chain(FAULT.iter().copied()).collect();
        assert_eq!(keys("[[fault]]").iter().copied().collect::<BTreeSet<_>>(), expected);
    }
}
