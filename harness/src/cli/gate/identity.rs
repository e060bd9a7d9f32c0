//! What identifies a run: hashes of plans and of cost profiles.
//!
//! Start at [`of_plan`]. What is hashed is JSON in a canonical form: keys are sorted, and empty values are left out. So
//! a new setting in the format changes no hash of a scenario that does not use it.

use serde::Serialize;
use serde_json::Value;
use xxhash_rust::xxh3::Xxh3;

use crate::plan::{InputSource, RunPlan};
use crate::profile::Profile;

/// Hash of everything that decides the run and its verdict, without descriptions and without the paths of its files.
pub(super) fn of_plan(plan: &RunPlan) -> String {
    let mut plan = RunPlan { file: String::new(), why: String::new(), options: Vec::new(), ..plan.clone() };
    plan.prediction = None;
    if let InputSource::File { path, .. } = &mut plan.job.input.source {
        // The name is passed to the engine, and the content is what it reads. If the file is unreadable, the run
        // crashes with a better message.
        let contents = std::fs::read(&*path).map(|bytes| of_bytes(&bytes)).unwrap_or_default();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        *path = format!("{name} {contents}").into();
    }
    of(&plan)
}

/// Hash of everything that a cost profile sets, without its description and without how it was measured.
pub(super) fn of_profile(profile: &Profile) -> String {
    of(&Profile { why: String::new(), measured: None, ..profile.clone() })
}

fn of(value: &impl Serialize) -> String {
    // Plans and rates are plain data, which is written to JSON elsewhere, too.
    let value = serde_json::to_value(value).expect("plain data is always JSON");
    let mut text = String::new();
    canonical(&value, &mut text);
    of_bytes(text.as_bytes())
}

fn of_bytes(bytes: &[u8]) -> String {
    let mut hash = Xxh3::new();
    hash.update(bytes);
    format!("{:016x}", hash.digest())
}

fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().filter(|(_, value)| !is_empty(value)).collect();
            members.sort_by_key(|(key, _)| *key);
            text.push('{');
            for (key, value) in members {
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                canonical(value, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(values) => {
            text.push('[');
            for value in values {
                canonical(value, text);
                text.push(',');
            }
            text.push(']');
        }
        plain => text.push_str(&plain.to_string()),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile;
    use serde_json::json;

    #[test]
    fn order_and_emptiness_do_not_matter_and_values_do() {
        let hash = of(&json!({ "a": 1, "b": [true, null], "c": {} }));
        assert_eq!(of(&json!({ "b": [true, null], "a": 1, "new": null })), hash);
        for other in [json!({ "a": 2, "b": [true, null] }), json!({ "a": 1, "b": [true] }), json!({ "a": 1 })] {
            assert_ne!(of(&other), hash, "{other}");
        }
    }

    #[test]
    fn words_and_places_of_a_plan_do_not_matter() {
        let plan = crate::fixtures::plan();
        let moved = RunPlan { file: "elsewhere.toml".into(), why: "for another reason".into(), ..plan.clone() };
        assert_eq!(of_plan(&moved), of_plan(&plan));
        assert_ne!(of_plan(&RunPlan { seed: plan.seed + 1, ..plan.clone() }), of_plan(&plan));
    }

    #[test]
    fn every_shipped_cost_profile_has_a_hash_of_its_own() {
        let shipped = |name| Profile::find(name, std::path::Path::new("")).expect("shipped");
        let hashes: std::collections::BTreeSet<_> = profile::names().map(|name| of_profile(&shipped(name))).collect();
        assert_eq!(hashes.len(), profile::names().count());
        let mut other = shipped("native");
        other.why = "the same in other words".into();
        assert_eq!(of_profile(&other), of_profile(&shipped("native")));
        other.store.write_throughput += 1;
        assert_ne!(of_profile(&other), of_profile(&shipped("native")), "a store is part of a calibration");
    }
}
