//! The course of a run: leaderships, attempts with what ran where, edges of the job graph, and what was in progress.

use std::collections::{BTreeMap, BTreeSet};

use flowquake_engine::event::{Event, EventRecord};
use flowquake_engine::ids::{Attempt, SubtaskId};
use flowquake_reports::record::{AttemptRecord, Course, FlowSample, SubtaskRecord, TermRecord};

use super::ends_attempt;
use crate::outcome::Outcome;

/// Who led, what ran where, and what was in progress. `lanes` are the names of the record's nodes.
pub(super) fn measure(outcome: &Outcome, lanes: &[&str]) -> Course {
    let events = &outcome.trace.events;
    Course { terms: terms(outcome), attempts: attempts(events), edges: edges(events), flow: flow(outcome, lanes) }
}

fn terms(outcome: &Outcome) -> Vec<TermRecord> {
    let events = &outcome.trace.events;
    let granted = events.iter().enumerate().filter_map(|(index, record)| match record.event {
        Event::LeadershipGranted { term } => Some((index, record, term)),
        _ => None,
    });
    granted
        .map(|(index, record, term)| {
            let lost = |later: &&EventRecord| {
                later.node == record.node && matches!(later.event, Event::LeadershipLost { term: of } if of == term)
            };
            let lost = events[index..].iter().find(lost).map(|later| later.at.0);
            let life = outcome
                .lives
                .iter()
                .find(|(node, from, to)| *node == record.node.to_string() && (*from..=*to).contains(&record.at));
            let died = life.map(|(.., to)| to.0).filter(|to| *to < outcome.ended_at.0);
            TermRecord {
                term: term.0,
                node: record.node.to_string(),
                from_ns: record.at.0,
                to_ns: lost.into_iter().chain(died).min(),
            }
        })
        .collect()
}

fn attempts(events: &[EventRecord]) -> Vec<AttemptRecord> {
    let mut attempts: BTreeMap<Attempt, (AttemptRecord, BTreeMap<SubtaskId, SubtaskRecord>)> = BTreeMap::new();
    for record in events {
        let (event, at) = (&record.event, record.at.0);
        let Some(attempt) = event.attempt() else { continue };
        if let Event::DeploymentBegun { restored, .. } = event {
            let fresh = AttemptRecord {
                attempt: attempt.0,
                deployed_at_ns: at,
                restored: restored.map(|checkpoint| checkpoint.0),
                ..AttemptRecord::default()
            };
            attempts.entry(attempt).or_insert((fresh, BTreeMap::new()));
        }
        let Some((whole, subtasks)) = attempts.get_mut(&attempt) else { continue };
        if let Event::JobRunning { .. } = event {
            whole.running_at_ns.get_or_insert(at);
        }
        if ends_attempt(event) {
            whole.ended_at_ns.get_or_insert(at);
        }
        if let Event::FailoverBegun { root, .. } = event {
            whole.root = root.name().into();
        }
        let Some(subtask) = event.subtask() else { continue };
        let step: fn(&mut SubtaskRecord) -> &mut Option<u64> = match event {
            Event::RestoreBegun { .. } => |subtask| &mut subtask.restoring_ns,
            Event::RestoreEnded { .. } => |subtask| &mut subtask.restored_ns,
            Event::TaskRunning { .. } => |subtask| &mut subtask.running_ns,
            Event::FirstRecord { .. } => |subtask| &mut subtask.first_record_ns,
            Event::EndOfInput { .. } => |subtask| &mut subtask.end_of_input_ns,
            Event::TaskFailed { .. } => |subtask| &mut subtask.failed_ns,
            _ => continue,
        };
        let entry = subtasks.entry(subtask).or_insert_with(|| SubtaskRecord {
            subtask: subtask.to_string(),
            node: record.node.to_string(),
            ..SubtaskRecord::default()
        });
        step(entry).get_or_insert(at);
    }
    let mut attempts: Vec<AttemptRecord> = attempts
        .into_values()
        .map(|(whole, subtasks)| AttemptRecord { subtasks: subtasks.into_values().collect(), ..whole })
        .collect();
    // A new leader replaces the attempt that it finds, without a failover of its own.
    for next in (1..attempts.len()).rev() {
        let replaced = attempts[next].deployed_at_ns;
        attempts[next - 1].ended_at_ns.get_or_insert(replaced);
    }
    attempts
}

fn edges(events: &[EventRecord]) -> Vec<(u32, u32)> {
    let edge = |record: &EventRecord| match record.event {
        Event::BarrierReceived { subtask, from, .. } => Some((from.vertex.0.into(), subtask.vertex.0.into())),
        _ => None,
    };
    events.iter().filter_map(edge).collect::<BTreeSet<_>>().into_iter().collect()
}

fn flow(outcome: &Outcome, lanes: &[&str]) -> Vec<FlowSample> {
    // The world numbers its nodes in the order of their first lives.
    let mut nodes: Vec<&str> = Vec::new();
    for (name, ..) in &outcome.lives {
        if !nodes.contains(&name.as_str()) {
            nodes.push(name);
        }
    }
    let place = |lane: &&str| nodes.iter().position(|node| node == lane);
    let places: Vec<Option<usize>> = lanes.iter().map(place).collect();
    let samples = outcome.flow.iter();
    samples
        .map(|sample| FlowSample {
            at_ns: sample.at.0,
            waiting_bytes: places
                .iter()
                .map(|place| place.and_then(|place| sample.waiting.get(place)).copied().unwrap_or(0))
                .collect(),
            records_committed: sample.committed,
        })
        .collect()
}
