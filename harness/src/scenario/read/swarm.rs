//! `[swarm]`: how many faults of which kinds are drawn from the seed, and within which budgets.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use toml::de::DeValue;

use super::{Reader, Table};
use crate::faults::{Family, Kind};
use crate::reader::{Problem, Refusal, suggest, value};
use crate::swarm::Swarm;

/// Reads `[swarm]`. What the job keeps, and which settings are written, is filled in after the whole file was read.
pub(in crate::scenario) fn swarm(reader: &mut Reader, table: &Table, top: &Table) -> Swarm {
    if let Some(span) = top.key_span("fault") {
        let help = "keep one of them: faults are either scripted or drawn from the seed";
        let problem = Problem::new("two-sources", "both [swarm] and [[fault]] are given", help);
        reader.refuse("faults", problem.at(span, "scripted").at(table.at.clone(), "drawn"));
    }
    let given = Some(table);
    let show = |(low, high): &(Duration, Duration)| crate::units::format_duration_range((*low, *high));
    let heal_after = (Duration::from_millis(50), Duration::from_secs(3));
    let help = "write by when faults strike: until = \"10s\"; leave the job some input after that";
    Swarm {
        faults: reader
            .or_default(given, "faults", "swarm.faults", count, (1, 6), |(low, high)| format!("{low} to {high}")),
        kinds: reader.or_default(given, "kinds", "swarm.kinds", kinds, all(), |_| "all that apply".to_owned()),
        until: reader.required(table, "until", "swarm.until", help, value::duration).unwrap_or_default(),
        heal_after: reader.or_default(given, "heal_after", "swarm.heal_after", value::duration_range, heal_after, show),
        nodes_down: reader.read(table, "nodes_down", "swarm.nodes_down", value::whole_u32),
        records: reader.read(table, "records", "swarm.records", records),
        vary: reader.or_default(given, "vary", "swarm.vary", value::boolean, false, bool::to_string),
        params: reader.read(table, "params", "swarm.params", params).unwrap_or_default(),
        min_hurt: reader.read(table, "min_hurt", "swarm.min_hurt", floors).unwrap_or_default(),
        written: BTreeSet::new(),
        vertices: 0,
        keyed: false,
    }
}

fn all() -> BTreeSet<&'static str> {
    Kind::ALL.iter().map(|kind| kind.name()).collect()
}

/// Lists of values by the name of a parameter.
fn params(value: &DeValue) -> Result<BTreeMap<String, Vec<String>>, Refusal> {
    let wrong = |label: String| {
        let help = "write {key} = { name = [1, 100] }, with the values to draw from".to_owned();
        Refusal::new("wrong-type", "must be a table of parameters and lists of values", label, help)
    };
    let DeValue::Table(entries) = value else { return Err(wrong(format!("this is {}", value::describe(value)))) };
    let mut params = BTreeMap::new();
    for (name, list) in entries {
        let DeValue::Array(list) = list.get_ref() else {
            return Err(wrong(format!("`{}` is {}", name.get_ref(), value::describe(list.get_ref()))));
        };
        let values: Vec<String> = list.iter().map(|item| value::parameter(item.get_ref())).collect::<Result<_, _>>()?;
        if values.is_empty() {
            return Err(wrong(format!("`{}` names no values", name.get_ref())));
        }
        params.insert(name.get_ref().to_string(), values);
    }
    Ok(params)
}

