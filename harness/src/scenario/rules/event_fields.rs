//! Which fields an event carries, so that a trigger which can never match is refused instead of waiting in vain.
//!
//! The engine's enum is the only source: an event is built by name from a JSON object holding every field that events have
//! (`serde` ignores the superfluous ones), and then asked. An event that cannot be built this way is not judged: a new field
//! in the engine costs a check, never a false alarm.

use flowquake_engine::event::Event;
use serde_json::json;

/// An event of that name with arbitrary values; optional ids are present.
pub(super) fn sample(name: &str) -> Option<Event> {
    let subtask = json!({ "vertex": 0, "index": 0 });
    // Two fields differ in type between events: `from` and `to` are subtasks, nodes or checkpoints.
    let ends = [(subtask.clone(), json!("tm-1")), (json!(1), json!(1))];
    ends.into_iter().find_map(|(from, to)| {
        let object = json!({
            "event": name, "from": from, "to": to, "subtask": subtask,
            "term": 1, "attempt": 1, "checkpoint": 1, "epoch": 1, "restored": 1,
            "task_manager": "tm-1", "peer": "tm-1", "slots": 1, "needed": 1, "offered": 1, "state_bytes": 1, "bytes": 1,
            "cause": "", "path": "", "file": "", "expected": "", "found": "", "reason": "Expired", "last": false,
            "in_program": false,
        });
        serde_json::from_value(object).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_every_shape_can_be_asked() {
        let checkpoint = |name| sample(name).unwrap().checkpoint().is_some();
        let subtask = |name| sample(name).unwrap().subtask().is_some();
        assert!(checkpoint("checkpoint-triggered") && !subtask("checkpoint-triggered"));
        assert!(checkpoint("barrier-received") && subtask("barrier-received"));
        assert!(!checkpoint("task-running") && subtask("task-running"));
        assert!(!checkpoint("heartbeat-sent") && !subtask("heartbeat-sent"));
        assert!(checkpoint("deployment-begun"));
        assert!(sample("fell-back").is_some());
        assert!(sample("no-such-event").is_none());
    }
}
