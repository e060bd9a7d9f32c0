//! The JSON schema of scenario files has the same keys as the reader, and judges values as the reader does.

use std::collections::BTreeSet;

use flowquake_engine::config::RestartStrategy;
use jsonschema::Validator;
use serde_json::Value;

use super::*;
use crate::faults::Kind;
use crate::jobs::Jobs;
use crate::scenario::read::SECTIONS;
use crate::scenario::read::forms::{form, of_param};
use crate::scenario::schema::schema;

fn validator(catalogue: &JobCatalogue) -> Validator {
    jsonschema::draft7::new(&schema(catalogue)).expect("the schema is a schema")
}

fn json(text: &str) -> Value {
    toml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// What the reader says about the form of `text`, without the rules.
fn read(text: &str) -> Vec<String> {
    let (root, errors) = DeTable::parse_recoverable(text);
    assert!(errors.is_empty(), "{errors:?}\n{text}");
    let mut reader = Reader::new(&SECTIONS);
    read_scenario(&mut reader, root.get_ref(), Path::new("broken.toml"), &catalogue());
    reader.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn every_scenario_that_ships_is_valid() {
    let catalogue = crate::cli::catalogue(&Jobs::builtin());
    let validator = validator(&catalogue);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let files = discover(&[folder]).unwrap();
    assert!(files.len() > 150, "{}", files.len());
    for file in files {
        let value = json(&std::fs::read_to_string(&file).unwrap());
        let errors: Vec<String> =
            validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path)).collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", file.display());
    }
}

#[test]
fn every_key_that_the_reader_knows_has_a_form() {
    let schema = schema(&catalogue());
    for (section, keys) in SECTIONS.iter() {
        let properties = match *section {
            "the top level" => &schema["properties"],
            section => &schema["definitions"][section.trim_matches(['[', ']'])]["properties"],
        };
        let known: BTreeSet<&str> = properties.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(known, keys.iter().copied().collect(), "{section}");
        for key in keys {
            let params = Kind::ALL.iter().flat_map(|kind| kind.spec().params);
            let mut params = params.filter(|param| *section == "[[fault]]" && param.name == *key).peekable();
            let of_kind = params.peek().is_some() && params.all(|param| of_param(param).is_some());
            let known = form(section, key).is_some() || of_kind;
            assert!(known, "`{key}` of {section}: add its form to read/forms.rs");
        }
    }
}

/// Values of every form, and values that have no valid form.
const SAMPLES: &[&str] = &[
    "true",
    "0",
    "3",
    "-1",
    "1.5",
    "0.5",
    "1",
    "0.999",
    "1000",
    "1001",
    "65535",
    "65536",
    "1000000",
    "1000000.001",
    "1000001",
    "1000000000",
    "1000000001",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "\"\"",
    "\"  \"",
    "\"3\"",
    "\"x\"",
    "\"A b\"",
    "\"5s\"",
    "\"1m 30s\"",
    "\"5 s\"",
    "\"5\"",
    "\"-5s\"",
    "\"5sec\"",
    "\"1s..2s\"",
    "\"1s..x\"",
    "\"64KiB\"",
    "\"1.5MB\"",
    "\"1MB/s\"",
    "\"1Gbit/s\"",
    "\"50ms/s\"",
    "\"-50ms/s\"",
    "\"2000/s\"",
    "\"0.5/s\"",
    "\"unlimited\"",
    "\"< 5s\"",
    "\"<5s\"",
    "\"> 5s\"",
    "\"within 5%\"",
    "\"within 0%\"",
    "\"within 100%\"",
    "\"within 100.1%\"",
    "\"within5 % \"",
    "\"5%\"",
    "\"0%\"",
    "\"0.0%\"",
    "\"0.1%\"",
    "\"0.05%\"",
    "\"+5%\"",
    "\"05.50 %\"",
    "\"5.%\"",
    "\"5.55%\"",
    "\"99.9%\"",
    "\"100.0%\"",
    "\"100.1%\"",
    "\"1000%\"",
    "\"finished\"",
    "\"failed(x)\"",
    "\"finished-or-failed(x)\"",
    "\"exactly-once\"",
    "\"spaced\"",
    "\"fs\"",
    "\"kill\"",
    "\"cut\"",
    "\"network\"",
    "\"kept\"",
    "\"output\"",
    "\"swap\"",
    "\"delete\"",
    "\"state\"",
    "\"trigger\"",
    "\"tm-1\"",
    "\"emitter\"",
    "\"tm-1 - tm-2\"",
    "\"tm-1 -> tm-2\"",
    "\"tm-1,tm-2 - tm-3\"",
    "\"tm-1,tm-2 -> tm-3\"",
    "\"tm-1 | leader\"",
    "[]",
    "[\"kill\"]",
    "[\"tm-1\", \"tm-2\"]",
    "[1, 2]",
    "[1, 2, 3]",
    "[\"1s\", \"2s\", \"3s\"]",
    "[\"1s\"]",
    "[\"1MB\"]",
    "[\"fs\", \"memory\"]",
    "[0.5]",
    "{}",
    "1979-05-27",
    "\"words\"",
    "\"string-length-count\"",
    "\"job-running\"",
    "{ checkpoint = 3 }",
    "{ nonsense = 3 }",
    "{ event = \"job-running\" }",
    "{ generator = \"words\", records = 1 }",
    "{ file = \"x\" }",
];

