//! The trace of a run: every event in order, and a hash over all of it.
//!
//! Two runs of one plan give the same hash, in any thread, process and build. The hash covers every field of every
//! event, the digest of the network (each frame's time, length and, for records, content), and the names and contents
//! of what the sinks write. For checkpoint files and control frames it covers only names, times and lengths, because
//! RocksDB writes other bytes in every run, and acknowledgements contain hashes of these.

use flowquake_engine::codec::encode;
use flowquake_engine::event::{Event, EventRecord};
use xxhash_rust::xxh3::Xxh3;

/// Events in the order of time.
#[derive(Default)]
pub struct Trace {
    /// The events.
    pub events: Vec<EventRecord>,
    hasher: Xxh3,
    scratch: Vec<u8>,
}

impl Trace {
    /// Adds an event.
    pub fn push(&mut self, record: EventRecord) {
        self.scratch.clear();
        match &record.event {
            Event::CheckpointDamaged { checkpoint, file, .. } => {
                encode(&(record.at, &record.node, record.incarnation, checkpoint, file), &mut self.scratch);
            }
            _ => encode(&record, &mut self.scratch),
        }
        self.hasher.update(&self.scratch);
        self.events.push(record);
    }

    /// Adds something to the hash that is not an event but belongs to the run.
    pub fn mix(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// The hash so far.
    pub fn hash(&self) -> u64 {
        self.hasher.digest()
    }
}

/// The first difference of two traces, with the events around it; `None` if they are equal.
pub fn first_difference(one: &[EventRecord], other: &[EventRecord]) -> Option<String> {
    let at = (0..one.len().max(other.len())).find(|at| one.get(*at) != other.get(*at))?;
    let mut text = format!("event {at} differs:\n");
    for record in &one[at.saturating_sub(3)..at] {
        text.push_str(&format!("    both    {}\n", record));
    }
    for (name, trace) in [("first", one), ("second", other)] {
        for record in trace.iter().skip(at).take(2) {
            text.push_str(&format!("  > {name:<7} {}\n", record));
        }
        if trace.len() <= at {
            text.push_str(&format!("  > {name:<7} has ended\n"));
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use flowquake_engine::event::AbortReason;
    use flowquake_engine::ids::{Attempt, CheckpointId};
    use serde_json::{Value, json};

    use super::*;
    use crate::fixtures::{at, subtask};

    fn hash(events: &[EventRecord]) -> u64 {
        let mut trace = Trace::default();
        events.iter().for_each(|record| trace.push(record.clone()));
        trace.hash()
    }

    /// `value` with one leaf changed, for each of its leaves except the names of events.
    fn variations(value: &Value) -> Vec<Value> {
        match value {
            Value::Object(fields) => {
                let mut all = Vec::new();
                for (name, field) in fields.iter().filter(|(name, field)| *name != "event" || field.is_object()) {
                    for changed in variations(field) {
                        let mut fields = fields.clone();
                        fields.insert(name.clone(), changed);
                        all.push(Value::Object(fields));
                    }
                }
                all
            }
            Value::Number(number) => vec![json!(number.as_u64().unwrap() + 1)],
            Value::Bool(flag) => vec![json!(!flag)],
            Value::Null => vec![json!(7)],
            // The only text that is also a variant of an enum.
            _ => vec![json!("Expired")],
        }
    }

    #[test]
    fn the_hash_changes_with_every_field_of_an_event() {
        let (attempt, checkpoint, subtask) = (Attempt(1), CheckpointId(3), subtask(1, 2));
        let events = [
            (4, Event::TaskManagerRegistered { task_manager: "tm-1".into(), slots: 2 }),
            (5, Event::DeploymentBegun { attempt, restored: Some(checkpoint), state_bytes: 9 }),
            (4, Event::FellBack { from: checkpoint, to: None }),
            (6, Event::TaskFailed { attempt, subtask, in_program: false, cause: "lost".into() }),
            (5, Event::CheckpointTriggered { attempt, checkpoint, last: false }),
            (5, Event::CheckpointAborted { attempt, checkpoint, reason: AbortReason::Declined }),
            (8, Event::StateUploaded { attempt, checkpoint, subtask, path: "chk-3/a".into(), bytes: 5 }),
            (8, Event::BarrierReceived { attempt, checkpoint, subtask, from: subtask }),
        ];
        for (leaves_min, event) in events {
            let record = at(10, "jm-1", event);
            let all = variations(&serde_json::to_value(&record).unwrap());
            assert!(all.len() > leaves_min, "{record}: {all:?}");
            for changed in all {
                let changed: EventRecord = serde_json::from_value(changed).unwrap();
                let hashes = [&record, &changed].map(|record| hash(std::slice::from_ref(record)));
                assert_ne!(hashes[0], hashes[1], "{record} and {changed}");
            }
        }
    }

    #[test]
    fn the_hash_changes_with_the_event_itself_and_with_the_order() {
        let one = at(10, "jm-1", Event::JobRunning { attempt: Attempt(1) });
        let other = at(10, "jm-1", Event::JobFinished { attempt: Attempt(1) });
        assert_ne!(hash(std::slice::from_ref(&one)), hash(std::slice::from_ref(&other)));
        assert_ne!(hash(&[one.clone(), other.clone()]), hash(&[other, one]));
    }

    #[test]
    fn the_hash_ignores_what_a_damaged_file_contains() {
        let damaged = |checkpoint, file: &str, found: &str| {
            let (checkpoint, expected) = (CheckpointId(checkpoint), format!("not {found}"));
            let event = Event::CheckpointDamaged { checkpoint, file: file.into(), expected, found: found.into() };
            hash(&[at(10, "jm-1", event)])
        };
        let base = damaged(3, "a", "12 bytes, xxh3 00ff");
        assert_eq!(damaged(3, "a", "12 bytes, xxh3 ff00"), base);
        assert_ne!(damaged(4, "a", "12 bytes, xxh3 00ff"), base);
        assert_ne!(damaged(3, "b", "12 bytes, xxh3 00ff"), base);
    }

    #[test]
    fn the_hash_covers_what_is_mixed_in() {
        let mut trace = Trace::default();
        let empty = trace.hash();
        trace.mix(b"part-1-0");
        assert_ne!(trace.hash(), empty);
    }

    #[test]
    fn the_first_difference_shows_the_event_on_both_sides_and_what_came_before() {
        let running = |time| at(time, "jm-1", Event::JobRunning { attempt: Attempt(1) });
        let one = [running(1), running(2), at(3, "jm-1", Event::JobFinished { attempt: Attempt(1) })];
        let other = [running(1), running(2), running(4)];
        assert_eq!(first_difference(&one, &one), None);
        let expected = "event 2 differs:
    both         0.001000s jm-1.1  job-running { attempt: 1 }
    both         0.002000s jm-1.1  job-running { attempt: 1 }
  > first        0.003000s jm-1.1  job-finished { attempt: 1 }
  > second       0.004000s jm-1.1  job-running { attempt: 1 }
";
        assert_eq!(first_difference(&one, &other).unwrap(), expected);
        let shorter = first_difference(&one, &one[..2]).unwrap();
        assert!(shorter.starts_with("event 2 differs:\n") && shorter.ends_with("  > second  has ended\n"), "{shorter}");
    }
}
