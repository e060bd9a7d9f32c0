//! The JSON schema of scenario files, for editors that complete and check TOML.
//!
//! Start at [`schema`]. Keys come from the reader's sections, forms from [`forms`](super::read::forms), kinds of faults
//! and their keys from the catalogue, names of jobs from the registry, descriptions from the reference. Nothing is
//! listed here a second time, so the schema cannot differ from what is read. The schema covers form only: what depends
//! on several keys, or on files, is judged by the rules.
//!
//! The schema is draft 7, which the TOML extensions of editors understand.

use flowquake_engine::config::{RestartStrategy, Thousandths};
use flowquake_engine::event::Event;
use serde_json::{Map, Value, json};

use super::read::SECTIONS;
use super::read::forms::{Form, form, of_param, roles};
use super::reference;
use crate::checker::JobCatalogue;
use crate::faults::Kind;
use crate::units;

/// The schema of scenarios that name jobs of `catalogue`.
pub fn schema(catalogue: &JobCatalogue) -> Value {
    let mut definitions = Map::new();
    for (section, keys) in SECTIONS.iter().filter(|(section, _)| *section != "the top level") {
        let table = match *section {
            "[[fault]]" => fault(keys, catalogue),
            section => table(section, keys, catalogue),
        };
        definitions.insert(name(section), table);
    }
    let (top, keys) = &SECTIONS[0];
    let mut root = table(top, keys, catalogue);
    root["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    root["title"] = json!("Flowquake scenario");
    root["not"] = json!({ "required": ["swarm", "fault"] });
    root["definitions"] = Value::Object(definitions);
    root
}

/// The table of a section.
fn table(section: &'static str, keys: &[&'static str], catalogue: &JobCatalogue) -> Value {
    let rows: Vec<(&str, Form, bool)> =
        keys.iter().filter_map(|key| form(section, key).map(|(form, required)| (*key, form, required))).collect();
    let mut properties = Map::new();
    for key in keys {
        let known = rows.iter().find(|(name, ..)| name == key);
        let value = known.map_or_else(|| json!({}), |(_, form, _)| of(form, catalogue));
        properties.insert((*key).to_owned(), described(value, reference::meaning(section, key)));
    }
    let required: Vec<&str> = rows.iter().filter(|(.., required)| *required).map(|(key, ..)| *key).collect();
    let mut table = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !required.is_empty() {
        table["required"] = json!(required);
    }
    match section {
        "input" => {
            table["oneOf"] = json!([
                { "required": ["file"], "properties": { "records": false, "generator": false } },
                { "required": ["generator", "records"], "properties": { "repeat": false, "file": false } },
            ]);
        }
        "[engine]" => table["allOf"] = strategies(keys),
        "[job]" => {
            let of_job = |(name, entry): (&String, &super::catalogue::JobEntry)| {
                let params: Map<String, Value> = entry
                    .params
                    .iter()
                    .map(|param| {
                        let meaning = format!("{}. Default: {}", param.meaning, param.default);
                        (
                            param.name.clone(),
                            described(of(&Form::Params, catalogue)["additionalProperties"].clone(), Some(meaning)),
                        )
                    })
                    .collect();
                let params = json!({ "properties": params, "additionalProperties": false });
                when("name", name, json!({ "properties": { "params": params } }))
            };
            table["allOf"] = catalogue.jobs.iter().map(of_job).collect();
        }
        _ => {}
    }
    table
}