/// Keys whose values the reader also looks up or checks against a range, so that a value of the right form may still be
/// refused.
const LOOKED_UP: &[&str] = &["name", "cost_profile", "moving"];
/// Keys whose values are names that the rules know and the reader does not. The schema lists these names.
const LISTED: &[&str] = &["name", "generator", "event", "after", "node", "target", "targets", "link", "params"];

/// Gives reader and schema a text in which `key` has each of the samples in turn, and returns where they differ.
fn differences(validator: &Validator, section: &str, key: &str, text: impl Fn(&str) -> String) -> Vec<String> {
    let mut differences = Vec::new();
    for sample in SAMPLES {
        let text = text(sample);
        let (problems, valid) = (read(&text), validator.is_valid(&json(&text)));
        let excused = if valid { LOOKED_UP.contains(&key) } else { LISTED.contains(&key) };
        if problems.is_empty() != valid && !excused {
            differences.push(format!("{key} = {sample} of {section}: schema {valid}, reader {problems:?}"));
        }
    }
    differences
}

/// The ends of all ranges in a schema, each with the neighbouring value outside.
fn corners(schema: &Value, found: &mut BTreeSet<(i64, i64)>) {
    match schema {
        Value::Object(parts) => {
            for (key, part) in parts {
                // From the last value that is accepted to the first that is not.
                let (inside, outside) = match (key.as_str(), part.as_i64()) {
                    ("minimum", Some(end)) => (end, end.saturating_sub(1)),
                    ("maximum", Some(end)) => (end, end.saturating_add(1)),
                    ("exclusiveMinimum" | "exclusiveMaximum", Some(end)) => (end, end),
                    _ => {
                        corners(part, found);
                        continue;
                    }
                };
                found.insert((inside, outside));
            }
        }
        Value::Array(parts) => parts.iter().for_each(|part| corners(part, found)),
        _ => {}
    }
}

#[test]
fn the_ends_of_every_range_are_among_the_samples() {
    let mut found = BTreeSet::new();
    corners(&schema(&catalogue()), &mut found);
    assert!(found.len() > 5, "{found:?}");
    for number in found.iter().flat_map(|(inside, outside)| [inside, outside]) {
        assert!(SAMPLES.contains(&number.to_string().as_str()), "add {number} to SAMPLES: {found:?}");
    }
}

