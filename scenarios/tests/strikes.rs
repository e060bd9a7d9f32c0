//! At every event that a run emits: a fault strikes before its victim's next instruction, and nothing of the victim's
//! old life has an effect afterwards.

use std::collections::BTreeSet;

use flowquake::jobs::Jobs;
use flowquake::run::run;

use crate::named;

/// Kills one victim at the first occurrence of every kind of event; returns the events at which it was the emitter.
fn positions(scenario: &str) -> BTreeSet<String> {
    let outcome = run(&named(scenario).plan(1), &Jobs::builtin(), &[]);
    assert_eq!(outcome.late_effects, 0, "{scenario}: calls of dead lives");
    let mut struck = BTreeSet::new();
    for hit in outcome.strikes.iter().flat_map(|strike| &strike.hits) {
        let events = &outcome.trace.events;
        // The first event of its kind at that very instant is the one at which the fault struck.
        let at = events.iter().position(|record| record.at == hit.at && record.event.name() == hit.position);
        let at = at.unwrap_or_else(|| panic!("{scenario}: no {} at {}", hit.position, hit.at));
        let emitter = &events[at];
        if emitter.node.as_str() != hit.target {
            continue;
        }
        let life = |record: &&flowquake_engine::event::EventRecord| {
            record.node == emitter.node && record.incarnation == emitter.incarnation
        };
        let later = events[at + 1..].iter().find(life);
        assert!(later.is_none(), "{scenario}: struck at {emitter}, and yet: {}", later.unwrap());
        struck.insert(hit.position.clone());
    }
    struck
}

#[test]
fn whoever_is_struck_at_an_event_does_nothing_after_it() {
    let task_manager = positions("kill-task-manager");
    let leader = positions("kill-leader");
    assert!(task_manager.len() >= 15, "{task_manager:?}");
    assert!(leader.len() >= 12, "{leader:?}");
}
