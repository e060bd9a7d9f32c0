//! At every event that a run emits: a fault strikes before its victim's next instruction, and nothing of the victim's
//! old life has an effect afterwards. What an event reports
//! has happened by then, so such a fault strikes after it.

use std::collections::{BTreeMap, BTreeSet};

use flowquake::jobs::Jobs;
use flowquake::run::run;
use flowquake_engine::event::Event;
use flowquake_engine::ha::entry::Change;

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

/// Holds every event of a run that reports an effect on the stores against the instant of that effect; returns how many of
/// each kind there were. An answer of a store takes time, so an event that came too early would stand before its effect.
fn effects_before_events(scenario: &str) -> BTreeMap<&'static str, u32> {
    let outcome = run(&named(scenario).plan(1), &Jobs::builtin(), &[]);
    let mut judged = BTreeMap::new();
    for (index, record) in outcome.trace.events.iter().enumerate() {
        let logged = |change: &dyn Fn(&Change) -> bool, term: Option<u64>| {
            let mut before = outcome.log.iter().take_while(|entry| entry.events <= index);
            Some(
                before
                    .any(|logged| change(&logged.entry.change) && term.is_none_or(|term| logged.entry.term.0 == term)),
            )
        };
        let took_effect = match &record.event {
            Event::LeadershipGranted { term } => logged(&|change| *change == Change::Opened, Some(term.0)),
            Event::LeaseRenewed { term } => logged(&|change| *change == Change::Renewed, Some(term.0)),
            Event::CheckpointCompleted { checkpoint, .. } => {
                logged(&|change| *change == Change::Completed(*checkpoint), None)
            }
            Event::DeploymentBegun { attempt, .. } => {
                let mut before = outcome.log.iter().take_while(|entry| entry.events <= index);
                Some(before.any(|logged| logged.entry.state.attempt == *attempt))
            }
            Event::FellBack { to, .. } => logged(&|change| *change == Change::FallingBack(*to), None),
            Event::JobFinished { .. } => logged(&|change| *change == Change::Ended, None),
            Event::ManifestWritten { checkpoint, .. } => {
                Some(outcome.sealed.get(checkpoint).is_some_and(|sealed| sealed.at <= record.at))
            }
            Event::SinkCommitted { epoch, subtask, .. } => {
                let decided = |decision: &&flowquake::outcome::Decision| {
                    decision.commit && (decision.subtask, decision.epoch) == (*subtask, *epoch)
                };
                let mut parts = outcome.visible.iter().filter(|part| (part.subtask, part.epoch) == (*subtask, *epoch));
                let decided = outcome.decisions.iter().find(decided).is_some_and(|decision| decision.at <= record.at);
                Some(decided && parts.all(|part| part.at <= record.at))
            }
            _ => None,
        };
        if let Some(took_effect) = took_effect {
            assert!(took_effect, "E1: {scenario}: {record} reports what has not happened yet");
            *judged.entry(record.event.name()).or_default() += 1;
        }
    }
    judged
}

#[test]
fn an_event_is_emitted_after_what_it_reports_took_effect() {
    let mut judged: BTreeMap<&str, u32> = BTreeMap::new();
    for scenario in ["killed-between-pre-commit-and-commit", "three-leaders-in-a-row", "two-files-swapped"] {
        for (event, times) in effects_before_events(scenario) {
            *judged.entry(event).or_default() += times;
        }
    }
    for event in [
        "leadership-granted",
        "lease-renewed",
        "checkpoint-completed",
        "deployment-begun",
        "fell-back",
        "job-finished",
        "manifest-written",
        "sink-committed",
    ] {
        assert!(judged.contains_key(event), "nothing was judged of {event}: {judged:?}");
    }
}