#[test]
fn reader_and_schema_agree_on_the_value_of_every_key() {
    let validator = validator(&catalogue());
    let head = "name = \"broken\"\nwhy = \"asks both\"\n";
    let job = "[job]\nname = \"string-length-count\"\ninput = { generator = \"words\", records = 20_000 }\n";
    let mut found = Vec::new();
    for (section, keys) in SECTIONS.iter() {
        for key in keys {
            let text = |value: &str| match (*section, *key) {
                // These are text, or tables of their own whose keys are tested below.
                ("the top level", "name") => format!("name = {value}\nwhy = \"x\"\n{job}"),
                ("the top level", "why") => format!("name = \"broken\"\nwhy = {value}\n{job}"),
                ("the top level", "job") => format!("{head}job = {value}\n"),
                ("the top level", key) => format!("{head}{key} = {value}\n{job}"),
                ("[job]", "input") => format!("{head}[job]\nname = \"string-length-count\"\ninput = {value}\n"),
                ("[job]", "name") => {
                    format!("{head}[job]\nname = {value}\ninput = {{ generator = \"words\", records = 1 }}\n")
                }
                ("[job]", key) => format!("{head}{job}{key} = {value}\n"),
                ("input", "generator") => format!(
                    "{head}[job]\nname = \"string-length-count\"\ninput = {{ generator = {value}, records = 1 }}\n"
                ),
                ("input", "records") => format!(
                    "{head}[job]\nname = \"string-length-count\"\ninput = {{ generator = \"words\", records = {value} }}\n"
                ),
                ("input", "file") => {
                    format!("{head}[job]\nname = \"string-length-count\"\ninput = {{ file = {value} }}\n")
                }
                ("input", key) => format!(
                    "{head}[job]\nname = \"string-length-count\"\ninput = {{ file = \"x\", {key} = {value} }}\n"
                ),
                ("on", "event") => {
                    format!("{head}{job}[[fault]]\non = {{ event = {value} }}\ndo = \"rival-leader\"\nby = \"5s\"\n")
                }
                (section @ ("on" | "each"), key) => {
                    let event = if section == "on" { "event = \"job-running\", " } else { "" };
                    format!(
                        "{head}{job}[[fault]]\n{section} = {{ {event}{key} = {value} }}\ndo = \"rival-leader\"\nby = \"5s\"\n"
                    )
                }
                ("file", key) => format!(
                    "{head}{job}[[fault]]\nat = \"1s\"\ndo = \"damage\"\nhow = \"swap\"\nfile = {{ {key} = {value} }}\n"
                ),
                ("[swarm]", "until") => format!("{head}{job}[swarm]\nuntil = {value}\n"),
                ("[swarm]", key) => format!("{head}{job}[swarm]\nuntil = \"5s\"\n{key} = {value}\n"),
                ("[[fault]]", key @ ("at" | "on" | "each")) => {
                    format!("{head}{job}[[fault]]\n{key} = {value}\ndo = \"rival-leader\"\nby = \"5s\"\n")
                }
                ("[[fault]]", "every") => {
                    format!(
                        "{head}{job}[[fault]]\nat = \"1s\"\nevery = {value}\nrepeat = 3\ndo = \"rival-leader\"\nby = \"5s\"\n"
                    )
                }
                ("[[fault]]", "do") => format!("{head}{job}[[fault]]\nat = \"1s\"\ndo = {value}\n"),
                // Tested for each kind of fault below.
                ("[[fault]]", key) if form(section, key).is_none() => format!("{head}{job}"),
                ("[[fault]]", key) => {
                    format!("{head}{job}[[fault]]\nat = \"1s\"\n{key} = {value}\ndo = \"rival-leader\"\nby = \"5s\"\n")
                }
                ("[engine]", key) if RestartStrategy::owners(key).is_some() => {
                    let owner = RestartStrategy::owners(key).unwrap()[0];
                    format!("{head}{job}[engine]\nrestart_strategy = \"{owner}\"\n{key} = {value}\n")
                }
                (section, key) => format!("{head}{job}{section}\n{key} = {value}\n"),
            };
            found.extend(differences(&validator, section, key, text));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// A key that does not belong to the kind is reported, too (READ-R1).
#[test]
fn reader_and_schema_agree_on_the_keys_of_every_kind_of_fault() {
    let validator = validator(&catalogue());
    // For each key of each kind, a value that both accept.
    let sound = |param: &crate::faults::Param| {
        let form = format!("{:?}", of_param(param).unwrap());
        let value = match form.as_str() {
            "Node" => "\"tm-1\"",
            "Duration" => "\"5s\"",
            "DurationRange" => "\"1s..2s\"",
            "Bandwidth" => "\"1MB/s\"",
            "Drift" => "\"50ms/s\"",
            form if form.starts_with("Whole") => "3",
            form if form.starts_with("Link") => {
                if form.contains("arrow: true") {
                    "\"tm-1 -> tm-2\""
                } else {
                    "\"tm-1 - tm-2\""
                }
            }
            form if form.contains("flip-byte") => "\"delete\"",
            form if form.contains("heartbeat") => "\"trigger\"",
            other => panic!("{other} of {}", param.name),
        };
        format!("{} = {value}\n", param.name)
    };
    let mut found = Vec::new();
    for kind in Kind::ALL {
        let spec = kind.spec();
        let required: Vec<_> = spec.params.iter().filter(|param| !param.optional).collect();
        let with_targets = spec.params.iter().any(|param| param.name == "targets");
        let fault = |left_out: &str, more: &str| {
            let mut text = format!("{HEAD}{JOB}[[fault]]\nat = \"1s\"\ndo = \"{}\"\n", spec.name);
            text.extend(required.iter().filter(|param| param.name != left_out).map(|param| sound(param)));
            if with_targets && !left_out.starts_with("target") {
                text.push_str("target = \"tm-1\"\n");
            }
            text + more
        };
        let judged = |text: &str| (read(text), validator.is_valid(&json(text)));
        assert_eq!(judged(&fault("", "")), (vec![], true), "{}", spec.name);
        for param in spec.params {
            let left_out = if with_targets && param.name == "targets" { "target" } else { param.name };
            let text = |value: &str| fault(left_out, &format!("{} = {value}\n", param.name));
            found.extend(differences(&validator, spec.name, param.name, text));
        }
        for param in &required {
            let (problems, valid) = judged(&fault(param.name, ""));
            assert!(!problems.is_empty() && !valid, "{} of {} is required", param.name, spec.name);
        }
        for other in SECTIONS.iter().find(|(section, _)| *section == "[[fault]]").unwrap().1.iter() {
            if !spec.params.iter().any(|param| param.name == *other) && form("[[fault]]", other).is_none() {
                let (problems, valid) = judged(&fault("", &format!("{other} = 3\n")));
                assert!(!problems.is_empty() && !valid, "{other} does not go with {}", spec.name);
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn reader_and_schema_agree_on_what_must_be_there() {
    let validator = validator(&catalogue());
    let head = "name = \"broken\"\nwhy = \"asks both\"\n";
    let job = "[job]\nname = \"string-length-count\"\ninput = { generator = \"words\", records = 20_000 }\n";
    let fault = "[[fault]]\nat = \"1s\"\ndo = \"rival-leader\"\nby = \"5s\"\n";
    for (text, sound) in [
        (format!("{head}{job}"), true),
        (format!("{head}{job}{fault}"), true),
        (format!("{head}{job}[swarm]\nuntil = \"5s\"\n"), true),
        (head.to_owned(), false),
        (job.to_owned(), false),
        (format!("{head}{job}[swarm]\n"), false),
        (format!("{head}{job}[swarm]\nuntil = \"5s\"\n{fault}"), false),
        (format!("{head}{job}{}", fault.replace("at = \"1s\"\n", "")), false),
        (format!("{head}{job}{fault}each = {{}}\n"), false),
        (format!("{head}{job}{fault}every = \"1s\"\n"), false),
        (format!("{head}{job}{}", fault.replace("do = \"rival-leader\"\n", "")), false),
        (format!("{head}{job}[[fault]]\non = {{}}\ndo = \"rival-leader\"\nby = \"5s\"\n"), false),
        (format!("{head}{job}parallelsm = 3\n"), false),
        (format!("{head}[job]\nname = \"string-length-count\"\ninput = {{ generator = \"words\" }}\n"), false),
        (format!("{head}[job]\nname = \"string-length-count\"\ninput = {{ file = \"x\", records = 3 }}\n"), false),
        (format!("{head}[job]\nname = \"string-length-count\"\ninput = {{ records = 3 }}\n"), false),
    ] {
        let (problems, valid) = (read(&text), validator.is_valid(&json(&text)));
        assert_eq!((problems.is_empty(), valid), (sound, sound), "{problems:?}\n{text}");
    }
}
