//! Which execution has read a record, and which checkpoint covers it.
//!
//! What is certain is what manifests say: the position of a source when a checkpoint was taken. An execution that began
//! before a record, and of which no manifest beyond the record exists, may have read it. An execution that ended before
//! the record arrived has not read it.

use std::collections::{BTreeMap, BTreeSet};

use flowquake_engine::event::Event;
use flowquake_engine::graph::source::ArrivalSchedule;
use flowquake_engine::ids::{Attempt, CheckpointId, Execution, NodeName, SplitId, SubtaskId, Term, VertexId};
use flowquake_engine::time::Time;

use crate::jobs::{RecordId, index_of};

use crate::outcome::{Outcome, Sealed};
use crate::plan::RunPlan;
use crate::plan::job_spec;

/// One execution of the job.
struct Span {
    execution: Execution,
    restored: Option<CheckpointId>,
    ended_at: Option<Time>,
}

/// The executions of a run, and the positions of its sources.
pub(super) struct History<'a> {
    plan: &'a RunPlan,
    outcome: &'a Outcome,
    spans: Vec<Span>,
}

impl<'a> History<'a> {
    pub(super) fn of(plan: &'a RunPlan, outcome: &'a Outcome) -> Self {
        let mut terms: BTreeMap<NodeName, Term> = BTreeMap::new();
        let mut spans: Vec<Span> = Vec::new();
        for record in &outcome.trace.events {
            let term = terms.get(&record.node).copied().unwrap_or(Term(1));
            match &record.event {
                Event::LeadershipGranted { term } => drop(terms.insert(record.node.clone(), *term)),
                Event::DeploymentBegun { attempt, restored, .. } => {
                    end(&mut spans, record.at);
                    let execution = Execution { term, attempt: *attempt };
                    spans.push(Span { execution, restored: *restored, ended_at: None });
                }
                Event::FailoverBegun { .. } => end(&mut spans, record.at),
                _ => {}
            }
        }
        Self { plan, outcome, spans }
    }

    /// Which subtask read a record, in which attempts. `certain` are attempts whose output shows the record. If a
    /// source was past a record when a checkpoint was taken, its attempt has passed the record, which does not prove
    /// that it read the record.
    pub(super) fn readers(&self, record: RecordId, certain: &BTreeSet<Attempt>) -> String {
        let (mut read, mut passed, mut perhaps) = (Vec::new(), Vec::new(), Vec::new());
        for span in &self.spans {
            let (name, begin) = (self.name(span.execution), self.begins_at(span, record.split));
            let shows = certain.contains(&span.execution.attempt);
            let reached = self.reached(span, record.split);
            if begin > record.position {
                // This attempt must not have read it. If its output shows the record nevertheless, that explains the
                // error.
                read.extend(shows.then(|| format!("{name} (which began behind it, at position {begin})")));
            } else if shows {
                read.push(name);
            } else if reached > record.position {
                passed.push(format!("{name} (which went from position {begin} to {reached})"));
            } else if span.ended_at.is_none_or(|ended| self.arrival(record) <= ended) {
                perhaps.push(name);
            }
        }
        let reader = self.reader(record.split);
        let told = [("read by", read), ("passed by", passed), ("perhaps read by", perhaps)];
        let told = told.into_iter().filter(|(_, attempts)| !attempts.is_empty());
        let told: Vec<String> =
            told.map(|(how, attempts)| format!("{how} {reader} in {}", attempts.join(" and "))).collect();
        if told.is_empty() { format!("no attempt read it (its reader is {reader})") } else { told.join(", ") }
    }

    /// The first checkpoint that covers a record, the one before it, and the time at which the first was durable.
    pub(super) fn covering(&self, record: RecordId) -> Option<(CheckpointId, CheckpointId, Time)> {
        let mut before = CheckpointId(0);
        for checkpoint in self.outcome.lineage() {
            if let Some(sealed) = self.outcome.sealed.get(&checkpoint)
                && position(sealed, record.split) > record.position
            {
                return Some((before, checkpoint, sealed.at));
            }
            before = checkpoint;
        }
        None
    }

    fn name(&self, execution: Execution) -> String {
        let one_leader = self.spans.iter().all(|span| span.execution.term == execution.term);
        if one_leader { execution.attempt.to_string() } else { format!("{} of {}", execution.attempt, execution.term) }
    }

    fn begins_at(&self, span: &Span, split: u32) -> u64 {
        let restored = span.restored.and_then(|checkpoint| self.outcome.sealed.get(&checkpoint));
        restored.map_or(0, |sealed| position(sealed, split))
    }

    /// The greatest position that the source is known to have reached in an execution.
    fn reached(&self, span: &Span, split: u32) -> u64 {
        let of_span = |sealed: &&Sealed| {
            let manifest = &sealed.manifest;
            Execution { term: manifest.term, attempt: manifest.attempt } == span.execution
        };
        self.outcome.sealed.values().filter(of_span).map(|sealed| position(sealed, split)).max().unwrap_or(0)
    }

    fn reader(&self, split: u32) -> SubtaskId {
        let states = self.outcome.sealed.values().flat_map(|sealed| &sealed.manifest.subtasks);
        let mut readers = states.filter(|(_, state)| state.positions.iter().any(|p| p.split == SplitId(split)));
        let parallelism = u32::from(self.plan.job.config.parallelism).max(1);
        // Without a manifest: splits are distributed in turn over the subtasks of the first vertex.
        let index = (split % parallelism) as u16;
        readers.next().map_or(SubtaskId { vertex: VertexId(0), index }, |(subtask, _)| *subtask)
    }

    fn arrival(&self, record: RecordId) -> Time {
        let spec = job_spec(self.plan);
        // Every manifest of a job has the same start time; without a manifest, the earliest possible time.
        let start = self.outcome.sealed.values().next().map_or(Time::ZERO, |sealed| sealed.manifest.start);
        let schedule = ArrivalSchedule { start, period_fs: spec.input.period_fs };
        schedule.arrival(index_of(record.position, record.split as usize, spec.input.splits as usize))
    }
}

fn end(spans: &mut [Span], at: Time) {
    if let Some(span) = spans.last_mut().filter(|span| span.ended_at.is_none()) {
        span.ended_at = Some(at);
    }
}

fn position(sealed: &Sealed, split: u32) -> u64 {
    let positions = sealed.manifest.subtasks.values().flat_map(|state| &state.positions);
    positions.filter(|position| position.split == SplitId(split)).map(|position| position.emitted).max().unwrap_or(0)
}
