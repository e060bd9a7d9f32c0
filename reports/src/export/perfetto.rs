//! A run as Chrome trace events, which Perfetto and `chrome://tracing` open.
//!
//! Start at [`trace`]. A process stands for a node, and its threads for subtasks; thread 0 is the node itself. Slices
//! are lives of nodes, leaderships, loading of state, and the steps of checkpoints. Whole checkpoints, faults and
//! recoveries may overlap with others of their sort, so they are asynchronous slices with tracks of their own. Arrows
//! are barriers (from the trigger to the first barrier, and from a subtask to those downstream) and acknowledgements.
//! Counters are the bytes waiting to be read and the records committed.
//!
//! Times are microseconds with three decimals, so nanoseconds are kept. What did not finish lasts to the end of the
//! run. Source: Trace Event Format, "JSON Object Format".

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::ansi::clean;
use crate::graph::Graph;
use crate::record::{CheckpointEnd, CheckpointRecord, Lapse, RunRecord, SubtaskCheckpoint, TimelineKind};

/// The process for everything that belongs to no node: the run as a whole, stores, links.
const RUN: usize = 0;
/// The thread of the node itself.
const NODE: u64 = 0;
/// First thread of subtasks.
const SUBTASKS: u64 = 10;

/// The trace, as a JSON object.
pub fn trace(run: &RunRecord) -> String {
    let mut trace = Trace::of(run);
    trace.nodes();
    trace.faults();
    trace.attempts();
    trace.checkpoints();
    trace.recoveries();
    trace.timeline();
    trace.flow();
    let whole = json!({
        "displayTimeUnit": "ms",
        "otherData": {
            "scenario": clean(&run.scenario), "seed": run.seed.to_string(), "verdict": run.verdict.label(),
            "trace_hash": clean(&run.trace_hash), "replay": clean(&run.replay),
        },
        "traceEvents": trace.events,
    });
    let mut text = whole.to_string();
    text.push('\n');
    text
}

struct Trace<'a> {
    run: &'a RunRecord,
    graph: Graph<'a>,
    /// Threads of subtasks, by process and name.
    threads: BTreeMap<(usize, &'a str), u64>,
    events: Vec<Value>,
    end: u64,
    /// Number of the next arrow.
    arrows: u64,
}

impl<'a> Trace<'a> {
    fn of(run: &'a RunRecord) -> Self {
        let last = run.timeline.iter().map(|entry| entry.at_ns).max();
        let end = run.totals.virtual_ns.max(last.unwrap_or(0));
        Trace { run, graph: Graph::of(run), threads: BTreeMap::new(), events: Vec::new(), end, arrows: 0 }
    }

    /// The process of a node; [`RUN`] for anything else.
    fn process(&self, node: &str) -> usize {
        self.run.nodes.iter().position(|lane| lane.name == node).map_or(RUN, |index| index + 1)
    }

    /// The thread of a subtask on a node. It gets its name when it is first asked for.
    fn thread(&mut self, process: usize, subtask: &'a str) -> u64 {
        let next = SUBTASKS + self.threads.keys().filter(|(of, _)| *of == process).count() as u64;
        if let Some(thread) = self.threads.get(&(process, subtask)) {
            return *thread;
        }
        self.threads.insert((process, subtask), next);
        self.name_thread(process, next, &format!("subtask {subtask}"));
        next
    }

    fn name_thread(&mut self, process: usize, thread: u64, name: &str) {
        let name = clean(name);
        self.events
            .push(json!({"ph": "M", "pid": process, "tid": thread, "name": "thread_name", "args": {"name": name}}));
        self.events.push(
            json!({"ph": "M", "pid": process, "tid": thread, "name": "thread_sort_index", "args": {"sort_index": thread}}),
        );
    }

    fn slice(&mut self, place: (usize, u64), name: &str, kind: &str, span: (u64, u64), args: Value) {
        let (pid, tid) = place;
        let (from, to) = (span.0, span.1.max(span.0));
        self.events.push(json!({
            "ph": "X", "pid": pid, "tid": tid, "name": clean(name), "cat": kind, "ts": us(from), "dur": us(to - from), "args": args,
        }));
    }

    /// A slice that may overlap with others of its kind. Slices with the same `id` are on one track.
    fn span(&mut self, process: usize, name: &str, (kind, id): (&str, u64), span: (u64, u64), args: Value) {
        for (phase, at) in [("b", span.0), ("e", span.1.max(span.0))] {
            self.events.push(json!({
                "ph": phase, "pid": process, "tid": NODE, "name": clean(name), "cat": kind, "id": id, "ts": us(at), "args": args,
            }));
        }
    }

    /// An arrow between two points that lie on slices.
    fn arrow(&mut self, name: &str, from: (usize, u64, u64), to: (usize, u64, u64)) {
        self.arrows += 1;
        for (phase, (pid, tid, at)) in [("s", from), ("f", to)] {
            let mut event = json!({
                "ph": phase, "pid": pid, "tid": tid, "name": name, "cat": "protocol", "id": self.arrows, "ts": us(at),
            });
            if phase == "f" {
                event["bp"] = json!("e");
            }
            self.events.push(event);
        }
    }

