//! When a fault strikes: `at` a time, `every` so often, `on` an event, at `each` kind of event.

use std::time::Duration;

use crate::plan::{EventTrigger, Trigger};
use crate::reader::Problem;
use crate::scenario::read::{Reader, Table, value};

/// Reads the trigger; `path` is the path of the fault.
pub(super) fn trigger(reader: &mut Reader, table: &Table, path: &str) -> Option<Trigger> {
    let path = format!("{path}.trigger");
    let given: Vec<&str> = ["on", "each", "at"].into_iter().filter(|key| table.get(key).is_some()).collect();
    match given.as_slice() {
        ["on"] => filters(reader, table, "on", &path).map(Trigger::On),
        ["each"] => filters(reader, table, "each", &path).map(Trigger::Each),
        [_] => at(reader, table, &path),
        [] => {
            let help = "say when it strikes: on = { event = \"checkpoint-completed\" } or at = \"2.5s\"";
            reader.missing(table, &["on", "at"], &path, help);
            None
        }
        [one, other, ..] => {
            let help = "keep one of them: a fault strikes at an event, at each kind of event, or at a time";
            let mut problem = Problem::new("two-triggers", format!("both `{one}` and `{other}` are given"), help);
            for key in [one, other] {
                let label = if *key == "at" { "or at this time" } else { "at this event" };
                problem = problem.at(table.get(key).map_or(0..0, |value| value.span()), label);
            }
            reader.refuse(&path, problem);
            None
        }
    }
}

/// How often the fault strikes. A fault by the clock must say how often, because time does not end by itself.
pub(super) fn repeat(reader: &mut Reader, table: &Table, path: &str) -> Option<u32> {
    let path = format!("{path}.repeat");
    if table.get("every").is_some() && table.get("at").is_some() {
        let help = "say how often it strikes in all: repeat = 5";
        return reader.required(table, "repeat", &path, help, value::whole_u32);
    }
    reader.read(table, "repeat", &path, value::whole_u32)
}

fn at(reader: &mut Reader, table: &Table, path: &str) -> Option<Trigger> {
    if table.get("every").is_none() {
        return reader.read(table, "at", &format!("{path}.at"), value::duration).map(Trigger::At);
    }
    let first = reader.read(table, "at", &format!("{path}.every.first"), value::duration);
    let period = reader.read(table, "every", &format!("{path}.every.period"), value::duration);
    // A refused value is tainted by itself; the other one can still be judged.
    Some(Trigger::Every { first: first.unwrap_or(Duration::ZERO), period: period.unwrap_or(Duration::from_secs(1)) })
}

fn filters(reader: &mut Reader, fault: &Table, section: &'static str, path: &str) -> Option<EventTrigger> {
    if let Some(every) = fault.key_span("every") {
        let help = "write repeat = 3 to strike at three matches, or at = \"2s\" to strike by the clock";
        let problem = Problem::new("misplaced-key", format!("`every` goes with `at`, not with `{section}`"), help);
        reader.problems.push(problem.at(every, "belongs to `at`"));
    }
    let path = format!("{path}.{section}");
    let table = reader.table(section, fault.get(section)?, &path)?;
    let at = |key: &str| format!("{path}.{key}");
    let event = match section {
        "on" => {
            let help = "name the event: event = \"checkpoint-completed\"";
            reader.required(&table, "event", &at("event"), help, value::text).unwrap_or_default()
        }
        _ => String::new(),
    };
    Some(EventTrigger {
        event,
        checkpoint: reader.read(&table, "checkpoint", &at("checkpoint"), value::whole_u64),
        vertex: reader.read(&table, "vertex", &at("vertex"), value::whole_u16),
        subtask: reader.read(&table, "subtask", &at("subtask"), value::whole_u16),
        node: reader.read(&table, "node", &at("node"), value::text),
        attempt: reader.read(&table, "attempt", &at("attempt"), value::whole_u32),
        nth: reader.read(&table, "nth", &at("nth"), value::whole_u32).unwrap_or(1),
        after_fault: reader.read(&table, "after_fault", &at("after_fault"), value::whole_u32),
        after: reader.read(&table, "after", &at("after"), value::text),
        not_before: reader.read(&table, "not_before", &at("not_before"), value::duration),
        apart: match section {
            "each" => reader.read(&table, "apart", &at("apart"), value::duration),
            _ => None,
        },
    })
}