/// Numbers by the name of a kind of fault.
fn floors(value: &DeValue) -> Result<BTreeMap<&'static str, u64>, Refusal> {
    let DeValue::Table(entries) = value else {
        let help = "write {key} = { kill = 20 }, with how many faults of a kind must hurt something in 1,000 runs";
        let label = format!("this is {}", value::describe(value));
        return Err(Refusal::new(
            "wrong-type",
            "must be a table of kinds of faults and numbers",
            label,
            help.to_owned(),
        ));
    };
    let mut floors = BTreeMap::new();
    for (name, number) in entries {
        let name = name.get_ref().as_ref();
        let Some(kind) = Kind::ALL.iter().find(|kind| kind.name() == name) else {
            let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
            let rest = "kinds of faults are listed by `flowquake list faults`";
            let help = suggest::guess_then(suggest::nearest(name, &names), rest);
            let message = format!("has `{name}`, which is no kind of fault");
            return Err(Refusal::new("unknown-fault", message, "not a kind of fault", help));
        };
        floors.insert(kind.name(), value::whole_u64(number.get_ref())?);
    }
    Ok(floors)
}

/// `3` or `[1, 6]`.
fn count(value: &DeValue) -> Result<(u32, u32), Refusal> {
    let wrong = |label: &str| {
        let help = "write {key} = 3, or the least and the greatest number: {key} = [1, 6]".to_owned();
        Refusal::new("wrong-type", "must be a number or a pair of numbers", label, help)
    };
    match value {
        DeValue::Integer(_) => value::whole_u32(value).map(|number| (number, number)),
        DeValue::Array(list) => match list.iter().map(|item| value::whole_u32(item.get_ref())).collect::<Vec<_>>() {
            mut pair if pair.len() == 2 => {
                let (high, low) = (pair.pop(), pair.pop());
                match (low, high) {
                    (Some(Ok(low)), Some(Ok(high))) => Ok((low, high)),
                    (Some(Err(refusal)), _) | (_, Some(Err(refusal))) => Err(refusal),
                    _ => Err(wrong("not a pair")),
                }
            }
            _ => Err(wrong("not a pair")),
        },
        other => Err(wrong(&format!("this is {}", value::describe(other)))),
    }
}

/// `[1_000, 5_000]`.
fn records(value: &DeValue) -> Result<(u64, u64), Refusal> {
    let wrong = |label: String| {
        let help = "write the least and the greatest number of records: {key} = [1_000, 5_000]".to_owned();
        Refusal::new("wrong-type", "must be a pair of numbers", label, help)
    };
    let DeValue::Array(list) = value else { return Err(wrong(format!("this is {}", value::describe(value)))) };
    let ends: Vec<u64> = list.iter().map(|item| value::whole_u64(item.get_ref())).collect::<Result<_, _>>()?;
    match ends[..] {
        [low, high] => Ok((low, high)),
        _ => Err(wrong(format!("these are {}", ends.len()))),
    }
}

/// Names of kinds, and of families, which stand for all their kinds.
fn kinds(value: &DeValue) -> Result<BTreeSet<&'static str>, Refusal> {
    let families = Family::ALL.map(Family::name);
    let names: Vec<&str> = families.into_iter().chain(Kind::ALL.iter().map(|kind| kind.name())).collect();
    let families = suggest::quoted(&families);
    let DeValue::Array(list) = value else {
        let help = format!("write {{key}} = [\"kill\", \"network\"], with kinds of faults or families: {families}");
        let label = format!("this is {}", value::describe(value));
        return Err(Refusal::new("wrong-type", "must be a list of words", label, help));
    };
    let mut kinds = BTreeSet::new();
    for item in list.iter() {
        let word = value::text(item.get_ref())?;
        let before = kinds.len();
        let named = Kind::ALL.iter().filter(|kind| kind.name() == word || kind.spec().family.name() == word);
        kinds.extend(named.map(|kind| kind.name()));
        if kinds.len() == before && !names.contains(&word.as_str()) {
            let rest = format!("kinds of faults are listed by `flowquake list faults`; their families are {families}");
            let help = suggest::guess_then(suggest::nearest(&word, &names), &rest);
            let message = format!("has `{word}`, which is no kind of fault and no family of them");
            return Err(Refusal::new("unknown-fault", message, "not a kind of fault", help));
        }
    }
    Ok(kinds)
}