    fn nodes(&mut self) {
        let names = std::iter::once("run").chain(self.run.nodes.iter().map(|node| node.name.as_str()));
        for (process, name) in names.enumerate() {
            let name = clean(name);
            self.events.push(json!({"ph": "M", "pid": process, "name": "process_name", "args": {"name": name}}));
            self.events.push(
                json!({"ph": "M", "pid": process, "name": "process_sort_index", "args": {"sort_index": process}}),
            );
            self.name_thread(process, NODE, if process == RUN { "run" } else { "node" });
        }
        for (index, node) in self.run.nodes.iter().enumerate() {
            for (life, (from, to)) in node.up.iter().enumerate() {
                self.slice((index + 1, NODE), &format!("life {}", life + 1), "life", (*from, *to), json!({}));
            }
        }
        for term in &self.run.course.terms {
            let place = (self.process(&term.node), NODE);
            let span = (term.from_ns, term.to_ns.unwrap_or(self.end));
            self.slice(place, &format!("leads, term {}", term.term), "term", span, json!({"term": term.term}));
        }
    }

    fn faults(&mut self) {
        let mut strikes = 0;
        for fault in &self.run.faults {
            let whole = fault.struck_at_ns.map(|at| (fault.target.as_str(), at, fault.healed_at_ns));
            let hits = fault.hits.iter().map(|hit| (hit.target.as_str(), hit.struck_at_ns, hit.healed_at_ns));
            let hits: Vec<_> = if fault.hits.is_empty() { whole.into_iter().collect() } else { hits.collect() };
            for (target, at, healed) in hits {
                let words = target.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_'));
                let mut hurt: Vec<usize> = words.map(|word| self.process(word)).filter(|node| *node != RUN).collect();
                hurt.sort_unstable();
                hurt.dedup();
                if hurt.is_empty() {
                    hurt.push(RUN);
                }
                let args = json!({"fault": fault.id, "target": clean(target), "trigger": clean(&fault.trigger), "detail": clean(&fault.detail)});
                for process in hurt {
                    let name = format!("fault {}: {}", fault.id, fault.kind);
                    strikes += 1;
                    let until = healed.unwrap_or(self.end);
                    self.span(process, &name, ("fault", strikes), (at, until), args.clone());
                }
            }
        }
    }

    fn attempts(&mut self) {
        for attempt in &self.run.course.attempts {
            for task in &attempt.subtasks {
                let process = self.process(&task.node);
                let thread = self.thread(process, &task.subtask);
                if let (Some(from), Some(to)) = (task.restoring_ns, task.restored_ns) {
                    self.slice(
                        (process, thread),
                        "load state",
                        "restore",
                        (from, to),
                        json!({"attempt": attempt.attempt}),
                    );
                }
            }
        }
    }

    fn checkpoints(&mut self) {
        for checkpoint in &self.run.checkpoints {
            let trigger = self
                .run
                .timeline
                .iter()
                .find(|entry| entry.kind == TimelineKind::Checkpoint && entry.at_ns == checkpoint.triggered_at_ns);
            let home = trigger.map_or(RUN, |entry| self.process(&entry.node));
            let ended = checkpoint.ended_at_ns.or_else(|| self.run.course.abandoned_ns(checkpoint));
            let end = ended.unwrap_or(self.end);
            let name = format!("checkpoint {}", checkpoint.id);
            let (state, reason) = match &checkpoint.end {
                CheckpointEnd::Completed => ("completed", None),
                CheckpointEnd::Aborted { reason } => ("aborted", Some(clean(reason))),
                CheckpointEnd::Unfinished => ("unfinished", None),
            };
            let args = json!({
                "attempt": checkpoint.attempt, "kind": clean(&checkpoint.kind), "state": state, "reason": reason,
                "state_bytes": checkpoint.state_bytes,
            });
            let span = (checkpoint.triggered_at_ns, end);
            self.span(home, &name, ("checkpoint", checkpoint.id), span, args);
            for task in &checkpoint.subtasks {
                self.work(checkpoint, task, end);
            }
            self.arrows_of(checkpoint, home);
        }
    }

    /// The steps of one subtask. A step that did not finish lasts until the checkpoint ended.
    fn work(&mut self, checkpoint: &CheckpointRecord, task: &'a SubtaskCheckpoint, end: u64) {
        let process = self.process(&task.node);
        let thread = self.thread(process, &task.subtask);
        let steps = [
            ("align", task.first_barrier_ns, task.aligned_ns),
            ("snapshot, sync", task.aligned_ns, task.sync_end_ns),
            ("upload", task.sync_end_ns, task.async_end_ns),
        ];
        for (step, from, to) in steps {
            let Some(from) = from else { continue };
            // A step that began after the checkpoint was abandoned, and that has no known end, does not belong to it.
            if to.is_none() && from >= end {
                continue;
            }
            let mut args = Map::new();
            args.insert("checkpoint".into(), json!(checkpoint.id));
            if step == "upload" {
                args.insert("state_bytes".into(), json!(task.state_bytes));
            }
            let name = format!("{step} {}", checkpoint.id);
            self.slice((process, thread), &name, "checkpoint", (from, to.unwrap_or(end)), Value::Object(args));
        }
    }