/// For each restart strategy, and for none, refuses the settings of the other strategies.
fn strategies(keys: &[&'static str]) -> Value {
    let strangers = |name: &str| {
        let foreign =
            keys.iter().filter(|key| RestartStrategy::owners(key).is_some_and(|owners| !owners.contains(&name)));
        let foreign: Map<String, Value> = foreign.map(|key| ((*key).to_owned(), json!(false))).collect();
        json!({ "properties": foreign })
    };
    let named = RestartStrategy::NAMES.iter().map(|name| when("restart_strategy", name, strangers(name)));
    let default = RestartStrategy::default();
    let unnamed = json!({ "if": { "not": { "required": ["restart_strategy"] } }, "then": strangers(default.name()) });
    named.chain([unnamed]).collect()
}

/// `[[fault]]`: its keys depend on `do`.
fn fault(keys: &[&'static str], catalogue: &JobCatalogue) -> Value {
    let common: Vec<&str> = keys.iter().copied().filter(|key| form("[[fault]]", key).is_some()).collect();
    let mut table = table("[[fault]]", keys, catalogue);
    table["oneOf"] = ["at", "on", "each"].iter().map(|key| json!({ "required": [key] })).collect();
    table["dependencies"] = json!({ "every": ["at", "repeat"] });
    let kinds = Kind::ALL.iter().map(|kind| {
        let spec = kind.spec();
        let mut properties: Map<String, Value> = common.iter().map(|key| ((*key).to_owned(), json!(true))).collect();
        for param in spec.params {
            let form = of_param(param).map_or_else(|| json!({}), |form| of(&form, catalogue));
            properties.insert(param.name.to_owned(), form);
        }
        let required: Vec<&str> = spec.params.iter().filter(|param| !param.optional).map(|param| param.name).collect();
        let mut then = json!({ "properties": properties, "additionalProperties": false, "required": required });
        if spec.params.iter().any(|param| param.name == "targets") {
            then["oneOf"] = json!([{ "required": ["target"] }, { "required": ["targets"] }]);
        }
        when("do", spec.name, then)
    });
    table["allOf"] = kinds.collect();
    let effects: Vec<String> =
        Kind::ALL.iter().map(|kind| format!("{}: {}", kind.name(), kind.spec().effect)).collect();
    table["properties"]["do"]["description"] = json!(effects.join("\n"));
    table
}

/// Requires `then` where `key` has the value `value`.
fn when(key: &str, value: &str, then: Value) -> Value {
    json!({ "if": { "properties": { key: { "const": value } }, "required": [key] }, "then": then })
}

/// The schema of one value.
fn of(form: &Form, catalogue: &JobCatalogue) -> Value {
    let entries = || catalogue.jobs.values();
    let pattern = |pattern: String| json!({ "type": "string", "pattern": pattern });
    match form {
        Form::Text => pattern(r"\S".to_owned()),
        Form::KebabCase => pattern("^[a-z0-9]+(-[a-z0-9]+)*$".to_owned()),
        Form::Boolean => json!({ "type": "boolean" }),
        Form::Whole(most) => of(&Form::Between(0, *most), catalogue),
        Form::Between(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        // Shares are below 1; 1 itself is refused.
        Form::Number(1) => json!({ "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 }),
        Form::Number(most) => json!({ "type": "number", "exclusiveMinimum": 0, "maximum": most }),
        Form::Words(words) => json!({ "enum": words }),
        Form::Job => json!({ "enum": catalogue.names() }),
        Form::Generator => {
            let names: std::collections::BTreeSet<&String> = entries().flat_map(|entry| &entry.generators).collect();
            json!({ "enum": names })
        }
        Form::Event => json!({ "enum": Event::CATALOGUE.iter().map(|(name, _)| *name).collect::<Vec<_>>() }),
        Form::Node => json!({ "anyOf": [{ "enum": roles() }, pattern(format!("^{NAMED}$"))] }),
        Form::Link { sets, arrow } => {
            let node = format!("({}|{NAMED})", roles().join("|"));
            let side = if *sets { format!(r"\s*{node}(\s*,\s*{node})*\s*") } else { format!(r"\s*{node}\s*") };
            pattern(format!("^{side}{}{side}$", if *arrow { "->" } else { r"( - |\|)" }))
        }
        Form::Duration => pattern(format!(r"^\s*{}\s*$", duration())),
        Form::DurationRange => pattern(format!(r"^\s*{0}\s*(\.\.\s*{0}\s*)?$", duration())),
        Form::Spread => pattern(format!(r"^\s*{0}\s*\.\.\s*{0}\s*$", duration())),
        Form::Size => pattern(number(units::SIZES)),
        Form::Bandwidth => pattern(number(units::BANDWIDTHS)),
        Form::Drift => pattern(format!(r"^\s*-?\s*{}\s*/s\s*$", duration())),
        Form::Rate => pattern(number(&[("/s", 1)])),
        Form::Attempts => json!({ "anyOf": [of(&Form::Whole(u32::MAX.into()), catalogue), { "const": "unlimited" }] }),
        Form::Below => pattern(format!(r"^<\s*{}\s*$", duration())),
        Form::Percent => pattern(format!(r"^\s*{SHARE}\s*%\s*$")),
        Form::Within => pattern(format!(r"^\s*within\s*{SHARE}\s*%\s*$")),
        Form::JobEnd => pattern(r"^(finished|failed\(.*\)|finished-or-failed\(.*\))$".to_owned()),
        Form::Params => json!({ "type": "object", "additionalProperties": { "type": ["string", "integer"] } }),
        Form::Choices => {
            let values = json!({ "type": "array", "items": { "type": ["string", "integer"] }, "minItems": 1 });
            json!({ "type": "object", "additionalProperties": values })
        }
        Form::Counts(words) => {
            let number = of(&Form::Whole(i64::MAX as u64), catalogue);
            let numbers: serde_json::Map<String, Value> =
                words.iter().map(|word| ((*word).to_owned(), number.clone())).collect();
            json!({ "type": "object", "properties": numbers, "additionalProperties": false })
        }
        Form::Factor => json!({ "type": "number", "minimum": 0, "maximum": Thousandths::MAX.0 / 1_000 }),
        Form::Table(section) => json!({ "$ref": format!("#/definitions/{}", name(section)) }),
        Form::List(least, item) => json!({ "type": "array", "items": of(item, catalogue), "minItems": least }),
        Form::Pair(item) => {
            json!({ "type": "array", "items": of(item, catalogue), "minItems": 2, "maxItems": 2 })
        }
        Form::Either(forms) => json!({ "anyOf": forms.iter().map(|form| of(form, catalogue)).collect::<Vec<_>>() }),
    }
}

/// A node's name.
const NAMED: &str = "(tm|jm)-[1-9][0-9]*";
/// A number before its unit.
const NUMBER: &str = r"[0-9][0-9_]*(\.[0-9_]+)?";

/// From 0.1 to 100, in steps of 0.1.
const SHARE: &str = r"0*(100(\.0+)?|[1-9][0-9]?(\.[0-9]0*)?|0\.[1-9]0*)";

/// A number with one of these units.
fn number(units: &[(&str, u128)]) -> String {
    format!(r"^\s*{NUMBER}\s*({})\s*$", names(units))
}

/// A duration, or a sum of durations.
fn duration() -> String {
    let one = format!(r"{NUMBER}\s*({})", names(units::TIMES));
    format!(r"{one}(\s+{one})*")
}

fn names(units: &[(&str, u128)]) -> String {
    units.iter().map(|(name, _)| *name).collect::<Vec<_>>().join("|")
}

/// A section's name without its brackets.
fn name(section: &str) -> String {
    section.trim_matches(['[', ']']).to_owned()
}

/// In draft 7 a schema that is a reference ignores keys beside the reference, so the description wraps it.
fn described(schema: Value, meaning: Option<String>) -> Value {
    let Some(meaning) = meaning else { return schema };
    match schema.get("$ref") {
        Some(_) => json!({ "allOf": [schema], "description": meaning }),
        None => {
            let mut schema = schema;
            schema["description"] = json!(meaning);
            schema
        }
    }
}