    fn arrows_of(&mut self, checkpoint: &'a CheckpointRecord, home: usize) {
        let tasks = &checkpoint.subtasks;
        for task in tasks {
            let process = self.process(&task.node);
            let thread = self.thread(process, &task.subtask);
            let name = format!("barrier {}", checkpoint.id);
            if let (true, Some(first)) = (self.graph.is_source(&task.subtask), task.first_barrier_ns) {
                self.arrow(&name, (home, NODE, checkpoint.triggered_at_ns), (process, thread, first));
            }
            // All barriers came before the alignment ended. The record does not say when each one came.
            if let Some(aligned) = task.aligned_ns {
                for other in tasks {
                    if !self.graph.feeds(&other.subtask, &task.subtask) {
                        continue;
                    }
                    let Some(passed) = other.aligned_ns.filter(|passed| *passed <= aligned) else { continue };
                    let from = self.process(&other.node);
                    let from = (from, self.thread(from, &other.subtask), passed);
                    self.arrow(&name, from, (process, thread, aligned));
                }
            }
            if let (Some(done), Some(acknowledged)) = (task.async_end_ns, task.acknowledged_ns) {
                let name = format!("acknowledgement {}", checkpoint.id);
                self.arrow(&name, (process, thread, done), (home, NODE, acknowledged));
            }
        }
    }

    fn recoveries(&mut self) {
        for (index, recovery) in (1..).zip(&self.run.recoveries) {
            let mut at = recovery.failed_at_ns;
            let superseded: Vec<String> = recovery.superseded.iter().map(|one| clean(&one.cause)).collect();
            let args = json!({
                "attempt": recovery.attempt,
                "cause": clean(&recovery.cause),
                "restored": recovery.restored_checkpoint,
                "superseded": superseded,
            });
            if let Lapse::Over(ns) = recovery.outage() {
                self.span(RUN, "outage without an end", ("recovery", index), (at, at.saturating_add(ns)), args.clone());
            }
            for (name, ns) in recovery.parts.iter().flat_map(|parts| parts.named()).filter(|(_, ns)| *ns > 0) {
                let to = at.saturating_add(ns);
                self.span(RUN, name, ("recovery", index), (at, to), args.clone());
                at = to;
            }
            if let Some(caught_up) = recovery.caught_up_at_ns.filter(|to| *to > at) {
                self.span(RUN, "catch-up", ("recovery", index), (at, caught_up), args);
            }
        }
    }

    fn timeline(&mut self) {
        for entry in &self.run.timeline {
            let node = entry.node.split_whitespace().next().unwrap_or_default();
            let process = self.process(node);
            let kind = crate::timeline::mark(entry.kind).1;
            self.events.push(json!({
                "ph": "i", "s": "p", "pid": process, "tid": NODE, "name": clean(&entry.text), "cat": kind, "ts": us(entry.at_ns),
            }));
        }
    }

    fn flow(&mut self) {
        for sample in &self.run.course.flow {
            let counter = |process: usize, name: &str, value: u64| json!({"ph": "C", "pid": process, "name": name, "ts": us(sample.at_ns), "args": {"value": value}});
            self.events.push(counter(RUN, "bytes in flight", sample.in_flight_bytes()));
            self.events.push(counter(RUN, "records committed", sample.records_committed));
            for (node, bytes) in sample.waiting_bytes.iter().enumerate().take(self.run.nodes.len()) {
                self.events.push(counter(node + 1, "bytes to be read", *bytes));
            }
        }
    }
}

/// Microseconds, with nanoseconds as decimals; exact for the first three months of a run.
fn us(ns: u64) -> Value {
    json!(ns as f64 / 1_000.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures;

    fn events(run: &RunRecord) -> Vec<Value> {
        let whole: Value = serde_json::from_str(&trace(run)).unwrap();
        whole["traceEvents"].as_array().unwrap().clone()
    }

    #[test]
    fn a_short_run_as_a_trace() {
        let mut run = fixtures::passed();
        run.checkpoints.truncate(1);
        run.timeline.truncate(2);
        run.course.attempts.truncate(1);
        run.course.flow.truncate(2);
        let lines: Vec<String> = events(&run).iter().map(Value::to_string).collect();
        insta::assert_snapshot!("perfetto", lines.join("\n"));
    }

    #[test]
    fn every_arrow_begins_and_ends_and_never_points_back() {
        let events = events(&fixtures::passed());
        let ends = |phase: &str| events.iter().filter(|event| event["ph"] == phase).cloned().collect::<Vec<_>>();
        let (starts, finishes) = (ends("s"), ends("f"));
        assert!(starts.len() > 20 && starts.len() == finishes.len());
        for (start, finish) in starts.iter().zip(&finishes) {
            assert_eq!(start["id"], finish["id"]);
            assert!(start["ts"].as_f64() <= finish["ts"].as_f64(), "{start} {finish}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_runs_have_a_trace(run in fixtures::any_run()) {
            prop_assert!(!events(&run).is_empty());
        }
    }
}
